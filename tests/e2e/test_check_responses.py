# SPDX-License-Identifier: MIT
"""The checker of requests of OpenAI's Responses API: recorded ones pass, broken ones do not."""

import copy
import json
import os
from pathlib import Path

import pytest

from check_responses import check

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("AGENT_FPM_SHARED", ROOT / "../shared")) / "fixtures/providers/openai-responses"
RECORDED = sorted(FOLDER.glob("*.request.json"))

# Recorded requests whose tool has the form of Chat Completions within a member that this API does not have.
ODD_TOOLS = {"tool_gpt41_object", "tool_o1_object"}

OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PNG = "data:image/png;base64,AAAA"
PDF = "data:application/pdf;base64,AAAA"

WHOLE = {
    "model": "m",
    "instructions": "be brief",
    "stream": True,
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 100,
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "answer", "schema": OBJECT, "strict": True}, "verbosity": "low"},
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": OBJECT, "strict": True},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {"type": "web_search"},
    ],
    "tool_choice": {"type": "function", "name": "f"},
    "input": [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": PNG, "detail": "auto"},
            {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary", "content": [
            {"type": "output_text", "text": "I look", "annotations": []},
            {"type": "refusal", "refusal": "no"},
        ]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{\"a\":\"b\"}", "status": "completed"},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_2", "output": ""},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "image_url": PNG, "detail": "auto"}]},
        {"type": "message", "role": "assistant", "content": "done"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "E"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "shell_call", "id": "sh_1", "call_id": "x"},
        {"type": "shell_call_output", "id": "so_1", "call_id": "x", "output": []},
        {"role": "user", "content": [{"type": "input_text", "text": "go on"}]},
    ],
}


@pytest.mark.skipif(not RECORDED, reason=f"no recorded requests in {FOLDER}")
@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.name.partition(".")[0])
def test_recorded(path):
    complaints = check(json.loads(path.read_text()))
    if path.name.partition(".")[0] in ODD_TOOLS:
        assert complaints == ["tools.0: unknown function", "tools.0: parameters, strict is missing"]
    else:
        assert complaints == []


def test_whole():
    assert check(WHOLE) == []
    assert check({"model": "m", "input": "hi"}) == []


def put(*path, to):
    """Replaces what is at the path."""
    def change(body):
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = to
    return change


def drop(*path):
    def change(body):
        for step in path[:-1]:
            body = body[step]
        del body[path[-1]]
    return change


def swap(i, j):
    def change(body):
        items = body["input"]
        items[i], items[j] = items[j], items[i]
    return change


def insert(i, item):
    return lambda body: body["input"].insert(i, item)


def every_text(value):
    """Where the texts are that must not be empty."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name in ("text", "refusal", "content", "instructions", "model", "image_url", "file_data", "filename", "id", "name",
                        "call_id", "arguments", "role", "type") and isinstance(one, str):
                yield (name,)
            elif name not in ("tools", "schema", "summary", "annotations"):
                yield from ((name, *rest) for rest in every_text(one))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from ((i, *rest) for rest in every_text(one))


BROKEN = [
    ("no body", lambda b: b.clear(), "input, model is missing"),
    ("no input", drop("input"), "input is missing"),
    ("empty input", put("input", to=[]), "input: must be a text or items"),
    ("input of another type", put("input", to={}), "input: must be a text or items"),
    ("unknown member", put("messages", to=[]), "body: unknown messages"),
    ("Chat's limit", put("max_tokens", to=5), "body: unknown max_tokens"),
    ("a small limit", put("max_output_tokens", to=15), "max_output_tokens"),
    ("a limit of another type", put("max_output_tokens", to=True), "max_output_tokens"),
    ("store as a text", put("store", to="false"), "store: must be true or false"),
    ("include as a text", put("include", to="reasoning.encrypted_content"), "include: must be an array"),
    ("unknown include", put("include", to=["x"]), "include: 'x'"),
    ("unknown effort", put("reasoning", "effort", to="huge"), "reasoning.effort: 'huge'"),
    ("unknown in reasoning", put("reasoning", "max_tokens", to=5), "reasoning: unknown max_tokens"),
    ("stream options of Chat", put("stream_options", to={"include_usage": True}), "stream_options: unknown include_usage"),
    ("unknown item", put("input", 0, to={"type": "tool_use"}), "input.0.type: 'tool_use' is not known"),
    ("an item that is none", put("input", 0, to="hi"), "input.0.type"),
    ("unknown role", put("input", 0, "role", to="tool"), "input.0.role: 'tool'"),
    ("empty message", put("input", 0, "content", to=[]), "input.0.content: must be a text or parts"),
    ("no content", drop("input", 0, "content"), "input.0: content is missing"),
    ("null content", put("input", 0, "content", to=None), "input.0.content: must be a text or parts"),
    ("Chat's part", put("input", 1, "content", 0, "type", to="text"), "input.1.content.0.type: 'text'"),
    ("the model's part of the user", put("input", 1, "content", 0, "type", to="output_text"), "input.1.content.0.type: 'output_text'"),
    ("the user's part of the model", put("input", 3, "content", 0, "type", to="input_text"), "input.3.content.0.type: 'input_text'"),
    ("no annotations", drop("input", 3, "content", 0, "annotations"), "input.3.content.0: annotations is missing"),
    ("parts without an id", drop("input", 3, "id"), "input.3.content: without an id"),
    ("an id and a text", put("input", 3, "content", to="x"), "input.3.content: an item of the model's has parts"),
    ("a phase of the user's", put("input", 0, "phase", to="commentary"), "input.0: only the assistant's"),
    ("unknown phase", put("input", 3, "phase", to="x"), "input.3.phase: 'x'"),
    ("unknown status", put("input", 3, "status", to="x"), "input.3.status: 'x'"),
    ("an image as an object", put("input", 1, "content", 1, "image_url", to={"url": PNG}), "input.1.content.1.image_url: must be a text"),
    ("an image without its data", drop("input", 1, "content", 1, "image_url"), "input.1.content.1: must have one of"),
    ("an image of no URL", put("input", 1, "content", 1, "image_url", to="AAAA"), "input.1.content.1.image_url: no URL"),
    ("a file without a name", drop("input", 1, "content", 2, "filename"), "input.1.content.2.filename: is missing"),
    ("a file of bare base64", put("input", 1, "content", 2, "file_data", to="AAAA"), "input.1.content.2.file_data: no data: URL"),
    ("reasoning at the end", insert(14, WHOLE["input"][2] | {"id": "rs_3"}), "input.14: reasoning without its required following item"),
    ("reasoning before the user", insert(13, WHOLE["input"][2] | {"id": "rs_3"}), "input.13: reasoning without its required following item"),
    ("reasoning before a result", insert(6, WHOLE["input"][2] | {"id": "rs_3"}), "input.6: reasoning without its required following item"),
    ("reasoning that is not there", drop("input", 2, "encrypted_content"), "input.2: has nothing but an id"),
    ("reasoning without an id", drop("input", 2, "id"), "input.2: id is missing"),
    ("reasoning without a summary", drop("input", 2, "summary"), "input.2: summary is missing"),
    ("a summary of another type", put("input", 2, "summary", 0, "type", to="text"), "input.2.summary.0.type: 'text'"),
    ("an id twice", put("input", 9, "id", to="rs_1"), "two items with the id rs_1"),
    ("no result", drop("input", 7), "no result of call_1"),
    ("no results at all", put("input", to=WHOLE["input"][:6]), "input: no result of call_1, call_2"),
    ("no call", drop("input", 4), "input.6: no call call_1 waits"),
    ("two results", insert(8, WHOLE["input"][6]), "input.8: no call call_2 waits"),
    ("two calls", insert(5, WHOLE["input"][4] | {"id": "fc_9"}), "input.5: a second call call_1"),
    ("a result before its call", swap(5, 6), "no call call_2 waits"),
    ("the user before a result", swap(7, 13), "input.7: no result of call_1"),
    ("the model before a result", swap(7, 8), "input.7: no result of call_1"),
    ("another id of a result", put("input", 6, "call_id", to="call_9"), "no call call_9 waits"),
    ("a long id of a call", put("input", 4, "call_id", to="c" * 65), "input.4.call_id"),
    ("arguments as an object", put("input", 4, "arguments", to={}), "input.4.arguments"),
    ("arguments that are no JSON", put("input", 4, "arguments", to="{\"a\":"), "input.4.arguments"),
    ("arguments that are no object", put("input", 4, "arguments", to="[]"), "input.4.arguments"),
    ("a name with a blank", put("input", 4, "name", to="a b"), "input.4.name: invalid"),
    ("a result of no parts", put("input", 6, "output", to=[]), "input.6.output: must be a text or parts"),
    ("a result that is an object", put("input", 6, "output", to={}), "input.6.output: must be a text or parts"),
    ("unknown in a result", put("input", 6, "is_error", to=True), "input.6: unknown is_error"),
    ("half a pair of the provider's", drop("input", 12), "input.11: no call and result of x"),
    ("tools that are none", put("tools", to={}), "tools: must be an array"),
    ("a tool in Chat's form", put("tools", 0, to={"type": "function", "function": {"name": "f", "parameters": OBJECT}}),
     "tools.0: unknown function"),
    ("an unknown tool", put("tools", 0, "type", to="x"), "tools.0.type: 'x'"),
    ("a tool twice", put("tools", 1, "name", to="f"), "tools: a name stands twice"),
    ("no strict", drop("tools", 0, "strict"), "tools.0: strict is missing"),
    ("no object", put("tools", 0, "parameters", to={}), "tools.0.parameters.type: must be object"),
    ("no properties", drop("tools", 1, "parameters", "properties"), "object schema missing properties"),
    ("anyOf on top", put("tools", 1, "parameters", "anyOf", to=[]), "anyOf at the top level"),
    ("open and strict", put("tools", 1, "strict", to=True), "additionalProperties must be false"),
    ("optional and strict", put("tools", 0, "parameters", "required", to=[]), "every property must be required"),
    ("a keyword too many", put("tools", 0, "parameters", "properties", "a", "minLength", to=1), "minLength is not permitted"),
    ("no type below", put("tools", 0, "parameters", "properties", "a", to={}), "tools.0.parameters.a: must have a type"),
    ("an unknown choice", put("tool_choice", to="any"), "tool_choice: 'any'"),
    ("a choice of no tool", put("tool_choice", "name", to="h"), "tool_choice: there is no tool 'h'"),
    ("a choice without tools", drop("tools"), "tool_choice: there are no tools"),
    ("Chat's choice", put("tool_choice", to={"type": "function", "function": {"name": "f"}}), "tool_choice: unknown function"),
    ("Chat's format", put("text", "format", to={"type": "json_schema", "json_schema": {}}), "text.format: unknown json_schema"),
    ("unknown format", put("text", "format", to={"type": "x"}), "text.format.type: 'x'"),
    ("a format without a name", drop("text", "format", "name"), "text.format: name is missing"),
    ("a format that is not strict", put("text", "format", "schema", "additionalProperties", to=True), "must be false in strict"),
]


@pytest.mark.parametrize("change, complaint", [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_broken(change, complaint):
    body = copy.deepcopy(WHOLE)
    change(body)
    complaints = check(body)
    assert any(complaint in c for c in complaints), complaints


@pytest.mark.parametrize("path", list(every_text(WHOLE)), ids=lambda p: ".".join(map(str, p)))
def test_empty_text(path):
    body = copy.deepcopy(WHOLE)
    put(*path, to="")(body)
    assert check(body)


@pytest.mark.parametrize("body", [None, [], "x", 1, {"model": 1, "input": [None]}, {"model": "m", "input": [[]]},
                                  {"model": "m", "input": [{"type": 1}]}, {"model": "m", "input": [{"type": "function_call"}]},
                                  {"model": "m", "input": [{"type": ["message"], "role": {}}]},
                                  {"model": "m", "input": [{"type": "function_call", "call_id": [], "name": [], "arguments": []}]},
                                  {"model": "m", "input": "hi", "include": [[]], "tools": [{"name": [], "type": []}], "tool_choice": {"type": [], "name": []}},
                                  {"model": "m", "input": "hi", "text": {"format": {"type": "json_schema", "name": 1, "strict": True, "schema": {
                                      "type": {}, "properties": [1], "required": 1, "$defs": 1, "anyOf": {"a": 1}}}}}])
def test_odd(body):
    """Whatever it is, there is a complaint and no exception."""
    assert check(body)
