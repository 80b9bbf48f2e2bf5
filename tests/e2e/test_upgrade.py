# SPDX-License-Identifier: MIT
"""SIGUSR2: another program takes over, with the same socket."""

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import stack as stack_module
from load import Load
from stack import kill, process_state, scaled, wait_for, words

UPGRADES = int(os.environ.get("UPGRADES", 30))


def gone(pids):
    return all(process_state(pid)[0] in (None, "Z") for pid in pids)


@pytest.fixture
def installed(stack_factory, monkeypatch):
    """installed(**options): a pool of a copy of the program; install(FILE) puts another in its place."""
    def make(**options):
        stack = stack_factory(start=False, **options)
        path, original = stack.path("sbin-agent-fpm"), stack_module.BINARY

        def install(file=original):
            shutil.copy(file, path + ".new")
            os.rename(path + ".new", path)

        install()
        stack.install = install
        monkeypatch.setattr(stack_module, "BINARY", path)
        stack.start_all()
        return stack

    return make


def test_under_load(stack_factory):
    """No request fails, no turn is lost, no viewer misses an event or is cut without a cursor."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "2s"})
    olds = []
    with Load(stack) as load:
        load.more(5)
        begin = time.monotonic()
        for _ in range(UPGRADES):
            olds.append(stack.upgrade())
            load.more(6)
        took = time.monotonic() - begin
        for old in olds:
            assert old.wait(timeout=scaled(10)) == 0
    print(f"{UPGRADES} upgrades in {took:.1f} s")
    load.check()


def test_another_program(installed):
    """The new program is what is in the place of the old one; the socket's file is its own from then on."""
    stack = installed(workers=2)
    agent, workers = stack.user().agent(), stack.workers()
    inode = os.stat(stack.fcgi_path).st_ino
    stack.install()
    old = stack.upgrade()
    assert old.wait(timeout=scaled(10)) == 0
    assert os.stat(f"/proc/{stack.master}/exe").st_ino == os.stat(stack.path("sbin-agent-fpm")).st_ino
    assert gone(workers) and len(stack.workers()) == 2
    assert os.stat(stack.fcgi_path).st_ino == inode
    assert agent.answer("hi") == "echo: hi"
    second = stack.upgrade()
    assert second.wait(timeout=scaled(10)) == 0
    assert agent.answer("hi") == "echo: hi"
    assert stack.stop_pool() == 0
    assert not os.path.exists(stack.fcgi_path)


def test_turns_move(stack_factory):
    """What the old program does not finish in time is the new one's within a second."""
    stack = stack_factory(workers=2, conf={"drain_timeout": "300ms", "store.sweep": "1h"})
    agent, workers = stack.user().agent(), stack.workers()
    turn = agent.say("slow 60")["turn"]
    with agent.follow() as view:
        view.has("w3 ")
        stack.upgrade()
        wait_for(lambda: gone(workers), 5)
        ended = time.monotonic()
        view.wait_for(lambda f: "agent_resumed" in f.kinds(), 5)
        assert time.monotonic() - ended < scaled(1)
        assert view.wait().text() == words(60)
    assert view.dones == {turn: "completed"}


@pytest.mark.parametrize("program, said", [("/bin/false", "ended with status 1"), ("/etc/hostname", "goes on")])
def test_a_program_that_is_none(installed, program, said):
    """The old one goes on, and can be asked again."""
    stack = installed(workers=1)
    agent, workers = stack.user().agent(), stack.workers()
    stack.install(program)
    kill(stack.master, signal.SIGUSR2)
    wait_for(lambda: said in stack.log(), 10, lambda: stack.log())
    assert stack.workers() == workers and agent.answer("hi") == "echo: hi"
    stack.install()
    assert stack.upgrade().wait(timeout=scaled(10)) == 0
    assert agent.answer("hi") == "echo: hi"
    assert stack.stop_pool() == 0


def test_a_configuration_with_mistakes(stack_factory):
    stack = stack_factory(workers=1)
    agent, workers = stack.user().agent(), stack.workers()
    stack.write("agent-fpm.conf", "workers = many\n")
    kill(stack.master, signal.SIGUSR2)
    wait_for(lambda: "ended with status 78; this one goes on" in stack.log(), 10)
    assert stack.workers() == workers and agent.answer("hi") == "echo: hi"


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL])
def test_the_new_one_is_ended(stack_factory, signo):
    """Before it serves, while its workers begin: the socket's file is still the old one's, which goes on."""
    stack = stack_factory(workers=1)
    agent, workers, inode = stack.user().agent(), stack.workers(), os.stat(stack.fcgi_path).st_ino
    stack.conf["workers"] = 16  # all of which must be ready
    stack.write_conf()
    kill(stack.master, signal.SIGUSR2)
    new = wait_for(lambda: [p for p in stack.children() if "--successor" in stack.argv(p)], 5)
    wait_for(lambda: "with 16 workers" in stack.log(), 10)
    kill(new[0], signo)
    wait_for(lambda: "this one goes on" in stack.log(), 10, lambda: stack.log()[-3000:])
    assert "takes over" not in stack.log()
    assert os.stat(stack.fcgi_path).st_ino == inode and stack.workers() == workers
    with agent.follow() as view:  # the new one's workers may have taken it, and end
        agent.say_surely("hi")
        assert view.wait().text() == "echo: hi"


def test_the_end_in_the_middle(stack_factory):
    """SIGTERM while the new program starts ends both."""
    stack = stack_factory(workers=1)
    workers = stack.workers()
    stack.conf["workers"] = 16  # so that it takes a while
    stack.write_conf()
    kill(stack.master, signal.SIGUSR2)
    new = wait_for(lambda: [p for p in stack.children() if "--successor" in stack.argv(p)], 5)
    assert stack.stop_pool() == 0
    wait_for(lambda: gone([*new, *workers]), 5)
    assert not os.path.exists(stack.fcgi_path)


@pytest.mark.parametrize("dies", [False, True])
def test_a_reload_in_the_middle(stack_factory, dies):
    """SIGHUP when the new program has read the file already: it reads it again when it serves, or else the old one does."""
    stack = stack_factory(workers=1)
    old = stack.master
    stack.conf["workers"] = 16  # all of which must be ready
    stack.write_conf()
    with ThreadPoolExecutor(1) as pool:
        if dies:
            kill(old, signal.SIGUSR2)
        else:
            done = pool.submit(stack.upgrade)
        new = wait_for(lambda: [p for p in stack.children() if "--successor" in stack.argv(p)], 5)
        wait_for(lambda: "with 16 workers" in stack.log(), 10)
        stack.conf |= {"workers": 1, "limits.message": "64"}
        stack.write_conf()
        kill(old, signal.SIGHUP)
        if dies:
            kill(new[0], signal.SIGKILL)
        else:
            assert done.result().wait(timeout=scaled(10)) == 0
    wait_for(lambda: "generation 2 serves" in stack.log(), 10, lambda: stack.log()[-3000:])
    wait_for(lambda: stack.user().agent().post_message("x" * 100).status == 413, 5, "the old configuration is back")
    assert dies == (stack.master == old)


def test_a_reload_after_it(stack_factory):
    """The new master is as good as the old one."""
    stack = stack_factory(workers=1)
    stack.upgrade().wait(timeout=scaled(10))
    stack.conf["limits.message"] = "64"
    stack.write_conf()
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: stack.user().agent().post_message("x" * 100).status == 413, 10)
    workers = stack.workers()
    kill(workers[-1], signal.SIGKILL)
    wait_for(lambda: stack.workers() and workers[-1] not in stack.workers(), 5)
    assert stack.user().agent().answer("hi") == "echo: hi"
