# SPDX-License-Identifier: MIT
"""The master: configuration, sockets, workers that die, exit codes."""

import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from stack import BINARY, ROOT, Fcgi, kill, process_state, scaled, wait_for


def run(*args, env=None, timeout=10, **options):
    return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=scaled(timeout), env={"PATH": os.environ["PATH"], **(env or {})}, **options)


@pytest.fixture
def conf(tmp_path):
    """check(text): what -t says of a configuration."""
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef")

    def check(text, *args):
        path = tmp_path / "agent-fpm.conf"
        path.write_text(text)
        return run("-t", *args, "-c", str(path), env={"AGENT_FPM_JWT_SECRET": secret.read_text(), "ANTHROPIC_API_KEY": "sk-ant-x"})

    check.path = str(tmp_path / "agent-fpm.conf")
    return check


def every_setting():
    """The sample, which is made of the table, with each setting spelled out as it is by default; sections with a name left out."""
    with open(os.path.join(os.environ.get("BUILDDIR", ROOT), "docs", "agent-fpm.conf.sample"), encoding="utf-8") as f:
        text = re.sub(r"^#?\[\w+ \w+\]$.*?(?=^\[|\Z)", "", f.read(), flags=re.M | re.S)
    return re.subn(r"^#(?=[a-z][a-z0-9_.]* = ?)", "", text, flags=re.M)


def test_a_good_configuration(conf):
    """All defaults, spelled out, pass; in sections as well."""
    text, count = every_setting()
    assert count > 150
    ok = conf(text)
    assert ok.returncode == 0, ok.stderr
    assert conf("workers = 2\n[jwt]\nleeway = 10s\n[limits]\nbody = 2m\n").returncode == 0
    assert conf("").returncode == 0


@pytest.mark.parametrize("text, line, words", [
    ("\nworker = 2\n", 2, ["worker", "workers"]),
    ("[stor]\naddress = x:1\n", 2, ["store.address"]),
    ("[store]\nadress = x:1\n", 2, ["store.adress", "store.address"]),
    ("# comment\n\nworkers = many\n", 3, ["workers", "many", "number"]),
    ("workers = 1000\n", 1, ["workers", "range"]),
    ("drain_timeout = 5 parsecs\n", 1, ["drain_timeout", "30s"]),
    ("limits.body = -1\n", 1, ["limits.body"]),
    ("log_level = loud\n", 1, ["debug info warn error"]),
    ("listen.mode = 0777\n", 1, ["listen.mode", "0666"]),
    ("workers = 1\nworkers = 2\n", 2, ["twice"]),
    ("this is no setting\n", 1, []),
    ("model.cache_markers = perhaps\n", 1, ["yes or no"]),
    ("entirely_unknown_thing_of_no_kin = 1\n", 1, ["agent-fpm.conf(5)"]),
])
def test_mistakes_are_named(conf, text, line, words):
    """FILE:LINE, what is wrong and what to write; exit code 78 (EX_CONFIG)."""
    got = conf(text)
    assert got.returncode == 78, got
    said = got.stdout + got.stderr
    assert f"{conf.path}:{line}: " in said, said
    for word in words:
        assert word in said, said


def test_all_mistakes_at_once(conf):
    said = conf("workers = x\nlimits.bdy = 3\nstore.lease = 5\n")
    assert all(f":{n}: " in said.stdout + said.stderr for n in (1, 2, 3))


@pytest.mark.parametrize("text", ["listen = relative.sock\n", "listen = 127.0.0.1:9000\n", f"listen = /tmp/{'x' * 120}\n", "model.thinking = 100\n"])
def test_what_no_single_line_says(conf, text):
    assert conf(text).returncode == 78


def test_a_file_that_is_not_there(tmp_path):
    got = run("-t", "-c", str(tmp_path / "none.conf"))
    assert got.returncode == 78 and "none.conf" in got.stderr + got.stdout


@pytest.mark.parametrize("change, said", [
    ({"jwt.secret_file": ""}, "jwt"),
    ({"jwt.secret_file": "/nonexistent/secret"}, "/nonexistent/secret"),
    ({"model.api_key_file": ""}, "model.api_key_file"),
    ({"templates": "/etc/hostname"}, "templates"),
])
def test_a_pool_that_cannot_work_says_why(stack_factory, change, said):
    """What only a worker can find out: -t or the start ends with 78 and the reason; it does not loop."""
    stack = stack_factory(start=False, workers=1)
    stack.conf.update(change)
    path = stack.write_conf()
    checked = run("-t", "-c", path)
    assert checked.returncode == 78, checked
    assert said in checked.stdout + checked.stderr
    started = run("-F", "-c", path)
    assert started.returncode == 78, started
    assert said in started.stderr


def test_options():
    """-v and usage."""
    version = run("-v")
    assert version.returncode == 0 and re.search(r"agent-fpm \d", version.stdout)
    wrong = run("--nonsense")
    assert wrong.returncode == 64 and "usage" in wrong.stderr.lower()
    assert run("token", "--ttl", "nonsense", "--sub", "x").returncode != 0


def test_the_sockets_mode(stack_factory):
    stack = stack_factory(workers=1, conf={"listen.mode": "0660"})
    assert stat.S_IMODE(os.stat(stack.fcgi_path).st_mode) == 0o660
    stack.stop_pool()
    assert not os.path.exists(stack.fcgi_path), "the socket stayed behind"


def test_a_stale_socket_is_replaced(stack_factory):
    """After kill -9 of all the socket's file is there; a new pool takes its place."""
    stack = stack_factory(workers=1)
    stack.kill_all()
    assert os.path.exists(stack.fcgi_path)
    stack.start_all()
    assert stack.http("GET", "/ready").status == 200


def test_a_second_instance_refuses(stack_factory):
    """Two pools on one socket: the second says so and leaves with 78; the first goes on."""
    stack = stack_factory(workers=1)
    second = run("-F", "-c", stack.path("agent-fpm.conf"))
    assert second.returncode == 78 and stack.fcgi_path in second.stderr
    assert stack.http("GET", "/ready").status == 200


def test_not_a_socket(stack_factory):
    stack = stack_factory(start=False, workers=1)
    stack.write("fpm.sock", "precious")
    got = run("-F", "-c", stack.write_conf())
    assert got.returncode == 78 and "socket" in got.stderr
    with open(stack.fcgi_path, encoding="utf-8") as f:
        assert f.read() == "precious"


def test_a_socket_from_systemd(stack_factory):
    """LISTEN_FDS: the pool serves descriptor 3, and leaves the socket alone when it ends."""
    stack = stack_factory(start=False, workers=2)
    stack.start_redis()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(stack.path("systemd.sock"))
        listener.listen(64)
        stack.conf["listen"] = stack.path("not-this.sock")
        pool = ["bash", "-c", f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -F -c "$1" 3<&{listener.fileno()}', BINARY]
        got = subprocess.run([*pool, stack.write_conf()], env=stack.pool_env(), pass_fds=[listener.fileno()], capture_output=True, text=True,
                             timeout=scaled(10), check=False)
        assert got.returncode == 78 and f"write: listen = {stack.path('systemd.sock')}" in got.stderr + stack.log(), "ctl would look for another pool"
        os.symlink(stack.path("systemd.sock"), stack.path("not-this.sock"))  # another name of it
        stack._pool = stack._spawn("pool", [*pool, stack.write_conf()], env=stack.pool_env(), pass_fds=[listener.fileno()])
        stack.fcgi_path = stack.path("systemd.sock")
        wait_for(stack.is_ready, 10)
        assert stack.stop_pool() == 0
        assert os.path.exists(stack.fcgi_path)
        with Fcgi(stack.fcgi_path):
            pass  # still listening


def test_a_descriptor_that_is_no_socket(stack_factory):
    stack = stack_factory(start=False, workers=1)
    got = subprocess.run(
        ["sh", "-c", 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" -F -c "$1" 3</dev/null', BINARY, stack.write_conf()],
        capture_output=True, text=True, timeout=scaled(10))
    assert got.returncode == 78 and "socket" in got.stderr


def seconds_to_replace(site, slot, signo):
    """Ends the worker in a slot, until another is there, and the other as before; the log names the signal."""
    before, at = site.workers(), len(site.log())
    begin = time.monotonic()
    kill(before[slot], signo)

    def replaced():
        workers = site.workers()
        return len(workers) == 2 and before[slot] not in workers

    wait_for(replaced, 5)
    took = time.monotonic() - begin
    assert site.workers()[1 - slot] == before[1 - slot]
    if signo != signal.SIGTERM:
        died = [line for line in site.log()[at:].splitlines() if str(before[slot]) in line and f"worker {slot}" in line]
        assert re.search(rf"signal {int(signo)}\b|{signo.name}", "".join(died)), died
    wait_for(site.is_ready, 5)
    return took


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
def test_a_dead_worker_is_replaced(site, signo):
    """Within 50 ms, in the same slot. A busy machine can hold up one of two; who asked for its end may take its time."""
    wait_for(lambda: len(site.workers()) == 2)
    took = [seconds_to_replace(site, slot, signo) for slot in range(2)]
    if signo != signal.SIGTERM:
        assert min(took) < scaled(0.05), took


def stopped_heir(stack):
    """Kills the first worker, and stops its heir before that is ready; None if it was quicker."""
    second = stack.workers()[1]
    stack.kill_worker(0)
    folder = f"/proc/{stack.master}/task/{stack.master}/children"
    heir, end = None, time.monotonic() + scaled(15)
    while not heir and time.monotonic() < end:
        with open(folder, encoding="ascii") as f:
            heir = next((int(pid) for pid in f.read().split() if int(pid) != second and process_state(pid)[0] not in (None, "Z")), None)
    stack.stop(heir)
    rows = stack.http("GET", "/status?full&json").json["workers"]
    return heir if any(w["pid"] == heir and w["state"] == "starting" for w in rows) else kill(heir, signal.SIGCONT)


def turn_at(stack, pid):
    """An agent whose turn runs at this worker."""
    while True:
        agent = stack.user().agent()
        agent.say("slow 40")
        if agent.holder() == pid:
            return agent
        agent.interrupt()


def test_a_worker_that_hangs_before_it_is_ready(stack_factory):
    """It is ended after 20 s, and its heir serves; the other serves all the time. That was ready once: told to leave, it has its time."""
    stack = stack_factory(workers=2)
    heir = None
    while heir is None:
        wait_for(lambda: len(stack.workers()) == 2 and stack.is_ready(), 20)
        heir = stopped_heir(stack)
    wait_for(lambda: process_state(heir)[0] in (None, "Z"), 25, "it is not killed")
    assert f"pid {heir} is not ready after 20 s" in stack.log()
    wait_for(lambda: len(stack.workers()) == 2 and all(w["state"] == "ready" for w in stack.http("GET", "/status?full&json").json["workers"]), 20)
    second = stack.workers()[1]
    agent = turn_at(stack, second)
    kill(second, signal.SIGQUIT)
    agent.wait_idle(20)
    wait_for(lambda: f"(pid {second}) exited with status 0" in stack.log(), 10, "it was killed")
    assert "agent_resumed" not in str(agent.log())


def test_a_crash_loop_backs_off(stack_factory):
    """Workers that die young again and again are started less and less often, and the pool recovers by itself."""
    stack = stack_factory(workers=1)
    deaths, end = 0, time.monotonic() + 2
    while time.monotonic() < end:
        for pid in stack.workers():
            kill(pid, signal.SIGKILL)
            wait_for(lambda: process_state(pid)[0] in (None, "Z"))
            deaths += 1
        time.sleep(0.002)
    assert 5 <= deaths < 15, deaths
    wait_for(lambda: stack.workers() and stack.is_ready(), 15, "it does not recover")


def test_signals_the_master_ignores(stack_factory):
    """USR1 and PIPE do not end it, nor its workers."""
    stack = stack_factory(workers=1)
    workers = stack.workers()
    for signo in (signal.SIGUSR1, signal.SIGPIPE):
        kill(stack.master, signo)
    assert stack.user().agent().answer("hello") == "echo: hello"
    assert stack._pool.poll() is None and stack.workers() == workers


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_stopping_leaves_nothing(stack_factory, signo):
    """Exit code 0, no worker, no socket; and quickly."""
    stack = stack_factory(workers=2, without_nginx=True)
    workers = stack.workers()
    begin = time.monotonic()
    assert stack.stop_pool(signo) == 0
    assert time.monotonic() - begin < scaled(3)
    assert not [p for p in workers if process_state(p)[0] not in (None, "Z")]
    assert not os.path.exists(stack.fcgi_path)
    assert " -> killing" not in stack.log()


def test_the_log_is_logfmt(site):
    """time, level, proc, pid, msg on every line."""
    lines = site.log().splitlines()
    assert lines
    for line in lines:
        assert re.match(r'time=\S+Z level=(debug|info|warn|error) proc=\S+ pid=\d+ (\w+="([^"\\]|\\.)*" ?)+$', line), line
