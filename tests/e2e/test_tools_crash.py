# SPDX-License-Identifier: MIT
"""Workers that die while a turn calls tools: the history stays valid, and every call is answered exactly once."""

import contextlib
import http.client
import json
import threading

import pytest
from conftest import close
from stack import Agent, Stack, event_id, wait_for, words
from test_crash import crash_points, killer, reached
from test_tools import LIST, calls

SCENARIOS = calls("^work$", {"text": words(6), "pace_ms": 10}, {"call": "todo_write", "input": {"todos": LIST}},
                  {"call": "todo_read"}, {"call": "nosuch"}, {"call": "todo_read"}, {"call": "todo_read"},
                  after="and so: ${words:8}")
SCENARIOS += calls("^delegate$", *({"call": "task_run", "input": {"description": p, "prompt": f"task {p}"}} for p in ("one", "two")))
SCENARIOS += [{"match": "^task (.*)$", "steps": [{"text": "done: ${1}", "by": "whole"}]}]


def counts(accepted, appends, commits, models, tools=0, **more):
    """How often one worker gets to each point in such a turn, if it is not killed: a case for each time."""
    most = {"accept-send": accepted, "accept-answered": accepted, "append-send": appends, "append-answered": appends,
            "commit": commits, "commit-send": commits, "commit-answered": commits, "model-start": models, "tool-start": tools, "tool-ended": tools}
    most |= {name.replace("_", "-"): n for name, n in more.items()}
    return [(name, n) for name, times in most.items() for n in range(1, times + 1)]


UNASKED = counts(accepted=1, appends=2, commits=4, models=2, tools=4)
ASKED = counts(accepted=1, appends=2, commits=5, models=2, tools=4, tool_decided=1)
STEERED = counts(accepted=4, appends=2, commits=5, models=3, tools=4)
TASKS = counts(accepted=3, appends=0, commits=8, models=4, tool_reported=2)


def test_every_point_has_its_case():
    """But those of test_crash.py, and dequeue-answered, which is test_limits.py's."""
    tried = {name for name, _ in UNASKED + ASKED + STEERED + TASKS}
    assert tried | {"text", "take-answered", "dequeue-answered"} == set(crash_points())


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"store.sweep": "200ms"})
    yield stack
    close(stack)


@pytest.fixture(scope="module")
def alone():
    stack = Stack(workers=1, scenarios=SCENARIOS, conf={"store.sweep": "200ms"})
    yield stack
    close(stack)


@pytest.fixture
def pool(request, n):
    """Two workers may share what many requests make: all but the first of a count are one worker's that is alone."""
    return request.getfixturevalue("stack" if n == 1 else "alone")


@pytest.mark.parametrize("name, n", UNASKED, ids=[f"{name}-{n}" for name, n in UNASKED])
def test_kill_while_tools_run(stack, name, n):
    """W1: a kill at any commit, and between them; the model refuses a history in which calls and results do not pair."""
    stack.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = stack.user().agent(tools=["todo_read", "todo_write"])
    with killer(stack) as killed, agent.follow() as view:
        sent = agent.say_surely("work")
        view.wait(sent["turn"], seconds=30)
        reached(killed, name, n)
    assert view.dones == {sent["turn"]: "completed"}
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids)) and [event_id(f.id) for f in view.frames] == ids
    history = agent.history()
    assert [m["role"] for m in history] == ["user", "assistant", "user", "assistant"]
    uses = [b["id"] for b in history[1]["content"] if b["type"] == "tool_use"]
    assert [b["tool_use_id"] for b in history[2]["content"]] == uses and len(set(uses)) == 5
    results = [json.loads(b["content"]) for b in history[2]["content"]]
    assert [r["ok"] for r in results] == [True, True, False, True, True]
    completed = [f["call"]["id"] for f in view.frames if f.kind == "tool:complete"]
    assert sorted(completed) == sorted(uses), "each call is completed once"
    assert [f.kind for f in view.frames].count("todo_changed") == 1
    assert agent.info()["busy"] is False
    wait_for(lambda: agent.lease() is None, 5, "the lease was not given back")


@contextlib.contextmanager
def decider(agent):
    """Somebody who allows whatever is asked, and tries again while the server is away."""
    done, answered = threading.Event(), []

    def run():
        while not done.is_set():
            try:
                got = agent.user.get(f"{agent.path}/approvals")
                for question in got.json["approvals"] if got.status == 200 else []:
                    answered.append((question["id"], agent.decide(question["id"]).status))
            except (OSError, http.client.HTTPException):
                pass
            done.wait(0.005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answered
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("name, n", ASKED, ids=[f"{name}-{n}" for name, n in ASKED])
def test_kill_while_asking(pool, name, n):
    """W2, W5: the same where each writing call is asked about; each question is answered once and its call runs once."""
    pool.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = pool.user().agent(tools=["todo_read", "todo_write"], permission={"mode": "auto", "requireApprovalTools": ["todo_write"]})
    with killer(pool) as killed, decider(agent) as answered, agent.follow() as view:
        sent = agent.say_surely("work")
        view.wait(sent["turn"], seconds=30)
        reached(killed, name, n)
    assert view.dones == {sent["turn"]: "completed"}
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids)) and [event_id(f.id) for f in view.frames] == ids
    results = [json.loads(b["content"]) for b in agent.history()[2]["content"]]
    assert [r["ok"] for r in results] == [True, True, False, True, True]
    assert [status for _, status in answered].count(200) <= 1
    kinds = [f.kind for f in view.frames]
    assert kinds.count("permission_required") == kinds.count("approval_response") == kinds.count("todo_changed") == 1
    assert kinds.count("tool:complete") == 5
    wait_for(lambda: agent.lease() is None, 5, "the lease was not given back")


@pytest.mark.parametrize("name, n", STEERED, ids=[f"{name}-{n}" for name, n in STEERED])
def test_kill_while_steering(pool, name, n):
    """Messages for the running turn, for the one behind it, and joined to that: each is accepted once, and answered."""
    pool.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = pool.user().agent(tools=["todo_read", "todo_write"])
    with killer(pool) as killed, agent.follow() as view:
        agent.say_surely("work")
        for message, on_busy in (("one", "steer"), ("two", "enqueue"), ("three", "merge")):
            agent.say_surely(message, onBusy=on_busy)
        agent.wait_idle(30)
        reached(killed, name, n)
        wait_for(lambda: view.frames and view.frames[-1].id == agent.log_ids()[-1], 10, lambda: str(view))
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids)) and [event_id(f.id) for f in view.frames] == ids
    said = [t for r, t in agent.dialogue() if r == "user" and t in ("work", "one", "two", "three")]
    assert sorted(said) == ["one", "three", "two", "work"] and said[0] == "work"
    assert [f.kind for f in view.frames].count("message_accepted") == 4
    assert [f.kind for f in view.frames].count("turn_start") == len(view.dones)
    assert agent.dialogue()[-1][0] == "assistant"
    wait_for(lambda: agent.lease() is None, 5, "the lease was not given back")


@pytest.mark.parametrize("name, n", TASKS, ids=[f"{name}-{n}" for name, n in TASKS])
def test_kill_while_delegating(stack, name, n):
    """W38: parent and sub-agents at every commit: each is made once, told once, and reports once."""
    stack.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = stack.user().agent(tools=["task_run"])
    with killer(stack) as killed, agent.follow() as view:
        sent = agent.say_surely("delegate")
        view.wait(sent["turn"], seconds=30)
        reached(killed, name, n)
        children = [Agent(agent.user, call["child"]) for call in agent.tool_calls()]
        for child in children:
            child.wait_idle()
    assert view.dones == {sent["turn"]: "completed"}
    ids = [event_id(i) for i in agent.log_ids()]
    assert ids == sorted(set(ids)) and [event_id(f.id) for f in view.frames] == ids
    results = [json.loads(b["content"]) for b in agent.history()[2]["content"]]
    assert [r["data"]["text"] for r in results] == ["done: one", "done: two"]
    kinds = [f.kind for f in view.frames]
    assert kinds.count("subagent:start") == kinds.count("subagent:complete") == kinds.count("tool:complete") == 2
    for child in children:
        assert [r for r, _ in child.dialogue()] == ["user", "assistant"]
    wait_for(lambda: agent.lease() is None, 5, "the lease was not given back")


def test_again_and_again(stack):
    """A turn whose workers die at each of its steps is finished all the same."""
    agent = stack.user().agent(tools=["todo_read", "todo_write"])
    stack.restart_pool({"AGENT_FPM_CRASH_AT": "commit-answered:1"})
    with agent.follow() as view:
        sent = agent.say_surely("work")
        wait_for(lambda: [f for f in view.frames if f.kind == "agent_resumed"], 20, "nobody took it up")
        stack.restart_pool({})
        view.wait(sent["turn"], seconds=30)
    assert view.dones == {sent["turn"]: "completed"}
    assert [m["role"] for m in agent.history()] == ["user", "assistant", "user", "assistant"]
