# SPDX-License-Identifier: MIT
"""Faults, each with load running, and the invariants checked after (docs/reliability.md has the table).

STALL_S is how long Redis stands still; 30 makes the run that the guarantee speaks of.
"""

import calendar
import contextlib
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import close
from fault_load import BAD, BROKEN, ERROR, FILES, MESSAGES, NOTICE, SCENARIOS, TOOLS, FaultLoad
from issuer import Issuer, Key
from preload import library, without_sanitizers
from sandbox import Proxy
from scripted_model import load_scenarios
from stack import AUDIENCE, Agent, Stack, User, children, kill, process_state, wait_for
from test_sandbox_commands import skip_without_commands
from waiting import free_ports, scaled

STALL_S = float(os.environ.get("STALL_S", scaled(3)))
AWAY = (503, NOTICE)


def ms(seconds):
    return f"{int(scaled(seconds) * 1000)}ms"


SWIFT = {"store.lease": ms(2), "store.sweep": "300ms", "store.timeout": ms(2), "store.command_timeout": ms(0.5),
         "model.idle_timeout": ms(2), "model.first_byte_timeout": ms(2), "model.connect_timeout": ms(1), "model.breaker_time": "500ms",
         "limits.turns_per_user": 0, "limits.viewers_per_user": 0}


@pytest.fixture
def faulty(stack_factory):
    """Stacks with short times: faulty(conf={...}, ...)."""
    def make(conf=None, scenarios=(), **options):
        return stack_factory(conf={**SWIFT, **(conf or {})}, scenarios=[*SCENARIOS, *scenarios], **{"workers": 2, **options})
    return make


@contextlib.contextmanager
def under_load(stack, *right, **options):
    """A fault while load runs, and what must hold when it is over."""
    with FaultLoad(stack, **options) as load:
        with load.fault(*right, seconds=60):
            yield load
    load.check()


def felt(load, what, times=3):
    """Waits until the load has met it so often."""
    wait_for(lambda: load.failures or load.unavailable.get(what, 0) >= times, 20, lambda: f"nobody meets {what}: {load.unavailable}")


# ---- Redis ----

def test_redis_is_killed(faulty):
    stack = faulty()
    with under_load(stack, *AWAY) as load:
        stack.kill_redis()
        felt(load, 503)
        stack.start_redis()


def test_redis_is_restarted(faulty):
    stack = faulty()
    with under_load(stack, *AWAY):
        for _ in range(3):
            stack.restart_redis(kill9=False)


def test_redis_stalls(faulty):
    """SIGSTOP, for longer than store.timeout and store.lease."""
    stack = faulty()
    with under_load(stack, *AWAY) as load:
        stack.stop(stack._redis.pid)
        time.sleep(STALL_S)
        stack.cont(stack._redis.pid)
    assert load.unavailable[503]


@pytest.mark.parametrize("name, value, back", [("maxmemory", 1, 0), ("min-replicas-to-write", 1, 0)], ids=["no memory", "no replicas"])
def test_redis_takes_no_writes(faulty, name, value, back):
    stack = faulty()
    with under_load(stack, *AWAY) as load:
        stack.redis().config_set(name, value)
        felt(load, 503, 50)
        stack.redis().config_set(name, back)


def test_redis_is_a_replica(faulty):
    """READONLY, as after a failover; its master is not there."""
    stack = faulty()
    with under_load(stack, *AWAY) as load:
        stack.redis().execute_command("REPLICAOF", "127.0.0.1", free_ports(1)[0])
        felt(load, 503, 50)
        stack.redis().execute_command("REPLICAOF", "NO", "ONE")


# ---- disks ----

class Disk:
    """A small file system, and a file that fills it."""

    def __init__(self, path):
        self.path, self.filler = path, os.path.join(path, "filler")

    def fill(self):
        with open(self.filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 4096)

    def free(self):
        os.unlink(self.filler)


@pytest.fixture
def disk(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("disk"))
    got = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "none", path], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {got.stderr.strip()}")
    os.chmod(os.path.dirname(path), 0o755)
    yield Disk(path)
    subprocess.run(["umount", "-l", path], check=True)


def test_the_disk_of_redis_is_full(faulty, disk):
    """It cannot write its log, and says MISCONF."""
    stack = faulty(redis_args=["--dir", disk.path])
    with under_load(stack, *AWAY) as load:
        disk.fill()
        felt(load, 503, 20)
        disk.free()
    assert "MISCONF" in stack.log()


def test_the_disk_of_the_log_is_full(faulty, disk):
    """Nobody but the log's reader notices; what comes later is in it again."""
    stack = faulty(conf={"log_file": os.path.join(disk.path, "pool.log"), "log_level": "debug"})
    with under_load(stack, 503) as load:
        disk.fill()
        stack.kill_worker(0)
        load.more(20)
        disk.free()
        pid = stack.kill_worker(0)
    with open(os.path.join(disk.path, "pool.log"), encoding="utf-8", errors="replace") as f:
        assert f"(pid {pid}) was killed by signal 9" in f.read()


def test_the_disk_of_the_audit_log_is_full(faulty, disk):
    """Its lines stay whole, and say how many are not there; Redis has them."""
    path = os.path.join(disk.path, "audit.log")
    stack = faulty(conf={"audit.file": path})
    with under_load(stack) as load:
        disk.fill()
        load.more(20)
        wait_for(lambda: "audit.log: No space left" in stack.log(), 10, "it does not come to that")
        disk.free()
    with open(path, encoding="utf-8") as f:
        assert '"lost":' in f.read()


def test_the_disk_of_workspaces_is_full(faulty, disk):
    """The model is told that the file was not written; with room again it is."""
    stack = faulty(scenarios=FILES, conf={"sandbox.workspaces": os.path.join(disk.path, "workspaces")}, sandbox=True)
    with under_load(stack, tools=[*TOOLS, "fs_write"], messages=(*MESSAGES, "files")) as load:
        load.more(10)
        disk.fill()
        load.more(20)
        disk.free()
        load.more(10)
    calls = [c for a in load.agents for c in a.tool_calls() if c["name"] == "fs_write"]
    assert {c["state"] for c in calls} == {"COMPLETED", "FAILED"}
    assert all("space" in str(c).lower() for c in calls if c["state"] == "FAILED"), [c for c in calls if c["state"] == "FAILED"][:2]


# ---- descriptors, clock, keys ----

def test_no_descriptors(faulty):
    """A worker that may open no more: requests are the other's, or wait. A turn of it that finds no connection to the model fails as such."""
    stack = faulty()
    with under_load(stack, *AWAY, ERROR) as load:
        pid = stack.workers()[0]
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 1, hard))
        load.more(40)
        wait_for(lambda: "no descriptor" in stack.log(), 10, "it does not come to that")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert pid in stack.workers()
    assert {e["class"] for m in load.turns for e in m.errors if m.reason == "error"} <= {"network", "overload"}


@pytest.fixture(scope="module")
def stepped_clock(tmp_path_factory):
    """(library, file of its offset)."""
    folder = tmp_path_factory.mktemp("clock")
    offset = folder / "offset"
    offset.write_bytes(struct.pack("q", 0))
    return library("stepped_clock", folder), offset


@without_sanitizers
@pytest.mark.parametrize("hours", [1, -1])
def test_the_clock_is_stepped(faulty, stepped_clock, hours):
    """The wall clock of the pool, by an hour, and back; Redis has its own."""
    clock, offset = stepped_clock
    stack = faulty(env={"LD_PRELOAD": clock, "CLOCK_OFFSET_FILE": offset}, conf={"log_level": "debug"})
    day = int(time.time()) + 86400
    with under_load(stack, user=lambda: stack.user(exp=day, iat=None)) as load:
        step(offset, 3600 * hours)
        load.more(40)
        step(offset, 0)
    logged = {calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%S")) for at in re.findall(r"^time=([^.]+)", stack.log(), re.MULTILINE)}
    assert any(abs(t - time.time()) > 3000 for t in logged), "the clock was not stepped"
    times = [e["time"] for e in load.agents[0].page()["events"]]
    assert all(abs(t / 1000 - time.time()) < 600 for t in times), "events are dated by Redis's clock"


@without_sanitizers
@pytest.mark.parametrize("hours", [1, -1])
def test_a_host_dies_whose_clock_was_wrong(stack_factory, stepped_clock, hours):
    """Another host takes up its turn when its lease is over, and not before."""
    clock, offset = stepped_clock
    step(offset, 3600 * hours)
    conf = {"store.lease": "1s", "store.sweep": "200ms"}
    other = stack_factory(workers=1, conf=conf)
    host = stack_factory(workers=1, conf={**conf, "store.address": f"unix:{other.redis_path}"},
                         env={"LD_PRELOAD": clock, "CLOCK_OFFSET_FILE": offset})
    user = host.user(exp=int(time.time()) + 86400, iat=None)
    made = user.agent()
    made.say("slow 100")
    agent = Agent(User(other, user.name), made.id)  # who looks into the Redis of both
    wait_for(lambda: agent.holder() in host.workers(), 5)
    deadline = other.redis().zscore("af:leases", agent.key("").rstrip(":"))
    for pid in [host.master, *host.workers()]:
        os.kill(pid, signal.SIGKILL)
    host._pool.wait()
    host.problems.clear()
    assert abs(deadline / 1000 - time.time()) < 600, "the lease is dated by Redis's clock"
    wait_for(lambda: (agent.lease() or (None, None))[1] in other.workers(), 5, "nobody takes up the turn")


def step(offset, seconds):
    with open(offset, "r+b") as f:
        f.write(struct.pack("q", seconds))


def test_the_issuer_is_away(faulty):
    """Its keys are known: nobody notices. A worker that begins meanwhile takes them from the others."""
    issuer = Issuer(Key("k1"))
    try:
        stack = faulty(models={"issuer main": {"issuer": issuer.url, "audience": AUDIENCE}})

        def user():
            made = stack.user()
            made.token = issuer.token(sub=made.name, audience=AUDIENCE)
            wait_for(lambda: made.get("/api/agents").status == 200, 20)
            return made

        with under_load(stack, 503, user=user) as load:
            issuer.respond = (503, {}, b"")
            load.more(20)
            assert not load.unavailable, load.unavailable
            stack.kill_worker(0)
            wait_for(lambda: stack.log().count("are not fetched: it answers with status 503") > 0, 20)
            wait_for(lambda: all(load.users[0].get("/api/agents").status == 200 for _ in range(40)), 30)
            load.more(20)
    finally:
        issuer.close()


# ---- the model ----

def only_model_errors(load, *classes):
    """Turns that failed say why, and it is the model."""
    said = [e for m in load.turns for e in m.errors if m.reason == "error"]
    assert said and {e["class"] for e in said} <= {*classes, "overload"}, said[:3]


@pytest.mark.parametrize("how, kind", [("refuses", "overload"), ("stalls", "timeout"), ("cuts", "protocol"), ("garbage", "protocol")])
def test_the_model_misbehaves(faulty, how, kind):
    stack = faulty()
    with under_load(stack, ERROR) as load:
        good, stack.model.scenarios = stack.model.scenarios, load_scenarios(BAD[how])
        felt(load, ERROR)
        stack.model.scenarios = good
    only_model_errors(load, kind)


def test_the_model_is_away(faulty):
    stack = faulty()
    with under_load(stack, ERROR) as load:
        port = stack.model.port
        stack.model.stop()
        felt(load, ERROR)
        stack.model.port = port
        stack.model.start()
    only_model_errors(load, "network", "protocol")


# ---- SIGKILL of each process ----

def test_workers_are_killed(faulty):
    stack = faulty()
    with under_load(stack, 503) as load:
        stack.kill_worker(0)
        load.more(10)
        stack.kill_workers()


def test_the_master_is_killed(faulty):
    """Its workers end with it; another takes up what they left."""
    stack = faulty()
    with under_load(stack, 503, BROKEN) as load:
        workers = stack.workers()
        kill(stack.master, signal.SIGKILL)
        stack._pool.wait()
        felt(load, 503)
        wait_for(lambda: {process_state(p)[0] for p in workers} <= {None, "Z"}, 10, "workers outlive their master")  # Z: ours, after an upgrade
        stack.start_pool()


@pytest.mark.parametrize("who", ["worker", "all"])
def test_nginx_is_killed(faulty, who):
    stack = faulty()
    with under_load(stack, BROKEN, 503) as load:
        if who == "worker":
            for pid in children(stack.nginx_pid):
                kill(pid, signal.SIGKILL)
        else:
            stack.kill_nginx()
            felt(load, BROKEN)
            stack.start_nginx()


def test_the_sandbox_is_killed(faulty):
    stack = faulty(scenarios=FILES, sandbox=True)
    with under_load(stack, tools=[*TOOLS, "fs_write"], messages=(*MESSAGES, "files")) as load:
        for _ in range(3):
            stack.sandbox.stop(signal.SIGKILL)
            load.more(5)
            stack.sandbox.start()
            load.more(5)


NET = [
    {"match": "^net ", "round": 0, "steps": [{"call": "bash_run", "input": {"cmd": "echo $http_proxy"}}]},
    {"match": "^net ", "steps": [{"text": "it has run", "by": "word"}]},
]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_proxy_is_killed(tmp_path):
    """Commands that begin without it fail, and the model is told; turns go on."""
    proxy = Proxy(tmp_path).start()
    stack = Stack(scenarios=[*SCENARIOS, *NET], conf={**SWIFT, "sandbox.proxy": proxy.socket}, sandbox=True,
                  templates={"net": {"tools": ["bash_run", *TOOLS], "network": ["example.org"]}})
    skip_without_commands(stack.sandbox)
    with under_load(stack, agent={"template": "net"}, messages=(*MESSAGES, "net")) as load:
        proxy.stop(signal.SIGKILL)
        load.more(20)
        proxy.start()
        load.more(10)
    runs = [str(c) for a in load.agents for c in a.tool_calls() if c["name"] == "bash_run"]
    assert any("3128" in c for c in runs) and any("proxy" in c and "3128" not in c for c in runs), runs[:3]
    close(stack)
    proxy.stop()
