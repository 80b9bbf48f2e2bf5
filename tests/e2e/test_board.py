# SPDX-License-Identifier: MIT
"""The board in www/, driven in headless Chromium: an agent changes a page through the gateway, after it was allowed to."""

import re
import uuid

import pytest
from stack import Stack, wait_for
from test_page import Page, driver, pytestmark, tools  # noqa: F401
from test_tools import calls

CONNECTED = "#bridge[data-state=connected]"


@pytest.fixture(scope="module")
def stack():
    scenarios = [
        {"match": "^note (.*)$", "round": 0, "steps": [{"text": "I put it there."}, {"call": "client__add_note", "input": {"text": "${1}"}}]},
        {"match": "^note", "steps": [{"text": "It is there."}]},
        *calls("^bad color$", {"call": "client__set_color", "input": {"color": "plaid"}}),
        *calls("^color$", {"call": "client__set_color", "input": {"color": "blue"}}),
    ]
    stack = Stack(bridges=1, scenarios=scenarios, conf={"store.sweep": "200ms", "page.timeout": "5s"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


class Board(Page):
    """The page with the board, of a user of its own."""

    def sign_in(self, user):
        self.user = self.site.user() if user is None else user
        self.driver.get("about:blank")
        self.driver.get(f"{self.site.https}/board.html#token={self.user.token}")
        self.wait(lambda: self.one("#user").text == self.user.name, "not signed in")
        self.connected()

    def connected(self):
        self.one(CONNECTED)
        self.one("#chat[data-state=connected]")
        self.wait(self.functions, "nobody knows what it can do")

    def functions(self):
        """What the API says that the user's pages can do."""
        return [f["name"] for page in self.user.get("/api/capabilities").json.values() for f in page]

    def agent(self):
        agent, = self.user.get("/api/agents").json["agents"]
        return agent

    def notes(self):
        return [e.text for e in self.all(".note-card")]

    def color(self):
        return self.driver.execute_script("return document.getElementById('board').dataset.color")

    def allow(self, decision="allow"):
        self.click(f".tool-question [data-decision={decision}]")


@pytest.fixture
def board(driver, stack):  # noqa: F811
    board = Board(driver, stack)
    board.sign_in(None)
    return board


def test_an_agent_writes_on_the_board(board):
    """When it was allowed to, and not before; what the page says comes back to it."""
    assert board.functions() == ["add_note", "set_color"] and board.agent()["name"] == "Board"
    board.say("note buy milk")
    assert board.one(".tool-question").text.startswith("May the agent do this?")
    assert board.notes() == []
    board.allow()
    board.wait(lambda: board.notes() == ["buy milk"], lambda: str(board.notes()))
    board.wait(lambda: ("assistant", "It is there.") in board.texts(), lambda: str(board.texts()))
    assert tools(board) == [["client__add_note", "completed", '{\n  "notes": 1\n}']]
    bad = [e["message"] for e in board.driver.get_log("browser") if re.search("Content Security|Uncaught|TypeError", e["message"])]
    assert not bad


def test_denied(board):
    board.say("note never")
    board.allow("deny")
    board.wait(lambda: [state for _, state, _ in tools(board)] == ["denied"], lambda: str(tools(board)))
    board.wait(lambda: ("assistant", "It is there.") in board.texts())
    assert board.notes() == []


def test_text_is_no_markup(board):
    board.say("note <b>bold</b><script>document.title = 'x'</script>")
    board.allow()
    board.wait(lambda: board.notes() == ["<b>bold</b><script>document.title = 'x'</script>"], lambda: str(board.notes()))
    assert board.driver.title != "x"


def test_color(board):
    """What its schema does not allow does not reach the page."""
    board.say("color")
    board.allow()
    board.wait(lambda: board.color() == "blue", board.color)
    board.say("bad color")
    board.wait(lambda: [s for _, s, _ in tools(board)] == ["completed", "failed"], lambda: str(tools(board)))
    assert board.color() == "blue"


def test_the_tool_goes_with_the_page(board, stack):
    """Closed: there is none. Loaded anew, the same agent has it again, and its conversation."""
    board.say("note one")
    board.allow()
    board.wait(lambda: board.notes() == ["one"])
    board.wait(lambda: ("assistant", "It is there.") in board.texts())
    agent = board.agent()["agentId"]
    board.driver.get("about:blank")
    wait_for(lambda: board.functions() == [], 10, "it is still there")
    said = board.user.post(f"/api/agents/{agent}/messages", {"message": "note two"})
    assert said.status == 202
    wait_for(lambda: board.user.get(f"/api/agents/{agent}").json["state"] == "READY", 10, lambda: board.user.get(f"/api/agents/{agent}").json)
    assert "tools" not in stack.model.requests[-1].body
    board.sign_in(board.user)
    board.wait(lambda: [n for n, _, _ in tools(board)] == ["client__add_note"] * 2 and tools(board)[1][1] == "failed", lambda: str(tools(board)))
    board.say("note three")
    board.allow()
    board.wait(lambda: board.notes() == ["three"])


def test_the_gateway_restarts(board, stack):
    """While somebody thinks about it: the page comes back by itself, and is asked when it was allowed."""
    board.say("note later")
    board.one(".tool-question")
    stack.bridges[0].stop()
    board.one("#bridge[data-state=reconnecting]")
    stack.bridges[0].start()
    board.connected()
    board.allow()
    board.wait(lambda: board.notes() == ["later"], lambda: str(board.notes()))


def test_sign_out(board):
    """Takes the page from agents, and forgets the token."""
    board.click("#sign-out")
    board.one("#token")
    wait_for(lambda: board.functions() == [], 10, "it is still there")
    assert board.driver.execute_script("return sessionStorage.length") == 0


def test_two_pages_of_two_users(driver, board, stack):  # noqa: F811
    """Each has its own board: nobody's agent writes on another's."""
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        other = Board(driver, stack)
        other.sign_in(None)
        other.say("note mine")
        other.allow()
        other.wait(lambda: other.notes() == ["mine"])
    finally:
        driver.close()
        driver.switch_to.window(first)
    assert board.notes() == []


def test_the_sites_own_pages(driver, stack_factory):  # noqa: F811
    """Where tokens are not needed, and no other origin is let in, the page still is."""
    stack = stack_factory(bridges=1, conf={"bridge.auth": "optional", "bridge.cors_origins": "", "bridge.anonymous_user": f"u{uuid.uuid4().hex[:6]}"})
    board = Board(driver, stack)
    board.sign_in(None)
    assert board.functions() == ["add_note", "set_color"]
