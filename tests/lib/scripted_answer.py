# SPDX-License-Identifier: MIT
"""An answer of the scripted model, as HTTP.

What an API does in its own way is in a class made of Answer, one file for
each: scripted_anthropic.py, scripted_chat.py, scripted_responses.py and
scripted_gemini.py. The steps of a script call the methods of the first part
of it; the second is written by those classes.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field

FLUSH_BYTES = 16 << 10

# The word of a script's error step, and the status that means the same.
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

# What stands for something that the API could not take at its place.
NOTE = re.compile(r"\[(from the result of|an image that|a document that) ")


class Refused(Exception):
    """The request is not one that the API would take."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Gone(Exception):
    """The client closed, or the script did."""


@dataclass
class Said:
    """A message of a conversation, whichever the API. One with results is not of the user's, but of his tools."""

    role: str  # user, model
    texts: list = field(default_factory=list)
    results: list = field(default_factory=list)  # texts of the results


def need(ok, text, status=400):
    if not ok:
        raise Refused(status, text)


def objects(value):
    """The objects in what should be a list of them."""
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def part_texts(content):
    """The texts of a content: a text, or parts."""
    if isinstance(content, str):
        return [content]
    return [p["text"] for p in objects(content) if isinstance(p.get("text"), str)]


def own_texts(content):
    """The same without notes."""
    return [t for t in part_texts(content) if not NOTE.match(t)]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pieces(text, by):
    if by == "whole":
        return [text] if text else []
    if by == "char":
        return list(text)
    return re.findall(r"\s*\S+\s*|\s+", text)


def is_object(text):
    """Whether arguments are whole."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


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
        self.index = 0  # of the block
        self.words = {"text": 0, "thinking": 0}
        self.stop_reason = "end_turn"
        self.usage = {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }

    async def run(self, texts, steps, table):
        """Plays the steps of a request that is valid."""
        self.texts = texts
        self.key = compact(self.request.body[self.history])
        self.usage["input_tokens"] = len(re.findall(r"\w+", self.key))
        for step in steps:
            kind = next(name for name in step if name in table)
            if await table[kind](self, step):
                return
        await self.finish()

    # -- bytes

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
                f"{self.id_header}: req_{self.request.number:08d}\r\n"
                "Transfer-Encoding: chunked\r\n"
                "Connection: keep-alive\r\n\r\n").encode()
        if data:
            self.out += b"%x\r\n%b\r\n" % (len(data), data)
        if len(self.out) >= FLUSH_BYTES:
            await self.flush()

    async def data(self, value, before="", padding="", end="\n\n"):
        """An event."""
        await self.add(f"{before}data: {compact(value)}{padding}{end}".encode())
        self.request.events += 1

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
                 self.id_header: f"req_{self.request.number:08d}", **headers}
        head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self.request.status = status
        self.request.end("complete")
        self.out += (f"HTTP/1.1 {status} Scripted\r\n{head}"
                     f"Content-Length: {len(data)}\r\n\r\n").encode() + data
        await self.flush()

    # -- what steps do

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
            self.words[kind] += 1

    async def call(self, step):
        raw = step.get("raw")
        if raw is None:
            raw = compact(self.texts.expand_all(step.get("input", {})))
        await self.close_block()
        await self.start()
        size = step.get("bytes", len(raw) or 1)
        parts = [raw[i:i + size] for i in range(0, len(raw), size)]
        await self.write_call(step.get("id"), step["call"], parts)
        if self.stop_reason == "end_turn":
            self.stop_reason = "tool_use"

    async def fail(self, kind, message):
        """An error inside the stream, by the word of Anthropic's."""
        status = next((s for s, t in ERROR_TYPES.items() if t == kind), 500)
        await self.write_error(self.error_body(status, message))
        await self.end_body()

    def counted(self):
        """(input with what was cached, cached, output, output that was thought)"""
        usage = {"output_tokens": max(1, sum(self.words.values())), **self.usage}
        cached = usage["cache_read_input_tokens"]
        return (usage["input_tokens"] + cached + usage["cache_creation_input_tokens"], cached,
                usage["output_tokens"], min(self.words["thinking"], usage["output_tokens"]))

    # -- what an API has of its own

    api = ""
    history = "messages"  # the member with the conversation
    id_header = "x-request-id"

    @staticmethod
    def check(request, match, model):
        """Raises Refused if the API would not take the headers or the body; match is that of the path,
        model the ScriptedModel."""
        raise NotImplementedError

    @staticmethod
    def conversation(body):
        """Whose messages there are, as a list of Said."""
        raise NotImplementedError

    @staticmethod
    def error_body(status, text):
        raise NotImplementedError

    async def start(self):
        """The events before the first block, once."""
        raise NotImplementedError

    async def ping(self):
        await self.start()
        await self.add(b": keep-alive\n\n")

    async def open_block(self, kind):
        """Text or thinking, unless that is open."""
        raise NotImplementedError

    async def close_block(self):
        raise NotImplementedError

    async def delta(self, kind, text):
        raise NotImplementedError

    async def sign(self, signature):
        """What was thought, which is the open block."""

    async def write_call(self, call_id, name, parts):
        """A whole call; call_id None: one is made."""
        raise NotImplementedError

    async def write_error(self, body):
        raise NotImplementedError

    async def finish(self):
        raise NotImplementedError


def check_bearer(request):
    need(re.fullmatch(r"Bearer \S+", request.headers.get("authorization", "")),
         "You didn't provide an API key", 401)


def openai_error(status, text):
    """The error body of both APIs of OpenAI's."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 402: "insufficient_quota",
             503: "service_unavailable_error", 529: "service_unavailable_error"}
    codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded", 402: "insufficient_quota"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": text, "type": kind, "param": None, "code": codes.get(status)}}


def refuse(complaints):
    need(not complaints, "; ".join(complaints))
