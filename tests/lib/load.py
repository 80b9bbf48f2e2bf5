# SPDX-License-Identifier: MIT
"""Load that must not notice what happens to the pool: viewers that stay, and turns that keep coming.

    with Load(stack, viewers=200, turns_per_second=20) as load:
        ...
    load.check()

All requests go through nginx, without TLS, from one thread. A viewer that is cut comes back with the cursor
that it had; a request that is not answered with 200 or 202, or a cut without a cursor, is a failure. At the
end each viewer must have seen exactly the log of its agent, and each accepted message have its one turn.
"""

import asyncio
import itertools
import json
import threading
import time

from stack import event_id, scaled, wait_for


class Viewer:
    """Every event of an agent, from when it came; what it has seen."""

    def __init__(self, load, agent):
        self.load, self.agent, self.first, self.cursor = load, agent, None, None
        self.ids, self.cuts = [], 0

    async def follow(self):
        while not self.load.over:
            await self.load.stream(f"{self.agent.path}/events", self.agent, self)
            self.cuts += not self.load.over

    def take(self, cursor, data):
        self.first = self.first or cursor  # where it began: now
        self.cursor = cursor
        if data is not None:
            self.ids.append(cursor)


class Turn:
    """A POST chat; then, if that is cut, the events behind what it showed."""

    def __init__(self, load, agent):
        self.load, self.agent, self.cursor = load, agent, None
        self.turn = self.reason = None

    async def run(self):
        begin = time.monotonic()
        await self.load.stream(f"{self.agent.path}/chat", self.agent, self, body={"message": "slow 8"})
        while self.reason is None and not self.load.failures:
            await self.load.stream(f"{self.agent.path}/events", self.agent, self)
        self.load.times.append(time.monotonic() - begin)

    def take(self, cursor, data):
        self.cursor = cursor
        if data is not None and data["kind"] == "done" and data["turn"] == self.turn:
            self.reason = data["reason"]


class Load:
    watcher = Viewer

    def __init__(self, stack, viewers=200, turns_per_second=20, agents=40, users=8, user=None, agent=None):
        """user makes one of the users, default stack.user; agent has the fields that agents are made of."""
        self.stack, self.made_of = stack, agent or {}
        self.over, self.failures, self.times = False, [], []
        self.users = [(user or stack.user)() for _ in range(users)]
        self.agents = [u.agent(**self.made_of) for _, u in zip(range(agents), itertools.cycle(self.users))]
        self.viewers = [self.watcher(self, a) for _, a in zip(range(viewers), itertools.cycle(self.agents))]
        self.pause = 1 / turns_per_second
        self.turns, self._streams, self.unfinished = [], set(), 0
        self._stopping, self._watching = threading.Event(), set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    # -- in the thread

    async def stream(self, path, agent, taker, body=None, headers=()):
        """One request, to its end or until whoever takes it is served."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.stack.http_port)
        except OSError as e:
            return self.broken(path, e)
        self._streams.add(writer)
        try:
            payload = b"" if body is None else json.dumps(body).encode()
            head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.0", "Host: localhost", f"Authorization: Bearer {agent.user.token}",
                    "Accept: text/event-stream", "Content-Type: application/json", f"Content-Length: {len(payload)}", *headers]
            if taker.cursor is not None:
                head.append(f"Last-Event-ID: {taker.cursor}")
            writer.write("\r\n".join([*head, "", ""]).encode() + payload)
            await self._read(path, reader, taker)
        except OSError as e:
            self.broken(path, e)
        finally:
            self._streams.discard(writer)
            writer.close()
        return None

    # What is not as it should be. Where something is at fault on purpose, a load may take some of it for right.

    def broken(self, path, why):
        """A connection that did not come about, or broke."""
        self.failed(f"{path}: {why}")

    def refused(self, path, status, answer):
        """A response that is no stream: its status line, and the rest."""
        self.failed(f"{path}: {status} {answer}")

    def noticed(self, path, notice):
        """An event that is not in the log."""
        self.failed(f"{path}: a notice: {notice}")

    def failed(self, what):
        if not self.over:
            self.failures.append(what)

    async def _read(self, path, reader, taker):
        status = await reader.readline()
        if b" 200 " not in status:
            return self.refused(path, status, await reader.read())  # with its head
        cursor = data = None
        in_head = True
        while line := await reader.readline():
            line = line.rstrip(b"\r\n")
            if in_head:
                in_head = line != b""
                if line.lower().startswith(b"x-turn-id: "):
                    taker.turn = line[11:].decode()
            elif line.startswith(b"id: "):
                cursor = line[4:].decode()
            elif line.startswith(b"data: "):
                data = json.loads(line[6:])
            elif line == b"" and cursor is not None:
                taker.take(cursor, data)
                cursor = data = None
                if getattr(taker, "reason", None) is not None:
                    return None
            elif line == b"" and data is not None:
                self.noticed(path, data)
                data = None
        if taker.cursor is None:
            self.failed(f"{path}: cut without a cursor")
        return None

    def turn(self, agent):
        """The next one of an agent, or None to leave it out."""
        return Turn(self, agent)

    async def _run(self):
        self._loop = asyncio.get_running_loop()
        for viewer in self.viewers:
            self._watch(viewer)
        running, due = set(), time.monotonic()
        for seat in itertools.cycle(range(len(self.agents))):
            if self._stopping.is_set():
                break
            if (turn := self.turn(self.agents[seat])) is not None:
                self.turns.append(turn)
                running.add(task := asyncio.create_task(turn.run()))
                task.add_done_callback(running.discard)
            due = max(due + self.pause, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))
        if running:
            await asyncio.wait(running, timeout=scaled(20))
        self.unfinished = len(running)
        end = time.monotonic() + scaled(10)
        while time.monotonic() < end and not all(self._has_all(v) for v in self.viewers):
            await asyncio.sleep(0.05)
        self.over = True
        for writer in list(self._streams):
            writer.close()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def _watch(self, viewer):
        self._watching.add(task := asyncio.create_task(viewer.follow()))
        task.add_done_callback(self._watching.discard)

    def _has_all(self, viewer):
        last = max((event_id(t.cursor) for t in self.turns if t.agent is viewer.agent and t.cursor), default=(0, 0))
        return bool(viewer.ids) and event_id(viewer.ids[-1]) >= last

    # -- for the test

    def more(self, n, seconds=20):
        """Waits until n more turns are over."""
        enough = len(self.times) + n
        wait_for(lambda: self.failures or len(self.times) >= enough, seconds, "the turns do not end")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._stopping.set()
        self._thread.join(scaled(60))

    def check(self):
        """What must hold, whatever happened. Prints what was seen."""
        assert not self._thread.is_alive(), "the load does not end"
        assert not self.failures, (len(self.failures), self.failures[:5])
        assert self.unfinished == 0, f"{self.unfinished} turns are not done"
        reasons = {t.reason for t in self.turns}
        assert reasons == {"completed"}, reasons
        assert len({t.turn for t in self.turns}) == len(self.turns), "two messages, one turn"
        logs = {a.id: a.log_ids() for a in self.agents}
        for v in self.viewers:
            expected = [i for i in logs[v.agent.id] if event_id(i) > event_id(v.first)]
            assert v.ids == expected, f"{v.agent.id} from {v.first} on: saw {v.ids}, not {expected}"
        times = sorted(self.times)
        print(f"{len(self.turns)} turns, {sum(v.cuts for v in self.viewers)} cuts of {len(self.viewers)} viewers, "
              f"turns p50 {times[len(times) // 2] * 1000:.0f} ms, longest {times[-1] * 1000:.0f} ms")
