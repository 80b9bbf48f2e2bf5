# SPDX-License-Identifier: MIT
"""Skills: what the model is told of them, what loading one gives, and what is refused."""

import contextlib
import os
import shutil

import pytest

from conftest import close
from stack import ROOT, Stack, wait_for
from test_sandbox_commands import skip_without_commands
from test_tools import calls, of, results

CSV = "name,age\nann,30\nbob,40\n"
SCRIPT = "bash .skills/csv-summary/scripts/summary.sh data.csv"


def tool(called, /, **arguments):
    return {"call": called, "input": arguments}


SCENARIOS = [
    *calls("^list$", tool("skills", action="list")),
    *calls("^load (.*)$", tool("skills", action="load", name="${1}")),
    *calls("^load$", tool("skills", action="load")),
    *calls("^data$", tool("fs_write", path="data.csv", content=CSV)),
    *calls("^run$", tool("bash_run", cmd=SCRIPT)),
    *calls("^spoil$", tool("bash_run", cmd="echo spoilt > .skills/csv-summary/scripts/summary.sh; echo mine > .skills/csv-summary/mine")),
    *calls("^block$", tool("bash_run", cmd="mkdir -p .skills/csv-summary/SKILL.md")),
    *calls("^delegate$", {"call": "task_run", "input": {"description": "load", "prompt": "load terse"}}),
]
TERSE = "---\nname: terse\ndescription: >\n  Short answers,\n  in few words.\n---\n\nAnswer in at most ten words.\n"


def add_skill(stack, name="terse", text=TERSE, **files):
    stack.write(f"skills.d/{name}/SKILL.md", text)
    for path, content in files.items():
        stack.write(f"skills.d/{name}/{path}", content)


def add_example(stack):
    shutil.copytree(os.path.join(ROOT, "skills", "csv-summary"), stack.path("skills.d", "csv-summary"))


def shipped(path="SKILL.md"):
    with open(os.path.join(ROOT, "skills", "csv-summary", path), encoding="utf-8") as f:
        return f.read()


@pytest.fixture(scope="module")
def stack():
    stack = Stack(start=False, scenarios=SCENARIOS, sandbox=True, templates={
        "analyst": {"systemPrompt": "You count.", "tools": ["bash_run", "fs_write", "fs_read", "task_run"], "skills": ["terse", "csv-summary"]},
        "all": {"skills": "*"},
        "none": {"tools": ["bash_run"], "skills": []},
        "plain": {"systemPrompt": "Plain.", "tools": ["bash_run"]},
    })
    add_skill(stack)
    add_skill(stack, "other", "---\nname: other\ndescription: Another one.\n---\n", **{"notes.md": "notes"})
    add_example(stack)
    stack.write("skills.d/README", "not a skill")
    stack.write("skills.d/other/.hidden", "left out")
    stack.start_all()
    yield stack
    close(stack)


@pytest.fixture
def agent(stack):
    return stack.user().agent(template="analyst")


def data(agent):
    result = results(agent)[-1]
    assert result["ok"] is True, result
    return result["data"]


def sent(stack):
    """The prompt and the tools of the newest request."""
    body = stack.model.requests[-1].body
    system = body.get("system", "")
    if not isinstance(system, str):
        system = "".join(block["text"] for block in system)
    return system, {t["name"] for t in body.get("tools", [])}


def listed(system):
    return [line.removeprefix("- ").partition(":")[0] for line in system.splitlines() if line.startswith("- ")]


def test_the_prompt_lists_them(agent, stack):
    """In the template's order, behind the agent's own prompt; a folded description is one line."""
    agent.ask("hello")
    system, tools = sent(stack)
    assert system.startswith("You count.\n\n# Skills\n") and listed(system) == ["terse", "csv-summary"]
    assert "\n- terse: Short answers, in few words.\n" in system and '{"action":"load"' in system
    assert tools == {"bash_run", "fs_write", "fs_read", "task_run", "skills"}
    assert agent.info()["systemPrompt"] == "You count.", "what is kept with the agent is its own prompt"


def test_all_of_them(stack):
    agent = stack.user().agent(template="all")
    agent.ask("list")
    system, tools = sent(stack)
    assert system.startswith("# Skills\n") and listed(system) == ["csv-summary", "other", "terse"] and tools == {"skills"}
    assert [s["name"] for s in data(agent)["skills"]] == ["csv-summary", "other", "terse"]
    agent.ask("load other")
    assert data(agent)["files"] == ["notes.md"]


@pytest.mark.parametrize("fields", [{}, {"template": "plain"}, {"template": "none"}])
def test_others_see_nothing(stack, fields):
    """Neither prompt nor tool, and a call of it is a call of a tool that there is not."""
    agent = stack.user().agent(**fields)
    agent.ask("load terse")
    system, tools = sent(stack)
    assert "Skills" not in system and "terse" not in system and "skills" not in tools
    assert results(agent)[-1]["error"] == "Tool not found: skills"


def test_denied(stack):
    """What the permission denies is not advertised: then the prompt does not speak of it."""
    agent = stack.user().agent(template="analyst", permission={"mode": "auto", "denyTools": ["skills"]})
    agent.ask("hello")
    system, tools = sent(stack)
    assert system == "You count." and "skills" not in tools


def test_tools_that_are_named(stack):
    """An agent with tools of its own choice keeps its skills; without skills the tool cannot be named."""
    agent = stack.user().agent(template="analyst", tools=["bash_run"])
    agent.ask("hello")
    assert sent(stack)[1] == {"bash_run", "skills"}
    got = stack.user().post("/api/agents", {"name": "x", "template": "plain", "tools": ["skills"]})
    assert got.status == 422 and "names no skills" in got.json["detail"]


def test_templates_show_them(stack):
    got = {t["name"]: t.get("skills") for t in stack.user().get("/api/templates").json["templates"]}
    assert got == {"analyst": ["terse", "csv-summary"], "all": ["csv-summary", "other", "terse"], "none": None, "plain": None}


def test_load(agent, stack):
    """The text as it is, and the files, in the workspace."""
    agent.ask("load csv-summary")
    assert data(agent) == {"name": "csv-summary", "text": shipped(), "files": ["scripts/summary.sh"], "folder": "/workspace/.skills/csv-summary"}
    folder = os.path.join(stack.sandbox.files(agent.id), ".skills")
    assert os.listdir(folder) == ["csv-summary"]
    for path in ("SKILL.md", "scripts/summary.sh"):
        with open(os.path.join(folder, "csv-summary", path), encoding="utf-8") as f:
            assert f.read() == shipped(path)


def test_a_script_runs(agent, stack):
    skip_without_commands(stack.sandbox)
    agent.ask("data")
    agent.ask("load csv-summary")
    agent.ask("run")
    assert data(agent) == {"code": 0, "output": "name: rows 2, empty 0, different 2\nage: rows 2, empty 0, different 2, min 30, max 40, mean 35\n"}


def test_a_copy_is_restored(agent, stack):
    """What is the same is left alone; what a command changed comes back, and its own files stay. The skill has not changed."""
    skip_without_commands(stack.sandbox)
    agent.ask("load csv-summary")
    folder = os.path.join(stack.sandbox.files(agent.id), ".skills", "csv-summary")
    before = os.stat(os.path.join(folder, "SKILL.md"))
    agent.ask("spoil")
    agent.ask("load csv-summary")
    after = os.stat(os.path.join(folder, "SKILL.md"))
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    with open(os.path.join(folder, "scripts", "summary.sh"), encoding="utf-8") as f:
        assert f.read() == shipped("scripts/summary.sh")
    assert sorted(os.listdir(folder)) == ["SKILL.md", "mine", "scripts"]
    with open(stack.path("skills.d/csv-summary/scripts/summary.sh"), encoding="utf-8") as f:
        assert f.read() == shipped("scripts/summary.sh")


def test_a_copy_that_cannot_be_made(agent, stack):
    """The text is good without it; the model is told which file, and why."""
    skip_without_commands(stack.sandbox)
    agent.ask("block")
    agent.ask("load csv-summary")
    assert data(agent)["text"] == shipped() and "folder" not in data(agent)
    assert data(agent)["notCopied"].startswith("SKILL.md: ") and "director" in data(agent)["notCopied"]


@pytest.mark.parametrize("message,said", [
    ("load nothing", 'there is no skill "nothing"; there are terse, csv-summary'),
    ("load other", 'there is no skill "other"; there are terse, csv-summary'),
    ("load ../terse", 'there is no skill "../terse"; there are terse, csv-summary'),
    ("load", "name the skill to load; there are terse, csv-summary"),
])
def test_what_cannot_be_loaded(agent, message, said):
    agent.ask(message)
    result = results(agent)[-1]
    assert (result["ok"], result["errorType"], result["error"]) == (False, "logical", said)


def test_sub_agents_have_them(agent, stack):
    """One without a template of its own is as the agent that made it, and works on its files."""
    frames = agent.ask("delegate")
    assert frames[-1]["reason"] == "completed" and of(frames, "subagent:complete")
    assert os.path.exists(os.path.join(stack.sandbox.files(agent.id), ".skills/terse/SKILL.md"))


def test_readonly(stack):
    """Loading is no effect that the permission is asked about."""
    agent = stack.user().agent(template="analyst", permission={"mode": "readonly"})
    agent.ask("load terse")
    assert data(agent)["text"] == TERSE


@contextlib.contextmanager
def halted(stack, agent):
    """A load that waits for the sandbox, which stands still."""
    stack.stop(stack.sandbox.process.pid)
    try:
        sent = agent.say("load csv-summary")
        wait_for(lambda: [c["state"] for c in agent.tool_calls()] == ["EXECUTING"], 10, "not begun")
        yield sent
    finally:
        stack.cont(stack.sandbox.process.pid)


def test_interrupt(agent, stack):
    with agent.follow() as view:
        with halted(stack, agent) as sent:
            agent.interrupt()
            view.wait(sent["turn"])
    assert view.dones[sent["turn"]] == "interrupted"
    agent.ask("load csv-summary")
    assert data(agent)["text"] == shipped()


def test_the_worker_dies(agent, stack):
    """Copies are the same however often they are made: the load is run again."""
    with agent.follow() as view:
        with halted(stack, agent) as sent:
            stack.kill_worker_of(agent)
        view.wait(sent["turn"])
    call, = agent.tool_calls()
    assert call["state"] == "COMPLETED" and view.dones[sent["turn"]] == "completed"
    assert data(agent)["folder"] == "/workspace/.skills/csv-summary"


def test_a_long_text(stack_factory):
    """What the model is not given of it, it can read in the workspace."""
    stack = stack_factory(start=False, scenarios=SCENARIOS, sandbox=True, workers=1, conf={"tool.max_output": "4k"}, templates={"a": {"skills": "*"}})
    add_skill(stack, text=TERSE + "be terse\n" * 1000)
    stack.start_all()
    agent = stack.user().agent(template="a")
    agent.ask("load terse")
    result = results(agent)[-1]
    assert result["ok"] and result["truncated"] and len(result["data"]) < 4500
    with open(os.path.join(stack.sandbox.files(agent.id), ".skills/terse/SKILL.md"), encoding="utf-8") as f:
        assert f.read() == TERSE + "be terse\n" * 1000


def test_the_sandbox_is_away(stack_factory):
    stack = stack_factory(start=False, scenarios=SCENARIOS, sandbox=True, workers=1, conf={"sandbox.timeout": "500ms"}, templates={"a": {"skills": "*"}})
    add_skill(stack)
    stack.start_all()
    agent = stack.user().agent(template="a")
    stack.sandbox.stop()
    agent.ask("load terse")
    assert data(agent)["text"] == TERSE and data(agent)["notCopied"].startswith("SKILL.md: ")


def test_without_a_sandbox(stack_factory):
    stack = stack_factory(start=False, scenarios=SCENARIOS, workers=1, templates={"a": {"skills": ["terse"]}})
    add_skill(stack, **{"more.md": "more"})
    stack.start_all()
    agent = stack.user().agent(template="a")
    agent.ask("load terse")
    assert data(agent) == {"name": "terse", "text": TERSE, "files": ["more.md"], "notCopied": "this server has no workspaces"}


# ---- what is refused ----

@pytest.mark.parametrize("name,text,complaint", [
    ("terse", "no front matter", "/skills.d/terse/SKILL.md:1: there is no front matter"),
    ("terse", "---\nname: terse\n", "/skills.d/terse/SKILL.md:1: the front matter does not end"),
    ("terse", "---\nname: terse\ndescription: a: b\n---\n", "/skills.d/terse/SKILL.md:3: this is no YAML"),
    ("terse", "---\nname: terse\n---\n", "/skills.d/terse/SKILL.md:1: description is missing"),
    ("terse", "---\nname: verbose\ndescription: x\n---\n", '/skills.d/terse/SKILL.md:2: name is "verbose"; it must be that of the folder'),
    ("terse", f"---\nname: terse\ndescription: {'x' * 1025}\n---\n", "/skills.d/terse/SKILL.md:3: description has 1025 characters"),
    ("terse", TERSE + "x" * 65536, "/skills.d/terse/SKILL.md: larger than 65536 bytes"),
    ("Terse", TERSE, "/skills.d/Terse: a skill's name is"),
    ("x" * 65, TERSE, "a skill's name is"),
])
def test_skills_that_are_not(stack_factory, name, text, complaint):
    """-t and the start name the file and the line."""
    stack = stack_factory(start=False, without_nginx=True)
    add_skill(stack, name, text)
    said = stack.check_conf()
    assert said.returncode == 78 and f"{complaint}" in said.stderr, said.stderr
    stack.start_redis()
    with pytest.raises(AssertionError, match="ended with 78"):
        stack.start_pool()
    assert complaint in stack.log()


def refused(stack, complaint):
    said = stack.check_conf()
    assert said.returncode == 78 and complaint in said.stderr, said.stderr


def test_folders_that_are_not(stack_factory):
    """No symlink is followed, nothing is too large, and a folder has a SKILL.md."""
    stack = stack_factory(start=False, without_nginx=True)
    folder = stack.path("skills.d/terse")
    os.makedirs(folder)
    refused(stack, "skills.d/terse: there is no SKILL.md")
    add_skill(stack)
    assert stack.check_conf().returncode == 0

    os.symlink("/etc/passwd", f"{folder}/link")
    refused(stack, "skills.d/terse/link: is a symlink, and none is followed")
    os.unlink(f"{folder}/link")
    os.symlink("/etc", f"{folder}/link")
    refused(stack, "skills.d/terse/link: is a symlink, and none is followed")
    os.unlink(f"{folder}/link")
    os.symlink(folder, stack.path("skills.d/again"))
    refused(stack, "skills.d/again: is a symlink, and none is followed")
    os.unlink(stack.path("skills.d/again"))

    os.mkfifo(f"{folder}/pipe")
    refused(stack, "skills.d/terse/pipe: is no regular file")
    os.unlink(f"{folder}/pipe")

    for i in range(256):
        stack.write(f"skills.d/terse/many/{i}", "")
    refused(stack, "the skill has more than 256 files")
    shutil.rmtree(f"{folder}/many")

    stack.write("skills.d/terse/large", "x" * (16 * 1024 * 1024))
    refused(stack, "skills.d/terse/large: the skill's files have more than 16777216 bytes")
    os.unlink(f"{folder}/large")

    os.makedirs(f"{folder}/{'d/' * 9}")
    refused(stack, "folders nest deeper than 8 levels")
    shutil.rmtree(f"{folder}/d")
    assert stack.check_conf().returncode == 0
    stack.conf["skills"] = "/etc/hostname"
    refused(stack, "skills: /etc/hostname: Not a directory")


@pytest.mark.parametrize("skills,complaint", [
    (["terse", "nope"], 'skills: there is no skill "nope"'),
    ([1], "skills is a list of names"),
    ("terse", "skills is a list of names"),
    ({}, "skills is a list of names"),
])
def test_templates_that_name_others(stack_factory, skills, complaint):
    stack = stack_factory(start=False, without_nginx=True, templates={"bad": {"skills": skills}})
    add_skill(stack)
    said = stack.check_conf()
    assert said.returncode == 78 and complaint in said.stderr and "templates.d/bad.json" in said.stderr, said.stderr
