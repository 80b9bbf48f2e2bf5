# SPDX-License-Identifier: MIT
"""What the service manager is told: sd_notify(3), with a socket of the test's own."""

import re
import signal
import socket
import time

import pytest
from stack import kill, process_state, scaled, wait_for


class Manager:
    """The datagrams that came, with their times."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)
        self.seen = []

    def read(self):
        while True:
            try:
                self.seen.append((time.monotonic(), self.sock.recv(4096).decode()))
            except BlockingIOError:
                return [text for _, text in self.seen]

    def wait(self, text, count=1, seconds=10):
        """Until count datagrams begin so; their times."""
        wait_for(lambda: sum(t.startswith(text) for t in self.read()) >= count, seconds, lambda: f"no {text}: {self.seen}")
        return [at for at, t in self.seen if t.startswith(text)]

    def close(self):
        self.sock.close()


@pytest.fixture
def managed(stack_factory):
    """managed(**options): a pool that has a manager, and the manager."""
    managers = []

    def make(abstract=False, env=None, **options):
        stack = stack_factory(start=False, **options)
        path = stack.path("notify.sock")
        managers.append(Manager("\0" + path if abstract else path))
        stack.env = {"NOTIFY_SOCKET": "@" + path if abstract else path, **(env or {})}
        stack.start_all()
        return stack, managers[-1]

    yield make
    for manager in managers:
        manager.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_from_start_to_end(managed, abstract):
    """READY when the workers are, RELOADING and READY, STOPPING; nothing from anybody else."""
    stack, manager = managed(workers=2, abstract=abstract)
    manager.wait("READY=1")
    kill(stack.master, signal.SIGHUP)
    manager.wait("READY=1", 2)
    stack.write("agent-fpm.conf", "nonsense")
    kill(stack.master, signal.SIGHUP)
    manager.wait("READY=1", 3)
    assert stack.stop_pool(signal.SIGQUIT) == 0
    said = [t for t in manager.read() if not t.startswith("STATUS=")]
    assert [t.split("=")[0] for t in said] == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]
    begun = [int(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", t)[1]) for t in said if t.startswith("RELOADING")]
    assert begun == sorted(begun) and abs(begun[-1] / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < scaled(20)


def test_the_status(managed):
    """Workers, turns and streams, when they change."""
    stack, manager = managed(workers=2)
    manager.wait("STATUS=2 workers, 0 turns, 0 streams")
    agent = stack.user().agent()
    with agent.chat("slow 60") as stream:
        stream.until("text_chunk")
        manager.wait("STATUS=2 workers, 1 turns, 1 streams")
        agent.interrupt()
        stream.rest()
    manager.wait("STATUS=2 workers, 0 turns, 0 streams", 2)


def test_workers_do_not_speak(managed):
    """What is meant for the master is not in the environment of its children."""
    stack, manager = managed(workers=1, env={"WATCHDOG_USEC": 60_000_000, "LISTEN_PID": 1, "LISTEN_FDS": 1})
    manager.wait("READY=1")
    with open(f"/proc/{stack.workers()[0]}/environ", "rb") as f:
        names = [v.split(b"=")[0] for v in f.read().split(b"\0")]
    assert b"PATH" in names and not {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID"} & set(names)


def test_the_watchdog(managed):
    """WATCHDOG=1 within half of its time; a worker that does nothing is killed, and its heir goes on."""
    stack, manager = managed(workers=2, env={"WATCHDOG_USEC": 4_000_000})
    times = manager.wait("WATCHDOG=1", 4, 20)
    assert max(b - a for a, b in zip(times, times[1:])) < scaled(2.5)
    stuck = stack.workers()[0]
    stack.stop(stuck)
    wait_for(lambda: process_state(stuck)[0] in (None, "Z"), 10, "it is not killed")
    wait_for(lambda: len(stack.workers()) == 2, 5)
    assert f"(pid {stuck}) does nothing any more" in stack.log()
    assert stack.user().agent().answer("hi") == "echo: hi"
    assert f"pid {stack.workers()[1]}) does nothing" not in stack.log()


def test_another_program_takes_over(managed):
    """Who the main process is, and with that word that it lives: before, the new one was not heard."""
    stack, manager = managed(workers=1, env={"WATCHDOG_USEC": 60_000_000})
    manager.wait("READY=1")
    assert stack.upgrade().wait(timeout=scaled(10)) == 0
    assert [t for t in manager.read() if t.startswith("MAINPID=")] == [f"MAINPID={stack.master}\nWATCHDOG=1"]
    manager.wait("READY=1", 2)
    assert "STOPPING=1" not in manager.read()


def test_the_watchdog_of_somebody_else(managed):
    """WATCHDOG_PID of another process: it is not asked of us."""
    stack, manager = managed(workers=1, env={"WATCHDOG_USEC": 2_000_000, "WATCHDOG_PID": 1})
    manager.wait("READY=1")
    with stack.user().agent().chat("slow 40") as stream:
        stream.rest()
    assert "WATCHDOG=1" not in manager.read()


@pytest.mark.parametrize("address", ["relative", "/nowhere/at/all", "@" + "x" * 200])
def test_a_manager_that_is_none(stack_factory, address):
    """The pool works without."""
    stack = stack_factory(workers=1, env={"NOTIFY_SOCKET": address})
    assert stack.user().agent().answer("hi") == "echo: hi"
