# SPDX-License-Identifier: MIT
"""agent-fpm models: what is configured and whether it answers; proxies, and keys where nobody sees them."""

import json
import subprocess

import pytest
from recorded_server import RecordedServer, end_stream
from stack import Stack, free_ports
from waiting import BINARY

APIS = {"anthropic": "anthropic", "openai": "openai-chat", "openai-responses": "openai-responses", "gemini": "gemini"}
KEY = "key-0123456789-of-the-test"


@pytest.fixture
def server():
    server = RecordedServer()
    yield server
    server.close()


@pytest.fixture
def make(server):
    """An installation with these models, which is not started."""
    stacks = []

    def of(models, **settings):
        env = {f"{p}_API_KEY": KEY for p in ("OPENAI", "GEMINI", "DEEPSEEK")}
        stacks.append(Stack(workers=1, start=False, models=models, env=env,
                            conf={"model.url": server.url, "model.id": "m-default", "model.api_key_file": "", **settings}))
        stacks[-1].env["ANTHROPIC_API_KEY"] = KEY
        return stacks[-1]

    yield of
    for stack in stacks:
        stack.close()


def models(stack, *args):
    return subprocess.run([BINARY, "-c", stack.write_conf(), "models", *args], env=stack.pool_env(), capture_output=True, text=True,
                          check=False, timeout=60)


def test_list(make):
    """Each with its provider, URL, bounds and prices; no key."""
    stack = make({"fast": {"provider": "deepseek", "id": "deepseek-v4-flash", "price_input": "0.28", "price_output": "0.42", "fallback": "default"}})
    listed = models(stack)
    assert listed.returncode == 0 and KEY not in listed.stdout
    for part in ("default\n", "anthropic, m-default", "fast\n", "deepseek, deepseek-v4-flash", "https://api.deepseek.com/chat/completions",
                 "input 0.28, output 0.42", "then default"):
        assert part in listed.stdout, listed.stdout


def test_check(make, server):
    """Each is called, for few tokens; the key is in a header and in no URL."""
    stack = make({n: {"provider": n, "url": server.url, "id": "m", "thinking": "2000"} for n in APIS if n != "anthropic"})
    for _ in APIS:
        server.queue.append((200, b"", None, {}))
    streams = {"/v1/messages": "anthropic", "/chat/completions": "openai-chat", "/responses": "openai-responses"}
    server.choose = lambda path: end_stream(streams.get(path, "gemini"))
    checked = models(stack, "--check")
    assert checked.returncode == 0, checked
    assert [line.split()[:2] for line in checked.stdout.splitlines()] == [["ok", f"{n}:"] for n in ("default", "openai", "openai-responses", "gemini")]
    for path, headers, body in server.requests:
        assert KEY not in path and KEY not in json.dumps(body) and any(KEY in v for v in headers.values())
        assert "16" in json.dumps(body) and "2000" not in json.dumps(body)


def test_check_fails(make, server):
    """What does not answer is said, with the class of error and the request's id; the key is not repeated."""
    stack = make({"dead": {"url": f"http://127.0.0.1:{free_ports(1)[0]}"}})
    body = {"type": "error", "error": {"type": "authentication_error", "message": f"invalid x-api-key {KEY}"}, "request_id": "req_7"}
    server.answer(json.dumps(body).encode(), status=401)
    checked = models(stack, "--check")
    assert checked.returncode == 1 and KEY not in checked.stdout
    default, dead = checked.stdout.splitlines()
    assert default.startswith("FAIL  default: authentication_error: invalid x-api-key") and "(request req_7)" in default
    assert dead.startswith("FAIL  dead: network")


def test_proxy(make, server):
    """model.proxy is asked for the provider's URL; none is none, whatever the environment says."""
    stack = make({}, **{"model.url": "http://provider.invalid", "model.proxy": server.url})
    server.answer(end_stream("anthropic"))
    assert models(stack, "--check").returncode == 0
    assert server.requests[0][0] == "http://provider.invalid/v1/messages"
    stack = make({}, **{"model.proxy": "none"})
    stack.env["http_proxy"] = f"http://127.0.0.1:{free_ports(1)[0]}"
    server.answer(end_stream("anthropic"))
    assert models(stack, "--check").returncode == 0
    assert server.requests[1][0] == "/v1/messages"


def test_usage(make):
    """Anything else is a mistake."""
    assert models(make({}), "--all").returncode == 64
