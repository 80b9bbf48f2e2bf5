# SPDX-License-Identifier: MIT
"""Large files that nginx sends itself (sandbox.accel): the same answers as the pool's, and what it may not read."""

import os
import socket
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import close
from stack import Stack
from waiting import free_ports, scaled, wait_for

NAMES = ["plain.txt", "a b", "100% %41", "new\nline", "ünïcödé 日本語", "q?a=b#c", "a&b;c:d", "..x", "d/e/f", "'\"<>\\|^`{}", "+", "~"]
TEXT = b"0123456789" * 50


@pytest.fixture(scope="module")
def stack():
    stack = Stack(sandbox=True, workers=1, conf={"sandbox.accel": "/agent-fpm-workspaces/", "sandbox.accel_size": "100"})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent()


def http(agent, method, path, body=None, **headers):
    return agent.user.http(method, f"{agent.path}/files/{urllib.parse.quote(path)}", body=body,
                           headers={k.replace("_", "-"): v for k, v in headers.items()})


def by_nginx(got):
    """nginx's own answer has the file's time; the pool's has none."""
    return "Last-Modified" in got.headers


def test_small_and_large(agent):
    for size in (0, 99, 100, 5_000_000):
        body = os.urandom(size)
        etag = http(agent, "PUT", "f", body).headers["ETag"]
        got = http(agent, "GET", "f")
        assert (got.status, got.body, got.headers["ETag"]) == (200, body, etag) and by_nginx(got) is (size >= 100)
        assert got.headers["Content-Length"] == str(size) and got.headers.get_all("Accept-Ranges") == ["bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_names(agent, name):
    assert http(agent, "PUT", name, TEXT + name.encode()).status == 201
    got = http(agent, "GET", name)
    assert got.status == 200 and got.body == TEXT + name.encode() and by_nginx(got)


def test_headers(agent):
    http(agent, "PUT", "text", TEXT + "ü".encode() * 5000)
    http(agent, "PUT", "binary.html", b"\0" * 500)
    got = http(agent, "GET", "text")
    assert got.headers["Content-Type"] == "text/plain; charset=utf-8" and got.headers["Content-Disposition"] == "attachment"
    assert got.headers["Cache-Control"] == "no-store" and got.headers["X-Content-Type-Options"] == "nosniff" and got.headers["X-Request-Id"]
    assert "X-Accel-Redirect" not in got.headers and "Content-Security-Policy" in got.headers
    got = http(agent, "GET", "binary.html")
    assert by_nginx(got) and got.headers["Content-Type"] == "application/octet-stream" and got.headers["Content-Disposition"] == "attachment"


def test_head(agent):
    etag = http(agent, "PUT", "f", TEXT).headers["ETag"]
    got = http(agent, "HEAD", "f")
    assert (got.status, got.body, got.headers["Content-Length"], got.headers["ETag"]) == (200, b"", "500", etag) and by_nginx(got)


@pytest.mark.parametrize("header, status, body, said", [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/500"), ("bytes=497-", 206, b"789", "bytes 497-499/500"), ("bytes=-2", 206, b"89", "bytes 498-499/500"),
    ("bytes=498-1000", 206, b"89", "bytes 498-499/500"), ("bytes=500-", 416, None, "bytes */500"), ("bytes=0-1,3-4", 200, TEXT, None),
    ("lines=1-2", 200, TEXT, None),
])
def test_ranges(agent, header, status, body, said):
    http(agent, "PUT", "f", TEXT)
    got = http(agent, "GET", "f", Range=header)
    assert (got.status, got.headers.get("Content-Range")) == (status, said) and body in (None, got.body)


def test_etags(agent):
    """One file has one, by whichever way; conditions hold with it."""
    etag = http(agent, "PUT", "f", TEXT).headers["ETag"]
    for condition in (etag, "*", f'"x", {etag}'):
        got = http(agent, "GET", "f", If_None_Match=condition)
        assert got.status == 304 and got.headers["ETag"] == etag, condition
    assert http(agent, "GET", "f", If_None_Match='"other"').status == 200
    got = http(agent, "GET", "f")
    assert http(agent, "GET", "f", Range="bytes=0-3", If_Range=got.headers["Last-Modified"]).status == 206
    assert http(agent, "GET", "f", Range="bytes=0-3", If_Range='"other"').status == 200
    assert http(agent, "GET", "f", Range="bytes=0-3", If_Range=etag).status in (200, 206)
    assert http(agent, "GET", "f", If_Match=etag).status == 200
    second = http(agent, "PUT", "f", TEXT + b"!", If_Match=got.headers["ETag"])
    assert second.status == 204 and http(agent, "GET", "f").headers["ETag"] == second.headers["ETag"] != etag
    assert http(agent, "PUT", "f", b"x", If_Match=etag).status == 412


def test_nobody_comes_in_by_the_side(agent, stack):
    http(agent, "PUT", "f", TEXT)
    place = os.path.relpath(os.path.join(stack.sandbox.files(agent.id), "f"), stack.sandbox.workspaces)
    for path in (f"/agent-fpm-workspaces/{place}", "/agent-fpm-workspaces/", f"/agent-fpm-workspaces/../agent-fpm-workspaces/{place}"):
        assert stack.http("GET", path, user=agent.user).status == 404
    other = agent.seen_by(stack.user())
    assert http(other, "GET", "f").status == 403
    assert http(agent, "GET", "f", X_Accel_Redirect="/x", Agent_Fpm_Accel="off").status == 200
    assert by_nginx(http(agent, "GET", "f", Agent_Fpm_Accel="off")), "a client's header is another name"


def test_symlinks(agent, stack, tmp_path):
    """Neither of both follows one, also where it was put between the pool's look and nginx's."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 100)
    http(agent, "PUT", "d/secret", TEXT)
    root = stack.sandbox.files(agent.id)
    os.symlink(secret, os.path.join(root, "link"))
    os.symlink(tmp_path, os.path.join(root, "linkdir"))
    for path in ("link", "linkdir/secret"):
        got = http(agent, "GET", path)
        assert got.status == 422 and b"secret" * 10 not in got.body
    place = os.path.relpath(root, stack.sandbox.workspaces)
    for path, status in (("link", (403,)), ("linkdir/secret", (403, 404)), ("d/secret", (200,))):
        assert internal(stack, f"{place}/{path}") in status


def internal(stack, place):
    """What nginx makes of an X-Accel-Redirect, from a pool of the test's own: 403 is what leads back to the pool."""
    with open(stack.path("nginx.conf"), encoding="utf-8") as f:
        conf = f.read()
    begin = conf.index("location ^~ /agent-fpm-workspaces/")
    location = conf[begin:conf.index("}", begin) + 1]
    keep = [line for line in location.splitlines() if not line.strip().startswith(("add_header", "error_page", "access_log", "error_log"))]
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        peer, _ = server.accept()
        peer.recv(65536)
        peer.sendall(f"HTTP/1.0 200 OK\r\nX-Accel-Redirect: /agent-fpm-workspaces/{place}\r\n\r\n".encode())
        peer.close()

    port, = free_ports(1)
    folder = stack.path("nginx-inner")
    os.makedirs(folder, exist_ok=True)
    text = (("user root;\n" if os.geteuid() == 0 else "") + f'pid "{folder}/pid"; error_log "{folder}/log"; events {{}}\nhttp {{ access_log off; client_body_temp_path "{folder}/b";'
            f' proxy_temp_path "{folder}/p"; fastcgi_temp_path "{folder}/f"; uwsgi_temp_path "{folder}/u"; scgi_temp_path "{folder}/s";\n'
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server.getsockname()[1]}; }}\n" + "\n".join(keep) + "\n}}\n")
    with open(os.path.join(folder, "conf"), "w", encoding="utf-8") as f:
        f.write(text)
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    process = subprocess.Popen(["nginx", "-p", folder, "-c", os.path.join(folder, "conf"), "-e", os.path.join(folder, "log"), "-g", "daemon off;"])
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10, "nginx does not come up")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=scaled(20)) as response:
            return response.status
    except urllib.error.HTTPError as e:
        return e.code
    finally:
        process.terminate()
        process.wait(scaled(20))
        server.close()


def test_gone_meanwhile(agent, stack):
    """What nginx does not find or may not read comes from the pool."""
    http(agent, "PUT", "f", TEXT)
    workspaces = stack.sandbox.workspaces
    os.rename(workspaces, workspaces + ".away")
    try:
        os.mkdir(workspaces)  # for nginx there is nothing; the sandbox has it open
        got = http(agent, "GET", "f")
        assert got.status == 200 and got.body == TEXT and not by_nginx(got)
        got = http(agent, "GET", "f", Range="bytes=0-3")
        assert (got.status, got.body) == (206, b"0123")
        assert http(agent, "GET", "nothing").status == 404
    finally:
        os.rmdir(workspaces)
        os.rename(workspaces + ".away", workspaces)
    assert by_nginx(http(agent, "GET", "f"))


def test_permissions(agent, stack):
    """Whoever is let into the directory may pass, and read; the rest stays the sandbox's."""
    http(agent, "PUT", "d/f", TEXT)
    root = stack.sandbox.files(agent.id)
    for path in (os.path.dirname(os.path.dirname(root)), os.path.dirname(root), root, os.path.join(root, "d")):
        assert os.stat(path).st_mode & 0o777 == 0o711, path
    assert os.stat(os.path.join(root, "d", "f")).st_mode & 0o777 == 0o644
    assert os.stat(stack.sandbox.workspaces).st_mode & 0o777 == 0o700, "the gate is the administrator's"
    for name in os.listdir(os.path.dirname(root)):
        path = os.path.join(os.path.dirname(root), name)
        assert name == "files" or os.stat(path).st_mode & 0o077 == 0, path


@pytest.mark.parametrize("value", ["workspaces/", "/workspaces"])
def test_bad_configuration(stack_factory, value):
    stack = stack_factory(start=False)
    stack.conf["sandbox.accel"] = value
    got = stack.check_conf()
    assert got.returncode == 78 and "sandbox.accel" in got.stderr
