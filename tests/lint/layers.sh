#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Floors: a file includes only what stands below it, and nothing of another
# folder on its own floor (docs/design.md). jwt.h, cJSON.h, uv.h, curl.h and
# hiredis are each seen by their own module only.
cd "${SRCDIR:-.}" || exit 1

python3 - <<'PY'
import re, sys
from pathlib import Path

FLOORS = {"base": 0, "conf": 1, "http": 2, "net": 2, "master": 2, "sandbox": 3,
          "sandboxd": 4, "proxyd": 4,
          "store": 3, "model": 3, "mcp": 4, "tool": 5, "auth": 4, "stream": 4,
          "session": 4, "keep": 4, "agent": 6, "bridge": 8,
          "api": 7, "worker": 8, "ctl": 8, "doctor": 8, "main": 9}
# master stands on base and conf alone: it must not die.
# session is pure: it reads what others fetch.
ONLY = {"session": {"base", "store", "session"},
        "master": {"base", "conf", "master"},
        "sandboxd": {"base", "conf", "http", "sandbox", "sandboxd"},
        "proxyd": {"base", "conf", "net", "sandbox", "proxyd"},
        "bridge": {"base", "conf", "http", "net", "store", "stream", "session", "bridge"}}
# The sandbox shares the protocol with its client, and never links curl.
NEVER = {"sandboxd": {"sandbox/client.h"}}
OWNERS = {"jwt.h": ["src/auth/jws_libjwt.c"],
          "cjson/cJSON.h": ["src/base/json.c"],
          "uv.h": ["src/base/loop.c", "src/base/resolve.c"],
          "curl/curl.h": ["src/net/fetch"],
          "yaml.h": ["src/tool/skill_read.c"],
          "ini.h": ["src/conf/conf.c"],
          "hiredis/": ["src/store/"],
          "libwebsockets.h": ["src/bridge/web_priv.h"],
          "fcgiapp.h": ["src/http/"]}

bad = []
for f in sorted(Path("src").rglob("*.[ch]")):
    if f.name == "scripts_gen.c":
        continue
    mine = f.parts[1]
    for line in f.read_text().splitlines():
        m = re.match(r'#include ([<"])([^>"]+)[>"]', line)
        if not m:
            continue
        inc = m.group(2)
        if m.group(1) == "<":
            for owner, files in OWNERS.items():
                if inc.startswith(owner) and \
                        not any(str(f).startswith(x) for x in files):
                    bad.append(f"{f}: <{inc}> belongs to {files}")
            continue
        if inc == "config.h":
            continue
        theirs = inc.split("/")[0]
        if theirs == mine:
            continue
        if inc.endswith("_priv.h"):
            bad.append(f"{f}: {inc} is private to {theirs}")
        if theirs not in FLOORS or FLOORS[theirs] >= FLOORS[mine] or \
                theirs not in ONLY.get(mine, FLOORS) or \
                inc in NEVER.get(mine, ()):
            bad.append(f"{f}: {mine} must not include {inc}")
for b in bad:
    print("#", b)
print("not ok 1 - layers" if bad else "ok 1 - layers")
print("1..1")
sys.exit(bool(bad))
PY
