# SPDX-License-Identifier: MIT
"""Where keys come from and how they change; who a token's user is. What a token may look like is in test_auth.py."""

import json
import os
import time

from stack import AUDIENCE, b64url, sign
from waiting import wait_for

ANOTHER = "another secret of more than thirty-two bytes"


def status(stack, token, path="/api/agents"):
    return stack.http("GET", path, headers={"Authorization": f"Bearer {token}"}).status


def replace(stack, name, text):
    """Renames a new file over the old one."""
    os.rename(stack.write(name + ".new", text), stack.path(name))


def claims(user="ann", **more):
    return {"sub": user, "aud": AUDIENCE, "exp": int(time.time()) + 3600, **more}


def test_a_secret_is_rotated_without_a_restart(stack_factory):
    """Tokens of the old one end, though they were remembered; a broken file changes nothing."""
    stack = stack_factory(workers=2)
    workers = stack.workers()
    old, new = stack.token("ann"), sign(ANOTHER.encode(), claims())
    assert status(stack, old) == 200 and status(stack, new) == 401
    replace(stack, "jwt.secret", ANOTHER)

    def changed():
        return all([status(stack, new) == 200 and status(stack, old) == 401 for _ in range(8)])

    wait_for(changed, what=stack.log)
    assert stack.workers() == workers
    replace(stack, "jwt.secret", "short")
    wait_for(lambda: status(stack, new) == 200 and "the old ones stay" in stack.log(), what=stack.log)


def test_two_secrets_at_once(stack_factory):
    stack = stack_factory(workers=1, start=False)
    stack.conf["jwt.old_secret_file"] = stack.write("old.secret", ANOTHER)
    stack.start_all()
    assert status(stack, stack.token("ann")) == 200
    assert status(stack, sign(ANOTHER.encode(), claims())) == 200


def test_a_set_of_keys_in_a_file(stack_factory):
    """Chosen by kid; a file without the key ends its tokens."""
    def entry(kid, secret):
        return {"kty": "oct", "kid": kid, "alg": "HS256", "k": b64url(secret.encode())}

    def by(kid, secret):
        return sign(secret.encode(), claims(), {"alg": "HS256", "typ": "JWT", "kid": kid})

    one, two = "one" * 12, "two" * 12
    stack = stack_factory(workers=1, start=False)
    stack.conf["jwt.jwks_file"] = stack.write("set.json", json.dumps({"keys": [entry("1", one), entry("2", two)]}))
    stack.start_all()
    assert status(stack, by("1", one)) == 200 and status(stack, by("2", two)) == 200
    assert status(stack, by("1", two)) == 401 and status(stack, by("3", one)) == 401
    assert status(stack, stack.token("ann")) == 200
    replace(stack, "set.json", json.dumps({"keys": [entry("2", two)]}))
    wait_for(lambda: status(stack, by("1", one)) == 401)
    assert status(stack, by("2", two)) == 200


NEEDS = [
    ("POST", "", "agents:write"), ("GET", "", "agents:read"), ("GET", "/x", "agents:read"), ("PATCH", "/x", "agents:write"),
    ("DELETE", "/x", "agents:write"), ("POST", "/x/chat", "chat"), ("POST", "/x/messages", "chat"), ("GET", "/x/messages", "agents:read"),
    ("POST", "/x/interrupt", "chat"), ("GET", "/x/files", "files:read"), ("GET", "/x/files/a", "files:read"),
    ("PUT", "/x/files/a", "files:write"), ("DELETE", "/x/files/a", "files:write"), ("POST", "/x/approvals/y", "approvals"),
    ("GET", "/x/approvals", "agents:read"), ("POST", "/x/fork", "agents:write"), ("DELETE", "/x/inbox", "chat"),
    ("GET", "/x/events", "agents:read"), ("PUT", "/x/todos", "agents:write"),
]


def test_scopes_of_routes(stack_factory):
    """What is needed, and nothing else; 403 says what it is. Off, nobody asks."""
    stack = stack_factory(workers=1, conf={"jwt.scopes": "required"})
    scopes = {need for _, _, need in NEEDS}
    for method, path, need in NEEDS:
        for token in (stack.token("ann"), stack.token("ann", scope=" ".join(scopes - {need})), stack.token("ann", scope=f"{need}x")):
            got = stack.http(method, f"/api/agents{path}", headers={"Authorization": f"Bearer {token}"})
            assert got.status == 403, (method, path, got)
            challenge = got.headers["WWW-Authenticate"]
            assert 'error="insufficient_scope"' in challenge and f'scope="{need}"' in challenge
        for claims in ({"scope": f"openid {need}"}, {"scp": need}, {"scp": ["openid", need]}):
            got = stack.http(method, f"/api/agents{path}", headers={"Authorization": f"Bearer {stack.token('ann', **claims)}"})
            assert "WWW-Authenticate" not in got.headers and got.status != 401, (method, path, got)
    writer = stack.user("ann", scope="agents:write chat agents:read")
    agent = writer.agent()
    assert agent.answer("hello") == "echo: hello"
    ticket = writer.post("/api/tickets").json["ticket"]
    with stack.sse(f"{agent.path}/events?since=0-0&ticket={ticket}") as stream:
        stream.until("done")


def dismissed(frame):
    return frame.kind == "error" and frame["code"] == "token_expired"


def test_a_stream_ends_with_its_token(stack_factory):
    """Cleanly, with the cursor to come back with; one by a ticket with the token that got it. The turn goes on."""
    stack = stack_factory(workers=1, conf={"jwt.leeway": "0"})
    user = stack.user()
    agent = user.agent()
    agent.answer("hello")
    last = agent.events(query="?since=0-0").until("done")[-1].id
    brief = {"Authorization": f"Bearer {stack.token(user.name, exp=int(time.time()) + 3)}"}
    ticket = stack.http("POST", "/api/tickets", headers=brief).json["ticket"]
    path = f"{agent.path}/events?since=0-0"
    with stack.sse(path, headers=brief) as one, stack.sse(f"{path}&ticket={ticket}") as two, agent.events(query="?since=0-0") as three:
        for stream in (one, two):
            stream.until("done")
            frame = stream.next()
            assert dismissed(frame) and frame["retryable"] is True and frame["last"] == last
            assert stream.next() is None and stream.ended == "whole"
        three.until("done")
        agent.say("again")
        three.until("done")  # with another token: it goes on
    with stack.sse(f"{agent.path}/events", user=user, last_event_id=last) as back:
        assert "echo: again" in "".join(f.json.get("text", "") for f in back.until("done"))


def test_a_stream_may_outlive_its_token(stack_factory):
    stack = stack_factory(workers=1, conf={"jwt.leeway": "0", "events.end_at_expiry": "no"})
    user = stack.user()
    agent = user.agent()
    token = stack.token(user.name, exp=int(time.time()) + 2)
    with stack.sse(f"{agent.path}/events", headers={"Authorization": f"Bearer {token}"}) as stream:
        wait_for(lambda: status(stack, token) == 401)
        agent.say("hello")
        stream.until("done")
