#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Sizes: no function over 80 lines, the median at most 16 and nine of ten at
# most 45; no .c over 800 lines, their median at most 250; no .h over 150
# (declarations of the store's interface excepted, which are one list).
cd "${SRCDIR:-.}" || exit 1

python3 - <<'PY'
import sys
from pathlib import Path

H_MAX = {"src/store/store.h": 300, "src/conf/conf.h": 300}
functions, bad, c_lines = [], [], []
for f in sorted(Path("src").rglob("*.c")):
    if f.name == "scripts_gen.c":
        continue
    lines = f.read_text().splitlines()
    c_lines.append(len(lines))
    if len(lines) > 800:
        bad.append(f"{f}: {len(lines)} lines")
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            functions.append((i - start + 1, f"{f}:{start + 1}"))
            start = None
for f in sorted(Path("src").rglob("*.h")):
    n = len(f.read_text().splitlines())
    if n > H_MAX.get(str(f), 150):
        bad.append(f"{f}: {n} lines")
functions.sort()
c_lines.sort()
n = len(functions)
median, p90 = functions[n // 2][0], functions[n * 9 // 10][0]
print(f"# {n} functions: median {median}, p90 {p90}, "
      f"longest {functions[-1][0]} ({functions[-1][1]})")
print(f"# {len(c_lines)} .c files: median {c_lines[len(c_lines) // 2]}")
bad += [f"{w}: {k} lines" for k, w in functions if k > 80]
if median > 16 or p90 > 45:
    bad.append("functions grow too long")
if c_lines[len(c_lines) // 2] > 250:
    bad.append("files grow too long")
for b in bad:
    print("#", b)
print("not ok 1 - sizes" if bad else "ok 1 - sizes")
print("1..1")
sys.exit(bool(bad))
PY
