# SPDX-License-Identifier: MIT
"""Who may come in. The tokens themselves are torn apart in tests/unit; here is what a client sees of it."""

import os
import re
import subprocess
import time

import pytest
from stack import AUDIENCE, BINARY, sign


def refusal(response):
    """The WWW-Authenticate of a 401."""
    assert response.status == 401, response
    assert "json" in response.headers["Content-Type"] and response.json["status"] == 401
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer"), challenge
    return challenge


def with_token(site, token, path="/api/agents"):
    return site.http("GET", path, headers={"Authorization": f"Bearer {token}"})


def test_no_token(site):
    """Without a token: 401, and what to send."""
    for path in ("/api/agents", "/api/templates", "/api/agents/agt_x/events"):
        assert "Authorization: Bearer TOKEN" in refusal(site.http("GET", path))
    refusal(site.http("POST", "/api/tickets"))
    refusal(site.http("DELETE", "/api/agents/agt_x"))


@pytest.mark.parametrize("claims, reason", [
    ({"exp": int(time.time()) - 3600}, "expired"),
    ({"exp": None}, "exp"),
    ({"nbf": int(time.time()) + 3600}, "valid only"),
    ({"iat": int(time.time()) + 3600}, "issued"),
    ({"aud": "somebody-else"}, "audience"),
    ({"aud": None}, "aud"),
    ({"aud": AUDIENCE[:-1]}, "audience"),
    ({"sub": None}, "sub"),
    ({"sub": "a b"}, "sub"),
    ({"sub": ""}, "sub"),
    ({"sub": 5}, "sub"),
    ({"sub": "x" * 256}, "sub"),
])
def test_claims_that_do_not_hold(site, claims, reason):
    """The challenge says what is wrong with the token."""
    challenge = refusal(with_token(site, site.token("ann", **claims)))
    assert 'error="invalid_token"' in challenge
    assert reason in challenge


def test_an_audience_may_be_one_of_many(site):
    assert with_token(site, site.token("ann", aud=["x", AUDIENCE])).status == 200


def test_garbage(site):
    """What is no token of ours gets 401 and nothing else."""
    good = site.token("ann")
    head, claims, mac = good.split(".")
    for token in ("x", "a.b.c", "..", good[:-1], good + "x", f"{head}.{claims}.", f"{head}.{claims}", f"{good}.{mac}",
                  sign(b"another secret of quite enough bytes", {"sub": "ann", "exp": int(time.time()) + 60, "aud": AUDIENCE}),
                  sign(site.secret.encode(), {"sub": "ann", "exp": int(time.time()) + 60, "aud": AUDIENCE}, {"alg": "none"}),
                  sign(site.secret.encode(), {"sub": "ann", "exp": int(time.time()) + 60, "aud": AUDIENCE}, {"alg": "HS512"}),
                  f"{head}.{claims}.{mac[:-4]}AAAA"):
        assert 'error="invalid_token"' in refusal(with_token(site, token)), token
    assert with_token(site, good).status == 200


def test_the_scheme_is_bearer(site):
    """Bearer in any case, one space; no other scheme, nothing behind the token."""
    token = site.token("ann")
    for value in (f"bearer {token}", f"BEARER {token}"):
        assert site.http("GET", "/api/agents", headers={"Authorization": value}).status == 200
    for value in (token, f"Basic {token}", f"Token {token}", "Bearer", f"Bearer {token} x", f"Bearer {token}, Bearer {token}", f"Bearer{token}"):
        assert site.http("GET", "/api/agents", headers={"Authorization": value}).status in (400, 401), value


def test_two_authorization_headers(site):
    """Which of them counts is nobody's guess: refused."""
    token = f"Bearer {site.token('ann')}"
    for pair in ((token, token), (token, "Bearer x"), ("Bearer x", token)):
        got = site.http("GET", "/api/agents", pairs=[("Authorization", v) for v in pair])
        assert got.status in (400, 401), got


def test_a_token_in_the_url_is_refused(site):
    """It would stand in every log on the way."""
    token = site.token("ann")
    for query in ("access_token", "token", "jwt"):
        refusal(site.http("GET", f"/api/agents?{query}={token}"))
    refusal(site.http("GET", f"/api/agents/agt_x/events?ticket={token}"))


def test_a_token_that_is_very_long(site):
    assert with_token(site, "x" * 7000).status in (400, 401, 431)
    assert with_token(site, site.token("ann", extra="x" * 12000)).status in (400, 401, 431)


def test_a_token_expires_while_it_is_remembered(stack_factory):
    """The cache of verified tokens does not outlive exp."""
    stack = stack_factory(workers=1, conf={"jwt.leeway": "0"})
    token = stack.token("ann", exp=int(time.time()) + 2)
    assert with_token(stack, token).status == 200
    end = time.monotonic() + 6
    while with_token(stack, token).status == 200:
        assert time.monotonic() < end
    assert "expired" in refusal(with_token(stack, token))


def test_the_user_claim_and_issuer(stack_factory):
    stack = stack_factory(workers=1, conf={"jwt.user_claim": "email", "jwt.issuer": "https://id.example.org"})
    issuer = {"iss": "https://id.example.org"}
    assert with_token(stack, stack.token("ann", email="ann@example.org", **issuer)).status == 200
    assert "email" in refusal(with_token(stack, stack.token("ann", **issuer)))
    assert "issuer" in refusal(with_token(stack, stack.token("ann", email="a@b", iss="https://id.example.org/")))


def test_agent_fpm_token(site):
    """What `agent-fpm token` mints opens the door; `token verify` says why another does not."""
    conf = site.path("agent-fpm.conf")
    minted = subprocess.run([BINARY, "-c", conf, "token", "--sub", "minted", "--ttl", "1m", "--claim", f"aud={AUDIENCE}"],
                            capture_output=True, text=True, check=True).stdout.strip()
    assert with_token(site, minted).status == 200
    verified = subprocess.run([BINARY, "-c", conf, "token", "verify", "-"], input=minted, capture_output=True, text=True)
    assert verified.returncode == 0 and "minted" in verified.stdout
    bad = subprocess.run([BINARY, "-c", conf, "token", "verify", "-"], input=minted + "x", capture_output=True, text=True)
    assert bad.returncode != 0 and "malformed" in bad.stdout + bad.stderr and minted not in bad.stdout + bad.stderr


def test_users_with_strange_names_do_not_meet(site):
    """A name is a name: what looks like a key or a pattern of Redis is none."""
    names = ["a:agents", "a", "*", "a*", "{a}", "a}:x{", "%61", "a/../b", "A"]
    agents = {}
    for name in names:
        token = site.token(f"strange-{name}")
        made = site.http("POST", "/api/agents", json={"name": "x"}, headers={"Authorization": f"Bearer {token}"})
        assert made.status == 201, (name, made)
        agents[token] = made.json["agentId"]
    for token, agent in agents.items():
        assert [a["agentId"] for a in with_token(site, token).json["agents"]] == [agent]


def test_users_with_long_names_do_not_meet(site):
    """The longest names, each byte of which is escaped in keys, that differ in the last."""
    tokens = [site.token("{" * 254 + last) for last in "ab"]
    made = [site.http("POST", "/api/agents", json={"name": "x"}, headers={"Authorization": f"Bearer {t}", "Idempotency-Key": "k"}) for t in tokens]
    for token, answer in zip(tokens, made):
        assert answer.status == 201, answer
        assert [a["agentId"] for a in with_token(site, token).json["agents"]] == [answer.json["agentId"]]


def test_whoami(stack_factory):
    """Who a token is of: user, tenant, the roles that mean something here, and when it is over."""
    stack = stack_factory(workers=1, conf={"approval.role": "decider", "admin.role": "root"})
    user = stack.user(exp=int(time.time()) + 500, tenant="acme", roles=["decider", "root", "other"])
    got = user.get("/api/whoami")
    assert got.status == 200
    assert got.json == {"user": user.name, "tenant": "acme", "roles": ["approver", "admin"], "expires": got.json["expires"]}
    assert 490 < got.json["expires"] - time.time() <= 500
    plain = stack.user()
    assert plain.get("/api/whoami").json.keys() == {"user", "roles", "expires"} and plain.get("/api/whoami").json["roles"] == []
    refusal(stack.http("GET", "/api/whoami"))
    refusal(with_token(stack, "nonsense", "/api/whoami"))


def test_nothing_secret_is_logged(stack_factory):
    """No token, good or bad, no secret, no prompt, no answer, no key of the provider in any log, nor a key at rest."""
    stack = stack_factory(workers=1, conf={"log_level": "debug"})
    user = stack.user()
    agent = user.agent(systemPrompt="the-hidden-prompt")
    agent.answer("the-hidden-question")
    ticket = user.post("/api/tickets").json["ticket"]
    with stack.sse(f"{agent.path}/events?since=0-0&ticket={ticket}") as stream:
        stream.until("done")
    bad = stack.token("ann", exp=1)
    refusal(with_token(stack, bad))
    refusal(stack.http("GET", f"/api/agents?access_token={bad}"))
    agent.ask("boom")
    user.http("POST", f"{agent.path}/messages", body=b'{"message":"the-hidden-broken', headers={"Content-Type": "application/json"})
    user.get("/api/agents?cursor=the-hidden-query")
    stack.kill_workers()
    assert stack.user().agent().answer("after") == "echo: after"
    logs = "".join(open(p, encoding="utf-8", errors="replace").read() for p in stack.log_files())
    assert agent.id in logs or "pid" in logs
    for secret in (stack.secret, stack.api_key, ticket, "the-hidden", *stack.tokens):
        for part in {secret, secret.split(".")[-1]}:
            assert part not in logs, [line for line in logs.splitlines() if part in line][:3]
    assert not re.search(r"eyJ[A-Za-z0-9_-]{10}", logs)
    at_rest = b"".join(open(stack.path(where), "rb").read() for where in _files(stack, "appendonlydir"))
    for secret in (stack.secret, stack.api_key, *stack.tokens):
        assert secret.encode() not in at_rest


def _files(stack, folder):
    return [os.path.join(folder, name) for name in os.listdir(stack.path(folder))]
