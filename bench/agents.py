#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What agents cost beside text: tool calls, forks, and turns that wait for a human.

    bench/agents.py [tools] [fork] [parked]     (default: all)

On the end-to-end tests' installation: two workers, a private Redis with AOF, nginx, and a scripted model. Prints a
line per figure, and ok or SHORT.
"""

import contextlib
import json
import os
import re
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from stack import Stack, wait_for  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
FIVE = [{"match": "^five$", "round": 0, "steps": [{"call": "todo_read"}] * 5}, {"match": "^ask$", "round": 0, "steps": [{"call": "todo_read"}]},
        {"match": ".", "steps": [{"text": "ok"}]}]
short = []


def say(what, figure, asked, ok):
    print(f"{'ok   ' if ok else 'SHORT'} {what}: {figure} (asked: {asked})", flush=True)
    short.extend([] if ok else [what])


def cpu_ms(stack):
    total = 0
    for pid in stack.workers():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / TICK


def memory_kib(stack):
    """What the workers hold for themselves."""
    total = 0
    for pid in stack.workers():
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += sum(int(n) for n in re.findall(r"Private_(?:Clean|Dirty): +(\d+)", f.read()))
    return total


def threads(stack):
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in stack.workers())


def per_turn(stack, message, count=300):
    """CPU of the pool for a turn, all of it: request, viewer, model, tools."""
    agents = [stack.user().agent(tools=["todo_read"]) for _ in range(10)]

    def run(agent):
        for _ in range(count // 10):
            agent.ask(message)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda a: a.ask(message), agents))
        before = cpu_ms(stack)
        list(pool.map(run, agents))
        return (cpu_ms(stack) - before) / count


def tools(stack):
    with_calls, without = per_turn(stack, "five"), per_turn(stack, "hello")
    say("a turn of 5 tool calls, the pool's CPU", f"{with_calls:.2f} ms, of which a turn without calls is {without:.2f}",
        "at most 3 ms", with_calls <= 3)


def fill(stack, agent, megabytes):
    """A long history, put into Redis as turns would have."""
    client = stack.redis()
    tail = client.hget(agent.key("info"), "tail").decode()
    key = f"af:{{{agent.id[4:10]}}}:seg:{tail}"
    text = "so it was said " * 70
    for start in range(0, megabytes * 1000, 100):
        docs = [json.dumps({"id": f"msg_{i:026}", "turn": f"trn_{i // 2:026}", "time": 1, "role": "assistant" if i % 2 else "user",
                            "content": [{"type": "text", "text": text[:900]}]}, separators=(",", ":")) for i in range(start, start + 100)]
        client.rpush(key, *docs)
    return client.memory_usage(key, samples=0)


def fork(stack):
    took, written = {}, {}
    for megabytes in (1, 10):
        agent = stack.user().agent()
        size = fill(stack, agent, megabytes)
        times = []
        before = stack.redis().info("persistence")["aof_current_size"]
        for _ in range(50):
            begin = time.monotonic()
            got = agent.user.post(f"{agent.path}/fork", {})
            times.append((time.monotonic() - begin) * 1000)
            assert got.status == 201
        written[megabytes] = (stack.redis().info("persistence")["aof_current_size"] - before) / 50
        took[megabytes] = statistics.median(times)
    say(f"fork of an agent with {size / 1e6:.0f} MB of history, the whole request, median of 50",
        f"{took[10]:.2f} ms, with a tenth of it {took[1]:.2f}", "under 5 ms", took[10] < 5)
    say("fork: bytes written to Redis", f"{written[10]:.0f}, with a tenth of the history {written[1]:.0f}", "the same",
        abs(written[10] - written[1]) < 16)


def parked(stack):
    count = 1000
    ask = {"mode": "approval"}
    user = stack.user()

    def start(_):
        agent = user.agent(tools=["todo_read"], permission=ask)
        agent.say("ask")
        return agent

    def all_parked(agents):
        return all(a.lease() is None for a in agents)

    with ThreadPoolExecutor(8) as pool:
        warm = list(pool.map(start, range(100)))
        wait_for(lambda: all_parked(warm), 20, "not parked")
        before, threads_before = memory_kib(stack), threads(stack)
        agents = list(pool.map(start, range(count)))
        wait_for(lambda: all_parked(agents), 60, "not parked")
    time.sleep(11)  # turn threads leave after ten idle seconds
    each = (memory_kib(stack) - before) / count
    say(f"{count} turns that wait for a human: the pool's memory for each", f"{each:.2f} KiB", "at most 4 KiB", each <= 4)
    say(f"{count} turns that wait for a human: threads more", f"{threads(stack) - threads_before}", "none", threads(stack) <= threads_before)


def main():
    wanted = sys.argv[1:] or ["tools", "fork", "parked"]
    with contextlib.closing(Stack(scenarios=FIVE, conf={"limits.agents_per_user": "0"})) as stack:
        for name in wanted:
            globals()[name](stack)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
