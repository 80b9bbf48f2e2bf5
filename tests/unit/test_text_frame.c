/* SPDX-License-Identifier: MIT */
/* model/text_frame: which events are told without a parser, and which never. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/text_frame.h"

#define EVENT(text) "{\"i\":0,\"d\":{\"type\":\"t\",\"text\":\"" text "\"}}"

static struct buf plain;

static int
learn(struct text_frame *f, const char *json, const char *value)
{
	return text_frame_learn(f, json, strlen(json), "text", value, NULL);
}

/* text NULL: no match. */
static void
expect(struct text_frame *f, const char *json, const char *text)
{
	/* So that nothing reads past the end. */
	size_t len = strlen(json), n = 0;
	char *own = malloc(len + 1);
	const char *got = NULL;
	int rc;

	assert_non_null(own);
	memcpy(own, json, len);
	rc = text_frame_match(f, own, len, &plain, &got, &n);
	if (rc != (text != NULL))
		fail_msg("%s: %d", json, rc);
	if (rc) {
		assert_int_equal(n, strlen(text));
		assert_memory_equal(got, text, n);
	}
	free(own);
}

static void
test_match(void **state)
{
	static const struct {
		const char *json;
		const char *text;
	} rows[] = {
		{ EVENT("b"), "b" },
		{ EVENT(" longer than that "), " longer than that " },
		{ EVENT("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
		{ EVENT("a}}"), "a}}" },
		{ EVENT(""), NULL },
		{ EVENT("a\",\"x\":\"b"), NULL },
		{ EVENT("a\tb"), NULL },
		{ EVENT("\xc3"), NULL },
		{ EVENT("\xed\xa0\x80"), NULL },
		{ "{\"i\":1,\"d\":{\"type\":\"t\",\"text\":\"b\"}}", NULL },
		{ EVENT("b") " ", NULL },
		{ "{\"i\":0,\"d\":{\"type\":\"t\",\"text\":\"b", NULL },
		{ "{\"i\":0,\"d\":{\"type\":\"t\",\"text\":\"b\\", NULL },
		{ "{", NULL },
		{ "", NULL },
	};
	struct text_frame f = { 0 };

	(void)state;
	expect(&f, EVENT("a"), NULL);
	assert_true(learn(&f, EVENT("a"), "a"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&f, rows[i].json, rows[i].text);
	text_frame_forget(&f);
	expect(&f, EVENT("a"), NULL);
}

/* Those of one character; the parser has to look at the rest. */
static void
test_escapes(void **state)
{
	static const struct {
		const char *json;
		const char *text;
	} rows[] = {
		{ EVENT("a\\n"), "a\n" },
		{ EVENT("\\\"\\\\\\/\\b\\f\\n\\r\\t"), "\"\\/\b\f\n\r\t" },
		{ EVENT("\\\\"), "\\" },
		{ EVENT("\\u003cb\\u003E"), "<b>" },
		{ EVENT("\\u00fc\\u20AC\xc3\xbc"),
		    "\xc3\xbc\xe2\x82\xac\xc3\xbc" },
		{ EVENT("\\uffff"), "\xef\xbf\xbf" },
		{ EVENT("\\ud83d\\ude00"), NULL },
		{ EVENT("\\udc00"), NULL },
		{ EVENT("a\\u0000"), NULL },
		{ EVENT("\\u12"), NULL },
		{ EVENT("\\u12g4"), NULL },
		{ EVENT("\\x"), NULL },
		{ EVENT("a\\"), NULL },
		{ EVENT("\\n\xc3"), NULL },
	};
	struct text_frame f = { 0 };

	(void)state;
	assert_true(learn(&f, EVENT("\\u0041\\n"), "A\n"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&f, rows[i].json, rows[i].text);
	buf_fini(&plain);
}

#define COUNTED(text, n, s)                                                    \
	"{\"d\": {\"text\": \"" text "\"},\"n\": " n ",\"s\":\"" s "\"}"

static int
learn_varying(struct text_frame *f, const char *json, const char *value)
{
	static const char *const vary[] = { "s", "none", "n", NULL };

	return text_frame_learn(f, json, strlen(json), "text", value, vary);
}

static void
test_vary(void **state)
{
	static const struct {
		const char *json;
		const char *text;
		int64_t n;
	} rows[] = {
		{ COUNTED("b", "8", "y"), "b", 8 },
		{ COUNTED("b", "0", ""), "b", 0 },
		{ COUNTED("\\n", "123456789012345", "yy"), "\n",
		    123456789012345 },
		{ COUNTED("b", "1234567890123456", "y"), NULL, 0 },
		{ COUNTED("b", "08", "y"), NULL, 0 },
		{ COUNTED("b", "", "y"), NULL, 0 },
		{ COUNTED("b", "-1", "y"), NULL, 0 },
		{ COUNTED("b", "1.5", "y"), NULL, 0 },
		{ COUNTED("b", "1e3", "y"), NULL, 0 },
		{ COUNTED("b", "null", "y"), NULL, 0 },
		{ COUNTED("b", "8", "\\n"), NULL, 0 },
		{ COUNTED("b", "8", "y\xff"), NULL, 0 },
		{ COUNTED("b", "8", "y\",\"z\":\""), NULL, 0 },
		{ "{\"d\": {\"text\": \"b\"},\"n\": 8", NULL, 0 },
		{ "{\"d\": {\"text\": \"b\"},\"n\": ", NULL, 0 },
	};
	struct text_frame f = { 0 };

	(void)state;
	assert_true(learn_varying(&f, COUNTED("a", "7", "x"), "a"));
	assert_int_equal(f.number[0], TEXT_FRAME_NONE);
	assert_int_equal(f.number[1], TEXT_FRAME_NONE);
	assert_int_equal(f.number[2], 7);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t before = f.number[2];

		expect(&f, rows[i].json, rows[i].text);
		assert_int_equal(
		    f.number[2], rows[i].text == NULL ? before : rows[i].n);
	}
	buf_fini(&plain);
}

/* What is no number, or is there twice, belongs to the frame. */
static void
test_vary_fixed(void **state)
{
	static const char *const fixed[][2] = {
		{ COUNTED("a", "7.0", "x"), COUNTED("a", "8.0", "x") },
		{ COUNTED("a", "-7", "x"), COUNTED("a", "-8", "x") },
		{ COUNTED("a", "null", "x"), COUNTED("a", "7", "x") },
		{ COUNTED("a", "[7]", "x"), COUNTED("a", "[8]", "x") },
		{ COUNTED("a", "{\"n\":7}", "x"),
		    COUNTED("a", "{\"n\":8}", "x") },
		{ COUNTED("a", "1234567890123456", "x"),
		    COUNTED("a", "1234567890123457", "x") },
		{ COUNTED("a", "7", "\\n"), COUNTED("a", "7", "x") },
	};
	struct text_frame f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		assert_true(learn_varying(&f, fixed[i][0], "a"));
		expect(&f, fixed[i][0], "a");
		expect(&f, fixed[i][1], NULL);
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
		{ EVENT("\\ud83d\\ude00"), "\xf0\x9f\x98\x80" },
		{ EVENT("a\\n"), "a" },
		{ EVENT("a\\n"), "a\n\n" },
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

	(void)state;
	assert_true(learn(&f, EVENT("a"), "a"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (learn(&f, rows[i].json, rows[i].value))
			fail_msg("row %zu", i);
	memset(large, ' ', sizeof(large));
	memcpy(large, EVENT("a"), strlen(EVENT("a")) - 2);
	memcpy(large + sizeof(large) - 3, "}}", 3);
	assert_false(learn(&f, large, "a"));
	expect(&f, EVENT("b"), "b");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_vary),
		cmocka_unit_test(test_vary_fixed),
		cmocka_unit_test(test_learn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
