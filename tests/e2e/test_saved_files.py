# SPDX-License-Identifier: MIT
"""What files.lua keeps of workspaces: each change in one step that compares, blobs that are shared and go with their last file."""

import hashlib
import json
import os

import pytest
from front_end import FrontEnd
from stack import Agent
from waiting import ROOT


class Saved:
    """The script, called for a session's agent as the pool does."""

    def __init__(self, stack):
        self.stack, self.front = stack, FrontEnd(stack)
        self.session = self.front.session()
        self.agent = Agent(self.front.user, self.front.user.get("/api/agents").json["agents"][0]["agentId"])
        self.redis = stack.redis()
        texts = [open(os.path.join(ROOT, "src/store/lua", name), encoding="utf-8").read() for name in ("common.lua", "files.lua")]
        self.script = self.redis.register_script("\n".join(texts))
        self.heard = self.redis.pubsub()
        self.heard.subscribe(f"af:user:{self.front.user.name}:sessions")
        assert self.heard.get_message(timeout=5)["type"] == "subscribe"

    def __call__(self, *args, user=None):
        got = self.script(keys=[self.agent.key("")[:-1], "af:unsynced"], args=[self.front.user.name if user is None else user, *args])
        return got[0].decode() if len(got) == 1 else [got[0].decode(), *got[1:]]

    def save(self, path, old, content, etag, generation=""):
        """What is kept now."""
        new = record(content, etag)
        assert self("save", path, old, new, content, generation, json.dumps(path)) == "OK"
        return new

    def told(self):
        """(change, path) of all that was said."""
        found = []
        while message := self.heard.get_message(ignore_subscribe_messages=True, timeout=0.05):
            doc = json.loads(message["data"])
            assert doc["type"] == "file" and doc["agent"] == self.agent.id
            found.append((doc["change"], doc["path"]))
        return found

    def blobs(self):
        return sorted(k.decode().rpartition(":")[2] for k in self.redis.scan_iter("af:{*}:blob:*") if not k.endswith(b":refs"))

    def generation(self):
        return self("look")[1].decode()


def sha(content):
    return hashlib.sha256(content.encode()).hexdigest()


def record(content, etag):
    return f"{len(content.encode())} 420 {sha(content)} {etag}"


@pytest.fixture
def saved(stack_factory):
    return Saved(stack_factory(workers=1))


def test_blobs_are_counted(saved):
    """One for two files of the same content; it goes with the last of them."""
    a = saved.save("a", "", "same", "e1")
    b = saved.save("b", "", "same", "e2")
    assert saved.blobs() == [sha("same")] and saved.redis.hget(f"{saved.agent.key('')[:-32]}:blob:{sha('same')}:refs", saved.agent.key("")[:-1]) == b"2"
    a = saved.save("a", a, "other", "e3")
    assert saved.blobs() == sorted([sha("same"), sha("other")])
    assert saved("drop", "b", b) == "OK" and saved.blobs() == [sha("other")]
    assert saved("drop", "b", b) == "OK"  # a repetition
    assert saved("drop", "a", b) == "STALE" and saved("save", "a", b, record("x", "e"), "x", "", '"a"') == "STALE"
    assert saved.save("a", "whatever", "other", "e3") == a, "what is so already is a repetition"
    saved.save("a", a, "", "e4")
    assert saved.blobs() == [sha("")]


def test_each_change_is_told_once(saved):
    """Unless it was told already, or somebody touches files meanwhile, or works on them."""
    now = saved.generation()
    a = saved.save("a\"é", "", "x", "e1", now)
    assert saved.told() == [("created", "a\"é")]
    saved.save("a\"é", "", "x", "e1", now)
    a = saved.save("a\"é", a, "x", "e2", now)  # moved to another sandbox: it is the same
    assert saved.told() == []
    a = saved.save("a\"é", a, "y", "e3", now)
    assert saved.told() == [("modified", "a\"é")]
    saved.redis.hset(saved.agent.key("told"), "a\"é", "e4")  # a tool did
    saved.save("a\"é", a, "z", "e4", now)
    assert saved.told() == []
    saved("tell", "large", "e9", now, '"large"')
    assert saved.told() == [("created", "large")]
    for _ in range(2):
        saved("tell", "large", "", now, '"large"')
    assert saved.told() == [("deleted", "large")]
    assert saved("mark", "1") == "OK" and saved.generation() != now
    saved("tell", "late", "e1", now, '"late"')
    assert saved.told() == []
    saved.redis.hset(saved.agent.key("working"), "call_x", 10 ** 14)
    assert saved("look")[2] == 1
    saved.redis.hset(saved.agent.key("working"), "call_x", 1)
    assert saved("look")[2] == 0


def test_who_looks_when(saved):
    """Once, by one; and again if it was touched meanwhile, or the one who took it is gone."""
    due = f"af:{{{saved.agent.id[4:10]}}}:{saved.agent.id}"
    saved("mark", "100")
    saved("mark", "200")
    assert saved.redis.zscore("af:unsynced", due) == 100
    assert saved("take", "99", "300", user="")[1] == 0
    got = saved("take", "100", "300", user="")
    assert got[1] == 1 and got[2].decode() == saved.front.user.name and saved("take", "100", "300", user="")[1] == 0
    now = saved.generation()
    saved("done", now, "3", "1")
    assert saved.redis.zscore("af:unsynced", due) == 300
    saved("mark", "400")
    assert saved("done", now, "0", "")[1] == 3 and saved.redis.zscore("af:unsynced", due) == 300
    saved("done", saved.generation(), "0", "")
    assert saved.redis.zscore("af:unsynced", due) is None


def test_of_nobody_else(saved):
    """Another user's, and an agent that is no session."""
    assert saved("look", user="somebody") == "FORBIDDEN"
    saved.agent = saved.front.user.agent()
    assert saved("look") == "FORBIDDEN" and saved("mark", "1") == "FORBIDDEN" and saved.redis.zcard("af:unsynced") == 0


def test_nothing_is_left(saved):
    """Of one that is deleted, whichever way; a fork has none of it."""
    saved.save("a", "", "x", "e1", saved.generation())
    saved.save("b", "", "x", "e1")
    saved("mark", "1")
    saved.redis.hset(saved.agent.key("working"), "call_x", 1)
    got = saved.front.user.get(f"{saved.agent.path}?storage").json["storage"]
    assert got["savedFiles"] == 2
    fork = saved.front.user.post(f"{saved.agent.path}/fork", {}).json["agentId"]
    assert saved.redis.hget(f"af:{{{fork[4:10]}}}:{fork}:info", "touched") == b"0"
    assert saved.front.delete(f"/sessions/{saved.session}").status == 200
    assert saved.front.user.http("DELETE", f"/api/agents/{fork}").status == 204
    assert [k for k in saved.redis.scan_iter("af:{*") if not k.startswith(b"af:{limits}")] == [] and saved.redis.zcard("af:unsynced") == 0
