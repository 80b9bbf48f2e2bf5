# SPDX-License-Identifier: MIT
"""make demo: what it prints is there, it outlives any of its parts, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from stack import BINARY, arguments, kill, scaled, wait_for

PARTS = ("redis", "sandbox", "agent-fpm", "bridge", "nginx")
GREETING = "Hello! What can you do?"
BUILD = os.path.dirname(BINARY)


def two_ports():
    """A free port whose next one is free too."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            try:
                with socket.create_server(("127.0.0.1", port + 1)):
                    return port
            except (OSError, OverflowError):
                continue


class Demo:
    def __init__(self, folder):
        self.folder, self.port = folder, two_ports()
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ANTHROPIC_API_KEY", "DEMO_MODEL_URL")}
        with open(self.path("said"), "wb") as said:
            self.make = subprocess.Popen(
                ["make", "-C", BUILD, "demo"], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                env={**env, "DEMO_DIR": self.path("demo"), "DEMO_PORT": str(self.port), "DEMO_WORKERS": "2", "AGENT_FPM": BINARY})
        try:
            wait_for(self.answers, 60, self.said)
        except BaseException:
            self.close()
            raise

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def read(self, *name):
        with open(self.path(*name), encoding="utf-8") as f:
            return f.read()

    def said(self):
        return self.read("said")

    def answers(self):
        assert self.make.poll() is None, self.said()
        return re.search(r"^T=.*$", self.said(), re.M)

    def processes(self):
        """{pid: arguments} of all that it has started: they were given its folder, or are in it."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    variables = f.read().split(b"\0")
                cwd = os.readlink(f"/proc/{pid}/cwd")
            except OSError:
                continue
            if f"DEMO_DIR={self.path('demo')}".encode() in variables or (cwd + "/").startswith(self.path("demo") + "/"):
                found[pid] = arguments(pid)
        return found

    def pid(self, name):
        """What a file of the demo says, if that is one of its processes; else None."""
        try:
            pid = int(self.read("demo", f"{name}.pid"))
        except (FileNotFoundError, ValueError):  # it is being written
            return None
        return pid if pid in self.processes() else None

    def paste(self, message=None):
        """What the printed line answers, as it stands or with another message: the last frame of it, or None."""
        line = self.answers()[0]
        if message is not None:
            assert line.count(GREETING) == 1
            line = line.replace(GREETING, message)
        got = subprocess.run(["bash", "-c", line], cwd="/", capture_output=True, text=True, check=False, timeout=scaled(30)).stdout
        frames = re.findall(r"^data: (.*)$", got, re.M)
        return json.loads(frames[-1]) if frames else None

    def has_answered(self):
        last = self.paste("slow 2")
        return last is not None and last["kind"] == "done" and last["reason"] == "completed"

    def close(self):
        """Ends it; what is still there of it then."""
        if (script := self.pid("demo")) is not None:
            kill(script, signal.SIGTERM)
        try:
            self.make.wait(scaled(30))
        except subprocess.TimeoutExpired:
            self.make.kill()
            self.make.wait()
        left = self.processes()
        for pid in left:
            kill(pid, signal.SIGKILL)
        return left


@pytest.fixture
def demo(tmp_path):
    demo = Demo(str(tmp_path))
    yield demo
    demo.close()


@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "Makefile")), reason=f"there is no Makefile in {BUILD}")
def test_demo(demo):
    """The printed line is answered, to the end; also after kill -9 of each part; SIGTERM leaves nothing that runs."""
    last = demo.paste()
    assert last["kind"] == "done" and last["reason"] == "completed", last
    for part in PARTS:
        before = wait_for(lambda: demo.pid(part), 10, part)
        kill(before, signal.SIGKILL)
        wait_for(lambda: demo.pid(part) not in (None, before), 10, lambda: f"{part} is not started again\n{demo.said()}")
        wait_for(demo.has_answered, 20, lambda: f"no answer after the end of {part}\n{demo.said()}")
        assert before not in demo.processes()
    assert demo.close() == {}
    assert demo.make.returncode == 0, demo.said()
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", demo.port)) != 0
