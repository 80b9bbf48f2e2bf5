# SPDX-License-Identifier: MIT
"""Anthropic's Messages API, as the scripted model speaks it."""

import re

from scripted_answer import ERROR_TYPES, Answer, Said, need, objects, part_texts

# What it accepts.

BODY_MEMBERS = {
    "model", "max_tokens", "messages", "system", "stream", "tools",
    "tool_choice", "thinking", "output_config", "stop_sequences",
    "cache_control", "metadata", "service_tier", "container",
    "inference_geo", "temperature", "top_p", "top_k",
}


def is_text(value):
    return isinstance(value, str) and value.strip() != ""


def check_text(block, at):
    need(is_text(block.get("text")),
         f"{at}: text content blocks must contain non-whitespace text")


def check_source(block, at):
    source = block.get("source")
    need(isinstance(source, dict) and
         source.get("type") in ("base64", "url", "file", "text", "content"),
         f"{at}.source: invalid")


def check_tool_use(block, at):
    for name in ("id", "name"):
        need(isinstance(block.get(name), str) and
             re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block[name]),
             f"{at}.{name}: invalid")
    need(isinstance(block.get("input"), dict),
         f"{at}.input: must be an object")


def check_tool_result(block, at):
    need(isinstance(block.get("tool_use_id"), str),
         f"{at}.tool_use_id: field required")
    content = block.get("content", "")
    need(isinstance(content, (str, list)), f"{at}.content: invalid")
    if isinstance(content, list):
        for i, part in enumerate(content):
            need(isinstance(part, dict) and
                 part.get("type") in ("text", "image", "document"),
                 f"{at}.content.{i}: invalid")


def check_thinking(block, at):
    need(isinstance(block.get("thinking"), str),
         f"{at}.thinking: field required")
    need(isinstance(block.get("signature"), str) and block["signature"],
         f"{at}.signature: field required")


def check_redacted(block, at):
    need(isinstance(block.get("data"), str), f"{at}.data: field required")


# type -> (who may say it, check)
BLOCKS = {
    "text": (("user", "assistant"), check_text),
    "image": (("user",), check_source),
    "document": (("user",), check_source),
    "tool_use": (("assistant",), check_tool_use),
    "tool_result": (("user",), check_tool_result),
    "thinking": (("assistant",), check_thinking),
    "redacted_thinking": (("assistant",), check_redacted),
}


def check_block(block, role, at):
    need(isinstance(block, dict), f"{at}: must be an object")
    kind = block.get("type")
    need(isinstance(kind, str) and kind in BLOCKS,
         f"{at}.type: unknown block type {kind!r}")
    roles, check = BLOCKS[kind]
    need(role in roles, f"{at}: `{kind}` blocks are not allowed for {role}")
    check(block, at)


def check_message(message, at):
    need(isinstance(message, dict), f"{at}: must be an object")
    role, content = message.get("role"), message.get("content")
    need(role in ("user", "assistant"), f"{at}.role: invalid")
    need(set(message) <= {"role", "content"}, f"{at}: extra members")
    if isinstance(content, str):
        need(content.strip(), f"{at}.content: must not be empty")
        return role, [{"type": "text", "text": content}]
    need(isinstance(content, list) and content,
         f"{at}.content: must be a non-empty array or string")
    for i, block in enumerate(content):
        check_block(block, role, f"{at}.content.{i}")
    return role, content


def check_results(i, calls, blocks):
    """The user message after an assistant's tool calls."""
    results = [b for b in blocks if b["type"] == "tool_result"]
    ids = [b["tool_use_id"] for b in results]
    need(len(set(ids)) == len(ids),
         f"messages.{i}: more than one tool_result for a tool_use id")
    for one in ids:
        need(one in calls, f"messages.{i}: unexpected `tool_use_id` {one}: "
             "no such tool_use in the previous message")
    missing = [c for c in calls if c not in ids]
    need(not missing, f"messages.{i}: `tool_use` ids were found without "
         f"`tool_result` blocks immediately after: {', '.join(missing)}")
    need(blocks[:len(results)] == results,
         f"messages.{i}: tool_result blocks must come first")


def check_messages(messages):
    need(isinstance(messages, list) and messages,
         "messages: at least one message is required")
    turns, seen = [], set()
    for i, message in enumerate(messages):
        role, blocks = check_message(message, f"messages.{i}")
        if turns and turns[-1][1] == role:
            turns[-1][2].extend(blocks)  # the API merges them
        else:
            turns.append((i, role, list(blocks)))
    need(turns[0][1] == "user", "messages: first message must use the "
         "\"user\" role")
    need(turns[-1][1] == "user", "messages: the conversation must end with "
         "a user message")
    calls = []
    for i, role, blocks in turns:
        if role == "user":
            check_results(i, calls, blocks)
            continue
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        need(len(set(calls)) == len(calls) and not seen & set(calls),
             f"messages.{i}: `tool_use` ids must be unique")
        seen |= set(calls)


def check_thinking_turn(body):
    """While it thinks no tool is forced, and a turn that goes on after results has begun with thinking."""
    thinking = body.get("thinking", {}).get("type", "disabled")
    need(thinking == "disabled" or body.get("tool_choice", {}).get("type") not in ("any", "tool"),
         "Thinking may not be enabled when tool_choice forces tool use.")
    if thinking != "enabled":
        return
    first = None  # of the turn that runs
    after_results = False
    for i, message in enumerate(body["messages"]):
        if message["role"] == "assistant":
            first = (i, message["content"]) if first is None else first
            after_results = False
        elif results_of(message):
            after_results = True
        elif not after_results:
            first = None
    if first is not None:
        i, content = first
        kind = content[0]["type"] if isinstance(content, list) else "text"
        need(kind in ("thinking", "redacted_thinking"),
             f"messages.{i}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kind}`. When `thinking` is enabled, "
             "a final `assistant` message must start with a thinking block")


def check_system(system):
    if isinstance(system, str):
        return
    need(isinstance(system, list), "system: must be a string or an array")
    for i, block in enumerate(system):
        need(isinstance(block, dict) and block.get("type") == "text",
             f"system.{i}.type: must be text")
        check_text(block, f"system.{i}")


def check_tools(tools):
    need(isinstance(tools, list), "tools: must be an array")
    for i, tool in enumerate(tools):
        need(isinstance(tool, dict) and isinstance(tool.get("name"), str) and
             re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool["name"]),
             f"tools.{i}.name: invalid")
        if tool.get("type", "custom") == "custom":
            schema = tool.get("input_schema")
            need(isinstance(schema, dict) and schema.get("type") == "object",
                 f"tools.{i}.input_schema.type: must be object")


def count_markers(value):
    if isinstance(value, dict):
        mine = isinstance(value.get("cache_control"), dict)
        return mine + sum(count_markers(v) for k, v in value.items()
                          if k not in ("input", "input_schema"))
    if isinstance(value, list):
        return sum(count_markers(v) for v in value)
    return 0


def check_body(body):
    need(isinstance(body, dict), "the body must be a JSON object")
    extra = sorted(set(body) - BODY_MEMBERS)
    need(not extra, f"{', '.join(extra)}: extra inputs are not permitted")
    need(is_text(body.get("model")), "model: field required")
    limit = body.get("max_tokens")
    need(isinstance(limit, int) and not isinstance(limit, bool) and limit > 0,
         "max_tokens: a positive integer is required")
    check_messages(body.get("messages"))
    check_thinking_turn(body)
    if "system" in body:
        check_system(body["system"])
    if "tools" in body:
        check_tools(body["tools"])
    need(body.get("stream") is True,
         "stream: this model only answers with a stream")
    need(count_markers(body) <= 4,
         "a maximum of 4 blocks with cache_control may be provided")


def results_of(message):
    return [b for b in objects(message.get("content")) if b.get("type") == "tool_result"]


def said(message):
    results = results_of(message)
    role = "user" if message.get("role") == "user" else "model"
    if results:
        return Said(role, [], ["".join(part_texts(r.get("content", ""))) for r in results])
    content = message.get("content")
    return Said(role, part_texts(content if isinstance(content, str) else
                                 [b for b in objects(content) if b.get("type") == "text"]))


class AnthropicAnswer(Answer):
    api = "anthropic"
    id_header = "request-id"
    pinged = False

    @staticmethod
    def check(request, _match, _model):
        header = request.headers.get
        need(header("x-api-key"), "x-api-key header is required", 401)
        need(header("anthropic-version"), "anthropic-version: header is required")
        check_body(request.body)

    @staticmethod
    def conversation(body):
        return [said(m) for m in objects(body.get("messages"))]

    @staticmethod
    def error_body(status, text):
        return {"type": "error", "error": {"type": ERROR_TYPES.get(status, "api_error"), "message": text}}

    async def event(self, kind, padding="", **members):
        await self.data({"type": kind, **members}, f"event: {kind}\n", padding)

    async def start(self):
        if self.message_sent:
            return
        self.message_sent = True
        await self.event("message_start", message={
            "id": f"msg_{self.request.number:08d}", "type": "message",
            "role": "assistant", "model": self.request.body["model"],
            "content": [], "stop_reason": None, "stop_sequence": None,
            "usage": {**self.usage, "output_tokens": 1}})

    async def ping(self):
        await self.start()
        self.pinged = True
        await self.event("ping", padding="      ")

    async def open_block(self, kind):
        if self.block == kind:
            return
        await self.close_block()
        await self.start()
        empty = {"type": kind, kind: ""}
        if kind == "thinking":
            empty["signature"] = ""
        await self.event("content_block_start", index=self.index,
                         content_block=empty)
        self.block = kind
        if not self.pinged:
            await self.ping()

    async def close_block(self):
        if self.block is not None:
            await self.event("content_block_stop", index=self.index)
            self.block = None
            self.index += 1

    async def delta(self, kind, text):
        await self.event("content_block_delta", index=self.index,
                         delta={"type": f"{kind}_delta", kind: text})

    async def sign(self, signature):
        await self.delta("signature", signature)

    async def write_call(self, call_id, name, parts):
        number = f"toolu_{self.request.number:08d}_{self.index}"
        await self.event("content_block_start", index=self.index,
                         content_block={"type": "tool_use", "input": {},
                                        "id": number if call_id is None else call_id, "name": name})
        self.block = "tool_use"
        for part in parts:
            await self.event("content_block_delta", index=self.index,
                             delta={"type": "input_json_delta", "partial_json": part})
        await self.close_block()

    async def write_error(self, body):
        await self.event("error", error=body["error"])

    async def fail(self, kind, message):
        await self.write_error({"error": {"type": kind, "message": message}})
        await self.end_body()

    async def finish(self):
        await self.start()
        await self.close_block()
        await self.event(
            "message_delta",
            delta={"stop_reason": self.stop_reason, "stop_sequence": None},
            usage={"output_tokens": max(1, sum(self.words.values())), **self.usage})
        await self.event("message_stop")
        await self.end_body()
