# SPDX-License-Identifier: MIT
"""Issuers that publish their keys: discovery, rotation, outages, and users who do not meet."""

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from issuer import Issuer, Key
from stack import AUDIENCE, BINARY, Fcgi, kill, sign
from waiting import certificate, wait_for


@pytest.fixture
def issuer():
    made = Issuer(Key("k1"))
    yield made
    made.close()


@pytest.fixture
def other():
    made = Issuer(Key("k1"))
    yield made
    made.close()


def section(issuer, **more):
    return {"issuer": issuer.url, "audience": AUDIENCE, **more}


def ask(stack, token):
    return stack.http("GET", "/api/agents", headers={"Authorization": f"Bearer {token}"})


def status(stack, token):
    return ask(stack, token).status


def first(stack, token):
    """Its keys may still be on the way when the pool is ready."""
    wait_for(lambda: status(stack, token) == 200, what=lambda: f"{ask(stack, token)} {stack.log()}")


def token(issuer, **more):
    return issuer.token(audience=AUDIENCE, **more)


def test_discovery_and_each_algorithm(stack_factory, issuer):
    """Found by the issuer's configuration; RSA, PSS, EC and Ed25519."""
    issuer.keys = [Key(alg.lower(), alg) for alg in ("RS256", "PS256", "ES256", "EdDSA")]
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    for i in range(4):
        first(stack, token(issuer, key=i))
    assert issuer.fetches == ["/realm/.well-known/openid-configuration", "/realm/keys"]
    mixed = Key("ps256", "RS256")
    mixed.private = issuer.keys[1].private  # an RSA key, for another algorithm than its own
    assert status(stack, token(issuer, key=mixed)) == 401
    assert status(stack, stack.token("ann")) == 200


def test_what_an_issuer_may_not_say(stack_factory, issuer, other):
    """Another audience, algorithm, key, issuer; the tokens of one with the keys of another."""
    issuer.keys = [Key("a", "RS256"), Key("b", "ES256")]
    stack = stack_factory(workers=1, models={"issuer main": section(issuer, algorithms="ES256"), "issuer two": section(other)})
    first(stack, token(issuer, key=1))
    first(stack, token(other))
    bad = {
        "audience": issuer.token(key=1, audience="others"),
        "algorithm": token(issuer, key=0),
        "issuer": token(issuer, key=1, iss="https://unknown.example"),
        "the other's key": token(issuer, key=other.keys[0]),
        "no kid": issuer.keys[1].sign({"iss": other.url, "sub": "ann", "aud": AUDIENCE, "exp": int(time.time()) + 60}, kid=None),
        "the shared secret": sign(stack.secret.encode(), {"iss": issuer.url, "sub": "ann", "aud": AUDIENCE, "exp": int(time.time()) + 60}),
        "embedded": issuer.keys[1].sign({"iss": issuer.url, "sub": "ann", "aud": AUDIENCE, "exp": int(time.time()) + 60},
                                        kid="x", jwk=issuer.keys[1].jwk),
        "a key's name as a path": issuer.keys[1].sign({"iss": issuer.url, "sub": "ann", "aud": AUDIENCE, "exp": int(time.time()) + 60},
                                                      kid="../keys"),
    }
    for what, t in bad.items():
        assert status(stack, t) == 401, what


def test_users_of_two_issuers_do_not_meet(stack_factory, issuer, other):
    """The same sub, three users; nobody can name another's."""
    stack = stack_factory(workers=1, models={"issuer one": section(issuer), "issuer two": section(other, user_prefix="2/")})
    tokens = [token(issuer, sub="ann"), token(other, sub="ann"), stack.token("ann")]
    made = []
    for t in tokens:
        first(stack, t)
        got = stack.http("POST", "/api/agents", json={"name": "x"}, headers={"Authorization": f"Bearer {t}"})
        assert got.status == 201
        made.append(got.json["agentId"])
    for t, agent in zip(tokens, made):
        assert [a["agentId"] for a in ask(stack, t).json["agents"]] == [agent]
    for name in ("one:ann", "2/ann", "one:"):
        assert status(stack, stack.token(name)) == 401
    assert status(stack, stack.token("x", tenant="one:acme")) == 401
    assert status(stack, token(issuer, sub="x" * 252)) == 401  # too long with what stands before it


def test_an_issuer_without_a_prefix(stack_factory, issuer, other):
    """It may name users of [jwt], but none of another issuer's."""
    stack = stack_factory(workers=1, models={"issuer one": section(issuer, user_prefix="none", tenant_claim="org"), "issuer two": section(other)})
    first(stack, token(issuer, sub="ann"))
    first(stack, token(other, sub="ann"))
    assert status(stack, token(issuer, sub="two:ann")) == 401
    assert status(stack, token(issuer, sub="ann", org="two:acme")) == 401
    assert status(stack, token(issuer, sub="one:ann", org="acme")) == 200


def test_roles_of_an_issuer(stack_factory, issuer, other):
    """Only if the section says where they are; Keycloak has them in a member of a claim."""
    stack = stack_factory(workers=1, conf={"admin.role": "admin"}, models={
        "issuer main": section(issuer, roles_claim="realm_access.roles", tenant_claim="org"), "issuer two": section(other)})
    t = token(issuer, realm_access={"roles": ["admin"]}, org="acme")
    plain = token(other, realm_access={"roles": ["admin"]}, roles=["admin"])
    first(stack, t)
    first(stack, plain)
    for who, code in ((t, 200), (token(issuer, realm_access={"roles": ["user"]}), 403), (token(issuer, roles=["admin"]), 403), (plain, 403)):
        with Fcgi(stack.fcgi_path, keep=False) as c:
            c.send(stack.fcgi_params("GET", "/status", REMOTE_ADDR="192.0.2.1", HTTP_AUTHORIZATION=f"Bearer {who}"))
            assert c.read_to_end().response().status == code
    shown = subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "token", "verify", "-"], input=t, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["org"] == "acme"
    assert status(stack, token(issuer, org=["acme"])) == 401


def test_a_new_key_is_found_by_its_name(stack_factory, issuer):
    """Rotation: the first token of a new key makes a fetch, and is good."""
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    old = token(issuer)
    first(stack, old)
    issuer.keys.append(Key("k2", "EdDSA"))
    assert status(stack, token(issuer, key=1)) == 200
    assert status(stack, old) == 200
    assert issuer.key_fetches() == 2


def test_many_unknown_names_make_one_fetch(stack_factory, issuer):
    """An attacker with made-up names costs a fetch a minute, and nobody waits long for it."""
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    good = token(issuer)
    first(stack, good)
    forged = [Key(f"made-up-{i}") for i in range(40)]
    issuer.hold.clear()  # it hangs meanwhile
    begin = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(status, stack, token(issuer, key=k)) for k in forged]
        assert status(stack, token(issuer, sub="bob")) == 200
        assert [a.result() for a in answers] == [401] * 40
    assert time.monotonic() - begin < 10
    issuer.hold.set()
    assert issuer.fetches.count("/realm/.well-known/openid-configuration") == 2
    wait_for(lambda: issuer.key_fetches() == 2)
    assert status(stack, token(issuer, key=forged[0])) == 401
    assert issuer.key_fetches() == 2


def test_workers_share_what_one_has_fetched(stack_factory, issuer):
    """A rotation costs one fetch in the whole pool, and so does an attacker with made-up names; all workers know the new key."""
    stack = stack_factory(workers=3, models={"issuer main": section(issuer)})
    first(stack, token(issuer))
    wait_for(lambda: issuer.key_fetches() == 3)
    issuer.keys.append(Key("k2", "EdDSA"))

    def statuses(tokens):
        with ThreadPoolExecutor(4) as pool:  # so many may wait for a fetch
            return list(pool.map(lambda t: status(stack, t), tokens))
    assert statuses(token(issuer, key=1, sub=f"user-{i}") for i in range(60)) == [200] * 60
    assert statuses(token(issuer, key=Key(f"made-up-{i}")) for i in range(60)) == [401] * 60
    assert issuer.key_fetches() == 4
    took = [pid for pid in stack.workers() if stack.log().count(f'pid={pid} msg="issuer main: 2 keys')]
    assert len(took) == 3, stack.log()


@pytest.mark.parametrize("respond", [
    (500, {}, b"no"),
    (200, {"Content-Type": "text/html"}, b"<html>please log in</html>"),
    (200, {}, b'{"keys":[' + b" " * (10 << 20) + b"]}"),
    (302, {"Location": "/realm/keys"}, b""),
    (200, {}, b'{"keys":[]}'),
    (200, {}, b'{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}'),
])
def test_the_last_good_keys_stay(stack_factory, issuer, respond):
    """Whatever comes instead of keys; and when they come again, they are taken."""
    stack = stack_factory(workers=1, models={"issuer main": section(issuer, jwks_url=f"{issuer.url}/keys")})
    good = token(issuer)
    first(stack, good)
    issuer.respond = respond
    issuer.keys.append(Key("k2"))
    new = token(issuer, key=1)
    assert status(stack, new) == 401  # it made a fetch
    assert "are not fetched" in stack.log()
    assert status(stack, good) == 200 and status(stack, token(issuer, sub="bob")) == 200
    issuer.respond = None
    wait_for(lambda: status(stack, new) == 200, 20)


def test_the_last_good_keys_go_to_another_program(stack_factory, issuer):
    """After SIGUSR2, as after SIGHUP: the issuer is away, and nobody notices."""
    stack = stack_factory(workers=2, models={"issuer main": section(issuer)})
    first(stack, token(issuer))
    issuer.respond = (503, {}, b"")
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: "generation 2 serves" in stack.log(), 30, what=stack.log)
    for _ in range(2):  # who was given them gives them on
        assert stack.upgrade(30).wait(20) == 0
        assert {status(stack, token(issuer, sub=f"user-{i}")) for i in range(16)} == {200}


def test_a_reload_waits_for_keys(stack_factory, issuer):
    """New workers serve when they have the issuer's keys; until then those serve that have them."""
    stack = stack_factory(workers=2, models={"issuer main": section(issuer)})
    first(stack, token(issuer))
    issuer.hold.clear()
    before = len(issuer.fetches)
    kill(stack.master, signal.SIGHUP)
    wait_for(lambda: len(issuer.fetches) >= before + 2, what=stack.log)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: status(stack, token(issuer, sub=f"user-{i}")), range(24)))
    assert answers == [200] * 24 and "generation 2 serves" not in stack.log()
    issuer.hold.set()
    wait_for(lambda: "generation 2 serves" in stack.log(), what=stack.log)
    assert status(stack, token(issuer, sub="bob")) == 200


def test_a_start_does_not_wait_for_ever(stack_factory, issuer):
    """An issuer that hangs keeps nobody else out."""
    issuer.hold.clear()
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    assert status(stack, stack.token("ann")) == 200
    issuer.hold.set()
    first(stack, token(issuer))


def test_an_issuer_that_is_away_at_first(stack_factory, issuer):
    """503 and when to come again, not 401: the token may be good. Others are not held up."""
    issuer.respond = (503, {}, b"")
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    got = wait_for(lambda: (r := ask(stack, token(issuer))).status == 503 and r)
    assert got.headers["Retry-After"] and got.json["status"] == 503
    assert status(stack, stack.token("ann")) == 200
    issuer.respond = None
    wait_for(lambda: status(stack, token(issuer)) == 200, 20)


@pytest.mark.parametrize("document, reason", [
    ({"issuer": "https://another.example"}, "not that of the issuer"),
    ({"jwks_uri": None}, "no jwks_uri"),
    ({"jwks_uri": "http://keys.example.org/"}, "https only"),
    ({"jwks_uri": "file:///etc/passwd"}, "https only"),
    ({"jwks_uri": "http://127.0.0.1:1@keys.example.org/"}, "no user in it"),
    ({"jwks_uri": "https://127.0.0.1@keys.example.org/"}, "no user in it"),
    ({"jwks_uri": "http://127.0.0.1:1\\@keys.example.org/"}, "no user in it"),
    ({"jwks_uri": "https://keys.example.org/\r\nx"}, "printable"),
])
def test_a_configuration_that_is_not_the_issuers(stack_factory, issuer, document, reason):
    issuer.document = document
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})
    assert status(stack, token(issuer)) == 503
    wait_for(lambda: reason in stack.log(), what=stack.log)
    assert issuer.key_fetches() == 0


def test_where_an_issuer_sends_us(stack_factory, issuer, other):
    """One at https cannot have this host ask its own services by http."""
    issuer.secure()
    issuer.document = {"jwks_uri": f"{other.url}/keys"}
    stack = stack_factory(workers=1, models={"issuer main": section(issuer, ca_file=certificate()[0])})
    wait_for(lambda: "jwks_uri: keys are fetched by https only" in stack.log(), what=stack.log)
    assert other.fetches == []
    assert status(stack, token(issuer)) == 503
    issuer.document = {}
    wait_for(lambda: status(stack, token(issuer)) == 200, 20)


def test_an_issuer_with_a_file(stack_factory, issuer):
    stack = stack_factory(workers=1, start=False)
    path = stack.write("keys.json", json.dumps({"keys": [k.jwk for k in issuer.keys]}))
    stack.models["issuer main"] = section(issuer, jwks_file=path)
    del stack.conf["jwt.secret_file"]  # nobody else may come in
    stack.start_all()
    assert status(stack, token(issuer)) == 200
    assert status(stack, stack.token("ann")) == 401
    issuer.keys = [Key("k9", "EdDSA")]
    stack.write("keys.json", json.dumps({"keys": [k.jwk for k in issuer.keys]}))
    wait_for(lambda: status(stack, token(issuer)) == 200)
    assert issuer.fetches == []


@pytest.mark.parametrize("settings, reason", [
    ({"audience": "a"}, "set issuer"),
    ({"issuer": "https://x"}, "set audience"),
    ({"issuer": "http://x.example", "audience": "a"}, "https only"),
    ({"issuer": "https://x", "audience": "a", "jwks_url": "http://127.0.0.1.example/"}, "https only"),
    ({"issuer": "https://x", "audience": "a", "jwks_url": "http://localhost:80@keys.example/"}, "no user in it"),
    ({"issuer": "https://x", "audience": "a", "jwks_url": "https://x/k", "jwks_file": "/x"}, "keep one"),
    ({"issuer": "https://x", "audience": "a", "jwks_file": "/nowhere"}, "No such file"),
    ({"issuer": "https://x", "audience": "a", "user_prefix": "a b"}, "printable"),
    ({"issuer": "https://x", "audience": "a", "user_prefix": "first:more:"}, "begin alike"),
    ({"issuer": "https://first", "audience": "a"}, "has the same issuer"),
])
def test_bad_sections(stack_factory, settings, reason):
    """agent-fpm -t says what is wrong."""
    stack = stack_factory(start=False)
    stack.models = {"issuer first": {"issuer": "https://first", "audience": "a"}, "issuer bad": settings}
    run = subprocess.run([BINARY, "-c", stack.write_conf(), "-t"], capture_output=True, text=True)
    assert run.returncode == 78 and reason in run.stdout + run.stderr, run
    assert "issuer bad" in run.stdout + run.stderr


def test_the_doctor_asks_issuers(stack_factory, issuer):
    stack = stack_factory(workers=1, models={"issuer main": section(issuer)})

    def doctor():
        return subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "doctor"], capture_output=True, text=True).stdout

    assert "1, and 2 keys to check tokens with" in doctor()
    issuer.respond = (500, {}, b"")
    assert "issuer main: it answers with status 500" in doctor()
