/* SPDX-License-Identifier: MIT */
/* Errors: every code has its row, and texts stay within their bounds. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void
test_every_code_has_a_row(void **state)
{
	(void)state;
	for (int c = 0; c < ERR_COUNT; c++) {
		const struct err_info *info = err_info((enum err_code)c);

		assert_non_null(info->title);
		assert_non_null(info->type);
		assert_true(strlen(info->title) > 0);
		assert_int_equal(strlen(info->type),
		    strspn(info->type, "abcdefghijklmnopqrstuvwxyz-"));
		if (c == ERR_NONE) {
			assert_int_equal(info->http_status, 200);
			assert_int_equal(info->exit_code, 0);
			continue;
		}
		assert_in_range(info->http_status, 400, 599);
		assert_in_range(info->exit_code, 64, 78);
	}
}

static void
test_types_differ(void **state)
{
	(void)state;
	for (int a = 0; a < ERR_COUNT; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(
			    err_info((enum err_code)a)->type,
			    err_info((enum err_code)b)->type);
}

/* What clients and supervisors depend on. */
static void
test_statuses(void **state)
{
	static const struct {
		enum err_code code;
		int status, exit_code;
	} rows[] = {
		{ ERR_REQUEST, 400, 65 },
		{ ERR_UNAUTHORIZED, 401, 77 },
		{ ERR_FORBIDDEN, 403, 77 },
		{ ERR_NOT_FOUND, 404, 69 },
		{ ERR_METHOD, 405, 64 },
		{ ERR_NOT_ACCEPTABLE, 406, 64 },
		{ ERR_PRECONDITION, 412, 75 },
		{ ERR_TOO_LARGE, 413, 65 },
		{ ERR_MEDIA_TYPE, 415, 65 },
		{ ERR_INVALID, 422, 65 },
		{ ERR_LIMIT, 429, 75 },
		{ ERR_OVERLOAD, 503, 75 },
		{ ERR_CONFIG, 500, 78 },
		{ ERR_USAGE, 400, 64 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct err_info *info = err_info(rows[i].code);

		assert_int_equal(info->http_status, rows[i].status);
		assert_int_equal(info->exit_code, rows[i].exit_code);
	}
}

static void
test_set(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_limit(&e, ERR_LIMIT, "limits.turns", "no"), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_string_equal(e.limit, "limits.turns");
	assert_true(e.retry_after_s > 0);
	assert_int_equal(err_set(&e, ERR_STORE, "lease %s: %d", "x", 7), -1);
	assert_int_equal(e.code, ERR_STORE);
	assert_string_equal(e.text, "lease x: 7");
	assert_string_equal(e.limit, "");
	assert_int_equal(e.retry_after_s, 0);
	assert_int_equal(err_prefix(&e, "agent %d", 3), -1);
	assert_string_equal(e.text, "agent 3: lease x: 7");
	assert_int_equal(e.code, ERR_STORE);
	err_clear(&e);
	assert_int_equal(e.code, ERR_NONE);
	assert_string_equal(e.text, "");
}

static void
test_null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_STORE, "%d", 1), -1);
	assert_int_equal(err_limit(NULL, ERR_LIMIT, "x", "%d", 1), -1);
	assert_int_equal(err_prefix(NULL, "%d", 1), -1);
}

static void
test_bounded(void **state)
{
	struct err e;

	(void)state;
	err_limit(&e, ERR_LIMIT, "a.name.that.is.longer.than.the.room.for.one",
	    "%2000d", 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_int_equal(strlen(e.limit), sizeof(e.limit) - 1);
	err_prefix(&e, "%3000d", 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_set(&e, ERR_STORE, "tail");
	err_prefix(&e, "%390d", 1);
	assert_int_equal(strlen(e.text), 396);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_has_a_row),
		cmocka_unit_test(test_types_differ),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_null_is_allowed),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
