# SPDX-License-Identifier: MIT
"""Redis away, slow, forgetful, full, or not willing."""

import signal
import threading
import time

import pytest
from preload import library, without_sanitizers
from slow_redis import SlowRedis
from stack import Stack, scaled, wait_for, words
from waiting import free_ports


def is_store_problem(response):
    assert response.status == 503, response
    assert response.headers["Content-Type"].startswith("application/problem+json"), response
    assert int(response.headers["Retry-After"]) >= 1
    assert response.json["type"] and response.json["error"]


@without_sanitizers
def test_names_are_slow(stack_factory, tmp_path):
    """Of Redis's host; that takes longer than connecting may. And of its two addresses nobody may listen on the first."""
    port, = free_ports(1)
    stack = stack_factory(workers=1, redis_args=["--port", str(port), "--bind", "127.0.0.1"], conf={"store.address": f"localhost:{port}", "store.connect_timeout": "300ms"},
                          env={"LD_PRELOAD": library("slow_names", tmp_path), "NAMES_MS": "700"})
    agent = stack.user().agent()
    agent.answer("fast 3")
    stack.kill_redis()
    wait_for(lambda: "Redis is not reached" in stack.log())
    stack.start_redis()
    wait_for(lambda: agent.user.http("GET", agent.path).status == 200)
    agent.answer("fast 3")
    assert "busy for" not in stack.log()


def test_redis_down(stack_factory):
    """503 with Retry-After, quickly; live stays 200; all is well when Redis is back."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    stack.kill_redis()
    begin = time.monotonic()
    for method, path, body in (
        ("GET", "/api/agents", None), ("POST", "/api/agents", {"name": "x"}), ("GET", agent.path, None), ("POST", "/api/tickets", None),
        ("POST", f"{agent.path}/messages", {"message": "x"}), ("POST", f"{agent.path}/chat", {"message": "x"}),
        ("GET", f"{agent.path}/events", None), ("POST", f"{agent.path}/interrupt", None), ("DELETE", agent.path, None),
    ):
        is_store_problem(agent.user.http(method, path, body))
    assert time.monotonic() - begin < scaled(15)
    assert stack.http("GET", "/live").status == 200
    assert stack.http("GET", "/ready").status == 503
    health = stack.http("GET", "/health")
    assert health.status == 503 and health.json["redis"]["ok"] is False
    assert agent.user.get("/api/nothing").status == 404
    stack.start_redis()
    wait_for(stack.is_ready, 10)
    assert agent.answer("hello") == "echo: hello"
    assert stack.workers() and "signal" not in stack.log()


def test_a_start_without_redis(stack_factory):
    """The pool comes up, is not ready, and is when Redis is."""
    stack = stack_factory(start=False, workers=2, wait_ready=False)
    stack.start_pool()
    stack.start_nginx()
    wait_for(lambda: len(stack.workers()) == 2)

    def status():
        try:
            return stack.http("GET", "/ready").status
        except OSError:
            return 0

    wait_for(lambda: status() == 503, 10)
    assert stack.http("GET", "/live").status == 200
    stack.start_redis()
    wait_for(lambda: status() == 200, 10)
    assert stack.user().agent().answer("hello") == "echo: hello"


def test_redis_stands_still_for_a_while(stack_factory):
    """Two seconds of silence in a stream: the text waits and is all there; nothing is said twice."""
    stack = stack_factory(workers=2, conf={"store.command_timeout": "1s"})
    agent = stack.user().agent()
    sent = agent.say("slow 60")
    with agent.follow() as view:
        view.has("w10 ")
        stack.stop(stack._redis.pid)
        back = threading.Timer(2, stack.cont, [stack._redis.pid])
        back.start()
        back.join()
        view.wait(sent["turn"], seconds=30)
    assert view.text() == words(60) and "stream_reset" not in view.kinds()
    assert agent.dialogue() == [("user", "slow 60"), ("assistant", words(60))]


def test_redis_away_for_too_long(stack_factory):
    """Beyond store.timeout viewers get an error that is not in the log, and their streams end. The turn is resumed."""
    stack = stack_factory(workers=2, conf={
        "store.timeout": "1s", "store.command_timeout": "500ms", "store.lease": "2s", "store.sweep": "200ms"})
    agent = stack.user().agent()
    with agent.chat("slow 60") as stream, agent.follow() as view:
        stream.until("text_chunk", 10)
        stack.kill_redis()
        begin = time.monotonic()
        notice = stream.rest()[-1]
        assert 0.5 < time.monotonic() - begin < scaled(6)
        assert stream.ended == "whole"
        assert notice.kind == "error" and notice.id == "" and "id" not in notice.json and notice["message"]
        assert "done" not in [f.kind for f in stream.frames]
        stack.start_redis()
        view.wait(seconds=30)
        assert view.text() == words(60) and list(view.dones.values()) == ["completed"]
        assert view.kinds().count("agent_resumed") >= 1
    assert agent.dialogue() == [("user", "slow 60"), ("assistant", words(60))]


def test_scripts_are_flushed(stack_factory):
    """SCRIPT FLUSH in the middle of everything: nobody notices."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 30")
    with agent.follow() as view:
        for n in (5, 15, 25):
            view.has(f"w{n} ")
            stack.redis().script_flush()
        agent.say("and this")
        view.wait(turns=2)
    assert view.text(sent["turn"]) == words(30) and "stream_reset" not in view.kinds()
    stack.redis().script_flush()
    assert agent.answer("next") == "echo: next"
    stack.redis().script_flush()
    assert agent.user.http("PATCH", agent.path, {"name": "new"}).status == 200


def test_the_connections_are_cut(stack_factory):
    """CLIENT KILL of all connections during a stream: they come back, and nothing is lost or doubled."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 40")
    with agent.follow() as view:
        for n in (5, 15, 25):
            view.has(f"w{n} ")
            for kind in ("normal", "pubsub"):
                stack.redis().execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        view.wait(sent["turn"])
    assert view.text() == words(40) and "stream_reset" not in view.kinds()
    assert agent.answer("next") == "echo: next"
    names = [c["cmd"] for c in stack.redis().client_list()]
    assert len(names) < 40, "connections leak"


def test_a_viewer_that_comes_while_the_subscription_is_away(stack_factory):
    """After Redis was away the subscription takes a moment to come back. Who looks on meanwhile sees a turn live."""
    stack = stack_factory(workers=1)
    agent = stack.user().agent()
    stack.kill_redis()
    wait_for(lambda: not stack.is_ready(), 5)
    time.sleep(0.3)  # so that the pause before the next attempt is longer than it takes to get here
    stack.start_redis()
    with agent.events("0-0") as stream:
        assert stream.status == 200
        agent.say("slow 20")
        times = [f.at for f in stream.until("done") if f.kind == "text_chunk"]
    assert times[-1] - times[0] > 0.4, "all of it came at the end of the turn"


@pytest.fixture
def late_events():
    """A stack whose workers hear what others publish when they are let: (stack, forwarder)."""
    slow = SlowRedis(0)
    stack = Stack(start=False, workers=2, conf={"store.address": f"unix:{slow.path}"})
    slow.target = stack.redis_path
    stack.start_all()
    yield stack, slow
    slow.events.set()
    stack.close()
    slow.close()
    assert not stack.problems, "\n".join(stack.problems)


def test_a_turn_here_before_the_news_of_one_elsewhere(late_events):
    """A viewer's worker begins a turn while what another worker said of the one before is still on its way: it is read from the log."""
    stack, slow = late_events
    agent = stack.user().agent()
    here, there = stack.workers()
    with stack.only(here):
        view = agent.follow()
        wait_for(lambda: view.connections == 1)
        assert agent.answer("zero") == "echo: zero"
        view.wait(turns=1)
    with view:
        slow.events.clear()
        with stack.only(there):
            assert agent.answer("one") == "echo: one"
        with stack.only(here):
            sent = agent.say("two")
            view.wait(sent["turn"])
        slow.events.set()
        assert [f.id for f in view.frames] == agent.log_ids()
        assert len(view.dones) == 3 and view.connections == 1


def test_an_agent_that_is_gone_is_swept(stack_factory):
    """A lease whose agent was deleted behind it is forgotten, once."""
    stack = stack_factory(conf={"store.sweep": "100ms"})
    redis = stack.redis()
    redis.zadd("af:leases", {"af:{abcdef}:agt_abcdefghijklmnopqrstuv": 0})
    wait_for(lambda: redis.zcard("af:leases") == 0, 10, "it is still there")
    assert stack.user().agent().answer("hello").endswith("hello")


def refused(stack, what):
    """The pool is up, not ready, and its log says why."""
    wait_for(lambda: what.lower() in stack.log().lower(), 10, lambda: f"{what!r} is not in the log\n{stack.log()}")
    assert not stack.is_ready()
    assert "signal 11" not in stack.log()


def test_no_password_and_a_wrong_one(stack_factory):
    """NOAUTH and WRONGPASS are said in the log, without the password, and answered with 503."""
    stack = stack_factory(start=False, workers=1, wait_ready=False, redis_args=["--requirepass", "open-sesame"], redis_password="open-sesame")
    stack.start_redis()
    stack.start_pool()
    refused(stack, "NOAUTH")
    stack.conf["store.password_file"] = stack.write("wrong", "wrong-password-123")
    stack.stop_pool()
    stack.start_pool()
    refused(stack, "WRONGPASS")
    assert "wrong-password-123" not in stack.log()
    stack.write("wrong", "open-sesame\n")
    stack.stop_pool()
    stack.start_pool()
    stack.start_nginx()
    wait_for(stack.is_ready, 10)
    assert stack.user().agent().answer("hello") == "echo: hello"
    assert "open-sesame" not in stack.log()


def test_an_acl_user_and_a_database(stack_factory):
    """AUTH with user and password, SELECT: all keys are in that database, under the prefix, as the user may."""
    stack = stack_factory(
        workers=2, env={"AGENT_FPM_STORE_PASSWORD": "sesame"}, redis_args="--user fpm on >sesame ~two:* &two:* +@all -@dangerous +info".split(),
        conf={"store.user": "fpm", "store.database": 3, "store.prefix": "two:"})
    agent = stack.user().agent()
    assert agent.answer("hello") == "echo: hello"
    with agent.events("0-0") as stream:
        assert stream.until("done")
    redis = stack.redis()
    assert redis.dbsize() == 0
    redis.execute_command("SELECT", 3)
    keys = redis.keys("*")
    redis.execute_command("SELECT", 0)
    assert keys and all(k.startswith(b"two:") for k in keys)


def test_redis_is_full(stack_factory):
    """maxmemory: what would need memory is 503, what is there can be read; with room again all goes on."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    agent.answer("hello")
    stack.redis().config_set("maxmemory", 1)
    try:
        is_store_problem(agent.post_message("no room"))
        is_store_problem(agent.user.post("/api/agents", {"name": "x"}))
        assert agent.dialogue() == [("user", "hello"), ("assistant", "echo: hello")]
    finally:
        stack.redis().config_set("maxmemory", 0)
    assert agent.answer("room again") == "echo: room again"


def test_redis_is_full_in_the_middle(stack_factory):
    """A running turn waits for room."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 40")
    with agent.follow() as view:
        view.has("w5 ")
        stack.redis().config_set("maxmemory", 1)
        wait_for(lambda: stack.redis().info("errorstats").get("errorstat_OOM"), 5)
        stack.redis().config_set("maxmemory", 0)
        view.wait(sent["turn"])
    assert view.text() == words(40) and "stream_reset" not in view.kinds()


def test_a_lost_store_is_another_life(stack_factory):
    """FLUSHALL: agents are gone, and nothing crashes."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    agent.say("slow 40")
    with agent.events("0-0") as stream:
        stream.until("text_chunk", 3)
        stack.redis().flushall()
        wait_for(lambda: agent.user.get(agent.path).status == 403)
    assert stack.user().agent().answer("hello") == "echo: hello"
    assert "signal" not in stack.log()
    assert stack.stop_pool(signal.SIGTERM) == 0


def test_read_only_for_longer_than_a_lease(stack_factory):
    """Their leases run out, and the worker that ran them takes them up again while what it sent is still on its way: all of them go on."""
    slow = SlowRedis(0.1)
    try:
        stack = stack_factory(start=False, workers=1, conf={"store.address": f"unix:{slow.path}", "store.lease": "1s", "store.sweep": "100ms"})
        slow.target = stack.redis_path
        stack.start_all()
        agents = [stack.user().agent() for _ in range(8)]
        turns = [a.say("slow 20")["turn"] for a in agents]
        stack.redis().config_set("min-replicas-to-write", 1)
        wait_for(lambda: not any(a.lease() for a in agents), 10, "leases do not run out")
        stack.redis().config_set("min-replicas-to-write", 0)
        for agent, turn in zip(agents, turns):
            with agent.follow() as view:
                view.wait(turn, seconds=30)
                assert view.text(turn) == words(20) and view.dones == {turn: "completed"}
    finally:
        slow.close()
