# SPDX-License-Identifier: MIT
"""agent-fpm-sandbox: programs that stay and are talked to, by its protocol."""

import os
import pwd
import shutil
import tempfile
import time

import pytest

from sandbox import Failed, Sandbox
from stack import wait_for
from test_sandbox_commands import USER, processes, sandboxed, skip_without_commands

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
ECHO = 'while read line; do echo "got $line"; done; echo over'


@pytest.fixture(scope="module")
def sandbox():
    folder = tempfile.mkdtemp(prefix="af-box-", dir="/tmp")
    os.chmod(folder, 0o755)
    if USER:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    sandbox = Sandbox(folder, {"sandbox.programs": "2"}, user=USER).start()
    skip_without_commands(sandbox)
    yield sandbox
    assert sandbox.stop() == 0
    shutil.rmtree(folder)


@pytest.fixture
def client(sandbox):
    client = sandbox.client()
    yield client
    client.close()
    wait_for(lambda: not processes(sandbox), 10, "programs are left over")


def start(client, command, pipe="p", **members):
    return client.send("pipe.open", command=command, pipe=pipe, **members)


def test_talk(client):
    program = start(client, ECHO + " >&2; exit 7")
    client.send("cancel", target=program)
    assert client.answer(program)["end"] == "cancelled"
    program = start(client, ECHO)
    wait_for(lambda: write(client, b"one\n"), 10, "it does not begin")
    client.part(program, b"got one\n")
    write(client, "zw\u00f6lf\n".encode())
    assert client.part(program, "zw\u00f6lf\n".encode()) == "got one\ngot zw\u00f6lf\n".encode()
    client.send("cancel", target=program)
    assert client.answer(program)["end"] == "cancelled"
    assert write(client, b"x") is None


def write(client, data, pipe="p", **members):
    """The answer, or None: there is no such program."""
    try:
        return client.call("pipe.write", pipe=pipe, data=data, **members)
    except Failed as e:
        if e.code == "not_found":
            return None
        raise


def test_its_end(client):
    """Its exit code, and what it said on its standard error."""
    said = client.answer(start(client, "echo out; echo 'cannot \u00fc' >&2; exit 3"))
    assert (said["code"], said["end"], said["errors"]) == (3, "ended", "cannot \u00fc\n")
    said = client.answer(start(client, "yes ä | head -c 100000 >&2"))
    assert said["errors"].endswith("ä\n") and 1000 < len(said["errors"].encode()) <= 2048


def test_much(client):
    """More than a pipe holds, in both directions."""
    program = start(client, "head -c 3000000 | tr a b; sleep 100")
    wait_for(lambda: write(client, b"a" * 1000000), 10, "it does not begin")
    write(client, b"a" * 2000000)
    assert client.part(program, b"b" * 3000000) == b"b" * 3000000


def test_it_does_not_read(client):
    start(client, "sleep 100")
    wait_for(lambda: write(client, b"a" * 8000000), 10, "it does not begin")
    with pytest.raises(Failed) as failed:
        for _ in range(5):
            write(client, b"a" * 8000000)
    assert failed.value.code == "quota" and "does not read" in str(failed.value)


def test_it_prints_without_end(client):
    assert client.answer(start(client, "yes"))["end"] == "output"


def test_others(client):
    """An agent's programs are its own."""
    start(client, ECHO)
    wait_for(lambda: write(client, b"one\n"), 10, "it does not begin")
    assert write(client, b"x", agent="agt_b") is None
    assert write(client, b"x", user="bob") is None
    assert write(client, b"x", pipe="q") is None


def test_number(client, sandbox):
    """Those that are too many are refused at once; nobody waits for hours."""
    running = [start(client, "sleep 100", pipe=f"p{i}") for i in range(3)]
    with pytest.raises(Failed) as failed:
        client.answer(running[2])
    assert failed.value.answer["limit"] == "sandbox.programs"
    other = sandbox.client()
    other.close()
    client.send("cancel", target=running[0])
    client.answer(running[0])
    said = client.answer(start(client, "echo hello", pipe="p3"))
    assert said["code"] == 0


def test_gone_at_once(sandbox):
    """Who hangs up before the program has begun leaves none behind."""
    for wait in range(60):  # while bubblewrap begins: its two processes are tied to each other only then
        client = sandbox.client()
        start(client, "sleep 100", pipe="x")
        time.sleep(wait / 5000)
        client.close()
    wait_for(lambda: not sandboxed(sandbox.dir) - {str(sandbox.process.pid)}, 10, lambda: f"left over: {sandboxed(sandbox.dir)}")


@pytest.mark.parametrize("members", [{"pipe": ""}, {"pipe": "x" * 65}, {"pipe": 7}, {"pipe": "p", "command": ""}, {"pipe": "p", "command": None}])
def test_nonsense(client, members):
    with pytest.raises(Failed) as failed:
        client.answer(client.send("pipe.open", **{"command": "true", **members}))
    assert failed.value.code == "invalid"
