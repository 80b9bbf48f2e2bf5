# SPDX-License-Identifier: MIT
"""agent-fpm-sandbox and agent-fpm-proxy on their own, and a client of the protocol (docs/sandbox.md)."""

import json
import os
import signal
import socket
import struct
import subprocess

from waiting import BINARY, scaled, wait_for

SANDBOX = os.path.join(os.path.dirname(BINARY), "agent-fpm-sandbox")
PROXY = os.path.join(os.path.dirname(BINARY), "agent-fpm-proxy")


class Failed(Exception):
    """The sandbox's answer with ok false."""

    def __init__(self, answer):
        super().__init__(f"{answer.get('code')}: {answer.get('error')}")
        self.answer, self.code, self.error = answer, answer.get("code"), answer.get("error")


class Client:
    """A connection. Calls may be sent ahead: call_id = send(...), then answer(call_id)."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(scaled(30))
        self.sock.connect(path)
        self.last_id, self.answers, self.parts, self.buffer = 0, {}, {}, b""

    def send(self, op, user="alice", agent="agt_a", data=b"", **members):
        self.last_id += 1
        request = json.dumps({"id": self.last_id, "op": op, "user": user, "agent": agent, **members}).encode()
        self.sock.sendall(struct.pack(">II", len(request), len(data)) + request + data)
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
        answer = self.answers.pop(call_id)
        if not answer["ok"]:
            raise Failed(answer)
        return answer

    def call(self, op, **members):
        return self.answer(self.send(op, **members))

    def close(self):
        self.sock.close()


class Daemon:
    """A process with a configuration and a log, in a directory of a test."""

    name = binary = socket = None

    def __init__(self, folder, conf=None, user=None):
        self.dir, self.user, self.conf, self.process = str(folder), user, dict(conf or {}), None

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
            client = self.client()
        except OSError:
            return False
        client.close()
        return True

    def client(self):
        return Client(self.socket)

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
    name, binary = "sandbox", SANDBOX

    def __init__(self, folder, conf=None, user=None):
        super().__init__(folder, user=user)
        self.socket = os.path.join(self.dir, "sandbox.sock")
        self.workspaces = os.path.join(self.dir, "workspaces")
        self.conf = {"sandbox.socket": self.socket, "sandbox.workspaces": self.workspaces, **(conf or {})}

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
