/* SPDX-License-Identifier: MIT */
/* Growing byte strings: on the heap and in an arena they do the same. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

/* Runs fn on a buffer of each kind. */
static void
on_both(void (*fn)(struct buf *))
{
	struct arena *a = arena_open(256);
	struct buf heap, in_arena;

	buf_init(&heap, NULL);
	buf_init(&in_arena, a);
	fn(&heap);
	fn(&in_arena);
	buf_fini(&heap);
	buf_fini(&in_arena);
	assert_null(heap.data);
	assert_int_equal(heap.len, 0);
	arena_close(&a);
}

static void
do_empty(struct buf *b)
{
	assert_string_equal(buf_str(b), "");
	buf_add(b, NULL, 0);
	assert_int_equal(b->len, 0);
	buf_consume(b, 0);
	buf_clear(b);
	assert_string_equal(buf_str(b), "");
}

static void
do_add(struct buf *b)
{
	buf_puts(b, "ab");
	buf_putc(b, 'c');
	buf_lit(b, "d\0e");
	buf_printf(b, "%d", 42);
	assert_int_equal(b->len, 8);
	assert_memory_equal(b->data, "abcd\0e42", 9);
}

/* The 0 byte is there at every length. */
static void
do_terminated(struct buf *b)
{
	for (size_t i = 0; i < 5000; i++) {
		buf_putc(b, 'x');
		assert_int_equal(b->len, i + 1);
		assert_true(b->len < b->cap);
		assert_int_equal(b->data[b->len], '\0');
	}
	assert_int_equal(strlen(buf_str(b)), 5000);
}

static void
do_printf(struct buf *b)
{
	for (int n = 0; n < 400; n++) {
		buf_clear(b);
		buf_printf(b, "%*s", n, "");
		assert_int_equal(b->len, n);
		assert_int_equal(strlen(buf_str(b)), n);
	}
	buf_printf(b, "%s", "tail");
	assert_int_equal(b->len, 403);
}

static void
do_consume(struct buf *b)
{
	buf_puts(b, "headtail");
	buf_consume(b, 4);
	assert_string_equal(buf_str(b), "tail");
	buf_consume(b, 0);
	assert_string_equal(buf_str(b), "tail");
	buf_consume(b, 4);
	assert_int_equal(b->len, 0);
	assert_string_equal(buf_str(b), "");
}

static void
do_reserve(struct buf *b)
{
	const char *data;

	buf_puts(b, "keep");
	buf_reserve(b, 10000);
	data = b->data;
	assert_string_equal(data, "keep");
	for (int i = 0; i < 10000; i++)
		buf_putc(b, 'y');
	assert_ptr_equal(b->data, data);
	buf_clear(b);
	assert_ptr_equal(b->data, data);
	assert_string_equal(buf_str(b), "");
}

#define BOTH(name)                                                             \
	static void test_##name(void **state)                                  \
	{                                                                      \
		(void)state;                                                   \
		on_both(do_##name);                                            \
	}

BOTH(empty)
BOTH(add)
BOTH(terminated)
BOTH(printf)
BOTH(consume)
BOTH(reserve)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_terminated),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
