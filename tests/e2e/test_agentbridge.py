# SPDX-License-Identifier: MIT
"""Pages at the gateway, by Debian's python3-websockets: who is let in and how connections end, both dialects of AgentBridge, commands
and their answers, what agents may ask by WebSocket, every bound."""

import contextlib
import json
import re
import signal
import subprocess
import time

import pytest
from agentbridge import Page
from engine import WebSocket, joined
from fake_gateway import NEVER, Refused, function
from promlint import lint
from stack import Stack, kill, wait_for
from test_agentbridge_http import Waiting, is_error
from test_bridge_sessions import npm  # noqa: F401
from test_tools import calls, results
from waiting import scaled
from websockets import ConnectionClosed

ADD = function("add", "Adds two numbers.", {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}})
ADD_B2 = {"name": "add", "description": "Adds.", "parameters": {"_def": {"typeName": "ZodObject"}}, "authLevel": "public", "tags": []}
CART_B2 = {"id": "cart", "description": "What is bought.", "componentType": "list", "properties": {"n": 1},
           "actions": {"clear": {"description": "Empties it."}, "sort": {"description": "Sorts it."}}, "authLevel": "user", "tags": ["shop"], "path": "/cart"}
CART = {"type": "component", "id": "cart", "componentType": "list", "properties": {}, "actions": ["clear"]}
COMMAND = {"target": "add", "action": "call", "parameters": {"a": 1, "b": 2}}


SCENARIOS = [*calls("^add$", {"call": "client__add", "input": {"a": 1, "b": 2}}), *calls("^slow$", {"call": "client__slow", "input": {}})]


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, bridges=2, scenarios=SCENARIOS, conf={"page.timeout": "2s", "bridge.page_commands": "4", "bridge.page_capabilities": "5", "bridge.page_bytes": "4k"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture
def user(stack):
    return stack.user()


def b2(functions=(), components=()):
    return {"functions": list(functions), "components": list(components)}


def shown(user, page):
    """What the API says that a page can do, or None."""
    return user.get("/api/capabilities").json.get(page.id)


def becomes(user, page, capabilities):
    wait_for(lambda: shown(user, page) == capabilities, 10, lambda: f"it can do {shown(user, page)}")


def command(user, page, what=None, query=""):
    """POST /api/command."""
    return user.post(f"/api/command{query}", {"clientId": page if isinstance(page, str) else page.id, "command": what or COMMAND})


# ---- connections

def test_no_token(stack):
    """Accepted, and closed, with no message before."""
    for path in ("/ws", "/agent-bridge", "/ws?token=", "/agent-bridge?x=1"):
        with WebSocket(stack, path) as ws:
            assert ws.status == 101 and "sec-websocket-extensions" not in ws.headers and "sec-websocket-protocol" not in ws.headers
            assert ws.frame() == (0x88, (4001).to_bytes(2, "big") + b"Authentication required")
    page = Page(stack)
    assert page.wait_closed() == (4001, "Authentication required") and page.got == []


def test_bad_tokens(stack):
    expired = stack.token("ann", exp=1)
    for query, headers in ((f"?token={expired}", {}), ("?token=nonsense", {}), ("?token=a%20b", {}), ("?token=" + "x" * 7000, {}),
                           ("?ticket=nonsense", {}), ("?ticket=%26x", {}), ("", {"Authorization": "Bearer nonsense"}), ("", {"Authorization": "Basic x"}),
                           (f"?token={expired}", {"Authorization": f"Bearer {stack.user().token}"})):
        page = Page(stack, query=query, headers=headers)
        assert page.wait_closed() == (4003, "Invalid token") and page.got == [], query


def test_ways_in(stack):
    """A token in the query or the header, with or without its scheme; a ticket, once."""
    user = stack.user()
    for path in ("/ws", "/agent-bridge"):
        for query, headers in ((f"?token={user.token}", {}), ("", {"Authorization": f"Bearer {user.token}"}), ("", {"Authorization": user.token}),
                               (f"?ticket={user.post('/api/tickets').json['ticket']}", {})):
            with Page(stack, user, [ADD], query=query, headers=headers, path=path) as page:
                assert page.got[0] == {"type": "connection", "clientId": page.id}
                assert user.get("/api/capabilities").json[page.id] == [ADD]
    ticket = user.post("/api/tickets").json["ticket"]
    with Page(stack, query=f"?ticket={ticket}"):
        assert Page(stack, query=f"?ticket={ticket}").wait_closed() == (4003, "Invalid token")


# ---- commands

def test_command(stack):
    """The page gets it with the gateway's id, and what it says is the answer."""
    user = stack.user()
    with Page(stack, user, [ADD, CART], lambda c: {"n": c["parameters"]["a"] + c["parameters"]["b"]}) as page:
        got = command(user, page)
        assert (got.status, got.body) == (200, b'{"n":3}')
        asked, = page.commands
        assert list(asked) == ["type", "requestId", "target", "action", "parameters", "id", "timestamp"]
        assert asked["id"] == asked["requestId"] and len(asked["id"]) == 36 and isinstance(asked["timestamp"], int)
        assert {k: asked[k] for k in COMMAND} == COMMAND


def test_what_the_caller_calls_it(stack, user):
    """Its type and request id do not count; its id and timestamp go along, and an answer to that id is one."""
    with Page(stack, user, [ADD]) as page:
        waits = Waiting(user, page, {**COMMAND, "type": "x", "requestId": "mine", "id": "cmd-1", "timestamp": 7})
        asked = page.wait_command()
        assert asked["type"] == "command" and asked["requestId"] != "mine" and (asked["id"], asked["timestamp"]) == ("cmd-1", 7)
        page.say({"type": "response", "requestId": "mine", "status": "success", "result": 1})
        page.say({"type": "response", "requestId": "cmd-1", "status": "success", "result": 2})
        assert waits.answer().json == 2


@pytest.mark.parametrize("dialect", ["B1", "B2"])
@pytest.mark.parametrize("result", [{"n": 1}, "s", None, 0, False, [1, [2]], "\u20ac \U0001f600 \" \\"])
def test_results(stack, user, dialect, result):
    """Are the body, whatever they are."""
    with Page(stack, user, [ADD] if dialect == "B1" else b2([ADD_B2]), lambda _: result, dialect) as page:
        got = command(user, page)
        assert (got.status, got.json) == (200, result)


def test_no_result_is_null(stack, user):
    with Page(stack, user, [ADD]) as page:
        waits = Waiting(user, page)
        page.say({"type": "response", "requestId": page.wait_command()["requestId"], "status": "success"})
        assert waits.answer().body == b"null"


@pytest.mark.parametrize("dialect", ["B1", "B2"])
@pytest.mark.parametrize("code,message,said", [("X", "no such thing", "no such thing"), (None, None, "Command failed"), ("TIMEOUT", "its own", "its own")])
def test_errors(stack, user, dialect, code, message, said):
    """Of the page's: its message, and its code if that is asked for and none of ours."""
    def refuse(_):
        raise Refused(code, message)

    with Page(stack, user, [ADD] if dialect == "B1" else b2([ADD_B2]), refuse, dialect) as page:
        is_error(command(user, page), 500, error="Command failed", message=said)
        more = {"code": code} if code == "X" else {}
        is_error(command(user, page, query="?code=true"), 500, error="Command failed", message=said, **more)


@pytest.mark.parametrize("says", [{"status": "error", "error": "in words"}, {"status": "error", "error": {"code": 7, "message": "in words"}},
                                  {"status": 1, "error": {"message": "in words"}}])
def test_errors_in_other_forms(stack, user, says):
    with Page(stack, user, [ADD]) as page:
        waits = Waiting(user, page)
        page.say({"type": "response", "requestId": page.wait_command()["requestId"], **says})
        is_error(waits.answer(), 500, error="Command failed", message="in words")


@pytest.mark.parametrize("dialect", ["B1", "B2"])
def test_timeout(stack, user, dialect):
    """After page.timeout; what comes later is nobody's, and the next command is answered."""
    with Page(stack, user, [ADD] if dialect == "B1" else b2([ADD_B2]), lambda _: NEVER, dialect) as page:
        is_error(command(user, page), 500, error="Command failed", message="Request timed out")
        page.say(page.result(page.commands[0], "late"))
        page.answer = lambda _: "in time"
        assert command(user, page).json == "in time"


def test_without_waiting(stack, user):
    with Page(stack, user, [ADD], lambda _: 1) as page:
        assert command(user, page, query="?wait=false").json == {"success": True, "message": "Command sent to client"}
        page.wait_command()


def test_answers_of_others(stack, user):
    """Only the page that was asked can answer, be it another of the same user's."""
    with Page(stack, user, [ADD]) as page, Page(stack, user, [ADD]) as other, Page(stack, stack.user(), [ADD]) as stranger:
        waits = Waiting(user, page)
        asked = page.wait_command()
        for one in (other, stranger):
            one.say(one.result(asked, "forged"))
            one.say({"type": "query_capabilities", "id": "q"}).wait("capabilities_result")  # it was heard
        page.say(page.result(asked, "mine"))
        assert waits.answer().json == "mine"


def test_pages_of_others(stack, user):
    """Are not listed, and not found."""
    with Page(stack, stack.user(), [ADD]) as page:
        assert user.get("/api/capabilities").json == {}
        is_error(command(user, page), 404, error="Client not found")
        assert page.commands == []


@pytest.mark.parametrize("how", ["close", "abort", "disconnect"])
def test_the_page_goes(stack, user, how):
    """In the middle: the command fails at once, and the page is not there any more."""
    page = Page(stack, user, [ADD]).ready()
    waits = Waiting(user, page)
    page.wait_command()
    started = time.monotonic()
    if how == "disconnect":
        page.say({"type": "session", "action": "disconnect", "id": "1"})
        assert page.wait_closed()[0] == 1000
    else:
        getattr(page, how)()
    is_error(waits.answer(), 500, error="Command failed", message="Client disconnected")
    assert time.monotonic() - started < 2
    is_error(command(user, page), 404, error="Client not found")
    assert user.get("/api/capabilities").json == {}


def test_too_many_commands(stack, user):
    """bridge.page_commands wait for a page; one more is not sent."""
    with Page(stack, user, [ADD]) as page:
        waits = [Waiting(user, page, {**COMMAND, "parameters": {"n": n}}) for n in range(4)]
        page.wait_command(4)
        got = command(user, page, query="?code=true")
        assert (got.status, got.json["error"], got.json["code"]) == (500, "Failed to send command", "SEND_FAILED") and "page_commands" in got.json["message"]
        for asked in reversed(page.commands):
            page.say(page.result(asked, asked["parameters"]["n"]))
        assert [w.answer().json for w in waits] == [0, 1, 2, 3]


# ---- dialect B2

def test_b2_functions(stack, user):
    """A target that is a function, or any that is called; a command that is theirs already."""
    with Page(stack, user, b2([ADD_B2], [CART_B2]), lambda c: c, "B2") as page:
        got = command(user, page).json
        assert got == {"type": "call_function", "id": got["id"], "timestamp": got["timestamp"], "name": "add", "parameters": {"a": 1, "b": 2}}
        assert len(got["id"]) == 36 and got["timestamp"].endswith("Z")
        assert command(user, page, {"target": "other", "command": "call"}).json["name"] == "other"
        got = command(user, page, {"type": "call_function", "name": "add", "id": "mine", "parameters": {"x": 1}}).json
        assert (got["name"], got["parameters"]) == ("add", {"x": 1}) and got["id"] != "mine"
        assert command(user, page, {"action": "x"}).json == {"error": "Failed to send command", "message": "the command has no target"}


def test_b2_components(stack, user):
    """By the component's id, which is all that the answer says."""
    with Page(stack, user, b2([], [CART_B2]), lambda c: c, "B2") as page:
        got = command(user, page, {"target": "cart", "action": "clear", "parameters": {"a": 1}}).json
        assert got == {"type": "call_component_action", "id": "cart", "timestamp": got["timestamp"], "action": "clear", "parameters": {"a": 1}}
        for update in ({"target": "cart", "action": "update", "properties": {"n": 2}}, {"target": "cart", "command": "update", "parameters": {"n": 2}},
                       {"type": "update_component", "id": "cart", "properties": {"n": 2}}):
            got = command(user, page, update).json
            assert got == {"type": "update_component", "id": "cart", "timestamp": got["timestamp"], "properties": {"n": 2}}


def test_b2_one_component_at_a_time(stack, user):
    """An error does not say of what it is: so only one request of components is under way, and functions beside it."""
    with Page(stack, user, b2([ADD_B2], [CART_B2]), dialect="B2") as page:
        first = Waiting(user, page, {"target": "cart", "action": "clear"})
        page.wait_command()
        second = Waiting(user, page, {"target": "cart", "action": "sort"})
        third = Waiting(user, page)
        assert page.wait_command(2)["type"] == "call_function", "the second waits"
        page.say(page.result(page.commands[1], 5))
        assert third.answer().json == 5
        page.say({"type": "component_update_result", "correlationId": "cart", "success": True, "data": "another kind"})
        page.say({"type": "component_action_result", "correlationId": "other", "success": True, "data": "another component"})
        page.say({"type": "error", "id": "e", "sessionId": "s", "code": "ACTION_NOT_SUPPORTED", "message": "cannot clear"})
        is_error(first.answer(), 500, error="Command failed", message="cannot clear")
        assert page.wait_command(3)["action"] == "sort"
        page.say({"type": "component_action_result", "correlationId": "cart", "success": True, "data": "sorted"})
        assert second.answer().json == "sorted"
        page.say({"type": "error", "code": "X", "message": "of nothing"})
        page.answer = lambda _: 1
        assert command(user, page).json == 1


def test_b2_a_component_that_is_late(stack, user):
    """Makes room for the next one."""
    with Page(stack, user, b2([], [CART_B2]), dialect="B2") as page:
        first = Waiting(user, page, {"target": "cart", "action": "clear"})
        page.wait_command()
        is_error(first.answer(), 500, error="Command failed", message="Request timed out")
        second = Waiting(user, page, {"target": "cart", "action": "sort"})
        assert page.wait_command(2)["action"] == "sort"
        page.say({"type": "component_action_result", "correlationId": "cart", "success": True, "data": 2})
        assert second.answer().json == 2


# ---- what they can do

def test_capabilities_b1(stack, user):
    """Each message has all of it; none is none, and what is no object is left out."""
    with Page(stack, user, [ADD, CART]) as page:
        assert shown(user, page) == [ADD, CART]
        page.can([CART, 5, None, "x"])
        becomes(user, page, [CART])
        page.say({"type": "capability", "id": "m", "timestamp": 1})
        becomes(user, page, [])
        page.say({"type": "capability", "capabilities": "nonsense"})
        page.can([ADD])
        becomes(user, page, [ADD])


def test_capabilities_b2(stack, user):
    """In the form of B1; what is new is merged by name and id."""
    cart = {"type": "component", **{k: v for k, v in CART_B2.items() if k != "actions"}, "actions": ["clear", "sort"], "actionDetails": CART_B2["actions"]}
    with Page(stack, user, b2([ADD_B2], [CART_B2]), dialect="B2") as page:
        assert shown(user, page) == [{"type": "function", **ADD_B2}, cart]
        more = {"name": "sub", "parameters": {}}
        page.say({"type": "update_capabilities", "functions": [more, {**ADD_B2, "description": "new"}, {"parameters": {}}]})
        becomes(user, page, [{"type": "function", **ADD_B2, "description": "new"}, cart, {"type": "function", **more}])
        page.say({"type": "register_capabilities", "functions": [more]})
        becomes(user, page, [{"type": "function", **more}])


def test_too_many_capabilities(stack, user):
    """Count and bytes: the page is told, and what it said before counts."""
    with Page(stack, user, [ADD]) as page:
        for n, what in enumerate([[ADD] * 6, [function("big", "x" * 5000)]]):
            page.can(what)
            error = page.wait("error", n + 1)
            assert error["code"] == "TOO_MANY_CAPABILITIES" and error["id"] and error["timestamp"]
        assert shown(user, page) == [ADD]


def test_said_before_it_was_let_in(stack, user):
    """The SDK speaks as soon as it is connected."""
    with WebSocket(stack, f"/agent-bridge?token={user.token}") as ws:
        ws.send(json.dumps({"type": "register_capabilities", "functions": [ADD_B2]})).send(json.dumps({"type": "query_capabilities", "id": "q"}))
        client = json.loads(ws.text())["clientId"]
        assert json.loads(ws.text())["type"] == "capabilities_result"
        wait_for(lambda: user.get("/api/capabilities").json == {client: [{"type": "function", **ADD_B2}]}, 10, "it is not heard")


def test_what_means_nothing(stack, user):
    """Is ignored, and the connection stays."""
    with Page(stack, user, [ADD], lambda _: 1) as page:
        for text in ("", "no JSON", "{", "[]", "5", "null", '"x"', "{}", '{"type":5}', '{"type":"x"}', '{"type":"x","type":"y"}', '{"type":"a\\u0000"}',
                     "[" * 60 + "]" * 60, '{"type":"response"}', '{"type":"response","requestId":"unknown","status":"success"}', '{"type":"function_result"}',
                     '{"type":"error"}', '{"type":"session"}', '{"type":"session","action":"heartbeat","id":"h"}', '{"type":"session","action":"connect"}',
                     '{"type":"event","event":"click","source":"b","data":{}}', '{"type":"connection","clientId":"x"}', '{"type":"command"}', b"\xff\x00"):
            page.say(text)
        assert command(user, page).json == 1 and [m["type"] for m in page.got] == ["connection", "command"]
        page.say(json.dumps(page.saying([CART])).encode())  # bytes that are JSON
        becomes(user, page, [CART])


# ---- agents by WebSocket

def ask(agent, message, kind):
    before = len([m for m in agent.got if m["type"] == kind])
    return agent.say(message).wait(kind, before + 1)


def test_agents_see_what_pages_can_do(stack, user):
    """Those of the user, each with its page."""
    with Page(stack, user, b2([ADD_B2], [CART_B2]), dialect="B2") as page, Page(stack, stack.user(), [ADD]), Page(stack, user) as agent:
        got = ask(agent, {"type": "query_capabilities", "id": "q1", "sessionId": "s"}, "capabilities_result")
        assert got["correlationId"] == "q1" and got["sessionId"] == "s" and got["id"] != "q1" and got["timestamp"].endswith("Z")
        assert got["functions"] == [{**ADD_B2, "clientId": page.id}] and got["components"] == [{**CART_B2, "clientId": page.id}]


def test_agents_call(stack, user):
    """What the page says comes back with its id, whichever dialect it speaks."""
    with Page(stack, user, b2([ADD_B2], [CART_B2]), lambda c: c, "B2") as page, Page(stack, user) as agent:
        got = ask(agent, {"type": "call_function", "id": "c1", "clientId": page.id, "name": "add", "parameters": {"a": 1}}, "function_result")
        assert (got["correlationId"], got["clientId"], got["success"]) == ("c1", page.id, True)
        assert (got["data"]["name"], got["data"]["parameters"], got["data"]["agentId"]) == ("add", {"a": 1}, agent.id)
        got = ask(agent, {"type": "call_component_action", "id": "cart", "clientId": page.id, "action": "clear"}, "component_action_result")
        assert (got["correlationId"], got["data"]["id"], got["data"]["action"]) == ("cart", "cart", "clear")
        got = ask(agent, {"type": "update_component", "id": "u", "componentId": "cart", "clientId": page.id, "properties": {"n": 2}}, "component_update_result")
        assert (got["correlationId"], got["data"]["id"], got["data"]["properties"]) == ("u", "cart", {"n": 2})
    with Page(stack, user, [ADD], lambda c: {k: c.get(k) for k in ("target", "action", "parameters")}) as page, Page(stack, user) as agent:
        got = ask(agent, {"type": "call_function", "id": "c2", "clientId": page.id, "name": "add", "parameters": {"a": 1}}, "function_result")
        assert got["data"] == {"target": "add", "action": "call", "parameters": {"a": 1}}


def test_what_agents_are_told(stack, user):
    """Errors, of the page's with its code."""
    def refuse(_):
        raise Refused("FUNCTION_NOT_FOUND", "no such function")

    with Page(stack, user, b2([ADD_B2]), refuse, "B2") as page, Page(stack, user) as agent:
        call = {"type": "call_function", "id": "c", "name": "add", "parameters": {}}
        got = ask(agent, call, "error")
        assert (got["code"], got["message"]) == ("missing_client_id", "Command message is missing a target client ID")
        got = ask(agent, {**call, "clientId": "X"}, "error")
        assert (got["code"], got["message"], got["correlationId"]) == ("client_not_found", "Client X not found", "c")
        got = ask(agent, {**call, "clientId": page.id}, "function_result")
        assert (got["success"], got["error"]) == (False, {"code": "FUNCTION_NOT_FOUND", "message": "no such function"})
        page.answer = lambda _: NEVER
        got = ask(agent, {**call, "clientId": page.id}, "function_result")
        assert got["error"] == {"code": "TIMEOUT", "message": "Request timed out"}
        with Page(stack, stack.user()) as stranger:
            assert ask(stranger, {**call, "clientId": page.id}, "error")["code"] == "client_not_found"
        with Page(stack, query=f"?ticket={user.post('/api/tickets').json['ticket']}") as guest:
            assert ask(guest, {**call, "clientId": page.id}, "error")["code"] == "forbidden"
            assert ask(guest, {"type": "query_capabilities", "id": "q"}, "error")["code"] == "forbidden"


def test_scopes(stack_factory):
    """What a token may not by HTTP it may not here."""
    stack = stack_factory(workers=1, bridges=1, conf={"jwt.scopes": "required"})
    with Page(stack, stack.user(scope="agents:read")) as agent:
        assert ask(agent, {"type": "query_capabilities", "id": "q"}, "capabilities_result")["functions"] == []
        assert ask(agent, {"type": "call_function", "id": "c", "clientId": "x", "name": "f"}, "error")["code"] == "forbidden"


# ---- tools of agents

def test_a_tool(stack, user):
    """An agent has the page's function as a tool while it is there."""
    agent = user.agent(tools=["client__*"])
    with Page(stack, user, [ADD], lambda c: {"sum": c["parameters"]["a"] + c["parameters"]["b"]}) as page:
        assert agent.ask("add")[-1]["reason"] == "completed"
        assert results(agent)[-1] == {"ok": True, "data": {"sum": 3}} and len(page.commands) == 1
    agent.ask("add")
    assert results(agent)[-1]["error"] == "Tool not found: client__add"


def test_an_interrupt(stack, user):
    """Nobody waits any more: the page's answer is nobody's."""
    agent = user.agent(tools=["client__*"])
    with Page(stack, user, [ADD, function("slow")]) as page:
        agent.say("slow")
        asked = page.wait_command()
        agent.interrupt()
        page.say(page.result(asked, "late"))
        page.answer = lambda _: 1
        assert command(user, page).json == 1


# ---- several gateways

def test_two_gateways(stack, user):
    """Pages of both are there for both workers, and for agents at either."""
    near, far = stack.bridges
    with Page(stack, user, [ADD], lambda c: "far", gateway=far) as page, Page(stack, user, gateway=near) as agent:
        assert {command(user, page).json for _ in range(6)} == {"far"}
        assert [f["clientId"] for f in ask(agent, {"type": "query_capabilities", "id": "q"}, "capabilities_result")["functions"]] == [page.id]
        got = ask(agent, {"type": "call_function", "id": "c", "clientId": page.id, "name": "add"}, "function_result")
        assert got["data"] == "far"


def test_a_gateway_is_killed(stack_factory):
    """Commands to its pages fail at once, and those that nobody asks are forgotten; a new one has none of them."""
    stack = stack_factory(workers=1, bridges=2, conf={"bridge.page_heartbeat": "500ms"})
    user = stack.user()
    near, far = stack.bridges
    with Page(stack, user, [ADD], lambda _: 1, gateway=near) as stays:
        page, other = Page(stack, user, [ADD], gateway=far).ready(), Page(stack, user, [CART], gateway=far).ready()
        far.stop(signal.SIGKILL)
        is_error(command(user, page), 500, error="Failed to send command", message="the gateway of this client is gone")
        is_error(command(user, page), 404, error="Client not found")
        wait_for(lambda: shown(user, other) is None, 10, "it is still there")
        assert shown(user, stays) == [ADD] and command(user, stays).json == 1
        assert page.wait_closed()[0] == 1006
        far.start()


@pytest.mark.parametrize("dialect", ["B1", "B2"])
def test_a_gateway_stops(stack_factory, dialect):
    """What its pages were asked fails, and they are gone, before it is; they are closed in such a way that they come back."""
    stack = stack_factory(workers=1, bridges=1)
    user = stack.user()
    page = Page(stack, user, [ADD] if dialect == "B1" else b2([ADD_B2]), dialect=dialect).ready()
    waits = Waiting(user, page)
    page.wait_command()
    assert stack.bridges[0].stop() == 0
    is_error(waits.answer(), 500, error="Command failed", message="Client disconnected")
    assert user.get("/api/capabilities").json == {} and page.wait_closed()[0] in (1001, 1005, 1006)
    stack.bridges[0].start()
    with Page(stack, user, [ADD], lambda _: 1) as page:
        assert command(user, page).json == 1


def test_redis_comes_back(stack_factory):
    """Pages stay, and are there again; also if Redis has lost them."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_heartbeat": "1s"})
    user = stack.user()
    with Page(stack, user, [ADD], lambda _: 1) as page:
        stack.kill_redis()
        stack.start_redis()
        wait_for(lambda: command(user, page).status == 200, 10, "it is not asked")
        stack.redis().delete(f"af:user:{user.name}:page:{page.id}", f"af:user:{user.name}:pages")
        wait_for(lambda: user.get("/api/capabilities").status == 200 and shown(user, page) == [ADD], 10, "it is not put again")
        assert command(user, page).json == 1 and page.code is None


def test_redis_is_slow(stack_factory):
    """Of all that a page says meanwhile the last is put, and no more than that is kept."""
    stack = stack_factory(workers=1, bridges=1)
    user = stack.user()
    with Page(stack, user, [ADD]) as page:
        before = stack.redis().info("commandstats")["cmdstat_evalsha"]["calls"]
        stack.stop(stack._redis.pid)
        for n in range(40):
            page.can([{"type": "function", "name": f"f{n}"}])
        page.is_heard()
        stack.cont(stack._redis.pid)
        wait_for(lambda: shown(user, page) == [{"type": "function", "name": "f39"}], 10, lambda: shown(user, page))
        calls = stack.redis().info("commandstats")["cmdstat_evalsha"]["calls"] - before
        assert calls < 20, f"{calls} scripts for 40 messages"


def test_the_pool_is_away(stack_factory):
    """Nobody is refused: it is closed without a code, and comes back."""
    stack = stack_factory(workers=1, bridges=1)
    user = stack.user()
    stack.stop_pool()
    page = Page(stack, user)
    assert page.wait_closed()[0] == 1005 and page.got == []
    stack.start_pool()
    Page(stack, user).ready().close()


# ---- heartbeats, ends, bounds

def test_heartbeat(stack_factory):
    """A ping each time; who has not answered by the next one is gone, without a close frame. A page that does stays known."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_heartbeat": "300ms"})
    user = stack.user()
    with Page(stack, user, [ADD]) as page, WebSocket(stack, f"/ws?token={stack.user().token}") as ws:
        ws.sock.settimeout(scaled(10))
        assert ws.frame()[0] == 0x81
        started = time.monotonic()
        for _ in range(5):
            first, payload = ws.frame()
            assert first == 0x89
            ws.send(payload, 0x8a)
        assert ws.frame()[0] == 0x89 and ws.frame() is None
        assert time.monotonic() - started > 1.2  # longer than what is not renewed stays
        assert shown(user, page) == [ADD] and page.code is None


def test_expiry(stack_factory):
    """With the token that it came with, or whose ticket."""
    stack = stack_factory(workers=1, bridges=1, conf={"jwt.leeway": "0s"})
    user = stack.user(exp=int(time.time()) + 3)
    pages = [Page(stack, user, [ADD]).ready(), Page(stack, query=f"?ticket={user.post('/api/tickets').json['ticket']}").ready()]
    for page in pages:
        assert page.wait_closed() == (4003, "Invalid token")


def test_connections(stack_factory):
    """Of a user and of an address, Socket.IO's and pages' together."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.connections_per_user": "2", "bridge.connections_per_address": "4"})
    user = stack.user()
    with Page(stack, user) as first, Page(stack, user):
        assert Page(stack, user).wait_closed() == (1013, "Too many connections")
        first.close()

        def is_let_in():
            page = Page(stack, user)
            wait_for(lambda: page.got or page.code, 10, "nothing comes")
            page.close()
            return bool(page.got)

        wait_for(is_let_in, 10, "there is no room")


def test_connections_of_an_address(stack_factory):
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.connections_per_address": "2"})
    with Page(stack, stack.user()), Page(stack, stack.user()):
        with WebSocket(stack, "/ws?token=x") as ws:
            assert ws.status == 429
        with WebSocket(stack) as ws:
            assert (ws.status, ws.body()) == (400, b"Forbidden")


def test_too_many_messages(stack_factory):
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.messages": "10/1m burst=20"})
    user = stack.user()
    with Page(stack, user, [ADD]) as page:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(21):
                page.say("{}")
        assert page.wait_closed() == (1008, "Too many messages")


def send_what_goes(sock, data):
    """How much of it was taken within a second of silence."""
    sent = 0
    sock.settimeout(scaled(1))
    with contextlib.suppress(TimeoutError):
        while sent < len(data):
            sent += sock.send(data[sent:])
    sock.settimeout(scaled(10))
    return sent


def test_what_is_said_before_it_is_let_in(stack_factory):
    """Pages speak as soon as they are connected: that waits where it is, so nobody makes the gateway hold it, and is heard then."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_bytes": "1m"})
    user, bridge = stack.user(), stack.bridges[0]
    what = [function("add", "x" * 900000)]
    said = WebSocket.framed(json.dumps({"type": "capability", "capabilities": what}))
    worker = stack.workers()[0]
    stack.stop(worker)
    try:
        with WebSocket(stack, f"/ws?token={user.token}", sock=bridge.connect()) as ws:
            sent = send_what_goes(ws.sock, said)
            stack.cont(worker)
            assert sent < len(said), "it was read"
            ws.sock.sendall(said[sent:])
            client = json.loads(ws.text())["clientId"]
            wait_for(lambda: user.get("/api/capabilities").json == {client: what}, 10, "it was not heard")
    finally:
        stack.cont(worker)


def test_what_a_refused_page_has_said(stack):
    """Is read and dropped, so that it hears why, and soon: nobody waits for its half of the close."""
    started = time.monotonic()
    for _ in range(5):
        with WebSocket(stack, "/ws?token=nonsense") as ws:
            ws.send("x" * 600000)
            assert ws.closed() == (4003).to_bytes(2, "big") + b"Invalid token"
    assert time.monotonic() - started < scaled(10)


def test_who_goes_before_it_is_let_in(stack_factory):
    """Is forgotten when the pool has said who it is."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.connections_per_address": "1"})
    user, worker = stack.user(), stack.workers()[0]
    stack.stop(worker)
    try:
        with WebSocket(stack, f"/ws?token={user.token}") as ws:
            assert ws.status == 101
    finally:
        stack.cont(worker)

    def has_room():
        with WebSocket(stack, f"/ws?token={user.token}") as ws:
            return ws.status == 101

    wait_for(has_room, 10, "it is still counted")
    wait_for(lambda: user.get("/api/capabilities").json == {} and not stack.redis().keys("af:user:*:page:*"), 10, "it is still there")


def test_too_large(stack_factory):
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.max_payload": "2000"})
    with Page(stack, stack.user()) as page:
        page.say("x" * 2001)
        assert page.wait_closed()[0] == 1009


def test_a_slow_page(stack_factory):
    """What it does not read is bounded; the command fails when it is dropped."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.backlog": "65536", "page.timeout": "20s"})
    user = stack.user()
    with WebSocket(stack, f"/ws?token={user.token}") as ws:
        client = json.loads(ws.text())["clientId"]
        big = {"target": "t", "parameters": {"x": "y" * 900000}}
        for _ in range(200):
            command(user, client, big, query="?wait=false")
            if "does not read" in stack.bridges[0].log():
                break
        wait_for(lambda: "does not read" in stack.bridges[0].log(), 10, "it is not dropped")
        wait_for(lambda: command(user, client).status == 404, 10, "it is still there")


# ---- figures

def figures(stack):
    """Those of pages, by name and label's value."""
    got = stack.http("GET", "/bridge/metrics", plain=True).body.decode()
    assert lint(got)[0] == []
    return {(n, v): int(x) for n, v, x in re.findall(r'^agent_fpm_bridge_(page\w+)(?:\{\w+="(\w+)"\})? (\d+)$', got, re.M)}


def test_figures(stack_factory):
    """Which pages there are, and how what they were asked has ended: for Prometheus, people and programs."""
    stack = stack_factory(workers=1, bridges=1, conf={"page.timeout": "1s", "bridge.page_commands": "1"})
    user = stack.user()
    expected = dict.fromkeys([("page_commands_sent_total", ""), ("page_commands_pending", ""), ("pages", "B1"), ("pages", "B2"),
                              *[("page_commands_total", o) for o in ("answered", "failed", "timeout", "lost", "refused", "cancelled")]], 0)

    def becomes_so(**changes):
        for name, n in changes.items():
            expected[{"sent": ("page_commands_sent_total", ""), "pending": ("page_commands_pending", ""), "B1": ("pages", "B1"), "B2": ("pages", "B2")}.get(
                name, ("page_commands_total", name))] += n
        wait_for(lambda: figures(stack) == expected, 10, lambda: f"{figures(stack)} is not {expected}")

    def refuse(_):
        raise Refused("X", "no")

    becomes_so()
    with Page(stack, user, [ADD], lambda _: 1) as page, Page(stack, user, [ADD]) as other, joined(stack, user) as ws:
        becomes_so(B1=2)
        ws.send('42["capability",{}]').text()
        becomes_so(B1=1)
        other.dialect = "B2"
        other.can(b2([ADD_B2], [CART_B2]))
        becomes_so(B1=-1, B2=1)
        assert command(user, page).json == 1
        becomes_so(sent=1, answered=1)
        page.answer = refuse
        assert command(user, page).status == 500
        becomes_so(sent=1, failed=1)
        page.answer = lambda _: NEVER
        waits = Waiting(user, page)
        page.wait_command(3)
        becomes_so(sent=1, pending=1)
        assert command(user, page).json["error"] == "Failed to send command"
        becomes_so(refused=1)
        status = stack.http("GET", "/bridge/status?json", plain=True).json
        assert [status[k] for k in ("pages B1", "pages B2", "commands sent", "commands answered", "commands refused", "commands pending")] == [2, 1, 3, 1, 1, 1]
        text = stack.http("GET", "/bridge/status", plain=True).body.decode()
        assert re.search(r"^commands pending: +1$", text, re.M) and len({line.rindex(" ") for line in text.splitlines()}) == 1
        assert waits.answer().json["message"] == "Request timed out"
        becomes_so(pending=-1, timeout=1)
        waits = Waiting(user, page)
        page.wait_command(4)
        page.close()
        waits.answer()
        becomes_so(sent=1, lost=1, B1=-1)
        assert command(user, other, {"action": "x"}).status == 500  # it does not say for what
        becomes_so(refused=1)
    becomes_so(B1=-1, B2=-1)


def test_figures_of_a_cancelled_command(stack_factory):
    """It counts once, and no more when its answer comes."""
    stack = stack_factory(workers=1, bridges=1, scenarios=SCENARIOS)
    user = stack.user()
    agent = user.agent(tools=["client__*"])
    with Page(stack, user, [ADD, function("slow")]) as page:
        agent.say("slow")
        asked = page.wait_command()
        agent.interrupt()
        wait_for(lambda: figures(stack)[("page_commands_total", "cancelled")] == 1, 10, "it is not counted")
        page.say(page.result(asked, "late"))
        page.say({"type": "query_capabilities", "id": "q"}).wait("capabilities_result")  # it was heard
        now = figures(stack)
        assert [now[("page_commands_total", o)] for o in ("cancelled", "answered")] == [1, 0] and now[("page_commands_pending", "")] == 0


# ---- without tokens

@pytest.mark.parametrize("auth", ["optional", "off"])
def test_without_tokens(stack_factory, auth):
    """Who shows nothing is bridge.anonymous_user; with off whoever comes."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.auth": auth, "bridge.anonymous_user": "office"})
    user = stack.user()
    ticket = user.post("/api/tickets").json["ticket"]
    with Page(stack, None, [ADD], lambda _: 1) as page:
        page.wait("connection")
        wait_for(lambda: stack.http("GET", "/api/capabilities").json == {page.id: [ADD]}, 10, "it is not the office's")
        assert stack.http("POST", "/api/command", json={"clientId": page.id, "command": COMMAND}).json == 1
        with Page(stack, user, query=f"?ticket={ticket}") as other:  # its user's, who may not speak without the token; or the office's
            ask(other, {"type": "query_capabilities", "id": "q"}, "error" if auth == "optional" else "capabilities_result")
    bad = Page(stack, query="?token=nonsense")
    if auth == "optional":
        assert bad.wait_closed() == (4003, "Invalid token")
    else:
        bad.ready().close()


def test_pages_of_other_sites(stack_factory):
    """Without tokens the origin decides: the site's own and those of bridge.cors_origins; where tokens are needed, they do."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.auth": "optional", "bridge.cors_origins": "https://front.example"})
    for path in ("/ws", "/socket.io/?EIO=4&transport=websocket"):
        for origin, status in (("https://front.example", 101), ("https://evil.example", 403), ("null", 403), ("http://localhost", 101), ("http://localhost.evil", 403)):
            with WebSocket(stack, path, headers=[f"Origin: {origin}"]) as ws:
                assert ws.status == status, (path, origin)
        with WebSocket(stack, path) as ws:
            assert ws.status == 101


# ---- another client

SCRIPT = r"""
const WebSocket = require("ws");
const say = (...what) => console.log(JSON.stringify(what));
const bad = new WebSocket(process.argv[1] + "?token=x");
bad.on("close", (code, reason) => {
  say("refused", code, reason.toString());
  const ws = new WebSocket(process.argv[1], { headers: { Authorization: "Bearer " + process.argv[2] } });
  ws.on("message", (data) => {
    const message = JSON.parse(data);
    say("message", message);
    if (message.type === "connection") ws.send(JSON.stringify({ type: "capability", capabilities: [{ type: "function", name: "add", parameters: {} }] }));
    else ws.send(JSON.stringify({ type: "response", requestId: message.requestId, status: "success", result: message.parameters.a + message.parameters.b }));
  });
  ws.on("ping", () => say("ping"));
  ws.on("close", (code) => { say("closed", code); process.exit(0); });
});
"""


def test_npm_ws(stack_factory, npm):  # noqa: F811
    """The package ws: refused, let in, asked, alive over heartbeats, closed when the gateway stops."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_heartbeat": "300ms"})
    user = stack.user()
    url = f"ws://127.0.0.1:{stack.http_port}/agent-bridge"
    client = subprocess.Popen(["node", "-e", SCRIPT, url, user.token], cwd=npm, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def until(word):
        while True:
            line = client.stdout.readline()
            assert line, f"it ended before {word}"
            if (said := json.loads(line))[0] == word:
                return said

    try:
        assert until("refused") == ["refused", 4003, "Invalid token"]
        hello = until("message")[1]
        assert hello["type"] == "connection"
        wait_for(lambda: hello["clientId"] in user.get("/api/capabilities").json, 10, "nobody knows what it can do")
        assert command(user, hello["clientId"]).json == 3
        for _ in range(4):
            until("ping")
        assert command(user, hello["clientId"]).json == 3
        stack.bridges[0].stop()
        assert until("closed")[1] in (1001, 1005, 1006) and client.wait(scaled(10)) == 0
    finally:
        kill(client.pid, signal.SIGKILL)
        client.wait()
