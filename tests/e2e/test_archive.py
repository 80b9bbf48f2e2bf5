# SPDX-License-Identifier: MIT
"""Workspaces as tar archives: fs.tar by the sandbox's protocol, and GET files over HTTP."""

import io
import os
import re
import shutil
import socket
import tarfile

import pytest

from conftest import close
from sandbox import Failed, Sandbox
from stack import BINARY, Stack, wait_for
from test_sandbox_files import Box

NAMES = ["plain", "a b", "new\nline", "tab\t%41%", "ünïcödé 日本語", "-rf", "..x", "~", "a\\b", "x" * 255, "ü" * 127, "d/" + "deep/" * 30 + "end", "l" * 200 + "/" + "m" * 200]


@pytest.fixture(scope="module", params=["unix", "http"])
def sandbox(request, tmp_path_factory):
    sandbox = Sandbox(tmp_path_factory.mktemp("archive"), by=request.param).start()
    yield sandbox
    assert sandbox.close() == 0


@pytest.fixture
def box(sandbox):
    box = Box(sandbox)
    yield box
    box.client.close()


def parts(box, **members):
    """All parts of an archive, and what happens between two of them."""
    got, between = [], members.pop("between", lambda: None)
    answer = box("fs.tar", **members)
    while True:
        got.append(answer["data"])
        if "next" not in answer:
            return got
        between()
        answer = box("fs.tar", after=answer["next"], **members)


class Member(tarfile.TarInfo):
    data = None


def unpack(data):
    """{name: member}, with what is in a file as .data."""
    with tarfile.open(fileobj=io.BytesIO(data), tarinfo=Member) as tar:
        members = tar.getmembers()
        for m in members:
            m.data = tar.extractfile(m).read() if m.isreg() else None
    assert len({m.name for m in members}) == len(members), "an entry is there twice"
    return {m.name: m for m in members}


def archive(box, **members):
    return unpack(b"".join(parts(box, **members)))


def test_names_and_contents(box):
    for i, name in enumerate(NAMES):
        box.write(name, f"{i} {name}")
    got = archive(box)
    for i, name in enumerate(NAMES):
        assert got[name].data.decode() == f"{i} {name}", name
    assert {m.name for m in got.values() if m.isreg()} == set(NAMES)
    assert got["d"].isdir() and got["d/deep"].isdir()


def test_what_is_kept(box):
    box.write("run.sh", "x")
    root = box.files
    os.chmod(os.path.join(root, "run.sh"), 0o4755)
    os.utime(os.path.join(root, "run.sh"), (1, 1234567890.5))
    os.mkdir(os.path.join(root, "empty"))
    os.mkfifo(os.path.join(root, "fifo"))
    os.symlink("/etc/passwd", os.path.join(root, "out"))
    os.symlink("t" * 150, os.path.join(root, "long link"))
    os.symlink("ü", os.path.join(root, "link ü"))
    with open(os.fsencode(root) + b"/latin \xff", "w", encoding="ascii") as f:
        f.write("bytes")
    got = archive(box)
    assert got["out"].issym() and got["out"].linkname == "/etc/passwd" and got["out"].size == 0
    assert got["long link"].linkname == "t" * 150 and got["link ü"].linkname == "ü"
    assert got["empty"].isdir() and "fifo" not in got
    assert got["latin \udcff"].data == b"bytes"
    it = got["run.sh"]
    assert (it.mode, it.mtime) == (0o755, 1234567890)
    assert all((m.uid, m.gid, m.uname, m.gname) == (0, 0, "", "") for m in got.values())


def test_other_programs_read_it(box, tmp_path):
    for name in NAMES:
        box.write(name, name)
    if shutil.which("tar") is None:
        pytest.skip("there is no tar")
    import subprocess
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=b"".join(parts(box)), check=True)
    for name in NAMES:
        assert (tmp_path / name).read_text() == name


def test_a_directory(box):
    for name in ("a/b/c", "a/x", "ab", "z"):
        box.write(name, name)
    assert set(archive(box, path="a")) == {"a", "a/b", "a/b/c", "a/x"}
    assert set(archive(box, path="/workspace/a/b/")) == {"a/b", "a/b/c"}
    for path, code in (("nowhere", "not_found"), ("ab", "invalid"), ("../x", "invalid"), ("/etc", "invalid")):
        box.fails(code, "fs.tar", path=path)
    os.symlink("/etc", os.path.join(box.files, "link"))
    box.fails("invalid", "fs.tar", path="link")
    for after in ("", "x", "AAAA", "MSAwIDAgeA", "LTEgMCAwIHg"):
        box.fails("invalid", "fs.tar", "\"after\"", after=after)


def test_nothing_is_there(sandbox, box):
    box.fails("not_found", "fs.tar")
    box.write("x", "x")
    box("fs.delete", path="x")
    assert archive(box) == {}


def test_parts(box):
    """Of about 1 MiB each, cut anywhere: large files, many small ones, exact blocks."""
    sizes = {"big": 5_000_003, "block": 1 << 20, "d/zero": 0, "d/more": 2_500_000, "exact": 512 * 2000}
    for name, size in sizes.items():
        box("fs.put", os.urandom(size), path=name)
    for i in range(2500):
        os.makedirs(os.path.join(box.files, f"many/{i % 7}"), exist_ok=True)
        with open(os.path.join(box.files, f"many/{i % 7}/{i}"), "wb") as f:
            f.write(b"%d" % i * 100)
    got = parts(box)
    assert len(got) > 8 and max(map(len, got)) < 1_200_000
    members = unpack(b"".join(got))
    for name, size in sizes.items():
        with open(os.path.join(box.files, name), "rb") as f:
            assert members[name].data == f.read() and members[name].size == size
    assert sum(n.startswith("many/") and m.isreg() for n, m in members.items()) == 2500


def test_changes_meanwhile(box):
    """What comes and goes between two parts does no harm; a file that changes in its middle ends the archive."""
    box("fs.put", b"a" * 3_000_000, path="b")
    box.write("e", "e")
    box.write("gone/f", "f")
    done = []

    def between():
        if not done:
            box.write("a", "too late")
            box.write("c", "in time")
            box("fs.delete", path="gone")
        done.append(1)

    got = archive(box, between=between)
    assert set(got) == {"b", "c", "e"} and got["b"].data == b"a" * 3_000_000
    for change in (lambda: box("fs.put", b"c" * 4_000_000, path="b"), lambda: box("fs.delete", path="b"),
                   lambda: os.truncate(os.path.join(box.files, "b"), 2_000_000)):
        box("fs.put", b"a" * 3_000_000, path="b")
        with pytest.raises(Failed) as e:
            archive(box, between=change)
        assert e.value.code in ("conflict", "not_found"), e.value
    box.write("f", "nobody is locked out")


def test_a_sparse_file(box):
    box.write("x", "x")
    with open(os.path.join(box.files, "sparse"), "wb") as f:
        f.truncate((8 << 30) + 5)
    answer = box("fs.tar")
    with tarfile.open(fileobj=io.BytesIO(answer["data"])) as tar:
        assert tar.next().size == (8 << 30) + 5 and "next" in answer


# Over HTTP.

@pytest.fixture(scope="module", params=["unix", "http"])
def stack(request):
    stack = Stack(sandbox=request.param, workers=1, conf={"request_threads": "4"})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent()


def put(agent, path, body):
    got = agent.user.http("PUT", f"{agent.path}/files/{path}", body=body)
    assert got.status in (201, 204), got


def get(agent, query="?format=tar", method="GET", **options):
    return agent.user.http(method, f"{agent.path}/files{query}", **options)


def test_download(agent):
    put(agent, "a%20b%0Ac%20%C3%BC", b"hello")
    put(agent, "d/large", bytes(range(256)) * 12000)
    got = get(agent)
    assert got.status == 200 and got.headers["Content-Type"] == "application/x-tar", got
    assert got.headers["Content-Disposition"] == 'attachment; filename="files.tar"' and "X-Accel-Buffering" not in got.headers
    members = unpack(got.body)
    assert set(members) == {"a b\nc ü", "d", "d/large"} and members["d/large"].data == bytes(range(256)) * 12000
    assert set(unpack(get(agent, "?path=d&format=tar").body)) == {"d", "d/large"}
    for accept, kind in (("application/x-tar", "application/x-tar"), ("*/*", "application/json"), ("application/json, */*", "application/json"),
                         ("application/x-tar;q=0, */*", "application/json"), ("application/*", "application/json")):
        assert get(agent, "", headers={"Accept": accept}).headers["Content-Type"] == kind, accept
    assert get(agent, "", headers={"Accept": "text/html"}).status == 406
    assert get(agent, "?format=json").json["truncated"] is False
    assert get(agent, "?format=zip").status == 400
    head = get(agent, method="HEAD")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Type"] == "application/x-tar"


def test_errors(agent, stack):
    got = get(agent)
    assert got.status == 404 and got.headers["Content-Type"] == "application/problem+json" and "Content-Disposition" not in got.headers
    put(agent, "f", b"x")
    assert get(agent, "?format=tar&path=nowhere").status == 404
    assert get(agent, "?format=tar&path=f").status == 422
    assert get(agent, "?format=tar&path=../..").status == 422
    assert get(agent.seen_by(stack.user())).status == 403


def with_sanitizer():
    with open(BINARY, "rb") as f:
        return re.search(rb"__[at]san_init", f.read()) is not None


def grown(stack, agent, mib):
    with open(os.path.join(stack.sandbox.files(agent.id), "large"), "wb") as f:
        f.truncate(mib << 20)


def memory(stack):
    with open(f"/proc/{stack.workers()[0]}/status", encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("VmRSS")))


@pytest.mark.skipif(with_sanitizer(), reason="a sanitizer keeps what is freed")
def test_bounded_memory(agent, stack):
    put(agent, "large", b"x")
    get(agent)
    before = memory(stack)
    grown(stack, agent, 300)
    got = get(agent, timeout=60)
    assert unpack(got.body)["large"].size == 300 << 20
    assert memory(stack) < before + 32 * 1024


def test_a_slow_client_holds_nobody_up(agent, stack):
    """nginx takes what it does not read; who leaves ends it."""
    put(agent, "large", b"x")
    grown(stack, agent, 60)
    slow = [stack._request("GET", f"{agent.path}/files?format=tar", agent.user, None, None, None, 20, False, ()) for _ in range(8)]
    try:
        wait_for(lambda: stack.http("GET", "/ready").status == 200 and get(agent, "?format=tar&path=.", method="HEAD").status == 200, 20, "it is held up")
    finally:
        for sock, response in slow:
            response.close()
            sock.close()
    assert agent.ask("hello")[-1]["reason"] == "completed"


def test_cut_in_the_middle(agent, stack):
    """The end of an archive is said: what breaks off is not taken for whole."""
    put(agent, "large", b"x")
    grown(stack, agent, 3000)
    sock, response = stack._request("GET", f"{agent.path}/files?format=tar", agent.user, None, None, None, 30, False, ())
    try:
        assert response.status == 200 and len(response.read(1 << 20)) == 1 << 20
        os.truncate(os.path.join(stack.sandbox.files(agent.id), "large"), 4 << 20)
        size = 1 << 20
        try:
            while data := response.read(1 << 20):
                size += len(data)
            ended = "whole"
        except (OSError, socket.timeout, Exception) as e:  # noqa: BLE001
            ended = type(e).__name__
    finally:
        response.close()
        sock.close()
    assert ended == "IncompleteRead" and size < 3000 << 20, (ended, size)
    wait_for(lambda: "large: it" in stack.log(), 5, "it is not logged")
