/* SPDX-License-Identifier: MIT */
/* The scoreboard: limits over all rows, and entries that come and go. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/scoreboard.h"

#define ROWS 3
#define PLENTY 1000000

static struct scoreboard *sb;

static int
setup(void **state)
{
	(void)state;
	sb = scoreboard_new(ROWS, NULL);
	return sb == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	scoreboard_free(&sb);
	return sb == NULL ? 0 : -1;
}

static int
take(int slot, const char *user, int64_t max)
{
	return scoreboard_count_take(sb, slot, BOARD_TURNS, user, max, PLENTY);
}

static void
drop(int slot, const char *user)
{
	scoreboard_count_drop(sb, slot, BOARD_TURNS, user);
}

/* Entries of a row that stand for a user. */
static int
entries(int slot)
{
	struct board_worker *row = scoreboard_row(sb, slot);
	int n = 0;

	for (int i = 0; i < BOARD_USERS; i++)
		n += row->users[i].hash != 0;
	return n;
}

/* What the entries of a row say, added up. */
static uint64_t
counted(int slot)
{
	struct board_worker *row = scoreboard_row(sb, slot);
	uint64_t n = row->rest.count[BOARD_TURNS];

	for (int i = 0; i < BOARD_USERS; i++)
		n += row->users[i].count[BOARD_TURNS];
	return n;
}

static const char *
user_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "user-%d", i);
	return name;
}

static void
test_empty(void **state)
{
	(void)state;
	assert_int_equal(scoreboard_workers(sb), ROWS);
	for (int i = 0; i < ROWS; i++) {
		struct board_worker *row = scoreboard_row(sb, i);

		assert_int_equal(row->pid, 0);
		assert_int_equal(row->state, BOARD_EMPTY);
		assert_int_equal(row->count[BOARD_VIEWERS], 0);
		assert_int_equal(entries(i), 0);
	}
}

static void
test_user_limit_over_rows(void **state)
{
	(void)state;
	assert_int_equal(take(0, "alice", 3), 1);
	assert_int_equal(take(1, "alice", 3), 1);
	assert_int_equal(take(2, "alice", 3), 1);
	for (int i = 0; i < ROWS; i++)
		assert_int_equal(take(i, "alice", 3), 0);
	assert_int_equal(take(0, "bob", 3), 1);
	assert_int_equal(scoreboard_count(sb, BOARD_TURNS, "alice"), 3);
	assert_int_equal(scoreboard_count(sb, BOARD_TURNS, "bob"), 1);
	assert_int_equal(scoreboard_count(sb, BOARD_VIEWERS, "bob"), 0);
	assert_int_equal(scoreboard_count(sb, BOARD_TURNS, "nobody"), 0);
	drop(1, "alice");
	assert_int_equal(take(2, "alice", 3), 1);
	assert_int_equal(take(2, "alice", 3), 0);
	assert_int_equal(scoreboard_row(sb, 2)->count[BOARD_TURNS], 2);
}

static void
test_no_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(take(0, "alice", 0), 1);
	assert_int_equal(entries(0), 1);
}

static void
test_worker_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(scoreboard_count_take(
				     sb, 0, BOARD_VIEWERS, user_name(i), 2, 5),
		    1);
	assert_int_equal(
	    scoreboard_count_take(sb, 0, BOARD_VIEWERS, "x", 2, 5), -1);
	assert_int_equal(
	    scoreboard_count_take(sb, 1, BOARD_VIEWERS, "x", 2, 5), 1);
	scoreboard_count_drop(sb, 0, BOARD_VIEWERS, user_name(3));
	assert_int_equal(
	    scoreboard_count_take(sb, 0, BOARD_VIEWERS, "x", 2, 5), 1);
}

/* Viewers and turns of one user are counted apart. */
static void
test_kinds(void **state)
{
	(void)state;
	assert_int_equal(take(0, "alice", 1), 1);
	assert_int_equal(
	    scoreboard_count_take(sb, 0, BOARD_VIEWERS, "alice", 1, 9), 1);
	assert_int_equal(take(0, "alice", 1), 0);
	drop(0, "alice");
	assert_int_equal(entries(0), 1);
	scoreboard_count_drop(sb, 0, BOARD_VIEWERS, "alice");
	assert_int_equal(entries(0), 0);
}

/* What is refused leaves no trace. */
static void
test_refusal_counts_nothing(void **state)
{
	(void)state;
	take(0, "alice", 1);
	for (int i = 0; i < 100; i++)
		take(1, "alice", 1);
	assert_int_equal(entries(1), 0);
	assert_int_equal(scoreboard_row(sb, 1)->count[BOARD_TURNS], 0);
	drop(0, "alice");
	assert_int_equal(take(1, "alice", 1), 1);
}

/* A worker died: what it held is counted no more; its restarts are kept. */
static void
test_row_clear(void **state)
{
	struct board_worker *row = scoreboard_row(sb, 1);

	(void)state;
	take(0, "alice", 2);
	take(1, "alice", 2);
	row->pid = 77;
	row->state = BOARD_READY;
	row->restarts = 5;
	row->requests = 9;
	assert_int_equal(take(2, "alice", 2), 0);
	scoreboard_row_clear(sb, 1);
	assert_int_equal(take(2, "alice", 2), 1);
	assert_int_equal(row->pid, 0);
	assert_int_equal(row->state, BOARD_EMPTY);
	assert_int_equal(row->restarts, 5);
	assert_int_equal(row->requests, 0);
	assert_int_equal(entries(0), 1);
}

/* Two mappings of one memfd, as two processes have them. */
static void
test_two_mappings(void **state)
{
	struct scoreboard *other =
	    scoreboard_open(dup(scoreboard_fd(sb)), NULL);

	(void)state;
	assert_non_null(other);
	assert_int_equal(scoreboard_workers(other), ROWS);
	assert_int_equal(take(0, "alice", 2), 1);
	assert_int_equal(
	    scoreboard_count_take(other, 1, BOARD_TURNS, "alice", 2, 9), 1);
	assert_int_equal(take(0, "alice", 2), 0);
	assert_int_equal(
	    scoreboard_count_take(other, 1, BOARD_TURNS, "alice", 2, 9), 0);
	scoreboard_row(other, 1)->requests = 5;
	assert_int_equal(scoreboard_row(sb, 1)->requests, 5);
	drop(0, "alice");
	assert_int_equal(
	    scoreboard_count_take(other, 1, BOARD_TURNS, "alice", 2, 9), 1);
	scoreboard_free(&other);
	assert_null(other);
	scoreboard_free(&other);
	assert_int_equal(take(0, "alice", 2), 0);
}

static void
test_not_a_board(void **state)
{
	struct err err = { 0 };
	int fds[2];

	(void)state;
	assert_null(scoreboard_open(-1, &err));
	assert_int_equal(err.code, ERR_INTERNAL);
	assert_int_equal(pipe(fds), 0);
	assert_null(scoreboard_open(fds[0], &err));
	close(fds[0]);
	close(fds[1]);
}

static void
test_many_users(void **state)
{
	enum { N = 2000 };

	(void)state;
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++)
			assert_int_equal(take(0, user_name(i), 2), 1);
	assert_int_equal(entries(0), N);
	for (int i = 0; i < N; i++)
		assert_int_equal(take(1, user_name(i), 2), 0);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++)
			drop(0, user_name(i));
	assert_int_equal(counted(0), 0);
	assert_int_equal(scoreboard_row(sb, 0)->count[BOARD_TURNS], 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(take(1, user_name(i), 1), 1);
}

/* Users come and go while a few stay: their entries do not pile up. */
static void
test_released_beside_those_who_stay(void **state)
{
	enum { STAY = 100 };

	(void)state;
	for (int i = 0; i < STAY; i++)
		take(0, user_name(i), 0);
	for (int i = STAY; i < 60000; i++) {
		assert_int_equal(take(0, user_name(i), 1), 1);
		drop(0, user_name(i));
	}
	assert_int_equal(counted(0), STAY);
	assert_in_range(entries(0), STAY, BOARD_USERS / 2);
}

/*
 * More users than entries: those without one share, and nothing is lost or
 * left over, in whatever order they leave.
 */
static void
test_more_users_than_entries(void **state)
{
	enum { N = BOARD_USERS + 1000 };

	(void)state;
	for (int i = 0; i < N; i++)
		assert_int_equal(take(0, user_name(i), 0), 1);
	assert_int_equal(counted(0), N);
	for (int i = 0; i < N; i++)
		drop(0, user_name((int)((long)i * 7919 % N)));
	assert_int_equal(scoreboard_row(sb, 0)->count[BOARD_TURNS], 0);
	assert_int_equal(counted(0), 0);
}

/* A table that was full once counts as before. */
static void
test_works_again_after_it_was_full(void **state)
{
	enum { N = BOARD_USERS + 1000 };

	(void)state;
	for (int i = 0; i < N; i++)
		take(0, user_name(i), 0);
	for (int i = 0; i < N; i++)
		drop(0, user_name(i));
	for (int i = N; i < 3 * N; i++) {
		assert_int_equal(take(0, user_name(i), 1), 1);
		assert_int_equal(take(0, user_name(i), 1), 0);
		drop(0, user_name(i));
	}
	assert_int_equal(counted(0), 0);
}

static void *
take_and_drop(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		if (take(0, arg, 3) == 1)
			drop(0, arg);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	static char users[4][8] = { "a", "b", "a", "c" };
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&t[i], NULL, take_and_drop, users[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(scoreboard_row(sb, 0)->count[BOARD_TURNS], 0);
	assert_int_equal(entries(0), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_user_limit_over_rows),
		TEST(test_no_limit),
		TEST(test_worker_limit),
		TEST(test_kinds),
		TEST(test_refusal_counts_nothing),
		TEST(test_row_clear),
		TEST(test_two_mappings),
		TEST(test_not_a_board),
		TEST(test_many_users),
		TEST(test_released_beside_those_who_stay),
		TEST(test_more_users_than_entries),
		TEST(test_works_again_after_it_was_full),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
