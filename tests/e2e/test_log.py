# SPDX-License-Identifier: MIT
"""The log file, and SIGUSR1 after somebody has moved it away."""

import os
import re
import signal

from stack import BINARY, kill, process_state, wait_for


def text(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def files_of(pid):
    """What standard error of a process is."""
    return os.readlink(f"/proc/{pid}/fd/2")


def test_rotation(stack_factory):
    """After it, master and workers write to the new file; nothing is lost meanwhile."""
    stack = stack_factory(start=False, workers=2)
    path, moved = stack.path("pool.log"), stack.path("pool.log.1")
    stack.conf["log_file"] = path
    stack.start_all()
    pids = [stack.master, *stack.workers()]
    assert stack.log() == "" and text(path).count('msg="ready"') == 2
    os.rename(path, moved)
    kill(stack.master, signal.SIGUSR1)
    wait_for(lambda: all(files_of(pid) == path for pid in pids), 10, lambda: [files_of(p) for p in pids])
    whole = text(moved)
    stack.user().agent().post_message("")  # refused, which is logged
    wait_for(lambda: ": 422 " in text(path) or ": 400 " in text(path), 5, lambda: text(path))
    kill(pids[1], signal.SIGKILL)
    wait_for(lambda: "was killed by signal 9" in text(path) and text(path).count('msg="ready"') == 1, 5)
    assert text(moved) == whole
    assert [process_state(p)[0] in "SR" for p in (pids[0], pids[2])] == [True, True]
    for line in (text(moved) + text(path)).splitlines():
        assert re.match(r"time=\S+Z level=\w+ proc=\S+ pid=\d+ ", line), line


def test_workers_that_begin_meanwhile(stack_factory):
    """SIGUSR1 kills nobody, also not a worker that has not begun to take signals."""
    stack = stack_factory(start=False, workers=2)
    path = stack.path("pool.log")
    stack.conf["log_file"] = path
    stack.start_all()
    for n in range(2, 12):
        kill(stack.master, signal.SIGHUP)
        for _ in range(200):
            kill(stack.master, signal.SIGUSR1)
        wait_for(lambda: f"generation {n} serves" in text(path), 10, lambda: text(path)[-3000:])
    assert "killed by signal" not in text(path) and "reload: a" not in text(path)
    assert stack.user().agent().answer("hi") == "echo: hi"


def test_a_file_that_cannot_be(stack_factory):
    """At a start that is an error; a reload keeps what there is; after a rotation lines go where they went."""
    stack = stack_factory(start=False, workers=1)
    stack.conf["log_file"] = stack.path("nowhere", "pool.log")
    stack._pool = stack._spawn("pool", [BINARY, "-F", "-c", stack.write_conf()], env=stack.pool_env())
    assert stack.wait_pool() == 78 and "nowhere/pool.log" in stack.log()
    os.mkdir(stack.path("nowhere"))
    stack.start_all()
    path = stack.conf["log_file"]
    stack.conf["log_file"] = stack.path("else", "pool.log")
    stack.write_conf()
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: "else/pool.log" in text(path) and "configuration stays" in text(path), 10, lambda: text(path))
    os.rename(stack.path("nowhere"), stack.path("away"))
    kill(stack.master, signal.SIGUSR1)
    wait_for(lambda: text(stack.path("away", "pool.log")).count("the log stays where it is") == 2, 10)
    stack.conf["log_file"] = stack.path("other.log")
    stack.write_conf()
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: 'msg="ready"' in text(stack.path("other.log")) and files_of(stack.master) == stack.path("other.log"), 10)
