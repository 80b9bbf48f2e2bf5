# SPDX-License-Identifier: MIT
"""Engine.IO and Socket.IO by hand: polling over HTTP, and a WebSocket whose frames are seen as they are."""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import secrets
import socket
import struct

from stack import Response
from waiting import scaled

POLLING = "/socket.io/?EIO=4&transport=polling"
WEBSOCKET = "/socket.io/?EIO=4&transport=websocket"


def connect(stack, timeout=10):
    """A connection to the stack's nginx, by plain HTTP."""
    return socket.create_connection(("127.0.0.1", stack.http_port), scaled(timeout))


class Polling:
    """A connection that polls."""

    def __init__(self, stack, query="", headers=None, open_it=True):
        self.stack, self.query, self.headers, self.sid = stack, query, headers or {}, None
        if open_it:
            self.opened = self.get()
            assert self.opened.status == 200, self.opened
            self.hello = json.loads(self.opened.body[1:])
            self.sid = self.hello["sid"]

    @property
    def path(self):
        return POLLING + self.query + (f"&sid={self.sid}" if self.sid else "")

    def get(self, timeout=20):
        return self.stack.http("GET", self.path, plain=True, headers=self.headers, timeout=timeout)

    def post(self, text, **headers):
        body = text.encode() if isinstance(text, str) else text
        return self.stack.http("POST", self.path, plain=True, body=body, headers={
            "Content-Type": "text/plain;charset=UTF-8", **self.headers, **headers})

    def packets(self):
        """Those of a poll."""
        got = self.get()
        assert got.status == 200, got
        return got.body.decode().split("\x1e")

    def join(self, auth=None):
        """Connects to the namespace; what is answered."""
        assert self.post("40" + (json.dumps(auth) if auth else "")).body == b"ok"
        return self.packets()[0]

    def hold(self, by_nginx=False):
        """Sends a poll, and leaves its answer to whoever reads the result. Past nginx it is there before what is sent later."""
        sock = connect(self.stack) if by_nginx else self.stack.bridges[0].connect()
        sock.sendall(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return sock


def answer(sock):
    """The answer of a poll that was held."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    got = Response(response.status, response.headers, response.read())
    sock.close()
    return got


class WebSocket:
    """A WebSocket of which every frame is seen: (first byte, payload)."""

    def __init__(self, stack, path=WEBSOCKET, headers=(), sock=None, version="13"):
        self.sock = sock or connect(stack)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Version: {version}", f"Sec-WebSocket-Key: {key}",
                 "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits", *headers]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            assert self._more(), self.buf
        head, _, self.buf = self.buf.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        if self.status == 101:
            want = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            assert self.headers["sec-websocket-accept"] == want.lower()

    def _more(self):
        data = self.sock.recv(65536)
        self.buf += data
        return data

    def body(self):
        """Of an answer that is no 101."""
        while len(self.buf) < int(self.headers["content-length"]):
            assert self._more()
        return self.buf

    def frame(self):
        """The next frame; None at the end."""
        while True:
            if len(self.buf) >= 2:
                n, at = self.buf[1] & 127, 2
                if n >= 126:
                    at += 2 if n == 126 else 8
                    n = int.from_bytes(self.buf[2:at], "big") if len(self.buf) >= at else 1 << 62
                if len(self.buf) >= at + n:
                    first, payload = self.buf[0], self.buf[at:at + n]
                    self.buf = self.buf[at + n:]
                    return first, payload
            try:
                if not self._more():
                    return None
            except ConnectionResetError:
                return None

    def text(self):
        first, payload = self.frame()
        assert first == 0x81, (first, payload)
        return payload.decode()

    def closed(self):
        """What comes until the end; the close frame's payload, or None if there was none."""
        code = None
        while (frame := self.frame()) is not None:
            if frame[0] == 0x88:
                code = frame[1]
                self.send(code[:2], 0x88)  # the other half; then the server hangs up
        return code

    def send(self, text, first=0x81):
        with contextlib.suppress(ConnectionError):  # who has ended it need not read on
            self.sock.sendall(self.framed(text, first))
        return self

    @staticmethod
    def framed(text, first=0x81):
        """The bytes of a frame."""
        data = text.encode() if isinstance(text, str) else text
        mask = secrets.token_bytes(4)
        n = len(data)
        head = bytes([first, 0x80 | n]) if n < 126 else struct.pack("!BBH", first, 0xfe, n) if n < 65536 else struct.pack("!BBQ", first, 0xff, n)
        long_mask = (mask * (n // 4 + 1))[:n]
        body = (int.from_bytes(data, "big") ^ int.from_bytes(long_mask, "big")).to_bytes(n, "big") if n else b""
        return head + mask + body

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def opened(stack, path=WEBSOCKET, headers=()):
    """A WebSocket that has said hello; (it, the hello)."""
    ws = WebSocket(stack, path, headers)
    assert ws.status == 101, ws.headers
    hello = ws.text()
    assert hello[0] == "0"
    return ws, json.loads(hello[1:])


def joined(stack, user):
    """One that is in the namespace as a user."""
    ws, _ = opened(stack)
    ws.send("40" + json.dumps({"token": user.token}))
    assert ws.text().startswith('40{"sid":"')
    return ws
