# SPDX-License-Identifier: MIT
"""Long conversations: older turns give way to a summary before the model's window is passed."""

import pytest

from conftest import close
from stack import Stack, text_of, wait_for
from test_tools import calls, of

SUMMARY = {"match": "^\\[", "steps": [{"text": "SUMMARY: they talked."}, {"usage": {"measured": True}}]}
MEASURED = {"usage": {"measured": True}}
LONG = "x" * 2000


def scenarios(summary=SUMMARY):
    return [summary,
            {"match": "^(say|pin) ", "steps": [{"text": f"answer {LONG}", "by": "whole"}, MEASURED]},
            {"match": "^read$", "round": 0, "steps": [{"call": "todo_read"}, MEASURED]},
            {"match": "^read$", "steps": [{"text": f"read {LONG}", "by": "whole"}, MEASURED]},
            {"match": "^small", "steps": [{"text": "yes"}, MEASURED]}]


CONF = {"model.context_window": "4000", "model.max_tokens": "1000", "compact.keep_turns": "2"}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=scenarios(), conf=CONF)
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=["todo_read"])


def talk(agent, n, word="say"):
    """Turns of some 1,000 tokens each; the last frames."""
    frames = []
    for i in range(n):
        frames += agent.ask(f"{word} {i} {LONG}")
    return frames


def compressions(frames):
    return [f["phase"] for f in of(frames, "context_compression")]


def summaries(stack):
    return [r for r in stack.model.requests if r.last.startswith("[")]


def test_compacted(agent, stack):
    """Before the request that would not fit: a summary, the last turns, and the turn that runs."""
    before = len(summaries(stack))
    frames = talk(agent, 4)
    assert compressions(frames) == ["start", "end"]
    end = of(frames, "context_compression")[1]
    assert 0 < end["ratio"] < 1 and end["summary"].startswith("SUMMARY")
    history = agent.history()
    assert history[0]["kind"] == "summary" and "SUMMARY: they talked." in text_of(history[0]["content"])
    assert text_of(history[-2]["content"]).startswith("say 3")
    assert len(summaries(stack)) == before + 1
    sent = summaries(stack)[-1].body
    assert "tools" not in sent and sent["messages"][0]["content"][0]["text"].startswith("[user] say 0")
    biggest = max(len(r.raw) for r in stack.model.requests if r.last.startswith("say"))
    assert biggest / 4 + 1000 < 4000 * 1.15, "no request passed the window"


def test_old_windows_stay_readable(agent):
    talk(agent, 4)
    assert agent.info()["windows"] == 1
    old = agent.user.get(f"{agent.path}/messages?window=0&limit=500").json
    assert [text_of(m["content"])[:5] for m in old["messages"] if m["role"] == "user"][:3] == ["say 0", "say 1", "say 2"]
    assert agent.user.get(f"{agent.path}/messages?window=1").status == 404


def test_not_again(agent):
    """A small turn after it does not compact again."""
    assert compressions(talk(agent, 4)) == ["start", "end"]
    for n in range(3):
        assert not compressions(agent.ask(f"small {n}"))


def test_again_and_again(agent, stack):
    """A long conversation is compacted as often as need be; each summary carries the one before."""
    frames = talk(agent, 12)
    assert compressions(frames).count("end") >= 3
    assert agent.info()["windows"] == compressions(frames).count("end")
    assert "SUMMARY: they talked." in summaries(stack)[-1].last
    assert [m.get("kind") for m in agent.history()].count("summary") == 1
    assert agent.answer("small one").endswith("yes")


def test_pinned_messages_stay(agent):
    agent.ask(f"pin the key is 4711 {LONG[:200]}", pinned=True)
    talk(agent, 5)
    history = agent.history()
    assert history[0]["kind"] == "summary" and history[1]["pinned"] is True
    assert text_of(history[1]["content"]).startswith("pin the key is 4711")


def test_calls_and_results_stay_together(agent):
    """The cut is between turns: the model refuses any history in which they do not pair."""
    for n in range(6):
        frames = agent.ask("read" if n % 2 else f"say {n} {LONG}")
        assert frames[-1]["reason"] == "completed"
    assert agent.info()["windows"] >= 1


def test_from_the_store(agent, stack):
    """Another process compacts and goes on as well."""
    talk(agent, 2)
    stack.restart_pool()
    frames = talk(agent, 2)
    assert "end" in compressions(frames)
    stack.restart_pool()
    assert agent.answer("small one").endswith("yes")
    first = stack.model.requests[-1].body["messages"][0]["content"][0]["text"]
    assert first.startswith("<context-summary>")


def test_fork_and_rewind_over_it(agent, stack):
    from stack import Agent
    agent.ask(f"say start {LONG}")
    made = agent.user.post(f"{agent.path}/checkpoints", {"label": "early"}).json
    talk(agent, 4)
    assert agent.info()["windows"] >= 1
    child = Agent(agent.user, agent.user.post(f"{agent.path}/fork", {"checkpoint": made["id"]}).json["agentId"])
    assert len(child.history()) == 2 and child.answer("small one").endswith("yes")
    now = Agent(agent.user, agent.user.post(f"{agent.path}/fork", {}).json["agentId"])
    assert [m["id"] for m in now.history()] == [m["id"] for m in agent.history()]
    assert agent.user.post(f"{agent.path}/rewind", {"checkpoint": "early"}).status == 200
    assert len(agent.history()) == 2 and agent.answer("small one").endswith("yes")


@pytest.mark.parametrize("summary", [
    {"match": "^\\[", "steps": [{"status": 500}]},
    {"match": "^\\[", "steps": [{"status": 400}]},
    {"match": "^\\[", "steps": [{"text": "  "}]},
])
def test_the_summary_fails(stack_factory, summary):
    """The turn goes on with a mechanical one."""
    stack = stack_factory(scenarios=scenarios(summary), conf={**CONF, "model.retries": "0"})
    agent = stack.user().agent()
    frames = talk(agent, 4)
    assert compressions(frames) == ["start", "end"] and frames[-1]["reason"] == "completed"
    text = text_of(agent.history()[0]["content"])
    assert "[user] say 0 xxx" in text and "[assistant] answer xxx" in text


def test_interrupt_while_compacting(stack_factory):
    """W22, W15: it ends, nothing is compacted, and the next message works."""
    stack = stack_factory(scenarios=scenarios({"match": "^\\[", "steps": [{"text": "SUM"}, {"wait_ms": 3000}]}), conf=CONF)
    agent = stack.user().agent()
    talk(agent, 2)
    sent = agent.say(f"say 3 {LONG}")
    wait_for(lambda: any(e["kind"] == "context_compression" for e in agent.page()["events"]) or not agent.info()["busy"], 10, "not at it")
    if not any(e["kind"] == "context_compression" for e in agent.page()["events"]):
        sent = agent.say(f"say 4 {LONG}")
        wait_for(lambda: any(e["kind"] == "context_compression" for e in agent.page()["events"]), 10, "not at it")
    assert agent.interrupt() == {"interrupted": True, "turn": sent["turn"]}
    assert agent.info()["windows"] == 0 and agent.dialogue()[-1][0] == "user"


def test_killed_while_compacting(stack_factory):
    """Nothing was written before the end: the heir does it again."""
    stack = stack_factory(scenarios=scenarios({"match": "^\\[", "steps": [{"text": "SUM"}, {"wait_ms": 400}, {"text": "MARY"}]}), conf=CONF)
    agent = stack.user().agent()
    with agent.follow() as view:
        talk(agent, 3)
        sent = agent.say(f"say 3 {LONG}")
        wait_for(lambda: compressions(view.frames) == ["start"] or view.dones.get(sent["turn"]), 10, "not at it")
        if agent.info()["busy"]:
            stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert view.dones[sent["turn"]] == "completed"
    assert agent.info()["windows"] == 1
    assert text_of(agent.history()[0]["content"]).startswith("<context-summary>\nSUMMARY")
    assert [text_of(m["content"])[:5] for m in agent.history() if m["role"] == "user"][-1] == "say 3"


def test_one_turn_that_is_too_long(agent):
    """Nothing older to sum up: it is sent as it is, and the provider has the word."""
    frames = agent.ask(f"say {LONG * 8}")
    assert not compressions(frames) and frames[-1]["reason"] == "completed"


# ---- what only the provider knows: its window is smaller than the configured one ----

REFUSAL = {"status": 400, "over": 7000, "body": {"type": "error", "error": {
    "type": "invalid_request_error", "message": "prompt is too long: 2000 tokens > 1750 maximum"}}}


def refusing(*steps, refusal=REFUSAL):
    return [SUMMARY, {"match": "^(say|pin) ", "steps": [refusal, *steps, {"text": "yes"}]},
            {"match": "^read$", "round": 0, "steps": [{"call": "todo_read"}]},
            {"match": "^read$", "steps": [{"call": "todo_read"}]}]


def requests_of(stack, text):
    return [r for r in stack.model.requests if r.last.startswith(text)]


@pytest.mark.parametrize("window", ["200000", "0"])
def test_refused_as_too_long(stack_factory, window):
    """The provider says that a request is too long: the turn compacts, asks once more, and answers."""
    stack = stack_factory(scenarios=refusing(), conf={"model.context_window": window})
    agent = stack.user().agent()
    frames = talk(agent, 3)
    assert not compressions(frames)
    frames = agent.ask(f"say 3 {LONG}")
    assert compressions(frames) == ["start", "end"] and frames[-1]["reason"] == "completed"
    assert not of(frames, "error") and not of(frames, "retry")
    assert len(requests_of(stack, "say 3")) == 2 and agent.info()["windows"] == 1
    history = agent.history()
    assert history[0]["kind"] == "summary" and text_of(history[-1]["content"]) == "yes"
    assert not any("error" in m for m in history)
    assert agent.answer("hello") == "echo: hello"


def test_refused_again(stack_factory):
    """Once more is enough: it fails, and the next message works."""
    refusal = {**REFUSAL, "over": 1500}
    stack = stack_factory(scenarios=refusing(refusal=refusal))
    agent = stack.user().agent()
    for n in range(4):
        agent.ask(f"hello {n}")
    frames = agent.ask(f"say 1 {LONG}")
    assert compressions(frames) == ["start", "end"] and frames[-1]["reason"] == "error"
    error, = of(frames, "error")
    assert error["class"] == "context_length" and error["message"].startswith("prompt is too long")
    assert len(requests_of(stack, "say 1")) == 2
    assert agent.history()[-1]["withdrawn"] is True
    assert agent.answer("hello") == "echo: hello"


def test_refused_with_nothing_older(stack_factory):
    """There is nothing to sum up: it is not sent a second time."""
    stack = stack_factory(scenarios=refusing())
    agent = stack.user().agent()
    frames = agent.ask(f"say {LONG * 8}")
    assert not compressions(frames) and of(frames, "error")[0]["class"] == "context_length"
    assert len(requests_of(stack, "say")) == 1
    assert agent.answer("hello") == "echo: hello"


def test_killed_after_a_refusal(stack_factory):
    """Nothing was written: the heir is refused too, and compacts."""
    summary = {"match": "^\\[", "steps": [{"text": "SUM"}, {"wait_ms": 400}, {"text": "MARY"}]}
    stack = stack_factory(scenarios=[summary, *refusing()[1:]])
    agent = stack.user().agent()
    with agent.follow() as view:
        talk(agent, 3)
        sent = agent.say(f"say 3 {LONG}")
        wait_for(lambda: compressions(view.frames), 10, "not at it")
        stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    assert view.dones[sent["turn"]] == "completed"
    assert agent.info()["windows"] == 1 and text_of(agent.history()[-1]["content"]) == "yes"
