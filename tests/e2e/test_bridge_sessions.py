# SPDX-License-Identifier: MIT
"""What clients of Socket.IO do with sessions: join, leave, create, message; and real clients, of Python and of npm."""

import json
import os
import shutil
import subprocess
import tempfile

import pytest
import socketio
from engine import Polling, joined, opened
from stack import Stack
from waiting import ROOT, scaled

CREATE = {"agentProfileRef": "default", "architecture": "claude-agent-sdk"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=1, bridges=1, conf={"bridge.rooms": "3"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def create(user):
    made = user.post("/api/sessions", CREATE)
    assert made.status == 201, made
    return made.json["sessionId"]


def event(ws, *args, ack=""):
    ws.send(f"42{ack}" + json.dumps(args))
    return ws


def packet(ws):
    """(what stands before the JSON, the JSON) of the next one that is not sessions:list."""
    while (text := ws.text()).startswith('42["sessions:list"'):
        pass
    at = min(text.index(c) for c in "[{" if c in text)
    return text[:at], json.loads(text[at:])


def until(ws, *heads):
    """The next of these kinds: acknowledgements by what stands before the JSON, events by their name."""
    while True:
        head, data = packet(ws)
        if head in heads or (head == "42" and data[0] in heads):
            return head, data


def test_join(stack):
    """The status comes first, in both forms; then the acknowledgement. Joining twice is one membership."""
    user = stack.user()
    session = create(user)
    with joined(stack, user) as ws:
        for n in range(2):
            event(ws, "session:join", session, ack=n)
            head, (name, status) = packet(ws)
            assert (head, name, status["sessionId"], status["runtime"]["isLoaded"]) == ("42", "session:status", session, True)
            head, (name, status) = packet(ws)
            assert (head, name, status["type"], status["payload"]["runtime"]["isLoaded"]) == ("42", "session:event", "status", True)
            assert status["context"].keys() == {"sessionId", "source", "timestamp"} and status["context"]["source"] == "server"
            assert ws.text() == f'43{n}[{{"success":true}}]'
        assert event(ws, "session:leave", session, ack=2).text() == '432[{"success":true}]'


def test_what_cannot_be_joined(stack):
    """What is not there, what is another's, what is no id: not found. Leaving is always fine. Without an ack id there is none."""
    others = create(stack.user())
    with joined(stack, stack.user()) as ws:
        for n, what in enumerate(["nope", NOBODY, others, 5, None, {}, "", "a/b", "../agents", "x" * 100]):
            assert event(ws, "session:join", what, ack=n).text() == f'43{n}[{{"success":false,"error":"Session not found"}}]'
            event(ws, "session:join", what)
            assert event(ws, "session:leave", what, ack=n).text() == f'43{n}[{{"success":true}}]'
        event(ws, "session:join").send('42["session:leave"]')
        assert ws.send('4299["session:join"]').text() == '4399[{"success":false,"error":"Session not found"}]'


def test_what_waits_is_bounded(stack):
    """In number and in bytes: a client that says more than the pool takes is closed."""
    user = stack.user()
    session, worker = create(user), stack.workers()[0]
    large = {"sessionId": session, "content": "x" * 900000}
    with joined(stack, user) as few, joined(stack, user) as many:
        stack.stop(worker)
        try:
            for _ in range(3):
                event(few, "session:message", large)
            for _ in range(65):
                event(many, "session:join", session)
            assert few.closed() == b"" and many.closed() == b""
        finally:
            stack.cont(worker)
    with joined(stack, user) as ws:  # others are served
        assert event(ws, "session:leave", session, ack=0).text() == '430[{"success":true}]'


def test_order(stack):
    """What is said at once is done in that order."""
    user = stack.user()
    session = create(user)
    with joined(stack, user) as ws:
        for n in range(6):
            event(ws, "session:join", session if n % 2 else "nope", ack=n)
        acks = []
        while len(acks) < 6:
            head, data = packet(ws)
            acks += [(head, data[0]["success"])] if head.startswith("43") else []
        assert acks == [(f"43{n}", bool(n % 2)) for n in range(6)]


def test_few_packets_in_a_poll(stack):
    """python-engineio takes 16 packets of one body and hangs up if there are more."""
    user = stack.user()
    polling = Polling(stack)
    polling.join({"token": user.token})
    polling.post("\x1e".join(f'42{n}["session:join","nope"]' for n in range(40)))
    got, sizes = [], []
    while len(got) < 40:
        packets = polling.packets()
        sizes.append(len(packets))
        got += packets
    assert got == [f'43{n}[{{"success":false,"error":"Session not found"}}]' for n in range(40)] and max(sizes) <= 16


def test_too_many_rooms(stack):
    user = stack.user()
    sessions = [create(user) for _ in range(4)]
    with joined(stack, user) as ws:
        for n, session in enumerate(sessions[:3]):
            event(ws, "session:join", session, ack=n)
            while not (text := ws.text()).startswith("43"):
                pass
            assert "true" in text
        assert event(ws, "session:join", sessions[3], ack=9).text() == '439[{"success":false,"error":"Too many sessions are joined"}]'
        event(ws, "session:leave", sessions[0], ack=10).text()
        assert event(ws, "session:join", sessions[3], ack=11).text().startswith('42["session:status"')


def test_create(stack):
    """It is made as by POST, joined, told of, and only then acknowledged."""
    user = stack.user()
    with joined(stack, user) as ws:
        event(ws, "session:create", {**CREATE, "sessionOptions": {"a": 1}}, ack=0)
        name, status = packet(ws)[1]
        assert name == "session:status" and packet(ws)[1][0] == "session:event"
        head, (made,) = packet(ws)
        assert head == "430" and made["success"] is True and made["sessionId"] == status["sessionId"] and made["sessionOptions"] == {"a": 1}
        assert made.keys() == {"success", "sessionId", "runtime", "createdAt", "sessionOptions"}
        assert made["sessionId"] in [s["sessionId"] for s in user.get("/api/sessions").json["sessions"]]
        event(ws, "session:create", {**CREATE, "agentProfileRef": "none"}, ack=1)
        assert packet(ws) == ("431", [{"success": False, "error": "Failed to create session", "code": "SESSION_CREATE_FAILED"}])
        for n, bad in enumerate([{}, [], "x", None, 5], 2):
            head, (answer,) = packet(event(ws, "session:create", bad, ack=n))
            assert (head, answer["success"]) == (f"43{n}", False), bad
        event(ws, "session:create", CREATE)  # without an ack
        assert packet(ws)[1][0] == "session:status"


def test_message(stack):
    """It is said as by POST; who says something is in the room. What fails is an error event, and told where an answer is wanted."""
    user = stack.user()
    session = create(user)
    with joined(stack, user) as ws:
        event(ws, "session:message", {"sessionId": session, "content": "hello"}, ack=0)
        assert packet(ws)[1][0] == "session:status" and packet(ws)[1][0] == "session:event"
        assert until(ws, "430") == ("430", [{"success": True, "sessionId": session}])
        event(ws, "session:message", {"sessionId": session, "content": "again"}, ack=1)
        assert until(ws, "431") == ("431", [{"success": True, "sessionId": session}])
        event(ws, "session:message", {"sessionId": NOBODY, "content": "x"}, ack=2)
        error = {"message": "Session not found", "code": "SESSION_NOT_FOUND"}
        assert until(ws, "error", "432") == ("42", ["error", {**error, "sessionId": NOBODY}])
        assert until(ws, "432") == ("432", [{"success": False, "error": "Session not found", "code": "SESSION_NOT_FOUND"}])
        event(ws, "session:message", {"sessionId": session, "content": ["x"]})
        assert until(ws, "error")[1][1]["message"] == "Invalid request"
        event(ws, "session:message", "x")
        assert until(ws, "error") == ("42", ["error", error])


@pytest.mark.parametrize("auth", ["optional", "off"])
def test_old_front_ends(stack_factory, auth):
    """Those that show nothing are let in, as one user, where the site says so; if it is off, whatever they show."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.auth": auth})
    session = stack.http("POST", "/api/sessions", json=CREATE).json["sessionId"]
    ws, _ = opened(stack)
    with ws:
        assert ws.send("40").text().startswith('40{"sid"')
        assert event(ws, "session:join", session, ack=0).text().startswith('42["session:status"')
    for shown in ({"token": "nonsense"}, {"token": "a b"}, {"token": "x" * 9000}):
        ws, _ = opened(stack)
        with ws:
            answer = ws.send("40" + json.dumps(shown)).text()
            assert answer.startswith('40{"sid"') if auth == "off" else answer == '44{"message":"Invalid API key"}', shown


def test_dialects(stack_factory):
    """What nobody speaks is not said."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.dialects": "w3"})
    user = stack.user()
    session = create(user)
    with joined(stack, user) as ws:
        event(ws, "session:join", session, ack=0)
        assert packet(ws)[1][0] == "session:event" and ws.text() == '430[{"success":true}]'


# ---- real clients

@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_python_client(stack, transports):
    user = stack.user()
    session = create(user)
    client, seen = socketio.Client(reconnection=False), []
    client.on("session:status", seen.append)
    client.connect(stack.plain, auth={"token": user.token}, transports=transports, wait_timeout=scaled(10))
    try:
        assert client.call("session:join", session, timeout=scaled(10)) == {"success": True}
        assert seen[0]["sessionId"] == session
        assert client.call("session:leave", session, timeout=scaled(10)) == {"success": True}
        assert client.transport() == transports[-1]
    finally:
        client.disconnect()
    other, refused = socketio.Client(reconnection=False), []
    other.on("connect_error", refused.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        other.connect(stack.plain, auth={"token": "x"}, transports=transports, wait_timeout=scaled(2))
    assert refused == [{"message": "Invalid API key"}]


@pytest.fixture(scope="module")
def npm():
    """A folder with socket.io-client; bootstrap fetches it, where it can."""
    kept = os.path.join(ROOT, "build", "npm")
    if os.path.isdir(os.path.join(kept, "node_modules", "socket.io-client")):
        yield kept
        return
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed")
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error", "socket.io-client@4.8"],
                                  capture_output=True, timeout=scaled(60), check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("the npm registry is not reached")
        if done.returncode != 0:
            pytest.skip("the npm registry is not reached")
        yield folder


SCRIPT = r"""
const { io } = require("socket.io-client");
const [url, token, session, transports] = [process.argv[1], process.argv[2], process.argv[3], process.argv[4].split(" ")];
const say = (...what) => console.log(JSON.stringify(what));
const options = { transports, reconnectionDelay: 50, reconnectionDelayMax: 100, forceNew: true };
const refused = io(url, { ...options, auth: { token: "x" } });
refused.on("connect_error", (e) => {
  say("refused", e.message, refused.active);
  refused.disconnect();
  const socket = io(url, { ...options, auth: { token } });
  socket.on("session:status", (s) => say("status", s.sessionId === session));
  socket.on("disconnect", (why) => say("disconnect", why, socket.active));
  socket.on("connect", async () => {
    say("connect", socket.id.length);
    say("join", await socket.timeout(10000).emitWithAck("session:join", session));
    say("transport", socket.io.engine.transport.name);
  });
  process.stdin.on("data", () => socket.disconnect());
  socket.on("disconnect", (why) => { if (why === "io client disconnect") process.exit(0); });
});
"""


@pytest.mark.parametrize("transports", ["websocket", "polling", "polling websocket", "websocket polling"])
def test_npm_client(stack, npm, transports):
    """socket.io-client 4.8: refused, let in, joins; when the gateway restarts it comes back and joins again."""
    user = stack.user()
    session = create(user)
    client = subprocess.Popen(["node", "-e", SCRIPT, stack.plain, user.token, session, transports], cwd=npm, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def until(word):
        while True:
            line = client.stdout.readline()
            assert line, f"it ended before {word}"
            said = json.loads(line)
            if said[0] == word:
                return said

    try:
        assert until("refused") == ["refused", "Invalid API key", False]
        for n in range(2):
            assert until("connect") == ["connect", 20]
            assert until("status") == ["status", True]
            assert until("join") == ["join", {"success": True}]
            until("transport")
            if n == 0:
                stack.bridges[0].restart()
                assert until("disconnect")[1:] in (["transport close", True], ["transport error", True])
        client.stdin.write("x\n")
        client.stdin.flush()
        assert until("disconnect")[1] == "io client disconnect" and client.wait(scaled(10)) == 0
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
