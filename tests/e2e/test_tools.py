# SPDX-License-Identifier: MIT
"""Tool calls: asked for, decided, run, recorded and answered."""

import json

import pytest

from conftest import close
from stack import Stack

LIST = [{"id": "1", "title": "buy milk", "status": "in_progress"}, {"id": "2", "title": "drink it", "status": "pending"}]


def calls(match, *steps, after="the results: ${results}"):
    """A first answer with calls, and what follows their results."""
    return [{"match": match, "round": 0, "steps": list(steps)}, {"match": match, "steps": [{"text": after, "by": "whole"}]}]


SCENARIOS = [
    *calls("^plan$", {"text": "I make a list. "}, {"call": "todo_write", "input": {"todos": LIST}, "bytes": 3}),
    *calls("^list$", {"call": "todo_read"}),
    *calls("^three$", {"call": "todo_read"}, {"call": "todo_write", "input": {"todos": LIST[:1]}}, {"call": "todo_read"}),
    *calls("^unknown$", {"call": "launch_rocket", "input": {"where": "moon"}}),
    *calls("^bad name$", {"call": "no such/name", "input": {}}),
    *calls("^bad json$", {"call": "todo_write", "raw": '{"todos": ['}),
    *calls("^no object$", {"call": "todo_write", "raw": "[1]"}),
    *calls("^bad schema$", {"call": "todo_write", "input": {"todos": [{"id": "1", "status": "done"}], "more": 1}}),
    *calls("^logical$", {"call": "todo_write", "input": {"todos": [{**i, "status": "in_progress"} for i in LIST]}}),
    *calls("^twins$", {"call": "todo_read", "id": "toolu_same"}, {"call": "todo_read", "id": "toolu_same"}),
    *calls("^end_turn$", {"call": "todo_read"}, {"stop_reason": "end_turn"}),
    *calls("^cut off$", {"call": "todo_write", "raw": '{"todos'}, {"stop_reason": "max_tokens"}),
    {"match": "^for ever$", "steps": [{"call": "todo_read"}]},
    {"match": "^many ([0-9]+)$", "round": 0, "steps": [{"call": "todo_read"}] * 80},
]

TOOLS = ["todo_read", "todo_write"]


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"tool.rounds": "4"})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=TOOLS)


def turn(agent, message):
    """The events of a turn."""
    return agent.ask(message)


def of(frames, kind):
    return [f for f in frames if f.kind == kind]


def text(frames):
    return "".join(f["text"] for f in of(frames, "text_chunk"))


def results(agent):
    """What the model was given for its calls, of all turns."""
    blocks = [b for m in agent.history() if m["role"] == "user" for b in m["content"] if b["type"] == "tool_result"]
    return [json.loads(b["content"]) for b in blocks]


def test_one_call(agent):
    frames = turn(agent, "plan")
    kinds = [f.kind for f in frames if f.kind not in ("text_chunk", "token_usage", "step_complete")]
    assert kinds == ["message_accepted", "turn_start", "tool:start", "tool:complete", "todo_changed", "done"]
    assert frames[-1]["reason"] == "completed"
    assert text(frames) == 'I make a list. the results: {"ok":true,"data":{"count":2}}'
    call = of(frames, "tool:complete")[0]["call"]
    assert call["state"] == "COMPLETED" and call["name"] == "todo_write" and call["result"] == {"ok": True, "data": {"count": 2}}
    changed = of(frames, "todo_changed")[0]
    assert changed["previous"] is None and [t["title"] for t in changed["current"]["todos"]] == ["buy milk", "drink it"]


def test_the_list_is_kept(agent):
    turn(agent, "plan")
    frames = turn(agent, "list")
    assert "buy milk" in text(frames)
    assert [t["id"] for t in results(agent)[-1]["data"]["todos"]] == ["1", "2"]


def test_results_in_the_order_of_the_calls(agent):
    frames = turn(agent, "three")
    assert len(of(frames, "tool:start")) == len(of(frames, "tool:complete")) == 3
    assert [sorted(r["data"]) for r in results(agent)] == [["todos"], ["count"], ["todos"]]
    history = agent.history()
    ids = [b["id"] for b in history[1]["content"]]
    assert [b["tool_use_id"] for b in history[2]["content"]] == ids and len(set(ids)) == 3
    assert history[2]["kind"] == "tool_results"


@pytest.mark.parametrize("message,error,kind", [
    ("unknown", "Tool not found: launch_rocket", "logical"),
    ("bad name", "Tool not found: no such/name", "logical"),
    ("bad json", "the arguments are no JSON object; they were not run", "validation"),
    ("no object", "the arguments are no JSON object; they were not run", "validation"),
    ("cut off", "the arguments are no JSON object; they were not run", "validation"),
    ("bad schema", "data must NOT have additional properties", "validation"),
    ("logical", "Only one todo can be in progress", "logical"),
])
def test_failures(agent, message, error, kind):
    """W18, W35: each is told to the model, with tool:start, tool:error and tool:complete; the turn goes on."""
    frames = turn(agent, message)
    assert [f.kind for f in frames if f.kind.startswith("tool:")] == ["tool:start", "tool:error", "tool:complete"]
    assert of(frames, "tool:complete")[0]["call"]["state"] == "FAILED"
    assert frames[-1]["reason"] == "completed"
    result, = results(agent)
    assert result["ok"] is False and error in result["error"] and result["errorType"] == kind
    assert result["retryable"] is False and result["recommendations"]
    assert agent.answer("hello").endswith("hello"), "the history is still one that the model takes"


def test_schema_names_the_place(agent):
    turn(agent, "bad schema")
    lines = results(agent)[0]["error"].split("\n")
    assert "data/todos/0 must have required property 'title'" in lines
    assert "data/todos/0/status must be equal to one of the allowed values" in lines


def test_ids_are_ours(agent):
    """A provider that uses an id twice does not spoil the history."""
    assert turn(agent, "twins")[-1]["reason"] == "completed"
    assert turn(agent, "twins")[-1]["reason"] == "completed"


def test_calls_count_more_than_the_stop_reason(agent):
    frames = turn(agent, "end_turn")
    assert len(of(frames, "tool:complete")) == 1 and text(frames).startswith("the results: ")


def test_rounds_end(agent):
    """W20: a model that would call tools for ever is stopped, and the next message works."""
    frames = turn(agent, "for ever")
    assert frames[-1]["reason"] == "limit"
    assert len(of(frames, "tool:complete")) == 4
    assert agent.answer("hello").endswith("hello")


def test_too_many_calls(agent):
    frames = turn(agent, "many 80")
    states = [f["call"]["state"] for f in of(frames, "tool:complete")]
    assert states.count("COMPLETED") == 64 and states.count("FAILED") == 16


def test_tools_are_advertised(stack, agent):
    turn(agent, "list")
    body = stack.model.requests[-1].body
    assert [t["name"] for t in body["tools"]] == TOOLS
    assert all(t["description"] and t["input_schema"]["type"] == "object" for t in body["tools"])
    plain = stack.user().agent()
    plain.ask("hello")
    assert "tools" not in stack.model.requests[-1].body


def test_denied_tools_are_not_advertised(stack):
    agent = stack.user().agent(tools=TOOLS, permission={"denyTools": ["todo_w*"]})
    frames = turn(agent, "plan")
    assert [t["name"] for t in stack.model.requests[-1].body["tools"]] == ["todo_read"]
    assert of(frames, "tool:complete")[0]["call"]["state"] == "DENIED"
    assert "Tool denied by policy" in results(agent)[0]["error"]


@pytest.mark.parametrize("fields,says", [
    ({"tools": ["todo_read", "nosuch"]}, "there are todo_read, todo_write"),
    ({"tools": "todo_read"}, "list"),
    ({"tools": [1]}, "names"),
    ({"permission": {"mode": "yolo"}}, "auto, approval or readonly"),
    ({"permission": {"allowTool": []}}, "allowTool"),
])
def test_refused_at_creation(stack, fields, says):
    """W31: an unknown mode is refused, never allowed."""
    response = stack.user().post("/api/agents", {"name": "x", **fields})
    assert response.status == 422 and says in response.json["detail"]


def test_shown_in_the_agent(stack):
    permission = {"mode": "readonly", "allowTools": ["todo_read"]}
    info = stack.user().agent(tools=["todo_read"], permission=permission).info()
    assert info["tools"] == ["todo_read"] and info["permission"] == permission
