# SPDX-License-Identifier: MIT
"""A site's own services: tools and hooks over HTTP that check what they are sent, as Standard Webhooks wants it."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time


class Webhooks:
    """Answers POSTs by path with functions of (body, request); each gives (status, value) or a value.

    A value is JSON, or bytes as they are. A signature that does not hold ends up in problems.
    """

    def __init__(self, secret):
        self.secret, self.paths = secret, {}
        self.requests, self.problems = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.answer(self, raw)

            def log_message(self, *_args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # clients leave

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def on(self, path):
        """A decorator: the function answers this path."""
        def keep(function):
            self.paths[path] = function
            return function
        return keep

    def check(self, headers, raw):
        said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        mac = base64.b64encode(hmac.new(self.secret, said, hashlib.sha256).digest()).decode()
        if headers["webhook-signature"] != f"v1,{mac}":
            self.problems.append(f"signature {headers['webhook-signature']} of {headers['webhook-id']}")
        if abs(time.time() - int(headers["webhook-timestamp"])) > 60:
            self.problems.append(f"timestamp {headers['webhook-timestamp']}")
        if headers["idempotency-key"] != headers["webhook-id"] or headers["content-type"] != "application/json":
            self.problems.append(f"headers {dict(headers)}")

    def answer(self, handler, raw):
        self.check(handler.headers, raw)
        body = json.loads(raw)
        request = {"path": handler.path, "headers": dict(handler.headers), "body": body, "ended": False}
        self.requests.append(request)
        got = self.paths.get(handler.path.split("?")[0], lambda *_: (404, {"error": "no such tool here"}))(body, request)
        status, value = got if isinstance(got, tuple) else (200, got)
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "text/plain" if isinstance(value, bytes) else "application/json")
        handler.send_header("Content-Length", str(len(data)))
        if status // 100 == 3:
            handler.send_header("Location", f"{self.url}/elsewhere")
        handler.end_headers()
        handler.wfile.write(data)
        request["ended"] = True

    def calls(self, path):
        return [r for r in self.requests if r["path"].split("?")[0] == path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        assert not self.problems, self.problems
