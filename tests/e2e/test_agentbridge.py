# SPDX-License-Identifier: MIT
"""Pages at the gateway, by Debian's python3-websockets: who is let in and how connections end, both dialects of AgentBridge, commands
and their answers, what agents may ask by WebSocket, every bound."""

import pytest
from agentbridge import Page
from engine import WebSocket
from fake_gateway import function
from stack import Stack

ADD = function("add", "Adds two numbers.", {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}})
CART = {"type": "component", "id": "cart", "componentType": "list", "properties": {}, "actions": ["clear"]}
COMMAND = {"target": "add", "action": "call", "parameters": {"a": 1, "b": 2}}


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=2, bridges=2, conf={"page.timeout": "2s", "bridge.page_commands": "4", "bridge.page_capabilities": "5", "bridge.page_bytes": "4k"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def command(user, page, what=None, query=""):
    """POST /api/command."""
    return user.post(f"/api/command{query}", {"clientId": page if isinstance(page, str) else page.id, "command": what or COMMAND})


# ---- connections

def test_no_token(stack):
    """Accepted, and closed, with no message before."""
    for path in ("/ws", "/agent-bridge", "/ws?token=", "/agent-bridge?x=1"):
        with WebSocket(stack, path) as ws:
            assert ws.status == 101 and "sec-websocket-extensions" not in ws.headers and "sec-websocket-protocol" not in ws.headers
            assert ws.frame() == (0x88, (4001).to_bytes(2, "big") + b"Authentication required")
    page = Page(stack)
    assert page.wait_closed() == (4001, "Authentication required") and page.got == []


def test_bad_tokens(stack):
    expired = stack.token("ann", exp=1)
    for query, headers in ((f"?token={expired}", {}), ("?token=nonsense", {}), ("?token=a%20b", {}), ("?token=" + "x" * 7000, {}),
                           ("?ticket=nonsense", {}), ("?ticket=%26x", {}), ("", {"Authorization": "Bearer nonsense"}), ("", {"Authorization": "Basic x"}),
                           (f"?token={expired}", {"Authorization": f"Bearer {stack.user().token}"})):
        page = Page(stack, query=query, headers=headers)
        assert page.wait_closed() == (4003, "Invalid token") and page.got == [], query


def test_ways_in(stack):
    """A token in the query or the header, with or without its scheme; a ticket, once."""
    user = stack.user()
    for path in ("/ws", "/agent-bridge"):
        for query, headers in ((f"?token={user.token}", {}), ("", {"Authorization": f"Bearer {user.token}"}), ("", {"Authorization": user.token}),
                               (f"?ticket={user.post('/api/tickets').json['ticket']}", {})):
            with Page(stack, user, [ADD], query=query, headers=headers, path=path) as page:
                assert page.got[0] == {"type": "connection", "clientId": page.id}
                assert user.get("/api/capabilities").json[page.id] == [ADD]
    ticket = user.post("/api/tickets").json["ticket"]
    with Page(stack, query=f"?ticket={ticket}"):
        assert Page(stack, query=f"?ticket={ticket}").wait_closed() == (4003, "Invalid token")


# ---- commands

def test_command(stack):
    """The page gets it with the gateway's id, and what it says is the answer."""
    user = stack.user()
    with Page(stack, user, [ADD, CART], lambda c: {"n": c["parameters"]["a"] + c["parameters"]["b"]}) as page:
        got = command(user, page)
        assert (got.status, got.body) == (200, b'{"n":3}')
        asked, = page.commands
        assert list(asked) == ["type", "requestId", "target", "action", "parameters", "id", "timestamp"]
        assert asked["id"] == asked["requestId"] and len(asked["id"]) == 36 and isinstance(asked["timestamp"], int)
        assert {k: asked[k] for k in COMMAND} == COMMAND
