# SPDX-License-Identifier: MIT
"""What model calls use, and may: counted once whatever is killed, by turn, agent, user and tenant; held while they run."""

import http.client
import time

import pytest
from conftest import close
from stack import Agent, Stack, wait_for, words
from test_crash import killer, reached
from test_tools import calls

USED = {"usage": {"input_tokens": 70, "cache_read_input_tokens": 20, "output_tokens": 30}}  # 90 in, 30 out
SCENARIOS = [
    {"match": "^cost$", "steps": [{"text": "dear", "by": "whole"}, USED]},
    {"match": "^loop$", "steps": [{"call": "todo_read"}, USED]},
    *calls("^work$", {"call": "todo_read"}, {"call": "todo_read"}),
    *calls("^delegate$", {"call": "task_run", "input": {"description": "one", "prompt": "task"}}),
    {"match": "^long$", "steps": [{"text": words(400), "pace_ms": 5}]},
    {"match": "^slow$", "steps": [{"wait_ms": 300}, {"text": "slow", "by": "whole"}, USED]},
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
    with killer(stack) as killed, agent.follow() as view:
        sent = agent.say_surely("work")
        view.wait(sent["turn"], seconds=30)
        agent.wait_idle()
        reached(killed, name, n)
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


# ---- holding them

PRICES = {"model.price_input": "1", "model.price_output": "10"}
CALL_TOKENS, CALL_COST = 120, 390 / 1e6  # of USED


def make(stack_factory, more=None, **options):
    return stack_factory(scenarios=SCENARIOS, conf={"budget.role": "treasurer", "store.sweep": "200ms", **PRICES, **(more or {})}, **options)


def ended(frames, budget, limit, used):
    done = frames[-1]
    assert (done["reason"], done["budget"], done["limit"], done["used"]) == ("budget", budget, pytest.approx(limit), pytest.approx(used))
    day = 86400
    now, resets = time.time(), done["resets"]
    if "day" in budget:
        assert resets % day == 0 and now < resets <= now + day + 1
    elif "month" in budget:
        assert resets % day == 0 and now < resets <= now + 31 * day + 1 and time.gmtime(resets).tm_mday == 1
    else:
        assert resets is None


@pytest.mark.parametrize("kind, limit, each", [("tokens", 310, CALL_TOKENS), ("cost", 0.001, CALL_COST)])
def test_a_turn_s(stack_factory, kind, limit, each):
    """The third call passes it; there is no fourth, and the history is valid. The next turn begins anew."""
    stack = make(stack_factory, {f"budget.turn_{kind}": limit})
    agent = stack.user().agent(tools=["todo_read"])
    for _ in range(2):
        frames = agent.ask("loop")
        assert len(of(frames, "token_usage")) == 3
        ended(frames, f"budget.turn_{kind}", limit, 3 * each)
        warning, = of(frames, "budget_warning")
        assert warning["channel"] == "monitor" and warning["budget"] == f"budget.turn_{kind}" and warning["percent"] == 80
        assert (warning["limit"], warning["used"], warning["resets"]) == (pytest.approx(limit), pytest.approx(3 * each), None)
    assert agent.answer("hello").endswith("hello")
    first = agent.say("loop")  # and when the next follows at once, under the same lease
    agent.say("loop")
    agent.wait_idle()
    done = [e for e in agent.page(f"?since={first['after']}&limit=500")["events"] if e["kind"] == "done"]
    assert [(e["reason"], e["used"]) for e in done] == [("budget", pytest.approx(3 * each))] * 2
    assert stack.redis().keys("*purse*") == []


@pytest.mark.parametrize("kind, limit, each", [("tokens", 310, CALL_TOKENS), ("cost", 0.001, CALL_COST)])
@pytest.mark.parametrize("scope", ["agent", "user_day", "user_month", "tenant_day", "tenant_month"])
def test_others(stack_factory, scope, kind, limit, each):
    """Turns as long as something is left; then none. The warning comes once."""
    stack = make(stack_factory, {f"budget.{scope}_{kind}": limit})
    user, other = stack.user("ann", tenant="acme"), stack.user("bob", tenant="acme")
    agents = [user.agent(), user.agent() if scope.startswith("user") else other.agent()]
    if scope == "agent":
        agents[1] = agents[0]
    said = [agents[n % 2].ask("cost") for n in range(3)]
    assert [f[-1]["reason"] for f in said] == ["completed"] * 3
    warnings = [w for f in said for w in of(f, "budget_warning")]
    assert [(w["budget"], w["used"]) for w in warnings] == [(f"budget.{scope}_{kind}", pytest.approx(3 * each))] == [
        (w["budget"], w["used"]) for w in of(said[2], "budget_warning")]
    for agent in agents:
        frames = agent.ask("cost")
        ended(frames, f"budget.{scope}_{kind}", limit, 3 * each)
        assert not of(frames, "token_usage") and not of(frames, "budget_warning")
    assert stack.user("eve", tenant="other").agent().ask("cost")[-1]["reason"] == "completed"
    boss = stack.user("boss", tenant="acme", roles=["treasurer"])
    shown = used(boss, "?tenant") if scope.startswith("tenant") else used(user)
    budget, = shown["budgets"].items()
    assert budget[0] == f"{scope}_{kind}" and budget[1]["limit"] == pytest.approx(limit)
    if scope != "agent":
        assert budget[1]["used"] == pytest.approx(3 * each) and budget[1]["remaining"] == 0
        assert budget[1]["resets"] == frames[-1]["resets"]
    agents[0].user.http("DELETE", agents[0].path)
    assert [k for k in stack.redis().keys(f"*{agents[0].id}*") if b":idem:" not in k] == []


def test_an_agent_says_what_is_left(stack_factory):
    """Of its own budget and, while one runs, of the turn's; the lower one of server and template."""
    stack = make(stack_factory, {"budget.agent_tokens": 1000, "budget.turn_tokens": 310, "budget.on_exceed": "ask"},
                 templates={"low": {"tools": ["todo_read"], "budgets": {"agentTokens": 500}}})
    agent = stack.user(tenant="acme").agent(template="low")
    assert "budgets" not in agent.info()

    def said():
        return agent.user.get(f"{agent.path}?budgets").json["budgets"]
    assert said() == {"agent_tokens": {"limit": 500, "used": 0, "remaining": 500, "resets": None},
                      "turn_tokens": {"limit": 310, "used": 0, "remaining": 310, "resets": None}}
    agent.ask("cost")
    assert said()["agent_tokens"] == {"limit": 500, "used": CALL_TOKENS, "remaining": 500 - CALL_TOKENS, "resets": None}
    assert said()["turn_tokens"]["used"] == 0
    agent.post_message("loop")
    agent.asked(state="AWAITING_BUDGET")
    assert said()["turn_tokens"]["used"] == 3 * CALL_TOKENS and said()["turn_tokens"]["remaining"] == 0
    assert said()["agent_tokens"]["used"] == 4 * CALL_TOKENS


def test_an_answer_is_cut(stack_factory):
    """What came stays, marked; it was paid for, and is reckoned where the provider did not come to say it."""
    stack = make(stack_factory, {"budget.user_day_tokens": 100})
    agent = stack.user().agent()
    frames = agent.ask("long")
    said = "".join(f["text"] for f in of(frames, "text_chunk"))
    assert frames[-1]["reason"] == "budget" and frames[-1]["budget"] == "budget.user_day_tokens"
    assert 0 < len(said) < len(words(400)) / 2
    last = agent.history()[-1]
    assert last["interrupted"] is True and last["content"][0]["text"] == said
    usage, = of(frames, "token_usage")
    assert 100 <= usage["input"] + usage["output"] < 130 and usage["output"] >= len(said) // 4
    assert used(agent.user)["today"]["output"] == usage["output"]


def test_money_cuts_too(stack_factory):
    stack = make(stack_factory, {"budget.turn_cost": "0.0007"})
    frames = stack.user().agent().ask("long")
    assert frames[-1]["reason"] == "budget" and frames[-1]["budget"] == "budget.turn_cost"
    assert 0.0006 < frames[-1]["used"] < 0.0009


def test_what_is_cached(stack_factory):
    """budget.count_cached = no leaves out what came from the provider's cache."""
    stack = make(stack_factory, {"budget.user_day_tokens": 1000, "budget.count_cached": "no"})
    user = stack.user()
    user.agent().ask("cost")
    assert used(user)["budgets"]["user_day_tokens"]["used"] == CALL_TOKENS - 20


def test_templates(stack_factory):
    """Theirs are lower, or the only ones; a higher one changes nothing."""
    stack = make(stack_factory, {"budget.turn_tokens": 300}, templates={
        "low": {"tools": ["todo_read"], "budgets": {"turnTokens": 200}}, "high": {"tools": ["todo_read"], "budgets": {"turnTokens": 10000}},
        "dear": {"tools": ["todo_read"], "budgets": {"turnCost": 0.0005}}})
    for name, budget, limit, each, count in (("low", "tokens", 200, CALL_TOKENS, 2), ("high", "tokens", 300, CALL_TOKENS, 3), ("dear", "cost", 0.0005, CALL_COST, 2)):
        ended(stack.user().agent(template=name).ask("loop"), f"budget.turn_{budget}", limit, count * each)


@pytest.mark.parametrize("budgets, says", [
    ({"turnToken": 1}, 'budgets: there is no member "turnToken"'), ({"turnTokens": 0}, "budgets: turnTokens is a number"),
    ({"turnCost": "1"}, "budgets: turnCost is a number"), ({"userDayCost": -1}, "budgets: userDayCost is a number"), (7, "budgets: is not a JSON object")])
def test_bad_templates(stack_factory, budgets, says):
    stack = make(stack_factory, start=False, templates={"t": {"budgets": budgets}})
    got = stack.check_conf()
    assert got.returncode != 0 and says in got.stdout + got.stderr


def test_sub_agents(stack_factory):
    """They spend from the purse of the turn that made them; what ends one, and what is left, ends that too."""
    stack = make(stack_factory, {"budget.turn_tokens": 130})
    agent = stack.user().agent(tools=["task_run"])
    frames = agent.ask("delegate")
    child = Agent(agent.user, agent.tool_calls()[0]["child"])
    assert frames[-1]["reason"] == "budget" and frames[-1]["budget"] == "budget.turn_tokens"
    assert frames[-1]["used"] == sum(counted([agent, child])[1:]) >= 130
    assert [m["role"] for m in agent.history()] == ["user", "assistant", "user"]
    assert stack.redis().keys("*purse*") == []


def test_many_at_once(stack_factory):
    """Two workers, twelve turns: each passes a budget by one call at most, all are counted, and there is one warning."""
    stack = make(stack_factory, {"budget.user_day_tokens": 6 * CALL_TOKENS, "limits.turns_per_user": 0}, workers=2)
    user = stack.user()
    agents = [user.agent() for _ in range(12)]
    for _ in range(3):
        for agent in agents:
            agent.say("slow")
    for agent in agents:
        agent.wait_idle(30)
    events = [e for a in agents for e in a.page()["events"]]
    done = [e["reason"] for e in events if e["kind"] == "done"]
    assert len(done) == 36 and set(done) == {"completed", "budget"}
    assert 6 <= done.count("completed") <= 6 - 1 + 12
    got = used(user)
    assert got["budgets"]["user_day_tokens"]["used"] == got["today"]["calls"] * CALL_TOKENS == done.count("completed") * CALL_TOKENS
    assert [e["kind"] for e in events].count("budget_warning") == 1


@pytest.mark.parametrize("name", ["commit", "commit-send", "commit-answered"])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_killed_within_a_budget(stack_factory, name, n):
    """No commit of a turn that is killed loses or doubles a count or a warning, or lets it pass."""
    stack = make(stack_factory, {"budget.turn_tokens": 300, "budget.user_month_tokens": 310}, env={"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})
    agent = stack.user().agent(tools=["todo_read"])
    with killer(stack) as killed, agent.follow() as view:
        sent = agent.say_surely("loop")
        view.wait(sent["turn"], seconds=30)
        agent.wait_idle()
        reached(killed, name, n)
    assert view.dones == {sent["turn"]: "budget"}
    done = view.frames[-1]
    assert done["kind"] == "done" and done["used"] == 3 * CALL_TOKENS
    assert counted([agent]) == (3, 270, 90) and used(agent.user)["budgets"]["user_month_tokens"]["used"] == 3 * CALL_TOKENS
    assert sorted(f["budget"] for f in view.frames if f.kind == "budget_warning") == ["budget.turn_tokens", "budget.user_month_tokens"]
    assert [f.id for f in view.frames] == agent.log_ids()


def test_a_lost_answer(stack_factory):
    """A connection to Redis that breaks: what is sent again is recognised, warnings too."""
    stack = make(stack_factory, {"budget.turn_tokens": 300})
    store = stack.redis()
    agents = [stack.user().agent(tools=["todo_read"]) for _ in range(4)]
    for agent in agents:
        agent.say("loop")
    for _ in range(20):
        store.client_kill_filter(_type="normal", skipme=True)
    for agent in agents:
        agent.wait_idle(30)
        page = agent.page()["events"]
        assert [e["kind"] for e in page].count("budget_warning") == 1 and page[-1]["reason"] == "budget"
        assert used(agent.user)["today"]["calls"] == counted([agent])[0] == 3


def test_no_budgets(stack):
    """Then nothing is kept for them, and no number is left out."""
    agent = stack.user().agent()
    agent.ask("cost")
    assert [k for k in stack.redis().keys("*") if b"purse" in k or b":spent" in k] == []
    ids = [int(i.rpartition("-")[2]) for i in agent.log_ids()]
    assert ids == list(range(len(ids))) and used(agent.user)["budgets"] == {}


# ---- asking

ASK = {"budget.on_exceed": "ask", "budget.turn_tokens": 310}


@pytest.fixture(scope="module")
def asking():
    stack = Stack(scenarios=SCENARIOS, conf={"budget.role": "treasurer", "approval.role": "approver", "store.sweep": "200ms", **PRICES, **ASK})
    yield stack
    close(stack)


def asked(agent):
    question, = agent.asked(state="AWAITING_BUDGET")
    return question


def boss_of(agent):
    return agent.seen_by(agent.stack.user("boss", tenant="acme", roles=["treasurer"]))


@pytest.fixture
def asker(asking):
    return asking.user(tenant="acme").agent(tools=["todo_read"])


def test_ask(asker):
    """The turn waits without a lease; who has the role lets it go on for as much again, and it asks again."""
    with asker.chat("loop") as stream:
        question = asked(asker)
        assert question["kind"] == "budget" and question["budget"] == "budget.turn_tokens" and question["state"] == "APPROVAL_REQUIRED"
        assert (question["limit"], question["used"], question["resets"]) == (310, 360, None)
        boss = boss_of(asker)
        assert boss.approvals() == [question]
        got = boss.decide(question["id"], note="go on")
        assert got.status == 200 and got.json["decidedBy"] == boss.user.name
        wait_for(lambda: [q for q in asker.approvals() if q["id"] != question["id"]], 10, "it does not ask again")
        second = asked(asker)
        assert second["used"] == 360 + 360
        assert boss.decide(question["id"]).status == 409
        assert boss.decide(second["id"], "deny").status == 200
        frames = stream.rest()
    ended(frames, "budget.turn_tokens", 310, 720)
    assert len(of(frames, "token_usage")) == 6 and len(of(frames, "permission_required")) == 2
    assert [f["call"]["approval"]["decision"] for f in of(frames, "approval_response")] == ["allow", "deny"]
    assert [f["state"] for f in of(frames, "state_change")] == ["AWAITING_BUDGET", "PRE_MODEL"] * 2
    assert asker.approvals() == [] and all(c["name"] == "todo_read" for c in asker.tool_calls())
    assert asker.answer("hello").endswith("hello")


@pytest.mark.parametrize("more, calls_more", [({"tokens": 100}, 1), ({"tokens": 130}, 2), ({"cost": 5}, 3), ({"tokens": 1, "cost": 5}, 1)])
def test_how_much_more(asker, more, calls_more):
    """As many tokens as the answer says; money is nothing that was asked about."""
    asker.say("loop")
    question = asked(asker)
    assert boss_of(asker).decide(question["id"], **more).status == 200
    wait_for(lambda: [q for q in asker.approvals() if q["id"] != question["id"]], 10, "it does not ask again")
    assert asked(asker)["used"] == 360 + CALL_TOKENS * calls_more
    asker.interrupt()


@pytest.mark.parametrize("more", [{"tokens": 0}, {"tokens": "7"}, {"tokens": 1.5}, {"cost": 0}, {"cost": -1}, {"cost": "1"}, {"cost": 1e9}])
def test_bad_amounts(asker, more):
    asker.say("loop")
    question = asked(asker)
    got = boss_of(asker).decide(question["id"], **more)
    assert got.status == 422 and next(iter(more)) in got.json["detail"]
    asker.interrupt()


def test_who_may_answer(asking, asker):
    """The role, in the owner's tenant; the owner sees the question, and so does who answers about tools."""
    asker.say("loop")
    question = asked(asker)
    assert asker.decide(question["id"]).status == 403
    for claims in [{"tenant": "acme"}, {"tenant": "acme", "roles": ["approver"]}, {"tenant": "other", "roles": ["treasurer"]},
                   {"roles": ["treasurer"]}, {"tenant": "", "roles": ["treasurer"]}]:
        assert asker.seen_by(asking.user("stranger", **claims)).decide(question["id"]).status == 403, claims
    assert asker.seen_by(asking.user("a", tenant="acme", roles=["approver"])).approvals() == [question]
    assert boss_of(asker).user.get(asker.path).status == 403
    assert asker.asked(state="AWAITING_BUDGET") == [question]
    asker.interrupt()


def test_the_role_is_for_money_alone(stack_factory):
    """Who has it does not see or answer what is asked about tools; an owner with it answers for the own agents."""
    stack = make(stack_factory, {**ASK, "approval.role": "approver"})
    agent = stack.user(tenant="acme").agent(tools=["todo_read"], permission={"mode": "approval"})
    agent.say("work")
    question = agent.asked(2)[0]
    boss = boss_of(agent)
    assert boss.approvals() == [] and boss.decide(question["id"]).status == 403
    agent.interrupt()
    own = stack.user("alone", roles=["treasurer"]).agent(tools=["todo_read"])
    own.say("loop")
    assert own.decide(asked(own)["id"], "deny").status == 200
    own.wait_idle()


def test_interrupted_while_it_asks(asker):
    sent = asker.say("loop")
    question = asked(asker)
    assert asker.interrupt() == {"interrupted": True, "turn": sent["turn"]}
    assert asker.approvals() == [] and boss_of(asker).decide(question["id"]).status == 409
    assert asker.page()["events"][-1]["reason"] == "interrupted"


def test_nobody_answers(stack_factory):
    """As a call that nobody allows: the turn ends."""
    stack = make(stack_factory, {**ASK, "approval.timeout": "700ms", "store.sweep": "100ms"})
    frames = stack.user().agent(tools=["todo_read"]).ask("loop")
    ended(frames, "budget.turn_tokens", 310, 360)
    response, = of(frames, "approval_response")
    assert response["call"]["approval"]["decidedBy"] == "timeout" and response["call"]["state"] == "DENIED"


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_it_asks_across_restarts(asking, asker, how):
    sent = asker.say_surely("loop")
    question = asked(asker)
    if how == "restart":
        asking.restart_pool()
    else:
        asking.kill_workers()
    boss = boss_of(asker)
    with asker.follow() as view:
        wait_for(lambda: boss.decide(question["id"], "deny").status in (200, 409), 10, "not taken")
        view.wait(sent["turn"])
    assert view.dones == {sent["turn"]: "budget"} and "agent_resumed" not in view.kinds()


def test_a_template_asks(stack_factory):
    stack = make(stack_factory, {"budget.turn_tokens": 310}, templates={"t": {"tools": ["todo_read"], "onBudget": "ask"}})
    agent = stack.user(tenant="acme").agent(template="t")
    agent.say("loop")
    asked(agent)
    bad = make(stack_factory, start=False, templates={"t": {"onBudget": "no"}}).check_conf()
    assert bad.returncode != 0 and "onBudget is stop or ask" in bad.stdout + bad.stderr


def test_before_the_first_call(stack_factory):
    """A day that is used up: a new turn asks before it has called anybody. What is allowed is of that turn alone."""
    stack = make(stack_factory, {"budget.on_exceed": "ask", "budget.user_day_tokens": 100, "budget.user_day_cost": "0.0001"})
    agent = stack.user(tenant="acme").agent()
    agent.ask("cost")
    with agent.chat("cost") as stream:
        question = asked(agent)
        assert question["budget"] == "budget.user_day_tokens" and question["resets"] > time.time()
        assert boss_of(agent).decide(question["id"], tokens=10, cost=1).status == 200
        frames = stream.rest()
    assert frames[-1]["reason"] == "completed" and len(of(frames, "permission_required")) == 1
    agent.say("cost")
    assert asked(agent)["used"] == 2 * CALL_TOKENS


@pytest.mark.parametrize("name, n", [(name, n) for name, most in (("commit", 5), ("commit-send", 5), ("commit-answered", 5), ("tool-decided", 2), ("take-answered", 2))
                                     for n in range(1, most + 1)])
def test_killed_while_it_asks(stack_factory, name, n):
    """At every commit of asking, answering and going on: asked once, answered once, nothing doubled."""
    stack = make(stack_factory, ASK, workers=1, env={"AGENT_FPM_CRASH_AT": f"stop:{name}:{n}"})  # two may share the count
    agent = stack.user(tenant="acme").agent(tools=["todo_read"])
    boss, answered = boss_of(agent), set()

    def answer_all(view):
        for f in list(view.frames):
            if f.kind == "permission_required" and f["call"]["id"] not in answered:
                try:
                    got = boss.decide(f["call"]["id"], "deny" if answered else "allow", tokens=100)
                except (OSError, http.client.HTTPException):
                    continue
                if got.status in (200, 409):
                    answered.add(f["call"]["id"])
        return view.dones

    with killer(stack) as killed, agent.follow() as view:
        sent = agent.say_surely("loop")
        wait_for(lambda: answer_all(view), 30, lambda: f"no end: {view}")
        agent.wait_idle()
        reached(killed, name, n)
    assert view.dones == {sent["turn"]: "budget"}
    assert view.frames[-1]["used"] == 4 * CALL_TOKENS and counted([agent]) == (4, 360, 120)
    kinds = view.kinds()
    assert kinds.count("permission_required") == kinds.count("approval_response") == 2
    assert kinds.count("budget_warning") == 1 and used(agent.user)["today"]["calls"] == 4
    assert stack.redis().hgetall(agent.key("approvals")) == {}
