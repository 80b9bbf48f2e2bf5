# SPDX-License-Identifier: MIT
"""The views of the official client libraries and of agent-fpm decode, compared; see sdk.sh.

    sdk.py NODE FOLDER      # FOLDER has the packages

Three times the same: the library asks a server, sdk.mjs keeps the bytes that
it got, and agent-fpm decode reads them. The servers are the scripted model,
by sdk_scenarios.py, where what was meant is known too; its longest answer,
with other line ends, comments and pieces; and the recorded streams and errors
of providers.
"""

import base64
import glob
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

from recorded_server import RecordedServer
from scripted_model import ScriptedModel
from sdk_scenarios import ALL, ROWS, VARIED
from waiting import BINARY, ROOT, scaled

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.environ.get("AGENT_FPM_SHARED", os.path.join(ROOT, "..", "shared")), "fixtures", "providers")
PATHS = {"anthropic": "/v1/messages", "openai-chat": "/v1/chat/completions", "openai-responses": "/v1/responses"}
LIBRARIES = {"anthropic": "@anthropic-ai/sdk", "openai-chat": "openai", "openai-responses": "openai"}
MESSAGE_BYTES = 296  # more of an error's message is not kept for sure
STOPS = {
    "anthropic": {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "refusal",
                  "pause_turn": "pause", "model_context_window_exceeded": "length"},
    "openai-chat": {word: word for word in ("stop", "length", "tool_calls", "content_filter")},
    "openai-responses": {"completed": "stop", "incomplete:max_output_tokens": "length",
                         "incomplete:content_filter": "content_filter"},
}


class Report:
    """What is printed: a line for each comparison, and the counts."""

    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def add(self, name, problems):
        self.counts["failed" if problems else "passed"] += 1
        print(f"{'FAIL' if problems else 'ok  '} {name}")
        for problem in problems:
            print(f"     {problem}")

    def skip(self, name, why):
        self.counts["skipped"] += 1
        print(f"skip {name}: {why}")


def ask(node, folder, requests):
    """(view, bytes) for each."""
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    done = subprocess.run([node, os.path.join(HERE, "sdk.mjs"), folder], input=lines, stdout=subprocess.PIPE,
                          text=True, check=True, timeout=scaled(300))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests), f"{len(answers)} answers to {len(requests)} requests"
    return [(a["view"], base64.b64decode(a["raw"])) for a in answers]


def decode(api, raw, *options):
    """The document of agent-fpm decode, with the members of a view."""
    done = subprocess.run([BINARY, "decode", "--api", api, *options, "-"], input=raw, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False, timeout=scaled(60))
    doc = json.loads(done.stdout)
    doc["calls"] = [{"id": c["id"], "name": c["name"], "valid": c["arguments_valid"], "arguments": c["arguments"],
                     "raw": c["arguments_raw"]} for c in doc["tool_calls"]]
    doc["types"] = [b["type"] for b in doc["blocks"]]
    doc["signatures"] = [b.get("signature", "") for b in doc["blocks"] if b["type"] == "thinking"]
    return doc


def stop_of(api, view):
    """The library's stop reason in our words."""
    word = STOPS[api].get(view["stop"], "other")
    # OpenAI's word for an answer with calls may be that of one without.
    return "tool_calls" if api != "anthropic" and word == "stop" and view["calls"] else word


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]} ({len(text)} characters)"


def is_whole(answer):
    return answer["complete"] and not answer["error"]


def error_of(api, answer):
    """Type, code and message. The Responses API says it twice, first as a type and then as a code; the library hears the first."""
    error = answer["error"]
    if not error:
        return None
    kind = error["type"], error.get("code")
    return (kind[1] or kind[0] if api == "openai-responses" else kind, error["message"].encode()[:MESSAGE_BYTES])


def compare(api, view, doc):
    """What the library and the decoder say of the same bytes, where they differ."""
    problems = [view["problem"]] if "problem" in view else []

    def same(what, theirs, ours):
        if theirs != ours:
            problems.append(f"{what}: the library says {short(theirs)}, the decoder {short(ours)}")

    for member in ("text", "thinking", "refusal"):
        same(member, view[member], doc[member])
    same("complete", is_whole(view), is_whole(doc))
    if problems and view["thrown"]:
        problems.append(f"the library threw {short(view['thrown'])}")
    same("error", error_of(api, view), error_of(api, doc))
    if not is_whole(doc):
        return problems
    same("stop_reason_raw", view["stop"], doc["stop_reason_raw"])
    same("stop_reason", stop_of(api, view), doc["stop_reason"])
    same("usage", view["usage"], doc["usage"])
    same("model", view["model"], doc["model"])
    same("calls", [without_raw(c) for c in view["calls"]], [without_raw(c) for c in doc["calls"]])
    same("raw arguments", [c["raw"] or "{}" for c in view["calls"]], [c["raw"] or "{}" for c in doc["calls"]])
    same("parsed arguments", [p for p, c in zip(view["parsed"], view["calls"]) if c["valid"]],
         [c["arguments"] for c in doc["calls"] if c["valid"]])
    if api == "anthropic":
        same("blocks", view["types"], doc["types"])
        same("signatures", view["signatures"], doc["signatures"])
    return problems


def without_raw(one):
    return {k: v for k, v in one.items() if k != "raw"}


def meant(says, view, doc):
    """What the script meant, where one of the two says otherwise."""
    problems = []
    for who, answer in (("library", view), ("decoder", doc)):
        for member, value in says.items():
            found = value_of(member, value, who, answer)
            if found is not None and found[0] != value:
                problems.append(f"{member}: the {who} says {short(found[0])}, the script {short(value)}")
    return problems


def value_of(member, value, who, answer):
    """What an answer says of that member, in a tuple; None if it has none."""
    if member == "calls":
        return ([(c["name"], c["arguments"]) for c in answer["calls"]],)
    if member == "stop":
        return (answer["stop_reason"],)
    if member == "usage":
        return ({name: (answer["usage"] or {}).get(name) for name in value},)
    if member == "error":
        return (answer["error"] and {name: answer["error"][name] for name in value},)
    if member in ("status", "retry_after", "requests"):  # of HTTP: no decoder sees it
        return (answer[member],) if who == "library" else None
    if member == "waited_ms":
        return (value if answer["took_ms"] >= value else answer["took_ms"],) if who == "library" else None
    if member == "complete":
        return (is_whole(answer),)
    return (answer[member],)


def is_answered(url, path):
    """Whether the scripted model has that path: anything but a 404."""
    request = urllib.request.Request(url + path, b"{}", {"content-type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=scaled(10)).close()
    except urllib.error.HTTPError as e:
        e.close()
        return e.code != 404
    return True


def run_scripted(report, node, folder):
    """The scenarios; returns the bytes of one, by API."""
    scenarios = [{"match": f"^{r['name']}$", "steps": r["steps"]} for r in ROWS]
    varied = {}
    with ScriptedModel(scenarios) as model:
        for api in ALL:
            rows = [r for r in ROWS if api in r["only"]]
            if not is_answered(model.url, PATHS[api]):
                for r in rows:
                    report.skip(f"scripted {api}: {r['name']}", f"the scripted model does not answer {PATHS[api]} yet")
                continue
            model.reset()
            answers = ask(node, folder, [{"api": api, "url": model.url, "prompt": r["name"], "retries": r["retries"]} for r in rows])
            for r, (view, raw) in zip(rows, answers):
                doc = decode(api, raw)
                view["stop_reason"] = stop_of(api, view)
                report.add(f"scripted {api}: {r['name']}", compare(api, view, doc) + meant(r["says"], view, doc))
                if r["name"] == VARIED:
                    varied[api] = (raw, r["says"])
            report.add(f"scripted {api}: the requests", [why for _request, why in model.invalid] + model.failures)
    return varied


def variants(raw):
    """(name, bytes, sizes of pieces, whether it is whole) of a stream."""
    half = raw[:raw.rfind(b"\n\n", 0, len(raw) // 2) + 2]
    yield "one byte each", raw, [1] * len(raw), True
    yield "CRLF", raw.replace(b"\n", b"\r\n"), [1] * 2 * len(raw), True
    yield "CR", raw.replace(b"\n", b"\r"), None, True
    yield "a comment after each event", raw.replace(b"\n\n", b"\n\n: OPENROUTER PROCESSING\n\n"), None, True
    yield "no space behind colons", raw.replace(b"\ndata: ", b"\ndata:").replace(b"event: ", b"event:"), None, True
    yield "ended in the middle", half, None, False


def run_recorded(report, node, folder, cases):
    """cases: (name, api, decode's options, bytes, sizes, HTTP status and headers, what both must say)."""
    server = RecordedServer()
    server.server.handle_error = lambda *_: None  # a library that has seen enough hangs up
    for _name, _api, _options, raw, sizes, http, _says in cases:
        server.answer(raw, sizes, **http)
    answers = ask(node, folder, [{"api": case[1], "url": server.url, "prompt": "hi"} for case in cases])
    server.close()
    for (name, api, options, raw, _sizes, _http, says), (view, seen) in zip(cases, answers):
        view["stop_reason"] = stop_of(api, view)
        doc = decode(api, seen, *options)
        problems = [] if seen == raw else ["the library got other bytes"]
        report.add(name, problems + compare(api, view, doc) + meant(says, view, doc))


def varied_cases(varied):
    for api, (raw, says) in varied.items():
        for name, data, sizes, whole in variants(raw):
            yield f"varied {api}: {name}", api, (), data, sizes, {}, says if whole else {"complete": False}


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def stream_cases(report):
    """The recordings of the libraries' APIs, where the library was found to agree with what is expected of us."""
    for path in sorted(glob.glob(os.path.join(FOLDER, "*", "*.sse"))):
        expected = load(path[:-4] + ".expect.json")
        api, name = expected["api"], "recorded " + os.path.relpath(path[:-4], FOLDER)
        if api not in LIBRARIES:
            continue
        verdict = [v for k, v in expected["verification"].items() if k.startswith(LIBRARIES[api] + " ")]
        if verdict != ["agrees"]:
            report.skip(name, verdict[0]["why"] if verdict else "nobody compared it")
            continue
        sizes = load(path[:-4] + ".chunks.json") if os.path.exists(path[:-4] + ".chunks.json") else None
        with open(path, "rb") as f:
            yield name, api, ("--provider", expected["provider"]), f.read(), sizes, {}, {}


def error_cases(report):
    """Bodies of answers that are no stream."""
    for path in sorted(glob.glob(os.path.join(FOLDER, "errors", "*", "*.json"))):
        name = "recorded " + os.path.relpath(path[:-5], FOLDER)
        provider = os.path.basename(os.path.dirname(path))
        body = load(path)
        if provider == "gemini":
            continue
        if not isinstance(body.get("error"), dict):
            report.skip(name, "the library knows no error without a member error")
            continue
        api, status = "anthropic" if provider == "anthropic" else "openai-chat", int(os.path.basename(path)[:3])
        http = {"status": status, "content-type": "application/json"}
        with open(path, "rb") as f:
            yield name, api, ("--provider", provider), f.read(), None, http, {"status": status, "complete": False}


def main():
    node, folder = sys.argv[1:]
    report = Report()
    varied = run_scripted(report, node, folder)
    run_recorded(report, node, folder, list(varied_cases(varied)))
    if os.path.isdir(FOLDER):
        run_recorded(report, node, folder, [*stream_cases(report), *error_cases(report)])
    else:
        report.skip("recorded streams", "the folder is not there")
    print(", ".join(f"{n} {what}" for what, n in report.counts.items()))
    sys.exit(1 if report.counts["failed"] else 0)


if __name__ == "__main__":
    main()
