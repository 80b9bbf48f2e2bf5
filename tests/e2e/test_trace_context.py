# SPDX-License-Identifier: MIT
"""W3C trace context: a turn, and whatever it asks, is part of the trace of the request that brought its message."""

import os
import secrets
import signal

import pytest

from conftest import close
from mcp_server import Service
from stack import Stack
from test_tools import calls
from waiting import wait_for
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"


class Place:
    def __init__(self, conf=None):
        self.hooks, self.mcp = Webhooks(SECRET.encode()), Service("json", {})
        self.hooks.on("/look")(lambda *_: {"seen": True})
        self.hooks.on("/hook")(lambda *_: {})
        tool = {"name": "look", "description": "looks", "url": f"{self.hooks.url}/look", "inputSchema": {"type": "object"}}
        hooks = {name: {"url": f"{self.hooks.url}/hook", "timeout": 5} for name in ("preTool", "postTool", "preModel")}
        task = {"call": "task_run", "input": {"description": "a child", "prompt": "child"}}
        scenarios = calls("^look$", {"call": "look", "input": {}}) + calls("^add$", {"call": "mcp__test__add", "input": {"a": 1, "b": 2}}) \
            + calls("^delegate$", task) + [{"match": "^slow ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 50, "by": "word"}]},
                                           {"match": "^boom$", "steps": [{"status": 400}]}]
        self.stack = Stack(workers=2, scenarios=scenarios, env={"AGENT_FPM_TOOL_SECRET": SECRET},
                           conf={"tool.networks": "127.0.0.1", "model.retries": 0, **(conf or {})},
                           templates={"site": {"httpTools": [tool], "hooks": hooks}, "mcp": {"mcp": [{"name": "test", "url": self.mcp.url}]},
                                      "boss": {"tools": ["task_run"]}})

    def close(self):
        close(self.stack)
        self.hooks.close()
        self.mcp.close()
        assert not self.hooks.problems

    def parents(self):
        """What models, tools and hooks were told since the last time, in the order of each."""
        model = [r.headers.get("traceparent") for r in self.stack.model.requests]
        hooks = [(r["path"], {k.lower(): v for k, v in r["headers"].items()}.get("traceparent")) for r in self.hooks.requests]
        self.stack.model.requests.clear()
        self.hooks.requests.clear()
        return model, hooks


@pytest.fixture(scope="module")
def place():
    made = Place()
    yield made
    made.close()


def parent(flags="01"):
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-{flags}"


def ask(agent, message, traceparent, **more):
    with agent.user.sse("POST", f"{agent.path}/chat", {"message": message, **more}, headers={"traceparent": traceparent}) as stream:
        assert stream.status == 200
        return stream.rest()


def test_to_model_tools_and_hooks(place):
    place.parents()
    given = parent()
    ask(place.stack.user().agent(template="site"), "look", given)
    model, hooks = place.parents()
    assert model == [given, given]
    assert len(hooks) == 5 and {p for p, _ in hooks} == {"/look", "/hook"} and {t for _, t in hooks} == {given}


def test_to_mcp(place):
    given = parent("00")
    ask(place.stack.user().agent(template="mcp"), "add", given)
    sent = [m for m, _ in place.mcp.requests if m and m.get("method") == "tools/call"]
    assert sent[-1]["params"]["_meta"]["traceparent"] == given
    assert "progressToken" in sent[-1]["params"]["_meta"]


def test_to_sub_agents(place):
    place.parents()
    given = parent()
    ask(place.stack.user().agent(template="boss"), "delegate", given)
    model, _ = place.parents()
    assert model == [given] * 3


def test_none(place):
    place.parents()
    agent = place.stack.user().agent(template="site")
    agent.ask("look")
    for bad in ("", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", parent() + "-more", parent().upper(), "x" * 55):
        ask(agent, "look", bad)
    model, hooks = place.parents()
    assert set(model) == {None} and {t for _, t in hooks} == {None}
    # Of a later version what is known of it.
    later = parent()
    ask(agent, "look", "cc" + later[2:] + "-more")
    assert place.parents()[0] == [later, later]


def test_each_message_has_its_own(place):
    """A message that waits, and the one after it without any."""
    place.parents()
    agent, first, second = place.stack.user().agent(), parent(), parent()
    for message, headers in (("slow 5", {"traceparent": first}), ("one", {"traceparent": second}), ("two", {})):
        assert agent.post_message(message, headers=headers).status == 202
    agent.wait_idle()
    assert place.parents()[0] == [first, second, None]


def test_whoever_takes_it_up(place):
    place.parents()
    agent, given = place.stack.user().agent(), parent()
    with agent.follow() as view:
        agent.post_message("slow 40", headers={"traceparent": given})
        view.has("w3 ")
        os.kill(agent.holder(), signal.SIGKILL)
        view.wait(turns=1)
    model, _ = place.parents()
    assert len(model) == 2 and set(model) == {given}
    wait_for(lambda: len(place.stack.workers()) == 2)
