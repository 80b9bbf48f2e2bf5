/* SPDX-License-Identifier: MIT */
/* Arenas: what is handed out, what is run at the end, what a reset keeps. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static char order[64]; /* which deferred functions ran, in their order */

static void
note(void *arg)
{
	strncat(order, arg, sizeof(order) - strlen(order) - 1);
}

/* Text that a deferred function may keep, whatever the arena does. */
static void *
name(const char *s)
{
	static char names[4][2];
	static unsigned next;
	char *p = names[next++ % 4];

	snprintf(p, sizeof(names[0]), "%s", s);
	return p;
}

static void
test_zeroed_and_aligned(void **state)
{
	static const char zero[3000];
	struct arena *a = arena_open(0);

	(void)state;
	for (size_t size = 0; size < sizeof(zero); size += 37) {
		char *p = arena_alloc(a, size);

		assert_int_equal((uintptr_t)p % 16, 0);
		assert_memory_equal(p, zero, size);
		memset(p, 0xff, size);
	}
	arena_close(&a);
	assert_null(a);
	arena_close(&a);
}

/* Nothing that was handed out moves or is handed out again. */
static void
test_apart(void **state)
{
	struct arena *a = arena_open(256);
	unsigned char *p[200];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		p[i] = arena_alloc(a, i * 7 + 1);
		memset(p[i], (int)i, i * 7 + 1);
	}
	for (unsigned i = 0; i < 200; i++)
		for (unsigned k = 0; k < i * 7 + 1; k++)
			assert_int_equal(p[i][k], i);
	arena_close(&a);
}

static void
test_large(void **state)
{
	struct arena *a = arena_open(64);
	char *big = arena_alloc(a, 3 << 20), *small = arena_alloc(a, 8);

	(void)state;
	memset(big, 'x', 3 << 20);
	assert_int_equal(small[0], 0);
	assert_true(arena_used_bytes(a) >= (3 << 20) + 8);
	arena_close(&a);
}

static void
test_copies(void **state)
{
	struct arena *a = arena_open(1024);
	char text[] = "abc";
	char *dup = arena_strdup(a, text), *mem = arena_memdup(a, "a\0b", 3);

	(void)state;
	text[0] = 'X';
	assert_string_equal(dup, "abc");
	assert_memory_equal(mem, "a\0b\0", 4);
	assert_string_equal(arena_memdup(a, NULL, 0), "");
	assert_string_equal(arena_printf(a, "%s-%d", dup, 7), "abc-7");
	assert_int_equal(strlen(arena_printf(a, "%5000d", 1)), 5000);
	arena_close(&a);
}

/* At every distance from a block's end: whole, aligned, and not in the way of
 * what comes behind. */
static void
test_printf(void **state)
{
	struct arena *a = arena_open(256);
	char *text, *after;

	(void)state;
	for (int n = 1; n < 600; n++) {
		text = arena_printf(a, "%0*d", n, 7);
		assert_int_equal((uintptr_t)text % 16, 0);
		after = arena_alloc(a, 16);
		memset(after, 'x', 16);
		assert_int_equal(strlen(text), n);
		assert_int_equal(text[n - 1], '7');
	}
	arena_close(&a);
}

static void
test_defer_order(void **state)
{
	struct arena *a = arena_open(1024);

	(void)state;
	order[0] = '\0';
	arena_defer(a, note, name("1"));
	arena_alloc(a, 5000);
	arena_defer(a, note, name("2"));
	arena_defer(a, note, name("3"));
	arena_close(&a);
	assert_string_equal(order, "321");
}

static void
test_reset(void **state)
{
	struct arena *a = arena_open(1024);

	(void)state;
	order[0] = '\0';
	arena_defer(a, note, name("1"));
	memset(arena_alloc(a, 100000), 0xff, 100000);
	memset(arena_alloc(a, 500), 0xff, 500);
	arena_reset(a);
	assert_string_equal(order, "1");
	assert_int_equal(arena_used_bytes(a), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(*(char *)arena_alloc(a, 100), 0);
	arena_reset(a);
	arena_close(&a);
	assert_string_equal(order, "1");
}

static struct arena *nested;

static void
defer_again(void *arg)
{
	note(arg);
	arena_defer(nested, note, name("+"));
}

/* What a deferred function defers is run too. */
static void
test_defer_in_defer(void **state)
{
	struct arena *a = arena_open(256);

	(void)state;
	order[0] = '\0';
	nested = a;
	arena_defer(a, note, name("1"));
	arena_defer(a, defer_again, name("2"));
	arena_close(&a);
	assert_string_equal(order, "2+1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_apart),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_defer_order),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_defer_in_defer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
