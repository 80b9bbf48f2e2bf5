# SPDX-License-Identifier: MIT
"""Limits that hold over workers, pools and hosts that share a Redis."""

import concurrent.futures
import contextlib
import json
import re
import threading
import time

import pytest
from slow_redis import SlowRedis
from stack import Stack, User
from test_api import is_problem
from test_tools import LIST, calls
from waiting import scaled, wait_for

CLIENTS = 50


@pytest.fixture
def two_pools():
    """Two pools of two workers each, on the first one's Redis, as two hosts would have them."""
    stacks = []

    def make(**conf):
        first = Stack(workers=2, conf=conf)
        stacks.append(first)
        stacks.append(Stack(workers=2, conf={**conf, "store.address": f"unix:{first.redis_path}"}))
        return stacks[-2:]

    yield make
    for stack in reversed(stacks):
        stack.close()
        assert not stack.problems, "\n".join(stack.problems)


def same_user(pools, **claims):
    """One user of both pools."""
    name = pools[0].user().name
    return [User(pool, name, **claims) for pool in pools]


def storm(calls, each):
    """All clients at once, each so often: (sent, received, status) of every call, which is given the client's number."""
    barrier = threading.Barrier(CLIENTS)

    def client(n):
        done = []
        barrier.wait()
        for _ in range(each):
            sent = time.monotonic()
            status = calls(n).status
            done.append((sent, time.monotonic(), status))
        return done

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return [call for done in pool.map(client, range(CLIENTS)) for call in done]


def items(field):
    """A list of items with integer parameters: {name: {parameter: number}}; what is bounded at once has a unit, but no window."""
    found = {}
    for item in field.split(", "):
        assert re.fullmatch(r'"[a-z-]+"(;q=\d+;w=\d+|;q=\d+;qu="concurrent-requests"|;r=\d+(;t=\d+)?)', item), field
        name, *parameters = item.split(";")
        found[name.strip('"')] = {key: int(value) for key, value in (p.split("=") for p in parameters if not p.startswith("qu="))}
    return found


def keys(stack):
    return sorted(k.decode() for k in stack.redis().keys("*{limits}*"))


# ---- rates ----

def test_a_limit_is_exact_over_two_pools(two_pools):
    pools = two_pools(**{"limits.requests": "40/1h"})
    users = same_user(pools)
    done = storm(lambda n: pools[n % 2].fcgi("GET", "/api/templates", users[n % 2]), each=4)
    statuses = [status for _, _, status in done]
    assert set(statuses) == {200, 429}
    assert 40 <= statuses.count(200) <= 41
    other = pools[0].fcgi("GET", "/api/templates", pools[0].user())
    assert other.status == 200, "another user's limit is his own"


def test_a_rate_is_never_exceeded_in_any_window(two_pools):
    """Between any two moments at most what may come at once and what the rate adds meanwhile."""
    pools = two_pools(**{"limits.requests": "20/1s burst=5"})
    users = same_user(pools)
    done = storm(lambda n: pools[n % 2].fcgi("GET", "/api/templates", users[n % 2]), each=20)
    passed = sorted((sent, received) for sent, received, status in done if status == 200)
    assert len(passed) >= 5
    for start, _ in passed:
        for end in (received for _, received in passed if received > start):
            count = sum(start <= sent and received <= end for sent, received in passed)
            assert count <= 5 + 20 * (end - start) + 1, (count, end - start)


def test_headers_say_where_a_user_stands(two_pools):
    stack, _ = two_pools(**{"limits.requests": "4/1h", "limits.chats": "2/1h burst=1"})
    user = stack.user()
    made = user.post("/api/agents", {"name": "a"})
    assert items(made.headers["RateLimit-Policy"]) == {"requests": {"q": 4, "w": 3600}}
    assert items(made.headers["RateLimit"]) == {"requests": {"r": 3, "t": 900}}
    path = f"/api/agents/{made.json['agentId']}/messages"
    first = user.post(path, {"message": "hello"})
    assert first.status == 202
    assert items(first.headers["RateLimit-Policy"]) == {"requests": {"q": 4, "w": 3600}, "chats": {"q": 2, "w": 3600}}
    state = items(first.headers["RateLimit"])
    assert (state["requests"]["r"], state["chats"]["r"]) == (2, 0)

    refused = user.post(path, {"message": "hello"})
    assert "2 messages of yours in 3600 s" in is_problem(refused, 429, "limits.chats")["detail"]
    assert 1700 <= int(refused.headers["Retry-After"]) <= 1800
    state = items(refused.headers["RateLimit"])
    assert state["chats"]["r"] == 0 and state["chats"]["t"] >= int(refused.headers["Retry-After"])
    assert state["requests"]["r"] == 2, "what is refused by one rate is counted by none"

    usage = user.get("/api/usage")
    limits = usage.json["limits"]
    assert set(limits) == {"requests", "chats", "streams", "turns"}
    assert limits["streams"] == {"limit": 64, "used": 0, "remaining": 64}
    assert limits["turns"]["limit"] == 16
    assert {k: v for k, v in limits["requests"].items() if k != "reset"} == {
        "limit": 4, "window": 3600, "burst": 4, "used": 3, "remaining": 1}
    assert {k: v for k, v in limits["chats"].items() if k != "reset"} == {
        "limit": 2, "window": 3600, "burst": 1, "used": 1, "remaining": 0}
    assert 1700 <= limits["chats"]["reset"] <= 1800
    assert user.get("/api/usage").status == 200
    is_problem(user.get("/api/usage"), 429, "limits.requests")


def test_a_stream_has_the_headers_too(two_pools):
    stack, _ = two_pools(**{"limits.requests": "10/1h", "limits.chats": "10/1h"})
    agent = stack.user().agent()
    with agent.user.sse("POST", f"{agent.path}/chat", {"message": "hello"}) as stream:
        assert stream.status == 200
        assert items(stream.headers["RateLimit"])["chats"]["r"] == 9
        assert items(stream.headers["RateLimit-Policy"])["streams"] == {"q": 64} and items(stream.headers["RateLimit"])["streams"] == {"r": 63}


def test_what_is_counted(two_pools):
    """Tickets and repetitions are requests like others; what asks for no token is never refused."""
    stack, _ = two_pools(**{"limits.requests": "4/1h"})
    user = stack.user()
    again = {"headers": {"Idempotency-Key": "k"}}
    assert user.post("/api/agents", {"name": "a"}, **again).status == 201
    assert user.post("/api/agents", {"name": "a"}, **again).status in (200, 201)
    ticket = user.post("/api/tickets").json["ticket"]
    listed = user.get("/api/agents")
    assert items(listed.headers["RateLimit"])["requests"]["r"] == 0
    agent = listed.json["agents"][0]["agentId"]
    is_problem(stack.http("GET", f"/api/agents/{agent}/events?ticket={ticket}"), 429, "limits.requests")
    is_problem(stack.http("POST", "/api/agents", user=user, body=b"x" * 100000, headers={"Content-Type": "text/plain"}),
               429, "limits.requests")
    for _ in range(10):
        for path in ("/health", "/ready", "/live"):
            answer = stack.fcgi("GET", path)
            assert answer.status == 200
            assert "RateLimit" not in answer.headers
    assert stack.http("GET", "/api/agents").status == 401


def test_a_tenant_has_limits_of_its_own(two_pools):
    pools = two_pools(**{"limits.requests": "30/1h", "limits.tenant_requests": "40/1h", "limits.tenant_chats": "1/1h"})
    one, two = (same_user(pools, tenant="acme") for _ in range(2))
    done = storm(lambda n: pools[n % 2].fcgi("GET", "/api/templates", (one, two)[n // 2 % 2][n % 2]), each=3)
    assert 40 <= [status for _, _, status in done].count(200) <= 41
    refused = [u.get("/api/templates") for u in (one[0], two[0])]
    assert {r.json["limit"] for r in refused} <= {"limits.requests", "limits.tenant_requests"}
    assert pools[0].user(tenant="other").get("/api/templates").status == 200
    assert pools[0].user().get("/api/templates").status == 200

    colleagues = [pools[0].user(tenant="third") for _ in range(2)]
    agents = [u.agent() for u in colleagues]
    assert agents[0].post_message("hello").status == 202
    is_problem(agents[1].post_message("hello"), 429, "limits.tenant_chats")


def test_counts_expire(two_pools):
    """What has drained is forgotten by Redis itself."""
    stack, _ = two_pools(**{"limits.requests": "4/1s"})
    user = stack.user()
    assert user.get("/api/templates").status == 200
    wait_for(lambda: not any(user.name in key for key in keys(stack)), 5, "a count stays")


def test_without_the_store_nothing_is_let_through(stack_factory):
    stack = stack_factory(workers=1, conf={"limits.requests": "1000/1h", "store.timeout": "1s", "store.command_timeout": "200ms"})
    user = stack.user()
    assert user.get("/api/templates").status == 200
    stack.kill_redis()
    assert user.get("/api/templates").status == 503
    assert stack.fcgi("GET", "/live").status == 200


# ---- the queue ----

ONE_SLOT = {"limits.turns": 1, "limits.turns_per_user": 0}
ASKS = [
    *calls("^plan$", {"call": "todo_write", "input": {"todos": LIST}}),
    {"match": "^slow ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 20, "by": "word"}]},
    {"match": "^short$", "steps": [{"text": "${words:8}", "pace_ms": 20, "by": "word"}]},
]


def turn_starts(agents):
    """Their turns' beginnings, in order: (time, place of the agent)."""
    found = []
    for place, agent in enumerate(agents):
        page = agent.user.get(f"{agent.path}/events?since=0-0&kinds=turn_start", headers={"Accept": "application/json"})
        found += [(event["time"], place) for event in page.json["events"]]
    return sorted(found)


def answered(agent):
    return [role for role, _ in agent.dialogue()][-1:] == ["assistant"]


def all_answered(agents):
    return all(answered(agent) for agent in agents)


def queue_length(stack):
    return stack.redis().zcard("af:queue")


def busy(stack, message="slow 100"):
    """A turn that has the slot of a worker."""
    agent = stack.user("first").agent()
    agent.say(message)
    wait_for(lambda: agent.info()["busy"], 5)
    return agent


def test_users_are_served_in_turns(stack_factory):
    """One with twenty chats, then one with a single one: the latter is second."""
    stack = stack_factory(workers=1, conf=ONE_SLOT)
    many, single = stack.user("many"), stack.user("single")
    agents = [many.agent() for _ in range(20)] + [single.agent()]
    agents[0].say("slow 100")
    for agent in agents[1:]:
        agent.say("slow 2")
    agents[0].interrupt()
    wait_for(lambda: all_answered(agents[1:]), 30, "not all were answered")
    order = [place for _, place in turn_starts(agents)]
    assert order == [0, 20, *range(1, 20)], "one's own come in their order, and others between"
    wait_for(lambda: not stack.redis().keys("af:queue*"), 5, "an empty queue leaves something")


def test_rounds(stack_factory):
    """Three users who all wait take turns; who comes later joins the next round."""
    stack = stack_factory(workers=1, conf=ONE_SLOT)
    first = busy(stack)
    users = [stack.user() for _ in range(3)]
    agents = [user.agent() for user in users for _ in range(3)]
    for agent in agents:
        agent.say("slow 2")
    first.interrupt()
    wait_for(lambda: all_answered(agents), 30, "not all were answered")
    starts = turn_starts(agents)
    assert [place // 3 for _, place in starts] == [0, 1, 2] * 3, starts


def test_the_queue_is_bounded(stack_factory):
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "limits.queue": 2, "store.sweep": "200ms"})
    first = busy(stack)
    agents = [stack.user().agent() for _ in range(3)]
    for agent in agents[:2]:
        agent.say("hello")
    refused = agents[2].post_message("one too many")
    is_problem(refused, 503, "limits.queue")
    assert int(refused.headers["Retry-After"]) >= 1
    agents[0].say("again")  # it waits already
    assert queue_length(stack) == 2
    wait_for(lambda: (s := stack.http("GET", "/status?json").json)["waitingAgents"] == 2 and s["firstWaitsFor"] >= 1, 5, "/status does not tell")
    assert "agent_fpm_queue_waiting 2\n" in stack.http("GET", "/metrics").body.decode()
    assert agents[2].dialogue() == []
    first.interrupt()
    wait_for(lambda: all_answered(agents[:2]), 20, "what was accepted is answered")
    wait_for(lambda: agents[2].post_message("now").status == 202, 5, "there is room again")
    wait_for(lambda: [t for r, t in agents[0].dialogue() if r == "user"] == ["hello", "again"], 5)


def test_none_waits_where_there_is_no_queue(stack_factory):
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "limits.queue": 0})
    first = busy(stack)
    is_problem(stack.user().agent().post_message("no room"), 503, "limits.turns")
    first.say("its own agent's inbox is another matter")
    first.interrupt()
    other = stack.user().agent()
    wait_for(lambda: other.post_message("now").status == 202, 10)


def test_a_queue_that_is_too_old_takes_no_more(stack_factory):
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "limits.queue_age": "200ms"})
    first = busy(stack)
    waits, late = stack.user().agent(), stack.user().agent()
    waits.say("hello")
    refused = wait_for(lambda: (r := stack.user().agent().post_message("late")).status != 202 and r, 10, "the queue's age is no bound")
    is_problem(refused, 503, "limits.queue_age")
    assert not answered(waits)
    first.interrupt()
    wait_for(lambda: answered(waits), 10, "what was accepted is answered, however old")
    wait_for(lambda: late.post_message("now").status == 202, 5)


def test_a_viewer_of_one_that_waits(stack_factory):
    """It has its stream at once, hears that it lives, and then gets every event."""
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "events.heartbeat": "1s"})
    first = busy(stack)
    agent = stack.user().agent()
    with agent.user.sse("POST", f"{agent.path}/chat", {"message": "hello"}) as stream:
        assert stream.status == 200
        wait_for(lambda: stream.read() and len(stream.comments) >= 2, 10, "no heartbeat")
        assert not stream.frames
        assert agent.info()["waiting"] == 1
        first.interrupt()
        kinds = [frame.kind for frame in stream.rest()]
        assert kinds[:2] == ["message_accepted", "turn_start"] and kinds[-1] == "done"
        assert stream.ended == "whole"


def test_messages_to_one_that_waits(stack_factory):
    """A repetition is one message; others join; an interrupt has nothing to stop; what is withdrawn is not run."""
    stack = stack_factory(workers=1, conf=ONE_SLOT)
    first = busy(stack)
    agent, gone, withdrawn = (stack.user().agent() for _ in range(3))
    key = {"Idempotency-Key": "once"}
    said = [agent.post_message("hello", headers=key).json for _ in range(2)]
    assert said[0] == said[1]
    agent.say("and this", onBusy="merge")
    agent.say("and that", onBusy="interrupt")
    assert agent.interrupt()["interrupted"] is False
    gone.say("never")
    withdrawn.say("never")
    assert queue_length(stack) == 3
    assert gone.user.http("DELETE", gone.path).status == 204
    assert withdrawn.user.http("DELETE", f"{withdrawn.path}/inbox").status == 200
    first.interrupt()
    wait_for(lambda: [r for r, _ in agent.dialogue()].count("assistant") == 2, 10)
    assert [t for r, t in agent.dialogue() if r == "user"] == ["hello", "and this", "and that"]
    wait_for(lambda: not stack.redis().keys("af:queue*"), 10, "those that went away leave nothing")
    assert withdrawn.dialogue() == []


def test_whoever_has_room_serves(two_pools):
    """Of another pool too, without waiting for a sweep."""
    pools = two_pools(**ONE_SLOT, **{"store.sweep": "1h", "workers": 1})
    holders = [busy(pool) for pool in pools]
    agent = pools[0].user().agent()
    agent.say("hello")
    assert queue_length(pools[0]) == 1
    holders[1].interrupt()
    wait_for(lambda: answered(agent), 10, "the pool that has room does not know")
    assert holders[0].info()["busy"]
    holders[0].interrupt()


def test_those_that_wait_survive(stack_factory):
    """The worker dies, with its turn and with those that wait for it."""
    stack = stack_factory(workers=1, conf=ONE_SLOT)
    first = busy(stack, "slow 40")
    agents = [stack.user().agent() for _ in range(5)]
    for agent in agents:
        agent.say("hello")
    stack.kill_workers()
    wait_for(lambda: all_answered([first, *agents]), 30, "what was accepted is answered")


def test_one_that_was_just_taken_up_survives(stack_factory):
    """Its worker dies before it knows what it was given."""
    stack = stack_factory(workers=1, conf=ONE_SLOT, env={"AGENT_FPM_CRASH_AT": "dequeue-answered:3"})
    first = busy(stack, "slow 20")
    agents = [stack.user().agent() for _ in range(5)]
    for agent in agents:
        agent.say_surely("hello")
    with contextlib.ExitStack() as views:
        for agent in agents:
            views.enter_context(agent.follow()).wait(seconds=30)


@pytest.fixture
def lossy(stack_factory):
    """A stack and what stands before its Redis."""
    between = SlowRedis()

    def make(**options):
        stack = stack_factory(start=False, workers=1, **options)
        stack.conf["store.address"] = f"unix:{between.path}"
        between.target = stack.redis_path
        stack.start_all()
        return stack, between

    yield make
    between.close()


def resp(*words):
    """As they are in a request."""
    return b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


def test_an_answer_of_the_queue_is_lost(lossy):
    """The agent was taken up already, and so it is: not when the lease has run out, and no other one in its place."""
    stack, between = lossy(conf={**ONE_SLOT, "store.lease": "1h"})
    first = busy(stack)
    agents = [stack.user().agent() for _ in range(2)]
    for agent in agents:
        agent.say("hello")
    between.lose = resp("af:queue", "af:leases")
    first.interrupt()
    wait_for(lambda: between.lose is None, 10, "nothing was lost")
    wait_for(lambda: all_answered(agents), 10, "one was forgotten")
    assert [place for _, place in turn_starts(agents)] == [0, 1]
    assert all([kind for kind in (json.loads(e)["kind"] for _, e in agent.log())].count("done") == 1 for agent in agents)


def test_an_answer_of_a_taker_is_lost(lossy):
    """Of a decided turn."""
    stack, between = lossy(scenarios=ASKS, conf={**ONE_SLOT, "store.lease": "1h"})
    agent = stack.user().agent(tools=["todo_write"], permission={"mode": "auto", "requireApprovalTools": ["todo_write"]})
    agent.say("plan")
    question, = agent.asked()
    between.lose = resp(agent.key("x")[:-2], "af:leases", "")
    assert agent.decide(question["id"]).status == 200
    wait_for(lambda: between.lose is None, 10, "nothing was lost")
    agent.wait_idle()
    assert [json.loads(e)["kind"] for _, e in agent.log()].count("done") == 1


def test_what_goes_on_is_before_those_that_wait(stack_factory):
    """A decided turn, while each slot that ends is wanted by the queue."""
    stack = stack_factory(workers=1, scenarios=ASKS, conf={**ONE_SLOT, "store.sweep": "100ms"})
    parked = stack.user().agent(tools=["todo_write"], permission={"mode": "auto", "requireApprovalTools": ["todo_write"]})
    parked.say("plan")
    question, = parked.asked()
    first = busy(stack)
    agents = [stack.user().agent() for _ in range(8)]
    for agent in agents:
        agent.say("short")
    assert parked.decide(question["id"]).status == 200
    looked = stack.redis().info("commandstats")["cmdstat_zrangebyscore"]["calls"]
    wait_for(lambda: stack.redis().info("commandstats")["cmdstat_zrangebyscore"]["calls"] > looked + 1, 5, "nobody sweeps")
    first.interrupt()
    wait_for(lambda: all_answered(agents), 30, "not all were answered")
    parked.wait_idle()
    went_on = next(json.loads(e)["time"] for _, e in parked.log() if '"state":"PRE_TOOL"' in e)
    before = [place for at, place in turn_starts(agents) if at < went_on]
    assert before == [], "those that wait for a slot came before a turn that goes on"


def test_whoever_goes_away_leaves_the_queue(stack_factory):
    """Deleted, or without a message: another one has its place, in the queue and in the user's count."""
    stack = stack_factory(workers=1, conf={"limits.turns": 1, "limits.turns_per_user": 2, "limits.queue": 1})
    user = stack.user()
    first = user.agent()
    first.say("slow 100")
    wait_for(lambda: first.info()["busy"], 5)
    gone, withdrawn, other = (user.agent() for _ in range(3))
    gone.say("never")
    is_problem(stack.user().agent().post_message("no place"), 503, "limits.queue")
    assert gone.user.http("DELETE", gone.path).status == 204
    assert queue_length(stack) == 0
    withdrawn.say("one")
    second = withdrawn.say("two")
    assert user.http("DELETE", f"{withdrawn.path}/inbox/{second['messageId']}").status == 200
    assert queue_length(stack) == 1, "a message still waits"
    assert user.http("DELETE", f"{withdrawn.path}/inbox").status == 200
    assert queue_length(stack) == 0
    assert turns_of(stack, user) == 1
    other.say("hello")
    first.interrupt()
    wait_for(lambda: answered(other), 10)
    assert withdrawn.dialogue() == []
    wait_for(lambda: not stack.redis().keys("af:queue*"), 5, "an empty queue leaves something")


def test_many_messages_withdrawn_at_once(stack_factory):
    """Each viewer of a message that will never run is told, whichever of them all it is."""
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "limits.inbox": 400})
    first = busy(stack, "slow 300")
    agent = stack.user().agent()
    for _ in range(299):
        agent.say("never")
    with agent.chat("never") as stream:
        assert agent.user.http("DELETE", f"{agent.path}/inbox").status == 200
        done, = stream.rest()
        assert (done.kind, done["reason"]) == ("done", "withdrawn")
    first.interrupt()


def test_very_many_messages_of_one_turn(stack_factory):
    """What begins with them is written whole, however many they are."""
    stack = stack_factory(workers=1, conf={**ONE_SLOT, "limits.inbox": 10000})
    first = busy(stack, "slow 300")
    agent = stack.user().agent()
    said = agent.say("hello")
    inbox, message = agent.key("inbox"), said["messageId"].encode()
    doc = stack.redis().lrange(inbox, 0, -1)[0]
    last = len(message) - 4
    stack.redis().rpush(inbox, *(doc.replace(message, message[:last] + b"%04d" % n) for n in range(4200)))
    with agent.follow() as view:
        first.interrupt()
        view.wait(said["turn"], seconds=30)
    assert agent.info()["messages"] == 4202
    assert view.kinds().count("message_accepted") == 4201
    assert view.kinds()[4201] == "turn_start"


def test_a_full_queue_keeps_health_fast(two_pools):
    pools = two_pools(**ONE_SLOT, **{"limits.queue": 100})
    holders = [busy(pool) for pool in pools for _ in range(2)]
    agents = [pools[0].user().agent() for _ in range(120)]
    streams = [agent.user.sse("POST", f"{agent.path}/chat", {"message": "hello"}) for agent in agents]
    assert [s.status for s in streams].count(200) == 100
    assert {s.status for s in streams} == {200, 503}
    assert queue_length(pools[0]) == 100
    stop = threading.Event()

    def press():
        statuses = set()
        while not stop.is_set():
            statuses.add(pools[0].fcgi("POST", f"{agents[-1].path}/messages", agents[-1].user, {"message": "more"}).status)
        return statuses

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pressing = [pool.submit(press) for _ in range(4)]
        times = []
        for _ in range(100):
            began = time.monotonic()
            assert pools[0].fcgi("GET", "/health").status == 200
            times.append(time.monotonic() - began)
        stop.set()
        assert {s for p in pressing for s in p.result()} == {503}
    times.sort()
    print(f"health p50 {times[50] * 1000:.1f} ms, p90 {times[90] * 1000:.1f} ms, longest {times[-1] * 1000:.1f} ms")
    assert times[-1] < scaled(0.05), times[-20:]
    for holder in holders:
        holder.interrupt()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        ends = list(pool.map(lambda s: s.rest()[-1].kind, (s for s in streams if s.status == 200)))
    assert ends == ["done"] * 100
    for stream in streams:
        stream.close()


# ---- turns at work, over all pools ----

def turns_of(stack, user):
    return stack.redis().zcard(f"af:{{limits}}:turns:user:{user.name}")


def test_turns_of_a_user_are_exact_over_two_pools(two_pools):
    """Fifty agents at once: exactly as many as are allowed; what ends makes room, wherever it ran."""
    pools = two_pools(**{"limits.turns_per_user": 3, "limits.requests": "1000/1h"})
    users = same_user(pools)
    agents = [users[0].agent() for _ in range(CLIENTS)]
    path = f"{agents[0].path.rpartition('/')[0]}/%s/messages"
    done = storm(lambda n: pools[n % 2].fcgi("POST", path % agents[n].id, users[n % 2], {"message": "slow 100"}), each=1)
    statuses = [status for _, _, status in done]
    assert (statuses.count(202), statuses.count(429)) == (3, 47)
    assert turns_of(pools[0], users[0]) == 3
    running = [agent for agent in agents if agent.info()["busy"]]
    assert len(running) == 3
    idle = next(agent for agent in agents if agent not in running)
    refused = idle.post_message("hello")
    is_problem(refused, 429, "limits.turns_per_user")
    assert refused.headers["Retry-After"]
    assert items(refused.headers["RateLimit-Policy"]) == {"requests": {"q": 1000, "w": 3600}, "turns": {"q": 3}}
    assert items(refused.headers["RateLimit"])["turns"] == {"r": 0} and set(items(refused.headers["RateLimit"])) == {"requests", "turns"}
    running[0].say("a message for one that runs is no turn more")
    running[1].interrupt()
    assert idle.post_message("slow 100").status == 202
    for agent in (*running, idle):
        agent.user.http("DELETE", agent.path)
    wait_for(lambda: turns_of(pools[0], users[0]) == 0, 5, "what was deleted is counted")


def test_turns_of_a_tenant(two_pools):
    pools = two_pools(**{"limits.tenant_turns": 2, "limits.turns_per_user": 0})
    agents = [pool.user(tenant="acme").agent() for pool in pools for _ in range(2)]
    for agent in agents[1:3]:
        agent.say("slow 100")
    for agent in (agents[0], agents[3]):
        is_problem(agent.post_message("no room"), 429, "limits.tenant_turns")
    assert pools[0].user(tenant="other").agent().answer("hello") == "echo: hello"
    assert pools[0].user().agent().answer("hello") == "echo: hello"
    agents[1].interrupt()
    agents[3].say("slow 100")


def test_those_that_wait_are_counted(stack_factory):
    """A user cannot fill the queue with more than he may have at work."""
    stack = stack_factory(workers=1, conf={"limits.turns": 1, "limits.turns_per_user": 3})
    user = stack.user()
    agents = [user.agent() for _ in range(4)]
    agents[0].say("slow 100")
    for agent in agents[1:3]:
        agent.say("hello")
    assert queue_length(stack) == 2
    is_problem(agents[3].post_message("no room"), 429, "limits.turns_per_user")
    agents[0].interrupt()
    wait_for(lambda: all_answered(agents[1:3]), 10)
    wait_for(lambda: turns_of(stack, user) == 0, 5)
    assert agents[3].answer("now") == "echo: now"


def test_turns_of_a_dead_worker(stack_factory):
    """Those that its heir takes up are counted still, and once; all of them end."""
    stack = stack_factory(workers=2, conf={"limits.turns_per_user": 2})
    user = stack.user()
    agents = [user.agent() for _ in range(3)]
    for agent in agents[:2]:
        agent.say("slow 100")
    stack.kill_workers()
    for agent in agents[:2]:
        agent.holder()
    is_problem(agents[2].post_message("no room"), 429, "limits.turns_per_user")
    assert turns_of(stack, user) == 2
    for agent in agents[:2]:
        agent.interrupt()
    wait_for(lambda: turns_of(stack, user) == 0, 5)
    assert agents[2].answer("now") == "echo: now"


def test_turns_of_a_dead_host(two_pools):
    """Nobody takes them up: they count until their lease runs out."""
    pools = two_pools(**{"limits.turns_per_user": 1, "store.lease": "1s", "store.sweep": "1h"})
    users = same_user(pools)
    agents = [user.agent() for user in users]
    agents[1].say("slow 100")
    is_problem(agents[0].post_message("no room"), 429, "limits.turns_per_user")
    wait_for(lambda: agents[1].info()["state"] == "STREAMING", 5)
    pools[1].kill_all()
    wait_for(lambda: agents[0].post_message("now").status == 202, 10, "a dead host's turn is counted for ever")


def test_a_turn_is_counted_as_long_as_it_runs(stack_factory):
    """Longer than a lease; one that waits for a human is not at work."""
    stack = stack_factory(workers=1, conf={"limits.turns_per_user": 1, "store.lease": "1s"})
    user = stack.user()
    agents = [user.agent() for _ in range(2)]
    agents[0].say("slow 60")
    view = agents[0].follow()
    view.has("w45 ")
    is_problem(agents[1].post_message("no room"), 429, "limits.turns_per_user")
    view.wait()
    view.close()
    agents[1].say("now")


# ---- open streams, over all pools ----

def streams_of(stack, user):
    return stack.redis().zcard(f"af:{{limits}}:streams:user:{user.name}")


def watch(agent, pool=None, **options):
    """A stream of an agent's events, of another pool too; only its head is read."""
    return (pool or agent.stack).sse(f"{agent.path}/events", user=agent.user.name, **options)


def test_streams_of_a_user_are_exact_over_two_pools(two_pools):
    """Fifty at once: exactly as many as are allowed; one that leaves makes room in every pool."""
    pools = two_pools(**{"limits.viewers_per_user": 5})
    agent = pools[0].user().agent()
    barrier = threading.Barrier(CLIENTS)

    def client(n):
        barrier.wait()
        return watch(agent, pools[n % 2])

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as threads:
        streams = list(threads.map(client, range(CLIENTS)))
    opened = [s for s in streams if s.status == 200]
    assert len(opened) == 5 and {s.status for s in streams} == {200, 429}
    assert streams_of(pools[0], agent.user) == 5
    refused = watch(agent, pools[1])
    is_problem(refused.body(), 429, "limits.viewers_per_user")
    assert refused.headers["Retry-After"]
    assert items(refused.headers["RateLimit"])["streams"] == {"r": 0} and items(refused.headers["RateLimit-Policy"])["streams"] == {"q": 5}
    assert agent.user.get("/api/usage").json["limits"]["streams"] == {"limit": 5, "used": 5, "remaining": 0}
    page = agent.user.get(f"{agent.path}/events", headers={"Accept": "application/json"})
    assert page.status == 200, "a page of events is no stream"
    opened[0].close()
    wait_for(lambda: streams_of(pools[0], agent.user) == 4, 5, "one that left is counted")
    with watch(agent, pools[1]) as stream:
        assert stream.status == 200
    for stream in streams:
        stream.close()
    wait_for(lambda: streams_of(pools[0], agent.user) == 0, 5)


def test_a_stream_that_does_not_come_to_be(stack_factory):
    """What is refused later takes no place."""
    stack = stack_factory(workers=1, conf={"limits.viewers_per_user": 2})
    user = stack.user()
    for _ in range(5):
        assert user.post("/api/agents/agt_00000000000000000000000000/chat", {"message": "hello"}).status in (403, 404)
        assert user.post(f"{user.agent().path}/chat", {"message": ""}).status == 422
    wait_for(lambda: streams_of(stack, user) == 0, 5)
    assert user.agent().answer("hello") == "echo: hello"


def test_streams_of_a_tenant(two_pools):
    """A ticket knows its user's tenant."""
    pools = two_pools(**{"limits.tenant_viewers": 2})
    members = [pools[0].user(tenant="acme") for _ in range(2)]
    agents = [member.agent() for member in members]
    ticket = members[0].post("/api/tickets").json["ticket"]
    first = pools[0].sse(f"{agents[0].path}/events?ticket={ticket}")
    second = agents[1].events()
    assert (first.status, second.status) == (200, 200)
    is_problem(agents[0].events().body(), 429, "limits.tenant_viewers")
    with pools[0].user(tenant="other").agent().events() as stream:
        assert stream.status == 200
    first.close()
    second.close()


def test_streams_of_a_dead_worker(stack_factory):
    """They count until their time is over; those that are alive count on, longer than that."""
    stack = stack_factory(workers=2, conf={"limits.viewers_per_user": 2, "store.lease": "1s"})
    user = stack.user()
    agent = user.agent()
    streams = [agent.events() for _ in range(2)]
    assert [s.status for s in streams] == [200, 200]
    stack.kill_workers()
    wait_for(stack.is_ready, 10)
    again = []

    def opens():
        again.append(agent.events())
        return again[-1].status == 200

    for _ in range(2):
        wait_for(opens, 10, "a dead worker's streams are counted for ever")

    def until():
        return [score for _, score in stack.redis().zrange(f"af:{{limits}}:streams:user:{user.name}", 0, -1, withscores=True)]

    first = max(until())
    wait_for(lambda: min(until()) > first + 1000, 10, "what is alive is not renewed")
    is_problem(agent.events().body(), 429, "limits.viewers_per_user")
    assert streams_of(stack, user) == 2
    for stream in streams + again:
        stream.close()


def test_a_full_redis_can_be_emptied(stack_factory):
    """Counting takes hardly any memory, and must not stand in the way."""
    stack = stack_factory(workers=1, conf={"limits.requests": "1000/1h"})
    agent = stack.user().agent()
    stack.redis().config_set("maxmemory", 1)
    assert agent.post_message("no room").status == 503
    assert agent.user.get(agent.path).status == 200
    assert agent.user.http("DELETE", agent.path).status == 204
    stack.redis().config_set("maxmemory", 0)
