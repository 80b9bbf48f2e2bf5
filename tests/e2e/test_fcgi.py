# SPDX-License-Identifier: MIT
"""FastCGI towards a peer that is not our nginx: one that keeps connections, one that is slow, one that talks nonsense."""

import json
import os
import socket

from stack import Fcgi, User, scaled, wait_for, words


def frames(response):
    return [json.loads(line[6:]) for line in response.body.decode().split("\n") if line.startswith("data: ")]


def test_a_short_request_on_a_connection_to_be_kept(site, user):
    """FCGI_KEEP_CONN: the answer is whole and END_REQUEST says so."""
    with Fcgi(site.fcgi_path, keep=True) as peer:
        peer.send(site.fcgi_params("GET", "/api/agents", user))
        response = peer.read_to_end().response()
        assert peer.end == (0, 0)
    assert response.status == 200 and response.json == {"agents": []}


def test_two_requests_on_one_connection(site, user):
    """A peer that keeps the connection uses it again, or finds it closed between requests, not within."""
    with Fcgi(site.fcgi_path, keep=True) as peer:
        for n in (1, 2):
            peer.stdout, peer.end = b"", None
            try:
                peer.send(site.fcgi_params("GET", "/live"), request=n)
            except BrokenPipeError:
                assert n == 2
                break
            peer.read_to_end()
            if n == 2 and not peer.stdout:
                break
            assert peer.response().status == 200 and peer.end == (0, 0)


def test_a_detached_stream_on_a_connection_to_be_kept(site, agent):
    """A stream's records are written by the hub: STDOUT as it comes, then its end, and END_REQUEST."""
    body = b'{"message":"slow 8"}'
    for keep in (True, False):
        with Fcgi(site.fcgi_path, keep) as peer:
            peer.send(site.fcgi_params("POST", f"{agent.path}/chat", agent.user, body), body, request=7)
            kinds = []
            while peer.end is None:
                record = peer.read_record()
                assert record is not None, "the connection ended before END_REQUEST"
                kind, request, data = record
                assert request == 7
                kinds.append((kind, len(data)))
            assert peer.end == (0, 0)
            assert peer.read_record() is None, "a detached connection is closed after its stream"
        assert kinds[-2] == (Fcgi.STDOUT, 0) and len(kinds) > 8
        response = peer.response()
        assert response.status == 200 and response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "".join(f["text"] for f in frames(response) if f["kind"] == "text_chunk") == words(8)


def test_a_body_in_pieces(site, user):
    """Parameters and body in many small records, split anywhere."""
    body = json.dumps({"name": "pieces", "systemPrompt": "x" * 5000}).encode()
    with Fcgi(site.fcgi_path) as peer:
        params = peer.pairs(site.fcgi_params("POST", "/api/agents", user, body))
        out = peer.record(peer.BEGIN, 1, b"\0\1\1\0\0\0\0\0")
        out += b"".join(peer.record(peer.PARAMS, 1, params[i:i + 7]) for i in range(0, len(params), 7)) + peer.record(peer.PARAMS, 1)
        out += b"".join(peer.record(peer.STDIN, 1, body[i:i + 11]) for i in range(0, len(body), 11)) + peer.record(peer.STDIN, 1)
        for i in range(0, len(out), 997):
            peer.sock.sendall(out[i:i + 997])
        assert peer.read_to_end().response().status == 201


def test_a_body_that_is_longer_or_shorter_than_it_said(site, user):
    """CONTENT_LENGTH and what came disagree: refused, or read as it came; never a hang."""
    body = b'{"name":"x"}'
    for length in ("5", "500", "nonsense", "-1"):
        with Fcgi(site.fcgi_path, keep=False) as peer:
            peer.send(site.fcgi_params("POST", "/api/agents", user, body, CONTENT_LENGTH=length), body)
            peer.read_to_end()
            assert peer.end is not None and peer.response().status in (201, 400, 411, 413), peer.stdout


def test_mute_peers_stall_nobody(stack_factory):
    """More silent connections than there are request threads: the others are served all the same."""
    stack = stack_factory(workers=1, without_nginx=True, conf={"request_threads": 4})
    user = User(stack, "ann")
    peers = [Fcgi(stack.fcgi_path) for _ in range(3)]
    half = [Fcgi(stack.fcgi_path) for _ in range(3)]
    for peer in half:
        peer.sock.sendall(peer.record(peer.BEGIN, 1, b"\0\1\0\0\0\0\0\0")[:5])
    try:
        for _ in range(5):
            assert stack.fcgi("GET", "/api/agents", user).status == 200
    finally:
        for peer in peers + half:
            peer.close()


def test_garbage_does_not_take_the_pool_down(stack_factory):
    """Bytes that are no FastCGI may cost a worker, not the pool: a chat goes on and new ones work."""
    stack = stack_factory(workers=2)
    agent = stack.user().agent()
    sent = agent.say("slow 30")
    with agent.follow() as view:
        view.has("w2 ")
        for n in range(12):
            with Fcgi(stack.fcgi_path) as peer:
                junk = os.urandom(200) if n % 3 else b"GET / HTTP/1.1\r\n\r\n" * 20 if n % 2 else b"\1\4\0\1\xff\xff\xff\0" + b"\xff" * 300
                try:
                    peer.sock.sendall(junk)
                    peer.sock.shutdown(socket.SHUT_WR)
                    peer.sock.settimeout(scaled(0.2))
                    peer.sock.recv(4096)
                except OSError:
                    pass
        view.wait(sent["turn"], seconds=30)
    assert view.text() == words(30)
    wait_for(lambda: len(stack.workers()) == 2 and stack.is_ready(), 15)
    assert stack.user().agent().answer("hello") == "echo: hello"


def test_peers_that_leave_at_once(stack_factory):
    """Connections that close before, in and after a request leave nothing behind: no thread, no descriptor."""
    stack = stack_factory(workers=1, without_nginx=True, conf={"store.connections": 1})
    user = User(stack, "ann")
    assert stack.fcgi("GET", "/api/agents", user).status == 200
    pid, = stack.workers()

    def descriptors():
        return len(os.listdir(f"/proc/{pid}/fd"))

    params = stack.fcgi_params("GET", "/api/agents", user)

    def leave(times):
        for n in range(times):
            with Fcgi(stack.fcgi_path) as peer:
                if n % 3 == 1:
                    peer.send(params)
                elif n % 3 == 2:
                    peer.sock.sendall(peer.record(peer.BEGIN, 1, b"\0\1\0\0\0\0\0\0"))

    leave(30)
    assert stack.fcgi("GET", "/api/agents", user).status == 200
    before = descriptors()
    leave(300)
    wait_for(lambda: descriptors() <= before + 2, 10, lambda: f"{descriptors()} descriptors, {before} before")
    assert stack.workers() == [pid]
    assert stack.fcgi("GET", "/api/agents", user).status == 200
