# SPDX-License-Identifier: MIT
"""agent-fpm-sandbox and agent-fpm-proxy on their own, and clients of the protocol (docs/sandbox.md): by its socket, and by HTTP behind nginx."""

import http.client
import json
import os
import secrets
import signal
import socket
import struct
import subprocess

from waiting import BINARY, ROOT, certificate, free_ports, scaled, wait_for

SANDBOX = os.path.join(os.path.dirname(BINARY), "agent-fpm-sandbox")
PROXY = os.path.join(os.path.dirname(BINARY), "agent-fpm-proxy")


class Failed(Exception):
    """The sandbox's answer with ok false."""

    def __init__(self, answer):
        super().__init__(f"{answer.get('code')}: {answer.get('error')}")
        self.answer, self.code, self.error = answer, answer.get("code"), answer.get("error")


def frame(call_id, op, user, agent, data, members):
    request = json.dumps({"id": call_id, "op": op, "user": user, "agent": agent, **members}).encode()
    return struct.pack(">II", len(request), len(data)) + request + data


class Client:
    """A connection. Calls may be sent ahead: call_id = send(...), then answer(call_id)."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(scaled(30))
        self.sock.connect(path)
        self.last_id, self.answers, self.parts, self.buffer = 0, {}, {}, b""

    def send(self, op, user="alice", agent="agt_a", data=b"", **members):
        self.last_id += 1
        self.sock.sendall(frame(self.last_id, op, user, agent, data, members))
        return self.last_id

    def _read(self, n):
        while len(self.buffer) < n:
            more = self.sock.recv(1 << 20)
            if not more:
                raise ConnectionError("the sandbox hung up")
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def _take(self):
        """The next frame: an answer, or a part of one."""
        json_len, data_len = struct.unpack(">II", self._read(8))
        answer = json.loads(self._read(json_len))
        answer["data"] = self._read(data_len)
        if answer.get("more"):
            self.parts[answer["id"]] = self.parts.get(answer["id"], b"") + answer["data"]
        else:
            self.answers[answer["id"]] = answer

    def part(self, call_id, what):
        """Waits until this was among its parts; all of them so far."""
        while what not in self.parts.get(call_id, b""):
            assert call_id not in self.answers, self.answers[call_id]
            self._take()
        return self.parts[call_id]

    def answer(self, call_id):
        while call_id not in self.answers:
            self._take()
        return good(self.answers.pop(call_id))

    def call(self, op, **members):
        return self.answer(self.send(op, **members))

    def cancel(self, call_id):
        """Ends a call; what its answer says of how it ended."""
        self.send("cancel", target=call_id)
        return self.answer(call_id)["end"]

    def close(self):
        self.sock.close()


def good(answer):
    if not answer["ok"]:
        raise Failed(answer)
    return answer


class HttpClient:
    """The same by HTTP: each call a request; connections are kept."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.last_id, self.calls, self.idle = 0, {}, []
        self.call("ping")

    def send(self, op, user="alice", agent="agt_a", data=b"", **members):
        self.last_id += 1
        connection = self.idle.pop() if self.idle else http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(30))
        connection.request("POST", "/sandbox", frame(self.last_id, op, user, agent, data, members),
                           {"Content-Type": "application/vnd.agent-fpm.frames", "Authorization": f"Bearer {self.token}"})
        self.calls[self.last_id] = connection
        return self.last_id

    def answer(self, call_id):
        connection = self.calls.pop(call_id)
        response = connection.getresponse()
        if response.status != 200:
            connection.close()
            raise ConnectionError(f"{response.status} {response.read()!r}")
        assert response.headers["Content-Type"] == "application/vnd.agent-fpm.frames"
        while (answer := self._frame(response)).get("more"):
            pass
        assert answer["id"] == call_id and response.read() == b""
        self.idle.append(connection)
        return good(answer)

    @staticmethod
    def _frame(response):
        head = response.read(8)
        if len(head) < 8:
            raise ConnectionError("the sandbox hung up")
        json_len, data_len = struct.unpack(">II", head)
        answer = json.loads(response.read(json_len))
        answer["data"] = response.read(data_len)
        return answer

    call = Client.call

    def cancel(self, call_id):
        """Closes the request. There is no answer: that it ends is seen elsewhere."""
        self.calls.pop(call_id).close()
        return "cancelled"

    def close(self):
        for connection in [*self.calls.values(), *self.idle]:
            connection.close()


class Runner:
    """nginx with nginx/runner.conf, in the directory of a sandbox; by TLS, and by plain HTTP too."""

    def __init__(self, sandbox, client_ca=None):
        self.sandbox, self.dir, self.client_ca = sandbox, os.path.join(sandbox.dir, "runner"), client_ca
        self.process = None
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.https_port, self.port = free_ports(2)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/sandbox"

    @property
    def https(self):
        return f"https://localhost:{self.https_port}/sandbox"

    def start(self):
        tokens, conf = (os.path.join(self.dir, name) for name in ("tokens", "nginx.conf"))
        with open(tokens, "w", encoding="utf-8") as f:
            f.write(f'"~^Bearer {self.sandbox.token}$" 1;\n')
        with open(conf, "w", encoding="utf-8") as f:
            subprocess.run(
                ["sh", os.path.join(ROOT, "nginx", "private.sh"), self.dir, str(self.https_port), str(self.port), self.sandbox.fastcgi,
                 os.path.join(ROOT, "www"), *certificate(), "http=serve", "site=runner.conf", f"tokens={tokens}",
                 *([f"client_ca={self.client_ca}"] if self.client_ca else [])], check=True, stdout=f, stdin=subprocess.DEVNULL, cwd=ROOT)
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(["nginx", "-p", self.dir, "-c", conf, "-e", os.path.join(self.dir, "error.log"), "-g", "daemon off;"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, 10, "nginx does not come up")
        return self

    def _answers(self):
        assert self.process.poll() is None, "nginx does not start"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(sig)
            self.process.wait(scaled(20))
        self.process = None


class Daemon:
    """A process with a configuration and a log, in a directory of a test."""

    name = binary = socket = None

    def __init__(self, folder, conf=None, user=None):
        self.dir, self.user, self.conf, self.process = str(folder), user, dict(conf or {}), None

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def conf_file(self):
        path = os.path.join(self.dir, f"{self.name}.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"{k} = {v}\n" for k, v in self.conf.items())
        os.chmod(path, 0o644)
        return path

    def start(self):
        with open(os.path.join(self.dir, f"{self.name}.log"), "ab") as log:
            self.process = subprocess.Popen([self.binary, "-c", self.conf_file()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self.user)
        wait_for(self._answers, 10, lambda: f"the {self.name} does not come up\n{self.log()}")
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the {self.name} ended with {self.process.returncode}\n{self.log()}"
        try:
            for path in self.sockets():
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(path)
        except OSError:
            return False
        return True

    def sockets(self):
        return [self.socket]

    def log(self):
        with open(os.path.join(self.dir, f"{self.name}.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(scaled(20))
        code = self.process.returncode if self.process else 0
        self.process = None
        return code


class Sandbox(Daemon):
    """agent-fpm-sandbox. By http: what clients are given is behind nginx."""

    name, binary = "sandbox", SANDBOX

    def __init__(self, folder, conf=None, user=None, by="unix"):
        super().__init__(folder, user=user)
        self.by = by
        self.socket = os.path.join(self.dir, "sandbox.sock")
        self.workspaces = os.path.join(self.dir, "workspaces")
        self.conf = {"sandbox.socket": self.socket, "sandbox.workspaces": self.workspaces, **(conf or {})}
        self.token, self.fastcgi = secrets.token_hex(32), os.path.join(self.dir, "runner.sock")
        self.runner = Runner(self) if by == "http" else None
        if by == "http":
            self.conf |= {"sandbox.fastcgi": self.fastcgi, "sandbox.token_file": self.write("token", self.token + "\n")}

    def start(self):
        super().start()
        if self.runner is not None and self.runner.process is None:
            self.runner.start()
        return self

    def sockets(self):
        return [self.socket] + ([self.fastcgi] if self.by == "http" else [])

    def worker_conf(self):
        """What workers that use it are told."""
        theirs = {k: v for k, v in self.conf.items() if k not in ("sandbox.socket", "sandbox.fastcgi")}
        return self.conf if self.by == "unix" else {**theirs, "sandbox.address": self.runner.url}

    def client(self):
        return Client(self.socket) if self.by == "unix" else HttpClient(self.runner.port, self.token)

    def close(self):
        """Ends it for good; its exit status."""
        if self.runner is not None:
            self.runner.stop()
        return self.stop()

    def homes(self):
        """The directories of users."""
        return [name for name in os.listdir(self.workspaces) if not name.startswith(".")]

    def files(self, agent="agt_a"):
        """The directory of an agent's files."""
        for name in os.listdir(self.workspaces):
            path = os.path.join(self.workspaces, name, agent, "files")
            if os.path.isdir(path):
                return path
        return None


class Proxy(Daemon):
    """The network of commands, for sandboxes that have its socket as sandbox.proxy."""

    name, binary = "proxy", PROXY

    def __init__(self, folder, conf=None, user=None):
        super().__init__(folder, user=user)
        self.socket = os.path.join(self.dir, "proxy.sock")
        self.conf = {"sandbox.proxy": self.socket, **(conf or {})}
