# SPDX-License-Identifier: MIT
"""API keys: sections [api_key NAME], and the command that makes, lists and revokes them."""

import base64
import contextlib
import hashlib
import re
import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from stack import BINARY
from waiting import scaled, wait_for


def apikey(stack, *words, code=0):
    """What the command printed."""
    run = subprocess.run([BINARY, "-c", stack.write_conf(), "apikey", *words], capture_output=True, text=True, timeout=scaled(20))
    assert run.returncode == code, run
    return run.stdout if code == 0 else run.stderr


def section_of(text):
    """(NAME, settings) of a section."""
    name, lines = re.search(r"^\[api_key (\S+)\]\n((?:.+\n)+)", text, re.M).groups()
    return name, dict(line.split(" = ", 1) for line in lines.splitlines())


def new(stack, name, *words):
    """Makes a key and puts its section into the configuration; the key."""
    out = apikey(stack, "new", name, *words)
    made, settings = section_of(out)
    assert made == name
    stack.models[f"api_key {name}"] = settings
    return out.split("\n", 1)[0]


def stack_with(stack_factory, *makes, **options):
    """A stack that runs, and its keys."""
    stack = stack_factory(start=False, **{"workers": 1, **options})
    keys = [new(stack, *words) for words in makes]
    stack.start_all()
    return stack, keys


def ask(stack, key, path="/api/agents", method="GET", **options):
    return stack.http(method, path, headers={"Authorization": f"Bearer {key}"}, **options)


def test_a_key_is_as_good_as_a_token(stack_factory):
    """For everything: agents, chat, streams, tickets. What it makes is its user's, by a token too."""
    stack, (key,) = stack_with(stack_factory, ("ci", "--user", "ann"))
    assert re.fullmatch(r"afk_ci_[0-9a-z]{52}", key)
    made = ask(stack, key, method="POST", json={"name": "by key"})
    assert made.status == 201
    agent = made.json["agentId"]
    ann = {"Authorization": f"Bearer {stack.token('ann')}"}
    assert [a["agentId"] for a in stack.http("GET", "/api/agents", headers=ann).json["agents"]] == [agent]
    assert stack.user().get(f"/api/agents/{agent}").status == 403
    bearer = {"Authorization": f"Bearer {key}"}
    with stack.sse(f"/api/agents/{agent}/chat", method="POST", json={"message": "hello"}, headers=bearer) as stream:
        assert "echo: hello" in "".join(f.json.get("text", "") for f in stream.until("done"))
    ticket = ask(stack, key, "/api/tickets", "POST").json["ticket"]
    with stack.sse(f"/api/agents/{agent}/events?since=0-0&ticket={ticket}") as stream:
        stream.until("done")


def test_nginx_counts_keys(stack_factory):
    """The shipped limit of open streams per token is one per key too; another key has its own."""
    stack, keys = stack_with(stack_factory, ("ci", "--user", "ann"), ("of.ann/2", "--user", "ann"), limits="on",
                             conf={"limits.viewers_per_user": 1000})
    agent = ask(stack, keys[0], method="POST", json={"name": "x"}).json["agentId"]
    with contextlib.ExitStack() as open_:
        def follow(key):
            return open_.enter_context(stack.sse(f"/api/agents/{agent}/events", headers={"Authorization": f"Bearer {key}"}))

        assert [follow(keys[0]).status for _ in range(64)] == [200] * 64
        refused = follow(keys[0])
        assert refused.status == 429 and refused.body().json["limit"] == "nginx"
        assert follow(keys[1]).status == 200


def test_what_is_no_key(stack_factory):
    """Each gets 401, and none an answer that says whether the name exists."""
    stack, (key,) = stack_with(stack_factory, ("ci", "--user", "ann"))
    other = "afk_ci_" + "0" * 52
    for bad in (other, key[:-1], key + "0", key.replace("_ci_", "_cd_"), "afk_", "afk_ci_", key.replace("_ci_", "__")):
        got = ask(stack, bad)
        assert got.status == 401, (bad, got)
        assert "the API key is not known" in got.headers["WWW-Authenticate"], got
    assert stack.http("GET", "/api/agents", headers={"Authorization": key}).status == 401  # that is for sessions
    assert ask(stack, key).status == 200


def test_a_hash_of_another_program(stack_factory):
    """scrypt in the form that others write, with other parameters."""
    stack = stack_factory(start=False, workers=1)
    key, salt = "afk_other_" + "z" * 52, secrets.token_bytes(16)
    made = hashlib.scrypt(key.encode(), salt=salt, n=1 << 12, r=4, p=2, dklen=32)
    text = "$".join(base64.b64encode(x).rstrip(b"=").decode() for x in (salt, made))
    stack.models["api_key other"] = {"hash": f"$scrypt$ln=12,r=4,p=2${text}", "user": "bob"}
    stack.start_all()
    assert ask(stack, key).status == 200


def test_keys_alone_are_enough(stack_factory):
    """A pool that knows no token's key."""
    stack = stack_factory(start=False, workers=1)
    del stack.conf["jwt.secret_file"]
    assert stack.check_conf().returncode != 0
    key = new(stack, "only", "--user", "ann")
    stack.start_all()
    assert ask(stack, key).status == 200
    assert ask(stack, stack.token("ann")).status == 401


def test_scopes_and_roles(stack_factory):
    """A key's scopes count though those of tokens do not; with none, it is as a token is. Roles are the configuration's."""
    stack, (reader, free, admin) = stack_with(
        stack_factory, ("reader", "--user", "ann", "--scope", "agents:read", "--scope", "files:read"), ("free", "--user", "ann"),
        ("admin", "--user", "eve", "--role", "root"), conf={"admin.role": "root", "status.allow": ""})
    got = ask(stack, reader, method="POST", json={"name": "x"})
    assert got.status == 403 and 'scope="agents:write"' in got.headers["WWW-Authenticate"]
    assert ask(stack, reader).status == 200
    assert ask(stack, free, method="POST", json={"name": "x"}).status == 201
    assert ask(stack, free, "/status").status == 403 and ask(stack, admin, "/status").status == 200
    stack.conf["jwt.scopes"] = "required"
    stack.restart_pool()
    assert ask(stack, reader).status == 200 and ask(stack, free).status == 403


def test_a_key_expires(stack_factory):
    """While it is remembered too."""
    stack, (key,) = stack_with(stack_factory, ("brief", "--user", "ann", "--expires", "1h"))
    stack.models["api_key brief"]["expires"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    stack.restart_pool()
    wait_for(lambda: ask(stack, key).status == 401, 10)
    assert "expired" in ask(stack, key).headers["WWW-Authenticate"]
    assert apikey(stack, "list").split("\t")[:3] == ["brief", "ann", "expired"]


def test_list_and_revoke(stack_factory):
    """At once, in all workers, streams too; a new key of the name is another one."""
    stack, (one, two) = stack_with(stack_factory, ("one", "--user", "ann", "--scope", "agents:read"), ("two", "--user", "ann"), workers=2)
    assert apikey(stack, "list") == "one\tann\tgood\t-\tagents:read\ntwo\tann\tgood\t-\t-\n"
    agent = stack.http("POST", "/api/agents", json={"name": "x"}, headers={"Authorization": f"Bearer {two}"}).json["agentId"]
    with stack.sse(f"/api/agents/{agent}/events", headers={"Authorization": f"Bearer {one}"}) as stream:
        said = apikey(stack, "revoke", "one")
        assert "remove [api_key one] from" in said
        frame = stream.next()
        assert frame.kind == "error" and frame["code"] == "token_revoked"
    wait_for(lambda: all(ask(stack, one).status == 401 for _ in range(12)))
    assert ask(stack, two).status == 200
    assert apikey(stack, "list").startswith("one\tann\trevoked\t")
    assert "no section [api_key three]" in apikey(stack, "revoke", "three", code=64)
    del stack.models["api_key one"]
    again = new(stack, "one", "--user", "ann")
    stack.restart_pool()
    assert ask(stack, again).status == 200 and ask(stack, one).status == 401
    audit = b"".join(stack.redis().xrange("af:audit")[-1][1].values())
    assert b"agent-fpm apikey revoke" in b"".join(b"".join(e.values()) for _, e in stack.redis().xrange("af:audit")), audit


def test_a_user_s_keys_are_revoked_with_the_tokens(stack_factory):
    """Those that were made before."""
    stack, (old,) = stack_with(stack_factory, ("old", "--user", "mallory"))
    assert ask(stack, old).status == 200
    subprocess.run([BINARY, "-c", stack.write_conf(), "token", "revoke", "--user", "mallory"], check=True)
    wait_for(lambda: ask(stack, old).status == 401)


def test_wrong_keys_do_not_burn_the_processor(stack_factory):
    """Few are hashed; who has the right one is let in meanwhile; and it is hashed once for many requests."""
    stack, (key,) = stack_with(stack_factory, ("ci", "--user", "ann"))
    assert ask(stack, key).status == 200

    def wrong(_):
        return ask(stack, "afk_ci_" + secrets.token_hex(26)).status

    def cpu():
        with open(f"/proc/{stack.workers()[0]}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    began, before = time.monotonic(), cpu()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(wrong, range(120)))
        assert ask(stack, key).status == 200
    seconds = time.monotonic() - began
    hashed = statuses.count(401)
    assert set(statuses) == {401, 429} and hashed <= 3 * (seconds + 2), (hashed, seconds)
    got = ask(stack, "afk_ci_" + secrets.token_hex(26))
    assert got.status == 401 or got.headers["Retry-After"] == "1"
    before = cpu()
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(stack, key).status, range(200))) == {200}
    assert cpu() - before < 200 * 3, "each request paid for a hash"  # 10 ms each; a hash takes four


def test_first_requests_at_once(stack_factory):
    """A page that begins with many: one hash, and none is refused."""
    stack, (key,) = stack_with(stack_factory, ("ci", "--user", "ann"))
    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(lambda _: ask(stack, key).status, range(24))) == {200}


def test_the_command_refuses_what_the_pool_would(stack_factory):
    stack = stack_factory(start=False, workers=1)
    for words in (("new", "a"), ("new", "--user", "b"), ("new", "a", "b", "--user", "c"), ("list", "x"), ("revoke",), (),
                  ("new", "a", "--user", "b", "--expires", "soon")):
        assert "usage" in apikey(stack, *words, code=64)
    for words, why in ((("new", "a b", "--user", "c"), "a name has"), (("new", "default", "--user", "c"), "a name has")):
        assert why in apikey(stack, *words, code=64)
    for words, why in ((("--user", "a b"), "user"), (("--user", "a", "--scope", "all"), "scopes"), (("--user", "a", "--role", "x"), "roles")):
        assert why in apikey(stack, "new", "n", *words, code=78)
    new(stack, "ci", "--user", "ann", "--expires", "2030-01-31")
    assert stack.models["api_key ci"]["expires"] == "2030-01-31"
    assert "is in the configuration already" in apikey(stack, "new", "ci", "--user", "ann", code=64)


def test_sections_that_are_no_good(stack_factory):
    stack = stack_factory(start=False, workers=1)
    new(stack, "ci", "--user", "ann")
    good = dict(stack.models["api_key ci"])
    for name, value in (("hash", "x"), ("hash", good["hash"].replace("ln=14", "ln=19")), ("user", "a b"), ("scopes", "all"), ("expires", "never")):
        stack.models["api_key ci"] = {**good, name: value}
        run = stack.check_conf()
        assert run.returncode == 78 and "[api_key ci]" in run.stderr, (name, run)
    stack.models = {"api_key a=b": good}
    assert "cannot be a api_key's name" in stack.check_conf().stderr


def test_no_key_is_kept(stack_factory):
    """Not in the log, nor at rest."""
    stack, (key,) = stack_with(stack_factory, ("ci", "--user", "ann"), conf={"log_level": "debug"})
    bad = "afk_ci_" + secrets.token_hex(26)
    assert ask(stack, key, method="POST", json={"name": "x"}).status == 201 and ask(stack, bad).status == 401
    logs = "".join(open(p, encoding="utf-8", errors="replace").read() for p in stack.log_files())
    stack.redis().save()
    for part in (key[-52:], bad[-52:]):
        assert part not in logs and part not in open(stack.write_conf(), encoding="utf-8").read()
        assert not subprocess.run(["grep", "-rq", part, stack.dir], check=False).returncode == 0
