#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model that says what its script says, over real HTTP.

It answers on 127.0.0.1 with the stream of the API that the path is of:

    POST /v1/messages                                   anthropic
    POST /v1/chat/completions                           openai-chat
    POST /v1/responses                                  openai-responses
    POST /v1beta/models/ID:streamGenerateContent?alt=sse    gemini

It refuses requests that the real API would refuse, and remembers every request
and every connection that the client closed early. It needs nothing but the
standard library. Scenarios are the same for all; their words are Anthropic's,
and scripted_chat.py, scripted_responses.py and scripted_gemini.py say what
becomes of them.

From a test:

    with ScriptedModel() as model:              # or a path, a dict, a list
        ...  model.url, model.port
        model.requests[-1].body["messages"]     # what was asked
        model.requests[-1].conversation         # the same, for all APIs
        model.invalid                           # what was refused, with why
        model.connections.open, .accepted       # now, ever
        model.closes[-1].ended_at               # time.monotonic() of a hang-up
        model.wait_for(lambda: model.closes, 1) # poll with a deadline

By hand: scripted_model.py --port 0 [--scenarios FILE]; the first line that
it prints is the port.


Scenarios
=========

A file, which the built-in model `script` reads as well (of calls without
id, raw and bytes; of usage without measured):

    {"scenarios": [{"match": REGEX, "steps": [STEP, ...]}, ...]}

The first scenario whose regex is found in the last user text wins; with
"count": "first" beside match only for the first user message of a
conversation, with "later" only for those after it; with "round": N only for
the N-th request of a turn, counted from 0: after N answers with calls. If
none is found, the answer is "echo: ${last}". For both readers a regex is what POSIX extended
and Python's mean alike: [0-9] and not \\d, no look-around; ^ and $ are the
ends of the text, a dot matches every character.

The "last user text" is the last text block of the last user message that has
one; the first user text is the first text block of the first such message.
A message with tool results is not one of the user's.

Steps run in order. Each is an object known by one member:

    {"text": T, "pace_ms": 20, "by": "word"}
        Text deltas: by word (with the blanks behind it; default), by char, or
        whole; pace_ms (default 0) between two pieces of this step. Text steps
        in a row fill one block.
    {"thinking": T, "signature": S}
        A thinking block; pace_ms and by as for text. Without signature: none.
    {"call": NAME, "input": JSON, "id": T, "raw": T, "bytes": N}
        A tool_use block, and the stop reason tool_use. In texts of the input
        names are replaced. id is made up if it is left out. raw is sent as
        the arguments as it is, instead of input. The arguments come in
        pieces of at most N characters (default: one piece).
    {"wait_ms": N}      pause.
    {"stall": true}     sends nothing more and keeps the connection open.
    {"ping": true}      a ping event, or where there is none a comment.
    {"error": {"type": T, "message": T}}
        An error event inside the 200 stream, which ends there, properly.
    {"status": 529, "headers": {}, "body": {}, "times": K}
        Answers with this status, and no stream, if it stands before anything
        was sent. body may be left out (a fitting error of the API) or be a
        string (sent as it is). With times, only K times: counted per step and
        per conversation (the messages array), so that a retry counts up and
        another conversation starts anew. Then the next step follows. With
        "over": N only if the request has more than N bytes: a small window.
    {"cut": true}       closes the connection (FIN) in the middle.
    {"reset": true}     the same with RST.
    {"garbage": T}      raw bytes into the body of the stream; each character
                        is one byte, U+0000 to U+00FF.
    {"split": N}        from here at most N bytes to a TCP segment.
    {"stop_reason": "max_tokens"}       instead of end_turn.
    {"usage": {...}}    members for the usage of message_delta; what comes
                        before the first output is in message_start too.
                        "measured": true makes input_tokens of the request's
                        length.

Headers and the first event are sent with the first output. So a wait or stall
in front delays the status line; put {"ping": true} before it if the client
shall see the 200 first. An error event in front comes without that.

In texts (T, and times) these are replaced, once, from the inside out; what
was put in is not looked at again:

    ${last} ${first}    last and first user text
    ${count}            number of user messages in the conversation
    ${n}                n-th group of the match, 0 the whole match
    ${words:N}          "w1 w2 ... wN " ; N may be a ${...} itself
    ${results}          contents of the last message's tool results, a line
                        each
"""

import argparse
import asyncio
import json
import os
import re
import socket
import struct
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from scripted_answer import Gone, Refused, need
from scripted_anthropic import AnthropicAnswer
from scripted_chat import ChatAnswer
from scripted_gemini import GeminiAnswer
from scripted_responses import ResponsesAnswer

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_SCENARIOS = os.path.join(HERE, "scenarios.json")
FALLBACK = {"match": "", "steps": [{"text": "echo: ${last}"}]}

HEAD_MAX = 64 << 10
BODY_MAX = 32 << 20
WORDS_MAX = 1_000_000

# The path of a request, and who answers it.
APIS = [(re.compile(path), answer) for path, answer in (
    (r"/v1/messages(\?.*)?", AnthropicAnswer),
    (r"/v1/chat/completions(\?.*)?", ChatAnswer),
    (r"/v1/responses", ResponsesAnswer),
    (r"/v1beta/models/([^/:?]+):streamGenerateContent\?alt=sse", GeminiAnswer),
)]


@dataclass
class Request:
    """One request as it came, and how its answer ended."""

    number: int
    method: str
    path: str
    headers: dict
    raw: bytes
    at: float = 0.0  # time.monotonic(), when the header was there
    time: float = 0.0  # the same as time.time()
    body: object = None
    status: int = 0
    ended: str = ""  # "", complete, closed (by client), cut, reset, stopped
    ended_at: float = 0.0  # time.monotonic()
    events: int = 0  # sent so far
    chars: int = 0  # of text and thinking
    connection: int = 0  # the how-manieth
    api: str = ""  # as a provider's is called
    conversation: list = field(default_factory=list)  # of Said

    def end(self, how):
        if not self.ended:
            self.ended_at = time.monotonic()
            self.ended = how

    @property
    def last(self):
        """The last user text."""
        return "".join(user_texts(self.conversation)[-1:])


@dataclass
class Connections:
    open: int = 0
    accepted: int = 0


def no_constant(name):
    raise ValueError(name)


def find_api(path):
    """(match of the path, class of the answer); an answer of Anthropic's says that there is nothing."""
    for regex, answer in APIS:
        if match := regex.fullmatch(path):
            return match, answer
    return None, AnthropicAnswer


def check_request(request, api, match, model):
    """Raises Refused, or leaves the parsed body in the request."""
    problem = ""
    try:
        request.body = json.loads(request.raw.decode("utf-8"),
                                  parse_constant=no_constant)
    except ValueError as e:
        problem = f"the body is not JSON: {e}"
    need(match, f"{request.path}: not found", 404)
    need(request.method == "POST", "method not allowed", 405)
    need(request.headers.get("content-type", "").partition(";")[0].strip().lower() ==
         "application/json", "content-type: must be application/json")
    need(not problem, problem)
    if isinstance(request.body, dict):
        request.conversation = api.conversation(request.body)
    api.check(request, match, model)


# ---------------------------------------------------------------------------
# Scenarios

def user_messages(conversation):
    """Without those that only have results."""
    return [m for m in conversation if m.role == "user" and not m.results]


def user_texts(conversation):
    """All texts of the user, in order."""
    return [t for m in user_messages(conversation) for t in m.texts]


def round_of(conversation):
    """How many answers came since the user said something."""
    count = 0
    for message in reversed(conversation):
        if message.role == "model":
            count += 1
        elif not message.results:
            break
    return count


class Texts:
    """What ${...} stands for in one request."""

    def __init__(self, conversation, match):
        texts = user_texts(conversation)
        self.match = match
        self.names = {
            "last": texts[-1] if texts else "",
            "first": texts[0] if texts else "",
            "count": str(len(user_messages(conversation))),
            "results": "\n".join(conversation[-1].results),
        }

    def value(self, name):
        """The text for a name, or None."""
        if name in self.names:
            return self.names[name]
        if name.isdecimal() and int(name) <= self.match.re.groups:
            return self.match.group(int(name)) or ""
        kind, _, n = name.partition(":")
        if kind == "words" and n.isdecimal() and int(n) <= WORDS_MAX:
            return "".join(f"w{i} " for i in range(1, int(n) + 1))
        return None

    def _expand(self, text, i, inside):
        out = []
        while i < len(text):
            if text.startswith("${", i):
                name, end = self._expand(text, i + 2, True)
                value = self.value(name) if end else None
                if value is None:  # not a name: stays as it is
                    out.append("${")
                    i += 2
                else:
                    out.append(value)
                    i = end
            elif inside and text[i] == "}":
                return "".join(out), i + 1
            else:
                out.append(text[i])
                i += 1
        return "".join(out), 0 if inside else i

    def expand(self, text):
        return self._expand(text, 0, False)[0]

    def expand_all(self, value):
        """expand, in every text of a JSON value."""
        if isinstance(value, str):
            return self.expand(value)
        if isinstance(value, list):
            return [self.expand_all(v) for v in value]
        if isinstance(value, dict):
            return {k: self.expand_all(v) for k, v in value.items()}
        return value


def load_scenarios(source):
    """A path, a {"scenarios": ...}, or the list itself; checked."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, encoding="utf-8") as f:
            source = json.load(f)
    if isinstance(source, dict):
        source = source["scenarios"]
    loaded = []
    for scenario in source:
        for step in scenario["steps"]:
            if sum(name in STEPS for name in step) != 1:
                raise ValueError(f"not exactly one kind of step: {step}")
        count = scenario.get("count")
        if count not in (None, "first", "later"):
            raise ValueError(f"count is neither first nor later: {count}")
        loaded.append((re.compile(scenario["match"], re.DOTALL), count,
                       scenario.get("round"), scenario["steps"]))
    loaded.append((re.compile(FALLBACK["match"]), None, None,
                   FALLBACK["steps"]))
    return loaded


# ---------------------------------------------------------------------------
# Each step: an async function; true if the answer ends with it.

async def step_text(answer, step):
    await answer.say("text", step)


async def step_thinking(answer, step):
    await answer.close_block()
    await answer.say("thinking", step)
    if "signature" in step:
        await answer.sign(step["signature"])
    await answer.close_block()


async def step_call(answer, step):
    await answer.call(step)


async def step_wait(answer, step):
    await answer.flush()
    await answer.conn.pause(step["wait_ms"] / 1000)


async def step_stall(answer, _step):
    await answer.flush()
    await answer.conn.pause(None)


async def step_ping(answer, _step):
    await answer.ping()


async def step_error(answer, step):
    error = {k: answer.texts.expand(v) for k, v in step["error"].items()}
    await answer.fail(error["type"], error["message"])
    return True


async def step_status(answer, step):
    if answer.headers_sent:
        raise ValueError("a status step after output")
    status = step["status"]
    if len(answer.request.raw) <= step.get("over", 0):
        return False
    if "times" in step:
        times = int(answer.texts.expand(str(step["times"])))
        key = (id(step), answer.key)
        answer.model.counters[key] += 1
        if answer.model.counters[key] > times:
            return False
    body = step.get("body", answer.error_body(status, f"scripted {status}"))
    if isinstance(body, str):
        body = answer.texts.expand(body)
    await answer.plain(status, step.get("headers", {}), body)
    return True


async def step_cut(answer, _step):
    await answer.flush()
    answer.request.end("cut")
    raise Gone


async def step_reset(answer, _step):
    await answer.flush()
    answer.request.end("reset")
    answer.conn.reset()
    raise Gone


async def step_garbage(answer, step):
    await answer.add(step["garbage"].encode("latin-1"))


async def step_split(answer, step):
    await answer.flush()
    answer.split = step["split"]


async def step_stop_reason(answer, step):
    answer.stop_reason = step["stop_reason"]


async def step_usage(answer, step):
    usage = dict(step["usage"])
    if usage.pop("measured", False):
        usage = {"input_tokens": len(answer.request.raw) // 4, **usage}
    answer.usage.update(usage)


STEPS = {
    "text": step_text,
    "thinking": step_thinking,
    "call": step_call,
    "wait_ms": step_wait,
    "stall": step_stall,
    "ping": step_ping,
    "error": step_error,
    "status": step_status,
    "cut": step_cut,
    "reset": step_reset,
    "garbage": step_garbage,
    "split": step_split,
    "stop_reason": step_stop_reason,
    "usage": step_usage,
}


# ---------------------------------------------------------------------------
# HTTP

class Conn(asyncio.Protocol):
    """One connection. A Protocol and no stream: it learns at once, while it
    writes, that the client closed."""

    def __init__(self, model):
        self.model = model
        self.number = 0
        self.transport = None
        self.task = None
        self.buf = bytearray()
        self.more = asyncio.Event()  # bytes came, or none will
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self.request = None  # the one that is answered
        self.is_open = False

    # -- called by asyncio

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_open = True
        self.model.conn_add(self)
        self.task = asyncio.get_running_loop().create_task(self.serve())

    def data_received(self, data):
        self.buf += data
        self.more.set()

    def eof_received(self):
        self.lost()
        return False

    def connection_lost(self, exc):
        self.lost()
        if self.is_open:
            self.is_open = False
            self.model.conn_remove(self)

    def pause_writing(self):
        self.writable.clear()

    def resume_writing(self):
        self.writable.set()

    # -- called by the answer

    def lost(self):
        if self.request is not None and not self.request.ended:
            self.request.end("closed")
            self.model.closes.append(self.request)
        self.gone.set()
        self.more.set()
        self.writable.set()

    async def write(self, data):
        await self.writable.wait()
        if self.gone.is_set():
            raise Gone
        self.transport.write(data)

    async def pause(self, seconds):
        """Waits; raises Gone at once when the client closes."""
        if seconds is not None and seconds <= 0:
            seconds = 0
        try:
            await asyncio.wait_for(self.gone.wait(), seconds)
        except asyncio.TimeoutError:
            return
        raise Gone

    def reset(self):
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        self.transport.abort()

    # -- reading requests

    async def read(self):
        if self.gone.is_set():
            raise Gone
        self.more.clear()
        await self.more.wait()
        if self.gone.is_set():
            raise Gone

    async def read_until(self, mark, limit):
        while (at := self.buf.find(mark)) < 0:
            need(len(self.buf) <= limit, "header too large", 413)
            await self.read()
        data = bytes(self.buf[:at])
        del self.buf[:at + len(mark)]
        return data

    async def read_exactly(self, n):
        need(n <= BODY_MAX, "request too large", 413)
        while len(self.buf) < n:
            await self.read()
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    async def read_chunks(self):
        body = bytearray()
        while True:
            size = await self.read_until(b"\r\n", 1024)
            n = int(size.partition(b";")[0], 16)
            if n == 0:
                break
            body += await self.read_exactly(n)
            need(len(body) <= BODY_MAX, "request too large", 413)
            need(await self.read_exactly(2) == b"\r\n", "bad chunk")
        while await self.read_until(b"\r\n", HEAD_MAX):
            pass
        return bytes(body)

    async def read_request(self):
        head = await self.read_until(b"\r\n\r\n", HEAD_MAX)
        at, wall = time.monotonic(), time.time()
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _version = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            raw = await self.read_chunks()
        else:
            raw = await self.read_exactly(
                int(headers.get("content-length", "0")))
        return Request(self.model.next_number(), method, path, headers, raw,
                       at, wall, connection=self.number)

    async def serve(self):
        try:
            while True:
                self.request = await self.read_request()
                await self.model.answer(self, self.request)
                if self.request.headers.get("connection") == "close":
                    break
        except (Gone, asyncio.CancelledError):
            pass
        except Exception:  # a bug here, or a client that speaks no HTTP
            self.model.failures.append(traceback.format_exc())
        finally:
            if self.request is not None:
                self.request.end("stopped")
            self.transport.close()


class ScriptedModel:
    """The server, in a thread of its own."""

    def __init__(self, scenarios=None, port=0):
        self.scenarios = load_scenarios(
            DEFAULT_SCENARIOS if scenarios is None else scenarios)
        self.port = port
        self.requests = []  # all, in order of arrival
        self.invalid = []  # (request, why) of those that were refused
        self.closes = []  # requests whose client closed before the end
        self.failures = []  # tracebacks: a test should find none
        self.connections = Connections()
        self.counters = Counter()
        self.quirks = {}  # id of a model -> what check_chat is to ask of it
        self.reasoned = {}  # id of an item of a response -> of the reasoning before it
        self._number = 0
        self._conns = set()
        self._loop = None
        self._thread = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), daemon=True, name="model")
        self._thread.start()
        ready.wait()
        if self.failures:
            raise RuntimeError(self.failures[-1])
        return self

    def stop(self):
        """Closes everything; the port is free when it returns."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None

    def reset(self, scenarios=None):
        """Forgets what was recorded, and takes other scenarios if given."""
        if scenarios is not None:
            self.scenarios = load_scenarios(scenarios)
        for record in (self.requests, self.invalid, self.closes,
                       self.failures, self.counters):
            record.clear()

    def wait_for(self, condition, timeout=5.0):
        """Polls until condition() is true; returns its value, or raises."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError("the model did not see it happen")
            time.sleep(0.002)
        return value

    def __enter__(self):
        return self.start()

    def __exit__(self, *_exc):
        self.stop()

    # -- in the thread

    def _run(self, ready):
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            server = loop.run_until_complete(loop.create_server(
                lambda: Conn(self), "127.0.0.1", self.port, backlog=4096))
            self.port = server.sockets[0].getsockname()[1]
        except OSError:
            self.failures.append(traceback.format_exc())
            ready.set()
            return
        ready.set()
        loop.run_forever()
        server.close()
        loop.run_until_complete(self._close_all())
        loop.close()

    async def _close_all(self):
        for conn in list(self._conns):
            if conn.request is not None:
                conn.request.end("stopped")
            conn.transport.abort()
            conn.task.cancel()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def conn_add(self, conn):
        self.connections.accepted += 1
        self.connections.open += 1
        conn.number = self.connections.accepted
        self._conns.add(conn)

    def conn_remove(self, conn):
        self.connections.open -= 1
        self._conns.discard(conn)

    def next_number(self):
        self._number += 1
        return self._number

    def find(self, conversation):
        """The match and the steps for a request."""
        texts = user_texts(conversation)
        here = "first" if len(user_messages(conversation)) < 2 else "later"
        now = round_of(conversation)
        for regex, count, number, steps in self.scenarios:
            match = regex.search(texts[-1] if texts else "")
            if (match is not None and count in (None, here) and
                    number in (None, now)):
                return match, steps
        raise AssertionError("the fallback matches everything")

    async def answer(self, conn, request):
        self.requests.append(request)
        match, api = find_api(request.path)
        request.api = api.api if match else ""
        answer = api(self, conn, request)
        try:
            check_request(request, api, match, self)
        except Refused as e:
            self.invalid.append((request, str(e)))
            await answer.plain(e.status, {}, answer.error_body(e.status, str(e)))
            return
        match, steps = self.find(request.conversation)
        await answer.run(Texts(request.conversation, match), steps, STEPS)


def main():
    parser = argparse.ArgumentParser(description="A model by script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--scenarios", default=DEFAULT_SCENARIOS)
    options = parser.parse_args()
    with ScriptedModel(options.scenarios, options.port) as model:
        print(model.port, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
