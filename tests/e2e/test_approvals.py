# SPDX-License-Identifier: MIT
"""Tool calls that a human must allow: asked, parked, decided once, from anywhere, whatever dies meanwhile."""

import pytest

from conftest import close
from stack import Stack, wait_for, words
from test_tools import LIST, calls, of, results, text

TOOLS = ["todo_read", "todo_write"]
ASK = {"mode": "auto", "requireApprovalTools": ["todo_write"]}

SCENARIOS = [
    *calls("^plan$", {"text": "I make a list. "}, {"call": "todo_write", "input": {"todos": LIST}}),
    *calls("^mixed$", {"call": "todo_read"}, {"call": "todo_write", "input": {"todos": LIST}}, {"call": "todo_read"}),
    *calls("^two$", {"call": "todo_write", "input": {"todos": LIST}}, {"call": "todo_write", "input": {"todos": LIST[:1]}}),
    *calls("^slow$", {"text": words(200), "pace_ms": 20}),
]


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"approval.role": "approver", "store.sweep": "200ms"})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=TOOLS, permission=ASK)


def test_allow(agent):
    """W5: the viewer stays, the agent is parked without a lease, and goes on where it stopped."""
    with agent.chat("plan") as stream:
        open_question, = agent.asked()
        assert open_question["state"] == "APPROVAL_REQUIRED" and open_question["name"] == "todo_write"
        assert open_question["input"] == {"todos": LIST} and open_question["approval"]["required"] is True
        assert agent.info()["busy"] is True
        got = agent.decide(open_question["id"], note="but keep it short")
        assert got.status == 200 and got.json["decision"] == "allow" and got.json["decidedBy"] == agent.user.name
        frames = stream.rest()
    kinds = [f.kind for f in frames if f.kind not in ("text_chunk", "token_usage", "step_complete")]
    assert kinds == ["message_accepted", "turn_start", "tool:start", "permission_required", "state_change", "state_change",
                     "approval_response", "tool:complete", "todo_changed", "done"]
    assert [f["state"] for f in of(frames, "state_change")] == ["AWAITING_APPROVAL", "PRE_TOOL"]
    assert frames[-1]["reason"] == "completed"
    result, = results(agent)
    assert result == {"ok": True, "data": {"count": 2}, "note": "but keep it short"}
    assert "but keep it short" in text(frames), "the note reaches the model"
    record, = agent.tool_calls()
    assert record["state"] == "COMPLETED"
    assert record["approval"]["decision"] == "allow" and record["approval"]["decidedBy"] == agent.user.name
    assert record["approval"]["note"] == "but keep it short"
    assert [a["state"] for a in record["audit"]] == ["PENDING", "APPROVAL_REQUIRED", "APPROVED", "EXECUTING", "COMPLETED"]
    assert agent.approvals() == [] and agent.lease() is None


def test_deny(agent):
    """The reason is the human's, in the record, in the event and for the model."""
    agent.say("plan")
    question, = agent.asked()
    with agent.follow() as view:
        assert agent.decide(question["id"], "deny", note="milk is bad for you").status == 200
        wait_for(lambda: view.dones, 10, "no end")
    result, = results(agent)
    assert result["ok"] is False and result["error"] == f"Denied by {agent.user.name}: milk is bad for you"
    record, = agent.tool_calls()
    assert record["state"] == "DENIED" and record["error"] == result["error"]
    response, = [f for f in view.frames if f.kind == "approval_response"]
    assert response["call"]["approval"]["decision"] == "deny" and response["call"]["approval"]["note"] == "milk is bad for you"
    assert "todo_changed" not in [f.kind for f in view.frames]


def test_answered_once(agent):
    agent.say("plan")
    question, = agent.asked()
    assert agent.decide(question["id"], "maybe").status == 422
    assert agent.decide("call_nosuch").status == 404
    assert agent.decide(question["id"]).status == 200
    again = agent.decide(question["id"], "deny")
    assert again.status == 409 and "answered" in again.json["detail"]
    agent.wait_idle()
    assert agent.decide(question["id"]).status == 409


def test_many_answers_at_once(agent):
    """Of ten at the same time one is taken."""
    from concurrent.futures import ThreadPoolExecutor
    agent.say("plan")
    question, = agent.asked()
    with ThreadPoolExecutor(10) as pool:
        got = list(pool.map(lambda n: agent.decide(question["id"], "allow" if n % 2 else "deny").status, range(10)))
    assert sorted(got) == [200] + [409] * 9
    agent.wait_idle()


def test_siblings_run_meanwhile(agent):
    """What needs no answer is run and kept before the turn waits."""
    with agent.follow() as view:
        sent = agent.say("mixed")
        question, = agent.asked()
        done = [f["call"]["name"] for f in view.frames if f.kind == "tool:complete"]
        assert done == ["todo_read", "todo_read"]
        agent.decide(question["id"])
        view.wait(sent["turn"])
    assert [r["ok"] for r in results(agent)] == [True] * 3
    assert [f.kind for f in view.frames].count("tool:complete") == 3


def test_each_by_itself(agent):
    """Two questions; the second stays open while the first is carried out."""
    with agent.follow() as view:
        sent = agent.say("two")
        first, second = agent.asked(2)
        assert agent.decide(second["id"], "deny", note="no").status == 200
        still, = agent.asked(1)
        assert still["id"] == first["id"]
        assert agent.decide(first["id"]).status == 200
        view.wait(sent["turn"])
    assert [r["ok"] for r in results(agent)] == [True, False], "in the order of the calls"


def test_both_at_once(agent):
    """An answer that comes while the other is being applied is not lost."""
    for _ in range(5):
        sent = agent.say("two")
        first, second = agent.asked(2)
        with agent.follow(after=sent["after"]) as view:
            assert agent.decide(first["id"]).status == agent.decide(second["id"]).status == 200
            view.wait(sent["turn"])
            assert view.dones == {sent["turn"]: "completed"}


def test_restart(agent, stack):
    """It survives the whole pool, and the answer comes to another one."""
    sent = agent.say("plan")
    question, = agent.asked()
    stack.restart_pool()
    assert agent.approvals()[0]["id"] == question["id"]
    with agent.follow() as view:
        assert agent.decide(question["id"]).status == 200
        view.wait(sent["turn"])
    assert results(agent)[0]["ok"] is True
    assert "agent_resumed" not in [f.kind for f in view.frames], "nothing was cut short"


def test_kill_when_parked(agent, stack):
    sent = agent.say_surely("plan")
    question, = agent.asked()
    stack.kill_workers()
    with agent.follow() as view:
        wait_for(lambda: agent.decide(question["id"]).status in (200, 409), 10, "not taken")
        view.wait(sent["turn"])
    assert view.dones == {sent["turn"]: "completed"}


def test_interrupt_cancels(agent):
    """W15: the question is withdrawn, sealed once; the next message works, and a late answer runs nothing."""
    sent = agent.say("plan")
    question, = agent.asked()
    assert agent.interrupt() == {"interrupted": True, "turn": sent["turn"]}
    assert agent.approvals() == []
    assert agent.decide(question["id"]).status == 409
    record, = agent.tool_calls()
    assert record["state"] == "SEALED"
    assert results(agent)[0]["error"] == "Tool interrupted while awaiting approval; session sealed automatically."
    assert agent.answer("hello").endswith("hello")
    assert "todo_changed" not in [e["kind"] for e in agent.page()["events"]]


def test_a_message_waits(agent):
    """A message for a parked agent is queued, and answered behind the turn that waits."""
    first = agent.say("plan")
    question, = agent.asked()
    second = agent.say("hello")
    assert agent.info()["waiting"] == 1 and agent.approvals()[0]["id"] == question["id"]
    assert agent.post_message("no", onBusy="reject").status == 409
    with agent.follow() as view:
        agent.decide(question["id"])
        view.wait(first["turn"])
        view.wait(second["turn"])
    assert view.dones == {first["turn"]: "completed", second["turn"]: "completed"}


def test_a_message_that_interrupts(agent):
    first = agent.say("plan")
    agent.asked()
    frames = agent.ask("hello", onBusy="interrupt")
    assert frames[-1]["reason"] == "completed"
    done = [e for e in agent.page()["events"] if e["kind"] == "done" and e["turn"] == first["turn"]]
    assert [e["reason"] for e in done] == ["interrupted"]


def test_delete_when_parked(agent, stack):
    agent.say("plan")
    agent.asked()
    assert agent.user.http("DELETE", agent.path).status in (200, 204)
    assert [k for k in stack.redis().keys(f"*{agent.id}*") if b":idem:" not in k] == []
    assert stack.redis().zscore("af:leases", agent.key("x")[:-2]) is None


def test_not_yours(agent, stack):
    """Another user's question does not exist."""
    agent.say("plan")
    question, = agent.asked()
    other = agent.seen_by(stack.user())
    assert other.decide(question["id"]).status == 403
    assert other.user.get(f"{other.path}/approvals").status == 403
    assert other.user.get(f"{other.path}/tool-calls").status == 403
    agent.interrupt()


def test_the_tenant_s_approver(stack):
    """Who has the role decides for the users of the own tenant, and does nothing else there."""
    owner = stack.user("owner", tenant="acme").agent(tools=TOOLS, permission=ASK)
    sent = owner.say("plan")
    question, = owner.asked()
    for claims in [{"tenant": "acme"}, {"tenant": "acme", "roles": ["user"]}, {"tenant": "other", "roles": ["approver"]},
                   {"roles": ["approver"]}, {"tenant": "", "roles": ["approver"]}]:
        assert owner.seen_by(stack.user("stranger", **claims)).decide(question["id"]).status == 403, claims
    boss = owner.seen_by(stack.user("boss", tenant="acme", roles=["user", "approver"]))
    assert boss.approvals()[0]["id"] == question["id"]
    assert boss.user.get(boss.path).status == 403
    with owner.follow() as view:
        assert boss.decide(question["id"], note="fine").status == 200
        view.wait(sent["turn"])
    assert owner.tool_calls()[0]["approval"]["decidedBy"] == boss.user.name


def test_roles_as_text(stack):
    owner = stack.user("owner", tenant="acme").agent(tools=TOOLS, permission=ASK)
    owner.say("plan")
    question, = owner.asked()
    assert owner.seen_by(stack.user("x", tenant="acme", roles="user approvers")).decide(question["id"]).status == 403
    assert owner.seen_by(stack.user("x", tenant="acme", roles="user approver")).decide(question["id"]).status == 200


@pytest.mark.parametrize("claims", [{"tenant": 7}, {"tenant": "a b"}, {"tenant": "x" * 128}])
def test_bad_tenants(stack, claims):
    got = stack.user("x", **claims).get("/api/agents")
    assert got.status == 401 and "tenant" in got.json["detail"]


def test_modes(stack):
    """approval asks for every call; an unknown mode is refused when the agent is made."""
    agent = stack.user().agent(tools=TOOLS, permission={"mode": "approval"})
    agent.say("mixed")
    assert [q["name"] for q in agent.asked(3)] == ["todo_read", "todo_write", "todo_read"]
    agent.interrupt()
    got = stack.user().post("/api/agents", {"name": "x", "tools": TOOLS, "permission": {"mode": "yolo"}})
    assert got.status == 422 and "permission.mode" in got.json["detail"]


def test_timeout(stack_factory):
    """Nobody answers: denied with a reason, by whoever sweeps."""
    stack = stack_factory(scenarios=SCENARIOS, conf={"approval.timeout": "700ms", "store.sweep": "100ms"})
    agent = stack.user().agent(tools=TOOLS, permission=ASK)
    frames = agent.ask("plan")
    assert frames[-1]["reason"] == "completed"
    assert results(agent)[0]["error"] == "Denied by timeout: nobody answered in time"
    record, = agent.tool_calls()
    assert record["state"] == "DENIED" and record["approval"]["decidedBy"] == "timeout"
