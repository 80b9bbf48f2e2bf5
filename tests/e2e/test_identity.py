# SPDX-License-Identifier: MIT
"""Where keys come from and how they change; who a token's user is. What a token may look like is in test_auth.py."""

import hashlib
import json
import os
import subprocess
import time

from stack import AUDIENCE, BINARY, Fcgi, b64url, sign
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
    stack = stack_factory(workers=1, conf={"jwt.scopes": "required", "admin.role": "admin"})
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
    for path in ("/status", "/metrics"):
        for claims, code in (({}, 403), ({"scope": "chat"}, 403), ({"scope": "agents:read"}, 200)):
            token = stack.token("ann", roles=["admin"], **claims)
            with Fcgi(stack.fcgi_path, keep=False) as c:
                c.send(stack.fcgi_params("GET", path, REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION=f"Bearer {token}"))
                assert c.read_to_end().response().status == code, (path, claims)
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


def test_a_ticket_ends_with_its_token(stack_factory):
    """Its minute does not make the token live longer, for a stream or for JSON."""
    stack = stack_factory(workers=1, conf={"jwt.leeway": "0", "events.end_at_expiry": "no"})
    user = stack.user()
    agent = user.agent()
    token = stack.token(user.name, exp=int(time.time()) + 2)
    brief = {"Authorization": f"Bearer {token}"}
    tickets = [stack.http("POST", "/api/tickets", headers=brief).json["ticket"] for _ in range(3)]

    def ask(accept):
        return stack.http("GET", f"{agent.path}/events?since=0-0&ticket={tickets.pop()}", headers={"Accept": accept}).status

    assert ask("application/json") == 200
    wait_for(lambda: status(stack, token) == 401)
    assert ask("application/json") == 401 and ask("text/event-stream") == 401


def test_a_stream_may_outlive_its_token(stack_factory):
    stack = stack_factory(workers=1, conf={"jwt.leeway": "0", "events.end_at_expiry": "no"})
    user = stack.user()
    agent = user.agent()
    token = stack.token(user.name, exp=int(time.time()) + 2)
    with stack.sse(f"{agent.path}/events", headers={"Authorization": f"Bearer {token}"}) as stream:
        wait_for(lambda: status(stack, token) == 401)
        agent.say("hello")
        stream.until("done")


def revoke(stack, *words, code=0):
    run = subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "token", "revoke", *words], capture_output=True, text=True)
    assert run.returncode == code, run
    return run.stderr


def all_workers(stack, token, want, n=12):
    """Whether n requests, which meet both workers, are all answered so."""
    return all(status(stack, token) == want for _ in range(n))


def test_a_token_is_revoked(stack_factory):
    """At once, though it was remembered; streams that it opened end, those of others do not; and it stays so."""
    stack = stack_factory(workers=2)
    name = "revoked-one"
    bad = stack.token(name, jti="token-1")
    good, nameless = stack.token(name, jti="token-2"), stack.token(name)
    agent = stack.http("POST", "/api/agents", json={"name": "x"}, headers={"Authorization": f"Bearer {bad}"}).json["agentId"]
    assert all_workers(stack, bad, 200)
    ticket = stack.http("POST", "/api/tickets", headers={"Authorization": f"Bearer {bad}"}).json["ticket"]
    late = stack.http("POST", "/api/tickets", headers={"Authorization": f"Bearer {bad}"}).json["ticket"]
    path = f"/api/agents/{agent}/events"
    with stack.sse(path, headers={"Authorization": f"Bearer {bad}"}) as one, stack.sse(f"{path}?ticket={ticket}") as two, \
            stack.sse(path, headers={"Authorization": f"Bearer {good}"}) as three:
        revoke(stack, "--jti", "token-1")
        for stream in (one, two):
            frame = stream.next()
            assert frame.kind == "error" and frame["code"] == "token_revoked"
            assert stream.next() is None and stream.ended == "whole"
        wait_for(lambda: all_workers(stack, bad, 401))
        assert all_workers(stack, good, 200) and all_workers(stack, nameless, 200)
        stack.http("POST", f"/api/agents/{agent}/messages", json={"message": "hello"}, headers={"Authorization": f"Bearer {good}"})
        three.until("done")
    assert stack.http("GET", f"{path}?ticket={late}").status == 401
    stack.kill_workers()
    wait_for(lambda: status(stack, good) == 200)
    assert all_workers(stack, bad, 401)


def test_all_tokens_of_a_user_are_revoked(stack_factory):
    """Those until now, and those without a time; a new one is good, and so are other users'."""
    stack = stack_factory(workers=2)
    now = int(time.time())
    old, undated = stack.token("mallory", iat=now), stack.token("mallory", iat=None)
    other = stack.token("mallory2", iat=now)
    for token in (old, undated, other):
        assert all_workers(stack, token, 200)
    revoke(stack, "--user", "mallory", "--for", "1h")
    wait_for(lambda: all_workers(stack, old, 401) and all_workers(stack, undated, 401))
    assert all_workers(stack, other, 200)
    assert status(stack, stack.token("mallory", iat=int(time.time()) + 2)) == 200
    keys = [k.decode() for k in stack.redis().keys("af:revoked:*")]
    assert len(keys) == 1 and "mallory" not in keys[0] and 3500 < stack.redis().ttl(keys[0]) <= 3600


def test_revoking_takes_one_name(stack_factory):
    stack = stack_factory(workers=1)
    for words in ((), ("--jti", "a", "--user", "b"), ("--user", "a", "--for", "x"), ("--user", "a", "b"), ("--all",)):
        assert "usage" in revoke(stack, *words, code=64)
    for jti in (5, "", "a b", "x" * 128, ["a"]):
        assert status(stack, stack.token("ann", jti=jti)) == 401


def test_streams_that_were_open_while_a_worker_did_not_listen(stack_factory):
    """What was said meanwhile holds for them too, when it is back; others go on."""
    stack = stack_factory(workers=1)
    user = stack.user()
    agent = user.agent()
    path = f"{agent.path}/events"

    def opened(**claims):
        return stack.sse(path, headers={"Authorization": f"Bearer {stack.token(user.name, **claims)}"})

    def revoked_meanwhile(*words):
        stack.stop(stack.workers()[0])
        assert stack.redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub") >= 1
        revoke(stack, *words)
        stack.cont(stack.workers()[0])

    with opened(jti="one") as one, opened(jti="two") as two:
        revoked_meanwhile("--jti", "one")
        assert one.next()["code"] == "token_revoked" and one.next() is None
        agent.say("hello")
        two.until("done")
        revoked_meanwhile("--user", user.name)
        assert two.next()["code"] == "token_revoked" and two.next() is None
    assert stack.redis().zcard("af:revocations") == 2


def test_what_was_revoked_while_a_worker_did_not_listen(stack_factory):
    """Its subscription was cut when somebody said so: when it is back, it asks again."""
    stack = stack_factory(workers=1)
    bad = stack.token("ann", jti="gone")
    assert status(stack, bad) == 200
    redis = stack.redis()
    redis.set("af:revoked:jti:" + hashlib.sha256(b"gone").hexdigest(), "1")
    assert status(stack, bad) == 200  # remembered: nobody said anything
    redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    wait_for(lambda: status(stack, bad) == 401)
