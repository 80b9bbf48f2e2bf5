# SPDX-License-Identifier: MIT
"""Whatever a provider does, a turn ends: with the answer, or with error and done, and the agent goes on."""

import time

import pytest
from stack import Stack, scaled, words

SCENARIOS = [
    {"match": "^bad request$", "steps": [{"status": 400, "body": {"type": "error", "error": {"type": "invalid_request_error", "message": "no such thing"}}}]},
    {"match": "^unauthorized$", "steps": [{"status": 401}]},
    {"match": "^html$", "steps": [{"status": 502, "body": "<html><head><title>Bad Gateway</title></head></html>", "times": 9}]},
    {"match": "^boom$", "steps": [{"status": 500, "headers": {"retry-after-ms": "20"}}]},
    {"match": "^flaky ([0-9]+)$", "steps": [{"status": 529, "times": "${1}", "headers": {"retry-after": "0"}}, {"text": "ok after ${1}"}]},
    {"match": "^overload$", "steps": [{"error": {"type": "overloaded_error", "message": "Overloaded"}}]},
    {"match": "^overload late$", "steps": [{"text": "w1 w2 "}, {"error": {"type": "overloaded_error", "message": "Overloaded"}}]},
    {"match": "^cut ([0-9]+)$", "steps": [{"text": "${words:${1}}"}, {"cut": True}]},
    {"match": "^reset ([0-9]+)$", "steps": [{"text": "${words:${1}}"}, {"reset": True}]},
    {"match": "^cut at once$", "steps": [{"cut": True}]},
    {"match": "^stall$", "steps": [{"text": "w1 w2 w3 "}, {"stall": True}]},
    {"match": "^silent$", "steps": [{"stall": True}]},
    {"match": "^garbage$", "steps": [{"text": "w1 "}, {"garbage": "event: content_block_delta\ndata: {not json\n\n"}, {"text": "w2 "}]},
    {"match": "^noise$", "steps": [{"text": "w1 "}, {"garbage": ": a comment\n\nevent: unknown_event\ndata: {\"type\":\"unknown_event\"}\n\n"}, {"text": "w2 "}]},
    {"match": "^split$", "steps": [{"split": 1}, {"text": "Grüße 👩 ${words:20}"}]},
    {"match": "^long$", "steps": [{"text": "half of "}, {"stop_reason": "max_tokens"}]},
    {"match": "^refuse$", "steps": [{"text": "I will not"}, {"stop_reason": "refusal"}]},
    {"match": "^nothing$", "steps": [{"stop_reason": "end_turn"}]},
    {"match": "^slow ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 50}]},
    {"match": "^rate$", "steps": [{"status": 429, "headers": {"retry-after-ms": "10"}}]},
    {"match": "^gemini$", "steps": [{"status": 429, "times": 1, "body": {"error": {
        "code": 429, "message": "Slowly.", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.123s"}]}}}, {"text": "ok"}]},
    {"match": "^quota$", "steps": [{"status": 429, "body": {"error": {"code": "insufficient_quota", "message": "Pay."}}}]},
    {"match": "^bad key (.*)$", "steps": [{"status": 400, "body": "{\"error\": {\"message\": \"API key not valid: ${1}\"}}"}]},
    {"match": "^filtered$", "steps": [{"status": 400, "body": {"error": {"code": "content_policy_violation", "message": "No."}}}]},
    {"match": "^too long$", "steps": [{"status": 400, "body": {"error": {"message": "prompt is too long: 3 tokens > 2 maximum"}}}]},
    {"match": "^no call$", "steps": [{"status": 400, "body": {"error": {"code": "tool_use_failed", "message": "Failed."}}}]},
    {"match": "^no call once$", "steps": [{"status": 400, "times": 1, "body": {"error": {"code": "tool_use_failed", "message": "Failed."}}},
                                          {"text": "now"}]},
    {"match": "^nameless$", "steps": [{"status": 400, "headers": {"request-id": ""}, "body": {
        "type": "error", "request_id": "req_of_the_body", "error": {"type": "invalid_request_error", "message": "No."}}}]},
]


@pytest.fixture(scope="module")
def shaky():
    stack = Stack(workers=1, scenarios=SCENARIOS, conf={
        "model.idle_timeout": "400ms", "model.first_byte_timeout": "400ms", "model.connect_timeout": "500ms", "model.retries": 2})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


@pytest.fixture
def agent(shaky):
    return shaky.user().agent()


def asked(stack, text):
    return [r for r in stack.model.requests if r.last == text]


def shown(frames):
    text = ""
    for f in frames:
        text = "" if f.kind == "stream_reset" else text + f["text"] if f.kind == "text_chunk" else text
    return text


def fails(stack, agent, text, requests):
    """The turn ends with error and done; asked so many times; the agent answers the next message. The error."""
    before = len(asked(stack, text))
    frames = agent.ask(text)
    assert frames[-1]["reason"] == "error", frames[-3:]
    assert [f.kind for f in frames].count("error") == 1 and frames[-2].kind == "error"
    # libcurl itself asks again when a connection that it reused is closed without a byte.
    assert len(asked(stack, text)) - before in (requests, requests + (text == "cut at once"))
    assert [f.kind for f in frames].count("retry") == requests - 1
    assert agent.info()["state"] == "READY"
    assert agent.answer("are you well") == "echo: are you well"
    error = frames[-2]
    assert error["channel"] == "monitor" and error["message"]
    return error


@pytest.mark.parametrize("text, requests, message", [
    ("boom", 3, "scripted 500"),
    ("bad request", 1, "no such thing"),
    ("unauthorized", 1, "scripted 401"),
    ("html", 3, "Bad Gateway"),
    ("overload", 3, "Overloaded"),
    ("overload late", 1, "Overloaded"),
    ("cut 5", 1, ""),
    ("reset 5", 1, ""),
    ("cut at once", 3, ""),
    ("stall", 1, ""),
    ("silent", 3, ""),
    ("garbage", 1, ""),
])
def test_a_failure_is_an_error_and_done(shaky, agent, text, requests, message):
    """Tried again while nothing was shown and it may help; then an error that says what it was."""
    assert message in fails(shaky, agent, text, requests)["message"]


@pytest.mark.parametrize("text, requests, kind", [
    ("rate", 3, "rate_limit"),
    ("flaky 9", 3, "overload"),
    ("overload late", 1, "overload"),
    ("quota", 1, "quota"),
    ("unauthorized", 1, "auth"),
    ("bad key x", 1, "auth"),
    ("too long", 1, "context_length"),
    ("bad request", 1, "invalid_request"),
    ("filtered", 1, "filter"),
    ("boom", 3, "server"),
    ("reset 5", 1, "protocol"),
    ("silent", 3, "timeout"),
    ("garbage", 1, "protocol"),
    ("no call", 2, "protocol"),
])
def test_classes(shaky, agent, text, requests, kind):
    """Each failure has its class, tried again as the class says; the class, the provider's words and its id of the
    request are in error, in retry and in the history."""
    error = fails(shaky, agent, text, requests).json
    assert error["class"] == kind
    last = asked(shaky, text)[-1].number
    assert error.get("requestId", f"req_{last:08d}") == f"req_{last:08d}" and ("requestId" in error) == (text != "silent")
    kept = [m["error"] for m in agent.history() if "error" in m]
    assert kept == [{k: error[k] for k in ("type", "message", "class", "requestId") if k in error}]


def test_a_retry_says_why(shaky, agent):
    frames = agent.ask("flaky 01")
    retry, = [f for f in frames if f.kind == "retry"]
    first = asked(shaky, "flaky 01")[-2].number
    assert (retry["class"], retry["requestId"], retry["message"]) == ("overload", f"req_{first:08d}", "scripted 529")


def test_a_delay_in_the_body(agent):
    retry, = [f for f in agent.ask("gemini") if f.kind == "retry"]
    assert (retry["delayMs"], retry["class"], retry["type"]) == (123, "rate_limit", "RESOURCE_EXHAUSTED")


def test_a_call_that_was_none(agent):
    assert shown(agent.ask("no call once")) == "now"


def test_a_request_id_of_the_body(shaky, agent):
    assert fails(shaky, agent, "nameless", 1)["requestId"] == "req_of_the_body"


@pytest.mark.parametrize("text, withdrawn", [("bad request", True), ("bad key x", False), ("filtered", True), ("quota", False)])
def test_only_what_was_refused_is_withdrawn(agent, text, withdrawn):
    """A message is not to blame for the key or the bill."""
    agent.ask(text)
    assert agent.history()[-1].get("withdrawn", False) is withdrawn


def test_what_was_shown_of_a_failed_answer_is_not_an_answer(agent):
    """A cut stream is never taken for an answer: the history says that it failed, and has nothing of it."""
    frames = agent.ask("cut 5")
    assert shown(frames) in ("", words(5))
    assert agent.dialogue() == [("user", "cut 5"), ("assistant", "")]
    assert agent.history()[-1]["error"]["type"] == "stream_cut"
    assert agent.answer("hello") == "echo: hello"


def test_no_key_of_the_provider_in_an_error(shaky, agent):
    error = fails(shaky, agent, "unauthorized", 1)
    assert shaky.api_key not in str(error)
    error = fails(shaky, agent, f"bad key {shaky.api_key}", 1)
    assert error["message"].startswith("API key not valid: sk-***") and shaky.api_key[8:] not in str(error)


@pytest.mark.parametrize("times", [1, 2])
def test_flaky_succeeds(shaky, agent, times):
    """A retry event for each new try, then the answer."""
    frames = agent.ask(f"flaky {times}")
    retries = [f for f in frames if f.kind == "retry"]
    assert len(retries) == times and shown(frames) == f"ok after {times}"
    assert [r["attempt"] for r in retries] == list(range(2, times + 2))
    assert all(r["type"] == "overloaded_error" and r["channel"] == "monitor" for r in retries)
    assert frames[-1]["reason"] == "completed"
    assert agent.dialogue()[-1] == ("assistant", f"ok after {times}")


def test_one_try_too_few(shaky, agent):
    fails(shaky, agent, "flaky 3", 3)


@pytest.mark.parametrize("text, answer, stop", [
    ("noise", "w1 w2 ", "stop"),
    ("split", "Grüße 👩 " + words(20), "stop"),
    ("long", "half of ", "length"),
])
def test_odd_but_whole(agent, text, answer, stop):
    """Unknown events, any cut of the bytes, an answer at its limit: all are answers."""
    frames = agent.ask(text)
    assert (shown(frames), frames[-1]["reason"], frames[-1]["stop"]) == (answer, "completed", stop)
    assert agent.answer("next") == "echo: next"


@pytest.mark.parametrize("text", ["refuse", "nothing"])
def test_an_answer_that_cannot_be_kept(agent, text):
    """A refusal and an empty answer end the turn; the history stays one that the provider takes."""
    assert agent.ask(text)[-1].kind == "done"
    assert agent.answer("next") == "echo: next"


def test_timeouts_take_as_long_as_configured(agent):
    """Idle and first-byte timeouts, three tries with their pauses: some seconds, not minutes."""
    begin = time.monotonic()
    agent.ask("stall")
    assert 0.3 < time.monotonic() - begin < scaled(2)


def test_a_stream_that_goes_on_is_not_idle(agent):
    """The idle timeout is between bytes, not for the whole."""
    assert agent.answer("slow 15") == words(15)


def test_connection_refused_and_back(stack_factory):
    """Nobody listens: retries, then an error; or the answer, if the provider comes back in time."""
    stack = stack_factory(workers=1, conf={"model.retries": 3})
    agent = stack.user().agent()
    stack.model.stop()
    with agent.chat("are you there") as stream:
        stream.until("retry")
        stack.model.start()
        frames = stream.rest()
    assert shown(frames) == "echo: are you there"
    stack.model.stop()
    stack.conf["model.retries"] = 0
    stack.restart_pool()
    frames = agent.ask("and now")
    assert frames[-1]["reason"] == "error" and frames[-2].kind == "error"
    stack.model.start()
    assert agent.answer("again") == "echo: again"


def test_the_whole_call_is_bounded(stack_factory):
    """model.total_timeout ends a call that never stops talking."""
    stack = stack_factory(workers=1, conf={"model.total_timeout": "700ms", "model.retries": 0})
    agent = stack.user().agent()
    begin = time.monotonic()
    frames = agent.ask("slow 400")
    assert frames[-1]["reason"] == "error" and time.monotonic() - begin < scaled(3)
    assert agent.answer("next") == "echo: next"


def test_a_message_the_provider_does_not_take_does_not_spoil_the_agent(stack_factory):
    """A block that only the provider can judge fails its own turn, and not every turn after it."""
    stack = stack_factory(workers=1)
    stack.allow_invalid = True  # it may be asked, once
    agent = stack.user().agent()
    got = agent.post_message([{"type": "image", "source": {"type": "nonsense"}}, {"type": "text", "text": "look"}])
    if got.status == 202:
        with agent.follow() as view:
            assert list(view.wait().dones.values()) == ["error"]
    else:
        assert got.status == 422
    assert agent.answer("next") == "echo: next"


@pytest.mark.parametrize("prompt", ["  ", "\n"])
def test_a_system_prompt_of_blanks(stack_factory, prompt):
    """Providers refuse it: it is refused at once, or as good as none; never an agent that cannot answer."""
    stack = stack_factory(workers=1)
    stack.allow_invalid = True
    user = stack.user()
    if user.post("/api/agents", {"name": "blank", "systemPrompt": prompt}).status != 422:
        assert user.agent(systemPrompt=prompt).answer("hello") == "echo: hello"


def test_a_worker_that_stood_still(stack_factory):
    """SIGSTOP for longer than model.idle_timeout, while its loop is busy: models were not silent, what they said waits in the sockets."""
    stack = stack_factory(workers=1, scenarios=[{"match": "", "steps": [{"text": "${words:400}", "pace_ms": 6, "by": "word"}]}],
                          conf={"model.idle_timeout": "700ms", "model.retries": 0, "events.coalesce": 0, "limits.turns_per_user": 0})
    user = stack.user()
    agents = [user.agent() for _ in range(25)]
    turns = [a.say("busy")["turn"] for a in agents]
    pid = agents[0].holder()
    for _ in range(2):
        stack.stop(pid)
        time.sleep(1)  # so long
        stack.cont(pid)
        with agents[0].follow() as view:
            view.has("w10 ")
    for agent, turn in zip(agents, turns):
        with agent.follow() as view:
            view.wait(turn, seconds=30)
            assert view.dones == {turn: "completed"} and view.text() == words(400)
