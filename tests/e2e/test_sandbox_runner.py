# SPDX-License-Identifier: MIT
"""Runners: what isolates commands is a row of a table, and may be a program of the administrator's."""

import os
import shutil
import subprocess

import pytest

from sandbox import SANDBOX, Proxy, Sandbox
from stack import process_state, wait_for
from test_sandbox_commands import job_ended, out, processes, run, skip_without_commands
from test_sandbox_files import Box
from test_sandbox_network import CURL, Origin
from waiting import ROOT

PLAIN = """#!/bin/bash
# workspace, yes or no, command
cd "$1" || exit 1
echo "launched: $# $2"
exec /bin/bash -c "$3"
"""

WITH_NETWORK = f"""#!/bin/bash
cd "$1" || exit 1
[ "$2" = yes ] && set -- "$1" "$2" "$3" {SANDBOX} --listen 3 --
exec bwrap --unshare-net --die-with-parent --dev-bind / / --setenv http_proxy http://127.0.0.1:3128 -- "${{@:4}}" /bin/bash -c "$3"
"""


def unsafe_build():
    path = os.path.join(os.path.dirname(SANDBOX), "config.h")
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8") as f:
        return "#define UNSAFE_SANDBOX 1" in f.read()


@pytest.fixture
def launched(tmp_path):
    """launched(script, conf): a sandbox whose launcher is that script."""
    started = []

    def make(script, conf=None):
        launcher = tmp_path / "launcher"
        launcher.write_text(script)
        launcher.chmod(0o755)
        started.append(Sandbox(tmp_path, {"sandbox.runner": "launcher", "sandbox.launcher": launcher, "sandbox.bwrap": "/nowhere", **(conf or {})}).start())
        return started[-1]

    yield make
    for sandbox in started:
        assert sandbox.stop() == 0


def test_a_launcher(launched):
    """It gets the workspace, whether there is a network, and the command; bubblewrap is not asked for."""
    sandbox = launched(PLAIN)
    assert "no commands" not in sandbox.log()
    box = Box(sandbox)
    got = run(box, "pwd; echo \"a  'b\" > f; cat f; env | sort | cut -d= -f1 | tr '\\n' ' '; ls /proc/self/fd | wc -l; exit 3")
    lines = got["data"].decode().split("\n")
    assert got["code"] == 3 and lines[:3] == ["launched: 3 no", box.files, "a  'b"]
    assert set(lines[3].split()[:-1]) <= {"LANG", "OLDPWD", "PATH", "PWD", "SHLVL", "_"} and lines[3].endswith(" 4")
    assert [(c["path"], c["change"]) for c in got["changes"]] == [("f", "created")]
    assert run(box, "sleep 1000 & sleep 1000", timeout_ms=300)["end"] == "timeout"
    wait_for(lambda: not processes(sandbox), 5, "it runs on")
    job = box("bash.start", command="echo job")["job"]
    assert wait_for(lambda: job_ended(box, job), 10, "it goes on")["code"] == 0
    assert box("bash.logs", job=job)["data"] == b"launched: 3 no\njob\n"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_example_of_the_manual(launched):
    with open(os.path.join(ROOT, "docs", "sandbox.md"), encoding="utf-8") as f:
        script = f.read().split("    #!/bin/sh\n")[1].replace("\n    ", "\n")
    sandbox = launched("#!/bin/sh\n" + script.lstrip(" "))
    skip_without_commands(sandbox)
    box = Box(sandbox)
    assert out(box, "pwd; echo 1 > f; ls; ls /") == "/workspace\nf\nbin\ndev\nlib\nlib64\nproc\nusr\nworkspace\n"


def test_it_ends_with_the_sandbox(launched):
    sandbox = launched(PLAIN)
    box = Box(sandbox)
    box.client.send("bash.run", user=box.user, agent=box.agent, command="echo $$ > pid; exec sleep 1000")
    pid = wait_for(lambda: box.files and os.path.exists(os.path.join(box.files, "pid")) and open(os.path.join(box.files, "pid"), encoding="utf-8").read().strip(), 10, "not begun")
    sandbox.stop(9)
    wait_for(lambda: process_state(int(pid))[0] in (None, "Z"), 5, "it lives on")


@pytest.mark.skipif(shutil.which("bwrap") is None or shutil.which("curl") is None, reason="bubblewrap or curl is not installed")
def test_a_launcher_with_a_network(launched, tmp_path):
    """Descriptor 3 is for agent-fpm-sandbox --listen, within the launcher's network namespace."""
    proxy = Proxy(tmp_path).start()
    sandbox = launched(WITH_NETWORK, {"sandbox.proxy": proxy.socket})
    skip_without_commands(sandbox)
    box, origin = Box(sandbox), Origin()
    assert out(box, CURL + f"http://{origin.here}/x", network=[origin.here]) == "hello of /x"
    assert "not in the list" in out(box, CURL + f"http://{origin.here}/x", network=["example.org"])
    assert run(box, CURL + f"http://{origin.here}/x")["code"] != 0
    origin.close()
    assert proxy.stop() == 0


def test_a_launcher_that_fails(tmp_path):
    """There are no commands, and they say why; they are not run in another way."""
    launcher = tmp_path / "launcher"
    conf = {"sandbox.runner": "launcher", "sandbox.launcher": launcher}
    for script, text in ((None, "is no program"), ("#!/bin/sh\necho no machine here; exit 1\n", "no machine here")):
        if script:
            launcher.write_text(script)
            launcher.chmod(0o755)
        sandbox = Sandbox(tmp_path, conf).start()
        Box(sandbox).fails("invalid", "bash.run", text, command="true")
        assert text in sandbox.log() and sandbox.stop() == 0
    sandbox = Sandbox(tmp_path, {**conf, "sandbox.launcher": "bin/launcher"}).start()
    Box(sandbox).fails("invalid", "bash.run", "absolute path", command="true")
    assert sandbox.stop() == 0


def refused(sandbox):
    got = subprocess.run([SANDBOX, "-c", sandbox.conf_file()], capture_output=True, text=True, timeout=20, check=False)
    return got.returncode, got.stderr


def test_none(tmp_path):
    """Refused at the start, unless the build says that it may be; then it is loud."""
    sandbox = Sandbox(tmp_path, {"sandbox.runner": "none"})
    if not unsafe_build():
        code, text = refused(sandbox)
        assert code == 78 and "--enable-unsafe-sandbox" in text
        return
    sandbox.start()
    box = Box(sandbox)
    assert "COMMANDS ARE NOT ISOLATED" in sandbox.log() and "level=warn" in sandbox.log()
    assert out(box, "pwd; echo $HOME").split() == [box.files] * 2
    assert sandbox.stop() == 0


def test_options():
    for arguments in (["x"], ["--listen", "3"], ["--listen", "x", "--", "true"], ["--listen", "1", "--", "true"], ["--nonsense"]):
        got = subprocess.run([SANDBOX, *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert got.returncode == 64 and "usage: agent-fpm-sandbox" in got.stderr, arguments


def test_one_that_there_is_not(tmp_path):
    code, text = refused(Sandbox(tmp_path, {"sandbox.runner": "docker"}))
    assert code == 78 and "bubblewrap" in text and "launcher" in text


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
@pytest.mark.parametrize("value, text", [("1", "apparmor/agent-fpm-sandbox to /etc/apparmor.d, load it with apparmor_parser -r, and start this again"),
                                         ("0", "kernel.unprivileged_userns_clone, user.max_user_namespaces, and what")])
def test_what_ubuntu_restricts(tmp_path, monkeypatch, value, text):
    """The AppArmor profile is named where it is what is missing: a /proc that says so, and a bubblewrap that fails as it does there."""
    fake, here, there = tmp_path / "bwrap", tmp_path / "sandbox", tmp_path / "value"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied'; exit 1\n")
    there.write_text(value + "\n")
    here.write_text(f"#!/bin/sh\nexec bwrap --die-with-parent --dev-bind / / --tmpfs /proc/sys/kernel "
                    f"--ro-bind {there} /proc/sys/kernel/apparmor_restrict_unprivileged_userns {SANDBOX} \"$@\"\n")
    fake.chmod(0o755)
    here.chmod(0o755)
    if subprocess.run([here, "-v"], capture_output=True, check=False).returncode != 0:
        pytest.skip("bubblewrap does not work here")
    monkeypatch.setattr(Sandbox, "binary", str(here))
    sandbox = Sandbox(tmp_path, {"sandbox.bwrap": fake}).start()
    error = Box(sandbox).fails("invalid", "bash.run", text, command="true").error
    assert "bubblewrap does not work here (bwrap: setting up uid map: Permission denied)" in error and error in sandbox.log()
    sandbox.stop()
