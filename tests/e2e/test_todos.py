# SPDX-License-Identifier: MIT
"""The todo list: read and replaced by its user, and the model reminded of it."""

import json

import pytest

from conftest import close
from stack import Stack, wait_for, words
from test_forks import fork
from test_tools import LIST, calls, of, results

ITEM = {"id": "1", "title": "x", "status": "pending"}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(conf={"tool.todo_reminder": "2"}, scenarios=[
        *calls("^list$", {"call": "todo_read"}),
        {"match": "^three$", "round": 0, "steps": [{"call": "todo_read"}]},
        {"match": "^three$", "round": 1, "steps": [{"call": "todo_read"}]},
        {"match": "^three$", "round": 2, "steps": [{"call": "todo_read"}]},
        {"match": "^slow$", "steps": [{"text": words(60), "pace_ms": 20}]},
        *calls("^clear$", {"call": "todo_write", "input": {"todos": []}}),
        {"match": "^slow list$", "round": 0, "steps": [{"text": words(60), "pace_ms": 20}, {"call": "todo_read"}]},
    ])
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(tools=["todo_read", "todo_write"])


def put(agent, todos, status=200):
    got = agent.user.http("PUT", f"{agent.path}/todos", {"todos": todos})
    assert got.status == status, got
    return got.json


def get(agent):
    got = agent.user.get(f"{agent.path}/todos")
    assert got.status == 200
    return got.json


def test_put_and_get(agent):
    """The agent sees it, and viewers are told."""
    assert get(agent) == {"todos": [], "version": 0}
    with agent.follow() as view:
        made = put(agent, LIST)
        wait_for(lambda: of(view.frames, "todo_changed"), 5, "not told")
    assert get(agent) == made and [t["id"] for t in made["todos"]] == ["1", "2"] and made["version"] == 1
    event, = of(view.frames, "todo_changed")
    assert event["previous"] is None and event["current"] == made
    agent.ask("list")
    assert results(agent)[0]["data"]["todos"] == made["todos"]
    assert put(agent, [])["todos"] == []


@pytest.mark.parametrize("todos, complaint", [
    ([{**ITEM, "id": ""}], "no id"), ([ITEM, ITEM], "Duplicate todo id: 1"), ([{**ITEM, "title": " "}], "must have a title"),
    ([{**ITEM, "status": "done"}], "status is"), ([{**ITEM, "status": "in_progress"}, {**ITEM, "id": "2", "status": "in_progress"}], "Only one"),
    ("x", "todos is a list"), ([7], "no id"), (None, "todos is a list"),
])
def test_rules(agent, todos, complaint):
    assert complaint in put(agent, todos, status=422)["detail"]
    assert get(agent)["todos"] == []


def test_busy(agent):
    agent.say("slow")
    wait_for(lambda: agent.info()["state"] == "STREAMING", 10, "no text")
    put(agent, LIST, status=409)
    agent.interrupt()
    put(agent, LIST)


def test_reminder(agent, stack):
    """After some steps the model is told what is open, once, and its user is not."""
    put(agent, [*LIST, {"id": "3", "title": "done", "status": "completed"}])
    frames = agent.ask("three")
    assert len(of(frames, "todo_reminder")) == 1
    reminders = [m for m in agent.history() if m.get("kind") == "reminder"]
    assert len(reminders) == 1
    said = reminders[0]["content"][0]["text"]
    assert said.startswith("<system-reminder>\nThese todos are open:\n- [in_progress] 1: buy milk\n- [pending] 2: drink it\nGo on")
    assert "done" not in said and said.endswith("</system-reminder>")
    assert frames[-1]["reason"] == "completed"


def test_the_list_is_empty(agent):
    """The model is told so when it has emptied it, and not when it was empty."""
    put(agent, LIST)
    frames = agent.ask("clear")
    assert [f["reason"] for f in of(frames, "todo_reminder")] == ["empty"]
    said, = [m["content"][0]["text"] for m in agent.history() if m.get("kind") == "reminder"]
    assert said.startswith("<system-reminder>\nThe todo list is empty now.")
    assert not of(agent.ask("clear"), "todo_reminder")


def test_no_reminder_of_nothing(agent):
    put(agent, [{**ITEM, "status": "completed"}])
    assert not of(agent.ask("three"), "todo_reminder")


def test_not_yours(agent, stack):
    other = agent.seen_by(stack.user())
    assert other.user.get(f"{other.path}/todos").status == 403
    put(other, LIST, status=403)


def remind(agent, text, status=202):
    got = agent.user.post(f"{agent.path}/reminders", {"text": text})
    assert got.status == status, got
    return got.json


def test_reminders_of_the_site(agent, stack):
    """They start no turn; the next one has them before its message, and viewers see no message."""
    remind(agent, "The user is in a hurry.")
    remind(agent, "It is Sunday.\n")
    assert agent.history() == [] and agent.info()["busy"] is False
    frames = agent.ask("hello")
    assert [m.get("kind") for m in agent.history()] == ["reminder", "reminder", None, None]
    said = agent.history()[1]["content"][0]["text"]
    assert said.startswith("<system-reminder>\nIt is Sunday.\nThis is a system reminder.")
    assert [f.kind for f in frames].count("message_accepted") == 1
    assert [e["kind"] for e in agent.page()["events"]].count("reminder_sent") == 2
    sent = [m["role"] for m in stack.model.requests[-1].body["messages"]]
    assert sent == ["user"] * 3
    agent.ask("hello again")
    assert len(agent.history()) == 6
    stack.restart_pool()
    assert agent.answer("and again").endswith("again"), "as the store has it"


def test_a_reminder_for_the_turn_behind(agent):
    sent = agent.say("slow")
    remind(agent, "Hurry.")
    later = agent.say("hello")
    with agent.follow() as view:
        view.wait(sent["turn"])
        view.wait(later["turn"])
    assert [m.get("kind") for m in agent.history()] == [None, None, "reminder", None, None]
    assert agent.history()[2]["turn"] == later["turn"]


def test_a_reminder_for_the_turn_that_runs(agent):
    """Its next call of the model has it."""
    with agent.follow() as view:
        sent = agent.say("slow list")
        wait_for(lambda: agent.info()["state"] == "STREAMING", 10, "no text")
        remind(agent, "Hurry.")
        view.wait(sent["turn"])
    assert [m.get("kind") or m["role"] for m in agent.history()] == ["user", "assistant", "tool_results", "reminder", "assistant"]
    assert {m["turn"] for m in agent.history()} == {sent["turn"]}
    assert [e["kind"] for e in agent.page()["events"]].count("reminder_sent") == 1


def test_reminders_are_checked(agent, stack):
    assert "blank" in remind(agent, " ", status=422)["detail"]
    remind(agent.seen_by(stack.user()), "x", status=403)
    for _ in range(32):
        remind(agent, "x")
    assert remind(agent, "x", status=429)["limit"] == "limits.inbox"


def test_what_is_published_follows_on(agent, stack):
    """Each publication names the event before its first, whoever wrote that: a viewer elsewhere notices what it missed."""
    with stack.redis().pubsub() as heard:
        heard.psubscribe("af:*:live")
        agent.ask("hello")
        put(agent, LIST)
        agent.ask("list")
        agent.ask("list")
        child = fork(agent)
        for _ in range(4):  # so many epochs as its maker had
            put(child, LIST)
        child.ask("hello")
        newest = {}

        def follow():
            told = heard.get_message(timeout=0.05)
            if told and told["type"] == "pmessage":
                prev, *events = told["data"].decode().split("\n")
                at = told["channel"]
                assert newest.get(at, "0-0") == prev
                newest[at] = json.loads(events[-1])["id"] if events else prev
            return len(newest) == 2 and all(
                a.info()["last"] == newest.get(key) for a in (agent, child) for key in newest if a.id in key.decode())

        wait_for(follow, 10, "not all was published")
