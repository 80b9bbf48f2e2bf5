#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model that says what its script says, over real HTTP.

It answers POST /v1/messages on 127.0.0.1 with an Anthropic Messages stream,
refuses requests that the real API would refuse, and remembers every request
and every connection that the client closed early. It needs nothing but the
standard library.

From a test:

    with ScriptedModel() as model:              # or a path, a dict, a list
        ...  model.url, model.port
        model.requests[-1].body["messages"]     # what was asked
        model.invalid                           # what was refused, with why
        model.connections.open, .accepted       # now, ever
        model.closes[-1].ended_at               # time.monotonic() of a hang-up
        model.wait_for(lambda: model.closes, 1) # poll with a deadline

By hand: scripted_model.py --port 0 [--scenarios FILE]; the first line that
it prints is the port.


Scenarios
=========

A file, which the built-in model `script` reads as well:

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
    {"ping": true}      a ping event.
    {"error": {"type": T, "message": T}}
        An error event inside the 200 stream, which ends there, properly.
    {"status": 529, "headers": {}, "body": {}, "times": K}
        Answers with this status, and no stream, if it stands before anything
        was sent. body may be left out (a fitting Anthropic error) or be a
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
    {"usage": {...}}    "measured": true makes input_tokens of the request's length; else members for the usage of message_delta; what comes
                        before the first output is in message_start too.

Headers and message_start are sent with the first output. So a wait or stall
in front delays the status line; put {"ping": true} before it if the client
shall see the 200 first. An error event in front comes without message_start.

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
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_SCENARIOS = os.path.join(HERE, "scenarios.json")
FALLBACK = {"match": "", "steps": [{"text": "echo: ${last}"}]}

HEAD_MAX = 64 << 10
BODY_MAX = 32 << 20
WORDS_MAX = 1_000_000
FLUSH_BYTES = 16 << 10

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Refused(Exception):
    """The request is not one that the API would take."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Gone(Exception):
    """The client closed, or the script did."""


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

    def end(self, how):
        if not self.ended:
            self.ended_at = time.monotonic()
            self.ended = how

    @property
    def last(self):
        """The last user text."""
        return "".join(user_texts(self.body)[-1:])


@dataclass
class Connections:
    open: int = 0
    accepted: int = 0


# ---------------------------------------------------------------------------
# What the API accepts

BODY_MEMBERS = {
    "model", "max_tokens", "messages", "system", "stream", "tools",
    "tool_choice", "thinking", "output_config", "stop_sequences",
    "cache_control", "metadata", "service_tier", "container",
    "inference_geo", "temperature", "top_p", "top_k",
}


def need(ok, text, status=400):
    if not ok:
        raise Refused(status, text)


def is_text(value):
    return isinstance(value, str) and value.strip() != ""


def check_text(block, at):
    need(is_text(block.get("text")),
         f"{at}: text content blocks must contain non-whitespace text")


def check_source(block, at):
    source = block.get("source")
    need(isinstance(source, dict) and
         source.get("type") in ("base64", "url", "file", "text", "content"),
         f"{at}.source: invalid")


def check_tool_use(block, at):
    for name in ("id", "name"):
        need(isinstance(block.get(name), str) and
             re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block[name]),
             f"{at}.{name}: invalid")
    need(isinstance(block.get("input"), dict),
         f"{at}.input: must be an object")


def check_tool_result(block, at):
    need(isinstance(block.get("tool_use_id"), str),
         f"{at}.tool_use_id: field required")
    content = block.get("content", "")
    need(isinstance(content, (str, list)), f"{at}.content: invalid")
    if isinstance(content, list):
        for i, part in enumerate(content):
            need(isinstance(part, dict) and
                 part.get("type") in ("text", "image", "document"),
                 f"{at}.content.{i}: invalid")


def check_thinking(block, at):
    need(isinstance(block.get("thinking"), str),
         f"{at}.thinking: field required")
    need(isinstance(block.get("signature"), str) and block["signature"],
         f"{at}.signature: field required")


def check_redacted(block, at):
    need(isinstance(block.get("data"), str), f"{at}.data: field required")


# type -> (who may say it, check)
BLOCKS = {
    "text": (("user", "assistant"), check_text),
    "image": (("user",), check_source),
    "document": (("user",), check_source),
    "tool_use": (("assistant",), check_tool_use),
    "tool_result": (("user",), check_tool_result),
    "thinking": (("assistant",), check_thinking),
    "redacted_thinking": (("assistant",), check_redacted),
}


def check_block(block, role, at):
    need(isinstance(block, dict), f"{at}: must be an object")
    kind = block.get("type")
    need(isinstance(kind, str) and kind in BLOCKS,
         f"{at}.type: unknown block type {kind!r}")
    roles, check = BLOCKS[kind]
    need(role in roles, f"{at}: `{kind}` blocks are not allowed for {role}")
    check(block, at)


def check_message(message, at):
    need(isinstance(message, dict), f"{at}: must be an object")
    role, content = message.get("role"), message.get("content")
    need(role in ("user", "assistant"), f"{at}.role: invalid")
    need(set(message) <= {"role", "content"}, f"{at}: extra members")
    if isinstance(content, str):
        need(content.strip(), f"{at}.content: must not be empty")
        return role, [{"type": "text", "text": content}]
    need(isinstance(content, list) and content,
         f"{at}.content: must be a non-empty array or string")
    for i, block in enumerate(content):
        check_block(block, role, f"{at}.content.{i}")
    return role, content


def check_results(i, calls, blocks):
    """The user message after an assistant's tool calls."""
    results = [b for b in blocks if b["type"] == "tool_result"]
    ids = [b["tool_use_id"] for b in results]
    need(len(set(ids)) == len(ids),
         f"messages.{i}: more than one tool_result for a tool_use id")
    for one in ids:
        need(one in calls, f"messages.{i}: unexpected `tool_use_id` {one}: "
             "no such tool_use in the previous message")
    missing = [c for c in calls if c not in ids]
    need(not missing, f"messages.{i}: `tool_use` ids were found without "
         f"`tool_result` blocks immediately after: {', '.join(missing)}")
    need(blocks[:len(results)] == results,
         f"messages.{i}: tool_result blocks must come first")


def check_messages(messages):
    need(isinstance(messages, list) and messages,
         "messages: at least one message is required")
    turns, seen = [], set()
    for i, message in enumerate(messages):
        role, blocks = check_message(message, f"messages.{i}")
        if turns and turns[-1][1] == role:
            turns[-1][2].extend(blocks)  # the API merges them
        else:
            turns.append((i, role, list(blocks)))
    need(turns[0][1] == "user", "messages: first message must use the "
         "\"user\" role")
    need(turns[-1][1] == "user", "messages: the conversation must end with "
         "a user message")
    calls = []
    for i, role, blocks in turns:
        if role == "user":
            check_results(i, calls, blocks)
            continue
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        need(len(set(calls)) == len(calls) and not seen & set(calls),
             f"messages.{i}: `tool_use` ids must be unique")
        seen |= set(calls)


def check_system(system):
    if isinstance(system, str):
        return
    need(isinstance(system, list), "system: must be a string or an array")
    for i, block in enumerate(system):
        need(isinstance(block, dict) and block.get("type") == "text",
             f"system.{i}.type: must be text")
        check_text(block, f"system.{i}")


def check_tools(tools):
    need(isinstance(tools, list), "tools: must be an array")
    for i, tool in enumerate(tools):
        need(isinstance(tool, dict) and isinstance(tool.get("name"), str) and
             re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]),
             f"tools.{i}.name: invalid")
        if tool.get("type", "custom") == "custom":
            schema = tool.get("input_schema")
            need(isinstance(schema, dict) and schema.get("type") == "object",
                 f"tools.{i}.input_schema.type: must be object")


def count_markers(value):
    if isinstance(value, dict):
        mine = isinstance(value.get("cache_control"), dict)
        return mine + sum(count_markers(v) for k, v in value.items()
                          if k not in ("input", "input_schema"))
    if isinstance(value, list):
        return sum(count_markers(v) for v in value)
    return 0


def check_body(body):
    need(isinstance(body, dict), "the body must be a JSON object")
    extra = sorted(set(body) - BODY_MEMBERS)
    need(not extra, f"{', '.join(extra)}: extra inputs are not permitted")
    need(is_text(body.get("model")), "model: field required")
    limit = body.get("max_tokens")
    need(isinstance(limit, int) and not isinstance(limit, bool) and limit > 0,
         "max_tokens: a positive integer is required")
    check_messages(body.get("messages"))
    if "system" in body:
        check_system(body["system"])
    if "tools" in body:
        check_tools(body["tools"])
    need(body.get("stream") is True,
         "stream: this model only answers with a stream")
    need(count_markers(body) <= 4,
         "a maximum of 4 blocks with cache_control may be provided")


def no_constant(name):
    raise ValueError(name)


def check_request(request):
    """Raises Refused, or leaves the parsed body in the request."""
    problem = ""
    try:
        request.body = json.loads(request.raw.decode("utf-8"),
                                  parse_constant=no_constant)
    except ValueError as e:
        problem = f"the body is not JSON: {e}"
    path = request.path.partition("?")[0]
    need(path == "/v1/messages", f"{path}: not found", 404)
    need(request.method == "POST", "method not allowed", 405)
    header = request.headers.get
    need(header("x-api-key"), "x-api-key header is required", 401)
    need(header("anthropic-version"), "anthropic-version: header is required")
    need(header("content-type", "").partition(";")[0].strip().lower() ==
         "application/json", "content-type: must be application/json")
    need(not problem, problem)
    check_body(request.body)


# ---------------------------------------------------------------------------
# Scenarios

def user_messages(body):
    messages = body.get("messages") if isinstance(body, dict) else None
    return [m for m in messages or ()
            if isinstance(m, dict) and m.get("role") == "user"]


def message_results(message):
    content = message.get("content")
    return [b for b in content if isinstance(b, dict) and
            b.get("type") == "tool_result"] if isinstance(content, list) else []


def round_of(body):
    """How many answers came since the user said something."""
    count = 0
    for message in reversed(body["messages"]):
        if message["role"] == "assistant":
            count += 1
        elif not message_results(message):
            break
    return count


def result_text(block):
    content = block.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def message_texts(message):
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    if message_results(message):
        return []
    return [b.get("text", "") for b in content or ()
            if isinstance(b, dict) and b.get("type") == "text"]


def user_texts(body):
    """All texts of the user, in order."""
    return [t for m in user_messages(body) for t in message_texts(m)]


class Texts:
    """What ${...} stands for in one request."""

    def __init__(self, body, match):
        texts = user_texts(body)
        self.match = match
        self.names = {
            "last": texts[-1] if texts else "",
            "first": texts[0] if texts else "",
            "count": str(len([m for m in user_messages(body)
                              if not message_results(m)])),
            "results": "\n".join(result_text(b) for b in message_results(
                body["messages"][-1])),
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


def pieces(text, by):
    if by == "whole":
        return [text] if text else []
    if by == "char":
        return list(text)
    return re.findall(r"\s*\S+\s*|\s+", text)


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
# An answer: the steps write events into it

def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Answer:
    def __init__(self, model, conn, request):
        self.model = model
        self.conn = conn
        self.request = request
        self.texts = None
        self.key = ""  # the conversation
        self.out = bytearray()
        self.split = 0
        self.headers_sent = False
        self.message_sent = False
        self.block = None  # "text", "thinking" or None
        self.index = 0
        self.pinged = False
        self.words = 0
        self.stop_reason = "end_turn"
        self.usage = {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }

    async def run(self, match, steps):
        """Plays the steps of a request that is valid."""
        self.texts = Texts(self.request.body, match)
        self.key = compact(self.request.body["messages"])
        self.usage["input_tokens"] = len(re.findall(r"\w+", self.key))
        for step in steps:
            kind = next(name for name in step if name in STEPS)
            if await STEPS[kind](self, step):
                return
        await self.finish()

    async def flush(self):
        data, self.out = bytes(self.out), bytearray()
        size = self.split or len(data) or 1
        for i in range(0, len(data), size):
            await self.conn.write(data[i:i + size])
            if self.split:
                await asyncio.sleep(0)

    async def add(self, data):
        """Body bytes, as one HTTP chunk, with the header before the first."""
        if not self.headers_sent:
            self.headers_sent = True
            self.request.status = 200
            self.out += (
                "HTTP/1.1 200 OK\r\n"
                "Content-Type: text/event-stream; charset=utf-8\r\n"
                "Cache-Control: no-cache\r\n"
                f"request-id: req_{self.request.number:08d}\r\n"
                "Transfer-Encoding: chunked\r\n"
                "Connection: keep-alive\r\n\r\n").encode()
        if data:
            self.out += b"%x\r\n%b\r\n" % (len(data), data)
        if len(self.out) >= FLUSH_BYTES:
            await self.flush()

    async def event(self, kind, padding="", **members):
        data = compact({"type": kind, **members})
        await self.add(f"event: {kind}\ndata: {data}{padding}\n\n".encode())
        self.request.events += 1

    async def start(self):
        if self.message_sent:
            return
        self.message_sent = True
        await self.event("message_start", message={
            "id": f"msg_{self.request.number:08d}", "type": "message",
            "role": "assistant", "model": self.request.body["model"],
            "content": [], "stop_reason": None, "stop_sequence": None,
            "usage": {**self.usage, "output_tokens": 1}})

    async def ping(self):
        await self.start()
        self.pinged = True
        await self.event("ping", padding="      ")

    async def open_block(self, kind):
        if self.block == kind:
            return
        await self.close_block()
        await self.start()
        empty = {"type": kind, kind: ""}
        if kind == "thinking":
            empty["signature"] = ""
        await self.event("content_block_start", index=self.index,
                         content_block=empty)
        self.block = kind
        if not self.pinged:
            await self.ping()

    async def close_block(self):
        if self.block is not None:
            await self.event("content_block_stop", index=self.index)
            self.block = None
            self.index += 1

    async def delta(self, kind, text):
        await self.event("content_block_delta", index=self.index,
                         delta={"type": f"{kind}_delta", kind: text})

    async def say(self, kind, step):
        text = self.texts.expand(step[kind])
        pace = step.get("pace_ms", 0) / 1000
        begin = time.monotonic()
        await self.open_block(kind)
        for i, piece in enumerate(pieces(text, step.get("by", "word"))):
            if pace and i:
                await self.flush()
                await self.conn.pause(begin + i * pace - time.monotonic())
            await self.delta(kind, piece)
            self.request.chars += len(piece)
            self.words += 1

    async def call(self, step):
        raw = step.get("raw")
        if raw is None:
            raw = compact(self.texts.expand_all(step.get("input", {})))
        await self.close_block()
        await self.start()
        number = f"toolu_{self.request.number:08d}_{self.index}"
        await self.event("content_block_start", index=self.index,
                         content_block={"type": "tool_use", "input": {},
                                        "id": step.get("id", number),
                                        "name": step["call"]})
        self.block = "tool_use"
        size = step.get("bytes", len(raw) or 1)
        for i in range(0, len(raw), size):
            await self.event("content_block_delta", index=self.index,
                             delta={"type": "input_json_delta",
                                    "partial_json": raw[i:i + size]})
        await self.close_block()
        if self.stop_reason == "end_turn":
            self.stop_reason = "tool_use"

    async def finish(self):
        await self.start()
        await self.close_block()
        await self.event(
            "message_delta",
            delta={"stop_reason": self.stop_reason, "stop_sequence": None},
            usage={"output_tokens": max(1, self.words), **self.usage})
        await self.event("message_stop")
        await self.end_body()

    async def end_body(self):
        self.out += b"0\r\n\r\n"
        # Before the last byte: who has read it may look at the record.
        self.request.end("complete")
        await self.flush()

    async def plain(self, status, headers, body):
        """A response that is no stream."""
        if not isinstance(body, str):
            body = compact(body)
        data = body.encode()
        lines = {"Content-Type": "application/json",
                 "request-id": f"req_{self.request.number:08d}", **headers}
        head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self.request.status = status
        self.request.end("complete")
        self.out += (f"HTTP/1.1 {status} Scripted\r\n{head}"
                     f"Content-Length: {len(data)}\r\n\r\n").encode() + data
        await self.flush()


def error_body(status, text):
    return {"type": "error",
            "error": {"type": ERROR_TYPES.get(status, "api_error"),
                      "message": text}}


# Each step: an async function; true if the answer ends with it.

async def step_text(answer, step):
    await answer.say("text", step)


async def step_thinking(answer, step):
    await answer.close_block()
    await answer.say("thinking", step)
    if "signature" in step:
        await answer.delta("signature", step["signature"])
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
    await answer.event("error", error=error)
    await answer.end_body()
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
    body = step.get("body", error_body(status, f"scripted {status}"))
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
    measured = {"input_tokens": len(answer.request.raw) // 4} if step["usage"].get("measured") else {}
    answer.usage.update({**measured, **{k: v for k, v in step["usage"].items() if k != "measured"}})


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

    def find(self, body):
        """The match and the steps for a request."""
        texts = user_texts(body)
        said = [m for m in user_messages(body) if not message_results(m)]
        here = "first" if len(said) < 2 else "later"
        now = round_of(body)
        for regex, count, number, steps in self.scenarios:
            match = regex.search(texts[-1] if texts else "")
            if (match is not None and count in (None, here) and
                    number in (None, now)):
                return match, steps
        raise AssertionError("the fallback matches everything")

    async def answer(self, conn, request):
        self.requests.append(request)
        answer = Answer(self, conn, request)
        try:
            check_request(request)
        except Refused as e:
            self.invalid.append((request, str(e)))
            await answer.plain(e.status, {}, error_body(e.status, str(e)))
            return
        await answer.run(*self.find(request.body))


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
