/* SPDX-License-Identifier: MIT */
/* Turns that run, in shared memory: read while they are written. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "base/running.h"

#define MAX (2 * RUNNING_PER_WORKER)
#define WRITINGS 200000

static int fd;
static struct running_turn list[MAX];

static int
setup(void **state)
{
	(void)state;
	fd = metrics_new(NULL);
	return fd < 0 ? -1 : metrics_open(fd, 3, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	metrics_close();
	close(fd);
	return 0;
}

static void
put(int place, const char *agent, int64_t n)
{
	struct running_turn t = { .began_us = n, .step = n, .since_us = n };

	snprintf(t.agent, sizeof(t.agent), "%s", agent);
	snprintf(t.user, sizeof(t.user), "u%lld", (long long)n);
	running_put(place, &t);
}

static void
test_one(void **state)
{
	int place = running_take();

	(void)state;
	assert_int_equal(running_list(list, MAX), 0); /* not shown yet */
	put(place, "agt_a", 7);
	running_move(place, RUNNING_TOOLS, 2, 9);
	assert_int_equal(running_list(list, MAX), 1);
	assert_string_equal(list[0].agent, "agt_a");
	assert_string_equal(list[0].user, "u7");
	assert_string_equal(running_state_name(list[0].state), "tools");
	assert_int_equal(list[0].began_us, 7);
	assert_int_equal(list[0].step, 2);
	assert_int_equal(list[0].since_us, 9);
	assert_int_equal(list[0].pid, getpid());
	running_drop(place);
	assert_int_equal(running_list(list, MAX), 0);
	assert_int_equal(running_take(), place);
	assert_string_equal(running_state_name(99), "unknown");
}

static void
test_full(void **state)
{
	(void)state;
	for (int i = 0; i < RUNNING_PER_WORKER; i++)
		put(running_take(), "agt_b", i);
	assert_int_equal(running_take(), -1);
	put(-1, "agt_c", 1);
	running_move(-1, RUNNING_MODEL, 1, 1);
	running_drop(-1);
	assert_int_equal(running_list(list, MAX), RUNNING_PER_WORKER);
	assert_int_equal(running_list(list, 5), 5);
	/* The worker's heir begins with none. */
	metrics_close();
	assert_int_equal(running_list(list, MAX), 0);
	assert_int_equal(metrics_open(fd, 3, NULL), 0);
	assert_int_equal(running_list(list, MAX), 0);
}

static _Atomic int written;

static void *
writer(void *arg)
{
	int place = *(int *)arg;

	for (int64_t n = 1; n <= WRITINGS; n++)
		put(place, "agt_d", n);
	atomic_store(&written, 1);
	return NULL;
}

/* What is read is one writing, whole. */
static void
test_whole(void **state)
{
	int place = running_take();
	pthread_t thread;
	char user[64];

	(void)state;
	atomic_store(&written, 0);
	put(place, "agt_d", 1);
	assert_int_equal(pthread_create(&thread, NULL, writer, &place), 0);
	while (!atomic_load(&written)) {
		if (running_list(list, MAX) == 0)
			continue; /* it was written all the time */
		snprintf(
		    user, sizeof(user), "u%lld", (long long)list[0].began_us);
		assert_string_equal(list[0].user, user);
		assert_int_equal(list[0].step, list[0].began_us);
		assert_int_equal(list[0].since_us, list[0].began_us);
	}
	pthread_join(thread, NULL);
	assert_int_equal(running_list(list, MAX), 1);
	assert_int_equal(list[0].step, WRITINGS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
