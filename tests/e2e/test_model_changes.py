# SPDX-License-Identifier: MIT
"""An agent's model changes, from each API to each other, and back: all requests are valid, and each gets its own back as it was."""

import itertools
import json

import pytest

from conftest import close
from stack import Stack
from test_models import IMAGE, PDF, TEXT
from test_providers import PROVIDERS, READ, SECRET, THOUGHT, TODOS, TOOLS, at_the_gate, service, settings, start  # noqa: F401
from test_tools import calls, of, results, text

SIGNED = {"anthropic", "openai-responses", "gemini", "gemini-2.5"}  # whose thinking goes back by a signature
SCENARIOS = [
    *calls("^work$", THOUGHT, {"text": "I see to it. "}, TODOS, READ, after="done"),
    *calls("^gate$", THOUGHT, {"text": "I wait. "}, {"call": "gate", "input": {}}, READ, after="done: ${results}"),
    {"match": "^stumble ", "round": 0, "steps": [THOUGHT, TODOS, READ]},
    {"match": "^stumble ", "round": 1, "steps": [{"status": 500, "times": 1, "headers": {"retry-after-ms": "10"}}, THOUGHT, READ]},
    {"match": "^stumble ", "steps": [{"text": "done"}]},
]
PAIRS = list(itertools.permutations(PROVIDERS, 2))
RING = list(itertools.pairwise(["anthropic", "openai", "openai-responses", "gemini", "anthropic"]))
ENDS = {"anthropic": "/messages", "openai-responses": "/responses", **dict.fromkeys(("gemini", "gemini-2.5"), ":streamGenerateContent"),
        **dict.fromkeys(("openai", "deepseek", "mistral"), "/chat/completions")}  # of the path


@pytest.fixture(scope="module")
def place(service):  # noqa: F811
    """All providers, and for each pair one that gives way to the other."""
    gate = {"name": "gate", "description": "Waits.", "url": f"{service.url}/gate", "readOnly": True}
    stack = Stack(workers=1, scenarios=SCENARIOS, start=False, env={"AGENT_FPM_TOOL_SECRET": SECRET},
                  templates={"gate": {"httpTools": [gate], "tools": ["gate", *TOOLS]}},
                  conf={"tool.networks": "127.0.0.1", "store.sweep": "200ms", "model.breaker_failures": "0"})
    models = {p: settings(stack, p) for p in PROVIDERS}
    models.update({f"{a}-or-{b}": settings(stack, a, retries="0", fallback=b) for a, b in PAIRS})
    start(stack, **models)
    yield stack
    close(stack)


def change(agent, model):
    assert agent.user.http("PATCH", agent.path, {"model": model}).status == 200


def unmarked(value):
    """Without what Anthropic is told to cache."""
    if isinstance(value, dict):
        return {k: unmarked(v) for k, v in value.items() if k != "cache_control"}
    return [unmarked(v) for v in value] if isinstance(value, list) else value


def entries(request):
    return unmarked(request.body.get("messages") or request.body.get("input") or request.body["contents"])


def thoughts(request):
    """How often there is something in it that was thought."""
    return [json.dumps(entries(request)).count(part) for part in THOUGHT.values()]


def roles(request):
    return [m.role for m in request.conversation if m.texts != ["I have the results."]]


def ask(agent, message):
    """The requests of a turn."""
    before = len(agent.stack.model.requests)
    assert agent.ask(message)[-1]["reason"] == "completed"
    return agent.stack.model.requests[before:]


@pytest.mark.parametrize("a, b", PAIRS)
def test_there_and_back(place, a, b):
    agent = place.user().agent(model=a, tools=TOOLS)
    ask(agent, "work")
    first, = ask(agent, "hello")
    change(agent, b)
    one, two = ask(agent, "work")
    assert first.path.partition("?")[0].endswith(ENDS[a]) and one.path.partition("?")[0].endswith(ENDS[b])
    assert thoughts(one) == [0, 0], "what A thought is nobody else's"
    assert [m.results for m in two.conversation if m.results][0] == [m.results for m in first.conversation if m.results][0]
    assert roles(two) == ["user", "model", "user", "model", "user", "model", "user", "model", "user"]
    ask(agent, "hello")
    change(agent, a)
    back, = ask(agent, "again")
    assert entries(back)[:len(entries(first))] == entries(first)
    assert thoughts(back) == thoughts(first) and (thoughts(first)[1] > 0) == (a in SIGNED)
    assert roles(back) == ["user", "model"] * 6 + ["user"]
    place.restart_pool()
    again, = ask(agent, "from the store")
    assert entries(again)[:len(entries(back))] == entries(back)


@pytest.mark.parametrize("a, b", PAIRS)
def test_in_the_middle_of_a_turn(place, a, b):
    """A fails after it has called tools: B goes on with the results, and calls some itself; then A gets all of it."""
    agent = place.user().agent(model=f"{a}-or-{b}", tools=TOOLS)
    frames = agent.ask(f"stumble {a} {b}")
    assert text(frames) == "done" and [f["to"] for f in of(frames, "model_fallback")] == [b] and len(results(agent)) == 3
    last = place.model.requests[-1]
    assert last.path.partition("?")[0].endswith(ENDS[b]) and roles(last) == ["user", "model", "user", "model", "user"]
    back, = ask(agent, "hello")
    assert roles(back) == ["user", "model"] * 3 + ["user"]


@pytest.mark.parametrize("a, b", RING)
def test_while_a_tool_runs(place, service, a, b):  # noqa: F811
    """The heir of a killed worker goes on with the model that the agent has now."""
    with at_the_gate(place, service, model=a) as (agent, turn):
        change(agent, b)
        place.kill_workers()
    with agent.follow() as view:
        view.wait(turn)
    assert view.dones == {turn: "completed"} and "open" in view.text(turn)
    assert place.model.requests[-1].path.partition("?")[0].endswith(ENDS[b])
    change(agent, a)
    ask(agent, "hello")


@pytest.mark.parametrize("b", [p for p in PROVIDERS if p != "anthropic"])
def test_what_another_cannot_see(place, b):
    """Images and documents of a history: as they are, or a text in their place."""
    agent = place.user().agent(model="anthropic", tools=TOOLS)
    agent.answer([TEXT, IMAGE, PDF])
    change(agent, b)
    ask(agent, "work")
    change(agent, "anthropic")
    back, = ask(agent, "hello")
    assert [p["type"] for p in back.body["messages"][0]["content"]] == ["text", "image", "document"]


def test_round_about(place):
    """Through all of them, one turn each, and once more."""
    agent = place.user().agent(model="anthropic", tools=TOOLS)
    for model in [*PROVIDERS] * 2:
        change(agent, model)
        last = ask(agent, "work")[-1]
    assert roles(last) == ["user", "model"] * (4 * len(PROVIDERS) - 1) + ["user"]
