# SPDX-License-Identifier: MIT
"""What clients of sessions are told as it happens, and that it is what REST has, once and in order, whatever dies."""

import json
import os
import re
import subprocess
import threading

import pytest
import socketio
from agentbridge import Page
from conftest import close
from fake_gateway import function
from front_end import FrontEnd
from promlint import lint
from session_client import View, Viewer
from stack import Agent, Stack, words
from test_bridge_sessions import npm  # pylint: disable=unused-import
from test_notify import Manager
from test_tools import LIST
from waiting import ROOT, scaled, wait_for

SCENARIOS = [
    {"match": "^work$", "round": 0, "steps": [
        {"thinking": "I look at it.", "signature": "c2ln"}, {"text": "Let me see. "}, {"call": "todo_read"},
        {"call": "todo_write", "input": {"todos": LIST * 4}}, {"call": "no_such", "input": {"x": 1}}]},
    {"match": "^work$", "steps": [{"text": words(20), "pace_ms": 5, "by": "word"}]},
    {"match": "^ask$", "round": 0, "steps": [{"text": "I ask. "}, {"call": "task_run", "input": {"description": "count", "prompt": "child one"}}]},
    {"match": "^ask$", "steps": [{"text": "They say two."}]},
    {"match": "^child", "round": 0, "steps": [{"text": words(10), "pace_ms": 5, "by": "word"}, {"call": "todo_read"}]},
    {"match": "^child", "steps": [{"text": "There are two."}]},
    {"match": "^guarded$", "round": 0, "steps": [{"call": "todo_write", "input": {"todos": LIST}}]},
    {"match": "^guarded$", "steps": [{"text": "It was allowed."}]},
    {"match": "^fail$", "steps": [{"status": 401, "body": {"type": "error", "error": {"type": "authentication_error", "message": "no"}}}]},
    {"match": "^slow$", "steps": [{"text": words(60), "pace_ms": 20, "by": "word"}]},
]
TEMPLATES = {"worker": {"tools": ["todo_read", "todo_write", "task_run"], "subagents": ["worker"]},
             "careful": {"tools": ["todo_read", "todo_write"], "permission": {"mode": "auto", "requireApprovalTools": ["todo_write"]}}}
CONF = {"store.sweep": "200ms", "store.lease": "1s"}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, bridges=2, scenarios=SCENARIOS, templates=TEMPLATES, conf=CONF)
    yield stack
    close(stack)


@pytest.fixture
def front(stack):
    return FrontEnd(stack)


def agent_of(front):
    return Agent(front.user, front.stack.redis().zrange(f"af:user:{front.user.name}:sessions", 0, -1)[-1].decode())


def viewers(front, session):
    return [Viewer(front, session, bridge) for bridge in front.stack.bridges]


def finish(all_of_them):
    wholes = [v.settled() for v in all_of_them]
    assert all(w["blocks"] == wholes[0]["blocks"] for w in wholes)
    for v in all_of_them:
        v.close()
    return wholes[0]


@pytest.mark.parametrize("text", ["hello", "think about it", "work", "ask", "slow 10"])
def test_a_turn(front, text):
    """From two gateways the same, to a session that was made by REST: each block once, in order, and as REST has them."""
    session = front.session(profile="worker")
    both = viewers(front, session)
    front.say(session, text)
    whole = finish(both)
    assert len(whole["blocks"]) >= 2 and whole["blocks"][0]["content"] == text
    for v in both:
        assert not v.view.late and v.view.runtime["sandbox"]["status"] == "ready" and "usage" in v.view.metadata
    if text == "ask":
        assert len(whole["subagents"]) == 1 and whole["subagents"][0]["blocks"]


def test_a_worker_dies(front):
    """In the middle of an answer: both see the same blocks, once."""
    session = front.session(profile="worker")
    both = viewers(front, session)
    front.say(session, "slow")
    for v in both:
        v.has("w5")
    front.stack.kill_worker_of(agent_of(front))
    whole = finish(both)
    assert whole["blocks"][-1]["content"].strip() == words(60).strip()
    assert all(len(v.views) == 1 for v in both)


def test_who_comes_later(front):
    """Is told what streams, and nothing that REST had before."""
    session = front.session(profile="worker")
    first = Viewer(front, session)
    front.say(session, "slow")
    first.has("w9 ")
    second = Viewer(front, session, front.stack.bridges[1])
    third = Viewer(front, session)
    second.has("w1 w2 w3 ")
    third.has("w1 w2 w3 ")
    finish([first, second, third])


def test_several_at_once(front):
    """Messages of two clients, one behind the other: turns do not mix."""
    session = front.session(profile="worker")
    both = viewers(front, session)
    texts = [f"say {n}" for n in range(6)]
    threads = [threading.Thread(target=front.say, args=(session, t)) for t in texts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    whole = wait_for(lambda: (w := both[0]._whole()) and len(w["blocks"]) == 12 and w)
    finish(both)
    assert sorted(b["content"] for b in whole["blocks"] if b["type"] == "user_message") == texts


def test_failure_and_interrupt(front):
    """One error, and the session goes on; what was interrupted ends too."""
    session = front.session(profile="worker")
    with Viewer(front, session) as v:
        front.say(session, "fail")
        v.wait(lambda: v.view.errors)
        error = v.view.errors[0]
        assert error["sessionId"] == session and error["message"] and error["code"]
        front.say(session, "slow")
        v.has("w3")
        agent_of(front).interrupt()
        front.say(session, "hello")
        v.has("echo: hello")
        v.wait(lambda: v.view.queries == 0)
        assert len(v.view.errors) == 1
        v.view.is_idle()


def test_approval(front):
    """While a human is asked the call runs; the answer goes on from there, for one who came meanwhile too."""
    session = front.session(profile="careful")
    first = Viewer(front, session)
    front.say(session, "guarded")
    agent = agent_of(front)
    call = agent.asked()[0]["id"]
    second = Viewer(front, session, front.stack.bridges[1])
    assert agent.decide(call).status == 200
    finish([first, second])


def test_state(front):
    """Options, the end of the environment, unloading, loading; and the list, to all sockets of the user."""
    session = front.session()
    other = FrontEnd(front.stack)
    with Viewer(front, session) as v, Viewer(other, other.session()) as stranger:
        def listed(n):
            return v.wait(lambda: v.view.lists >= n and n)

        lists, theirs = v.view.lists, stranger.view.lists
        front.patch(f"/api/sessions/{session}/options", {"sessionOptions": {"k": [1]}})
        v.wait(lambda: v.view.options == {"k": [1]})
        front.say(session, "hello")
        v.wait(lambda: v.view.runtime["sandbox"] and v.view.runtime["sandbox"]["status"] == "ready")
        v.settled()
        front.post(f"/api/sessions/{session}/environment/terminate")
        v.wait(lambda: v.view.runtime["sandbox"] is None and v.view.runtime["isLoaded"])
        front.session()
        listed(lists + 1)
        front.delete(f"/api/sessions/{session}")
        v.wait(lambda: v.view.runtime["isLoaded"] is False)
        listed(lists + 2)
        made = [p for e, p in v.view.told if e == "sessions:list"][-1]
        assert made == front.sessions()
        front.say(session, "again")
        v.has("echo: again")
        v.wait(lambda: v.view.runtime["isLoaded"])
        v.settled()
        front.delete(f"/sessions/{session}")
        v.wait(lambda: v.view.runtime["isLoaded"] is False)
        assert stranger.view.lists == theirs
        assert not any(session in json.dumps(t) for t in stranger.view.told)


def test_redis_and_gateways_restart(front):
    """Clients come back by themselves, ask, and go on; nothing is told twice, nothing is missed."""
    stack = front.stack
    session = front.session(profile="worker")
    both = viewers(front, session)
    front.say(session, "slow")
    for v in both:
        v.has("w5")
    stack.bridges[1].restart()
    both[1].wait(lambda: len(both[1].views) == 2)
    stack.restart_redis()
    front_says = FrontEnd(stack, front.user)
    wait_for(stack.is_ready)
    wait_for(lambda: front_says.post(f"/api/sessions/{session}/messages", {"content": "hello"}).status == 200)
    for v in both:
        v.has("echo: hello")
    finish(both)
    assert len(both[0].views) == 1


def test_redis_user(stack_factory):
    """What docs/bridge.md gives a gateway of its own in Redis is enough."""
    stack = stack_factory(workers=1, bridges=2, scenarios=SCENARIOS, templates=TEMPLATES)
    text = open(os.path.join(ROOT, "docs", "bridge.md"), encoding="utf-8").read()
    rule = re.search(r"^ +user bridge on >PASSWORD (.*?)\n\n", text, re.M | re.S)[1].split()
    stack.redis().execute_command("ACL", "SETUSER", "bridge", "on", ">secret", *rule)
    bridge = stack.bridges[1]
    bridge.conf = {"store.user": "bridge", "store.password_file": stack.write("bridge.password", "secret\n")}
    bridge.restart()
    front = FrontEnd(stack)
    session = front.session(profile="worker")
    v = Viewer(front, session, bridge)
    front.say(session, "work")
    front.say(session, "ask")
    v.has("They say two.")
    front.delete(f"/api/sessions/{session}")
    v.wait(lambda: v.view.runtime["isLoaded"] is False)
    v.settled()
    front.get(f"/api/sessions/{session}")
    v.wait(lambda: v.view.runtime["isLoaded"])
    v.close()
    user = stack.user()
    with Page(stack, user, [function("add")], lambda c: 7, gateway=bridge) as page:
        assert user.get("/api/capabilities").json.keys() == {page.id}
        got = user.post("/api/command", {"clientId": page.id, "command": {"target": "add", "action": "call", "parameters": {}}})
        assert (got.status, got.json) == (200, 7)
    wait_for(lambda: user.get("/api/capabilities").json == {})
    assert stack.redis().acl_log() == []


# ---- figures

def test_figures(stack_factory):
    """Of the gateway, for Prometheus and for people; for this host alone."""
    stack = stack_factory(workers=1, bridges=1, conf={"bridge.backlog": "64k"})
    front = FrontEnd(stack)

    def metrics():
        got = stack.http("GET", "/bridge/metrics", plain=True)
        assert got.status == 200 and got.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8" and lint(got.body.decode())[0] == []
        return {n: int(v) for n, v in re.findall(r"^agent_fpm_bridge_(\w+) (\d+)$", got.body.decode(), re.M)}

    before = metrics()
    assert before["redis_up"] == 1 and before["sockets"] == before["rooms"] == before["users"] == 0
    session = front.session()
    both = [Viewer(front, session) for _ in range(2)]
    front.say(session, "hello")
    finish_soon = [v.settled() for v in both]
    now = metrics()
    assert finish_soon and (now["sockets"], now["users"], now["rooms"], now["seats"], now["connections_total"]) == (2, 1, 1, 2, 2)
    assert now["received_total"] >= 2 and now["fed_total"] > 3 and now["sent_bytes_total"] > 20 * now["sent_total"] > 0
    with pytest.raises(socketio.exceptions.ConnectionError):
        socketio.Client(reconnection=False).connect(stack.plain, auth={"token": "x"}, wait_timeout=scaled(2))
    assert metrics()["refused_total"] == 1
    status = stack.http("GET", "/bridge/status?json", plain=True).json
    assert (status["sockets"], status["rooms"], status["redis up"]) == (2, 1, 1)
    text = stack.http("GET", "/bridge/status", plain=True).body.decode()
    assert re.search(r"^sockets: +2$", text, re.M)
    for v in both:
        v.close()
    wait_for(lambda: metrics()["sockets"] == 0)
    assert metrics()["rooms"] == metrics()["seats"] == metrics()["users"] == 0
    with stack.bridges[0].connect() as sock:
        sock.sendall(b"GET /bridge/status HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 403")


def test_the_manager(stack_factory):
    """Is told that it is ready, how many there are, that the loop goes round, and that it stops."""
    stack = stack_factory(workers=1, bridges=1)
    manager = Manager(stack.path("notify.sock"))
    stack.env = {"NOTIFY_SOCKET": stack.path("notify.sock"), "WATCHDOG_USEC": "3000000"}
    stack.bridges[0].restart()
    manager.wait("READY=1")
    front = FrontEnd(stack)
    with Viewer(front, front.session()):
        manager.wait("STATUS=1 clients of 1 users, 1 rooms")
        manager.wait("WATCHDOG=1", 2)
    wait_for(lambda: [t for t in manager.read() if t.startswith("STATUS=")][-1] == "STATUS=0 clients of 0 users, 0 rooms")
    assert stack.bridges[0].stop() == 0
    manager.wait("STOPPING=1")
    manager.close()


# ---- real clients

def python_client(stack, user, session, seen, transports):
    client = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.1)
    client.on("*", lambda event, *args: seen.append((event, args[0])))
    joined = []
    client.on("connect", lambda: client.emit("session:join", session, callback=joined.append))
    client.connect(stack.plain, auth={"token": user.token}, transports=transports, wait_timeout=scaled(10))
    wait_for(lambda: joined)
    assert joined == [{"success": True}]
    return client


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
def test_python_client(front, transports):
    """python-socketio, both ways in, told the same as the others."""
    session, seen = front.session(profile="worker"), []
    client = python_client(front.stack, front.user, session, seen, transports)
    try:
        client.emit("session:message", {"sessionId": session, "content": "work"})
        wait_for(lambda: any(e == "session:event" and p["type"] == "query:completed" for e, p in list(seen)), 20)
        wait_for(lambda: seen[-1][0] == "session:event" and seen[-1][1]["type"] == "session:idle")
        view = View(session)
        for event, payload in seen:
            view.take(event, payload)
        view.agrees(front.get(f"/api/sessions/{session}").json)
    finally:
        client.disconnect()


SCRIPT = r"""
const { io } = require("socket.io-client");
const [url, token, session, transports] = [process.argv[1], process.argv[2], process.argv[3], process.argv[4].split(" ")];
const say = (...what) => console.log(JSON.stringify(what));
const socket = io(url, { transports, reconnectionDelay: 50, reconnectionDelayMax: 100, auth: { token } });
socket.on("disconnect", () => say("disconnect"));
socket.onAny((event, ...args) => say(event, args[0]));
socket.on("connect", async () => {
  const answer = await socket.timeout(10000).emitWithAck("session:join", session);
  say("joined", answer.success);
});
process.stdin.on("data", (text) => socket.emit("session:message", { sessionId: session, content: text.toString().trim() }));
process.stdin.on("end", () => { socket.disconnect(); process.exit(0); });
"""


@pytest.mark.parametrize("transports", ["websocket", "polling websocket"])
def test_npm_client(front, npm, transports):
    """socket.io-client: a turn; the gateway goes and comes back in the middle of the next, and it joins by itself and goes on."""
    session = front.session(profile="worker")
    client = subprocess.Popen(["node", "-e", SCRIPT, front.stack.plain, front.user.token, session, transports], cwd=npm, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []

    def until(condition, count=1):
        while True:
            line = client.stdout.readline()
            assert line, said[-5:]
            said.append(tuple(json.loads(line)))
            count -= bool(condition(*said[-1]))
            if count == 0:
                return

    def say(text):
        client.stdin.write(text + "\n")
        client.stdin.flush()

    def idle(event, p):
        return event == "session:event" and p["type"] == "session:idle"

    try:
        until(lambda event, _: event == "joined")
        say("work")
        until(idle)
        view = View(session)
        for event, payload in said:
            if event != "joined":
                view.take(event, payload)
        view.agrees(front.get(f"/api/sessions/{session}").json)
        say("slow")
        until(lambda event, p=None: event == "session:block:delta" and "w5" in p["delta"])
        had = {b["id"] for b in front.get(f"/api/sessions/{session}").json["blocks"]}
        front.stack.bridges[0].restart()
        until(lambda event, *_: event == "disconnect")
        said.clear()
        until(lambda event, _: event == "joined")
        until(idle)
        view = View(session, had, late=True)
        for event, payload in said:
            if event != "joined":
                view.take(event, payload)
        view.agrees(front.get(f"/api/sessions/{session}").json)
        assert any(b["content"].strip() == words(60).strip() for b in view.blocks())
        client.stdin.close()
        assert client.wait(scaled(10)) == 0
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()


# ---- files

def test_files():
    """Written by a tool, changed, deleted: told with what is in them, as REST has them."""
    stack = Stack(workers=1, bridges=1, sandbox=True, scenarios=[
        {"match": "^files$", "round": 0, "steps": [{"call": "fs_write", "input": {"path": "a b/é.txt", "content": "hé\n"}}]},
        {"match": "^files$", "round": 1, "steps": [{"call": "fs_write", "input": {"path": "x.txt", "content": "one"}}]},
        {"match": "^files$", "round": 2, "steps": [{"call": "fs_edit", "input": {"path": "x.txt", "old_string": "one", "new_string": "two"}}]},
        {"match": "^files$", "steps": [{"text": "Written."}]}])
    try:
        front = FrontEnd(stack)
        session = front.session()
        v = Viewer(front, session)
        front.say(session, "files")
        v.wait(lambda: v.view.files == {"a b/é.txt": "hé\n", "x.txt": "two"})
        whole = v.settled()
        assert {f["path"]: f["content"] for f in whole["workspaceFiles"]} == v.view.files
        told = [e for e, p in v.view.told if e.startswith("session:file:") and p["file"]["path"] == "x.txt"]
        assert told[0] == "session:file:created" and set(told[1:]) <= {"session:file:modified"}
        agent = agent_of(front)
        assert front.user.http("PUT", f"{agent.path}/files/x.txt", body=b"three").status in (200, 204)
        # As the sync of workspaces says it of what a command has changed.
        for change, path in (("modified", "x.txt"), ("created", "none.txt"), ("deleted", "a b/é.txt")):
            stack.redis().publish(f"af:user:{front.user.name}:sessions", json.dumps({"type": "file", "agent": agent.id, "change": change, "path": path}))
        v.wait(lambda: v.view.files == {"x.txt": "three"})
        v.close()
    finally:
        close(stack)
