# SPDX-License-Identifier: MIT
"""Checkpoints, forks and rewinding: what is shared, what is not, and what stays when others go."""

import threading

import pytest

from conftest import close
from stack import Agent, Stack, text_of, wait_for, words
from test_tools import LIST, calls, results


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=[
        *calls("^plan$", {"call": "todo_write", "input": {"todos": LIST}}),
        *calls("^list$", {"call": "todo_read"}),
        {"match": "^slow$", "steps": [{"text": words(60), "pace_ms": 20}]},
    ], conf={"limits.checkpoints": "5"})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=["todo_read", "todo_write"])


def checkpoint(agent, status=201, **body):
    got = agent.user.post(f"{agent.path}/checkpoints", body)
    assert got.status == status, got
    return got.json


def fork(agent, **body):
    got = agent.user.post(f"{agent.path}/fork", body)
    assert got.status == 201, got
    assert got.headers["Location"] == f"/api/agents/{got.json['agentId']}"
    return Agent(agent.user, got.json["agentId"])


def segments(stack):
    return {k.decode() for k in stack.redis().keys("*:seg:*") if not k.endswith(b":refs")}


def test_fork_from_now(agent):
    """It remembers what was said, and from here on each goes its own way."""
    agent.ask("one")
    child = fork(agent)
    assert child.dialogue() == agent.dialogue()
    agent.ask("two")
    child.ask("three")
    assert [t for r, t in agent.dialogue() if r == "user"] == ["one", "two"]
    assert [t for r, t in child.dialogue() if r == "user"] == ["one", "three"]
    info = child.info()
    assert info["parent"] == agent.id and info["messages"] == 4 and info["name"] == "test"
    assert "parent" not in agent.info()


def test_the_model_gets_the_whole(agent, stack):
    """History over several segments, from the cache and from Redis."""
    agent.ask("one")
    child = fork(agent)
    child.ask("two")
    grandchild = fork(child, name="third")
    assert grandchild.info()["lineage"] == [agent.id, child.id] and grandchild.info()["parent"] == child.id
    assert grandchild.info()["name"] == "third"
    for restart in (False, True):
        if restart:
            stack.restart_pool()
        grandchild.ask("three")
        sent = [m["content"][0]["text"] for m in stack.model.requests[-1].body["messages"] if m["role"] == "user"]
        assert sent == ["one", "two", *["three"] * (1 + restart)]


def test_pages_over_segments(agent):
    for n in range(3):
        agent.ask(f"a{n}")
    child = fork(agent)
    for n in range(3):
        child.ask(f"b{n}")
    child = fork(child)
    for n in range(3):
        child.ask(f"c{n}")
    whole = [m["id"] for m in child.history()]
    assert len(whole) == len(set(whole)) == 18 == child.info()["messages"]
    for first in (0, 3, 5, 6, 11, 12, 17, 18):
        for limit in (1, 4, 7, 50):
            got = child.user.get(f"{child.path}/messages?from={first}&limit={limit}").json
            assert [m["id"] for m in got["messages"]] == whole[first:first + limit] and got["total"] == 18
    last = child.user.get(f"{child.path}/messages?from=-1&limit=7").json
    assert [m["id"] for m in last["messages"]] == whole[-7:] and last["from"] == 11


def test_checkpoints(agent):
    agent.ask("one")
    first = checkpoint(agent, label="start")
    assert first["label"] == "start" and first["messages"] == 2 and first["id"].startswith("chk_")
    agent.ask("two")
    second = checkpoint(agent)
    listed = agent.user.get(f"{agent.path}/checkpoints").json["checkpoints"]
    assert [c["id"] for c in listed] == [first["id"], second["id"]]
    assert checkpoint(agent, status=409, label="start")["detail"] == "there is a checkpoint with this label"
    for which in ("start", first["id"]):
        child = fork(agent, checkpoint=which)
        assert [t for r, t in child.dialogue() if r == "user"] == ["one"]
        assert child.info()["checkpoint"] == first["id"]
    got = agent.user.post(f"{agent.path}/fork", {"checkpoint": "nosuch"})
    assert got.status == 404
    assert [t for r, t in fork(agent, checkpoint=second["id"]).dialogue() if r == "user"] == ["one", "two"]


def test_too_many_checkpoints(agent):
    agent.ask("one")
    for _ in range(5):
        checkpoint(agent)
    got = checkpoint(agent, status=429)
    assert got["limit"] == "limits.checkpoints"


def test_todos_go_along(agent):
    """Those of the place it was forked at."""
    agent.ask("plan")
    checkpoint(agent, label="planned")
    agent.ask("hello")
    child = fork(agent, checkpoint="planned")
    child.ask("list")
    assert [t["id"] for t in results(child)[-1]["data"]["todos"]] == ["1", "2"]


def test_while_a_turn_runs(agent):
    """The last safe place is before the turn; or 409, if that is asked for."""
    agent.ask("one")
    sent = agent.say("slow")
    wait_for(lambda: agent.info()["state"] == "STREAMING", 10, "no text")
    assert checkpoint(agent)["messages"] == 2
    checkpoint(agent, status=409, onBusy="reject")
    child = fork(agent)
    assert [t for r, t in child.dialogue() if r == "user"] == ["one"]
    assert agent.user.post(f"{agent.path}/fork", {"onBusy": "reject"}).status == 409
    assert agent.user.post(f"{agent.path}/rewind", {"checkpoint": "x"}).status == 409
    assert child.answer("hello").endswith("hello"), "the parent's turn is not in its way"
    agent.interrupt()
    assert sent["turn"] not in str(child.history())


def test_rewind(agent, stack):
    """It goes on from the place; what it leaves is a fork, and viewers are told."""
    agent.ask("one")
    checkpoint(agent, label="here")
    agent.ask("two")
    with agent.follow(after=agent.info()["last"]) as view:
        got = agent.user.post(f"{agent.path}/rewind", {"checkpoint": "here", "name": "left behind"})
        assert got.status == 200 and got.json["messages"] == 2
        wait_for(lambda: view.frames, 5, "not told")
        assert view.frames[0].kind == "rewind" and view.frames[0]["fork"] == got.json["fork"]
        agent.ask("three")
    assert [t for r, t in agent.dialogue() if r == "user"] == ["one", "three"]
    sent = [m["content"][0]["text"] for m in stack.model.requests[-1].body["messages"] if m["role"] == "user"]
    assert sent == ["one", "three"], "the model too"
    left = Agent(agent.user, got.json["fork"])
    assert [t for r, t in left.dialogue() if r == "user"] == ["one", "two"] and left.info()["name"] == "left behind"
    again = agent.user.post(f"{agent.path}/rewind", {"checkpoint": "here"})
    assert again.status == 200 and len(agent.history()) == 2
    assert agent.user.post(f"{agent.path}/rewind", {}).status == 422
    ids = agent.log_ids()
    assert len(ids) == len(set(ids))


def test_deleting(agent, stack):
    """A parent that goes leaves its forks whole; with the last of them the segments go."""
    before = segments(stack)
    agent.ask("one")
    checkpoint(agent, label="x")
    child = fork(agent)
    child.ask("two")
    grandchild = fork(child)
    agent.ask("only mine")
    assert agent.user.http("DELETE", agent.path).status in (200, 204)
    assert [t for r, t in child.dialogue() if r == "user"] == ["one", "two"]
    assert child.user.http("DELETE", child.path).status in (200, 204)
    stack.restart_pool()
    assert grandchild.answer("three").endswith("three")
    assert [t for r, t in grandchild.dialogue() if r == "user"] == ["one", "two", "three"]
    assert grandchild.user.http("DELETE", grandchild.path).status in (200, 204)
    assert segments(stack) == before
    family = agent.id[4:10]
    assert not [k for k in stack.redis().keys(f"*{{{family}}}*") if b":idem:" not in k]


def test_writes_do_not_grow_with_the_history(stack_factory):
    """O(1): the same commands and as many bytes, however long it is."""
    stack = stack_factory(conf={"limits.viewers_per_user": "0"})  # else a stream is uncounted at some time after its end
    written = []
    for turns in (1, 40):
        agent = stack.user().agent()
        for _ in range(turns):
            agent.ask("hello")
        before = stack.redis().info("commandstats"), stack.redis().info("stats")["total_net_input_bytes"]
        fork(agent)
        after = stack.redis().info("commandstats"), stack.redis().info("stats")["total_net_input_bytes"]
        calls_made = {k: v["calls"] - before[0].get(k, {"calls": 0})["calls"] for k, v in after[0].items()}
        written.append({k: n for k, n in calls_made.items() if n and k not in ("cmdstat_info", "cmdstat_publish", "cmdstat_get")})
    assert written[0] == written[1], written


def test_many_forks_at_once(agent):
    agent.ask("one")
    forks = []
    threads = [threading.Thread(target=lambda: forks.append(fork(agent))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({f.id for f in forks}) == 8
    for f in forks:
        assert f.answer("hello").endswith("hello")
    assert len(agent.history()) == 2


def test_not_yours(agent, stack):
    other = agent.seen_by(stack.user())
    for method, path, body in (("POST", "fork", {}), ("POST", "checkpoints", {}), ("POST", "rewind", {"checkpoint": "x"}), ("GET", "checkpoints", None)):
        assert other.user.http(method, f"{other.path}/{path}", body).status == 403
    assert other.user.get("/api/agents").json["agents"] == []


def test_a_failed_fork_is_not_listed(agent):
    agent.user.post(f"{agent.path}/fork", {"checkpoint": "nosuch"})
    assert [a["agentId"] for a in agent.user.get("/api/agents").json["agents"]] == [agent.id]


def test_text_stays(agent):
    agent.ask("one")
    child = fork(agent)
    child.ask("two")
    assert [text_of(m["content"]) for m in agent.history() if m["role"] == "user"] == ["one"]
