# SPDX-License-Identifier: MIT
"""What the scripted model is asked by sdk.py: steps, and what a client must make of them.

A row's prompt is its name, which its scenario matches. "says" is what both
views must hold, whatever the API; "only" names the APIs that have such a
thing. An incomplete answer says "complete": False; a failed one "error".
"""

TEXT = "Grüße aus 東京 👋 — \"quoted\", \\ and\n\ttwo lines. "
ARGUMENTS = {"path": "/tmp/ü \"x\"\\y", "n": [1, 2.5, -3e20, True, None], "deep": {"a": {"b": []}}, "emoji": "👋🏽"}
ERROR = {"type": "overloaded_error", "message": "busy"}
ALL = ("anthropic", "openai-chat", "openai-responses")


def row(name, *steps, only=ALL, retries=0, **says):
    return {"name": name, "steps": list(steps), "only": only, "retries": retries, "says": {"complete": True, **says}}


def failed(name, status, retry_after=None, **members):
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return row(name, {"status": status, "headers": headers, **members}, complete=False, status=status, retry_after=retry_after)


ROWS = [
    row("text by word", {"text": TEXT}, text=TEXT, stop="stop"),
    row("text by char", {"text": TEXT, "by": "char"}, text=TEXT, stop="stop"),
    row("text at once", {"text": TEXT, "by": "whole"}, text=TEXT, stop="stop"),
    row("long text", {"text": "${words:5000}"}, text="".join(f"w{i} " for i in range(1, 5001))),
    row("no text", {"text": ""}, text="", stop="stop", calls=[]),
    row("thinking", {"thinking": TEXT, "signature": "c2lnbmF0dXJl"}, {"text": "so"}, thinking=TEXT, text="so"),
    row("signature", {"thinking": "a", "signature": "c2ln"}, {"text": "b"}, signatures=["c2ln"], only=("anthropic",)),
    row("thinking, text, call", {"thinking": "hm", "signature": "c2ln"}, {"text": "then"}, {"call": "look", "input": {"a": 1}},
        thinking="hm", text="then", calls=[("look", {"a": 1})], stop="tool_calls"),
    row("one call", {"call": "look", "input": ARGUMENTS, "id": "call_1"}, calls=[("look", ARGUMENTS)], stop="tool_calls", text=""),
    row("parallel calls", *({"call": f"tool_{i}", "input": {"i": i}} for i in range(5)),
        calls=[(f"tool_{i}", {"i": i}) for i in range(5)], stop="tool_calls"),
    row("no arguments", {"call": "now", "raw": ""}, {"call": "then", "raw": "{}"}, calls=[("now", {}), ("then", {})], stop="tool_calls"),
    row("arguments in pieces", {"call": "look", "input": ARGUMENTS, "bytes": 1}, {"call": "see", "input": ARGUMENTS, "bytes": 3},
        calls=[("look", ARGUMENTS), ("see", ARGUMENTS)]),
    row("arguments that do not parse", {"call": "look", "raw": "{\"a\": tru"}, calls=[("look", None)]),
    row("usage", {"usage": {"input_tokens": 11, "output_tokens": 7}}, {"text": "hi"},
        usage={"input_tokens": 11, "output_tokens": 7, "cached_tokens": 0}),
    row("usage with cache", {"usage": {"input_tokens": 11, "output_tokens": 7, "cache_read_input_tokens": 500,
                                       "cache_creation_input_tokens": 30}}, {"text": "hi"},
        usage={"input_tokens": 541, "output_tokens": 7, "cached_tokens": 500}),
    row("too long", {"text": "half"}, {"stop_reason": "max_tokens"}, text="half", stop="length"),
    row("stop sequence", {"text": "half"}, {"stop_reason": "stop_sequence"}, text="half", stop="stop"),
    row("refusal", {"text": "no"}, {"stop_reason": "refusal"}, stop="refusal", only=("anthropic",)),
    row("pause", {"text": "wait"}, {"stop_reason": "pause_turn"}, stop="pause", only=("anthropic",)),
    row("context full", {"text": "half"}, {"stop_reason": "model_context_window_exceeded"}, stop="length", only=("anthropic",)),
    row("error in front", {"error": ERROR}, error={"message": "busy"}, complete=False, text=""),
    row("error inside", {"text": "half "}, {"error": ERROR}, error={"message": "busy"}, complete=False, text="half "),
    row("type of an error", {"error": ERROR}, error=ERROR, complete=False, only=("anthropic",)),
    failed("bad request", 400),
    failed("no key", 401),
    failed("not found", 404),
    failed("rate limit", 429, "7"),
    failed("overloaded", 529, "3"),
    failed("server error", 500),
    failed("a page", 502, body="<html><body>Bad Gateway</body></html>"),
    row("tried again", {"status": 429, "headers": {"retry-after": "1"}, "times": 1}, {"text": "at last"},
        retries=1, text="at last", requests=2, waited_ms=1000),
    row("pings", {"ping": True}, {"text": "a "}, {"ping": True}, {"text": "b"}, {"ping": True}, text="a b"),
    row("comments", {"garbage": ": hello\n\n"}, {"text": "a "}, {"garbage": ":\n\n: again\n\n"}, {"text": "b"}, text="a b"),
    row("small segments", {"split": 3}, {"thinking": TEXT, "signature": "c2ln"}, {"text": TEXT}, {"call": "look", "input": ARGUMENTS},
        thinking=TEXT, text=TEXT, calls=[("look", ARGUMENTS)]),
    row("cut", {"text": "half of it ", "by": "char"}, {"cut": True}, text="half of it ", complete=False),
    row("cut in a call", {"text": "half "}, {"call": "look", "input": {}}, {"cut": True}, text="half ", complete=False),
]

# The stream that is sent in other forms: of this row.
VARIED = "small segments"
