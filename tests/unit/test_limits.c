/* SPDX-License-Identifier: MIT */
/*
 * The headers of rates: structured fields of
 * draft-ietf-httpapi-ratelimit-headers-10.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/limits.h"
#include "base/buf.h"
#include "store/limit.h"

static const struct conf_rate minute = { 60, 60000, 60 };
static const struct conf_rate odd = { 7, 1500, 2 };

static void
expect(const struct limit_answer *la, const char *policy, const char *state)
{
	struct buf b;

	buf_init(&b, NULL);
	limits_print_policy(&b, la);
	assert_string_equal(buf_str(&b), policy);
	buf_clear(&b);
	limits_print_state(&b, la);
	assert_string_equal(buf_str(&b), state);
	buf_fini(&b);
}

static void
test_one(void **state)
{
	struct limit_answer la = { .count = 1,
		.states = { { &limit_infos[LIMIT_REQUESTS], &minute, 1, 59,
		    1000000, 0 } } };

	(void)state;
	expect(&la, "\"requests\";q=60;w=60", "\"requests\";r=59;t=1");
	la.states[0].reset_us = 1;
	expect(&la, "\"requests\";q=60;w=60", "\"requests\";r=59;t=1");
	la.states[0].reset_us = 0;
	expect(&la, "\"requests\";q=60;w=60", "\"requests\";r=59;t=0");
}

/* Seconds are rounded up: whoever waits so long has waited long enough. */
static void
test_list(void **state)
{
	struct limit_answer la = { .count = 2,
		.states = {
		    { &limit_infos[LIMIT_CHATS], &minute, 1, 0, 59000001, 0 },
		    { &limit_infos[LIMIT_TENANT_CHATS], &odd, 0, 0, 400000,
			200000 } } };

	(void)state;
	expect(&la, "\"chats\";q=60;w=60, \"tenant-chats\";q=7;w=2",
	    "\"chats\";r=0;t=60, \"tenant-chats\";r=0;t=1");
}

/* Names are of headers, settings of messages: each rate has its own. */
static void
test_infos(void **state)
{
	(void)state;
	for (int i = 0; i < LIMIT_RATES; i++) {
		assert_int_equal(
		    strncmp(limit_infos[i].setting, "limits.", 7), 0);
		assert_non_null(limit_infos[i].what);
		for (int k = 0; k < i; k++) {
			assert_string_not_equal(
			    limit_infos[i].name, limit_infos[k].name);
			assert_int_not_equal(
			    limit_infos[i].offset, limit_infos[k].offset);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_infos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
