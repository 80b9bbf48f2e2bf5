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
    """

    def __init__(self, delay=0):
        self.delay, self.target, self.lose = delay, None, None
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
                far = socket.socket(socket.AF_UNIX)
                self.sockets += [near, far]
                far.connect(self.target)
            except OSError:
                return
            cut = threading.Event()
            threading.Thread(target=self._copy, args=(near, far, 0, cut, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(far, near, self.delay, cut, False), daemon=True).start()

    def _copy(self, source, target, delay, cut, asks):
        try:
            while data := source.recv(65536):
                if asks and self.lose is not None and self.lose in data:
                    self.lose = None
                    cut.set()
                elif not asks and cut.is_set():
                    break
                time.sleep(delay)
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        os.unlink(self.path)
        os.rmdir(self.dir)
