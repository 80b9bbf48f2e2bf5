# SPDX-License-Identifier: MIT
"""The slow log: a line for what took too long, whose parts add up and which has nobody's words in it."""

import json
import os
import subprocess
import threading

import pytest

from conftest import close
from promlint import lint
from stack import Stack
from test_tools import calls
from waiting import BINARY, wait_for
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"
TOOL_MS = 150
STATES = {"history", "connect", "hook", "model", "retry", "tools", "agents", "commit"}


@pytest.fixture(scope="module")
def stack():
    hooks = Webhooks(SECRET.encode())

    @hooks.on("/slow")
    def slow(*_):
        threading.Event().wait(TOOL_MS / 1000)
        return {"secret words": "of a tool"}

    @hooks.on("/quick")
    def quick(*_):
        return {}

    tools = [{"name": n, "description": n, "url": f"{hooks.url}/{n}", "inputSchema": {"type": "object"}} for n in ("slow", "quick")]
    scenarios = calls("^use slow$", {"call": "slow", "input": {"told": "private words"}}) + calls("^use quick$", {"call": "quick", "input": {}})
    scenarios.append({"match": "^slow ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 20, "by": "word"}]})
    made = Stack(scenarios=scenarios, env={"AGENT_FPM_TOOL_SECRET": SECRET},
                 conf={"tool.networks": "127.0.0.1", "slowlog.turn": "120ms", "slowlog.model": "120ms", "slowlog.tool": "120ms"},
                 templates={"site": {"httpTools": tools}}, start=False)
    made.conf["slowlog.file"] = made.path("slow.log")
    made.start_all()
    yield made
    close(made)
    hooks.close()
    assert not hooks.problems


def lines(stack, agent):
    try:
        with open(stack.path("slow.log"), encoding="utf-8") as f:
            return [one for one in map(json.loads, f) if one["agent"] == agent.id]
    except FileNotFoundError:
        return []


def awaited(stack, agent, count):
    wait_for(lambda: len(lines(stack, agent)) >= count)
    found = lines(stack, agent)
    assert len(found) == count, found
    return found


def test_a_slow_tool(stack):
    agent = stack.user().agent(template="site")
    frames = agent.ask("use slow")
    tool, turn = awaited(stack, agent, 2)
    assert (tool["slow"], tool["tool"], tool["state"], tool["step"]) == ("tool", "slow", "COMPLETED", 1)
    assert tool["totalMs"] >= TOOL_MS and tool["call"].startswith("call_")
    assert (turn["slow"], turn["reason"], turn["model"], turn["step"]) == ("turn", "completed", "default", 2)
    assert turn["turn"] == tool["turn"] == frames[-1]["turn"]
    assert set(turn["ms"]) == STATES
    assert turn["ms"]["tools"] >= TOOL_MS - 10
    assert abs(sum(turn["ms"].values()) - turn["totalMs"]) <= len(STATES)
    assert 0 <= turn["waitedMs"] < 5000 and turn["modelFirstByteMs"] <= turn["ms"]["model"] + 2
    assert turn["request"] == tool["request"] != ""
    assert turn["pid"] in stack.workers()
    text = open(stack.path("slow.log"), encoding="utf-8").read()
    assert "words" not in text and "use slow" not in text


def test_a_slow_model(stack):
    agent = stack.user().agent()
    agent.ask("slow 30")
    model, turn = awaited(stack, agent, 2)
    assert (model["slow"], model["model"], model["outcome"]) == ("model", "default", "ok")
    assert model["firstByteMs"] <= model["totalMs"] <= turn["totalMs"]
    assert model["output"] > 0 and model["providerRequest"]
    assert turn["ms"]["model"] >= model["totalMs"] - 2


def test_what_is_quick_has_no_line(stack):
    agent = stack.user().agent(template="site")
    for _ in range(3):
        agent.ask("use quick")
    other = stack.user().agent(template="site")
    other.ask("use slow")
    awaited(stack, other, 2)
    assert [one for one in lines(stack, agent) if one["totalMs"] < 120] == []


def test_each_turn_is_its_own(stack):
    """A message that waits behind a turn: what it waited, and its own times."""
    agent = stack.user().agent()
    first = agent.say("slow 30")
    second = agent.say("slow 31")
    found = [one for one in awaited(stack, agent, 4) if one["slow"] == "turn"]
    assert [one["turn"] for one in found] == [first["turn"], second["turn"]]
    assert found[1]["waitedMs"] >= found[0]["totalMs"] - 100
    assert found[0]["request"] and "request" not in found[1], "the first message's request did not ask for the second turn"
    for one in found:
        assert abs(sum(one["ms"].values()) - one["totalMs"]) <= len(STATES)


def test_interrupted(stack):
    agent = stack.user().agent()
    with agent.chat("slow 2000") as stream:
        stream.until("text_chunk", 10)
        agent.interrupt()
        stream.until("done")
    model, turn = awaited(stack, agent, 2)
    assert (model["outcome"], turn["reason"]) == ("cancelled", "interrupted")


def test_beside_the_log(stack_factory):
    stack = stack_factory(workers=1, conf={"slowlog.model": "1ms"})
    agent = stack.user().agent()
    agent.ask("slow 5")
    wait_for(lambda: '"slow":"model"' in stack.log())
    line = next(line for line in stack.log().splitlines() if '"slow"' in line)
    assert json.loads(line)["agent"] == agent.id
    said, families = lint(stack.http("GET", "/metrics").body.decode())
    assert said == [] and families["agent_fpm_slow_total"].value(what="model") >= 1
    assert families["agent_fpm_slow_total"].value(what="turn") == 0


def test_a_file_that_cannot_be(stack_factory):
    stack = stack_factory(start=False, workers=1, conf={"slowlog.file": "/nowhere/slow.log"})
    ran = subprocess.run([BINARY, "-c", stack.write_conf(), "-t"], env=stack.pool_env(), capture_output=True, text=True)
    assert ran.returncode == os.EX_CONFIG and "slowlog.file: /nowhere/slow.log" in ran.stderr
