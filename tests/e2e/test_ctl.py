# SPDX-License-Identifier: MIT
"""agent-fpm ctl: what an administrator asks of a pool, and does to the data of a user."""

import json
import os
import pwd
import re
import signal
import socket
import stat
import subprocess

import pytest

from stack import BINARY, User
from test_tools import LIST, calls
from waiting import scaled, wait_for


def ctl(stack, *words, **options):
    """A run of it."""
    argv = [BINARY, "-c", stack.path("agent-fpm.conf"), "ctl", *words]
    return subprocess.run(argv, env=stack.pool_env(), capture_output=True, text=True, timeout=scaled(60), check=False, **options)


def said(stack, *words):
    """What it prints, when all is well."""
    got = ctl(stack, *words)
    assert got.returncode == 0 and not got.stderr, got
    return got.stdout


def told(stack, *words):
    return json.loads(said(stack, "--json", *words))


# ---- the pool ----

def test_status_and_turns(stack_factory):
    stack = stack_factory(workers=2, without_nginx=True)
    lines = dict(line.split(":", 1) for line in said(stack, "status").splitlines())
    assert lines["total processes"].strip() == "2" and lines["drained"].strip() == "0"
    assert told(stack, "status")["totalProcesses"] == 2 and told(stack, "turns") == []
    assert said(stack, "turns") == ""


def test_kick(site):
    """Wherever the turn runs: by its id, or by the agent's. The end is said; one that is over is not there."""
    agent = site.user("bob").agent()
    for word in ("turn", "agent"):
        turn = agent.say("slow 600")["turn"]
        with agent.follow() as view:
            view.wait_for(lambda f, t=turn: t in f.turns)
            running = [t for t in told(site, "turns") if t["turn"] == turn]
            assert running and running[0]["agent"] == agent.id and running[0]["user"] == agent.user.name
            assert turn in said(site, "turns")
            assert told(site, "kick", {"turn": turn, "agent": agent.id}[word]) == {"agent": agent.id, "turn": turn}
            view.wait(turn)
            assert view.dones[turn] == "interrupted"
        wait_for(lambda t=turn: t not in said(site, "turns"))
        got = ctl(site, "kick", turn)
        assert got.returncode != 0 and "no turn" in got.stderr, got
    for word, text in ((agent.id, "no turn of"), ("agt_aaaaaaaaaaaaaaaaaaaaaaaaaa", "there is no agent")):
        got = ctl(site, "kick", word)
        assert got.returncode != 0 and text in got.stderr, got


def test_kick_of_a_turn_that_waits_for_a_human(stack_factory):
    """It is in no process: the agent names it."""
    stack = stack_factory(workers=1, scenarios=calls("^plan$", {"call": "todo_write", "input": {"todos": LIST}}))
    agent = stack.user("ann").agent(tools=["todo_write"], permission={"mode": "approval"})
    turn = agent.say("plan")["turn"]
    agent.asked()
    assert told(stack, "turns") == []
    assert told(stack, "kick", agent.id)["turn"] == turn
    agent.wait_idle()
    assert agent.page()["events"][-1]["reason"] == "interrupted"


def test_drain(stack_factory):
    """What runs goes on; what is new is refused, until it is undone or the pool reloads."""
    stack = stack_factory(workers=2)
    user = stack.user("ann")
    agent, other = user.agent(), user.agent()
    turn = agent.say("slow 40")["turn"]
    got = told(stack, "drain")
    assert got["drained"] is True
    refused = other.post_message("hello")
    assert refused.status == 503 and refused.headers["Retry-After"] and "drained" in refused.json["detail"]
    assert stack.http("GET", "/ready").status == 503 and stack.http("GET", "/health").status == 200
    assert told(stack, "status")["drained"] == 1
    with agent.follow() as view:
        view.wait(turn)
        assert view.dones[turn] == "completed"
    assert told(stack, "undrain") == {"drained": False, "runningTurns": 0}
    assert other.answer("hello") == "echo: hello" and stack.http("GET", "/ready").status == 200
    assert "ctl: drain" in stack.log() and "ctl: undrain" in stack.log()
    told(stack, "drain")
    os.kill(stack.master, signal.SIGHUP)
    wait_for(lambda: stack.http("GET", "/ready").status == 200, 20, "a reload does not end the drain")


def test_the_socket(stack_factory):
    """It is the owner's alone, lives as long as the pool, and does not take nonsense."""
    stack = stack_factory(workers=1, without_nginx=True)
    path = stack.fcgi_path + ".ctl"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600

    def ask(data):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(scaled(20))
            s.connect(path)
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            return s.makefile("rb").read().decode()

    assert ask(b"status\n").startswith("ok\n")
    assert ask(b"json status\n").startswith("ok\n{")
    for bad in (b"", b"status", b"x" * 4096, b"sta\0tus\n", b"nope\n", b"json\n", b"kick\n"):
        assert ask(bad).startswith("error "), bad
    assert said(stack, "status")
    stack.kill_worker()
    wait_for(lambda: ctl(stack, "status").returncode == 0, 10, "the heir does not answer")
    os.kill(stack.master, signal.SIGQUIT)
    stack._pool.wait()
    assert not os.path.exists(path)
    got = ctl(stack, "status")
    assert got.returncode == 75 and "is the pool running" in got.stderr, got


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")
def test_another_user(stack_factory):
    """Neither the mode nor the kernel's word lets another user in."""
    stack = stack_factory(workers=1, without_nginx=True)
    path, nobody = stack.fcgi_path + ".ctl", pwd.getpwnam("nobody").pw_uid
    code = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ntry:\n    s.connect(sys.argv[1])\n"
            "except PermissionError:\n    sys.exit('closed')\ns.sendall(b'drain\\n')\nprint(s.makefile().read())")
    for mode, text in ((0o600, "closed"), (0o666, "only root and the user of the pool may ask")):
        os.chmod(path, mode)
        got = subprocess.run(["/usr/bin/python3", "-c", code, path], user=nobody, capture_output=True, text=True, timeout=scaled(20), check=False)
        assert text in got.stdout + got.stderr, got
    assert told(stack, "status")["drained"] == 0


def test_an_upgrade_takes_the_socket_along(stack_factory):
    stack = stack_factory(workers=1, without_nginx=True)
    old = stack.upgrade()
    assert old.wait(20) == 0
    assert told(stack, "status")["totalProcesses"] == 1
    assert stat.S_IMODE(os.stat(stack.fcgi_path + ".ctl").st_mode) == 0o600


def test_settings(stack_factory):
    stack = stack_factory(workers=1, without_nginx=True, conf={"ctl.socket": "none"})
    got = ctl(stack, "status")
    assert got.returncode == 78 and "ctl.socket" in got.stderr, got
    assert not os.path.exists(stack.fcgi_path + ".ctl")
    stack.conf["ctl.socket"] = stack.path("none", "ctl")
    stack.write_conf()
    got = subprocess.run([BINARY, "-F", "-c", stack.path("agent-fpm.conf")], env=stack.pool_env(), capture_output=True, text=True, timeout=scaled(20), check=False)
    assert got.returncode == 78, got
    for words in ([], ["nope"], ["kick"], ["status", "now"], ["--json"]):
        assert ctl(stack, *words).returncode == 64, words


# ---- a user's data ----

def keys_of(stack, *words):
    """Keys whose name or value has one of the words, but for the audit log: that somebody was erased stays on record."""
    redis, found = stack.redis(), []
    for key in redis.scan_iter("*", count=1000):
        if key == b"af:audit":
            continue
        dump = redis.dump(key) or b""
        if any(w.encode() in key or w.encode() in dump for w in words):
            found.append(key.decode())
    return found


def test_agents(site):
    user = site.user("many")
    assert said(site, "agents", user.name) == ""
    made = [user.agent(name=f"x\n{i}") for i in range(3)]
    lines = said(site, "agents", user.name).splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(a.id for a in made) and all("x?" in line for line in lines)
    got = [json.loads(line) for line in said(site, "--json", "agents", user.name).splitlines()]
    assert {a["agentId"] for a in got} == {a.id for a in made} and {a["state"] for a in got} == {"READY"}


def test_delete_user(stack_factory):
    """All that is kept of somebody goes, whatever runs; nothing of anybody else does. Twice is harmless."""
    stack = stack_factory(workers=2, conf={"limits.requests": "1000/1m", "limits.turns_per_user": "20", "limits.agents_per_user": "50"})
    user, others = User(stack, "eve"), [User(stack, name) for name in ("eve2", "ev", "eve:x", "*", "eve%3Ax")]
    for who in (user, *others):
        agent = who.agent(name="n")
        agent.answer("hello")
        assert agent.post_message("again", headers={"Idempotency-Key": "k"}).status == 202
        agent.wait_idle()
        assert who.post(f"{agent.path}/checkpoints", {"label": "c"}).status in (200, 201)
        assert who.post(f"{agent.path}/fork", {}).status in (200, 201)
        assert who.post("/api/agents", {"name": "n"}, headers={"Idempotency-Key": "j"}).status == 201
        assert who.post("/api/tickets").status == 201
        who.agents = [a["agentId"] for a in who.get("/api/agents").json["agents"]]
    running = user.agent()
    running.say("slow 600")
    with running.chat("wait") as view:
        wait_for(running.lease)
        before = {who.name: len(keys_of(stack, *who.agents)) for who in others}
        out = told(stack, "delete-user", "eve")
        assert out["agents"] == len(user.agents) + 1 and out["keys"] >= 4, out
        view.rest()
    wait_for(lambda: told(stack, "turns") == [])
    assert not keys_of(stack, *user.agents, running.id)
    left = [k.decode() for k in stack.redis().scan_iter("*")]
    assert [k for k in left if re.search(r":eve(:(?!x)|$)", k)] == []
    assert told(stack, "delete-user", "eve") == {"agents": 0, "keys": 0}
    for who in others:
        assert len(keys_of(stack, *who.agents)) == before[who.name], who.name
        assert [a["agentId"] for a in who.get("/api/agents").json["agents"]] == who.agents
    for who, name in ((others[2], "eve:x"), (others[3], "*")):
        assert told(stack, "delete-user", name)["agents"] == len(who.agents)
        assert not keys_of(stack, *who.agents)
    assert len(others[4].get("/api/agents").json["agents"]) == len(others[4].agents)
    assert user.get("/api/agents").json["agents"] == [], "the user may begin again"


def test_delete_user_finds_what_no_list_has(stack_factory):
    """After a crash between two writes; and sub-agents."""
    stack = stack_factory(workers=1)
    user = stack.user("mallory")
    agent = user.agent()
    agent.answer("hello")
    agent.wait_idle()
    stack.redis().delete(f"af:user:{user.name}:agents")
    assert told(stack, "delete-user", user.name)["agents"] == 1
    assert not keys_of(stack, agent.id)


def test_delete_user_with_files(stack_factory):
    stack = stack_factory(workers=1, sandbox=True)
    user, other = stack.user("files"), stack.user("files2")
    agents = [u.agent() for u in (user, other)]
    for a in agents:
        assert a.user.http("PUT", f"{a.path}/files/a.txt", body=b"secret", headers={"Content-Type": "text/plain"}).status in (200, 201)

    def files():
        return sum(name == "a.txt" for _, _, names in os.walk(stack.sandbox.workspaces) for name in names)

    assert files() == 2
    stack.sandbox.process.terminate()
    stack.sandbox.process.wait()
    got = ctl(stack, "delete-user", user.name)
    assert got.returncode != 0 and agents[0].id in got.stderr and agents[0].info(), got
    stack.sandbox.start()
    assert told(stack, "delete-user", user.name)["agents"] == 1
    wait_for(lambda: files() == 1)


def test_delete_user_with_files_that_nobody_knows(stack_factory):
    """Whatever left them: no key tells of them, the sandbox does. While that is away nothing is claimed."""
    stack = stack_factory(workers=1, sandbox=True)
    for user in ("files", "files2"):
        stack.sandbox.client().call("fs.put", user=user, agent="agt_" + "1" * 26, data=b"secret", path="a.txt")
    stack.redis().set("af:{111111}:agt_" + "1" * 26 + ":inbox", "x")  # nor whose this is
    stack.sandbox.process.terminate()
    stack.sandbox.process.wait()
    got = ctl(stack, "delete-user", "files")
    assert got.returncode != 0 and "files of files: the sandbox is not reached" in got.stderr and not got.stdout, got
    stack.sandbox.start()
    assert told(stack, "delete-user", "files")["agents"] == 0
    assert len(stack.sandbox.homes()) == 1 and stack.redis().keys("*1111*") == []
    assert told(stack, "delete-user", "files2") == {"agents": 0, "keys": 0}
    assert stack.sandbox.homes() == []


def test_acts_are_on_record(site):
    """What an administrator did, or tried to, is in the audit log; what he looked at is not."""
    def acts():
        return [json.loads(fields[b"r"]) for _, fields in site.redis().xrange("af:audit")]

    said(site, "status")
    before = len(acts())
    assert ctl(site, "kick", "trn_00000000000000000000000000").returncode != 0
    user = site.user()
    user.agent()
    said(site, "delete-user", user.name)
    said(site, "drain")
    said(site, "undrain")
    new = [r for r in acts()[before:] if r["act"].startswith("agent-fpm ctl ")]
    assert [(r["act"], r.get("what"), r.get("detail")) for r in new] == [
        ("agent-fpm ctl kick", "trn_00000000000000000000000000", new[0]["detail"]),
        ("agent-fpm ctl delete-user", user.name, "begun"), ("agent-fpm ctl delete-user", user.name, "done"),
        ("agent-fpm ctl drain", None, None), ("agent-fpm ctl undrain", None, None)]
    assert "no turn" in new[0]["detail"] and {r["from"] for r in new} == {f"uid {os.getuid()}"}
