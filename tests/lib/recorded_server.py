# SPDX-License-Identifier: MIT
"""An HTTP server that answers with recorded bytes, in the pieces they came in."""

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

END = {
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "end"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"}],
    "openai-chat": [{"choices": [{"index": 0, "delta": {"content": "end"}, "finish_reason": "stop"}]}],
    "openai-responses": [
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "i", "role": "assistant", "content": []}},
        {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "end"},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [
            {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "end"}]}]}}],
    "gemini": [{"candidates": [{"content": {"parts": [{"text": "end"}], "role": "model"}, "finishReason": "STOP"}]}],
}


def end_stream(api):
    """A stream of that API that says "end"."""
    return "".join(f"data: {json.dumps(e)}\n\n" for e in END[api]).encode()


class RecordedServer:
    """queue holds (status, body, sizes of pieces or None, headers) of the answers to come; requests what was asked."""

    def __init__(self):
        self.queue, self.requests = [], []
        self.choose = None  # or what answers a path
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.requests.append((self.path, dict(self.headers), json.loads(body)))
                status, answer, sizes, headers = outer.queue.pop(0)
                answer = outer.choose(self.path) if outer.choose else answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in pieces(answer, sizes):
                    self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def answer(self, body, sizes=None, status=200, **headers):
        self.queue.append((status, body, sizes, {"content-type": "text/event-stream", **headers}))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def pieces(body, sizes):
    """As recorded, or at random."""
    at, sizes = 0, iter(sizes or [])
    while at < len(body):
        n = next(sizes, None) or random.randint(1, 4000)
        yield body[at:at + n]
        at += n
