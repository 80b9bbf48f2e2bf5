# SPDX-License-Identifier: MIT
"""The weaknesses of the kernel whose words we use, each as a test of its own: what happened there must not happen here.

W1 to W40 are numbered in the specification that comes with the project; those of the agent loop are here.
"""

import threading

import pytest

from conftest import close
from stack import Stack, event_id, text_of, wait_for, words
from test_tools import LIST, calls, of, results, text
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"
ASK = {"mode": "auto", "requireApprovalTools": ["pay"]}


@pytest.fixture(scope="module")
def service():
    hooks = Webhooks(SECRET.encode())
    hooks.gate = threading.Event()
    hooks.on("/pay")(lambda *_: (hooks.gate.wait(20), {"paid": True})[1])
    yield hooks
    hooks.gate.set()
    hooks.close()


@pytest.fixture(scope="module")
def stack(service):
    scenarios = [
        *calls("^pay$", {"call": "pay", "input": {}}),
        *calls("^slowly$", {"call": "slowly", "input": {}}),
        *calls("^both$", {"call": "todo_read"}, {"call": "pay", "input": {}}),
        *calls("^ten$", *[{"call": "todo_read"}] * 10),
        *calls("^plan$", {"call": "todo_write", "input": {"todos": LIST}}),
        *calls("^ask child$", {"call": "task_run", "input": {"description": "x", "prompt": "pay"}}),
        {"match": "^slow$", "steps": [{"text": words(80), "pace_ms": 20}]},
        {"match": "^overloaded$", "steps": [{"status": 529}]},
        {"match": "^loop$", "steps": [{"call": "todo_read"}]},
    ]
    stack = Stack(scenarios=scenarios, env={"AGENT_FPM_TOOL_SECRET": SECRET},
                  conf={"tool.networks": "127.0.0.1", "store.sweep": "200ms", "store.lease": "1s", "model.retries": "0", "tool.rounds": "6"},
                  templates={"hooked": {"tools": ["todo_write"], "hooks": {"preTool": {"url": "http://127.0.0.1:9/"}}}, "shop": {"tools": ["pay", "slowly", "todo_read", "todo_write", "task_run"], "httpTools": [
                      {"name": "pay", "description": "Pays.", "url": f"{service.url}/pay"},
                      {"name": "slowly", "description": "Pays, slowly.", "url": f"{service.url}/pay", "timeout": 1}]}})
    yield stack
    close(stack)


@pytest.fixture
def shop(stack, service):
    service.gate.clear()

    def make(**more):
        return stack.user().agent(template="shop", **more)

    yield make
    service.gate.set()


def paying(service, agent):
    wait_for(lambda: [r for r in service.calls("/pay") if r["body"]["agent"] == agent.id], 10, "nobody pays")


def test_w1_a_kill_while_a_tool_runs(stack, service, shop):
    """There: the agent is bricked. Here: the call is sealed, and the turn goes on."""
    agent = shop()
    with agent.follow() as view:
        sent = agent.say("both")
        paying(service, agent)
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert [r["ok"] for r in results(agent)] == [True, False]
    assert agent.answer("hello").endswith("hello")


def test_w2_the_record_after_an_approval(stack, service, shop):
    """There: it says that the call awaited approval. Here: that it was running, which it was."""
    agent = shop(permission=ASK)
    with agent.follow() as view:
        sent = agent.say("pay")
        question, = agent.asked()
        agent.decide(question["id"])
        paying(service, agent)
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert results(agent)[0]["error"] == "Tool interrupted during execution; session sealed automatically."
    assert "Check for possible side effects of the tool" in results(agent)[0]["recommendations"]
    assert len([r for r in service.calls("/pay") if r["body"]["agent"] == agent.id]) == 1


def test_w3_accepted_messages(stack):
    """There: in memory until the next flush. Here: in Redis before the answer."""
    agent = stack.user().agent()
    agent.say("slow")
    sent = [agent.say(f"number {n}") for n in range(3)]
    stack.kill_workers()
    with agent.follow() as view:
        for s in sent:
            view.wait(s["turn"])
    assert [t for r, t in agent.dialogue() if r == "user"][1:] == ["number 0", "number 1", "number 2"]


def test_w4_ids_after_a_crash(stack):
    """There: numbers are used again. Here: ids only grow."""
    agent = stack.user().agent()
    with agent.follow() as view:
        for _ in range(3):
            sent = agent.say("slow")
            wait_for(lambda: view.frames and view.frames[-1].kind == "text_chunk", 10, "no text")
            stack.kill_worker_of(agent)
            view.wait(sent["turn"])
    ids = [event_id(f.id) for f in view.frames]
    assert ids == sorted(set(ids)) == [event_id(i) for i in agent.log_ids()]


def test_w5_waiting_for_approval(stack, service, shop):
    """There: a promise in memory, lost on restart; the next message stalls. Here: parked, and both are answered."""
    agent = shop(permission=ASK)
    sent = agent.say("pay")
    question, = agent.asked()
    stack.restart_pool()
    later = agent.say("hello")
    service.gate.set()
    with agent.follow() as view:
        assert agent.decide(question["id"]).status == 200
        view.wait(sent["turn"])
        view.wait(later["turn"])
    assert results(agent) == [{"ok": True, "data": {"paid": True}}]


@pytest.mark.parametrize("damage", ["{\"id\":\"msg_1\",\"turn\":\"trn_1\",\"role\":", "", "[]", "\"x\""])
def test_w6_a_damaged_history(stack, damage):
    """There: silently empty, then overwritten. Here: an error that says so, and what is there stays."""
    agent = stack.user().agent()
    agent.ask("hello")
    tail = stack.redis().hget(agent.key("info"), "tail").decode()
    key = f"af:{{{agent.id[4:10]}}}:seg:{tail}"
    good = stack.redis().lrange(key, 0, -1)
    stack.redis().lset(key, 0, damage)
    stack.restart_pool()
    frames = agent.ask("again")
    assert frames[-1]["reason"] == "error" and of(frames, "error")[0]["type"] == "damaged"
    assert "message 0 of the history is damaged" in of(frames, "error")[0]["message"]
    assert stack.redis().lrange(key, 1, 1) == good[1:2]
    stack.redis().lset(key, 0, good[0])
    assert agent.answer("hello").endswith("hello"), "mended, it works"


def test_w6_a_damaged_record(stack, service, shop):
    agent = shop()
    with agent.follow() as view:
        sent = agent.say("pay")
        paying(service, agent)
        call = agent.tool_calls()[0]["id"]
        stack.redis().hset(agent.key("tools"), call, "{broken")
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert results(agent)[0]["data"]["note"] == "its record is damaged: outcome unknown"
    assert agent.answer("hello").endswith("hello")


def test_w12_two_processes(stack):
    """There: the last writer wins. Here: one at a time, whoever is asked."""
    agent = stack.user().agent()
    said = []

    def say(n):
        said.append(agent.answer(f"from {n}"))

    threads = [threading.Thread(target=say, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    dialogue = agent.dialogue()
    assert sorted(t for r, t in dialogue if r == "user") == [f"from {n}" for n in range(8)]
    assert [r for r, _ in dialogue] == ["user", "assistant"] * 8 and len(said) == 8


@pytest.mark.parametrize("state", ["idle", "streaming", "tools running", "queued", "awaiting approval"])
def test_w15_interrupt(stack, service, shop, state):
    """There: broken in five ways. Here, in every state: stopped once, sealed, and the next message works."""
    agent = shop(permission=ASK if state == "awaiting approval" else {"mode": "auto"})
    sent = waiting = None
    if state == "streaming":
        sent = agent.say("slow")
        wait_for(lambda: agent.info()["state"] == "STREAMING", 10, "no text")
    elif state == "tools running":
        sent = agent.say("both")
        paying(service, agent)
    elif state == "queued":
        sent, waiting = agent.say("slow"), agent.say("hello")
    elif state == "awaiting approval":
        sent = agent.say("both")
        agent.asked()
    assert agent.interrupt() == ({"interrupted": True, "turn": sent["turn"]} if sent else {"interrupted": False})
    agent.wait_idle()
    done = [(e["turn"], e["reason"]) for e in agent.page()["events"] if e["kind"] == "done"]
    assert done == ([(sent["turn"], "interrupted")] if sent else []) + ([(waiting["turn"], "completed")] if waiting else [])
    uses = [b["id"] for m in agent.history() for b in m["content"] if b["type"] == "tool_use"]
    assert uses == [b["tool_use_id"] for m in agent.history() for b in m["content"] if b["type"] == "tool_result"]
    assert agent.answer("hello").endswith("hello")


def test_w15_more_calls_than_run_at_a_time(stack, shop):
    """There: those that wait for a slot never end. Here: all are answered."""
    agent = shop()
    agent.ask("ten")
    assert len(results(agent)) == 10 and all(r["ok"] for r in results(agent))


def test_w16_w26_a_tool_that_takes_too_long(stack, service, shop):
    """There: the timeout is advice, a late success counts, and nobody can tell. Here: the request is closed, and it is a timeout."""
    agent = shop()
    agent.ask("slowly")
    result, = results(agent)
    assert result["ok"] is False and result["errorType"] == "timeout" and result["retryable"] is True
    service.gate.set()
    assert agent.tool_calls()[0]["state"] == "FAILED" and agent.answer("hello").endswith("hello")
    assert results(agent) == [result], "what comes late counts for nothing"


def test_w17_a_hook_that_fails(stack, shop):
    """There: the call is never answered, and the agent is bricked. Here: denied, and the turn goes on."""
    agent = stack.user().agent(template="hooked")
    frames = agent.ask("plan")
    assert frames[-1]["reason"] == "completed" and agent.tool_calls()[0]["state"] == "DENIED"
    assert agent.answer("hello").endswith("hello")


def test_w18_a_provider_s_error(stack):
    """There: the answer of the turn before, as ok. Here: an error, and nothing said."""
    agent = stack.user().agent()
    assert agent.answer("hello").endswith("hello")
    frames = agent.ask("overloaded")
    assert frames[-1]["reason"] == "error" and text(frames) == "" and of(frames, "error")


def test_w19_two_chats_at_once(stack):
    """There: both get the first answer. Here: each its own."""
    agent = stack.user().agent()
    with agent.chat("slow") as one, agent.chat("hello") as two:
        first, second = one.rest(), two.rest()
    assert text(second).endswith("hello") and "hello" not in text(first)


def test_w20_a_model_that_never_ends(stack, shop):
    """There: for ever. Here: tool.rounds."""
    frames = shop().ask("loop")
    assert frames[-1]["reason"] == "limit" and frames[-1]["limit"] == "tool.rounds"


def test_w22_compaction(stack_factory):
    """There: it cuts between a call and its result. Here: between turns; the model refuses anything else."""
    said, measured = "x" * 1500, {"usage": {"measured": True}}
    stack = stack_factory(conf={"model.context_window": "3000", "model.max_tokens": "500", "compact.keep_turns": "1"}, scenarios=[
        {"match": "^\\[", "steps": [{"text": "SUMMARY"}, measured]},
        {"match": "^call", "round": 0, "steps": [{"call": "todo_read"}, {"call": "todo_read"}, measured]},
        {"match": ".", "steps": [{"text": f"ok {said}", "by": "whole"}, measured]}])
    agent = stack.user().agent(tools=["todo_read"])
    for n in range(8):
        assert agent.ask(f"call {n} {said}")[-1]["reason"] == "completed"
    assert agent.info()["windows"] >= 2


def test_w38_a_sub_agent_that_needs_approval(stack, service, shop):
    """There: the parent hangs for ever. Here: it is parked, the question is shown, and the answer reaches both."""
    agent = shop(permission=ASK)
    with agent.follow() as view:
        sent = agent.say("ask child")
        wait_for(lambda: of(view.frames, "permission_required"), 10, "not shown")
        shown = of(view.frames, "permission_required")[0]
        service.gate.set()
        got = agent.user.post(f"/api/agents/{shown['agent']}/approvals/{shown['call']['id']}", {"decision": "allow"})
        assert got.status == 200
        view.wait(sent["turn"])
    assert results(agent)[0]["ok"] is True
    assert text_of(agent.history()[-1]["content"])
