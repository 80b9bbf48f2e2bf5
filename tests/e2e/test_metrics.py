# SPDX-License-Identifier: MIT
"""GET /metrics: what it says, that it never goes back, and who may read it."""

import os
import signal

import pytest

from promlint import lint
from stack import Fcgi
from waiting import wait_for


def metrics(stack):
    got = stack.http("GET", "/metrics")
    assert got.status == 200, got
    assert got.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    said, families = lint(got.body.decode())
    assert said == []
    return families


@pytest.fixture(scope="module")
def counted():
    from stack import Stack

    stack = Stack(workers=2, conf={"admin.role": "admin"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def test_conventions_and_content(counted):
    families = metrics(counted)
    for name in ("agent_fpm_requests_total", "agent_fpm_turns_total", "agent_fpm_turn_seconds", "agent_fpm_model_requests_total",
                 "agent_fpm_model_first_byte_seconds", "agent_fpm_model_tokens_total", "agent_fpm_tool_calls_total", "agent_fpm_viewers",
                 "agent_fpm_turns_running", "agent_fpm_events_total", "agent_fpm_store_roundtrip_seconds", "agent_fpm_redis_up",
                 "agent_fpm_loop_lag_seconds", "agent_fpm_worker_restarts_total", "agent_fpm_build_info", "process_cpu_seconds_total",
                 "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds"):
        assert name in families, name
    assert families["agent_fpm_workers"].value(state="ready") == 2
    assert families["agent_fpm_redis_up"].value() == 1
    assert families["process_resident_memory_bytes"].value() > 1e6
    assert families["process_open_fds"].value() > 10
    assert families["process_cpu_seconds_total"].value() > 0
    wait_for(lambda: metrics(counted)["agent_fpm_loop_lag_seconds"].value("agent_fpm_loop_lag_seconds_count") > 0)


def test_a_turn_is_counted(counted):
    before = metrics(counted)
    agent = counted.user().agent()
    frames = agent.ask("hello")
    assert frames[-1]["reason"] == "completed"
    wait_for(lambda: metrics(counted)["agent_fpm_turns_total"].value(reason="completed")
             == before["agent_fpm_turns_total"].value(reason="completed") + 1)
    now = metrics(counted)

    def more(family, name=None, **labels):
        return now[family].value(name, **labels) - before[family].value(name, **labels)

    assert more("agent_fpm_model_requests_total", model="default", outcome="ok") == 1
    assert more("agent_fpm_requests_total", route="POST /api/agents/:id/chat", code="2xx") == 1
    assert more("agent_fpm_turn_seconds", "agent_fpm_turn_seconds_count") == 1
    assert more("agent_fpm_model_first_byte_seconds", "agent_fpm_model_first_byte_seconds_count", model="default") == 1
    assert more("agent_fpm_events_total") == len([f for f in frames if f.id])
    usage = next(f for f in frames if f.kind == "token_usage")
    assert more("agent_fpm_model_tokens_total", kind="input") == usage["input"]
    assert more("agent_fpm_model_tokens_total", kind="output") == usage["output"]
    assert more("agent_fpm_store_roundtrip_seconds", "agent_fpm_store_roundtrip_seconds_count", way="commit") > 0
    assert more("agent_fpm_store_roundtrip_seconds", "agent_fpm_store_roundtrip_seconds_count", way="request") > 0
    text = str([f.samples for f in now.values()])
    assert agent.id not in text and agent.user.name not in text


def test_gauges_follow(counted):
    agent = counted.user().agent()
    with agent.events() as stream:
        assert stream.status == 200
        agent.say("slow 400")
        stream.until("text_chunk")
        now = metrics(counted)
        assert now["agent_fpm_viewers"].value() == 1
        assert now["agent_fpm_turns_running"].value() == 1
        agent.interrupt()
    wait_for(lambda: metrics(counted)["agent_fpm_turns_running"].value() == 0)
    wait_for(lambda: metrics(counted)["agent_fpm_viewers"].value() == 0)
    now = metrics(counted)
    assert now["agent_fpm_turns_total"].value(reason="interrupted") >= 1
    assert now["agent_fpm_model_requests_total"].value(outcome="cancelled") >= 1


def test_routes_are_bounded(counted):
    before = metrics(counted)["agent_fpm_requests_total"]
    for i in range(20):
        assert counted.http("GET", f"/api/nothing-{i}").status == 404
    now = metrics(counted)["agent_fpm_requests_total"]
    assert now.value(route="other", code="4xx") == before.value(route="other", code="4xx") + 20
    assert "nothing" not in str(now.samples)


def test_counters_outlive_workers(stack_factory):
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    agent.answer("hello")
    wait_for(lambda: metrics(stack)["agent_fpm_turns_total"].value() == 1)
    last = metrics(stack)
    for round in range(4):
        for pid in wait_for(lambda: len(pids := stack.workers()) == 2 and pids):
            os.kill(pid, signal.SIGKILL)
            now = wait_for(lambda: stack.http("GET", "/metrics").status == 200 and metrics(stack))
            for name, family in now.items():
                if family.type == "counter":
                    assert family.value() >= last[name].value(), name
            last = now
    wait_for(lambda: metrics(stack)["agent_fpm_worker_restarts_total"].value() == 8)
    wait_for(lambda: metrics(stack)["agent_fpm_workers"].value(state="ready") == 2)
    agent.answer("hello")
    wait_for(lambda: metrics(stack)["agent_fpm_turns_total"].value() == 2)


def test_when_redis_is_away(stack_factory):
    stack = stack_factory(workers=1)
    assert metrics(stack)["agent_fpm_redis_up"].value() == 1
    stack.kill_redis()
    wait_for(lambda: metrics(stack)["agent_fpm_redis_up"].value() == 0)
    stack.start_redis()
    wait_for(lambda: metrics(stack)["agent_fpm_redis_up"].value() == 1)


def test_who_may_read(counted):
    nobody, admin = counted.user(), counted.user(roles=["admin"])

    def asks(address, user=None, path="/metrics", **more):
        with Fcgi(counted.fcgi_path, keep=False) as c:
            c.send(counted.fcgi_params("GET", path, user, REMOTE_ADDR=address, **more))
            return c.read_to_end().response()

    assert asks("127.0.0.1").status == 200
    assert asks("::1").status == 200
    assert asks("::ffff:127.0.0.1").status == 200
    for address in ("127.0.0.2", "10.0.0.1", "2001:db8::1", "", "unix:", "127.0.0.1x"):
        assert asks(address).status == 403, address
        assert asks(address, nobody).status == 403, address
        assert asks(address, admin).status == 200, address
    assert asks("10.0.0.1", HTTP_AUTHORIZATION="Bearer x.y.z").status == 401


def test_networks_are_configured(stack_factory):
    stack = stack_factory(workers=1, conf={"status.allow": "10.1.0.0/16"})
    assert stack.http("GET", "/metrics").status == 403
    with Fcgi(stack.fcgi_path, keep=False) as c:
        c.send(stack.fcgi_params("GET", "/metrics", REMOTE_ADDR="10.1.2.3"))
        assert c.read_to_end().response().status == 200
