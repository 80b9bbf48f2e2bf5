# SPDX-License-Identifier: MIT
"""Clients of sessions over Socket.IO, and what they cannot cope with.

View is what one connection was told of one session. It knows how the three kinds of clients keep their state and fails where one
of them would go wrong: a block that is complete twice, two that stream at once, an update of nothing. Viewer is a client with a
connection that it makes again by itself, as they do: it asks REST, joins, and asks once more.
"""

import json
import threading
import time

from engine import WebSocket, opened
from waiting import scaled, wait_for

STREAMED = ("assistant_text", "thinking")
TIMES = ("timestamp",)


def plain(block):
    """What must be the same wherever a block comes from."""
    return {k: v for k, v in block.items() if k not in TIMES}


class Talk:
    """A conversation, as clients of the first dialect keep it."""

    def __init__(self):
        self.open, self.text, self.fresh, self.user = None, "", False, None
        self.begun, self.blocks, self.over = set(), {}, False
        self.later = {}  # as those of the third one keep it


class View:
    def __init__(self, session, had=(), late=False):
        self.session, self.had, self.late = session, set(had), late
        self.talks = {"main": Talk()}
        self.errors, self.failed, self.queries, self.told = [], 0, 0, []
        self.s4 = 0
        self.later_runtime = {}
        self.runtime, self.files, self.options, self.metadata, self.lists = None, {}, None, {}, 0

    def take(self, event, payload):
        self.told.append((event, payload))
        try:
            self._take(event, payload)
        except AssertionError as e:
            trace = "\n".join(json.dumps(t)[:300] for t in self.told[-12:])
            raise AssertionError(f"{e} at {event}; the last that was told:\n{trace}") from None

    def _take(self, event, payload):
        if event == "sessions:list":
            assert isinstance(payload, list)
            self.lists += 1
        elif payload["sessionId"] == self.session if event != "session:event" else payload["context"]["sessionId"] == self.session:
            getattr(self, "_" + event.replace(":", "_"))(payload)

    def talk(self, payload):
        conversation = payload["conversationId"]
        assert conversation in self.talks or self.late, f"conversation {conversation} is not known"
        return self.talks.setdefault(conversation, Talk())

    # ---- the first dialect

    def _session_block_start(self, p):
        talk, block = self.talk(p), p["block"]
        assert talk.user is None and not talk.over
        assert block["id"] not in talk.blocks, "it begins, and is complete"
        if talk.open not in (None, block["id"]):
            assert talk.fresh and block["type"] in STREAMED, "two blocks stream"
        if block["type"] in STREAMED:
            assert block["content"] == ""
            talk.fresh = talk.open is not None or block["id"] in talk.begun
            talk.open, talk.text = block["id"], ""
        else:
            assert block["id"] not in talk.begun
        if block["type"] == "tool_use":
            assert (block["status"], block["input"]) == ("pending", {})
        if block["type"] == "user_message":
            talk.user = block["id"]
        talk.begun.add(block["id"])

    def _session_block_delta(self, p):
        talk = self.talk(p)
        assert talk.user is None and talk.open == p["blockId"] and p["delta"], "a delta of what does not stream"
        talk.text += p["delta"]
        talk.fresh = False

    def _session_block_complete(self, p):
        talk, block = self.talk(p), p["block"]
        assert p["blockId"] == block["id"]
        assert block["id"] not in talk.blocks, "complete twice"
        assert block["id"] not in self.had, "complete again: REST had it before this one joined"
        assert not talk.over
        if block["type"] in STREAMED:
            assert talk.open == block["id"] and block["content"] == talk.text, (talk.open, talk.text)
            talk.open = None
        else:
            assert talk.open is None, "it clears what streams"
        assert talk.user in (None, block["id"])
        if block["type"] == "user_message":
            assert talk.user == block["id"]
        talk.user = None
        if block["type"] == "tool_use":
            assert block["id"] in talk.begun and block["toolUseId"] == block["id"] and block["status"] == "running"
        if block["type"] == "tool_result":
            use = talk.blocks.get(block["toolUseId"])
            assert self.late if use is None else use["status"] in ("success", "error"), "a result of a call that runs"
        talk.blocks[block["id"]] = dict(block)

    def _session_block_update(self, p):
        block = self.talk(p).blocks.get(p["blockId"])
        assert block is not None or self.late, "an update of nothing"
        if block is not None:
            block.update(p["updates"])

    def _session_metadata_update(self, p):
        usage = p["metadata"]["usage"]
        assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
        self.metadata.update(p["metadata"])

    def _session_subagent_discovered(self, p):
        assert p["subagent"]["id"] not in self.talks or self.late
        self.talks[p["subagent"]["id"]] = Talk()

    def _session_subagent_completed(self, p):
        talk = self.talk({"conversationId": p["subagentId"]})
        assert not talk.over and talk.open is None and p["status"] in ("completed", "failed")
        talk.over = True

    def _session_status(self, p):
        self.runtime = p["runtime"]

    def _session_options_update(self, p):
        self.options = p["options"]

    def _session_file_created(self, p):
        self.files[p["file"]["path"]] = p["file"].get("content")

    _session_file_modified = _session_file_created

    def _session_file_deleted(self, p):
        self.files.pop(p["path"], None)

    def _error(self, p):
        self.errors.append(p)

    # ---- the one of documents

    def _stream_event(self, p):
        self.s4 += p["event"]["type"] == "block_complete"

    # ---- the third one

    def _session_event(self, p):
        kind, payload, context = p["type"], p["payload"], p["context"]
        assert context["source"] in ("runner", "server") and context["timestamp"][-5] == "." and kind != "error"
        if kind == "block:upsert":
            self._upsert(self.talk(context), payload["block"])
        elif kind == "block:delta":
            block = self.talk(context).later.get(payload["blockId"])
            assert block is not None
            block["content"] += payload["delta"]
        elif kind == "status":
            self.later_runtime = payload["runtime"]
        elif kind == "subagent:spawned":
            self.talks.setdefault(payload["toolUseId"], Talk())
        elif kind in ("query:started", "query:completed", "query:failed"):
            self.queries += 1 if kind == "query:started" else -1
            self.failed += kind == "query:failed"
            assert self.late or self.queries in (0, 1)

    def _upsert(self, talk, block):
        assert block["status"] in ("pending", "complete", "error")
        if block["type"] == "user_message":
            assert block["id"] not in talk.later and block["status"] == "complete", "it would be there twice"
        talk.later.setdefault(block["id"], {}).update(block)

    # ---- at the end

    def blocks(self, conversation="main"):
        return list(self.talks[conversation].blocks.values())

    def is_idle(self):
        for talk in self.talks.values():
            assert talk.open is None and talk.user is None, "something streams still"
        assert self.s4 == sum(len(t.blocks) for t in self.talks.values())
        assert self.failed == len(self.errors)
        assert self.late or self.queries == 0

    def agrees(self, whole):
        """What was told is what REST has, once and in order; of one that has been there from the first on, all of it."""
        self.is_idle()
        theirs = {"main": whole["blocks"], **{s["id"]: s["blocks"] for s in whole["subagents"]}}
        later = {"main": whole["conversationState"]["blocks"], **{s["toolUseId"]: s["blocks"] for s in whole["conversationState"]["subagents"]}}
        assert self.late or set(self.talks) == set(theirs)
        for name, talk in self.talks.items():
            mine = [plain(b) for b in talk.blocks.values()]
            want = [plain(b) for b in theirs[name] if not self.late or b["id"] in talk.blocks]
            # What was shown of an answer that failed is in no history.
            mine = [b for b in mine if b["id"] in {w["id"] for w in want} or b.get("content") != ""]
            assert mine == want, f"{name}: told\n{json.dumps(mine, indent=1)}\nREST\n{json.dumps(want, indent=1)}"
            for block in later[name]:
                if block["type"] == "subagent":
                    continue  # that its clients make themselves
                told = talk.later.get(block["id"])
                assert told is not None or self.late, block
                if told is not None:
                    content = "content" if block["type"] != "tool_result" else "output"
                    assert (told["type"], told["status"], told.get(content)) == (block["type"], block["status"], block.get(content))


class Viewer(threading.Thread):
    """A client with a socket that it makes again by itself, of a gateway; views are what each of its connections was told."""

    def __init__(self, front, session, bridge=None):
        super().__init__(daemon=True)
        self.front, self.session, self.bridge = front, session, bridge
        self.views, self.wholes, self.failure, self.ws = [], [], None, None
        self._news, self._ended, self._acks, self._buffer = threading.Condition(), False, 0, []
        self.start()
        self.wait(lambda: self.views, "it does not come to join")

    @property
    def view(self):
        return self.views[-1]

    def run(self):
        while not self._ended:
            try:
                self._connect()
                while not self._ended:
                    self._read()
            except AssertionError as e:
                self._fail(e)
                return
            except (OSError, TypeError, EOFError):
                time.sleep(0.01)  # the connection has gone: again

    def _fail(self, e):
        if self._ended:
            return
        with self._news:
            self.failure = e
            self._news.notify_all()

    def _whole(self):
        """What REST has of the session; None while it is away."""
        try:
            got = self.front.get(f"/api/sessions/{self.session}")
        except OSError:
            return None
        return got.json if got.status == 200 else None

    def _rest(self):
        while not self._ended:
            whole = self._whole()
            if whole is not None:
                return whole
            time.sleep(0.02)
        raise EOFError

    def _connect(self):
        before = self._rest()
        if self.bridge is None:
            self.ws, _ = opened(self.front.stack)
        else:
            self.ws = WebSocket(self.front.stack, sock=self.bridge.connect())
            if self.ws.status != 101:
                raise EOFError
            self._text()
        self.ws.sock.settimeout(None)
        self.ws.send("40" + json.dumps({"token": self.front.user.token}))
        self._text()
        had = {b["id"] for b in before["blocks"]} | {b["id"] for s in before["subagents"] for b in s["blocks"]}
        view = View(self.session, had, late=bool(self.views) or bool(had))
        view.joined = False
        while not view.joined:
            self.ws.send(f'420["session:join","{self.session}"]')
            while True:
                text = self._text()
                if text.startswith("430"):
                    view.joined = json.loads(text[3:])[0]["success"]
                    break
                if text.startswith("42"):
                    view.take(*json.loads(text[2:]))
        assert view.runtime is not None, "no status came before the acknowledgement"
        view.after = self._rest()
        with self._news:
            self.views.append(view)
            self._news.notify_all()

    def _text(self):
        """The next packet that is no ping."""
        while True:
            frame = self.ws.frame()
            if frame is None or frame[0] == 0x88:
                raise EOFError
            text = frame[1].decode()
            if text == "2":
                self.ws.send("3")
            else:
                return text

    def _read(self):
        text = self._text()
        with self._news:
            if text.startswith("42"):
                self.view.take(*json.loads(text[2:]))
            self._news.notify_all()

    def wait(self, condition, what="it was not told", seconds=20):
        end = time.monotonic() + scaled(seconds)
        with self._news:
            while True:
                if self.failure is not None:
                    raise self.failure
                if (value := condition()):
                    return value
                assert self._news.wait(max(0, end - time.monotonic())), what if not self.views else f"{what}\n{self.view.told[-5:]}"

    def has(self, text):
        """Waits until something that streams, or is complete, has this."""
        def there():
            return any(text in t.text or any(text in str(b) for b in t.blocks.values()) for t in self.view.talks.values())
        self.wait(there, f"{text!r} was not told")
        return self

    def settled(self, seconds=30):
        """Waits until all that REST has was told, or was asked for; then it must agree. Returns what REST has."""
        def missing():
            whole = self._whole()
            if whole is None or "activeQuery" in whole["runtime"]:
                return None
            view = self.view
            known = {b["id"] for t in view.talks.values() for b in t.blocks.values()} | view.had | {
                b["id"] for b in view.after["blocks"]} | {b["id"] for s in view.after["subagents"] for b in s["blocks"]}
            rest = [b for b in whole["blocks"]] + [b for s in whole["subagents"] for b in s["blocks"]]
            idle = "activeQuery" not in view.later_runtime and all(t.open is None for t in view.talks.values())
            return whole if idle and all(b["id"] in known for b in rest) else None

        def done():
            if self.failure is not None:
                raise self.failure
            return missing()
        whole = wait_for(done, seconds, lambda: f"it was not told all: {self.view.told[-4:]}")
        with self._news:
            self.view.agrees(whole)
        return whole

    def close(self):
        self._ended = True
        if self.ws is not None:
            try:
                self.ws.sock.shutdown(2)
            except OSError:
                pass
        self.join(scaled(10))
        if self.ws is not None:
            self.ws.close()
        if self.failure is not None:
            raise self.failure

    def __enter__(self):
        return self

    def __exit__(self, kind, *_exc):
        try:
            self.close()
        except AssertionError:
            if kind is None:
                raise
