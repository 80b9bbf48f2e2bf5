# SPDX-License-Identifier: MIT
"""Records what sessions are made of, by a real stack: tests/unit/session/NAME.json.

    python3 tests/lib/record_sessions.py

Each file has the agent, and of it and its sub-agents the events, the messages (and those of windows that
compaction left) and the records of tool calls. Long fillings are shortened.
"""

import json
import os

from stack import Agent, Stack, words
from waiting import ROOT

LONG = "x" * 2000
LIST = [{"id": "1", "title": "one", "status": "pending"}]
TOOLS = ["task_run", "todo_read", "todo_write", "fs_write"]


def task(name):
    return {"call": "task_run", "input": {"description": f"count {name}", "prompt": f"child {name}" + " and go on" * 25}}


SCENARIOS = [
    {"match": "^work$", "round": 0, "steps": [
        {"thinking": "I look at the list, then I ask somebody.", "signature": "c2ln"}, {"text": "Let me see. "},
        {"call": "todo_read"}, {"text": "And count. "}, task("one"), {"call": "no_such", "input": {"x": 1}}]},
    {"match": "^work$", "steps": [{"thinking": "Now I know.", "signature": "c2ln"}, {"text": "It is done."}]},
    {"match": "^two$", "round": 0, "steps": [task("slow"), task("one")]},
    {"match": "^two$", "steps": [{"text": "Both are back."}]},
    {"match": "^child slow", "steps": [{"text": words(6), "pace_ms": 30, "by": "word"}]},
    {"match": "^child", "round": 0, "steps": [{"thinking": "One, two.", "signature": "c2ln"}, {"call": "todo_read"}]},
    {"match": "^child", "steps": [{"text": "There are two."}]},
    {"match": "^slow$", "steps": [{"thinking": words(3), "signature": "c2ln"}, {"text": words(12), "pace_ms": 60, "by": "word"}]},
    {"match": "^file$", "round": 0, "steps": [
        {"text": "I write."}, {"call": "fs_write", "input": {"path": "a/b.txt", "content": "hello\n" * 60}},
        {"call": "fs_write", "input": {"path": "c.txt", "content": "c"}}]},
    {"match": "^file$", "steps": [{"text": "Written."}]},
    {"match": "^ask$", "round": 0, "steps": [{"text": "May I?"}, {"call": "todo_write", "input": {"todos": LIST}}, {"call": "todo_read"}]},
    {"match": "^ask$", "steps": [{"text": "Fine."}]},
    {"match": "^fail$", "steps": [{"status": 400}]},
    {"match": "^shown$", "steps": [{"text": "half an answer"}, {"cut": True}]},
]
COMPACTED = [
    {"match": "^\\[", "steps": [{"text": "SUMMARY: they talked."}, {"usage": {"measured": True}}]},
    {"match": "^say ", "steps": [{"text": f"answer {LONG}", "by": "whole"}, {"usage": {"measured": True}}]},
]


def messages(agent, query=""):
    got = agent.user.get(f"{agent.path}/messages?limit=500{query}")
    assert got.status == 200, got
    return got.json["messages"]


def one(agent):
    return {"events": [json.loads(e) for _, e in agent.log()], "calls": agent.tool_calls(),
            "windows": [messages(agent, f"&window={n}") for n in range(agent.info()["windows"])], "messages": messages(agent)}


def record(name, agent):
    """Of an agent that is idle, and its sub-agents."""
    agent.wait_idle()
    agents, left = {}, [agent]
    while left:
        a = left.pop()
        a.wait_idle()
        agents[a.id] = one(a)
        left += [Agent(a.user, c["child"]) for c in a.tool_calls() if "child" in c]
    text = json.dumps({"agent": agent.id, "agents": agents}, ensure_ascii=False, indent=0, separators=(",", ":"))
    folder = os.path.join(ROOT, "tests", "unit", "session")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as f:
        f.write(text.replace(LONG, "x" * 20) + "\n")


def record_kill(stack, agent):
    """A worker dies while it streams, then a turn is interrupted, then one is steered."""
    with agent.follow() as view:
        agent.say("slow")
        view.has("w5")
        stack.kill_workers()
        view.wait(turns=1)
        agent.say("slow")
        view.has("w5")
        agent.interrupt()
        view.wait(turns=2)
        agent.say("slow")
        view.has("w5")
        agent.say("file", onBusy="steer")
        view.wait(turns=3)
    record("kill", agent)


def record_all(stack):
    ann = stack.user("ann")
    agent = ann.agent(tools=TOOLS)
    agent.ask("work")
    record("work", agent)
    agent = ann.agent(tools=TOOLS)
    agent.ask("two")
    record("two", agent)
    agent = ann.agent(tools=TOOLS)
    agent.ask("file")
    agent.ask("fail")
    agent.ask([{"type": "text", "text": "shown"}])
    record("file", agent)
    agent = ann.agent(tools=TOOLS, permission={"requireApprovalTools": ["todo_write"]})
    agent.say("ask")
    agent.decide(agent.asked()[0]["id"])
    record("ask", agent)
    record_kill(stack, ann.agent(tools=TOOLS))


def main():
    with Stack(scenarios=SCENARIOS, sandbox=True, conf={"store.sweep": "200ms"}) as stack:
        stack.allow_invalid = True
        record_all(stack)
    conf = {"model.context_window": "4000", "model.max_tokens": "1000", "compact.keep_turns": "2"}
    with Stack(scenarios=COMPACTED, conf=conf) as stack:
        agent = stack.user("ann").agent()
        for n in range(8):
            agent.ask(f"say {n} {LONG}")
        record("compact", agent)


if __name__ == "__main__":
    main()
