#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A soak: load for a long time, a fault at random every few seconds, and the invariants all along.

    tests/soak.py --minutes 30 --rate 40 --crowd 1000 --seed 1

Agents live for so many turns; then all that must hold of each is checked (tests/lib/invariants.py), and it is
deleted, with its files, so that what stays behind is seen as growth. What is measured every second: memory,
descriptors and threads of the worker that no fault kills (the others' lives are too short to tell a slope), of
the master, Redis and the sandbox, Redis's data and its keys. Memory is flat if what a straight line through it
gains is less than twice what it scatters around that line; the first third is the time to warm up. Threads that
run turns come with load and have a bound, which is what is looked at.

Who is looked at so closely costs more than the pool that answers. So that it has much to do, --crowd adds turns that
nobody looks at, by the load generator of bench/ (make bench/bench-load bench/bench-model). What it counts as
errors are the faults.

Exit status: 0 all holds, 1 something does not.
"""

import argparse
import contextlib
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

from fault_load import BAD, BROKEN, ERROR, FILES, MESSAGES, NOTICE, SCENARIOS, TOOLS, FaultLoad, Witness  # noqa: E402
from invariants import Invariants  # noqa: E402
from scripted_model import load_scenarios  # noqa: E402
from stack import BINARY, Stack, children, kill, wait_for  # noqa: E402

BENCH = os.path.join(os.path.dirname(BINARY), "bench")

TELLING_MINUTES = 10  # what a line through less says is the weather
TURN_THREADS = "worker turn threads"
BOUNDS = {TURN_THREADS: 16}  # as src/agent/runner.c has it


class SoakLoad(FaultLoad):
    """Agents that are replaced when they have had their turns."""

    def __init__(self, stack, lifetime, watchers, **options):
        super().__init__(stack, **options)
        self.lifetime, self.watchers = lifetime, watchers
        self.age, self.over_with, self.count = Counter(), 0, 0

    def turn(self, agent):
        message = super().turn(agent)
        if message is not None:
            self.age[agent.id] += 1
        return message

    def retire(self, invariants):
        """Checks and deletes the agents that have had their turns; others have taken their places before."""
        for seat, agent in enumerate(list(self.agents)):
            if self.age[agent.id] >= self.lifetime:
                self.agents[seat] = new = agent.user.agent(**self.made_of)
                self._loop.call_soon_threadsafe(self._attend, new)
                self._retire(agent, invariants)

    def _attend(self, agent):
        for _ in range(self.watchers):
            viewer = Witness(self, agent)
            self.viewers.append(viewer)
            self._watch(viewer)

    def _retire(self, agent, invariants):
        messages = [m for m in self.turns if m.agent is agent]
        viewers = [v for v in self.viewers if v.agent is agent]
        self.have_ended(messages)
        agent.wait_idle()
        wait_for(lambda: all(self._has_all(v) for v in viewers), 10, f"viewers of {agent.id} miss events")
        invariants.agent(agent, messages, viewers)
        for v in viewers:
            v.over = True
        assert agent.user.http("DELETE", agent.path).status == 204
        later = [*self.stack.redis().scan_iter(f"*{agent.id}:idem:*", 1000)]
        if later:
            self.stack.redis().delete(*later)  # as a day does
        left = list(self.stack.redis().scan_iter(f"*{agent.id}:*", 1000))
        assert not left, f"left of a deleted agent: {left}"
        self.count += len(messages)
        self.over_with += 1
        self.turns = [m for m in self.turns if m.agent is not agent]
        self.viewers = [v for v in self.viewers if v.agent is not agent]
        del self.age[agent.id]


class Crowd(threading.Thread):
    """Turns of a user's agents that come, are talked to for some seconds, and go."""

    AGENTS, SECONDS = 500, 10
    MODEL = {"crowd": {"id": "paced-20-0"}}  # tokens of an answer, and how many a second: at once

    def __init__(self, stack, user, rate):
        super().__init__(daemon=True)
        self.stack, self.user, self.rate = stack, user, rate
        self.turns, self.errors, self.seconds, self.ending, self.failure = 0, Counter(), 0, threading.Event(), None
        self.token, self.process = stack.write("crowd.token", user.token), None

    @staticmethod
    def model():
        """Starts it: the process, and its row of the stack's models."""
        process = subprocess.Popen([os.path.join(BENCH, "bench-model"), "--port", "0"], stdout=subprocess.PIPE, text=True)
        port = re.search("[0-9]+", process.stdout.readline())
        return process, {name: {**m, "url": f"http://127.0.0.1:{port[0]}"} for name, m in Crowd.MODEL.items()}

    def _load(self, mode, *arguments):
        argv = [os.path.join(BENCH, "bench-load"), mode, "--port", str(self.stack.http_port), "--token-file", self.token,
                "--ids", self.stack.path("crowd.ids"), "--timeout", "20", "--errors", "1000000000", *map(str, arguments)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as self.process:
            out, err = self.process.communicate()
        assert out, f"{argv}: {err}"
        return json.loads(out.splitlines()[-1])

    def run(self):
        try:
            while not self.ending.is_set():
                self._round()
        except BaseException as e:
            self.failure = e
            raise

    def _round(self):
        self._load("setup", "--count", self.AGENTS, "--model", "crowd")
        with open(self.stack.path("crowd.ids"), encoding="ascii") as f:
            count = len(f.readlines())
        if count > 0:  # or all were made while something was at fault
            self._talk(count)

    def _talk(self, count):
        got = self._load("turns", "--rate", self.rate, "--clients", count, "--seconds", self.SECONDS, "--message", "hello")
        self.turns += got["ok"]
        self.seconds += got["seconds"]
        self.errors.update({k: n for k, n in got["errors"].items() if k != "total"})
        self._load("delete")
        self.forget()

    def forget(self):
        """Those that were not deleted, because of a fault."""
        for _ in range(50):
            with contextlib.suppress(Exception):  # Redis is away, or nginx
                agents = [a.decode() for a in self.stack.redis().zrange(f"af:user:{self.user.name}:agents", 0, -1)]
                if not [a for a in agents if self.user.http("DELETE", f"/api/agents/{a}").status not in (204, 403)]:  # 403: a name alone
                    return
            time.sleep(0.2)

    def kill(self):
        """All goes, and what it has made with it."""
        self.ending.set()
        if self.process is not None:
            self.process.kill()

    def close(self):
        self.ending.set()
        if self.is_alive():
            self.join()
            self.forget()
        assert self.failure is None, f"the crowd has gone: {self.failure!r}"

    def __str__(self):
        return f"a crowd of {self.turns} turns ({self.turns / max(self.seconds, 1):.0f}/s while it talked), errors {dict(sorted(self.errors.items()))}"


# ---------------------------------------------------------------------------
# Faults: (name, what is right meanwhile, what is done)

def pause(dice, low, high):
    """The fault lasts so long."""
    time.sleep(dice.uniform(low, high))


def kill_worker(stack, _dice):
    stack.kill_worker(0)


def worker_sleeps(stack, dice):
    pid = stack.workers()[0]
    stack.stop(pid)
    pause(dice, 1, 2.8)  # longer than its leases and store.timeout, but not than a model may be silent
    stack.cont(pid)


def redis_stalls(stack, dice):
    stack.stop(stack._redis.pid)
    pause(dice, 0.2, 4)
    stack.cont(stack._redis.pid)


def redis_is_killed(stack, dice):
    stack.kill_redis()
    pause(dice, 0, 2)
    stack.start_redis()


def setting(name, value, back):
    def fault(stack, dice):
        stack.redis().config_set(name, value)
        pause(dice, 0.2, 2)
        stack.redis().config_set(name, back)
    return fault


def redis_cuts(stack, _dice):
    for kind in ("normal", "pubsub"):
        stack.redis().execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def scripts_are_flushed(stack, _dice):
    stack.redis().script_flush()


def nginx_worker_is_killed(stack, dice):
    kill(dice.choice(children(stack.nginx_pid)), signal.SIGKILL)


def model_is_away(stack, dice):
    port = stack.model.port
    stack.model.stop()
    pause(dice, 0.2, 2)
    stack.model.port = port
    stack.model.start()


def model_is_bad(how):
    def fault(stack, dice):
        good = stack.model.scenarios
        stack.model.scenarios = load_scenarios(BAD[how])
        pause(dice, 0.2, 2)
        stack.model.scenarios = good
    return fault


def sandbox_is_killed(stack, _dice):
    stack.sandbox.stop(signal.SIGKILL)
    stack.sandbox.start()


AWAY = (503, NOTICE)
FAULTS = [
    ("worker killed", (503,), kill_worker),
    ("worker asleep", AWAY, worker_sleeps),
    ("Redis stalls", AWAY, redis_stalls),
    ("Redis killed", AWAY, redis_is_killed),
    ("Redis full", AWAY, setting("maxmemory", 1, 0)),
    ("Redis read-only", AWAY, setting("min-replicas-to-write", 1, 0)),
    ("Redis cuts", AWAY, redis_cuts),
    ("scripts flushed", (), scripts_are_flushed),
    ("nginx worker killed", (BROKEN,), nginx_worker_is_killed),
    ("model away", (ERROR,), model_is_away),
    *((f"model {how}", (ERROR,), model_is_bad(how)) for how in BAD),
    ("sandbox killed", (), sandbox_is_killed),
]


# ---------------------------------------------------------------------------
# Measuring

def threads_of(pid):
    """How many threads of each name a process has."""
    names = Counter()
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as f:
            names[f.read().strip()] += 1
    return names


class Series:
    """A straight line by least squares through the later two thirds of what was measured."""

    def __init__(self, points):
        self.points = points[len(points) // 3:]
        times, values = zip(*self.points)
        mean_t, self.mean = statistics.fmean(times), statistics.fmean(values)
        spread = sum((t - mean_t) ** 2 for t in times) or 1
        self.slope = sum((t - mean_t) * (v - self.mean) for t, v in self.points) / spread
        self.noise = statistics.pstdev(v - self.mean - self.slope * (t - mean_t) for t, v in self.points)
        self.gain = self.slope * (times[-1] - times[0])
        self.low, self.high = min(values), max(values)

    @property
    def flat(self):
        return self.gain <= max(2 * self.noise, 0.02 * self.mean)


class Meter(threading.Thread):
    """Measures once a second."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.series, self.ending = stack, {}, threading.Event()
        self.begin = time.monotonic()

    def run(self):
        while not self.ending.wait(1):
            try:
                self._measure()
            except Exception:  # Redis is away, or who is measured has just gone
                continue

    def _measure(self):
        stack, now = self.stack, time.monotonic() - self.begin
        pids = {"worker": stack.workers()[-1], "master": stack.master, "nginx": stack.nginx_pid}
        if stack.sandbox is not None and stack.sandbox.process is not None:
            pids["sandbox"] = stack.sandbox.process.pid
        for name, pid in pids.items():
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                self._add(f"{name} memory KiB", now, int(f.read().split()[1]) * 4)
            self._add(f"{name} descriptors", now, len(os.listdir(f"/proc/{pid}/fd")))
            threads = threads_of(pid)
            if name == "worker":
                self._add(TURN_THREADS, now, threads.pop("fpm-turn", 0))
            self._add(f"{name} threads", now, threads.total())
        info = stack.redis().info("memory")
        self._add("Redis data KiB", now, info["used_memory_dataset"] / 1024)
        self._add("Redis keys", now, stack.redis().dbsize())
        self._add("Redis clients", now, len(stack.redis().client_list()))

    def _add(self, name, now, value):
        self.series.setdefault(name, []).append((now, value))

    def close(self):
        self.ending.set()
        self.join()

    def report(self):
        """Ends it. Prints all; names of what is not flat."""
        self.close()
        bad = []
        print(f"{'':24} {'mean':>10} {'lowest':>10} {'highest':>10} {'per hour':>10} {'gain':>10} {'noise':>10}")
        for name in sorted(self.series):
            s = Series(self.series[name])
            flat = s.high <= BOUNDS[name] if name in BOUNDS else s.flat
            print(f"{name:24} {s.mean:10.1f} {s.low:10.1f} {s.high:10.1f} {s.slope * 3600:+10.1f} {s.gain:+10.1f} {s.noise:10.1f}"
                  f"{'' if flat else '  grows'}")
            bad += [] if flat else [name]
        return bad


# ---------------------------------------------------------------------------

def bounds(options):
    """Settings: caches and logs so small that they are full when the warming up is over, and short times."""
    return {"store.cache": "4m", "retention.cache": "3m", "audit.keep": 10000, "store.lease": "2s", "store.sweep": "500ms", "store.timeout": "2s", "store.command_timeout": "500ms",
            "model.idle_timeout": "10s", "model.first_byte_timeout": "10s", "model.connect_timeout": "1s", "model.breaker_time": "500ms",
            "limits.turns_per_user": 0, "limits.agents_per_user": 0, "limits.viewers_per_user": 0, "workers": options.workers}


def fault(stack, load, dice, seen):
    name, right, do = dice.choice([f for f in FAULTS if stack.sandbox or "sandbox" not in f[0]])
    seen[name] += 1
    with load.fault(*right, seconds=60):
        do(stack, dice)


def soak(options, stack):
    dice, seen, invariants = random.Random(options.seed), Counter(), Invariants(stack)
    tools, messages = (TOOLS, MESSAGES) if stack.sandbox is None else ([*TOOLS, "fs_write"], (*MESSAGES, "say 5", "files"))
    load = SoakLoad(stack, options.lifetime, options.watchers, viewers=options.agents * options.watchers, agents=options.agents,
                    turns_per_second=options.rate, tools=tools, messages=messages, user=lambda: stack.user(exp=int(time.time()) + 86400),
                    always=(503,) if options.crowd else ())  # it may take all there is for a moment
    meter = Meter(stack)
    crowd = Crowd(stack, stack.user("crowd", exp=int(time.time()) + 86400), options.crowd)
    end = time.monotonic() + options.minutes * 60
    meter.start()
    if options.crowd:
        crowd.start()
    try:
        with load:
            while time.monotonic() < end:
                if not options.no_faults:
                    fault(stack, load, dice, seen)
                load.retire(invariants)
                stack.model.requests.clear()
                stack.model.closes.clear()
                if options.verbose:
                    print(f"{time.monotonic() - meter.begin:7.1f} {load.over_with} agents, {dict(seen)}, {crowd}", flush=True)
                pause(dice, 0, options.pause)
            meter.close()
            crowd.close()
        load.check(invariants)
    except AssertionError:
        meter.report()
        raise
    finally:
        crowd.kill()
    return load, meter, seen, invariants, crowd


def run(options):
    with contextlib.ExitStack() as cleanup:
        models = None
        if options.crowd:
            model, models = Crowd.model()
            cleanup.enter_context(model)
            cleanup.callback(model.terminate)
        stack = cleanup.enter_context(Stack(workers=options.workers, scenarios=[*SCENARIOS, *FILES], conf=bounds(options),
                                            sandbox=options.sandbox, models=models))
        load, meter, seen, invariants, crowd = soak(options, stack)
        for agent in load.agents:
            assert agent.user.http("DELETE", agent.path).status == 204
        left = [k for k in stack.redis().scan_iter("*", 1000) if b":agt_" in k and b":idem:" not in k or b":seg:" in k]
        assert not left, f"left behind: {left[:10]}"
        bad = meter.report()
    turns = load.count + len(load.turns)
    print(f"seed {options.seed}: {options.minutes:g} minutes, {turns} turns ({turns / options.minutes / 60:.0f}/s), "
          f"{sum(seen.values())} faults: {dict(sorted(seen.items()))}; meanwhile {load.unavailable}; {load.over_with} agents came and went; {invariants}; {crowd}")
    if bad:
        print(f"not flat: {', '.join(bad)}{'' if options.minutes >= TELLING_MINUTES else ', but that was too short to tell'}")
    return 1 if bad and options.minutes >= TELLING_MINUTES else 0


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=60, help="turns a second")
    parser.add_argument("--crowd", type=float, default=0, help="turns a second that nobody looks at")
    parser.add_argument("--no-faults", action="store_true", help="to see what it can do")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--agents", type=int, default=40)
    parser.add_argument("--watchers", type=int, default=1, help="viewers of each agent")
    parser.add_argument("--lifetime", type=int, default=40, help="turns of an agent")
    parser.add_argument("--pause", type=float, default=6, help="seconds between faults, at most")
    parser.add_argument("--sandbox", action="store_true", help="agents write files, too")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("it was told to end"))  # and so ends what it has started
    sys.exit(run(options_of(None)))
