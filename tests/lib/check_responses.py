# SPDX-License-Identifier: MIT
"""What OpenAI's Responses API takes, and what it would refuse.

check(body) gives a list of complaints about the body of a request, parsed;
an empty one if there are none. It wants what the API wants of one that
keeps nothing (store is false), and where servers differ what the strictest
do, and looks at what goes wrong in histories: calls and results that do not
pair, reasoning that precedes nothing, empty texts.
"""

import json
import re

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
DATA_URL = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+={0,2}")
STATUS = ("in_progress", "completed", "incomplete")

BODY = {
    "background", "context_management", "include", "input", "instructions",
    "max_output_tokens", "max_tool_calls", "metadata", "model",
    "parallel_tool_calls", "previous_response_id", "prompt_cache_key",
    "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature",
    "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation",
}
INCLUDE = {
    "reasoning.encrypted_content", "message.output_text.logprobs",
    "web_search_call.action.sources", "file_search_call.results",
    "code_interpreter_call.outputs", "message.input_image.image_url",
    "computer_call_output.output.image_url",
}
HOSTED = {
    "code_interpreter", "computer_use_preview", "file_search",
    "image_generation", "mcp", "web_search", "web_search_preview",
}
# Items of the provider's tools; those with a call_id go in pairs.
HOSTED_ITEMS = {
    "apply_patch_call", "apply_patch_call_output", "code_interpreter_call",
    "compaction", "computer_call", "computer_call_output", "file_search_call",
    "image_generation_call", "local_shell_call", "local_shell_call_output",
    "mcp_call", "mcp_list_tools", "shell_call", "shell_call_output",
    "tool_search_call", "tool_search_output", "web_search_call",
}


class Complaints(list):
    """Each with the place that it is about."""

    def need(self, ok, text):
        if not ok:
            self.append(text)
        return bool(ok)

    def members(self, at, value, required, optional=()):
        """An object with these members and no others."""
        if not self.need(isinstance(value, dict), f"{at}: must be an object"):
            return False
        unknown = sorted(set(value) - set(required) - set(optional))
        missing = sorted(set(required) - set(value))
        self.need(not unknown, f"{at}: unknown {', '.join(unknown)}")
        return self.need(not missing, f"{at}: {', '.join(missing)} is missing")

    def text(self, at, value):
        self.need(isinstance(value, str), f"{at}: must be a text")
        self.need(value != "", f"{at}: must not be empty")

    def one_of(self, at, value, words):
        self.need(isinstance(value, str) and value in words,
                  f"{at}: {value!r} is none of {', '.join(sorted(words))}")

    def flag(self, at, value):
        self.need(isinstance(value, bool), f"{at}: must be true or false")


# ---------------------------------------------------------------------------
# Parts of a content

def check_input_text(c, at, part):
    if c.members(at, part, ("type", "text")):
        c.text(f"{at}.text", part["text"])


def one_source(c, at, part, names):
    given = [n for n in names if n in part]
    if c.need(len(given) == 1, f"{at}: must have one of {', '.join(names)}"):
        c.text(f"{at}.{given[0]}", part[given[0]])


def check_input_image(c, at, part):
    if not c.members(at, part, ("type", "detail"), ("image_url", "file_id")):
        return
    c.one_of(f"{at}.detail", part["detail"], ("auto", "low", "high", "original"))
    one_source(c, at, part, ("image_url", "file_id"))
    url = part.get("image_url", "https://")
    if isinstance(url, str) and url:
        c.need(url.startswith("https://") or DATA_URL.fullmatch(url),
               f"{at}.image_url: no URL of an image")


def check_input_file(c, at, part):
    sources = ("file_data", "file_url", "file_id")
    if not c.members(at, part, ("type",), ("filename", *sources)):
        return
    one_source(c, at, part, sources)
    data = part.get("file_data")
    if isinstance(data, str) and data:
        c.need(DATA_URL.fullmatch(data), f"{at}.file_data: no data: URL")
        c.need(isinstance(part.get("filename"), str) and part["filename"],
               f"{at}.filename: is missing")


def check_output_text(c, at, part):
    if c.members(at, part, ("type", "text", "annotations"), ("logprobs",)):
        c.text(f"{at}.text", part["text"])
        c.need(isinstance(part["annotations"], list),
               f"{at}.annotations: must be an array")


def check_refusal(c, at, part):
    if c.members(at, part, ("type", "refusal")):
        c.text(f"{at}.refusal", part["refusal"])


INPUT_PARTS = {
    "input_text": check_input_text,
    "input_image": check_input_image,
    "input_file": check_input_file,
}
OUTPUT_PARTS = {"output_text": check_output_text, "refusal": check_refusal}


def check_parts(c, at, parts, kinds):
    if not c.need(isinstance(parts, list) and parts,
                  f"{at}: must be a text or parts, and not empty"):
        return
    for i, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if c.need(isinstance(kind, str) and kind in kinds,
                  f"{at}.{i}.type: {kind!r} is none of {', '.join(kinds)}"):
            kinds[kind](c, f"{at}.{i}", part)


# ---------------------------------------------------------------------------
# Items

def check_id(c, at, item):
    if "id" in item:
        c.text(f"{at}.id", item["id"])
    if "status" in item:
        c.one_of(f"{at}.status", item["status"], STATUS)


def check_message(c, at, item):
    if not c.members(at, item, ("role", "content"),
                     ("type", "id", "status", "phase")):
        return
    check_id(c, at, item)
    role, content = item["role"], item["content"]
    c.one_of(f"{at}.role", role, ("user", "assistant", "system", "developer"))
    said = role == "assistant"
    c.need(said or not {"id", "status", "phase"} & set(item),
           f"{at}: only the assistant's have an id, a status or a phase")
    if "phase" in item:
        c.one_of(f"{at}.phase", item["phase"], ("commentary", "final_answer"))
    if isinstance(content, str):
        c.need("id" not in item, f"{at}.content: an item of the model's has "
               "parts")
        c.text(f"{at}.content", content)
        return
    c.need(not said or "id" in item, f"{at}.content: without an id it must "
           "be a text")
    check_parts(c, f"{at}.content", content,
                OUTPUT_PARTS if said else INPUT_PARTS)


def check_call_id(c, at, item):
    one = item["call_id"]
    c.need(isinstance(one, str) and 0 < len(one) <= 64,
           f"{at}.call_id: must be a text of 1 to 64 characters")


def check_call(c, at, item):
    if not c.members(at, item, ("type", "call_id", "name", "arguments"),
                     ("id", "status")):
        return
    check_id(c, at, item)
    check_call_id(c, at, item)
    c.need(isinstance(item["name"], str) and NAME.fullmatch(item["name"]),
           f"{at}.name: invalid")
    try:
        arguments = json.loads(item["arguments"])
    except (TypeError, ValueError):
        arguments = None
    c.need(isinstance(arguments, dict),
           f"{at}.arguments: must be the text of a JSON object")


def check_output(c, at, item):
    if not c.members(at, item, ("type", "call_id", "output"),
                     ("id", "status")):
        return
    check_id(c, at, item)
    check_call_id(c, at, item)
    if not isinstance(item["output"], str):
        check_parts(c, f"{at}.output", item["output"], INPUT_PARTS)


def check_reasoning(c, at, item):
    if not c.members(at, item, ("type", "id", "summary"),
                     ("encrypted_content", "content", "status")):
        return
    check_id(c, at, item)
    c.need(item.get("encrypted_content") or item.get("content"),
           f"{at}: has nothing but an id, by which it is not found")
    for name, kind in (("summary", "summary_text"),
                       ("content", "reasoning_text")):
        parts = item.get(name, [])
        if not c.need(isinstance(parts, list),
                      f"{at}.{name}: must be an array"):
            continue
        for i, part in enumerate(parts):
            if c.members(f"{at}.{name}.{i}", part, ("type", "text")):
                c.one_of(f"{at}.{name}.{i}.type", part["type"], (kind,))


def check_hosted(c, at, item):
    if "id" in item:
        c.text(f"{at}.id", item["id"])
    if item["type"] not in ("compaction", "tool_search_call"):
        c.need("id" in item or "call_id" in item, f"{at}: id is missing")
    if item.get("call_id") is not None:
        check_call_id(c, at, item)


ITEMS = {
    "message": check_message,
    "function_call": check_call,
    "function_call_output": check_output,
    "reasoning": check_reasoning,
    **{kind: check_hosted for kind in HOSTED_ITEMS},
}


def kind_of(item):
    if not isinstance(item, dict):
        return None
    kind = item.get("type", "message" if "role" in item else None)
    return kind if isinstance(kind, str) else None


def is_models(item):
    """Whether the model has made it."""
    kind = kind_of(item)
    return kind != "function_call_output" and (
        kind != "message" or item.get("role") == "assistant")


def check_pairs(c, items):
    """Calls, then all their results, then what follows."""
    waiting, seen, answered = [], set(), False
    for i, item in enumerate(items):
        kind, one = kind_of(item), str(item.get("call_id"))
        if kind == "function_call_output":
            if c.need(one in waiting, f"input.{i}: no call {one} waits for a "
                      "result"):
                waiting.remove(one)
            answered = True
            continue
        if waiting and (answered or not is_models(item)):
            c.append(f"input.{i}: no result of {', '.join(waiting)} "
                     "before it")
            waiting = []
        answered = False
        if kind == "function_call":
            c.need(one not in seen, f"input.{i}: a second call {one}")
            seen.add(one)
            waiting.append(one)
    c.need(not waiting, f"input: no result of {', '.join(waiting)}")


def check_hosted_pairs(c, items):
    pairs = {}
    for i, item in enumerate(items):
        if kind_of(item) in HOSTED_ITEMS and item.get("call_id") is not None:
            pairs.setdefault(str(item["call_id"]), []).append((i, kind_of(item)))
    for one, found in pairs.items():
        kinds = {kind for _, kind in found}
        c.need(len(found) == 2 and len(kinds) == 2,
               f"input.{found[0][0]}: no call and result of {one}")


def check_order(c, items):
    """Reasoning is followed by what it was thought for."""
    ids = [item["id"] for item in items if isinstance(item.get("id"), str)]
    for one in sorted({x for x in ids if ids.count(x) > 1}):
        c.append(f"input: two items with the id {one}")
    for i, item in enumerate(items):
        if kind_of(item) == "reasoning":
            after = items[i + 1] if i + 1 < len(items) else None
            c.need(after is not None and is_models(after),
                   f"input.{i}: reasoning without its required following item")


def check_input(c, items):
    if isinstance(items, str):
        c.text("input", items)
        return
    if not c.need(isinstance(items, list) and items,
                  "input: must be a text or items, and not empty"):
        return
    whole = True
    for i, item in enumerate(items):
        kind = kind_of(item)
        if c.need(kind in ITEMS, f"input.{i}.type: {kind!r} is not known"):
            ITEMS[kind](c, f"input.{i}", item)
        else:
            whole = False
    if whole:
        check_pairs(c, items)
        check_hosted_pairs(c, items)
        check_order(c, items)


# ---------------------------------------------------------------------------
# Tools and formats

TOP = ("oneOf", "anyOf", "allOf", "enum", "not")
STRICT_KEYWORDS = {
    "$schema", "type", "properties", "required", "additionalProperties",
    "items", "anyOf", "$ref", "$defs", "enum", "const", "title",
    "description", "pattern", "format", "multipleOf", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
}


def check_strict(c, at, schema):
    """What strict:true asks of a schema."""
    if not c.need(isinstance(schema, dict), f"{at}: must be an object"):
        return
    odd = sorted(set(schema) - STRICT_KEYWORDS)
    c.need(not odd, f"{at}: {', '.join(odd)} is not permitted in strict")
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    c.need(kinds or {"enum", "const", "anyOf", "$ref"} & set(schema),
           f"{at}: must have a type")
    properties, required = schema.get("properties"), schema.get("required")
    if "object" in kinds:
        c.need(schema.get("additionalProperties") is False,
               f"{at}: additionalProperties must be false in strict")
        c.need(isinstance(properties, dict) and isinstance(required, list) and
               sorted(map(str, required)) == sorted(properties),
               f"{at}: every property must be required in strict")
    if "array" in kinds:
        check_strict(c, f"{at}.items", schema.get("items"))
    for below in (properties, schema.get("$defs"), schema.get("anyOf")):
        pairs = below.items() if isinstance(below, dict) else \
            enumerate(below) if isinstance(below, list) else ()
        for name, one in pairs:
            check_strict(c, f"{at}.{name}", one)


def check_function(c, at, tool):
    if not c.members(at, tool, ("type", "name", "parameters", "strict"),
                     ("description",)):
        return
    c.need(isinstance(tool["name"], str) and NAME.fullmatch(tool["name"]),
           f"{at}.name: invalid")
    if "description" in tool:
        c.need(isinstance(tool["description"], str),
               f"{at}.description: must be a text")
    c.flag(f"{at}.strict", tool["strict"])
    schema = tool["parameters"]
    at = f"{at}.parameters"
    if not c.need(isinstance(schema, dict) and schema.get("type") == "object",
                  f"{at}.type: must be object"):
        return
    c.need(isinstance(schema.get("properties"), dict),
           f"{at}: object schema missing properties")
    odd = [name for name in TOP if name in schema]
    c.need(not odd, f"{at}: {', '.join(odd)} at the top level")
    if tool["strict"] is True:
        check_strict(c, at, schema)


def check_tools(c, tools):
    if not c.need(isinstance(tools, list), "tools: must be an array"):
        return
    for i, tool in enumerate(tools):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            check_function(c, f"tools.{i}", tool)
        else:
            c.need(isinstance(kind, str) and kind in HOSTED,
                   f"tools.{i}.type: {kind!r} is not known")
    names = [t["name"] for t in tools if isinstance(t, dict) and
             isinstance(t.get("name"), str)]
    c.need(len(set(names)) == len(names), "tools: a name stands twice")


def check_choice(c, choice, tools):
    names = [t.get("name") for t in tools if isinstance(t, dict)] \
        if isinstance(tools, list) else []
    c.need(names, "tool_choice: there are no tools")
    if isinstance(choice, str):
        c.one_of("tool_choice", choice, ("auto", "none", "required"))
    elif c.members("tool_choice", choice, ("type", "name")):
        c.one_of("tool_choice.type", choice["type"], ("function",))
        c.need(choice["name"] in names, f"tool_choice: there is no tool "
               f"{choice['name']!r}")


def check_format(c, value):
    at = "text.format"
    kind = value.get("type") if isinstance(value, dict) else None
    if kind != "json_schema":
        if c.members(at, value, ("type",)):
            c.one_of(f"{at}.type", kind, ("text", "json_object", "json_schema"))
        return
    if not c.members(at, value, ("type", "name", "schema"),
                     ("strict", "description")):
        return
    c.need(isinstance(value["name"], str) and NAME.fullmatch(value["name"]),
           f"{at}.name: invalid")
    c.need(isinstance(value["schema"], dict), f"{at}.schema: must be an object")
    if "strict" in value:
        c.flag(f"{at}.strict", value["strict"])
    if value.get("strict") is True:
        c.need(value["schema"].get("type") == "object" and
               "anyOf" not in value["schema"],
               f"{at}.schema: must be an object's")
        check_strict(c, f"{at}.schema", value["schema"])


# ---------------------------------------------------------------------------
# The body

def check_settings(c, body):
    for name in ("store", "stream", "background", "parallel_tool_calls"):
        if name in body:
            c.flag(name, body[name])
    for name in ("instructions", "previous_response_id", "prompt_cache_key"):
        if name in body:
            c.text(name, body[name])
    if "max_output_tokens" in body:
        limit = body["max_output_tokens"]
        c.need(type(limit) is int and limit >= 16,
               "max_output_tokens: must be 16 or more")
    if "include" in body and c.need(isinstance(body["include"], list),
                                    "include: must be an array"):
        for word in body["include"]:
            c.one_of("include", word, INCLUDE)
    reasoning = body.get("reasoning", {})
    if c.members("reasoning", reasoning, (), ("effort", "summary")):
        if "effort" in reasoning:
            c.one_of("reasoning.effort", reasoning["effort"],
                     ("none", "minimal", "low", "medium", "high", "xhigh",
                      "max"))
        if "summary" in reasoning:
            c.one_of("reasoning.summary", reasoning["summary"],
                     ("auto", "concise", "detailed"))
    text = body.get("text", {})
    if c.members("text", text, (), ("format", "verbosity")) and \
            "format" in text:
        check_format(c, text["format"])
    if "stream_options" in body:
        c.members("stream_options", body["stream_options"], (),
                  ("include_obfuscation",))


def check(body):
    """The complaints about the body of a request: a list of texts."""
    c = Complaints()
    if not c.members("body", body, ("model", "input"), BODY):
        return list(c)
    c.text("model", body["model"])
    check_input(c, body["input"])
    check_settings(c, body)
    if "tools" in body:
        check_tools(c, body["tools"])
    if "tool_choice" in body:
        check_choice(c, body["tool_choice"], body.get("tools"))
    return list(c)
