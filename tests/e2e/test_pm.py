# SPDX-License-Identifier: MIT
"""pm: how many workers there are, in php-fpm's words, and workers that have served enough."""

import re
import signal
import subprocess

import pytest
from load import Load
from stack import BINARY, kill, process_state, scaled, wait_for


def gone(pids):
    return all(process_state(pid)[0] in (None, "Z") for pid in pids)


@pytest.fixture
def pool(stack_factory):
    """pool(conf): a stack without the setting workers."""
    def make(conf, **options):
        stack = stack_factory(start=False, wait_ready=False, conf=conf, **options)
        del stack.conf["workers"]
        stack.start_all()
        return stack

    return make


def test_max_children(pool):
    stack = pool({"pm.max_children": 3})
    wait_for(lambda: len(stack.workers()) == 3, 10)
    assert stack.user().agent().answer("hi") == "echo: hi"


def test_dynamic_follows_the_load(pool):
    """Turns fill workers: more are started until some are spare; when they are over, workers leave one by one."""
    stack = pool({"pm": "dynamic", "pm.max_children": 6, "pm.min_spare_servers": 1, "pm.max_spare_servers": 2, "limits.turns": 4,
                  "limits.turns_per_user": 0, "drain_timeout": "30s"})
    wait_for(lambda: len(stack.workers()) == 2, 10, "it begins with two")
    agents = [stack.user().agent() for _ in range(8)]
    views = [a.follow() for a in agents]
    for agent in agents:
        agent.say_surely("slow 120")
    wait_for(lambda: len(stack.workers()) >= 3, 15, lambda: stack.log()[-3000:])
    for view in views:
        view.wait(seconds=30)
        view.close()
    assert all(v.kinds().count("agent_resumed") == 0 for v in views)
    wait_for(lambda: len(stack.workers()) == 2, 30, lambda: stack.log()[-3000:])
    assert "was killed" not in stack.log() and "exited with" not in stack.log()
    assert agents[0].answer("hi") == "echo: hi"


def test_ondemand(pool):
    """None until a request comes, which is answered; idle ones leave, and one with a stream or a turn stays."""
    stack = pool({"pm": "ondemand", "pm.max_children": 2, "pm.process_idle_timeout": "1s"})
    wait_for(lambda: "ready" in stack.log(), 10, "one looks for what others have left")
    wait_for(lambda: stack.workers() == [], 10)
    agent = stack.user().agent()
    assert len(stack.workers()) == 1
    with agent.follow() as view:
        view.wait_for(lambda f: f.connections == 1)
        agent.say("slow 60")
        worker = stack.workers()
        view.wait()
        assert stack.workers() == worker
    wait_for(lambda: stack.workers() == [], 10, lambda: stack.log()[-2000:])
    assert agent.answer("hi") == "echo: hi"
    kill(stack.workers()[0], signal.SIGKILL)
    assert agent.answer("hi") == "echo: hi"
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: "generation 2 serves" in stack.log(), 10)
    wait_for(lambda: stack.workers() == [], 10)
    assert agent.answer("hi") == "echo: hi"


def test_ondemand_leaves_no_turn_alone(pool):
    """With nobody who looks on or asks: a turn that the last worker gave up, at an upgrade or a restart, goes on."""
    stack = pool({"pm": "ondemand", "pm.max_children": 2, "pm.process_idle_timeout": "1s", "drain_timeout": "2500ms", "store.sweep": "1h"})
    agents = [stack.user().agent() for _ in range(2)]
    agents[0].say("slow 200")
    holder = agents[0].holder()
    stack.upgrade()
    wait_for(lambda: gone([holder]), 10)
    wait_for(lambda: agents[0].lease() and agents[0].lease()[1] in stack.workers(), 5, lambda: stack.log()[-3000:])
    holder = agents[0].holder()
    assert stack.stop_pool(signal.SIGQUIT) == 0
    stack.start_pool()
    wait_for(lambda: agents[0].lease() and agents[0].lease()[1] in stack.workers(), 5, lambda: stack.log()[-3000:])
    assert agents[1].answer("hi") == "echo: hi"
    agents[0].interrupt()


def test_ondemand_leaves_no_turn(pool):
    """Redis was away for too long, so the turn was given up; nobody asks for anything, and yet it is taken up."""
    stack = pool({"pm": "ondemand", "pm.max_children": 1, "pm.process_idle_timeout": "1s", "store.timeout": "300ms", "store.lease": "3s",
                  "store.sweep": "1s"})
    agent = stack.user().agent()
    agent.say("slow 100")
    wait_for(lambda: any('"text_chunk"' in e for _, e in agent.log()), 10)
    stack.kill_redis()
    wait_for(lambda: "the turn stops here" in stack.log(), 10)
    stack.start_redis()
    wait_for(lambda: any('"done"' in e for _, e in agent.log()), 30, lambda: stack.log()[-3000:])
    wait_for(lambda: stack.workers() == [], 20, "then it leaves")


def test_max_requests(stack_factory):
    """Workers are replaced again and again under load, and nobody notices."""
    stack = stack_factory(workers=2, conf={"pm.max_requests": 40, "drain_timeout": "2s"})
    first = stack.workers()
    with Load(stack, viewers=40) as load:
        wait_for(lambda: stack.log().count("another takes its place") >= 6, 60, lambda: stack.log()[-2000:])
    load.check()
    wait_for(lambda: gone(first), 10)
    assert "was killed" not in stack.log() and "exited with" not in stack.log()


def test_max_memory(stack_factory):
    """A bound that every worker is above: one at a time, another first."""
    stack = stack_factory(workers=2, conf={"pm.max_memory": "1m"})
    wait_for(lambda: len(re.findall(r"worker \d+ has \d+ MiB of memory", stack.log())) >= 3, 20)
    assert len(stack.workers()) <= 4
    assert stack.user().agent().answer("hi") == "echo: hi"


@pytest.mark.parametrize("text, said", [
    ("workers = 2\npm.max_children = 3\n", "keep one"),
    ("pm.max_children = 2\npm.min_spare_servers = 3\n", "at most pm.max_children"),
    ("pm.min_spare_servers = 3\npm.max_spare_servers = 2\n", "at most pm.max_spare_servers"),
    ("pm.min_spare_servers = 3\npm.start_servers = 2\n", "pm.start_servers is between"),
    ("pm = prefork\n", "static dynamic ondemand"),
])
def test_numbers_that_do_not_go_together(stack_factory, text, said):
    stack = stack_factory(start=False)
    path = stack.write("agent-fpm.conf", text)
    got = subprocess.run([BINARY, "-t", "-c", path], capture_output=True, text=True, check=False, timeout=scaled(20))
    assert got.returncode == 78 and said in got.stderr, got
