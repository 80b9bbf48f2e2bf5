# SPDX-License-Identifier: MIT
"""The gateway's transports, as the clients of Engine.IO 4 and Socket.IO 5 see them: both ways in, the change from one to the
other, heartbeats, bounds, every refusal byte for byte, and who is let in."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from agentbridge import Page
from engine import POLLING, WEBSOCKET, Polling, WebSocket, answer, joined, opened
from stack import BINARY, Stack, children, process_state
from waiting import scaled, wait_for

ORIGIN = "http://localhost:3000"
SID = re.compile(r"[A-Za-z0-9_-]{20}")


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=1, bridges=1, conf={
        "bridge.cors_origins": f"{ORIGIN} http://localhost:5173", "bridge.connections_per_user": "4", "bridge.connections_per_address": "40"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture(scope="module")
def fast():
    """Heartbeats as fast as they may be."""
    stack = Stack(workers=1, bridges=1, conf={"bridge.ping_interval": "200ms", "bridge.ping_timeout": "200ms"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def get(stack, query, method="GET", headers=None, body=None):
    return stack.http(method, f"/socket.io/?{query}", plain=True, headers=headers, body=body)


# ---- the first packet

def test_websocket_handshake(stack):
    """A 101 without extensions, then the open packet in one unmasked text frame."""
    with WebSocket(stack) as ws:
        assert ws.status == 101 and "sec-websocket-extensions" not in ws.headers and "sec-websocket-protocol" not in ws.headers
        first, payload = ws.frame()
    assert first == 0x81
    assert re.fullmatch(rb'0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\[\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}', payload)
    assert len(payload) == 0x6b


def test_polling_handshake(stack):
    """The same by polling, where an upgrade is offered."""
    got = get(stack, "EIO=4&transport=polling&t=53ozntrj&b64=1")
    assert got.status == 200 and got.headers["Content-Type"] == "text/plain; charset=UTF-8" and got.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(
        rb'0\{"sid":"[A-Za-z0-9_-]{20}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}', got.body)


def test_join_by_websocket(stack):
    """40 and a token: 40 and a socket id, which is another than the engine's."""
    ws, hello = opened(stack)
    with ws:
        ws.send("40" + json.dumps({"token": stack.user().token}))
        text = ws.text()
    sid = json.loads(text[2:])["sid"]
    assert text == f'40{{"sid":"{sid}"}}' and SID.fullmatch(sid) and sid != hello["sid"]


def test_join_by_polling(stack):
    poll = Polling(stack)
    got = poll.post("40" + json.dumps({"token": stack.user().token}))
    assert (got.status, got.headers["Content-Type"], got.headers["Content-Length"], got.body) == (200, "text/html", "2", b"ok")
    assert re.fullmatch(r'40\{"sid":"[A-Za-z0-9_-]{20}"\}', poll.packets()[0])


# ---- refusals

@pytest.mark.parametrize("query, method, status, body", [
    ("EIO=4", "GET", 400, {"code": 0, "message": "Transport unknown"}),
    ("EIO=4&transport=webtransport", "GET", 400, {"code": 0, "message": "Transport unknown"}),
    ("EIO=4&transport=polling&sid=nope", "GET", 400, {"code": 1, "message": "Session ID unknown"}),
    ("EIO=4&transport=polling&sid=nope", "POST", 400, {"code": 1, "message": "Session ID unknown"}),
    ("EIO=4&transport=polling", "POST", 400, {"code": 2, "message": "Bad handshake method"}),
    ("EIO=4&transport=polling", "PUT", 400, {"code": 2, "message": "Bad handshake method"}),
    ("EIO=4&transport=websocket", "GET", 400, {"code": 3, "message": "Bad request"}),
    ("EIO=3&transport=polling", "GET", 400, {"code": 5, "message": "Unsupported protocol version"}),
    ("transport=polling", "GET", 400, {"code": 5, "message": "Unsupported protocol version"}),
])
def test_refused_requests(stack, query, method, status, body):
    got = get(stack, query, method, body=b"x" if method != "GET" else None)
    assert (got.status, got.headers["Content-Type"]) == (status, "application/json")
    assert got.body == json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize("query, message", [
    ("EIO=4", b"Transport unknown"),
    ("EIO=4&transport=websocket&sid=nope", b"Session ID unknown"),
])
def test_refused_websockets(stack, query, message):
    with WebSocket(stack, f"/socket.io/?{query}") as ws:
        assert (ws.status, ws.headers["content-type"], ws.body()) == (400, "text/html", message)


def test_old_protocol_by_websocket(stack):
    """EIO=3 gets its 101, and a close without a code."""
    with WebSocket(stack, "/socket.io/?EIO=3&transport=websocket") as ws:
        assert ws.status == 101 and ws.closed() == b""


def test_other_paths(stack):
    assert stack.http("GET", "/ws", plain=True).status == 404
    assert stack.http("GET", "/agent-bridge", plain=True).status == 404
    assert WebSocket(stack, "/agent-bridge").status == 101


def test_cors(stack):
    """Pages of the listed origins may read; others are told nothing."""
    got = get(stack, "EIO=4&transport=polling", headers={"Origin": ORIGIN})
    assert (got.headers["Access-Control-Allow-Origin"], got.headers["Vary"], got.headers["Access-Control-Allow-Credentials"]) == (ORIGIN, "Origin", "true")
    assert "Access-Control-Allow-Origin" not in get(stack, "EIO=4&transport=polling", headers={"Origin": "http://evil.example"}).headers
    assert "Access-Control-Allow-Origin" in get(stack, "EIO=4", headers={"Origin": ORIGIN}).headers  # an error too
    got = get(stack, "EIO=4&transport=polling", "OPTIONS", {
        "Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-a"})
    assert (got.status, got.body) == (204, b"")
    assert got.headers["Access-Control-Allow-Methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert got.headers["Access-Control-Allow-Headers"] == "content-type,x-a"


# ---- polling

def test_client_closes(stack):
    """41 and then 1: a held poll is released with 6, and the sid is unknown."""
    poll = Polling(stack)
    poll.join({"token": stack.user().token})
    held = poll.hold()
    assert poll.post("41").body == b"ok"
    assert poll.post("1").body == b"ok"
    assert answer(held).body == b"6"
    assert poll.get().json["code"] == 1
    poll = Polling(stack)
    held = poll.hold()
    assert poll.post("1").body == b"ok"
    assert answer(held).body == b"6"
    assert poll.get().json["code"] == 1


def test_two_polls_at_once(stack):
    """The second is refused, the first is told the end, and the session is over."""
    poll = Polling(stack)
    held = poll.hold()
    second = None

    def refused():
        nonlocal second
        second = poll.get(timeout=20)
        return second.status == 400

    wait_for(refused, 10, "two polls are held")
    assert second.body == b"" and answer(held).body == b"1"
    assert poll.get().json["code"] == 1


def test_bad_posts(stack):
    """Undecodable: ok, and the end. Bytes: 400. Too much: 413, and it goes on."""
    poll = Polling(stack)
    assert poll.post("x").body == b"ok" and poll.get().json["code"] == 1
    poll = Polling(stack)
    assert poll.post("40", **{"Content-Type": "application/octet-stream"}).status == 400 and poll.get().json["code"] == 1
    poll = Polling(stack)
    got = poll.post("4" + "x" * 1000000)
    assert (got.status, got.body) == (413, b"")
    assert poll.join({"token": stack.user().token}).startswith('40{"sid"')


def test_several_packets(stack):
    """In one body, each is taken; what is answered in one tick comes together."""
    poll = Polling(stack)
    assert poll.post("40/a,\x1e40/b,").body == b"ok"
    assert poll.packets() == ['44/a,{"message":"Invalid namespace"}', '44/b,{"message":"Invalid namespace"}']


def test_a_poll_that_is_given_up(stack):
    """Nobody knows what it had got: the session is over."""
    poll = Polling(stack)
    poll.hold(by_nginx=True).close()
    wait_for(lambda: poll.post("3").status == 400, 10, "it goes on")


# ---- WebSockets

@pytest.mark.parametrize("text", ["2", "x", "", "48", "42[", '42["x"]', "41", "43[]", '42["connect"]'])
def test_packets_that_end_it(stack, text):
    """A ping of the client's, what is no packet, an event before CONNECT: the end, without a code."""
    ws, _ = opened(stack)
    with ws:
        assert ws.send(text).closed() == b""


def test_packets_that_end_it_after_connect(stack):
    for text in ('42["disconnect"]', "40", '42/other,["x"]', "2"):
        with joined(stack, stack.user()) as ws:
            assert ws.send(text).closed() == b"", text


def test_unknown_events_are_ignored(stack):
    with joined(stack, stack.user()) as ws:
        ws.send('42["no:such",{"a":1}]').send('42[7]').send('43[1]', 0x81).send("6").send("5")
        ws.send("40/x,")
        assert ws.text() == '44/x,{"message":"Invalid namespace"}'


def test_namespaces(stack):
    """There is one."""
    ws, _ = opened(stack)
    with ws:
        assert ws.send("40/admin,").text() == '44/admin,{"message":"Invalid namespace"}'
        assert ws.send('40/x,{"token":"t"}').text() == '44/x,{"message":"Invalid namespace"}'


def test_binary_is_ignored(stack):
    """An event with attachments is taken, and of no use; more than ten, or bytes from nowhere, end it."""
    with joined(stack, stack.user()) as ws:
        ws.send('452-["up",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]').send(b"\0\1", 0x82).send(b"", 0x82)
        assert ws.send("40/x,").text().startswith("44/x,")
    with joined(stack, stack.user()) as ws:
        assert ws.send('4511-["up"]').closed() == b""
    with joined(stack, stack.user()) as ws:
        assert ws.send(b"\0\1", 0x82).closed() == b""
    with joined(stack, stack.user()) as ws:
        assert ws.send('451-["up"]').send("40/x,").closed() == b""


def test_fragments(stack):
    """A message in pieces, with a ping between them, is one; too much of it is 1009."""
    ws, _ = opened(stack)
    with ws:
        ws.send("40/", 0x01).send(b"hi", 0x89).send("fragm", 0x00).send("ents,", 0x80)
        frames = sorted([ws.frame(), ws.frame()])
        assert frames == [(0x81, b'44/fragments,{"message":"Invalid namespace"}'), (0x8a, b"hi")]
        for _ in range(20):
            ws.send("x" * 60000, 0x01 if _ == 0 else 0x00)
        assert ws.closed() == (1009).to_bytes(2, "big")


def test_too_long(stack):
    ws, _ = opened(stack)
    with ws:
        assert ws.send("4" + "x" * 1000000).closed() == (1009).to_bytes(2, "big")
    with joined(stack, stack.user()) as ws:  # and as much as may be
        ws.send('42["x","' + "x" * (1000000 - 10) + '"]')
        assert ws.send("40/x,").text().startswith("44/x,")


def connect_packet(user, length):
    """A CONNECT of so many bytes."""
    text = "40" + json.dumps({"token": user.token, "x": ""})
    return text[:-2] + "x" * (length - len(text)) + text[-2:]


EARLY = 16384  # what may be said by who has not said who they are


@pytest.mark.parametrize("how", ["whole", "in pieces", "after leaving"])
def test_too_long_before_connect(stack, how):
    """Much less may be said by who is not let in: so nobody makes the gateway hold much."""
    user = stack.user()
    with opened(stack)[0] as ws:
        if how == "after leaving":
            ws.send(connect_packet(user, EARLY))
            assert ws.text().startswith('40{"sid"')
            ws.send('42["x","' + "x" * 900000 + '"]').send("40/x,")
            assert ws.text().startswith("44/x,")
            ws.send("41")
        text = connect_packet(user, EARLY + 1)
        for at in range(0, len(text), 5000) if how == "in pieces" else [0]:
            ws.send(text[at:at + 5000] if how == "in pieces" else text, 0x81 if how != "in pieces" else 0x01 if at == 0 else 0x00)
        assert ws.closed() == (1009).to_bytes(2, "big")


def test_too_long_before_connect_by_polling(stack):
    """413, as of any body that is too long; after CONNECT, and after an upgrade, as much as ever."""
    user = stack.user()
    large = '42["x","' + "x" * 900000 + '"]'
    poll = Polling(stack)
    assert poll.post(connect_packet(user, EARLY + 1)).status == 413
    assert poll.post(connect_packet(user, EARLY)).status == 200 and poll.packets()[0].startswith("40{")
    assert poll.post(large).body == b"ok"
    assert poll.post("41").body == b"ok" and poll.post(large).status == 413
    assert poll.join({"token": user.token}).startswith("40{")
    with probe(stack, poll) as ws:
        ws.send("5").send(large).send("40/x,")
        while (text := ws.text()) == "6":
            pass
        assert text.startswith("44/x,")


def test_too_long_without_tokens(stack_factory):
    """Nobody has to say who they are; it is bounded until CONNECT all the same."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.auth": "off"})
    with opened(stack)[0] as ws:
        assert ws.send("4" + "x" * EARLY).closed() == (1009).to_bytes(2, "big")
    with opened(stack)[0] as ws:
        ws.send("40")
        assert ws.text().startswith('40{"sid"')
        assert ws.send('42["x","' + "x" * 900000 + '"]').send("40/x,").text().startswith("44/x,")


def test_bad_utf8(stack):
    ws, _ = opened(stack)
    with ws:
        assert ws.send(b"40/\xff\xfe,").closed()[:2] == (1007).to_bytes(2, "big")


# ---- the change from polling to WebSocket

def probe(stack, poll):
    ws = WebSocket(stack, f"{WEBSOCKET}&sid={poll.sid}")
    assert ws.status == 101 and ws.send("2probe").text() == "3probe"
    return ws


def test_upgrade(stack):
    """2probe, 3probe, a held poll is let go with 6, 5: then it is a WebSocket."""
    poll = Polling(stack)
    poll.join({"token": stack.user().token})
    held = poll.hold()
    with probe(stack, poll) as ws:
        assert answer(held).body == b"6"
        ws.send("5")
        assert ws.send("40/x,").text().startswith("44/x,")
        assert poll.get().json == {"code": 3, "message": "Bad request"}
        with WebSocket(stack, f"{WEBSOCKET}&sid={poll.sid}") as second:
            assert second.status == 101 and second.closed() == b""
        assert ws.send("40/y,").text().startswith("44/y,")


def test_what_waits_goes_along(stack):
    """Until 5 comes, polling gets it; what nobody fetched is sent as frames."""
    poll = Polling(stack)
    with probe(stack, poll) as ws:
        poll.post("40/a,")
        assert poll.packets() == ['44/a,{"message":"Invalid namespace"}']
        poll.post("40/b,")
        assert ws.send("5").text() == '44/b,{"message":"Invalid namespace"}'


def test_a_poll_during_the_change_is_released(stack):
    poll = Polling(stack)
    with probe(stack, poll):
        assert poll.packets() == ["6"]


def test_probes_that_fail(stack):
    """Another first packet, or a second probe, closes that WebSocket, and polling goes on."""
    poll = Polling(stack)
    for first in ("5", "2", "3probe", "40"):
        with WebSocket(stack, f"{WEBSOCKET}&sid={poll.sid}") as ws:
            assert ws.send(first).closed() == b""
    with probe(stack, poll) as ws:
        with WebSocket(stack, f"{WEBSOCKET}&sid={poll.sid}") as second:
            assert second.closed() == b""
        ws.send("5")
        assert ws.send("40/x,").text().startswith("44/x,")
    poll = Polling(stack)
    probe(stack, poll).close()
    assert poll.join({"token": stack.user().token}).startswith("40{")


# ---- heartbeats

def test_heartbeat(fast):
    """2 comes, 3 is answered, also while there is traffic; who does not answer is closed, without a code."""
    with joined(fast, fast.user()) as ws:
        for _ in range(5):
            assert ws.text() == "2"
            ws.send("3")
        started = time.monotonic()
        assert ws.closed() == b""
        assert 0.3 < time.monotonic() - started < scaled(5)


def test_who_is_ended_and_does_not_read(fast):
    """Its connection goes all the same, with what waits for it: nobody counts it any more."""
    bridge = fast.bridges[0].restart()

    def open_files():
        return len(os.listdir(f"/proc/{bridge.pid}/fd"))

    socks = [bridge.connect() for _ in range(3)]
    for sock in socks:
        ws = WebSocket(fast, sock=sock)
        ws.text()
        for _ in range(190):  # each is answered: more than a socket takes
            ws.send(f"40/{'x' * 120},")
    all_there = open_files()
    wait_for(lambda: open_files() <= all_there - 3, 15, "they are still there")
    for sock in socks:
        sock.close()


def test_who_does_not_read_is_dropped(stack_factory):
    """At the backlog's bound, and at once."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.backlog": "64k", "bridge.messages": "off"})
    bridge = stack.bridges[0]
    before = len(os.listdir(f"/proc/{bridge.pid}/fd"))
    with WebSocket(stack, sock=bridge.connect()) as ws:
        ws.text()
        for _ in range(4000):
            ws.send(f"40/{'x' * 120},")
        wait_for(lambda: len(os.listdir(f"/proc/{bridge.pid}/fd")) <= before, 10, "it is still there")


def test_heartbeat_by_polling(fast):
    poll = Polling(fast)
    for _ in range(4):
        assert poll.packets() == ["2"] and poll.post("3").body == b"ok"
    assert poll.packets() == ["2"]
    assert poll.packets() == ["1"]
    assert poll.get().json["code"] == 1


# ---- who is let in

def refusal(stack, path=WEBSOCKET, connect_with="40", headers=()):
    ws, _ = opened(stack, path, headers)
    with ws:
        return ws.send(connect_with).text()


def test_credentials(stack):
    """In the packet as token, apiKey or auth; in the query; in the header: the first that is there counts."""
    token = stack.user().token
    for auth in ({"token": token}, {"apiKey": token}, {"auth": token}, {"auth": {"token": token}}, {"auth": {"apiKey": token}},
                 {"token": f"Bearer {token}"}):
        assert refusal(stack, connect_with="40" + json.dumps(auth)).startswith('40{"sid"'), auth
    assert refusal(stack, f"{WEBSOCKET}&token={token}").startswith('40{"sid"')
    for header in (f"Bearer {token}", token):
        assert refusal(stack, headers=[f"Authorization: {header}"]).startswith('40{"sid"')
    assert refusal(stack, f"{WEBSOCKET}&token={token}", '40{"token":"other"}') == '44{"message":"Invalid API key"}'


def test_refused(stack):
    """Nothing, nonsense, what has expired: connect_error, and another try on the same connection is free."""
    expired = stack.token("ann", exp=int(time.time()) - 3600)
    for auth in (None, {}, {"token": ""}, {"token": "nonsense"}, {"token": 5}, {"token": "a b"}, {"token": "x" * 9000}, {"token": "a\r\nX: y"},
                 {"token": expired}):
        assert refusal(stack, connect_with="40" + (json.dumps(auth) if auth is not None else "")) == '44{"message":"Invalid API key"}', auth
    assert Polling(stack).join({"token": "x"}) == '44{"message":"Invalid API key"}'
    ws, _ = opened(stack)
    with ws:
        assert ws.send("40").text().startswith("44{")
        assert ws.send("40" + json.dumps({"token": stack.user().token})).text().startswith("40{")


def test_expiry(stack_factory):
    """At the end of the token: 41, which tells the client to stay away, and the end."""
    stack = stack_factory(workers=1, bridges=1, conf={"jwt.leeway": "0s"})
    with joined(stack, stack.user(exp=int(time.time()) + 3)) as ws:
        assert ws.text() == "41" and ws.closed() == b""


def test_connections_of_a_user(stack):
    """So many at once; one that leaves makes room."""
    user = stack.user()
    sockets = [joined(stack, user) for _ in range(4)]
    connect_packet = "40" + json.dumps({"token": user.token})
    assert refusal(stack, connect_with=connect_packet) == '44{"message":"Too many connections"}'
    for ws in sockets:
        ws.close()
    wait_for(lambda: refusal(stack, connect_with=connect_packet).startswith("40{"), 10, "there is no room")


def test_connections_of_an_address(stack_factory):
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.connections_per_address": "2"})
    sockets = [opened(stack)[0] for _ in range(2)]
    got = get(stack, "EIO=4&transport=polling")
    assert (got.status, got.body) == (403, b'{"code":4,"message":"Forbidden"}')
    with WebSocket(stack) as ws:
        assert (ws.status, ws.body()) == (400, b"Forbidden")
    sockets.pop().close()
    wait_for(lambda: get(stack, "EIO=4&transport=polling").status == 200, 10, "there is no room")


def test_too_many_messages(stack_factory):
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.messages": "10/1m burst=20"})
    with joined(stack, stack.user()) as ws:
        for n in range(18):
            assert ws.send(f"40/{n},").text() == f'44/{n},{{"message":"Invalid namespace"}}'
        assert ws.send("40/a,").send("40/b,").send("40/c,").closed() == b""


def test_the_pool_is_away(stack_factory):
    """Nobody can be let in, nobody is told to stay away: the connection is closed, and the next try succeeds."""
    stack = stack_factory(workers=1, bridges=1)
    token = stack.user().token
    stack.stop_pool()
    ws, _ = opened(stack)
    with ws:
        assert ws.send("40" + json.dumps({"token": token})).closed() == b""
    stack.start_pool()
    assert refusal(stack, connect_with="40" + json.dumps({"token": token})).startswith("40{")


# ---- the process

def test_restart(stack_factory):
    """Connections end without 41 and without a close packet: clients come back, to the next one."""
    stack = stack_factory(workers=1, bridges=1)
    ws, poll = joined(stack, stack.user()), Polling(stack)
    held = poll.hold(by_nginx=True)
    bridge = stack.bridges[0]
    wait_for(lambda: poll.post("3").status == 200, 5)
    assert bridge.stop() == 0
    rest = []
    while (frame := ws.frame()) is not None:
        rest.append(frame)
    assert not any(first == 0x81 for first, _ in rest), rest
    assert answer(held).status == 503
    assert stack.http("GET", POLLING, plain=True).status == 503
    bridge.start()
    assert joined(stack, stack.user()).close() is None
    bridge.restart(signal.SIGKILL)
    assert joined(stack, stack.user()).close() is None


def test_a_slow_reader_is_dropped(stack_factory):
    """What it does not read is bounded; it hurts nobody else."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.backlog": "65536", "bridge.messages": "off"})
    user = stack.user()
    slow, other = joined(stack, user), joined(stack, user)
    name = "x" * 100
    burst = b"".join(bytes([0x81, 0x80 | len(p)]) + b"\0\0\0\0" + p for p in [f"40/{name},".encode()])
    slow.sock.settimeout(scaled(30))
    try:
        for _ in range(200000):
            slow.sock.sendall(burst)
            if "does not read" in stack.bridges[0].log():
                break
    except OSError:
        pass
    wait_for(lambda: "does not read" in stack.bridges[0].log(), 20, "it is not dropped")
    assert other.send("40/x,").text().startswith("44/x,")


def test_configuration(stack_factory):
    """What is wrong is said at the start; what is open is warned of."""
    stack = stack_factory(workers=1, bridges=1, without_nginx=True, conf={"bridge.auth": "off"})
    wait_for(lambda: "bridge.auth = off" in stack.bridges[0].log(), 5, "it does not warn")
    wait_for(lambda: process_state(stack.bridges[0].pid)[0] == "S", 5, "it does not rest")
    assert not children(stack.bridges[0].pid)


# ---- revocation

def revoke(stack, *words):
    done = subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "token", "revoke", *words], capture_output=True, text=True)
    assert done.returncode == 0, done


def let_in(stack, user):
    """How the gateway answers a CONNECT with the user's token."""
    with opened(stack)[0] as ws:
        ws.send(f'40{{"token":"{user.token}"}}')
        return ws.text()


@pytest.mark.parametrize("way", ["token", "user"])
def test_a_revoked_token_ends_its_connections(stack_factory, way):
    """Sockets and pages of that token, or of that user, and of nobody else; who comes back with it is refused."""
    stack = stack_factory(workers=2, bridges=1)
    bad, good = stack.user("bad", jti="token-1"), stack.user("good", jti="token-2")
    if way == "token":
        good.token = stack.token(bad.name, jti="token-2")
    with joined(stack, bad) as ended, joined(stack, good) as stays, Page(stack, bad, []) as page:
        revoke(stack, *(["--jti", "token-1"] if way == "token" else ["--user", bad.name]))
        ended.closed()
        assert page.wait_closed() == (4003, "Invalid token")
        assert let_in(stack, bad) == '44{"message":"Invalid API key"}'
        stays.send('421["session:leave","x"]')
        assert stays.text() == '431[{"success":true}]'
    assert let_in(stack, good).startswith("40{")
