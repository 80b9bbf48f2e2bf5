# SPDX-License-Identifier: MIT
"""A collector of OpenTelemetry: takes OTLP over HTTP with JSON, and is strict about it."""

import http.server
import json
import re
import threading

SPAN_KEYS = {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"}


def value_of(value):
    """The plain value of an AnyValue."""
    (kind, v), = value.items()
    if kind == "stringValue":
        assert isinstance(v, str)
        return v
    if kind == "intValue":
        assert isinstance(v, str) and re.fullmatch(r"-?\d+", v), v  # an int64 is a text in JSON
        return int(v)
    assert kind == "arrayValue", kind
    return [value_of(one) for one in v["values"]]


def attributes_of(listed):
    out = {one["key"]: value_of(one["value"]) for one in listed}
    assert len(out) == len(listed), f"an attribute twice: {listed}"
    return out


class Span:
    def __init__(self, j):
        assert set(j) <= SPAN_KEYS, set(j) - SPAN_KEYS
        assert re.fullmatch("[0-9a-f]{32}", j["traceId"]) and re.fullmatch("[0-9a-f]{16}", j["spanId"])
        self.trace, self.id, self.parent, self.name, self.kind = j["traceId"], j["spanId"], j.get("parentSpanId"), j["name"], j["kind"]
        assert self.parent is None or re.fullmatch("[0-9a-f]{16}", self.parent)
        self.begin, self.end = int(j["startTimeUnixNano"]), int(j["endTimeUnixNano"])
        assert isinstance(j["startTimeUnixNano"], str) and self.begin <= self.end and 1.6e18 < self.begin < 4e18
        self.attributes = attributes_of(j["attributes"])
        self.failed = j.get("status", {}).get("code") == 2
        assert self.failed == ("error.type" in self.attributes)

    def __getitem__(self, key):
        return self.attributes[key]

    def __repr__(self):
        return f"<{self.name} {self.id} in {self.parent} {self.attributes}>"


class Collector:
    """status: what it answers, while that is set; hold: it answers nothing until that is set."""

    def __init__(self, port=0):
        self.spans, self.batches, self.refused, self.problems, self.resources = [], [], 0, [], []
        self.status, self.headers = 200, []
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                outer.hold.wait(30)
                status = outer.status
                try:
                    outer.take(self, raw, status)
                except Exception as e:
                    outer.problems.append(f"{e!r}: {raw[:2000]!r}")
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients leave

        self.server = Server(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.server.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def take(self, handler, raw, status):
        assert handler.path == "/v1/traces" and handler.headers["Content-Type"] == "application/json", handler.path
        self.headers.append(dict(handler.headers))
        body = json.loads(raw)
        if status != 200:
            self.refused += 1
            return
        found = []
        assert set(body) == {"resourceSpans"}
        for resource in body["resourceSpans"]:
            self.resources.append(attributes_of(resource["resource"]["attributes"]))
            for scope in resource["scopeSpans"]:
                assert scope["scope"]["name"] == "agent-fpm"
                found += [Span(one) for one in scope["spans"]]
        self.batches.append(len(found))
        self.spans += found

    def of(self, trace):
        return [s for s in list(self.spans) if s.trace == trace]

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
