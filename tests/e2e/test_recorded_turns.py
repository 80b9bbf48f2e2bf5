# SPDX-License-Identifier: MIT
"""Recorded streams of all providers, over HTTP and through whole turns: what is shown, kept, counted and said."""

import glob
import json
import os

import pytest
from recorded_server import RecordedServer, end_stream
from stack import Stack
from waiting import ROOT

FOLDER = os.path.join(os.environ.get("AGENT_FPM_SHARED", os.path.join(ROOT, "..", "shared")), "fixtures", "providers")
PROFILES = {"anthropic", "gemini", "openai-responses", "deepseek", "qwen", "groq", "cerebras", "openrouter", "vllm", "llamacpp", "ollama"}
BY_API = {"anthropic": "anthropic", "openai-chat": "openai", "openai-responses": "openai-responses", "gemini": "gemini"}
CASES = sorted(os.path.relpath(p, FOLDER)[:-4] for p in glob.glob(os.path.join(FOLDER, "*", "*.sse")))


@pytest.fixture(scope="module")
def place():
    server = RecordedServer()
    models = {name: {"provider": name, "url": server.url, "id": "m", "retries": "0", "breaker_failures": "0", "context_window": "0"}
              for name in sorted(PROFILES | set(BY_API.values()))}
    keys = {f"{p}_API_KEY": "key-of-the-test" for p in ("OPENAI", "GEMINI", "DEEPSEEK", "DASHSCOPE", "GROQ", "CEREBRAS", "OPENROUTER")}
    stack = Stack(workers=1, models=models, env=keys)
    stack.server = server
    yield stack
    stack.close()
    server.close()
    assert not stack.problems


def read(case, end, mode="rb"):
    with open(os.path.join(FOLDER, case + end), mode) as f:
        return f.read()


def chunks(case):
    path = os.path.join(FOLDER, case + ".chunks.json")
    if not os.path.exists(path):
        return None
    doc = json.loads(read(case, ".chunks.json"))
    return doc if isinstance(doc, list) else next(v for v in doc.values() if isinstance(v, list))


def of_step(frames, kind, step=1):
    return [f.json for f in frames if f.kind == kind and f.json["step"] == step]


def shown(frames, kind):
    return "".join(f["text"] for f in of_step(frames, kind))


def shown_all(frames):
    return "".join(f.json["text"] for f in frames if f.kind == "text_chunk")


@pytest.mark.skipif(not CASES, reason="the recorded streams are not there")
@pytest.mark.parametrize("case", CASES)
def test_stream(place, case):
    expect = json.loads(read(case, ".expect.json"))
    provider = expect["provider"] if expect["provider"] in PROFILES else BY_API[expect["api"]]
    place.server.queue.clear()
    place.server.answer(read(case, ".sse"), chunks(case))
    for _ in range(3):
        place.server.answer(end_stream(expect["api"]))
    agent = place.user().agent(model=provider)
    frames = agent.ask("go")
    done = next(f.json for f in frames if f.kind == "done")
    assert shown(frames, "text_chunk") == expect["text"] + expect["refusal"]
    assert shown(frames, "think_chunk") == expect["thinking"]
    if expect["error"] or not expect["complete"]:
        error = of_step(frames, "error")[0]
        assert done["reason"] == "error" and error["class"]
        if expect["error"]:
            assert error["message"][:100] == expect["error"]["message"][:100]
        return
    usage = of_step(frames, "token_usage")[0]
    for name, ours in (("input_tokens", "input"), ("output_tokens", "output"), ("cached_tokens", "cached"), ("reasoning_tokens", "reasoning")):
        assert usage.get(ours) == (expect["usage"] or {}).get(name)
    calls = [c["name"] for c in expect["tool_calls"]]
    kept = [b for m in agent.history() if m["role"] == "assistant" for b in m["content"]]
    assert [b["name"] for b in kept if b["type"] == "tool_use"] == calls
    if calls:
        assert shown_all(frames).endswith("end") and done["reason"] == "completed"
    elif expect["stop_reason"] != "pause":
        assert (done["reason"], done["stop"]) == ("completed", expect["stop_reason"])
