# SPDX-License-Identifier: MIT
"""A gateway for tests, without pages: it writes to Redis that some are open and answers commands for them, as docs/bridge.md has it.

    with Gateway(stack) as gateway:
        page = gateway.page(ann, [function("add", "Adds.", add_schema)], lambda command: command["parameters"]["a"] + 1)

What a page's function returns is its result. It raises Refused for an error of the page's, and returns NEVER to say nothing.
"""

import json
import secrets
import threading
import uuid

import redis

from stack import wait_for
from waiting import scaled

NEVER = object()


class Refused(Exception):
    def __init__(self, code=None, message=None):
        super().__init__(message)
        self.error = {k: v for k, v in (("code", code), ("message", message)) if v is not None}


def function(name, description="", parameters=None):
    """A capability, in the form of dialect B1."""
    return {"type": "function", "name": name, "description": description, **({} if parameters is None else {"parameters": parameters})}


def user_part(name):
    return "".join(c if c.isalnum() and c.isascii() or c in "._@-" else "".join(f"%{b:02X}" for b in c.encode()) for c in name)


class Page:
    def __init__(self, gateway, user, capabilities, answer, dialect):
        self.gateway, self.user, self.answer, self.dialect = gateway, user.name, answer, dialect
        self.id = str(uuid.uuid4())
        self.commands = []  # messages that came for it
        self.cancelled = []  # ids of requests
        base = f"{gateway.prefix}user:{user_part(self.user)}"
        self.set, self.key = f"{base}:pages", f"{base}:page:{self.id}"
        self.say(capabilities)

    def say(self, capabilities, seconds=90):
        """What it can do, from now on; None: not said. It is forgotten after that time."""
        r = self.gateway.redis
        now = r.time()
        now = now[0] * 1000 + now[1] // 1000
        fields = {"server": self.gateway.id, "since": max(now, self.gateway.since + 1), "dialect": self.dialect}
        self.gateway.since = fields["since"]  # no two at once
        if capabilities is not None:
            fields["capabilities"] = capabilities if isinstance(capabilities, str) else json.dumps(capabilities)
        with r.pipeline() as p:
            p.delete(self.key)
            p.hset(self.key, mapping=fields)
            p.pexpire(self.key, int(seconds * 1000))
            p.zadd(self.set, {self.id: now + int(seconds * 1000)})
            p.execute()

    def close(self):
        """It went: what it has not answered fails."""
        self.gateway.redis.delete(self.key)
        self.gateway.redis.zrem(self.set, self.id)
        for message in self.commands:
            if not message.get("answered"):
                self.gateway.fail(message, "CLIENT_GONE", "Client disconnected")

    def wait_command(self, count=1):
        """The count-th command, when it came."""
        wait_for(lambda: len(self.commands) >= count, 10, lambda: f"the page was not asked: {self.commands}")
        return self.commands[count - 1]


class Gateway(threading.Thread):
    def __init__(self, stack):
        super().__init__(daemon=True)
        self.id, self.prefix = f"gw-{secrets.token_hex(6)}", stack.conf.get("store.prefix", "af:")
        self.redis = redis.Redis(unix_socket_path=stack.redis_path, password=stack.redis_password, socket_timeout=scaled(5))
        self.pages = {}
        self.since = 0
        self.failures = []
        self._ending = False
        self._heard = self.redis.pubsub()
        self._heard.subscribe(f"{self.prefix}bridge:{self.id}")
        wait_for(lambda: self._heard.get_message(timeout=0.05), 5, "no subscription")
        self.start()

    def page(self, user, capabilities, answer=None, dialect="B1"):
        page = Page(self, user, capabilities, answer, dialect)
        self.pages[page.id] = page
        return page

    def run(self):
        while not self._ending:
            got = self._heard.get_message(timeout=0.05)
            if got is None or got["type"] != "message":
                continue
            message = json.loads(got["data"])
            if message["type"] == "cancel":
                for page in self.pages.values():
                    page.cancelled += [message["requestId"] for m in page.commands if m["requestId"] == message["requestId"]]
                continue
            try:
                self._take(message)
            except Exception as e:
                self.failures.append(repr(e))

    def _take(self, message):
        page = self.pages.get(message["clientId"])
        if page is None or page.user != message["user"]:
            self.fail(message, "NOT_FOUND", "Client not found")
            return
        try:
            result = page.answer(message["command"]) if page.answer else None
        except Refused as refused:
            page.commands.append(message)
            self.say(message, {"status": "error", "error": refused.error})
            return
        page.commands.append(message)
        if result is not NEVER:
            self.say(message, {"status": "success", "result": result})

    def say(self, message, answer, client=None):
        """Publishes an answer; how many heard it."""
        message["answered"] = True
        text = json.dumps({"clientId": client or message["clientId"], **answer})
        return self.redis.publish(message["replyTo"], f"page {message['requestId']} {text}")

    def fail(self, message, code, text):
        return self.say(message, {"status": "error", "error": {"code": code, "message": text}})

    def close(self):
        """It dies: nobody hears its channel, its pages stay in Redis."""
        if self._ending:
            return
        self._ending = True
        self.join(scaled(5))
        self._heard.close()
        assert not self.failures, self.failures

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()
        self.redis.close()
