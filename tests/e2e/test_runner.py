# SPDX-License-Identifier: MIT
"""The sandbox by HTTP: who may come, and what a worker makes of a runner that fails. What works is in test_sandbox_*.py,
test_files.py and test_bash.py, by both ways."""

import http.client
import http.server
import json
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from conftest import close
from sandbox import SANDBOX, Failed, HttpClient, Runner, Sandbox, frame
from stack import Fcgi, Stack, wait_for
from test_sandbox_commands import processes, skip_without_commands
from test_tools import calls, results
from waiting import certificate, scaled

FRAMES = "application/vnd.agent-fpm.frames"
PING = frame(1, "ping", "alice", "agt_a", b"", {})


# Who may come in, and with what.

@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("runner"), {"sandbox.heartbeat": "50ms"}, by="http").start()
    yield sandbox
    assert sandbox.close() == 0


def post(sandbox, body=PING, method="POST", path="/sandbox", token=None, **headers):
    """(status, body) of a request at nginx."""
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.runner.port, timeout=scaled(20))
    sent = {"Authorization": f"Bearer {token or sandbox.token}", "Content-Type": FRAMES, **{k.replace("_", "-"): v for k, v in headers.items()}}
    try:
        connection.request(method, path, body, {k: v for k, v in sent.items() if v is not None})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_call(sandbox):
    status, body = post(sandbox)
    answer = json.loads(body[8:])
    assert status == 200 and answer["id"] == 1 and answer["ok"] is True


@pytest.mark.parametrize("headers", [
    {"Authorization": None}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}, {"token": "0" * 64}, {"token": "x" * 32},
])
def test_without_the_token(sandbox, headers):
    assert post(sandbox, **headers)[0] == 401


def test_case_and_prefixes_of_the_token(sandbox):
    for token in (sandbox.token.upper(), sandbox.token[:-1], sandbox.token + "0", f" {sandbox.token}"):
        assert post(sandbox, token=token)[0] == 401, token


def test_the_sandbox_looks_itself(sandbox):
    """Past nginx, or with an nginx that lets everybody in."""
    def ask(**params):
        with Fcgi(sandbox.fastcgi, keep=False) as connection:
            connection.send({"REQUEST_METHOD": "POST", "REQUEST_URI": "/sandbox", "CONTENT_TYPE": FRAMES, "CONTENT_LENGTH": str(len(PING)), **params}, PING)
            return connection.read_to_end().response()

    good = f"Bearer {sandbox.token}"
    assert ask(HTTP_AUTHORIZATION=good).status == 200
    for wrong in ({}, {"HTTP_AUTHORIZATION": good[:-1]}, {"HTTP_AUTHORIZATION": good + "0"}, {"HTTP_AUTHORIZATION": good.upper()},
                  {"HTTP_AUTHORIZATION": f"Bearer {'0' * 64}"}, {"HTTP_AUTHORIZATION": "Bearer "}):
        got = ask(**wrong)
        assert got.status == 401 and got.headers["WWW-Authenticate"] and sandbox.token not in str(got.body), wrong
    assert ask(HTTP_AUTHORIZATION=good, REQUEST_METHOD="GET").status == 405
    assert sandbox.token not in sandbox.log()


def test_what_is_no_call(sandbox):
    assert post(sandbox, method="GET", body=None)[0] == 405
    assert post(sandbox, method="PUT")[0] == 405
    assert post(sandbox, path="/other")[0] == 404
    assert post(sandbox, Content_Type="application/json")[0] == 415
    for body in (b"", b"x", PING[:-1], PING + b"x", PING + PING, b"\xff" * 100, b"\0\0\0\2\0\0\0\0{}", b"\0\0\0\2\0\0\0\0[]"):
        assert post(sandbox, body=body)[0] == 400, body


def test_the_largest_call(sandbox):
    """60 MiB arrive; more than a frame may have is refused before it is read."""
    client = HttpClient(sandbox.runner.port, sandbox.token)
    with pytest.raises(Failed) as e:
        client.call("fs.put", path="f", data=b"x" * (60 << 20))
    assert e.value.answer["limit"] == "sandbox.max_file"
    client.close()
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.runner.port, timeout=scaled(20))
    connection.putrequest("POST", "/sandbox")
    for name, value in (("Authorization", f"Bearer {sandbox.token}"), ("Content-Type", FRAMES), ("Content-Length", str(80 << 20))):
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_operations_that_are_none(sandbox):
    client = HttpClient(sandbox.runner.port, sandbox.token)
    for op in ("cancel", "no.such.thing"):
        with pytest.raises(Failed) as e:
            client.call(op, target=1)
        assert e.value.code == "invalid"
    client.call("ping")
    client.close()


def test_heartbeats(sandbox):
    """A command that says nothing: empty parts keep what is between from taking the answer for dead."""
    skip_without_commands(sandbox)
    status, body = post(sandbox, frame(7, "bash.run", "alice", "agt_a", b"", {"command": "sleep 0.5"}))
    parts = []
    while body:
        json_len, data_len = struct.unpack(">II", body[:8])
        parts.append((json.loads(body[8:8 + json_len]), data_len))
        body = body[8 + json_len + data_len:]
    assert status == 200 and parts[0] == ({"id": 7, "more": True}, 0) and len(parts) > 3 and parts[-1][0]["code"] == 0


def test_a_worker_that_hangs_up(sandbox):
    skip_without_commands(sandbox)
    client = HttpClient(sandbox.runner.port, sandbox.token)
    client.send("bash.run", command="sleep 1000")
    wait_for(lambda: processes(sandbox), 10, "not begun")
    client.close()
    wait_for(lambda: not processes(sandbox), 5, "it runs on")


def test_away(sandbox):
    """503 says that nothing was begun."""
    assert sandbox.stop() == 0
    assert post(sandbox)[0] == 503
    sandbox.start()
    assert post(sandbox)[0] == 200


def test_a_client_certificate(tmp_path):
    cert, key = certificate()
    sandbox = Sandbox(tmp_path, by="http")
    sandbox.runner = Runner(sandbox, client_ca=cert)
    sandbox.start()
    context = ssl.create_default_context(cafile=cert)

    def status():
        connection = http.client.HTTPSConnection("localhost", sandbox.runner.https_port, timeout=scaled(20), context=context)
        connection.request("POST", "/sandbox", PING, {"Authorization": f"Bearer {sandbox.token}", "Content-Type": FRAMES})
        got = connection.getresponse().status
        connection.close()
        return got

    assert status() == 400
    context.load_cert_chain(cert, key)
    assert status() == 200
    assert sandbox.close() == 0


@pytest.mark.parametrize("conf, complaint", [
    ({"sandbox.token_file": ""}, "sandbox.fastcgi needs sandbox.token_file"), ({"sandbox.fastcgi_group": "no-such-group"}, "no group no-such-group"),
    ({"sandbox.socket": "", "sandbox.fastcgi": ""}, "and sandbox.fastcgi too"), ({"sandbox.fastcgi": "/" + "x" * 120}, "too long"),
    ({"sandbox.token_file": "/nonexistent"}, "sandbox.token_file"),
])
def test_bad_configuration(tmp_path, conf, complaint):
    sandbox = Sandbox(tmp_path, by="http")
    sandbox.conf |= conf
    got = subprocess.run([SANDBOX, "-c", sandbox.conf_file()], capture_output=True, text=True, timeout=scaled(30))
    assert got.returncode == 78 and complaint in got.stderr, got


def test_without_a_socket(tmp_path):
    """A runner need not serve its own host."""
    sandbox = Sandbox(tmp_path, by="http")
    sandbox.conf["sandbox.socket"] = ""
    sandbox._answers = lambda: socket.socket(socket.AF_UNIX).connect_ex(sandbox.fastcgi) == 0
    sandbox.start()
    assert post(sandbox)[0] == 200
    assert sandbox.close() == 0


# A worker and a runner that fails.

SCENARIOS = [
    *calls("^read$", {"call": "fs_read", "input": {"path": "f"}}),
    *calls("^write$", {"call": "fs_write", "input": {"path": "f", "content": "x"}}),
    *calls("^run$", {"call": "bash_run", "input": {"cmd": "true"}}),
    *calls("^sleep$", {"call": "bash_run", "input": {"cmd": "echo begun; sleep 1000"}}),
]


class Fake:
    """Somebody else's runner: answer(handler, request, data) writes the response."""

    def __init__(self):
        self.answer, self.requests, self.connections = None, [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                outer.connections += 1
                super().setup()

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                json_len, data_len = struct.unpack(">II", raw[:8])
                assert len(raw) == 8 + json_len + data_len
                request = json.loads(raw[8:8 + json_len])
                outer.requests.append((request, self.headers, self.path))
                outer.answer(self, request, raw[8 + json_len:])

            def log_message(self, *_args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients leave

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/a/runner?b=c"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def put(handler, *frames, status=200, kind=FRAMES, length=None, end=True):
    """A response of frames: (object, data), or bytes as they are. Without end it is cut, or goes on for ever."""
    body = b"".join(f if isinstance(f, bytes) else struct.pack(">II", len(json.dumps(f[0])), len(f[1])) + json.dumps(f[0]).encode() + f[1] for f in frames)
    handler.send_response(status)
    if kind:
        handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()
    if not end:
        handler.close_connection = True


READ = {"path": "f", "offset": 1, "limit": 1, "truncated": False, "totalLines": 1, "content": "hello\n"}


def answer_well(handler, request, _data):
    put(handler, ({"id": request["id"], "more": True}, b""), ({"id": request["id"], "ok": True, **READ}, b""))


@pytest.fixture(scope="module")
def fake():
    fake = Fake()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def stack(fake):
    stack = Stack(workers=1, scenarios=SCENARIOS, start=False, templates={"coder": {"tools": ["fs_read", "fs_write", "bash_run"]}},
                  conf={"sandbox.address": fake.url, "sandbox.timeout": "2s", "sandbox.heartbeat": "200ms"})
    stack.conf["sandbox.token_file"] = stack.write("token", "t" * 40)
    stack.start_all()
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(template="coder")


def fails(agent, say="read"):
    """The error of a tool call that failed; the agent goes on."""
    frames = agent.ask(say)
    assert frames[-1]["reason"] == "completed"
    result = results(agent)[-1]
    assert result["ok"] is False, result
    assert agent.ask("hello")[-1]["reason"] == "completed"
    return result["error"]


def test_another_runner(agent, fake, stack):
    """What is sent, and that connections are kept."""
    fake.answer = answer_well
    agent.ask("read")
    assert results(agent)[-1]["data"] == READ
    before = fake.connections
    for _ in range(5):
        agent.ask("read")
    assert fake.connections == before
    request, headers, path = fake.requests[-1]
    assert request["op"] == "fs.read" and request["user"] == agent.user.name and request["agent"] == agent.id
    assert headers["Authorization"] == "Bearer " + "t" * 40 and headers["Content-Type"] == FRAMES and path == "/a/runner?b=c"
    assert agent.user.get(f"{agent.path}/files/f").status < 600 and "t" * 40 not in stack.log()


BAD = {
    "garbage": (lambda h, r, d: put(h, b"\xff" * 100), "does not speak the protocol"),
    "no JSON": (lambda h, r, d: put(h, b"\0\0\0\2\0\0\0\0{]"), "does not speak the protocol"),
    "a web page": (lambda h, r, d: put(h, b"<html>", kind="text/html"), "it answers with text/html"),
    "no type": (lambda h, r, d: put(h, b"x", kind=None), "it answers with no type"),
    "another id": (lambda h, r, d: put(h, ({"id": r["id"] + 1, "ok": True}, b"")), "does not speak the protocol"),
    "no id": (lambda h, r, d: put(h, ({"ok": True}, b"")), "does not speak the protocol"),
    "two answers": (lambda h, r, d: put(h, ({"id": r["id"], "ok": True}, b""), ({"id": r["id"], "ok": True}, b"")), "does not speak the protocol"),
    "bytes behind": (lambda h, r, d: put(h, ({"id": r["id"], "ok": True}, b""), b"x"), "does not speak the protocol"),
    "too large": (lambda h, r, d: put(h, b"\x7f\0\0\0\0\0\0\0"), "does not speak the protocol"),
    "nothing": (lambda h, r, d: put(h), "its answer has no end"),
    "parts only": (lambda h, r, d: put(h, ({"id": r["id"], "more": True}, b"x")), "its answer has no end"),
    "half a frame": (lambda h, r, d: put(h, b"\0\0\0\x20\0\0\0\0{\"id\":"), "its answer has no end"),
    "cut": (lambda h, r, d: put(h, b"\0\0\0\x20", length=1000, end=False), "went away in the middle"),
    "hangs up": (lambda h, r, d: setattr(h, "close_connection", True), "went away in the middle"),
    "401": (lambda h, r, d: put(h, b"{}", status=401), "answered 401: is sandbox.token_file"),
    "403": (lambda h, r, d: put(h, b"{}", status=403), "answered 403"),
    "404": (lambda h, r, d: put(h, b"{}", status=404), "is that the path?"),
    "413": (lambda h, r, d: put(h, b"{}", status=413), "answered 413"),
    "500": (lambda h, r, d: put(h, b"oops" * 10000, status=500), "answered 500: nobody knows whether"),
    "502": (lambda h, r, d: put(h, b"", status=502), "answered 502: nobody knows whether"),
    "503": (lambda h, r, d: put(h, b"", status=503), "is agent-fpm-sandbox running?"),
    "a redirect": (lambda h, r, d: put(h, b"", status=302), "answered 302"),
    "an error": (lambda h, r, d: put(h, ({"id": r["id"], "ok": False, "code": "invalid", "error": "no way"}, b"")), "no way"),
    "an error without words": (lambda h, r, d: put(h, ({"id": r["id"], "ok": False}, b"")), "the sandbox failed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer(agent, fake, name):
    fake.answer, said = BAD[name]
    assert said in fails(agent)


def stall(handler, request, _data, *frames):
    """Sends what there is, then nothing until the worker hangs up."""
    handler.send_response(200)
    handler.send_header("Content-Type", FRAMES)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for f in frames:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(f), f))
    handler.wfile.flush()
    handler.connection.settimeout(scaled(20))
    assert handler.connection.recv(1) == b"", "it does not hang up"
    handler.close_connection = True
    stall.left.set()


@pytest.mark.parametrize("frames", [(), (b"\0\0\0\x20\0",)])
def test_silence(agent, fake, frames):
    """Four heartbeats that do not come: the call is given up, and its request closed."""
    stall.left = threading.Event()
    fake.answer = lambda h, r, d: stall(h, r, d, *frames)
    assert "went away in the middle" in (error := fails(agent)) and "800 ms" in error
    assert stall.left.wait(scaled(5))


def test_an_answer_that_takes_too_long(agent, fake):
    """With heartbeats, but longer than sandbox.timeout."""
    left = threading.Event()

    def beat(handler, request, _data):
        handler.send_response(200)
        handler.send_header("Content-Type", FRAMES)
        handler.end_headers()
        part = json.dumps({"id": request["id"], "more": True}).encode()
        handler.connection.settimeout(0.2)
        while True:
            handler.wfile.write(struct.pack(">II", len(part), 0) + part)
            try:
                if handler.connection.recv(1) == b"":
                    break
            except TimeoutError:
                pass
        handler.close_connection = True
        left.set()

    fake.answer = beat
    assert "within sandbox.timeout" in fails(agent)
    assert left.wait(scaled(5))


def test_a_call_is_sent_once(agent, fake):
    """A connection that was kept dies under the request: curl would send it again, and a write would be done twice."""
    fake.answer = answer_well
    agent.ask("read")
    del fake.requests[:]
    fake.answer = lambda h, r, d: setattr(h, "close_connection", True)
    assert "went away in the middle" in fails(agent, "write")
    assert [r["op"] for r, _, _ in fake.requests] == ["fs.write"]


def test_one_that_is_being_started(agent, fake):
    """503 says that the call was not begun: it waits, and is sent again."""
    left = [3]

    def busy(handler, request, data):
        left[0] -= 1
        put(handler, status=503) if left[0] else answer_well(handler, request, data)

    fake.answer = busy
    agent.ask("read")
    assert results(agent)[-1]["data"] == READ and left[0] == 0


@pytest.mark.parametrize("answer", [{}, {"end": 1, "code": "x", "changes": [1, {}]}, {"changes": {}, "end": None}, {"content": 5, "path": [], "etag": 1, "size": "x", "files": 3}])
@pytest.mark.parametrize("say", ["read", "write", "run"])
def test_answers_that_lack_members(agent, fake, stack, answer, say):
    """A worker does not stumble over them: it has the keys, and somebody else may have the runner."""
    fake.answer = lambda h, r, d: put(h, ({"id": r["id"], "ok": True, **answer}, b"x"))
    pids = stack.workers()
    agent.ask(say)
    for method, path, headers in (("GET", "", {}), ("GET", "/f", {}), ("GET", "/f", {"If-None-Match": '"a"'}), ("PUT", "/f", {}), ("DELETE", "/f", {})):
        agent.user.http(method, f"{agent.path}/files{path}", body=b"x" if method == "PUT" else None, headers=headers)
    assert agent.ask("hello")[-1]["reason"] == "completed" and stack.workers() == pids


def test_nobody_is_there(stack_factory):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stack = stack_factory(scenarios=SCENARIOS, templates={"coder": {"tools": ["fs_read"]}}, conf={"sandbox.address": f"http://127.0.0.1:{port}/sandbox"})
    agent = stack.user().agent(template="coder")
    agent.ask("read")
    error = results(agent)[-1]["error"]
    assert f"not reached at http://127.0.0.1:{port}/sandbox" in error and "is agent-fpm-sandbox running?" in error
    assert agent.ask("hello")[-1]["reason"] == "completed"


def test_by_tls(stack_factory):
    """A CA of one's own, and a certificate of the worker's; a call that is not waited for is closed."""
    cert, key = certificate()
    stack = stack_factory(scenarios=SCENARIOS, templates={"coder": {"tools": ["fs_read", "fs_write", "bash_run"]}}, sandbox="http", start=False)
    stack.sandbox.runner = Runner(stack.sandbox, client_ca=cert)
    stack.conf |= {"sandbox.address": stack.sandbox.runner.https, "sandbox.ca_file": cert, "sandbox.certificate_file": cert, "sandbox.key_file": key}
    stack.start_all()
    agent = stack.user().agent(template="coder")
    agent.ask("write")
    agent.ask("read")
    assert results(agent)[-1]["data"]["content"] == "x"
    if "no commands" not in stack.sandbox.log():
        with agent.follow() as view:
            sent = agent.say("sleep")
            view.wait_for(lambda f: "tool:output" in f.kinds(), what="no output")
            agent.interrupt()
            view.wait(sent["turn"])
        wait_for(lambda: not processes(stack.sandbox), 5, "it runs on")
        agent.ask("read")
        assert results(agent)[-1]["data"]["content"] == "x"
    stack.conf["sandbox.ca_file"] = ""
    stack.restart_pool()
    agent.ask("read")
    assert "not reached" in results(agent)[-1]["error"] and "certificate" in results(agent)[-1]["error"]


@pytest.mark.parametrize("conf, complaint", [
    ({"sandbox.address": "runner.example.org"}, "sandbox.address: a URL is"), ({"sandbox.address": "ftp://x/"}, "sandbox.address: a URL is"),
    ({"sandbox.address": "https://a:b@x/"}, "no user and password"), ({"sandbox.token_file": "short"}, "32 to 512"),
    ({"sandbox.certificate_file": "/x"}, "go together"), ({"sandbox.heartbeat": "0"}, "sandbox.heartbeat"),
])
def test_a_bad_address(stack_factory, conf, complaint):
    stack = stack_factory(start=False)
    if conf.get("sandbox.token_file"):
        conf = {"sandbox.token_file": stack.write("token", "too short")}
    stack.conf |= {"sandbox.address": "https://x/", **conf}
    got = stack.check_conf()
    assert got.returncode == 78 and complaint in got.stderr, got
