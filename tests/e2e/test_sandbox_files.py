# SPDX-License-Identifier: MIT
"""agent-fpm-sandbox: files of a workspace, by its protocol."""

import ctypes
import os
import re
import subprocess
import threading
import time

import pytest

from sandbox import Client, Failed, Sandbox
from stack import wait_for


@pytest.fixture(scope="module", params=["unix", "http"])
def sandbox(request, tmp_path_factory):
    """Every operation is the same by both ways."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), {"sandbox.quota": "1m", "sandbox.max_files": "60", "sandbox.max_file": "256k"},
                      by=request.param).start()
    yield sandbox
    assert sandbox.close() == 0
    assert "ERROR" not in sandbox.log() and "runtime error" not in sandbox.log()


class Box:
    """Calls for an agent of its own."""

    count = 0

    def __init__(self, sandbox, user="alice"):
        Box.count += 1
        self.sandbox, self.user, self.agent = sandbox, user, f"agt_{Box.count}"
        self.client = sandbox.client()

    def __call__(self, op, data=b"", **members):
        data = data.encode() if isinstance(data, str) else data
        return self.client.call(op, user=self.user, agent=self.agent, data=data, **members)

    def fails(self, code, op, text="", **members):
        with pytest.raises(Failed) as e:
            self(op, **members)
        assert e.value.code == code and text in e.value.error, e.value
        return e.value

    def write(self, path, text):
        return self("fs.write", text, path=path)

    def read(self, path, **members):
        return self("fs.read", path=path, **members)["content"]

    def edit(self, path, find, replace, **members):
        return self("fs.edit", edits=[{"path": path, "find": find, "replace": replace, **members}])["results"][0]

    @property
    def files(self):
        return self.sandbox.files(self.agent)


@pytest.fixture
def box(sandbox):
    box = Box(sandbox)
    yield box
    box.client.close()


def test_write_and_read(box):
    made = box.write("notes/today.txt", "one\ntwo\nthree\n")
    assert made["created"] is True and (made["bytes"], made["lines"]) == (14, 3)
    got = box("fs.read", path="notes/today.txt")
    assert got["content"] == "one\ntwo\nthree\n" and got["totalLines"] == 3 and got["truncated"] is False
    got = box("fs.read", path="/workspace/notes/./today.txt", offset=2, limit=1)
    assert got["content"] == "two\n" and got["truncated"] is True and (got["offset"], got["limit"]) == (2, 1)
    assert got["path"] == "notes/today.txt"
    assert box.write("notes/today.txt", "")["created"] is False
    assert box.read("notes/today.txt") == ""
    assert sorted(os.listdir(os.path.join(box.files, "notes"))) == ["today.txt"], "no temporary file stays"


def test_directories_are_closed(box):
    box.write("a", "x")
    for path in (box.files, os.path.dirname(box.files), os.path.dirname(os.path.dirname(box.files)), box.sandbox.workspaces):
        assert os.stat(path).st_mode & 0o077 == 0, path
    assert "alice" not in box.files, "the user's name is in no path"


@pytest.mark.parametrize("path", [
    "../x", "a/../../x", "/etc/passwd", "/workspace/../etc/passwd", "/workspacex/a", "", "/", "a/" * 3000, "n" * 300, "a/../..",
])
@pytest.mark.parametrize("op", ["fs.read", "fs.write", "fs.get", "fs.put", "fs.delete", "fs.list", "fs.glob", "fs.grep", "fs.edit"])
def test_paths_that_lead_outside(box, op, path):
    box.write("a/here", "x")
    if op == "fs.edit":
        assert box.edit(path, "x", "y")["status"] == "error"
        return
    if op == "fs.glob":
        if path:
            box.fails("invalid" if len(path) != 300 else "invalid", op, pattern="*", cwd=path)
        return
    if op in ("fs.list", "fs.grep") and path == "":
        return
    members = {"pattern": "x"} if op == "fs.grep" else {}
    box.fails("invalid", op, path=path, **members)


def test_odd_names(box):
    """Names are bytes, and what looks like an escape but is none is a name."""
    for name in ("..foo", "...", "a\nb", "-rf", "~", "$HOME", "ü ö", "a\\b", "{x}"):
        box.write(f"odd/{name}", name)
        assert box.read(f"odd/{name}") == name
    assert box("fs.glob", pattern="odd/*", dot=True)["count"] == 9


def test_symlinks_are_not_followed(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    box.write("dir/file", "mine")
    os.symlink(secret, os.path.join(box.files, "link"))
    os.symlink(tmp_path, os.path.join(box.files, "linkdir"))
    os.symlink("dir", os.path.join(box.files, "inner"))
    for path in ("link", "linkdir/secret", "inner/file"):
        assert "symbolic" in box.fails("invalid", "fs.read", path=path).error
        assert "symbolic" in box.fails("invalid", "fs.get", path=path).error
    box.fails("invalid", "fs.write", path="linkdir/new")
    box.fails("invalid", "fs.write", path="link")
    assert box("fs.grep", pattern="secret", path=".")["matches"] == []
    assert [f["type"] for f in box("fs.list")["files"] if f["path"].startswith("link")] == ["symlink"] * 2
    box("fs.delete", path="linkdir")
    assert secret.read_text() == "top secret" and not os.path.exists(tmp_path / "new")


def test_special_files_do_not_hang(box):
    box.write("x", "x")
    os.mkfifo(os.path.join(box.files, "fifo"))
    begin = time.monotonic()
    box.fails("invalid", "fs.read", "no regular file", path="fifo")
    box.fails("invalid", "fs.write", "no regular file", path="fifo")
    box.fails("invalid", "fs.get", path="fifo")
    assert box("fs.grep", pattern="x", path=".")["matches"][0]["path"] == "x"
    assert time.monotonic() - begin < 5


def test_swapped_directories(box, tmp_path):
    """Somebody swaps a directory for a symlink while files below it are read and written: 10,000 times, and never outside."""
    (tmp_path / "f").write_text("outside")
    box.write("d/f", "inside")
    root = box.files
    os.symlink(tmp_path, os.path.join(root, "evil"))
    stop = threading.Event()

    def swap():
        libc, here, exchange = ctypes.CDLL(None, use_errno=True), -100, 2
        a, b = (os.path.join(root, name).encode() for name in ("d", "evil"))
        while not stop.is_set():
            assert libc.renameat2(here, a, here, b, exchange) == 0

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = {"inside": 0, "refused": 0}
        for _ in range(5000):
            ids = [box.client.send("fs.get", user=box.user, agent=box.agent, path="d/f"),
                   box.client.send("fs.put", user=box.user, agent=box.agent, data=b"inside", path="d/g")]
            for n, i in enumerate(ids):
                try:
                    answer = box.client.answer(i)
                    if n == 0:
                        assert answer["data"] == b"inside"
                    seen["inside"] += 1
                except Failed as e:
                    assert e.code in ("invalid", "not_found"), e
                    seen["refused"] += 1
    finally:
        stop.set()
        thread.join()
    assert seen["inside"] > 0 and seen["refused"] > 0, seen
    assert os.listdir(tmp_path) == ["f"] and (tmp_path / "f").read_text() == "outside"


def test_text_and_binary(box):
    box.write("bin", b"ab\0cd")
    box.write("latin", "grün".encode("latin-1"))
    assert "binary file of 5 bytes" in box.fails("invalid", "fs.read", path="bin").error
    box.fails("invalid", "fs.read", path="latin")
    assert box("fs.get", path="bin")["data"] == b"ab\0cd" and box("fs.get", path="bin")["text"] is False
    assert box.edit("bin", "ab", "x")["status"] == "error"
    box.fails("invalid", "fs.read", "is a directory", path=".")
    box.fails("not_found", "fs.read", "no such file", path="nothing")


def test_sizes(box):
    long = "".join(f"line {i}\n" for i in range(30000))[:250000]
    box.write("long", long)
    got = box("fs.read", path="long")
    assert got["limit"] == 2000 and got["truncated"] is True and got["totalLines"] == long.count("\n") + 1
    assert len(box.read("long", limit=10**9)) == len(long)
    box.write("wide", "ü" * 130000 + "\n")
    got = box("fs.read", path="wide")
    assert got["truncated"] is False or len(got["content"].encode()) <= 256 * 1024
    assert box.fails("too_large", "fs.write", path="big", data="x" * 300000).answer["limit"] == "sandbox.max_file"
    with open(os.path.join(box.files, "big"), "wb") as f:
        f.truncate(1 << 40)
    assert "1099511627776 bytes" in box.fails("too_large", "fs.read", path="big").error
    assert box("fs.get", path="big", **{"from": 5, "to": 9})["data"] == b"\0" * 4


def test_edit(box):
    box.write("f", "a b a\n")
    assert box.edit("f", "x", "y")["message"] == "old_string not found in file"
    assert "appears 2 times" in box.edit("f", "a", "y")["message"]
    assert box.edit("f", "b", "$& $$ $' \\1")["replacements"] == 1
    assert box.read("f") == "a $& $$ $' \\1 a\n", "the text is literal"
    assert box.edit("f", "a", "aa", replace_all=True)["replacements"] == 2
    assert box.read("f") == "aa $& $$ $' \\1 aa\n"
    assert box.edit("f", "", "y")["status"] == "error" and box.edit("f", "aa", "aa", replace_all=True)["status"] == "error"
    results = box("fs.edit", edits=[{"path": "f", "find": "$$", "replace": "x"}, {"path": "no", "find": "a", "replace": "b"},
                                    {"path": "f", "find": "x", "replace": "y"}])["results"]
    assert [r["status"] for r in results] == ["ok", "error", "ok"] and box.read("f") == "aa $& y $' \\1 aa\n"
    box.fails("invalid", "fs.edit", edits=[])


def test_freshness(box):
    """What somebody else changed is not overwritten; the agent's own edits are no conflicts."""
    box.write("f", "one")
    box.write("f", "two")
    assert box.edit("f", "two", "three")["status"] == "ok"
    box("fs.put", "changed", path="f")
    assert "changed externally" in box.fails("conflict", "fs.write", path="f", data="x").error
    assert box.edit("f", "changed", "x")["status"] == "skipped"
    assert box.read("f") == "changed"
    assert box.edit("f", "changed", "mine")["status"] == "ok"
    box("fs.put", "never seen", path="g")
    assert box.write("g", "mine")["created"] is False, "what was never read is no conflict"


def test_freshness_survives_a_restart(tmp_path):
    sandbox = Sandbox(tmp_path).start()
    box = Box(sandbox)
    box.write("f\nx", "one")
    box("fs.put", "changed", path="f\nx")
    sandbox.stop()
    sandbox.start()
    box.client = sandbox.client()
    box.fails("conflict", "fs.write", path="f\nx", data="x")
    assert box.read("f\nx") == "changed"
    box.write("f\nx", "y")
    assert sandbox.stop() == 0


def test_quota(box):
    for i in range(4):
        box.write(f"f{i}", b"x" * 250000)
    assert box.fails("quota", "fs.write", path="f4", data=b"x" * 250000).answer["limit"] == "sandbox.quota"
    box.write("f0", b"")
    box.write("f4", b"x" * 250000)
    used = box("ws.usage")
    assert 1000000 < used["bytes"] < 1 << 20 and used["files"] == 5
    for i in range(55):
        box.write(f"many{i}", "")
    assert box.fails("quota", "fs.write", path="more", data="x").answer["limit"] == "sandbox.max_files"
    box("fs.delete", path="many1")
    box.write("more", "x")
    box.write("f0", "still as large")


def test_glob(box):
    for path in ("a.c", "src/b.c", "src/deep/c.c", "src/x.h", ".hidden/y.c", "node_modules/z.c"):
        box.write(path, "x")
    glob = lambda pattern, **m: box("fs.glob", pattern=pattern, **m)["matches"]
    assert glob("*.c") == ["a.c"]
    assert glob("**/*.c") == ["a.c", "node_modules/z.c", "src/b.c", "src/deep/c.c"]
    assert glob("src/**") == ["src/b.c", "src/deep/c.c", "src/x.h"]
    assert glob("src/*.{c,h}") == ["src/b.c", "src/x.h"]
    assert glob("[ab].c") == ["a.c"] and glob("?.c") == ["a.c"]
    assert glob("*.c", cwd="src") == ["src/b.c"]
    assert ".hidden/y.c" in glob("**/*.c", dot=True)
    got = box("fs.glob", pattern="**", limit=2)
    assert got["count"] == 2 and got["truncated"] is True
    box.fails("invalid", "fs.glob", pattern="")
    box.fails("invalid", "fs.glob", pattern="{a,b}" * 8)
    box.fails("not_found", "fs.glob", pattern="*", cwd="nowhere")
    box.write(".gitignore", "# these\n*.h\n/node_modules/\ndeep/\n!x.h\n")
    box.write("src/.gitignore", "/b.c\n")
    box.write("b.c", "x")
    assert glob("**/*", gitignore=True) == ["a.c", "b.c", "src/x.h"]


def test_grep(box):
    box.write("a.txt", "one\ntwo fish\nred FISH fish\n")
    box.write("d/b.txt", "no\nfish ünd fish")
    box.write("bin", b"fish\0")
    grep = lambda pattern, path=".", **m: [(x["path"], x["line"], x["column"]) for x in box("fs.grep", pattern=pattern, path=path, **m)["matches"]]
    assert sorted(grep("fish")) == [("a.txt", 2, 5), ("a.txt", 3, 10), ("d/b.txt", 2, 1)]
    assert sorted(grep("FISH", case_sensitive=False)) == [("a.txt", 2, 5), ("a.txt", 3, 5), ("d/b.txt", 2, 1)]
    assert grep("fish", "a.txt") == [("a.txt", 2, 5), ("a.txt", 3, 10)]
    assert grep("fish", "d/*.txt") == [("d/b.txt", 2, 1)] and grep("fish", "d") == [("d/b.txt", 2, 1)]
    assert grep("^t.o", regex=True) == [("a.txt", 2, 1)] and grep("nd fish$", regex=True) == [("d/b.txt", 2, 7)]
    assert grep("a.*", regex=False) == []
    assert box("fs.grep", pattern="fish", path=".", max_results=1)["truncated"] is True
    box.write("long", "x" * 5000 + "needle")
    assert len(box("fs.grep", pattern="needle", path="long")["matches"][0]["preview"]) == 200
    assert "wrong at" in box.fails("invalid", "fs.grep", pattern="(", path=".", regex=True).error
    box.fails("not_found", "fs.grep", pattern="x", path="nowhere")


def test_grep_is_bounded(box):
    """W-ReDoS: no pattern keeps a thread."""
    box.write("evil", "a" * 5000 + "!")
    begin = time.monotonic()
    for pattern in ("(a+)+$", "(a|aa)+$", "(.*)*x", "(?:a*)*b"):
        box("fs.grep", pattern=pattern, path="evil", regex=True)
    assert time.monotonic() - begin < 10


def test_get_put_delete(box):
    etag = box("fs.put", "hello", path="up/load.txt")["etag"]
    got = box("fs.get", path="up/load.txt")
    assert got["data"] == b"hello" and got["size"] == 5 and got["etag"] == etag and got["text"] is True
    assert box("fs.get", path="up/load.txt", **{"from": 1, "to": 3})["data"] == b"el"
    box.fails("precondition", "fs.put", path="up/load.txt", data="x", create=True)
    box.fails("precondition", "fs.put", path="up/load.txt", data="x", match="other")
    box.fails("precondition", "fs.put", path="new", data="x", match="*")
    assert box("fs.put", "x", path="up/load.txt", match=etag)["etag"] != etag
    listed = box("fs.list")["files"]
    assert sorted((f["path"], f["type"]) for f in listed) == [("up", "directory"), ("up/load.txt", "file")]
    assert [f["path"] for f in box("fs.list", depth=1)["files"]] == ["up"] and box("fs.list", path="up")["files"][0]["path"] == "up/load.txt"
    box("fs.delete", path="up")
    box.fails("not_found", "fs.delete", path="up")
    box.fails("invalid", "fs.delete", path=".")
    assert box("fs.list")["files"] == []


def test_not_made_by_a_look(sandbox):
    box = Box(sandbox)
    for op, members in (("fs.list", {}), ("fs.get", {"path": "x"}), ("ws.usage", {}), ("ws.trim", {"max_bytes": 1}), ("ws.scan", {}), ("fs.delete", {"path": "x"})):
        box.fails("not_found", op, **members)
    assert box.files is None


def test_copy_and_delete_a_workspace(box):
    box.write("a/b", "text")
    os.symlink("b", os.path.join(box.files, "a", "link"))
    os.chmod(os.path.join(box.files, "a", "b"), 0o755)
    with open(os.path.join(box.files, "sparse"), "wb") as f:
        f.truncate(10 << 20)
    other = Box(box.sandbox)
    box("ws.copy", to=other.agent)
    assert other.read("a/b") == "text" and os.stat(os.path.join(other.files, "a", "b")).st_mode & 0o777 == 0o755
    assert os.readlink(os.path.join(other.files, "a", "link")) == "b"
    assert os.stat(os.path.join(other.files, "sparse")).st_blocks < 1000
    other.write("a/b", "theirs")
    assert box.read("a/b") == "text"
    box("ws.delete")
    assert box.files is None and other.read("a/b") == "theirs"
    box("ws.delete")
    box("ws.copy", to="agt_nothing")
    assert box.sandbox.files("agt_nothing") is None


def test_delete_all(sandbox):
    """All of a user's, of whichever agents, and nothing of another's; none is made again, but others are."""
    mine, other = [Box(sandbox, "eve") for _ in range(3)], Box(sandbox, "eve2")
    for b in (*mine, other):
        b.write("d/x", "text")
    home = os.path.dirname(os.path.dirname(mine[0].files))
    with open(os.path.join(home, "Other"), "w", encoding="utf-8"):
        pass
    mine[0].fails("invalid", "ws.delete_all", "among the user's workspaces")
    os.unlink(os.path.join(home, "Other"))
    for _ in range(2):
        mine[0].client.call("ws.delete_all", user="eve", agent="")
        assert not os.path.exists(home) and other.read("d/x") == "text"
    assert mine[1].fails("not_found", "fs.write", "was deleted", path="x")
    new = Box(sandbox, "eve")
    new.write("x", "x")
    new("ws.delete_all")
    assert new.files is None
    for user in (None, ""):
        with pytest.raises(Failed) as e:
            new.client.call("ws.delete_all", user=user, agent="")
        assert e.value.code == "invalid"


def test_trim_by_size(box):
    """The oldest go, by when they came: an archive's times of long ago mean nothing. Directories that are empty then go too."""
    for i, name in enumerate(("old/deep/a", "old/b", "c", "d")):
        box.write(name, b"x" * 100_000)
        os.utime(os.path.join(box.files, name), (i, 10_000 - i))
        wait_for(lambda: time.time_ns() // 1_000_000 > os.stat(os.path.join(box.files, name)).st_ctime_ns // 1_000_000 + 10)
    os.symlink("/etc/passwd", os.path.join(box.files, "link"))
    assert box("ws.trim", max_bytes=1 << 20)["files"] == 0
    got = box("ws.trim", max_bytes=250_000)
    assert got["files"] == 2 and got["bytes"] >= 200_000
    assert sorted(os.listdir(box.files)) == ["c", "d", "link"] and box.read("c")
    assert box("ws.usage")["bytes"] <= 250_000
    box("ws.trim", max_bytes=1)
    assert os.listdir(box.files) == ["link"] and os.path.exists("/etc/passwd")
    box.write("old/b", "again")


def test_trim_by_age(box):
    box.write("old", "x")
    os.utime(os.path.join(box.files, "old"))
    assert box("ws.trim", age_ms=3_600_000)["files"] == 0

    def gone():
        box.write("young", "x")
        return box("ws.trim", age_ms=500)["files"] == 1
    wait_for(gone, 10, "it stays")
    assert os.listdir(box.files) == ["young"]
    for members in ({"age_ms": -1}, {"max_bytes": "x"}):
        box.fails("invalid", "ws.trim", **members)


def test_scan(box):
    """All regular files in the order of their paths, with what says that one is another version; parts of them; and it is no use of the workspace."""
    for name in ("b/x", "a", "b-", "c/d/é", "run"):
        box.write(name, name)
    os.chmod(os.path.join(box.files, "run"), 0o755)
    os.symlink("a", os.path.join(box.files, "link"))
    os.mkfifo(os.path.join(box.files, "fifo"))
    with open(os.path.join(box.files.encode(), b"\xff"), "wb"):
        pass
    folder = os.path.dirname(box.files)
    os.utime(folder, (1, 1))
    got = box("ws.scan")
    assert [f["path"] for f in got["files"]] == ["a", "b-", "b/x", "c/d/é", "run"] and "next" not in got
    assert (got["others"], got["running"]) == (3, False)
    assert got["files"][0]["size"] == 1 and got["files"][4]["mode"] == 0o755 and got["files"][0]["mode"] & 0o600 == 0o600
    assert [f["etag"] for f in got["files"]] == [box("fs.get", path=f["path"])["etag"] for f in got["files"]]
    os.utime(folder, (1, 1))
    parts, after = [], {}
    while after is not None:
        part = box("ws.scan", limit=2, **after)
        parts.append([f["path"] for f in part["files"]])
        after = {"after": part["next"]} if "next" in part else None
    assert parts == [["a", "b-"], ["b/x", "c/d/é"], ["run"]] and os.stat(folder).st_mtime == 1
    box.write("a", "A")
    again = {f["path"]: f["etag"] for f in box("ws.scan")["files"]}
    assert [f["path"] for f in got["files"] if again[f["path"]] != f["etag"]] == ["a"]
    for members in ({"limit": 0}, {"limit": 10001}, {"limit": "x"}):
        box.fails("invalid", "ws.scan", **members)


def restore(box, files, **members):
    return box("ws.restore", b"".join(content for _, _, content in files),
               files=[{"path": path, "size": len(content), "mode": mode} for path, mode, content in files], **members)


def test_restore(sandbox):
    """Whole, and never in the place of what is there; what an attempt before has left is gone."""
    box = Box(sandbox)
    box.fails("not_found", "fs.put", data=b"x", path="x", there=True)
    assert box.files is None
    with pytest.raises(Failed) as e:
        box("fs.list", there=True)
    assert e.value.answer["missing"] is True
    for bad in ([("a", 0o644, b"x"), ("../b", 0o644, b"x")], [("a", 0o644, b"x"), ("a/b", 0o644, b"x")], [("a", 0o644, b"x"), ("a", 0o644, b"y")],
                [(f"f{i}", 0o644, b"") for i in range(70)]):
        with pytest.raises(Failed):
            restore(box, bad)
    box.fails("invalid", "ws.restore", data=b"xy", files=[{"path": "a", "size": 1, "mode": 0}])
    box.fails("invalid", "ws.restore", data=b"x", files=[{"path": "a", "size": 2, "mode": 0}])
    box.fails("invalid", "ws.restore", files={})
    assert box.files is None
    assert restore(box, [("d/a", 0o755, b"one"), ("b", 0o600, b""), ("c", 0, b"\0" * 300_000)])["restored"] is True
    assert box.read("d/a") == "one" and os.stat(os.path.join(box.files, "d/a")).st_mode & 0o777 == 0o755
    assert sorted(f["path"] for f in box("ws.scan")["files"]) == ["b", "c", "d/a"]
    assert restore(box, [("z", 0o644, b"z")])["restored"] is False and box("ws.scan", there=True)["files"][0]["path"] == "b"
    assert sorted(os.listdir(os.path.dirname(box.files))) == ["files", "seen"]
    box("ws.delete")
    with pytest.raises(Failed) as e:
        restore(box, [("z", 0o644, b"z")])
    assert e.value.code == "not_found" and "missing" not in e.value.answer and box.files is None
    box.fails("not_found", "fs.list", there=True)


def test_what_is_hard_to_delete(box):
    """Deep trees, directories without rights."""
    box.write("x", "x")
    path = box.files
    for _ in range(60):
        path = os.path.join(path, "d" * 200)
        fd = os.open(os.path.dirname(path), os.O_RDONLY) if len(path) < 4000 else None
        if fd is None:
            break
        os.mkdir("d" * 200, dir_fd=fd)
        os.close(fd)
    subprocess.run(["sh", "-c", "i=0; while [ $i -lt 400 ]; do mkdir e && cd -P e || exit 1; i=$((i+1)); done"], cwd=box.files, check=True)
    os.makedirs(os.path.join(box.files, "shut", "inner"))
    os.chmod(os.path.join(box.files, "shut"), 0)
    assert "nests deeper" in box.fails("invalid", "ws.usage").error
    box("ws.delete")
    assert box.files is None


@pytest.mark.parametrize("user, agent", [("alice", "../agt"), ("alice", ""), ("alice", "a/b"), ("alice", "x" * 50), ("alice", "agt.a"), (None, "agt_a")])
def test_whose(sandbox, user, agent):
    client = sandbox.client()
    with pytest.raises(Failed) as e:
        client.call("fs.write", user=user, agent=agent, path="x", data=b"x")
    assert e.value.code == "invalid"
    client.close()


def test_users_are_apart(sandbox):
    a, b = Box(sandbox, "alice"), Box(sandbox, "../alice")
    b.agent = a.agent
    a.write("x", "alice's")
    b.fails("not_found", "fs.get", path="x")
    b.write("x", "b's")
    assert a.read("x") == "alice's"


def test_many_at_once(box):
    """Writers of a file do not mix; a slow call holds nobody up."""
    ids = [box.client.send("fs.write", user=box.user, agent=box.agent, path="f", data=b"%d" % i * 1000) for i in range(200)]
    for i in ids:
        box.client.answer(i)
    assert re.fullmatch(r"(\d+?)\1{999}", box.read("f"))


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"\0\0\0\2\0\0\0\0{}", b"\0\0\0\2\0\0\0\0[]", b"\0\0\0\1\0\0\0\0x", b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage(sandbox, garbage):
    client = Client(sandbox.socket)
    client.sock.sendall(garbage)
    assert client.sock.recv(100) == b""
    good = sandbox.client()
    good.call("ping")
    with pytest.raises(Failed):
        good.call("no.such.thing")
    good.close()


def test_strangers(tmp_path):
    """Another user may not connect, whatever the mode of the socket."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    os.chmod(tmp_path, 0o777)
    for parent in tmp_path.parents[:2]:
        os.chmod(parent, 0o755)
    sandbox = Sandbox(tmp_path, user="nobody").start()
    os.chmod(sandbox.socket, 0o666)
    code = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.settimeout(10)\nsys.exit(0 if s.recv(1)==b'' else 1)"
    assert subprocess.run(["/usr/bin/python3", "-c", code, sandbox.socket], user="daemon", timeout=30).returncode == 0
    assert "sandbox.client" in sandbox.log()
    assert sandbox.stop() == 0


@pytest.mark.parametrize("conf, complaint", [
    ({"sandbox.socket": ""}, "sandbox.socket is empty"), ({"sandbox.group": "no-such-group"}, "no group no-such-group"),
    ({"sandbox.client": "no-such-user"}, "no user no-such-user"), ({"sandbox.workspaces": "/proc/nothing"}, "sandbox.workspaces"),
    ({"sandbox.quota": "1"}, "sandbox.quota"),
])
def test_bad_configuration(tmp_path, conf, complaint):
    from sandbox import SANDBOX
    sandbox = Sandbox(tmp_path, conf)
    got = subprocess.run([SANDBOX, "-c", sandbox.conf_file()], capture_output=True, text=True, timeout=30)
    assert got.returncode == 78 and complaint in got.stderr, got


def test_one_at_a_time(sandbox):
    from sandbox import SANDBOX
    got = subprocess.run([SANDBOX, "-c", sandbox.conf_file()], capture_output=True, text=True, timeout=30)
    assert got.returncode == 78 and "another process serves" in got.stderr
    sandbox.client().call("ping")


def test_a_disk_that_is_full(tmp_path):
    """Nothing is lost: the file is as it was, and no temporary file stays."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)], capture_output=True).returncode != 0:
        pytest.skip("no filesystem can be mounted here")
    try:
        sandbox = Sandbox(tmp_path).start()
        box = Box(sandbox)
        box.write("f", "good")
        assert "no space" in box.fails("quota", "fs.write", path="f", data=b"x" * 300000).error
        assert box.read("f") == "good" and os.listdir(box.files) == ["f"]
        assert sandbox.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    wait_for(lambda: not os.path.ismount(tmp_path), 5)
