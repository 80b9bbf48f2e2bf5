# SPDX-License-Identifier: MIT
"""Answers by a JSON schema, and tools that must be called."""

import json

import pytest
from stack import Stack, text_of

SCHEMA = {"type": "object", "properties": {"role": {"type": "string"}, "n": {"type": "integer"}}, "required": ["role"], "additionalProperties": False}
GOOD = '{"role": "king", "n": 3}'
SCENARIOS = [
    {"match": "^good$", "steps": [{"text": GOOD}]},
    {"match": "Answer again", "steps": [{"text": GOOD}]},
    {"match": "^repaired$", "steps": [{"text": '{"n": "three"}'}]},
    {"match": "^prose$", "steps": [{"text": "Sure! Here it is."}]},
    {"match": "^never$", "steps": [{"text": "no"}]},
    {"match": "^todo$", "round": 1, "steps": [{"text": "done"}]},
    {"match": "^todo$", "steps": [{"call": "todo_read", "input": {}}]},
]
NEVER = [{"match": "", "steps": [{"text": "no"}]}]


@pytest.fixture(scope="module")
def place():
    stack = Stack(workers=1, scenarios=SCENARIOS, templates={"by-schema": {"outputSchema": SCHEMA}, "forced": {"tools": ["todo_read"], "toolChoice": {"name": "todo_read"}}})
    yield stack
    stack.close()
    assert not stack.problems


def done(frames):
    return next(f.json for f in frames if f.kind == "done")


def test_by_the_message(place):
    """The provider is asked for the schema; done has the document; the next message has no schema."""
    agent = place.user().agent()
    frames = agent.ask("good", outputSchema=SCHEMA)
    assert done(frames)["output"] == json.loads(GOOD)
    assert place.model.requests[-1].body["output_config"]["format"] == {"type": "json_schema", "schema": SCHEMA}
    frames = agent.ask("good")
    assert "output" not in done(frames) and "output_config" not in place.model.requests[-1].body
    assert [m["role"] for m in agent.history()] == ["user", "assistant"] * 2


def test_by_the_template(place):
    """A template's schema is for all its agents."""
    agent = place.user().agent(template="by-schema")
    assert done(agent.ask("good"))["output"] == json.loads(GOOD)


@pytest.mark.parametrize("message,says", [("repaired", "must be integer"), ("prose", "it is no JSON")])
def test_repaired(place, message, says):
    """A wrong answer is kept, and the model is told what is wrong with it."""
    agent = place.user().agent()
    frames = agent.ask(message, outputSchema=SCHEMA)
    assert done(frames)["output"] == json.loads(GOOD)
    history = agent.history()
    assert [m["role"] for m in history] == ["user", "assistant", "user", "assistant"] and history[2]["kind"] == "reminder"
    assert says in text_of(history[2]["content"]) and json.dumps(SCHEMA, separators=(",", ":")) in text_of(history[2]["content"])


def test_limit_behind_a_repair(stack_factory):
    """The turn ends right behind a wrong answer: what was written is not written again."""
    stack = stack_factory(workers=1, scenarios=NEVER, conf={"tool.rounds": "1"})
    agent = stack.user().agent()
    frames = agent.ask("x", outputSchema=SCHEMA)
    assert done(frames)["reason"] == "limit" and [f.kind for f in frames].count("token_usage") == 1
    assert [m["role"] for m in agent.history()] == ["user", "assistant", "user"]


def test_never(stack_factory):
    """After two more answers that are wrong the turn fails."""
    stack = stack_factory(workers=1, scenarios=NEVER)
    agent = stack.user().agent()
    frames = agent.ask("x", outputSchema=SCHEMA)
    error = next(f.json for f in frames if f.kind == "error")
    assert error["type"] == "schema" and done(frames)["reason"] == "error" and len(stack.model.requests) == 3


def test_tool_choice(place):
    """A tool is forced in the first step alone; none is for all of them."""
    agent = place.user().agent(tools=["todo_read"])
    agent.ask("todo", toolChoice={"name": "todo_read"})
    first, second = [r.body for r in place.model.requests[-2:]]
    assert first["tool_choice"] == {"type": "tool", "name": "todo_read"} and "tool_choice" not in second
    agent.ask("good", toolChoice="any")
    assert place.model.requests[-1].body["tool_choice"] == {"type": "any"}
    place.user().agent(template="forced").ask("todo")
    assert place.model.requests[-2].body["tool_choice"] == {"type": "tool", "name": "todo_read"}


@pytest.mark.parametrize("more,says", [
    ({"outputSchema": "object"}, "outputSchema"), ({"outputSchema": {"pattern": "x"}}, "outputSchema"),
    ({"toolChoice": "always"}, "toolChoice"), ({"toolChoice": {}}, "toolChoice"),
])
def test_mistakes(place, more, says):
    """What is no schema and no choice is a 422."""
    refused = place.user().agent().post_message("good", **more)
    assert refused.status == 422 and says in str(refused.body), refused


def test_resumed(stack_factory):
    """A worker that is killed in the middle leaves the schema with the message."""
    stack = stack_factory(workers=1, scenarios=[{"match": "^slow$", "steps": [{"wait_ms": 500}, {"text": GOOD}]}])
    agent = stack.user().agent()
    agent.say("slow", outputSchema=SCHEMA)
    with agent.events("0-0") as stream:
        stream.until("turn_start")
        stack.kill_workers()
    with agent.events("0-0") as stream:
        assert done(stream.until("done"))["output"] == json.loads(GOOD)


def test_steered(stack_factory):
    """A message that steers the turn leaves what the first one wanted; the next turn has none of it."""
    stack = stack_factory(workers=1, scenarios=[
        {"match": "^go$", "steps": [{"wait_ms": 400}, {"call": "todo_read", "input": {}}]},
        {"match": "^shorter$", "steps": [{"text": GOOD}]}, {"match": "^next$", "steps": [{"text": "free"}]}])
    agent = stack.user().agent(tools=["todo_read"])
    agent.say("go", outputSchema=SCHEMA)
    agent.say("shorter", onBusy="steer")
    with agent.events("0-0") as stream:
        assert done(stream.until("done"))["output"] == json.loads(GOOD)
    assert "output" not in done(agent.ask("next"))
