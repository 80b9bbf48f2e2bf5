# SPDX-License-Identifier: MIT
"""A Redis whose answers take their time, or are lost: a forwarder of bytes between two unix sockets."""

import os
import socket
import tempfile
import threading
import time


class SlowRedis:
    """Listens at path; what target answers is passed on delay seconds later, in order. One thread a direction.

    lose: bytes of a request. The next one that has them is carried out, and its connection is cut before the answer; then lose is None.
    lose_every: the same for each n-th of them; lost counts them. While open is not set no new connection comes about.
    stall: bytes of a request. As long as go is not set those that have them are not carried out, but for the first so many (passed); late is set
    when one of them was, after all.
    While events is cleared, connections that have subscribed to channels hear nothing.
    """

    def __init__(self, delay=0):
        self.delay, self.target, self.lose = delay, None, None
        self.events = threading.Event()
        self.events.set()
        self.every, self.again, self.seen, self.lost = 0, b"", 0, 0
        self.stall, self.passed, self.stalled = None, 0, threading.Event()
        self.go, self.late = threading.Event(), threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.dir = tempfile.mkdtemp(prefix="afr-")
        self.path = os.path.join(self.dir, "slow.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        os.chmod(self.dir, 0o755)
        os.chmod(self.path, 0o777)
        self.listener.listen(64)
        self.sockets = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                self.open.wait()
                far = socket.socket(socket.AF_UNIX)
                self.sockets += [near, far]
                far.connect(self.target)
            except OSError:
                return
            marks = threading.Event(), threading.Event(), threading.Event()
            threading.Thread(target=self._copy, args=(near, far, lambda data, m=marks: self._ask(data, *m)), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, lambda _, m=marks: self._answer(*m)), daemon=True).start()

    def lose_every(self, every, request):
        self.again, self.every = request, every

    def _is_lost(self, data):
        if self.lose is not None and self.lose in data:
            self.lose = None
            return True
        if not self.every or self.again not in data:
            return False
        self.seen += 1
        self.lost += self.seen % self.every == 0
        return self.seen % self.every == 0

    def _wait(self, data, late):
        if self.stall is None or self.stall not in data:
            return
        self.passed -= 1
        if self.passed < 0:
            self.stalled.set()
            self.go.wait()
            late.set()

    def _ask(self, data, cut, subscribed, late):
        self._wait(data, late)
        if b"\r\nSUBSCRIBE\r\n" in data:
            subscribed.set()
        if self._is_lost(data):
            cut.set()
        return True

    def _answer(self, cut, subscribed, late):
        """Whether it is passed on."""
        if late.is_set():
            self.late.set()
        if cut.is_set():
            return False
        time.sleep(self.delay)
        if subscribed.is_set():
            self.events.wait()
        return True

    @staticmethod
    def _copy(source, target, before):
        how = socket.SHUT_RDWR
        try:
            while (data := source.recv(65536)) and before(data):
                target.sendall(data)
            how = socket.SHUT_RDWR if data else socket.SHUT_WR  # what was asked before the end is answered yet
        except OSError:
            pass
        for s in (source, target) if how == socket.SHUT_RDWR else (target,):
            try:
                s.shutdown(how)
            except OSError:
                pass

    def close(self):
        self.events.set()
        self.go.set()
        self.open.set()
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        os.unlink(self.path)
        os.rmdir(self.dir)
