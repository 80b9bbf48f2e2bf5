# SPDX-License-Identifier: MIT
"""An MCP server for tests: a program (python3 mcp_server.py), or behind HTTP as class Service has it. Standard library alone."""

import collections
import http.server
import json
import os
import queue
import sys
import threading

REVISION = "2025-06-18"
OBJECT = {"type": "object"}


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


class Server:
    """What is behind both. handle() is called with each message, and calls send for each of its own."""

    def __init__(self):
        self.tools = {name: OBJECT for name in ("add", "no", "slow", "deaf", "grow", "die", "mixed", "data", "refuse", "huge", "where", "bad name!")}
        self.tools["add"] = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}, "required": ["a"]}
        self.revision = REVISION
        self.seen, self.cancelled = [], {}
        self.broken_lists = 0

    def handle(self, message, send):
        self.seen.append(message)
        method, params = message.get("method"), message.get("params") or {}
        if method == "notifications/cancelled":
            self.cancelled.setdefault(params["requestId"], threading.Event()).set()
        if method is None or "id" not in message:
            return
        try:
            result = getattr(self, "on_" + method.replace("/", "_"))(params, message["id"], send)
        except AttributeError:
            send({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": f"no {method} here"}})
            return
        if result is not None:
            send({"jsonrpc": "2.0", "id": message["id"], **(result if "error" in result else {"result": result})})

    def on_initialize(self, params, _id, _send):
        self.client = params
        return {"protocolVersion": self.revision, "capabilities": {"tools": {"listChanged": True}, "resources": {}, "prompts": {}},
                "serverInfo": {"name": "test", "version": "1"}}

    def on_ping(self, *_):
        return {}

    def on_tools_list(self, params, _id, _send):
        at = int(params.get("cursor") or 0)
        names = sorted(self.tools)
        page = {"tools": [{"name": n, "description": f"Does {n}.", "inputSchema": self.tools[n], "annotations": {"readOnlyHint": True}}
                          for n in names[at:at + 5]]}
        return {**page, "nextCursor": str(at + 5)} if at + 5 < len(names) else page

    def on_resources_list(self, *_):
        return {"resources": [{"uri": "note://one", "name": "one"}]}

    def on_resources_read(self, params, *_):
        if params["uri"] != "note://one":
            return {"error": {"code": -32002, "message": "there is no such note"}}
        return {"contents": [{"uri": "note://one", "text": "the first note"}, {"uri": "note://one", "mimeType": "image/png", "blob": "AAAA"}]}

    def on_prompts_list(self, *_):
        return {"prompts": [{"name": "greet"}]}

    def on_prompts_get(self, params, *_):
        return {"messages": [{"role": "user", "content": {"type": "text", "text": f"Greet {params['arguments']['who']}."}}]}

    def on_tools_call(self, params, request, send):
        name, arguments = params["name"], params.get("arguments", {})
        return getattr(self, "tool_" + name)(arguments, request, send, (params.get("_meta") or {}).get("progressToken"))

    def tool_add(self, arguments, *_):
        return text(str(arguments["a"] + arguments.get("b", 0)))

    def tool_no(self, *_):
        return text("the shop is closed", isError=True)

    def tool_refuse(self, *_):
        return {"error": {"code": -32602, "message": "these arguments are wrong"}}

    def tool_data(self, *_):
        return {"content": [], "structuredContent": {"n": [1, 2]}}

    def tool_mixed(self, *_):
        return {"content": [{"type": "text", "text": "one"}, {"type": "image", "mimeType": "image/png", "data": "AAAA"},
                            {"type": "resource", "resource": {"uri": "x://y", "text": "inside"}},
                            {"type": "resource_link", "uri": "file:///z", "name": "z"}]}

    def tool_huge(self, *_):
        return text("ä" * 100000)

    def tool_where(self, *_):
        return text(json.dumps({"cwd": os.getcwd(), "env": sorted(os.environ)}))

    def tool_grow(self, _arguments, _request, send, _token):
        self.tools["new"] = OBJECT
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text("grown")

    def tool_new(self, *_):
        return text("brand new")

    def tool_die(self, *_):
        print("a last word", file=sys.stderr, flush=True)
        os._exit(9)

    def tool_deaf(self, *_):
        return None

    def tool_slow(self, _arguments, request, send, token):
        event = self.cancelled[request] = threading.Event()  # other sessions have the same ids
        for i in (1, 2):
            send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": i, "total": 3, "message": f"step {i}"}})
        send({"jsonrpc": "2.0", "id": "ask-1", "method": "sampling/createMessage", "params": {}})
        send({"jsonrpc": "2.0", "id": "ask-2", "method": "ping"})
        return None if event.wait(60) else text("late")


class Service:
    """The same by Streamable HTTP. mode: json, sse, cut (the stream is cut after an event and resumed)."""

    def __init__(self, mode="json", headers=None):
        self.server, self.mode, self.headers = Server(), mode, headers or {}
        self.sessions, self.requests, self.deleted, self.down, self.lost = set(), [], [], None, 0
        self.push, self.rest = collections.defaultdict(queue.Queue), {}  # by session; by id of the last event
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                service.post(self)

            def do_GET(self):
                service.get(self)

            def do_DELETE(self):
                service.deleted.append(self.headers.get("Mcp-Session-Id"))
                service.answer(self, 200)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/mcp"
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()

    def close(self):
        for waiting in list(self.push.values()):
            waiting.put(None)
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def answer(self, handler, status, body=b"", content_type="application/json", **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def admit(self, handler, message):
        """False, and an answer, if the request is not as it should be."""
        self.requests.append((message, handler.headers))
        if self.down:
            self.answer(handler, *self.down)
        elif any(handler.headers.get(k) != v for k, v in self.headers.items()):
            self.answer(handler, 401, b'{"error":"invalid_token"}')
        elif message is None or message.get("method") == "initialize":
            return True
        elif handler.headers.get("Mcp-Session-Id") not in self.sessions:
            self.lost += 1
            self.answer(handler, 404, b"no such session")
        elif handler.headers.get("MCP-Protocol-Version") != self.server.revision:
            self.answer(handler, 400, b"no revision")
        else:
            return True
        return False

    def post(self, handler):
        message = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        assert handler.headers["Accept"] == "application/json, text/event-stream"
        if not self.admit(handler, message):
            return
        said = []
        if "id" not in message or "method" not in message:
            self.server.handle(message, said.append)
            self.answer(handler, 202)
            return
        if message["method"] == "initialize":
            session = os.urandom(8).hex()
            self.sessions.add(session)
            self.server.handle(message, said.append)
            self.answer(handler, 200, json.dumps(said[0]).encode(), Mcp_Session_Id=session)
        elif self.mode == "json":
            self.server.handle(message, said.append)
            for other in said:
                if "method" in other:
                    self.push[handler.headers["Mcp-Session-Id"]].put(other)
            responses = [json.dumps(m).encode() for m in said if "method" not in m]
            self.answer(handler, 200 if responses else 202, *responses)
        else:
            self.stream(handler, message)

    def begin(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True

    def event(self, handler, message, event_id=None):
        line = f"id: {event_id}\n" if event_id else ""
        handler.wfile.write(f": hello\n{line}data: {json.dumps(message)}\n\n".encode())
        handler.wfile.flush()

    def stream(self, handler, message):
        self.begin(handler)
        if self.mode == "cut" and message["method"] == "tools/call":
            said = []
            self.server.handle(message, said.append)
            key = os.urandom(4).hex()
            self.rest[key] = said
            handler.wfile.write(f"retry: 10\nid: {key}\ndata:\n\n".encode())
            return
        try:
            self.server.handle(message, lambda m: self.event(handler, m))
        except OSError:
            pass  # the client has hung up

    def get(self, handler):
        if not self.admit(handler, None):
            return
        if handler.headers.get("Last-Event-ID") in self.rest:
            self.begin(handler)
            for message in self.rest.pop(handler.headers["Last-Event-ID"]):
                self.event(handler, message)
            return
        if self.mode == "cut":
            self.answer(handler, 405)
            return
        self.begin(handler)
        handler.wfile.write(b": here\n\n")
        handler.wfile.flush()
        while (message := self.push[handler.headers["Mcp-Session-Id"]].get()) is not None:
            self.event(handler, message)


def main():
    server, lock = Server(), threading.Lock()

    def send(message):
        with lock:
            print(json.dumps(message, ensure_ascii=False), flush=True)

    for line in sys.stdin:
        threading.Thread(target=server.handle, args=(json.loads(line), send), daemon=True).start()


if __name__ == "__main__":
    main()
