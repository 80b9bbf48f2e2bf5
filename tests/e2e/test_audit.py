# SPDX-License-Identifier: MIT
"""The audit log: what is in it, what is not, and whether a change is seen."""

import json
import subprocess

import pytest
from stack import BINARY
from waiting import wait_for


def records(stack):
    return [json.loads(fields[b"r"]) for _, fields in stack.redis().xrange("af:audit")]


def acts(stack):
    return [r["act"] for r in records(stack)]


def verify(stack, *words):
    run = subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "audit", "verify", *words], capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


def lines(stack):
    with open(stack.path("audit.log"), encoding="utf-8") as f:
        return f.read().splitlines()


@pytest.fixture
def stack(stack_factory):
    made = stack_factory(workers=2, start=False)
    made.conf |= {"audit.file": made.path("audit.log")}
    made.start_all()
    return made


def test_what_is_written(stack):
    """Who, what, to which agent and how it went; nothing of what was said."""
    user = stack.user("ann", jti="token-7", tenant="acme")
    agent = user.agent()
    user.http("PATCH", agent.path, {"name": "the-new-name"})
    agent.answer("the-hidden-message")
    fork = user.post(f"{agent.path}/fork", {}).json["agentId"]
    user.post(f"{agent.path}/interrupt")
    user.post(f"{agent.path}/approvals/call_x", {"decision": "allow"})
    user.http("DELETE", f"/api/agents/{fork}")
    other = stack.user("bob")
    other.http("DELETE", agent.path)
    user.get(agent.path)
    got = records(stack)
    assert [(r["act"], r["status"] // 100) for r in got] == [
        ("POST /api/agents", 2), ("PATCH /api/agents/:id", 2), ("POST /api/agents/:id/fork", 2), ("POST /api/agents/:id/interrupt", 2),
        ("POST /api/agents/:id/approvals/:call", 4), ("DELETE /api/agents/:id", 2), ("DELETE /api/agents/:id", 4)]
    made, patch, forked, _, decided, deleted, foreign = got
    assert made["made"] == agent.id and "agent" not in made
    assert patch["agent"] == agent.id and patch["user"] == user.name and patch["tenant"] == "acme" and patch["jti"] == "token-7"
    assert forked["agent"] == agent.id and forked["made"] == fork
    assert decided["what"] == "call_x" and decided["detail"] == "allow"
    assert deleted["agent"] == fork
    assert foreign["user"] == other.name and foreign["status"] == 403
    assert all(r["request"] and r["from"] for r in got)
    assert sorted(lines(stack)) == sorted(f[b"r"].decode() for _, f in stack.redis().xrange("af:audit"))
    for word in ("the-hidden", "the-new-name", "echo"):
        assert word not in "".join(lines(stack))
    for words in ((), (stack.path("audit.log"),)):
        code, said = verify(stack, *words)
        assert code == 0 and "good" in said, said


def test_refused_tokens_in_bounds(stack):
    """Each has its reason; a flood does not fill the log, and what was left out is counted."""
    for _ in range(200):
        assert stack.http("GET", "/api/agents", headers={"Authorization": "Bearer x"}).status == 401
    got = records(stack)
    assert 60 <= len(got) <= 240 and {r["act"] for r in got} == {"GET /api/agents"}
    assert all(r["status"] == 401 and r["detail"] and "user" not in r for r in got)


def test_strange_texts(stack):
    """Whatever a client puts into a path, the log stays one."""
    user = stack.user()
    agent = user.agent()
    for path in ("%ff%fe", "%22,%22hash%22:%22x", "%0a%0d", "x" * 3000, "%e2%80%a8", "%5c"):
        user.http("DELETE", f"{agent.path}/inbox/{path}")
    user.post(f"{agent.path}/approvals/x", {"decision": "\"}\n" + "x" * 5000})
    assert len(records(stack)) >= 5
    for words in ((), (stack.path("audit.log"),)):
        code, said = verify(stack, *words)
        assert code == 0, said


def test_revocations_are_acts(stack):
    subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "token", "revoke", "--user", "mallory"], check=True)
    got = records(stack)[-1]
    assert got["act"] == "agent-fpm token revoke" and got["what"] == "user" and got["detail"] == "mallory" and "uid" in got["from"]


def test_what_verify_sees(stack):
    """A record that was changed, taken out, doubled, swapped; of each worker's chain."""
    user = stack.user()
    for _ in range(12):
        user.agent()
    user.agent()
    whole = lines(stack)
    chain = json.loads(whole[0])["chain"]
    ours = [i for i, line in enumerate(whole) if json.loads(line)["chain"] == chain]
    assert len(ours) >= 3
    middle = ours[1]

    def check(changed):
        path = stack.write("changed.log", "".join(line + "\n" for line in changed))
        return verify(stack, path)

    assert check(whole)[0] == 0
    assert check(list(reversed(whole)))[0] == 0  # the order of lines says nothing
    assert check([line for i, line in enumerate(whole) if i != ours[0]])[0] == 0  # the oldest are trimmed
    cases = {
        "was changed": [line.replace(user.name, "eve") if i == middle else line for i, line in enumerate(whole)],
        "are missing": [line for i, line in enumerate(whole) if i != middle],
        "is there twice": whole + [whole[middle]],
        "no record": whole + ["{}"],
        "line 1": ["garbage"] + whole,
    }
    for reason, changed in cases.items():
        code, said = check(changed)
        assert code == 65 and reason in said, (reason, said)


def test_verify_of_redis(stack):
    """An entry that somebody has written there."""
    user = stack.user()
    user.agent()
    user.agent()
    assert verify(stack)[0] == 0
    redis = stack.redis()
    entry, fields = redis.xrange("af:audit")[0]
    redis.xadd("af:audit", {"r": fields[b"r"].replace(b"201", b"403")})
    code, said = verify(stack)
    assert code == 65 and "was changed" in said
    assert verify(stack, "/nowhere")[0] == 64


def test_a_log_that_cannot_be_written(stack_factory):
    """The act is done, and the record is in the log of the process."""
    stack = stack_factory(workers=1, conf={"audit.file": "/nowhere/audit.log", "audit.keep": "0"})
    agent = stack.user().agent()
    wait_for(lambda: agent.id in stack.log() and "/nowhere/audit.log" in stack.log())
    assert not stack.redis().exists("af:audit")


def test_after_a_worker_died(stack):
    """Its heir begins a chain of its own."""
    user = stack.user()
    user.agent()
    stack.kill_workers()
    wait_for(lambda: user.http("POST", "/api/agents", {"name": "x"}).status == 201)
    assert len({r["chain"] for r in records(stack)}) >= 2
    assert verify(stack)[0] == 0
