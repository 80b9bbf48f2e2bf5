#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Figures of agent-fpm-sandbox for docs/benchmarks.md, by its own socket, beside what does the same without it.

Prints a line per figure, and ok or SHORT.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from sandbox import Sandbox  # noqa: E402

short = 0


def say(what, figure, asked, ok):
    global short
    short += not ok
    print(f"{'ok   ' if ok else 'SHORT'} {what}: {figure} (asked: {asked})", flush=True)


def median_ms(n, work):
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    times.sort()
    return statistics.median(times), times[int(n * 0.95)]


def commands(client):
    def spawn():
        os.waitpid(os.posix_spawn("/usr/bin/true", ["true"], {}), 0)

    bare, _ = median_ms(100, spawn)
    ours, p95 = median_ms(100, lambda: client.call("bash.run", command="true"))
    say("a sandboxed true, the whole profile, median of 100", f"{ours:.1f} ms, p95 {p95:.1f}; posix_spawn alone {bare:.1f}", "under 10 ms", ours < 10)


def reading(client):
    client.call("fs.write", path="ten", data=b"0123456789abcde\n" * 640)
    ours, p95 = median_ms(2000, lambda: client.call("fs.read", path="ten"))
    say("fs_read of 10 KB through the socket, median of 2,000 (with this client's own JSON)", f"{ours:.3f} ms, p95 {p95:.3f}", "under 0.2 ms", ours < 0.2)


def searching(client, files):
    for d in range(100):
        os.makedirs(os.path.join(files, f"d{d}"), exist_ok=True)
        for f in range(100):
            with open(os.path.join(files, f"d{d}", f"f{f}.c"), "w", encoding="utf-8") as out:
                out.writelines(f"int variable_{d}_{f}_{n} = {n};\n" for n in range(60))
    grep = ["grep", "-rn", "variable_42_17_3", files]
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    theirs, _ = median_ms(9, lambda: subprocess.run(grep, stdout=subprocess.DEVNULL, env=env, check=True))
    ours, _ = median_ms(9, lambda: client.call("fs.grep", pattern="variable_42_17_3", path="."))
    say("grep over 10,000 files, over GNU grep -r, median of 9", f"{ours / theirs:.2f} ({ours:.0f} of {theirs:.0f} ms)", "under 1.5", ours / theirs < 1.5)
    grep[2:3] = ["-E", r"variable_4[0-9]_17_3\b"]
    theirs, _ = median_ms(9, lambda: subprocess.run(["grep", "-rn", *grep[2:]], stdout=subprocess.DEVNULL, env=env, check=True))
    ours, _ = median_ms(9, lambda: client.call("fs.grep", pattern=r"variable_4[0-9]_17_3\b", path=".", regex=True))
    say("the same with a regular expression", f"{ours / theirs:.2f} ({ours:.0f} of {theirs:.0f} ms)", "under 1.5", ours / theirs < 1.5)


def main():
    folder = tempfile.mkdtemp(prefix="afb-", dir="/tmp")
    os.chmod(folder, 0o755)
    sandbox = Sandbox(folder).start()
    try:
        client = sandbox.client()
        reading(client)
        if shutil.which("bwrap"):
            commands(client)
        searching(client, sandbox.files())
    finally:
        sandbox.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
