# SPDX-License-Identifier: MIT
"""Sessions over REST, as front ends of agent-runtime and agent-server use them: bodies and status codes to the byte."""

import json
import re
import secrets
import subprocess
import time

import pytest
from front_end import FrontEnd
from stack import BINARY, Agent
from test_bash import bash, everywhere
from test_sandbox_commands import skip_without_commands
from waiting import scaled, wait_for

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
IDLE = {"isLoaded": True, "sandbox": None, "executionEnvironment": None}
GONE = {"isLoaded": False, "sandbox": None, "executionEnvironment": None}
NOT_FOUND = {"error": "Session not found", "code": "SESSION_NOT_FOUND"}
MISSING = {"error": "Missing Authorization header", "code": "AUTH_REQUIRED"}
INVALID = {"error": "Invalid API key", "code": "INVALID_API_KEY"}
ACCEPTED = "'claude-agent-sdk' | 'claude-sdk' | 'opencode'"
CREATE = {"agentProfileRef": "default", "architecture": "claude-agent-sdk"}
JOB = [{"match": "^server$", "round": 0, "steps": [bash("echo up; sleep 1000", background=True)]},
       {"match": "^server$", "steps": [{"text": "it runs"}]}]
ROUTES = [("POST", "/api/sessions"), ("GET", "/api/sessions"), ("GET", "/api/sessions/x"), ("DELETE", "/api/sessions/x"), ("POST", "/api/sessions/x/sync"),
          ("PATCH", "/api/sessions/x/options"), ("POST", "/api/sessions/x/messages"), ("POST", "/api/sessions/x/environment/terminate"),
          ("POST", "/sessions/create"), ("POST", "/sessions"), ("GET", "/sessions"), ("POST", "/sessions/x/message"), ("GET", "/sessions/x"),
          ("DELETE", "/sessions/x"),
          ("GET", "/agent-profiles")]


@pytest.fixture
def front(site):
    return FrontEnd(site)


def agent_of(front, session):
    """The agent that a session is: the one that its user has."""
    ids = [a["agentId"] for a in front.user.get("/api/agents?limit=200").json["agents"]]
    assert front.item(session) and len(ids) == 1, ids
    return Agent(front.user, ids[0])


def exactly(response, status, body):
    """The bytes of an answer; body: a document in the order of its members."""
    assert response.status == status, response
    assert response.body == json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), response
    assert response.headers["Content-Type"] == "application/json", response


# ---- create, list ----

@pytest.mark.parametrize("architecture, form", [
    ("claude-agent-sdk", UUID4), ("claude-sdk", UUID4), ("opencode", r"ses_[0-9a-f]{12}_[0-9a-z]{11}")])
def test_create(front, architecture, form):
    """Each architecture has ids of its own, and is echoed as it was given."""
    before = int(time.time() * 1000)
    made = front.post("/api/sessions", {"agentProfileRef": "default", "architecture": architecture, "sessionOptions": {"b": [1, {"a": None}]}})
    assert made.status == 201 and made.headers["Content-Type"] == "application/json"
    body = made.json
    assert re.fullmatch(form, body["sessionId"]) and list(body) == ["sessionId", "runtime", "createdAt", "sessionOptions"]
    assert body["runtime"] == IDLE and body["sessionOptions"] == {"b": [1, {"a": None}]}
    assert before <= body["createdAt"] <= time.time() * 1000 + 1
    assert front.sessions() == [{
        "sessionId": body["sessionId"], "type": architecture, "agentProfileReference": "default", "createdAt": body["createdAt"],
        "lastActivity": body["createdAt"], "sessionOptions": {"b": [1, {"a": None}]}, "runtime": IDLE}]


def test_an_opencode_id_has_its_time(front):
    made = front.post("/api/sessions", {**CREATE, "architecture": "opencode"}).json
    assert abs(int(made["sessionId"][4:16], 16) - made["createdAt"]) < 5000


def test_options_are_an_object_if_there_are_none(front):
    assert front.post("/api/sessions", CREATE).json["sessionOptions"] == {}


def test_lists_are_in_the_order_of_creation(front):
    """Whatever happens to them; of this user alone; plain agents are none of them."""
    assert front.get("/api/sessions").body == b'{"sessions":[]}'
    made = []
    for architecture in ("opencode", "claude-sdk", "claude-agent-sdk", "opencode"):
        made.append(front.session(architecture))
        over = time.time() + 0.002
        wait_for(lambda t=over: time.time() > t)  # of one millisecond any may be the first
    front.user.agent()
    front.say(made[0], "hello")
    assert [s["sessionId"] for s in front.sessions()] == made
    assert front.get("/sessions").json == front.get("/api/sessions").json
    assert FrontEnd(front.stack).sessions() == []


def test_a_session_is_an_agent(front):
    """The same agent by the other routes: named after its profile, or as it is called there."""
    session = front.session()
    agent = agent_of(front, session)
    assert agent.info()["name"] == "default" and agent.info()["systemPrompt"] == "You are a helpful assistant."
    assert front.user.http("PATCH", agent.path, {"name": "mine", "metadata": {"k": 1}}).status == 200
    item = front.item(session)
    assert item["name"] == "mine" and item["metadata"] == {"k": 1}
    assert list(item)[-3:] == ["name", "metadata", "runtime"]
    assert front.user.http("DELETE", agent.path).status == 204
    assert front.sessions() == [] and front.stack.redis().zscore("af:loaded", f"af:{{{agent.id[4:10]}}}:{agent.id}") is None


def test_a_fork_is_no_session(front):
    session = front.session()
    agent = agent_of(front, session)
    fork = front.user.post(f"{agent.path}/fork", {})
    assert fork.status == 201 and [s["sessionId"] for s in front.sessions()] == [session]


def test_profiles(stack_factory):
    """Templates, and the built-in default unless one of that name is configured."""
    stack = stack_factory(workers=1, templates={"coder": {"description": "Writes code", "systemPrompt": "the-coder-prompt"}})
    front = FrontEnd(stack)
    exactly(front.get("/agent-profiles"), 200, {"agentProfiles": [
        {"id": "default", "name": "Default Agent"}, {"id": "coder", "name": "coder", "description": "Writes code"}]})
    session = front.session(profile="coder")
    assert front.item(session)["agentProfileReference"] == "coder"
    assert agent_of(front, session).info()["systemPrompt"] == "the-coder-prompt"
    failed = {"error": "Failed to create session", "code": "SESSION_CREATE_FAILED"}
    for ref in ("nobody", "", "Default"):
        exactly(front.post("/api/sessions", {**CREATE, "agentProfileRef": ref}), 500, failed)
    stack.write("templates.d/default.json", json.dumps({"systemPrompt": "our own"}))
    stack.restart_pool()
    assert [p["name"] for p in front.get("/agent-profiles").json["agentProfiles"]] == ["coder", "default"]
    other = FrontEnd(stack)
    assert agent_of(other, other.session()).info()["systemPrompt"] == "our own"


def test_a_repeated_create_is_one_session(front):
    key = {"Idempotency-Key": secrets.token_hex(8)}
    made = [front.post("/api/sessions", CREATE, headers=key).json for _ in range(3)]
    assert made[0] == made[1] == made[2] and len(front.sessions()) == 1


def test_a_bad_idempotency_key(front):
    """Is the caller's mistake, and says so."""
    for method, path, body in (("POST", "/api/sessions", CREATE), ("POST", f"/api/sessions/{front.session()}/messages", {"content": "x"})):
        got = front.http(method, path, body, headers={"Idempotency-Key": "a b"})
        assert got.status == 400 and got.json["code"] == "BAD_REQUEST" and "Idempotency-Key" in got.json["error"]


# ---- messages ----

def test_a_message(front):
    """Answered at once; its turn runs; the session has an environment from then on, and is active meanwhile."""
    session = front.session()
    agent = agent_of(front, session)
    exactly(front.post(f"/api/sessions/{session}/messages", {"content": "slow 40"}), 200, {"success": True, "sessionId": session})
    with agent.follow() as view:
        view.has("w1")
        item = front.item(session)
        assert item["runtime"]["activeQuery"]["startedAt"] <= time.time() * 1000
        front.say(session, "hello")  # waits for the first
        view.wait(turns=2)
    assert [t for _, t in agent.dialogue()][0] == "slow 40" and agent.dialogue()[-1] == ("assistant", "echo: hello")
    item = front.item(session)
    env, other = item["runtime"]["sandbox"], item["runtime"]["executionEnvironment"]
    assert list(item["runtime"]) == ["isLoaded", "sandbox", "executionEnvironment"]
    assert env == {"sandboxId": session, "status": "ready", "statusMessage": "Ready", "restartCount": 0, "lastHealthCheck": env["lastHealthCheck"]}
    assert other == {"id": session, **{k: v for k, v in env.items() if k != "sandboxId"}} and item["createdAt"] <= env["lastHealthCheck"] <= item["lastActivity"]


def test_a_message_by_the_other_path(front):
    session = front.session("opencode")
    exactly(front.post(f"/sessions/{session}/message", {"content": "hello"}), 200, {"success": True, "sessionId": session})
    with agent_of(front, session).follow() as view:
        assert view.wait().text() == "echo: hello"


def test_a_message_as_it_is(front):
    """Spaces and all; the stored text is the posted one."""
    session = front.session()
    text = "  a\n\"b\" \U0001f600 "
    front.say(session, text)
    agent = agent_of(front, session)
    agent.wait_idle()
    assert agent.dialogue()[0] == ("user", text)


def test_an_empty_message(stack_factory):
    """Is taken, as ever; what the model makes of it is told by events."""
    stack = stack_factory(workers=1)
    stack.allow_invalid = True
    front = FrontEnd(stack)
    session = front.session()
    front.say(session, "")
    with agent_of(front, session).follow() as view:
        view.wait()


def test_a_message_loads(front):
    session = front.session()
    assert front.delete(f"/api/sessions/{session}").status == 200
    front.say(session, "hello")
    assert front.item(session)["runtime"]["isLoaded"] is True
    agent = agent_of(front, session)
    agent.wait_idle()
    assert front.delete(f"/api/sessions/{session}").status == 200
    agent.say("hello")  # by the other interface
    agent.wait_idle()
    assert front.item(session)["runtime"]["isLoaded"] is True and front.item(session)["runtime"]["sandbox"]["status"] == "ready"


def test_a_message_that_is_too_long(stack_factory):
    stack = stack_factory(workers=1, conf={"limits.message": "2k"})
    front = FrontEnd(stack)
    got = front.post(f"/api/sessions/{front.session()}/messages", {"content": "x" * 3000})
    assert got.status == 413 and list(got.json) == ["error", "code"] and got.json["code"] == "TOO_LARGE"


# ---- validation ----

def issue(code, expected, received, path, message):
    return {"code": code, "expected": expected, "received": received, "path": path, "message": message}


def wrong(path, expected, received):
    return issue("invalid_type", expected, received, path, "Required" if received == "undefined" else f"Expected {expected}, received {received}")


def enum_type(received):
    message = "Required" if received == "undefined" else f"Expected {ACCEPTED}, received {received}"
    return {"expected": ACCEPTED, "received": received, "code": "invalid_type", "path": ["architecture"], "message": message}


def enum_value(value):
    return {"received": value, "code": "invalid_enum_value", "options": ["claude-agent-sdk", "claude-sdk", "opencode"], "path": ["architecture"],
            "message": f"Invalid enum value. Expected {ACCEPTED}, received '{value}'"}


@pytest.mark.parametrize("path", ["/api/sessions", "/sessions", "/sessions/create"])
@pytest.mark.parametrize("body, issues", [
    ({}, [wrong(["agentProfileRef"], "string", "undefined"), enum_type("undefined")]),
    ({"agentProfileRef": 5, "architecture": None, "sessionOptions": []},
     [wrong(["agentProfileRef"], "string", "number"), enum_type("null"), wrong(["sessionOptions"], "object", "array")]),
    ({**CREATE, "architecture": "gemini"}, [enum_value("gemini")]),
    ({**CREATE, "architecture": ["opencode"]}, [enum_type("array")]),
    ({**CREATE, "sessionOptions": None}, [wrong(["sessionOptions"], "object", "null")]),
    ({**CREATE, "sessionOptions": "x"}, [wrong(["sessionOptions"], "object", "string")]),
    ({**CREATE, "agentProfileRef": {}}, [wrong(["agentProfileRef"], "string", "object")]),
    ({**CREATE, "agentProfileRef": True}, [wrong(["agentProfileRef"], "string", "boolean")]),
    ([], [wrong([], "object", "array")]),
    ("x", [wrong([], "object", "string")]),
    (None, [wrong([], "object", "null")]),
])
def test_create_says_what_is_wrong(front, path, body, issues):
    got = front.http("POST", path, body=json.dumps(body).encode())
    exactly(got, 400, {"success": False, "error": {"issues": issues, "name": "ZodError"}})


@pytest.mark.parametrize("method, path, name, kind", [
    ("POST", "/api/sessions/x/messages", "content", "string"), ("POST", "/sessions/x/message", "content", "string"),
    ("PATCH", "/api/sessions/x/options", "sessionOptions", "object")])
def test_bodies_are_looked_at_before_the_session(front, method, path, name, kind):
    """What is wrong with a body; then, that there is no such session."""
    received = {"undefined": {}, "null": {name: None}, "array": {name: ["x"]}, "number": {name: 1}, "boolean": {name: False}}
    for word, body in received.items():
        exactly(front.http(method, path, body), 400, {"success": False, "error": {"issues": [wrong([name], kind, word)], "name": "ZodError"}})
    for body in (b"", b"{", b"{} {}", b"nonsense", b"\xff"):
        exactly(front.http(method, path, body=body), 400, {"error": "Malformed JSON in request body"})
    for content_type in ("text/plain", None, "application/jsonx", "application/x-www-form-urlencoded"):
        got = front.http(method, path, body=json.dumps({name: "x"}).encode(), headers={"Content-Type": content_type})
        exactly(got, 400, {"success": False, "error": {"issues": [wrong([name], kind, "undefined")], "name": "ZodError"}})
    good = {name: "x" if kind == "string" else {}, "unknown": 1}
    exactly(front.http(method, path, good), 404, NOT_FOUND)
    exactly(front.http(method, path, good, headers={"Content-Type": "application/json; charset=utf-8"}), 404, NOT_FOUND)


# ---- options, unload, sync, terminate, delete ----

def test_options_are_replaced(front):
    """Not merged; kept; and the session is loaded."""
    session = front.session(sessionOptions={"a": 1, "b": 2})
    front.delete(f"/api/sessions/{session}")
    exactly(front.patch(f"/api/sessions/{session}/options", {"sessionOptions": {"c": {"d": []}}}), 200,
            {"success": True, "sessionId": session, "sessionOptions": {"c": {"d": []}}})
    item = front.item(session)
    assert item["sessionOptions"] == {"c": {"d": []}} and item["runtime"] == IDLE
    got = front.patch(f"/api/sessions/{session}/options", {"sessionOptions": {"x": "y" * 17000}})
    assert got.status == 400 and "16384" in got.json["error"]


def test_unload(front):
    """It stays, and is listed; a second one finds nothing loaded."""
    session = front.session()
    front.say(session, "hello")
    agent_of(front, session).wait_idle()
    exactly(front.delete(f"/api/sessions/{session}"), 200, {"success": True, "sessionId": session})
    assert front.item(session)["runtime"] == GONE
    exactly(front.delete(f"/api/sessions/{session}"), 404, NOT_FOUND)
    exactly(front.post(f"/api/sessions/{session}/sync"), 404, NOT_FOUND)
    exactly(front.post(f"/api/sessions/{session}/environment/terminate"), 404,
            {"error": "Session not found or not loaded", "code": "SESSION_NOT_FOUND"})


def test_unload_interrupts(front):
    session = front.session()
    agent = agent_of(front, session)
    with agent.follow() as view:
        front.say(session, "slow 400")
        view.has("w1")
        assert front.delete(f"/api/sessions/{session}").status == 200
        view.wait()
        assert list(view.dones.values()) == ["interrupted"]
    assert front.item(session)["runtime"] == GONE


@pytest.mark.parametrize("end", ["unload", "terminate"])
def test_what_waits_loads_it_again(front, end):
    """A turn that begins after the end is one of a session that is loaded and has its environment: it can be ended too."""
    session = front.session()
    agent = agent_of(front, session)
    ways = {"unload": ("DELETE", f"/api/sessions/{session}"), "terminate": ("POST", f"/api/sessions/{session}/environment/terminate")}
    with agent.follow() as view:
        front.say(session, "slow 400")
        view.has("w1")
        front.say(session, "slow 400")
        for turns in (1, 2):
            assert front.http(*ways[end]).status == 200
            view.wait(turns=turns)
            if turns == 1:
                view.wait_for(lambda f: len(f.turns) == 2)
                runtime = front.item(session)["runtime"]
                assert runtime["isLoaded"] is True and runtime["sandbox"]["status"] == "ready" and "activeQuery" in runtime
                assert front.stack.redis().zscore("af:loaded", f"af:{{{agent.id[4:10]}}}:{agent.id}") is not None
        assert list(view.dones.values()) == ["interrupted"] * 2
    assert front.item(session)["runtime"] == (GONE if end == "unload" else IDLE)


def test_sync(front):
    session = front.session()
    exactly(front.post(f"/api/sessions/{session}/sync"), 200, {"success": True, "sessionId": session})


def test_terminate(front):
    """The environment goes, the session stays loaded, the turn is interrupted; without one nothing happens."""
    session = front.session()
    exactly(front.post(f"/api/sessions/{session}/environment/terminate"), 200, {"success": True, "sessionId": session, "runtime": IDLE})
    agent = agent_of(front, session)
    with agent.follow() as view:
        front.say(session, "slow 400")
        view.has("w1")
        assert front.item(session)["runtime"]["sandbox"]["status"] == "ready"
        got = front.post(f"/api/sessions/{session}/environment/terminate")
        assert got.status == 200 and got.json["runtime"]["sandbox"] is None and got.json["runtime"]["isLoaded"] is True
        view.wait()
        assert list(view.dones.values()) == ["interrupted"]
    assert front.item(session)["runtime"] == IDLE


def test_delete(front):
    """For good; one that is not there is gone already."""
    session, other = front.session(), front.session("opencode")
    assert FrontEnd(front.stack).delete(f"/sessions/{session}").status == 200  # not theirs: nothing happens
    for name in (session, session, "nonsense", "ses_01a1f9974a39_hnuiqyud46l"):
        exactly(front.delete(f"/sessions/{name}"), 200, {"success": True, "sessionId": name})
    assert [s["sessionId"] for s in front.sessions()] == [other]
    assert len(front.user.get("/api/agents").json["agents"]) == 1
    exactly(front.post(f"/api/sessions/{session}/messages", {"content": "x"}), 404, NOT_FOUND)


def test_another_user_s_session_is_not_found(front):
    session = front.session()
    plain = front.user.agent()
    stranger = FrontEnd(front.stack)
    for name in (session, "x", session.upper(), plain.id, "ses_01a1f9974a39_hnuiqyud46l", "00000000-0000-4000-8000-000000000000"):
        exactly(stranger.post(f"/api/sessions/{name}/messages", {"content": "x"}), 404, NOT_FOUND)
        exactly(stranger.patch(f"/api/sessions/{name}/options", {"sessionOptions": {}}), 404, NOT_FOUND)
        exactly(stranger.get(f"/api/sessions/{name}"), 404, NOT_FOUND)
        exactly(stranger.delete(f"/api/sessions/{name}"), 404, NOT_FOUND)
        exactly(stranger.post(f"/api/sessions/{name}/sync"), 404, NOT_FOUND)
    assert front.item(session)["runtime"] == IDLE and agent_of_first(front, session).info()["messages"] == 0


def agent_of_first(front, session):
    """The agent of a session whose user has others too."""
    key = f"af:user:{front.user.name}:sessions"
    ids = [i.decode() for i in front.stack.redis().zrange(key, 0, -1)]
    return Agent(front.user, ids[[s["sessionId"] for s in front.sessions()].index(session)])


def test_background_jobs_end(stack_factory):
    """With the environment; the built-in profile has files and commands where there is a sandbox."""
    stack = stack_factory(workers=1, sandbox=True, scenarios=JOB)
    skip_without_commands(stack.sandbox)
    front, quiet = FrontEnd(stack), everywhere(stack.sandbox)
    session = front.session()
    front.say(session, "server")
    agent = agent_of(front, session)
    agent.wait_idle()
    assert agent.dialogue()[-1] == ("assistant", "it runs")
    wait_for(lambda: everywhere(stack.sandbox) - quiet, 10, "not begun")
    assert front.post(f"/api/sessions/{session}/environment/terminate").status == 200
    wait_for(lambda: everywhere(stack.sandbox) <= quiet, 5, "it runs on")
    assert front.delete(f"/sessions/{session}").status == 200 and stack.sandbox.files(agent.id) is None


# ---- tokens, keys, and none ----

@pytest.mark.parametrize("method, path", ROUTES)
def test_nobody_comes_in(site, method, path):
    """Without a header, and with one that is no good."""
    for auth in (None, ""):
        exactly(FrontEnd(site, auth=auth).http(method, path), 401, MISSING)
    user = site.user()
    for auth in ("Bearer nonsense", "nonsense", f"bearer {user.token}", f"Basic {user.token}", "Bearer", f"Bearer  {user.token}",
                 f"Bearer {user.token} x", f"{user.token}x"):
        exactly(FrontEnd(site, auth=auth).http(method, path), 401, INVALID)


def test_a_token_or_key_alone_in_the_header(stack_factory):
    """Bearer or not; what it makes is its user's."""
    stack = stack_factory(start=False, workers=1)
    out = subprocess.run([BINARY, "-c", stack.write_conf(), "apikey", "new", "front", "--user", "ann"], capture_output=True, text=True,
                         check=True, timeout=scaled(20)).stdout
    key, section = out.split("\n", 1)[0], out[out.index("[api_key"):].splitlines()[1:]
    stack.models["api_key front"] = dict(line.split(" = ", 1) for line in section)
    stack.start_all()
    token = stack.token("ann")
    made = [FrontEnd(stack, auth=auth).session() for auth in (key, f"Bearer {key}", token, f"Bearer {token}")]
    assert [s["sessionId"] for s in FrontEnd(stack, auth=key).sessions()] == made


def test_scopes(stack_factory):
    stack = stack_factory(workers=1, conf={"jwt.scopes": "required"})

    def front(scope):
        return FrontEnd(stack, stack.user(scope=scope))

    writer = front("agents:write agents:read chat")
    session = writer.session()
    writer.say(session, "hello")
    reader = front("agents:read")
    assert reader.get("/api/sessions").status == 200
    for method, path, body in (("POST", "/api/sessions", CREATE), ("POST", f"/api/sessions/{session}/messages", {"content": "x"}),
                               ("DELETE", f"/api/sessions/{session}", None)):
        got = reader.http(method, path, body)
        assert got.status == 403 and got.json == {"error": "Forbidden", "code": "FORBIDDEN"}


@pytest.mark.parametrize("auth", ["optional", "off"])
def test_without_tokens(stack_factory, auth):
    """As one user; the rest of the API is as ever; with a warning at the start and of the doctor."""
    stack = stack_factory(workers=1, conf={"bridge.auth": auth, "bridge.anonymous_user": "somebody"})
    nobody = FrontEnd(stack, auth=None)
    session = nobody.session()
    assert [s["sessionId"] for s in FrontEnd(stack, auth=f"Bearer {stack.token('somebody')}").sessions()] == [session]
    bad = FrontEnd(stack, auth="Bearer made-up").get("/api/sessions")
    own = FrontEnd(stack, auth=f"Bearer {stack.token('ann')}").sessions()
    if auth == "off":
        assert len(bad.json["sessions"]) == 1 and len(own) == 1  # whatever they send
    else:
        assert bad.status == 401 and own == []
    assert stack.http("GET", "/api/agents").status == 401
    assert stack.log().count(f"bridge.auth is {auth}: sessions can be used without a token, as the user somebody") == 1
    doctor = subprocess.run([BINARY, "-c", stack.path("agent-fpm.conf"), "doctor"], capture_output=True, text=True, timeout=scaled(30), check=False)
    assert re.search(r"^warn  bridge.auth .* for sessions", doctor.stdout, re.M), doctor.stdout


def test_the_default_refuses_and_a_bad_name_too(stack_factory):
    stack = stack_factory(start=False, workers=1, conf={"bridge.anonymous_user": "a b"})
    assert "bridge.anonymous_user" in stack.check_conf().stderr


# ---- what is so of all routes ----

@pytest.mark.parametrize("method, path", [
    ("GET", "/api/sessions/"), ("POST", "/api/sessions/"), ("PUT", "/api/sessions"), ("GET", "/api/sessions/x/messages"), ("PATCH", "/api/sessions/x"),
    ("GET", "/api/sessions/x/y/z"), ("DELETE", "/api/sessions"), ("GET", "/sessions/"), ("PUT", "/sessions/x"), ("POST", "/agent-profiles"),
    ("GET", "/api/sessions/x/sync"), ("GET", "/api/sessions/x/"), ("POST", "/api/sessions/x/messages/"), ("POST", "/sessions/create/"),
    ("GET", "/sessions/x/message"), ("PUT", "/api/sessions/x/options")])
def test_unknown_routes(front, method, path):
    """404 in plain text, never 405; but first a token."""
    got = front.http(method, path)
    assert (got.status, got.body, got.headers["Content-Type"]) == (404, b"404 Not Found", "text/plain; charset=UTF-8"), got
    exactly(front.stack.http(method, path), 401, MISSING)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_health_has_one_method(front, method):
    """The same, without a token; HEAD is GET, and OPTIONS is what browsers ask before."""
    for headers in ({}, {"Content-Type": "application/json", "Authorization": "Bearer x"}):
        got = front.stack.http(method, "/health", headers=headers, body=b"{}")
        assert (got.status, got.body, got.headers["Content-Type"]) == (404, b"404 Not Found", "text/plain; charset=UTF-8"), got
        assert got.headers["Allow"] is None and got.headers["Access-Control-Allow-Origin"] == "*"
    assert front.stack.http("HEAD", "/health").status == 200 and front.stack.http("OPTIONS", "/health").status == 204


def test_other_paths_are_as_they_were(front):
    assert front.get("/api/nothing").headers["Content-Type"] == "application/problem+json"
    assert front.get("/api/sessionsx").status == 404 and front.get("/api/sessionsx").headers["Content-Type"] == "application/problem+json"
    assert front.http("PUT", "/api/agents").status == front.http("POST", "/live").status == 405


def test_head(front):
    front.session()
    whole, head = front.get("/api/sessions"), front.http("HEAD", "/api/sessions")
    assert (head.status, head.body, head.headers["Content-Type"]) == (200, b"", "application/json")
    assert head.headers["Content-Length"] == str(len(whole.body))


def test_cors(site, front):
    """Of all answers, refusals too; and the question before others, which needs no token."""
    for got in (front.get("/api/sessions"), front.post("/sessions", {}), site.http("GET", "/sessions"), front.get("/api/sessions/x/y"),
                front.get("/agent-profiles"), front.get("/health")):
        assert got.headers["Access-Control-Allow-Origin"] == "*", got
        assert got.headers["Access-Control-Allow-Credentials"] is None
    for path in ("/api/sessions", "/api/sessions/x/messages", "/sessions/nothing/at/all", "/agent-profiles", "/health"):
        got = site.http("OPTIONS", path, headers={"Origin": "http://localhost:5173", "Access-Control-Request-Method": "POST",
                                                  "Access-Control-Request-Headers": "authorization,content-type,x-own"})
        assert (got.status, got.body) == (204, b""), got
        assert got.headers["Access-Control-Allow-Origin"] == "*"
        assert got.headers["Access-Control-Allow-Methods"] == "GET,HEAD,PUT,POST,DELETE,PATCH"
        assert got.headers["Access-Control-Allow-Headers"] == "authorization,content-type,x-own"
        assert got.headers["Vary"] == "Access-Control-Request-Headers"
    assert site.http("OPTIONS", "/api/sessions").headers["Access-Control-Allow-Headers"] is None
    assert front.user.get("/api/agents").headers["Access-Control-Allow-Origin"] is None


def test_cors_of_some_origins(stack_factory):
    stack = stack_factory(workers=1, conf={"bridge.cors_origins": "https://one.example.org https://two.example.org"})
    front = FrontEnd(stack)
    for origin, allowed in (("https://two.example.org", "https://two.example.org"), ("https://three.example.org", None)):
        got = front.get("/api/sessions", headers={"Origin": origin})
        assert got.headers["Access-Control-Allow-Origin"] == allowed and got.headers["Vary"] == "Origin"


def test_health_is_for_both(site, front):
    """A front end, which sends a key or a type, gets what it knows, to the byte; a monitor all there is."""
    for headers in ({"Authorization": "Bearer whatever"}, {"Content-Type": "application/json"}):
        exactly(site.http("GET", "/health", headers=headers), 200, {"status": "ok"})
    assert site.http("HEAD", "/health", headers={"Authorization": "x"}).status == 200
    health = site.http("GET", "/health")
    assert health.json["status"] == "ok" and health.json["redis"]["ok"] is True
    assert health.headers["Access-Control-Allow-Origin"] is None


def test_limits_are_said(stack_factory):
    """In the same form, with the status that says so."""
    stack = stack_factory(workers=1, conf={"limits.agents_per_user": "2", "limits.chats": "1/1h"})
    front = FrontEnd(stack)
    session = front.session()
    front.session()
    got = front.post("/api/sessions", CREATE)
    assert got.status == 429 and got.json["code"] == "RATE_LIMITED" and list(got.json) == ["error", "code"]
    front.say(session, "hello")
    got = front.post(f"/api/sessions/{session}/messages", {"content": "again"})
    assert got.status == 429 and int(got.headers["Retry-After"]) > 0


def test_without_redis(stack_factory):
    """The code of each route; nothing hangs."""
    stack = stack_factory(workers=1, conf={"limits.requests": "off", "store.command_timeout": "500ms"})
    front = FrontEnd(stack)
    session = front.session()
    assert front.get("/api/sessions").status == 200  # the token is remembered
    stack.kill_redis()
    exactly(front.get("/api/sessions"), 500, {"error": "Failed to list sessions", "code": "SESSION_LIST_FAILED"})
    exactly(front.post("/api/sessions", CREATE), 500, {"error": "Failed to create session", "code": "SESSION_CREATE_FAILED"})
    exactly(front.get(f"/api/sessions/{session}"), 500, {"error": "Failed to get session", "code": "SESSION_GET_FAILED"})
    exactly(front.delete(f"/api/sessions/{session}"), 500, {"error": "Failed to destroy session", "code": "SESSION_DESTROY_FAILED"})
    exactly(front.post(f"/api/sessions/{session}/sync"), 500, {"error": "Failed to sync session", "code": "SESSION_SYNC_FAILED"})
    exactly(front.patch(f"/api/sessions/{session}/options", {"sessionOptions": {}}), 500,
            {"error": "Failed to update session options", "code": "SESSION_OPTIONS_UPDATE_FAILED"})
    exactly(front.post(f"/api/sessions/{session}/environment/terminate"), 500,
            {"error": "Failed to terminate execution environment", "code": "ENVIRONMENT_TERMINATE_FAILED"})
    exactly(front.delete(f"/sessions/{session}"), 500, {"error": "Failed to delete session"})


# ---- what is published ----

def test_what_is_said_of_sessions(stack_factory):
    """On the user's channel, for whoever shows them."""
    stack = stack_factory(workers=1)
    front = FrontEnd(stack)
    said = stack.redis().pubsub()
    said.subscribe(f"af:user:{front.user.name}:sessions")

    def heard():
        got = wait_for(lambda: said.get_message(ignore_subscribe_messages=True, timeout=0.1))
        return json.loads(got["data"])

    session = front.session()
    assert heard() == {"type": "list"}
    agent = agent_of(front, session)
    front.patch(f"/api/sessions/{session}/options", {"sessionOptions": {"a": 1}})
    assert heard() == {"type": "options", "agent": agent.id, "options": {"a": 1}}
    front.say(session, "hello")
    agent.wait_idle()
    front.post(f"/api/sessions/{session}/environment/terminate")
    status = {"type": "status", "agent": agent.id, "environment": False}
    assert heard() == {**status, "loaded": True, "reason": "manual"}
    front.delete(f"/api/sessions/{session}")
    assert [heard(), heard()] == [{**status, "loaded": False, "reason": "manual"}, {"type": "list"}]
    front.say(session, "hello")
    assert [heard(), heard()] == [{**status, "loaded": True, "reason": "load"}, {"type": "list"}]
    agent.wait_idle()
    front.delete(f"/sessions/{session}")
    assert heard() == {"type": "list"}
    front.user.agent()
    front.session()
    assert heard() == {"type": "list"} and said.get_message(ignore_subscribe_messages=True, timeout=0) is None
    said.close()


# ---- idle ones ----

def test_idle_sessions_are_unloaded(stack_factory):
    """Once, by one of all workers, with what is said of it; not while a turn runs, nor soon after."""
    stack = stack_factory(workers=2, conf={"bridge.idle_timeout": "2s"})
    front, busy = FrontEnd(stack), FrontEnd(stack)
    said = stack.redis().pubsub()
    said.subscribe(f"af:user:{front.user.name}:sessions")
    session, working = front.session(), busy.session()
    agent = agent_of(busy, working)
    with agent.follow() as view:
        busy.say(working, "slow 400")
        view.has("w1")
        wait_for(lambda: front.item(session)["runtime"] == GONE, 10)
        assert busy.item(working)["runtime"]["isLoaded"] is True
        view.wait()
    wait_for(lambda: busy.item(working)["runtime"] == GONE, 10)
    assert busy.item(working)["lastActivity"] + 2000 <= time.time() * 1000
    assert stack.redis().zcard("af:loaded") == 0 and "unloaded 1 idle sessions" in stack.log()
    heard = []
    wait_for(lambda: (heard.append(said.get_message(ignore_subscribe_messages=True, timeout=0.05)), heard[-1] is None and len(heard) > 3)[1])
    docs = [json.loads(h["data"]) for h in heard if h]
    assert [d["type"] for d in docs] == ["list", "status", "list"] and docs[1]["reason"] == "idle"
    said.close()
    front.say(session, "hello")
    assert front.item(session)["runtime"]["isLoaded"] is True


def test_sessions_may_stay_loaded(stack_factory):
    """With 0 there is nobody who would look."""
    stack = stack_factory(workers=1, conf={"bridge.idle_timeout": "0"})
    front = FrontEnd(stack)
    session = front.session()
    assert stack.redis().exists("af:loaded:look") == 0 and front.item(session)["runtime"] == IDLE


def test_jobs_of_idle_sessions_end(stack_factory):
    stack = stack_factory(workers=1, sandbox=True, conf={"bridge.idle_timeout": "1s"}, scenarios=JOB)
    skip_without_commands(stack.sandbox)
    front, quiet = FrontEnd(stack), everywhere(stack.sandbox)
    session = front.session()
    front.say(session, "server")
    wait_for(lambda: everywhere(stack.sandbox) - quiet, 10, "not begun")
    wait_for(lambda: everywhere(stack.sandbox) <= quiet, 10, "it runs on")
    wait_for(lambda: front.item(session)["runtime"] == GONE)


# ---- taken along ----

def test_sessions_are_exported_and_imported(stack_factory, tmp_path):
    """They are sessions on the other side too, listed in their order, and not loaded."""
    stack, other = stack_factory(workers=1), stack_factory(workers=1)
    front = FrontEnd(stack)
    sessions = [front.session("opencode", sessionOptions={"n": 1}), front.session()]
    front.say(sessions[0], "hello")
    agent_of_first(front, sessions[0]).wait_idle()

    def ctl(where, *words):
        subprocess.run([BINARY, "-c", where.path("agent-fpm.conf"), "ctl", *words], check=True, capture_output=True, timeout=scaled(30))

    ctl(stack, "export", front.user.name, str(tmp_path / "out"))
    ctl(other, "import", str(tmp_path / "out"))
    there = FrontEnd(other, auth=f"Bearer {other.token(front.user.name)}")
    assert [(s["sessionId"], s["type"], s["sessionOptions"], s["runtime"]) for s in there.sessions()] == [
        (sessions[0], "opencode", {"n": 1}, GONE), (sessions[1], "claude-agent-sdk", {}, GONE)]
    ctl(stack, "delete-user", front.user.name)
    assert front.sessions() == [] and stack.redis().zcard("af:loaded") == 0
