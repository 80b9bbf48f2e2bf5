# SPDX-License-Identifier: MIT
"""agent-fpm decode: recorded answers of providers, as the recordings say; and what it says of those that are none."""

import glob
import json
import os
import subprocess

import pytest
from waiting import BINARY, ROOT

FOLDER = os.path.join(os.environ.get("AGENT_FPM_SHARED", os.path.join(ROOT, "..", "shared")), "fixtures", "providers")
STREAM = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def decode(*args, stdin=None):
    return subprocess.run([BINARY, "decode", *args], input=stdin, capture_output=True, text=True, check=False, timeout=60)


def test_recordings():
    """Each gives the very document of its recording."""
    streams = sorted(glob.glob(os.path.join(FOLDER, "*", "*.sse")))
    if not streams:
        pytest.skip("the recorded streams are not there")
    wrong = []
    for path in streams:
        with open(path[:-4] + ".expect.json", encoding="utf-8") as f:
            expected = json.load(f)
        del expected["verification"]
        got = decode("--api", expected["api"], "--provider", expected["provider"], path)
        if json.loads(got.stdout) != expected:
            wrong.append(path)
    assert not wrong and len(streams) >= 139


def test_standard_input():
    """- is the standard input; without a provider the API's name stands for it."""
    got = decode("--api", "openai", "-", stdin=STREAM)
    doc = json.loads(got.stdout)
    assert got.returncode == 0 and (doc["text"], doc["api"], doc["provider"], doc["done_marker"]) == ("hi", "openai-chat", "openai-chat", True)


def test_a_cut_stream():
    """An answer that is not whole: the document of what came, and why on standard error."""
    got = decode("--api", "openai", "-", stdin=STREAM.replace('"stop"', "null").replace("data: [DONE]\n\n", ""))
    assert got.returncode == 65 and json.loads(got.stdout)["complete"] is False and "ended before" in got.stderr


def test_quirks():
    """What a provider does otherwise can be tried."""
    stream = STREAM.replace("hi", "<think>hm</think>hi")
    assert json.loads(decode("--api", "openai", "-", stdin=stream).stdout)["thinking"] == ""
    doc = json.loads(decode("--api", "openai", "--quirks", "think-tags", "-", stdin=stream).stdout)
    assert (doc["thinking"], doc["text"]) == ("hm", "hi")


@pytest.mark.parametrize("args,says", [
    ((), "usage:"), (("--api", "openai"), "usage:"), (("--api", "no", "x"), 'there is no API "no"'),
    (("--api", "gemini", "--quirks", "odd", "x"), 'no quirk "odd"'), (("--api", "gemini", "/nonexistent"), "No such file"),
])
def test_mistakes(args, says):
    """What is wrong, and never a document."""
    got = decode(*args)
    assert got.returncode in (64, 66) and says in got.stderr and got.stdout == ""
