/* SPDX-License-Identifier: MIT */
/* Commands to Redis, byte by byte: RESP, as redis.io specifies it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/redis.h"
#include "store/script.h"

static struct arena *a;
static struct redis_pipe p;

static int
setup(void **state)
{
	(void)state;
	a = arena_open(1024);
	redis_pipe_init(&p, a);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_close(&a);
	return 0;
}

static void
test_command(void **state)
{
	(void)state;
	redis_cmd(&p, "GET", "key", NULL);
	assert_string_equal(
	    buf_str(&p.out), "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
	assert_int_equal(p.count, 1);
	assert_int_equal(p.args_left, 0);
}

static void
test_several(void **state)
{
	(void)state;
	redis_cmd(&p, "PING", NULL);
	redis_begin(&p, 2);
	assert_int_equal(p.args_left, 2);
	redis_arg(&p, "SELECT");
	redis_argi(&p, -7);
	redis_cmd(&p, "ECHO", "", NULL);
	assert_string_equal(buf_str(&p.out),
	    "*1\r\n$4\r\nPING\r\n*2\r\n$6\r\nSELECT\r\n$2\r\n-7\r\n"
	    "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n");
	assert_int_equal(p.count, 3);
}

/* Lengths, not line ends, say where an argument stops. */
static void
test_binary(void **state)
{
	(void)state;
	redis_begin(&p, 3);
	redis_arg(&p, "SET");
	redis_argn(&p, "a\0\r\n$9", 6);
	redis_argn(&p, "", 0);
	assert_int_equal(p.out.len, 31);
	assert_memory_equal(
	    p.out.data, "*3\r\n$3\r\nSET\r\n$6\r\na\0\r\n$9\r\n$0\r\n\r\n", 31);
}

static void
test_integers(void **state)
{
	static const struct {
		int64_t value;
		const char *text;
	} rows[] = {
		{ 0, "$1\r\n0\r\n" },
		{ -1, "$2\r\n-1\r\n" },
		{ 1234567890, "$10\r\n1234567890\r\n" },
		{ INT64_MAX, "$19\r\n9223372036854775807\r\n" },
		{ INT64_MIN, "$20\r\n-9223372036854775808\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		redis_pipe_clear(&p);
		redis_begin(&p, 1);
		redis_argi(&p, rows[i].value);
		assert_string_equal(buf_str(&p.out) + 4, rows[i].text);
	}
}

/* Headers of every number of digits. */
static void
test_lengths(void **state)
{
	static const size_t sizes[] = { 0, 9, 10, 99, 100, 9999, 10000,
		123456 };
	static char data[123456];

	(void)state;
	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char head[40];
		int n =
		    snprintf(head, sizeof(head), "*1\r\n$%zu\r\n", sizes[i]);

		redis_pipe_clear(&p);
		redis_begin(&p, 1);
		redis_argn(&p, data, sizes[i]);
		assert_int_equal(p.out.len, (size_t)n + sizes[i] + 2);
		assert_memory_equal(p.out.data, head, n);
		assert_string_equal(p.out.data + p.out.len - 2, "\r\n");
	}
}

static void
test_many_arguments(void **state)
{
	(void)state;
	redis_begin(&p, 1200);
	for (int i = 0; i < 1200; i++)
		redis_argi(&p, i);
	assert_int_equal(p.args_left, 0);
	assert_memory_equal(p.out.data, "*1200\r\n$1\r\n0\r\n", 14);
}

static void
test_args(void **state)
{
	struct redis_args none, two;

	(void)state;
	redis_args_init(&none, a);
	redis_args_init(&two, a);
	redis_args_add(&two, "f\0", 2);
	redis_args_add(&two, "v", 1);
	assert_int_equal(two.argc, 2);
	redis_begin(&p, 4);
	redis_arg(&p, "HSET");
	redis_args(&p, &none);
	redis_args(&p, &two);
	redis_arg(&p, "k");
	assert_int_equal(p.args_left, 0);
	assert_int_equal(p.out.len, 36);
	assert_memory_equal(p.out.data,
	    "*4\r\n$4\r\nHSET\r\n$2\r\nf\0\r\n$1\r\nv\r\n$1\r\nk\r\n", 36);
}

static void
test_script(void **state)
{
	char wanted[200];

	(void)state;
	script_init();
	for (int i = 0; i < SCRIPT_COUNT; i++) {
		assert_int_equal(strlen(scripts[i].sha), 40);
		assert_int_equal(
		    strspn(scripts[i].sha, "0123456789abcdef"), 40);
		assert_true(strlen(scripts[i].text) > 0);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(scripts[k].sha, scripts[i].sha);
	}
	redis_script(&p, SCRIPT_RENEW, 1, 1);
	redis_arg(&p, "key");
	redis_arg(&p, "arg");
	assert_int_equal(p.args_left, 0);
	snprintf(wanted, sizeof(wanted),
	    "*5\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$1\r\n1\r\n$3\r\nkey\r\n"
	    "$3\r\narg\r\n",
	    scripts[SCRIPT_RENEW].sha);
	assert_string_equal(buf_str(&p.out), wanted);
}

static void
test_clear(void **state)
{
	(void)state;
	redis_cmd(&p, "PING", NULL);
	redis_pipe_clear(&p);
	assert_int_equal(p.out.len, 0);
	assert_int_equal(p.count, 0);
	redis_cmd(&p, "PING", NULL);
	assert_string_equal(buf_str(&p.out), "*1\r\n$4\r\nPING\r\n");
}

static void
test_replies(void **state)
{
	const struct redis_reply nil = { .type = REDIS_NIL },
				 text = { REDIS_TEXT, 0, "OK", 2, NULL, 0 },
				 cut = { REDIS_TEXT, 0, "OK\0x", 4, NULL, 0 };

	(void)state;
	assert_int_equal(redis_is(&text, "OK"), 1);
	assert_int_equal(redis_is(&text, "O"), 0);
	assert_int_equal(redis_is(&text, "OKK"), 0);
	assert_int_equal(redis_is(&cut, "OK"), 0);
	assert_int_equal(redis_is(&nil, ""), 0);
	assert_string_equal(redis_text(&text), "OK");
	assert_string_equal(redis_text(&nil), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_command),
		TEST(test_several),
		TEST(test_binary),
		TEST(test_integers),
		TEST(test_lengths),
		TEST(test_many_arguments),
		TEST(test_args),
		TEST(test_script),
		TEST(test_clear),
		TEST(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
