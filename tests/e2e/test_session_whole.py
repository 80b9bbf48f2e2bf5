# SPDX-License-Identifier: MIT
"""GET of one session: what was said, by whom, the files, and that it is the same after whatever happens."""

import json
import re

import pytest
from conftest import close
from front_end import FrontEnd
from stack import Agent, Stack, words
from test_bash import bash
from test_compaction import CONF, LONG, scenarios
from test_sandbox_commands import skip_without_commands
from waiting import wait_for

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
EMPTY = {"blocks": [], "subagents": []}
SCENARIOS = [
    {"match": "^work$", "round": 0, "steps": [
        {"thinking": "I look at it.", "signature": "c2ln"}, {"text": "Let me see. "}, {"call": "todo_read"}, {"call": "no_such", "input": {"x": 1}}]},
    {"match": "^work$", "steps": [{"text": "It is done."}]},
    {"match": "^ask$", "round": 0, "steps": [{"call": "task_run", "input": {"description": "count", "prompt": "child one"}}]},
    {"match": "^ask$", "steps": [{"text": "They say two."}]},
    {"match": "^child", "round": 0, "steps": [{"call": "todo_read"}]},
    {"match": "^child", "steps": [{"text": "There are two."}]},
    {"match": "^slow$", "steps": [{"text": words(40), "pace_ms": 30, "by": "word"}]},
    {"match": "^files$", "round": 0, "steps": [
        {"call": "fs_write", "input": {"path": "a/b.txt", "content": "hé\n"}}, bash(r"printf '\000\001' > bin; mkdir empty; ln -s bin link; head -c 300000 /dev/zero | tr '\0' x > big")]},
    {"match": "^files$", "steps": [{"text": "Written."}]},
]
TEMPLATES = {"worker": {"tools": ["todo_read", "task_run"], "subagents": ["worker"]}}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, templates=TEMPLATES)
    yield stack
    close(stack)


@pytest.fixture
def front(stack):
    return FrontEnd(stack)


def whole(front, session):
    got = front.get(f"/api/sessions/{session}")
    assert got.status == 200 and got.headers["Content-Type"] == "application/json", got
    assert front.get(f"/sessions/{session}").json["blocks"] == got.json["blocks"]
    return got.json


def agent_of(front, session):
    """The agent of a session of a user who has made no other."""
    assert front.item(session)
    return Agent(front.user, front.stack.redis().zrange(f"af:user:{front.user.name}:sessions", 0, -1)[-1].decode())


def ask(front, session, text):
    """Says something and waits for the end of what it begins."""
    front.say(session, text)
    agent = agent_of(front, session)
    agent.wait_idle()
    return agent


def types(blocks):
    return [b["type"] for b in blocks]


def test_a_new_one(front):
    """Arrays that are there, and empty; the item of the list before them."""
    session = front.session(profile="worker", sessionOptions={"k": 1})
    got = whole(front, session)
    item = front.item(session)
    assert list(got) == [*item, "blocks", "subagents", "workspaceFiles", "conversationState"]
    assert {k: got[k] for k in item} == item
    assert (got["blocks"], got["subagents"], got["workspaceFiles"], got["conversationState"]) == ([], [], [], EMPTY)


def test_it_loads(front):
    """A look is enough; who listens is told."""
    session = front.session()
    front.delete(f"/api/sessions/{session}")
    said = front.stack.redis().pubsub()
    said.subscribe(f"af:user:{front.user.name}:sessions")
    assert whole(front, session)["runtime"] == {"isLoaded": True, "sandbox": None, "executionEnvironment": None}
    assert front.item(session)["runtime"]["isLoaded"] is True
    got = [json.loads(wait_for(lambda: said.get_message(ignore_subscribe_messages=True, timeout=0.1))["data"]) for _ in range(2)]
    assert got == [{"type": "status", "agent": agent_of(front, session).id, "loaded": True, "environment": False, "reason": "load"}, {"type": "list"}]
    assert said.get_message(ignore_subscribe_messages=True, timeout=0) is None
    said.close()


def test_blocks(front):
    """In both forms, with the same ids; one user message with the posted text."""
    session = front.session(profile="worker")
    agent = ask(front, session, "work")
    got = whole(front, session)
    blocks = got["blocks"]
    assert types(blocks) == ["user_message", "thinking", "assistant_text", "tool_use", "tool_use", "tool_result", "tool_result", "assistant_text"] or \
        types(blocks) == ["user_message", "thinking", "assistant_text", "tool_use", "tool_result", "tool_use", "tool_result", "assistant_text"]
    assert all(re.fullmatch(TIME, b["timestamp"]) for b in blocks) and len({b["id"] for b in blocks}) == len(blocks)
    assert blocks[0]["content"] == "work" and blocks[0]["id"] == agent.history()[0]["id"]
    assert blocks[1]["content"] == "I look at it." and blocks[2]["content"] == "Let me see. " and blocks[-1]["content"] == "It is done."
    uses = [b for b in blocks if b["type"] == "tool_use"]
    results = {b["toolUseId"]: b for b in blocks if b["type"] == "tool_result"}
    assert [(u["toolName"], u["input"], u["status"], u["id"] == u["toolUseId"]) for u in uses] == [
        ("todo_read", {}, "success", True), ("no_such", {"x": 1}, "error", True)]
    assert [results[u["id"]]["isError"] for u in uses] == [False, True]
    state = got["conversationState"]
    assert [(b["id"], b["type"]) for b in state["blocks"]] == [(b["id"], b["type"]) for b in blocks]
    assert {b["status"] for b in state["blocks"]} <= {"complete", "error"} and got["subagents"] == state["subagents"] == []


def test_subagents(front):
    """Conversations of their own, by the call that made them; the block in the main one."""
    session = front.session(profile="worker")
    ask(front, session, "ask")
    got = whole(front, session)
    use = next(b for b in got["blocks"] if b["type"] == "tool_use")
    assert use["toolName"] == "task_run"
    assert [s["id"] for s in got["subagents"]] == [use["id"]]
    assert types(got["subagents"][0]["blocks"])[-1] == "assistant_text" and got["subagents"][0]["blocks"][-1]["content"] == "There are two."
    state, = got["conversationState"]["subagents"]
    assert (state["toolUseId"], state["status"]) == (use["id"], "success")
    assert types(state["blocks"]) == types(got["subagents"][0]["blocks"])
    assert [s["sessionId"] for s in front.sessions()] == [session]  # a sub-agent is no session


def test_it_stays_the_same(front):
    """Over an unload, and dead workers."""
    session = front.session(profile="worker")
    ask(front, session, "work")
    before = whole(front, session)
    front.delete(f"/api/sessions/{session}")
    front.stack.kill_workers()
    wait_for(lambda: front.get("/health").status == 200)
    after = whole(front, session)
    assert after["blocks"] == before["blocks"] and after["conversationState"] == before["conversationState"]


def test_more_messages_than_a_page(front):
    """What was said first is there, once and in order."""
    session = front.session()
    agent = agent_of(front, session)
    said = [f"n{i}" for i in range(30)]
    for text in said:
        front.say(session, text)
    agent.wait_idle(60)
    blocks = whole(front, session)["blocks"]
    assert [b["content"] for b in blocks if b["type"] == "user_message"] == said


def test_more_than_can_be_shown(front):
    """The newest, in order, as much as has room; the answer says so. Of calls too."""
    session = front.session(profile="worker")
    agent = ask(front, session, "work")
    redis, big = front.stack.redis(), "x" * 200000
    segment = next(iter(redis.scan_iter(f"*:seg:{redis.hget(agent.key('info'), 'tail').decode()}")))
    message, calls = agent.history()[0], redis.hgetall(agent.key("tools"))
    for n in range(60):
        message |= {"id": f"msg_{n:026}", "content": [{"type": "text", "text": f"n{n} {big}"}]}
        redis.rpush(segment, json.dumps(message))
    got = whole(front, session)
    assert got["truncated"] is True and front.item(session)
    said = [b["content"].split()[0] for b in got["blocks"]]
    assert said == [f"n{n}" for n in range(60)][-len(said):] and 35 < len(said) < 45
    call = json.loads(next(iter(calls.values())))
    for n in range(60):
        call |= {"id": f"call_{n:026}", "result": {"ok": True, "data": big}}
        redis.hset(agent.key("tools"), call["id"], json.dumps(call))
        redis.rpush(agent.key("calls"), call["id"])
    assert [b["id"] for b in whole(front, session)["blocks"]] == [b["id"] for b in got["blocks"]]


def test_while_a_turn_runs(front):
    """What is complete is shown, and that it is at work."""
    session = front.session()
    agent = agent_of(front, session)
    with agent.follow() as view:
        front.say(session, "slow")
        view.has("w1")
        got = whole(front, session)
        assert got["runtime"]["activeQuery"]["startedAt"] and [b["content"] for b in got["blocks"] if b["type"] == "user_message"] == ["slow"]
        view.wait()
    got = whole(front, session)
    assert "activeQuery" not in got["runtime"] and got["blocks"][-1]["content"].strip() == words(40).strip()


def test_live(front):
    """What the gateway asks for: the state, and where in the log a turn that runs began. It loads the session, as the whole does."""
    session, path = front.session(), "/api/sessions/{}?view=live"

    def live():
        got = front.get(path.format(session))
        assert got.status == 200 and list(got.json) == ["sessionId", "agentId", "runtime", "events"] and got.json["sessionId"] == session, got
        return got.json

    agent = agent_of(front, session)
    front.delete(f"/api/sessions/{session}")
    first = live()
    assert first["agentId"] == agent.id and first["runtime"] == front.item(session)["runtime"] and first["runtime"]["isLoaded"] is True
    assert first["events"] == {"after": "0-0", "last": "0-0"}
    ask(front, session, "hello")
    end = live()["events"]
    assert end == {"after": agent.log_ids()[-1], "last": agent.log_ids()[-1]}
    with agent.follow(after=end["last"]) as view:
        for text in ("slow", "slow"):
            front.say(session, text)
        view.has("w3")
        got = live()
        assert got["events"]["after"] == f"{end['last'].split('-')[0]}-9007199254740991" and got["runtime"]["activeQuery"]["startedAt"] > 0
        page = agent.page(f"?since={got['events']['after']}&limit=500")["events"]
        assert page[0]["kind"] == "message_accepted" and got["events"]["last"] in [e["id"] for e in page]
        turn = page[0]["turn"]
        view.wait(turn)
        second = wait_for(lambda: [e for e in agent.page(f"?since={end['last']}&limit=500")["events"]
                                   if e["kind"] == "message_accepted" and e["turn"] != turn])
        after = live()["events"]["after"]
        assert agent.page(f"?since={after}&limit=500")["events"][0]["id"] == second[0]["id"], "the next one, under the same lease"
        view.wait(turns=2)
    other = FrontEnd(front.stack)
    for wrong in (path.format(session), path.format("nope")):
        assert other.get(wrong).json == {"error": "Session not found", "code": "SESSION_NOT_FOUND"}


def test_files():
    """Of the workspace: texts with what is in them, others by name; none of it without a workspace."""
    stack = Stack(workers=1, sandbox=True, scenarios=SCENARIOS)
    try:
        skip_without_commands(stack.sandbox)
        front = FrontEnd(stack)
        session = front.session()
        assert whole(front, session)["workspaceFiles"] == []
        ask(front, session, "files")
        files = sorted(whole(front, session)["workspaceFiles"], key=lambda f: f["path"])
        assert files == [{"path": "a/b.txt", "content": "hé\n"}, {"path": "big"}, {"path": "bin"}]
        for file in files:
            assert front.get(f"/api/sessions/{session}/files/{file['path']}").json == file
        none = front.get(f"/api/sessions/{session}/files/a")
        assert none.status == 404 and front.get(f"/api/sessions/{session}/files/none").json == {"error": "File not found", "code": "FILE_NOT_FOUND"}
        assert FrontEnd(stack).get(f"/api/sessions/{session}/files/bin").json["code"] == "SESSION_NOT_FOUND"
        stack.sandbox.stop()
        assert whole(front, session)["workspaceFiles"] == []
    finally:
        close(stack)


def test_what_compaction_took_out(stack_factory):
    """Is shown where it was; the summary is nobody's message."""
    stack = stack_factory(workers=1, scenarios=scenarios(), conf=CONF)
    front = FrontEnd(stack)
    session = front.session()
    said = [f"say {i} {LONG}" for i in range(9)]
    for text in said:
        agent = ask(front, session, text)
    assert agent.info()["windows"] > 1 and agent.history()[0]["kind"] == "summary"
    blocks = whole(front, session)["blocks"]
    assert [b["content"] for b in blocks if b["type"] == "user_message"] == said
    assert types(blocks) == ["user_message", "assistant_text"] * 9
