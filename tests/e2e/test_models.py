# SPDX-License-Identifier: MIT
"""Models by name: who may choose which, what a change keeps, what they take, what they cost."""

import pytest
from stack import Stack, free_ports, text_of, wait_for

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}}
TEXT = {"type": "text", "text": "what is this"}
SCENARIOS = [
    {"match": "^think$", "steps": [{"thinking": "hm", "signature": "sig"}, {"text": "thought"}]},
    {"match": "^cost$", "steps": [{"text": "dear"}, {"usage": {"input_tokens": 1000, "cache_read_input_tokens": 2000,
                                                               "cache_creation_input_tokens": 500, "output_tokens": 300}}]},
    {"match": "", "steps": [{"text": "ok"}]},
]
MODELS = {
    "small": {"id": "m-small", "images": "no", "documents": "no", "price_input": "1", "price_output": "2"},
    "large": {"id": "m-large", "price_input": "3", "price_cached": "0.3", "price_cache_write": "3.75", "price_output": "15"},
}
TEMPLATES = {
    "fixed": {"model": "small", "models": ["large"]},
    "bound": {"model": "small", "models": []},
}


@pytest.fixture(scope="module")
def place():
    stack = Stack(workers=1, scenarios=SCENARIOS, models=MODELS, templates=TEMPLATES, conf={"model.id": "m-default"})
    yield stack
    stack.close()
    assert not stack.problems


def asked(stack):
    return stack.model.requests[-1].body


def test_names(place):
    """An agent has the model it names, its template's, or the default; others are a 422 that lists those there are."""
    user = place.user()
    for model, wanted in ((None, "m-default"), ("small", "m-small"), ("large", "m-large"), ("default", "m-default")):
        user.agent(**({"model": model} if model else {})).answer("hi")
        assert asked(place)["model"] == wanted
    refused = user.post("/api/agents", {"name": "x", "model": "m-large"})
    assert refused.status == 422 and "default small large" in str(refused.body)


def test_templates_choose(place):
    """A template's model, and those that it allows; PATCH asks the template too."""
    user = place.user()
    user.agent(template="fixed").answer("hi")
    assert asked(place)["model"] == "m-small"
    agent = user.agent(template="fixed", model="large")
    agent.answer("hi")
    assert asked(place)["model"] == "m-large"
    for template, names in (("fixed", "small large"), ("bound", "small")):
        refused = user.post("/api/agents", {"name": "x", "template": template, "model": "default"})
        assert refused.status == 422 and refused.json["detail"].endswith(f"none of: {names}"), str(refused.body)
    assert user.http("PATCH", agent.path, {"model": "default"}).status == 422
    assert user.http("PATCH", agent.path, {"model": "small"}).json["model"] == "small"
    agent.answer("hi")
    assert asked(place)["model"] == "m-small"


def test_a_change_of_the_model(place):
    """What one model thought is not shown to another; what was said is. Back at the first, all of it goes as it was."""
    agent = place.user().agent(model="large")
    agent.answer("think")
    agent.answer("again")
    own = asked(place)["messages"][1]["content"]
    assert own[0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    agent.user.http("PATCH", agent.path, {"model": "small"})
    agent.answer("other")
    messages = asked(place)["messages"]
    assert messages[1]["content"] == [{"type": "text", "text": "thought"}] and len(messages) == 5
    agent.user.http("PATCH", agent.path, {"model": "large"})
    agent.answer("back")
    messages = asked(place)["messages"]
    assert messages[1]["content"] == own and text_of(messages[5]["content"]) == "ok"
    said = [m.get("by") for m in agent.history() if m["role"] == "assistant"]
    assert said == ["anthropic:m-large"] * 2 + ["anthropic:m-small", "anthropic:m-large"]


def test_a_model_that_is_gone(stack_factory):
    """An agent whose model was taken out of the configuration says so, and lives on with another."""
    stack = stack_factory(workers=1, models={"old": {"id": "m-old"}})
    agent = stack.user().agent(model="old")
    agent.answer("hi")
    stack.models = {}
    stack.write_conf()
    stack.restart_pool()
    error = next(f.json for f in agent.ask("hi") if f.kind == "error")
    assert error["type"] == "model_unknown" and "[model old]" in error["message"]
    assert agent.user.http("PATCH", agent.path, {"model": "default"}).status == 200
    assert agent.answer("two") == "echo: two"


def test_images_and_documents(place):
    """What the agent's model does not take is a 422 before the turn; in a history it gives way to a text."""
    user = place.user()
    agent = user.agent(model="large")
    agent.answer([TEXT, IMAGE, PDF])
    assert [b["type"] for b in asked(place)["messages"][0]["content"]] == ["text", "image", "document"]
    for block, what in ((IMAGE, "takes no images"), (PDF, "takes no documents")):
        other = user.agent(model="small")
        refused = user.post(f"{other.path}/messages", {"message": [TEXT, block]})
        assert refused.status == 422 and what in str(refused.body), str(refused.body)
        assert other.history() == []
    wrong = {"type": "image", "source": {**IMAGE["source"], "media_type": "image/tiff"}}
    assert user.post(f"{agent.path}/messages", {"message": [wrong]}).status == 422
    user.http("PATCH", agent.path, {"model": "small"})
    agent.answer("and now")
    assert [b["type"] for b in asked(place)["messages"][0]["content"]] == ["text"] * 3
    assert "cannot see" in str(asked(place)["messages"][0])


def test_cost(place):
    """token_usage and GET /api/usage have what calls cost, by kind of token, at the prices of the model."""
    user = place.user()
    agent = user.agent(model="large")
    usage = next(f.json for f in agent.ask("cost") if f.kind == "token_usage")
    assert (usage["input"], usage["output"], usage["cached"], usage["cacheWrite"]) == (3500, 300, 2000, 500)
    cost = (1000 * 3 + 2000 * 0.3 + 500 * 3.75 + 300 * 15) / 1e6
    assert abs(usage["cost"] - cost) < 1e-9
    user.agent(model="small").ask("cost")
    used = user.get("/api/usage").json
    assert used["today"] == used["month"] and used["today"]["calls"] == 2 and used["today"]["input"] == 7000
    models = used["days"][0]["models"]
    assert abs(models["large"]["cost"] - cost) < 1e-9 and abs(models["small"]["cost"] - (3500 + 600) / 1e6) < 1e-9
    assert abs(used["today"]["cost"] - models["large"]["cost"] - models["small"]["cost"]) < 1e-9
    assert place.user().get("/api/usage").json["today"]["calls"] == 0
    assert user.get("/api/usage?days=0").status == 400


def test_cost_of_what_is_resumed(stack_factory):
    """Workers that are killed in the middle lose and double no count: one for each answer that was kept."""
    stack = stack_factory(workers=2, scenarios=[{"match": "", "steps": [{"text": "one two three four", "pace_ms": 15, "by": "word"}]}])
    user = stack.user()
    agents = [user.agent() for _ in range(6)]
    for n in range(4):
        for agent in agents:
            agent.say(f"message {n}")
        stack.kill_workers()
    wait_for(lambda: not any(a.info()["busy"] for a in agents), 30, "turns still run")
    counted = sum(f["kind"] == "token_usage" for a in agents for f in a.page()["events"])
    assert user.get("/api/usage").json["today"]["calls"] == counted == sum(m["role"] == "assistant" for a in agents for m in a.history())


def test_no_price(place):
    """Without prices no cost is shown."""
    usage = next(f.json for f in place.user().agent().ask("cost") if f.kind == "token_usage")
    assert "cost" not in usage


@pytest.mark.parametrize("models,says", [
    ({"a": {"provider": "nobody"}}, 'there is no provider "nobody"'),
    ({"a": {"provider": "openai"}}, "OPENAI_API_KEY"),
    ({"a": {"fallback": "b"}}, '"b" is no other model'),
    ({"a": {"members": "[1]"}}, "must be a JSON object"),
    ({"a": {"members": '{"stream":false}'}}, "requests have it anyway"),
    ({"a": {"provider": "mine"}, "provider mine": {"like": "script"}}, "no built-in provider"),
    ({"a": {"provider": "mine"}, "provider mine": {"url": "http://x", "quirks": "odd"}}, 'no quirk "odd"'),
    ({"a": {"url": "ftp://x"}}, "must begin with"),
])
def test_mistakes(stack_factory, models, says):
    """agent-fpm -t names the section and what to write."""
    stack = stack_factory(start=False, models=models, env={"OPENAI_API_KEY": ""})
    said = stack.check_conf()
    assert said.returncode == 78 and says in said.stderr, said


# ---- a model that fails ----

def dead_port():
    return f"http://127.0.0.1:{free_ports(1)[0]}"


def kinds(frames):
    return [f.kind for f in frames]


def test_fallback(stack_factory):
    """A model that fails before anything was shown gives way to the next, with the whole conversation, and an event says so."""
    stack = stack_factory(workers=1, scenarios=[{"match": "^boom$", "steps": [{"status": 500}]}, *SCENARIOS], models={
        "dead": {"url": dead_port(), "retries": "0", "fallback": "poor second", "id": "m-dead"},
        "poor": {"url": dead_port(), "retries": "0"},
        "second": {"id": "m-second", "retries": "0"},
    })
    user = stack.user()
    agent = user.agent(model="second")
    agent.answer("one")
    user.http("PATCH", agent.path, {"model": "dead"})
    frames = agent.ask("two")
    falls = [f.json for f in frames if f.kind == "model_fallback"]
    assert [(f["from"], f["to"], f["class"]) for f in falls] == [("dead", "poor", "network"), ("poor", "second", "network")]
    body = asked(stack)
    assert body["model"] == "m-second" and [text_of(m["content"]) for m in body["messages"]] == ["one", "ok", "two"]
    assert [m.get("by") for m in agent.history() if m["role"] == "assistant"] == ["anthropic:m-second"] * 2
    # When the last one fails too, the turn does.
    frames = agent.ask("boom")
    error = next(f.json for f in frames if f.kind == "error")
    assert error["class"] == "server" and kinds(frames).count("model_fallback") == 2
    assert agent.answer("three") == "ok"


def test_fallback_among_tools(stack_factory):
    """The next model gets the calls and results that the first one has made."""
    stack = stack_factory(workers=1, scenarios=[
        {"match": "^list$", "round": 1, "steps": [{"status": 500, "times": 1}, {"text": "done"}]},
        {"match": "^list$", "steps": [{"call": "todo_read", "input": {}}]},
        *SCENARIOS], models={
        "first": {"retries": "0", "fallback": "second", "id": "m-first", "max_tokens": "100"}, "second": {"id": "m-second"}})
    agent = stack.user().agent(model="first")
    frames = agent.ask("list")
    assert "model_fallback" in kinds(frames) and frames[-1].json["reason"] == "completed"
    assert [m["role"] for m in asked(stack)["messages"]] == ["user", "assistant", "user"] and asked(stack)["model"] == "m-second"


def test_breaker(stack_factory):
    """A provider that fails again and again is not asked for a while, by no worker; then one call finds out."""
    stack = stack_factory(workers=2, models={"m": {"url": dead_port(), "retries": "0", "breaker_failures": "3", "breaker_time": "1s"}})
    agents = [stack.user().agent(model="m") for _ in range(12)]
    errors = [next(f.json for f in a.ask("hi") if f.kind == "error") for a in agents]
    assert [e["type"] for e in errors[:3]] == ["network"] * 3 and [e["type"] for e in errors[3:]] == ["circuit_open"] * 9
    assert "3 times in a row" in errors[-1]["message"] and errors[-1]["class"] == "overload"
    wait_for(lambda: next(f.json for f in agents[0].ask("again") if f.kind == "error")["type"] == "network", 20, "never asked again")


def test_a_fallback_is_for_its_turn(stack_factory):
    """The next turn asks the agent's own model again, also when its message waited already."""
    stack = stack_factory(workers=1, scenarios=[{"match": "^one$", "steps": [{"status": 500, "times": 1}, {"wait_ms": 300}, {"text": "ok"}]}, *SCENARIOS],
                          models={"own": {"id": "m-own", "retries": "0", "fallback": "second"}, "second": {"id": "m-second"}})
    agent = stack.user().agent(model="own")
    agent.say("one")
    agent.say("two")
    with agent.events("0-0") as stream:
        stream.until("done", 2)
    assert [r.body["model"] for r in stack.model.requests] == ["m-own", "m-second", "m-own"]


def test_an_unknown_model_for_summaries(stack_factory):
    """compact.model is the name of a section: another is said at the start, not found out by a turn."""
    said = stack_factory(start=False, conf={"compact.model": "claude-haiku-4-5"}).check_conf()
    assert said.returncode == 78 and "[model claude-haiku-4-5]" in said.stderr


def test_a_refusal_behind_results(stack_factory):
    """What the provider refuses behind results of tools leaves calls and results together: the next turn is valid."""
    stack = stack_factory(workers=1, scenarios=[
        {"match": "^list$", "round": 1, "steps": [{"status": 400, "times": 1}, {"text": "late"}]},
        {"match": "^list$", "steps": [{"call": "todo_read", "input": {}}]}, *SCENARIOS])
    agent = stack.user().agent(tools=["todo_read"])
    frames = agent.ask("list")
    assert next(f.json for f in frames if f.kind == "error")["class"] == "invalid_request"
    assert agent.answer("go on") == "ok"
    assert [m["role"] for m in asked(stack)["messages"]][:3] == ["user", "assistant", "user"]
