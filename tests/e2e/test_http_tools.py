# SPDX-License-Identifier: MIT
"""Tools of the site's own, over HTTP: signed, bounded, and never called twice for one call."""

import json
import threading

import pytest

from conftest import close
from stack import Stack, wait_for
from test_tools import calls, of, results
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"
NAMES = ["add", "no", "plain", "empty", "unwrapped", "raw", "teapot", "broken", "busy", "redirect", "huge", "slow", "hang", "binary", "look", "write"]


def schema():
    return {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "additionalProperties": False}


def tool(url, name, **more):
    return {"name": name, "description": f"Does {name}.", "inputSchema": schema(), "url": f"{url}/{name}", **more}


@pytest.fixture(scope="module")
def service():
    hooks = Webhooks(SECRET.encode())
    hooks.release = threading.Event()
    hooks.on("/add")(lambda body, _: body["input"]["a"] + body["input"]["b"])
    hooks.on("/no")(lambda *_: {"ok": False, "error": "the shop is closed"})
    hooks.on("/plain")(lambda *_: b"just \"text\"\n")
    hooks.on("/empty")(lambda *_: (204, b""))
    hooks.on("/unwrapped")(lambda *_: {"ok": True, "data": [1, 2]})
    hooks.on("/raw")(lambda *_: {"status": "fine"})
    hooks.on("/teapot")(lambda *_: (418, {"title": "teapot", "detail": "I make no coffee"}))
    hooks.on("/broken")(lambda *_: (500, b"oops"))
    hooks.on("/busy")(lambda *_: (429, {"error": "later"}))
    hooks.on("/redirect")(lambda *_: (302, b""))
    hooks.on("/huge")(lambda *_: b"x" * 5000)
    hooks.on("/binary")(lambda *_: b"\xff\xfe\x00")
    hooks.on("/look")(lambda *_: {"seen": True})
    hooks.on("/write")(lambda *_: {"written": True})

    @hooks.on("/slow")
    @hooks.on("/hang")
    def wait(*_):
        hooks.release.wait(20)
        return {"late": True}

    yield hooks
    hooks.release.set()
    hooks.close()


@pytest.fixture(scope="module")
def stack(service):
    more = {"huge": {"maxAnswer": 4096}, "slow": {"timeout": 1}, "look": {"readOnly": True}}
    tools = [tool(service.url, name, **more.get(name, {})) for name in NAMES]
    tools.append({"name": "private", "description": "x", "url": "http://127.0.0.2:9/"})
    tools.append({"name": "refused", "description": "x", "url": "http://127.0.0.1:9/"})
    scenarios = [s for name in [*NAMES, "private", "refused"] if name != "add" for s in calls(f"^{name}$", {"call": name, "input": {}})]
    scenarios += calls("^add$", {"call": "add", "input": {"a": 2, "b": 40}})
    scenarios += calls("^bad$", {"call": "add", "input": {"a": "two"}})
    scenarios += calls("^both$", {"call": "hang", "input": {}}, {"call": "look", "input": {}}, {"call": "add", "input": {"a": 1, "b": 1}})
    stack = Stack(scenarios=scenarios, conf={"tool.networks": "127.0.0.1", "store.sweep": "200ms", "store.lease": "1s"},
                  env={"AGENT_FPM_TOOL_SECRET": SECRET}, templates={"site": {"systemPrompt": "Use the tools.", "httpTools": tools}})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(template="site")


def test_a_call(agent, service):
    """The request says whose call it is; the result is the answer."""
    frames = agent.ask("add")
    assert frames[-1]["reason"] == "completed"
    assert results(agent) == [{"ok": True, "data": 42}]
    request = service.calls("/add")[-1]
    record, = agent.tool_calls()
    assert request["body"] == {"type": "tool_call", "id": record["id"], "tool": "add", "input": {"a": 2, "b": 40},
                               "agent": agent.id, "user": agent.user.name, "turn": record["turn"]}
    assert request["headers"]["webhook-id"] == record["id"] and "Authorization" not in request["headers"]


def test_only_valid_arguments_are_sent(agent, service):
    before = len(service.requests)
    agent.ask("bad")
    result, = results(agent)
    assert result["errorType"] == "validation" and "data/a must be integer" in result["error"]
    assert len(service.requests) == before


@pytest.mark.parametrize("name, data", [("plain", 'just "text"\n'), ("unwrapped", [1, 2]), ("raw", {"status": "fine"}), ("empty", None)])
def test_answers(agent, name, data):
    agent.ask(name)
    assert results(agent) == [{"ok": True, "data": data} if data is not None else {"ok": True}]


@pytest.mark.parametrize("name, kind, text, retryable", [
    ("no", "logical", "the shop is closed", False),
    ("teapot", "logical", "I make no coffee", False),
    ("broken", "exception", "the tool answered 500", True),
    ("busy", "exception", "later", True),
    ("redirect", "exception", "redirects are not followed", True),
    ("huge", "exception", "longer than 4096 bytes", True),
    ("binary", "exception", "neither JSON nor text", True),
    ("slow", "timeout", "", True),
    ("private", "exception", "the address 127.0.0.2 is not public", True),
    ("refused", "exception", "", True),
])
def test_failures(agent, service, name, kind, text, retryable):
    """Each is told to the model, in the record, and the turn goes on; W26: a timeout is one, and not a result."""
    frames = agent.ask(name)
    assert frames[-1]["reason"] == "completed"
    result, = results(agent)
    assert result["ok"] is False and result["errorType"] == kind and text in result["error"], result
    assert result["retryable"] is retryable
    assert of(frames, "tool:complete")[0]["call"]["state"] == "FAILED"
    assert not service.calls("/elsewhere")


def test_interrupt_closes_the_request(agent, service):
    """Siblings that are done keep their results; the one that runs is told by a closed connection, and sealed."""
    sent = agent.say("both")
    wait_for(lambda: any(r["body"]["agent"] == agent.id for r in service.calls("/hang")), 10, "not called")
    wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING", "COMPLETED", "COMPLETED"], 10, lambda: str(agent.tool_calls()))
    assert agent.interrupt() == {"interrupted": True, "turn": sent["turn"]}
    got = results(agent)
    assert [r["ok"] for r in got] == [False, True, True]
    assert got[0]["error"] == "Tool interrupted during execution; session sealed automatically."
    assert agent.answer("hello").endswith("hello")


def test_a_killed_worker(agent, stack, service):
    """W1: what may have had effects is not called again: it is sealed as unknown; what only reads is, and siblings stay."""
    before = {name: len(service.calls(f"/{name}")) for name in ("hang", "look", "add")}
    with agent.follow() as view:
        sent = agent.say("both")
        wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING", "COMPLETED", "COMPLETED"], 10, "not run")
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    got = results(agent)
    assert [r["ok"] for r in got] == [False, True, True]
    assert got[0]["error"] == "Tool interrupted during execution; session sealed automatically."
    assert got[0]["recommendations"] == ["Check for possible side effects of the tool", "Confirm external system state before retrying"]
    assert {name: len(service.calls(f"/{name}")) - n for name, n in before.items()} == {"hang": 1, "look": 1, "add": 1}
    record = agent.tool_calls()[0]
    assert record["state"] == "SEALED" and record["audit"][-1]["note"] == "auto seal: outcome unknown"


def test_a_stopped_worker(agent, stack, service):
    """A worker that sleeps past its lease while a tool runs writes nothing when it wakes."""
    sent = agent.say("both")
    wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING", "COMPLETED", "COMPLETED"], 10, "not run")
    pid = agent.holder()
    stack.stop(pid)
    try:
        with agent.follow() as view:
            view.wait(sent["turn"])
    finally:
        stack.cont(pid)
    log, history = agent.log_ids(), agent.history()
    assert agent.interrupt() == {"interrupted": False}
    wait_for(lambda: "the lease was lost" in stack.log() or "stops here" in stack.log(), 10, "it did not notice")
    assert agent.log_ids() == log and agent.history() == history


@pytest.mark.parametrize("document, complaint", [
    ({"httpTools": [{"name": "x"}]}, "httpTools[0]: url"),
    ({"httpTools": [{"name": "x y", "url": "http://a/"}]}, "httpTools[0]: name is"),
    ({"httpTools": [{"name": "todo_read", "url": "http://a/"}]}, "a tool of the server"),
    ({"httpTools": [{"name": "x", "url": "ftp://a/"}]}, "httpTools[0]: url"),
    ({"httpTools": [{"name": "x", "url": "http://u:p@a/"}]}, "no user and password"),
    ({"httpTools": [{"name": "x", "url": "http://a/"}, {"name": "x", "url": "http://a/"}]}, "is used before"),
    ({"httpTools": [{"name": "x", "url": "http://a/", "inputSchema": {"pattern": "x"}}]}, "inputSchema"),
    ({"httpTools": [{"name": "x", "url": "http://a/", "timeout": 0}]}, "timeout is a number from 1"),
    ({"httpTools": {}}, "httpTools is not a list"),
    ({"tools": ["nope"]}, 'there is no tool "nope"'),
    ({"permission": {"mode": "x"}}, "permission.mode"),
    ({"hooks": {"preTool": {"url": "http://a/", "onFailure": "maybe"}}}, "hooks.preTool: onFailure"),
    ({"hooks": {"postTool": {"url": "http://a/", "onFailure": "ask"}}}, "only preTool can ask"),
    ({"hooks": {"preModel": {"url": "http://a/", "onFailure": "ask"}}}, "only preTool can ask"),
    ({"hooks": {"before": {}}}, 'no member "before"'),
    ({"sytemPrompt": "x"}, 'no member "sytemPrompt"'),
    ([], "not a JSON object"),
    ({"httpTools": [{"name": "x", "url": "http://a/"}]}, "tool.secret_file"),
])
def test_templates_that_are_not(stack_factory, document, complaint):
    """-t names the file, the member and what would be right."""
    stack = stack_factory(start=False, templates={"bad": document})
    said = stack.check_conf()
    assert said.returncode != 0 and complaint in said.stderr, said.stderr
    assert "tool.secret" in complaint or "templates.d/bad.json" in said.stderr


def test_an_agent_names_some(stack):
    agent = stack.user().agent(template="site", tools=["add", "todo_read"])
    assert agent.info()["tools"] == ["add", "todo_read"]
    agent.ask("look")
    assert results(agent)[0]["error"] == "Tool not found: look"
    got = stack.user().post("/api/agents", {"name": "x", "tools": ["add"]})
    assert got.status == 422 and "add" in got.json["detail"], "without the template there is no such tool"


def test_denied_tools_are_not_advertised(stack):
    agent = stack.user().agent(template="site", tools=["add", "look", "write"], permission={"mode": "readonly", "denyTools": ["add"]})
    agent.ask("hello")
    sent = stack.model.requests[-1].body
    assert [t["name"] for t in sent["tools"]] == ["look"]
    assert json.dumps(sent["tools"][0]["input_schema"]) == json.dumps(schema())
