# SPDX-License-Identifier: MIT
"""SIGHUP: other workers take the place of those that run, and nobody notices."""

import json
import os
import re
import signal
import time

import pytest
from load import Load
from stack import kill, process_state, scaled, wait_for, words

RELOADS = int(os.environ.get("RELOADS", 100))


def serves(stack):
    """The number of the generation that serves."""
    return max([1, *(int(n) for n in re.findall(r"generation (\d+) serves", stack.log()))])


def reload(stack, seconds=20):
    """SIGHUP, until the new workers serve."""
    before = serves(stack)
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: serves(stack) > before, seconds, lambda: f"no new generation\n{stack.tails()}")


def gone(pids):
    return all(process_state(pid)[0] in (None, "Z") for pid in pids)


def test_under_load(stack_factory):
    """100 times: no request fails, no turn is lost, no viewer misses an event or is cut without a cursor."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "2s"})
    begin = None
    with Load(stack) as load:
        wait_for(lambda: sum(v.cursor is not None for v in load.viewers) == len(load.viewers), 20, "the viewers do not come")
        begin = time.monotonic()
        for _ in range(RELOADS):
            reload(stack)
            load.more(6)
        took = time.monotonic() - begin
    print(f"{RELOADS} reloads in {took:.1f} s")
    load.check()
    assert serves(stack) == RELOADS + 1 and " -> " not in stack.log()
    assert took < scaled(60 * RELOADS / 100 + 10)


def test_faster_than_turns_end(stack_factory):
    """One after the other: generations that left long ago stop at their last commits. Still nothing is lost."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "30s"})
    with Load(stack, viewers=20, turns_per_second=10, agents=10) as load:
        load.more(2)
        for _ in range(20):
            reload(stack)
    load.check()
    wait_for(lambda: len(stack.workers()) == 2, 5, "the old workers do not leave")


def test_new_settings_and_old_turns(stack_factory):
    """What the file says now holds for new turns; those that run go on with what was."""
    stack = stack_factory(workers=2, templates={"t": {"systemPrompt": "Be brief."}})
    user = stack.user()
    agent, old = user.agent(), stack.workers()
    agent.say("slow 20")
    holder = agent.holder()
    stack.conf["workers"] = 3
    stack.conf["limits.message"] = "64"
    stack.write("templates.d/late.json", json.dumps({"systemPrompt": "Late."}))
    stack.write_conf()
    with agent.follow() as view:
        reload(stack)
        assert len([p for p in stack.workers() if p not in old]) == 3
        wait_for(lambda: user.agent().post_message("x" * 100).status == 413, 5)
        assert user.agent(template="late").answer("hi") == "echo: hi"
        assert agent.holder() == holder, "the turn moved"
        assert view.wait().text() == words(20)
        assert view.kinds().count("agent_resumed") == 0
    wait_for(lambda: gone(old), 5, "the old workers do not leave")
    assert len(stack.workers()) == 3
    stack.conf["workers"] = 1
    stack.write_conf()
    reload(stack)
    wait_for(lambda: len(stack.workers()) == 1, 5)
    assert user.agent().answer("hi") == "echo: hi"


def test_a_turn_that_takes_too_long_is_handed_over(stack_factory):
    """At drain_timeout it stops at its last commit, and a new worker goes on within a second."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "300ms", "store.sweep": "1h"})
    agent, old = stack.user().agent(), stack.workers()
    turn = agent.say("slow 60")["turn"]
    assert agent.holder() in old
    with agent.follow() as view:
        view.has("w3 ")
        reload(stack)
        wait_for(lambda: gone(old), 5)
        ended = time.monotonic()
        view.wait_for(lambda f: "agent_resumed" in f.kinds(), 5)
        assert time.monotonic() - ended < scaled(1)
        assert view.wait().text() == words(60)
    assert view.dones == {turn: "completed"}


def test_the_lease_of_a_worker_that_dies_while_it_leaves(stack_factory):
    """Nobody is started in its place: one that serves takes its turns."""
    stack = stack_factory(workers=1, conf={"drain_timeout": "1h", "store.sweep": "1h"})
    agent, old = stack.user().agent(), stack.workers()
    agent.say("slow 40")
    with agent.follow() as view:
        view.has("w3 ")
        reload(stack)
        died = time.monotonic()
        kill(old[0], signal.SIGKILL)
        view.wait_for(lambda f: "agent_resumed" in f.kinds(), 5)
        assert time.monotonic() - died < scaled(1)
        assert view.wait().text() == words(40)


def test_mistakes_change_nothing(stack_factory):
    """A file with mistakes, one that is gone, a template that is none: said in the log, and the old workers stay."""
    stack = stack_factory(workers=2)
    agent, old = stack.user().agent(), stack.workers()
    good = stack.write_conf()

    def refused(words):
        at = len(stack.log())
        kill(stack.master, signal.SIGHUP)
        said = wait_for(lambda: (text := stack.log()[at:]) if "configuration stays" in stack.log()[at:] else None, 10)
        assert all(w in said for w in words), said
        assert stack.workers() == old and agent.answer("hi") == "echo: hi"

    stack.write("agent-fpm.conf", "workers = many\nlistn = x\n")
    refused(["agent-fpm.conf:1: ", "many", "agent-fpm.conf:2: ", "listen"])
    os.unlink(good)
    refused(["No such file"])
    os.mkfifo(good)
    refused(["Invalid argument"])
    os.unlink(good)
    stack.write_conf()
    stack.write("templates.d/bad.json", "{")
    refused(["bad.json"])
    os.unlink(stack.path("templates.d", "bad.json"))
    reload(stack)
    for line in stack.log().splitlines():
        assert re.match(r'time=\S+Z level=\w+ proc=\S+ pid=\d+ ', line), line


@pytest.mark.parametrize("needed", ["jwt.secret", "templates.d/t.json"])
def test_workers_that_do_not_start(stack_factory, needed):
    """What the check could not know: the secret, or what a template says, goes between check and start. The old workers stay."""
    stack = stack_factory(workers=2, templates={"t": {"systemPrompt": "Be brief."}})
    agent, old = stack.user().agent(), stack.workers()
    path, broken = stack.path(*needed.split("/")), 0
    bad = stack.write("bad", "{")
    for _ in range(40):
        at = len(stack.log())
        kill(stack.master, signal.SIGHUP)
        wait_for(lambda: [p for p in stack.children() if "--check" in stack.argv(p)] or "serves" in stack.log()[at:], 5)
        wait_for(lambda: not [p for p in stack.children() if "--check" in stack.argv(p)], 5)
        os.rename(path, path + ".away")
        os.link(bad, path)
        wait_for(lambda: "serves" in stack.log()[at:] or "stay" in stack.log()[at:], 20)
        os.rename(path + ".away", path)
        if "a new worker died; the old workers stay" in stack.log()[at:]:
            broken += 1
            assert set(old) <= set(stack.workers())
            break
        wait_for(lambda: len(stack.workers()) == 2 and not set(old) & set(stack.workers()), 10)
        old = stack.workers()
    assert broken, "it was never broken"
    assert "exited with status 78" in stack.log() and "was killed by" not in stack.log()
    with agent.follow() as view:  # it may begin in a new worker that was ready, and leaves
        assert view.wait(agent.say_surely("hi")["turn"]).text() == "echo: hi"
    reload(stack)
    wait_for(lambda: gone(old), 10)
    assert agent.answer("hi") == "echo: hi"


def test_the_end_in_the_middle_of_a_reload(stack_factory):
    """SIGTERM while it is under way ends all of them."""
    stack = stack_factory(workers=2)
    for _ in range(3):
        kill(stack.master, signal.SIGHUP)
    pids = stack.workers()
    assert stack.stop_pool() == 0
    assert gone(pids) and not os.path.exists(stack.fcgi_path)


def test_hup_again_and_again(stack_factory):
    """Signals while a reload is under way become one more."""
    stack = stack_factory(workers=1)
    for _ in range(50):
        kill(stack.master, signal.SIGHUP)
    wait_for(lambda: serves(stack) >= 2, 10)
    stack.conf["limits.message"] = "64"
    stack.write_conf()
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: stack.user().agent().post_message("x" * 100).status == 413, 10)
    assert serves(stack) < 10
    wait_for(lambda: len(stack.workers()) == 1, 10)


def test_the_check_that_hangs(stack_factory):
    """A check that stands still is no reload, and the pool serves on; TERM ends it too."""
    stack = stack_factory(workers=1)
    kill(stack.master, signal.SIGHUP)
    checker = wait_for(lambda: [p for p in stack.children() if "--check" in stack.argv(p)] or serves(stack) > 1, 5)
    if checker is not True:
        kill(checker[0], signal.SIGSTOP)
    assert stack.user().agent().answer("hi") == "echo: hi"
    assert stack.stop_pool() == 0
    if checker is not True:
        wait_for(lambda: gone(checker), 5)


def test_an_interrupt_waits_for_its_answer(stack_factory):
    """A request that waits for the end of a turn is answered by a worker that leaves."""
    stack = stack_factory(workers=1)
    agent, old = stack.user().agent(), stack.workers()
    agent.say("slow 100")
    holder = agent.holder()
    assert holder == old[0]
    reload(stack)
    assert agent.interrupt()["interrupted"] is True
    wait_for(lambda: gone(old), 5)
