# SPDX-License-Identifier: MIT
"""agent-fpm ctl export and import: all of a user, on another host, with the same ids."""

import json
import os
import re
import subprocess
import threading

import pytest

from slow_redis import SlowRedis
from stack import BINARY, User, scaled, words
from test_compaction import CONF, LONG, scenarios
from test_ctl import ctl, told
from test_tools import LIST, calls
from waiting import wait_for

SCENARIOS = [*calls("^plan", {"call": "todo_write", "input": {"todos": LIST}}), {"match": "^slow$", "steps": [{"text": words(60), "pace_ms": 20}]}, *scenarios()]
ASK = {"mode": "auto", "requireApprovalTools": ["todo_write"]}
OTHER = ("lease", "idem:", "import")  # of the moment, not of the agent


def kept(stack, agents):
    """All that Redis has of agents: key to value."""
    redis, found = stack.redis(), {}
    families = {a[4:10] for a in agents}
    for key in redis.scan_iter("af:{*", count=1000):
        name = key.decode()
        if name[4:10] not in families or name.split(":", 3)[3:] and name.split(":", 3)[3].startswith(OTHER):
            continue
        read = {b"hash": redis.hgetall, b"list": lambda k: redis.lrange(k, 0, -1), b"set": redis.smembers,
                b"stream": lambda k: redis.eval("return redis.call('XRANGE', KEYS[1], '-', '+')", 1, k),
                b"string": redis.get, b"zset": lambda k: redis.zrange(k, 0, -1, withscores=True)}
        found[name] = read[redis.type(key)](key)
    return found


def put(agent, path, body):
    got = agent.user.http("PUT", f"{agent.path}/files/{path}", body=body, headers={"Content-Type": "application/octet-stream"})
    assert got.status in (200, 201), got


@pytest.fixture
def stacks(stack_factory):
    return [stack_factory(workers=1, sandbox=True, scenarios=SCENARIOS, conf={**CONF, "store.sweep": "200ms"}) for _ in range(2)]


def test_everything(stacks, tmp_path):
    """Byte for byte in Redis and on the disk; the agents go on where they stopped, also with a question that was open."""
    here, there = stacks
    ann = User(here, "ann")
    talker = ann.agent(name="é \"x\" \U0001f600")
    for i in range(6):
        talker.ask(f"say {i} {LONG}")
    talker.wait_idle()
    assert ann.post(f"{talker.path}/checkpoints", {"label": "c"}).status in (200, 201)
    made = ann.post(f"{talker.path}/fork", {"checkpoint": "c"})
    assert made.status in (200, 201), made
    asker = ann.agent(tools=["todo_write"], permission=ASK)
    asker.say("plan")
    question, = asker.asked()
    names = {"a.txt": b"hello", "empty": b"", "d/" + "n" * 150 + "/ü.bin": bytes(range(256)) * 5000}
    for name, body in names.items():
        put(talker, name.replace("ü", "%C3%BC"), body)
    agents = [a["agentId"] for a in ann.get("/api/agents").json["agents"]]
    assert len(agents) == 3
    bob = User(here, "bob").agent()
    bob.answer("small talk")
    folder = str(tmp_path / "ann")
    got = told(here, "export", "ann", folder)
    assert got == {"agents": 3, "archives": 1}
    head = json.loads((tmp_path / "ann" / "user.json").read_text())
    assert head["user"] == "ann" and head["agents"] == 3
    assert sorted(os.listdir(tmp_path / "ann" / "agents")) == sorted(f"{a}.jsonl" for a in agents)
    text = "".join(p.read_text() for p in (tmp_path / "ann" / "agents").iterdir())
    assert all(json.loads(line) for line in text.splitlines()) and bob.id not in text
    assert os.stat(folder).st_mode & 0o77 == 0

    before = kept(here, agents)
    assert told(there, "import", folder) == {"agents": 3, "files": 3, "left": 0}
    after = kept(there, agents)
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert after[key] == value, key
    again = User(there, "ann")
    assert [a["agentId"] for a in again.get("/api/agents").json["agents"]] == agents
    assert again.get("/api/usage").json == ann.get("/api/usage").json
    moved = {a: type(talker)(again, a) for a in agents}
    for name, body in names.items():
        assert again.get(f"{talker.path}/files/{name.replace('ü', '%C3%BC')}").body == body
    moved[talker.id].ask(f"say 7 {LONG}")
    with moved[talker.id].events(last_event_id=talker.log_ids()[-1]) as view:
        assert view.next().kind == "message_accepted"
    assert moved[asker.id].decide(question["id"]).status == 200
    moved[asker.id].wait_idle()
    assert moved[asker.id].history()[-1]["role"] == "assistant"

    got = ctl(there, "import", folder)
    assert got.returncode == 75 and got.stderr.count("is there already") == 3 and "3 agents were there" in got.stderr, got
    assert told(there, "delete-user", "ann")["agents"] == 3
    assert not kept(there, agents)


def test_a_turn_that_waits_goes_on(stacks, tmp_path):
    """A message that nobody has taken up is answered where it is taken in."""
    here, there = stacks
    agent = User(here, "ann").agent()
    agent.answer("small talk")
    agent.wait_idle()
    turn = "trn_" + "1" * 26
    doc = json.dumps({"id": "msg_" + "1" * 26, "turn": turn, "time": 1, "role": "user", "content": [{"type": "text", "text": "small more"}]}, separators=(",", ":"))
    here.redis().rpush(agent.key("inbox"), doc)
    told(here, "export", "ann", str(tmp_path / "x"))
    told(there, "import", str(tmp_path / "x"))
    moved = type(agent)(User(there, "ann"), agent.id)
    wait_for(lambda: len(moved.history()) == 4, 10, lambda: moved.history())


def test_half_an_import(stacks, tmp_path):
    """A line that makes no sense, a file that is cut: it says where, nobody sees that agent, and it can be begun again."""
    here, there = stacks
    agent = User(here, "ann").agent()
    agent.answer("small talk")
    agent.wait_idle()
    put(agent, "a.txt", b"hello")
    folder = tmp_path / "x"
    told(here, "export", "ann", str(folder))
    path = folder / "agents" / f"{agent.id}.jsonl"
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    for bad, words in ((good.replace('"part":"info"', '"part":"what"', 1), "no part that is known"), (good[:-20], "jsonl:"),
                       (good.replace('"text":"ann"', '"text":"bob"'), "another user"), ("".join(lines[:2]), "cut"), ("{}\n", "has no part")):
        path.write_text(bad)
        got = ctl(there, "import", str(folder))
        assert got.returncode == 65 and words in got.stderr, got
        assert User(there, "ann").get("/api/agents").json["agents"] == []
    path.write_text(good)
    tar = folder / "files" / f"{agent.id}.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:700])
    got = ctl(there, "import", str(folder))
    assert got.returncode == 65 and "archive is cut" in got.stderr, got
    tar.write_bytes(whole)
    assert told(there, "import", str(folder))["agents"] == 1
    assert kept(here, [agent.id]) == kept(there, [agent.id])
    os.unlink(folder / "user.json")
    got = ctl(there, "import", str(folder))
    assert got.returncode != 0 and "writes last" in got.stderr, got


def test_half_an_import_is_erased(stacks, tmp_path):
    """Nobody sees that agent, but who erases its user finds it, messages and files too."""
    here, there = stacks
    agent = User(here, "ann").agent()
    agent.answer("small secret")
    agent.wait_idle()
    put(agent, "a.txt", b"hello")
    segment, = [k for k in here.redis().scan_iter(f"af:{{{agent.id[4:10]}}}:seg:*") if not k.endswith(b":refs")]
    here.redis().rpush(segment, *[here.redis().lindex(segment, -1)] * 500)  # more than a batch
    told(here, "export", "ann", str(tmp_path / "x"))
    path = tmp_path / "x" / "agents" / f"{agent.id}.jsonl"
    path.write_text(re.sub(r'("part":"event","id":")', r"\1no", path.read_text()))  # the last part of an agent
    got = ctl(there, "import", str(tmp_path / "x"))
    assert got.returncode == 65 and "an event has no id" in got.stderr, got
    assert User(there, "ann").get(agent.path).status == 403
    assert kept(there, [agent.id]) and there.sandbox.files(agent.id)
    assert told(there, "delete-user", "bob") == {"agents": 0, "keys": 0}
    assert kept(there, [agent.id]) and there.sandbox.files(agent.id)
    assert told(there, "delete-user", "ann")["agents"] == 1
    assert not kept(there, [agent.id]) and there.sandbox.homes() == []
    assert told(there, "delete-user", "ann") == {"agents": 0, "keys": 0}


def test_words(stacks, tmp_path):
    here, _ = stacks
    folder = str(tmp_path / "x")
    assert told(here, "export", "nobody-here", folder) == {"agents": 0, "archives": 0}
    got = ctl(here, "export", "nobody-here", folder)
    assert got.returncode != 0 and "File exists" in got.stderr, got
    for words in (["export", "ann"], ["import"], ["export", "ann", "a", "b"]):
        assert ctl(here, *words).returncode == 64, words


def test_a_turn_that_runs_goes_on(stacks, tmp_path):
    """Taken along in the middle of an answer, while its worker stands still, it is resumed at its last step."""
    here, there = stacks
    agent = User(here, "ann").agent()
    turn = agent.say("slow")["turn"]
    with agent.follow() as view:
        view.wait_for(lambda f: len(f.text()) > 50)
    pid = agent.holder()
    here.stop(pid)
    try:
        told(here, "export", "ann", str(tmp_path / "x"))
    finally:
        here.cont(pid)
    told(there, "import", str(tmp_path / "x"))
    moved = type(agent)(User(there, "ann"), agent.id)
    with moved.follow() as view:
        view.wait(turn)
        assert view.text(turn) == words(60) and "agent_resumed" in view.kinds()
    agent.interrupt()


def held_up(stack, request, passed, *words):
    """A run of ctl before whose request Redis stands still; and what it stands before."""
    between = SlowRedis()
    between.target, between.stall, between.passed = stack.redis_path, request, passed
    with open(stack.path("agent-fpm.conf"), encoding="utf-8") as f:
        conf = stack.write("slow.conf", f.read().replace(stack.redis_path, between.path) + "\n[store]\ncommand_timeout = 60s\n")
    child = subprocess.Popen([BINARY, "-c", conf, "ctl", "--json", *words], env=stack.pool_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert between.stalled.wait(scaled(20))
    return between, child


def over(between, child):
    between.go.set()
    with child:
        out, errors = child.communicate(timeout=scaled(60))
    between.close()
    assert child.returncode == 0 and not errors, errors
    return json.loads(out)


def test_the_list_moves(stacks, tmp_path):
    """Between two pages of it one of the second is at work, and so is in the first: it is found all the same."""
    here, _ = stacks
    ann = User(here, "ann")
    agents = [ann.agent() for _ in range(102)]
    between, child = held_up(here, b"\r\nZREVRANGEBYSCORE\r\n", 1, "export", "ann", str(tmp_path / "x"))
    agents[0].answer("small talk")
    assert over(between, child)["agents"] == 102
    assert sorted(os.listdir(tmp_path / "x" / "agents")) == sorted(f"{a.id}.jsonl" for a in agents)


def test_deleted_meanwhile(stacks, tmp_path):
    """Of an agent that is deleted while it is read nothing is left in the folder, which can be taken in."""
    here, there = stacks
    ann = User(here, "ann")
    gone, agent = ann.agent(), ann.agent()
    for a in (gone, agent):
        a.answer("small talk")
    between, child = held_up(here, b":events\r\n", 1, "export", "ann", str(tmp_path / "x"))
    found = [name for name in os.listdir(tmp_path / "x" / "agents")]
    assert len(found) == 1
    first = next(a for a in (gone, agent) if found == [f"{a.id}.jsonl"])
    assert ann.http("DELETE", first.path).status == 204
    assert over(between, child)["agents"] == 1
    assert len(os.listdir(tmp_path / "x" / "agents")) == 1
    assert told(there, "import", str(tmp_path / "x"))["agents"] == 1


def test_an_agent_that_changes_all_the_time(stacks, tmp_path):
    """What is read in pieces would be of no one moment: it tries again, then says so."""
    here, _ = stacks
    agent = User(here, "ann").agent()
    over, between = threading.Event(), SlowRedis(0.02)  # each answer takes longer than a change
    between.target = here.redis_path
    with open(here.path("agent-fpm.conf"), encoding="utf-8") as f:
        conf = here.write("slow.conf", f.read().replace(here.redis_path, between.path))

    def write():
        redis = here.redis()
        while not over.is_set():
            redis.hincrby(agent.key("info"), "version", 1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        got = subprocess.run([BINARY, "-c", conf, "ctl", "export", "ann", str(tmp_path / "x")], env=here.pool_env(),
                             capture_output=True, text=True, timeout=scaled(60), check=False)
    finally:
        over.set()
        writer.join()
        between.close()
    assert got.returncode == 75 and agent.id in got.stderr and "at work meanwhile" in got.stderr, got
    assert not os.path.exists(tmp_path / "x" / "user.json")
