# SPDX-License-Identifier: MIT
"""WebSockets as RFC 6455 has them, on both paths of the gateway: what Autobahn's suite tries that a library may leave to its user."""

import contextlib
import json
import struct

import pytest
from engine import WEBSOCKET, WebSocket, joined
from stack import Stack
from waiting import scaled

PROTOCOL_ERROR, BAD_DATA, TOO_LARGE = 1002, 1007, 1009


class Agent:
    """A connection of AgentBridge that is let in, and asks what pages can do."""

    @staticmethod
    def open(stack, user):
        ws = WebSocket(stack, f"/agent-bridge?token={user.token}")
        assert json.loads(ws.text())["type"] == "connection"
        return ws

    @staticmethod
    def message(filling=""):
        return json.dumps({"type": "query_capabilities", "id": "x" + filling}, ensure_ascii=False)

    @staticmethod
    def is_answer(text, filling=""):
        return json.loads(text)["correlationId"] == "x" + filling


class Socket:
    """One of Socket.IO, which asks for a namespace that there is not."""

    @staticmethod
    def open(stack, user):
        return joined(stack, user)

    @staticmethod
    def message(filling=""):
        return "40/€x," + json.dumps({"a": filling}, ensure_ascii=False)

    @staticmethod
    def is_answer(text, filling=""):
        return text == '44/€x,{"message":"Invalid namespace"}'


@pytest.fixture(scope="module")
def stack():
    stack = Stack(workers=1, bridges=1, conf={"bridge.max_payload": "200000"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture(params=[Agent, Socket])
def kind(request):
    return request.param


@pytest.fixture
def ws(stack, kind):
    with kind.open(stack, stack.user()) as ws:
        ws.sock.settimeout(scaled(10))
        yield ws


def code(ws):
    """The close frame's code; None: it went without one."""
    while (frame := ws.frame()) is not None:
        if frame[0] == 0x88:
            return int.from_bytes(frame[1][:2], "big")
    return None


@pytest.mark.parametrize("size", [0, 90, 125, 126, 127, 128, 1023, 1024, 1025, 65500, 65535, 65536, 150000])
def test_sizes(ws, kind, size):
    """Each form of the length, on both sides of libwebsockets' buffer."""
    filling = "é" * (size // 2) if size % 2 == 0 else "x" * size
    assert kind.is_answer(ws.send(kind.message(filling)).text(), filling)


@pytest.mark.parametrize("piece", [1, 7, 1024])
def test_fragments(ws, kind, piece):
    """Cut anywhere, within a character too, with empty ones and pings between: one message."""
    filling = "é" * 300
    data = kind.message(filling).encode()
    pieces = [data[i:i + piece] for i in range(0, len(data), piece)] + [b""]
    pings = min(len(pieces), 5)
    for n, part in enumerate(pieces):
        if n < pings:
            assert ws.send(b"%d" % n, 0x89).frame() == (0x8a, b"%d" % n)
        ws.send(part, (0x01 if n == 0 else 0x00) | (0x80 if n == len(pieces) - 1 else 0))
    assert kind.is_answer(ws.text(), filling)


def test_bytes_one_by_one(ws, kind):
    """A frame that comes a byte at a time."""
    data = kind.message().encode()
    for byte in bytes([0x81, 0x80 | len(data)]) + b"\0\0\0\0" + data:
        ws.sock.sendall(bytes([byte]))
    assert kind.is_answer(ws.text())


@pytest.mark.parametrize("payload", [b"", b"hello", b"\0\xff\xfe", b"x" * 125])
def test_pings(ws, kind, payload):
    assert ws.send(payload, 0x89).frame() == (0x8a, payload)
    for _ in range(2):
        ws.send(payload, 0x8a)  # a pong that nobody asked for
        assert kind.is_answer(ws.send(kind.message()).text())


@pytest.mark.parametrize("first", [0xc1, 0xa1, 0x91, 0xf1, 0xc9, *(0x80 | n for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15))])
def test_reserved(ws, first):
    """Bits and opcodes that mean nothing: the end."""
    assert code(ws.send("x", first)) == PROTOCOL_ERROR


@pytest.mark.parametrize("frames_sent", [
    [("x", 0x80)], [("x", 0x00), ("y", 0x80)], [("x", 0x01), ("y", 0x81)], [("x", 0x01), ("y", 0x80), ("z", 0x80)], [("x", 0x09), ("y", 0x80)],
    [("", 0x08), ("", 0x80)]])
def test_fragments_out_of_order(ws, frames_sent):
    """A continuation of nothing, a message within another, control frames in pieces."""
    for text, first in frames_sent:
        ws.send(text, first)
    assert code(ws) in (PROTOCOL_ERROR, None)


@pytest.mark.parametrize("first", [0x88, 0x89, 0x8a])
def test_control_frames_that_are_too_long(ws, first):
    assert code(ws.send(b"\x03\xe8" + b"x" * 124, first)) in (PROTOCOL_ERROR, None)


@pytest.mark.parametrize("parts", [
    [b"\xe2\x82"], [b"\xe2\x28\xa1"], [b"\xed\xa0\x80"], [b"\xc0\xaf"], [b"\xf4\x90\x80\x80"], [b"\xff"], [b"\xe2\x82", b"\x28"], [b"ok", b"\x80"],
    [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", b"\xf4\x90\x80\x80edited"]])
def test_bad_utf8(ws, parts):
    """Cut, overlong, a surrogate, beyond Unicode; in one frame or over several."""
    for n, part in enumerate(parts):
        ws.send(part, (0x01 if n == 0 else 0x00) | (0x80 if n == len(parts) - 1 else 0))
    assert code(ws) == BAD_DATA


@pytest.mark.parametrize("said", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_close_codes(ws, said):
    """What closes it is answered with the same; what comes behind it is not heard."""
    ws.send(struct.pack("!H", said) + "so €".encode(), 0x88).send("x", 0x89).send("{}")
    assert ws.frame() == (0x88, struct.pack("!H", said) + "so €".encode()) and ws.frame() is None


@pytest.mark.parametrize("said", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_close_codes_that_may_not_be(ws, said):
    assert code(ws.send(struct.pack("!H", said), 0x88)) == PROTOCOL_ERROR


def test_close_without_a_code(ws):
    ws.send(b"", 0x88)
    assert ws.frame() == (0x88, b"") and ws.frame() is None


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xe8\xed\xa0\x80"])
def test_bad_close_frames(ws, payload):
    """Half a code, a reason that is no text."""
    assert code(ws.send(payload, 0x88)) == (PROTOCOL_ERROR if len(payload) == 1 else BAD_DATA)


def test_too_large(ws, kind):
    """In one frame or many: 1009, before all of it is there."""
    with contextlib.suppress(OSError):
        ws.send("x" * 200001)
    assert code(ws) == TOO_LARGE


def test_too_large_in_fragments(ws):
    for n in range(30):
        ws.send("x" * 10000, 0x01 if n == 0 else 0x00)
    assert code(ws) == TOO_LARGE


def test_a_length_with_its_highest_bit(ws):
    ws.sock.sendall(bytes([0x81, 0xff]) + b"\xff" * 8 + b"\0\0\0\0")
    assert code(ws) in (PROTOCOL_ERROR, None)


def test_others_are_served(stack, kind, ws):
    """While one sends a frame that never ends."""
    ws.sock.sendall(bytes([0x81, 0xff]) + struct.pack("!Q", 1 << 40) + b"\0\0\0\0" + b"x" * 1000)
    with kind.open(stack, stack.user()) as other:
        assert kind.is_answer(other.send(kind.message()).text())


@pytest.mark.parametrize("path", [WEBSOCKET, "/agent-bridge"])
def test_other_versions(stack, path):
    """Of the protocol: none but 13, and 8, whose frames are the same."""
    for version in ("", "0", "7", "12", "14", "x"):
        with WebSocket(stack, path, version=version) as ws:
            assert ws.status == 426 and ws.headers["sec-websocket-version"] == "13"
    with WebSocket(stack, path, version="8") as ws:
        assert ws.status == 101
