/* SPDX-License-Identifier: MIT */
/* Messages of AgentBridge: what both dialects say, and what is made of it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "bridge/page_message.h"

static struct arena *a;
static struct buf out;

static int
setup(void **state)
{
	(void)state;
	a = arena_open(1024);
	buf_init(&out, a);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

static const struct json *
json(const char *text)
{
	return text == NULL ? NULL
			    : json_parse(a, text, strlen(text), 48, NULL);
}

static struct page_message
message(const char *text)
{
	struct page_message m;

	assert_int_equal(page_message_read(a, text, strlen(text), &m, NULL), 0);
	return m;
}

/* What was written since the last look. */
static void
assert_written(const char *text)
{
	assert_string_equal(buf_str(&out), text);
	buf_clear(&out);
}

static void
test_read(void **state)
{
	static const struct {
		const char *text;
		enum page_says says;
	} rows[] = {
		{ "{\"type\":\"capability\"}", PAGE_CAPABILITY },
		{ "{\"type\":\"response\"}", PAGE_RESPONSE },
		{ "{\"type\":\"event\",\"event\":\"e\"}", PAGE_EVENT },
		{ "{\"type\":\"register_capabilities\"}", PAGE_REGISTER },
		{ "{\"type\":\"component_update_result\"}",
		    PAGE_COMPONENT_RESULT },
		{ "{\"type\":\"query_capabilities\"}", PAGE_QUERY },
		{ "{\"type\":\"update_component\"}", PAGE_CALL },
		{ "{\"type\":\"Capability\"}", PAGE_OTHER },
		{ "{\"type\":\"\"}", PAGE_OTHER },
	};
	static const char *const none[] = { "", "{", "[]", "\"x\"", "{}",
		"{\"type\":7}", "{\"type\":\"a\",\"type\":\"b\"}",
		"{\"type\":\"x\\u0000\"}", "{\"type\":\"x\"}{}" };
	struct page_message m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(message(rows[i].text).says, rows[i].says);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(
		    page_message_read(a, none[i], strlen(none[i]), &m, NULL),
		    -1);
}

/* What a message says that a page can do, which could do said. */
static int
can(const char *text, const char *said)
{
	const struct page_limits limits = { 4, 400 };
	struct page_message m = message(text);

	return page_capabilities(&out, &m, json(said), &limits, NULL);
}

static void
test_capabilities(void **state)
{
	(void)state;
	can("{\"type\":\"capability\"}", "[{\"x\":1}]");
	assert_written("[]");
	can("{\"type\":\"capability\",\"capabilities\":{}}", NULL);
	assert_written("[]");
	can("{\"type\":\"capability\",\"capabilities\":[{\"type\":\"function\","
	    "\"name\":\"f\",\"x\":[1]},7,{}]}",
	    NULL);
	assert_written("[{\"type\":\"function\",\"name\":\"f\",\"x\":[1]},{}]");
	can("{\"type\":\"register_capabilities\",\"functions\":[{\"name\":"
	    "\"f\","
	    "\"parameters\":{\"_def\":{}}},{\"description\":\"nameless\"},7],"
	    "\"components\":[{\"id\":\"c\",\"type\":\"x\",\"actions\":"
	    "{\"click\":{\"description\":\"d\"}},\"tags\":[]}]}",
	    "[{\"type\":\"function\",\"name\":\"old\"}]");
	assert_written("[{\"type\":\"function\",\"name\":\"f\",\"parameters\":"
		       "{\"_def\":{}}},{\"type\":\"component\",\"id\":\"c\","
		       "\"tags\":[],\"actions\":[\"click\"],\"actionDetails\":"
		       "{\"click\":{\"description\":\"d\"}}}]");
}

/* By name and id: what is new comes behind, the rest stays in its place. */
static void
test_update(void **state)
{
	(void)state;
	can("{\"type\":\"update_capabilities\",\"functions\":[{\"name\":\"b\","
	    "\"n\":1},{\"name\":\"a\",\"n\":1},{\"name\":\"b\",\"n\":2}]}",
	    "[{\"type\":\"function\",\"name\":\"a\"},{\"type\":\"component\","
	    "\"id\":\"b\"}]");
	assert_written("[{\"type\":\"function\",\"name\":\"a\",\"n\":1},"
		       "{\"type\":\"component\",\"id\":\"b\"},"
		       "{\"type\":\"function\",\"name\":\"b\",\"n\":2}]");
}

static void
test_limits(void **state)
{
	struct buf big;

	(void)state;
	assert_int_equal(can("{\"type\":\"capability\",\"capabilities\":"
			     "[{},{},{},{},{}]}",
			     NULL),
	    -1);
	buf_clear(&out);
	assert_int_equal(can("{\"type\":\"update_capabilities\",\"functions\":["
			     "{\"name\":\"x\"}]}",
			     "[{},{},{},{}]"),
	    -1);
	buf_clear(&out);
	buf_init(&big, a);
	buf_lit(&big, "{\"type\":\"capability\",\"capabilities\":[{\"x\":\"");
	for (int i = 0; i < 400; i++)
		buf_putc(&big, 'x');
	buf_lit(&big, "\"}]}");
	assert_int_equal(can(big.data, NULL), -1);
}

static void
test_commands_b1(void **state)
{
	(void)state;
	page_command_b1(&out, "R", 5,
	    json("{\"target\":\"t\",\"action\":\"ok\",\"parameters\":"
		 "{\"a\":1}}"));
	assert_written("{\"type\":\"command\",\"requestId\":\"R\",\"target\":"
		       "\"t\",\"action\":\"ok\",\"parameters\":{\"a\":1},"
		       "\"id\":\"R\",\"timestamp\":5}");
	page_command_b1(&out, "R", 5,
	    json("{\"type\":\"x\",\"requestId\":\"mine\",\"id\":\"i\"}"));
	assert_written(
	    "{\"type\":\"command\",\"requestId\":\"R\",\"id\":\"i\"}");
}

#define TIME "\"timestamp\":\"1970-01-01T00:00:00.005Z\""

static void
test_commands_b2(void **state)
{
	static const char can_do[] =
	    "[{\"type\":\"function\",\"name\":\"f\"},{\"type\":\"function\","
	    "\"name\":\"update\"},{\"type\":\"component\",\"id\":\"c\"}]";
	static const struct {
		const char *command, *text, *component;
	} rows[] = {
		{ "{\"target\":\"f\",\"action\":\"x\",\"parameters\":{\"a\":1}"
		  "}",
		    "{\"type\":\"call_function\",\"id\":\"R\"," TIME
		    ",\"name\":\"f\",\"parameters\":{\"a\":1}}",
		    NULL },
		{ "{\"target\":\"other\",\"command\":\"call\",\"parameters\":"
		  "7}",
		    "{\"type\":\"call_function\",\"id\":\"R\"," TIME
		    ",\"name\":\"other\",\"parameters\":{}}",
		    NULL },
		{ "{\"target\":\"c\",\"action\":\"click\"}",
		    "{\"type\":\"call_component_action\",\"id\":\"c\"," TIME
		    ",\"action\":\"click\",\"parameters\":{}}",
		    "c" },
		{ "{\"target\":\"c\",\"action\":\"update\",\"properties\":"
		  "{\"v\":2}}",
		    "{\"type\":\"update_component\",\"id\":\"c\"," TIME
		    ",\"properties\":{\"v\":2}}",
		    "c" },
		{ "{\"target\":\"c\",\"command\":\"update\",\"parameters\":"
		  "{\"v\":2}}",
		    "{\"type\":\"update_component\",\"id\":\"c\"," TIME
		    ",\"properties\":{\"v\":2}}",
		    "c" },
		{ "{\"type\":\"call_component_action\",\"id\":\"d\",\"action\":"
		  "\"a\",\"agentId\":\"me\"}",
		    "{\"type\":\"call_component_action\",\"id\":\"d\"," TIME
		    ",\"action\":\"a\",\"parameters\":{},\"agentId\":\"me\"}",
		    "d" },
		{ "{\"type\":\"call_function\",\"name\":\"f\",\"id\":\"mine\"}",
		    "{\"type\":\"call_function\",\"id\":\"R\"," TIME
		    ",\"name\":\"f\",\"parameters\":{}}",
		    NULL },
	};
	struct page_command c = { .text = &out };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(page_command_b2(&c, "R", 5,
				     json(rows[i].command), json(can_do), NULL),
		    0);
		assert_written(rows[i].text);
		if (rows[i].component == NULL)
			assert_null(c.component);
		else
			assert_string_equal(c.component, rows[i].component);
	}
	assert_int_equal(
	    page_command_b2(&c, "R", 5, json("{\"action\":\"x\"}"), NULL, NULL),
	    -1);
}

static void
test_agents(void **state)
{
	static const char list[] =
	    "[{\"type\":\"function\",\"name\":\"f\",\"tags\":[]},"
	    "{\"type\":\"component\",\"id\":\"c\",\"actions\":[\"x\"],"
	    "\"actionDetails\":{\"x\":{}}},{\"type\":\"component\",\"id\":"
	    "\"d\",\"actions\":[\"y\"]}]";
	struct page_message m;

	(void)state;
	page_functions(&out, json(list), "C");
	assert_written("{\"name\":\"f\",\"tags\":[],\"clientId\":\"C\"}");
	page_components(&out, json(list), "C");
	assert_written("{\"id\":\"c\",\"actions\":{\"x\":{}},\"clientId\":"
		       "\"C\"},{\"id\":\"d\",\"actions\":[\"y\"],"
		       "\"clientId\":\"C\"}");
	m = message("{\"type\":\"call_function\",\"id\":\"1\",\"clientId\":"
		    "\"C\",\"name\":\"f\",\"parameters\":{\"a\":1}}");
	page_command_of_call(&out, &m, "A");
	assert_written("{\"type\":\"call_function\",\"target\":\"f\","
		       "\"command\":\"call\",\"action\":\"call\","
		       "\"parameters\":{\"a\":1},\"agentId\":\"A\"}");
	m = message("{\"type\":\"call_component_action\",\"id\":\"c\","
		    "\"action\":\"x\"}");
	page_command_of_call(&out, &m, "A");
	assert_written("{\"type\":\"call_component_action\",\"target\":\"c\","
		       "\"command\":\"action\",\"action\":\"x\","
		       "\"agentId\":\"A\"}");
}

static void
test_answers(void **state)
{
	static const struct {
		const char *text, *members;
	} rows[] = {
		{ "{\"type\":\"response\",\"status\":\"success\",\"result\":"
		  "{\"n\":1}}",
		    "\"status\":\"success\",\"result\":{\"n\":1}" },
		{ "{\"type\":\"response\",\"status\":\"success\"}",
		    "\"status\":\"success\"" },
		{ "{\"type\":\"response\",\"status\":\"error\",\"error\":"
		  "{\"code\":\"X\",\"message\":\"no\"}}",
		    "\"status\":\"error\",\"error\":{\"code\":\"X\","
		    "\"message\":\"no\"}" },
		{ "{\"type\":\"response\",\"error\":\"no\"}",
		    "\"status\":\"error\",\"error\":{\"message\":\"no\"}" },
		{ "{\"type\":\"response\",\"status\":\"error\",\"error\":"
		  "{\"code\":\"CLIENT_GONE\",\"message\":7}}",
		    "\"status\":\"error\",\"error\":{}" },
		{ "{\"type\":\"function_result\",\"success\":true,\"data\":"
		  "null}",
		    "\"status\":\"success\",\"result\":null" },
		{ "{\"type\":\"component_action_result\",\"success\":false,"
		  "\"data\":1}",
		    "\"status\":\"error\",\"error\":{}" },
		{ "{\"type\":\"error\",\"code\":\"C\",\"message\":\"m\"}",
		    "\"status\":\"error\",\"error\":{\"code\":\"C\","
		    "\"message\":\"m\"}" },
	};
	struct page_message m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m = message(rows[i].text);
		page_answer(&out, &m);
		assert_written(rows[i].members);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read),
		TEST(test_capabilities),
		TEST(test_update),
		TEST(test_limits),
		TEST(test_commands_b1),
		TEST(test_commands_b2),
		TEST(test_agents),
		TEST(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
