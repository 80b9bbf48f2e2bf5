# SPDX-License-Identifier: MIT
# Alone: it has bounds of a fifth of a second and less.
"""Interrupting always works: the model's connection closes, the history is sealed, done follows."""

import signal
import threading
import time

import pytest
from stack import Stack, kill, scaled, text_of, wait_for, words


def model_request(stack, agent_text):
    return stack.model.wait_for(lambda: [r for r in stack.model.requests if r.last == agent_text][-1:], 10)[0]


def test_it_closes_the_models_connection(stack_factory):
    """Within 200 ms, and it answers when the turn has stopped."""
    stack = stack_factory(workers=1)
    agent = stack.user().agent()
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk", 5)
        request = model_request(stack, "slow 400")
        asked = time.monotonic()
        answer = agent.interrupt()
        answered = time.monotonic()
        frames = stream.rest()
    assert answer == {"interrupted": True, "turn": frames[0]["turn"]}
    stack.model.wait_for(lambda: request.ended, 5)
    assert request.ended == "closed" and request.ended_at - asked < scaled(0.2)
    assert answered - asked < scaled(0.5)
    assert frames[-1].kind == "done" and frames[-1]["reason"] == "interrupted"
    assert agent.info()["busy"] is False, "it answered before the turn had stopped"


def test_the_partial_text_is_kept_and_marked(site, agent):
    """What was shown is in the history, marked; the model sees it with the next message, which works."""
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk", 5)
        agent.interrupt()
        stream.rest()
        shown = "".join(f["text"] for f in stream.frames if f.kind == "text_chunk")
    partial = agent.history()[1]
    assert partial["interrupted"] is True and partial["role"] == "assistant"
    assert text_of(partial["content"]) == shown and words(400).startswith(shown)
    assert agent.answer("go on") == "echo: go on"
    sent = model_request(site, "go on").body["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "user"]
    assert text_of(sent[1]["content"]).strip() == shown.strip()
    assert all(set(m) == {"role", "content"} for m in sent)
    assert "interrupted" not in agent.history()[3]


def test_from_the_other_worker(site, agent):
    """It works from whichever worker the call comes to."""
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk", 3)
        holder = agent.holder()
        other, = [p for p in site.workers() if p != holder]
        request = model_request(site, "slow 400")
        answers = []
        site.stop(holder)
        try:
            asking = threading.Thread(target=lambda: answers.append(agent.interrupt()))
            asking.start()  # nobody but the other worker can take it
            wait_for(lambda: site.redis().hget(agent.key("info"), "interrupt"), 5, "the other worker did not take it")
        finally:
            site.cont(holder)
        went_on = time.monotonic()
        asking.join(scaled(10))
        assert other in site.workers()
        assert answers[0]["interrupted"] is True
        site.model.wait_for(lambda: request.ended == "closed", 5)
        assert request.ended_at - went_on < scaled(0.5)
        assert stream.rest()[-1]["reason"] == "interrupted"


def test_when_nothing_runs(agent):
    """An idle agent has nothing to interrupt; nothing is written."""
    assert agent.interrupt() == {"interrupted": False}
    agent.answer("hello")
    wait_for(lambda: not agent.info()["busy"])
    before = agent.log_ids()
    assert agent.interrupt() == {"interrupted": False}
    assert agent.log_ids() == before


def test_messages_that_wait_come_next(agent):
    """The running turn stops; what is in the inbox is answered after it."""
    first = agent.say("slow 400")
    second = agent.say("and now")
    with agent.follow() as view:
        view.wait_for(lambda f: "w2 " in f.text(first["turn"]))
        assert agent.interrupt()["turn"] == first["turn"]
        view.wait(turns=2)
    assert view.dones == {first["turn"]: "interrupted", second["turn"]: "completed"}
    assert view.text(second["turn"]) == "echo: and now"


def test_during_a_stall(site, agent):
    """A model that says nothing more is left at once."""
    with agent.chat("stall") as stream:
        stream.until("text_chunk")
        request = model_request(site, "stall")
        asked = time.monotonic()
        agent.interrupt()
        assert stream.rest()[-1]["reason"] == "interrupted"
    site.model.wait_for(lambda: request.ended == "closed", 5)
    assert request.ended_at - asked < scaled(0.2)
    assert text_of(agent.history()[1]["content"]).startswith("w1")
    assert agent.answer("still there") == "echo: still there"


@pytest.fixture(scope="module")
def waiting():
    """A model that says nothing for a while, and one that wants to be asked again much later."""
    stack = Stack(workers=1, scenarios=[
        {"match": "^silent$", "steps": [{"stall": True}]},
        {"match": "^later$", "steps": [{"status": 529, "headers": {"retry-after": "60"}}]}])
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def test_before_the_first_byte(waiting):
    """Nothing was shown: nothing is kept of the answer, and the next message works."""
    agent = waiting.user().agent()
    agent.say("silent")
    request = model_request(waiting, "silent")
    asked = time.monotonic()
    assert agent.interrupt()["interrupted"] is True
    waiting.model.wait_for(lambda: request.ended == "closed", 5)
    assert request.ended_at - asked < scaled(0.2)
    assert agent.dialogue() == [("user", "silent")]
    assert agent.answer("hello") == "echo: hello"


def test_during_the_pause_before_a_retry(waiting):
    """It does not wait for the retry."""
    agent = waiting.user().agent()
    with agent.chat("later") as stream:
        stream.until("retry")
        asked = time.monotonic()
        assert agent.interrupt()["interrupted"] is True
        assert time.monotonic() - asked < scaled(0.5)
        assert stream.rest()[-1]["reason"] == "interrupted"
    assert agent.answer("hello") == "echo: hello"


def test_twice_at_once(agent):
    """Both are answered; the turn stops once."""
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk")
        answers = []
        asking = [threading.Thread(target=lambda: answers.append(agent.interrupt())) for _ in range(4)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert [f.kind for f in stream.rest()].count("done") == 1
    assert len(answers) == 4 and {"interrupted": True, "turn": stream.frames[0]["turn"]} in answers


def test_it_is_not_a_viewer(stack_factory):
    """A user whose streams are all taken can still stop a turn."""
    stack = stack_factory(workers=1, conf={"limits.viewers_per_user": 1})
    agent = stack.user().agent()
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk")
        assert agent.interrupt()["interrupted"] is True
        assert stream.rest()[-1]["reason"] == "interrupted"


def test_an_interrupted_turn_stays_so_when_its_worker_dies(site, agent):
    """The mark is durable: the heir seals the turn and does not go on with it."""
    agent.say("slow 400")
    with agent.follow() as view:
        view.has("w3 ")
        holder = agent.holder()
        site.stop(holder)
        asking = threading.Thread(target=lambda: agent.user.post(f"{agent.path}/interrupt", timeout=10))
        asking.start()
        wait_for(lambda: site.redis().hget(agent.key("info"), "interrupt"), 5)
        kill(holder, signal.SIGKILL)
        view.wait()
        asking.join()
    assert list(view.dones.values()) == ["interrupted"]
    assert agent.answer("next") == "echo: next"
