# SPDX-License-Identifier: MIT
"""Whole turns with each of the APIs. The model refuses what the API would refuse, and a test fails then."""

import contextlib
import json
import threading

import pytest

from conftest import close
from stack import Stack, scaled, wait_for, words
from test_forks import checkpoint, fork
from test_models import IMAGE, PDF, TEXT
from test_output import GOOD, SCHEMA
from test_tools import LIST, TOOLS, calls, of, results, text
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"
THOUGHT = {"thinking": "What would a wise one say?", "signature": "c2lnbmVk"}
LONG = "x" * 2000
MEASURED = {"usage": {"measured": True}}
SOON = {"retry-after-ms": "10"}
TODOS = {"call": "todo_write", "input": {"todos": LIST}, "bytes": 7}
READ = {"call": "todo_read", "input": {}}
SCENARIOS = [
    {"match": "^think$", "steps": [{**THOUGHT, "pace_ms": 20}, {"text": words(10), "pace_ms": 20}]},
    *calls("^work$", THOUGHT, {"text": "I see to it. "}, TODOS, READ),
    *calls("^unsigned$", {"thinking": "Who knows."}, READ, {"thinking": "Nobody."}, READ),
    *calls("^lists$", THOUGHT, READ, READ),
    *calls("^wrong$", {"call": "todo_write", "input": {"todos": "none"}}),
    *calls("^unknown$", {"call": "launch_rocket", "input": {}}, READ),
    *calls("^truncated$", {"text": "So: "}, {"call": "todo_write", "raw": '{"todos": [{"id'}, {"stop_reason": "max_tokens"}, after="well"),
    *calls("^gate$", THOUGHT, {"text": "I wait. "}, {"call": "gate", "input": {}}, READ, after="done: ${results}"),
    {"match": "^long work$", "round": 0, "steps": [THOUGHT, TODOS, READ]},
    {"match": "^long work$", "steps": [{"text": words(100), "pace_ms": 20}]},
    {"match": "^slow$", "steps": [THOUGHT, {"text": words(400), "pace_ms": 20}]},
    {"match": "^stalled$", "steps": [THOUGHT, {"text": "I will. "}, TODOS, {"stall": True}]},
    {"match": "^a hint$", "steps": [{"text": "noted"}]},
    {"match": "^half$", "steps": [{"text": "half of "}, {"stop_reason": "max_tokens"}]},
    {"match": "^flaky ([0-9]+)$", "steps": [{"status": 503, "times": "${1}", "headers": SOON}, {"text": "ok"}]},
    *({"match": f"^refused {status}$", "steps": [{"status": status, "headers": SOON}]} for status in (400, 401, 429, 500)),
    {"match": "^error$", "steps": [{"ping": True}, {"error": {"type": "overloaded_error", "message": "Overloaded."}}]},
    {"match": "^error late$", "steps": [{"text": "w1 w2 "}, {"error": {"type": "overloaded_error", "message": "Overloaded."}}]},
    {"match": "^cut$", "steps": [{"text": "w1 w2 "}, {"cut": True}]},
    {"match": "^cut call$", "steps": [{"call": "todo_write", "raw": '{"todos": ['}, {"cut": True}]},
    {"match": "^nothing$", "steps": []},
    {"match": "^good$", "steps": [{"text": GOOD}]},
    {"match": "^prose$", "steps": [{"text": "Sure! Here it is."}]},
    {"match": "Answer again", "steps": [{"text": GOOD}]},
    {"match": "^cost$", "steps": [{"text": "dear"}, {"usage": {"input_tokens": 1000, "cache_read_input_tokens": 2000, "output_tokens": 300}}]},
    {"match": "^\\[", "steps": [{"text": "SUMMARY: they talked."}, MEASURED]},
    {"match": "^say ", "steps": [{"text": f"answer {LONG}", "by": "whole"}, MEASURED]},
]

# Providers, one with models of two kinds: where its API is at the scripted model's, the model, and what of a chat's rules is its own.
PROVIDERS = {
    "anthropic": ("", "m-claude", {"thinking": "1024"}, ()),
    "openai": ("/v1", "m-gpt", {"effort": "low"}, ()),
    "openai-responses": ("/v1", "m-o", {"thinking": "1024", "effort": "low"}, ()),
    "gemini": ("/v1beta", "gemini-3-x", {"thinking": "1024"}, ()),
    "gemini-2.5": ("/v1beta", "gemini-2.5-x", {"thinking": "1024"}, ()),
    "deepseek": ("/v1", "m-deep", {"thinking": "1024"}, ("echo-with-calls", "no-images", "no-files")),
    "mistral": ("/v1", "m-mistral", {}, ("short-ids", "answer-results", "no-files", "sends-usage")),
}


def family(provider):
    return provider.partition("-2")[0]


def settings(stack, provider, **more):
    path, name, own, _ = PROVIDERS[provider]
    return {"provider": family(provider), "url": stack.model.url + path, "id": name, "api_key_file": stack.path("api.key"),
            "max_tokens": "2000", "retries": "2", **own, **more}


def start(stack, **models):
    """With these models, and the rules of each."""
    stack.models = models
    stack.model.quirks = {name: quirks for _, name, _, quirks in PROVIDERS.values()}
    stack.start_all()
    return stack


@pytest.fixture(scope="module")
def service():
    hooks = Webhooks(SECRET.encode())
    hooks.gates = {}

    @hooks.on("/gate")
    def gate(body, _):
        hooks.gates.setdefault(body["agent"], threading.Event()).wait(scaled(20))
        return "open"

    @hooks.on("/hint")
    def hint(body, _):
        return {"text": "a hint"} if body["last"]["content"][0]["type"] == "tool_result" else {}

    yield hooks
    for one in hooks.gates.values():
        one.set()
    hooks.close()


@pytest.fixture(scope="module", params=PROVIDERS)
def place(request, service):
    """An installation whose model is of that provider; "small" is the same with a small window."""
    gate = {"name": "gate", "description": "Waits.", "url": f"{service.url}/gate", "readOnly": True}
    stack = Stack(workers=1, scenarios=SCENARIOS, start=False, env={"AGENT_FPM_TOOL_SECRET": SECRET},
                  templates={"gate": {"httpTools": [gate], "tools": ["gate", *TOOLS]},
                             "hinted": {"tools": TOOLS, "hooks": {"preModel": {"url": f"{service.url}/hint"}}}})
    stack.provider = family(request.param)
    own = settings(stack, request.param)
    stack.conf.update({f"model.{k}": v for k, v in own.items()})
    stack.conf.update({"tool.networks": "127.0.0.1", "store.sweep": "200ms", "compact.keep_turns": "2"})
    start(stack, small={"context_window": "5000", "max_tokens": "1500"})
    yield stack
    close(stack)


@pytest.fixture
def agent(place):
    return place.user().agent(tools=TOOLS)


def body(stack):
    return stack.model.requests[-1].body


def conversation(stack):
    return stack.model.requests[-1].conversation


def roles(stack):
    """Of the last request: user, model, or results."""
    said = [m for m in conversation(stack) if m.texts != ["I have the results."]]  # of a provider that wants an answer to them
    return ["results" if m.results else m.role for m in said]


def test_text_and_thinking(place, agent):
    """Both are shown while they come, and the next message has the answer before it."""
    frames = agent.ask("think")
    assert text(frames) == words(10) and len(of(frames, "text_chunk")) > 3
    assert "".join(f["text"] for f in of(frames, "think_chunk")) == THOUGHT["thinking"] and len(of(frames, "think_chunk")) > 1
    assert (frames[-1]["reason"], frames[-1]["stop"]) == ("completed", "stop")
    assert agent.answer("hello") == "echo: hello"
    assert roles(place) == ["user", "model", "user"] and "".join(conversation(place)[1].texts) == words(10)


def test_parallel_calls(place, agent):
    """Their results go back together, in the calls' order, and once more with the next message."""
    frames = agent.ask("work")
    done = [f["call"]["name"] for f in of(frames, "tool:complete")]
    assert sorted(done) == ["todo_read", "todo_write"] and frames[-1]["reason"] == "completed"
    given = conversation(place)[-1].results
    assert [json.loads(r)["data"] for r in given] == [r["data"] for r in results(agent)] and json.loads(given[0])["data"] == {"count": 2}
    assert text(frames) == "I see to it. the results: " + "\n".join(given)
    agent.ask("lists")
    assert agent.answer("hello") == "echo: hello"
    assert roles(place) == ["user", "model", "results", "model"] * 2 + ["user"]
    assert conversation(place)[2].results == given


def test_thinking_without_a_signature(place, agent):
    """What could not go back as it was goes back without, and so does what hangs on it."""
    if place.provider == "anthropic":
        pytest.skip("there is always one")
    agent.ask("unsigned")
    assert agent.answer("hello") == "echo: hello"
    assert roles(place) == ["user", "model", "results", "model", "user"] and len(conversation(place)[2].results) == 2


def test_wrong_calls(place, agent):
    """Arguments that are not by the schema and a tool that is not there are told to the model."""
    frames = agent.ask("wrong")
    assert "data/todos must be array" in text(frames) and frames[-1]["reason"] == "completed"
    assert [r["ok"] for r in results(agent)] == [False]
    agent.ask("unknown")
    assert [r["ok"] for r in results(agent)] == [False, False, True]
    assert agent.answer("hello") == "echo: hello"


def test_a_call_that_is_cut(place, agent):
    """It does not run. Gemini sends no such call."""
    frames = agent.ask("truncated")
    assert agent.user.get(f"{agent.path}/todos").json["todos"] == []
    if place.provider == "gemini":
        assert (frames[-1]["reason"], frames[-1]["stop"]) == ("completed", "length") and agent.tool_calls() == []
    else:
        result, = results(agent)
        assert "no JSON object; they were not run" in result["error"] and text(frames) == "So: well"
    assert agent.answer("hello") == "echo: hello"


def test_answers_at_their_limit(place, agent):
    frames = agent.ask("half")
    assert (text(frames), frames[-1]["reason"], frames[-1]["stop"]) == ("half of ", "completed", "length")
    assert agent.ask("nothing")[-1].kind == "done"
    assert agent.answer("hello") == "echo: hello"


def test_tried_again(place, agent):
    frames = agent.ask("flaky 2")
    assert text(frames) == "ok" and [(r["class"], r["message"]) for r in of(frames, "retry")] == [("overload", "scripted 503")] * 2


@pytest.mark.parametrize("message, kind, tries, says", [
    ("refused 400", "invalid_request", 1, "scripted 400"), ("refused 401", "auth", 1, "scripted 401"),
    ("refused 429", "rate_limit", 3, "scripted 429"), ("refused 500", "server", 3, "scripted 500"),
    ("error", "overload", 3, "Overloaded."), ("error late", "overload", 1, "Overloaded."),
    ("cut", "protocol", 1, ""), ("cut call", "protocol", 3, ""),
])
def test_failures(place, agent, message, kind, tries, says):
    """An error and done, and the conversation goes on."""
    if place.provider == "gemini" and message == "cut call":
        pytest.skip("calls come whole")
    before = len(place.model.requests)
    frames = agent.ask(message)
    error, = of(frames, "error")
    assert error["class"] == kind and says in error["message"] and frames[-1]["reason"] == "error"
    assert len(place.model.requests) - before == tries
    assert agent.answer("hello") == "echo: hello"
    assert agent.tool_calls() == []


def test_interrupted(place, agent):
    """What was said stays; what was thought or asked for and is not whole does not, and the next request is a valid one."""
    with agent.chat("slow") as stream:
        stream.until("text_chunk", 3)
        agent.interrupt()
        assert stream.rest()[-1]["reason"] == "interrupted"
    with agent.chat("stalled") as stream:
        stream.until("text_chunk")
        agent.interrupt()
        stream.rest()
    with agent.chat("long work") as stream:
        stream.until("text_chunk", 2)
        agent.interrupt()
        stream.rest()
    assert agent.answer("hello") == "echo: hello"
    assert [m.role for m in conversation(place) if not m.results][-1] == "user"
    assert words(400).startswith(conversation(place)[1].texts[0].rstrip()) and agent.answer("work").startswith("I see to it.")


@contextlib.contextmanager
def at_the_gate(place, service, **fields):
    """An agent whose turn stands at a tool; on leaving it goes on."""
    agent = place.user().agent(template="gate", **fields)
    gate = service.gates[agent.id] = threading.Event()
    sent = agent.say("gate")
    wait_for(lambda: "EXECUTING" in [c["state"] for c in agent.tool_calls()], 10, lambda: str(agent.tool_calls()))
    try:
        yield agent, sent["turn"]
    finally:
        gate.set()


def test_interrupted_among_tools(place, service):
    with at_the_gate(place, service) as (agent, _):
        agent.interrupt()
    agent.wait_idle()
    assert agent.answer("hello") == "echo: hello"
    assert roles(place) == ["user", "model", "results", "user"] and len(conversation(place)[2].results) == 2


def test_steered(place, service):
    """A message that comes while a tool runs follows its results."""
    with at_the_gate(place, service) as (agent, turn):
        agent.say("and be quick", onBusy="steer")
    with agent.follow() as view:
        view.wait(turn)
    assert view.text(turn).endswith("echo: and be quick")
    assert roles(place) == ["user", "model", "results", "user"]
    assert agent.answer("hello") == "echo: hello"
    assert roles(place) == ["user", "model", "results", "user", "model", "user"]


def test_killed_among_tools(place, service):
    """The heir asks with every call answered, and with what was thought."""
    with at_the_gate(place, service) as (agent, turn):
        place.kill_workers()
    with agent.follow() as view:
        view.wait(turn)
    assert view.dones == {turn: "completed"} and "open" in view.text(turn)
    assert roles(place) == ["user", "model", "results"] and len(conversation(place)[2].results) == 2
    assert agent.answer("hello") == "echo: hello"


def test_killed_while_it_speaks(place, agent):
    """The history comes from the store, in the provider's own form."""
    with agent.follow() as view:
        turn = agent.say("long work")["turn"]
        view.has("w2 ")
        before = place.model.requests[-1].body
        place.kill_workers()
        view.wait(turn)
    assert view.text(turn) == words(100) and view.dones == {turn: "completed"}
    assert place.model.requests[-1].body == before


def test_hinted(place):
    """What a hook puts behind the results is for one request; the text before it stays as it was."""
    agent = place.user().agent(template="hinted")
    assert agent.ask("work")[-1]["reason"] == "completed"
    asked = place.model.requests[-1]
    assert asked.raw.count(b'"a hint"') == 1 and len([m for m in asked.conversation if m.results][0].results) == 2
    assert agent.answer("hello") == "echo: hello"
    assert b"a hint" not in place.model.requests[-1].raw and roles(place) == ["user", "model", "results", "model", "user"]


def shown(block):
    """A block of the user's in the API's own form: what it is."""
    return block.get("type") or next(iter(block))


def test_images_and_documents(place):
    """What the provider takes goes as its API has it; a text stands for what it does not."""
    agent = place.user().agent()
    wanted = {
        "anthropic": ["text", "image", "document"], "openai": ["text", "image_url", "file"], "mistral": ["text", "image_url", "text"],
        "openai-responses": ["input_text", "input_image", "input_file"], "gemini": ["text", "inlineData", "inlineData"],
        "deepseek": ["text", "text", "text"],
    }[place.provider]
    taken = [TEXT]
    for block in (IMAGE, PDF):
        answer = agent.post_message([TEXT, block])
        assert answer.status in (202, 422), answer
        agent.wait_idle()
        if answer.status == 202:
            taken.append(block)
    assert len(taken) == len([w for w in wanted if w not in ("text", "input_text")]) + 1
    agent = place.user().agent()
    agent.answer(taken)
    message = [m for m in body(place).get("messages") or body(place).get("input") or body(place)["contents"] if m.get("role") == "user"][-1]
    content = message.get("content") or message.get("parts")
    if len(taken) > 1:
        assert [shown(b) for b in content] == [w for w, b in zip(wanted, [TEXT, IMAGE, PDF]) if b in taken]
    assert agent.answer("hello") == "echo: hello"


def asked_schema(place):
    """The schema that the last request asks for, or how it asks for JSON."""
    asked = body(place)
    if place.provider == "anthropic":
        return asked["output_config"]["format"]["schema"]
    if place.provider == "gemini":
        return asked["generationConfig"]["responseJsonSchema"]
    form = asked["text"]["format"] if place.provider == "openai-responses" else asked["response_format"]
    return form.get("json_schema", form).get("schema", form["type"])


def test_output_by_schema(place, agent):
    """The provider is asked for it; an answer that is not by it is put right."""
    frames = agent.ask("good", outputSchema=SCHEMA)
    assert frames[-1]["output"] == json.loads(GOOD)
    assert asked_schema(place) == ("json_object" if place.provider == "deepseek" else SCHEMA)
    assert agent.ask("prose", outputSchema=SCHEMA)[-1]["output"] == json.loads(GOOD)
    assert agent.answer("hello") == "echo: hello"


CHOICES = {
    "anthropic": {"type": "auto"}, "openai": {"type": "function", "function": {"name": "todo_read"}},
    "openai-responses": {"type": "function", "name": "todo_read"}, "mistral": {"type": "function", "function": {"name": "todo_read"}},
    "gemini": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["todo_read"]}}, "deepseek": "auto",
}


def test_tool_choice(place, agent):
    """Forced in the first step alone; where a thinking model takes no forced tool it is free."""
    before = len(place.model.requests)
    agent.ask("lists", toolChoice={"name": "todo_read"})
    first, second = [r.body.get("toolConfig", r.body.get("tool_choice")) for r in place.model.requests[before:]]
    assert (first, second) == (CHOICES[place.provider], None)
    for choice in ("any", "none", "auto"):
        assert agent.answer("hello", toolChoice=choice) == "echo: hello"


def test_usage(place):
    """Of all APIs the same: the input has what was cached, the output what was thought."""
    user = place.user()
    usage, = of(user.agent().ask("cost"), "token_usage")
    assert (usage["input"], usage["cached"], usage["output"]) == (3000, 2000, 300)
    used = user.get("/api/usage").json["today"]
    assert (used["input"], used["output"], used["calls"]) == (3000, 300, 1)


def test_compacted(place):
    """A small window: a summary, and the rest goes on."""
    agent = place.user().agent(model="small", tools=TOOLS)
    agent.ask("work")
    phases = [f["phase"] for n in range(6) for f in of(agent.ask(f"say {n} {LONG}"), "context_compression")]
    assert "end" in phases and agent.info()["windows"] >= 1
    agent.ask("work")
    assert agent.answer("hello") == "echo: hello"
    assert "SUMMARY: they talked." in str(conversation(place)[0].texts)


def test_forked_and_rewound(place, agent):
    agent.ask("work")
    checkpoint(agent, label="here")
    agent.ask("lists")
    child = fork(agent)
    assert child.answer("hello") == "echo: hello" and roles(place) == ["user", "model", "results", "model"] * 2 + ["user"]
    assert agent.user.post(f"{agent.path}/rewind", {"checkpoint": "here"}).status == 200
    assert agent.answer("hello") == "echo: hello" and roles(place) == ["user", "model", "results", "model", "user"]
    place.kill_workers()
    for one in (agent, child):
        one.wait_idle()
        assert one.answer("again") == "echo: again"
    assert roles(place) == ["user", "model", "results", "model"] * 2 + ["user", "model", "user"]
