#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test and prints one line at the end that counts them.

Unit tests are cmocka programs; lint scripts are programs that print TAP;
the end-to-end tests are pytest's. What fails is shown whole, what is skipped
says why. The last line is "N passed, N failed, N skipped".
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

LONG = ("test_crash", "test_tools_crash", "test_sandbox_commands", "test_reload", "test_upgrade", "test_held_socket", "test_recorded_turns")


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self._lock = Lock()

    def add(self, name, passed, failed, skipped, seconds):
        with self._lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
        word = "FAIL" if failed else "ok"
        print(f"{word:4} {name}: {passed} passed, {failed} failed, "
              f"{skipped} skipped ({seconds:.1f} s)", flush=True)


def run_tap(tally, name, argv, env):
    """A program that prints TAP: cmocka's, or a lint script's."""
    start = time.monotonic()
    p = subprocess.run(argv, env=env, text=True, errors="replace",
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    out = p.stdout
    skips = re.findall(r"^(?:not )?ok .*# SKIP.*$", out, re.M)  # cmocka says not ok
    failed = len(re.findall(r"^not ok(?!.*# SKIP)", out, re.M))
    passed = len(re.findall(r"^ok(?!.*# SKIP)", out, re.M))
    if p.returncode != 0 and failed == 0 or passed + failed + len(skips) == 0:
        failed += 1  # it crashed, or ran nothing
    if failed:
        print(out)
    for line in skips:
        print(f"skip {name}: {line}")
    tally.add(name, passed, failed, len(skips), time.monotonic() - start)


def pytest_counts(report, returncode):
    """passed, failed, skipped of a junit report."""
    if not report.exists():
        return 0, 1, 0
    suite = ET.parse(report).getroot().find("testsuite")
    n = {k: int(suite.get(k)) for k in ("tests", "errors", "failures", "skipped")}
    failed = n["errors"] + n["failures"]
    if returncode not in (0, 1) and failed == 0:
        failed = 1
    return n["tests"] - n["errors"] - n["failures"] - n["skipped"], failed, n["skipped"]


def run_pytest(tally, path, env):
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp) / "report.xml"
        p = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", f"--junitxml={report}", str(path)],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        passed, failed, skipped = pytest_counts(report, p.returncode)
    if failed:
        print(p.stdout)
    for line in re.findall(r"^SKIPPED .*$", p.stdout, re.M):
        print(f"skip e2e/{path.stem}: {line}")
    tally.add(f"e2e/{path.stem}", passed, failed, skipped, time.monotonic() - start)


def run_e2e(tally, src, env):
    """
    The end-to-end tests, two files at a time: mostly they wait. Each starts
    what it needs in a folder of its own, on free ports. Those that say "Alone:"
    measure, and have the machine for themselves; the longest begin first.
    """
    files = sorted((src / "tests" / "e2e").glob("test_*.py"), key=lambda f: (f.stem not in LONG, f.stem))
    alone = [f for f in files if re.search(r"^# Alone: ", f.read_text(encoding="utf-8"), re.M)]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for done in [pool.submit(run_pytest, tally, f, env) for f in files if f not in alone]:
            done.result()
    for f in alone:
        run_pytest(tally, f, env)


def corpus(src, name):
    """The files that fuzz_NAME_corpus is fed with."""
    m = re.search(r"fuzz_(.*)_corpus$", name)
    return sorted(map(str, (src / "tests" / "fuzz" / "corpus" / m[1]).iterdir())) if m else []


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--builddir", type=Path, default=Path("."))
    ap.add_argument("--srcdir", type=Path, default=Path("."))
    ap.add_argument("--sanitizer", default="")
    ap.add_argument("--only-unit", action="store_true",
                    help="what needs no server, no network and no root")
    ap.add_argument("unit", nargs="*")
    args = ap.parse_args()
    src = args.srcdir.resolve()
    build = args.builddir.resolve()
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP",
               AGENT_FPM=str(build / "agent-fpm"), BUILDDIR=str(build))
    env.setdefault("AGENT_FPM_SHARED", str(src / ".." / "shared"))
    if args.sanitizer not in ("", "no"):
        lib = src / "tests" / "lib"
        env.setdefault("TIMEOUT_SCALE", "4")
        env.setdefault("LSAN_OPTIONS", f"suppressions={lib}/lsan.supp")
        env.setdefault("TSAN_OPTIONS",
                       f"suppressions={lib}/tsan.supp halt_on_error=1")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1 halt_on_error=1")
        env.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1")

    tally = Tally()
    for name in args.unit:
        run_tap(tally, name, [str(build / name), *corpus(src, name)], env)
    if not args.only_unit:
        for script in sorted((src / "tests" / "lint").glob("*.sh")):
            run_tap(tally, f"lint/{script.stem}", ["sh", str(script)],
                    dict(env, SRCDIR=str(src)))
        run_e2e(tally, src, env)
    print(f"{tally.passed} passed, {tally.failed} failed, "
          f"{tally.skipped} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
