/* SPDX-License-Identifier: MIT */
/* Metrics: counters that outlive their worker, labels, and the text. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/metrics_priv.h"
#include "model/failure.h"

static int fd;

static int
setup(void **state)
{
	(void)state;
	fd = metrics_new(NULL);
	return fd < 0 ? -1 : metrics_open(fd, 0, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	metrics_close();
	close(fd);
	return 0;
}

static int
says(const char *line)
{
	struct buf b;
	int found;

	buf_init(&b, NULL);
	metrics_print(&b);
	found = strstr(buf_str(&b), line) != NULL;
	buf_fini(&b);
	return found;
}

/* What a worker of that slot counts before it dies. */
static void
count_in_child(int slot, int64_t events)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (metrics_open(fd, slot, NULL) < 0)
			_exit(1);
		metric_add(METRIC_EVENTS, 0, 0, events);
		metric_set(METRIC_RESIDENT, 1000);
		metric_add(METRIC_TOOL_CALLS,
		    metric_value(LABEL_TOOL, "bash_run"), 0, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_outlives(void **state)
{
	(void)state;
	metric_add(METRIC_EVENTS, 0, 0, 1);
	count_in_child(1, 10);
	count_in_child(2, 100);
	count_in_child(1, 10);
	assert_int_equal(metric_total(METRIC_EVENTS), 121);
	assert_true(says("\nagent_fpm_events_total 121\n"));
	assert_true(says("{tool=\"bash_run\",outcome=\"completed\"} 3\n"));
	/* Gauges of the dead count no more. */
	metric_set(METRIC_RESIDENT, 7);
	assert_true(says("\nprocess_resident_memory_bytes 7\n"));
}

static void
test_gauge_starts_anew(void **state)
{
	(void)state;
	metric_add(METRIC_REQUESTS_ACTIVE, 0, 0, 3);
	metric_add(METRIC_REQUESTS_ACTIVE, 0, 0, -1);
	assert_int_equal(metric_total(METRIC_REQUESTS_ACTIVE), 2);
	metrics_close();
	assert_int_equal(metrics_open(fd, 0, NULL), 0);
	assert_int_equal(metric_total(METRIC_REQUESTS_ACTIVE), 0);
}

static void
test_least(void **state)
{
	(void)state;
	metric_set(METRIC_REDIS_UP, 1);
	assert_true(says("\nagent_fpm_redis_up 1\n"));
	metric_set(METRIC_REDIS_UP, 0);
	assert_true(says("\nagent_fpm_redis_up 0\n"));
}

static void
test_histogram(void **state)
{
	(void)state;
	metric_observe(METRIC_LOOP_LAG, 0, 1000); /* a bound is within */
	metric_observe(METRIC_LOOP_LAG, 0, 1001);
	metric_observe(METRIC_LOOP_LAG, 0, 9000000);
	metric_observe(METRIC_LOOP_LAG, 0, -5);
	assert_true(says("agent_fpm_loop_lag_seconds_bucket{le=\"0.001\"} 2\n"
			 "agent_fpm_loop_lag_seconds_bucket{le=\"0.0025\"} "
			 "3\n"));
	assert_true(says("agent_fpm_loop_lag_seconds_bucket{le=\"1\"} 3\n"
			 "agent_fpm_loop_lag_seconds_bucket{le=\"+Inf\"} 4\n"
			 "agent_fpm_loop_lag_seconds_sum 9.002001\n"
			 "agent_fpm_loop_lag_seconds_count 4\n"));
	assert_int_equal(metric_total(METRIC_LOOP_LAG), 4);
}

/* What does not fit is "other", and stays what it is. */
static void
test_bound(void **state)
{
	char name[32];
	int n = 0;

	(void)state;
	for (int i = 0; i < 2 * METRIC_NAMES; i++) {
		snprintf(name, sizeof(name), "tool-%d", i);
		n += metric_value(LABEL_TOOL, name) != 0;
	}
	assert_int_equal(n, METRIC_NAMES - 1);
	assert_int_equal(metric_value(LABEL_TOOL, "tool-100"), 0);
	assert_int_equal(metric_value(LABEL_TOOL, "tool-0"), 1);
	assert_int_equal(metric_value(LABEL_TOOL, ""), 0);
	assert_string_equal(metric_label_text(LABEL_TOOL, 0), "other");
	assert_string_equal(
	    metric_label_text(LABEL_CODE, metric_value(LABEL_CODE, "9xx")),
	    "other");
}

static void
test_escape(void **state)
{
	(void)state;
	metric_add(METRIC_MODEL_REQUESTS,
	    metric_value(LABEL_MODEL, "a\"b\\c\nd"), 0, 1);
	assert_true(says("{model=\"a\\\"b\\\\c\\nd\",outcome=\"ok\"} 1\n"));
}

/* Each class of a failure is a word. */
static void
test_classes(void **state)
{
	int k;

	(void)state;
	for (int c = 1; c < MODEL_CLASSES; c++) {
		const char *name = model_class_name((enum model_class)c);

		k = metric_value(LABEL_OUTCOME, name);
		assert_string_equal(metric_label_text(LABEL_OUTCOME, k), name);
	}
	k = metric_value(LABEL_OUTCOME, "");
	assert_string_equal(metric_label_text(LABEL_OUTCOME, k), "other");
}

static void
test_not_open(void **state)
{
	(void)state;
	metrics_close();
	metric_add(METRIC_EVENTS, 0, 0, 1);
	metric_observe(METRIC_LOOP_LAG, 0, 1);
	metric_set(METRIC_RESIDENT, 1);
	assert_int_equal(metric_value(LABEL_TOOL, "x"), 0);
	assert_int_equal(metric_total(METRIC_EVENTS), 0);
	assert_int_equal(metrics_open(fd, METRIC_WORKERS, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_outlives, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_gauge_starts_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_least, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_histogram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escape, setup, teardown),
		cmocka_unit_test_setup_teardown(test_classes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
