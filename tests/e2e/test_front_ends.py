# SPDX-License-Identifier: MIT
"""docs/front-ends.md: what it says is done, and its script says what it is said to say."""

import os
import re
import signal
import subprocess

from stack import kill, wait_for
from test_api_keys import section_of
from test_bridge_sessions import npm  # noqa: F401
from waiting import BINARY, ROOT, scaled


def script():
    """check.js, as the guide has it."""
    with open(os.path.join(ROOT, "docs", "front-ends.md"), encoding="utf-8") as f:
        return "\n".join(line[4:] for line in re.search(r"(    const \{ io \}.*?)\n`node check.js", f.read(), re.S)[1].split("\n"))


def test_the_guide(stack_factory, npm):  # noqa: F811
    """A key; sockets that show none are refused, then let in as the key's user, and hear of the session that the key has made."""
    stack = stack_factory(workers=1, bridges=1)
    made = subprocess.run([BINARY, "-c", stack.write_conf(), "apikey", "new", "office", "--user", "office"], capture_output=True, text=True, check=True).stdout
    key = made.split("\n")[0]
    name, settings = section_of(made)
    stack.models[f"api_key {name}"] = settings

    def reload(**conf):
        stack.conf |= conf
        stack.write_conf()
        before = stack.workers()
        kill(stack.master, signal.SIGHUP)
        wait_for(lambda: not set(before) & set(stack.workers()) and stack.is_ready(), 10, "no reload")
        stack.bridges[0].restart()

    def check():
        return subprocess.Popen(["node", "-e", script(), "check", stack.plain, key], cwd=npm, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    reload()
    assert stack.http("GET", "/api/sessions", headers={"Authorization": f"Bearer {key}"}).json == {"sessions": []}
    with check() as refused:
        assert refused.stdout.readline() == "refused: Invalid API key\n"
        refused.kill()
    reload(**{"bridge.auth": "optional", "bridge.anonymous_user": "office", "bridge.cors_origins": "https://app.example.org"})
    with check() as process:
        out = process.communicate(timeout=scaled(30))[0]
    assert "joined: { success: true }\n" in out and re.search(r"said: \{ success: true, sessionId: '[0-9a-f-]{36}' \}", out), out
