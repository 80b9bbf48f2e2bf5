# SPDX-License-Identifier: MIT
"""AgentBridge over HTTP: what pages can do, and commands for them, with the bodies that its servers have."""

import json
import threading

import pytest

from conftest import close
from fake_gateway import NEVER, Gateway, Refused, function
from stack import Fcgi, Stack, kill, wait_for
from test_tools import calls

COMPONENT = {"type": "component", "id": "cart", "componentType": "list", "properties": {}, "actions": ["clear"]}
COMMAND = {"target": "t", "action": "ok", "parameters": {"a": 1}}
TYPE = "application/json; charset=utf-8"


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, conf={"page.timeout": "2s", "limits.viewers_per_user": "8"},
                  scenarios=calls("^add$", {"call": "client__add", "input": {}}))
    yield stack
    close(stack)


@pytest.fixture
def gateway(stack):
    with Gateway(stack) as gateway:
        yield gateway


@pytest.fixture
def user(stack):
    return stack.user()


def command(user, page, body=COMMAND, query="", **options):
    return user.post(f"/api/command{query}", {"clientId": page if isinstance(page, str) else page.id, "command": body}, **options)


class Waiting(threading.Thread):
    """A command whose answer is awaited elsewhere."""

    def __init__(self, *args, **options):
        super().__init__(daemon=True)
        self.args, self.options, self.got = args, options, None
        self.start()

    def run(self):
        self.got = command(*self.args, **self.options)

    def answer(self):
        self.join(20)
        assert self.got is not None, "no answer"
        return self.got


def is_error(got, status, **body):
    assert (got.status, got.json, got.headers["Content-Type"]) == (status, body, TYPE), got


# ---- who may

@pytest.mark.parametrize("method,path", [("GET", "/api/capabilities"), ("POST", "/api/command")])
def test_who_may(stack, user, method, path):
    for header in (None, "", user.token, "Bearer "):
        is_error(stack.http(method, path, headers={"Authorization": header}), 401, error="Authentication required")
    expired, other = stack.token("ann", exp=1), user.token[:-4] + "AAAA"
    for header in ("Bearer x", f"Bearer {expired}", f"Bearer {other}", "Basic YTpi"):
        is_error(stack.http(method, path, headers={"Authorization": header}), 403, error="Invalid or expired token")


def test_browsers_may(stack):
    """CORS is for all origins, and asks for no token."""
    for path in ("/api/capabilities", "/api/command"):
        got = stack.http("OPTIONS", path, headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST",
                                                   "Access-Control-Request-Headers": "authorization,content-type"})
        assert (got.status, got.body, got.headers["Access-Control-Allow-Origin"]) == (204, b"", "*")
        assert "POST" in got.headers["Access-Control-Allow-Methods"] and got.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        assert stack.http("GET", path, headers={"Origin": "https://a.example"}).headers.get_all("Access-Control-Allow-Origin") == ["*"]


def test_scopes(stack_factory):
    stack = stack_factory(workers=1, conf={"jwt.scopes": "required"})
    reader, talker = stack.user(scope="agents:read"), stack.user(scope="chat")
    assert reader.get("/api/capabilities").status == 200 and talker.get("/api/capabilities").json == {"error": "Forbidden"}
    assert command(talker, "x").status == 404 and command(reader, "x").status == 403


def test_without_tokens(stack_factory):
    """bridge.auth = off: all are one user, whatever they send."""
    stack = stack_factory(workers=1, conf={"bridge.auth": "off", "bridge.anonymous_user": "office"})
    with Gateway(stack) as gateway:
        office = type("Office", (), {"name": "office"})
        page = gateway.page(office, [COMPONENT], lambda c: c)
        assert stack.http("GET", "/api/capabilities").json == {page.id: [COMPONENT]}
        got = stack.http("POST", "/api/command", json={"clientId": page.id, "command": COMMAND}, headers={"Authorization": "Bearer x"})
        assert (got.status, got.json) == (200, COMMAND)


# ---- what they can do

def test_capabilities(gateway, stack, user):
    got = user.get("/api/capabilities")
    assert (got.status, got.body, got.headers["Content-Type"]) == (200, b"{}", TYPE)
    first = gateway.page(user, [function("add", "Adds.", {"type": "object"}), COMPONENT])
    gateway.page(user, None)
    opaque = {**function("zod", "", {"_def": {"typeName": "ZodObject", "x": [1, 2.5, None]}}), "authLevel": "public"}
    second = gateway.page(user, [opaque], dialect="B2")
    empty = gateway.page(user, [])
    expired = gateway.page(user, [COMPONENT])
    stack.redis().zadd(expired.set, {expired.id: 1})
    gateway.page(stack.user(), [COMPONENT])
    got = user.get("/api/capabilities").json
    assert got == {first.id: [function("add", "Adds.", {"type": "object"}), COMPONENT], second.id: [opaque], empty.id: []}
    assert list(got) == [first.id, second.id, empty.id], "in the order in which they said so"
    first.close()
    assert first.id not in user.get("/api/capabilities").json
    assert stack.user().get("/api/capabilities").json == {}


def test_users_with_long_names(gateway, stack):
    """However alike: each has pages of his own."""
    names = ["/" * 254 + c for c in "ab"]
    users = [type("U", (), {"name": n, "get": lambda self, path, n=n: stack.http("GET", path, user=n)})() for n in names]
    page = gateway.page(users[0], [COMPONENT])
    assert list(users[0].get("/api/capabilities").json) == [page.id] and users[1].get("/api/capabilities").json == {}


# ---- commands

@pytest.mark.parametrize("value", [{"n": 1}, "s", None, 0, [], False, 2.5, {"deep": [[{}]]}, "€ \U0001f600 \" \\"])
def test_the_result_is_the_body(gateway, user, value):
    page = gateway.page(user, [COMPONENT], lambda c: value)
    got = command(user, page)
    assert (got.status, got.json, got.headers["Content-Type"]) == (200, value, TYPE)
    assert got.headers["Cache-Control"] == "no-store" and got.headers["X-Request-Id"]
    message, = page.commands
    assert message["command"] == COMMAND and message["timeoutMs"] == 2000 and message["user"] == user.name


def test_no_result_is_null(gateway, user):
    page = gateway.page(user, None, lambda _: NEVER)
    waits = Waiting(user, page)
    gateway.say(page.wait_command(), {"status": "success"})
    assert waits.answer().body == b"null"


def test_whatever_a_command_has(gateway, user):
    """Goes along; what it says of ids is not that of the request."""
    page = gateway.page(user, None, lambda c: c)
    mine = {"type": "call_function", "requestId": "mine", "id": "x", "clientId": "y", "timeoutMs": 1, "name": "f", "parameters": {}}
    assert command(user, page, mine).json == mine
    assert page.commands[0]["requestId"].startswith("req_") and page.commands[0]["clientId"] == page.id


@pytest.mark.parametrize("body,status,error", [
    (b"{no", 400, "Malformed JSON in request body"), (b'{"a":1,"a":2}', 400, "Malformed JSON in request body"),
    (b"", 404, "Client not found"), (b"[]", 404, "Client not found"), (b"{}", 404, "Client not found"),
    (b'{"clientId":7,"command":{}}', 404, "Client not found"), (b'{"clientId":"","command":{}}', 404, "Client not found"),
    (b'{"clientId":"nobody","command":{}}', 404, "Client not found"),
    (b'{"clientId":"%s","command":{}}' % (b"x" * 65), 404, "Client not found"),
    (b'{"clientId":"nobody"}', 400, "Invalid command"), (b'{"clientId":"nobody","command":[]}', 400, "Invalid command"),
    (b'{"clientId":"nobody","command":"x"}', 400, "Invalid command"), (b'{"clientId":"nobody","command":null}', 400, "Invalid command"),
])
def test_bad_bodies(user, body, status, error):
    is_error(user.http("POST", "/api/command", body=body, headers={"Content-Type": "application/json"}), status, error=error)


def test_somebody_elses_page(gateway, stack, user):
    page = gateway.page(user, [COMPONENT], lambda _: 1)
    is_error(command(stack.user(), page), 404, error="Client not found")
    assert page.commands == []


@pytest.mark.parametrize("code,message,said", [("X", "no such target", "no such target"), (None, None, "Command failed"), ("X", None, "Command failed")])
def test_the_page_says_no(gateway, user, code, message, said):
    def refuse(_):
        raise Refused(code, message)

    is_error(command(user, gateway.page(user, None, refuse)), 500, error="Command failed", message=said)


def test_timeout_and_late_answers(gateway, user):
    page = gateway.page(user, None, lambda _: NEVER)
    is_error(command(user, page), 500, error="Command failed", message="Request timed out")
    assert gateway.say(page.commands[0], {"status": "success", "result": "late"}) == 1
    page.answer = lambda _: "in time"
    assert command(user, page).json == "in time"


@pytest.mark.parametrize("code,status,body", [
    ("TIMEOUT", 500, {"error": "Command failed", "message": "Request timed out"}),
    ("CLIENT_GONE", 500, {"error": "Command failed", "message": "Client disconnected"}),
    ("NOT_FOUND", 404, {"error": "Client not found"}),
    ("SEND_FAILED", 500, {"error": "Failed to send command", "message": "the socket is full"})])
def test_what_the_gateway_says(gateway, user, code, status, body):
    page = gateway.page(user, None, lambda _: NEVER)
    waits = Waiting(user, page)
    gateway.fail(page.wait_command(), code, "the socket is full")
    is_error(waits.answer(), status, **body)


def test_the_page_goes(gateway, user):
    page = gateway.page(user, None, lambda _: NEVER)
    waits = Waiting(user, page)
    page.wait_command()
    page.close()
    is_error(waits.answer(), 500, error="Command failed", message="Client disconnected")
    is_error(command(user, page), 404, error="Client not found")


def test_the_gateway_is_gone(stack, user):
    with Gateway(stack) as gateway:
        page = gateway.page(user, [COMPONENT])
    is_error(command(user, page), 500, error="Failed to send command", message="the gateway of this client is gone")
    is_error(command(user, page), 404, error="Client not found")
    assert user.get("/api/capabilities").json == {}


def test_only_the_page_that_was_asked(gateway, user):
    page = gateway.page(user, None, lambda _: NEVER)
    other = gateway.page(user, None, lambda _: NEVER)
    waits = Waiting(user, page)
    message = page.wait_command()
    gateway.say(message, {"status": "success", "result": "forged"}, client=other.id)
    gateway.say(message, {"status": "success", "result": "mine"})
    assert waits.answer().json == "mine"


def test_without_waiting(gateway, stack, user):
    """?wait=false: it is on its way, and what comes of it is nobody's."""
    page = gateway.page(user, None, lambda _: 1)
    got = command(user, page, query="?wait=false")
    assert (got.status, got.json) == (200, {"success": True, "message": "Command sent to client"})
    page.wait_command()
    is_error(command(user, "nobody", query="?wait=false"), 404, error="Client not found")
    with Gateway(stack) as dead:
        page = dead.page(user, None)
    is_error(command(user, page, query="?wait=false"), 500, error="Failed to send command", message="the gateway of this client is gone")


def test_many_at_a_time(gateway, stack, user):
    """Requests that wait hold no thread, over both workers; each gets its own answer, and more than may be open are refused."""
    page = gateway.page(user, None, lambda _: NEVER)
    waits = [Waiting(user, page, {**COMMAND, "parameters": {"n": n}}) for n in range(8)]
    page.wait_command(8)
    assert len({m["replyTo"] for m in page.commands}) <= 2 and len({m["requestId"] for m in page.commands}) == 8
    refused = command(user, page)
    assert refused.status == 429 and refused.json["limit"] == "limits.viewers_per_user"
    assert stack.user().get("/api/capabilities").status == 200, "others are served"
    for message in reversed(page.commands):
        gateway.say(message, {"status": "success", "result": message["command"]["parameters"]["n"]})
    assert [w.answer().json for w in waits] == list(range(8))
    page.answer = lambda _: "free again"
    wait_for(lambda: command(user, page).status == 200, 5, "they still count")


def test_the_caller_leaves(gateway, stack, user):
    """Which cancels nothing; it does not count any more."""
    page = gateway.page(user, None, lambda _: NEVER)
    streams = []
    for n in range(8):
        text = json.dumps({"clientId": page.id, "command": COMMAND}).encode()
        fcgi = Fcgi(stack.fcgi_path)
        fcgi.send(stack.fcgi_params("POST", "/api/command", user, text), text)
        streams.append(fcgi)
        page.wait_command(n + 1)
    for fcgi in streams:
        fcgi.close()
    page.answer = lambda _: "next"
    wait_for(lambda: command(user, page).status == 200, 5, "those that left still count")
    assert gateway.say(page.commands[0], {"status": "success", "result": 1}) == 1


def test_drain(stack_factory):
    """A worker that leaves answers what waits."""
    stack = stack_factory(workers=1)
    with Gateway(stack) as gateway:
        user = stack.user()
        page = gateway.page(user, None, lambda _: NEVER)
        waits = Waiting(user, page)
        message = page.wait_command()
        before = stack.workers()
        kill(stack.master, 1)
        wait_for(lambda: set(stack.workers()) != set(before) and stack.is_ready(), 10, "no reload")
        gateway.say(message, {"status": "success", "result": "still"})
        assert waits.answer().json == "still"


def test_worker_dies(gateway, stack, user):
    """Its requests are cut; the other worker serves."""
    page = gateway.page(user, None, lambda _: NEVER)
    waits = Waiting(user, page)
    message = page.wait_command()
    kill(int(message["replyTo"].rsplit(".", 2)[1]), 9)
    assert waits.answer().status == 503
    page.answer = lambda _: "another"
    wait_for(lambda: command(user, page).status == 200, 10, "nobody serves")


def test_redis_is_away(stack_factory):
    stack = stack_factory(workers=1)
    user = stack.user()
    with Gateway(stack) as gateway:
        page = gateway.page(user, [COMPONENT], lambda _: 1)
        assert command(user, page).json == 1
    stack.kill_redis()
    assert user.get("/api/capabilities").status == 503
    got = command(user, page)
    assert (got.status, got.json["error"]) == (500, "Failed to send command") and "the store is away" in got.json["message"]
    stack.start_redis()
