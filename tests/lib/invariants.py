# SPDX-License-Identifier: MIT
"""What must hold of a stack at rest, whatever happened to it before (the promises of docs/design.md).

    Invariants(stack).check(agents, messages, viewers)

messages have agent, turn, words and reason: what was accepted, and how it ended; viewers agent, first (the
cursor with which it began) and events. Everything is looked up in Redis and by HTTP, and compared.
"""

import json
import subprocess
import time
from collections import Counter

from stack import BINARY, event_id, text_of, wait_for

COUNTS = {"input": "input", "output": "output", "cached": "cached"}
BY_ITSELF = ("idem",)  # run out


def uses_of(message):
    return [b["id"] for b in message["content"] if b["type"] == "tool_use"]


def results_of(message):
    return [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]


class Invariants:
    def __init__(self, stack):
        self.stack, self.redis = stack, stack.redis()
        self.prefix = stack.conf.get("store.prefix", "af:")
        self.used = {}  # name of a user -> counts of token_usage, of agents that are gone too
        self.users = {}
        self.agents = self.events = self.messages = 0

    def check(self, agents, messages=(), viewers=()):
        for agent in agents:
            agent.wait_idle(30)
        for agent in agents:
            self.agent(agent, [m for m in messages if m.agent is agent], [v for v in viewers if v.agent is agent])
        self.usage()
        self.nothing_at_work()
        self.no_key_alone()
        self.audit_log()

    # -- of an agent

    def agent(self, agent, messages, viewers):
        """All of an agent that is idle."""
        log = self.log(agent)
        history = self.history(agent)
        self.accepted(agent, messages, log, history)
        self.valid(agent, history)
        self.replay(agent, log, viewers)
        self.add_usage(agent, log)
        assert self.redis.get(agent.key("lease")) is None, f"{agent.id} has a lease and nothing to do"
        assert self.redis.llen(agent.key("inbox")) == 0, f"{agent.id} has messages that nobody takes"
        self.agents += 1
        self.events += len(log)
        self.messages += len(history)

    @staticmethod
    def log(agent):
        """Ids only grow, and none comes twice."""
        log = agent.log()
        ids = [event_id(i) for i, _ in log]
        assert ids == sorted(set(ids)), f"{agent.id}: ids do not grow: {ids}"
        return [json.loads(text) for _, text in log]

    @staticmethod
    def history(agent):
        messages = []
        while True:
            got = agent.user.get(f"{agent.path}/messages?limit=500&from={len(messages)}")
            assert got.status == 200, got
            messages += got.json["messages"]
            if "next" not in (got.headers["Link"] or ""):
                return messages

    @staticmethod
    def accepted(agent, messages, log, history):
        """Each message is in the history once, in a turn of its own that is done once; no turn is anybody else's."""
        said = Counter(text_of(m["content"]) for m in history if m["role"] == "user")
        dones = Counter(e["turn"] for e in log if e["kind"] == "done")
        began = Counter(e["turn"] for e in log if e["kind"] == "message_accepted")
        for m in messages:
            assert said[m.words] == 1, (f"{agent.id}: {m.words!r} is {said[m.words]} times in the history; "
                                        f"of {m.turn} the log has {[e for e in log if e['turn'] == m.turn]}")
            assert dones[m.turn] == 1, f"{agent.id}: the turn of {m.words!r} is {dones[m.turn]} times done"
            assert began[m.turn] == 1, f"{agent.id}: {m.words!r} is {began[m.turn]} times accepted"
            reason = next(e["reason"] for e in log if e["kind"] == "done" and e["turn"] == m.turn)
            assert m.reason == reason, f"{agent.id}: {m.turn} ended with {reason}, its viewer saw {m.reason}"
            shown, kept = shown_text(log, m.turn), kept_text(history, m.turn)
            assert reason == "error" or shown == kept != "", f"{agent.id}: {m.turn} showed {shown!r}, and the history has {kept!r}"
        turns = {m.turn for m in messages}
        assert len(turns) == len(messages), f"{agent.id}: two messages, one turn"
        if messages:
            assert set(dones) == turns, f"{agent.id}: turns that nobody asked for: {set(dones) - turns}"

    @staticmethod
    def valid(agent, history):
        """Roles take turns, and each tool_use has its one tool_result in the message behind it."""
        for n, m in enumerate(history):
            uses = uses_of(m)
            behind = results_of(history[n + 1]) if n + 1 < len(history) else []
            assert uses == behind and len(set(uses)) == len(uses), f"{agent.id}: message {n}: {uses} are answered by {behind}"
            assert not results_of(m) or uses_of(history[n - 1]), f"{agent.id}: message {n} has results of nothing"
        records = agent.tool_calls() if history else []
        open_calls = [c for c in records if c["state"] not in ("COMPLETED", "FAILED", "SEALED", "DENIED")]
        assert not open_calls, f"{agent.id}: {open_calls}"

    @staticmethod
    def replay(agent, log, viewers):
        """Whoever watched has seen what is replayed: all of it from where it began, in order, and nothing else."""
        again = []
        with agent.events("0-0") as stream:
            while len(again) < len(log):
                again.append(stream.expect().json)
        assert again == log, f"{agent.id}: the log and its replay differ"
        for v in viewers:
            expected = [e for e in log if v.first and event_id(e["id"]) > event_id(v.first)]
            if v.events != expected:
                where = next((n for n, pair in enumerate(zip(v.events, expected)) if pair[0] != pair[1]), min(len(v.events), len(expected)))
                raise AssertionError(f"{agent.id} from {v.first} on: event {where} of {len(expected)}: "
                                     f"saw {v.events[where:where + 2]}, not {expected[where:where + 2]}")

    # -- of all

    def add_usage(self, agent, log):
        self.users[agent.user.name] = agent.user
        used = self.used.setdefault(agent.user.name, Counter())
        for e in log:
            if e["kind"] == "token_usage":
                used.update({"calls": 1, **{to: e.get(of, 0) for of, to in COUNTS.items()}})

    def usage(self):
        """What users are counted is what the events say."""
        for name, used in self.used.items():
            days = self.users[name].get("/api/usage?days=3").json["days"]
            counted = {k: sum(d[k] for d in days) for k in ("calls", *COUNTS.values())}
            for day in self.days_to_come(name):  # the pool's clock was ahead
                for k in counted:
                    counted[k] += sum(int(n) for field, n in self.redis.hgetall(day).items() if field.startswith(k.encode() + b":"))
            assert counted == {k: used[k] for k in counted}, f"{name}: counted {counted}, said {dict(used)}"

    def days_to_come(self, name):
        today = time.strftime("%Y-%m-%d", time.gmtime())
        return [k for k in self.redis.scan_iter(f"af:user:{name}:usage:????-??-??", 1000) if k.decode().rpartition(":")[2] > today]

    def nothing_at_work(self):
        """No lease, nobody in the queue, no turn that counts."""
        for key in ("leases", "queue", "queue:users"):
            wait_for(lambda key=key: self.redis.zcard(self.prefix + key) == 0, 10,
                     lambda key=key: f"left in {key}: {self.redis.zrange(self.prefix + key, 0, -1)}")
        for kind in ("turns", "streams"):
            for key in self.redis.scan_iter(f"{self.prefix}{{limits}}:{kind}:*"):
                wait_for(lambda key=key: self.counted(key) == 0, 30, lambda key=key: f"counted: {self.redis.zrange(key, 0, -1)}")

    def counted(self, key):
        seconds, micros = self.redis.time()
        return self.redis.zcount(key, seconds * 1000 + micros // 1000, "+inf")

    def no_key_alone(self):
        """Every key of an agent has its agent, every segment those that refer to it, every agent its user."""
        listed = {a.decode() for key in self.redis.scan_iter(f"{self.prefix}user:*:agents", 1000) for a in self.redis.zrange(key, 0, -1)}
        for raw in self.redis.scan_iter(f"{self.prefix}{{*}}:*", 1000):
            key = raw.decode()
            base, _, part = key.partition("}:")
            kind, *_more = part.split(":")
            if kind in ("turns", "streams", "requests", "chats"):
                continue  # of limits
            if kind == "seg":
                self.segment(key)
                continue
            name = part.split(":")[1]
            if name in BY_ITSELF:
                assert self.redis.ttl(key) != -1, f"{key} stays for ever"
                continue
            assert self.redis.exists(f"{base}}}:{kind}:info"), f"{key} has no agent"
            assert name != "info" or kind in listed, f"{key} is in nobody's list"

    def audit_log(self):
        """Nobody has touched it, so it is whole, in Redis and in its file."""
        file = self.stack.conf.get("audit.file")
        for words in [[], [file]] if file else [[]]:
            run = subprocess.run([BINARY, "-c", self.stack.path("agent-fpm.conf"), "audit", "verify", *words], env=self.stack.pool_env(),
                                 capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"audit verify {words}: {run.stdout[-2000:]}{run.stderr}"

    def segment(self, key):
        if key.endswith(":refs"):
            for holder in self.redis.smembers(key):
                assert self.redis.exists(holder + b":info"), f"{key}: {holder} is gone"
        else:
            assert self.redis.scard(f"{key}:refs") > 0, f"{key} belongs to nobody"

    def __str__(self):
        return f"{self.agents} agents, {self.events} events, {self.messages} messages are as they must be"


def shown_text(log, turn):
    """The text of a turn as its viewers have it at the end."""
    steps = {}
    for e in log:
        if e["turn"] == turn and e["kind"] == "text_chunk":
            steps[e["step"]] = steps.get(e["step"], "") + e["text"]
        elif e["turn"] == turn and e["kind"] == "stream_reset":
            steps[e["step"]] = ""
    return "".join(steps[n] for n in sorted(steps))


def kept_text(history, turn):
    return "".join(text_of(m["content"]) for m in history if m["role"] == "assistant" and m["turn"] == turn)
