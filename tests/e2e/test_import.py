# SPDX-License-Identifier: MIT
"""agent-fpm ctl import when something goes wrong: it is exact, or says that it is not; and forks, whose files are of several moments."""

import json
import os
import shutil
import subprocess

import pytest

from slow_redis import SlowRedis
from stack import BINARY, Agent, User, scaled
from test_ctl import ctl, told
from test_portable import kept
from test_tasks import SCENARIOS, TOOLS, children
from test_tools import calls
from waiting import wait_for

BATCH = b"\r\nEVALSHA\r\n"  # of an import
LOOP = {"match": "^loop$", "steps": [{"call": "todo_read"}, {"usage": {"input_tokens": 90, "output_tokens": 30}}]}
SMALL = {"match": "^small", "steps": [{"text": "yes"}]}


@pytest.fixture
def stacks(stack_factory):
    return [stack_factory(workers=1, scenarios=[SMALL, LOOP, *SCENARIOS], conf={"store.sweep": "200ms"}) for _ in range(2)]


@pytest.fixture
def between(stacks):
    """Stands before the second stack's Redis, for those who use its conf."""
    found = SlowRedis()
    found.target = stacks[1].redis_path
    with open(stacks[1].path("agent-fpm.conf"), encoding="utf-8") as f:
        found.conf = stacks[1].write("slow.conf", f.read().replace(stacks[1].redis_path, found.path) + "\n[store]\ncommand_timeout = 500ms\n")
    yield found
    found.close()


def start(stack, conf, *words):
    return subprocess.Popen([BINARY, "-c", conf, "ctl", "--json", *words], env=stack.pool_env(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(stack, conf, *words):
    with start(stack, conf, *words) as child:
        out, errors = child.communicate(timeout=scaled(60))
    return child.returncode, out, errors


def talker(user, n=2):
    agent = user.agent()
    for i in range(n):
        agent.answer(f"small {i}")
    agent.wait_idle()
    return agent


def long_talker(user):
    """One of several batches: Redis is told of messages that nobody said."""
    agent = talker(user)
    redis = user.stack.redis()
    segment, = [k for k in redis.scan_iter("*:seg:*") if not k.endswith(b":refs")]
    for i in range(700):
        redis.rpush(segment, redis.lindex(segment, i % 4).replace(b'{"id":"msg_', b'{"id":"msg_%05d' % i, 1))
    return agent


def grow(agent, n=2):
    for i in range(n):
        agent.answer(f"small {i}")
    agent.wait_idle()


def same(here, there, agents):
    before, after = kept(here, agents), kept(there, agents)
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert after[key] == value, (key, len(value), len(after[key]))


# ---- once, whatever Redis does ----

def test_a_lost_answer(stacks, between, tmp_path):
    """Of messages in the middle: they are there once."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    between.lose = b'"msg_00400'
    code, _, errors = run(there, between.conf, "import", str(tmp_path / "x"))
    assert code == 0 and not errors and between.lose is None, (code, errors)
    same(here, there, [agent.id])


def test_lost_answers(stacks, between, tmp_path):
    """Each batch is carried out, its answer lost, and sent again."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    between.lose_every(2, BATCH)
    code, _, errors = run(there, between.conf, "import", str(tmp_path / "x"))
    assert code == 0 and not errors and between.lost >= 4, (code, errors, between.lost)
    same(here, there, [agent.id])


def test_late_batches(stacks, between, tmp_path):
    """Redis comes to a batch when it was sent again long ago, and the agent is there."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    between.passed, between.stall = 2, BATCH
    child = start(there, between.conf, "import", str(tmp_path / "x"))
    assert between.stalled.wait(scaled(20))
    between.passed = 1000
    with child:
        _, errors = child.communicate(timeout=scaled(60))
    assert child.returncode == 0 and not errors, errors
    between.go.set()
    assert between.late.wait(scaled(20))
    same(here, there, [agent.id])


def test_no_answer(stacks, between, tmp_path):
    """Redis is too slow for good: it says what to do, and that does it; what comes late changes nothing."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    between.passed, between.stall = 2, BATCH
    code, _, errors = run(there, between.conf, "import", str(tmp_path / "x"))
    assert code == 75 and "begin again" in errors, (code, errors)
    assert User(there, "ann").get("/api/agents").json["agents"] == []
    assert told(there, "import", str(tmp_path / "x"))["agents"] == 1
    between.go.set()
    assert between.late.wait(scaled(20))
    same(here, there, [agent.id])


@pytest.mark.parametrize("erased", [False, True])
def test_killed_anywhere(stacks, tmp_path, erased):
    """Before each of its batches in turn: then it is begun again, and is whole; or the user is erased, and nothing is left."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    for n in range(1, 100):
        proxy = SlowRedis()
        proxy.target, proxy.passed, proxy.stall = there.redis_path, n, BATCH
        with open(there.path("agent-fpm.conf"), encoding="utf-8") as f:
            conf = there.write("slow.conf", f.read().replace(there.redis_path, proxy.path))
        with start(there, conf, "import", str(tmp_path / "x")) as child:
            wait_for(lambda p=proxy, c=child: p.stalled.is_set() or c.poll() is not None)
            over = child.poll() is not None
            child.kill()
        if over:
            proxy.close()
            break
        if erased:
            told(there, "delete-user", "ann")
        proxy.go.set()  # its last batch comes late
        assert proxy.late.wait(scaled(20))
        proxy.close()
        assert not erased or not [k for k in there.redis().scan_iter("*") if agent.id[4:10].encode() in k]
        again = ctl(there, "import", str(tmp_path / "x"))
        assert again.returncode == 0 or not erased and "there already" in again.stderr, again
        same(here, there, [agent.id])
        told(there, "delete-user", "ann")
    assert over and n > 4 and child.returncode == 0
    same(here, there, [agent.id])


def test_two_at_once(stacks, between, tmp_path):
    """The one that began later is the one that counts."""
    here, there = stacks
    agent = long_talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    with open(between.conf, encoding="utf-8") as f:
        patient = there.write("patient.conf", f.read().replace("500ms", "60s"))
    between.passed, between.stall = 2, BATCH
    with start(there, patient, "import", str(tmp_path / "x")) as first:
        assert between.stalled.wait(scaled(20))
        assert told(there, "import", str(tmp_path / "x"))["agents"] == 1
        between.go.set()
        _, errors = first.communicate(timeout=scaled(60))
    assert first.returncode == 75 and "somebody else" in errors, errors
    same(here, there, [agent.id])


def test_cut(stacks, tmp_path):
    """A file that lost lines, wherever: it is not taken in. What was used is, before any agent is."""
    here, there = stacks
    agent = talker(User(here, "ann"))
    told(here, "export", "ann", str(tmp_path / "x"))
    path = tmp_path / "x" / "agents" / f"{agent.id}.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for n in range(1, len(lines), 7):
        path.write_text("".join(lines[:-n]))
        got = ctl(there, "import", str(tmp_path / "x"))
        assert got.returncode == 65 and "cut" in got.stderr, (n, got)
    path.write_text("".join(line for line in lines if '"role":"assistant"' not in line or '"event"' in line) + lines[-1])
    assert ctl(there, "import", str(tmp_path / "x")).returncode == 65
    assert User(there, "ann").get("/api/usage").json == agent.user.get("/api/usage").json
    path.write_text("".join(lines))
    told(there, "import", str(tmp_path / "x"))
    same(here, there, [agent.id])


# ---- forks ----

def fork_of(agent):
    got = agent.user.post(f"{agent.path}/fork", {})
    assert got.status in (200, 201), got
    return Agent(agent.user, got.json["agentId"])


def file_of(folder, agent):
    return folder / "agents" / f"{agent.id}.jsonl"


def take_one(stack, folder, agent):
    """Its file alone; then those that are left."""
    part = folder.parent / f"part-{agent.id}"
    shutil.copytree(folder, part)
    for name in os.listdir(part / "agents"):
        if name != f"{agent.id}.jsonl":
            os.unlink(part / "agents" / name)
    return told(stack, "import", str(part))


@pytest.mark.parametrize("first", ["parent", "fork"])
@pytest.mark.parametrize("newer", ["parent", "fork"])
def test_moments(stacks, tmp_path, first, newer):
    """The file of one is older than the other's; whichever comes first, each has what it has."""
    here, there = stacks
    parent = talker(User(here, "ann"), 1)
    fork = fork_of(parent)
    files = {"parent": parent, "fork": fork}
    told(here, "export", "ann", str(tmp_path / "old"))
    old = kept(here, [parent.id])
    grow(parent)
    told(here, "export", "ann", str(tmp_path / "x"))
    older = files["fork" if newer == "parent" else "parent"]
    shutil.copy(file_of(tmp_path / "old", older), file_of(tmp_path / "x", older))
    take_one(there, tmp_path / "x", files[first])
    got = ctl(there, "import", str(tmp_path / "x"))
    assert got.returncode == 75 and "there already" in got.stderr, got
    now = kept(there, [parent.id])
    assert now == (kept(here, [parent.id]) if newer == "parent" else old)
    moved = [Agent(User(there, "ann"), a.id) for a in (parent, fork)]
    assert [len(a.history()) for a in moved] == [6 if newer == "parent" else 2, 2]
    for agent in moved:
        assert agent.answer("small more") == "yes"


@pytest.mark.parametrize("first", ["parent", "fork"])
def test_a_fork_of_later(stacks, tmp_path, first):
    """It refers to more of its parent than the parent's own file has: each has what it has, and both go on."""
    here, there = stacks
    parent = talker(User(here, "ann"), 1)
    told(here, "export", "ann", str(tmp_path / "old"))
    then = parent.history()
    grow(parent)
    fork = fork_of(parent)
    told(here, "export", "ann", str(tmp_path / "x"))
    shutil.copy(file_of(tmp_path / "old", parent), file_of(tmp_path / "x", parent))
    take_one(there, tmp_path / "x", {"parent": parent, "fork": fork}[first])
    if first == "parent":
        assert Agent(User(there, "ann"), parent.id).history() == then
    told_all = ctl(there, "import", str(tmp_path / "x"))
    if first == "fork":
        assert told_all.returncode == 75, told_all
        moved, its = [Agent(User(there, "ann"), a.id) for a in (parent, fork)]
        assert moved.history() == then and its.history() == fork.history() and len(its.history()) == 6
        assert moved.answer("small more") == "yes" and its.answer("small more") == "yes"
        assert len(moved.history()) == 4 and len(its.history()) == 8 and its.history()[:6] == fork.history()


def test_others_messages(stacks, tmp_path):
    """A segment that is another here, as the same agent lived on two hosts: it is left out, and said."""
    here, there = stacks
    parent = talker(User(here, "ann"), 1)
    fork = fork_of(parent)
    told(here, "export", "ann", str(tmp_path / "x"))
    take_one(there, tmp_path / "x", fork)
    path = file_of(tmp_path / "x", parent)
    lines = path.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if '"part":"message"' in line)
    doc = json.loads(lines[at])
    doc["doc"]["id"] = "msg_" + "0" * 26
    lines[at] = json.dumps(doc, separators=(",", ":")) + "\n"
    path.write_text("".join(lines))
    before = kept(there, [parent.id])
    got = ctl(there, "import", str(tmp_path / "x"))
    assert got.returncode == 75 and f"{parent.id}: another agent has other messages" in got.stderr, got
    assert kept(there, [parent.id])[fork.key("info")] == before[fork.key("info")]
    assert len(Agent(User(there, "ann"), fork.id).history()) == 2
    assert [a["agentId"] for a in User(there, "ann").get("/api/agents").json["agents"]] == [fork.id]


# ---- what a turn has spent, and who works for whom ----

@pytest.mark.parametrize("old", [False, True])
def test_purse(stack_factory, tmp_path, old):
    """A turn that asks about its budget goes on with what it has spent. An archive of before has none of that, and no end."""
    conf = {"budget.turn_tokens": 310, "budget.on_exceed": "ask", "budget.role": "treasurer", "store.sweep": "200ms"}
    here, there = [stack_factory(workers=1, scenarios=[LOOP], conf=conf) for _ in range(2)]
    ann = {"tenant": "acme", "roles": ["treasurer"]}
    agent = User(here, "ann", **ann).agent(tools=["todo_read"])
    agent.post_message("loop")
    question, = agent.asked(state="AWAITING_BUDGET")

    def spent(a):
        return a.user.get(f"{a.path}?budgets").json["budgets"]["turn_tokens"]["used"]

    told(here, "export", "ann", str(tmp_path / "x"))
    if old:
        path = file_of(tmp_path / "x", agent)
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '{"part":"purse"' not in line and '{"part":"end"' not in line))
        head = tmp_path / "x" / "user.json"
        head.write_text(head.read_text().replace('"format":2', '"format":1'))
    told(there, "import", str(tmp_path / "x"))
    moved = Agent(User(there, "ann", **ann), agent.id)
    assert spent(agent) == 360 and spent(moved) == (0 if old else 360)
    if not old:
        same(here, there, [agent.id])
    assert moved.decide(question["id"]).status == 200
    wait_for(lambda: [q for q in moved.approvals() if q["id"] != question["id"]], 20)
    assert moved.approvals()[0]["used"] == (360 if old else 720)
    for a in (agent, moved):
        a.interrupt()


def test_another_prefix(stack_factory, tmp_path):
    """A sub-agent spends from its maker's purse, also where keys have another name."""
    conf = {"budget.turn_tokens": 100000, "store.sweep": "200ms"}
    here, there = [stack_factory(workers=1, scenarios=SCENARIOS, conf={**conf, "store.prefix": prefix}) for prefix in ("af:", "bf:")]
    maker = User(here, "ann").agent(tools=TOOLS)
    turn = maker.say("long")["turn"]
    wait_for(lambda: children(maker) and len(children(maker)[0].log_ids()) > 3)
    child = children(maker)[0]
    pid = child.holder()
    here.stop(pid)
    try:
        told(here, "export", "ann", str(tmp_path / "x"))
    finally:
        here.cont(pid)
    told(there, "import", str(tmp_path / "x"))
    key = child.key("info")
    assert there.redis().hget(f"bf{key[2:]}", "purse").decode() == f"100000 0 bf{maker.key('purse')[2:]}:{turn}"
    with Agent(User(there, "ann"), maker.id).follow() as view:
        view.wait(turn)
        assert view.dones[turn] == "completed"
    maker.interrupt()


def a_sweep(stack):
    """Waits until one has come by, which answers what nobody has taken up."""
    other = User(stack, "bob").agent()
    doc = {"id": "msg_" + "1" * 26, "turn": "trn_" + "1" * 26, "time": 1, "role": "user", "content": [{"type": "text", "text": "small talk"}]}
    stack.redis().rpush(other.key("inbox"), json.dumps(doc, separators=(",", ":")))
    stack.redis().zadd("af:leases", {other.key("")[:-1]: 1})
    wait_for(lambda: len(other.history()) == 2, 20)


def test_maker_and_sub_agent(stacks, between, tmp_path):
    """Both in the middle of their work: neither goes on before both are there; then the sub-agent tells its maker, once."""
    here, there = stacks
    maker = User(here, "ann").agent(tools=TOOLS)
    turn = maker.say("long")["turn"]
    wait_for(lambda: children(maker) and len(children(maker)[0].log_ids()) > 3)
    child = children(maker)[0]
    pid = child.holder()
    here.stop(pid)
    try:
        told(here, "export", "ann", str(tmp_path / "x"))
        before = kept(here, [maker.id, child.id])
    finally:
        here.cont(pid)
    maker.interrupt()
    with open(between.conf, encoding="utf-8") as f:
        patient = there.write("patient.conf", f.read().replace("500ms", "60s"))
    between.stall, between.passed = BATCH, 2  # two are all of an agent
    with start(there, patient, "import", str(tmp_path / "x")) as importer:
        assert between.stalled.wait(scaled(20))
        first, = [a for a in (maker, child) if there.redis().exists(a.key("info"))]
        a_sweep(there)
        assert there.redis().hgetall(first.key("info")) == before[first.key("info")]
        between.go.set()
        _, errors = importer.communicate(timeout=scaled(60))
    assert importer.returncode == 0, errors
    moved = Agent(User(there, "ann"), maker.id)
    with moved.follow() as view:
        view.wait(turn)
    call, = moved.tool_calls()
    assert call["state"] == "COMPLETED" and len(moved.history()) == 4, call
