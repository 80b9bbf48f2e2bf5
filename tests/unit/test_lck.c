/* SPDX-License-Identifier: MIT */
/*
 * Ranked mutexes. That a broken order aborts is seen from outside: a child
 * breaks it, and the signal that ended it is looked at.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clk.h"
#include "base/lck.h"

static struct lck low, high, other_high;
static struct lck_cond cond;

static int
setup(void **state)
{
	(void)state;
	lck_init(&low, LCK_RUNNER);
	lck_init(&high, LCK_TEST);
	lck_init(&other_high, LCK_TEST);
	lck_cond_init(&cond);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	lck_fini(&low);
	lck_fini(&high);
	lck_fini(&other_high);
	lck_cond_fini(&cond);
	return 0;
}

/* The signal that ends a child which does fn; 0 if it comes to its end. */
static int
signal_of(void (*fn)(void))
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		alarm(10);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
take_rising(void)
{
	lck_take(&low);
	lck_take(&high);
	lck_drop(&low);
	lck_drop(&high);
	lck_take(&low);
	lck_drop(&low);
}

static void
take_falling(void)
{
	lck_take(&high);
	lck_take(&low);
}

static void
take_two_of_a_rank(void)
{
	lck_take(&high);
	lck_take(&other_high);
}

static void
take_twice(void)
{
	lck_take(&low);
	lck_take(&low);
}

static void
drop_untaken(void)
{
	lck_drop(&low);
}

static void
drop_twice(void)
{
	lck_take(&low);
	lck_drop(&low);
	lck_drop(&low);
}

static void
test_rising_order(void **state)
{
	(void)state;
	assert_int_equal(signal_of(take_rising), 0);
	take_rising();
}

static void
test_broken_order_aborts(void **state)
{
	(void)state;
#ifdef LCK_CHECK
	assert_int_equal(signal_of(take_falling), SIGABRT);
	assert_int_equal(signal_of(take_two_of_a_rank), SIGABRT);
	assert_int_equal(signal_of(take_twice), SIGABRT);
	assert_int_equal(signal_of(drop_untaken), SIGABRT);
	assert_int_equal(signal_of(drop_twice), SIGABRT);
#else
	(void)take_falling, (void)take_two_of_a_rank, (void)take_twice;
	(void)drop_untaken, (void)drop_twice;
	skip();
#endif
}

/* The ranks that a thread holds are its own. */
static void *
other_thread(void *arg)
{
	(void)arg;
	lck_take(&low);
	lck_drop(&low);
	return NULL;
}

static void
test_per_thread(void **state)
{
	pthread_t t;

	(void)state;
	lck_take(&high);
	assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
	pthread_join(t, NULL);
	lck_drop(&high);
}

#define THREADS 4
#define ROUNDS 2000

static int shared_count;

static void *
count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		lck_take(&low);
		shared_count++;
		lck_drop(&low);
	}
	return NULL;
}

static void
test_excludes(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	shared_count = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(shared_count, THREADS * ROUNDS);
}

static void
test_wait_times_out(void **state)
{
	int64_t start = clk_mono_ms();

	(void)state;
	lck_take(&low);
	while (lck_cond_wait(&cond, &low, start + 60) == 0)
		continue;
	lck_drop(&low);
	assert_in_range(clk_mono_ms() - start, 60, 2000);
}

/* A deadline in the past is over at once; the lock is held all the same. */
static void
test_wait_past(void **state)
{
	int64_t start = clk_mono_ms();

	(void)state;
	lck_take(&low);
	assert_int_equal(lck_cond_wait(&cond, &low, start - 5000), -1);
	assert_int_equal(lck_cond_wait(&cond, &low, 0), -1);
	assert_true(clk_mono_ms() - start < 1000);
	lck_drop(&low);
}

static int ready;

static void *
make_ready(void *arg)
{
	lck_take(&low);
	ready = 1;
	if (arg == NULL)
		lck_cond_signal(&cond);
	else
		lck_cond_broadcast(&cond);
	lck_drop(&low);
	return NULL;
}

static void
test_wait_woken(void **state)
{
	int64_t start = clk_mono_ms();
	pthread_t t;
	int rc = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		ready = 0;
		lck_take(&low);
		assert_int_equal(
		    pthread_create(&t, NULL, make_ready, i ? &t : NULL), 0);
		while (!ready && rc == 0)
			rc = lck_cond_wait(&cond, &low, start + 10000);
		assert_int_equal(rc, 0);
		lck_drop(&low);
		pthread_join(t, NULL);
	}
	assert_true(clk_mono_ms() - start < 5000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rising_order),
		TEST(test_broken_order_aborts),
		TEST(test_per_thread),
		TEST(test_excludes),
		TEST(test_wait_times_out),
		TEST(test_wait_past),
		TEST(test_wait_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
