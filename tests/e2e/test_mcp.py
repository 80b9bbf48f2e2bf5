# SPDX-License-Identifier: MIT
"""Tools of MCP servers: programs in the sandbox, and servers behind a URL."""

import json
import os
import shutil
import subprocess
import threading

import pytest

from conftest import close
from mcp_server import Service, main as mcp_program
from stack import BINARY, Stack, wait_for
from test_files import http
from test_sandbox_commands import processes, skip_without_commands
from test_tools import calls, of, results

PROGRAM = os.path.abspath(mcp_program.__code__.co_filename)
COMMAND = "exec python3 -u server.py"


def call(name, /, **arguments):
    return {"call": f"mcp__test__{name}", "input": arguments}


NAMES = ["no", "slow", "deaf", "grow", "die", "mixed", "data", "refuse", "huge", "where", "new"]
SCENARIOS = [
    *calls("^add$", call("add", a=40, b=2)),
    *calls("^add nothing$", call("add")),
    *[s for name in NAMES for s in calls(f"^{name}$", call(name))],
    *calls("^both$", call("add", a=1), call("no"), call("add", a=2)),
    *calls("^resources$", call("list_resources"), call("read_resource", uri="note://one"), call("read_resource", uri="note://two")),
    *calls("^prompts$", call("list_prompts"), call("get_prompt", name="greet", arguments={"who": "Bob"})),
    {"match": "^grow and use$", "round": 0, "steps": [call("grow")]},
    {"match": "^grow and use$", "round": 1, "steps": [call("new")]},
    {"match": "^grow and use$", "steps": [{"text": "done"}]},
]


class Place:
    """A stack whose template t has the server, by one of the transports."""

    def __init__(self, kind, **server):
        self.kind, self.service = kind, None
        self.is_program = kind.startswith("program")  # and over which way the sandbox is asked
        if self.is_program:
            place = {"command": COMMAND}
        else:
            self.service = Service(kind, {"X-Key": "s3cret"})
            place = {"url": self.service.url, "headers": {"X-Key": "s3cret"}}
        # One worker: sessions are a worker's, and these tests look at them.
        self.stack = Stack(workers=1, scenarios=SCENARIOS, sandbox=self.is_program and ("http" if kind == "program by http" else True), conf={"tool.networks": "127.0.0.1", "mcp.idle_timeout": "1s"},
                           templates={"t": {"mcp": [{"name": "test", **place, **server}]}})
        if self.is_program:
            skip_without_commands(self.stack.sandbox)

    def agent(self):
        agent = self.stack.user().agent(template="t")
        if self.is_program:
            with open(PROGRAM, "rb") as f:
                got = http(agent, "PUT", "/server.py", f.read())
            assert got.status == 201, got
        return agent

    def close(self):
        close(self.stack)
        if self.service:
            self.service.close()


@pytest.fixture(scope="module", params=["program", "program by http", "json", "sse", "cut"])
def place(request):
    if request.param.startswith("program") and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    place = Place(request.param, timeout=2, connectTimeout=5)
    yield place
    place.close()


@pytest.fixture
def agent(place):
    return place.agent()


def result(agent, say):
    """The result of its last call."""
    frames = agent.ask(say)
    assert frames[-1]["reason"] == "completed", frames[-1]
    return [f for f in frames if f.kind in ("tool:complete", "tool:error")][-1]["call"]["result"]


def advertised(stack):
    return {t["name"]: t for t in stack.model.requests[-1].body["tools"]}


def test_call(agent, place):
    """With what the server says of it: the model sees the schema as it is."""
    assert result(agent, "add") == {"ok": True, "data": "42"}
    tool = advertised(place.stack)["mcp__test__add"]
    assert tool["description"] == "Does add." and tool["input_schema"]["properties"]["b"] == {"$ref": "#/$defs/n"}
    assert "mcp__test__bad name!" not in advertised(place.stack)
    assert len([n for n in advertised(place.stack) if n.startswith("mcp__test__")]) == 15
    assert agent.answer("and now?"), "the next turn has the same connection"


def test_failures(agent):
    """isError is a failure, and so is an error of the protocol; the arguments are the server's to judge."""
    assert result(agent, "no") == {"ok": False, "error": "the shop is closed", "errorType": "logical", "retryable": False,
                                   "recommendations": result(agent, "no")["recommendations"]}
    assert (result(agent, "refuse")["errorType"], result(agent, "refuse")["error"]) == ("exception", "these arguments are wrong")
    agent.ask("both")
    assert [r["ok"] for r in results(agent)[-3:]] == [True, False, True]


def test_content(agent):
    assert result(agent, "mixed")["data"] == "one\n[image/png, 3 bytes, not shown]\ninside\n[resource z: file:///z]"
    assert result(agent, "data")["data"] == {"n": [1, 2]}
    huge = result(agent, "huge")
    assert huge["truncated"] is True and huge["totalBytes"] == 200000 and len(huge["data"].encode()) < 70000


def test_resources_and_prompts(agent):
    agent.ask("resources")
    listed, read, missing = results(agent)[-3:]
    assert listed["data"] == {"resources": [{"uri": "note://one", "name": "one"}]}
    assert read["data"] == "the first note\n[image/png, 3 bytes, not shown]"
    assert missing["ok"] is False and missing["error"] == "there is no such note"
    agent.ask("prompts")
    listed, got = results(agent)[-2:]
    assert listed["data"] == {"prompts": [{"name": "greet"}]}
    assert got["data"]["messages"][0]["content"]["text"] == "Greet Bob."


def test_the_list_changes(place):
    """A tool that came up in a turn is there in its next step."""
    if place.kind == "cut":
        pytest.skip("this one does not tell: it offers no stream of its own, and cuts the one of the call")
    agent = place.agent()
    frames = agent.ask("grow and use")
    wait_for(lambda: (agent.ask("add"), "mcp__test__new" in advertised(place.stack))[1], 10, "the new tool is not there")
    agent.ask("new")
    assert results(agent)[-1] == {"ok": True, "data": "brand new"}, frames[-1]


def test_progress_and_interrupt(place):
    """What it says on the way is shown; the server is told that nobody waits any more, and gets no more than it may have."""
    if place.kind == "cut":
        pytest.skip("it answers after the stream was cut")
    agent = place.agent()
    with agent.follow() as view:
        agent.say("slow")
        if place.kind != "json":
            wait_for(lambda: "".join(f["output"] for f in of(view.frames, "tool:output")) == "1 of 3: step 1\n2 of 3: step 2\n", 10, "no progress")
        else:
            wait_for(lambda: any(m.get("params", {}).get("name") == "slow" for m in place.service.server.seen), 10, "not called")
        agent.interrupt()
    assert agent.info()["busy"] is False
    if place.is_program:
        return
    seen = place.service.server.seen
    wait_for(lambda: any(e.is_set() for e in place.service.server.cancelled.values()), 5, "it was not told")
    wait_for(lambda: any(m.get("id") == "ask-2" and m.get("result") == {} for m in seen), 5, "no pong")
    wait_for(lambda: any(m.get("id") == "ask-1" for m in seen), 5, "it was not refused")
    refused, = [m for m in seen if m.get("id") == "ask-1"]
    assert refused["error"]["code"] == -32601


def test_too_slow(agent):
    got = result(agent, "deaf")
    assert got["ok"] is False and got["errorType"] in ("timeout", "exception")
    assert result(agent, "add") == {"ok": True, "data": "42"}, "others go on"


def test_idle(place):
    """A connection that no turn uses is closed, and made again."""
    agent = place.agent()
    assert result(agent, "add")["ok"]
    if place.is_program:
        wait_for(lambda: not processes(place.stack.sandbox), 10, "the program still runs")
    else:
        wait_for(lambda: place.service.sessions == set(place.service.deleted), 10, "sessions are open")
    assert result(agent, "add")["ok"]


def test_worker_dies(place):
    """The call is sealed: nobody knows what came of it. The next worker has a connection of its own."""
    if place.kind == "cut":
        pytest.skip("nothing stays under way there")
    agent = place.agent()
    with agent.follow() as view:
        agent.say("slow")
        wait_for(lambda: of(view.frames, "tool:start"), 10, "not called")
        wait_for(lambda: any(c["state"] == "EXECUTING" for c in agent.tool_calls()), 5, lambda: f"it does not run: {agent.tool_calls()}")
        place.stack.kill_workers()
        wait_for(lambda: of(view.frames, "done"), 20, "it does not go on")
    assert results(agent)[-1]["ok"] is False
    assert result(agent, "add") == {"ok": True, "data": "42"}


# ---- programs ----

@pytest.fixture(scope="module")
def program():
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    place = Place("program", timeout=10, connectTimeout=5)
    yield place
    place.close()


def test_a_program_sees_nothing(program):
    got = json.loads(result(program.agent(), "where")["data"])
    assert got["cwd"] == "/workspace" and not {"ANTHROPIC_API_KEY", "CREDENTIALS_DIRECTORY"} & set(got["env"])


def test_a_program_dies(program):
    """Its call fails with its last words; the next starts it again."""
    agent = program.agent()
    got = result(agent, "die")
    assert got["ok"] is False and "ended with 9: a last word" in got["error"]
    wait_for(lambda: result(agent, "add")["ok"], 15, "it is not started again")


def test_no_such_program(program):
    """The agent has not its tools, is told so, and goes on."""
    agent = program.stack.user().agent(template="t")  # without server.py
    stack = Stack(scenarios=SCENARIOS, sandbox=True, templates={"t": {"mcp": [{"name": "test", "command": "echo 'no module' >&2; exit 1"}]}})
    agent = stack.user().agent(template="t")
    frames = agent.ask("add")
    missing, = of(frames, "tools_unavailable")
    assert missing["message"] == "MCP server test: the program ended with 1: no module"
    assert frames[-1]["reason"] == "completed" and "tools" not in stack.model.requests[0].body
    close(stack)


# ---- servers behind a URL ----

@pytest.fixture
def remote():
    place = Place("sse", timeout=5, connectTimeout=3)
    yield place
    place.close()


def test_session_is_lost(remote):
    """A server that was started again knows the session no more: a new one, and the call is made."""
    agent = remote.agent()
    assert result(agent, "add")["ok"]
    remote.service.sessions.clear()
    assert result(agent, "add") == {"ok": True, "data": "42"}
    assert remote.service.lost >= 1
    assert [m["method"] for m, _ in remote.service.requests if m].count("initialize") == 2


def test_server_is_down(remote):
    remote.service.down = (503, b"closed for today")
    agent = remote.agent()
    frames = agent.ask("add")
    missing, = of(frames, "tools_unavailable")
    assert missing["message"] == "MCP server test: it answered 503: closed for today"
    assert frames[-1]["reason"] == "completed"
    remote.service.down = None
    wait_for(lambda: result(agent, "add")["ok"], 20, "it is not tried again")


def test_headers(remote):
    """Requests have the revision, the session and the headers of the template; the secret is in no log."""
    assert result(remote.agent(), "add")["ok"]
    for message, headers in remote.service.requests:
        assert headers["X-Key"] == "s3cret"
        if message and message.get("method") != "initialize":
            assert headers["Mcp-Protocol-Version"] == "2025-06-18" and headers["Mcp-Session-Id"] in remote.service.sessions
    first = remote.service.requests[0][0]["params"]
    assert first["protocolVersion"] == "2025-06-18" and first["clientInfo"]["name"] == "agent-fpm" and first["capabilities"] == {}
    assert "s3cret" not in remote.stack.log()


def test_other_revision(remote):
    remote.service.server.revision = "1999-01-01"
    frames = remote.agent().ask("add")
    assert "revision 1999-01-01" in of(frames, "tools_unavailable")[0]["message"]


@pytest.mark.parametrize("garbage", [b"{", b"[]", b'{"jsonrpc":"1.0","id":1}', b'{"jsonrpc":"2.0","id":1}', b"\xff", b"{}", b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":[]}}'])
def test_garbage(remote, garbage):
    remote.service.down = (200, garbage)
    frames = remote.agent().ask("add")
    assert len(of(frames, "tools_unavailable")) == 1 and frames[-1]["reason"] == "completed"


def test_interrupt_while_it_connects(remote):
    release = threading.Event()
    answer = remote.service.server.handle
    remote.service.server.handle = lambda *a: (release.wait(20), answer(*a))
    agent = remote.agent()
    agent.say("add")
    wait_for(lambda: remote.service.requests, 5, "it does not connect")
    agent.interrupt()
    assert agent.info()["busy"] is False
    release.set()


def test_choice(remote, tmp_path):
    """include, exclude, readOnly, the agent's own names, and a header from a file."""
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    server = {"name": "test", "url": remote.service.url, "headerFiles": {"X-Key": str(secret)}, "include": ["add", "no", "d*"],
              "exclude": ["deaf"], "readOnly": ["add"]}
    stack = Stack(scenarios=SCENARIOS, conf={"tool.networks": "127.0.0.1"}, templates={"t": {"mcp": [server]}})
    user = stack.user()
    assert user.agent(template="t").answer("add")
    assert set(advertised(stack)) == {f"mcp__test__{n}" for n in ("add", "no", "data", "die")}
    few = user.agent(template="t", tools=["mcp__test__n*", "mcp__test__add", "todo_read"], permission={"mode": "readonly"})
    assert few.answer("add")
    assert set(advertised(stack)) == {"mcp__test__add", "todo_read"}
    refused = user.post("/api/agents", {"name": "x", "template": "t", "tools": ["mcp__other__x"]})
    assert refused.status == 422 and "mcp__other__x" in refused.json["detail"]
    close(stack)


@pytest.mark.parametrize("server, complaint", [
    ({"name": "x"}, "a server has a url or a command"), ({"name": "x", "url": "http://h/", "command": "y"}, "a server has a url or a command"),
    ({"name": "a__b", "url": "http://h/"}, "lower case"), ({"name": "", "url": "http://h/"}, "lower case"), ({"name": "x", "url": "ftp://h/"}, "url"),
    ({"name": "x", "command": "y"}, "sandbox"), ({"name": "x", "url": "http://h/", "headers": {"A B": "c"}}, "no header's name"),
    ({"name": "x", "url": "http://h/", "headers": {"A": "c\nd"}}, "control character"), ({"name": "x", "url": "http://h/", "headerFiles": {"A": "/nowhere"}}, "/nowhere"),
    ({"name": "x", "url": "http://h/", "include": "add"}, "include is a list"), ({"name": "x", "url": "http://h/", "timeout": 0}, "timeout"),
    ({"name": "x", "url": "http://h/", "env": {}}, 'no member "env"'), ("x", "not a JSON object"),
])
def test_wrong_templates(stack_factory, server, complaint):
    """Said by -t, with the file and the member."""
    stack = stack_factory(start=False, templates={"t": {"mcp": [server]}})
    got = stack.check_conf()
    assert got.returncode != 0 and "t.json" in got.stderr and "mcp[0]" in got.stderr and complaint in got.stderr, got.stderr


def command(stack, *args):
    return subprocess.run([BINARY, "-c", stack.write_conf(), "mcp", *args], env=stack.pool_env(), capture_output=True, text=True, check=False, timeout=30)


def test_the_command_and_a_program(program):
    """It runs in the sandbox, in a workspace of its own."""
    got = command(program.stack, "t", "test")
    assert got.returncode == 69 and "server.py" in got.stderr
    client = program.stack.sandbox.client()
    with open(PROGRAM, "rb") as f:
        client.call("fs.put", user="agent-fpm", agent="agt_mcp", path="server.py", data=f.read())
    client.close()
    got = command(program.stack, "t", "test", "list_resources")
    assert got.returncode == 0 and json.loads(got.stdout)["resources"][0]["name"] == "one" and got.stderr == ""


def test_the_command(remote):
    """agent-fpm mcp: what a server offers, and what a tool gives."""
    def run(*args):
        return command(remote.stack, *args)

    listed = run("t", "test")
    assert listed.returncode == 0 and "mcp__test__add\n    Does add.\n" in listed.stdout, listed
    got = run("t", "test", "add", '{"a":1,"b":2}')
    assert got.returncode == 0 and json.loads(got.stdout)["content"][0]["text"] == "3"
    got = run("t", "test", "no")
    assert got.returncode == 1 and json.loads(got.stdout)["isError"] is True
    for args, complaint in [(("t", "test", "none"), "it has no tool none"), (("t", "test", "add", "[1]"), "no JSON object"), (("t", "x"), "no MCP server x"),
                            (("x", "test"), "no template x"), (("--url", remote.service.url), "it answered 401"), (("t", "test", "refuse"), "these arguments are wrong")]:
        got = run(*args)
        assert got.returncode != 0 and complaint in got.stderr, got
    assert run("t").returncode == 64


@pytest.mark.parametrize("name, value", [("tool.networks", "nonsense"), ("sandbox.address", "ftp://h/")])
def test_the_command_and_a_wrong_setting(stack_factory, name, value):
    """One that only shows when it is used: said, and nothing is left behind."""
    stack = stack_factory(start=False, conf={name: value})
    got = command(stack, "--url", "http://127.0.0.1:9/")
    assert got.returncode == 78 and name in got.stderr and "Sanitizer" not in got.stderr, got
