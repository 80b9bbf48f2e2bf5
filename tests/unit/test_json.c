/* SPDX-License-Identifier: MIT */
/* JSON: what is refused, what is kept exactly, and what is written. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#define DEPTH 8

static struct arena *a;

static int
setup(void **state)
{
	(void)state;
	a = arena_open(4096);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

/* In memory of its own, without a 0 byte, so that no reader runs over. */
static struct json *
parse_n(const char *text, size_t len, int depth, struct err *err)
{
	char *copy = malloc(len + (len == 0));
	struct json *j;

	assert_non_null(copy);
	memcpy(copy, text, len);
	err_clear(err);
	j = json_parse(a, copy, len, depth, err);
	assert_int_equal(
	    json_check(copy, len, depth, NULL), j == NULL ? -1 : 0);
	free(copy);
	return j;
}

static struct json *
parse(const char *text)
{
	struct err err;

	return parse_n(text, strlen(text), DEPTH, &err);
}

static const char *
print(const struct json *j)
{
	struct buf b;

	buf_init(&b, a);
	json_print(&b, j);
	return buf_str(&b);
}

static void
expect_refused_n(const char *text, size_t len)
{
	struct err err;

	if (parse_n(text, len, DEPTH, &err) != NULL)
		fail_msg("accepted: %.*s", (int)len, text);
	assert_int_equal(err.code, ERR_REQUEST);
	assert_non_null(strstr(err.text, "not valid JSON"));
}

static void
refused(const char *const *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_refused_n(rows[i], strlen(rows[i]));
}
#define REFUSED(rows) refused(rows, sizeof(rows) / sizeof((rows)[0]))

static void
test_grammar_refused(void **state)
{
	static const char *const rows[] = { "", " ", "{", "}", "[", "]", "[1",
		"[1,", "[1,]", "[,1]", "[1 2]", "{,}", "{\"a\"}", "{\"a\":}",
		"{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}", "{'a':1}", "['a']",
		"nul", "nulll", "True", "tru", "NaN", "Infinity", "-Infinity",
		"undefined", "1 2", "{}{}", "{} x", "[]]", "//x", "/**/1",
		"[1]//", "\"", "\"a", "\"a\\", "\"a\\\"", "\v1",
		"\xef\xbb\xbf{}", "\xc2\xa0[]" };

	(void)state;
	REFUSED(rows);
	expect_refused_n("{}\0", 3);
	expect_refused_n("\0", 1);
	expect_refused_n("1\0", 2);
}

static void
test_numbers_refused(void **state)
{
	static const char *const rows[] = { "007", "00", "-01", "01.5", "+1",
		".5", "1.", "1.e5", "1e", "1e+", "1E-", "-", "--1", "-a",
		"0x10", "1_000", "1,5", "1e999", "-1e999", "1e400", "1.8e308",
		"[1e309]" };
	char digits[100];

	(void)state;
	REFUSED(rows);
	memset(digits, '9', sizeof(digits));
	expect_refused_n(digits, sizeof(digits));
}

static void
test_strings_refused(void **state)
{
	static const char *const rows[] = { "\"\n\"", "\"\t\"", "\"\x01\"",
		"\"\x1f\"", "\"\\a\"", "\"\\x41\"", "\"\\'\"", "\"\\u\"",
		"\"\\u12\"", "\"\\u123g\"", "\"\\U0041\"", "\"\\u-123\"",
		"\"\\u 123\"" };

	(void)state;
	REFUSED(rows);
	expect_refused_n("\"a\0b\"", 5);
}

static void
test_nul_refused(void **state)
{
	static const char *const rows[] = { "\"\\u0000\"", "\"a\\u0000b\"",
		"{\"a\\u0000b\":1}", "{\"a\":[\"\\u0000\"]}" };

	(void)state;
	REFUSED(rows);
	assert_string_equal(json_str(parse("\"\\\\u0000\"")), "\\u0000");
}

static void
test_utf8_refused(void **state)
{
	static const char *const rows[] = {
		/* a continuation alone, and characters that are cut short */
		"\"\x80\"", "\"\xbf\"", "\"\xc3\"", "\"\xe2\x82\"",
		"\"\xf0\x9f\x98\"", "\"\xc3(\"", "\"\xe2(\xa1\"",
		/* overlong */
		"\"\xc0\xaf\"", "\"\xc1\xbf\"", "\"\xe0\x80\xaf\"",
		"\"\xe0\x9f\xbf\"", "\"\xf0\x80\x80\xaf\"",
		"\"\xf0\x8f\xbf\xbf\"", "\"\xc0\x80\"",
		/* surrogates, and what is beyond U+10FFFF */
		"\"\xed\xa0\x80\"", "\"\xed\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
		"\"\xf5\x80\x80\x80\"", "\"\xf8\x88\x80\x80\x80\"", "\"\xfe\"",
		"\"\xff\"", "{\"\xff\":1}"
	};

	(void)state;
	REFUSED(rows);
}

static void
test_surrogates(void **state)
{
	static const char *const rows[] = { "\"\\ud800\"", "\"\\udc00\"",
		"\"\\ud83d\\n\"", "\"\\ud83dx\"", "\"\\ud83d\\ud83d\"",
		"\"\\ud83d\\u0041\"", "\"\\ude00\\ud83d\"", "\"\\ud83d\\\"",
		"\"\\ud83d\\u\"", "{\"\\udfff\":1}" };

	(void)state;
	REFUSED(rows);
	assert_string_equal(
	    json_str(parse("\"\\ud83d\\ude00\"")), "\xf0\x9f\x98\x80");
	assert_string_equal(
	    json_str(parse("\"\\uD7FF\\ue000\"")), "\xed\x9f\xbf\xee\x80\x80");
}

static void
test_duplicates(void **state)
{
	static const char *const rows[] = { "{\"a\":1,\"a\":1}",
		"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":1,\"\\u0061\":2}",
		"{\"\":1,\"\":2}", "[{\"x\":{\"a\":1,\"a\":1}}]",
		"{\"/\":1,\"\\/\":2}" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };

		assert_null(
		    json_parse(a, rows[i], strlen(rows[i]), DEPTH, &err));
		assert_int_equal(err.code, ERR_REQUEST);
	}
	assert_non_null(parse("{\"a\":{\"a\":{\"a\":1}},\"A\":[]}"));
}

/* Objects of many members find their duplicates by another way. */
static void
test_duplicates_in_large(void **state)
{
	struct err err = { 0 };
	struct buf b;

	(void)state;
	for (int n = 2; n < 300; n += n < 20 ? 1 : 93) {
		buf_init(&b, a);
		buf_putc(&b, '{');
		for (int i = 0; i < n; i++)
			buf_printf(&b, "\"k%d\":%d,", i * 7919 % 1009, i);
		buf_puts(&b, "\"last\":0}");
		assert_non_null(json_parse(a, b.data, b.len, DEPTH, &err));
		b.len -= 8;
		buf_printf(&b, "k%d\":0}", (n - 1) * 7919 % 1009);
		assert_null(json_parse(a, b.data, b.len, DEPTH, &err));
		assert_non_null(strstr(err.text, "repeated"));
	}
}

static struct json *
nested(int levels, int depth)
{
	struct err err;
	struct buf b;

	buf_init(&b, a);
	for (int i = 0; i < levels; i++)
		buf_puts(&b, i % 2 ? "[" : "{\"a\":");
	buf_putc(&b, '1');
	for (int i = levels - 1; i >= 0; i--)
		buf_putc(&b, i % 2 ? ']' : '}');
	return parse_n(buf_str(&b), b.len, depth, &err);
}

static void
test_depth(void **state)
{
	struct err err;

	(void)state;
	assert_non_null(nested(0, 0));
	assert_null(nested(1, 0));
	for (int d = 1; d <= JSON_DEPTH_MAX; d++) {
		assert_non_null(nested(d, d));
		assert_null(nested(d + 1, d));
	}
	assert_non_null(parse_n("[[],[],{},[[]]]", 15, 3, &err));
	assert_null(parse_n("[[],[],{},[[[]]]]", 17, 3, &err));
	assert_null(json_parse(a, "[", 1, 1 << 30, &err));
	assert_non_null(strstr(err.text, "cut short"));
}

/* More than a caller may ask for: no stack is big enough for a stranger. */
static void
test_depth_max(void **state)
{
	struct err err = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, a);
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	assert_null(json_parse(a, b.data, b.len, 1 << 30, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.limit, "depth");
	assert_non_null(strstr(err.text, "deeper than 64 levels"));
}

/* The text of an error names the place, and nothing of the input. */
static void
test_error_text(void **state)
{
	struct err err;

	(void)state;
	parse_n("{\"secret\":x}", 12, DEPTH, &err);
	assert_null(strstr(err.text, "secret"));
	assert_non_null(strstr(err.text, "at byte 10"));
	assert_null(json_parse(a, "tru", 3, DEPTH, NULL));
}

static void
test_integers(void **state)
{
	static const struct {
		const char *text;
		int is_int;
		int64_t value;
	} rows[] = {
		{ "0", 1, 0 },
		{ "-1", 1, -1 },
		{ "42.0", 1, 42 },
		{ "1e3", 1, 1000 },
		{ "999999999999999", 1, INT64_C(999999999999999) },
		{ "9007199254740992", 1, INT64_C(9007199254740992) },
		{ "9007199254740993", 1, INT64_C(9007199254740993) },
		{ "-9007199254740993", 1, INT64_C(-9007199254740993) },
		{ "9223372036854775807", 1, INT64_MAX },
		{ "-9223372036854775808", 1, INT64_MIN },
		{ "9223372036854775808", 0, 0 },
		{ "-9223372036854775809", 0, 0 },
		{ "18446744073709551616", 0, 0 },
		{ "0.5", 0, 0 },
		{ "1e300", 0, 0 },
		{ "1e-5", 0, 0 },
		{ "\"5\"", 0, 0 },
		{ "true", 0, 0 },
		{ "null", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t v = 0;

		assert_int_equal(
		    json_int(parse(rows[i].text), &v), rows[i].is_int);
		if (rows[i].is_int)
			assert_true(v == rows[i].value);
	}
}

/* Integers stay what they were, wherever they stand. */
static void
test_integers_printed(void **state)
{
	static const char *const rows[] = { "9007199254740993",
		"-9223372036854775808", "18446744073709551615",
		"123456789012345678901234567890", "1234567890123456",
		"[1,9007199254740993,2,[9007199254740995],3]",
		"{\"a\":9007199254740997,\"b\":3}",
		"{\"a\":0.5,\"b\":9223372036854775807,\"c\":\"1\"}" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(print(parse(rows[i])), rows[i]);
}

static void
test_doubles(void **state)
{
	static const char *const rows[] = { "0", "0.1", "-0.5", "1e300",
		"1.7976931348623157e308", "5e-324", "3.141592653589793",
		"0.30000000000000004", "1e-400", "123456789.125",
		"9007199254740993" };
	double d, again;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(json_double(parse(rows[i]), &d), 1);
		assert_true(d == strtod(rows[i], NULL));
		assert_int_equal(
		    json_double(parse(print(parse(rows[i]))), &again), 1);
		assert_true(d == again);
	}
	assert_int_equal(json_double(parse("\"1\""), &d), 0);
	assert_int_equal(json_double(NULL, &d), 0);
}

/*
 * cJSON before 1.7.19 reads 63 characters of a number and drops the rest:
 * what is that long is refused, or read right, but never cut.
 */
static void
test_long_numbers(void **state)
{
	char text[80] = "1e";
	struct err err;
	struct json *j;
	double d = 0;

	(void)state;
	for (size_t len = 40; len < 80; len++) {
		memset(text + 2, '0', len - 3);
		text[len - 1] = '5';
		j = parse_n(text, len, DEPTH, &err);
		assert_true(j != NULL || len >= 64);
		assert_true(j == NULL || len <= 64);
		if (j != NULL && json_double(j, &d))
			assert_true(d == 1e5);
	}
}

static void
test_lookup(void **state)
{
	const struct json *j = parse(
	    " { \"s\" : \"x\" , \"n\":5,\"t\":true,\"f\":false,\"z\":null,"
	    "\"l\":[1,2,3],\"o\":{\"s\":\"y\"},\"\":\"empty\"}\r\n\t");
	int64_t n = 0;

	(void)state;
	assert_int_equal(json_type(j), JSON_OBJECT);
	assert_int_equal(json_count(j), 8);
	assert_string_equal(json_get_str(j, "s"), "x");
	assert_string_equal(json_get_str(j, ""), "empty");
	assert_string_equal(json_get_str(json_get(j, "o"), "s"), "y");
	assert_null(json_get(j, "S"));
	assert_null(json_get_str(j, "n"));
	assert_int_equal(json_get_int(j, "n", &n), 1);
	assert_int_equal(n, 5);
	assert_int_equal(json_get_true(j, "t"), 1);
	assert_int_equal(json_get_true(j, "f"), 0);
	assert_int_equal(json_get_true(j, "s"), 0);
	assert_int_equal(json_get_true(j, "none"), 0);
	assert_int_equal(json_is(json_get(j, "z"), JSON_NULL), 1);
	assert_int_equal(json_is(json_get(j, "f"), JSON_BOOL), 1);
	assert_int_equal(json_is(json_get(j, "none"), JSON_NULL), 0);
	assert_int_equal(json_count(json_get(j, "l")), 3);
	assert_int_equal(json_count(json_get(j, "s")), 0);
}

static void
test_walk(void **state)
{
	const struct json *j = parse("{\"a\":1,\"b\":[],\"c\":{}}");
	char names[8] = "";

	(void)state;
	for (const struct json *c = json_first(j); c != NULL; c = json_next(c))
		strncat(names, json_name(c), 2);
	assert_string_equal(names, "abc");
	assert_null(json_first(json_get(j, "b")));
	assert_null(json_first(NULL));
	assert_null(json_get(NULL, "a"));
	assert_null(json_get(json_get(j, "b"), "a"));
	assert_null(json_str(NULL));
	assert_int_equal(json_count(NULL), 0);
	assert_int_equal(json_bool(NULL), 0);
	assert_int_equal(json_is(NULL, JSON_NULL), 0);
}

static void
test_strings(void **state)
{
	(void)state;
	assert_string_equal(json_str(parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")),
	    "\"\\/\b\f\n\r\t");
	assert_string_equal(json_str(parse("\"\\u00e9\\u20AC\xc3\xa9\"")),
	    "\xc3\xa9\xe2\x82\xac\xc3\xa9");
}

static void
test_escape(void **state)
{
	static const struct {
		const char *plain, *escaped;
	} rows[] = {
		{ "", "" },
		{ "plain /'<>&", "plain /'<>&" },
		{ "a\"b\\c", "a\\\"b\\\\c" },
		{ "\b\f\n\r\t", "\\b\\f\\n\\r\\t" },
		{ "\x01\x1f\x7f", "\\u0001\\u001f\\u007f" },
		{ "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80" },
		{ "\n", "\\n" },
		{ "data: x\n\nid: 1", "data: x\\n\\nid: 1" },
	};
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_init(&b, a);
		json_escape(&b, rows[i].plain, strlen(rows[i].plain));
		assert_string_equal(buf_str(&b), rows[i].escaped);
	}
	buf_init(&b, a);
	json_escape(&b, "a\0b", 3);
	assert_string_equal(buf_str(&b), "a\\u0000b");
}

/* Every byte that a string may hold comes back. */
static void
test_escape_round_trip(void **state)
{
	char all[128];
	struct buf b;

	(void)state;
	for (int c = 1; c < 128; c++)
		all[c - 1] = (char)c;
	all[127] = '\0';
	buf_init(&b, a);
	json_add_str(&b, NULL, all);
	assert_string_equal(json_str(parse(buf_str(&b))), all);
	for (size_t i = 0; i < b.len; i++)
		assert_in_range((unsigned char)b.data[i], 0x20, 0x7e);
}

static void
test_writer(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "s", "x: {");
	json_add_strn(&b, "n\"", "abc", 2);
	json_add_int(&b, "i", INT64_MIN);
	json_open(&b, "l", '[');
	json_add_bool(&b, NULL, 1);
	json_add_bool(&b, NULL, 0);
	json_add_null(&b, NULL);
	json_add_str(&b, NULL, "");
	json_add_str(&b, NULL, " ");
	json_open(&b, NULL, '{');
	json_close(&b, '}');
	json_open(&b, NULL, '[');
	json_close(&b, ']');
	json_close(&b, ']');
	json_add_raw(&b, "r", "[1]", 3);
	json_add_json(&b, "j", parse("{\"a\":[1,\"[\"]}"));
	json_close(&b, '}');
	assert_string_equal(buf_str(&b),
	    "{\"s\":\"x: {\",\"n\\\"\":\"ab\",\"i\":-9223372036854775808,"
	    "\"l\":[true,false,null,\"\",\" \",{},[]],\"r\":[1],"
	    "\"j\":{\"a\":[1,\"[\"]}}");
	assert_non_null(parse(buf_str(&b)));
}

static void
test_round_trip(void **state)
{
	static const char *const rows[] = { "null", "true", "\"\"", "[]", "{}",
		"-0.25", "[[],{},\"\",0]",
		"{\"a\":{\"b\":[1,2.5,-3,true,false,null,\"\\n\\u007f\"]}}",
		"{\"\":{\"\":[\"\"]}}", "[\"a:\",\"b,\",\"{\",\"[\",\" \",1]" };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(print(parse(rows[i])), rows[i]);
}

static void
test_utf8_whole(void **state)
{
	static const struct {
		const char *text;
		size_t whole;
	} rows[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "a\xc3\xa9", 3 },
		{ "a\xc3", 1 },
		{ "\xe2\x82\xac", 3 },
		{ "\xe2\x82", 0 },
		{ "x\xf0\x9f\x98\x80", 5 },
		{ "x\xf0\x9f\x98", 1 },
		{ "x\xf0", 1 },
		{ "x\x80y", 1 },
		{ "x\xed\xa0\x80", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    json_utf8_whole(rows[i].text, strlen(rows[i].text)),
		    rows[i].whole);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_grammar_refused),
		TEST(test_numbers_refused),
		TEST(test_strings_refused),
		TEST(test_nul_refused),
		TEST(test_utf8_refused),
		TEST(test_surrogates),
		TEST(test_duplicates),
		TEST(test_duplicates_in_large),
		TEST(test_depth),
		TEST(test_depth_max),
		TEST(test_error_text),
		TEST(test_integers),
		TEST(test_integers_printed),
		TEST(test_doubles),
		TEST(test_long_numbers),
		TEST(test_lookup),
		TEST(test_walk),
		TEST(test_strings),
		TEST(test_escape),
		TEST(test_escape_round_trip),
		TEST(test_writer),
		TEST(test_round_trip),
		TEST(test_utf8_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
