# SPDX-License-Identifier: MIT
"""A page that a user has open: a client of AgentBridge, by Debian's python3-websockets.

    with Page(stack, ann, [function("add")], lambda command: command["parameters"]["a"] + 1) as page:
        assert page.id in ann.get("/api/capabilities").json

It says what it can do when it was told its id, and answers commands in a thread. What its function returns is the result; it raises
Refused for an error, and returns NEVER to say nothing. dialect "B2" is the SDK's.
"""

import asyncio
import contextlib
import json
import threading

import websockets
from fake_gateway import NEVER, Refused
from stack import wait_for
from waiting import scaled

PATH = "/agent-bridge"


class Page:
    def __init__(self, stack, user=None, capabilities=None, answer=None, dialect="B1", path=PATH, query=None, headers=None, gateway=None, **options):
        self.stack, self.user, self.answer, self.dialect = stack, user, answer, dialect
        self.id, self.code, self.reason = None, None, None
        self.got = []  # every message
        self.commands = []  # those that ask for something
        self._options = {"ping_interval": None, "open_timeout": scaled(10), "close_timeout": scaled(5), **options}
        if query is None:
            query = f"?token={user.token}" if user is not None else ""
        if gateway is not None:
            self._options |= {"path": gateway.socket}
        self._url = f"ws://127.0.0.1:{stack.http_port}{path}{query}"
        self._headers, self._capabilities = headers or {}, capabilities
        self.failure = None
        self.ws = None
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(scaled(15)), "no connection"
        if isinstance(self.failure, Exception) and self.ws is None:
            raise self.failure

    def _run(self):
        try:
            self._loop.run_until_complete(self._talk())
        except Exception as e:
            self.failure = e
        finally:
            self._up.set()
            self._loop.close()

    async def _talk(self):
        options = dict(self._options)
        how = websockets.unix_connect(options.pop("path"), self._url, extra_headers=self._headers, **options) if "path" in options else \
            websockets.connect(self._url, extra_headers=self._headers, **options)
        async with how as self.ws:
            self._up.set()
            with contextlib.suppress(websockets.ConnectionClosed):
                async for text in self.ws:
                    await self._take(json.loads(text))
            self.code, self.reason = self.ws.close_code, self.ws.close_reason

    async def _take(self, message):
        kind = message.get("type")
        is_command = kind in ("command", "call_function", "call_component_action", "update_component")
        if kind == "connection":
            self.id = message["clientId"]
        if is_command:
            self.commands.append(message)
        self.got.append(message)  # who hears of the answer finds it there
        if kind == "connection" and self._capabilities is not None:
            await self.ws.send(json.dumps(self.saying(self._capabilities)))
        if is_command and self.answer is not None:
            await self._answer(message)

    async def _answer(self, message):
        try:
            result = self.answer(message)
            if result is not NEVER:
                await self.ws.send(json.dumps(self.result(message, result)))
        except Refused as refused:
            await self.ws.send(json.dumps(self.result(message, error=refused.error)))

    # -- what it says

    def saying(self, capabilities):
        if self.dialect == "B1":
            return {"type": "capability", "capabilities": capabilities}
        return {"type": "register_capabilities", "id": "m1", "timestamp": "2026-01-01T00:00:00.000Z", "sessionId": "s1", **capabilities}

    def result(self, message, result=None, error=None):
        """The message that answers a command."""
        if message["type"] == "command":
            outcome = {"status": "success", "result": result} if error is None else {"status": "error", "error": error}
            return {"type": "response", "requestId": message["requestId"], **outcome}
        kind = {"call_function": "function_result", "call_component_action": "component_action_result",
                "update_component": "component_update_result"}[message["type"]]
        outcome = {"success": True, "data": result} if error is None else {"success": False, "error": error}
        return {"type": kind, "id": "m2", "timestamp": "2026-01-01T00:00:00.000Z", "sessionId": "s1", "correlationId": message["id"], **outcome}

    def say(self, message):
        text = message if isinstance(message, (str, bytes)) else json.dumps(message)
        asyncio.run_coroutine_threadsafe(self.ws.send(text), self._loop).result(scaled(10))
        return self

    def is_heard(self):
        """What it has said is read: a ping is answered after that."""
        async def ping():
            await (await self.ws.ping())
        asyncio.run_coroutine_threadsafe(ping(), self._loop).result(scaled(10))

    def can(self, capabilities):
        """It can do this, from now on, and everybody knows."""
        self.say(self.saying(capabilities))
        return self

    # -- what it hears

    def wait(self, kind, count=1):
        """The count-th message of a type."""
        wait_for(lambda: len([m for m in self.got if m["type"] == kind]) >= count or self.code is not None, 10, lambda: f"no {kind}: {self.got}")
        found = [m for m in self.got if m["type"] == kind]
        assert len(found) >= count, (self.got, self.code)
        return found[count - 1]

    def wait_command(self, count=1):
        wait_for(lambda: len(self.commands) >= count, 10, lambda: f"it was not asked: {self.got}")
        return self.commands[count - 1]

    def wait_closed(self, seconds=10):
        """(code, reason); 1006: there was no close frame."""
        self._thread.join(scaled(seconds))
        assert not self._thread.is_alive(), f"it is still open: {self.got}"
        return self.code, self.reason

    def ready(self):
        """Waits until it knows its id and all know what it can do."""
        self.wait("connection")
        if self._capabilities is not None and self.user is not None:
            wait_for(lambda: self.id in self.user.get("/api/capabilities").json, 10, "nobody knows what it can do")
        return self

    def close(self):
        if self._thread.is_alive():
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(self.ws.close(), self._loop).result(scaled(10))
        self._thread.join(scaled(10))

    def abort(self):
        """The TCP connection goes, without a word."""
        self._loop.call_soon_threadsafe(self.ws.transport.abort)
        self._thread.join(scaled(10))

    def __enter__(self):
        return self.ready()

    def __exit__(self, *_exc):
        self.close()
