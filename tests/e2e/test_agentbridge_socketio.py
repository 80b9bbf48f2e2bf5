# SPDX-License-Identifier: MIT
"""Pages that come by Socket.IO, as AgentBridge's server for NestJS has them, by python3-socketio: what pages on /ws are, these are too."""

import json
import threading
import time

import pytest
import socketio
from agentbridge import Page
from engine import joined
from fake_gateway import NEVER, Refused, function
from stack import Stack, wait_for
from test_agentbridge import ADD, COMMAND, becomes, command, shown
from test_agentbridge_http import Waiting, is_error
from test_bridge import revoke
from test_tools import calls, results
from waiting import scaled

SCENARIOS = calls("^add$", {"call": "client__add", "input": {"a": 1, "b": 2}})


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, bridges=2, scenarios=SCENARIOS, conf={
        "page.timeout": "2s", "bridge.page_commands": "2", "bridge.page_capabilities": "5", "bridge.page_bytes": "4k"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture
def user(stack):
    return stack.user()


class SocketPage:
    """A client of Socket.IO that says what it can do; answer as of Page."""

    def __init__(self, stack, user, capabilities=None, answer=lambda _: NEVER, transports=("websocket",)):
        self.id, self.commands, self.got, self.answer = None, [], [], answer
        self.known, self.gone = threading.Event(), threading.Event()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", lambda event, *args: self.got.append((event, *args)))
        self.client.on("connection", self._connection)
        self.client.on("command", self._command)
        self.client.on("disconnect", lambda *_: self.gone.set())
        self.client.connect(stack.plain, auth={"token": user.token}, transports=list(transports), wait_timeout=scaled(10))
        if capabilities is not None:
            self.can(capabilities)
            assert self.known.wait(scaled(10)), "it does not know its id"
            becomes(user, self, capabilities)

    def _connection(self, data):
        assert self.id is None, "it has an id already"
        self.got.append(("connection", data))
        self.id = data["clientId"]
        self.known.set()

    def _command(self, message):
        self.commands.append(message)
        try:
            result = self.answer(message)
            if result is not NEVER:
                self.respond(message, status="success", result=result)
        except Refused as refused:
            self.respond(message, status="error", error=refused.error)

    def can(self, capabilities):
        self.client.emit("capability", {"capabilities": capabilities})

    def respond(self, message, **outcome):
        self.client.emit("response", {"requestId": message["requestId"], **outcome})

    def wait_command(self, count=1):
        wait_for(lambda: len(self.commands) >= count, 10, "it was not asked")
        return self.commands[count - 1]

    def wait(self, event, count=1):
        wait_for(lambda: len([g for g in self.got if g[0] == event]) >= count, 10, lambda: f"no {event}: {self.got}")
        return [g for g in self.got if g[0] == event][count - 1][1]

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.client.disconnect()


def add(c):
    return {"sum": c["parameters"]["a"] + c["parameters"]["b"]}


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_command(stack, user, transports):
    """Registered, asked by HTTP, answered: what it says is the body."""
    with SocketPage(stack, user, [ADD], add, transports) as page:
        assert user.get("/api/capabilities").json == {page.id: [ADD]} and len(page.id) == 36
        got = command(user, page)
        assert (got.status, got.body) == (200, b'{"sum":3}')
        asked, = page.commands
        assert {k: asked[k] for k in COMMAND} == COMMAND and asked["id"] == asked["requestId"] and isinstance(asked["timestamp"], int)
        assert command(user, page, query="?wait=false").json == {"success": True, "message": "Command sent to client"}
        page.wait_command(2)


def test_frames(stack, user):
    """As they are: connection with the id alone, when it has said what it can do and not before, and once."""
    with joined(stack, user) as ws:
        ws.send('42["response",{"requestId":"x","status":"success"}]').send('42["capability",{"capabilities":[]}]')
        text = ws.text()
        client = json.loads(text[2:])[1]["clientId"]
        assert text == f'42["connection",{{"clientId":"{client}"}}]'
        for said, listed in (('{"capabilities":[{"type":"function","name":"f"},5]}', [{"type": "function", "name": "f"}]), ("5", []),
                             ('{"capabilities":[{"type":"component","id":"c"}]}', [{"type": "component", "id": "c"}])):
            ws.send(f'42["capability",{said}]')
            wait_for(lambda want=listed: user.get("/api/capabilities").json == {client: want}, 10, said)
        ws.send('42["capability"]')
        wait_for(lambda: user.get("/api/capabilities").json == {client: []}, 10, "it can do something")
        ws.send("40/x,")
        assert ws.text().startswith("44/x,"), "nothing else was said"


def test_errors(stack, user):
    """The page's own; no answer in time; one that is late."""
    def refuse(_):
        raise Refused("X", "no such thing")

    with SocketPage(stack, user, [ADD], refuse) as page:
        is_error(command(user, page, query="?code=true"), 500, error="Command failed", message="no such thing", code="X")
        page.answer = lambda _: NEVER
        is_error(command(user, page), 500, error="Command failed", message="Request timed out")
        page.respond(page.commands[-1], status="success", result="late")
        page.answer = lambda _: "in time"
        assert command(user, page).json == "in time"


def test_bounds(stack, user):
    """Those of any page: what it can do, and what waits for it."""
    with SocketPage(stack, user, [ADD]) as page:
        for n, what in enumerate([[ADD] * 6, [function("big", "x" * 5000)]]):
            page.can(what)
            assert page.wait("error", n + 1)["code"] == "TOO_MANY_CAPABILITIES"
        assert shown(user, page) == [ADD]
        waits = [Waiting(user, page) for _ in range(2)]
        page.wait_command(2)
        assert command(user, page, query="?code=true").json["code"] == "SEND_FAILED"
        for n, asked in enumerate(page.commands):
            page.respond(asked, status="success", result=n)
        assert {w.answer().json for w in waits} == {0, 1}


def test_others(stack, user):
    """Of another user it is not there; and only the page that was asked can answer."""
    stranger = stack.user()
    with SocketPage(stack, user, [ADD]) as page, SocketPage(stack, user, [ADD]) as other, SocketPage(stack, stranger, [ADD]) as third:
        assert set(user.get("/api/capabilities").json) == {page.id, other.id} and set(stranger.get("/api/capabilities").json) == {third.id}
        is_error(command(stranger, page), 404, error="Client not found")
        waits = Waiting(user, page)
        asked = page.wait_command()
        for one, its in ((other, user), (third, stranger)):
            one.respond(asked, status="success", result="forged")
            one.can([])
            becomes(its, one, [])  # it was heard
        page.respond(asked, status="success", result="mine")
        assert waits.answer().json == "mine"


@pytest.mark.parametrize("how", ["disconnect", "leave", "abort"])
def test_it_goes(stack, user, how):
    """In the middle: the command fails at once, and the page is not there any more. Who joins again is another page."""
    with joined(stack, user) as ws:
        ws.send('42["capability",{"capabilities":[]}]')
        client = json.loads(ws.text()[2:])[1]["clientId"]
        waits = Waiting(user, client)
        assert json.loads(ws.text()[2:])[0] == "command"
        started = time.monotonic()
        if how == "abort":
            ws.close()
        else:
            ws.send("41" if how == "leave" else "1")
        is_error(waits.answer(), 500, error="Command failed", message="Client disconnected")
        assert time.monotonic() - started < 1.5, "it was waited for"
        is_error(command(user, client), 404, error="Client not found")
        assert user.get("/api/capabilities").json == {}
        if how == "leave":
            ws.send("40" + json.dumps({"token": user.token})).text()
            ws.send('42["capability",{"capabilities":[]}]')
            assert json.loads(ws.text()[2:])[1]["clientId"] != client


def test_a_tool(stack, user):
    """An agent of the user has its functions as tools."""
    agent = user.agent(tools=["client__*"])
    with SocketPage(stack, user, [ADD], add) as page:
        assert agent.ask("add")[-1]["reason"] == "completed"
        assert results(agent)[-1] == {"ok": True, "data": {"sum": 3}} and len(page.commands) == 1
    wait_for(lambda: user.get("/api/capabilities").json == {}, 10, "it is still there")
    agent.ask("add")
    assert results(agent)[-1]["error"] == "Tool not found: client__add"


def test_both_ways(stack, user):
    """A page on /ws, at the other gateway, and an agent there see it as any other."""
    with SocketPage(stack, user, [ADD], add) as page, Page(stack, user, [ADD], gateway=stack.bridges[1]) as other:
        assert set(user.get("/api/capabilities").json) == {page.id, other.id}
        other.say({"type": "call_function", "id": "c", "clientId": page.id, "name": "add", "parameters": {"a": 1, "b": 1}})
        assert other.wait("function_result")["data"] == {"sum": 2}


def test_sessions_go_on(stack, user):
    """It is a client of sessions as before; who says nothing of pages hears nothing of them."""
    session = user.post("/api/sessions", {"agentProfileRef": "default", "architecture": "claude-agent-sdk"}).json["sessionId"]
    with SocketPage(stack, user, [ADD], add) as page, joined(stack, user) as ws:
        assert page.client.call("session:join", session, timeout=scaled(10)) == {"success": True}
        assert page.wait("session:status")["sessionId"] == session
        assert command(user, page).json == {"sum": 3}
        ws.send("40/x,")
        assert ws.text().startswith("44/x,")


def test_it_stays_known(stack_factory):
    """Longer than what is not renewed; and when Redis has lost it, or was away, it is there again."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_heartbeat": "200ms"})
    user = stack.user()
    with SocketPage(stack, user, [ADD], add) as page:
        page_key = f"af:user:{user.name}:page:{page.id}"
        redis = stack.redis()
        assert 0 < redis.pttl(page_key) <= 600
        end = time.monotonic() + 1
        wait_for(lambda: time.monotonic() > end or not redis.exists(page_key), 10)
        assert shown(user, page) == [ADD] and command(user, page).json == {"sum": 3}
        redis.delete(page_key, f"af:user:{user.name}:pages")
        becomes(user, page, [ADD])
        stack.kill_redis()
        stack.start_redis()
        wait_for(lambda: command(user, page).status == 200, 10, "it is not asked")
        assert not page.gone.is_set()


def test_redis_refuses_it_at_first(stack_factory):
    """It says but once what it can do, so that is put again until Redis takes it; as while Redis loads its data, or is a replica."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.page_heartbeat": "200ms"})
    user, redis = stack.user(), stack.redis()
    with joined(stack, user) as ws:
        redis.execute_command("REPLICAOF", "127.0.0.1", "1")
        ws.send('42["capability",{"capabilities":[{"type":"function","name":"f"}]}]')
        wait_for(lambda: "Redis does not keep a page: READONLY" in stack.bridges[0].log(), 10, "it was not refused")
        redis.execute_command("REPLICAOF", "NO", "ONE")
        client = json.loads(ws.text()[2:])[1]["clientId"]
        wait_for(lambda: user.get("/api/capabilities").json == {client: [{"type": "function", "name": "f"}]}, 10, "it can do nothing")


def test_expiry_and_revocation(stack_factory):
    """It goes with its token."""
    stack = stack_factory(workers=1, bridges=1, conf={"jwt.leeway": "0s"})
    owner = stack.user()
    brief = stack.user(owner.name, exp=int(time.time()) + 4)
    lost = stack.user(owner.name, jti="token-1")
    with SocketPage(stack, brief, [ADD]) as expires, SocketPage(stack, lost, [ADD]) as revoked, SocketPage(stack, owner, [ADD]) as stays:
        revoke(stack, "--jti", "token-1")
        assert revoked.gone.wait(scaled(10)) and expires.gone.wait(scaled(10))
        wait_for(lambda: set(owner.get("/api/capabilities").json) == {stays.id}, 10, "they are still there")


def test_the_gateway_stops(stack_factory):
    stack = stack_factory(workers=1, bridges=1)
    user = stack.user()
    with SocketPage(stack, user, [ADD]) as page:
        waits = Waiting(user, page)
        page.wait_command()
        assert stack.bridges[0].stop() == 0
        is_error(waits.answer(), 500, error="Command failed", message="Client disconnected")
        assert user.get("/api/capabilities").json == {} and page.gone.wait(scaled(10))
