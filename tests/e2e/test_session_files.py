# SPDX-License-Identifier: MIT
"""Workspaces of sessions are saved, and what changes in them is told once."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
from front_end import FrontEnd
from stack import BINARY, Agent
from test_bash import bash
from test_sandbox_commands import skip_without_commands
from test_tasks import task
from test_tools import calls
from waiting import scaled, wait_for

OFTEN, NEVER = {"bridge.sync_interval": "400ms"}, {"bridge.sync_interval": "1h"}


def fs(op, **members):
    return {"call": f"fs_{op}", "input": members}


SCENARIOS = [
    *calls("^write (\\S+) (.*)$", fs("write", path="${1}", content="${2}")),
    *calls("^edit$", fs("edit", path="f", old_string="one", new_string="two")),
    *calls("^multi$", fs("multi_edit", edits=[{"path": "f", "find": "two", "replace": "three"}])),
    *calls("^delegate$", task("write inner.txt text")),
    *calls("^run (.*)$", bash("${1}")),
    {"match": "^job (.*)$", "round": 0, "steps": [bash("${1}", background=True)]},
    {"match": "^job", "steps": [{"text": "it runs"}]},
]
PROFILE = {"worker": {"tools": ["fs_read", "fs_write", "fs_edit", "fs_multi_edit", "bash_run", "bash_kill", "task_run"], "permission": {"mode": "auto"}}}


class Session:
    """A session of a user of its own, and what is said of it."""

    def __init__(self, stack, profile="worker", front=None, **more):
        self.stack, self.front = stack, front or FrontEnd(stack)
        self.redis = stack.redis()
        self.heard = self.redis.pubsub()
        self.heard.subscribe(f"af:user:{self.front.user.name}:sessions")
        assert self.heard.get_message(timeout=5)["type"] == "subscribe"
        self.changes, self.lists = [], 0
        self.id = self.front.session(profile=profile, **more)
        self.path = f"/api/sessions/{self.id}"
        self.agent = Agent(self.front.user, self.front.user.get("/api/agents").json["agents"][0]["agentId"])

    def put(self, path, content):
        got = self.front.user.http("PUT", f"{self.agent.path}/files/{path}", body=content.encode() if isinstance(content, str) else content,
                                   headers={"Content-Type": "application/octet-stream"})
        assert got.status in (201, 204), got

    def get(self, path):
        got = self.front.user.get(f"{self.agent.path}/files/{path}")
        return got.body if got.status == 200 else None

    def say(self, text):
        """And waits for the end of its turn; the agent's dialogue must not end with an error."""
        self.front.say(self.id, text)
        self.agent.wait_idle(30)
        assert self.agent.dialogue()[-1][0] == "assistant"

    def saved(self):
        """path -> content."""
        found = {}
        for path, record in self.redis.hgetall(self.agent.key("files")).items():
            size, _mode, sha, _etag = record.decode().split(" ")
            blob = self.redis.get(f"{self.agent.key('').rpartition(':')[0].rpartition(':')[0]}:blob:{sha}")
            if blob is not None:
                assert len(blob) == int(size) and hashlib.sha256(blob).hexdigest() == sha
            found[path.decode()] = blob
        return found

    def hear(self):
        """(change, path) of all that was said so far by who saves files."""
        while message := self.heard.get_message(ignore_subscribe_messages=True, timeout=0.02):
            doc = json.loads(message["data"])
            if doc["type"] == "file":
                assert doc["agent"] == self.agent.id
                self.changes.append((doc["change"], doc["path"]))
        return self.changes

    def logged(self):
        """The same of tools, in the log."""
        events = [json.loads(e) for _, e in self.agent.log()]
        return [(e["change"], e["path"]) for e in events if e["kind"] == "file_changed"]

    def settled(self):
        """Nothing is left to look at."""
        wait_for(lambda: self.redis.zscore("af:unsynced", self.agent.key("")[:-1]) is None, 20, "it is looked at for ever")
        return self.hear()

    def sync(self):
        got = self.front.post(f"{self.path}/sync")
        assert got.status == 200 and got.json["success"] is True, got
        return got.json


@pytest.fixture(scope="module")
def often(request):
    yield from shared(OFTEN)


@pytest.fixture(scope="module")
def never(request):
    yield from shared(NEVER)


def shared(conf):
    from conftest import close
    from stack import Stack
    stack = Stack(workers=2, sandbox=True, conf=conf, scenarios=SCENARIOS, templates=PROFILE)
    yield stack
    close(stack)


def test_files_of_the_site(often):
    """Saved within the interval, and told: what is made, changed and deleted."""
    s = Session(often)
    for name in ("a", "d/b", "c"):
        s.put(name, f"text of {name}")
    wait_for(lambda: s.saved() == {n: f"text of {n}".encode() for n in ("a", "d/b", "c")}, 10, s.saved)
    assert sorted(s.settled()) == [("created", n) for n in ("a", "c", "d/b")]
    s.put("a", b"\0\xff other")
    assert s.front.user.http("DELETE", f"{s.agent.path}/files/d").status == 204
    s.put("c", "text of c")  # another version of the same
    wait_for(lambda: s.saved() == {"a": b"\0\xff other", "c": b"text of c"}, 10, s.saved)
    assert sorted(s.settled()[3:]) == [("deleted", "d/b"), ("modified", "a")]


def test_the_bound_of_loss(stack_factory):
    """What was there an interval ago is saved, all the time that something writes."""
    stack = stack_factory(workers=2, sandbox=True, conf={"bridge.sync_interval": "1s"}, templates=PROFILE)
    s = Session(stack)
    began = {}
    for i in range(60):
        began[i] = time.monotonic()
        s.put("counter", str(i))
        held = int(s.saved().get("counter", b"-1"))
        late = [n for n, at in began.items() if n > held and time.monotonic() - at > 1.5]
        assert not late, f"{late} is not saved yet, but {held}"
        wait_for(lambda at=began[i]: time.monotonic() - at > 0.05)
    assert s.settled() and s.saved() == {"counter": b"59"}


def test_tools_tell_themselves(often):
    """Each change is in the log, at once, and who saves is silent about it."""
    s = Session(often)
    s.say("write f one and more")
    s.say("edit")
    s.say("multi")
    assert s.logged() == [("created", "f"), ("modified", "f"), ("modified", "f")]
    assert "etag" not in json.dumps(s.agent.history())
    wait_for(lambda: s.saved() == {"f": b"three and more"}, 10, s.saved)
    assert s.settled() == []


def test_of_sub_agents(often):
    """They work in the session's workspace."""
    s = Session(often)
    s.say("delegate")
    wait_for(lambda: s.saved() == {"inner.txt": b"text"}, 10, s.saved)
    assert s.settled() == []


def test_commands(often):
    """What a command has changed it tells, up to a hundred; the rest is told by who saves. Nothing is told while it runs, but saved."""
    skip_without_commands(often.sandbox)
    s = Session(often)
    s.front.say(s.id, "run echo early > early; for i in $(seq 150); do echo $i > f$i; done; until [ -e go ]; do sleep 0.05; done; rm -f go; chmod +x early")
    wait_for(lambda: len(s.saved()) == 151, 20, lambda: len(s.saved()))
    assert s.hear() == []
    s.put("go", "x")
    s.agent.wait_idle(20)
    logged = s.logged()
    assert len(logged) == 100 and all(change == "created" for change, _ in logged)
    told = s.settled()
    assert sorted(told + logged) == sorted([("created", "early")] + [("created", f"f{i}") for i in range(1, 151)])
    wait_for(lambda: int(s.redis.hget(s.agent.key("files"), "early").split()[1]) & 0o100, 10, "its mode is not saved")


def test_jobs(often):
    """A job's changes come while it runs; it is looked at as long as it does."""
    skip_without_commands(often.sandbox)
    s = Session(often)
    s.say("job echo 1 > out; until [ -e go ]; do sleep 0.02; done; echo 22 > out; until [ -e on ]; do sleep 0.02; done; rm out")
    wait_for(lambda: s.saved() == {"out": b"1\n"}, 10, s.saved)
    wait_for(lambda: ("created", "out") in s.hear(), 10, "it is not told")
    s.put("go", "x")
    wait_for(lambda: s.saved().get("out") == b"22\n" and ("modified", "out") in s.hear(), 10, s.saved)
    s.put("on", "x")
    wait_for(lambda: "out" not in s.saved() and ("deleted", "out") in s.hear(), 10, s.saved)
    told = s.settled()
    assert sorted(told) == sorted([("created", "out"), ("modified", "out"), ("deleted", "out"), ("created", "go"), ("created", "on")]), told
    assert not [e for e in s.logged() if e[1] == "out"] or s.logged() == [("created", "out")]


@pytest.mark.parametrize("end", ["sync", "unload", "terminate", "delete"])
def test_at_once(never, end):
    """When it is asked for, and when the session is unloaded or its environment ends."""
    s = Session(never)
    s.put("a", "text")
    assert s.saved() == {}
    if end == "sync":
        assert s.sync() == {"success": True, "sessionId": s.id}
        assert s.front.post(f"{s.path}/sync").body == json.dumps({"success": True, "sessionId": s.id}, separators=(",", ":")).encode()
    elif end == "unload":
        assert s.front.delete(s.path).status == 200
    elif end == "terminate":
        assert s.front.post(f"{s.path}/environment/terminate").status == 200
    else:
        s.sync()
        assert s.front.delete(f"/sessions/{s.id}").status == 200
        assert [k for k in s.redis.scan_iter(f"af:{{{s.agent.id[4:10]}}}:*")] == [] and s.hear() == [("created", "a")]
        return
    assert s.saved() == {"a": b"text"} and s.hear() == [("created", "a")]


def test_idle_ones(stack_factory):
    stack = stack_factory(workers=2, sandbox=True, conf={**NEVER, "bridge.idle_timeout": "1s"}, templates=PROFILE)
    s = Session(stack)
    s.put("a", "text")
    wait_for(lambda: s.saved() == {"a": b"text"}, 10, s.saved)
    assert s.front.item(s.id)["runtime"]["isLoaded"] is False


def test_bounds(stack_factory):
    """What is beyond is left out, clients hear of it all the same, and it is said once; what becomes smaller is saved."""
    stack = stack_factory(workers=1, sandbox=True, conf={**NEVER, "bridge.sync_files": "4", "bridge.sync_file_size": "1k", "bridge.sync_size": "2k"},
                          templates=PROFILE)
    s = Session(stack)
    for name, size in (("a", 1000), ("b", 2000), ("c", 900), ("d", 500), ("e", 1), ("f", 1)):
        s.put(name, "x" * size)
    assert s.sync() == {"success": True, "sessionId": s.id, "filesNotSaved": 3}
    assert sorted(s.saved()) == ["a", "c"] and sorted(s.hear()) == [("created", n) for n in "abcd"]
    assert s.sync()["filesNotSaved"] == 3 and stack.log().count("are not saved, 3 at least") == 1
    s.put("a", "y")
    s.sync()
    assert sorted(s.saved()) == ["a", "c", "d"] and s.hear()[4:] == [("modified", "a")]
    for name in "ae":
        assert s.front.user.http("DELETE", f"{s.agent.path}/files/{name}").status == 204
    s.put("d", "x" * 1100)
    assert s.sync()["filesNotSaved"] == 2
    assert sorted(s.saved()) == ["c", "f"] and sorted(s.hear()[5:]) == [("created", "f"), ("deleted", "a"), ("modified", "d")]
    sizes = s.front.user.get(f"{s.agent.path}?storage").json["storage"]
    assert sizes["savedFiles"] == 2


def test_killed_in_the_middle(stack_factory):
    """Workers die while they save: in the end all is saved, and each file was told once."""
    stack = stack_factory(workers=2, sandbox=True, conf={"bridge.sync_interval": "300ms"}, templates=PROFILE)
    s = Session(stack)
    folder = None
    s.put("f000", "x")
    folder = stack.sandbox.files(s.agent.id)
    for i in range(1, 600):
        with open(os.path.join(folder, f"f{i:03}"), "w", encoding="utf-8") as f:
            f.write(f"text {i}")
    s.put("f000", "text 0")
    kills = 0

    def count():
        return s.redis.hlen(s.agent.key("files"))
    while (now := count()) < 600:
        wait_for(lambda before=now: count() > before, 20, "nobody goes on")
        if kills < 6:
            for pid in stack.workers():
                os.kill(pid, 9)
            kills += 1
    assert kills >= 2
    told = s.settled()
    assert s.saved() == {f"f{i:03}": f"text {i}".encode() for i in range(600)}
    assert sorted(told) == sorted([("created", f"f{i:03}") for i in range(600)] + [e for e in told if e == ("modified", "f000")]), len(told)


def test_without_a_sandbox_or_an_interval(stack_factory):
    """Nothing is saved, and nothing is the worse for it."""
    for sandbox, conf in ((False, OFTEN), (True, {"bridge.sync_interval": "0"})):
        stack = stack_factory(workers=1, sandbox=sandbox, conf=conf, scenarios=SCENARIOS, templates=PROFILE if sandbox else None)
        s = Session(stack, profile="worker" if sandbox else "default")
        if sandbox:
            s.say("write f text")
        assert s.sync() == {"success": True, "sessionId": s.id}
        assert s.saved() == {} and s.redis.exists("af:unsynced", s.agent.key("told"), s.agent.key("working")) == 0


def test_the_sandbox_is_away(stack_factory):
    """It is said to who asks for a sync, and tried again for the others."""
    stack = stack_factory(workers=1, sandbox=True, conf=OFTEN, templates=PROFILE)
    s = Session(stack)
    s.put("a", "text")
    s.settled()
    stack.sandbox.stop(9)
    s.redis.zadd("af:unsynced", {s.agent.key("")[:-1]: 1})
    got = s.front.post(f"{s.path}/sync")
    assert got.status == 500 and got.json == {"error": "Failed to sync session", "code": "SESSION_SYNC_FAILED"}
    wait_for(lambda: "are not saved yet" in stack.log(), 10)
    assert s.redis.zcard("af:unsynced") == 1 and s.saved() == {"a": b"text"}
    stack.sandbox.start()
    s.settled()


def test_retention_is_a_change(stack_factory):
    """What goes from the workspace by its rules goes from what is saved too."""
    stack = stack_factory(workers=1, sandbox=True, conf={**OFTEN, "retention.sweep": "100ms"},
                          templates={"worker": {"retention": {"filesBytes": 150_000}}})
    s = Session(stack)
    s.put("first", "x" * 100_000)
    wait_for(lambda: s.saved().keys() == {"first"}, 10)
    s.settled()
    s.put("second", "y" * 100_000)
    wait_for(lambda: s.saved().keys() == {"second"}, 10, lambda: s.saved().keys())
    assert sorted(s.settled()) == [("created", "first"), ("created", "second"), ("deleted", "first")]


# ---- put back ----

def lose(stack):
    """The sandbox is killed, and its disk is another one when it comes back."""
    stack.sandbox.stop(9)
    shutil.rmtree(stack.sandbox.workspaces)
    stack.sandbox.start()


@pytest.fixture(params=["unix", "http"])
def saved(request, stack_factory):
    """A session whose files are saved, and a sandbox that has them no more."""
    stack = stack_factory(workers=2, sandbox=request.param, conf=NEVER, scenarios=SCENARIOS, templates=PROFILE)
    s = Session(stack)
    s.put("f", "one")
    s.put("d/e/empty", "")
    s.put("bin", bytes(range(256)) * 100)
    os.chmod(os.path.join(stack.sandbox.files(s.agent.id), "d/e/empty"), 0o755)
    s.sync()
    s.put("late", "not saved")
    lose(stack)
    return s


def test_put_back_for_the_site(saved):
    """All of it before the first file is read, with its modes; no event says that anything changed, but of what was lost."""
    assert saved.stack.sandbox.files(saved.agent.id) is None
    got = saved.front.user.get(f"{saved.agent.path}/files").json["files"]
    assert sorted(f["path"] for f in got if f["type"] == "file") == ["bin", "d/e/empty", "f"]
    assert saved.get("f") == b"one" and saved.get("bin") == bytes(range(256)) * 100
    assert os.stat(os.path.join(saved.stack.sandbox.files(saved.agent.id), "d/e/empty")).st_mode & 0o777 == 0o755
    before = list(saved.hear())
    saved.sync()
    saved.sync()
    assert saved.hear() == before and saved.saved() == {"f": b"one", "d/e/empty": b"", "bin": bytes(range(256)) * 100}
    assert "3 saved files of" in saved.stack.log()


def test_put_back_for_a_tool(saved):
    """Before the first call of a turn; and never a second time: what was deleted meanwhile stays so."""
    saved.say("edit")
    assert saved.get("f") == b"two" and saved.get("bin") is not None
    assert saved.front.user.http("DELETE", f"{saved.agent.path}/files/bin").status == 204
    saved.say("write g text")
    assert saved.get("bin") is None and saved.get("g") == b"text"
    assert saved.stack.log().count("saved files of") == 1


def test_put_back_by_many_at_once(saved):
    """Requests of both workers, and a turn: once, and each sees all."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(saved.get("f"))) for _ in range(8)]
    for t in threads:
        t.start()
    saved.front.say(saved.id, "write g text")
    for t in threads:
        t.join()
    saved.agent.wait_idle()
    assert results == [b"one"] * 8 and saved.get("g") == b"text" and saved.get("d/e/empty") == b""


def test_put_back_for_a_sub_agent_and_a_fork(saved):
    """A sub-agent works in the session's; a fork gets a copy."""
    fork = Agent(saved.front.user, saved.front.user.post(f"{saved.agent.path}/fork", {}).json["agentId"])
    got = saved.front.user.get(f"{fork.path}/files/f")
    assert got.status == 200 and got.body == b"one"
    lose(saved.stack)
    saved.say("delegate")
    assert saved.get("inner.txt") == b"text" and saved.get("f") == b"one"


def test_a_look_or_an_end_puts_nothing_back(saved):
    """Listing, syncing, unloading and deleting need no files."""
    saved.sync()
    assert saved.saved().keys() == {"f", "d/e/empty", "bin"}
    assert saved.front.post(f"{saved.path}/environment/terminate").status == 200
    assert saved.front.user.get(f"{saved.agent.path}?storage").json["storage"]["workspaceBytes"] == 0
    assert saved.front.delete(saved.path).status == 200
    assert saved.stack.sandbox.files(saved.agent.id) is None and len(saved.saved()) == 3
    assert saved.front.delete(f"/sessions/{saved.id}").status == 200
    assert list(saved.redis.scan_iter(f"af:{{{saved.agent.id[4:10]}}}:*")) == []


def test_what_cannot_be_put_back(saved):
    """A clear error, and no half of a workspace: later it is tried again."""
    blob = f"af:{{{saved.agent.id[4:10]}}}:blob:{hashlib.sha256(b'one').hexdigest()}"
    saved.redis.rename(blob, "elsewhere")
    got = saved.front.user.get(f"{saved.agent.path}/files/bin")
    assert got.status == 503 and "the saved files are not put back" in got.json["detail"], got
    saved.say("write g text")
    result = [b for m in saved.agent.history() for b in m["content"] if b["type"] == "tool_result"][-1]
    assert result["is_error"] and "the saved files are not put back" in result["content"]
    assert saved.stack.sandbox.files(saved.agent.id) is None
    saved.redis.rename("elsewhere", blob)
    assert saved.get("bin") is not None and saved.get("f") == b"one" and saved.get("g") is None


def test_taken_along(saved, tmp_path):
    """An export puts them back too; where they are taken in they are saved anew."""
    def ctl(*words):
        subprocess.run([BINARY, "-c", saved.stack.path("agent-fpm.conf"), "ctl", *words], check=True, capture_output=True, timeout=scaled(30))
    ctl("export", saved.front.user.name, str(tmp_path / "out"))
    ctl("delete-user", saved.front.user.name)
    assert [k for k in saved.redis.scan_iter("af:{*") if not k.startswith(b"af:{limits}")] == []
    lose(saved.stack)  # as it makes no workspace again that was deleted
    ctl("import", str(tmp_path / "out"))
    assert saved.get("f") == b"one" and saved.saved() == {}
    assert saved.redis.zcard("af:unsynced") == 1


def test_another_host(stack_factory):
    """Its own sandbox, the same Redis: it goes on with what was saved when the first host was lost; no more than the interval is missing."""
    first = stack_factory(workers=2, sandbox=True, conf={**OFTEN, "store.lease": "1s", "store.sweep": "200ms"}, scenarios=SCENARIOS, templates=PROFILE)
    other = stack_factory(workers=2, sandbox=True, start=False, scenarios=SCENARIOS, templates=PROFILE, conf={
        **OFTEN, "store.lease": "1s", "store.sweep": "200ms", "store.address": first.conf["store.address"], "jwt.secret_file": first.conf["jwt.secret_file"]})
    s = Session(first)
    s.say("write f one and more")
    wait_for(lambda: s.saved() == {"f": b"one and more"}, 10, s.saved)
    s.settled()
    other.start_all()
    first.sandbox.stop(9)
    shutil.rmtree(first.sandbox.workspaces)
    first.stop_pool(signal.SIGKILL)
    s.front.stack = s.front.user.stack = s.agent.stack = other
    s.say("edit")
    assert s.get("f") == b"two and more"
    wait_for(lambda: s.saved() == {"f": b"two and more"}, 10, s.saved)


# ---- that it is made with, and that it shows ----

FILES = [{"path": "README.md", "content": "# Hello \u00e9\n"}, {"path": "src/a/main.c", "content": "int x;"}, {"path": "empty"}]
CONTENTS = {"README.md": "# Hello \u00e9\n".encode(), "src/a/main.c": b"int x;", "empty": b""}


def shown(s):
    got = s.front.get(s.path)
    assert got.status == 200, got
    return {f["path"]: f.get("content") for f in got.json["workspaceFiles"]}


@pytest.mark.parametrize("conf", [NEVER, {"bridge.sync_interval": "0"}], ids=["saved", "never"])
def test_made_with_files(stack_factory, conf):
    """They are there from the first, whoever wants them first; nobody is told that they came."""
    stack = stack_factory(workers=2, sandbox=True, conf=conf, scenarios=SCENARIOS, templates=PROFILE)
    s = Session(stack, defaultWorkspaceFiles=FILES)
    assert s.saved() == CONTENTS and stack.sandbox.files(s.agent.id) is None
    assert shown(s) == {p: c.decode() for p, c in CONTENTS.items()} and stack.sandbox.files(s.agent.id) is None
    s.say("write f one")
    assert s.get("README.md") == CONTENTS["README.md"] and s.get("src/a/main.c") == b"int x;" and s.get("empty") == b"" and s.get("f") == b"one"
    s.sync()
    s.sync()
    assert s.hear() == []
    s.put("README.md", "other")
    s.sync()
    if conf is NEVER:
        assert s.hear() == [("modified", "README.md")] and s.saved() == {**CONTENTS, "README.md": b"other", "f": b"one"}


def test_shown_without_a_workspace(stack_factory):
    """What is saved: of an unloaded session whose sandbox was lost, or is away; what is no text has no content."""
    stack = stack_factory(workers=1, sandbox=True, conf=NEVER, scenarios=SCENARIOS, templates=PROFILE)
    s = Session(stack)
    s.put("d/f", "text")
    s.put("bin", b"\0\xff")
    assert shown(s) == {"d/f": "text", "bin": None}
    assert s.front.delete(s.path).status == 200
    stack.sandbox.stop(9)
    assert shown(s) == {"d/f": "text", "bin": None}
    shutil.rmtree(stack.sandbox.workspaces)
    stack.sandbox.start()
    assert shown(s) == {"d/f": "text", "bin": None} and stack.sandbox.files(s.agent.id) is None
    assert s.get("d/f") == b"text"
    s.put("new", "x")
    assert shown(s) == {"d/f": "text", "bin": None, "new": "x"}


def test_a_repeated_create_has_them_once(often):
    front, key = FrontEnd(often), {"Idempotency-Key": "k1"}
    body = {"agentProfileRef": "worker", "architecture": "opencode", "defaultWorkspaceFiles": FILES}
    made = [front.post("/api/sessions", body, headers=key) for _ in range(2)]
    assert made[0].status == made[1].status == 201 and made[0].json == made[1].json
    files = front.get(f"/api/sessions/{made[0].json['sessionId']}").json["workspaceFiles"]
    assert sorted(f["path"] for f in files) == sorted(CONTENTS)


@pytest.mark.parametrize("files, issues", [
    ("x", [{"code": "invalid_type", "expected": "array", "received": "string", "path": ["defaultWorkspaceFiles"], "message": "Expected array, received string"}]),
    (None, [{"code": "invalid_type", "expected": "array", "received": "null", "path": ["defaultWorkspaceFiles"], "message": "Expected array, received null"}]),
    (["x", {"path": 1, "content": 2}, {}], [
        {"code": "invalid_type", "expected": "object", "received": "string", "path": ["defaultWorkspaceFiles", 0], "message": "Expected object, received string"},
        {"code": "invalid_type", "expected": "string", "received": "number", "path": ["defaultWorkspaceFiles", 1, "path"],
         "message": "Expected string, received number"},
        {"code": "invalid_type", "expected": "string", "received": "number", "path": ["defaultWorkspaceFiles", 1, "content"],
         "message": "Expected string, received number"},
        {"code": "invalid_type", "expected": "string", "received": "undefined", "path": ["defaultWorkspaceFiles", 2, "path"], "message": "Required"}])])
def test_files_of_another_form(often, files, issues):
    front = FrontEnd(often)
    got = front.post("/api/sessions", {"agentProfileRef": "worker", "architecture": "opencode", "defaultWorkspaceFiles": files})
    assert got.status == 400 and got.json == {"success": False, "error": {"issues": issues, "name": "ZodError"}}
    assert front.sessions() == []


@pytest.mark.parametrize("paths", [[""], ["/etc/passwd"], ["a/../b"], ["./a"], ["a//b"], ["a/"], [".."], ["x" * 256], ["x/" * 600 + "x"], ["a", "a"],
                                   ["a", "a-", "a/b"], ["a/b/c", "a/b"]])
def test_paths_that_cannot_be(often, paths):
    front = FrontEnd(often)
    got = front.post("/api/sessions", {"agentProfileRef": "worker", "architecture": "opencode",
                                       "defaultWorkspaceFiles": [{"path": p, "content": "x"} for p in paths]})
    assert got.status == 400 and got.json["code"] == "INVALID" and "defaultWorkspaceFiles: " in got.json["error"], got
    assert front.sessions() == []


def test_too_many_files_or_too_large(stack_factory):
    conf = {**NEVER, "bridge.sync_files": "3", "bridge.sync_file_size": "1k", "bridge.sync_size": "2k"}
    stack = stack_factory(workers=1, sandbox=True, conf=conf, templates=PROFILE)
    front = FrontEnd(stack)
    for sizes, setting in (([1] * 4, "sync_files"), ([1025], "sync_file_size"), ([1000] * 3, "sync_size")):
        got = front.post("/api/sessions", {"agentProfileRef": "worker", "architecture": "opencode",
                                           "defaultWorkspaceFiles": [{"path": f"f{i}", "content": "x" * n} for i, n in enumerate(sizes)]})
        assert got.status == 400 and got.json["code"] == "TOO_LARGE" and got.json["error"].endswith(f"bridge.{setting}"), got
    assert front.sessions() == []
    front = FrontEnd(stack_factory(workers=1))
    got = front.post("/api/sessions", {"agentProfileRef": "default", "architecture": "opencode", "defaultWorkspaceFiles": FILES})
    assert got.status == 400 and "no files" in got.json["error"]
    front.session(defaultWorkspaceFiles=[])
