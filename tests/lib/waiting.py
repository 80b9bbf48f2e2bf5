# SPDX-License-Identifier: MIT
"""Waiting for what must come about, and where the programs are."""

import os
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
