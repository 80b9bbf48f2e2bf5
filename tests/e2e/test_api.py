# SPDX-License-Identifier: MIT
"""The HTTP interface: what each route answers, and what it refuses."""

import re
import secrets
import time

import pytest
from stack import Agent, Stack, wait_for, words


def is_problem(response, status, limit=None):
    """An RFC 9457 problem document, whole."""
    assert response.status == status, response
    assert response.headers["Content-Type"].startswith("application/problem+json"), response
    problem = response.json
    assert problem["status"] == status
    for member in ("type", "title", "detail", "error"):
        assert isinstance(problem[member], str) and problem[member], f"{member} in {problem}"
    assert problem.get("limit") == limit, problem
    return problem


# ---- agents ----

def test_create_and_read(user):
    """201 with Location; what was given is what is read."""
    made = user.post("/api/agents", {"name": "Ann", "systemPrompt": "Be kind.", "model": "default", "metadata": {"a": [1, {"b": None}]}})
    assert made.status == 201
    body = made.json
    assert re.fullmatch("agt_[0-9A-Za-z]+", body["agentId"])
    assert made.headers["Location"].endswith(f"/api/agents/{body['agentId']}")
    got = user.get(f"/api/agents/{body['agentId']}")
    assert got.status == 200 and got.headers["ETag"]
    for name, value in {"name": "Ann", "systemPrompt": "Be kind.", "model": "default", "metadata": {"a": [1, {"b": None}]},
                        "state": "READY", "busy": False}.items():
        assert got.json[name] == value and body[name] == value
    assert got.json["created"] == got.json["updated"] > 0


def test_ids_are_random(user):
    """128 random bits: nothing in common but the prefix."""
    ids = [user.agent().id for _ in range(4)]
    assert len(set(ids)) == 4 and all(len(i) >= 4 + 20 for i in ids)
    assert len({i[4:10] for i in ids}) == 4


def test_change_with_etag(user):
    """PATCH changes name and metadata; If-Match that does not match is 412."""
    agent = user.agent(name="before", metadata={"a": 1})
    etag = user.get(agent.path).headers["ETag"]
    changed = user.http("PATCH", agent.path, {"name": "after"}, headers={"If-Match": etag})
    assert changed.status == 200 and changed.json["name"] == "after" and changed.json["metadata"] == {"a": 1}
    for old in (etag, f'"x", {etag}', "W/" + changed.headers["ETag"], changed.headers["ETag"].replace('"', '"+', 1), changed.headers["ETag"].strip('"'), ""):
        is_problem(user.http("PATCH", agent.path, {"name": "again"}, headers={"If-Match": old}), 412)
    assert agent.info()["name"] == "after"
    new = user.get(agent.path).headers["ETag"]
    assert new != etag
    assert user.http("PATCH", agent.path, {"metadata": {"b": 2}}, headers={"If-Match": f'"x",{etag}, W/"1" , {new}'}).status == 200
    assert user.http("PATCH", agent.path, {"name": "any"}, headers={"If-Match": "*"}).status == 200
    assert user.http("PATCH", agent.path, {"name": "none"}).status == 200
    assert agent.info()["metadata"] == {"b": 2}


def test_delete(site, user):
    """All of it is gone, from Redis too; its viewers are told by the end of their streams."""
    agent = user.agent()
    agent.answer("hello")
    with agent.events("0-0") as stream:
        stream.until("done")
        deleted = user.http("DELETE", agent.path)
        assert deleted.status == 204 and deleted.body == b""
        assert stream.rest() == []
    assert user.get(agent.path).status == 403
    assert agent.id not in [a["agentId"] for a in user.get("/api/agents").json["agents"]]
    assert left_behind(site, agent) == []


def left_behind(site, agent):
    """Keys of an agent, but for the Idempotency-Keys, which run out by themselves."""
    keys = list(site.redis().scan_iter(f"*{agent.id}*"))
    assert all(0 < site.redis().ttl(k) <= 86400 for k in keys if b":idem:" in k)
    return [k for k in keys if b":idem:" not in k]


def test_delete_stops_the_turn(site, user):
    """A deleted agent's turn stops: the model's connection closes, and nothing of it comes back."""
    agent = user.agent()
    with agent.chat("slow 400") as stream:
        stream.until("text_chunk")
        request = [r for r in site.model.requests if r.last == "slow 400"][-1]
        assert user.http("DELETE", agent.path).status == 204
        stream.rest()
    site.model.wait_for(lambda: request.ended == "closed", 5)
    assert left_behind(site, agent) == []


def test_the_list_is_by_activity_and_paged(user):
    """Newest activity first; Link leads through all pages, each agent once."""
    agents = [user.agent(name=f"n{n}") for n in range(7)]
    agents[2].answer("I am the newest now")
    first = user.get("/api/agents?limit=3")
    names, page = [], first
    while True:
        assert len(page.json["agents"]) <= 3
        names += [a["name"] for a in page.json["agents"]]
        link = re.match(r'<([^>]+)>; *rel="?next"?', page.headers["Link"] or "")
        if not link:
            break
        page = user.get(re.sub("^https?://[^/]+", "", link[1]))
    assert names == ["n2", "n6", "n5", "n4", "n3", "n1", "n0"]
    assert user.get("/api/agents").json["agents"][0]["agentId"] == agents[2].id
    is_problem(user.get("/api/agents?cursor=nonsense"), 400)


def test_a_name_without_an_agent_leaves_the_list(site, user):
    """A crash came between them. One that is young may be of an agent that is being made."""
    made, now, key = user.agent(), int(time.time() * 1000), f"af:user:{user.name}:agents"
    old, young = ("agt_" + c * 26 for c in "xy")
    site.redis().zadd(key, {old: now - 61000, young: now})
    assert [a["agentId"] for a in user.get("/api/agents").json["agents"]] == [made.id]
    assert {name.decode() for name in site.redis().zrange(key, 0, -1)} == {made.id, young}


def test_a_list_holds_only_ones_own(site, user):
    other = site.user().agent()
    mine = user.agent()
    assert [a["agentId"] for a in user.get("/api/agents").json["agents"]] == [mine.id]
    assert other.id not in str(user.get("/api/agents").json)


# ---- ownership ----

ROUTES = [
    ("GET", ""), ("HEAD", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/chat"), ("POST", "/messages"), ("GET", "/messages"),
    ("GET", "/events"), ("GET", "/events?since=0-0"), ("POST", "/interrupt"),
]


def whole(user, method, path, **options):
    """An answer without what differs from request to request."""
    body = {"message": "hello", "name": "x"} if method in ("POST", "PATCH") else None
    got = user.http(method, path, body, **options)
    headers = sorted((k.lower(), v) for k, v in got.headers.items() if k.lower() not in ("date", "x-request-id", "ratelimit"))
    return got.status, headers, re.sub(rb'"requestId":"[0-9a-f]+"', b"", got.body)


@pytest.mark.parametrize("method, tail", ROUTES)
def test_a_foreign_agent_and_none_are_the_same(site, user, agent, method, tail):
    """Somebody else's agent, one that does not exist, and an id that is none: the same 403, and nothing happens."""
    thief = site.user("thief")
    foreign = whole(thief, method, agent.path + tail)
    assert foreign[0] == 403
    assert foreign[2] == (b"" if method == "HEAD" else b'{"error":"Forbidden"}')
    missing = re.sub("[0-9A-Za-z]", "0", agent.id[4:])
    for path in (f"/api/agents/agt_{missing}", "/api/agents/nonsense", "/api/agents/agt_..", f"/api/agents/{agent.id}x"):
        assert whole(thief, method, path + tail) == foreign, path
    accept = {"Accept": "application/json"}
    assert whole(thief, method, agent.path + tail, headers=accept) == whole(thief, method, f"/api/agents/agt_{missing}{tail}", headers=accept)
    assert agent.dialogue() == [] and agent.info()["name"] == "test"


def test_a_body_that_is_wrong_does_not_tell(site, agent):
    """Checks of the body do not tell whether the agent is there."""
    thief = site.user("thief")
    missing = re.sub("[0-9A-Za-z]", "0", agent.id[4:])
    for body in (b"{", b'{"message":5}', b'{"message":"' + b"x" * 300000 + b'"}'):
        answers = [thief.http("POST", f"/api/agents/{i}/messages", body=body, headers={"Content-Type": "application/json"})
                   for i in (agent.id, f"agt_{missing}")]
        assert answers[0].status == answers[1].status
        assert {k: v for k, v in answers[0].json.items() if k != "requestId"} == {k: v for k, v in answers[1].json.items() if k != "requestId"}


# ---- HTTP as it should be ----

@pytest.mark.parametrize("method, path, allowed", [
    ("DELETE", "/api/agents", {"GET", "POST"}), ("PUT", "/api/agents", {"GET", "POST"}), ("POST", "/ready", {"GET"}),
    ("GET", "/api/tickets", {"POST"}), ("GET", "/api/agents/{id}/chat", {"POST"}), ("GET", "/api/agents/{id}/interrupt", {"POST"}),
    ("DELETE", "/api/agents/{id}/events", {"GET"}), ("PUT", "/api/agents/{id}", {"GET", "PATCH", "DELETE"}),
])
def test_405_names_what_is_allowed(agent, method, path, allowed):
    got = agent.user.http(method, path.format(id=agent.id))
    is_problem(got, 405)
    assert allowed <= {m.strip() for m in got.headers["Allow"].split(",")}


@pytest.mark.parametrize("method, path, allowed", [
    ("TRACE", "/api/agents", {"GET", "POST"}), ("TRACE", "/health", {"GET", "HEAD"}), ("POST", "/agent-fpm/index.html", {"GET", "HEAD"})])
def test_405_of_nginx_itself(site, method, path, allowed):
    """It takes TRACE for nobody, and posts for no file: in the API's words all the same."""
    got = site.http(method, path, user="ann")
    assert is_problem(got, 405)["requestId"] == got.headers["X-Request-Id"]
    assert allowed <= {m.strip() for m in got.headers["Allow"].split(",")}


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/agents/{id}/nothing", "/api/agents/{id}/chat/more", "/api//agents"])
def test_404(agent, path):
    is_problem(agent.user.get(path.format(id=agent.id)), 404)


@pytest.mark.parametrize("limit", ["%2B5", "+5", "%205", "5%20", "0x5", "", "-", "--5", "0", "99999999999999999999"])
def test_numbers_of_a_query(user, limit):
    is_problem(user.get(f"/api/agents?limit={limit}"), 400)
    assert user.get(f"{user.agent().path}/messages?limit=5&from=-1").status == 200


def test_406(agent):
    """An answer is JSON or SSE; who wants neither is told."""
    is_problem(agent.user.get("/api/agents", headers={"Accept": "text/html"}), 406)
    is_problem(agent.user.post(f"{agent.path}/chat", {"message": "x"}, headers={"Accept": "image/png"}), 406)
    is_problem(agent.user.get(f"{agent.path}/events", headers={"Accept": "image/png"}), 406)
    for accept in ("application/json;q=0, */*", "*/*, application/json; q=0.000", "application/*;q=0, */*;q=0.1",
                   "application/json;Q=0", "application/json;\tQ=0.00", "application/json;charset=utf-8;q=0"):
        is_problem(agent.user.get("/api/agents", headers={"Accept": accept}), 406)
    is_problem(agent.user.post(f"{agent.path}/chat", {"message": "x"}, headers={"Accept": "text/event-stream;q=0, */*"}), 406)
    for accept in ("*/*;q=0, application/json", "application/json;q=0.01", "application/json;Q=0.5", "application/json;seq=0", "application/json", "application/*", "*/*", "text/html, application/json;q=0.5", None):
        assert agent.user.get("/api/agents", headers={"Accept": accept}).status == 200
    assert agent.dialogue() == []


def test_415(agent):
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        is_problem(agent.user.http("POST", f"{agent.path}/messages", body=b'{"message":"x"}', headers={"Content-Type": kind}), 415)
    ok = agent.user.http("POST", f"{agent.path}/messages", body=b'{"message":"x"}', headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert ok.status == 202


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"x"', b"null", b'{"message":"a"} x', b'{"message":"a"}{}', b'{"message":"a","message":"b"}',
    b'{"message":"a\\u0000b"}', b'{"message":"a\x00b"}', b'{"message":"\xff\xfe"}', b'{"message":"\\ud800"}', b"{'message':'a'}",
    b'{"message":"a",}', b'{"message":NaN}', b'{"x":' + b"[" * 40 + b"]" * 40 + b',"message":"a"}', b"[" * 100000,
    b'{"message":"a\nb"}', b'\xef\xbb\xbf{"message":"a"}',
], ids=lambda body: body[:20].decode("latin-1"))
def test_a_body_that_is_not_strict_json(agent, body):
    """Malformed, cut, doubled, with NUL, not UTF-8, too deep: 400, and nothing of it is taken."""
    got = agent.user.http("POST", f"{agent.path}/messages", body=body, headers={"Content-Type": "application/json"})
    assert got.status in (400, 422), got
    is_problem(got, got.status, limit="limits.json_depth" if body.startswith((b'{"x"', b"[[")) else None)
    assert agent.dialogue() == []


@pytest.mark.parametrize("body", [
    {}, {"message": None}, {"message": 5}, {"message": ""}, {"message": "  \n"}, {"message": []}, {"message": {}}, {"message": [5]},
    {"message": [{"type": "text"}]}, {"message": [{"type": "text", "text": 5}]}, {"message": [{"type": "tool_result", "tool_use_id": "x"}]},
    {"message": [{"type": "thinking", "thinking": "x", "signature": "y"}]}, {"message": [{"type": "text", "text": " "}]},
    {"message": "x", "onBusy": "explode"}, {"message": "x", "onBusy": 1}, {"Message": "x"},
])
def test_a_message_that_is_not_valid(agent, body):
    """Well-formed, but not a message: 422."""
    is_problem(agent.user.post(f"{agent.path}/messages", body), 422)
    is_problem(agent.user.post(f"{agent.path}/chat", body), 422)
    assert agent.dialogue() == []


@pytest.mark.parametrize("body", [
    {}, {"name": ""}, {"name": 5}, {"name": "x" * 10000}, {"name": "x", "systemPrompt": 5}, {"name": "x", "metadata": "no object"},
    {"name": "x", "model": 5}, {"name": "x", "template": "nothing-of-this-name"}, {"name": None}, {"name": "x", "tools": ["bash"]},
])
def test_an_agent_that_is_not_valid(user, body):
    is_problem(user.post("/api/agents", body), 422)
    assert user.get("/api/agents").json["agents"] == []


def test_head_and_options(site, agent):
    """HEAD is GET without the body; OPTIONS names the methods and needs no token."""
    get, head = agent.user.get(agent.path), agent.user.http("HEAD", agent.path)
    assert head.status == 200 and head.body == b""
    assert head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    options = site.http("OPTIONS", agent.path)
    assert options.status in (200, 204)
    assert {"GET", "PATCH", "DELETE"} <= {m.strip() for m in options.headers["Allow"].split(",")}


def test_cors(site, stack_factory):
    """Only configured origins are told that they may; by default none."""
    preflight = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    assert site.http("OPTIONS", "/api/agents", headers=preflight).headers["Access-Control-Allow-Origin"] is None
    stack = stack_factory(workers=1, conf={"cors_origins": "https://app.example.org https://two.example.org"})
    answer = stack.http("OPTIONS", "/api/agents", headers=preflight)
    assert answer.status in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for name in ("authorization", "content-type", "idempotency-key", "last-event-id", "if-match"):
        assert name in answer.headers["Access-Control-Allow-Headers"].lower()
    user = stack.user()
    got = user.get("/api/agents", headers={"Origin": "https://two.example.org"})
    assert got.headers["Access-Control-Allow-Origin"] == "https://two.example.org" and "Origin" in got.headers["Vary"]
    assert user.get("/api/agents", headers={"Origin": "https://app.example.org.evil.org"}).headers["Access-Control-Allow-Origin"] is None
    refused = stack.http("GET", "/api/agents", headers={"Origin": "https://app.example.org"})
    assert refused.status == 401 and refused.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    with user.agent().chat("hello") as stream:
        assert stream.headers["Access-Control-Allow-Origin"] is None
        stream.rest()


def test_answers_are_not_cached(agent):
    for path in ("/api/agents", agent.path, f"{agent.path}/messages", "/health"):
        got = agent.user.get(path)
        assert "no-store" in (got.headers["Cache-Control"] or ""), (path, got)
        assert got.headers["X-Content-Type-Options"] == "nosniff", path


# ---- idempotency ----

def test_a_repeated_message_is_one_message(site, agent):
    """The same Idempotency-Key gives the same answer, also while the turn runs and after, and over all workers."""
    key = {"Idempotency-Key": secrets.token_hex(8)}
    answers = [agent.post_message("slow 5", headers=key) for _ in range(4)]
    assert {a.status for a in answers} == {202} and len({a.body for a in answers}) == 1
    with agent.follow() as view:
        view.wait()
    for pid in site.workers():
        with site.only(pid):
            assert agent.post_message("slow 5", headers=key).body == answers[0].body
    assert agent.dialogue() == [("user", "slow 5"), ("assistant", words(5))]
    assert agent.post_message("slow 1", headers={"Idempotency-Key": secrets.token_hex(8)}).json["turn"] != answers[0].json["turn"]


def test_keys_are_the_users_own_and_the_agents(site, agent):
    """The same key of another user, or on another agent, is another request."""
    key = {"Idempotency-Key": "the-same"}
    turns = [a.post_message("hi", headers=key).json["turn"] for a in (agent, agent.user.agent(), site.user().agent())]
    assert len(set(turns)) == 3


def test_a_repeated_chat_streams_the_same_turn(agent):
    """A chat that was cut is asked for again with its key: it shows the turn from its beginning."""
    key = {"Idempotency-Key": "chat-1"}
    with agent.user.sse("POST", f"{agent.path}/chat", {"message": "slow 10"}, headers=key) as stream:
        stream.until("text_chunk", 3)
    for _ in range(2):  # while it runs, and when it is over
        with agent.user.sse("POST", f"{agent.path}/chat", {"message": "slow 10"}, headers=key) as stream:
            frames = stream.rest()
        assert "".join(f["text"] for f in frames if f.kind == "text_chunk") == words(10)
        assert frames[0].kind == "message_accepted" and frames[-1].kind == "done"
    assert len(agent.history()) == 2


def test_a_repeated_create_is_one_agent(site, user):
    key = {"Idempotency-Key": "make-1"}
    made = [user.post("/api/agents", {"name": "once"}, headers=key) for _ in range(3)]
    assert {m.status for m in made} <= {200, 201} and len({m.json["agentId"] for m in made}) == 1
    assert len(user.get("/api/agents").json["agents"]) == 1
    assert site.user().post("/api/agents", {"name": "once"}, headers=key).json["agentId"] != made[0].json["agentId"]


# ---- tickets, templates ----

def test_a_ticket_is_good_once(site, agent):
    """EventSource cannot send a header: a ticket in the URL does, one time, within a minute."""
    agent.answer("hello")
    got = agent.user.post("/api/tickets")
    assert got.status == 201 and got.json["expiresIn"] == 60
    path = f"{agent.path}/events?since=0-0&ticket={got.json['ticket']}"
    with site.sse(path) as stream:
        assert stream.status == 200
        assert stream.until("done")
    again = site.http("GET", path)
    assert again.status == 401 and again.headers["WWW-Authenticate"]
    assert site.http("GET", f"{agent.path}/events?ticket=tkt_nonsense").status == 401
    assert got.json["ticket"] not in "".join(open(p, encoding="utf-8", errors="replace").read() for p in site.log_files())


def test_a_ticket_of_somebody_else_opens_nothing(site, agent):
    ticket = site.user().post("/api/tickets").json["ticket"]
    assert site.http("GET", f"{agent.path}/events?ticket={ticket}").status == 403


def test_templates(stack_factory):
    """templates.d/*.json are listed; an agent made from one has its prompt and model, unless it names others."""
    stack = stack_factory(start=False, workers=1, models={"large": {"id": "m-parrot"}})
    stack.write("templates.d/parrot.json", '{"description": "Repeats", "systemPrompt": "You are a parrot.", "model": "large"}')
    stack.write("templates.d/plain.json", '{"systemPrompt": "Plain."}')
    stack.write("templates.d/readme.txt", "not a template")
    stack.start_all()
    user = stack.user()
    listed = user.get("/api/templates")
    assert listed.status == 200
    templates = {t["name"]: t for t in listed.json["templates"]}
    assert set(templates) == {"parrot", "plain"} and templates["parrot"]["description"] == "Repeats"
    made = user.agent(template="parrot")
    assert made.info()["template"] == "parrot"
    made.answer("hello")
    assert stack.model.requests[-1].body["model"] == "m-parrot"
    assert "You are a parrot." in str(stack.model.requests[-1].body["system"])
    user.agent(template="parrot", systemPrompt="You are a cat.").answer("hello")
    assert "You are a cat." in str(stack.model.requests[-1].body["system"])


# ---- busy ----

def test_on_busy_enqueue_reject_interrupt(agent):
    """A busy agent queues a message, refuses it with 409, or stops for it."""
    first = agent.say("slow 200")
    is_problem(agent.post_message("now?", onBusy="reject"), 409)
    queued = agent.say("later", onBusy="enqueue")
    agent.say("urgent", onBusy="interrupt")
    with agent.follow() as view:
        view.wait(turns=3)
    assert view.dones[first["turn"]] == "interrupted"
    assert view.dones[queued["turn"]] == "completed"
    assert sorted(view.text(t) for t in view.turns[1:]) == ["echo: later", "echo: urgent"]
    wait_for(lambda: not agent.info()["busy"], 5)
    assert agent.post_message("now?", onBusy="reject").status == 202


def test_info_shows_what_runs(agent):
    """state and busy are live."""
    agent.say("slow 40")
    wait_for(lambda: agent.info()["state"] == "STREAMING", 5)
    info = agent.info()
    assert info["busy"] is True
    agent.interrupt()
    info = agent.info()
    assert (info["busy"], info["state"]) == (False, "READY")


# ---- limits ----

@pytest.fixture(scope="module")
def small():
    stack = Stack(workers=2, conf={
        "limits.inbox": 2, "limits.viewers_per_user": 2, "limits.turns_per_user": 2, "limits.message": "1k", "limits.body": "4k",
        "limits.agents_per_user": 5, "limits.json_depth": 8, "limits.header": "2k"})
    yield stack
    stack.close()
    assert not stack.problems, "\n".join(stack.problems)


def test_the_inbox_is_bounded(small):
    agent = small.user().agent()
    agent.say("slow 100")
    for _ in range(2):
        agent.say("waits")
    refused = agent.post_message("one too many")
    is_problem(refused, 429, "limits.inbox")
    assert int(refused.headers["Retry-After"]) >= 1
    agent.interrupt()
    wait_for(lambda: not agent.info()["busy"], 10)
    assert [t for r, t in agent.dialogue() if r == "user"] == ["slow 100", "waits", "waits"]


def test_viewers_per_user_are_bounded(small):
    """Over the whole pool; a viewer that leaves makes room."""
    user = small.user()
    agents = [user.agent(), user.agent()]
    streams = []
    for pid, agent in zip(small.workers(), agents):
        with small.only(pid):
            streams.append(agent.events("0-0"))
    assert [s.status for s in streams] == [200, 200]
    for agent in agents:
        is_problem(user.get(f"{agent.path}/events", headers={"Accept": "text/event-stream"}), 429, "limits.viewers_per_user")
    with small.user().agent().events("0-0") as stream:
        assert stream.status == 200, "another user's"
    streams.pop().close()

    def again():
        stream = agents[0].events("0-0")
        streams.append(stream)
        return stream.status == 200

    wait_for(again, 5, "the place of a viewer that left is not free")
    for stream in streams:
        stream.close()


def test_turns_per_user_are_bounded(small):
    user = small.user()
    agents = [user.agent() for _ in range(3)]
    for agent in agents[:2]:
        agent.say("slow 100")
    refused = agents[2].post_message("no room")
    is_problem(refused, 429, "limits.turns_per_user")
    assert refused.headers["Retry-After"]
    assert small.user().agent().answer("others can") == "echo: others can"
    assert agents[2].dialogue() == []
    for agent in agents[:2]:
        agent.interrupt()
    wait_for(lambda: agents[2].post_message("now").status == 202, 5, "no room after they ended")


def test_sizes_are_bounded(small):
    """Message, body, depth: each refusal names the limit; just below it is fine."""
    agent = small.user().agent()
    is_problem(agent.post_message("x" * 2000), 413, "limits.message")
    is_problem(agent.post_message("x" * 5000), 413, "limits.body")
    is_problem(agent.user.post(f"{agent.path}/messages", {"message": "x", "y": [[[[[[[[1]]]]]]]]}), 422, "limits.json_depth")
    assert agent.post_message("x" * 900).status == 202


def test_a_header_that_is_too_long(small):
    user = small.user()
    for name in "X-Long", "Idempotency-Key":
        is_problem(user.get("/api/agents", headers={name: "x" * 3000}), 413, "limits.header")
        assert user.get("/api/agents", headers={name: "x" * 200}).status == 200


def test_agents_per_user_are_bounded(small):
    user = small.user()
    agents = [user.agent() for _ in range(5)]
    is_problem(user.post("/api/agents", {"name": "six"}), 429, "limits.agents_per_user")
    assert user.http("DELETE", agents[0].path).status == 204
    assert user.post("/api/agents", {"name": "six"}).status == 201


def test_turns_of_a_worker_are_bounded(stack_factory):
    """limits.turns: 503 with Retry-After, and the pool goes on."""
    stack = stack_factory(workers=1, conf={"limits.turns": 2, "limits.queue": 0, "limits.viewers": 3})
    agents = [stack.user().agent() for _ in range(3)]
    for agent in agents[:2]:
        agent.say("slow 100")
    refused = agents[2].post_message("no room")
    is_problem(refused, 503, "limits.turns")
    assert refused.headers["Retry-After"]
    streams = [agent.events("0-0") for agent in agents]
    refused = agents[0].user.get(f"{agents[0].path}/events", headers={"Accept": "text/event-stream"})
    is_problem(refused, 503, "limits.viewers")
    for stream in streams:
        stream.close()
    wait_for(lambda: stack.http("GET", "/health").json["viewers"] == 0, 5)
    agents[0].interrupt()
    wait_for(lambda: agents[2].post_message("now").status == 202, 5)


def test_nginx_refuses_a_body_that_is_too_large(site, agent):
    """1 MiB is the most; the answer is still JSON."""
    got = agent.post_message("x" * (2 << 20))
    is_problem(got, 413, "client_max_body_size")
    is_problem(agent.user.post(f"{agent.path}/page.html", {"message": "x" * (2 << 20)}), 413, "client_max_body_size")


# ---- health ----

def test_health_ready_live(site):
    """Without a token: is the process up, does it take work, and how is Redis."""
    for path in ("/live", "/ready", "/health"):
        got = site.http("GET", path)
        assert got.status == 200, (path, got)
    health = site.http("GET", "/health").json
    assert health["status"] in ("ok", "healthy", "pass"), health


def test_an_agent_is_the_same_through_every_worker(site, agent):
    """Whichever worker is asked, the answer is the same."""
    agent.answer("hello")
    seen = []
    for pid in site.workers():
        with site.only(pid):
            same = Agent(agent.user, agent.id)
            seen.append((same.info(), same.history(), same.page()))
    assert seen[0] == seen[1]
