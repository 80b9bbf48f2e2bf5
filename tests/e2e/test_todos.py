# SPDX-License-Identifier: MIT
"""The todo list: read and replaced by its user, and the model reminded of it."""

import pytest

from conftest import close
from stack import Stack, wait_for, words
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


def test_no_reminder_of_nothing(agent):
    put(agent, [{**ITEM, "status": "completed"}])
    assert not of(agent.ask("three"), "todo_reminder")


def test_not_yours(agent, stack):
    other = agent.seen_by(stack.user())
    assert other.user.get(f"{other.path}/todos").status == 403
    put(other, LIST, status=403)
