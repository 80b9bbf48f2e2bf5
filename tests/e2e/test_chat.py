# SPDX-License-Identifier: MIT
"""A chat, from the browser's side to the model and back."""

import json
import re
import socket
import subprocess
import threading
import time

import pytest
from slow_redis import SlowRedis
from stack import event_id, scaled, text_of, wait_for, words

# Bursts: a model that is fast, but not all at once, so that each word can become an event of its own.
BURST = [{"match": "^burst ([0-9]+)$", "steps": [{"text": "${words:${1}}", "pace_ms": 2}]}]


FLOOD = [{"match": "^flood$", "steps": [{"text": "0123456789" * 1000}] * 300},
         {"match": "^gush$", "steps": [{"text": "x" * 3_000_000, "by": "whole"}]}]


def texts(frames):
    return [f["text"] for f in frames if f.kind == "text_chunk"]


def test_a_chat_streams_as_the_model_speaks(agent):
    """Through nginx each word arrives when it is said, not at the end; done comes last and ends the stream."""
    with agent.chat("slow 20") as stream:
        assert stream.status == 200
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert "no-" in stream.headers["Cache-Control"]
        frames = stream.rest()
    assert stream.ended == "whole"
    assert [f.kind for f in frames[:2]] == ["message_accepted", "turn_start"]
    assert frames[0]["content"] == [{"type": "text", "text": "slow 20"}]
    assert frames[-1].kind == "done" and frames[-1]["reason"] == "completed"
    assert "".join(texts(frames)) == words(20)
    times = [f.at for f in frames if f.kind == "text_chunk"]
    assert len(times) >= 15, "words were held back and came together"
    assert 0.7 < times[-1] - times[0] < scaled(3)
    assert max(b - a for a, b in zip(times, times[1:])) < scaled(0.5)


def test_events_have_their_members(agent):
    """Every data line begins with channel, kind, id, turn, step and time; ids rise; all are of one turn."""
    before = time.time() * 1000
    frames = agent.ask("slow 3")
    for f in frames:
        assert list(f.json)[:6] == ["channel", "kind", "id", "turn", "step", "time"], f
        assert f.id == f["id"] and f["channel"] in ("progress", "control", "monitor")
        assert before - 1000 < f["time"] < time.time() * 1000 + 1000
    assert len({f["turn"] for f in frames}) == 1
    ids = [event_id(f.id) for f in frames]
    assert ids == sorted(set(ids))
    assert frames[0].id == "1-0"


def test_streams_over_http2(site, agent):
    """HTTP/2 as browsers speak it streams as well."""
    curl = subprocess.Popen(
        ["curl", "-skN", "--http2", "-D", "-", f"{site.https}{agent.path}/chat", "-H", f"Authorization: Bearer {agent.user.token}",
         "-H", "Content-Type: application/json", "-d", '{"message": "slow 12"}'], stdout=subprocess.PIPE)
    lines = [(time.monotonic(), line) for line in curl.stdout]
    assert curl.wait() == 0
    assert lines[0][1].startswith(b"HTTP/2 200")
    times = [at for at, line in lines if b'"text_chunk"' in line]
    assert len(times) >= 9 and times[-1] - times[0] > 0.4


def test_history_and_memory(site, agent):
    """What was said is in the history, in order, and goes to the model with the next message."""
    assert agent.answer("one") == "echo: one"
    assert agent.answer("two") == "echo: two"
    history = agent.history()
    assert [(m["role"], text_of(m["content"])) for m in history] == [
        ("user", "one"), ("assistant", "echo: one"), ("user", "two"), ("assistant", "echo: two")]
    assert len({m["id"] for m in history}) == 4
    assert [m["turn"] for m in history] == [history[0]["turn"]] * 2 + [history[2]["turn"]] * 2
    sent = [r for r in site.model.requests if r.last == "two"][-1].body["messages"]
    assert [(m["role"], text_of(m["content"])) for m in sent] == [("user", "one"), ("assistant", "echo: one"), ("user", "two")]
    assert all(set(m) == {"role", "content"} for m in sent)


def test_the_history_is_paged(agent):
    """last and total say where the history stands; pages are cut from it."""
    for text in ("one", "two", "three"):
        agent.answer(text)
    path, seen = f"{agent.path}/messages?limit=4", []
    while path:
        page = agent.user.get(path)
        assert page.json["total"] == 6
        assert page.json["last"] == agent.page()["events"][-1]["id"]
        seen += page.json["messages"]
        link = re.match(r'<([^>]+)>; *rel="next"', page.headers["Link"] or "")
        path = link and link[1]
    assert seen == agent.history() and len(seen) == 6
    newest = agent.user.get(f"{agent.path}/messages?limit=2&from=-1").json["messages"]
    assert [text_of(m["content"]) for m in newest] == ["three", "echo: three"]


def test_the_system_prompt_and_the_model_are_the_agents(stack_factory):
    """systemPrompt and model of the agent go to the provider."""
    stack = stack_factory(workers=1, models={"clever": {"id": "claude-test-1"}})
    agent = stack.user().agent(systemPrompt="You are a parrot.", model="clever")
    agent.answer("who are you")
    body = stack.model.requests[-1].body
    assert body["model"] == "claude-test-1"
    system = body["system"]
    assert (system if isinstance(system, str) else system[0]["text"]) == "You are a parrot."


def test_content_blocks(site, agent):
    """A message may be content blocks."""
    frames = agent.ask([{"type": "text", "text": "first"}, {"type": "text", "text": "second"}])
    assert texts(frames) == ["echo: second"]
    assert agent.history()[0]["content"] == [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]


def test_unicode_survives(agent):
    """Whatever can be said is said back: other planes, quotes, controls, what looks like SSE."""
    text = 'Grüße 👩‍🚀 "quoted" \\ back\nid: 9-9\ndata: x\n\n\u2028\u0001\x7f end'
    assert agent.answer(text) == f"echo: {text}"
    assert agent.dialogue() == [("user", text), ("assistant", f"echo: {text}")]


def test_viewers_in_different_workers_see_the_same_bytes(site, agent):
    """Two viewers, one in each worker, and a replay get byte-identical data lines."""
    first, second = site.workers()
    with site.only(first):
        one = agent.events("0-0")
    with site.only(second):
        two = agent.events("0-0")
    with one, two:
        agent.say("slow 20")
        lines = [[(f.id, f.data) for f in s.until("done")] for s in (one, two)]
    with agent.events("0-0") as replay:
        lines.append([(f.id, f.data) for f in replay.until("done")])
    assert lines[0] == lines[1] == lines[2]
    assert lines[0] == agent.log()


def test_the_second_viewer_of_a_running_turn_misses_nothing(agent):
    """Somebody who joins in the middle sees all of the turn, and goes on live."""
    with agent.chat("slow 24") as stream:
        stream.until("text_chunk", 8)
        with agent.events("0-0") as late:
            seen = late.until("done")
        rest = stream.rest()
    assert [f.data for f in seen] == [f.data for f in stream.frames] and rest
    assert len({round(f.at, 2) for f in seen}) > 4, "the rest was not live"


def test_disconnecting_cancels_nothing(agent):
    """A viewer that leaves stops no turn."""
    with agent.chat("slow 12") as stream:
        stream.until("text_chunk", 2)
    with agent.follow() as view:
        assert view.wait().text() == words(12)


def test_a_viewer_that_reads_one_byte_a_second_holds_nobody_up(stack_factory):
    """It gets its bytes as slowly as it likes, or is closed; the others do not notice."""
    stack = stack_factory(workers=1, conf={"events.backlog": "256k"}, scenarios=FLOOD)
    agent = stack.user().agent()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.connect(("127.0.0.1", stack.http_port))
    sock.sendall(f"GET {agent.path}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {agent.user.token}\r\n\r\n".encode())
    assert sock.recv(12) == b"HTTP/1.1 200"
    done = threading.Event()

    def crawl():
        while not done.wait(1) and sock.recv(1):
            pass

    crawler = threading.Thread(target=crawl, daemon=True)
    crawler.start()
    try:
        for _ in range(4):  # what the kernel buffers on the way is some megabytes
            begin = time.monotonic()
            sent = agent.say("flood")
            with agent.follow() as view:  # it comes back, should it fall behind for a moment
                assert len(view.wait(sent["turn"]).text()) == 3_000_000
            assert time.monotonic() - begin < scaled(8)
        assert agent.user.get("/health").status == 200
    finally:
        done.set()
        sock.close()
    wait_for(lambda: "reads too slowly" in stack.log(), 5, "the slow viewer was not closed")


def test_an_event_that_is_larger_than_the_backlog(stack_factory):
    """However large an event is, a viewer that reads gets it: live, and from a replay."""
    stack = stack_factory(workers=1, scenarios=FLOOD)
    agent = stack.user().agent()
    sent = agent.say("gush")
    with agent.follow() as view:
        assert len(view.wait(sent["turn"]).text()) == 3_000_000
        assert view.connections < 10


def test_thinking_is_shown_and_kept_as_it_was(site, agent):
    """Thinking comes as events of its own; its block goes back to the model verbatim, with its signature."""
    frames = agent.ask("think life")
    thought = "Somebody said: life. I turn it over in my mind."
    assert "".join(f["text"] for f in frames if f.kind == "think_chunk") == thought
    assert "".join(texts(frames)) == "I thought about: life"
    block = {"type": "thinking", "thinking": thought, "signature": "c2NyaXB0ZWQgc2lnbmF0dXJl"}
    assert agent.history()[1]["content"] == [block, {"type": "text", "text": "I thought about: life"}]
    agent.answer("and then")
    sent = [r for r in site.model.requests if r.last == "and then"][-1].body["messages"]
    assert sent[1]["content"][0] == block


def test_usage(stack_factory):
    """token_usage says what a step cost; the prompt is counted whole, with what the cache gave."""
    stack = stack_factory(workers=1, scenarios=[{"match": "", "steps": [
        {"usage": {"input_tokens": 7, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 20}},
        {"text": "one two three"}]}])
    frames = stack.user().agent().ask("count")
    usage, = [f for f in frames if f.kind == "token_usage"]
    assert usage["channel"] == "monitor"
    assert (usage["input"], usage["output"], usage["cached"]) == (1027, 3, 1000)


def test_cache_markers(stack_factory):
    """The system prompt and the last message are marked for the provider's cache; or not, if so configured."""
    for setting, expected in (("yes", 2), ("no", 0)):
        stack = stack_factory(workers=1, conf={"model.cache_markers": setting})
        agent = stack.user().agent(systemPrompt="Be brief.")
        agent.answer("one")
        agent.answer("two")
        for request in stack.model.requests:
            body = request.body
            assert json.dumps(body).count('"cache_control"') == expected
            assert ("cache_control" in body["system"][0]) == (expected > 0)
            assert ("cache_control" in body["messages"][-1]["content"][-1]) == (expected > 0)


def test_thinking_is_asked_for(stack_factory):
    """model.thinking becomes the provider's budget; version and extra headers are sent."""
    stack = stack_factory(workers=1, conf={
        "model.thinking": 2048, "model.max_tokens": 4096, "model.version": "2023-06-01", "model.headers": "x-team: web | x-two: 2"})
    stack.user().agent().answer("hello")
    request = stack.model.requests[-1]
    assert request.body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert request.body["max_tokens"] == 4096
    assert request.headers["x-team"] == "web" and request.headers["x-two"] == "2"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["x-api-key"] == stack.api_key


def test_the_request_id_goes_through(site, agent):
    """nginx's request id is in the answer, in the problem document's header, and in the model's request."""
    with agent.chat("trace me") as stream:
        request_id = stream.headers["X-Request-ID"]
        stream.rest()
    assert re.fullmatch("[0-9a-f]{32}", request_id or "")
    assert [r for r in site.model.requests if r.last == "trace me"][-1].headers["x-request-id"] == request_id
    refused = agent.user.get("/api/agents?limit=x")
    assert refused.status >= 400 and re.fullmatch("[0-9a-f]{32}", refused.headers["X-Request-ID"] or "")


def test_connections_to_the_model_are_reused(stack_factory):
    """Turn after turn goes over the connection that is there."""
    stack = stack_factory(workers=1)
    agent = stack.user().agent()
    for n in range(5):
        agent.answer(f"number {n}")
    assert stack.model.connections.accepted == 1


def test_a_fast_answer_makes_few_events(agent):
    """What comes faster than events.coalesce is joined: the first at once, then larger ones; a replay shows the same."""
    frames = agent.ask("fast 3000")
    assert "".join(texts(frames)) == words(3000)
    assert len(texts(frames)) < 300
    assert agent.page()["events"] == [f.json for f in frames]


PACED = [{"match": "^go$", "steps": [{"text": "${words:50}", "pace_ms": 20, "by": "word"}]}]


def events_through(stack_factory, delay):
    """How many text events a paced answer makes when Redis answers so much later."""
    slow = SlowRedis(delay)
    try:
        stack = stack_factory(workers=1, scenarios=PACED, conf={"store.address": f"unix:{slow.path}"}, start=False)
        slow.target = stack.redis_path
        stack.start_all()
        frames = stack.user().agent().ask("go")
        assert "".join(texts(frames)) == words(50)
        return len(texts(frames))
    finally:
        slow.close()


def test_a_slow_store_makes_fewer_events(stack_factory):
    """Text that comes every 20 ms goes out word by word, or joined while batches take long: there is less to do then."""
    slow = events_through(stack_factory, 0.03)
    assert slow <= 15
    assert events_through(stack_factory, 0) >= slow * 2


def test_resume_at_each_id_gives_exactly_the_rest(agent):
    """Last-Event-ID, whichever it is, is followed by all that came after it and nothing else."""
    agent.ask("slow 6")
    frames = [(f.id, f.data) for f in agent.ask("two")]
    with agent.events("0-0") as stream:
        every = [(f.id, f.data) for f in stream.until("done", 2)]
    assert every[-len(frames):] == frames
    for n, (cursor, _) in enumerate(every):
        with agent.events(cursor) as stream:
            assert [(f.id, f.data) for f in stream.take(len(every) - n - 1)] == every[n + 1:]
        assert [e["id"] for e in agent.page(f"?since={cursor}")["events"]] == [i for i, _ in every[n + 1:]]


def test_since_and_the_end_of_an_epoch(agent):
    """since= is a cursor as well; E-9007199254740991 is the end of an epoch; without any the stream is live only or whole."""
    agent.ask("one")
    agent.ask("two")
    ids = agent.log_ids()
    second = next(i for i in ids if event_id(i)[0] == 2)
    with agent.events(query="?since=1-9007199254740991") as stream:
        assert stream.next().id == second
    with agent.events(query=f"?since={ids[0]}") as stream:
        assert stream.next().id == ids[1]
    with agent.events(ids[3], query=f"?since={ids[0]}") as stream:
        assert stream.next().id == ids[4], "Last-Event-ID is newer than the URL"


def test_filters(agent):
    """channels= and kinds= choose what is shown; a name that does not exist is refused."""
    agent.ask("think of it")
    agent.ask("slow 3")
    every = agent.page()["events"]
    for query, wanted in (
        ("channels=monitor", lambda e: e["channel"] == "monitor"),
        ("channels=progress,control", lambda e: e["channel"] == "progress"),
        ("kinds=text_chunk", lambda e: e["kind"] == "text_chunk"),
        ("kinds=think_chunk,done", lambda e: e["kind"] in ("think_chunk", "done")),
        ("channels=monitor&kinds=done", lambda e: False),
    ):
        expected = [e for e in every if wanted(e)]
        assert agent.page(f"?since=0-0&limit=500&{query}")["events"] == expected, query
        with agent.events("0-0", query=f"?{query}") as stream:
            assert stream.status == 200
            assert [f.json for f in stream.take(len(expected))] == expected
    assert 400 <= agent.user.get(f"{agent.path}/events?channels=nonsense").status < 500
    assert 400 <= agent.user.get(f"{agent.path}/events?since=nonsense").status < 500


def test_a_page_of_events(agent):
    """Accept: application/json gives a page, which goes on where the one before ended."""
    agent.ask("slow 8")
    every = agent.page()
    assert every["last"] == every["events"][-1]["id"]
    seen, cursor = [], "0-0"
    while page := agent.page(f"?since={cursor}&limit=3")["events"]:
        assert len(page) <= 3
        seen += page
        cursor = page[-1]["id"]
    assert seen == every["events"]


def test_heartbeats(stack_factory):
    """A silent stream gets a comment line every events.heartbeat."""
    stack = stack_factory(workers=1, conf={"events.heartbeat": "200ms"})
    agent = stack.user().agent()
    with agent.events("0-0") as stream:
        while len(stream.comments) < 4:
            assert stream.read(5)
    times = [at for at, _ in stream.comments]
    assert not stream.frames
    assert times[-1] - times[-4] > 0.3 and times[-1] - times[-4] < scaled(3)


def test_a_gap_is_announced(stack_factory):
    """A cursor older than what is kept gets a gap event without id, and then what there is."""
    stack = stack_factory(workers=1, conf={"events.keep": 100, "events.coalesce": "0"}, scenarios=BURST)
    agent = stack.user().agent()
    agent.ask("burst 400")
    kept = agent.log_ids()
    assert kept[0] != "1-0", f"nothing was dropped of {len(kept)}"
    with agent.events("1-0") as stream:
        gap = stream.next()
        after = stream.take(len(kept))
    assert gap.id == "" and gap.kind == "gap" and "id" not in gap.json
    assert (gap["oldest"], gap["newest"]) == (kept[0], kept[-1])
    assert gap["restart"] == f"{agent.path}/messages"
    assert [f.id for f in after] == kept
    with agent.events(kept[5]) as stream:
        assert stream.next().id == kept[6], "no gap where nothing is missing"
    with agent.events("99-0") as stream:
        assert stream.next().kind == "gap", "a cursor from the future is from another life of the store"
    assert agent.page("?since=1-0")["gap"] is True
    assert agent.page(f"?since={kept[5]}")["gap"] is agent.page(f"?since={kept[-1]}")["gap"] is False
    page = agent.page("?since=99-0")
    assert page == {"events": [], "last": kept[-1], "gap": True}
    agent.ask("hello")
    page = agent.page(f"?since={page['last']}")
    assert page["events"][0]["kind"] == "message_accepted" and page["gap"] is False, "from there it is followed"
    new = stack.user().agent()
    assert new.page("?since=0-0") == {"events": [], "last": "0-0", "gap": False}
    assert new.page("?since=1-0") == {"events": [], "last": "0-0", "gap": True}


def test_a_repeated_chat_whose_turn_is_no_longer_kept(stack_factory):
    """A chat asked for again with its key, after its events were dropped, says so and ends: its done will not come again."""
    stack = stack_factory(workers=1, conf={"events.keep": 100, "events.coalesce": "0", "events.heartbeat": "500ms"}, scenarios=BURST)
    agent = stack.user().agent()

    def chat():
        return agent.user.sse("POST", f"{agent.path}/chat", {"message": "first"}, headers={"Idempotency-Key": "key-1"})

    with chat() as stream:
        assert stream.rest()[-1].kind == "done"
    agent.ask("burst 400")
    with chat() as stream:
        assert stream.next(5).kind == "gap"
        assert stream.next(5) is None, "it goes on"


def test_what_a_message_may_carry_along(stack_factory):
    """Members of a block that are not the user's to set (cache_control) do not get to the model, or are refused."""
    stack = stack_factory(workers=1)
    agent = stack.user().agent()
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    for _ in range(3):
        if agent.post_message([marked, marked]).status == 422:
            return
    with agent.follow() as view:
        assert set(view.wait(turns=3).dones.values()) == {"completed"}
    for request in stack.model.requests:
        json.loads(request.raw, object_pairs_hook=no_doubles)
        assert request.raw.count(b'"cache_control"') <= 4, "the provider takes four"


def no_doubles(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a name twice: {names}"
    return dict(pairs)


def test_a_queue_of_messages_is_answered_in_order(agent):
    """Messages sent during a turn wait; each is its own turn."""
    sent = [agent.say(text) for text in ("slow 8", "two", "three")]
    with agent.follow() as view:
        view.wait(turns=3)
    assert view.turns == [s["turn"] for s in sent]
    assert [view.text(t) for t in view.turns] == [words(8), "echo: two", "echo: three"]
    assert agent.dialogue() == [("user", "slow 8"), ("assistant", words(8)), ("user", "two"), ("assistant", "echo: two"),
                                ("user", "three"), ("assistant", "echo: three")]


def test_a_chat_that_is_queued_streams_its_own_turn_only(agent):
    """POST chat on a busy agent waits for its turn and shows that one."""
    agent.say("slow 10")
    frames = agent.ask("mine")
    assert "".join(texts(frames)) == "echo: mine"
    assert len({f["turn"] for f in frames}) == 1


@pytest.mark.parametrize("agents", [12])
def test_many_chats_at_once(site, agents):
    """Chats of many users at the same time do not mix."""
    made = [site.user().agent() for _ in range(agents)]
    streams = [a.chat(f"slow {10 + n}") for n, a in enumerate(made)]
    for n, stream in enumerate(streams):
        with stream:
            assert "".join(texts(stream.rest())) == words(10 + n)
