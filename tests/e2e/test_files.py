# SPDX-License-Identifier: MIT
"""Tools that work on files, from the model to the workspace and back."""

import json
import os

import pytest

from conftest import close
from stack import Agent, Stack, text_of, wait_for
from test_tools import calls, of, results

TOOLS = ["fs_read", "fs_write", "fs_edit", "fs_multi_edit", "fs_glob", "fs_grep", "task_run"]
POEM = "roses are red\nviolets are blue\n"


def tool(name, **arguments):
    return {"call": name, "input": arguments}


SCENARIOS = [
    *calls("^write$", tool("fs_write", path="poems/roses.txt", content=POEM)),
    *calls("^read$", tool("fs_read", path="/workspace/poems/roses.txt", offset=2)),
    *calls("^edit$", tool("fs_edit", path="poems/roses.txt", old_string="red", new_string="$&")),
    *calls("^edits$", tool("fs_multi_edit", edits=[{"path": "poems/roses.txt", "find": "blue", "replace": "green"},
                                                   {"path": "none", "find": "a", "replace": "b"}])),
    *calls("^find$", tool("fs_glob", pattern="**/*.txt"), tool("fs_grep", pattern="VIOLETS", path="poems", case_sensitive=False)),
    *calls("^escape$", tool("fs_read", path="../../etc/passwd")),
    *calls("^wrong$", tool("fs_read", path="x", user="bob")),
    *calls("^grep all$", tool("fs_grep", pattern="line", path=".", max_results=5000)),
    *calls("^read all$", tool("fs_read", path="long")),
    *calls("^delegate$", {"call": "task_run", "input": {"description": "read", "prompt": "read"}}),
]


@pytest.fixture(scope="module", params=["unix", "http"])
def stack(request):
    """By the sandbox's socket, and as on another host."""
    stack = Stack(scenarios=SCENARIOS, sandbox=request.param, conf={"sandbox.timeout": "3s", "limits.checkpoints": "5"}, templates={"coder": {"tools": TOOLS}})
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(template="coder")


def data(agent, n=-1):
    result = results(agent)[n]
    assert result["ok"] is True, result
    return result["data"]


def files_of(agent, stack):
    return stack.sandbox.files(agent.id)


def fork_of(agent):
    got = agent.user.post(f"{agent.path}/fork", {})
    assert got.status == 201, got
    return Agent(agent.user, got.json["agentId"])


def test_write_read_edit(agent, stack):
    frames = agent.ask("write")
    assert data(agent) == {"path": "poems/roses.txt", "created": True, "bytes": 31, "lines": 2}
    changed, = of(frames, "file_changed")
    call, = agent.tool_calls()
    assert {k: changed[k] for k in ("path", "change", "size", "tool", "callId", "channel")} == {
        "path": "poems/roses.txt", "change": "created", "size": 31, "tool": "fs_write", "callId": call["id"], "channel": "monitor"}
    agent.ask("read")
    assert data(agent) == {"path": "poems/roses.txt", "offset": 2, "limit": 1, "truncated": False, "totalLines": 2, "content": "violets are blue\n"}
    frames = agent.ask("edit")
    assert data(agent) == {"path": "poems/roses.txt", "replacements": 1, "lines": 2}
    assert [(f["path"], f["change"]) for f in of(frames, "file_changed")] == [("poems/roses.txt", "modified")]
    frames = agent.ask("edits")
    assert data(agent)["ok"] is False and [r["status"] for r in data(agent)["results"]] == ["ok", "error"]
    assert len(of(frames, "file_changed")) == 1
    agent.ask("find")
    found, grep = data(agent, -2), data(agent, -1)
    assert found["matches"] == ["poems/roses.txt"]
    assert grep["matches"] == [{"path": "poems/roses.txt", "line": 2, "column": 1, "preview": "violets are green"}]
    with open(os.path.join(files_of(agent, stack), "poems/roses.txt"), encoding="utf-8") as f:
        assert f.read() == "roses are $&\nviolets are green\n"


def test_failures(agent):
    """The model is told what it can do about it; the agent goes on."""
    agent.ask("read")
    assert results(agent)[-1]["errorType"] == "logical" and "no such file" in results(agent)[-1]["error"]
    agent.ask("escape")
    assert "outside of the workspace" in results(agent)[-1]["error"]
    agent.ask("wrong")
    assert results(agent)[-1]["errorType"] == "validation"
    agent.ask("write")
    assert data(agent)["created"] is True


def test_schemas(agent, stack):
    """W35: items, bounds and descriptions reach the model."""
    agent.ask("hello")
    tools = {t["name"]: t["input_schema"] for t in stack.model.requests[-1].body["tools"]}
    assert set(TOOLS) <= set(tools)
    item = tools["fs_multi_edit"]["properties"]["edits"]["items"]
    assert item["required"] == ["path", "find", "replace"] and item["properties"]["replace_all"] == {"type": "boolean"}


def test_users_have_their_own(stack, agent):
    other = stack.user().agent(template="coder")
    agent.ask("write")
    other.ask("read")
    assert results(other)[-1]["ok"] is False


def test_all_of_an_output_is_kept(agent, stack):
    """What is too large for the model is a file it can read in parts."""
    agent.ask("write")
    with open(os.path.join(files_of(agent, stack), "long"), "w", encoding="utf-8") as f:
        f.writelines(f"line {i} {'x' * 60}\n" for i in range(3000))
    agent.ask("grep all")
    result = results(agent)[-1]
    assert result["truncated"] is True and len(result["data"]) < 66000 and result["totalBytes"] > 200000
    assert result["data"].startswith('{"pattern":"line"') and "bytes are left out here" in result["data"] and result["data"].endswith('"truncated":false}')
    with open(os.path.join(files_of(agent, stack), result["whole"]), encoding="utf-8") as f:
        whole = json.load(f)
    assert len(whole["matches"]) == 3000 and result["whole"].startswith("tool-output/")
    agent.ask("read all")
    got = results(agent)[-1]
    assert "whole" not in got and got["data"]["truncated"] is True and 300 < got["data"]["limit"] < 2000 and got["data"]["content"].endswith("\n")


def test_a_sub_agent_works_on_the_same_files(agent):
    agent.ask("write")
    agent.ask("delegate")
    child = Agent(agent.user, [c["child"] for c in agent.tool_calls() if "child" in c][0])
    assert results(child)[0]["data"]["content"] == POEM.split("\n", 1)[1]


def test_a_fork_gets_a_copy(agent, stack):
    agent.ask("write")
    fork = fork_of(agent)
    fork.ask("edit")
    agent.ask("read")
    assert data(agent)["content"] == POEM.split("\n", 1)[1]
    with open(os.path.join(files_of(fork, stack), "poems/roses.txt"), encoding="utf-8") as f:
        assert "$&" in f.read()


def test_files_go_with_the_agent(agent, stack):
    agent.ask("write")
    fork = fork_of(agent)
    assert files_of(agent, stack)
    assert agent.user.http("DELETE", agent.path).status == 204
    assert files_of(agent, stack) is None and files_of(fork, stack)
    fork.ask("read")
    assert data(fork)["totalLines"] == 2


def test_the_sandbox_is_away(stack):
    """Calls fail clearly, the agent goes on, and all is well when it is back; nothing is deleted by halves."""
    agent = stack.user().agent(template="coder")
    agent.ask("write")
    stack.sandbox.stop()
    agent.ask("read")
    assert agent.user.get(f"{agent.path}/files").status == 503
    result = results(agent)[-1]
    assert result["errorType"] == "exception" and "is agent-fpm-sandbox running?" in result["error"]
    for got in (agent.user.http("DELETE", agent.path), agent.user.post(f"{agent.path}/fork", {})):
        assert got.status == 503 and "sandbox" in got.json["detail"], got
    assert len(agent.user.get("/api/agents").json["agents"]) == 1
    stack.sandbox.start()
    agent.ask("read")
    assert data(agent)["totalLines"] == 2
    stack.sandbox.stop(9)
    stack.sandbox.start()
    agent.ask("read")
    assert data(agent)["totalLines"] == 2


def test_interrupted_in_the_middle(stack):
    """A call that hangs is stopped with its turn."""
    agent = stack.user().agent(template="coder")
    agent.ask("write")
    pid = stack.sandbox.process.pid
    stack.stop(pid)
    try:
        with agent.follow() as view:
            sent = agent.say("read")
            wait_for(lambda: any(c["state"] == "EXECUTING" for c in agent.tool_calls()), 10, "not begun")
            agent.interrupt()
            view.wait(sent["turn"])
        assert view.dones[sent["turn"]] == "interrupted"
        agent.ask("read")
        assert results(agent)[-1]["errorType"] == "timeout"
    finally:
        stack.cont(pid)
    agent.ask("read")
    assert data(agent)["totalLines"] == 2


def http(agent, method, path, body=None, **headers):
    return agent.user.http(method, f"{agent.path}/files{path}", body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_files_by_http(agent):
    assert http(agent, "GET", "").json == {"files": [], "truncated": False}
    assert http(agent, "GET", "/up/a%20b.txt").status == 404
    made = http(agent, "PUT", "/up/a%20b.txt", b"hello \xc3\xbc")
    assert made.status == 201 and made.headers["ETag"]
    assert http(agent, "PUT", "/up/raw", bytes(range(256)) * 8000).status == 201, "larger than limits.body"
    listed = http(agent, "GET", "").json["files"]
    assert sorted((f["path"], f.get("size")) for f in listed) == [("up", None), ("up/a b.txt", 8), ("up/raw", 2048000)]
    assert [f["path"] for f in http(agent, "GET", "?depth=1").json["files"]] == ["up"]
    assert http(agent, "GET", "?path=up&limit=1").json["truncated"] is True
    got = http(agent, "GET", "/up/a%20b.txt")
    assert got.status == 200 and got.body == b"hello \xc3\xbc" and got.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert got.headers["ETag"] == made.headers["ETag"] and got.headers["Content-Disposition"] == "attachment"
    raw = http(agent, "GET", "/up/raw")
    assert raw.body == bytes(range(256)) * 8000 and raw.headers["Content-Type"] == "application/octet-stream"
    assert http(agent, "GET", "/up/raw", If_None_Match=raw.headers["ETag"]).status == 304
    assert http(agent, "DELETE", "/up").status == 204 and http(agent, "GET", "").json["files"] == []


@pytest.mark.parametrize("header, status, body, said", [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"), ("bytes=7-", 206, b"789", "bytes 7-9/10"), ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    ("bytes=8-100", 206, b"89", "bytes 8-9/10"), ("bytes=10-", 416, b"", "bytes */10"), ("bytes=5-2", 200, b"0123456789", None),
    ("bytes=a-b", 200, b"0123456789", None), ("bytes=0-1,3-4", 200, b"0123456789", None), ("lines=1-2", 200, b"0123456789", None),
    ("bytes=-0", 416, b"", "bytes */10"), ("bytes=-100", 206, b"0123456789", "bytes 0-9/10"),
])
def test_ranges(agent, header, status, body, said):
    http(agent, "PUT", "/f", b"0123456789")
    got = http(agent, "GET", "/f", Range=header)
    assert (got.status, got.body, got.headers.get("Content-Range")) == (status, body, said)


def test_preconditions(agent):
    etag = http(agent, "PUT", "/f", b"1", If_None_Match="*").headers["ETag"]
    assert http(agent, "PUT", "/f", b"2", If_None_Match="*").status == 412
    assert http(agent, "PUT", "/f", b"2", If_Match='"other"').status == 412
    second = http(agent, "PUT", "/f", b"2", If_Match=etag)
    assert second.status == 204 and second.headers["ETag"] != etag
    for old in (etag, f'"x", {etag}', '"etag"', '""', f"W/{second.headers['ETag']}", f"W/{second.headers['ETag']}, {etag}"):
        assert http(agent, "PUT", "/f", b"3", If_Match=old).status == 412, old
    assert http(agent, "PUT", "/new", b"3", If_Match=f'"x", {etag}').status == 412
    assert http(agent, "GET", "/f").body == b"2"
    assert http(agent, "PUT", "/f", b"3", If_Match=f'{etag}, {second.headers["ETag"]}').status == 204


@pytest.mark.parametrize("path, status", [("/..%2f..%2fetc%2fpasswd", 422), ("/%2e%2e/x", None), ("//etc/passwd", None), ("/a%00b", 400), ("/" + "n" * 300, 422)])
def test_paths_that_lead_outside(agent, path, status):
    http(agent, "PUT", "/f", b"x")
    for method in ("GET", "PUT", "DELETE"):
        got = http(agent, method, path, b"x" if method == "PUT" else None)
        assert got.status in ((status,) if status else (400, 403, 404, 405, 422)), got


def test_files_of_others(agent, stack):
    http(agent, "PUT", "/f", b"mine")
    other = agent.seen_by(stack.user())
    for method, path in (("GET", ""), ("GET", "/f"), ("PUT", "/f"), ("DELETE", "/f")):
        assert http(other, method, path, b"x" if method == "PUT" else None).status == 403
    assert http(agent, "GET", "/f").body == b"mine"


def test_an_upload_is_seen_by_the_agent(agent):
    """And what the site changed meanwhile is not overwritten."""
    http(agent, "PUT", "/poems/roses.txt", POEM.encode())
    agent.ask("read")
    assert data(agent)["totalLines"] == 2
    http(agent, "PUT", "/poems/roses.txt", b"changed")
    agent.ask("write")
    assert results(agent)[-1]["error"].startswith("File appears to have changed externally")
    assert http(agent, "GET", "/poems/roses.txt").body == b"changed"


def test_bounds_of_the_site(agent):
    assert http(agent, "PUT", "/large", b"x" * (17 << 20)).status == 413
    assert http(agent, "GET", "?depth=0").status == 400 and http(agent, "GET", "?path=nowhere").status == 404


def test_without_a_sandbox(stack_factory):
    """A template that needs one is refused at the start, and an agent by name."""
    stack = stack_factory()
    got = stack.user().post("/api/agents", {"name": "x", "tools": ["fs_read"]})
    assert got.status == 422 and "set sandbox.socket" in got.json["detail"]
    stack.write("templates.d/coder.json", json.dumps({"tools": ["fs_read"]}))
    assert "set sandbox.socket" in stack.check_conf().stderr
