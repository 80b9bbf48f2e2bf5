# SPDX-License-Identifier: MIT
"""A socket that somebody else holds, as systemd does for agent-fpm.socket: it outlives the pool."""

import os
import signal
import socket
import threading
import time

import pytest
import stack as stack_module
from load import Load
from stack import scaled, wait_for, words

RESTARTS = int(os.environ.get("RESTARTS", 30))


@pytest.fixture
def held(stack_factory):
    """held(**options): a stack whose pool gets its socket as descriptor 3. start() starts it, and does not wait."""
    listeners = []

    def make(**options):
        stack = stack_factory(start=False, **options)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listeners.append(listener)
        stack.fcgi_path = stack.path("held.sock")
        listener.bind(stack.fcgi_path)
        os.chmod(stack.fcgi_path, 0o666)
        listener.listen(4096)
        stack.conf["listen"] = stack.fcgi_path

        def start():
            stack._pool = stack._spawn(
                "pool", ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -F -c "$1" 3<&{listener.fileno()}',
                         stack_module.BINARY, stack.write_conf()], env=stack.pool_env(), pass_fds=[listener.fileno()])

        stack.start = start
        stack.start_redis()
        stack.start_nginx()
        return stack

    yield make
    for listener in listeners:
        listener.close()


def test_the_first_request_starts_it(held):
    """Requests that come before there is a pool wait for it."""
    stack = held(workers=2)
    answers = []
    waiting = [threading.Thread(target=lambda: answers.append(stack.http("GET", "/live").status)) for _ in range(10)]
    for t in waiting:
        t.start()
    stack.start()
    for t in waiting:
        t.join(scaled(20))
    assert answers == [200] * 10


def test_restarts_under_load(held):
    """Stopped and started again and again: no connection is refused, no turn is lost, nothing is missed."""
    stack = held(workers=2, conf={"drain_timeout": "1s"})
    stack.start()
    with Load(stack) as load:
        load.more(5)
        begin = time.monotonic()
        for _ in range(RESTARTS):
            assert stack.stop_pool(signal.SIGQUIT) == 0
            stack.start()
            load.more(6)
        took = time.monotonic() - begin
    print(f"{RESTARTS} restarts in {took:.1f} s")
    load.check()
    assert os.path.exists(stack.fcgi_path)


def test_it_is_killed(held):
    """kill -9 of all of it: the turn goes on in the next one, and requests have waited for that."""
    stack = held(workers=2)
    stack.start()
    agent = stack.user().agent()
    turn = agent.say("slow 40")["turn"]
    with agent.follow() as view:
        view.has("w3 ")
        for pid in [stack.master, *stack.workers()]:
            os.kill(pid, signal.SIGKILL)
        stack._pool.wait()
        stack.start()
        assert view.wait().text() == words(40)
    assert view.dones == {turn: "completed"} and view.refused == 0


def test_an_upgrade_keeps_it(held):
    """SIGUSR2 hands the held socket on; its file stays when the new one ends too."""
    stack = held(workers=1)
    stack.start()
    wait_for(stack.is_ready, 10)
    old = stack.upgrade()
    assert old.wait(timeout=scaled(10)) == 0
    assert stack.user().agent().answer("hi") == "echo: hi"
    assert stack.stop_pool() == 0
    assert os.path.exists(stack.fcgi_path)
