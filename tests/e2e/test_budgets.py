# SPDX-License-Identifier: MIT
"""What model calls use: counted once whatever is killed, by user and tenant, by day and month."""

import pytest
from conftest import close
from stack import Agent, Stack, wait_for
from test_crash import killer
from test_tools import calls

USED = {"usage": {"input_tokens": 70, "cache_read_input_tokens": 20, "output_tokens": 30}}  # 90 in, 30 out
SCENARIOS = [
    {"match": "^cost$", "steps": [{"text": "dear", "by": "whole"}, USED]},
    {"match": "^loop$", "steps": [{"call": "todo_read"}, USED]},
    *calls("^work$", {"call": "todo_read"}, {"call": "todo_read"}),
    *calls("^delegate$", {"call": "task_run", "input": {"description": "one", "prompt": "task"}}),
    {"match": "^task$", "steps": [{"text": "done", "by": "whole"}, USED]},
]
ROLE = {"tenant": "acme", "roles": ["treasurer"]}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"budget.role": "treasurer", "store.sweep": "200ms", "model.price_input": "1", "model.price_output": "10"})
    yield stack
    close(stack)


def of(frames, kind):
    return [f for f in frames if f.kind == kind]


def used(user, query=""):
    got = user.get(f"/api/usage{query}")
    assert got.status == 200, got
    return got.json


def counted(agents):
    """(calls, input, output) of all events token_usage."""
    events = [e for a in agents for e in a.page()["events"] if e["kind"] == "token_usage"]
    return len(events), sum(e["input"] for e in events), sum(e["output"] for e in events)


# ---- counting

def test_months(stack):
    """Days and months, by model."""
    user = stack.user()
    for _ in range(3):
        user.agent().ask("cost")
    got = used(user)
    month, = got["months"]
    assert (month["calls"], month["input"], month["output"], month["cached"]) == (3, 270, 90, 60)
    assert month["cost"] == pytest.approx(3 * (90 + 300) / 1e6)
    assert month["models"]["default"]["output"] == 90
    day, = got["days"]
    assert {k: v for k, v in day.items() if k != "day"} == {k: v for k, v in month.items() if k != "month"}
    assert day["day"].startswith(month["month"]) and len(month["month"]) == 7
    assert user.get("/api/usage?months=0").status == 400 and user.get("/api/usage?months=14").status == 400


def test_a_tenant_s(stack):
    """All its users, with their sub-agents, for who has the role and for nobody else."""
    tenant = "acme-" + stack.user().name
    ann, bob = stack.user("ann", tenant=tenant), stack.user("bob", tenant=tenant)
    ann.agent().ask("cost")
    parent = bob.agent(tools=["task_run"])
    parent.ask("delegate")
    child = Agent(bob, parent.tool_calls()[0]["child"])
    boss = stack.user("boss", tenant=tenant, roles=["treasurer"])
    got = used(boss, "?tenant")
    assert (got["today"]["calls"], got["today"]["input"], got["today"]["output"]) == \
        tuple(a + b for a, b in zip((1, 90, 30), counted([parent, child]))) and got["today"]["calls"] == 4
    assert got["months"][0]["calls"] == 4 and used(boss)["today"]["calls"] == 0
    for other in (ann, stack.user("x", roles=["treasurer"]), stack.user("x")):
        assert other.get("/api/usage?tenant").status == 403
    assert used(stack.user("y", **ROLE), "?tenant")["today"]["calls"] == 0


def test_large_counts(stack):
    """Beyond what a floating point number can hold nothing is rounded."""
    user = stack.user()
    agent = user.agent()
    agent.ask("cost")
    store = stack.redis()
    key, = [k for k in store.keys(f"af:user:{user.name}:usage:*") if len(k.decode().rpartition(":")[2]) == 7]
    store.hset(key, mapping={"input:default": 2**53 - 45, "tokens": 2**62, "cost": 2**53 + 1})
    for n in (1, 2):
        agent.ask("cost")
        got = {k.decode(): int(v) for k, v in store.hgetall(key).items()}
        assert got["input:default"] == 2**53 - 45 + 90 * n and got["tokens"] == 2**62 + 120 * n and got["cost"] == 2**53 + 1 + 390000 * n
        assert got["output:default"] == 30 + 30 * n
    assert 0 < store.ttl(key) <= 400 * 86400


@pytest.mark.parametrize("name", ["commit", "commit-send", "commit-answered"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_killed_at_a_commit(stack, name, n):
    """Before and behind each commit of a turn: every call that was kept is counted once, in all four places."""
    stack.restart_pool({"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    tenant = f"t-{name}-{n}"
    user = stack.user(tenant=tenant)
    agent = user.agent(tools=["todo_read"])
    with killer(stack), agent.follow() as view:
        sent = agent.say_surely("work")
        view.wait(sent["turn"], seconds=30)
        agent.wait_idle()
    stack.restart_pool({})
    boss = stack.user("boss", tenant=tenant, roles=["treasurer"])
    want = counted([agent])
    assert want[0] == sum(m["role"] == "assistant" for m in agent.history()) == 2
    for got in (used(user), used(boss, "?tenant")):
        for sum_ in (got["today"], got["days"][0], got["months"][0]):
            assert (sum_["calls"], sum_["input"], sum_["output"]) == want
    store = stack.redis()
    for key in store.keys(f"af:user:{user.name}:usage:*") + store.keys(f"af:tenant:{tenant}:usage:*"):
        assert int(store.hget(key, "tokens")) == want[1] + want[2]
