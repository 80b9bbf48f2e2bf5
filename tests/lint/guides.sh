#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The guides name settings, files and documents that there are; every limits.*
# is in docs/limits.md, and docs/troubleshooting.md knows each that an answer
# can name.
cd "${SRCDIR:-.}" || exit 1

python3 - "${BUILDDIR:-.}" <<'PY'
import re
import subprocess
import sys
from pathlib import Path

docs = {p: p.read_text(encoding="utf-8") for p in sorted(Path("docs").glob("*.md"))}
guides = {p: t for p, t in docs.items() if p.name != "design.md"}
sample = subprocess.run([f"{sys.argv[1]}/agent-fpm", "--settings", "sample"],
                        check=True, capture_output=True, text=True).stdout
settings, section = set(), ""
for line in sample.splitlines():
    if m := re.match(r"#?\[(\w+)", line):
        section = m[1] + "."
    elif m := re.match(r"#([\w.]+) = ", line):
        settings.add(section + m[1])
sections = {s.split(".")[0] for s in settings if "." in s}
# What has a dot and is no setting: names of credentials.
known = settings | {"store.password", "model.api_key", "jwt.secret", "tool.secret", "sandbox.token"}
n = failed = 0


def report(what, wrong):
    global n, failed
    n += 1
    failed += bool(wrong)
    for w in wrong:
        print(f"# {w}")
    print(f"{'not ok' if wrong else 'ok'} {n} - {what}")


# The checks of the doctor, metrics and the like have names of that form too.
doctor = {w for f in Path("src/doctor").glob("*.c") for w in re.findall(r'"([a-z]+\.[a-z]+)"', f.read_text(encoding="utf-8"))}
report("settings", [
    f"{p}: {s}" for p, t in guides.items() for s in re.findall(r"`([a-z]+\.[a-z_.]+[a-z])(?: = [^`]*)?`", t)
    if s.split(".")[0] in sections and s not in known | doctor])

def cut_tables(text):
    """First lines of tables that have no heading."""
    lines = ["", *re.sub(r"^```.*?^```", "", text, flags=re.M | re.S).splitlines(), ""]
    return [line for before, line, behind in zip(lines, lines[1:], lines[2:])
            if line.startswith("|") and not before.startswith("|") and not re.match(r"\|[ :|-]+\|$", behind)]


report("tables", [f"{p}: no heading above {line}" for p, t in docs.items() for line in cut_tables(t)])

report("documents", [
    f"{p}: {d}" for p, t in docs.items() for d in re.findall(r"\bdocs/[\w-]+\.\w+", t) if not Path(d).exists()] + [
    f"README.md does not name {p}" for p in docs if str(p) not in Path("README.md").read_text(encoding="utf-8")])

report("installed files", [
    f"{p}: {f}" for p, t in docs.items() for f in re.findall(r"/usr/share/agent-fpm/([\w./-]*\w)", t)
    if not Path(f).exists() and f not in ("agent-fpm.conf.sample", "logrotate/agent-fpm.logrotate")] + [
    f"{p}: nginx/{f}" for p, t in docs.items() for f in re.findall(r"\b(agent-fpm[\w-]*\.(?:conf|snippet))\b", t)
    if not Path("nginx", f).exists() and f != "agent-fpm.conf"])

# Wherever a name stands in the code, a table or a script of Redis, an answer
# can have it; but for the code that reads the settings and looks at them.
limits = {m for f in [*Path("src").rglob("*.c"), *Path("src").rglob("*.lua")] if f.parts[1] not in ("conf", "doctor")
          for m in re.findall(r"""["'](limits\.\w+)["']""", f.read_text(encoding="utf-8"))}
report("limits", [f"{p} does not know {x}" for p, named in (
    ("docs/troubleshooting.md", limits), ("docs/limits.md", limits | {s for s in settings if s.startswith("limits.")}))
    for x in sorted(named) if f"`{x}`" not in guides[Path(p)]] + [f"{x} is no setting" for x in limits - settings])
# docs/troubleshooting.md looks for them there, also in a site that has a log of its own.
snippet = Path("nginx/agent-fpm.snippet").read_text(encoding="utf-8")
report("nginx's own refusals are logged", [
    name for name, body in re.findall(r"^location (.*?) \{\n(.*?)^\}", snippet, re.M | re.S)
    if re.search(r"return [45]\d\d", body) and "access_log /var/log/nginx/agent-fpm.access.log agent_fpm;" not in body])
print(f"1..{n}")
sys.exit(bool(failed))
PY
