#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Dockerfile, docker-compose.yml and containers/ agree with each other and with
# the rest of the tree. No engine is asked, and no image is built.
cd "${SRCDIR:-.}" || exit 1

if ! python3 -c 'import yaml' 2>/dev/null; then
	echo "ok 1 - containers # SKIP python3-yaml is not installed"
	echo "1..1"
	exit 0
fi
python3 - "${BUILDDIR:-.}" <<'PY'
import glob
import os
import re
import subprocess
import sys
import tempfile

import yaml

build = sys.argv[1]
n = failed = 0


def report(what, wrong):
    global n, failed
    n += 1
    failed += bool(wrong)
    for w in wrong:
        print(f"# {w}")
    print(f"{'not ok' if wrong else 'ok'} {n} - {what}")


def text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def instructions(dockerfile):
    """(stage, INSTRUCTION, rest) of each; the stage has its name."""
    stage = ""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.M))
    for line in joined.splitlines():
        if not line.strip():
            continue
        word, rest = line.split(None, 1)
        if word == "FROM":
            stage = rest.split()[-1]
        yield stage, word, rest


docker = list(instructions(text("Dockerfile")))
stages = {stage for stage, _, _ in docker}
compose = yaml.safe_load(text("docker-compose.yml"))
services = compose["services"]
pods = list(yaml.safe_load_all(text("containers/kubernetes.yaml")))
pod = pods[0]["spec"]["template"]["spec"]
site, http = text("nginx/agent-fpm.conf"), text("nginx/agent-fpm-http.conf")
socket = re.search(r"server unix:(\S+) ", http)[1]
certificate = os.path.dirname(re.search(r"ssl_certificate (\S+);", site)[1])
ports = set(re.findall(r"^\s*listen (\d+)", site, re.M))

wrong = []
for stage, word, rest in docker:
    *sources, _to = [w for w in rest.split() if not w.startswith("--")]
    if word == "COPY" and "--from=" not in rest:
        wrong += [f"{s} is not there" for s in sources if not glob.glob(s)]
    elif word == "COPY":
        wrong += [f"{rest}: no such stage" for s in re.findall(r"--from=(\S+)", rest) if s not in stages]
for name, s in services.items():
    if "build" in s and s["build"]["target"] not in stages:
        wrong.append(f"{name}: there is no stage {s['build']['target']}")
report("what is copied is there", wrong)

wrong = []
for kind in "networks", "volumes", "secrets":
    declared = set(compose[kind]) | {"default"}
    for name, s in services.items():
        used = {u.split(":")[0] for u in s.get(kind, [])}
        wrong += [f"{name}: {kind} has no {u}" for u in used - declared
                  if not u.startswith("./")]
for name, s in services.items():
    wrong += [f"{name}: there is no service {d}" for d in s.get("depends_on", {}) if d not in services]
report("networks, volumes and secrets are declared", wrong)

wrong = []
sample = text("docs/agent-fpm.conf.sample") if os.path.exists("docs/agent-fpm.conf.sample") else \
    subprocess.run([f"{build}/agent-fpm", "--settings", "sample"], check=True, capture_output=True, text=True).stdout
if f"#listen = {socket}" not in sample:
    wrong.append(f"the pool does not listen at {socket}, where nginx looks")
folder = os.path.dirname(socket)
for name in "pool", "nginx":
    if not any(v.split(":")[:2] == ["socket", folder] for v in services[name]["volumes"]):
        wrong.append(f"docker-compose.yml: {name} has no {folder}")
    mounts = {m["mountPath"] for c in pod["containers"] if c["name"] == name for m in c["volumeMounts"]}
    if folder not in mounts:
        wrong.append(f"kubernetes.yaml: {name} has no {folder}")
    if name == "nginx" and certificate not in mounts:
        wrong.append(f"kubernetes.yaml: no {certificate}")
if not any(f":{certificate}:" in v for v in services["nginx"]["volumes"]):
    wrong.append(f"docker-compose.yml: no {certificate}")
if {p.split(":")[1] for p in services["nginx"]["ports"]} != ports:
    wrong.append(f"docker-compose.yml: the site listens at {ports}")
if set(next(r for s, w, r in docker if w == "EXPOSE").split()) != ports:
    wrong.append(f"Dockerfile: the site listens at {ports}")
report("sockets, ports and certificates", wrong)

wrong = []
command = " ".join(services["redis"]["command"])
wrong += [f"Redis runs without {w}" for w in ("--appendonly yes", "--maxmemory-policy noeviction") if w not in command]
if not any(v.endswith(":/data") for v in services["redis"]["volumes"]):
    wrong.append("Redis has no volume")
drain = int(re.search(r"#drain_timeout = (\d+)s", sample)[1])
for name in "pool", "nginx":
    if int(services[name]["stop_grace_period"].rstrip("s")) <= drain:
        wrong.append(f"{name}: a stop takes up to {drain} s (drain_timeout)")
user, group = next(r for s, w, r in docker if s == "pool" and w == "USER").split(":")
context = next(c for c in pod["containers"] if c["name"] == "pool")["securityContext"]
if user in ("0", "root") or [context["runAsUser"], context["runAsGroup"]] != [int(user), int(group)]:
    wrong.append("kubernetes.yaml: the pool has another user than in the Dockerfile")
paths = re.findall(r"^  (/\w+):", text("docs/openapi.yaml"), re.M)
asked = re.findall(r"agent-fpm-probe\W+(/\w+)|path: (/\w+)|localhost(/\w+)",
                   text("Dockerfile") + text("containers/kubernetes.yaml"))
wrong += [f"{p} is no path of the API" for p in sum(map(list, asked), []) if p and p not in paths]
report("Redis, users, times and probes", wrong)

with tempfile.TemporaryDirectory() as tmp:
    for name in compose["secrets"]:
        with open(f"{tmp}/{name}", "w", encoding="utf-8") as f:
            f.write("0123456789abcdef" * 4)
    env = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": tmp}
    p = subprocess.run([f"{build}/agent-fpm", "-c", "containers/agent-fpm.conf", "-t"],
                       env=env, capture_output=True, text=True, check=False)
    wrong = p.stderr.splitlines() or ["it failed"] if p.returncode else []
address = re.search(r"^address = (\S+):6379$", text("containers/agent-fpm.conf"), re.M)
if not address or address[1] not in services:
    wrong.append("store.address is no service")
report("the configuration", wrong)
print(f"1..{n}")
sys.exit(bool(failed))
PY
