# SPDX-License-Identifier: MIT
"""Messages that come while a turn runs: shown, withdrawn, merged, or steered into it; and what bounds a turn."""

import threading

import pytest

from conftest import close
from stack import Stack, text_of, wait_for, words
from test_tools import calls, of, results
from webhooks import Webhooks

SECRET = "a secret of the site, of enough bytes"


@pytest.fixture(scope="module")
def service():
    hooks = Webhooks(SECRET.encode())
    hooks.gates = {}

    @hooks.on("/gate")
    def gate(body, _):
        hooks.gates.setdefault(body["agent"], threading.Event()).wait(20)
        return "open"

    yield hooks
    for gate in hooks.gates.values():
        gate.set()
    hooks.close()


@pytest.fixture(scope="module")
def stack(service):
    scenarios = [
        *calls("^work$", {"text": "I wait. "}, {"call": "gate", "input": {}}, after="done: ${results}"),
        {"match": "^slow$", "steps": [{"text": words(100), "pace_ms": 20}]},
    ]
    stack = Stack(scenarios=scenarios, conf={"tool.networks": "127.0.0.1", "limits.inbox": "5", "store.sweep": "200ms"},
                  env={"AGENT_FPM_TOOL_SECRET": SECRET},
                  templates={"gate": {"httpTools": [{"name": "gate", "description": "Waits.", "url": f"{service.url}/gate", "readOnly": True}]}})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack, service):
    agent = stack.user().agent(template="gate")
    service.gates[agent.id] = threading.Event()
    agent.open = service.gates[agent.id].set
    return agent


def at_work(agent, message="work"):
    """A turn that stands at its tool."""
    sent = agent.say(message)
    wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING"], 10, lambda: str(agent.tool_calls()))
    return sent


def inbox(agent):
    got = agent.user.get(f"{agent.path}/inbox")
    assert got.status == 200, got
    return got.json["messages"]


def withdraw(agent, message=None):
    return agent.user.http("DELETE", f"{agent.path}/inbox" + (f"/{message}" if message else ""))


def test_what_waits_is_shown(agent):
    at_work(agent)
    first, second = agent.say("one"), agent.say("two")
    assert [(m["id"], m["turn"], text_of(m["content"])) for m in inbox(agent)] == [
        (first["messageId"], first["turn"], "one"), (second["messageId"], second["turn"], "two")]
    agent.open()
    wait_for(lambda: inbox(agent) == [] and not agent.info()["busy"], 10, "not answered")
    assert [t for _, t in agent.dialogue() if t in ("one", "two")] == ["one", "two"]


def test_a_stream_whose_turn_comes_after_one_that_was_left(stack, agent, service):
    """An older message begins its turn with the lease that a new one gets: the stream of the new one is open all the while."""
    other = stack.user().agent(template="gate")
    service.gates[other.id] = threading.Event()
    at_work(other)
    left = other.say("work")
    stack.redis().rpush(agent.key("inbox"), *stack.redis().lrange(other.key("inbox"), 0, -1))
    with agent.chat("one") as stream:  # nginx shows its head with the first byte
        assert stream.status == 200 and agent.info()["busy"]
        wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING"], 10, lambda: str(agent.tool_calls()))
        agent.open()
        frames = stream.rest()
    assert {f["turn"] for f in frames} == {stream.headers["X-Turn-Id"]} != {left["turn"]}
    assert [f.kind for f in frames][:2] == ["message_accepted", "turn_start"] and frames[-1]["reason"] == "completed"
    assert [t for r, t in agent.dialogue() if r == "user" and t] == ["work", "one"]
    service.gates[other.id].set()


def test_withdraw(agent):
    """The message is never answered, its viewers are told, and it cannot be withdrawn twice."""
    at_work(agent)
    with agent.chat("not this") as stream:
        wait_for(lambda: inbox(agent), 5, "not queued")
        message, = inbox(agent)
        keep = agent.say("this")
        assert withdraw(agent, message["id"]).json == {"withdrawn": [message["id"]]}
        frames = stream.rest()
    assert [f.kind for f in frames if f["turn"] == message["turn"]] == ["done"] and frames[-1]["reason"] == "withdrawn"
    assert withdraw(agent, message["id"]).status == 404
    assert withdraw(agent, "msg_nosuch").status == 404
    with agent.follow() as view:
        agent.open()
        view.wait(keep["turn"])
    assert "not this" not in str(agent.history())


def test_withdraw_all(agent):
    at_work(agent)
    sent = [agent.say(f"number {n}") for n in range(3)]
    assert withdraw(agent).json == {"withdrawn": [s["messageId"] for s in sent]}
    assert withdraw(agent).json == {"withdrawn": []} and inbox(agent) == []
    agent.open()


def test_withdraw_while_parked(stack):
    """Nobody holds the agent: the viewers are told all the same, in order."""
    agent = stack.user().agent(template="gate", permission={"mode": "approval"})
    with agent.follow() as view:
        sent = agent.say("work")
        question, = agent.asked()
        waiting = agent.say("no")
        assert withdraw(agent, waiting["messageId"]).status == 200
        view.wait(waiting["turn"])
        assert view.dones[waiting["turn"]] == "withdrawn"
        agent.decide(question["id"], "deny")
        view.wait(sent["turn"])
    assert view.dones[sent["turn"]] == "completed"


def test_not_yours(agent, stack):
    other = agent.seen_by(stack.user())
    assert other.user.get(f"{other.path}/inbox").status == 403
    assert withdraw(other).status == 403


def test_merge(agent):
    """What waits becomes one turn: each message accepted, one answer."""
    at_work(agent)
    sent = [agent.say("first"), agent.say("second", onBusy="merge"), agent.say("third", onBusy="merge")]
    assert len({s["turn"] for s in sent}) == 1
    with agent.follow() as view:
        agent.open()
        view.wait(sent[0]["turn"])
    kinds = [f.kind for f in view.frames if f["turn"] == sent[0]["turn"]]
    assert kinds.count("message_accepted") == 3 and kinds.count("turn_start") == kinds.count("done") == 1
    assert [m["role"] for m in agent.history()[-4:]] == ["user"] * 3 + ["assistant"]
    accepted = [f["messageId"] for f in view.frames if f.kind == "message_accepted"][-3:]
    assert accepted == [s["messageId"] for s in sent]


def test_merge_with_nothing(agent):
    """An idle agent answers at once; behind a running turn alone it is a turn of its own."""
    assert agent.answer("hello", onBusy="merge").endswith("hello")
    running = at_work(agent)
    sent = agent.say("later", onBusy="merge")
    assert sent["turn"] != running["turn"]
    agent.open()
    agent.wait_idle()


def test_steer(agent, stack):
    """It comes before the next model call of the running turn, behind the results of its tools."""
    with agent.follow() as view:
        running = at_work(agent)
        sent = agent.say("and be quick", onBusy="steer")
        assert sent["turn"] == running["turn"]
        agent.open()
        view.wait(running["turn"])
    roles = [(m["role"], m.get("kind")) for m in agent.history()]
    assert roles == [("user", None), ("assistant", None), ("user", "tool_results"), ("user", None), ("assistant", None)]
    assert text_of(agent.history()[3]["content"]) == "and be quick"
    kinds = [f.kind for f in view.frames]
    assert kinds.count("done") == 1 and kinds.count("message_accepted") == 2 and kinds.count("turn_start") == 1
    assert inbox(agent) == []


def test_steer_at_the_last_moment(agent):
    """No tool runs: the turn is answered, and goes on with what came meanwhile instead of ending."""
    with agent.follow() as view:
        running = agent.say("slow")
        wait_for(lambda: any(f.kind == "text_chunk" for f in view.frames), 10, "no text")
        sent = agent.say("hello", onBusy="steer")
        assert sent["turn"] == running["turn"]
        view.wait(running["turn"])
    assert [f.kind for f in view.frames].count("done") == 1
    assert [r for r, _ in agent.dialogue()] == ["user", "assistant", "user", "assistant"]
    assert view.dones == {running["turn"]: "completed"}
    ids = [f.id for f in view.frames]
    assert len(set(ids)) == len(ids) == len(agent.log_ids())


def test_steer_an_idle_agent(agent):
    assert agent.answer("hello", onBusy="steer").endswith("hello")


def test_steer_and_interrupt(agent):
    """The turn it was for is interrupted: it is answered in one of its own."""
    at_work(agent)
    sent = agent.say("hello", onBusy="steer")
    with agent.follow() as view:
        agent.interrupt()
        agent.wait_idle()
        wait_for(lambda: len(view.dones) == 2, 10, lambda: str(view))
    assert view.dones[sent["turn"]] == "interrupted"
    assert sorted(view.dones.values()) == ["completed", "interrupted"]
    assert agent.dialogue()[-1][1].endswith("hello")


@pytest.mark.parametrize("on_busy", ["merge", "steer"])
def test_killed_meanwhile(agent, stack, on_busy):
    """Accepted is kept, however it waits."""
    with agent.follow() as view:
        running = at_work(agent)
        agent.say("first")
        sent = agent.say("hello", onBusy=on_busy)
        stack.kill_worker_of(agent)
        agent.open()
        view.wait(running["turn"])
        agent.wait_idle()
    assert [text_of(m["content"]) for m in agent.history()].count("hello") == 1
    accepted = [f["messageId"] for f in view.frames if f.kind == "message_accepted"]
    assert accepted.count(sent["messageId"]) == 1


def test_full(agent):
    at_work(agent)
    for n in range(5):
        agent.say(f"{n}")
    assert agent.post_message("x", onBusy="steer").status == 429
    withdraw(agent)
    agent.open()


def test_two_chats_at_once(agent):
    """W19: each gets its own answer."""
    with agent.chat("work") as one, agent.chat("hello") as two:
        agent.open()
        first, second = one.rest(), two.rest()
    assert "open" in "".join(f["text"] for f in first if f.kind == "text_chunk")
    assert "".join(f["text"] for f in second if f.kind == "text_chunk").endswith("hello")


# ---- bounds

def test_turn_timeout(stack_factory):
    """What was said and done so far is kept; the next message works."""
    stack = stack_factory(scenarios=[{"match": "^slow$", "steps": [{"text": words(1000), "pace_ms": 20}]}], conf={"turn.timeout": "500ms"})
    agent = stack.user().agent()
    frames = agent.ask("slow")
    assert frames[-1]["reason"] == "limit" and frames[-1]["limit"] == "turn.timeout"
    said = "".join(f["text"] for f in of(frames, "text_chunk"))
    assert said and agent.dialogue()[-1] == ("assistant", said)
    assert agent.answer("hello").endswith("hello")


def test_turn_max_tokens(stack_factory):
    """W20: the model is not called again, and the history is valid."""
    stack = stack_factory(scenarios=[{"match": "^loop$", "steps": [{"call": "todo_read"}, {"usage": {"output_tokens": 350}}]}],
                          conf={"turn.max_tokens": "1000"})
    agent = stack.user().agent(tools=["todo_read"])
    frames = agent.ask("loop")
    assert frames[-1]["reason"] == "limit" and frames[-1]["limit"] == "turn.max_tokens"
    used = [f for f in frames if f.kind == "token_usage"]
    assert sum(f["input"] + f["output"] for f in used[:-1]) < 1000 <= sum(f["input"] + f["output"] for f in used)
    assert agent.answer("hello").endswith("hello")


def test_stalled(stack_factory):
    """A provider that sends pings and nothing else: the turn ends with an error, and is never busy for ever."""
    stack = stack_factory(scenarios=[{"match": "^stall$", "steps": [{"text": "Wait"}, *[{"ping": True}, {"wait_ms": 50}] * 100]}],
                          conf={"turn.stall_timeout": "400ms"})
    agent = stack.user().agent()
    frames = agent.ask("stall")
    assert frames[-1]["reason"] == "error"
    assert of(frames, "error")[-1]["type"] == "stalled"
    assert agent.info()["busy"] is False and agent.answer("hello").endswith("hello")


def test_a_tool_may_take_its_time(stack_factory, service):
    """A tool has a timeout of its own: a turn that waits for one is not stuck."""
    service.paths["/nap"] = lambda *_: (threading.Event().wait(1), "rested")[1]
    stack = stack_factory(scenarios=calls("^nap$", {"call": "nap", "input": {}}), conf={"turn.stall_timeout": "200ms", "tool.networks": "127.0.0.1"},
                          env={"AGENT_FPM_TOOL_SECRET": SECRET},
                          templates={"nap": {"httpTools": [{"name": "nap", "description": "x", "url": f"{service.url}/nap"}]}})
    agent = stack.user().agent(template="nap")
    agent.ask("nap")
    assert results(agent) == [{"ok": True, "data": "rested"}]
