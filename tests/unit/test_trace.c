/* SPDX-License-Identifier: MIT */
/* Contexts of traces: what is one, and what is none. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/trace.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void
test_good(void **state)
{
	static const struct {
		const char *text, *again;
	} good[] = {
		{ "00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01" },
		{ "00-" TRACE "-" SPAN "-00", "00-" TRACE "-" SPAN "-00" },
		{ "00-" TRACE "-" SPAN "-ff", "00-" TRACE "-" SPAN "-ff" },
		{ "01-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01" },
		{ "cc-" TRACE "-" SPAN "-01-more", "00-" TRACE "-" SPAN "-01" },
		{ "fe-" TRACE "-" SPAN "-03-", "00-" TRACE "-" SPAN "-03" },
	};
	struct trace_context c;
	char text[TRACE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (trace_parse(good[i].text, &c) != 0)
			fail_msg("%s is refused", good[i].text);
		assert_string_equal(c.trace, TRACE);
		assert_string_equal(c.span, SPAN);
		trace_print(text, &c);
		assert_string_equal(text, good[i].again);
	}
}

static void
test_bad(void **state)
{
	static const char *const bad[] = { "", "00", "00-" TRACE "-" SPAN,
		"00-" TRACE "-" SPAN "-", "00-" TRACE "-" SPAN "-0",
		"00-" TRACE "-" SPAN "-1 ", "00-" TRACE "-" SPAN "-01 ",
		" 00-" TRACE "-" SPAN "-01", "00-" TRACE "-" SPAN "-01-more",
		"00-" TRACE "-" SPAN "-011", "cc-" TRACE "-" SPAN "-01.more",
		"ff-" TRACE "-" SPAN "-01", "0-" TRACE "-" SPAN "-01",
		"0g-" TRACE "-" SPAN "-01", "0A-" TRACE "-" SPAN "-01",
		"00_" TRACE "-" SPAN "-01", "00-" TRACE "_" SPAN "-01",
		"00-" TRACE "-" SPAN "_01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
		"00-" TRACE "-00F067AA0BA902B7-01",
		"00-" TRACE "-0000000000000000-01",
		"00-00000000000000000000000000000000-" SPAN "-01",
		"00-" TRACE "-" SPAN "-0A",
		"00-" TRACE "-" SPAN "-01, 00-" TRACE "-" SPAN "-01" };
	struct trace_context c;
	char text[TRACE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (trace_parse(bad[i], &c) != -1)
			fail_msg("%s is taken", bad[i]);
		trace_print(text, &c);
		assert_string_equal(text, "");
	}
}

static void
test_new(void **state)
{
	struct trace_context a, b, c;
	char text[TRACE_SIZE], span[TRACE_SPAN];

	(void)state;
	trace_begin(&a, 1);
	trace_begin(&b, 0);
	assert_string_not_equal(a.trace, b.trace);
	assert_string_not_equal(a.span, b.span);
	assert_int_equal(a.flags, TRACE_SAMPLED);
	assert_int_equal(b.flags, 0);
	trace_print(text, &a);
	assert_int_equal(trace_parse(text, &c), 0);
	assert_string_equal(c.trace, a.trace);
	trace_span_make(span);
	assert_int_equal(strlen(span), 16);
	assert_string_not_equal(span, a.span);
	trace_span_of("call_1", span);
	trace_span_of("call_1", b.span);
	trace_span_of("call_2", a.span);
	assert_int_equal(strlen(span), 16);
	assert_string_equal(span, b.span);
	assert_string_not_equal(span, a.span);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
