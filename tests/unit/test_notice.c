/* SPDX-License-Identifier: MIT */
/* Texts that processes leave for each other. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/notice.h"

static struct notice n;

static int
begin(void **state)
{
	(void)state;
	memset(&n, 0, sizeof(n));
	return 0;
}

static void
test_read(void **state)
{
	uint64_t writer = 0, reader = 0;
	int64_t at, life;
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	assert_false(notice_is_newer(&n, reader));
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 0);
	notice_put(&n, "one", 3, 1000, 60, &writer);
	assert_false(notice_is_newer(&n, writer));
	assert_true(notice_is_newer(&n, reader));
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 1);
	assert_string_equal(buf_str(&b), "one");
	assert_int_equal(at, 1000);
	assert_int_equal(life, 60);
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 0);
	notice_put(&n, "", 0, 1001, 60, &writer);
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 1);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

static void
test_too_long(void **state)
{
	static char text[NOTICE_MAX_BYTES + 1];
	uint64_t writer = 0;

	(void)state;
	notice_put(&n, text, sizeof(text), 1000, 60, &writer);
	assert_int_equal(writer, 0);
	assert_false(notice_is_newer(&n, 0));
	notice_put(&n, text, NOTICE_MAX_BYTES, 1000, 60, &writer);
	assert_true(notice_is_newer(&n, 0));
}

static void
test_a_writer_that_dies(void **state)
{
	uint64_t writer = 0, reader = 0;
	int64_t at, life;
	struct buf b;

	(void)state;
	buf_init(&b, NULL);
	notice_put(&n, "one", 3, 1000, 60, &writer);
	n.seq++; /* it is at it, and dies */
	n.writing_ms = 2000;
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 0);
	notice_put(&n, "two", 3, 3000, 60, &writer);
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 0);
	notice_put(&n, "three", 5, 9000, 60, &writer);
	assert_int_equal(notice_read(&n, &b, &reader, &at, &life), 1);
	assert_string_equal(buf_str(&b), "three");
	assert_false(notice_is_newer(&n, writer));
	buf_fini(&b);
}

static void
test_claims(void **state)
{
	(void)state;
	assert_int_equal(notice_claimed_ms(&n), INT64_MIN);
	assert_true(notice_is_free(&n, 5000));
	assert_int_equal(notice_claim(&n, 5000, 60000), 1);
	assert_int_equal(notice_claim(&n, 64999, 60000), 0);
	assert_false(notice_is_free(&n, 64999));
	assert_int_equal(notice_claimed_ms(&n), 5000);
	assert_int_equal(notice_claim(&n, 65000, 60000), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read, begin),
		cmocka_unit_test_setup(test_too_long, begin),
		cmocka_unit_test_setup(test_a_writer_that_dies, begin),
		cmocka_unit_test_setup(test_claims, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
