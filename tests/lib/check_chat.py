# SPDX-License-Identifier: MIT
"""What the Chat Completions API refuses in a request.

    complaints = check(body)                        # [] if there are none
    complaints = check(body, {"echo-with-calls"})   # and the provider's rules

The body is the parsed JSON of a request that asks for a stream. All is checked
that OpenAI's own API checks, with the members that its dialects have besides;
quirks are rules that a provider has more, in the words of provider.quirks:

    echo-with-calls   every answer brings its reasoning_content back, a text
    short-ids         ids of calls are nine letters and digits
    answer-results    a user's message does not follow a tool's
    no-images, no-files   there are none
"""

import json
import re

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ID_MAX = 40


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_positive(value):
    return is_int(value) and value > 0


def is_text(value):
    return isinstance(value, str) and value != ""


def is_bool(value):
    return isinstance(value, bool)


def is_dict(value):
    return isinstance(value, dict)


def is_list(value):
    return isinstance(value, list)


# Members of a body and what they must be; those of dialects last.
MEMBERS = {
    "model": is_text, "messages": is_list, "stream": is_bool,
    "stream_options": is_dict, "max_tokens": is_positive,
    "max_completion_tokens": is_positive, "tools": is_list,
    "tool_choice": lambda v: isinstance(v, (str, dict)),
    "parallel_tool_calls": is_bool, "reasoning_effort": is_text,
    "response_format": is_dict, "temperature": is_number,
    "top_p": is_number, "n": is_positive, "seed": is_int,
    "stop": lambda v: isinstance(v, (str, list)), "logprobs": is_bool,
    "top_logprobs": is_int, "logit_bias": is_dict,
    "frequency_penalty": is_number, "presence_penalty": is_number,
    "user": is_text, "metadata": is_dict, "store": is_bool,
    "service_tier": is_text, "verbosity": is_text, "prediction": is_dict,
    "prompt_cache_key": is_text, "prompt_cache_retention": is_text,
    "prompt_cache_options": is_dict, "safety_identifier": is_text,
    "thinking": is_dict,  # DeepSeek
    "enable_thinking": is_bool, "thinking_budget": is_positive,  # Qwen
    "preserve_thinking": is_bool, "top_k": is_int,
    "reasoning_format": is_text, "include_reasoning": is_bool,  # Groq
    "disable_reasoning": is_bool, "clear_thinking": is_bool,  # Cerebras
    "reasoning": is_dict, "provider": is_dict, "models": is_list,
    "transforms": is_list, "plugins": is_list,  # OpenRouter
    "chat_template_kwargs": is_dict, "min_p": is_number,  # vLLM, llama.cpp
    "repetition_penalty": is_number, "safe_prompt": is_bool,  # Mistral
    "random_seed": is_int, "venice_parameters": is_dict,
}

# Kinds of parts; each has a member of its own name.
TEXT_PARTS = {"text"}
USER_PARTS = {"text", "image_url", "file"}
ANSWER_PARTS = {"text", "refusal"}

ROLES = {
    "system": {"content", "name"},
    "developer": {"content", "name"},
    "user": {"content", "name"},
    "assistant": {"content", "name", "refusal", "tool_calls",
                  "reasoning_content", "reasoning", "reasoning_details"},
    "tool": {"content", "tool_call_id"},
}


class Checker:
    def __init__(self, body, quirks):
        self.body = body
        self.quirks = set(quirks)
        self.complaints = []

    def need(self, ok, text):
        if not ok:
            self.complaints.append(text)
        return ok

    def only(self, value, known, at):
        """Whether it is an object; members that nobody knows are complained of."""
        if not self.need(is_dict(value), f"{at}: must be an object"):
            return False
        for name in sorted(set(value) - set(known)):
            self.need(False, f"{at}.{name}: unknown member")
        return True

    # -- contents

    def image(self, value, at):
        self.need("no-images" not in self.quirks,
                  f"{at}: the model takes no images")
        if self.only(value, {"url", "detail"}, at):
            self.need(is_text(value.get("url")) and re.match(
                r"https?://.|data:image/[a-z.+-]+;base64,[A-Za-z0-9+/]+=*$",
                value["url"]), f"{at}.url: no URL of an image")

    def file(self, value, at):
        self.need("no-files" not in self.quirks,
                  f"{at}: the model takes no files")
        if not self.only(value, {"file_data", "filename", "file_id"}, at):
            return
        if "file_id" in value:
            self.need(is_text(value["file_id"]), f"{at}.file_id: invalid")
            return
        self.need(is_text(value.get("filename")), f"{at}.filename: required")
        self.need(is_text(value.get("file_data")) and re.match(
            r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+=*$",
            value["file_data"]), f"{at}.file_data: no data URL")

    def part(self, part, kinds, at):
        if not self.need(is_dict(part), f"{at}: must be an object"):
            return
        kind = part.get("type")
        if not self.need(isinstance(kind, str) and kind in kinds,
                         f"{at}.type: {kind!r} is not allowed here"):
            return
        self.only(part, {"type", "cache_control", kind}, at)
        value = part.get(kind)
        if kind == "image_url":
            self.image(value, f"{at}.image_url")
        elif kind == "file":
            self.file(value, f"{at}.file")
        else:
            self.need(is_text(value), f"{at}.{kind}: must not be empty")

    def content(self, content, kinds, at):
        if isinstance(content, str):
            self.need(content != "", f"{at}: must not be empty")
        elif self.need(is_list(content) and content,
                       f"{at}: must be a text or a list that is not empty"):
            for i, part in enumerate(content):
                self.part(part, kinds, f"{at}.{i}")

    # -- messages

    def call_id(self, value, at):
        self.need(is_text(value) and len(value) <= ID_MAX, f"{at}: invalid")
        if "short-ids" in self.quirks and is_text(value):
            self.need(re.fullmatch(r"[a-zA-Z0-9]{9}", value),
                      f"{at}: must be a-z, A-Z, 0-9, with a length of 9")

    def call(self, call, at):
        if not self.only(call, {"id", "type", "function", "extra_content"},
                         at):
            return
        self.call_id(call.get("id"), f"{at}.id")
        self.need(call.get("type") == "function", f"{at}.type: invalid")
        function = call.get("function")
        if not self.only(function, {"name", "arguments"}, f"{at}.function"):
            return
        self.need(isinstance(function.get("name"), str) and
                  NAME.fullmatch(function["name"]),
                  f"{at}.function.name: invalid")
        try:
            arguments = json.loads(function.get("arguments"))
        except (TypeError, ValueError):
            arguments = None
        self.need(is_dict(arguments),
                  f"{at}.function.arguments: no object as JSON in a text")

    def assistant(self, message, at):
        calls = message.get("tool_calls")
        content = message.get("content")
        if "tool_calls" in message and self.need(
                is_list(calls) and calls,
                f"{at}.tool_calls: must be a list that is not empty"):
            for i, call in enumerate(calls):
                self.call(call, f"{at}.tool_calls.{i}")
        if content is not None:
            self.content(content, ANSWER_PARTS, f"{at}.content")
        else:
            self.need(calls or message.get("refusal"),
                      f"{at}: has neither content nor calls")
        for name in ("reasoning_content", "reasoning"):
            self.need(isinstance(message.get(name, ""), str),
                      f"{at}.{name}: must be a text")
        self.need(is_text(message.get("refusal", "-")),
                  f"{at}.refusal: must be a text")
        details = message.get("reasoning_details", [])
        self.need(is_list(details) and all(map(is_dict, details)),
                  f"{at}.reasoning_details: must be a list of objects")
        self.need("echo-with-calls" not in self.quirks or
                  "reasoning_content" in message,
                  f"{at}: the `reasoning_content` in the thinking mode must "
                  "be passed back to the API")

    def tool(self, message, at):
        self.call_id(message.get("tool_call_id"), f"{at}.tool_call_id")
        self.content(message.get("content"), TEXT_PARTS, f"{at}.content")

    def message(self, message, at):
        """Its role, or None."""
        if not self.need(is_dict(message), f"{at}: must be an object"):
            return None
        role = message.get("role")
        if not self.need(isinstance(role, str) and role in ROLES,
                         f"{at}.role: {role!r} is unknown"):
            return None
        self.only(message, {"role"} | ROLES[role], at)
        if role == "assistant":
            self.assistant(message, at)
        elif role == "tool":
            self.tool(message, at)
        else:
            self.content(message.get("content"),
                         USER_PARTS if role == "user" else TEXT_PARTS,
                         f"{at}.content")
        return role

    def order(self, i, role, before):
        at = f"messages.{i}"
        if role in ("system", "developer"):
            self.need(i == 0, f"{at}: the system prompt must be the first")
        if role == "user" and before == "tool":
            self.need("answer-results" not in self.quirks,
                      f"{at}: Unexpected role 'user' after role 'tool'")

    def pairs(self, messages):
        """Each call has its result directly behind it, in the same order."""
        wanted, seen = [], set()
        for i, message in enumerate(messages):
            at = f"messages.{i}"
            if not is_dict(message):
                continue
            if message.get("role") == "tool":
                got = message.get("tool_call_id")
                if self.need(got in wanted,
                             f"{at}: a result of no call that waits: {got}"):
                    self.need(wanted[0] == got, f"{at}: not in order: {got}")
                    wanted.remove(got)
                continue
            self.need(not wanted, f"{at}: calls without results before it: "
                      f"{', '.join(map(str, wanted))}")
            calls = message.get("tool_calls")
            wanted = [c.get("id") for c in calls if is_dict(c)] \
                if is_list(calls) else []
            for one in wanted:
                self.need(one not in seen, f"{at}: id used twice: {one}")
                seen.add(one)
        self.need(not wanted, "messages: calls without results at the end: "
                  f"{', '.join(map(str, wanted))}")

    def messages(self):
        messages = self.body.get("messages")
        if not self.need(is_list(messages) and messages,
                         "messages: a list that is not empty is required"):
            return
        before = None
        for i, message in enumerate(messages):
            role = self.message(message, f"messages.{i}")
            self.order(i, role, before)
            before = role
        self.need(before in ("user", "tool"),
                  "messages: the last must be the user's or a tool's")
        self.pairs(messages)

    # -- the rest

    def schema(self, schema, at):
        if not self.need(is_dict(schema), f"{at}: must be a schema"):
            return
        self.need(schema.get("type") == "object",
                  f"{at}.type: must be object")
        self.need(is_dict(schema.get("properties")),
                  f"{at}: object schema missing properties")

    def tools(self):
        tools = self.body.get("tools")
        if not is_list(tools):
            return
        self.need(tools, "tools: must not be empty")
        names = []
        for i, tool in enumerate(tools):
            at = f"tools.{i}"
            if not self.only(tool, {"type", "function"}, at):
                continue
            self.need(tool.get("type") == "function", f"{at}.type: invalid")
            function = tool.get("function")
            if not self.only(function, {"name", "description", "parameters",
                                        "strict"}, f"{at}.function"):
                continue
            name = function.get("name")
            self.need(isinstance(name, str) and NAME.fullmatch(name),
                      f"{at}.function.name: invalid")
            self.need(name not in names, f"{at}: {name} is there twice")
            names.append(name)
            self.need(is_text(function.get("description", "-")),
                      f"{at}.function.description: must not be empty")
            self.need(is_bool(function.get("strict", False)),
                      f"{at}.function.strict: must be true or false")
            if "parameters" in function:
                self.schema(function["parameters"],
                            f"{at}.function.parameters")

    def choice(self):
        choice = self.body.get("tool_choice")
        tools = self.body.get("tools")
        if choice is None:
            return
        self.need(tools, "tool_choice: only with tools")
        if isinstance(choice, str):
            self.need(choice in ("auto", "none", "required", "any"),
                      f"tool_choice: {choice!r} is unknown")
            return
        if not self.only(choice, {"type", "function"}, "tool_choice"):
            return
        name = choice.get("function")
        name = name.get("name") if is_dict(name) else None
        self.need(choice.get("type") == "function" and is_list(tools) and
                  any(is_dict(t) and is_dict(t.get("function")) and
                      t["function"].get("name") == name for t in tools),
                  f"tool_choice: there is no tool {name}")

    def format(self):
        value = self.body.get("response_format")
        if not is_dict(value):
            return
        kind = value.get("type")
        self.need(kind in ("text", "json_object", "json_schema"),
                  f"response_format.type: {kind!r} is unknown")
        if kind != "json_schema":
            self.only(value, {"type"}, "response_format")
            return
        self.only(value, {"type", "json_schema"}, "response_format")
        inner, at = value.get("json_schema"), "response_format.json_schema"
        if self.only(inner, {"name", "description", "schema", "strict"}, at):
            self.need(isinstance(inner.get("name"), str) and
                      NAME.fullmatch(inner["name"]), f"{at}.name: invalid")
            self.need(is_dict(inner.get("schema")), f"{at}.schema: required")
            self.need(is_bool(inner.get("strict", False)),
                      f"{at}.strict: must be true or false")

    def thinking(self):
        reasoning = self.body.get("reasoning")
        if is_dict(reasoning):
            self.need(not {"effort", "max_tokens"} <= set(reasoning),
                      "reasoning: only one of effort and max_tokens")
        thinking = self.body.get("thinking")
        if is_dict(thinking):
            self.need(thinking.get("type") in ("enabled", "disabled"),
                      "thinking.type: invalid")
        self.need("thinking_budget" not in self.body or
                  self.body.get("enable_thinking") is True,
                  "thinking_budget: only with enable_thinking")

    def options(self):
        options = self.body.get("stream_options")
        if is_dict(options):
            known = {"include_usage", "include_obfuscation"}
            self.only(options, known, "stream_options")
            for name in known & set(options):
                self.need(is_bool(options[name]),
                          f"stream_options.{name}: must be true or false")

    def run(self):
        if not self.need(is_dict(self.body), "the body must be an object"):
            return self.complaints
        self.only(self.body, MEMBERS, "body")
        for name, is_valid in MEMBERS.items():
            self.need(name not in self.body or is_valid(self.body[name]),
                      f"{name}: invalid")
        self.need("model" in self.body, "model: required")
        self.need(self.body.get("stream") is True, "stream: must be true")
        self.need(not {"max_tokens", "max_completion_tokens"} <=
                  set(self.body),
                  "only one of max_tokens and max_completion_tokens")
        self.messages()
        self.tools()
        self.choice()
        self.format()
        self.thinking()
        self.options()
        return self.complaints


def check(body, quirks=()):
    """What the API would refuse, in words; [] if it would take it."""
    return Checker(body, quirks).run()
