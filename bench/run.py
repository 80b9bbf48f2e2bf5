#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The figures of docs/benchmarks.md, each measured against a yardstick of the same run.

    bench/run.py [turns] [burst] [idle] [single] [history]     (default: all)

Starts a private Redis (AOF everysec), nginx from the shipped files (plain HTTP, limits off, tokens checked),
the pool with two workers, and the paced model; beside the site, the same nginx is a bare proxy to the same
model. Everything runs on this machine and stops at the end. Prints a line per figure, and ok or SHORT.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")
BARE = """
	server {{
		listen 127.0.0.1:{port} reuseport backlog=4096;
		access_log {log} agent_fpm;
		location /v1/ {{
			proxy_pass http://127.0.0.1:{model};
			proxy_buffering off;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}}
	}}
"""


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def children(pid):
    out = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(p) for p in out.split()]


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory_bytes(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
    return total


class Bench:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="afb-")
        self.procs = {}
        self.short = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, name, argv, env=None, **kw):
        log = open(self.path(name + ".log"), "ab")
        self.procs[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, cwd=ROOT,
                                            env=dict(os.environ, **(env or {})), **{"stdout": log, **kw})
        return self.procs[name]

    def stop(self, name):
        p = self.procs.pop(name, None)
        if p is None:
            return
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()

    def close(self):
        for name in ("nginx", "pool", "redis", "model"):
            self.stop(name)
        shutil.rmtree(self.dir)

    def model(self, *args):
        """The paced model, again with other arguments but on the same port."""
        self.stop("model")
        p = self.start("model", [f"{ROOT}/bench/bench-model", "--port", str(self.model_port), *args],
                       stdout=subprocess.PIPE)
        p.stdout.readline()

    def up(self):
        self.https, self.http, self.bare, self.model_port = free_ports(4)
        with open(self.path("secret"), "w") as f:
            f.write(secrets.token_urlsafe(48))
        with open(self.path("conf"), "w") as f:
            f.write(f"listen = {self.path('s')}\nworkers = 2\ntemplates = {self.dir}/none\n"
                    f"jwt.secret_file = {self.path('secret')}\nstore.address = unix:{self.path('r')}\n"
                    f"model.url = http://127.0.0.1:{self.model_port}\nmodel.id = paced\n"
                    "limits.requests = off\nlimits.chats = off\nlimits.viewers_per_user = 0\nlimits.turns_per_user = 0\nlimits.agents_per_user = 0\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-subj", "/CN=localhost", "-keyout", self.path("key"), "-out",
                        self.path("cert")], check=True, capture_output=True)
        conf = subprocess.run(["sh", f"{ROOT}/nginx/private.sh", self.dir, str(self.https), str(self.http),
                               self.path("s"), f"{ROOT}/www", self.path("cert"), self.path("key"), "limits=off",
                               "http=serve"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
        at = conf.rindex("}")  # of http, behind the format of the log
        bare = BARE.format(port=self.bare, model=self.model_port, log=self.path("bare.log"))  # as the site has one
        with open(self.path("nginx.conf"), "w") as f:
            f.write(conf[:at] + bare + conf[at:])
        self.model()
        self.start("redis", ["redis-server", "--port", "0", "--unixsocket", self.path("r"), "--appendonly", "yes",
                             "--appendfsync", "everysec", "--save", "", "--dir", self.dir,
                             "--auto-aof-rewrite-percentage", "0"])  # a rewrite takes a core for a while
        self.start("pool", [f"{ROOT}/agent-fpm", "-F", "-c", self.path("conf")], env={"ANTHROPIC_API_KEY": "k"})
        self.start("nginx", ["nginx", "-e", self.path("nginx.log"), "-c", self.path("nginx.conf"), "-g",
                             "daemon off;"])
        self.wait_ready()
        token = subprocess.run([f"{ROOT}/agent-fpm", "-c", self.path("conf"), "token", "--sub", "bench", "--ttl",
                                "12h"], check=True, capture_output=True, text=True).stdout
        with open(self.path("token"), "w") as f:
            f.write(token)

    def wait_ready(self):
        end = time.monotonic() + 20
        while True:
            p = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                f"http://127.0.0.1:{self.http}/ready"], capture_output=True, text=True)
            if p.stdout == "200":
                return
            if time.monotonic() > end:
                sys.exit(f"the pool did not come up; look at {self.dir}")
            time.sleep(0.05)

    def load(self, mode, *args, api="fpm", port=None, ids="ids"):
        argv = [f"{ROOT}/bench/bench-load", mode, "--api", api, "--port", str(port or self.http), *map(str, args)]
        if api == "fpm":
            argv += ["--token-file", self.path("token"), "--ids", self.path(ids)]
        p = subprocess.run(argv, capture_output=True, text=True)
        return json.loads(p.stdout.splitlines()[-1])

    def workers(self):
        return children(self.procs["pool"].pid)

    def nginx_workers(self):
        return children(self.procs["nginx"].pid)

    def say(self, what, figure, target, ok):
        self.short += not ok
        print(f"{'ok   ' if ok else 'SHORT'} {what}: {figure} (asked: {target})", flush=True)

    # ---- the figures ----

    def turns(self):
        self.load("setup", "--count", 64, ids="warm")
        for each in ([], ["--each"]):
            self.model("--tokens", "100", "--rate", "0", *each)
            self.load("turns", "--clients", 64, "--seconds", 2, ids="warm")
            runs = sorted(self.some_turns(f"{len(each)}-{i}") for i in range(5))
            share, ours, bare, _ = runs[2]
            errors = sum(r[3] for r in runs)
            how = "a write per token" if each else "an answer in one write"
            every = ", ".join(f"{r[0]:.0f}" for r in runs)
            self.say(f"100-token turns, full speed, 64 agents, model with {how}, median of five",
                     f"{ours:.0f}/s of the bare proxy's {bare:.0f}/s = {share:.1f} % (all: {every}), {errors} errors",
                     "at least 25 %", share >= 25 and errors == 0)

    def some_turns(self, ids):
        """The share, ours and the bare proxy's, and errors. New agents: the model is sent the whole conversation."""
        self.load("setup", "--count", 64, ids=ids)
        bare = self.load("turns", "--clients", 64, "--seconds", 2, api="model", port=self.bare)
        ours = self.load("turns", "--clients", 64, "--seconds", 2, ids=ids)
        share = 100 * ours["turns_per_s"] / bare["turns_per_s"]
        return share, ours["turns_per_s"], bare["turns_per_s"], ours["errors"]["total"]

    def one_burst(self, count, ids):
        """A bare burst and ours: first event p99 of both, errors, and the CPU of pool and nginx."""
        self.load("setup", "--count", count, ids=ids)
        bare = self.load("burst", "--count", count, api="model", port=self.bare)
        pool, nginx = cpu_seconds(self.workers()), cpu_seconds(self.nginx_workers())
        ours = self.load("burst", "--count", count, ids=ids)
        pool = cpu_seconds(self.workers()) - pool
        nginx = cpu_seconds(self.nginx_workers()) - nginx
        return (ours["first_event_ms"]["p99"], bare["first_event_ms"]["p99"], ours["errors"]["total"], pool / nginx,
                1e6 * pool / max(1, ours["events"]))

    def burst(self):
        self.model("--tokens", "100", "--rate", "20")
        self.one_burst(1000, "warm")  # a pool that has seen such a burst before has the memory for it
        runs = sorted(self.one_burst(1000, f"burst{i}") for i in range(3))
        errors = sum(r[2] for r in runs)
        self.say("1,000 chats at once, three times: errors", errors, "none", errors == 0)
        p99, bare99, _, cpu, per_event = runs[1]
        every = ", ".join(f"{r[0] - r[1]:.0f}" for r in runs)
        self.say("1,000 chats at once: first event p99 over the bare proxy's, median of three",
                 f"{p99 - bare99:.0f} ms ({p99:.0f} - {bare99:.0f}; all: {every})", "at most 200 ms",
                 p99 - bare99 <= 200)
        self.say("1,000 chats at once: pool's CPU per text event over nginx's", f"{cpu:.2f} ({per_event:.0f} us)",
                 "at most 2", cpu <= 2)
        p99, _, errors, _, _ = self.one_burst(2000, "burst")
        self.say("2,000 chats at once: errors, first event p99", f"{errors}, {p99:.0f} ms", "none, under 1 s",
                 errors == 0 and p99 < 1000)

    def idle(self):
        self.load("setup", "--count", 100, ids="watched")
        before = memory_bytes(self.workers())
        argv = [f"{ROOT}/bench/bench-load", "idle", "--port", str(self.http), "--token-file", self.path("token"),
                "--ids", self.path("watched"), "--count", "8000", "--agents", "100", "--seconds", "4"]
        p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        time.sleep(2)  # held, as long as the load generator holds them
        during = memory_bytes(self.workers())
        result = json.loads(p.stdout.read().splitlines()[-1])
        each = (during - before) / 1024 / 8000
        self.say("8,000 idle viewers: the pool's memory for each", f"{each:.2f} KiB, {result['held']} held",
                 "at most 2 KiB", each <= 2 and result["held"] == 8000)

    def single(self):
        self.model("--tokens", "100", "--rate", "0")
        self.load("setup", "--count", 1, ids="one")
        self.load("single", "--count", 50, ids="one")
        ours = self.load("single", "--count", 500, ids="one")
        direct = self.load("single", "--count", 500, api="model", port=self.model_port)
        late = ours["first_event_ms"]["p50"] - direct["first_event_ms"]["p50"]
        self.say("a single chat: first event later than direct, p50", f"{late:.2f} ms", "at most 2 ms", late <= 2)

    def redis(self, *args):
        p = subprocess.run(["redis-cli", "-s", self.path("r"), *args], capture_output=True, text=True, check=True)
        return p.stdout

    def redis_written(self):
        """Bytes that Redis was sent and kept: what went into its AOF."""
        return int(re.search(r"aof_current_size:(\d+)", self.redis("info", "persistence")).group(1))

    def written_by_a_turn(self, ids):
        before = self.redis_written()
        self.load("single", "--count", 1, ids=ids)
        return self.redis_written() - before

    def history(self):
        self.model("--tokens", "20", "--rate", "0")
        self.load("setup", "--count", 1, ids="short")
        self.load("setup", "--count", 1, ids="long")
        with open(self.path("long")) as f:
            agent = f.read().split()[0]
        base = f"af:{{{agent[4:10]}}}:{agent}"
        tail = self.redis("hget", f"{base}:info", "tail").strip()
        lines = []
        for i in range(2000):
            role = "user" if i % 2 == 0 else "assistant"
            doc = json.dumps({"id": f"msg_{i:026}", "turn": f"trn_{i:026}", "time": 1, "role": role, "content":
                              [{"type": "text", "text": "so it was said " * 8}]}, separators=(",", ":"))
            key = f"af:{{{agent[4:10]}}}:seg:{tail}"
            lines.append(f"*3\r\n$5\r\nRPUSH\r\n${len(key)}\r\n{key}\r\n${len(doc)}\r\n{doc}\r\n")
        subprocess.run(["redis-cli", "-s", self.path("r"), "--pipe"], input="".join(lines), text=True, check=True,
                       capture_output=True)
        wrote, took = {}, {}
        for ids in ("short", "long"):
            self.load("single", "--count", 20, ids=ids)  # the history is in the cache
            took[ids] = self.load("single", "--count", 200, ids=ids)["turn_ms"]["p50"]
            wrote[ids] = statistics.median(self.written_by_a_turn(ids) for _ in range(40))
        # The sending of the body, apart: the same bytes directly to the model.
        body = 2000 * 170
        sent = {}
        for name, size in (("short", 2), ("long", body)):
            r = self.load("single", "--count", 200, "--message", "x" * min(size, 100000), api="model",
                          port=self.model_port)
            sent[name] = r["turn_ms"]["p50"] * (size / min(size, 100000))
        more = took["long"] - took["short"] - (sent["long"] - sent["short"])
        self.say("an agent with 2,000 messages: a turn takes longer by, sending the body apart",
                 f"{more:.2f} ms ({took['long']:.2f} - {took['short']:.2f}, body {sent['long'] - sent['short']:.2f})",
                 "at most 2 ms", more <= 2)
        differ = abs(wrote["long"] - wrote["short"])
        self.say("an agent with 2,000 messages: bytes written to Redis per turn",
                 f"{wrote['long']:.0f}, on an empty one {wrote['short']:.0f}", "the same", differ < 16)


def main():
    wanted = sys.argv[1:] or ["idle", "single", "turns", "burst", "history"]
    bench = Bench()
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        bench.up()
        for name in wanted:
            getattr(bench, name)()
    return 1 if bench.short else 0


if __name__ == "__main__":
    sys.exit(main())
