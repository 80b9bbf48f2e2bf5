#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Figures of the gateway for docs/benchmarks.md: sockets that are idle, sessions that stream, readers that are slow, a restart.

    bench/gateway.py [idle] [stream] [restart]     (default: all)

The servers are those of bench/run.py, and a gateway to whose socket the clients connect. They mask nothing, take no frame apart,
and look for the time of the oldest event in what they read.
"""

import contextlib
import json
import random
import re
import resource
import select
import signal
import socket
import sys
import threading
import time
import urllib.request
from datetime import datetime, timezone

from run import ROOT, Bench, cpu_seconds, memory_bytes

IDLE, SESSIONS, EACH, SLOW = 5000, 200, 5, 5
TIME = re.compile(rb'"type":"block:delta".{0,600}?"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z"')
HELLO = ("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()


def frame(text):
    data = text.encode()
    n = len(data)
    return bytes([0x81, 0x80 | n] if n < 126 else [0x81, 0xfe, n >> 8, n & 255]) + b"\0\0\0\0" + data


class Client:
    """A socket that joins a session; again, after a pause, when its connection ends."""

    def __init__(self, fleet, session, slow=False):
        self.fleet, self.session, self.slow = fleet, session, slow
        self.sock, self.step, self.lag_ms, self.bytes, self.idle, self.lost_at, self.back_s, self.joins = None, 0, 0, 0, 0, 0, 0, 0
        self.connect()

    def connect(self):
        self.step, self.joined, self.early = 0, False, b""
        self.sock = socket.socket(socket.AF_UNIX)
        if self.slow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            self.sock.connect(self.fleet.path)
            self.sock.setblocking(False)
            self.sock.sendall(HELLO)
        except OSError:
            self.lost()
            return
        self.fleet.add(self)

    def lost(self):
        """As its own back-off says: a second, twice as long each time, to five, and half more or less."""
        self.fleet.remove(self)
        self.sock.close()
        self.lost_at = self.lost_at or time.monotonic()
        self.tries = getattr(self, "tries", 0) + 1
        self.fleet.later(min(5, 2 ** (self.tries - 1)) * random.uniform(0.5, 1.5), self.connect)

    def read(self):
        try:
            data = self.sock.recv(1 if self.slow and self.joined else 262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost()
            return
        self.bytes += len(data)
        if self.joined:
            self.take(data)
            return
        self.early += data  # what is waited for may come in two pieces
        if self.step == 0 and b'"sid"' in self.early:
            self.step, self.early = 1, b""
            self.sock.sendall(frame("40" + json.dumps({"token": self.fleet.token})))
        elif self.step == 1 and b'40{"sid"' in self.early:
            self.step, self.early = 2, b""
            self.sock.sendall(frame(f'420["session:join","{self.session}"]'))
        elif self.step == 2 and b'430[{"success":true' in self.early:
            self.joined, self.tries, self.early = True, 0, b""
            self.joins += 1
            if self.lost_at:
                self.back_s, self.lost_at = time.monotonic() - self.lost_at, 0
            if self.slow:
                self.fleet.remove(self)
                self.fleet.later(1, self.sip)

    def sip(self):
        """One byte a second."""
        if self.sock.fileno() >= 0:
            self.read()
            if self.joined:
                self.fleet.later(1, self.sip)

    def take(self, data):
        if b"\x81\x012" in data:
            self.sock.sendall(frame("3"))
        first = TIME.search(data)
        if first:
            at = datetime.strptime(first[1].decode(), "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=timezone.utc).timestamp()
            self.lag_ms = max(self.lag_ms, 1000 * (time.time() - at))
        self.idle += data.count(b'"session:idle"')


class Fleet:
    def __init__(self, path, token):
        self.path, self.token, self.epoll, self.all, self.by_fd, self.timers = path, token, select.epoll(), [], {}, []

    def add(self, client):
        self.by_fd[client.sock.fileno()] = client
        self.epoll.register(client.sock, select.EPOLLIN)

    def remove(self, client):
        if self.by_fd.pop(client.sock.fileno(), None):
            self.epoll.unregister(client.sock)

    def later(self, seconds, fn):
        self.timers.append((time.monotonic() + seconds, fn))

    def run(self, until, seconds):
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                return False
            for fd, _ in self.epoll.poll(0.02):
                if fd in self.by_fd:
                    self.by_fd[fd].read()
            now = time.monotonic()
            due = [fn for at, fn in self.timers if at <= now]
            self.timers = [t for t in self.timers if t[0] > now]
            for fn in due:
                fn()
        return True

    def join(self, sessions, **options):
        """A client for each; some at a time, as they come in life."""
        made = []
        for i in range(0, len(sessions), 200):
            made += [Client(self, s, **options) for s in sessions[i:i + 200]]
            assert self.run(lambda: all(c.joined for c in made), 60), f"{sum(c.joined for c in made)} of {len(made)} have joined"
        self.all += made
        return made

    def close(self):
        for c in self.all:
            c.sock.close()
        self.epoll.close()


class Gateways(Bench):
    def gateway_up(self):
        with open(self.path("conf")) as f:
            text = f.read()
        with open(self.path("conf"), "w") as f:
            f.write(f"{text}bridge.listen = {self.path('b')}\nbridge.connections_per_user = 20000\nbridge.connections_per_address = 20000\n")
        self.gateway_start()
        with open(self.path("token")) as f:
            self.token = f.read().strip()

    def gateway_start(self):
        self.start("gateway", [f"{ROOT}/agent-fpm-bridge", "-c", self.path("conf")])
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.connect(self.path("b"))
                return
            assert time.monotonic() < end, "the gateway did not come up"
            time.sleep(0.01)

    def gateway(self):
        return [self.procs["gateway"].pid]

    def ask(self, method, path, body=None):
        rq = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", method=method, data=json.dumps(body).encode() if body else None,
                                    headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(rq, timeout=30) as answer:
            return json.load(answer)

    def sessions(self, n):
        body = {"agentProfileRef": "default", "architecture": "claude-agent-sdk"}
        return [self.ask("POST", "/api/sessions", body)["sessionId"] for _ in range(n)]

    def speak(self, sessions):
        """A thread that says something in each."""
        t = threading.Thread(target=lambda: [self.ask("POST", f"/api/sessions/{s}/messages", {"content": "go"}) for s in sessions])
        t.start()
        return t

    # ---- the figures ----

    def idle(self):
        sessions = self.sessions(100)
        fleet = Fleet(self.path("b"), self.token)
        fleet.join(sessions * 2)  # what a gateway has anyhow
        before = memory_bytes(self.gateway())
        clients = fleet.join((sessions * (IDLE // 100 + 1))[:IDLE])
        fleet.run(lambda: False, 1)
        each = (memory_bytes(self.gateway()) - before) / 1024 / IDLE
        held = sum(c.joined for c in clients)
        cpu = cpu_seconds(self.gateway())
        fleet.run(lambda: False, 30)
        cpu = cpu_seconds(self.gateway()) - cpu
        fleet.close()
        self.say(f"{IDLE:,} idle sockets that have joined a session: the gateway's memory for each",
                 f"{each:.1f} KiB, {held} held, {100 * cpu / 30:.1f} % of a core", "at most 12 KiB", each <= 12 and held == IDLE)

    def stream(self):
        self.model("--tokens", "200", "--rate", "20")
        sessions = self.sessions(SESSIONS)
        fleet = Fleet(self.path("b"), self.token)
        clients = fleet.join(sessions * EACH)
        slow = fleet.join(sessions[:SLOW], slow=True)
        cpu, began = cpu_seconds(self.gateway()), time.monotonic()
        thread = self.speak(sessions)
        over = fleet.run(lambda: all(c.idle for c in clients), 60)
        took = time.monotonic() - began
        cpu = cpu_seconds(self.gateway()) - cpu
        thread.join()
        lags = sorted(c.lag_ms for c in clients)
        sent = sum(c.bytes for c in clients) / 1e6
        lost = sum(c.joins - 1 for c in clients)
        told = sum(c.idle == 1 for c in clients)
        fleet.close()
        self.say(f"{SESSIONS} sessions stream 20 tokens/s to {len(clients):,} sockets, three dialects, {len(slow)} read a byte a second: longest lag",
                 f"{lags[-1]:.0f} ms (p50 {lags[len(lags) // 2]:.0f}); {told} were told the end, {lost} lost their connection; "
                 f"{sent:.0f} MB in {took:.0f} s, {100 * cpu / took:.0f} % of a core", "at most 1 s", over and lags[-1] <= 1000 and lost == 0)

    def restart(self):
        self.model("--tokens", "400", "--rate", "20")
        sessions = self.sessions(SESSIONS)
        fleet = Fleet(self.path("b"), self.token)
        clients = fleet.join(sessions * EACH)
        thread = self.speak(sessions)
        fleet.run(lambda: all(c.lag_ms for c in clients), 30)
        gone = self.procs.pop("gateway")
        gone.send_signal(signal.SIGTERM)
        gone.wait(10)
        self.gateway_start()
        back = fleet.run(lambda: all(c.joins == 2 and c.joined for c in clients), 30)
        longest = max(c.back_s for c in clients)
        for c in clients:
            c.lag_ms = 0
        over = fleet.run(lambda: all(c.idle for c in clients), 60)
        thread.join()
        lag = max(c.lag_ms for c in clients)
        whole = sum(len(self.ask("GET", f"/api/sessions/{s}")["blocks"]) == 2 for s in sessions)
        fleet.close()
        self.say(f"a restart while {SESSIONS} sessions stream to {len(clients):,} sockets: all back, by a back-off of 0.5 to 1.5 s",
                 f"{longest:.1f} s, then a lag of {lag:.0f} ms at most; {sum(c.idle == 1 for c in clients)} were told the end, REST has {whole} answers",
                 "within its back-off, nothing missed", back and over and longest < 8 and whole == SESSIONS)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = sys.argv[1:] or ["idle", "stream", "restart"]
    bench = Gateways()
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        stack.callback(lambda: bench.stop("gateway"))
        bench.up()
        bench.gateway_up()
        for name in wanted:
            getattr(bench, name)()
    return 1 if bench.short else 0


if __name__ == "__main__":
    sys.exit(main())
