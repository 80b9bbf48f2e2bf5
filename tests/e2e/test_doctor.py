# SPDX-License-Identifier: MIT
"""agent-fpm doctor: what it sees of a good installation, and of each thing that is wrong."""

import json
import os
import pwd
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from sandbox import PROXY, SANDBOX
from stack import BINARY, certificate, free_ports
from test_sandbox_commands import USER, skip_without_commands
from waiting import scaled

GOOD = {"listen.mode": "0660", "limits.viewers": "1000", "limits.turns": "1000"}


class Said:
    """The lines of a run, by their names."""

    def __init__(self, run):
        self.code, self.text = run.returncode, run.stdout + run.stderr
        self.lines = [re.fullmatch(r"(ok|warn|FAIL) +([a-z.]+) +(\S.*)", line) for line in run.stdout.splitlines()]
        assert all(self.lines) and not run.stderr, self.text
        self.names = [m[2] for m in self.lines]

    def __getitem__(self, name):
        """(verdict, text) of a check."""
        found, = [m for m in self.lines if m[2] == name]
        return found[1], found[3]

    def verdicts(self):
        return {m[1] for m in self.lines}

    def fails(self, name, *texts):
        assert self.code == 2 and self[name][0] == "FAIL", self.text
        for text in texts:
            assert text in self[name][1], self.text

    def warns(self, name, *texts):
        assert self[name][0] == "warn" and self.code == (2 if "FAIL" in self.verdicts() else 1), self.text
        for text in texts:
            assert text in self[name][1], self.text


def run(stack, *words):
    argv = [BINARY, *(words or ("-c", stack.write_conf(), "doctor"))]
    return subprocess.run(argv, env=stack.pool_env(), capture_output=True, text=True, timeout=scaled(60), check=False)


def doctor(stack):
    return Said(run(stack))


def made(stack_factory, **options):
    """An installation of which nothing runs yet."""
    conf = {**GOOD, **options.pop("conf", {})}
    return stack_factory(start=False, without_nginx=True, workers=1, conf=conf, **options)


def own_user(stack):
    """The sandbox as it should be: not root's."""
    if USER:
        stack.sandbox.user = USER
        os.chown(stack.sandbox.dir, pwd.getpwnam(USER).pw_uid, -1)


# ---- all is well ----

def test_everything_fine(stack_factory):
    """Each check has its line, all are ok, and the model was asked nothing."""
    stack = made(stack_factory, sandbox=True, templates={"a": {"skills": "*"}})
    stack.write("skills.d/x/SKILL.md", "---\nname: x\ndescription: y\n---\n")
    own_user(stack)
    stack.start_all()
    skip_without_commands(stack.sandbox)
    said = doctor(stack)
    assert said.names == ["configuration", "tokens", "templates", "sandbox.settings", "status.allow", "bridge.auth", "slowlog.file", "audit.file", "otlp", "model.key",
                          "secrets", "libraries", "listen.folder", "listen", "descriptors",
                          "redis", "redis.version", "redis.aof", "redis.eviction", "redis.latency", "redis.clock",
                          "sandbox", "sandbox.commands", "sandbox.limits", "sandbox.disk", "model"]
    bad = {m[2] for m in said.lines if m[1] != "ok"} - {"redis.latency", "sandbox.disk"}  # the host's, not ours
    assert said.code == ("warn" in said.verdicts()) and not bad, said.text
    assert "1 in " in said["templates"][1] and "1 skills" in said["templates"][1]
    assert "mode 0660; a pool serves it" in said["listen"][1]
    assert "appendfsync everysec" in said["redis.aof"][1] and "nothing was asked" in said["model"][1]
    assert stack.model.requests == []
    assert re.search(r"libcurl [0-9.]+, OpenSSL 3.*libuv [0-9.]+, hiredis [0-9.]+, cJSON [0-9.]+, libyaml [0-9.]+", said["libraries"][1])
    assert stack.secret not in said.text and stack.api_key not in said.text


def test_before_the_first_start(stack_factory):
    """No pool, no sandbox: it says so. -c may stand behind the word."""
    stack = made(stack_factory)
    stack.start_redis()
    said = Said(run(stack, "doctor", "-c", stack.write_conf()))
    assert said.code == ("warn" in said.verdicts()) and "FAIL" not in said.verdicts() and "no pool runs" in said["listen"][1] and said["sandbox"][1].startswith("none: ")
    assert not os.path.exists(stack.fcgi_path)


def test_words(stack_factory):
    stack = made(stack_factory)
    for words in (["doctor", "now"], ["doctor", "-x"], ["doctor", "-c"], ["doctor", "--url", "http://localhost"], ["doctor", "--token", "x"], ["doctor", "--chat"]):
        assert run(stack, *words).returncode == 64


# ---- the configuration ----

def test_a_bad_configuration(stack_factory):
    """Each mistake is a line, with file and line; there is nothing else to look at."""
    stack = made(stack_factory, conf={"workers": "many", "nope": "1"})
    said = doctor(stack)
    assert said.code == 2 and said.names == ["configuration"] * 2 and said.verdicts() == {"FAIL"}
    assert re.search(r"agent-fpm\.conf:[0-9]+: .*workers", said.text) and "nope" in said.text
    said = Said(run(stack, "doctor", "-c", stack.path("missing")))
    assert said.code == 2 and "missing" in said["configuration"][1]


def test_parts(stack_factory):
    stack = made(stack_factory, templates={"bad": {"skills": ["nope"]}})
    stack.write("jwt.secret", "short")
    stack.conf["model.api_key_file"] = ""
    said = doctor(stack)
    said.fails("tokens", "jwt.secret")
    said.fails("templates", "templates.d/bad.json", 'there is no skill "nope"')
    said.fails("model.key", "model.api_key_file")


@pytest.mark.parametrize("path, texts", [("nowhere/audit.log", ["No such file", "make that folder"]), ("", ["is a folder"])])
def test_an_audit_log_that_cannot_be_written(stack_factory, path, texts):
    """The doctor says so, and so do -t and a start: better than to lose what it is for."""
    stack = made(stack_factory)
    stack.conf["audit.file"] = stack.path(path)
    doctor(stack).fails("audit.file", *texts)
    checked = stack.check_conf()
    assert checked.returncode == 78 and all(t in checked.stderr for t in ["audit.file", *texts]), checked


@pytest.mark.skipif(not USER, reason="only root can be somebody else")
def test_an_audit_log_of_somebody_else(stack_factory):
    stack = made(stack_factory)
    stack.conf["audit.file"] = stack.write("audit.log", "")
    os.chmod(stack.write_conf(), 0o644)

    def as_other():
        return Said(subprocess.run([BINARY, "doctor", "-c", stack.path("agent-fpm.conf")], env=stack.pool_env(), user=USER, capture_output=True,
                                   text=True, timeout=scaled(60), check=False))

    as_other().fails("audit.file", "let the pool's user read and write it")
    os.unlink(stack.path("audit.log"))
    as_other().fails("audit.file", "let the pool's user write there")


def test_secrets_that_are_open(stack_factory):
    """To all users of the host; a public key may be read."""
    stack = made(stack_factory, models={"model other": {"provider": "scripted"}})
    assert doctor(stack)["secrets"][0] == "ok"
    stack.models["model other"]["api_key_file"] = stack.write("other.key", "x")
    for name, setting in (("jwt.secret", "jwt.secret_file"), ("api.key", "model.api_key_file"), ("other.key", "model.api_key_file")):
        os.chmod(stack.path(name), 0o644)
        doctor(stack).warns("secrets", f"{setting}: ", stack.path(name), "mode 0644", "may read", "chmod o-rwx")
        os.chmod(stack.path(name), 0o666)
        doctor(stack).fails("secrets", f"{setting}: ", stack.path(name), "mode 0666", "may write", "chmod o-rwx")
        os.chmod(stack.path(name), 0o640)
    assert doctor(stack)["secrets"][0] == "ok"
    stack.conf["jwt.public_key_file"] = stack.write("public.pem", "x")
    os.chmod(stack.path("public.pem"), 0o644)
    assert doctor(stack)["secrets"][0] == "ok"
    os.chmod(stack.path("public.pem"), 0o646)
    doctor(stack).fails("secrets", "jwt.public_key_file: ", "chmod o-w it")


# ---- the host ----

def test_listen(stack_factory):
    stack = made(stack_factory)
    stack.conf["listen"] = stack.path("none", "fpm.sock")
    doctor(stack).fails("listen.folder", "No such file")
    os.makedirs(stack.path("none"))
    os.chmod(stack.path("none"), 0o777)
    doctor(stack).fails("listen.folder", "writable by everybody", "chmod o-w")
    os.chmod(stack.path("none"), 0o700)
    doctor(stack).warns("listen.folder", "nginx")
    os.chmod(stack.path("none"), 0o755)
    assert doctor(stack)["listen.folder"][0] == "ok"
    stack.write("none/fpm.sock", "")
    doctor(stack).fails("listen", "is no socket")
    os.unlink(stack.path("none/fpm.sock"))
    stack.conf["listen.mode"] = "0666"
    doctor(stack).warns("listen", "mode 0666", "listen.group")
    stack.conf["listen.group"] = "nosuchgroup"
    doctor(stack).fails("listen.group", "nosuchgroup")


@pytest.mark.skipif(not USER, reason="it takes root to be somebody else")
def test_somebody_else(stack_factory):
    """Who may not use what the pool uses is told so, and not that all is well."""
    stack = made(stack_factory, sandbox=True)
    stack.start_all()
    os.chmod(stack.write_conf(), 0o644)

    def as_other(**group):
        return Said(subprocess.run([BINARY, "doctor", "-c", stack.path("agent-fpm.conf")], env=stack.pool_env(), user=USER, capture_output=True,
                                   text=True, timeout=scaled(60), check=False, **group))

    said = as_other(group=pwd.getpwnam(USER).pw_gid, extra_groups=[])
    said.warns("listen", "may not connect", "user of the pool")
    said.fails("tokens", "Permission denied")
    said.fails("sandbox", "Permission denied", "sandbox.client")
    said = as_other()  # in the group of the sockets
    assert said["listen"][0] == "ok", said.text
    said.fails("sandbox", "went away", "sandbox.client")


def test_descriptors(stack_factory):
    stack = made(stack_factory)
    assert doctor(stack)["descriptors"][0] == "ok"
    stack.conf["limits.viewers"] = "1048576"
    limited = subprocess.run(["sh", "-c", 'ulimit -n 4096; exec "$@"', "sh", BINARY, "doctor", "-c", stack.write_conf()],
                             env=stack.pool_env(), capture_output=True, text=True, timeout=scaled(60), check=False)
    Said(limited).warns("descriptors", "4096", "limits.viewers", "LimitNOFILE")


# ---- Redis ----

def test_redis_down(stack_factory):
    stack = made(stack_factory)
    said = doctor(stack)
    said.fails("redis", stack.redis_path, "store.address")
    assert not [n for n in said.names if n.startswith("redis.")]


def test_a_wrong_password(stack_factory):
    stack = made(stack_factory, redis_args=("--requirepass", "right-password"), redis_password="right-password")
    stack.start_redis()
    stack.conf["store.password_file"] = stack.write("password", "wrong-password")
    said = doctor(stack)
    said.fails("redis", "WRONGPASS", "store.password_file")
    assert "wrong-password" not in said.text


def test_aof_off(stack_factory):
    stack = made(stack_factory, redis_args=("--appendonly", "no"))
    stack.start_redis()
    said = doctor(stack)
    said.fails("redis.aof", "appendonly yes")
    assert stack.redis().config_set("appendonly", "yes")
    assert doctor(stack)["redis.aof"][0] == "ok"
    stack.redis().config_set("appendfsync", "no")
    doctor(stack).warns("redis.aof", "everysec")


def test_eviction(stack_factory):
    stack = made(stack_factory, redis_args=("--maxmemory-policy", "allkeys-lru"))
    stack.start_redis()
    doctor(stack).warns("redis.eviction", "allkeys-lru", "noeviction")
    stack.redis().config_set("maxmemory", "100mb")
    doctor(stack).fails("redis.eviction", "allkeys-lru", "noeviction")


def test_a_user_without_info(stack_factory):
    """What the ACL does not allow is not checked, and that is said; without CONFIG only the fsync policy is not known."""
    stack = made(stack_factory)
    stack.start_redis()
    stack.redis().execute_command("ACL", "SETUSER", "fpm", "on", ">secret-of-fpm", "~*", "&*", "+@all", "-config")
    stack.conf |= {"store.user": "fpm", "store.password_file": stack.write("password", "secret-of-fpm")}
    said = doctor(stack)
    assert said["redis.aof"] == ("ok", "on, appendfsync unknown: CONFIG GET is not allowed")
    stack.redis().execute_command("ACL", "SETUSER", "fpm", "-info")
    said = doctor(stack)
    said.warns("redis.info", "not checked", "store.user")
    assert "redis.aof" not in said.names and "redis.latency" in said.names


class Server(threading.Thread):
    """Serves one connection after the other until it is closed."""

    def __init__(self, sock, serve):
        super().__init__(daemon=True)
        self.sock, self.serve = sock, serve
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.sock.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(connection)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        self.sock.close()
        self.join(scaled(10))


def old_redis(connection):
    """A Redis 6.0, as far as it is asked."""
    info = b"# Server\r\nredis_version:6.0.16\r\naof_enabled:1\r\naof_last_write_status:ok\r\nmaxmemory_policy:noeviction\r\n"
    stream = connection.makefile("rb")
    while head := stream.readline():
        words = []
        for _ in range(int(head[1:])):
            words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
        connection.sendall(b"$%d\r\n%s\r\n" % (len(info), info) if words[0] == b"INFO" else b"-ERR no\r\n" if words[0] == b"CONFIG" else b"+PONG\r\n")


def test_an_old_redis(stack_factory):
    stack = made(stack_factory)
    with Server(socket.create_server(("127.0.0.1", 0)), old_redis) as server:
        stack.conf["store.address"] = "127.0.0.1:%d" % server.sock.getsockname()[1]
        said = doctor(stack)
    said.fails("redis.version", "6.0.16", "6.2 or later")
    assert said["redis.aof"][0] == "ok"


# ---- the sandbox ----

def test_no_sandbox_there(stack_factory):
    stack = made(stack_factory, sandbox=True)
    stack.start_redis()
    said = doctor(stack)
    said.fails("sandbox", stack.sandbox.socket, "agent-fpm-sandbox")
    assert [n for n in said.names if n.startswith("sandbox.")] == ["sandbox.settings"]


@pytest.mark.parametrize("bwrap,why", [
    ("/bin/false", "bubblewrap does not work here"),
    ("/nowhere/bwrap", "there is no bubblewrap at /nowhere/bwrap (sandbox.bwrap): apt install bubblewrap"),
    ("script", "bubblewrap does not work here (no namespaces today)"),
])
def test_no_commands(stack_factory, bwrap, why):
    """The reason is the sandbox's own, as in its log; files work, and the rest is looked at."""
    stack = made(stack_factory, sandbox=True, conf={"sandbox.bwrap": bwrap})
    if bwrap == "script":
        stack.conf["sandbox.bwrap"] = stack.sandbox.conf["sandbox.bwrap"] = stack.write("bwrap", "#!/bin/sh\necho no namespaces today >&2\nexit 1\n")
        os.chmod(stack.path("bwrap"), 0o755)
    stack.start_redis()
    stack.sandbox.start()
    said = doctor(stack)
    said.fails("sandbox.commands", why)
    assert said["sandbox"][0] == "ok" and "sandbox.disk" in said.names and why in stack.sandbox.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to run as root")
def test_a_sandbox_of_root(stack_factory):
    stack = made(stack_factory, sandbox=True)
    stack.start_redis()
    stack.sandbox.start()
    doctor(stack).warns("sandbox.limits", "root", "sandbox.processes")


def test_little_room(stack_factory):
    """Less than the quota of one more agent."""
    stack = made(stack_factory, sandbox=True, conf={"sandbox.quota": "1024g"})
    stack.start_redis()
    stack.sandbox.start()
    fs = os.statvfs(stack.sandbox.workspaces)
    if fs.f_bavail * fs.f_frsize >= 1 << 40:
        pytest.skip("this disk has more room than any quota")
    doctor(stack).warns("sandbox.disk", "MiB are free", "sandbox.workspaces")


def answer_ping(connection, members):
    head = connection.recv(8, socket.MSG_WAITALL)
    request = json.loads(connection.recv(struct.unpack(">II", head)[0], socket.MSG_WAITALL))
    assert request["op"] == "ping"
    answer = json.dumps({"id": request["id"], "ok": True, **members}).encode()
    connection.sendall(struct.pack(">II", len(answer), 0) + answer)
    connection.recv(1)


@pytest.mark.parametrize("members,lines", [
    ({}, {"sandbox": ("warn", "version unknown"), "sandbox.commands": ("FAIL", "does not say why"), "sandbox.disk": ("warn", "cannot tell")}),
    ({"version": "0.0.1", "commands": True, "runner": "bubblewrap", "processLimit": True, "cgroup": True, "network": True,
      "freeBytes": 1 << 20, "totalBytes": 1 << 40},
     {"sandbox": ("warn", "version 0.0.1"), "sandbox.commands": ("ok", "network: by a proxy"), "sandbox.limits": ("ok", "by a cgroup"),
      "sandbox.disk": ("FAIL", "1 of 1048576 MiB")}),
])
def test_another_sandbox(stack_factory, members, lines):
    """Of another version: what it does not say is not taken for granted."""
    stack = made(stack_factory, sandbox=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(stack.sandbox.socket)
    sock.listen()
    with Server(sock, lambda c: answer_ping(c, members)):
        said = doctor(stack)
    for name, (verdict, text) in lines.items():
        assert said[name][0] == verdict and text in said[name][1], said.text


# ---- the model ----

def test_the_model_is_away(stack_factory):
    stack = made(stack_factory)
    port, = free_ports(1)
    stack.conf["model.url"] = f"http://127.0.0.1:{port}"
    doctor(stack).fails("model", str(port), "model.url")
    stack.conf["model.provider"] = "script"
    said = doctor(stack)
    assert said["model"][0] == "ok" and "scripted" in said["model"][1] and said["model.key"][0] == "ok"


def test_certificates(stack_factory):
    """TLS is verified as the pool does it, and not a byte of a request is sent."""
    stack = made(stack_factory, conf={"model.connect_timeout": "5s"})
    cert, key = certificate()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    got = []

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as tls:
            got.append(tls.recv(100))

    with Server(socket.create_server(("127.0.0.1", 0)), serve) as server:
        stack.conf["model.url"] = f"https://localhost:{server.sock.getsockname()[1]}"
        doctor(stack).fails("model", "certificate", "model.ca_file")
        assert got == []
        stack.conf["model.ca_file"] = cert
        said = doctor(stack)
        assert said["model"][0] == "ok" and "its certificate is good" in said["model"][1], said.text
    assert got == [b""]


def test_the_pool_agrees(stack_factory):
    """What -t refuses the doctor refuses with the same words."""
    stack = made(stack_factory, templates={"bad": {"tools": ["nope"]}})
    said = doctor(stack)
    assert said["templates"][1] in stack.check_conf().stderr


def test_disks(stack_factory):
    """Of files that grow: the folder is looked at."""
    stack = made(stack_factory)
    stack.start_redis()
    stack.conf |= {"log_file": stack.path("pool.log"), "slowlog.file": stack.path("slow.log"), "audit.file": stack.path("audit.log")}
    said = doctor(stack)
    assert said["audit.file"] == ("ok", stack.path("audit.log")) and not os.path.exists(stack.path("audit.log"))
    for name in ("log.disk", "slowlog.disk", "audit.disk"):
        assert "MiB are free" in said[name][1] and stack.dir in said[name][1]


# ---- the site ----

def look_at(stack, url, *more, token=None):
    return Said(run(stack, "-c", stack.write_conf(), "doctor", "--url", url, "--token", token or stack.token("doctor"), "--ca", certificate()[0], *more))


def agents_of(stack, user):
    return stack.redis().zcard(f"af:user:{user}:agents")


def test_a_good_site(stack_factory):
    """By TLS, through nginx with its limits: all is well, and nothing is left behind."""
    stack = stack_factory(workers=1, conf=GOOD, limits="on")
    said = look_at(stack, f"https://localhost:{stack.https_port}/")
    names = [n for n in said.names if n.startswith("site")]
    assert names == ["site", "site.tls", "site.hsts", "site.clock", "site.token", "site.stream", "site.body", "site.bridge", "site.rate"]
    assert {said[n][0] for n in names} == {"ok"}, said.text
    assert "5 events arrived one by one" in said["site.stream"][1] and "TLS 1.3: yes" in said["site.tls"][1]
    assert "Retry-After" in said["site.rate"][1] and "413" in said["site.body"][1]
    assert "no gateway runs" in said["site.bridge"][1]
    assert agents_of(stack, "doctor") == 0 and stack.model.requests == []


def test_a_chat(stack_factory):
    stack = stack_factory(workers=1, conf=GOOD)
    said = look_at(stack, f"https://localhost:{stack.https_port}", "--chat")
    assert said["site.chat"][0] == said["site.stream"][0] == "ok" and len(stack.model.requests) == 1, said.text
    said.warns("site.rate", "none of 250", "agent-fpm-http.conf")
    assert agents_of(stack, "doctor") == 0


def test_a_site_without_tls_and_a_bad_token(stack_factory):
    stack = stack_factory(workers=1, conf=GOOD)
    said = look_at(stack, f"http://127.0.0.1:{stack.http_port}", token="nonsense")
    said.warns("site.tls", "use https")
    said.fails("site.token", "401")
    assert "site.stream" not in said.names


def test_a_gateway(stack_factory):
    """It answers by polling and by WebSocket; its socket is there and nobody answers; the site leads elsewhere, or stops upgrades."""
    stack = stack_factory(workers=1, bridges=1, conf=GOOD)
    bridge = stack.bridges[0]
    stack.conf["bridge.listen"] = bridge.socket
    url = f"https://localhost:{stack.https_port}"
    assert look_at(stack, url)["site.bridge"] == ("ok", "the gateway answers, by polling and by WebSocket")
    bridge.stop(signal.SIGKILL)
    look_at(stack, url).fails("site.bridge", "does not answer (503)", "bridge.group")
    bridge.start()
    path = stack.path("nginx.conf")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for change, words in (((r"proxy_set_header Upgrade .*", ""), ("a WebSocket gets 4", "Upgrade")),
                          ((r"location \^~ /socket.io/", "location ^~ /elsewhere/"), ("not by a gateway", "agent-fpm.snippet"))):
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub(*change, text))
        stack.kill_nginx()
        stack.start_nginx()
        look_at(stack, url).warns("site.bridge", *words)


def test_no_site(stack_factory):
    """Nobody there, and somebody else."""
    stack = made(stack_factory)
    stack.start_redis()
    said = look_at(stack, f"http://127.0.0.1:{free_ports(1)[0]}", token="x")
    said.fails("site", "127.0.0.1")

    def serve(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")

    with Server(socket.create_server(("127.0.0.1", 0)), serve) as server:
        look_at(stack, f"http://127.0.0.1:{server.sock.getsockname()[1]}", token="x").fails("site", "not by agent-fpm")


def test_a_proxy_that_holds_back_events(stack_factory):
    """It passes on what has a length, and a stream when it has ended."""
    stack = stack_factory(workers=1, conf=GOOD)

    def serve_one(connection):
        with connection, socket.create_connection(("127.0.0.1", stack.http_port)) as far:
            threading.Thread(target=carry, args=(connection, far), daemon=True).start()
            held = b""
            while data := far.recv(65536):
                held += data
                if b"text/event-stream" not in held:
                    connection.sendall(held)
                    held = b""

    def carry(near, far):
        try:
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(connection):
        threading.Thread(target=serve_one, args=(connection.dup(),), daemon=True).start()

    with Server(socket.create_server(("127.0.0.1", 0)), serve) as server:
        said = look_at(stack, f"http://127.0.0.1:{server.sock.getsockname()[1]}")
    said.fails("site.stream", "did not arrive in time", "buffer")
    assert agents_of(stack, "doctor") == 0


@pytest.mark.parametrize("binary", [BINARY, SANDBOX, PROXY], ids=os.path.basename)
def test_every_program_says_all_mistakes(tmp_path, binary):
    """In one run, with their lines, and that there are two; it ends as with a configuration that is wrong."""
    conf = tmp_path / "wrong.conf"
    conf.write_text("nonsense = 1\n\nsandbox.threads = many\n")
    got = subprocess.run([binary, "-c", conf], capture_output=True, text=True, check=False, timeout=scaled(10))
    assert got.returncode == 78 and got.stdout == "", got
    first, second, last = got.stderr.splitlines()
    assert first.startswith(f"{conf}:1: ") and second.startswith(f"{conf}:3: ")
    assert last == f"{os.path.basename(binary)}: 2 mistakes in {conf}"


def test_who_may_read_the_status(stack_factory):
    stack = made(stack_factory, conf={"status.allow": "127.0.0.1 nowhere"})
    stack.start_redis()
    doctor(stack).fails("status.allow", "nowhere", "is no network")


def test_prices(stack_factory):
    """Budgets of money need prices of all models."""
    stack = stack_factory(without_nginx=True, conf={**GOOD, "budget.user_day_cost": "5", "model.price_input": "3"},
                          models={"free": {"id": "other"}, "dear": {"id": "third", "price_output": "1"}})
    doctor(stack).warns("budget", "nothing: free;", "model.price_input")
    del stack.models["free"]
    assert doctor(stack)["budget"][0] == "ok"
    del stack.conf["budget.user_day_cost"]
    assert "budget" not in doctor(stack).names
