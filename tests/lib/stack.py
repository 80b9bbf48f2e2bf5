# SPDX-License-Identifier: MIT
"""A whole installation for a test, private to it: Redis, a scripted model, the pool, nginx.

    with Stack(workers=2, conf={"store.lease": "1s"}) as stack:
        ann = stack.user("ann")
        agent = ann.agent()
        assert agent.answer("hello") == "echo: hello"
        agent.say("slow 60")                     # POST messages
        view = agent.follow()                    # a client that comes back with Last-Event-ID
        stack.kill_workers()
        assert view.wait(turns=2).text(view.turns[1]) == words(60)

All of it lives under one short temporary directory (unix sockets have paths of at most 107 bytes) and on
ports that were free. Nothing here sleeps for a fixed time: whatever must come about is waited for.

Environment: AGENT_FPM, the binary (default: ./agent-fpm of this tree). TIMEOUT_SCALE, a factor for every
deadline, for sanitizer builds. KEEP_STACK, if set, leaves the directories behind.
"""

import atexit
import base64
import contextlib
import ctypes
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import traceback

import redis
from sandbox import Sandbox
from scripted_model import ScriptedModel
from waiting import BINARY, ROOT, SCALE, certificate, free_ports, scaled, wait_for

AUDIENCE = "agent-fpm-test"
SANITIZER = re.compile(rb"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed")

live_stacks = []  # those that run now, for the report of a failed test


def words(n):
    """What the scenarios "slow N" and "fast N" answer."""
    return "".join(f"w{i} " for i in range(1, n + 1))


def event_id(text):
    """(epoch, seq) of an id."""
    epoch, _, seq = text.partition("-")
    return int(epoch), int(seq)


def text_of(content):
    """The text of content blocks."""
    return "".join(block["text"] for block in content if block["type"] == "text")


# ---------------------------------------------------------------------------
# Processes

def process_state(pid):
    """The letter of /proc/PID/stat and the parent's pid; (None, 0) if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            state, parent = f.read().rpartition(")")[2].split()[:2]
        return state, int(parent)
    except OSError:
        return None, 0


def children(pid):
    """Living children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, parent = process_state(name)
            if parent == pid and state not in (None, "Z", "X"):
                found.append(int(name))
    return found


def arguments(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode().split("\0")[:-1]
    except OSError:
        return []


def kill(pid, signo):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signo)


class Orphan:
    """A master that another one has started and that became ours, with what is needed of Popen. log() is the pool's."""

    def __init__(self, pid, log):
        self.pid, self.log, self.returncode = pid, log, None

    @staticmethod
    def adopt_all():
        """From now on orphans below this process are its children: prctl(PR_SET_CHILD_SUBREAPER)."""
        assert ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) == 0

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                return self._ended_before_its_parent()
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def _ended_before_its_parent(self):
        """Or that still lives; if not it has taken the status, and the log has the rest."""
        if not os.path.exists(f"/proc/{self.pid}"):
            self.returncode = 0 if f'proc=master pid={self.pid} msg="stopped"' in self.log() else -1
        return self.returncode

    def wait(self, timeout=10):
        wait_for(lambda: self.poll() is not None, timeout / SCALE, f"pid {self.pid} does not end")
        return self.returncode

    def send_signal(self, signo):
        kill(self.pid, signo)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


# ---------------------------------------------------------------------------
# Tokens

def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(secret, claims, header=None):
    """A JWT, HS256."""
    parts = [b64url(json.dumps(p, separators=(",", ":")).encode()) for p in (header or {"alg": "HS256", "typ": "JWT"}, claims)]
    mac = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, b64url(mac)])


# ---------------------------------------------------------------------------
# HTTP

class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:1000]!r}>"


class Frame:
    """One event as it came. id is "" and data the raw line's value."""

    def __init__(self, event, data, at):
        self.id, self.data, self.at = event, data, at
        self.json = json.loads(data)

    def __getitem__(self, name):
        return self.json[name]

    @property
    def kind(self):
        return self.json["kind"]

    def __repr__(self):
        return f"{self.id}:{self.data}"


class Stream:
    """A response that goes on: frames as they arrive, with the time of their arrival."""

    def __init__(self, sock, response):
        self.sock, self.response = sock, response
        self.status, self.headers = response.status, response.headers
        self.comments = []  # (time, text)
        self.frames = []
        self.raw = b""  # all that came
        self.ended = None  # "whole", "cut", "closed"
        self._line = b""
        self._id, self._data = "", []
        self._ready = []

    def read(self, timeout=20):
        """Takes in whatever comes next; False at the end."""
        if self.ended:
            return False
        self.sock.settimeout(scaled(timeout))
        try:
            data = self.response.read1(65536)
        except TimeoutError:
            raise AssertionError(f"nothing came for {scaled(timeout)} s after {self.frames[-3:]}") from None
        except (OSError, http.client.HTTPException, ValueError):
            self.ended = self.ended or "cut"
            return False
        if not data:
            self.ended = "whole"
            return False
        self.raw += data
        self._feed(data, time.monotonic())
        return True

    def _feed(self, data, now):
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            if line == b"" and self._data:
                self._ready.append(Frame(self._id, "\n".join(self._data), now))
                self.frames.append(self._ready[-1])
            if line == b"":
                self._id, self._data = "", []
            elif name == "":
                self.comments.append((now, value))
            elif name == "id":
                self._id = value
            elif name == "data":
                self._data.append(value)
            else:
                raise AssertionError(f"an SSE line that was not agreed on: {line!r}")

    def next(self, timeout=20):
        """The next frame, or None at the end. Heartbeats are none."""
        end = time.monotonic() + scaled(timeout)
        while not self._ready:
            assert time.monotonic() < end, f"nothing but heartbeats came for {scaled(timeout)} s after {self.frames[-3:]}"
            if not self.read(timeout):
                return None
        return self._ready.pop(0)

    def __iter__(self):
        while (frame := self.next()) is not None:
            yield frame

    def take(self, n):
        """The next n frames."""
        return [self.expect() for _ in range(n)]

    def expect(self):
        frame = self.next()
        assert frame is not None, f"the stream ended ({self.ended}) after {self.frames[-3:]}"
        return frame

    def until(self, kind, count=1):
        """Frames up to the count-th of a kind."""
        frames = []
        while count:
            frames.append(self.expect())
            count -= frames[-1].kind == kind
        return frames

    def rest(self):
        return list(self)

    def body(self):
        """All of a response that is no stream."""
        while self.read():
            pass
        return Response(self.status, self.headers, self.raw)

    def leave(self):
        """Closes the connection under a thread that reads from it."""
        self.ended = self.ended or "closed"
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self):
        self.leave()
        with contextlib.suppress(Exception):
            self.response.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


class Follower(threading.Thread):
    """A client that wants every event of an agent, and comes back with its cursor whatever is cut.

    It fails if an id does not rise, comes twice or differs from the one inside, or if there is a gap. A
    stream_reset takes back the text of its step.
    """

    def __init__(self, agent, after="0-0", query=""):
        super().__init__(daemon=True)
        self.agent, self.last, self.query = agent, after, query
        self.frames, self.notices = [], []
        self.texts = {}  # turn -> step -> text
        self.dones = {}  # turn -> reason
        self.turns = []
        self.statuses = []  # of the responses
        self.refused = 0
        self.connections = 0
        self.failure = None
        self._closing = False
        self._stream = None
        self._news = threading.Condition()
        self.start()

    # -- in the thread

    def run(self):
        try:
            while not self._closing:
                self._follow_once()
        except Exception:
            with self._news:
                self.failure = None if self._closing else traceback.format_exc()
                self._news.notify_all()

    def _follow_once(self):
        try:
            stream = self.agent.events(last_event_id=self.last, query=self.query)
        except (OSError, http.client.HTTPException):
            self.refused += 1
            time.sleep(0.02)
            return
        with stream:
            self._stream = stream
            self.statuses.append(stream.status)
            if stream.status != 200:
                assert stream.status in (429, 502, 503, 504), f"{stream.status}: {stream.body()}"
                time.sleep(0.02)
                return
            self.connections += 1
            while not self._closing and (frame := stream.next(600)) is not None:
                with self._news:
                    self._take(frame)
                    self._news.notify_all()

    def _take(self, frame):
        if not frame.id:
            self.notices.append(frame)
            assert frame.kind != "gap", f"a gap after {self.last}: {frame}"
            return
        assert frame.id == frame["id"], f"two ids in {frame}"
        assert event_id(frame.id) > event_id(self.last), f"{frame} after {self.last}"
        self.last = frame.id
        self.frames.append(frame)
        turn, step, kind = frame["turn"], frame["step"], frame.kind
        steps = self.texts.setdefault(turn, {})
        if turn not in self.turns:
            self.turns.append(turn)
        if kind == "text_chunk":
            steps[step] = steps.get(step, "") + frame["text"]
        elif kind == "stream_reset":
            steps[step] = ""
        elif kind == "done":
            assert turn not in self.dones, f"a turn is done twice: {frame}"
            self.dones[turn] = frame["reason"]

    # -- for the test

    def wait_for(self, condition, seconds=20, what=""):
        """Waits until condition(self) is true; returns its value."""
        end = time.monotonic() + scaled(seconds)
        with self._news:
            while True:
                assert not self.failure, self.failure
                if value := condition(self):
                    return value
                left = end - time.monotonic()
                assert left > 0, f"{what or 'it did not come'}: {self}"
                self._news.wait(left)

    def wait(self, turn=None, turns=1, seconds=20):
        """Waits until a turn, or so many, are done."""
        self.wait_for(lambda f: turn in f.dones if turn else len(f.dones) >= turns, seconds, "not done")
        return self

    def text(self, turn=None):
        """The text of a turn (default: of the last), as shown now."""
        steps = self.texts.get(turn or (self.turns or [""])[-1], {})
        return "".join(steps[n] for n in sorted(steps))

    def has(self, text, seconds=20):
        """Waits until the last turn shows a text."""
        self.wait_for(lambda f: text in f.text(), seconds, f"{text!r} is not shown")
        return self

    def kinds(self):
        return [f.kind for f in self.frames]

    def after(self, when, kind=None):
        """Frames that came after a time."""
        return [f for f in list(self.frames) if f.at > when and kind in (None, f.kind)]

    def close(self):
        self._closing = True
        if self._stream is not None:
            self._stream.leave()
        self.join(scaled(10))
        assert not self.failure, self.failure

    def __enter__(self):
        return self

    def __exit__(self, kind, *_exc):
        try:
            self.close()
        except AssertionError:
            if kind is None:
                raise

    def __repr__(self):
        return (f"<follower of {self.agent.id} at {self.last}, {self.connections} connections, statuses {self.statuses[-5:]}, "
                f"refused {self.refused}, done {self.dones}, notices {self.notices[-3:]}, last {self.frames[-3:]}>")


class User:
    """Somebody with a token, and what they do."""

    def __init__(self, stack, name, **claims):
        self.stack, self.name = stack, name
        self.token = stack.token(name, **claims)

    def http(self, method, path, json=None, **options):
        return self.stack.http(method, path, user=self, json=json, **options)

    def get(self, path, **options):
        return self.http("GET", path, **options)

    def post(self, path, json=None, **options):
        return self.http("POST", path, json, **options)

    def sse(self, method, path, json=None, **options):
        return self.stack.sse(path, method=method, user=self, json=json, **options)

    def agent(self, **fields):
        made = self.post("/api/agents", {"name": "test", **fields})
        assert made.status == 201, made
        return Agent(self, made.json["agentId"])


class Agent:
    def __init__(self, user, agent_id):
        self.user, self.stack, self.id = user, user.stack, agent_id
        self.path = f"/api/agents/{agent_id}"

    def info(self):
        got = self.user.get(self.path)
        assert got.status == 200, got
        return got.json

    def post_message(self, message, headers=None, **more):
        return self.user.post(f"{self.path}/messages", {"message": message, **more}, headers=headers or {})

    def say(self, message, **more):
        """POST messages; what it answered."""
        got = self.post_message(message, **more)
        assert got.status == 202, got
        return got.json

    def say_surely(self, message, seconds=20, **more):
        """The same, again and again with one Idempotency-Key, as long as the answer is lost or 5xx."""
        key, tries = secrets.token_hex(8), []

        def once():
            try:
                tries.append(self.post_message(message, headers={"Idempotency-Key": key}, **more))
            except (OSError, http.client.HTTPException) as e:
                tries.append(e)
                return None
            assert tries[-1].status in (202, 502, 503, 504), tries
            return tries[-1].status == 202

        wait_for(once, seconds, lambda: f"the message was not taken: {tries[-3:]}")
        return tries[-1].json

    def chat(self, message, **more):
        """POST chat; the stream."""
        return self.user.sse("POST", f"{self.path}/chat", {"message": message, **more})

    def ask(self, message, **more):
        """POST chat, read to its end; its frames."""
        with self.chat(message, **more) as stream:
            assert stream.status == 200, stream.body()
            frames = stream.rest()
        assert frames and frames[-1].kind == "done", (stream.ended, frames[-3:])
        return frames

    def answer(self, message, **more):
        """The text that a message is answered with."""
        frames = self.ask(message, **more)
        assert frames[-1]["reason"] == "completed", frames[-3:]
        return "".join(f["text"] for f in frames if f.kind == "text_chunk")

    def events(self, last_event_id=None, query="", headers=None):
        """GET events; the stream."""
        more = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        return self.user.sse("GET", f"{self.path}/events{query}", headers={**more, **(headers or {})})

    def page(self, query="?since=0-0&limit=500"):
        """GET events as JSON."""
        got = self.user.get(f"{self.path}/events{query}", headers={"Accept": "application/json"})
        assert got.status == 200, got
        return got.json

    def follow(self, after="0-0", query=""):
        return Follower(self, after, query)

    def interrupt(self):
        got = self.user.post(f"{self.path}/interrupt")
        assert got.status == 200, got
        return got.json

    def wait_idle(self, seconds=10):
        """Waits until nothing runs or waits; a server that is away meanwhile is asked again."""
        def idle():
            try:
                got = self.user.get(self.path)
            except (OSError, http.client.HTTPException):
                return False
            return got.status == 200 and not got.json["busy"] and got.json["waiting"] == 0

        wait_for(idle, seconds, lambda: f"it is still at work: {self.user.get(self.path)}")

    def seen_by(self, user):
        """The same agent in the hands of somebody else."""
        return Agent(user, self.id)

    def approvals(self):
        """What is asked of a human."""
        got = self.user.get(f"{self.path}/approvals")
        assert got.status == 200, got
        return got.json["approvals"]

    def asked(self, count=1, seconds=10, state="AWAITING_APPROVAL"):
        """The same, when so many questions are open and nobody runs the agent."""
        wait_for(lambda: self.info()["state"] == state and self.lease() is None and len(self.approvals()) == count,
                 seconds, lambda: f"not parked: {self.info()}, {self.approvals()}")
        return self.approvals()

    def decide(self, call, decision="allow", **more):
        """The answer to a question; the response."""
        return self.user.post(f"{self.path}/approvals/{call}", {"decision": decision, **more})

    def tool_calls(self):
        got = self.user.get(f"{self.path}/tool-calls?limit=500")
        assert got.status == 200, got
        return got.json["toolCalls"]

    def history(self):
        got = self.user.get(f"{self.path}/messages?limit=100")
        assert got.status == 200, got
        return got.json["messages"]

    def dialogue(self):
        """[(role, text)] of the history."""
        return [(m["role"], text_of(m["content"])) for m in self.history()]

    # -- looked up in Redis

    def key(self, part):
        return f"{self.stack.conf.get('store.prefix', 'af:')}{{{self.id[4:10]}}}:{self.id}:{part}"

    def log_entries(self):
        """[(id, [event, ...])] of the log, events as their JSON. By a script: a client's own XRANGE makes a dict of the fields, of which an entry has many alike."""
        entries = self.stack.redis().eval("return redis.call('XRANGE', KEYS[1], '-', '+')", 1, self.key("events"))
        return [(entry.decode(), [e.decode() for e in fields[1::2]]) for entry, fields in entries]

    def log(self):
        """[(id, JSON)] of all events of the log; an entry has the id of its newest."""
        entries = self.log_entries()
        assert all(entry == json.loads(events[-1])["id"] for entry, events in entries)
        return [(json.loads(e)["id"], e) for _, events in entries for e in events]

    def log_ids(self):
        return [i for i, _ in self.log()]

    def lease(self):
        """(epoch, pid of the holder), or None."""
        value = self.stack.redis().get(self.key("lease"))
        if value is None:
            return None
        epoch, _uuid, holder = value.decode().split(":", 2)
        return int(epoch), int(holder.rsplit(".", 2)[1])

    def holder(self, seconds=5):
        """The worker that runs its turn."""
        return wait_for(self.lease, seconds, "nobody runs the agent")[1]


# ---------------------------------------------------------------------------
# FastCGI, spoken directly

class Fcgi:
    """One connection to the pool's socket."""

    BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)

    def __init__(self, path, keep=True):
        self.keep = keep
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(scaled(10))
        self.sock.connect(path)
        self.buf = b""
        self.stdout = b""
        self.stderr = b""
        self.end = None  # (application status, protocol status)

    def record(self, kind, request, data=b""):
        return struct.pack("!BBHHBx", 1, kind, request, len(data), 0) + data

    @staticmethod
    def pairs(params):
        out = b""
        for name, value in params.items():
            n, v = name.encode(), value.encode()
            out += b"".join(struct.pack("!B", len(s)) if len(s) < 128 else struct.pack("!I", len(s) | 1 << 31) for s in (n, v)) + n + v
        return out

    def send(self, params, body=b"", request=1):
        out = self.record(self.BEGIN, request, struct.pack("!HB5x", 1, self.keep))
        out += self.record(self.PARAMS, request, self.pairs(params)) + self.record(self.PARAMS, request)
        if body:
            out += self.record(self.STDIN, request, body)
        self.sock.sendall(out + self.record(self.STDIN, request))

    def read_record(self):
        """(type, request, data), or None at the end."""
        while len(self.buf) < 8 or len(self.buf) < 8 + sum(struct.unpack("!HB", self.buf[4:7])):
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buf += data
        _, kind, request, length, padding = struct.unpack("!BBHHBx", self.buf[:8])
        data, self.buf = self.buf[8:8 + length], self.buf[8 + length + padding:]
        if kind == self.STDOUT:
            self.stdout += data
        elif kind == self.STDERR:
            self.stderr += data
        elif kind == self.END:
            self.end = struct.unpack("!IB3x", data)
        return kind, request, data

    def read_to_end(self):
        """Reads up to END_REQUEST, or to the end of the connection."""
        while self.end is None and self.read_record() is not None:
            pass
        return self

    def response(self):
        head, _, body = self.stdout.partition(b"\r\n\r\n")
        headers = http.client.HTTPMessage()
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        return Response(int(headers.get("Status", "200").split()[0]), headers, body)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


# ---------------------------------------------------------------------------

class Bridge:
    """agent-fpm-bridge, a gateway of a stack, with the stack's configuration and a socket of its own."""

    def __init__(self, stack, number):
        self.stack, self.name, self.process = stack, f"bridge-{number}", None
        self.conf = {}  # what is another in its configuration
        self.socket = stack.path(f"{self.name}.sock")

    def start(self):
        conf = self.stack.write(f"{self.name}.conf", "".join(
            f"{k} = {v}\n" for k, v in {**self.stack.conf, **self.conf, "bridge.listen": self.socket}.items()))
        binary = os.path.join(os.path.dirname(BINARY), "agent-fpm-bridge")
        self.process = self.stack._spawn(self.name, [binary, "-c", conf], env=self.stack.pool_env())
        self.stack._wait_up(self.process, self.name, self._answers)
        return self

    def _answers(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(scaled(10))
        sock.connect(self.socket)
        return sock

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.stack.log(self.name)

    def stop(self, signo=signal.SIGTERM):
        """Its exit code; 0 if it does not run."""
        if self.process is None:
            return 0
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signo)
        return process.wait(scaled(10))

    def restart(self, signo=signal.SIGTERM):
        self.stop(signo)
        return self.start()


class Stack:
    def __init__(self, workers=2, conf=None, env=None, scenarios=None, limits="off", without_nginx=False,
                 redis_args=(), redis_password=None, start=True, wait_ready=True, templates=None, sandbox=False, models=None,
                 bridges=0):
        self.models = models or {}  # [model NAME], and [provider NAME] if the name has the word before it
        self.dir = tempfile.mkdtemp(prefix="af-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.limits, self.without_nginx, self.redis_args, self.wait_ready = limits, without_nginx, redis_args, wait_ready
        self.redis_password = redis_password
        self.env = env or {}
        self.secret, self.api_key = secrets.token_hex(24), f"sk-ant-test-{secrets.token_hex(16)}"
        self.fcgi_path, self.redis_path = self.path("fpm.sock"), self.path("redis.sock")
        self.model = ScriptedModel(scenarios)
        self.allow_invalid = False  # requests that the model refuses
        self.tokens = []  # all that were made
        self.problems = []  # what is wrong at the end
        self._pool = self._redis = self._nginx = None
        self.bridges = [Bridge(self, n) for n in range(bridges)]  # gateways; nginx leads to the first
        self.sandbox = None  # a Sandbox, if one was asked for: True or "http"
        self._client = None
        self._open = True
        self.model.start()
        self.conf = {
            "listen": self.fcgi_path,
            "listen.mode": "0666",
            "workers": workers,
            "drain_timeout": "5s",
            "templates": self.path("templates.d"),
            "skills": self.path("skills.d"),
            "jwt.secret_file": self.write("jwt.secret", self.secret),
            "jwt.audience": AUDIENCE,
            "store.address": f"unix:{self.redis_path}",
            "limits.requests": "off",
            "limits.chats": "off",
            "model.url": self.model.url,
            "model.api_key_file": self.write("api.key", self.api_key),
            **(conf or {}),
        }
        if sandbox:
            os.makedirs(self.path("sandbox"))
            self.sandbox = Sandbox(self.path("sandbox"), {k: v for k, v in self.conf.items() if k.startswith("sandbox.")},
                                   by="unix" if sandbox is True else sandbox)
            self.conf |= self.sandbox.worker_conf()
        for name, document in (templates or {}).items():
            self.write(f"templates.d/{name}.json", json.dumps(document))
        live_stacks.append(self)
        atexit.register(self.close)
        try:
            if start:
                self.start_all()
        except BaseException:
            print(self.tails())
            self.close()
            raise

    # -- files

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def write_conf(self):
        text = "".join(f"{k} = {v}\n" for k, v in self.conf.items())
        for name, settings in self.models.items():
            text += f"\n[{name if ' ' in name else 'model ' + name}]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items())
        return self.write("agent-fpm.conf", text)

    def log_files(self):
        folder = self.path("log")
        found = [os.path.join(folder, name) for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
        for place, _, names in os.walk(self.path("nginx")):
            found += [os.path.join(place, n) for n in sorted(names) if n.endswith(".log")]
        return found

    def log(self, name="pool"):
        """The text of a log."""
        try:
            with open(self.path("log", f"{name}.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def tails(self, lines=40):
        out = []
        for path in self.log_files():
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.readlines()[-lines:]
            if text:
                out += [f"==> {path} <==\n", *text]
        return "".join(out)

    # -- processes

    def _spawn(self, name, argv, **options):
        os.makedirs(self.path("log"), exist_ok=True)
        with open(self.path("log", f"{name}.log"), "ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, **options)

    def _wait_up(self, process, name, condition, seconds=15):
        def up():
            assert process.poll() is None, f"{name} ended with {process.returncode} at its start\n{self.tails()}"
            return condition()

        wait_for(up, seconds, lambda: f"{name} does not come up\n{self.tails()}")

    def pool_env(self):
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") or k.endswith("SAN_OPTIONS")}
        return {**kept, **{k: str(v) for k, v in self.env.items()}}

    def start_redis(self):
        self._redis = self._spawn("redis", [
            "redis-server", "--port", "0", "--unixsocket", self.redis_path, "--unixsocketperm", "777", "--dir", self.dir,
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no", *self.redis_args])
        self._wait_up(self._redis, "Redis", self._redis_answers)

    def _redis_answers(self):
        try:
            return self.redis().ping()
        except redis.exceptions.RedisError:
            return False

    def start_pool(self, env=None):
        if env is not None:
            self.env = env
        self._pool = self._spawn("pool", [BINARY, "-F", "-c", self.write_conf()], env=self.pool_env())
        if self.wait_ready:
            self._wait_up(self._pool, "the pool", self._pool_is_ready)

    def _pool_is_ready(self):
        return len(self.workers()) >= int(self.conf["workers"]) and self.is_ready()

    def is_ready(self):
        try:
            return self.fcgi("GET", "/ready").status == 200
        except (OSError, ValueError):
            return False

    def start_nginx(self):
        if self._nginx_conf() is None:
            return
        self._nginx = self._spawn("nginx", [
            "nginx", "-p", self.path("nginx"), "-c", self.path("nginx.conf"), "-e", self.path("log", "nginx-error.log"), "-g", self._daemon_off])
        self._wait_up(self._nginx, "nginx", self._nginx_answers)

    def _nginx_conf(self):
        """Writes nginx.conf, with ports that are free. They stay for the life of the stack."""
        if self.without_nginx:
            return None
        if not os.path.exists(self.path("nginx.conf")):
            os.makedirs(self.path("nginx"), exist_ok=True)
            os.chmod(self.path("nginx"), 0o755)
            self.https_port, self.http_port = free_ports(2)
            text = subprocess.run(
                ["sh", os.path.join(ROOT, "nginx", "private.sh"), self.path("nginx"), str(self.https_port), str(self.http_port),
                 self.fcgi_path, os.path.join(ROOT, "www"), *certificate(), f"limits={self.limits}", "http=serve",
                 *([f"workspaces={self.sandbox.workspaces}"] if self.sandbox else []),
                 *([f"bridge={self.bridges[0].socket}"] if self.bridges else [])],
                check=True, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL, timeout=scaled(20)).stdout
            self.write("nginx.conf", text)
            self._daemon_off = "" if re.search(r"^\s*daemon\s+off\s*;", text, re.M) else "daemon off;"
        return self.path("nginx.conf")

    def _nginx_answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.https_port), 1).close()
            return True
        except OSError:
            return False

    def start_all(self):
        if self.sandbox is not None and (self.sandbox.process is None or self.sandbox.process.poll() is not None):
            self.sandbox.start()
        self.start_redis()
        self.start_pool()
        for bridge in self.bridges:
            bridge.start()
        self.start_nginx()

    @property
    def master(self):
        return self._pool.pid

    @property
    def nginx_pid(self):
        return self._nginx.pid

    def workers(self):
        """Pids of the workers, by their slot."""
        slots = {}
        for pid in children(self._pool.pid):
            argv = arguments(pid)
            if "--worker" in argv:
                slots[int(argv[argv.index("--worker") + 1])] = pid
        return [slots[n] for n in sorted(slots)]

    def children(self):
        """Pids of all that the master has started."""
        return children(self.master)

    def upgrade(self, seconds=20):
        """SIGUSR2, until another master has taken over; it is the stack's from then on. The old one, which still ends."""
        Orphan.adopt_all()
        old, before = self._pool, self.log().count("takes over")
        old.send_signal(signal.SIGUSR2)
        wait_for(lambda: self.log().count("takes over") > before, seconds, lambda: f"no new master\n{self.tails()}")
        self._pool = Orphan(int(re.findall(r"upgrade: pid (\d+) takes over", self.log())[-1]), self.log)
        return old

    @staticmethod
    def argv(pid):
        return arguments(pid)

    def kill_worker(self, i=None):
        """kill -9 of the worker in slot i (default: the first there is)."""
        pid = self.workers()[i or 0]
        kill(pid, signal.SIGKILL)
        return pid

    def kill_worker_of(self, agent):
        """kill -9 of the worker that runs an agent's turn."""
        kill(agent.holder(), signal.SIGKILL)

    def check_conf(self):
        """What agent-fpm -t says of the configuration."""
        return subprocess.run([BINARY, "-t", "-c", self.write_conf()], env=self.pool_env(), capture_output=True, text=True, check=False,
                              timeout=scaled(20))

    def kill_workers(self):
        """kill -9 of all workers at once."""
        pids = self.workers()
        for pid in pids:
            kill(pid, signal.SIGKILL)
        return pids

    def stop(self, pid):
        """SIGSTOP, and waits until it stands."""
        kill(pid, signal.SIGSTOP)
        wait_for(lambda: process_state(pid)[0] in ("T", None), 5, "it does not stop")

    def cont(self, pid):
        kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def only(self, pid):
        """While this lasts, requests come to one worker: the others stand still."""
        others = [p for p in self.workers() if p != pid]
        for p in others:
            self.stop(p)
        try:
            yield
        finally:
            for p in others:
                self.cont(p)

    def stop_pool(self, signo=signal.SIGTERM, seconds=15):
        """Stops the pool; the master's exit code."""
        self._pool.send_signal(signo)
        return self.wait_pool(seconds)

    def wait_pool(self, seconds=15):
        try:
            return self._pool.wait(scaled(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the pool does not end\n{self.tails()}") from None

    def restart_pool(self, env=None):
        """Stops the pool, also if a worker stands still at a crash point, and starts it."""
        self._pool.send_signal(signal.SIGTERM)

        def ended():
            for pid in children(self._pool.pid):
                if process_state(pid)[0] == "T":  # and not t: a sanitizer traces it at its end
                    self.cont(pid)
            return self._pool.poll() is not None

        wait_for(ended, 15, lambda: f"the pool does not end\n{self.tails()}")
        self.start_pool(env)

    def kill_nginx(self):
        pids = [self._nginx.pid, *children(self._nginx.pid)]
        for pid in pids:
            kill(pid, signal.SIGKILL)
        self._nginx.wait()
        wait_for(lambda: not any(process_state(p)[0] not in (None, "Z") for p in pids), 5, "nginx does not die")

    def kill_redis(self, signo=signal.SIGKILL):
        self._redis.send_signal(signo)
        self._redis.wait()

    def restart_redis(self, kill9=True):
        self.kill_redis(signal.SIGKILL if kill9 else signal.SIGTERM)
        self.start_redis()

    def kill_all(self):
        """kill -9 of everything at once."""
        victims = [self._pool.pid, *self.workers(), self._redis.pid]
        if self._nginx is not None:
            victims += [self._nginx.pid, *children(self._nginx.pid)]
        for pid in victims:
            kill(pid, signal.SIGKILL)
        for process in (self._pool, self._redis, self._nginx):
            if process is not None:
                process.wait()
        wait_for(lambda: all(process_state(p)[0] in (None, "Z") for p in victims), 5, "they do not die")

    def close(self):
        """Stops everything and checks what is left behind; the problems are in self.problems."""
        if not self._open:
            return
        self._open = False
        atexit.unregister(self.close)
        live_stacks.remove(self)
        for stop in (self._close_nginx, self._close_bridges, self._close_pool, self._close_redis, self._close_sandbox, self._close_model, self._check_logs):
            try:
                stop()
            except Exception:
                self.problems.append(traceback.format_exc())
        if self.problems:
            self.problems.append(self.tails(15))
        if "KEEP_STACK" not in os.environ:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _close_sandbox(self):
        if self.sandbox is None:
            return
        code = self.sandbox.close()
        if code != 0:
            self.problems.append(f"the sandbox ended with {code}\n{self.sandbox.log()}")

    def _close_nginx(self):
        if self._nginx is None or self._nginx.poll() is not None:
            return
        self._nginx.terminate()
        try:
            self._nginx.wait(scaled(5))
        except subprocess.TimeoutExpired:
            self.kill_nginx()
            self.problems.append("nginx had to be killed")

    def _close_bridges(self):
        for bridge in self.bridges:
            if (code := bridge.stop()) != 0:
                self.problems.append(f"a gateway ended with {code}")

    def _close_pool(self):
        if self._pool is None or self._pool.poll() is not None:
            return
        workers = children(self._pool.pid)
        for pid in workers:
            self.cont(pid)
        self._pool.terminate()
        try:
            code = self._pool.wait(scaled(10))
            if code != 0:
                self.problems.append(f"the pool ended with {code} after SIGTERM")
            if " -> killing" in self.log():
                self.problems.append("workers did not end after SIGTERM and had to be killed")
        except subprocess.TimeoutExpired:
            self.problems.append("the pool did not end after SIGTERM")
            self._pool.kill()
            self._pool.wait()
        for pid in workers:
            kill(pid, signal.SIGKILL)

    def _close_redis(self):
        if self._client is not None:
            self._client.close()
        if self._redis is not None and self._redis.poll() is None:
            self._redis.kill()
            self._redis.wait()

    def _close_model(self):
        self.model.stop()
        self.problems += self.model.failures
        if not self.allow_invalid:
            self.problems += [f"the model refused: {why} {request.raw[:2000]!r}" for request, why in self.model.invalid]

    def _check_logs(self):
        for path in self.log_files():
            with open(path, "rb") as f:
                text = f.read()
            if found := SANITIZER.search(text):
                self.problems.append(f"{path}: {text[found.start():found.start() + 6000].decode(errors='replace')}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_exc):
        if kind is not None:
            print(self.tails())
        self.close()
        if kind is None:
            assert not self.problems, "\n".join(self.problems)

    # -- clients

    @property
    def https(self):
        return f"https://127.0.0.1:{self.https_port}"

    @property
    def plain(self):
        return f"http://127.0.0.1:{self.http_port}"

    def token(self, user, **claims):
        """A token for a user; a claim that is None is left out."""
        now = int(time.time())
        all_claims = {"sub": user, "iat": now, "exp": now + 3600, "aud": AUDIENCE, **claims}
        token = sign(self.secret.encode(), {k: v for k, v in all_claims.items() if v is not None})
        self.tokens.append(token)
        return token

    def user(self, name="user", **claims):
        """Somebody whom no other test knows."""
        return User(self, f"{name}-{secrets.token_hex(4)}", **claims)

    def redis(self):
        """A client for the stack's Redis."""
        if self._client is None:
            self._client = redis.Redis(unix_socket_path=self.redis_path, password=self.redis_password, socket_timeout=scaled(5))
        return self._client

    def _headers(self, user, json_body, headers):
        out = {"Accept": "*/*"}
        if user is not None:
            out["Authorization"] = f"Bearer {user.token if isinstance(user, User) else self.token(user)}"
        if json_body is not None:
            out["Content-Type"] = "application/json"
        out.update(headers or {})
        return {k: v for k, v in out.items() if v is not None}

    def _request(self, method, path, user, json_body, body, headers, timeout, plain, pairs):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port if plain else self.https_port, timeout=scaled(timeout))
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not plain:
            connection.sock = _tls.wrap_socket(connection.sock, server_hostname="localhost")
        sock = connection.sock
        if json_body is not None:
            body = json.dumps(json_body).encode()
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in [*self._headers(user, json_body, headers).items(), *pairs]:
                connection.putheader(name, value)
            if body is not None or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.putheader("Connection", "close")
            connection.endheaders(body)
            return sock, connection.getresponse()
        except BaseException:
            sock.close()
            raise

    def http(self, method, path, user=None, json=None, body=None, headers=None, timeout=20, plain=False, pairs=()):
        """A request and its whole answer. user: a name or a User. A header that is None is not sent."""
        sock, response = self._request(method, path, user, json, body, headers, timeout, plain, pairs)
        try:
            return Response(response.status, response.headers, response.read())
        finally:
            response.close()
            sock.close()

    def sse(self, path, method="GET", user=None, json=None, headers=None, last_event_id=None, timeout=20, plain=False):
        """A request whose answer goes on."""
        headers = {"Accept": "text/event-stream", **(headers or {})}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        return Stream(*self._request(method, path, user, json, None, headers, timeout, plain, ()))

    def fcgi_params(self, method, path, user=None, body=b"", **more):
        """What nginx would say of a request."""
        uri, _, query = path.partition("?")
        params = {
            "REQUEST_METHOD": method, "REQUEST_URI": path, "DOCUMENT_URI": uri, "SCRIPT_NAME": uri, "QUERY_STRING": query,
            "CONTENT_TYPE": "application/json" if body else "", "CONTENT_LENGTH": str(len(body)) if body else "",
            "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "https", "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_NAME": "localhost",
            "REMOTE_ADDR": "127.0.0.1", "REQUEST_ID": secrets.token_hex(16), "HTTP_ACCEPT": "*/*", **more}
        if user is not None:
            params["HTTP_AUTHORIZATION"] = f"Bearer {user.token if isinstance(user, User) else self.token(user)}"
        return params

    def fcgi(self, method, path, user=None, json_body=None, keep=False):
        """A request past nginx, and its whole answer."""
        body = b"" if json_body is None else json.dumps(json_body).encode()
        with Fcgi(self.fcgi_path, keep) as connection:
            connection.send(self.fcgi_params(method, path, user, body), body)
            return connection.read_to_end().response()


_tls = ssl.create_default_context()
_tls.check_hostname = False
_tls.verify_mode = ssl.CERT_NONE
