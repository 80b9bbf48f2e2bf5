# SPDX-License-Identifier: MIT
"""Load for a pool at which something is at fault on purpose: it takes what is right meanwhile, and nothing else.

    with FaultLoad(stack) as load:
        with load.fault(503):
            stack.restart_redis()
    load.check()

Always right: a cut with a cursor, from which the viewer goes on. While a fault lasts, until ten turns in a
row saw nothing of it, also what it names:

    503         an application/problem+json with Retry-After, of ours or, if who was asked went away, of nginx
    BROKEN      connections that are refused or break: nginx itself is away
    NOTICE      an event that is not in the log: viewers are told that the store is away
    ERROR       a turn that ends with reason error

What is right at all times is given as always.

A message that is not accepted is sent again, with its Idempotency-Key, until it is. Each has words of its own,
by which it is found in the history.
"""

import asyncio
import contextlib
import itertools
import json
import re
import secrets
import time

from invariants import Invariants
from load import Load, Turn, Viewer
from stack import wait_for

BROKEN, NOTICE, ERROR = "broken", "notice", "error"
PAUSE_S = 0.05  # before a client comes again
AHEAD = 8  # messages that an agent may have to answer
ACTS = 4  # acts for the audit log at a time

TODOS = [{"id": "1", "title": "hold", "status": "in_progress"}]
SCENARIOS = [
    {"match": r"^say (\d+) ", "steps": [{"text": "${words:${1}}", "pace_ms": 20, "by": "word"}]},
    {"match": "^work ", "round": 0, "steps": [{"text": "${words:3}", "pace_ms": 10, "by": "word"}, {"call": "todo_write", "input": {"todos": TODOS}},
                                              {"call": "todo_read"}]},
    {"match": "^work ", "steps": [{"text": "so: ${words:4}", "by": "word"}]},
]
FILES = [
    {"match": "^files ", "round": 0, "steps": [{"call": "fs_write", "input": {"path": "a.txt", "content": "hello"}}]},
    {"match": "^files ", "steps": [{"text": "it is written", "by": "word"}]},
]
BAD = {  # what the model does to every call for a moment
    "refuses": [{"match": "", "steps": [{"status": 529, "body": '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'}]}],
    "stalls": [{"match": "", "steps": [{"text": "w1 w2 "}, {"stall": True}]}],
    "cuts": [{"match": "", "steps": [{"text": "w1 w2 "}, {"cut": True}]}],
    "garbage": [{"match": "", "steps": [{"text": "w1 "}, {"garbage": "data: {\"type\": nonsense}\n\n"}]}],
}
TOOLS = ["todo_read", "todo_write"]
MESSAGES = ("say 8", "say 3", "work")


class Witness(Viewer):
    """A viewer that remembers what it saw, until its agent is given up."""

    def __init__(self, load, agent):
        super().__init__(load, agent)
        self.events, self.over = [], False

    async def follow(self):
        while not self.load.over and not self.over:
            await self.load.stream(f"{self.agent.path}/events", self.agent, self)
            self.cuts += not self.load.over

    def take(self, cursor, data):
        super().take(cursor, data)
        if data is not None:
            self.events.append(data)


class Message(Turn):
    """A message that is sent until it is accepted, and its turn."""

    def __init__(self, load, agent, words):
        super().__init__(load, agent)
        self.key = secrets.token_hex(8)
        self.words, self.errors, self.tries, self.at = f"{words} {self.key}", [], 0, 0

    async def run(self):
        begin = time.monotonic()
        self.load.act_once(self.agent)
        while self.cursor is None and not self.load.failures:
            self.tries += 1
            await self.load.stream(f"{self.agent.path}/chat", self.agent, self, body={"message": self.words},
                                   headers=[f"Idempotency-Key: {self.key}"])
        while self.reason is None and not self.load.failures:
            await self.load.stream(f"{self.agent.path}/events", self.agent, self)
        self.load.ended(self, time.monotonic() - begin)

    def take(self, cursor, data):
        if data is not None and data["kind"] == "error" and data["turn"] == self.turn:
            self.errors.append(data)
        super().take(cursor, data)


class FaultLoad(Load):
    watcher = Witness

    def __init__(self, stack, viewers=16, turns_per_second=12, agents=8, users=4, messages=MESSAGES, tools=TOOLS, agent=None, user=None, always=()):
        super().__init__(stack, viewers, turns_per_second, agents, users, user, agent or {"tools": tools})
        self.messages = itertools.cycle(messages)
        self.always, self.right, self.unavailable = always, set(), {}  # what is right, what is now; how often it came
        self.running, self.acting = set(), set()

    def turn(self, agent):
        if sum(m.agent is agent for m in self.running) >= AHEAD:
            return None  # or those that wait fill its inbox
        message = Message(self, agent, next(self.messages))
        self.running.add(message)
        return message

    # -- in the thread

    async def stream(self, path, agent, taker, body=None, headers=()):
        before = sum(self.unavailable.values())
        await super().stream(path, agent, taker, body, headers)
        if sum(self.unavailable.values()) > before:
            await asyncio.sleep(PAUSE_S)

    def act_once(self, agent):
        """Beside what it does; a few at a time."""
        if len(self.acting) < ACTS:
            self.acting.add(task := asyncio.create_task(self.act(agent)))
            task.add_done_callback(self.acting.discard)

    async def act(self, agent):
        """Something for the audit log. What comes of it is not counted; what is on record must be whole."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.stack.http_port)
            body = b'{"name": "another"}'
            head = [f"PATCH {agent.path} HTTP/1.0", "Host: localhost", f"Authorization: Bearer {agent.user.token}", "Content-Type: application/json",
                    f"Content-Length: {len(body)}", "", ""]
            writer.write("\r\n".join(head).encode() + body)
            status = await reader.readline()
            if status and int(status.split()[1]) not in (200, 403, 503):  # 403: it was deleted meanwhile
                self.failed(f"PATCH {agent.path}: {status}")
            writer.close()

    def _came(self, what, shown):
        """One of those that are right at times."""
        if what in self.right or what in self.always:
            self.unavailable[what] = self.unavailable.get(what, 0) + 1
        else:
            self.failed(shown)

    def broken(self, path, why):
        self._came(BROKEN, f"{path}: {why!r}")

    def refused(self, path, status, answer):
        shown = f"{path}: {status} {answer}"
        code = int(status.split()[1]) if status.startswith(b"HTTP/") else None
        if code is None:
            return self._came(BROKEN, shown)
        if code == 503:
            head, _, body = answer.partition(b"\r\n\r\n")
            head = head.lower()
            if not re.search(rb"^retry-after: [1-9]", head, re.M) or b"application/problem+json" not in head or not json.loads(body)["error"]:
                return self.failed(f"no such 503 as is agreed on: {shown}")
        return self._came(code, shown)

    def noticed(self, path, notice):
        if notice["kind"] != "error" or "id" in notice:
            return self.failed(f"{path}: {notice}")
        return self._came(NOTICE, f"{path}: a notice: {notice}")

    def ended(self, message, seconds):
        self.times.append(seconds)
        self.running.discard(message)
        if message.reason == "error":
            self._came(ERROR, f"{message.agent.id}: {message.turn}: {message.errors}")

    # -- for the test

    def have_ended(self, messages, seconds=30):
        wait_for(lambda: self.failures or not any(m in self.running for m in messages), seconds,
                 lambda: f"they do not end: {[(m.words, m.turn, m.cursor) for m in messages if m in self.running]}")
        self.is_well()

    @contextlib.contextmanager
    def fault(self, *right, seconds=30):
        """While something is at fault, and until nothing of it is to be seen any more."""
        self.more(5, seconds)
        self.right = set(right)
        yield
        self.have_ended(list(self.running), seconds)
        wait_for(lambda: self._calm(seconds), seconds, "what is at fault does not end")
        self.right = set()

    def _calm(self, seconds):
        """Whether nothing but what is always right came while ten turns ended, and all that ran with them."""
        before = sum(self.unavailable.values())
        self.more(10, seconds)
        self.have_ended(list(self.running), seconds)
        return sum(self.unavailable.values()) == before

    def is_well(self):
        assert not self.failures, (len(self.failures), self.failures[:5])

    def check(self, invariants=None):
        """What must hold when all is over. invariants: those that knew earlier agents of these users."""
        assert not self._thread.is_alive(), "the load does not end"
        self.is_well()
        assert self.unfinished == 0, f"{self.unfinished} turns are not done: {[(m.words, m.turn) for m in self.running]}"
        invariants = invariants or Invariants(self.stack)
        invariants.check(self.agents, self.turns, self.viewers)
        reasons = [t.reason for t in self.turns]
        print(f"{len(self.turns)} turns, {reasons.count('error')} of them failed, {sum(t.tries - 1 for t in self.turns)} sent again, "
              f"{sum(v.cuts for v in self.viewers)} cuts of {len(self.viewers)} viewers, meanwhile {self.unavailable}, "
              f"longest {max(self.times):.2f} s; {invariants}")
