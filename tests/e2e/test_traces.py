# SPDX-License-Identifier: MIT
"""Traces for a collector of OpenTelemetry: what the spans are, how they hang together, and that nobody waits for it."""

import os
import signal
import subprocess

import pytest

from collector import Collector
from promlint import lint
from test_trace_context import Place, ask, parent
from waiting import BINARY, free_ports, wait_for

INTERNAL, SERVER, CLIENT = 1, 2, 3


@pytest.fixture(scope="module")
def collector():
    made = Collector()
    yield made
    made.close()
    assert made.problems == []


@pytest.fixture(scope="module")
def place(collector, tmp_path_factory):
    headers = tmp_path_factory.mktemp("otlp") / "headers"
    headers.write_text("X-Api-Key: a key\nX-Team: agents\n")
    os.chmod(headers, 0o644)
    made = Place({"otlp.url": collector.url, "otlp.delay": "20ms", "otlp.service_name": "my agents", "otlp.headers_file": str(headers)})
    yield made
    made.close()


def spans_of(collector, given, turns=1):
    """Spans of a trace by their operation, when the turns' own are there: they end last."""
    trace = given.split("-")[1]
    wait_for(lambda: len([s for s in collector.of(trace) if s.name.startswith("invoke_agent")]) == turns,
             what=lambda: f"{collector.of(trace)}")
    found = {}
    for span in collector.of(trace):
        found.setdefault(span.attributes.get("gen_ai.operation.name", "request"), []).append(span)
    return found


def test_a_turn_with_a_tool(place, collector):
    given = parent()
    agent = place.stack.user("ann").agent(template="site", name="Ada the first")
    place.parents()
    frames = ask(agent, "look", given)
    spans = spans_of(collector, given)
    (request,), (turn,), (tool,), chats = spans["request"], spans["invoke_agent"], spans["execute_tool"], sorted(spans["chat"], key=lambda s: s.begin)
    assert request.parent == given.split("-")[2]
    assert (request.name, request.kind) == ("POST /api/agents/:id/chat", SERVER)
    assert turn.parent == request.id
    assert [s.parent for s in (tool, *chats)] == [turn.id] * 3
    assert (turn.name, turn.kind, tool.name, tool.kind) == ("invoke_agent Ada the first", INTERNAL, "execute_tool look", INTERNAL)
    assert [(c.name, c.kind) for c in chats] == [("chat claude-sonnet-4-6", CLIENT)] * 2
    for s in (turn, tool, *chats):
        assert s["gen_ai.agent.id"] == s["gen_ai.conversation.id"] == agent.id
        assert s["agent_fpm.turn.id"] == frames[-1]["turn"] and not s.failed
    assert turn["gen_ai.agent.name"] == "Ada the first" and turn["agent_fpm.turn.reason"] == "completed" and turn["agent_fpm.turn.steps"] == 2
    usage = [f for f in frames if f.kind == "token_usage"]
    for chat, said in zip(chats, usage):
        assert (chat["gen_ai.provider.name"], chat["gen_ai.request.model"]) == ("anthropic", "claude-sonnet-4-6")
        assert chat["gen_ai.response.model"] == said["model"]
        assert (chat["gen_ai.usage.input_tokens"], chat["gen_ai.usage.output_tokens"]) == (said["input"], said["output"])
        assert (chat["server.address"], chat["server.port"]) == ("127.0.0.1", int(place.stack.model.url.rsplit(":", 1)[1].strip("/").split("/")[0]))
    assert [c["gen_ai.response.finish_reasons"] for c in chats] == [["tool_call"], ["stop"]]
    assert turn["gen_ai.usage.output_tokens"] == sum(u["output"] for u in usage)
    assert (tool["gen_ai.tool.name"], tool["gen_ai.tool.type"]) == ("look", "function")
    assert tool["gen_ai.tool.call.id"] == next(f for f in frames if f.kind == "tool:start")["call"]["id"]
    assert turn.begin <= chats[0].begin and chats[-1].end <= turn.end
    # What was told to others names the span that asked.
    model, hooks = place.parents()
    trace = given.split("-")[1]
    assert model == [f"00-{trace}-{c.id}-01" for c in chats]
    assert [t for p, t in hooks if p == "/look"] == [f"00-{trace}-{tool.id}-01"]
    assert {t for p, t in hooks if p == "/hook"} == {f"00-{trace}-{turn.id}-01"}
    text = str(collector.of(trace))
    assert "ann" not in text.replace("channel", "") and "the results" not in text
    assert collector.headers[-1]["X-Api-Key"] == "a key" and collector.headers[-1]["X-Team"] == "agents"
    assert collector.resources[-1]["service.name"] == "my agents"


def test_a_sub_agent_is_within_its_tool_call(place, collector):
    given = parent()
    ask(place.stack.user().agent(template="boss"), "delegate", given)
    spans = spans_of(collector, given, turns=3)  # the boss's was parked once
    tool, = spans["execute_tool"]
    child, = [s for s in spans["invoke_agent"] if s.parent == tool.id]
    boss = [s for s in spans["invoke_agent"] if s is not child]
    assert sorted(s["agent_fpm.turn.reason"] for s in boss) == ["completed", "parked"]
    assert len({s.parent for s in boss}) == 1 and child["gen_ai.agent.id"] != boss[0]["gen_ai.agent.id"]


def test_a_failure(place, collector):
    given = parent()
    ask(place.stack.user().agent(), "boom", given)
    spans = spans_of(collector, given)
    assert spans["chat"][0].failed and spans["chat"][0]["error.type"] == "invalid_request"
    assert spans["invoke_agent"][0].failed and spans["invoke_agent"][0]["error.type"] == "invalid_request"


def test_interrupted(place, collector):
    given, agent = parent(), place.stack.user().agent()
    with agent.user.sse("POST", f"{agent.path}/chat", {"message": "slow 1000"}, headers={"traceparent": given}) as stream:
        stream.until("text_chunk")
        agent.interrupt()
        stream.until("done")
    spans = spans_of(collector, given)
    assert spans["invoke_agent"][0]["agent_fpm.turn.reason"] == "interrupted" and not spans["invoke_agent"][0].failed
    assert spans["chat"][0]["agent_fpm.outcome"] == "cancelled" and not spans["chat"][0].failed


def test_not_sampled_by_the_caller(place, collector):
    given = parent("00")
    place.parents()
    agent = place.stack.user().agent()
    ask(agent, "no trace", given)
    other = parent()
    ask(agent, "a trace", other)
    spans_of(collector, other)
    assert collector.of(given.split("-")[1]) == []
    assert place.parents()[0][0] == given  # and it goes on as it came


def test_one_begins_here(place, collector):
    place.parents()
    agent = place.stack.user().agent()
    agent.ask("hello")
    wait_for(lambda: [s for s in list(collector.spans) if s.name.startswith("invoke_agent") and s["gen_ai.agent.id"] == agent.id])
    turn, = [s for s in list(collector.spans) if s.name.startswith("invoke_agent") and s["gen_ai.agent.id"] == agent.id]
    request, = [s for s in collector.of(turn.trace) if s.kind == SERVER]
    assert request.parent is None and turn.parent == request.id
    assert place.parents()[0][0].split("-")[1] == turn.trace


def test_whoever_takes_it_up_goes_on(place, collector):
    given, agent = parent(), place.stack.user().agent()
    with agent.follow() as view:
        agent.post_message("slow 40", headers={"traceparent": given})
        view.has("w3 ")
        os.kill(agent.holder(), signal.SIGKILL)
        view.wait(turns=1)
    spans = spans_of(collector, given)
    request, = spans["request"]
    assert spans["invoke_agent"][0].parent == request.id
    wait_for(lambda: len(place.stack.workers()) == 2)


def counted(stack, outcome):
    said, families = lint(stack.http("GET", "/metrics").body.decode())
    assert said == []
    return families["agent_fpm_trace_spans_total"].value(outcome=outcome)


def test_sample(stack_factory, collector):
    before = len(collector.spans)
    stack = stack_factory(workers=1, conf={"otlp.url": collector.url, "otlp.delay": "20ms", "otlp.sample": "0"})
    agent = stack.user().agent()
    for _ in range(5):
        agent.ask("hello")
    given = parent()
    ask(agent, "hello", given)  # says it itself
    spans_of(collector, given)
    assert {s.trace for s in collector.spans[before:]} == {given.split("-")[1]}
    assert counted(stack, "sent") == 3


def test_a_collector_that_is_away(stack_factory):
    port, = free_ports(1)
    stack = stack_factory(workers=1, conf={"otlp.url": f"http://127.0.0.1:{port}/v1/traces", "otlp.delay": "20ms"})
    agent = stack.user().agent()
    assert agent.answer("hello") == "echo: hello"
    wait_for(lambda: "traces are not taken" in stack.log())
    late = Collector(port)
    try:
        wait_for(lambda: len(late.spans) >= 3)  # it was tried again
        wait_for(lambda: counted(stack, "sent") == len(late.spans))
        assert counted(stack, "dropped") == 0
        assert stack.log().count("traces are not taken") == 1 and "traces are taken again" in stack.log()
        late.status = 400
        agent.answer("more")
        wait_for(lambda: counted(stack, "dropped") == 3)
    finally:
        late.close()
    assert late.problems == []


def test_a_collector_that_hangs(stack_factory):
    slow = Collector()
    slow.hold.clear()
    stack = stack_factory(workers=1, conf={"otlp.url": slow.url, "otlp.delay": "10ms", "limits.turns_per_user": 0})
    user = stack.user()
    for _ in range(30):
        assert user.agent().answer("hello") == "echo: hello"
    assert slow.spans == []
    slow.hold.set()
    wait_for(lambda: len(slow.spans) == 90)
    assert len(slow.batches) < 20  # they went together
    slow.close()
    assert slow.problems == []


def test_the_last_are_sent(stack_factory):
    last = Collector()
    stack = stack_factory(workers=1, conf={"otlp.url": last.url, "otlp.delay": "1h"})
    stack.user().agent().answer("hello")
    assert last.spans == []
    stack.close()
    assert stack.problems == [] and len(last.spans) == 3
    last.close()
    assert last.problems == []


@pytest.mark.parametrize("conf,why", [
    ({"otlp.url": "127.0.0.1:4318"}, "otlp.url"),
    ({"otlp.url": "http://a/v1/traces", "otlp.headers_file": "HEADERS"}, "NAME: VALUE"),
    ({"otlp.sample": "1.5"}, "a ratio from 0 to 1"),
    ({"otlp.sample": ""}, "a ratio from 0 to 1"),
])
def test_bad_settings(stack_factory, conf, why):
    stack = stack_factory(start=False, workers=1)
    path = stack.write("headers", "no header\n")
    stack.conf |= {k: path if v == "HEADERS" else v for k, v in conf.items()}
    ran = subprocess.run([BINARY, "-c", stack.write_conf(), "-t"], env=stack.pool_env(), capture_output=True, text=True)
    assert ran.returncode == os.EX_CONFIG and why in ran.stderr, ran
