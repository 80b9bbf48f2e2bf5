# SPDX-License-Identifier: MIT
"""Sub-agents: made by a tool call, on their own, and reported once."""

import os
import threading

import pytest

from conftest import close
from stack import Agent, Stack, text_of, wait_for, words
from test_tools import LIST, calls, of, results
from waiting import ROOT


def task(prompt, **more):
    return {"call": "task_run", "input": {"description": f"do {prompt}", "prompt": prompt, **more}}


SCENARIOS = [
    *calls("^delegate$", task("child work")),
    *calls("^three$", task("child one"), task("child two"), {"call": "todo_read"}, task("child three")),
    *calls("^ask$", task("child asks")),
    *calls("^long$", task("child slow")),
    *calls("^deep$", task("deep 1")),
    *calls("^deep 1$", task("deep 2")),
    *calls("^deep 2$", task("deep 3")),
    *calls("^bad$", task("child fails")),
    *calls("^no$", task("child refuses")),
    *calls("^mute$", task("child says nothing")),
    *calls("^writer$", task("child work", template="writer")),
    *calls("^stranger$", task("child work", template="secret")),
    {"match": "^many$", "round": 0, "steps": [task(f"child {n}") for n in range(6)]},
    *calls("^child asks$", {"call": "todo_write", "input": {"todos": LIST}}, after="the child has: ${results}"),
    {"match": "^child slow$", "steps": [{"text": words(100), "pace_ms": 20}]},
    {"match": "^child fails$", "steps": [{"status": 400}]},
    {"match": "^child refuses$", "steps": [{"text": "I would rather"}, {"stop_reason": "refusal"}]},
    {"match": "^child says nothing$", "steps": []},
    {"match": "^child", "steps": [{"text": "I did it.", "by": "whole"}, {"usage": {"output_tokens": 77}}]},
]
TOOLS = ["task_run", "todo_read", "todo_write"]


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"store.sweep": "200ms", "task.max": "4"}, templates={
        "boss": {"systemPrompt": "You lead.", "tools": TOOLS, "subagents": ["writer"]},
        "writer": {"systemPrompt": "You write.", "tools": ["todo_read"]}, "secret": {"systemPrompt": "Hidden."}})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=TOOLS)


def children(agent):
    return [Agent(agent.user, c["child"]) for c in agent.tool_calls() if "child" in c]


def test_a_task(agent):
    """Its text is the call's result; the parent waits without a lease; its use is counted."""
    frames = agent.ask("delegate")
    assert frames[-1]["reason"] == "completed"
    result, = results(agent)
    child, = children(agent)
    assert result == {"ok": True, "data": {"status": "completed", "agent": child.id, "text": "I did it."}}
    assert child.dialogue() == [("user", "child work"), ("assistant", "I did it.")]
    assert child.info()["busy"] is False
    kinds = [f.kind for f in frames]
    assert kinds.count("subagent:start") == kinds.count("subagent:complete") == 1
    start, complete = of(frames, "subagent:start")[0], of(frames, "subagent:complete")[0]
    assert start["agent"] == complete["agent"] == child.id and complete["tokens"] >= 77
    assert [a["agentId"] for a in agent.user.get("/api/agents").json["agents"]] == [agent.id], "it is not listed"


def test_side_by_side(agent):
    """Several at a time, and results in the order of the calls."""
    agent.ask("three")
    assert [sorted(r["data"]) for r in results(agent)] == [["agent", "status", "text"]] * 2 + [["todos"]] + [["agent", "status", "text"]]
    assert len({c.id for c in children(agent)}) == 3


def test_parked_meanwhile(agent):
    """W38: the parent holds nothing while its sub-agent waits for a human, whose question is on the parent's channel too."""
    child_permission = {"mode": "auto", "requireApprovalTools": ["todo_write"]}
    agent = agent.user.agent(tools=TOOLS, permission=child_permission)
    with agent.follow() as view:
        sent = agent.say("ask")
        wait_for(lambda: agent.info()["state"] == "AWAITING_TASK" and agent.lease() is None, 10, lambda: str(agent.info()))
        wait_for(lambda: of(view.frames, "permission_required"), 10, "not shown")
        shown = of(view.frames, "permission_required")[0]
        child, = children(agent)
        assert shown["agent"] == child.id and shown["call"]["name"] == "todo_write"
        question, = child.asked()
        assert question["id"] == shown["call"]["id"]
        assert agent.approvals() == [], "a task is no question"
        task_call = agent.tool_calls()[0]["id"]
        assert agent.decide(task_call).status == 409
        assert child.decide(question["id"]).status == 200
        view.wait(sent["turn"])
    assert results(agent)[0]["ok"] is True and "the child has" in results(agent)[0]["data"]["text"]
    ids = agent.log_ids()
    assert [f.id for f in view.frames] == ids and len(ids) == len(set(ids))


def test_restart_meanwhile(agent, stack):
    """Days and restarts later: the answer reaches the child, its report the parent."""
    agent = agent.user.agent(tools=TOOLS, permission={"mode": "auto", "requireApprovalTools": ["todo_write"]})
    sent = agent.say("ask")
    wait_for(lambda: agent.info()["state"] == "AWAITING_TASK", 10, "not parked")
    child, = children(agent)
    question, = child.asked()
    stack.restart_pool()
    with agent.follow() as view:
        child.decide(question["id"])
        view.wait(sent["turn"])
    assert view.dones[sent["turn"]] == "completed" and results(agent)[0]["ok"] is True
    assert len(child.history()) == 4, "it was told once"


def test_interrupt(agent):
    """Interrupting the parent interrupts the child."""
    sent = agent.say("long")
    wait_for(lambda: children(agent) and agent.info()["state"] == "AWAITING_TASK", 10, "not at it")
    child, = children(agent)
    wait_for(lambda: child.info()["state"] == "STREAMING", 10, "not at it")
    assert agent.interrupt() == {"interrupted": True, "turn": sent["turn"]}
    child.wait_idle()
    assert [e["reason"] for e in child.page()["events"] if e["kind"] == "done"] == ["interrupted"]
    assert results(agent)[0]["error"] == "Tool interrupted during execution; session sealed automatically."
    assert agent.answer("hello").endswith("hello") and child.answer("hello").endswith("hello")


def test_the_child_is_interrupted(agent):
    """Then the parent is told so."""
    with agent.follow() as view:
        sent = agent.say("long")
        wait_for(lambda: children(agent), 10, "not at it")
        child, = children(agent)
        wait_for(lambda: child.info()["state"] == "STREAMING", 10, "not at it")
        child.interrupt()
        view.wait(sent["turn"])
    assert results(agent)[0]["error"] == "the sub-agent ended with interrupted"


def test_the_child_fails(agent):
    agent.ask("bad")
    assert results(agent)[0]["ok"] is False and results(agent)[0]["error"] == "the sub-agent ended with error"


@pytest.mark.parametrize("word", ["no", "mute"])
def test_the_child_gives_no_answer(agent, word):
    """A refused answer is none, and nothing is none; never is it the task's own text."""
    agent.ask(word)
    result, = results(agent)
    child, = children(agent)
    assert [r for r, _ in child.dialogue()] == ["user"]
    assert result["ok"] is False and "the sub-agent" in result["error"]


def test_interrupted_twice(agent):
    """The second finds the sub-agents being stopped; the turn ends once."""
    sent = agent.say("long")
    wait_for(lambda: children(agent) and children(agent)[0].info()["state"] == "STREAMING", 10, "not at it")
    threads = [threading.Thread(target=agent.user.post, args=(f"{agent.path}/interrupt", {})) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(20)
    agent.wait_idle()
    assert [e["reason"] for e in agent.page()["events"] if e["kind"] == "done" and e["turn"] == sent["turn"]] == ["interrupted"]
    assert agent.answer("hello").endswith("hello")


def test_depth(agent, stack):
    """task.depth is 2: the second has no such tool, and is not told of one."""
    agent.ask("deep")
    child, = children(agent)
    grandchild, = children(child)
    assert children(grandchild) == [] and grandchild.info()["lineage"] == [agent.id, child.id]
    assert results(grandchild)[0]["error"] == "Tool not found: task_run"
    sent = [r for r in stack.model.requests if r.last == "deep 2"][-1].body
    assert "task_run" not in [t["name"] for t in sent["tools"]]


def test_number(agent):
    agent.say("many")
    wait_for(lambda: any(c["state"] == "FAILED" for c in agent.tool_calls()), 10, lambda: str(agent.tool_calls()))
    agent.interrupt()
    assert len(children(agent)) <= 4


def test_templates(stack):
    """Those that the agent's template allows, and no others."""
    boss = stack.user().agent(template="boss")
    boss.ask("writer")
    child, = children(boss)
    info = child.info()
    assert info["template"] == "writer" and info["systemPrompt"] == "You write." and info["tools"] == ["todo_read"]
    boss.ask("stranger")
    assert 'no template "secret"' in results(boss)[-1]["error"]


def test_delete(agent, stack):
    """With the parent go its sub-agents."""
    agent.ask("deep")
    child, = children(agent)
    grandchild, = children(child)
    assert agent.user.http("DELETE", agent.path).status == 204
    for gone in (child, grandchild):
        assert gone.user.get(gone.path).status == 403
        assert not [k for k in stack.redis().keys(f"*{gone.id}*") if b":idem:" not in k]


def family(agent):
    agent.ask("deep")
    child, = children(agent)
    return [agent, child, *children(child)]


def left(stack, agents):
    return [k for a in agents for k in stack.redis().keys(f"*{a.id}*") if b":idem:" not in k]


def test_delete_that_fails(agent, stack):
    """The parent goes last: an error says so, and to delete it again goes on."""
    agents = family(agent)
    inbox = agents[2].key("held")
    stack.redis().rename(inbox, "elsewhere")
    stack.redis().set(inbox, "no set")
    assert agent.user.http("DELETE", agent.path).status == 503
    assert all(a.info() for a in agents)
    stack.redis().rename("elsewhere", inbox)
    assert agent.user.http("DELETE", agent.path).status == 204
    assert not left(stack, agents)


@pytest.mark.parametrize("point", ["delete-files:2", "delete-children:1", "delete-children:2", "delete-children:3"])
def test_delete_and_kill(stack_factory, point):
    """kill -9 between one of them and the next: to delete it again goes on."""
    stack = stack_factory(workers=1, scenarios=SCENARIOS, conf={"store.sweep": "200ms"})
    agent = stack.user().agent(tools=TOOLS)
    agents = family(agent)
    agent.wait_idle()
    stack.restart_pool({"AGENT_FPM_CRASH_AT": point})
    wait_for(lambda: agent.user.get(agent.path).status == 200)
    pid, = stack.workers()
    assert agent.user.http("DELETE", agent.path).status >= 500
    wait_for(lambda: pid not in stack.workers(), 5, "it was not killed")
    stack.restart_pool({})
    wait_for(lambda: agent.user.get(agent.path).status == 200, 10, "nobody would find what is left")
    assert agent.user.http("DELETE", agent.path).status == 204
    assert not left(stack, agents)


def test_delete_at_work(agent, stack):
    """While it makes sub-agents: none is left."""
    agent.say("three")
    wait_for(lambda: children(agent), 10, "not at it")
    assert agent.user.http("DELETE", agent.path).status == 204
    wait_for(lambda: not [k for k in stack.redis().scan_iter("af:{*:info") if stack.redis().hget(k, "owner") == agent.user.name.encode()])
    assert all(b":idem:" in k for k in stack.redis().keys(agent.key("*")))


def test_none_is_made_when_its_maker_is_gone(agent, stack):
    """By the script: nobody would find it."""
    texts = [open(os.path.join(ROOT, "src/store/lua", name), encoding="utf-8").read() for name in ("common.lua", "create.lua")]
    script, base = stack.redis().register_script("\n".join(texts)), agent.key("")[:-1]

    def make(maker, name):
        keys = [f"{base.rpartition(':')[0]}:{name}", maker]
        return script(keys=keys, args=["seg_x", "owner", "nobody"]), stack.redis().exists(keys[0] + ":info")

    assert make(base + "x", "agt_y") == (-1, 0) and not stack.redis().exists(base + "x:children")
    assert make(base, "agt_y") == (1, 1) == (1, stack.redis().scard(agent.key("children"))) and make(base + "x", "agt_y") == (0, 1)


@pytest.mark.parametrize("which", ["parent", "child", "all"])
def test_killed(agent, stack, which):
    """It survives crashes like any agent; what it was told it is told once."""
    with agent.follow() as view:
        sent = agent.say("long")
        wait_for(lambda: children(agent), 10, "not at it")
        child, = children(agent)
        wait_for(lambda: child.user.get(child.path).status == 200, 10, "it is named, and not made")
        wait_for(lambda: child.info()["state"] == "STREAMING", 10, "not at it")
        if which == "all":
            stack.kill_workers()
        else:
            stack.kill_worker_of(child)
        view.wait(sent["turn"], seconds=40)
    assert view.dones == {sent["turn"]: "completed"}
    assert [r for r, _ in child.dialogue()] == ["user", "assistant"]
    assert text_of(child.history()[0]["content"]) == "child slow"


def test_message_to_a_child(agent):
    """Afterwards it is an agent like others; it reports once."""
    agent.ask("delegate")
    child, = children(agent)
    before = len(agent.history())
    assert child.answer("hello").endswith("hello")
    assert len(agent.history()) == before


def test_many_parents(stack):
    """Parents and children side by side do not wait for each other for ever."""
    agents = [stack.user().agent(tools=TOOLS) for _ in range(10)]
    threads = [threading.Thread(target=a.ask, args=("three",)) for a in agents]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert all(len(results(a)) == 4 for a in agents)
