# SPDX-License-Identifier: MIT
"""The soak's own tests: that it runs, and that what it relies on, the checker of invariants, sees what is wrong."""

import json
import os
import re
import subprocess
import sys

import pytest
from fault_load import SCENARIOS, FaultLoad
from invariants import Invariants
from stack import Stack
from waiting import ROOT, scaled


def test_a_short_one():
    """As long as it takes to try a few faults, with a crowd."""
    got = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "soak.py"), "--minutes", "0.3", "--rate", "15", "--agents", "8",
                          "--lifetime", "10", "--pause", "1", "--seed", "1", "--crowd", "50"],
                         capture_output=True, text=True, timeout=scaled(150), check=False)
    assert got.returncode == 0, got.stdout[-3000:] + got.stderr[-3000:]
    assert "are as they must be" in got.stdout
    assert int(re.search(r"a crowd of (\d+) turns", got.stdout)[1]) > 100


@pytest.fixture(scope="module")
def at_rest():
    """A stack after some load, and a way to check it."""
    with Stack(workers=2, scenarios=SCENARIOS) as stack:
        with FaultLoad(stack, viewers=4, agents=4) as load:
            load.more(24)
        load.check()
        yield stack.redis(), load.agents[0], lambda: Invariants(stack).check(load.agents, load.turns, load.viewers)


def segment(redis, agent):
    return f"{agent.key('').split(':agt_')[0]}:seg:{redis.hget(agent.key('info'), 'tail').decode()}"


def twice_in_the_history(redis, agent):
    key = segment(redis, agent)
    redis.rpush(key, redis.lindex(key, 0))
    return lambda: redis.rpop(key)


def not_in_the_history(redis, agent):
    key = segment(redis, agent)
    first = redis.lpop(key)
    return lambda: redis.lpush(key, first)


def a_call_without_result(redis, agent):
    key = segment(redis, agent)
    docs = redis.lrange(key, 0, -1)
    place = next(n for n, d in enumerate(docs) if any(b["type"] == "tool_result" for b in json.loads(d)["content"]))
    doc = json.loads(docs[place])
    doc["content"].pop()
    redis.lset(key, place, json.dumps(doc))
    return lambda: redis.lset(key, place, docs[place])


def an_event_is_missing(redis, agent):
    redis.xdel(agent.key("events"), agent.log_entries()[-2][0])
    return lambda: None  # there is no way to put it back: this is the last


def a_lease_is_left(redis, agent):
    redis.set(agent.key("lease"), "1:x:y")
    return lambda: redis.delete(agent.key("lease"))


def work_is_counted(redis, agent):
    redis.zadd("af:leases", {"somebody": 1e15})
    return lambda: redis.zrem("af:leases", "somebody")


def usage_is_counted_twice(redis, agent):
    key = next(redis.scan_iter(f"af:user:{agent.user.name}:usage:????-??-??"))
    field = next(f for f in redis.hkeys(key) if f.startswith(b"output:"))
    redis.hincrby(key, field, 1)
    return lambda: redis.hincrby(key, field, -1)


def a_key_alone(redis, agent):
    key = agent.key("tools").replace(agent.id[10:], "0" * len(agent.id[10:]))
    redis.hset(key, "a", "b")
    return lambda: redis.delete(key)


def a_segment_alone(redis, agent):
    key = segment(redis, agent) + "x"
    redis.rpush(key, "{}")
    return lambda: redis.delete(key)


@pytest.mark.parametrize("damage, says", [
    (twice_in_the_history, "2 times in the history"), (not_in_the_history, "0 times in the history"), (a_call_without_result, "are answered by"),
    (a_lease_is_left, "has a lease"), (work_is_counted, "left in leases"), (usage_is_counted_twice, "counted"), (a_key_alone, "has no agent"),
    (a_segment_alone, "belongs to nobody"), (an_event_is_missing, "saw|done|showed"),
])
def test_the_checker_sees(at_rest, damage, says):
    redis, agent, check = at_rest
    mend = damage(redis, agent)
    with pytest.raises(AssertionError, match=says):
        check()
    mend()
