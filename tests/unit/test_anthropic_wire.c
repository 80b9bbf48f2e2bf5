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
	    "\"input_schema\":{}}],\"tool_choice\":{\"type\":\"auto\"},"
	    "\"system\":[{\"type\":\"text\",\"text\":\"S\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}],\"thinking\":"
	    "{\"type\":\"enabled\",\"budget_tokens\":2000},\"output_config\":"
	    "{\"effort\":\"high\",\"format\":{\"type\":\"json_schema\","
	    "\"schema\":{\"type\":\"object\"}}},\"temperature\":1}");
	arena_close(&a);
}

/* While it thinks no tool is forced; without, it is. */
static void
test_choice(void **state)
{
	static const struct {
		const char *choice;
		int64_t thinking;
		const char *members;
		const char *wanted;
	} cases[] = {
		{ "=f", 0, "", "{\"type\":\"tool\",\"name\":\"f\"}" },
		{ "any", 0, "", "{\"type\":\"any\"}" },
		{ "=f", 2000, "", "{\"type\":\"auto\"}" },
		{ "any", 2000, "", "{\"type\":\"auto\"}" },
		{ "any", 0, "{\"thinking\":{\"type\":\"adaptive\"}}",
		    "{\"type\":\"auto\"}" },
		{ "any", 0, "{\"thinking\":{\"type\":\"disabled\"}}",
		    "{\"type\":\"any\"}" },
		{ "none", 2000, "", "{\"type\":\"none\"}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *a = arena_open(4096);
		struct wire_model m = wire_model_of("m");
		const struct wire_request rq = { .model = &m,
			.tools = "[{\"name\":\"f\"}]",
			.tool_choice = cases[i].choice };

		m.thinking = cases[i].thinking;
		m.members = cases[i].members;
		expect_json(cases[i].choice,
		    json_get(wire_body(a, &wire_anthropic, &rq, docs, 1),
			"tool_choice"),
		    cases[i].wanted);
		arena_close(&a);
	}
}

/* A turn that goes on after results is asked to think only if it has begun
 * so; what the user says behind results is still of that turn. */
static void
test_thinking(void **state)
{
	static const struct {
		const char *what; /* a message each: u what the user says, r
				     results, t a thoughtful answer, f another
				     model's, p one without thinking */
		int thinks;
	} cases[] = {
		{ "u", 1 },
		{ "utr", 1 },
		{ "ufr", 0 },
		{ "upr", 0 },
		{ "utrpr", 1 },
		{ "ufrtr", 0 },
		{ "ufru", 0 },
		{ "utru", 1 },
		{ "ufruf", 0 },
		{ "ufrfu", 1 },
		{ "uputr", 1 },
		{ "utrufr", 1 }, /* one turn, see above */
		{ "utrfufr", 0 },
	};
	const struct wire_doc plain = { .text =
					    "{\"role\":\"assistant\","
					    "\"content\":[{\"type\":\"text\","
					    "\"text\":\"p\"}]}" };
	struct wire_doc foreign = docs[1], list[8];

	(void)state;
	foreign.foreign = 1;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *a = arena_open(4096);
		struct wire_model m = wire_model_of("m");
		const struct wire_request rq = { .model = &m };
		const char *p = cases[i].what;
		size_t n = 0;

		for (; *p != '\0'; p++)
			list[n++] = *p == 'u'   ? docs[0]
				    : *p == 't' ? docs[1]
				    : *p == 'r' ? docs[2]
				    : *p == 'f' ? foreign
						: plain;
		m.thinking = 2000;
		if ((json_get(wire_body(a, &wire_anthropic, &rq, list, n),
			 "thinking") != NULL) != cases[i].thinks)
			fail_msg("%s", cases[i].what);
		arena_close(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_thinking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
