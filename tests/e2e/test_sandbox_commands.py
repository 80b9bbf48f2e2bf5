# SPDX-License-Identifier: MIT
# Alone: it looks at what is left on the host, mounts and control groups of others too.
"""agent-fpm-sandbox: commands, by its protocol; and 60 and more attempts to get out."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from sandbox import Sandbox
from stack import process_state, wait_for
from test_sandbox_files import Box

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
USER = "nobody" if os.geteuid() == 0 else None  # root is not held by limits of processes


def skip_without_commands(sandbox):
    """Where bubblewrap does not work, as in some containers: the sandbox has said why."""
    if why := re.search("no commands: (.*)", sandbox.log()):
        sandbox.close()
        pytest.skip(why.group(1))


def sandboxed(folder):
    """Processes that have anything below a folder mounted, or in their arguments: wherever they were orphaned to."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as mounts, open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as arguments:
                if os.path.basename(folder) in mounts.read() + arguments.read():
                    found.add(pid)
        except OSError:
            continue  # it has ended, or is not ours to look at
    return found


def owner_of(entry):
    try:
        return entry.stat(follow_symlinks=False).st_uid
    except FileNotFoundError:
        return None  # somebody else's, which is gone


def host_state():
    """What commands could leave on the host beside processes: mounts, shared memory, queues, files, control groups."""
    uid = pwd.getpwnam(USER).pw_uid if USER else -1
    mounts = {line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")}
    ipc = {kind: open(f"/proc/sysvipc/{kind}", encoding="utf-8").read() for kind in ("shm", "sem", "msg")}
    files = {e.path for d in ("/tmp", "/var/tmp", "/dev/shm", "/run") for e in os.scandir(d) if not e.name.startswith("af-") and owner_of(e) == uid}
    groups = {d for d, _, _ in os.walk("/sys/fs/cgroup") if "agent-fpm" in d}
    return {"mounts": mounts, "ipc": ipc, "files": files, "cgroups": groups}


def folder_of_its_own():
    """One that a sandbox of USER may write to."""
    folder = tempfile.mkdtemp(prefix="af-box-", dir="/tmp")
    os.chmod(folder, 0o755)
    if USER:
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    return folder


@pytest.fixture(scope="module", params=["unix", "http"])
def sandbox(request):
    """Every operation is the same by both ways."""
    before = host_state()
    folder = folder_of_its_own()
    sandbox = Sandbox(folder, {"sandbox.quota": "32m", "sandbox.processes": "64", "sandbox.max_time": "60s"}, user=USER, by=request.param).start()
    skip_without_commands(sandbox)
    yield sandbox
    assert sandbox.close() == 0
    shutil.rmtree(folder)
    wait_for(lambda: not sandboxed(folder), 10, lambda: f"left over: {sandboxed(folder)}")
    wait_for(lambda: host_state() == before, 10, lambda: f"left over: {[(k, v, before[k]) for k, v in host_state().items() if v != before[k]]}")


@pytest.fixture
def box(sandbox):
    box = Box(sandbox)
    yield box
    box.client.close()


def run(box, command, **members):
    return box("bash.run", command=command, **members)


def out(box, command, **members):
    return run(box, command, **members)["data"].decode(errors="replace")


def processes(sandbox):
    """Pids below the sandbox's own process."""
    got = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.split("\n")
    parents = dict(map(int, line.split()) for line in got if line.strip())
    found = {sandbox.process.pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {sandbox.process.pid}


def test_how_it_ends(box):
    got = run(box, "echo out; echo err >&2; exit 3")
    assert got["data"] == b"out\nerr\n" and (got["code"], got["end"]) == (3, "ended") and "signal" not in got
    got = run(box, "kill -SEGV $$")
    assert (got["signal"], got["end"]) == (11, "ended")
    got = run(box, "nonsense-command")
    assert got["code"] == 127 and b"not found" in got["data"]
    got = run(box, "sleep 100 & sleep 100", timeout_ms=300)
    assert got["end"] == "timeout" and 300 <= got["ms"] < 5000
    box.fails("invalid", "bash.run", "empty", command="")
    box.fails("invalid", "bash.run", "timeout_ms", command="true", timeout_ms=10**9)


def test_what_it_sees(box):
    assert out(box, "id -u; pwd; echo $HOME; hostname; echo $$").split() == ["1000", "/workspace", "/workspace", "agent", out(box, "echo $$").strip()]
    assert out(box, "ls /").split() == ["bin", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "tmp", "usr", "var", "workspace"]
    assert out(box, "whoami; getent hosts localhost | head -1").split()[0] == "agent"
    assert len(out(box, "ls -d /proc/[0-9]*").split()) <= 5
    assert out(box, "cat < /dev/stdin") == ""


def test_tools_of_the_host(box):
    assert out(box, "python3 -c 'print(6*7)'; echo a b | awk '{print $2}'; seq 3 | sort -r | head -1; diff <(echo 1) <(echo 1) && echo same") == "42\nb\n3\nsame\n"
    if shutil.which("git"):
        assert "1 file changed" in out(box, "git init -q . && echo x > f && git add f && git -c user.name=a -c user.email=b commit -m c")


def test_changes(box):
    box.write("old", "1")
    got = run(box, "echo new > new; echo 2 > old; mkdir -p d/e; echo x > d/e/f")
    assert sorted((c["path"], c["change"], c["size"]) for c in got["changes"]) == [("d/e/f", "created", 2), ("new", "created", 4), ("old", "modified", 2)]
    assert box.write("old", "3")["created"] is False, "the agent's own command is no conflict"
    assert [(c["path"], c["change"]) for c in run(box, "rm new")["changes"]] == [("new", "deleted")]
    assert run(box, "cat old")["changes"] == []
    got = run(box, "touch a{1..200}; rm -f a1")
    assert len(got["changes"]) == 100 and got["changed"] == 199


def test_all_of_the_tree_dies(box, sandbox):
    """Timeouts, kills and ordinary ends leave nothing behind, whatever the command did to stay."""
    stay = "setsid nohup sleep 1000 & (trap '' TERM HUP INT; sleep 1000) & disown -a; (setsid sh -c '(sleep 1000 &)' &)"
    assert run(box, stay + "; exit 0")["code"] == 0
    assert run(box, stay + "; sleep 1000", timeout_ms=300)["end"] == "timeout"
    call = box.client.send("bash.run", user=box.user, agent=box.agent, command=stay + "; sleep 1000")
    wait_for(lambda: len(processes(sandbox)) >= 5, 10, "not begun")
    assert box.client.cancel(call) == "cancelled"
    wait_for(lambda: processes(sandbox) == set(), 5, lambda: str(processes(sandbox)))


def test_who_asked_is_gone(sandbox):
    box = Box(sandbox)
    box.client.send("bash.run", user=box.user, agent=box.agent, command="sleep 1000")
    wait_for(lambda: processes(sandbox), 10, "not begun")
    box.client.close()
    wait_for(lambda: processes(sandbox) == set(), 5, "it runs on")


def test_commands_do_not_wait_for_each_other(box, sandbox):
    """Two that come at once, when threads are idle: the first one waits for what the second one does."""
    for i in range(5):
        run(box, "true")
        first = box.client.send("bash.run", user=box.user, agent=box.agent, command=f"until [ -e {i} ]; do sleep 0.01; done", timeout_ms=20000)
        second = box.client.send("bash.run", user=box.user, agent=box.agent, command=f"touch {i}")
        assert box.client.answer(second)["end"] == box.client.answer(first)["end"] == "ended"


def test_the_sandbox_is_killed():
    """kill -9 of it takes its commands along."""
    folder = tempfile.mkdtemp(prefix="af-box-", dir="/tmp")
    sandbox = Sandbox(folder).start()
    skip_without_commands(sandbox)
    box = Box(sandbox)
    box.client.send("bash.run", user=box.user, agent=box.agent, command="setsid sleep 1000 & sleep 1000")
    wait_for(lambda: len(processes(sandbox)) >= 4, 10, "not begun")
    pids = processes(sandbox)
    sandbox.stop(9)
    wait_for(lambda: all(process_state(p)[0] in (None, "Z") for p in pids), 5, "they live on")
    shutil.rmtree(folder)


# A bubblewrap that never asks to die with its outer process: what a kill in its first moment leaves over, every time.
STAYS = """#!/usr/bin/python3
import os, sys
fd = int(sys.argv[sys.argv.index("--args") + 1])
with open(fd, "rb", closefd=False) as f:
    args = f.read().replace(b"--die-with-parent\\0", b"")
memory = os.memfd_create("args")
os.write(memory, args)
os.lseek(memory, 0, os.SEEK_SET)
os.dup2(memory, fd)
os.execv({bwrap!r}, ["agent-fpm-bwrap", *sys.argv[1:]])
"""

# A sandbox that is given orphans, as the first process of a container is: PR_SET_CHILD_SUBREAPER.
TAKES_IN = """#!/usr/bin/python3
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1)
os.execv({binary!r}, [{binary!r}, *sys.argv[1:]])
"""


def write_script(sandbox, name, text):
    path = sandbox.write(name, text)
    os.chmod(path, 0o755)
    return path


@pytest.fixture
def stays():
    """A sandbox with such a bubblewrap, not started."""
    folder = folder_of_its_own()
    sandbox = Sandbox(folder, user=USER)
    sandbox.conf["sandbox.bwrap"] = write_script(sandbox, "stays", STAYS.format(bwrap=shutil.which("bwrap")))
    yield sandbox
    sandbox.close()
    left = sandboxed(folder)
    for pid in left:
        os.kill(int(pid), 9)
    assert not left
    shutil.rmtree(folder)


def test_orphans_of_the_killed(stays):
    """What kill -9 of a sandbox leaves over is ended by the next one."""
    skip_without_commands(stays.start())
    client = stays.client()
    client.part(client.send("bash.run", command="setsid sleep 1000 & echo begun; wait", stream=True), b"begun")
    begun = processes(stays)
    stays.stop(9)
    wait_for(lambda: len(sandboxed(stays.dir)) < len(begun), 5, "bubblewrap's outer process lives on")
    left = sandboxed(stays.dir)
    assert left, "nothing is left over: this tests nothing"
    stays.start()
    assert not left & sandboxed(stays.dir)


def test_orphans_that_it_takes_in(stays):
    """What its own commands leave over is ended when it becomes its children; and no other, whatever that is called."""
    def alive():
        return {p for p in processes(stays) if process_state(p)[0] not in (None, "Z")}
    stays.binary = write_script(stays, "takes-in", TAKES_IN.format(binary=stays.binary))
    skip_without_commands(stays.start())
    client = stays.client()
    other = client.send("bash.run", agent="agt_b", stream=True,
                        command="mkfifo p; (exec -a agent-fpm-bwrap bash -c 'echo begun; read < p'); true")
    client.part(other, b"begun")
    goes_on = alive()
    assert client.call("bash.run", command="sleep 1000", timeout_ms=300)["end"] == "timeout"
    assert alive() == goes_on
    assert client.cancel(other) == "cancelled" and alive() == set()


def test_another_name():
    """Whatever the program is called, it knows what is its own: commands and jobs live on when others are ended, or it starts again."""
    folder = folder_of_its_own()
    sandbox = Sandbox(folder, user=USER)
    sandbox.binary = shutil.copy(sandbox.binary, os.path.join(folder, "hands"))
    skip_without_commands(sandbox.start())
    box = Box(sandbox)
    job = box("bash.start", command="sleep 1000")["job"]
    call = box.client.send("bash.run", user=box.user, agent=box.agent, command="until [ -e go ]; do sleep 0.02; done; exit 7")
    wait_for(lambda: len(processes(sandbox)) >= 3, 10, "not begun")
    assert run(Box(sandbox), "sleep 1000", timeout_ms=1)["end"] == "timeout"
    box.write("go", "")
    assert (got := box.client.answer(call))["end"] == "ended" and got["code"] == 7, got
    assert sandbox.stop(9) == -9
    sandbox.start()
    box.client = sandbox.client()
    assert box("bash.logs", job=job)["status"] == "running"
    box("ws.delete")
    assert sandbox.stop() == 0
    shutil.rmtree(folder)


@pytest.mark.parametrize("op", ["ws.delete", "ws.delete_all"])
def test_deleted_meanwhile(sandbox, op):
    box, other = Box(sandbox, "eve"), Box(sandbox, "eve")
    other.agent = box.agent
    call = box.client.send("bash.run", user=box.user, agent=box.agent, command="while :; do echo x > f$RANDOM; sleep 0.01; done")
    wait_for(lambda: processes(sandbox), 10, "not begun")
    other(op)
    assert box.client.answer(call)["end"] == "deleted"
    assert box.files is None
    box.client.close()


def test_output(box):
    got = run(box, "printf 'a\\0b\\xff\\033[31m'; head -c 3000000 /dev/zero | tr '\\0' x")
    assert got["data"].startswith(b"a\0b\xff\033[31m") and got["bytes"] == len(got["data"]) == 3000000 + 9
    got = run(box, "yes | head -c 12000000")
    assert got["bytes"] == 12000000 and len(got["data"]) == 8 << 20 and got["end"] == "ended"


def test_a_neighbour_does_not_notice(sandbox, box):
    """Fork bomb, memory, processor, output and disk, side by side; another agent's commands go on."""
    bad = [":(){ :|:& };:", "yes", "while :; do :; done", "head -c 1G /dev/zero > big", "python3 -c 'x=[]\nwhile 1: x.append(bytearray(1<<24))'"]
    victims = [Box(sandbox) for _ in bad]
    calls = [v.client.send("bash.run", user=v.user, agent=v.agent, command=c, timeout_ms=3000) for v, c in zip(victims, bad)]
    ends = []
    for _ in range(10):
        begin = time.monotonic()
        assert out(box, "echo alive") == "alive\n"
        ends.append(time.monotonic() - begin)
    for v, c in zip(victims, calls):
        v.client.answer(c)
        v.client.close()
    assert sorted(ends)[5] < 1.5, ends
    wait_for(lambda: processes(sandbox) == set(), 10, lambda: str(processes(sandbox)))


# What must not work. A command prints ESCAPED if it does; {host} is the path of a file of the host, {pid} the sandbox's
# process, {port} and {abstract} what listens on the host.
PY = "python3 -c '{}' && echo ESCAPED"
CALL = "import ctypes,os\nl=ctypes.CDLL(None,use_errno=True)\nr=l.syscall({})\nprint(r, os.strerror(ctypes.get_errno()))\nif r>=0: print(\"ESCAPED\")"


def syscall(number, *arguments):
    return f"python3 -c '{CALL.format(', '.join(map(str, (number, *arguments))))}'"


ESCAPES = {
    "shadow": "cat /etc/shadow && echo ESCAPED",
    "host file": "cat {host} && echo ESCAPED",
    "root's home": "ls /root && echo ESCAPED",
    "home": "ls /home && echo ESCAPED",
    "other workspaces": "ls {workspaces} && echo ESCAPED",
    "dot dot": "cat ../../../../{host} && echo ESCAPED",
    "symlink": "ln -s {host} l; cat l && echo ESCAPED",
    "hard link": "ln {host} l && echo ESCAPED",
    "proc 1 root": "cat /proc/1/root{host} && echo ESCAPED",
    "proc 1 cwd": "ls /proc/1/cwd/../.. | grep -q root && echo ESCAPED",
    "environ of 1": "tr '\\0' '\\n' < /proc/1/environ | grep . && echo ESCAPED",
    "cmdline of 1": "tr '\\0' ' ' < /proc/1/cmdline | grep -- '--bin[d]' && echo ESCAPED",
    "own environment": "env | grep -i -E 'secret|key|token|pytest' && echo ESCAPED",
    "descriptors": "ls /proc/self/fd | grep -v -E '^[0-3]$' | grep . && echo ESCAPED",
    "host's processes": "ls /proc | grep -x {pid} && echo ESCAPED",
    "kill -1": "kill -9 -1; echo still here",
    "kill the sandbox": "kill -9 {pid} && echo ESCAPED",
    "write /usr": "touch /usr/x && echo ESCAPED",
    "write /etc": "touch /etc/x && echo ESCAPED",
    "write /": "touch /x && echo ESCAPED",
    "write /run": "touch /run/x && echo ESCAPED",
    "write /var": "touch /var/x && echo ESCAPED",
    "remount": "mount -o remount,rw / && echo ESCAPED",
    "mount tmpfs": "mount -t tmpfs none /tmp && echo ESCAPED",
    "bind mount": "mount --bind /usr /tmp && echo ESCAPED",
    "umount": "umount /workspace && echo ESCAPED",
    "unshare user": "unshare -U true && echo ESCAPED",
    "unshare net": "unshare -n true && echo ESCAPED",
    "clone NEWUSER": syscall(56, "0x10000011", 0, 0, 0, 0),
    "clone3": syscall(435, 0, 0),
    "setns": syscall(308, 3, 0),
    "chroot": "chroot /usr && echo ESCAPED",
    "pivot_root": syscall(155, 0, 0),
    "mknod block": "mknod d b 254 0 && echo ESCAPED",
    "mknod char": "mknod d c 1 1 && echo ESCAPED",
    "setuid file": "cp /bin/id i; chmod 4755 i; ./i -u | grep -x 0 && echo ESCAPED",
    "su": "su -c id root </dev/null | grep uid=0 && echo ESCAPED",
    "sudo": "sudo -n id && echo ESCAPED",
    "setuid 0": PY.format("import os; os.setuid(0)"),
    "setgroups": PY.format("import os; os.setgroups([0])"),
    "capabilities": "grep CapEff /proc/self/status | grep -v 0000000000000000 && echo ESCAPED",
    "new privileges": "grep NoNewPrivs /proc/self/status | grep -w 0 && echo ESCAPED",
    "loopback": "echo > /dev/tcp/127.0.0.1/{port} && echo ESCAPED",
    "metadata": "timeout 2 bash -c 'echo > /dev/tcp/169.254.169.254/80' && echo ESCAPED",
    "internet": "timeout 2 bash -c 'echo > /dev/tcp/1.1.1.1/53' && echo ESCAPED",
    "udp": PY.format('import socket; socket.socket(2,2).sendto(b"x",("1.1.1.1",53))'),
    "dns": "getent hosts example.org && echo ESCAPED",
    "raw socket": PY.format("import socket; socket.socket(2,3,1)"),
    "packet socket": PY.format("import socket; socket.socket(17,3,0)"),
    "vsock": PY.format("import socket; socket.socket(40,1)"),
    "alg socket": PY.format("import socket; socket.socket(38,5)"),
    "netlink audit": PY.format("import socket; socket.socket(16,3,9)"),
    "abstract socket": PY.format('import socket; socket.socket(1,1).connect("\\0{abstract}")'),
    "the sandbox's socket": PY.format('import socket; socket.socket(1,1).connect("{socket}")'),
    "redis and docker": "ls /run/redis /var/run/docker.sock /run/dbus && echo ESCAPED",
    "ptrace": syscall(101, 0, 0, 0, 0),
    "ptrace 1": syscall(101, 16, 1, 0, 0),
    "process_vm_readv": syscall(310, 1, 0, 0, 0, 0, 0),
    "process_vm_writev": syscall(311, 1, 0, 0, 0, 0, 0),
    "mem of 1": "head -c 1 /proc/1/mem && echo ESCAPED",
    "keyctl": syscall(250, 0, -3, 0),
    "add_key": syscall(248, 0, 0, 0, 0, -3),
    "bpf": syscall(321, 0, 0, 0),
    "perf_event_open": syscall(298, 0, 0, -1, -1, 0),
    "io_uring": syscall(425, 1, 0),
    "userfaultfd": syscall(323, 0),
    "open_by_handle_at": syscall(304, 3, 0, 0),
    "name_to_handle_at": syscall(303, -100, 0, 0, 0, 0),
    "kexec": syscall(246, 0, 0, 0, 0),
    "init_module": syscall(175, 0, 0, 0),
    "finit_module": syscall(313, 0, 0, 0),
    "reboot": syscall(169, "0xfee1dead", 672274793, 0, 0),
    "swapon": syscall(167, 0, 0),
    "settimeofday": "date -s 2001-01-01 && echo ESCAPED",
    "adjtimex": syscall(159, 0),
    "iopl": syscall(172, 3),
    "fanotify": syscall(300, 0, 0),
    "syslog": "dmesg && echo ESCAPED",
    "quotactl": syscall(179, 0, 0, 0, 0),
    "acct": syscall(163, 0),
    "TIOCSTI": PY.format('import fcntl,os; fcntl.ioctl(os.open("/dev/ptmx",2),0x5412,b"x")'),
    "TIOCSTI of 64 bits": syscall(16, 0, "ctypes.c_ulong(0x100005412)", 'b"x"'),
    "sysrq": "echo b > /proc/sysrq-trigger && echo ESCAPED",
    "sysctl": "echo 1 > /proc/sys/kernel/panic && echo ESCAPED",
    "core_pattern": "echo x > /proc/sys/kernel/core_pattern && echo ESCAPED",
    "kcore": "head -c 1 /proc/kcore && echo ESCAPED",
    "sys": "ls /sys/kernel && echo ESCAPED",
    "cgroup": "echo $$ > /sys/fs/cgroup/cgroup.procs && echo ESCAPED",
    "oom score": "echo -1000 > /proc/self/oom_score_adj && echo ESCAPED",
    "raise limits": "ulimit -c unlimited && echo ESCAPED",
    "raise processes": "ulimit -u 100000 && echo ESCAPED",
    "priority": "nice -n -5 true 2>&1 | grep -q cannot || echo ESCAPED",
    "core dump": "ulimit -c; bash -c 'kill -ABRT $$'; ls core* && echo ESCAPED",
    "memory devices": "ls /dev/mem /dev/kmem /dev/vda /dev/kvm /dev/fuse && echo ESCAPED",
    "hostname": "hostname x; hostname | grep -x x && echo ESCAPED",
    "LD_PRELOAD of the sandbox": "echo > /etc/ld.so.preload && echo ESCAPED",
}


@pytest.fixture(scope="module")
def host(sandbox, tmp_path_factory):
    """What the attempts are after."""
    secret = os.path.join(sandbox.dir, "host-secret")
    with open(secret, "w", encoding="utf-8") as f:
        f.write("ESCAPED: a secret of the host")
    os.chmod(secret, 0o644)
    tcp, abstract = socket.socket(), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    name = f"af-test-{os.getpid()}"
    abstract.bind(f"\0{name}")
    abstract.listen()
    yield {"{host}": secret, "{pid}": str(sandbox.process.pid), "{port}": str(tcp.getsockname()[1]), "{abstract}": name,
           "{workspaces}": sandbox.workspaces, "{socket}": sandbox.socket}
    tcp.close()
    abstract.close()


@pytest.mark.parametrize("name", ESCAPES)
def test_escape(box, host, name):
    command = ESCAPES[name]
    for word, value in host.items():
        command = command.replace(word, value)
    got = run(box, command, timeout_ms=20000)
    assert b"ESCAPED" not in got["data"], got["data"]
    assert got["end"] == "ended", got
    box("ping")


def test_one_gigabyte_of_output(box):
    got = run(box, "head -c 1G /dev/zero", timeout_ms=20000)
    assert got["end"] in ("output", "ended") and len(got["data"]) == 8 << 20


def test_fill_the_disk(box):
    """A file is bounded, and so is the workspace, while the command runs."""
    got = run(box, "head -c 64M /dev/zero > big; ls -s big", timeout_ms=20000)
    assert got["end"] in ("ended", "quota") and os.stat(os.path.join(box.files, "big")).st_size <= 32 << 20
    run(box, "rm -f big")
    got = run(box, "for i in $(seq 100); do head -c 4M /dev/zero > f$i; sleep 0.05; done", timeout_ms=20000)
    assert got["end"] == "quota"
    run(box, "rm -f f*")
    got = run(box, "i=0; while :; do i=$((i+1)); : > n$i; done", timeout_ms=20000)
    assert got["end"] == "quota" and box("ws.usage")["files"] < 10**6
    assert out(box, "rm -rf *; echo back") == "back\n"
    assert "No space" in out(box, "for i in 1 2 3 4; do head -c 20M /dev/zero > /tmp/x$i; done")
    assert "File size limit" in out(box, "truncate -s 1T sparse; echo")


def test_fork_bomb(box, sandbox):
    if USER is None and os.geteuid() == 0:
        pytest.skip("root's processes are not limited")
    got = run(box, "n=0; for i in $(seq 300); do sleep 5 & n=$((n+1)); done; echo started $n", timeout_ms=5000)
    assert b"started 300" not in got["data"]
    wait_for(lambda: processes(sandbox) == set(), 5, "they live on")


def test_planted_files_mean_nothing(box):
    """PATH, BASH_ENV, LD_PRELOAD and .bashrc of the workspace are not used by the next command."""
    run(box, "mkdir -p bin; printf '#!/bin/sh\\necho PLANTED\\n' > ls; chmod +x ls; cp ls bin; echo 'echo PLANTED' > .bashrc; cp .bashrc .bash_profile; cp .bashrc .profile")
    assert "PLANTED" not in out(box, "ls; true")


def test_without_bubblewrap(tmp_path):
    """Then there are no commands, never ones outside of it; files are as ever."""
    sandbox = Sandbox(tmp_path, {"sandbox.bwrap": "/nonexistent/bwrap"}).start()
    box = Box(sandbox)
    assert "apt install bubblewrap" in box.fails("invalid", "bash.run", command="true").error
    assert "no commands" in sandbox.log()
    box.write("f", "x")
    assert sandbox.stop() == 0


def test_where_it_does_not_work(tmp_path):
    """User namespaces forbidden, say: the message is bubblewrap's, and what to do."""
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    sandbox = Sandbox(tmp_path, {"sandbox.bwrap": str(fake)}).start()
    box = Box(sandbox)
    error = box.fails("invalid", "bash.run", command="true").error
    assert "setting up uid map: Permission denied" in error and "AppArmor" in error
    assert sandbox.stop() == 0


# Background jobs.

def job_ended(box, job):
    got = box("bash.logs", job=job)
    return got if got["status"] != "running" else None


def test_a_job(box):
    """It goes on after the call; its output can be read while it runs, and how it ended after."""
    job = box("bash.start", command="echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 7")["job"]
    wait_for(lambda: box("bash.logs", job=job)["data"] == b"one\n", 5, "no output")
    assert box("bash.logs", job=job)["status"] == "running"
    box.write("go", "")
    got = wait_for(lambda: job_ended(box, job), 5, "it goes on")
    assert (got["status"], got["code"], got["end"], got["data"]) == ("ended", 7, "ended", b"one\ntwo\n")
    assert [(x["job"], x["status"]) for x in box("bash.list")["jobs"]] == [(job, "ended")]


def supervisors(box):
    return subprocess.run(["pgrep", "-f", f"{box.sandbox.dir}/sandbox.conf --supervise .*/{box.agent}$"], capture_output=True, text=True).stdout.split()


def test_kill_a_job(box):
    job = box("bash.start", command="trap '' TERM HUP; setsid sleep 1000 & sleep 1000")["job"]
    assert len(supervisors(box)) == 1
    assert (box("bash.kill", job=job)["status"], box("bash.kill", job=job)["end"]) == ("ended", "cancelled")
    assert supervisors(box) == []


def test_a_scan_says_what_runs(box):
    """A job, and a command; and then that nothing does any more."""
    job = box("bash.start", command="until [ -e go ]; do sleep 0.02; done")["job"]
    assert box("ws.scan")["running"] is True
    box("fs.put", b"x", path="go")
    wait_for(lambda: box("bash.logs", job=job)["status"] == "ended")
    wait_for(lambda: box("ws.scan")["running"] is False)
    call = box.client.send("bash.run", user=box.user, agent=box.agent, command="touch here; until [ -e on ]; do sleep 0.02; done")
    wait_for(lambda: any(f["path"] == "here" for f in box("ws.scan")["files"]))
    assert box("ws.scan")["running"] is True
    box("fs.put", b"x", path="on")
    box.client.answer(call)
    assert box("ws.scan")["running"] is False


def test_jobs_of_others(sandbox, box):
    job = box("bash.start", command="sleep 1000")["job"]
    other = Box(sandbox)
    other.write("x", "x")
    for op in ("bash.logs", "bash.kill"):
        other.fails("not_found", op, job=job)
        box.fails("not_found", op, job="../" + job)
        box.fails("not_found", op, job="job_" + "0" * 26)
    other.client.close()
    box("ws.delete")
    wait_for(lambda: supervisors(box) == [], 5, "it outlives its agent")


def test_number_of_jobs(box):
    jobs = [box("bash.start", command="sleep 1000")["job"] for _ in range(4)]
    assert box.fails("quota", "bash.start", command="true").answer["limit"] == "sandbox.jobs"
    box("bash.kill", job=jobs[0])
    assert box("bash.start", command="true")["job"]
    box("ws.delete")


def test_a_job_is_bounded(box):
    job = box("bash.start", command="for i in $(seq 100); do head -c 4M /dev/zero > f$i; sleep 0.05; done")["job"]
    assert wait_for(lambda: job_ended(box, job), 20, "it goes on")["end"] == "quota"
    job = box("bash.start", command="rm -f f*; yes | head -c 40M")["job"]
    got = wait_for(lambda: job_ended(box, job), 20, "it goes on")
    assert got["bytes"] == 40 << 20 and got["size"] <= 16 << 20 and got["code"] == 0


def test_an_idle_agent_has_no_jobs():
    """A job ends when nobody has asked for anything of its agent; as long as somebody does it goes on."""
    folder = tempfile.mkdtemp(prefix="af-box-", dir="/tmp")
    sandbox = Sandbox(folder, {"sandbox.job_idle": "3s"}).start()
    skip_without_commands(sandbox)
    box = Box(sandbox)
    job = box("bash.start", command="sleep 1000")["job"]
    status = os.path.join(os.path.dirname(box.files), "jobs", job, "status")
    end = time.monotonic() + 5
    while time.monotonic() < end:  # for longer than it may be idle
        assert box("bash.logs", job=job)["status"] == "running"
        time.sleep(0.2)
    wait_for(lambda: os.path.exists(status), 10, "it goes on")
    assert box("bash.logs", job=job)["end"] == "idle" and supervisors(box) == []
    assert sandbox.stop() == 0
    shutil.rmtree(folder)


def test_jobs_survive_the_sandbox():
    """Twenty of them, and its kill -9: each is found again; a supervisor that is killed takes its command along."""
    folder = tempfile.mkdtemp(prefix="af-box-", dir="/tmp")
    sandbox = Sandbox(folder, {"sandbox.jobs": "20"}).start()
    skip_without_commands(sandbox)
    box = Box(sandbox)
    jobs = [box("bash.start", command=f"echo {i}; sleep 1000")["job"] for i in range(20)]
    sandbox.stop(9)
    sandbox.start()
    box.client = sandbox.client()
    for i, job in enumerate(jobs):
        got = wait_for(lambda: box("bash.logs", job=job) if box("bash.logs", job=job)["size"] else None, 5, "no output")
        assert (got["status"], got["data"].decode()) == ("running", f"{i}\n")
    pid, = [p for p in supervisors(box) if p == open(os.path.join(os.path.dirname(box.files), "jobs", jobs[0], "pid")).read().split()[0]]
    below = subprocess.run(["pgrep", "-P", pid], capture_output=True, text=True).stdout.split()
    os.kill(int(pid), 9)
    wait_for(lambda: box("bash.logs", job=jobs[0])["status"] == "lost", 5, "not noticed")
    wait_for(lambda: all(process_state(int(p))[0] in (None, "Z") for p in below), 5, "it lives on")
    box("ws.delete")
    wait_for(lambda: supervisors(box) == [], 5, "they outlive their agent")
    assert sandbox.stop() == 0
    shutil.rmtree(folder)
