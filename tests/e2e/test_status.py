# SPDX-License-Identifier: MIT
"""GET /status: its forms, its numbers, the turns of all workers, and who may read it."""

import html.parser
import os
import signal

import pytest

from stack import Fcgi
from waiting import wait_for


def status(stack, query="?full&json"):
    got = stack.http("GET", f"/status{query}")
    assert got.status == 200, got
    return got.json


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.open = [], [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells.append(data)


def test_text(site):
    got = site.http("GET", "/status")
    assert got.status == 200 and got.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = dict(line.split(":", 1) for line in got.body.decode().splitlines())
    assert lines["pool"].strip() == "agent-fpm"
    assert lines["process manager"].strip() == "static"
    for name in ("start time", "start since", "accepted conn", "idle processes", "active processes", "total processes", "running turns",
                 "open streams", "redis up"):
        assert lines[name].strip(), name
    assert int(lines["total processes"]) == 2
    assert len(got.body.decode().splitlines()) < len(site.http("GET", "/status?full").body.decode().splitlines())


@pytest.mark.parametrize("pm", ["static", "dynamic"])
def test_process_manager(stack_factory, pm):
    stack = stack_factory(workers=1, conf={"pm": pm})
    assert status(stack)["processManager"] == pm
    assert f"process manager:      {pm}\n" in stack.http("GET", "/status").body.decode()


def test_forms(site):
    def type_of(query="", accept="*/*"):
        got = site.http("GET", f"/status{query}", headers={"Accept": accept})
        assert got.status == 200
        return got.headers["Content-Type"].partition(";")[0]

    assert type_of() == "text/plain"
    assert type_of(accept=None) == "text/plain"
    assert type_of("?json") == type_of(accept="application/json") == "application/json"
    assert type_of("?html") == type_of(accept="text/html,application/xhtml+xml,*/*;q=0.8") == "text/html"
    assert type_of("?json", "text/html") == "application/json"
    assert type_of("?html", "application/json") == "text/html"
    assert type_of(accept="text/html;q=0, */*") == "text/plain"


def test_running_turns(stack_factory):
    stack = stack_factory(workers=2)
    user = stack.user("ann<b>")
    agents = [user.agent() for _ in range(6)]
    for agent in agents:
        agent.say("slow 2000")
    wait_for(lambda: all(t["state"] == "model" for t in status(stack)["turns"]) and len(status(stack)["turns"]) == 6)
    got = status(stack)
    assert got["runningTurns"] == 6 and got["totalProcesses"] == 2
    assert {t["agent"] for t in got["turns"]} == {a.id for a in agents}
    assert [t["ageMs"] for t in got["turns"]] == sorted((t["ageMs"] for t in got["turns"]), reverse=True)
    turn = got["turns"][0]
    assert (turn["user"], turn["step"], turn["model"]) == (user.name, 1, "default")
    assert 0 <= turn["inStateMs"] <= turn["ageMs"]
    assert {t["pid"] for t in got["turns"]} <= {w["pid"] for w in got["workers"]} == set(stack.workers())
    assert sum(w["runningTurns"] for w in got["workers"]) == 6
    assert all(w["residentBytes"] > 1e6 and w["state"] == "ready" for w in got["workers"])
    text = stack.http("GET", "/status?full").body.decode()
    assert all(a.id in text for a in agents) and "in state ms:" in text
    raw = stack.http("GET", "/status?full&html").body.decode()
    page = Page(raw)
    assert user.name in page.cells and "<b>" not in raw
    assert all(a.id in page.cells for a in agents)
    assert not [t for t in page.tags if t[0] in ("script", "link", "img") or "src" in t[1]]
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in page.tags
    # A worker dies: its turns are shown as its heir's.
    for pid in stack.workers():
        os.kill(pid, signal.SIGKILL)

    def taken_up():
        now = stack.http("GET", "/status?full&json")
        if now.status != 200:
            return False
        turns = now.json["turns"]
        return len(turns) == 6 and {t["pid"] for t in turns} <= {w["pid"] for w in now.json["workers"]} and not \
            {t["pid"] for t in turns} & {t["pid"] for t in got["turns"]}

    wait_for(taken_up)
    for agent in agents:
        agent.interrupt()
    wait_for(lambda: status(stack)["turns"] == [] and status(stack)["runningTurns"] == 0)
    wait_for(lambda: status(stack)["finishedTurns"] == 6)


def test_more_than_are_shown(stack_factory):
    stack = stack_factory(workers=1, conf={"limits.turns_per_user": 0})
    user = stack.user()
    agents = [user.agent() for _ in range(135)]
    for agent in agents:
        agent.say("slow 4000")
    wait_for(lambda: status(stack)["runningTurns"] == 135)
    wait_for(lambda: len(status(stack)["turns"]) == 128)


def test_who_may_read(stack_factory):
    stack = stack_factory(workers=1, conf={"admin.role": "admin"})

    def asks(address, user=None):
        with Fcgi(stack.fcgi_path, keep=False) as c:
            c.send(stack.fcgi_params("GET", "/status?full&json", user, REMOTE_ADDR=address))
            return c.read_to_end().response().status

    assert asks("127.0.0.1") == 200
    assert asks("192.0.2.1") == 403
    assert asks("192.0.2.1", stack.user()) == 403
    assert asks("192.0.2.1", stack.user(roles=["admin"])) == 200


def test_when_redis_is_away(stack_factory):
    stack = stack_factory(workers=1)
    assert status(stack)["redisUp"] == 1
    stack.kill_redis()
    wait_for(lambda: status(stack)["redisUp"] == 0)
