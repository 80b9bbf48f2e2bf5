# SPDX-License-Identifier: MIT
"""Accepted means kept: whatever is killed, whenever, every message is answered exactly once.

A crash point is tried in this way: the pool runs with AGENT_FPM_CRASH_AT=stop:NAME:N, so the worker that gets
there stands still, and is killed there. Its heir has the same variable; it is let go on when it stands.
"""

import contextlib
import glob
import os
import random
import re
import signal
import threading
import time

import pytest
from stack import ROOT, Stack, event_id, kill, process_state, scaled, wait_for, words

SEED = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
KILLS = int(os.environ.get("CRASH_KILLS", "20"))
AT_ONCE = 10


def crash_points():
    """Every name that is given to crash_point() in src, but what comes in no turn: test_tasks.py and test_retention.py have those."""
    names = set()
    for path in glob.glob(os.path.join(ROOT, "src", "**", "*.c"), recursive=True):
        with open(path, encoding="utf-8") as f:
            for call in re.findall(r"\bcrash_point\(([^;]*?)\);", f.read(), re.S):
                names.update(re.findall(r'"([^"]+)"', call))
    return sorted(name for name in names if not name.startswith("delete-"))


# The others: test_tools_crash.py, and test_limits.py, where a message waits for room.
PLAIN = [name for name in crash_points() if not name.startswith("tool-") and name not in ("dequeue-answered", "take-answered")]
POINTS = [(name, n) for name in PLAIN for n in (1, 2)] + [("append-answered", 5), ("text", 5)]


def answered_once(agent, view, sent, text):
    """The view and the history have the answer whole and one time."""
    all_answered_once(agent, view, [("slow 8" if text == words(8) else "slow 60", sent, text)])


def all_answered_once(agent, view, said):
    """The same of several messages: (message, what say() gave for it, answer)."""
    assert view.dones == {sent["turn"]: "completed" for _, sent, _ in said}
    assert [view.text(sent["turn"]) for _, sent, _ in said] == [text for _, _, text in said]
    assert view.kinds().count("message_accepted") == len(said)
    assert agent.dialogue() == [line for message, _, text in said for line in (("user", message), ("assistant", text))]
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids))
    assert [event_id(f.id) for f in view.frames] == ids
    wait_for(lambda: agent.lease() is None, 5, "the lease was not given back")


@contextlib.contextmanager
def killer(stack, first_only=True):
    """Kills the first worker that stands still, and lets others go on. Yields what it killed."""
    killed, ending = [], threading.Event()

    def watch():
        while not ending.is_set():
            for pid in stack.workers():
                if process_state(pid)[0] == "T":
                    if killed and first_only:
                        stack.cont(pid)
                    else:
                        kill(pid, signal.SIGKILL)
                        killed.append(pid)
            time.sleep(0.003)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield killed
    finally:
        ending.set()
        watching.join()


def reached(killed, name, n):
    """The point was there: a worker was killed at it, which may come after all that clients see of it."""
    wait_for(lambda: killed, 5, f"{name} was not reached {n} times")


@pytest.fixture(scope="module")
def crashing():
    stack = Stack(workers=2, conf={"store.sweep": "500ms"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.mark.parametrize("name, n", POINTS, ids=[f"{name}-{n}" for name, n in POINTS])
def test_kill_at_a_crash_point(crashing, name, n):
    """Killed at the N-th time that a worker gets to a named point: each message is answered exactly once."""
    crashing.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = crashing.user().agent()
    with killer(crashing) as killed, agent.follow() as view:
        # One message more than there are workers: one of them gets twice to what comes once in a turn.
        said = [(text, agent.say_surely(text), answer) for text, answer in (("slow 8", words(8)), ("two", "echo: two"), ("three", "echo: three"))]
        view.wait(turns=3, seconds=30)
        reached(killed, name, n)
        all_answered_once(agent, view, said)


@pytest.mark.parametrize("n", (1, 2))
def test_kill_while_taking_over(crashing, n):
    """An heir that dies while it takes over, of its first agent or between two of them: the next heir takes all."""
    crashing.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:take-answered:{n}"})
    agents = [crashing.user().agent() for _ in range(3)]  # one more than there are workers: one of them has two
    with killer(crashing) as killed, contextlib.ExitStack() as views:
        chats = [(agent, agent.say("slow 8"), views.enter_context(agent.follow())) for agent in agents]
        for agent, _, _ in chats:
            wait_for(agent.lease, 5)
        crashing.kill_workers()
        reached(killed, "take-answered", n)
        for agent, sent, view in chats:
            view.wait(sent["turn"], seconds=30)
            answered_once(agent, view, sent, words(8))


def test_there_are_crash_points():
    assert {"accept-send", "accept-answered", "append-send", "append-answered", "commit-send", "commit-answered", "take-answered"} <= set(crash_points())


def test_kill_all_workers_at_random_moments(stack_factory):
    """kill -9 of all workers at CRASH_KILLS moments of a stream: all of it, once, and streaming again in a second."""
    print(f"CRASH_SEED={SEED} CRASH_KILLS={KILLS}")
    dice = random.Random(SEED)
    stack = stack_factory(workers=2)
    slowest = 0
    for batch in range(0, KILLS, AT_ONCE):
        moments = sorted(dice.uniform(0.2, 2.9) for _ in range(min(AT_ONCE, KILLS - batch)))
        begin, chats = time.monotonic(), []
        for moment in moments:  # the kill comes at 3 s: a stream is as far then as it started early
            agent = stack.user().agent()
            wait_for(lambda: time.monotonic() - begin >= moment, 5)
            chats.append((agent, agent.say("slow 60"), agent.follow()))
        wait_for(lambda: time.monotonic() - begin >= 3.0, 5)
        killed = time.monotonic()
        stack.kill_workers()
        for agent, sent, view in chats:
            with view:
                view.wait(sent["turn"], seconds=30)
                answered_once(agent, view, sent, words(60))
                assert view.kinds().count("agent_resumed") == 1 and len(view.after(killed, "agent_resumed")) == 1
                again = next(f for f in view.frames if f.kind == "text_chunk" and event_id(f.id)[0] == 2)
                if again.at - killed > scaled(1):
                    print(f"{agent.id}: {again.at - killed:.3f} s; " + " ".join(f"{f.id}/{f.kind[:6]}@{f.at - killed:.3f}" for f in view.frames))
                slowest = max(slowest, again.at - killed)
    print(f"streaming again after at most {slowest:.3f} s")
    assert slowest < scaled(1), f"streaming again only after {slowest:.3f} s (CRASH_SEED={SEED})"


def test_kill_again_and_again(stack_factory):
    """A worker that dies every 200 ms: each heir shows its text within a second; one answer, when it is left alone."""
    stack = stack_factory(workers=1)
    agents = [stack.user().agent() for _ in range(6)]
    chats = [(agent, agent.say("slow 60"), agent.follow()) for agent in agents]
    for n in range(6):
        for _, _, view in chats:
            view.wait_for(lambda f: "w4 " in f.text() and event_id(f.last)[0] > n, 1.5, f"not streaming again after kill {n}")
        stack.kill_workers()
    for agent, sent, view in chats:
        with view:
            view.wait(sent["turn"], seconds=30)
            answered_once(agent, view, sent, words(60))
            assert view.kinds().count("stream_reset") == 6


def test_kill_the_one_that_does_not_run_it(site, agent):
    """The death of another worker touches a turn not at all."""
    sent = agent.say("slow 20")
    with agent.follow() as view:
        view.has("w3 ")
        holder = agent.holder()
        for pid in site.workers():
            if pid != holder:
                kill(pid, signal.SIGKILL)
        view.wait(sent["turn"])
    assert view.text() == words(20) and "stream_reset" not in view.kinds()


def test_kill_nginx(stack_factory):
    """nginx dies and comes back: no turn notices, and a viewer goes on where it was."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w10 ")
        stack.kill_nginx()
        stack.start_nginx()
        view.wait(sent["turn"])
        answered_once(agent, view, sent, words(60))
    assert "stream_reset" not in view.kinds() and view.connections >= 2


def test_kill_redis(stack_factory):
    """Redis dies and comes back with its AOF: the turn waits for it and goes on, nothing is said twice."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w10 ")
        stack.restart_redis()
        view.wait(sent["turn"])
        answered_once(agent, view, sent, words(60))
    assert "stream_reset" not in view.kinds()


def test_kill_everything_at_once(stack_factory):
    """kill -9 of master, workers, nginx and Redis: after a restart all that was accepted is answered."""
    stack = stack_factory(workers=2, conf={"store.sweep": "1s"})
    agents = [stack.user().agent() for _ in range(3)]
    views = []
    for agent in agents:
        sent = [agent.say("slow 60"), agent.say("and this")]
        views.append((agent, sent, agent.follow()))
    for _, _, view in views:
        view.has("w10 ")
    stack.kill_all()
    stack.start_all()
    for agent, (first, second), view in views:
        with view:
            view.wait(turns=2, seconds=30)
        assert view.dones == {first["turn"]: "completed", second["turn"]: "completed"}
        assert (view.text(first["turn"]), view.text(second["turn"])) == (words(60), "echo: and this")
        assert agent.dialogue() == [("user", "slow 60"), ("assistant", words(60)), ("user", "and this"), ("assistant", "echo: and this")]


def test_kill_the_master(stack_factory):
    """Without their master workers leave, and a new pool takes over on the same socket."""
    stack = stack_factory(workers=2, conf={"store.sweep": "1s"})
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w10 ")
        workers = stack.workers()
        kill(stack.master, signal.SIGKILL)
        stack.wait_pool()
        wait_for(lambda: all(process_state(p)[0] in (None, "Z") for p in workers), 10, "workers stayed without a master")
        stack.start_pool()
        view.wait(sent["turn"], seconds=30)
        answered_once(agent, view, sent, words(60))


def test_a_stopped_worker_that_goes_on_writes_nothing(stack_factory):
    """SIGSTOP past the lease, another takes over, SIGCONT: nothing that the first one writes is accepted."""
    stack = stack_factory(workers=2, conf={"store.lease": "1s", "store.sweep": "100ms"})
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    holder = agent.holder()
    other, = [p for p in stack.workers() if p != holder]
    with stack.only(other):
        view = agent.follow()
        wait_for(lambda: view.connections, 5)
    with view:
        view.has("w10 ")
        old, _ = agent.lease()
        stack.stop(holder)
        wait_for(lambda: (agent.lease() or (0,))[0] > old, 10, "nobody took over")
        assert agent.lease()[1] == other
        view.wait_for(lambda f: event_id(f.last)[0] > old and "w5 " in f.text(), what="it does not go on")
        stack.cont(holder)
        view.wait(sent["turn"])
        answered_once(agent, view, sent, words(60))
    ids = [event_id(i) for i in agent.log_ids()]
    new = next(n for n, (epoch, _) in enumerate(ids) if epoch > old)
    assert all(epoch > old for epoch, _ in ids[new:]) and len({e for e, _ in ids}) == 2
    requests = [r for r in stack.model.requests if r.last == "slow 60"]
    stack.model.wait_for(lambda: requests[0].ended, 5)
    assert requests[0].ended == "closed", "the fenced worker went on to listen to the model"
    assert stack.workers() == sorted(stack.workers(), key=[holder, other].index) or holder in stack.workers()
    with stack.only(holder):
        assert agent.answer("are you well") == "echo: are you well"


def test_a_stopped_worker_at_its_commit(stack_factory):
    """Stopped just before the commit that ends the turn: the answer of its heir is the only one."""
    stack = stack_factory(workers=2, conf={"store.lease": "1s", "store.sweep": "100ms"}, env={"AGENT_FPM_CRASH_AT": "stop:commit-send:1"})
    agent = stack.user().agent()
    sent = agent.say("slow 8")
    wait_for(lambda: [p for p in stack.workers() if process_state(p)[0] == "T"], 10)
    first, = [p for p in stack.workers() if process_state(p)[0] == "T"]
    old, _ = agent.lease()
    wait_for(lambda: (agent.lease() or (0,))[0] > old, 10, "nobody took over")
    wait_for(lambda: [p for p in stack.workers() if process_state(p)[0] == "T" and p != first], 20)
    for pid in stack.workers():
        stack.cont(pid)
    with agent.follow() as view:
        view.wait(sent["turn"])
        answered_once(agent, view, sent, words(8))


# ---- stopping on purpose ----

def test_quit_lets_a_turn_finish(stack_factory):
    """QUIT: the running turn gets to its end, its viewer sees it, then the pool leaves with 0."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "20s"})
    agent = stack.user().agent()
    with agent.chat("slow 40") as stream:
        stream.until("text_chunk", 10)
        assert stack.stop_pool(signal.SIGQUIT) == 0
        frames = stream.rest()
    assert frames[-1].kind == "done" and frames[-1]["reason"] == "completed"
    assert "".join(f["text"] for f in stream.frames if f.kind == "text_chunk") == words(40)
    stack.start_pool()
    assert agent.dialogue() == [("user", "slow 40"), ("assistant", words(40))]


def test_quit_with_idle_viewers_is_quick(stack_factory):
    """Streams on which nothing runs do not keep a pool; their viewers come back."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "20s"})
    agent = stack.user().agent()
    with agent.follow() as view:
        wait_for(lambda: view.connections, 5)
        begin = time.monotonic()
        assert stack.stop_pool(signal.SIGQUIT) == 0
        assert time.monotonic() - begin < scaled(4)
        stack.start_pool()
        sent = agent.say("hello")
        assert view.wait(sent["turn"]).text() == "echo: hello"


def test_drain_timeout(stack_factory):
    """What is not done by then stops at its last commit, and the next pool resumes it."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "500ms", "store.sweep": "200ms"})
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w5 ")
        begin = time.monotonic()
        assert stack.stop_pool(signal.SIGQUIT) == 0
        assert 0.4 < time.monotonic() - begin < scaled(4)
        assert " -> killing" not in stack.log()
        stack.start_pool()
        view.wait(sent["turn"], seconds=30)
        answered_once(agent, view, sent, words(60))


def test_term_in_a_turn_and_resume(stack_factory):
    """TERM stops fast; the next pool resumes at once, without waiting for a lease to run out."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w10 ")
        begin = time.monotonic()
        assert stack.stop_pool(signal.SIGTERM) == 0
        assert time.monotonic() - begin < scaled(3)
        stack.start_pool()
        restarted = time.monotonic()
        view.wait_for(lambda f: f.after(restarted, "text_chunk") or f.after(begin, "agent_resumed"), 5)
        view.wait(sent["turn"], seconds=30)
        answered_once(agent, view, sent, words(60))


def test_messages_during_a_restart(stack_factory):
    """Messages that are sent while the pool restarts are taken by the next one, or refused and not taken."""
    stack = stack_factory(workers=2)
    agents = [stack.user().agent() for _ in range(8)]
    sent, asking = {}, []
    for n, agent in enumerate(agents):
        asking.append(threading.Thread(target=lambda a=agent, n=n: sent.update({a: a.say_surely(f"message {n}")})))
    stopping = threading.Thread(target=stack.restart_pool)
    stopping.start()
    for thread in asking:
        thread.start()
    for thread in [stopping, *asking]:
        thread.join()
    for n, agent in enumerate(agents):
        with agent.follow() as view:
            view.wait(sent[agent]["turn"])
        assert agent.dialogue() == [("user", f"message {n}"), ("assistant", f"echo: message {n}")]
