"""The console in www/, driven in headless Chromium."""

import re
import shutil
import time
import uuid

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMEDRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
    pytest.mark.skipif(not CHROMEDRIVER, reason="chromedriver is not installed"),
]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --ignore-certificate-errors --window-size=1280,800"
).split()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    yield browser
    browser.quit()


class Page:
    """What a person does with the console and sees of it."""

    def __init__(self, driver, site):
        self.driver, self.site = driver, site

    def all(self, css):
        return [e for e in self.driver.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()]

    def one(self, css):
        return self.wait(lambda: self.all(css), f"no {css}")[0]

    def click(self, css):
        self.one(css).click()

    def fill(self, css, text):
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def wait(self, condition, what="", seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                if value := condition():
                    return value
            except StaleElementReferenceException:
                pass
            assert time.monotonic() < end, (what() if callable(what) else what) or "nothing happened"
            time.sleep(0.05)

    def sign_in(self, user):
        self.driver.get("about:blank")
        self.driver.get(f"{self.site.https}/#token={self.site.token(user)}")
        self.wait(lambda: self.one("#user").text == user, "not signed in")

    def create(self, name):
        self.click("#new-agent")
        self.fill("#create-name", name)
        self.click("#create-dialog [type=submit]")
        self.wait(lambda: self.one("#chat-name").text == name, "agent not opened")
        self.connected()

    def connected(self):
        self.one("#connection[data-state=connected]")

    def say(self, text):
        self.fill("#text", text + Keys.ENTER)

    def messages(self):
        """[(role, text, state)] as shown."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('.message')].map(m => "
            "[m.dataset.role, (m.querySelector(':scope > .body')?.innerText ?? '').trim(), m.dataset.state ?? ''])"
        )

    def texts(self):
        return [(role, text) for role, text, _ in self.messages()]

    def answered(self, *texts, seconds=20):
        self.wait(lambda: self.texts() == list(texts), f"not the conversation that was expected: {texts}", seconds)


@pytest.fixture
def page(driver, site):
    page = Page(driver, site)
    page.user = f"ann-{uuid.uuid4().hex[:8]}"
    page.sign_in(page.user)
    return page


def words(n):
    return " ".join(f"w{i}" for i in range(1, n + 1))


def dialogue(*messages):
    return [pair for m in messages for pair in (("user", m), ("assistant", f"echo: {m}"))]


def test_sign_in_by_fragment_and_say_hello(page):
    assert "token" not in page.driver.current_url
    page.create("Greeter")
    page.say("hello")
    page.answered(*dialogue("hello"))
    page.wait(lambda: not page.all("#stop"), "the turn did not end")
    time.sleep(0.5)
    assert page.texts() == dialogue("hello")
    bad = [e["message"] for e in page.driver.get_log("browser") if re.search("Content Security|Uncaught|TypeError", e["message"])]
    assert not bad


def test_killing_the_workers_loses_and_doubles_nothing(page):
    page.create("Survivor")
    page.say("slow 60")
    page.wait(lambda: "w20 " in str(page.texts()), "no stream")
    page.site.kill_workers()
    page.answered(("user", "slow 60"), ("assistant", words(60)), seconds=60)
    page.wait(lambda: not page.all("#stop"), "the turn did not end")
    assert page.texts() == [("user", "slow 60"), ("assistant", words(60))]


def test_interrupt_marks_the_message_and_the_next_one_works(page):
    page.create("Stopped")
    page.say("slow 400")
    page.wait(lambda: "w5 " in str(page.texts()), "no stream")
    page.click("#stop")
    page.wait(lambda: page.messages()[-1][2] == "interrupted", "not marked interrupted")
    assert "w400" not in page.messages()[-1][1]
    page.say("go on")
    page.wait(lambda: page.texts()[2:] == dialogue("go on"), "the next message was not answered")


def test_escape_interrupts(page):
    page.create("Escaped")
    page.say("slow 400")
    page.wait(lambda: "w3 " in str(page.texts()), "no stream")
    page.one("#text").send_keys(Keys.ESCAPE)
    page.wait(lambda: page.messages()[-1][2] == "interrupted", "not marked interrupted")


def test_two_tabs_show_the_same_conversation(page):
    page.create("Shared")
    first, url = page.driver.current_window_handle, page.driver.current_url
    page.driver.switch_to.new_window("tab")
    try:
        page.sign_in(page.user)
        page.driver.get(url)
        page.one("#chat-name")
        page.connected()
        page.say("from the second")
        page.answered(*dialogue("from the second"))
        page.driver.switch_to.window(first)
        page.answered(*dialogue("from the second"))
        page.say("from the first")
        page.answered(*dialogue("from the second", "from the first"))
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.answered(*dialogue("from the second", "from the first"))
    finally:
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.driver.close()
        page.driver.switch_to.window(first)


def test_reload_restores_the_history(page):
    page.create("Kept")
    page.say("one")
    page.answered(*dialogue("one"))
    page.say("two")
    page.answered(*dialogue("one", "two"))
    page.driver.refresh()
    page.answered(*dialogue("one", "two"))


def test_reload_in_the_middle_of_a_turn_shows_all_of_it(page):
    page.create("Halfway")
    page.say("slow 60")
    page.wait(lambda: "w20 " in str(page.texts()), "no stream")
    page.driver.refresh()
    page.one("#stop")
    page.answered(("user", "slow 60"), ("assistant", words(60)))


def test_a_message_sent_during_a_turn_waits_for_it(page):
    page.create("Queue")
    page.say("slow 40")
    page.wait(lambda: "w3 " in str(page.texts()), "no stream")
    page.say("next")
    page.answered(("user", "slow 40"), ("assistant", words(40)), *dialogue("next"))


def test_rename_and_delete(page):
    page.create("Before")
    page.click("#rename")
    page.fill("#rename-name", "After")
    page.click("#rename-dialog [type=submit]")
    page.wait(lambda: page.one("#chat-name").text == "After", "not renamed")
    page.driver.refresh()
    page.wait(lambda: [e.text for e in page.all("#agents a")] == ["After"], "the new name was not kept")
    page.click("#delete")
    page.click("#delete-dialog [type=submit]")
    page.wait(lambda: not page.all("#agents a") and not page.all("#chat"), "not deleted")
    page.driver.refresh()
    page.one("#no-agents")


def api(page, method, path):
    """A request of the same user from elsewhere; path follows the open agent's."""
    agent = re.search("agent=(\\w+)", page.driver.current_url)[1]
    return page.site.http(method, f"/api/agents/{agent}{path}", user=page.user)


def gone(page):
    """The list is there without the agent, and no conversation is open."""
    return not page.all("#agents a") and not page.all("#chat") and page.all("#no-agents")


def test_an_agent_that_is_deleted_elsewhere(page):
    page.create("Doomed")
    url = page.driver.current_url
    assert api(page, "DELETE", "").status == 204
    page.wait(lambda: gone(page), "the conversation stays open")
    assert page.one("#list-error").text == "This agent does not exist any more."
    page.driver.get(url)
    page.wait(lambda: page.one("#list-error").text == "This agent does not exist any more.", "no word of it")


def test_delete_what_is_gone(page):
    """Deleted elsewhere while the dialog asks: that is what was wanted."""
    page.create("Doomed")
    page.click("#delete")
    page.one("#delete-dialog [type=submit]")
    assert api(page, "DELETE", "").status == 204
    page.click("#delete-dialog [type=submit]")
    page.wait(lambda: gone(page) and not page.all("#delete-dialog"), lambda: page.one("#delete-dialog").text)


def test_delete_whose_answer_is_lost(page):
    """The page asks again, and takes it for done."""
    page.create("Doomed")
    page.driver.execute_script("""
        const real = window.fetch;
        window.deletes = 0;
        window.fetch = async (path, options) => {
          const response = await real(path, options);
          if (options.method === "DELETE" && ++window.deletes === 1) throw new TypeError("lost");
          return response;
        };""")
    page.click("#delete")
    page.click("#delete-dialog [type=submit]")
    page.wait(lambda: gone(page) and not page.all("#delete-dialog"), lambda: page.one("#delete-dialog").text)
    assert page.driver.execute_script("return window.deletes") == 2


def test_delete_that_is_not_allowed(driver, stack_factory):
    """A 403 for what the token may do: the agent stays."""
    page = Page(driver, stack_factory(workers=1, conf={"jwt.scopes": "required"}))
    owner = page.site.user(scope="agents:write")
    owner.agent(name="Kept")
    driver.get("about:blank")
    driver.get(f"{page.site.https}/#token={page.site.token(owner.name, scope='agents:read')}")
    page.click("#agents a")
    page.connected()
    page.click("#delete")
    page.click("#delete-dialog [type=submit]")
    assert page.one("#delete-dialog .error").text == "Forbidden."
    page.click("#delete-dialog [data-cancel]")
    assert [e.text for e in page.all("#agents a")] == ["Kept"]


@pytest.mark.parametrize("reload", [False, True], ids=["seen", "after a reload"])
def test_a_message_is_withdrawn_while_a_turn_runs(page, reload):
    """Its end is not that of the turn, which can still be stopped."""
    page.create("Busy")
    page.say("slow 400")
    page.wait(lambda: "w5 " in str(page.texts()), "no stream")
    page.say("never mind")
    page.wait(lambda: api(page, "GET", "/inbox").json["messages"], "it does not wait")
    page.driver.execute_script("""
        window.hidden = 0;
        new MutationObserver(() => (window.hidden += document.getElementById("stop").hidden)).observe(document.getElementById("stop"), { attributes: true });""")
    assert api(page, "DELETE", "/inbox").status == 200
    page.wait(lambda: "Withdrawn." in page.driver.execute_script("return [...document.querySelectorAll('.message')].map(m => m.innerText).join()"), "no word of it")
    assert page.driver.execute_script("return window.hidden") == 0, "Stop went with it"
    if reload:
        page.driver.refresh()
        page.wait(lambda: "w5 " in str(page.texts()), "no stream")
    shown = len(str(page.texts()))
    page.wait(lambda: len(str(page.texts())) > shown, "the turn does not go on")
    page.click("#stop")
    page.wait(lambda: "interrupted" in [state for _, _, state in page.messages()], "not marked interrupted")


def test_what_is_touched_is_large_enough(page):
    """At 360 px, as WCAG 2.2 (2.5.8) has it: 24 px in each direction."""
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True})
    try:
        page.create("Small")
        for view in ("#chat-name", "#new-agent"):
            page.one(view)
            sizes = page.driver.execute_script(
                "return [...document.querySelectorAll('a, button, input, textarea, select')].filter(e => e.checkVisibility())"
                ".map(e => [e.id || e.textContent, e.getBoundingClientRect().width, e.getBoundingClientRect().height])")
            assert len(sizes) > 2 and not [size for size in sizes if min(size[1:]) < 24], sizes
            page.driver.execute_script("location.hash = ''")
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_bad_token_shows_the_reason(page):
    page.driver.get("about:blank")
    page.driver.get(f"{page.site.https}/#token=not-a-token")
    reason = page.wait(lambda: page.one("#signin-error").text, "no reason")
    assert len(reason) > len("Signed out by the server. ")
    page.fill("#token", page.site.token(page.user) + Keys.ENTER)
    page.wait(lambda: page.one("#user").text == page.user, "not signed in")


def test_sign_out_forgets_the_token(page):
    page.click("#sign-out")
    page.one("#token")
    page.driver.refresh()
    page.one("#token")
    assert page.driver.execute_script("return sessionStorage.length") == 0


LIST = [{"id": "1", "title": "buy milk", "status": "pending"}]


@pytest.fixture
def asking(driver, stack_factory):
    """A page with an agent that asks before it writes its list."""
    stack = stack_factory(scenarios=[
        {"match": "^plan$", "round": 0, "steps": [{"text": "I make a list."}, {"call": "todo_write", "input": {"todos": LIST}}]},
        {"match": "^plan$", "steps": [{"text": "It is made."}]},
    ])
    page = Page(driver, stack)
    page.agent = stack.user().agent(tools=["todo_read", "todo_write"], permission={"mode": "approval"})
    page.user = page.agent.user.name
    page.sign_in(page.user)
    driver.execute_script("location.hash = arguments[0]", f"agent={page.agent.id}")
    page.connected()
    return page


def tools(page):
    """[(name, state, output)] as shown."""
    return page.driver.execute_script(
        "return [...document.querySelectorAll('.message.tool')].map(m => [m.querySelector('.tool-name').textContent, m.dataset.state, m.querySelector('.tool-output').textContent])")


def test_a_tool_call_asks_and_is_allowed(asking):
    """Shown with its arguments, its question answered by a click, its result and what follows; and all of it after a reload."""
    asking.say("plan")
    asking.click(".tool-question [data-decision=allow]")
    asking.wait(lambda: tools(asking) == [["todo_write", "completed", '{\n  "count": 1\n}']], lambda: str(tools(asking)))
    asking.wait(lambda: [t for r, t in asking.texts() if r == "assistant"] == ["I make a list.", "It is made."])
    assert "buy milk" in asking.driver.execute_script("return document.querySelector('.tool-input').textContent")
    order = [r for r, _ in asking.texts()]
    asking.driver.refresh()
    asking.connected()
    asking.wait(lambda: [r for r, _ in asking.texts()] == order == ["user", "assistant", "tool", "assistant"], lambda: str(asking.texts()))
    assert tools(asking) == [["todo_write", "completed", '{\n  "count": 1\n}']] and not asking.all(".tool-question")


def test_a_question_survives_a_reload_and_is_denied(asking):
    asking.say("plan")
    asking.one(".tool-question")
    asking.driver.refresh()
    asking.connected()
    asking.click(".tool-question [data-decision=deny]")
    asking.wait(lambda: [state for _, state, _ in tools(asking)] == ["denied"], lambda: str(tools(asking)))
    asking.wait(lambda: ("assistant", "It is made.") in asking.texts())


def test_a_budget_is_for_somebody_else_to_answer(driver, stack_factory):
    """The owner sees what is asked, is told who may answer when trying to, and sees the turn go on when that one has."""
    stack = stack_factory(scenarios=[{"match": "^plan$", "round": 0, "steps": [{"call": "todo_read"}, {"usage": {"output_tokens": 50}}]},
                                     {"match": "^plan$", "steps": [{"text": "It is made."}]}],
                          conf={"budget.on_exceed": "ask", "budget.turn_tokens": 10, "budget.role": "treasurer"})
    page = Page(driver, stack)
    agent = stack.user(tenant="acme").agent(tools=["todo_read"])
    driver.get("about:blank")
    driver.get(f"{stack.https}/#token={agent.user.token}")
    page.one("#user")
    driver.execute_script("location.hash = arguments[0]", f"agent={agent.id}")
    page.connected()
    page.say("plan")
    assert page.one(".tool-question").text.startswith("budget.turn_tokens is used up. May this turn spend more?")
    page.click(".tool-question [data-decision=allow]")
    assert "somebody with another role" in page.one(".tool-question .note").text
    assert not page.all(".tool-question button")
    call, = agent.asked(state="AWAITING_BUDGET")
    assert agent.seen_by(stack.user(tenant="acme", roles=["treasurer"])).decide(call["id"], tokens=100000).status == 200
    page.wait(lambda: ("assistant", "It is made.") in page.texts(), lambda: str(page.texts()))
    page.wait(lambda: not page.all(".tool-question"))


def test_a_limit_makes_a_message_wait(driver, stack_factory):
    """Who writes faster than limits.chats allows sees the answers all the same, a moment later."""
    page = Page(driver, stack_factory(conf={"limits.chats": "60/1m burst=1"}))
    page.user = f"eve-{uuid.uuid4().hex[:8]}"
    page.sign_in(page.user)
    page.create("Fast")
    for text in ("one", "two", "three"):
        page.say(text)
        page.answered(*dialogue(*("one", "two", "three")[:("one", "two", "three").index(text) + 1]))
    counts = page.site.http("GET", "/metrics").body.decode()
    assert re.search(r'agent_fpm_requests_total{route="POST /api/agents/:id/\w+",code="4xx"} [1-9]', counts), counts
