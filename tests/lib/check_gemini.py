# SPDX-License-Identifier: MIT
"""What Gemini's streamGenerateContent would refuse of a request, and what we do not want in one.

    check(body, model="gemini-3-flash-preview") -> ["contents.1.parts.0: ...", ...]

An empty list is a request that may be sent. Without a model nothing is said
of what only some want. A member that is null is not there, as in protobuf's
JSON.
"""

import base64
import binascii
import re

BODY = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings",
        "cachedContent", "labels", "store", "serviceTier"}
CONFIG = {"maxOutputTokens": int, "candidateCount": int, "topK": (int, float), "seed": int, "logprobs": int,
          "temperature": (int, float), "topP": (int, float), "presencePenalty": (int, float),
          "frequencyPenalty": (int, float), "responseLogprobs": bool, "enableEnhancedCivicAnswers": bool,
          "stopSequences": list, "responseModalities": list, "responseMimeType": str, "responseSchema": dict,
          "responseJsonSchema": dict, "thinkingConfig": dict, "speechConfig": dict, "imageConfig": dict,
          "mediaResolution": str}
THINKING = {"includeThoughts": bool, "thinkingBudget": int, "thinkingLevel": str}
LEVELS = {"minimal", "low", "medium", "high"}
MODES = {"AUTO", "ANY", "NONE", "VALIDATED"}
GOOGLES_TOOLS = {"googleSearch", "google_search", "googleSearchRetrieval", "codeExecution", "urlContext",
                 "fileSearch", "googleMaps", "computerUse"}

# What makes a part what it is, and who may say it.
DATA = {"text": ("user", "model"), "inlineData": ("user", "model"), "fileData": ("user", "model"),
        "functionCall": ("model",), "functionResponse": ("user",), "executableCode": ("model",),
        "codeExecutionResult": ("model",), "toolCall": ("model",), "toolResponse": ("model",)}
BESIDE = {"thought": bool, "thoughtSignature": str, "videoMetadata": dict, "partMetadata": dict,
          "mediaResolution": dict}
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
NO_IMAGES = {"image/gif", "image/jpg", ""}


class Checker:
    def __init__(self, model):
        self.model = model
        self.complaints = []

    def need(self, ok, text):
        if not ok:
            self.complaints.append(text)
        return ok

    def members(self, value, known, at):
        """An object with known members only; those of a dict must be of its types."""
        if not self.need(isinstance(value, dict), f"{at}: must be an object"):
            return False
        for name in sorted(set(value) - set(known)):
            self.need(False, f"{at}: unknown member {name!r}")
        for name, kind in known.items() if isinstance(known, dict) else ():
            if name in value:
                self.need(is_a(value[name], kind), f"{at}.{name}: of the wrong type")
        return True

    # -- parts

    def blob(self, value, at):
        if not self.members(value, {"mimeType": str, "data": str, "displayName": str}, at):
            return
        kind, data = value.get("mimeType"), value.get("data")
        self.need(isinstance(kind, str) and "/" in kind and kind not in NO_IMAGES,
                  f"{at}.mimeType: not one that is taken")
        try:
            self.need(isinstance(data, str) and base64.b64decode(data, validate=True), f"{at}.data: must be base64")
        except binascii.Error:
            self.need(False, f"{at}.data: must be base64")

    def name(self, value, at):
        self.need(isinstance(value, str) and NAME.fullmatch(value), f"{at}.name: not the name of a function")

    def call_id(self, value, at):
        if "id" in value:
            self.need(isinstance(value["id"], str) and value["id"], f"{at}.id: must be a text, or not be there")

    def function_call(self, value, at):
        if self.members(value, {"id", "name", "args"}, at):
            self.name(value.get("name"), at)
            self.call_id(value, at)
            self.need(isinstance(value.get("args", {}), dict), f"{at}.args: must be an object")

    def function_response(self, value, at):
        if not self.members(value, {"id", "name", "response", "parts"}, at):
            return
        self.name(value.get("name"), at)
        self.call_id(value, at)
        self.need(isinstance(value.get("response"), dict), f"{at}.response: must be an object")
        parts = value.get("parts", [])
        if not self.need(isinstance(parts, list), f"{at}.parts: must be an array"):
            return
        self.need(not parts or not is_old(self.model), f"{at}.parts: not before Gemini 3")
        for i, part in enumerate(parts):
            if self.members(part, {"inlineData"}, f"{at}.parts.{i}"):
                self.blob(part.get("inlineData"), f"{at}.parts.{i}.inlineData")

    def part(self, part, role, at):
        if not self.members(part, {**dict.fromkeys(DATA, object), **BESIDE}, at):
            return
        kinds = [name for name in DATA if name in part]
        if not self.need(len(kinds) == 1, f"{at}: must be one thing, and is {kinds}"):
            return
        kind = kinds[0]
        value = part[kind]
        self.need(role in DATA[kind], f"{at}: {kind} is not the {role}'s to say")
        for name in ("thought", "thoughtSignature"):
            self.need(role == "model" or not part.get(name), f"{at}.{name}: is the model's")
        self.need(part.get("thoughtSignature", "x"), f"{at}.thoughtSignature: must not be empty")
        if kind == "text":
            self.need(isinstance(value, str), f"{at}.text: must be a text")
            self.need(value or part.get("thoughtSignature"), f"{at}.text: must not be empty")
        elif kind == "inlineData":
            self.blob(value, f"{at}.inlineData")
        elif kind == "fileData":
            self.members(value, {"mimeType": str, "fileUri": str, "displayName": str}, f"{at}.fileData")
            self.need(isinstance(value, dict) and value.get("fileUri"), f"{at}.fileData.fileUri: is needed")
        elif kind == "functionCall":
            self.function_call(value, f"{at}.functionCall")
        elif kind == "functionResponse":
            self.function_response(value, f"{at}.functionResponse")
        else:
            self.need(isinstance(value, dict), f"{at}.{kind}: must be an object")

    # -- contents

    def pairs(self, calls, responses, at):
        """The results of the calls of the content before: as many, and by id or else in order."""
        if not self.need(len(calls) == len(responses), f"{at}: {len(calls)} calls and {len(responses)} results"):
            return
        ids = [c["id"] for c in calls if c.get("id")]
        self.need(len(set(ids)) == len(ids), f"{at}: two calls have the same id")
        by_id = {c["id"]: c for c in calls if c.get("id")}
        in_order = [c for c in calls if not c.get("id")]
        for response in responses:
            if response.get("id"):
                call = by_id.pop(response["id"], None)
            else:
                call = in_order.pop(0) if in_order else None
            if self.need(call is not None, f"{at}: a result of no call: {response.get('id')}"):
                self.need(call.get("name") == response.get("name"),
                          f"{at}: the result of {call.get('name')} is named {response.get('name')}")

    def content(self, content, at):
        """Its role and its parts that are objects."""
        if not self.members(content, {"role", "parts"}, at):
            return "", []
        role, parts = content.get("role"), content.get("parts")
        if not self.need(role in ("user", "model"), f"{at}.role: must be user or model"):
            return "", []
        if not self.need(isinstance(parts, list) and parts, f"{at}.parts: must not be empty"):
            return role, []
        for i, part in enumerate(parts):
            self.part(part, role, f"{at}.parts.{i}")
        return role, [p for p in parts if isinstance(p, dict)]

    def signatures(self, turns):
        """Since the user spoke the first call of each step is signed; Gemini 3 wants it."""
        if not self.model or is_old(self.model):
            return
        spoke = max((i for i, (role, parts) in enumerate(turns)
                     if role == "user" and any("functionResponse" not in p for p in parts)), default=0)
        for i, (role, parts) in enumerate(turns[spoke:], spoke):
            calls = [p for p in parts if "functionCall" in p]
            if role == "model" and calls:
                self.need(calls[0].get("thoughtSignature"), f"contents.{i}: the first call has no thoughtSignature")

    def contents(self, contents):
        if not self.need(isinstance(contents, list) and contents, "contents: must not be empty"):
            return
        turns = [self.content(c, f"contents.{i}") for i, c in enumerate(contents)]
        self.need(turns[0][0] == "user", "contents.0: the user's must be the first")
        self.need(turns[-1][0] == "user", f"contents.{len(turns) - 1}: the user's must be the last")
        calls = []
        for i, (role, parts) in enumerate(turns):
            at = f"contents.{i}"
            self.need(i == 0 or role != turns[i - 1][0], f"{at}: the roles must alternate")
            responses = objects(parts, "functionResponse")
            self.need(all("functionResponse" in p for p in parts[:len(responses)]), f"{at}: results must come first")
            if role == "user" or calls:
                self.pairs(calls, responses, at)
            calls = objects(parts, "functionCall") if role == "model" else []
        self.signatures(turns)

    # -- the rest

    def schema(self, value, at):
        """A $ref stands alone and points into $defs."""
        if isinstance(value, list):
            for i, item in enumerate(value):
                self.schema(item, f"{at}.{i}")
        if not isinstance(value, dict):
            return
        ref = value.get("$ref")
        if isinstance(ref, str):
            self.need(not [m for m in value if not m.startswith("$")], f"{at}: $ref must stand alone")
            self.need(ref.startswith("#/$defs/"), f"{at}.$ref: must point into $defs")
        for name, item in value.items():
            if name not in ("enum", "const", "default", "examples"):
                self.schema(item, f"{at}.{name}")

    def declaration(self, tool, at):
        if not self.members(tool, {"name": str, "description": str, "parameters": dict, "parametersJsonSchema": dict,
                                   "response": dict, "responseJsonSchema": dict, "behavior": str}, at):
            return ""
        self.name(tool.get("name"), at)
        self.need(tool.get("description", "x"), f"{at}.description: must not be empty")
        self.need(not ("parameters" in tool and "parametersJsonSchema" in tool), f"{at}: parameters twice")
        self.schema(tool.get("parametersJsonSchema"), f"{at}.parametersJsonSchema")
        return tool.get("name")

    def tools(self, tools):
        names = []
        if not self.need(isinstance(tools, list), "tools: must be an array"):
            return names
        for i, tool in enumerate(tools):
            at = f"tools.{i}"
            if not self.members(tool, GOOGLES_TOOLS | {"functionDeclarations"}, at):
                continue
            self.need(tool, f"{at}: must not be empty")
            declared = tool.get("functionDeclarations", [])
            self.need(isinstance(declared, list), f"{at}.functionDeclarations: must be an array")
            if "functionDeclarations" in tool:
                self.need(declared, f"{at}.functionDeclarations: must not be empty")
            for k, one in enumerate(declared if isinstance(declared, list) else ()):
                names.append(self.declaration(one, f"{at}.functionDeclarations.{k}"))
        self.need(len(set(names)) == len(names), "tools: two have the same name")
        return names

    def tool_config(self, config, names):
        at = "toolConfig"
        if not self.members(config, {"functionCallingConfig": dict, "retrievalConfig": dict}, at):
            return
        calling = config.get("functionCallingConfig", {})
        at += ".functionCallingConfig"
        if not self.members(calling, {"mode": str, "allowedFunctionNames": list}, at):
            return
        self.need(calling.get("mode", "AUTO") in MODES, f"{at}.mode: unknown")
        allowed = calling.get("allowedFunctionNames", [])
        self.need(not allowed or calling.get("mode") in ("ANY", "VALIDATED"),
                  f"{at}.allowedFunctionNames: only with ANY or VALIDATED")
        for name in allowed if isinstance(allowed, list) else ():
            self.need(name in names, f"{at}.allowedFunctionNames: {name} is not declared")
        self.need(names, f"{at}: there are no functions")

    def generation_config(self, config):
        at = "generationConfig"
        if not self.members(config, CONFIG, at):
            return
        self.need(config.get("maxOutputTokens", 1) > 0 if is_a(config.get("maxOutputTokens", 1), int) else True,
                  f"{at}.maxOutputTokens: must be positive")
        schemas = [m for m in ("responseSchema", "responseJsonSchema") if m in config]
        self.need(len(schemas) < 2, f"{at}: two schemas")
        self.need(not schemas or config.get("responseMimeType"), f"{at}: a schema needs responseMimeType")
        self.schema(config.get("responseJsonSchema"), f"{at}.responseJsonSchema")
        thinking = config.get("thinkingConfig", {})
        at += ".thinkingConfig"
        if self.members(thinking, THINKING, at):
            level = thinking.get("thinkingLevel")
            self.need(level is None or "thinkingBudget" not in thinking, f"{at}: a level and a budget")
            self.need(level is None or str(level).lower() in LEVELS, f"{at}.thinkingLevel: unknown")
            self.need(level is None or not is_old(self.model), f"{at}.thinkingLevel: not before Gemini 3")

    def body(self, body):
        if not self.members(body, BODY, "the body"):
            return
        self.contents(body.get("contents"))
        if "systemInstruction" in body:
            system = body["systemInstruction"]
            if self.members(system, {"role": str, "parts": list}, "systemInstruction"):
                parts = system.get("parts")
                self.need(isinstance(parts, list) and parts and
                          all(isinstance(p, dict) and is_a(p.get("text"), str) and p["text"] for p in parts),
                          "systemInstruction.parts: must be texts, and not empty")
        names = self.tools(body.get("tools", []))
        if "toolConfig" in body:
            self.tool_config(body["toolConfig"], names)
        if "generationConfig" in body:
            self.generation_config(body["generationConfig"])
        if "cachedContent" in body:
            self.need(is_a(body["cachedContent"], str), "cachedContent: must be a text")
            for name in ("systemInstruction", "tools", "toolConfig"):
                self.need(name not in body, f"{name}: is the cached content's to say")
        if "safetySettings" in body:
            self.need(isinstance(body["safetySettings"], list), "safetySettings: must be an array")


def is_a(value, kind):
    """bool is no number here."""
    return isinstance(value, kind) and (kind in (bool, object) or not isinstance(value, bool))


def is_old(model):
    return any(name in model for name in ("gemini-1.", "gemini-2.", "gemma"))


def objects(parts, name):
    return [p[name] for p in parts if isinstance(p.get(name), dict)]


def without_nulls(value):
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value


def check(body, model=""):
    checker = Checker(model)
    checker.body(without_nulls(body))
    return checker.complaints
