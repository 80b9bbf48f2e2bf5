# SPDX-License-Identifier: MIT
"""The checker of requests to Gemini: real ones pass, and each thing that is wrong is said."""

import copy
import json
import os
import re
from pathlib import Path

import pytest

from check_gemini import check

SHARED = Path(os.environ.get("AGENT_FPM_SHARED", Path(__file__).resolve().parents[3] / "shared"))
RECORDED = sorted((SHARED / "fixtures" / "providers" / "gemini").glob("*.request.json"))
NEW, OLD = "gemini-3-flash-preview", "gemini-2.5-flash"


def recorded_model(path):
    source = Path(str(path).replace(".request.json", ".source")).read_text()
    return re.search(r"/models/([^:]+):", source)[1]


@pytest.mark.skipif(not RECORDED, reason=f"no recorded requests in {SHARED}")
@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.name.split(".")[0])
def test_recorded(path):
    body = json.loads(path.read_text())
    assert check(body, recorded_model(path)) == []
    assert check(body) == []


def call(name, given=None, **more):
    return {"functionCall": {"name": name, "args": {}, **({"id": given} if given else {})}, **more}


def result(name, given=None, **more):
    return {"functionResponse": {"name": name, "response": {"result": "1"}, **({"id": given} if given else {}), **more}}


IMAGE = {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
BODY = {
    "contents": [
        {"role": "user", "parts": [{"text": "a"}, IMAGE]},
        {"role": "model", "parts": [{"text": "h", "thought": True}, {"text": "b"},
                                    call("f", "i1", thoughtSignature="S"), call("g", "i2"), call("h"), call("k")]},
        {"role": "user", "parts": [result("g", "i2"), result("f", "i1", parts=[IMAGE]), result("h"), result("k")]},
        {"role": "model", "parts": [call("f", thoughtSignature="S")]},
        {"role": "user", "parts": [result("f"), {"text": "c"}]},
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "S"}]},
        {"role": "user", "parts": [{"fileData": {"fileUri": "https://a/b"}}]},
        {"role": "model", "parts": [call("f", thoughtSignature="S")]},
        {"role": "user", "parts": [result("f")]},
    ],
    "systemInstruction": {"parts": [{"text": "s"}]},
    "tools": [{"functionDeclarations": [
        {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}, {"name": "g"}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {"maxOutputTokens": 9, "temperature": 0.5, "responseMimeType": "application/json",
                         "responseJsonSchema": {"type": "object"},
                         "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"}},
}


def test_valid():
    assert check(BODY, NEW) == []
    assert check(BODY) == []
    nothing = dict(BODY, safetySettings=None, cachedContent=None)
    assert check(nothing, NEW) == []


# Where, what is put there (or DROP), and what is said of it.
DROP = object()
C = "contents"
WRONG = [
    ((C,), DROP, "contents: must not be empty"),
    ((C,), [], "contents: must not be empty"),
    ((C, 0), DROP, "the user's must be the first"),
    ((C, 8), DROP, "the user's must be the last"),
    ((C, 0, "role"), "assistant", "role: must be user or model"),
    ((C, 0, "parts"), [], "parts: must not be empty"),
    ((C, 0, "name"), "x", "unknown member 'name'"),
    ((C, 0), "a", "must be an object"),
    ((C, 5), DROP, "roles must alternate"),
    ((C, 0, "parts", 0, "text"), "", "text: must not be empty"),
    ((C, 0, "parts", 0, "text"), 7, "text: must be a text"),
    ((C, 0, "parts", 0, "inlineData"), {}, "must be one thing"),
    ((C, 0, "parts", 0), {}, "must be one thing"),
    ((C, 0, "parts", 0, "new"), 1, "unknown member 'new'"),
    ((C, 0, "parts", 0, "thought"), True, "thought: is the model's"),
    ((C, 0, "parts", 1, "inlineData", "mimeType"), "image/gif", "mimeType: not one that is taken"),
    ((C, 0, "parts", 1, "inlineData", "data"), "%%%", "must be base64"),
    ((C, 0, "parts", 1, "inlineData", "data"), DROP, "must be base64"),
    ((C, 1, "parts", 2, "functionCall", "name"), "a b", "not the name of a function"),
    ((C, 1, "parts", 2, "functionCall", "args"), "{}", "args: must be an object"),
    ((C, 1, "parts", 2, "functionCall", "id"), DROP, "a result of no call: i1"),
    ((C, 1, "parts", 2, "functionCall", "id"), "", "id: must be a text"),
    ((C, 1, "parts", 3, "functionCall", "id"), "i1", "two calls have the same id"),
    ((C, 1, "parts", 5), DROP, "3 calls and 4 results"),
    ((C, 1, "parts", 2, "thoughtSignature"), "", "must not be empty"),
    ((C, 2, "parts", 0), DROP, "4 calls and 3 results"),
    ((C, 2, "parts", 0, "functionResponse", "name"), "f", "the result of g is named f"),
    ((C, 2, "parts", 0, "functionResponse", "response"), "1", "response: must be an object"),
    ((C, 2, "parts", 0, "functionResponse", "id"), "i3", "a result of no call: i3"),
    ((C, 2, "parts", 0, "functionResponse", "id"), DROP, "a result of no call"),
    ((C, 2, "parts", 1, "functionResponse", "parts", 0), {"text": "a"}, "unknown member 'text'"),
    ((C, 2, "parts", 0), {"text": "a"}, "results must come first"),
    ((C, 3, "parts", 0), result("f"), "functionResponse is not the model's to say"),
    ((C, 4, "parts", 1), call("f"), "functionCall is not the user's to say"),
    ((C, 4, "parts", 1), result("f"), "1 calls and 2 results"),
    ((C, 6, "parts", 0), result("f"), "0 calls and 1 results"),
    ((C, 6, "parts", 0, "fileData", "fileUri"), DROP, "fileUri: is needed"),
    ((C, 7, "parts", 0, "thoughtSignature"), DROP, "the first call has no thoughtSignature"),
    (("model",), "gemini", "unknown member 'model'"),
    (("stream",), True, "unknown member 'stream'"),
    (("systemInstruction", "parts", 0, "text"), "", "systemInstruction.parts: must be texts"),
    (("systemInstruction",), "s", "systemInstruction: must be an object"),
    (("tools",), {}, "tools: must be an array"),
    (("tools",), [], "there are no functions"),
    (("tools", 0, "functionDeclarations"), [], "functionDeclarations: must not be empty"),
    (("tools", 0, "function"), {}, "unknown member 'function'"),
    (("tools", 0, "functionDeclarations", 1, "name"), "f", "two have the same name"),
    (("tools", 0, "functionDeclarations", 1, "name"), "2", "not the name of a function"),
    (("tools", 0, "functionDeclarations", 1, "input_schema"), {}, "unknown member 'input_schema'"),
    (("tools", 0, "functionDeclarations", 0, "parameters"), {}, "parameters twice"),
    (("tools", 0, "functionDeclarations", 0, "parametersJsonSchema", "items"),
     {"$ref": "#/$defs/a", "title": "t"}, "$ref must stand alone"),
    (("tools", 0, "functionDeclarations", 0, "parametersJsonSchema", "items"),
     {"$ref": "#/properties/a"}, "must point into $defs"),
    (("toolConfig", "functionCallingConfig", "mode"), "any", "mode: unknown"),
    (("toolConfig", "functionCallingConfig", "mode"), "AUTO", "only with ANY or VALIDATED"),
    (("toolConfig", "functionCallingConfig", "allowedFunctionNames"), ["x"], "x is not declared"),
    (("generationConfig", "maxOutputTokens"), 0, "maxOutputTokens: must be positive"),
    (("generationConfig", "maxOutputTokens"), True, "of the wrong type"),
    (("generationConfig", "max_tokens"), 1, "unknown member 'max_tokens'"),
    (("generationConfig", "responseSchema"), {}, "two schemas"),
    (("generationConfig", "responseMimeType"), DROP, "a schema needs responseMimeType"),
    (("generationConfig", "thinkingConfig", "thinkingBudget"), 1, "a level and a budget"),
    (("generationConfig", "thinkingConfig", "thinkingLevel"), "much", "thinkingLevel: unknown"),
    (("cachedContent",), "cachedContents/a", "tools: is the cached content's to say"),
    (("safetySettings",), {}, "safetySettings: must be an array"),
]


@pytest.mark.parametrize("where,what,said", WRONG, ids=[f"{i}-{w[2][:40]}" for i, w in enumerate(WRONG)])
def test_wrong(where, what, said):
    body = copy.deepcopy(BODY)
    at = body
    for step in where[:-1]:
        at = at[step]
    if what is DROP:
        del at[where[-1]]
    else:
        at[where[-1]] = what
    assert any(said in one for one in check(body, NEW)), check(body, NEW)


def test_old():
    """What those before the third generation do not take."""
    said = " ".join(check(BODY, OLD))
    assert "parts: not before Gemini 3" in said
    assert "thinkingLevel: not before Gemini 3" in said
    assert "thoughtSignature" not in said


def test_swapped_results():
    body = copy.deepcopy(BODY)
    parts = body["contents"][2]["parts"]
    parts[2], parts[3] = parts[3], parts[2]
    assert any("the result of h is named k" in one for one in check(body, NEW))


def test_unknown_things():
    for body in (None, [], "x", 7):
        assert check(body) == ["the body: must be an object"]
