/* SPDX-License-Identifier: MIT */
/* How many workers there shall be: the decisions alone. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "master/scale.h"

#define CORES 4

/* The defaults, changed. */
static struct conf *
conf_of(int64_t mode, int64_t max, int64_t start, int64_t min, int64_t most)
{
	struct buf problems;
	struct err err;
	struct conf *c;

	buf_init(&problems, NULL);
	c = conf_load("", -1, &problems, &err);
	assert_non_null(c);
	buf_fini(&problems);
	c->pm = mode;
	c->pm_max_children = max;
	c->pm_start_servers = start;
	c->pm_min_spare_servers = min;
	c->pm_max_spare_servers = most;
	return c;
}

static struct scale
scale_of(int64_t mode, int64_t max, int64_t start, int64_t min, int64_t most)
{
	struct conf *c = conf_of(mode, max, start, min, most);
	struct scale sc;

	scale_init(&sc, c, CORES);
	conf_free(&c);
	return sc;
}

static int
next(struct scale *sc, int workers, int starting, int spare, int idle)
{
	const struct scale_seen seen = { workers, starting, spare, idle, 0 };

	return scale_next(sc, &seen);
}

static void
test_what_the_settings_mean(void **state)
{
	struct scale sc = scale_of(SCALE_STATIC, 0, 0, 1, 0);

	(void)state;
	assert_int_equal(sc.max, CORES);
	assert_int_equal(sc.start, CORES);
	sc = scale_of(SCALE_DYNAMIC, 10, 0, 2, 6);
	assert_int_equal(sc.start, 4);
	sc = scale_of(SCALE_DYNAMIC, 10, 5, 2, 6);
	assert_int_equal(sc.start, 5);
	sc = scale_of(SCALE_DYNAMIC, 10, 0, 3, 0);
	assert_int_equal(sc.max_spare, 4);
	sc = scale_of(SCALE_DYNAMIC, 0, 9, 9, 9); /* more than cores */
	assert_int_equal(sc.start, CORES);
	assert_int_equal(sc.min_spare, CORES);
	sc = scale_of(SCALE_ONDEMAND, 3, 0, 1, 0);
	assert_int_equal(sc.start, 1);
	assert_int_equal(sc.max, 3);
}

static void
test_workers_is_a_name_of_max_children(void **state)
{
	struct conf *c = conf_of(SCALE_STATIC, 0, 0, 1, 0);
	struct scale sc;

	(void)state;
	c->workers = 7;
	scale_init(&sc, c, CORES);
	assert_int_equal(sc.max, 7);
	conf_free(&c);
}

static void
test_static(void **state)
{
	struct scale sc = scale_of(SCALE_STATIC, 3, 0, 1, 0);

	(void)state;
	assert_int_equal(next(&sc, 3, 0, 0, 0), 3);
	assert_int_equal(next(&sc, 3, 0, 3, 3), 3);
}

static void
test_dynamic_grows_faster_and_faster(void **state)
{
	struct scale sc = scale_of(SCALE_DYNAMIC, 100, 0, 10, 20);

	(void)state;
	assert_int_equal(next(&sc, 10, 0, 0, 0), 11);
	assert_int_equal(next(&sc, 11, 1, 0, 0), 13);
	assert_int_equal(next(&sc, 13, 0, 0, 0), 17);
	assert_int_equal(next(&sc, 17, 0, 0, 0), 25);
	assert_int_equal(next(&sc, 25, 0, 7, 0), 28); /* no more than missing */
	assert_int_equal(next(&sc, 28, 0, 10, 0), 28);
	assert_int_equal(next(&sc, 28, 0, 9, 0), 29); /* and from one again */
	assert_int_equal(next(&sc, 100, 0, 0, 0), 100);
}

static void
test_dynamic_counts_those_that_begin(void **state)
{
	struct scale sc = scale_of(SCALE_DYNAMIC, 10, 0, 2, 4);

	(void)state;
	assert_int_equal(next(&sc, 5, 2, 0, 0), 5);
	assert_int_equal(next(&sc, 5, 1, 0, 0), 6);
}

static void
test_dynamic_shrinks_by_one(void **state)
{
	struct scale sc = scale_of(SCALE_DYNAMIC, 10, 0, 2, 4);

	(void)state;
	assert_int_equal(next(&sc, 10, 0, 10, 10), 9);
	assert_int_equal(next(&sc, 5, 0, 5, 0), 4);
	assert_int_equal(next(&sc, 4, 0, 4, 4), 4);
	assert_int_equal(next(&sc, 8, 0, 4, 0), 8);
}

static void
test_dynamic_settles(void **state)
{
	struct scale sc = scale_of(SCALE_DYNAMIC, 16, 0, 2, 4);
	int n = 3;

	(void)state;
	for (int i = 0; i < 20; i++) /* six of them have much to do */
		n = next(&sc, n, 0, n > 6 ? n - 6 : 0, 0);
	assert_int_equal(n, 8);
	for (int i = 0; i < 20; i++)
		n = next(&sc, n, 0, n, n);
	assert_int_equal(n, 4);
}

static void
test_ondemand(void **state)
{
	struct scale sc = scale_of(SCALE_ONDEMAND, 3, 0, 1, 0);
	const struct scale_seen waiting = { .waiting = 1 };

	(void)state;
	assert_int_equal(sc.start, 1);
	assert_int_equal(next(&sc, 0, 0, 0, 0), 0);
	assert_int_equal(scale_next(&sc, &waiting), 1);
	assert_int_equal(next(&sc, 1, 1, 0, 0), 1);
	assert_int_equal(next(&sc, 1, 0, 0, 0), 2);
	assert_int_equal(next(&sc, 2, 0, 1, 0), 2);
	assert_int_equal(next(&sc, 3, 0, 0, 0), 3);
	assert_int_equal(next(&sc, 3, 0, 3, 1), 2);
	assert_int_equal(next(&sc, 1, 0, 1, 1), 0);
}

static void
test_load(void **state)
{
	struct conf *c = conf_of(SCALE_STATIC, 0, 0, 1, 0);

	(void)state;
	c->request_threads = 16;
	c->limits_turns = 100;
	c->limits_viewers = 1000;
	assert_int_equal(scale_load(c, 0, 0, 0), 0);
	assert_int_equal(scale_load(c, 8, 0, 0), 50);
	assert_int_equal(scale_load(c, 1, 60, 0), 60);
	assert_int_equal(scale_load(c, 1, 60, 900), 90);
	assert_int_equal(scale_load(c, 0, 0, 1), 1); /* not idle */
	assert_int_equal(scale_load(c, 40, 0, 0), 100);
	conf_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_settings_mean),
		cmocka_unit_test(test_workers_is_a_name_of_max_children),
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_dynamic_grows_faster_and_faster),
		cmocka_unit_test(test_dynamic_counts_those_that_begin),
		cmocka_unit_test(test_dynamic_shrinks_by_one),
		cmocka_unit_test(test_dynamic_settles),
		cmocka_unit_test(test_ondemand),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
