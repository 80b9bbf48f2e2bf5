# SPDX-License-Identifier: MIT
"""Waiting for what must come about, where the programs are, and what every server of a test needs."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("AGENT_FPM", os.path.join(ROOT, "agent-fpm")))
SCALE = float(os.environ.get("TIMEOUT_SCALE", "1"))


def scaled(seconds):
    return seconds * SCALE


def wait_for(condition, seconds=10, what="it did not come about"):
    """Polls until condition() is true and returns its value; fails after seconds (scaled)."""
    end = time.monotonic() + scaled(seconds)
    while not (value := condition()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.005)
    return value


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


_certificate = None


def certificate():
    """(certificate, key): files, made once."""
    global _certificate
    if _certificate is None:
        folder = tempfile.mkdtemp(prefix="af-tls-", dir="/tmp")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        cert, key = (os.path.join(folder, name) for name in ("cert.pem", "key.pem"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
        _certificate = cert, key
    return _certificate
