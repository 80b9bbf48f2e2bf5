# SPDX-License-Identifier: MIT
"""Workers killed at random moments of turns with tools, and workers that sleep past their leases.

KILLS=200 and STOPS=50 make the runs that the guarantees were measured with.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter

import pytest

from conftest import close
from stack import Stack, event_id, kill, process_state, scaled, wait_for, words
from test_tools import LIST, calls
from test_tools_crash import decider
from webhooks import Webhooks

KILLS, STOPS = int(os.environ.get("KILLS", 30)), int(os.environ.get("STOPS", 10))
SECRET = "a secret of the site, of enough bytes"


@pytest.fixture(scope="module")
def service():
    hooks = Webhooks(SECRET.encode())
    hooks.release = threading.Event()
    hooks.on("/write")(lambda *_: (time.sleep(0.02), {"written": True})[1])
    hooks.on("/read")(lambda *_: (time.sleep(0.02), {"seen": True})[1])
    hooks.on("/hang")(lambda *_: (hooks.release.wait(30), {"late": True})[1])
    yield hooks
    hooks.release.set()
    hooks.close()


@pytest.fixture(scope="module")
def stack(service):
    scenarios = [
        *calls("^work$", {"text": words(5), "pace_ms": 4}, {"call": "write", "input": {}}, {"call": "read", "input": {}},
               {"call": "todo_write", "input": {"todos": LIST}}, {"call": "write", "input": {}}, {"call": "nosuch"}, {"call": "guarded", "input": {}},
               after="so: ${words:20}"),
        *calls("^hang$", {"call": "hang", "input": {}}, {"call": "read", "input": {}}),
    ]
    tools = [{"name": n, "description": n, "url": f"{service.url}/{p}", "readOnly": p == "read"}
             for n, p in (("write", "write"), ("read", "read"), ("hang", "hang"), ("guarded", "write"))]
    stack = Stack(scenarios=scenarios, conf={"tool.networks": "127.0.0.1", "store.sweep": "200ms", "store.lease": "1s"},
                  env={"AGENT_FPM_TOOL_SECRET": SECRET},
                  templates={"site": {"tools": ["write", "read", "hang", "guarded", "todo_write"], "httpTools": tools,
                                      "permission": {"mode": "auto", "requireApprovalTools": ["guarded"]}}})
    yield stack
    close(stack)


def check(agent, service, view, turn):
    """What must hold of a turn whatever happened to it."""
    assert view.dones == {turn: "completed"}
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids)) and [event_id(f.id) for f in view.frames] == ids
    records = {c["id"]: c for c in agent.tool_calls()}
    assert all(c["state"] in ("COMPLETED", "FAILED", "SEALED") for c in records.values()), records
    sent = Counter(r["body"]["id"] for r in service.requests if r["body"]["agent"] == agent.id)
    for call, n in sent.items():
        assert n == 1 or records[call]["name"] == "read", f"{records[call]['name']} ran {n} times"
    history = agent.history()
    uses = [b["id"] for m in history for b in m["content"] if b["type"] == "tool_use"]
    got = [b["tool_use_id"] for m in history for b in m["content"] if b["type"] == "tool_result"]
    assert uses == got and sorted(uses) == sorted(records)
    completed = Counter(f["call"]["id"] for f in view.frames if f.kind == "tool:complete")
    assert all(n == 1 for n in completed.values()) and set(completed) == set(records)
    return records


def newest_epoch(agent):
    lease = agent.lease()
    return lease[0] if lease else 0


def test_killed_at_random(stack, service):
    """-9 at random moments: history valid, nothing that writes is run twice, siblings keep their results, and taken up in under 1 s."""
    rng, waits, sealed = random.Random(0), [], 0
    turns = 0
    while len(waits) < KILLS:
        turns += 1
        if turns % 3 == 1:  # or the master takes it for a crash loop, and waits before it starts the next
            stack.restart_pool()
        agent = stack.user().agent(template="site")
        with agent.follow() as view, decider(agent):
            sent = agent.say_surely("work")
            time.sleep(rng.uniform(0, 0.12))
            lease = agent.lease()
            if lease is not None and process_state(lease[1])[0] is not None:
                kill(lease[1], signal.SIGKILL)
                killed = time.monotonic()
                epoch = lease[0]
                wait_for(lambda: newest_epoch(agent) > epoch or agent.lease() is None, 10, "nobody took it up")
                waits.append(time.monotonic() - killed)
            view.wait(sent["turn"], seconds=30)
        records = check(agent, service, view, sent["turn"])
        sealed += sum(c["state"] == "SEALED" for c in records.values())
    waits.sort()
    print(f"{len(waits)} of {turns} turns were killed, {sealed} calls sealed as unknown, "
          f"taken up after {waits[len(waits) // 2] * 1000:.0f} ms (median), {waits[-1] * 1000:.0f} ms at most")
    assert waits[-1] < scaled(1)


def test_stopped_past_their_leases(stack, service):
    """SIGSTOP in EXECUTING, another takes over, SIGCONT: the sleeper writes nothing."""
    done = 0
    while done < STOPS:
        agents = [stack.user().agent(template="site") for _ in range(10)]
        turns = [a.say("hang")["turn"] for a in agents]
        for a in agents:
            wait_for(lambda a=a: [c["state"] for c in a.tool_calls()] == ["EXECUTING", "COMPLETED"], 10, lambda a=a: str(a.tool_calls()))
        first = agents[0].holder()
        sleepers = [(a, t) for a, t in zip(agents, turns) if a.holder() == first]
        stack.stop(first)
        try:
            for a, t in sleepers:
                wait_for(lambda a=a: (a.lease() or (0, 0))[1] != first, 10, "not taken over")
            before = {}
            for a, t in sleepers:
                with a.follow() as view:
                    view.wait(t)
                    assert view.dones == {t: "completed"}
                before[a] = a.log_ids(), json.dumps(a.history()), json.dumps(a.tool_calls())
        finally:
            stack.cont(first)
        service.release.set()  # the tools of the sleeper answer
        for a, t in sleepers:
            assert a.answer("hello").endswith("hello")
            ids, history, records = before[a]
            assert a.log_ids()[:len(ids)] == ids and json.dumps(a.tool_calls()) == records
            assert json.dumps(a.history()[:len(json.loads(history))]) == history
            states = [c["state"] for c in a.tool_calls()]
            assert states == ["SEALED", "COMPLETED"], states
        for a, t in zip(agents, turns):
            a.wait_idle()
        service.release.clear()
        done += len(sleepers)
    print(f"{done} turns slept past their leases")
