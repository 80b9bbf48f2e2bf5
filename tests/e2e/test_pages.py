# SPDX-License-Identifier: MIT
"""Functions of pages that a user has open are tools of the user's agents, as long as the page is there."""

import pytest

from conftest import close
from fake_gateway import NEVER, Gateway, Refused, function
from stack import Stack, wait_for
from test_tools import calls, of, results

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

NAMES = ["add", "no", "slow", "large", "deaf", "gone", "cart_add_item"]
SCENARIOS = [
    *[s for name in NAMES for s in calls(f"^{name}$", {"call": f"client__{name}", "input": {"n": 1}})],
    *calls("^both$", {"call": "client__add", "input": {"n": 1}}, {"call": "client__no", "input": {"n": 1}}),
    *calls("^bad$", {"call": "client__add", "input": {"n": "one"}}),
    {"match": "^twice$", "round": 0, "steps": [{"call": "client__add", "input": {"n": 1}}]},
    {"match": "^twice$", "round": 1, "steps": [{"call": "client__add", "input": {"n": 2}}]},
    {"match": "^twice$", "steps": [{"text": "done"}]},
]


@pytest.fixture(scope="module")
def stack():
    stack = Stack(scenarios=SCENARIOS, conf={"store.sweep": "200ms", "page.timeout": "3s", "store.lease": "2s"},
                  templates={"t": {"tools": ["client__*"], "permission": {"mode": "approval"}}})
    yield stack
    close(stack)


@pytest.fixture
def gateway(stack):
    with Gateway(stack) as gateway:
        yield gateway


@pytest.fixture
def user(stack):
    return stack.user()


@pytest.fixture
def agent(user):
    return user.agent(tools=["client__*"])


def answer(command):
    return {"sum": command["parameters"]["n"] + 1}


def advertised(stack, request=-1):
    return {t["name"]: t for t in stack.model.requests[request].body.get("tools", [])}


def result(agent, say):
    """The result of the last call."""
    frames = agent.ask(say)
    assert frames[-1]["reason"] == "completed", frames[-1]
    return results(agent)[-1]


def test_call(stack, gateway, user, agent):
    """The page gets the model's arguments, and the model the page's result; both as they are."""
    page = gateway.page(user, [function("add", "Adds one.", SCHEMA)], answer)
    assert result(agent, "add") == {"ok": True, "data": {"sum": 2}}
    tool = advertised(stack)["client__add"]
    assert tool["description"] == "Adds one." and tool["input_schema"] == SCHEMA
    message, = page.commands
    assert message["command"] == {"target": "add", "action": "call", "parameters": {"n": 1}, "command": "call"}
    assert message["user"] == user.name and message["requestId"].startswith("req_") and message["timeoutMs"] == 3000
    record, = agent.tool_calls()
    assert [a["state"] for a in record["audit"]] == ["PENDING", "EXECUTING", "COMPLETED"]
    assert result(agent, "bad")["errorType"] == "validation" and len(page.commands) == 1


def test_the_list_is_read_for_each_step(stack, gateway, user, agent):
    """A tool is there when its page comes and gone when it goes, also between two steps of a turn."""
    assert agent.answer("hello") and advertised(stack) == {}
    page = gateway.page(user, [function("add", "Adds one.", SCHEMA)], lambda command: page.close() or answer(command))
    frames = agent.ask("twice")
    ends = [f["call"] for f in of(frames, "tool:complete")]
    assert [c["result"].get("data") for c in ends] == [{"sum": 2}, None] and ends[1]["result"]["error"] == "Tool not found: client__add"
    assert "client__add" in advertised(stack, -3) and advertised(stack, -2) == {} == advertised(stack)


@pytest.mark.parametrize("capabilities", [None, "[]", "{}", "no JSON", [function("")], [{"type": "component", "id": "add", "name": "add"}]])
def test_pages_without_functions(stack, gateway, user, agent, capabilities):
    gateway.page(user, capabilities, answer)
    assert agent.answer("hello") and advertised(stack) == {}


def test_expired_pages_have_no_tools(stack, gateway, user, agent):
    page = gateway.page(user, [function("add")], answer)
    stack.redis().zadd(page.set, {page.id: 1})
    assert agent.answer("hello") and advertised(stack) == {}
    assert not stack.redis().exists(page.set), "it is forgotten"


def test_which_agents(stack, gateway, user):
    """Those that name them; of another user's page nobody sees anything."""
    gateway.page(user, [function("add"), function("slow")], answer)
    one = user.agent(tools=["client__add", "todo_read"])
    assert one.answer("hello") and set(advertised(stack)) == {"client__add", "todo_read"}
    some = user.agent(tools=["client__s*"])
    assert some.answer("hello") and set(advertised(stack)) == {"client__slow"}
    none = user.agent(tools=["todo_read"])
    assert none.answer("hello") and set(advertised(stack)) == {"todo_read"}
    other = stack.user().agent(tools=["client__*"])
    assert other.answer("hello") and advertised(stack) == {}
    assert result(other, "add")["error"] == "Tool not found: client__add"
    refused = user.post("/api/agents", {"name": "x", "tools": ["client__"]})
    assert refused.status == 422 and "client__" in refused.json["detail"]


def test_names_that_providers_refuse(stack, gateway, user, agent):
    page = gateway.page(user, [function("cart.add item"), function("größe"), function("x" * 100), function("cart add.item", "second")], answer)
    assert result(agent, "cart_add_item")["ok"]
    assert page.commands[0]["command"]["target"] == "cart.add item"
    assert set(advertised(stack)) == {"client__cart_add_item", "client__gr__e", "client__" + "x" * 56}


def test_bounds(stack, gateway, user, agent):
    """Of 200 functions 64 are tools; a schema that is too long is not shown, and a description cut."""
    gateway.page(user, [function("a", "é" * 5000, {**SCHEMA, "title": "x" * 20000}), *[function(f"f{i}") for i in range(200)]], answer)
    assert agent.answer("hello")
    tools = advertised(stack)
    assert len(tools) == 64 and tools["client__a"]["input_schema"] == {"type": "object"}
    assert tools["client__a"]["description"].startswith("é" * 2048 + "\n\n")
    assert tools["client__f1"]["description"] == "A function of a page that the user has open."


def test_opaque_arguments(stack, gateway, user, agent):
    """Of dialect B2: any object is passed on, and the model is told so."""
    page = gateway.page(user, [function("add", "Adds.", {"_def": {"typeName": "ZodObject"}})], answer, dialect="B2")
    assert result(agent, "add") == {"ok": True, "data": {"sum": 2}}
    tool = advertised(stack)["client__add"]
    assert tool["input_schema"] == {"type": "object"} and "does not say here which arguments" in tool["description"]
    assert page.commands[0]["command"]["parameters"] == {"n": 1}


def test_failures(gateway, user, agent):
    """What the page says went wrong is for the model, code and message."""
    def refuse(_):
        raise Refused("OUT_OF_STOCK", "there is none left")

    gateway.page(user, [function("no")], refuse)
    got = result(agent, "no")
    assert (got["ok"], got["error"], got["errorType"]) == (False, "OUT_OF_STOCK: there is none left", "logical")


def test_a_large_result_is_cut(gateway, user, agent):
    gateway.page(user, [function("large")], lambda _: "x" * 300000)
    got = result(agent, "large")
    assert got["truncated"] is True and got["totalBytes"] == 300000 and len(got["data"]) < 70000


def test_the_page_that_registered_last(gateway, stack, user, agent):
    """Of several with one function; by whichever gateway."""
    with Gateway(stack) as second:
        old = gateway.page(user, [function("add", "old")], lambda _: "old")
        second.since = gateway.since
        new = second.page(user, [function("add", "new")], lambda _: "new")
        assert result(agent, "add")["data"] == "new" and advertised(stack)["client__add"]["description"] == "new"
        gateway.since = second.since
        old.say([function("add", "old again")])
        assert result(agent, "add")["data"] == "old"
        old.close()
        assert result(agent, "add")["data"] == "new" and len(new.commands) == 2


def test_the_page_goes_while_it_is_asked(gateway, user, agent):
    page = gateway.page(user, [function("gone")], lambda _: NEVER)
    with agent.chat("gone") as stream:
        page.wait_command()
        page.close()
        frames = stream.rest()
    got = of(frames, "tool:complete")[0]["call"]["result"]
    assert got["ok"] is False and got["errorType"] == "aborted" and "the page was closed before it answered" in got["error"]
    assert frames[-1]["reason"] == "completed" and frames[-1]["time"] - frames[0]["time"] < 3000


def test_the_page_goes_before_it_is_asked(gateway, stack, user):
    """While a human thinks about it: there is no such tool any more, and the turn goes on."""
    agent = user.agent(template="t")
    page = gateway.page(user, [function("add")], answer)
    with agent.chat("add") as stream:
        question, = agent.asked()
        page.close()
        assert agent.decide(question["id"]).status == 200
        frames = stream.rest()
    assert frames[-1]["reason"] == "completed" and results(agent)[-1]["ok"] is False and page.commands == []


def test_the_gateway_is_gone(stack, user, agent):
    """Nobody hears the command: it fails at once, and the page is forgotten."""
    with Gateway(stack) as gateway:
        page = gateway.page(user, [function("add")], answer)
    assert result(agent, "add")["error"] == "the gateway of this client is gone"
    assert stack.redis().exists(page.key, page.set) == 0


def test_the_gateway_has_no_such_page(gateway, user, agent):
    page = gateway.page(user, [function("add")], answer)
    del gateway.pages[page.id]
    assert result(agent, "add")["error"] == "the page is not open any more; it was not asked"


def test_timeout_and_late_answers(gateway, user, agent):
    page = gateway.page(user, [function("deaf")], lambda _: NEVER)
    got = result(agent, "deaf")
    assert got["errorType"] == "timeout" and got["error"] == "the page did not answer within 3.0 s"
    assert gateway.say(page.commands[0], {"status": "success", "result": 1}) == 1, "the worker listens, and drops it"
    page.answer = lambda _: "in time"
    assert result(agent, "deaf")["data"] == "in time"


def test_only_the_page_that_was_asked(gateway, user, agent):
    """An answer in the name of another page does not count, nor one that is no JSON."""
    page = gateway.page(user, [function("slow")], lambda _: NEVER)
    with agent.chat("slow") as stream:
        message = page.wait_command()
        gateway.say(message, {"status": "success", "result": "forged"}, client="another")
        gateway.redis.publish(message["replyTo"], f"page req_{'0' * 26} {{}}")
        gateway.redis.publish(message["replyTo"], "page")
        gateway.say(message, {"status": "success", "result": "mine"})
        stream.rest()
    assert results(agent)[-1] == {"ok": True, "data": "mine"}
    with agent.chat("slow") as stream:
        message = page.wait_command(2)
        gateway.redis.publish(message["replyTo"], f"page {message['requestId']} {{no")
        stream.rest()
    assert results(agent)[-1]["error"].startswith("the answer is too large, too deep, or no JSON")


def test_approval(gateway, stack, user):
    """Asked first where the template says so. The page that is open when it is allowed does it, though it is another than was there before."""
    agent = user.agent(template="t")
    before = gateway.page(user, [function("add")], answer)
    with agent.chat("add") as stream:
        question, = agent.asked()
        assert question["name"] == "client__add" and before.commands == []
        before.close()
        after = gateway.page(user, [function("add")], answer)
        assert agent.decide(question["id"]).status == 200
        frames = stream.rest()
    assert frames[-1]["reason"] == "completed" and results(agent)[-1]["data"] == {"sum": 2} and len(after.commands) == 1
    with agent.chat("add") as stream:
        question, = agent.asked()
        agent.decide(question["id"], "deny")
        stream.rest()
    assert results(agent)[-1]["ok"] is False and len(after.commands) == 1


def test_permission(gateway, stack, user):
    gateway.page(user, [function("add"), function("no")], answer)
    only = user.agent(tools=["client__*"], permission={"mode": "auto", "denyTools": ["client__n*"]})
    assert only.answer("hello") and set(advertised(stack)) == {"client__add"}
    reader = user.agent(tools=["client__*"], permission={"mode": "readonly"})
    assert reader.answer("hello") and advertised(stack) == {}


def test_interrupt(gateway, user, agent):
    """The gateway is told, and what the page says afterwards is dropped."""
    page = gateway.page(user, [function("slow")], lambda _: NEVER)
    agent.say("slow")
    message = page.wait_command()
    assert agent.interrupt()["interrupted"] is True
    wait_for(lambda: page.cancelled == [message["requestId"]], 5, "it was not told")
    gateway.say(message, {"status": "success", "result": 1})
    agent.wait_idle()
    record, = agent.tool_calls()
    assert record["state"] == "SEALED" and results(agent)[-1]["ok"] is False


def test_worker_dies(gateway, stack, user, agent):
    """Nobody knows what came of it: the call is sealed, the page is not asked twice."""
    page = gateway.page(user, [function("slow")], lambda _: NEVER)
    with agent.follow() as view:
        agent.say("slow")
        page.wait_command()
        stack.kill_worker_of(agent)
        view.wait()
    got = results(agent)[-1]
    assert got["ok"] is False and got["data"]["status"] == "EXECUTING" and "outcome unknown" in got["data"]["note"]
    assert len(page.commands) == 1 and page.cancelled == []
    page.answer = answer
    assert result(agent, "slow")["data"] == {"sum": 2}, "and the page is there"


def test_they_cannot_be_read(gateway, stack, user, agent):
    """The turn stops at its last commit and is taken up again; it does not go on without its tools."""
    page = gateway.page(user, [function("add")], answer)
    stack.redis().delete(page.set)
    stack.redis().set(page.set, "no set")
    with agent.follow() as view:
        agent.say("add")
        wait_for(lambda: "the pages of the user" in stack.log(), 10, "it was not read")
        stack.redis().delete(page.set)
        page.say([function("add")])
        view.wait(seconds=40)
    assert results(agent)[-1]["data"] == {"sum": 2} and len(page.commands) == 1
