# SPDX-License-Identifier: MIT
"""Limits that hold over workers, pools and hosts that share a Redis."""

import concurrent.futures
import re
import threading
import time

import pytest
from stack import Stack, User
from test_api import is_problem
from waiting import wait_for

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
    """A list of items with integer parameters: {name: {parameter: number}}."""
    found = {}
    for item in field.split(", "):
        assert re.fullmatch(r'"[a-z-]+"(;[a-z]+=\d+)+', item), field
        name, *parameters = item.split(";")
        found[name.strip('"')] = {key: int(value) for key, value in (p.split("=") for p in parameters)}
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
    assert set(limits) == {"requests", "chats"}
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
