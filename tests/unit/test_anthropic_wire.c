/* SPDX-License-Identifier: MIT */
/* Requests of the Anthropic Messages API. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct wire_doc docs[] = {
	{ .text = "{\"role\":\"user\",\"content\":\"hi\"}" },
	{ .text = "{\"role\":\"assistant\",\"content\":["
		  "{\"type\":\"thinking\",\"thinking\":\"hm\","
		  "\"signature\":\"s\"},"
		  "{\"type\":\"text\",\"text\":\"a\",\"native\":{\"x\":1}},"
		  "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\","
		  "\"input\":{}}]}" },
	{ .text = "{\"role\":\"user\",\"content\":[{\"type\":"
		  "\"tool_result\",\"tool_use_id\":\"c1\",\"content\":"
		  "\"ok\"}]}",
	    .calls = "{\"c1\":\"f\"}" },
};

/* The model's own messages go back as they are. */
static void
test_own(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m, .system = "S" };
	const struct json *body =
	    wire_body(a, &wire_anthropic, &rq, docs, COUNT(docs));

	(void)state;
	expect_json("body", body,
	    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},"
	    "{\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s\"},"
	    "{\"type\":\"text\",\"text\":\"a\",\"native\":{\"x\":1}},"
	    "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}"
	    "]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"c1\",\"content\":\"ok\"}]}],"
	    "\"model\":\"m\",\"max_tokens\":100,\"stream\":true,"
	    "\"system\":[{\"type\":\"text\",\"text\":\"S\"}]}");
	arena_close(&a);
}

/* Of another model's only what all can read. */
static void
test_foreign(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };
	struct wire_doc foreign[] = { docs[0], docs[1], docs[2],
		{ .text = "{\"role\":\"assistant\",\"content\":["
			  "{\"type\":\"native\",\"native\":{}},"
			  "{\"type\":\"thinking\",\"thinking\":\"x\"}]}",
		    .foreign = 1 } };
	const struct json *body;

	(void)state;
	foreign[1].foreign = 1;
	body = wire_body(a, &wire_anthropic, &rq, foreign, COUNT(foreign));
	expect_json("messages", json_get(body, "messages"),
	    "[{\"role\":\"user\",\"content\":\"hi\"},"
	    "{\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}}"
	    "]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"c1\",\"content\":\"ok\"}]}]");
	arena_close(&a);
}

static void
test_rest(void **state)
{
	struct arena *a = arena_open(4096);
	struct wire_model m = { .id = "m",
		.max_tokens = 5000,
		.thinking = 2000,
		.effort = "high",
		.members = "{\"temperature\":1}",
		.cache_markers = 1 };
	const struct wire_request rq = { .model = &m,
		.system = "S",
		.tools = "[{\"name\":\"f\",\"description\":\"d\","
			 "\"input_schema\":{}}]",
		.tool_choice = "=f",
		.schema = "{\"type\":\"object\"}",
		.extra = "more" };
	const struct json *body =
	    wire_body(a, &wire_anthropic, &rq, &docs[2], 1);

	(void)state;
	expect_json("body", body,
	    "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"ok\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}},{\"type\":\"text\","
	    "\"text\":\"more\"}]}],\"model\":\"m\",\"max_tokens\":5000,"
	    "\"stream\":true,\"tools\":[{\"name\":\"f\",\"description\":\"d\","
	    "\"input_schema\":{}}],\"system\":[{\"type\":\"text\",\"text\":"
	    "\"S\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}],\"thinking\":"
	    "{\"type\":\"enabled\",\"budget_tokens\":2000},\"output_config\":"
	    "{\"effort\":\"high\",\"format\":{\"type\":\"json_schema\","
	    "\"schema\":{\"type\":\"object\"}}},\"temperature\":1}");
	arena_close(&a);
}

/* A tool is forced, but not while the model thinks. */
static void
test_choice(void **state)
{
	static const struct {
		const char *choice, *wanted;
	} rows[] = {
		{ "auto", "{\"type\":\"auto\"}" },
		{ "none", "{\"type\":\"none\"}" },
		{ "any", "{\"type\":\"any\"}" },
		{ "=f", "{\"type\":\"tool\",\"name\":\"f\"}" },
	};
	struct arena *a = arena_open(4096);
	struct wire_model m = wire_model_of("m");
	struct wire_request rq = { .model = &m,
		.tools = "[{\"name\":\"f\",\"input_schema\":{}}]" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		rq.tool_choice = rows[i].choice;
		m.thinking = 0;
		expect_json("choice",
		    json_get(wire_body(a, &wire_anthropic, &rq, docs, 1),
			"tool_choice"),
		    rows[i].wanted);
		m.thinking = 1024;
		assert_int_equal(
		    json_get(wire_body(a, &wire_anthropic, &rq, docs, 1),
			"tool_choice") == NULL,
		    i > 1);
	}
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
