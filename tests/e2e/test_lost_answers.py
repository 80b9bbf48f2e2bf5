# SPDX-License-Identifier: MIT
"""Answers of Redis that are lost: what was written is sent again, and is in the log and in the history once."""

import pytest
from stack import event_id
from test_limits import lossy, resp  # noqa: F401
from test_tools import LIST, calls
from waiting import wait_for

SCENARIOS = [
    *calls("^plan$", {"text": "a list "}, {"call": "todo_write", "input": {"todos": LIST}}, {"call": "todo_read"}),
    {"match": "^slow ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 20, "by": "word"}]},
    {"match": ".*", "steps": [{"text": "echo"}]},
]


@pytest.mark.parametrize("every", [2, 3, 5])
def test_commits(lossy, every):  # noqa: F811
    """Of each way that a turn writes: text, calls of tools, messages that join it or wait for it, its end, the next one's begin."""
    stack, between = lossy(scenarios=SCENARIOS)
    agent = stack.user().agent(tools=["todo_read", "todo_write"])
    said = []
    with agent.follow() as view:
        between.lose_every(every, resp(agent.key("x")[:-2], "af:leases"))
        for round_ in range(3):
            said.append(agent.say_surely("slow 20"))
            view.wait_for(lambda f, n=round_: len(f.turns) > 2 * n and "w5 " in f.text(f.turns[-1]))
            said.append(agent.say_surely("steers", onBusy="steer"))
            said += [agent.say_surely("plan", onBusy=how) for how in ("enqueue", "merge")]
            view.wait_for(lambda f: {s["turn"] for s in said} <= set(f.dones))
        assert between.lost >= 10
        between.lose_every(0, b"")
    agent.wait_idle()
    messages = sorted(s["messageId"] for s in said)
    assert sorted(f["messageId"] for f in view.frames if f.kind == "message_accepted") == messages
    ids = [m["id"] for m in agent.history()]
    assert len(ids) == len(set(ids)) and set(messages) <= set(ids)
    assert agent.log_ids() == [f.id for f in view.frames]
    assert "the lease was lost" not in stack.log() and "agent_resumed" not in view.kinds()
    wait_for(lambda: agent.lease() is None, 5)


def test_the_next_turn_begins_before_the_end_is_known(lossy):  # noqa: F811
    """Redis has ended a turn, and its worker does not know yet, when the next message comes: all viewers get both, in order."""
    stack, between = lossy(scenarios=SCENARIOS)
    agent = stack.user().agent()
    agent.answer("warm")
    with agent.follow() as view, agent.chat("slow 5") as stream:
        stream.until("text_chunk", 2)
        between.lose = resp("F", "1")
        between.open.clear()
        wait_for(lambda: between.lose is None and agent.lease() is None, 10, "the end was not written")
        said = agent.say("hello")
        between.open.set()
        assert stream.rest()[-1].kind == "done"
        view.wait(said["turn"])
        assert agent.log_ids() == [f.id for f in view.frames]


def test_another_holder_has_the_same_epoch(stack_factory):
    """After a failover to a replica that had missed the last lease: its events are not taken for ours."""
    stack = stack_factory(workers=1, scenarios=SCENARIOS)
    agent = stack.user().agent()
    with agent.follow() as view:
        agent.say("slow 100")
        view.wait_for(lambda f: f.turns and "w5 " in f.text(f.turns[-1]))
        epoch, _ = agent.lease()
        forged = stack.redis().eval("""
            redis.call('SET', KEYS[1], ARGV[1] .. ':other:host.boot.1.1', 'PX', 60000)
            local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1][1]
            local seq = tonumber(string.match(newest, '-(%d+)$'))
            for i = 1, 30 do
                redis.call('XADD', KEYS[2], ARGV[1] .. '-' .. (seq + i), 'e', '{"channel":"progress","kind":"text_chunk","text":"theirs"}')
            end
            return seq""", 2, agent.key("lease"), agent.key("events"), epoch)
        wait_for(lambda: "the lease was lost" in stack.log(), 5, "it goes on")
        stored = {e for _, events in agent.log_entries() for e in events}
        assert all(f.data in stored for f in view.frames if f.id), "what is shown is stored"
        assert all(event_id(f.id) <= (epoch, forged) for f in view.frames if f.id and f.kind == "text_chunk")
    stack.redis().delete(agent.key("lease"))
