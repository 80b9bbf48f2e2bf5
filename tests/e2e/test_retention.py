# SPDX-License-Identifier: MIT
"""What is dropped when it is too old, and that Redis' memory does not grow without bound."""

import json
import os
import signal
import subprocess
import time

import pytest

from stack import BINARY, event_id, process_state
from test_compaction import CONF, LONG, scenarios
from test_tasks import SCENARIOS as TASKS
from test_tasks import children
from test_tools import LIST, calls
from waiting import scaled, wait_for

SWEEP = {"retention.sweep": "100ms"}


def age(agent, part, ms):
    """Makes the times in a value older, as if it had been written then."""
    redis = agent.stack.redis()
    now = int(time.time() * 1000) - ms
    if part == "info":
        redis.hset(agent.key("info"), "updated", now)
        return
    for call, doc in redis.hgetall(agent.key("tools")).items():
        redis.hset(agent.key("tools"), call, json.dumps({**json.loads(doc), "createdAt": now}, separators=(",", ":")))


def windows(agent):
    return [w.decode() for w in agent.stack.redis().lrange(agent.key("windows"), 0, -1)]


def segments(agent):
    return {s.decode() for s in agent.stack.redis().smembers(agent.key("held"))}


def exists(agent, segment):
    return agent.stack.redis().exists(agent.key("x").rpartition(":")[0].rpartition(":")[0] + f":seg:{segment}")


def test_events(stack_factory):
    """Old ones go, the newest stays; who comes with an old cursor is told of the gap, ids go on growing."""
    stack = stack_factory(workers=2, conf={**SWEEP, "retention.events": "1s"})
    agent = stack.user("ann").agent()
    agent.answer("slow 30")
    agent.wait_idle()
    before = agent.log_ids()
    wait_for(lambda: len(agent.log_entries()) == 1, 20, "the log is not trimmed")
    assert agent.log_ids()[-1] == before[-1]
    with agent.events(last_event_id="1-0") as view:
        assert view.next().kind == "gap"
    assert agent.answer("hello") == "echo: hello"
    assert all(event_id(i) > event_id(before[-1]) for i in agent.log_ids() if i not in before)
    assert "retention: of 1 agents dropped" in stack.log()


def test_tool_outputs_by_template(stack_factory):
    """The template's rule, not the server's: records go, the history stays, and so do others' agents."""
    template = {"tools": ["todo_write"], "permission": {"mode": "auto"}}
    stack = stack_factory(workers=1, scenarios=calls("^plan", {"call": "todo_write", "input": {"todos": LIST}}),
                          templates={"short": {**template, "retention": {"toolOutputs": 60}}, "long": template}, conf=SWEEP)
    user = stack.user("ann")
    agent, other = user.agent(template="short"), user.agent(template="long")
    for a in (agent, other):
        a.answer("plan 1")
        a.wait_idle()
        age(a, "tools", 120_000)
    wait_for(lambda: agent.tool_calls() == [], 10, "the record stays")
    agent.answer("plan 2")
    assert len(agent.tool_calls()) == 1 and len(other.tool_calls()) == 1
    assert len(agent.history()) == 8


def test_windows(stack_factory):
    """The newest stays, with its number; segments go when nobody refers to them: a checkpoint does, and a fork."""
    stack = stack_factory(workers=1, scenarios=scenarios(), conf={**CONF, **SWEEP, "retention.windows": "1"})
    agent = stack.user("ann").agent()
    agent.ask(f"say 0 {LONG}")
    agent.wait_idle()
    first = segments(agent)
    assert agent.user.post(f"{agent.path}/checkpoints", {"label": "c"}).status in (200, 201)
    fork = agent.user.post(f"{agent.path}/fork", {"checkpoint": "c"}).json
    for i in range(1, 12):
        agent.ask(f"say {i} {LONG}")
    agent.wait_idle()
    wait_for(lambda: len(windows(agent)) >= 3 and not any(windows(agent)[:-1]), 10, lambda: windows(agent))
    newest = len(windows(agent)) - 1
    assert agent.info()["windows"] == newest + 1
    assert agent.user.get(f"{agent.path}/messages?window={newest}").status == 200
    assert agent.user.get(f"{agent.path}/messages?window=0").status == 404
    needed = first | {r.partition(":")[0] for r in windows(agent)[-1].split()} | {
        r.decode().partition(":")[0] for r in stack.redis().lrange(agent.key("segments"), 0, -1)}
    assert segments(agent) == needed and all(exists(agent, s) for s in first)
    assert agent.user.get(f"/api/agents/{fork.get('agentId') or fork['id']}/messages").json["total"] == 2
    assert agent.user.post(f"{agent.path}/fork", {"checkpoint": "c"}).status in (200, 201)


def test_idle_agents(stack_factory):
    """They go with their files; one that is at work, or was lately, does not."""
    stack = stack_factory(workers=1, sandbox=True, conf={**SWEEP, "retention.agents": "1h"})
    user = stack.user("ann")
    old, busy, young = user.agent(), user.agent(), user.agent()
    for a in (old, young):
        assert user.http("PUT", f"{a.path}/files/a.txt", body=b"x", headers={"Content-Type": "text/plain"}).status == 201
    busy.say("slow 600")
    wait_for(busy.lease)
    for a in (busy, old):
        age(a, "info", 7_200_000)
    wait_for(lambda: user.get(old.path).status != 200, 10, "it stays")
    assert {a["agentId"] for a in user.get("/api/agents").json["agents"]} == {busy.id, young.id}
    wait_for(lambda: sum(name == "a.txt" for _, _, names in os.walk(stack.sandbox.workspaces) for name in names) == 1)
    busy.interrupt()


def test_idle_sub_agents(stack_factory):
    """They go with their maker, whatever their own template says: nobody would find them."""
    stack = stack_factory(workers=1, scenarios=TASKS, conf=SWEEP, templates={
        "boss": {"tools": ["task_run"], "subagents": ["writer"], "retention": {"agents": 3600}}, "writer": {"systemPrompt": "You write."}})
    boss = stack.user("ann").agent(template="boss")
    boss.ask("writer")
    boss.wait_idle()
    child, = children(boss)
    age(boss, "info", 7_200_000)
    for _ in range(2):  # the second begins when the first has ended
        stack.redis().delete("af:janitor")
        wait_for(lambda: stack.redis().exists("af:janitor"), 10, "nobody walks")
    assert boss.info(), "its sub-agent is not idle for so long"
    age(child, "info", 7_200_000)
    wait_for(lambda: boss.user.get(boss.path).status == 403, 10, "it stays")
    assert child.user.get(child.path).status == 403 and stack.redis().keys(f"*{child.id}:info") == []


@pytest.fixture
def retired(stack_factory):
    """A worker that stands still between an idle agent, which it has deleted, and its files."""
    stack = stack_factory(workers=1, sandbox=True, conf={**SWEEP, "retention.agents": "1h"}, env={"AGENT_FPM_CRASH_AT": "stop:delete-retired"})
    agent, pid = stack.user("ann").agent(), stack.workers()[0]
    assert agent.user.http("PUT", f"{agent.path}/files/a.txt", body=b"x", headers={"Content-Type": "text/plain"}).status == 201
    age(agent, "info", 7_200_000)
    wait_for(lambda: process_state(pid)[0] == "T", 10, "it is not deleted")
    assert not stack.redis().exists(agent.key("info")) and stack.sandbox.files(agent.id)
    return stack, agent, pid


def test_killed_before_its_files(retired):
    """kill -9 between an idle agent and its files: the next walk deletes them."""
    stack, agent, pid = retired
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.sandbox.files(agent.id) is None, 15, "its files are left")
    wait_for(lambda: not stack.redis().exists("af:retired"), 5, "it is done again and again")


def test_killed_before_its_files_and_the_user_is_deleted(retired):
    """It finds them too, and leaves others' to the next walk."""
    stack, agent, _ = retired
    stack.redis().zadd("af:retired", {"agt_x bob": 1})
    subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "ctl", "delete-user", agent.user.name], env=stack.pool_env(), check=True, timeout=scaled(30))
    assert stack.sandbox.homes() == []
    assert stack.redis().zrange("af:retired", 0, -1) == [b"agt_x bob"]


def test_files(stack_factory):
    """The oldest of too many go, unless the agent is at work; a sub-agent's are its maker's."""
    stack = stack_factory(workers=1, sandbox=True, conf=SWEEP, templates={"small": {"retention": {"filesBytes": 150_000}}})
    user = stack.user("ann")
    idle, busy, other = user.agent(template="small"), user.agent(template="small"), user.agent()
    busy.say("slow 600")
    wait_for(busy.lease)
    for name in ("first", "second"):
        for a in (idle, busy, other):
            assert user.http("PUT", f"{a.path}/files/{name}", body=b"x" * 100_000, headers={"Content-Type": "text/plain"}).status == 201

    def files(a):
        return [f["path"] for f in user.get(f"{a.path}/files").json["files"]]
    wait_for(lambda: files(idle) == ["second"], 10, lambda: files(idle))
    assert sorted(files(busy)) == sorted(files(other)) == ["first", "second"]
    busy.interrupt()
    wait_for(lambda: files(busy) == ["second"], 10, lambda: files(busy))
    assert "1 files; deleted 0" in stack.log()


def test_sizes_in_redis(stack_factory):
    """The log and the records keep their newest, about as much as they may take."""
    stack = stack_factory(workers=1, scenarios=calls("^plan", {"call": "todo_write", "input": {"todos": LIST}}),
                          templates={"t": {"tools": ["todo_write"], "permission": {"mode": "auto"}}},
                          conf={**SWEEP, "retention.events_size": "16k", "retention.tool_outputs_size": "8k"})
    agent = stack.user("ann").agent(template="t")
    for i in range(30):
        agent.say_surely(f"plan {i} {'y' * 500}")
    agent.wait_idle(30)
    newest = agent.log_ids()[-1]

    def sizes():
        return [stack.redis().memory_usage(agent.key(part), samples=0) for part in ("events", "tools")]
    wait_for(lambda: sizes()[0] < 20_000 and sizes()[1] < 12_000, 10, sizes)
    assert sizes()[0] > 4000 and sizes()[1] > 2000, sizes()
    assert agent.log_ids()[-1] == newest and 3 <= len(agent.tool_calls()) < 30
    assert agent.info()["messages"] == 120
    agent.answer("plan more")


def test_storage(stack_factory):
    stack = stack_factory(workers=1, sandbox=True)
    user = stack.user("ann")
    agent = user.agent()
    assert "storage" not in agent.info()
    agent.answer("hello")
    agent.wait_idle()
    got = user.get(f"{agent.path}?storage").json
    assert got["agentId"] == agent.id and got["storage"]["messages"] == 2 and got["storage"]["workspaceBytes"] == 0
    assert got["storage"]["events"] >= 1 and got["storage"]["bytes"] > 500 and got["storage"]["toolCalls"] == 0
    user.http("PUT", f"{agent.path}/files/a.txt", body=b"x" * 100_000, headers={"Content-Type": "text/plain"})
    assert user.get(f"{agent.path}?storage").json["storage"]["workspaceBytes"] >= 100_000
    assert agent.seen_by(stack.user("bob")).user.get(f"{agent.path}?storage").status == user.get("/api/agents/agt_aaaaaaaaaaaaaaaaaaaaaaaaaa").status


@pytest.mark.parametrize("retention, words", [
    ({"events": "1h"}, "events is a number"), ({"event": 1}, "event"), (7, "retention is not an object"), ({"windows": 0}, "windows is a number"), ({"filesBytes": "x"}, "filesBytes is a number")])
def test_bad_templates(stack_factory, retention, words):
    stack = stack_factory(start=False, templates={"bad": {"retention": retention}})
    got = stack.check_conf()
    assert got.returncode == 78 and words in got.stderr, got


def test_soak(stack_factory):
    """2,000 turns with a tool call each on four agents: Redis' data is as large after the second half as after the first."""
    count = int(os.environ.get("SOAK_TURNS", "2000"))
    steps = [{"text": f"answer {'x' * 200}", "by": "whole"}, {"usage": {"measured": True}}]
    stack = stack_factory(
        workers=2, templates={"t": {"tools": ["todo_read"], "permission": {"mode": "auto"}}},
        scenarios=[scenarios()[0], {"match": "^go", "round": 0, "steps": [{"call": "todo_read"}, {"usage": {"measured": True}}]},
                   {"match": "^go", "steps": steps}],
        conf={**CONF, **SWEEP, "events.keep": "100", "retention.events": "1s", "retention.tool_outputs": "1s", "retention.windows": "1"})
    user = stack.user("ann")
    agents = [user.agent(template="t") for _ in range(4)]

    def talk(turns):
        """So many turns of each; then what Redis holds, when the janitor has been there."""
        for done in range(0, turns, 20):
            for a in agents:
                for i in range(20):
                    a.say_surely(f"go {done + i} {'y' * 100}")
            for a in agents:
                a.wait_idle(60)
        wait_for(lambda: all(len(a.log_entries()) == 1 and a.tool_calls() == [] and not any(windows(a)[:-1]) for a in agents), 30, "it is not tidied")
        return stack.redis().info("memory")["used_memory_dataset"], sum(stack.redis().memory_usage(k, samples=0) for k in stack.redis().scan_iter("*"))

    talk(count // 10 // 4)
    half = talk(count // 2 // 4 // 20 * 20)
    full = talk(count // 2 // 4 // 20 * 20)
    assert full[1] < half[1] * 1.25 + 100_000, (half, full)
    assert full[0] < half[0] * 1.5 + 2_000_000, (half, full)
