# SPDX-License-Identifier: MIT
"""What containers/ has, without an engine: the probe against a pool that lives, waits for Redis, and is gone."""

import os
import shutil
import subprocess

import pytest
from waiting import ROOT, wait_for

PROBE = os.path.join(ROOT, "containers", "probe.sh")


def probe(stack, path):
    return subprocess.run([PROBE, path, stack.fcgi_path],
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not shutil.which("cgi-fcgi"), reason="cgi-fcgi (libfcgi-bin) is not installed")
def test_probe(stack_factory):
    stack = stack_factory(workers=1)
    assert probe(stack, "/live").returncode == 0
    answer = probe(stack, "/ready")
    assert answer.returncode == 0 and '{"status":"ready"}' in answer.stdout, answer

    # Without Redis it takes no work, but need not be started again.
    stack.kill_redis()
    wait_for(lambda: probe(stack, "/ready").returncode == 1, 20, "it is ready without Redis")
    assert probe(stack, "/live").returncode == 0
    stack.start_redis()
    wait_for(lambda: probe(stack, "/ready").returncode == 0, 20, "it is not ready again")

    stack.stop_pool()
    gone = probe(stack, "/live")
    assert gone.returncode == 1 and "no answer from the pool" in gone.stdout, gone


def test_probe_says_how_it_is_used():
    p = subprocess.run([PROBE], capture_output=True, text=True, timeout=10, check=False)
    assert p.returncode == 64 and p.stderr.startswith("usage: "), p
