/* SPDX-License-Identifier: MIT */
/* model/text_frame: which events are told without a parser, and which never. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/text_frame.h"

#define EVENT(text) "{\"i\":0,\"d\":{\"type\":\"t\",\"text\":\"" text "\"}}"

static int
learn(struct text_frame *f, const char *json, const char *value)
{
	return text_frame_learn(f, json, strlen(json), "text", value);
}

static void
test_match(void **state)
{
	static const struct {
		const char *json;
		const char *text; /* NULL: no match */
	} rows[] = {
		{ EVENT("b"), "b" },
		{ EVENT(" longer than that "), " longer than that " },
		{ EVENT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
		{ EVENT("a}}"), "a}}" },
		{ EVENT(""), NULL },
		{ EVENT("a\\n"), NULL },
		{ EVENT("a\",\"x\":\"b"), NULL },
		{ EVENT("a\tb"), NULL },
		{ EVENT("\xc3"), NULL },
		{ EVENT("\xed\xa0\x80"), NULL },
		{ "{\"i\":1,\"d\":{\"type\":\"t\",\"text\":\"b\"}}", NULL },
		{ EVENT("b") " ", NULL },
		{ "{", NULL },
		{ "", NULL },
	};
	struct text_frame f = { 0 };
	const char *text;
	size_t n;

	(void)state;
	assert_false(text_frame_match(&f, EVENT("a"), 10, &text, &n));
	assert_true(learn(&f, EVENT("a"), "a"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int got = text_frame_match(
		    &f, rows[i].json, strlen(rows[i].json), &text, &n);

		if (got != (rows[i].text != NULL))
			fail_msg("row %zu: %d", i, got);
		if (got) {
			assert_int_equal(n, strlen(rows[i].text));
			assert_memory_equal(text, rows[i].text, n);
		}
	}
}

/* What it cannot be sure of teaches nothing, and what was learned stays. */
static void
test_learn(void **state)
{
	static const struct {
		const char *json, *value;
	} rows[] = {
		{ EVENT(""), "" },
		{ EVENT("\\u0041"), "A" },
		{ EVENT("a\\n"), "a\n" },
		{ EVENT("a"), "b" },
		{ EVENT("a"), NULL },
		{ "{\"text\":\"a\",\"d\":{\"text\":\"a\"}}", "a" },
		{ "{\"d\":\"text\",\"text\":\"a\"}", "a" },
		{ "{\"x\\\"text\":\"a\"}", "a" },
		{ "{\"text\" : \"a\"}", "a" },
		{ "{\"text\":7}", "7" },
		{ "\"text\":\"a\"", "a" },
	};
	struct text_frame f = { 0 };
	char large[TEXT_FRAME_BYTES + 64];
	const char *text;
	size_t n;

	(void)state;
	assert_true(learn(&f, EVENT("a"), "a"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (learn(&f, rows[i].json, rows[i].value))
			fail_msg("row %zu", i);
	memset(large, ' ', sizeof(large));
	memcpy(large, EVENT("a"), strlen(EVENT("a")) - 2);
	memcpy(large + sizeof(large) - 3, "}}", 3);
	assert_false(learn(&f, large, "a"));
	assert_true(
	    text_frame_match(&f, EVENT("b"), strlen(EVENT("b")), &text, &n));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_learn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
