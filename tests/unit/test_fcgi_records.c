/* SPDX-License-Identifier: MIT */
/* FastCGI records of a response (FastCGI 1.0, sections 3.3 and 5). */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/fcgi.h"

#define STDOUT 6
#define END_REQUEST 3

struct record {
	int type, id;
	size_t len, padding;
	const unsigned char *content;
};

/* The record at *at, which is moved behind it. */
static struct record
next_record(const struct buf *b, size_t *at)
{
	const unsigned char *p = (const unsigned char *)b->data + *at;
	struct record r;

	assert_true(b->len - *at >= 8);
	assert_int_equal(p[0], 1); /* version */
	r.type = p[1];
	r.id = p[2] << 8 | p[3];
	r.len = (size_t)(p[4] << 8 | p[5]);
	r.padding = p[6];
	assert_int_equal(p[7], 0); /* reserved */
	r.content = p + 8;
	assert_true(b->len - *at >= 8 + r.len + r.padding);
	*at += 8 + r.len + r.padding;
	return r;
}

static void
test_bytes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	fcgi_put_stdout(&b, 1, "Status: 200\r\n\r\n", 15);
	assert_int_equal(b.len, 8 + 15);
	assert_memory_equal(
	    b.data, "\1\6\0\1\0\x0f\0\0Status: 200\r\n\r\n", 23);
	buf_clear(&b);
	fcgi_put_end(&b, 1);
	assert_int_equal(b.len, 8 + 16);
	assert_memory_equal(b.data,
	    "\1\6\0\1\0\0\0\0"  /* STDOUT ends */
	    "\1\3\0\1\0\x8\0\0" /* END_REQUEST */
	    "\0\0\0\0\0\0\0\0", /* status 0, REQUEST_COMPLETE */
	    24);
	buf_fini(&b);
}

static void
test_request_ids(void **state)
{
	static const int ids[] = { 1, 2, 255, 256, 0x1234, 0xff00, 0xffff };
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		size_t at = 0;

		buf_init(&b, NULL);
		fcgi_put_stdout(&b, ids[i], "x", 1);
		fcgi_put_end(&b, ids[i]);
		for (int k = 0; k < 3; k++)
			assert_int_equal(next_record(&b, &at).id, ids[i]);
		assert_int_equal(at, b.len);
		buf_fini(&b);
	}
}

/* Of any length: put together, the records say what was put in. */
static void
test_lengths(void **state)
{
	static const size_t sizes[] = { 1, 7, 8, 65534, 65535, 65536, 65537,
		131070, 131071, 200000, 1000003 };
	char *data = malloc(1000003);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < 1000003; i++)
		data[i] = (char)(i * 31 >> 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t at = 0, seen = 0, records = 0;
		struct buf b;

		buf_init(&b, NULL);
		fcgi_put_stdout(&b, 1, data, sizes[i]);
		for (; at < b.len; records++) {
			struct record r = next_record(&b, &at);

			assert_int_equal(r.type, STDOUT);
			assert_true(r.len > 0); /* empty would end it */
			assert_memory_equal(r.content, data + seen, r.len);
			seen += r.len;
		}
		assert_int_equal(seen, sizes[i]);
		assert_int_equal(records, (sizes[i] + 65534) / 65535);
		buf_fini(&b);
	}
	free(data);
}

/* Nothing to say is no record: an empty one would end the response. */
static void
test_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	fcgi_put_stdout(&b, 1, "", 0);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void
test_appends(void **state)
{
	struct record r;
	struct buf b;
	size_t at = 0;

	(void)state;
	buf_init(&b, NULL);
	fcgi_put_stdout(&b, 3, "one", 3);
	fcgi_put_stdout(&b, 3, "two!", 4);
	fcgi_put_end(&b, 3);
	assert_int_equal(next_record(&b, &at).len, 3);
	r = next_record(&b, &at);
	assert_memory_equal(r.content, "two!", 4);
	assert_int_equal(next_record(&b, &at).len, 0);
	r = next_record(&b, &at);
	assert_int_equal(r.type, END_REQUEST);
	assert_int_equal(r.len, 8);
	assert_int_equal(at, b.len);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_request_ids),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_appends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
