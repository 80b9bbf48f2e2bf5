/* SPDX-License-Identifier: MIT */
/*
 * The heap of a worker: what lives keeps its place, and what was free for a
 * minute on end goes back to the system.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/process.h"
#include "worker/memory.h"

#define PIECES 8192
#define PIECE 4000
#define EACH 64 /* of so many one lives on */

static char *pieces[PIECES];

static void
take_all(void)
{
	for (int i = 0; i < PIECES; i++) {
		if (pieces[i] == NULL)
			pieces[i] = malloc(PIECE);
		assert_non_null(pieces[i]);
		memset(pieces[i], i & 0x7f, PIECE);
	}
}

/* Sanitizers bring a malloc of their own. */
static void
skip_if_not_glibc(void)
{
	if (mallinfo2().uordblks < (size_t)PIECES * PIECE)
		skip();
}

/* Most are free, below some that are not. */
static void
free_most(void)
{
	for (int i = 0; i < PIECES; i++) {
		if (i % EACH != EACH - 1) {
			free(pieces[i]);
			pieces[i] = NULL;
		}
	}
}

static void
free_all(void)
{
	for (int i = 0; i < PIECES; i++) {
		free(pieces[i]);
		pieces[i] = NULL;
	}
}

static int64_t
resident(void)
{
	return process_resident_bytes(getpid());
}

/* Looks once a second from a time on, for so long. */
static void
look(struct memory *m, int64_t from_s, int seconds)
{
	for (int i = 0; i < seconds; i++) {
		clk_fake_set_ms((from_s + i) * 1000);
		memory_look(m);
	}
}

/* A worker that was small, and needs all of it now: how much that is. */
static int64_t
begin(struct memory *m)
{
	memory_init();
	look(m, 10, 1);
	take_all();
	skip_if_not_glibc();
	return resident();
}

static void
test_spare_memory_goes_back(void **state)
{
	struct memory m = { .next_ms = 0 };
	int64_t large;

	(void)state;
	large = begin(&m);
	free_most();
	look(&m, 100, 45);
	assert_true(resident() > large - (large >> 3));
	look(&m, 145, 60);
	assert_true(resident() < large / 2);
	for (int i = EACH - 1; i < PIECES; i += EACH)
		for (int k = 0; k < PIECE; k++)
			assert_int_equal(pieces[i][k], i & 0x7f);
	free_all();
}

static void
test_wanted_memory_stays(void **state)
{
	struct memory m = { .next_ms = 0 };
	int64_t large;

	(void)state;
	large = begin(&m);
	for (int64_t s = 300; s < 600; s += 30) {
		look(&m, s, 1);
		free_most();
		look(&m, s + 10, 11);
		assert_true(resident() > large - (large >> 3));
		take_all();
	}
	free_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spare_memory_goes_back),
		cmocka_unit_test(test_wanted_memory_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
