# SPDX-License-Identifier: MIT
"""The checker of Chat requests: takes those that were recorded, and complains of each thing that is wrong."""

import copy
import glob
import json
import os

import pytest

from check_chat import check

# Recorded ones that the API takes all the same: what the checker says of them.
LENIENT = {
    "ollama/tool_call_zero_arg": "unknown member",  # Ollama looks at nothing
}


def recorded():
    shared = os.environ.get("AGENT_FPM_SHARED", "../shared")
    for path in sorted(glob.glob(f"{shared}/fixtures/providers/*/*.request.json")):
        with open(path.replace(".request.json", ".expect.json"), encoding="utf-8") as f:
            if json.load(f)["api"] != "openai-chat":
                continue
        with open(path, encoding="utf-8") as f:
            yield path, json.load(f)


def test_recorded_requests_pass():
    count = 0
    for path, body in recorded():
        complaints = check(body)
        expected = [e for name, e in LENIENT.items() if name in path]
        if expected:
            assert expected[0] in complaints[0], path
        else:
            assert complaints == [], path
        count += 1
    if not count:
        pytest.skip("no recorded requests")
    assert count >= 50


def call(name, arguments="{}"):
    return {"id": name, "type": "function",
            "function": {"name": "f", "arguments": arguments}}


def result(name):
    return {"role": "tool", "tool_call_id": name, "content": "r"}


PNG = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
TOOL = {"type": "function", "function": {
    "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}

VALID = {
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, PNG, PDF]},
        {"role": "assistant", "content": "both", "tool_calls": [call("callone01", '{"a":1}'), call("calltwo02")]},
        result("callone01"),
        result("calltwo02"),
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "user", "content": "go"},
    ],
    "model": "m", "stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False},
    "max_completion_tokens": 100, "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}}, "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}, "strict": True}},
}

# What is done to the valid one (b is the body, m its messages), and a word of the complaint.
WRONG = [
    ("m.clear()", "not empty"),
    ("del b['messages']", "messages"),
    ("del b['model']", "model"),
    ("b['stream'] = False", "stream"),
    ("b['max_tokens'] = 3", "only one"),
    ("b['max_completion_tokens'] = 0", "max_completion_tokens"),
    ("b['max_completion_tokens'] = True", "max_completion_tokens"),
    ("b['system'] = 'S'", "unknown member"),
    ("b['stream_options']['x'] = 1", "unknown member"),
    ("b['stream_options']['include_usage'] = 1", "include_usage"),
    ("m[0]['role'] = 'robot'", "unknown"),
    ("m[0]['role'] = ['user']", "unknown"),
    ("m[0]['content'] = ''", "empty"),
    ("m.append(m.pop(0))", "system prompt"),
    ("m[1]['content'][0]['text'] = ''", "empty"),
    ("m[1]['content'] = []", "not empty"),
    ("m[1]['content'] = None", "list"),
    ("m[1]['content'][0]['type'] = 'tool_result'", "not allowed"),
    ("m[1]['content'][1]['image_url'] = 'data:image/png;base64,AA=='", "object"),
    ("m[1]['content'][1]['image_url']['url'] = 'data:image/png;base64,'", "URL"),
    ("del m[1]['content'][2]['file']['filename']", "filename"),
    ("m[1]['content'][2]['file']['file_data'] = 'AA=='", "data URL"),
    ("m[1]['tool_calls'] = []", "unknown member"),
    ("m[1] = 'hi'", "object"),
    ("m[2]['tool_calls'] = []", "not empty"),
    ("m[2]['content'] = ''", "empty"),
    ("m[2]['native'] = {}", "unknown member"),
    ("m[2]['tool_calls'][0]['id'] = ''", "id"),
    ("m[2]['tool_calls'][0]['id'] = m[3]['tool_call_id'] = 'x' * 41", "id"),
    ("m[2]['tool_calls'][1]['id'] = 'callone01'", "twice"),
    ("del m[2]['tool_calls'][0]['type']", "type"),
    ("m[2]['tool_calls'][0]['function']['arguments'] = {}", "arguments"),
    ("m[2]['tool_calls'][0]['function']['arguments'] = '[]'", "arguments"),
    ("m[2]['tool_calls'][0]['function']['arguments'] = '{'", "arguments"),
    ("m[2]['tool_calls'][0]['function']['name'] = 'a b'", "name"),
    ("m[2]['reasoning_content'] = None", "reasoning_content"),
    ("m[2]['reasoning_details'] = 'x'", "reasoning_details"),
    ("del m[3]", "without results"),
    ("del m[4]", "without results"),
    ("m[3], m[4] = m[4], m[3]", "order"),
    ("m[3]['tool_call_id'] = 'other'", "no call"),
    ("m.insert(5, dict(m[4]))", "no call"),
    ("m.insert(4, {'role': 'user', 'content': 'x'})", "without results"),
    ("m[3]['content'] = ''", "empty"),
    ("m[3]['content'] = [copy.deepcopy(PNG)]", "not allowed"),
    ("m[3]['name'] = 'f'", "unknown member"),
    ("del m[5]['refusal']", "neither"),
    ("del m[6]", "last"),
    ("del m[3:]", "at the end"),
    ("b['tools'] = []", "tools"),
    ("b['tools'].append(copy.deepcopy(TOOL))", "twice"),
    ("b['tools'][0]['function']['name'] = ''", "name"),
    ("b['tools'][0]['input_schema'] = {}", "unknown member"),
    ("b['tools'][0]['function']['description'] = ''", "description"),
    ("del b['tools'][0]['function']['parameters']['properties']", "properties"),
    ("b['tools'][0]['function']['parameters'] = {}", "type"),
    ("del b['tools']", "tool_choice"),
    ("b['tool_choice'] = '=f'", "tool_choice"),
    ("b['tool_choice']['function']['name'] = 'g'", "no tool g"),
    ("b['response_format']['type'] = 'xml'", "response_format"),
    ("b['response_format']['json_schema']['schema'] = None", "schema"),
    ("b['response_format']['json_schema']['strict'] = 1", "strict"),
    ("b['reasoning'] = {'effort': 'low', 'max_tokens': 1}", "only one"),
    ("b['thinking'] = {'type': 'on'}", "thinking"),
    ("b['thinking_budget'] = 5", "enable_thinking"),
]


def test_valid_request_passes():
    assert check(VALID) == []


@pytest.mark.parametrize("what,word", WRONG)
def test_wrong_request_is_complained_of(what, word):
    body = copy.deepcopy(VALID)
    exec(what, {"copy": copy, "PNG": PNG, "TOOL": TOOL}, {"b": body, "m": body["messages"]})
    complaints = check(body)
    assert any(word in c for c in complaints), complaints


@pytest.mark.parametrize("body", [None, [], "x", {}, {"messages": {}}, {"messages": [None, 3, {}]},
                                  {"messages": [{"role": "assistant", "tool_calls": [None, {}]}], "tools": [None]}])
def test_anything_is_complained_of(body):
    assert check(body)


@pytest.mark.parametrize("quirk", ["echo-with-calls", "answer-results", "no-images", "no-files"])
def test_quirks(quirk):
    body = copy.deepcopy(VALID)
    body["messages"][5:6] = []
    assert len(check(body, {quirk})) == 1


def test_short_ids():
    body = copy.deepcopy(VALID)
    assert check(body, {"short-ids"}) == []
    body["messages"][2]["tool_calls"][0]["id"] = body["messages"][3]["tool_call_id"] = "call_0123"
    assert len(check(body, {"short-ids"})) == 2
