# SPDX-License-Identifier: MIT
"""The audit log: what is in it, what is not, and whether a change is seen."""

import hashlib
import json
import os
import signal
import subprocess
import threading

import pytest
from slow_redis import SlowRedis
from stack import BINARY, User
from test_faults import disk  # noqa: F401
from waiting import wait_for

NOBODY = "/api/agents/agt_00000000000000000000000000"
SWIFT = {"store.timeout": "1s", "store.command_timeout": "200ms"}


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


def good(stack, *words):
    """What verify says of a log that is whole."""
    code, said = verify(stack, *words)
    assert code == 0 and "good" in said, said
    return said


def act(record):
    """A record without what its chain makes of it, which the file and the stream have each of their own."""
    return {k: v for k, v in record.items() if k not in ("chain", "seq", "prev", "hash", "lost")}


def sealed(record, **changed):
    """A line as only somebody makes it who may write the log."""
    text = json.dumps({k: v for k, v in record.items() if k != "hash"} | changed, separators=(",", ":"))[:-1]
    return f'{text},"hash":"{hashlib.sha256(text.encode()).hexdigest()}"}}'


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
    assert sorted((act(json.loads(line)) for line in lines(stack)), key=str) == sorted(map(act, got), key=str)
    assert not {json.loads(line)["chain"] for line in lines(stack)} & {r["chain"] for r in got}
    for word in ("the-hidden", "the-new-name", "echo"):
        assert word not in "".join(lines(stack))
    for words in ((), (stack.path("audit.log"),)):
        good(stack, *words)


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
        good(stack, *words)


def test_refused_requests_in_bounds(stack_factory):
    """What a user was refused does not push out what others did, nor hide behind what strangers were refused; how much was left out is told."""
    stack = stack_factory(workers=1)
    user, quiet = stack.user(), stack.user()
    for _ in range(100):
        assert stack.fcgi("GET", "/api/agents").status == 401
    for _ in range(200):
        assert stack.fcgi("DELETE", NOBODY, user).status == 403
    assert stack.fcgi("POST", "/api/agents", user, {"name": 5}).status == 422
    made = quiet.agent()
    got = records(stack)
    refused = [r for r in got if r["status"] != 201]
    assert {r["status"] for r in refused} <= {401, 403, 422}
    assert 60 <= sum(r["status"] == 401 for r in refused) <= 120
    assert 60 <= sum(r["status"] in (403, 422) for r in refused) <= 120
    assert got[-1]["made"] == made.id
    assert sum(r.get("leftOut", 0) for r in got) == 301 - len(refused)
    good(stack)


def test_refused_while_redis_is_away(stack_factory):
    """No limit counts them then; they do not fill the disk either."""
    stack = stack_factory(workers=1, start=False, conf={"limits.requests": "1000/1m", **SWIFT})
    stack.conf["audit.file"] = stack.path("audit.log")
    stack.start_all()
    user = stack.user()
    agent = user.agent()
    stack.kill_redis()
    assert {stack.fcgi("DELETE", agent.path, user).status for _ in range(200)} == {503}
    assert 61 <= len(lines(stack)) <= 121
    stack.start_redis()
    wait_for(lambda: user.http("DELETE", agent.path).status == 204, 20)
    assert sum(json.loads(line).get("leftOut", 0) for line in lines(stack)) >= 80
    good(stack)
    good(stack, stack.path("audit.log"))


def test_a_limit_is_not_written(stack_factory):
    """A request that is refused to save work costs no record."""
    stack = stack_factory(workers=1, conf={"limits.requests": "4/1h"})
    user = stack.user()
    user.agent()
    assert {stack.fcgi("DELETE", NOBODY, user).status for _ in range(100)} == {403, 429}
    assert [r["status"] for r in records(stack)] == [201, 403, 403, 403]


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
    assert sealed(json.loads(whole[middle])) == whole[middle]
    code, said = check(whole + [whole[middle]])
    assert code == 0 and "1 written again" in said, said  # the same to a byte
    cases = {
        "was changed": [line.replace(user.name, "eve") if i == middle else line for i, line in enumerate(whole)],
        "are missing": [line for i, line in enumerate(whole) if i != middle],
        "is there twice, and they differ": whole + [sealed(json.loads(whole[middle]), user="eve")],
        "1 is written after something else": [sealed(json.loads(line), prev="f" * 64) if i == ours[0] else line for i, line in enumerate(whole)],
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
    stack = stack_factory(workers=1, start=False, conf={"audit.keep": "0"})
    stack.conf["audit.file"] = stack.path("logs", "audit.log")
    os.mkdir(stack.path("logs"))
    stack.start_all()
    os.rmdir(stack.path("logs"))
    agent = stack.user().agent()
    wait_for(lambda: agent.id in stack.log() and "logs/audit.log: No such file" in stack.log())
    assert not stack.redis().exists("af:audit")


# ---- what went wrong while it was written: nobody has touched the log, and verify says so ----

def test_redis_was_away(stack):
    """What came meanwhile is written later, or counted; the file has all of it."""
    stack.conf |= {"workers": 1, **SWIFT}
    stack.restart_pool()
    user = stack.user()
    agent = user.agent()
    assert stack.fcgi("DELETE", agent.path, user).status == 204  # its token is known now
    stack.kill_redis()
    assert [stack.fcgi("DELETE", agent.path, user).status for _ in range(3)] == [503] * 3
    stack.start_redis()
    wait_for(lambda: stack.fcgi("POST", "/api/agents", user, {"name": "x"}).status == 201, 20)
    kept, written = [[r["status"] for r in of] for of in (records(stack), map(json.loads, lines(stack)))]
    assert kept == [201, 204, 503, 201] and records(stack)[-1]["lost"] >= 2, records(stack)
    assert written[:5] == [201, 204, 503, 503, 503] and not any("lost" in line for line in lines(stack))
    assert f"{records(stack)[-1]['lost']} could not be written" in good(stack)
    good(stack, stack.path("audit.log"))


def test_an_answer_was_lost(stack_factory):
    """Redis has it, and gets it once more: two that are the same."""
    between = SlowRedis()
    stack = stack_factory(start=False, workers=1, conf={"store.address": f"unix:{between.path}"})
    between.target = stack.redis_path
    stack.start_all()
    user = stack.user()
    between.lose = b"XADD\r\n$8\r\naf:audit"
    user.agent()
    assert between.lose is None
    user.agent()
    assert len(records(stack)) == 3 and "1 written again" in good(stack)
    between.close()


def test_an_answer_comes_too_late(stack_factory):
    """Redis stands still for longer than both tries: what it does afterwards, and what is repeated, is one record."""
    stack = stack_factory(workers=1, conf=SWIFT)
    user = stack.user()
    agent = user.agent()
    for _ in range(2):
        stack.stop(stack._redis.pid)
        assert stack.fcgi("DELETE", agent.path, user).status == 503
        stack.cont(stack._redis.pid)
        wait_for(lambda: stack.fcgi("PATCH", agent.path, user, {"name": "x"}).status in (200, 403), 20)
    good(stack)
    seen = {(r["seq"], r["status"]) for r in records(stack)}
    assert [s for _, s in sorted(seen)].count(503) >= 2, records(stack)


def test_many_at_once(stack):
    """Threads that write at the same time: one chain each worker, no number twice."""
    def work():
        user = stack.user()
        for _ in range(15):
            user.http("DELETE", user.agent().path)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(records(stack)) == len(lines(stack)) == 12 * 15 * 2
    for words in ((), (stack.path("audit.log"),)):
        assert "again" not in good(stack, *words)


def test_the_disk_of_the_file_is_full(stack_factory, disk):  # noqa: F811
    """No half line stays, and what could not be written is counted."""
    path = os.path.join(disk.path, "audit.log")
    os.chmod(disk.path, 0o777)
    stack = stack_factory(workers=1, conf={"audit.file": path})
    user = stack.user()
    agents = [user.agent() for _ in range(30)]
    disk.fill()
    for a in agents:
        user.http("DELETE", a.path)
    assert os.path.getsize(path) % 4096, "it ends with a block: this proves nothing"
    with open(path, encoding="utf-8") as f:
        whole = f.read()
    assert whole.endswith("}\n") and whole.count("\n") < 60
    disk.free()
    user.agent()
    with open(path, encoding="utf-8") as f:
        got = [json.loads(line) for line in f]
    assert got[-1]["lost"] + len(got) == 61 == len(records(stack)), got[-1]
    assert f"{got[-1]['lost']} could not be written" in good(stack, path)
    assert "written" not in good(stack)
    stack.problems.clear()  # the errors in its log are right


def test_a_half_line(stack):
    """As a loss of power leaves it: it is told, and spoils no other."""
    user = stack.user()
    user.agent()
    with open(stack.path("audit.log"), "ab") as f:
        f.write(b'{"chain":"aud_')
    user.agent()
    code, said = verify(stack, stack.path("audit.log"))
    assert code == 65 and said.startswith("line 2:") and said.count("good") == said.count("aud_"), said
    assert [act(json.loads(line)) for line in lines(stack)[0:3:2]] == [act(r) for r in records(stack)]


def test_a_file_that_is_locked(stack):
    """Who locks it, as every reader may, does not stop the log."""
    user = stack.user()
    user.agent()
    with subprocess.Popen(["flock", stack.path("audit.log"), "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        user.agent()
        holder.stdin.close()
    assert len(lines(stack)) == 2
    good(stack, stack.path("audit.log"))


def test_a_command_that_is_stopped(stack_factory):
    """It has a record all the same, of its beginning."""
    between = SlowRedis(0.05)
    stack = stack_factory(workers=1)
    between.target = stack.redis_path
    with open(stack.path("agent-fpm.conf"), encoding="utf-8") as f:
        conf = stack.write("slow.conf", f.read().replace(stack.redis_path, between.path))
    user = User(stack, "ann")
    for _ in range(10):
        user.agent()
    with subprocess.Popen([BINARY, "-c", conf, "ctl", "delete-user", "ann"], env=stack.pool_env(), stderr=subprocess.DEVNULL) as command:
        wait_for(lambda: len(user.get("/api/agents").json["agents"]) < 8, 20)
        command.send_signal(signal.SIGINT)
        assert command.wait() == -signal.SIGINT
    assert [(r["act"], r["what"], r["detail"]) for r in records(stack)[10:]] == [("agent-fpm ctl delete-user", "ann", "begun")]
    good(stack)
    between.close()


def test_after_a_worker_died(stack):
    """Its heir begins a chain of its own."""
    user = stack.user()
    user.agent()
    stack.kill_workers()
    wait_for(lambda: user.http("POST", "/api/agents", {"name": "x"}).status == 201)
    assert len({r["chain"] for r in records(stack)}) >= 2
    assert verify(stack)[0] == 0
