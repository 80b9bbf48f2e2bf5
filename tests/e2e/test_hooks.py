# SPDX-License-Identifier: MIT
"""Hooks: the site's own code before a tool, after it, and before the model."""

import json
import threading

import pytest

from conftest import close
from stack import Stack, wait_for
from test_tools import LIST, calls, of, results, text
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"


@pytest.fixture(scope="module")
def service():
    """What the hooks answer is said by the title of the todo, or of the message."""
    hooks = Webhooks(SECRET.encode())
    hooks.answers = {}

    @hooks.on("/pre")
    def pre(body, _):
        return hooks.answers.get(("pre", word(body)), {})

    @hooks.on("/post")
    def post(body, _):
        return hooks.answers.get(("post", word(body)), {})

    @hooks.on("/model")
    def model(body, _):
        blocks = [b["text"] for b in body["last"]["content"] if b["type"] == "text"]
        return hooks.answers.get(("model", blocks[0] if blocks else ""), {})

    yield hooks
    hooks.close()


def word(body):
    return body["call"]["input"]["todos"][0]["title"]


def hooks_of(url, **more):
    return {name: {"url": f"{url}/{path}", "timeout": 1, **more} for name, path in (("preTool", "pre"), ("postTool", "post"), ("preModel", "model"))}


WORDS = ["free", "deny", "ask", "replace", "odd", "after", "withheld", "fail after", "pre 500", "post 500", "twice"]


@pytest.fixture(scope="module")
def stack(service):
    scenarios = []
    for w in WORDS:
        scenarios += calls(f"^{w}$", {"call": "todo_write", "input": {"todos": [{**LIST[0], "title": w}]}})
    plain = {"tools": ["todo_read", "todo_write"]}
    templates = {
        "hooked": {**plain, "hooks": hooks_of(service.url)},
        "lenient": {**plain, "hooks": hooks_of(service.url, onFailure="allow")},
        "asking": {**plain, "hooks": {"preTool": hooks_of(service.url, onFailure="ask")["preTool"]}},
        "down": {**plain, "hooks": {"preTool": {"url": "http://127.0.0.1:9/"}}},
        "model down": {**plain, "hooks": {"preModel": {"url": "http://127.0.0.1:9/"}}},
        "model lenient": {**plain, "hooks": {"preModel": {"url": "http://127.0.0.1:9/", "onFailure": "allow"}}},
    }
    stack = Stack(scenarios=scenarios, conf={"tool.networks": "127.0.0.1"}, env={"AGENT_FPM_TOOL_SECRET": SECRET}, templates=templates)
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(template="hooked")


def test_hooks_that_say_nothing(agent, service):
    """Each is asked once, with what it needs to decide; the turn is as without them."""
    frames = agent.ask("free")
    assert frames[-1]["reason"] == "completed" and results(agent) == [{"ok": True, "data": {"count": 1}}]
    mine = [r for r in service.requests if r["body"]["agent"] == agent.id]
    assert [r["path"] for r in mine] == ["/model", "/pre", "/post", "/model"]
    model, pre, post, _ = [r["body"] for r in mine]
    assert model["type"] == "pre_model" and model["user"] == agent.user.name and model["step"] == 1
    assert model["last"]["content"] == [{"type": "text", "text": "free"}]
    assert pre["type"] == "pre_tool" and pre["call"]["name"] == "todo_write" and pre["call"]["input"]["todos"][0]["title"] == "free"
    assert post["type"] == "post_tool" and post["result"] == {"ok": True, "data": {"count": 1}}
    assert len({r["headers"]["webhook-id"] for r in mine}) == 4


def test_deny(agent, service):
    service.answers["pre", "deny"] = {"decision": "deny", "reason": "not on Sundays"}
    frames = agent.ask("deny")
    result, = results(agent)
    assert result["ok"] is False and result["error"] == "not on Sundays"
    assert of(frames, "tool:complete")[0]["call"]["state"] == "DENIED"
    assert not of(frames, "todo_changed")


def test_ask(agent, service):
    service.answers["pre", "ask"] = {"decision": "ask", "reason": "expensive"}
    sent = agent.say("ask")
    question, = agent.asked()
    assert question["reason"] == "expensive"
    with agent.follow() as view:
        agent.decide(question["id"])
        view.wait(sent["turn"])
    assert results(agent)[0]["ok"] is True


def test_replace(agent, service):
    """The hook's result in place of the tool's, which does not run."""
    service.answers["pre", "replace"] = {"result": {"cached": True}}
    frames = agent.ask("replace")
    assert results(agent) == [{"ok": True, "data": {"cached": True}}]
    assert not of(frames, "todo_changed")
    assert agent.tool_calls()[0]["audit"][-1]["note"] == "hook provided result"


def test_what_is_no_answer_denies(agent, service):
    service.answers["pre", "odd"] = {"decision": "perhaps"}
    agent.ask("odd")
    assert results(agent)[0]["ok"] is False and agent.tool_calls()[0]["state"] == "DENIED"


def test_after(agent, service):
    service.answers["post", "after"] = {"result": "redacted"}
    service.answers["post", "fail after"] = {"error": "that was too much"}
    agent.ask("after")
    agent.ask("fail after")
    got = results(agent)
    assert got[0] == {"ok": True, "data": "redacted"}
    assert got[1]["ok"] is False and got[1]["error"] == "that was too much"


@pytest.mark.parametrize("template, before, after", [("hooked", "DENIED", "FAILED"), ("lenient", "COMPLETED", "COMPLETED")])
def test_a_hook_that_fails(stack, service, template, before, after):
    """Default: denied before, withheld after."""
    service.answers["pre", "pre 500"] = (500, {})
    service.answers["post", "post 500"] = (200, b"no json")
    agent = stack.user().agent(template=template)
    agent.ask("pre 500")
    agent.ask("post 500")
    assert [c["state"] for c in agent.tool_calls()] == [before, after]
    if template == "hooked":
        assert "did not answer" in results(agent)[0]["error"] and "withheld" in results(agent)[1]["error"]


def test_asking_when_it_fails(stack, service):
    service.answers["pre", "pre 500"] = (500, {})
    agent = stack.user().agent(template="asking")
    agent.say("pre 500")
    assert "did not answer" in agent.asked()[0]["reason"]
    agent.interrupt()


def test_a_hook_that_is_down(stack):
    """W17: the turn goes on, whatever the hook does."""
    agent = stack.user().agent(template="down")
    frames = agent.ask("free")
    assert frames[-1]["reason"] == "completed" and agent.tool_calls()[0]["state"] == "DENIED"
    assert agent.answer("hello").endswith("hello")


def test_text_for_the_model(agent, stack, service):
    """It is in the request, behind all else, and not in the history."""
    service.answers["model", "what day is it"] = {"text": "Today is Sunday."}
    agent.ask("what day is it")
    last = stack.model.requests[-1].body["messages"][-1]
    assert [b["text"] for b in last["content"]] == ["what day is it", "Today is Sunday."]
    assert "cache_control" in last["content"][0] and "cache_control" not in last["content"][1]
    assert "Sunday" not in str(agent.history()[0])
    agent.ask("hello")
    assert "Sunday" not in str(stack.model.requests[-1].body["messages"][0])


def test_the_model_hook_fails(stack):
    agent = stack.user().agent(template="model down")
    frames = agent.ask("hello")
    assert frames[-1]["reason"] == "error"
    error, = of(frames, "error")
    assert error["type"] == "hook"
    agent = stack.user().agent(template="model lenient")
    assert agent.answer("hello").endswith("hello")


def test_interrupt_while_a_hook_is_asked(stack, service):
    """Before a tool, and before the model: it ends at once."""
    release = threading.Event()
    service.paths["/hang"] = lambda *_: (release.wait(20), {})[1]
    for kind, message in (("preTool", "free"), ("preModel", "hello")):
        stack.write(f"templates.d/hang{kind}.json", json.dumps(
            {"tools": ["todo_write"], "hooks": {kind: {"url": f"{service.url}/hang", "timeout": 60}}}))
    stack.restart_pool()
    try:
        for kind, message in (("preTool", "free"), ("preModel", "hello")):
            agent = stack.user().agent(template=f"hang{kind}")
            sent = agent.say(message)
            wait_for(lambda: [r for r in service.calls("/hang") if r["body"]["agent"] == agent.id], 10, "not asked")
            assert agent.interrupt() == {"interrupted": True, "turn": sent["turn"]}
            if kind == "preTool":
                assert results(agent)[0]["error"].startswith("Tool interrupted just before execution")
    finally:
        release.set()


def test_recovery_asks_again(stack, service):
    """A worker that dies while the hook thinks: the heir asks again, and nothing ran unasked."""
    first = threading.Event()

    @service.on("/once")
    def once(*_):
        if not first.is_set():
            first.set()
            threading.Event().wait(3)
        return {}

    stack.write("templates.d/once.json", json.dumps({"tools": ["todo_write"], "hooks": {"preTool": {"url": f"{service.url}/once", "timeout": 60}}}))
    stack.restart_pool()
    agent = stack.user().agent(template="once")
    with agent.follow() as view:
        sent = agent.say("twice")
        assert first.wait(10)
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert results(agent)[0]["ok"] is True
    mine = [r for r in service.calls("/once") if r["body"]["agent"] == agent.id]
    assert len(mine) == 2 and len({r["headers"]["webhook-id"] for r in mine}) == 1, "with the same id"


def test_text_and_results(agent, stack, service):
    """The text stands behind the results of tools too."""
    service.answers["model", ""] = {"text": "Be brief."}
    try:
        frames = agent.ask("free")
    finally:
        del service.answers["model", ""]
    assert frames[-1]["reason"] == "completed" and "results" in text(frames)
    last = stack.model.requests[-1].body["messages"][-1]["content"]
    assert [b["type"] for b in last] == ["tool_result", "text"]
