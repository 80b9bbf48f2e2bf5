# SPDX-License-Identifier: MIT
"""The network of commands: agent-fpm-proxy, allow-lists, and what still does not work."""

import contextlib
import http.server
import os
import pwd
import shutil
import socket
import tempfile
import threading

import pytest

from conftest import close
from sandbox import Proxy, Sandbox
from stack import Stack, wait_for
from test_sandbox_commands import USER, job_ended, out, processes, run, skip_without_commands
from test_sandbox_files import Box
from test_tools import calls, results

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None or shutil.which("curl") is None, reason="bubblewrap or curl is not installed")

# The origin is on the loopback address, which programs do not ask a proxy for: no_proxy.
CURL = "curl -sS -m 20 --noproxy '' "


class Origin(http.server.ThreadingHTTPServer):
    """Answers with what it was asked; remembers the heads of requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.server.requests.append((self.command, self.path, dict(self.headers.items()), body))
            text = b"hello of " + self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, *_args):
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Origin.Handler)
        self.requests, self.port = [], self.server_address[1]
        self.here = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="module")
def origin():
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def folder():
    folder = tempfile.mkdtemp(prefix="af-net-", dir="/tmp")
    os.chmod(folder, 0o755)
    if USER:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def proxy(folder):
    proxy = Proxy(folder, {"sandbox.proxy_connections": "4", "sandbox.proxy_connect_timeout": "2s"}, user=USER).start()
    yield proxy
    assert proxy.stop() == 0
    assert "ERROR" not in proxy.log() and "runtime error" not in proxy.log()


@pytest.fixture(scope="module")
def sandbox(folder, proxy):
    sandbox = Sandbox(folder, {"sandbox.proxy": proxy.socket}, user=USER).start()
    skip_without_commands(sandbox)
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def box(sandbox):
    box = Box(sandbox)
    yield box
    box.client.close()


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def busy(daemon):
    """Threads that serve a command or a connection of one."""
    names = []
    for task in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{daemon.process.pid}/task/{task}/comm", encoding="utf-8") as f:
            names.append(f.read().strip())
    return sum(name in ("session", "connection") for name in names)


def test_http(box, origin):
    """The origin gets one request, for the host of the URL, without what was for the proxy."""
    got = out(box, CURL + f"-H 'Proxy-Authorization: Basic eA==' -H 'Connection: X-Mine' -H 'X-Mine: 1' -H 'X-Other: 2' -d body http://{origin.here}/a?b=c", network=[origin.here])
    assert got == "hello of /a?b=c"
    command, path, headers, body = origin.requests[-1]
    assert (command, path, body) == ("POST", "/a?b=c", b"body")
    assert headers["Host"] == origin.here and headers["X-Other"] == "2" and headers["Connection"] == "close"
    assert not {"Proxy-Authorization", "Proxy-Connection", "X-Mine"} & headers.keys()


def test_connect(box, origin):
    """Two requests over one tunnel."""
    got = out(box, CURL + f"-p http://{origin.here}/one http://{origin.here}/two -w ' %{{num_connects}} '", network=[origin.here])
    assert got.split() == ["hello", "of", "/one", "1", "hello", "of", "/two", "0"]


def test_large_answers(box, origin):
    big = "python3 -c \"import sys; sys.stdout.write('x' * 3000000)\" > big; " + CURL + f"--data-binary @big http://{origin.here}/big"
    assert out(box, big, network=[origin.here]) == "hello of /big" and len(origin.requests[-1][3]) == 3000000
    assert out(box, big + " -p", network=[origin.here]) == "hello of /big" and len(origin.requests[-1][3]) == 3000000


def test_environment(box, origin):
    names = "http_proxy https_proxy HTTP_PROXY HTTPS_PROXY".split()
    assert out(box, f"for n in {' '.join(names)}; do echo ${{!n}}; done; echo $no_proxy", network=[origin.here]).split() == \
        ["http://127.0.0.1:3128"] * 4 + ["localhost,127.0.0.1"]
    assert out(box, "env | grep -i proxy; ls /run") == ""
    assert out(box, "env | grep -i proxy", network=[]) == ""


def status(box, url, network, options=""):
    return out(box, CURL + f"-o /dev/null -w '%{{http_code}} %{{http_connect}}' {options} {url} 2>/dev/null", network=network)


def test_what_is_not_listed(box, origin):
    """A clear text and 403; ports, addresses and names count."""
    got = out(box, CURL + f"http://{origin.here}/", network=["example.org", "127.0.0.1"])
    assert f"{origin.here} is not in the list of hosts" in got
    for listed in ("example.org", "127.0.0.1", f"127.0.0.2:{origin.port}", f"127.0.0.1:{origin.port - 1}", f"localhost:{origin.port}", f"*.localhost:{origin.port}"):
        assert status(box, f"http://{origin.here}/", [listed]) == "403 000", listed
        assert status(box, f"http://{origin.here}/", [listed], "-p") == "000 403", listed


def test_other_spellings_of_an_address(box, origin):
    """None reaches the loopback address by a list that does not have it, nor is another one taken for it."""
    for host in ("127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "localhost", "[::]"):
        request = f"printf 'CONNECT {host}:{origin.port} HTTP/1.1\\r\\n\\r\\n' >&3; head -1 <&3"
        got = out(box, f"exec 3<>/dev/tcp/127.0.0.1/3128; {request}", network=["example.org", f"127.0.0.9:{origin.port}"])
        assert got.split()[1] in ("400", "403"), (host, got)


def test_a_name_of_a_private_address(box, origin):
    """Listed or not: it takes the address itself in the list too."""
    name = f"localhost:{origin.port}"
    assert "no public address" in out(box, CURL + f"http://{name}/", network=[name])
    assert status(box, f"http://{name}/", [name], "-p") == "000 403"
    assert out(box, CURL + f"http://{name}/x", network=[name, origin.here, f"[::1]:{origin.port}"]) == "hello of /x"


def test_what_cannot_be_reached(box):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{nobody.getsockname()[1]}"
        got = out(box, CURL + f"http://{here}/", network=[here])
        assert f"{here} cannot be reached: Connection refused" in got
        assert status(box, f"http://{here}/", [here]) == "502 000"
    assert status(box, "http://name.invalid/", ["*.invalid"]) == "502 000"


@pytest.mark.parametrize("request_text, answer", [
    ("nonsense\\r\\n\\r\\n", "400"),
    ("GET / HTTP/1.1\\r\\nHost: {here}\\r\\n\\r\\n", "400"),
    ("GET ftp://{here}/ HTTP/1.1\\r\\n\\r\\n", "400"),
    ("GET http://user@{here}/ HTTP/1.1\\r\\n\\r\\n", "400"),
    ("CONNECT 127.0.0.1 HTTP/1.1\\r\\n\\r\\n", "400"),
    ("\\x16\\x03\\x01\\x00", "400"),
    ("GET http://{here}/ HTTP/1.1\\r\\nA: b\\r\\n folded\\r\\n\\r\\n", "400"),
    ("GET http://{here}/ HTTP/1.1\\r\\nContent-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\n", "400"),
    ("POST http://{here}/ HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n", "411"),
])
def test_nonsense(box, origin, request_text, answer):
    before = len(origin.requests)
    got = out(box, f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{request_text.format(here=origin.here)}' >&3; cat <&3", network=[origin.here])
    assert got.startswith(f"HTTP/1.1 {answer} ") and "agent-fpm-proxy: " in got
    assert len(origin.requests) == before


def test_a_long_head(box, origin):
    assert status(box, f"http://{origin.here}/", [origin.here], "-H \"X: $(printf '%020000d' 0)\"") == "431 000"


def test_a_second_request_does_not_follow(box, origin):
    """What comes behind the first one is not carried to the origin."""
    before = len(origin.requests)
    twice = f"GET http://{origin.here}/1 HTTP/1.1\\r\\n\\r\\nGET http://{origin.here}/2 HTTP/1.1\\r\\nHost: other\\r\\n\\r\\n"
    got = out(box, f"exec 3<>/dev/tcp/127.0.0.1/3128; printf '{twice}' >&3; cat <&3", network=[origin.here])
    assert got.count("HTTP/1.1 200") == 1 and [r[1] for r in origin.requests[before:]] == ["/1"]


DIRECT = {
    "loopback": "echo > /dev/tcp/127.0.0.1/{port}",
    "internet": "timeout 2 bash -c 'echo > /dev/tcp/1.1.1.1/443'",
    "metadata": "timeout 2 bash -c 'echo > /dev/tcp/169.254.169.254/80'",
    "udp": 'python3 -c \'import socket; socket.socket(2,2).sendto(b"x",("1.1.1.1",53))\'',
    "dns": "getent hosts example.org",
    "the proxy's socket": 'python3 -c \'import socket; socket.socket(1,1).connect("{socket}")\'',
    "descriptors": "ls -l /proc/self/fd /proc/$$/fd | grep socket",
    "the proxy of another port": "echo > /dev/tcp/127.0.0.1/3129",
    "pid 1's descriptors": "ls -l /proc/1/fd | grep socket",
}


@pytest.mark.parametrize("name", DIRECT)
def test_direct_connections(box, origin, proxy, name):
    command = DIRECT[name].replace("{port}", str(origin.port)).replace("{socket}", proxy.socket)
    assert "ESCAPED" not in out(box, f"{command} && echo ESCAPED", network=["example.org", origin.here])


def test_lists_that_are_none(box):
    for network, text in (("example.org", "a list"), ([1], "no host"), (["127.1"], "127.1"), (["*.127.0.0.1"], "no host"), (["a b"], "no host"),
                          (["example.org:0"], "no host"), (["*"], "no host"), (["http://example.org"], "no host"), (["x"] * 257, "256")):
        box.fails("invalid", "bash.run", text, command="true", network=network)
        box.fails("invalid", "bash.start", text, command="true", network=network)


def test_many_connections(box, origin):
    """Four at a time are carried, the others wait; none is lost."""
    got = out(box, f"for i in $(seq 20); do {CURL} http://{origin.here}/$i & done; wait", network=[origin.here])
    assert sorted(got.replace("hello of /", " ").split(), key=int) == [str(i) for i in range(1, 21)]


def test_commands_have_networks_of_their_own(sandbox, box, origin):
    """Side by side, each with its list."""
    other = Box(sandbox)
    one = box.client.send("bash.run", user=box.user, agent=box.agent, command=f"{CURL} http://{origin.here}/1; until [ -e go ]; do sleep 0.05; done; {CURL} http://{origin.here}/1", network=[origin.here])
    assert "not in the list" in out(other, f"{CURL} http://{origin.here}/2", network=["example.org"])
    box.write("go", "")
    assert box.client.answer(one)["data"] == b"hello of /1" * 2
    other.client.close()


def test_nothing_is_left_over(box, proxy, sandbox, origin):
    """Descriptors, threads, processes and files; also of commands that were ended within a transfer."""
    out(box, "true")  # a sandbox that has just begun opens more, and some for an agent
    wait_for(lambda: busy(proxy) == 0, 10, "it is busy")
    before = descriptors(proxy), descriptors(sandbox)
    for _ in range(5):
        assert out(box, CURL + f"http://{origin.here}/", network=[origin.here]) == "hello of /"
        assert run(box, f"exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT {origin.here} HTTP/1.1\\r\\n\\r\\n' >&3; sleep 1000", network=[origin.here], timeout_ms=300)["end"] == "timeout"
    wait_for(lambda: busy(proxy) == 0 and (descriptors(proxy), descriptors(sandbox)) == before, 10, lambda: f"{busy(proxy)} {descriptors(proxy)} {descriptors(sandbox)} {before}")
    assert processes(sandbox) == set()


def test_in_the_background(box, proxy, origin):
    wait_for(lambda: busy(proxy) == 0, 10, "it is busy")
    command = f"until [ -e go ]; do sleep 0.05; done; {CURL} http://{origin.here}/job; {CURL} http://{origin.port}.invalid/"
    job = box("bash.start", command=command, network=[origin.here])["job"]
    assert busy(proxy) == 1
    box.write("go", "")
    assert wait_for(lambda: job_ended(box, job), 20, "it goes on")["code"] == 0
    logs = box("bash.logs", job=job)["data"].decode()
    assert logs.startswith("hello of /job") and "not in the list" in logs
    job = box("bash.start", command="sleep 1000", network=[origin.here])["job"]
    box("bash.kill", job=job)
    wait_for(lambda: busy(proxy) == 0, 10, "the job's network is left over")


def test_the_proxy_dies(folder, origin):
    """Its end ends nothing but the network, and the next one serves the next commands."""
    mine = tempfile.mkdtemp(prefix="two-", dir=folder)
    os.chmod(mine, 0o777)
    proxy = Proxy(mine, user=USER).start()
    sandbox = Sandbox(mine, {"sandbox.proxy": proxy.socket}, user=USER).start()
    box = Box(sandbox)
    call = box.client.send("bash.run", user=box.user, agent=box.agent, network=[origin.here], stream=False,
                           command=f"{CURL} http://{origin.here}/1; touch one; until [ -e go ]; do sleep 0.05; done; {CURL} http://{origin.here}/2; echo $?")
    wait_for(lambda: box.files and os.path.exists(os.path.join(box.files, "one")), 10, "not begun")
    proxy.stop(9)
    box.fails("invalid", "bash.run", "there is no network just now", command="true", network=[origin.here])
    assert out(box, "touch go; echo still here") == "still here\n"
    got = box.client.answer(call)
    assert got["end"] == "ended" and got["data"].startswith(b"hello of /1") and got["data"].endswith(b"\n7\n"), got
    proxy.start()
    assert out(box, CURL + f"http://{origin.here}/3", network=[origin.here]) == "hello of /3"
    assert sandbox.stop() == 0 and proxy.stop() == 0


def test_the_sandbox_dies(folder, origin):
    """Its commands' networks go with it; those of its jobs stay."""
    mine = tempfile.mkdtemp(prefix="three-", dir=folder)
    os.chmod(mine, 0o777)
    proxy = Proxy(mine, user=USER).start()
    sandbox = Sandbox(mine, {"sandbox.proxy": proxy.socket}, user=USER).start()
    box = Box(sandbox)
    job = box("bash.start", command=f"until [ -e go ]; do sleep 0.05; done; {CURL} http://{origin.here}/job", network=[origin.here])["job"]
    box.client.send("bash.run", user=box.user, agent=box.agent, command="touch begun; sleep 1000", network=[origin.here])
    # Before that bubblewrap may leave it over, for the next sandbox to end.
    wait_for(lambda: box.files and os.path.exists(os.path.join(box.files, "begun")), 10, "not begun")
    assert busy(proxy) == 2
    sandbox.stop(9)
    wait_for(lambda: busy(proxy) == 1, 10, "it is left over")
    sandbox.start()
    box.client = sandbox.client()
    box.write("go", "")
    assert wait_for(lambda: job_ended(box, job), 20, "it goes on")["code"] == 0
    assert box("bash.logs", job=job)["data"] == b"hello of /job"
    assert sandbox.stop() == 0 and proxy.stop() == 0


def test_none_here(tmp_path):
    """sandbox.proxy is empty: what asks for a network fails, and says why; what does not runs."""
    os.chmod(tmp_path, 0o755)
    sandbox = Sandbox(tmp_path).start()
    skip_without_commands(sandbox)
    box = Box(sandbox)
    for op in ("bash.run", "bash.start"):
        box.fails("invalid", op, "sandbox.proxy is empty", command="true", network=["example.org"])
    assert out(box, "echo ok") == "ok\n" and run(box, "true", network=[])["code"] == 0
    assert sandbox.stop() == 0


def bash(cmd, **more):
    return {"call": "bash_run", "input": {"cmd": cmd, **more}}


def test_templates(tmp_path_factory, origin):
    """A template's agents have its network; they cannot change it, and a mistake in it is found by -t."""
    proxy = Proxy(tmp_path_factory.mktemp("proxy")).start()
    scenarios = [
        *calls("^fetch$", bash(f"{CURL} http://{origin.here}/turn")),
        *calls("^cheat$", bash("env | grep -c proxy", network=[origin.here])),
        {"match": "^job$", "round": 0, "steps": [bash(f"{CURL} http://{origin.here}/turn > got", background=True)]},
        {"match": "^job$", "steps": [{"text": "it runs"}]},
    ]
    tools = {"tools": ["bash_run", "bash_logs"]}
    stack = Stack(scenarios=scenarios, sandbox=True, conf={"sandbox.proxy": proxy.socket},
                  templates={"net": {**tools, "network": [origin.here]}, "plain": tools})
    skip_without_commands(stack.sandbox)
    user = stack.user()
    agent = user.agent(template="net")
    agent.ask("fetch")
    assert results(agent)[-1]["data"] == {"code": 0, "output": "hello of /turn"}
    agent.ask("job")
    wait_for(lambda: os.path.exists(os.path.join(stack.sandbox.files(agent.id), "got")) and open(os.path.join(stack.sandbox.files(agent.id), "got")).read() == "hello of /turn", 10, "no network")
    plain = user.agent(template="plain")
    plain.ask("fetch")
    assert results(plain)[-1]["data"]["code"] == 7
    plain.ask("cheat")
    assert results(plain)[-1]["ok"] is False or results(plain)[-1]["data"]["output"] == "0\n"
    for body in ({"network": [origin.here]}, {"metadata": {"network": [origin.here]}}):
        user.http("PATCH", plain.path, body)
    plain.ask("fetch")
    assert results(plain)[-1]["data"]["code"] == 7
    stack.write("templates.d/bad.json", '{"network": ["example.org/path"]}')
    got = stack.check_conf()
    assert got.returncode != 0 and "bad.json" in got.stderr and "example.org/path" in got.stderr, got
    os.unlink(stack.path("templates.d/bad.json"))
    assert proxy.stop() == 0
    for message in ("fetch", "job"):
        agent.ask(message)
        assert results(agent)[-1]["ok"] is False and "there is no network just now" in results(agent)[-1]["error"]
    close(stack)
