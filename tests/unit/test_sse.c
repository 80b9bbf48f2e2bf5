/* SPDX-License-Identifier: MIT */
/*
 * The SSE decoder: WHATWG's examples, what providers make of them, and that
 * the way bytes are split never shows.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/sse.h"

#define BOUND 64

struct run {
	struct sse sse;
	struct buf log; /* name=data| per event, !name=data| at EOF */
	int stop_at;    /* the event that fails, 0: none */
	int rc;
	struct err err;
};

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct run *r = ctx;

	buf_printf(&r->log, "%s%s=", r->sse.tail ? "!" : "", event);
	buf_add(&r->log, data, len);
	buf_putc(&r->log, '|');
	if (r->stop_at > 0 && --r->stop_at == 0)
		return err_set(err, ERR_CANCELLED, "enough");
	return 0;
}

/* Feeds in pieces of step bytes, each in memory of its own. */
static void
run_start(struct run *r, const char *text, size_t len, size_t step, int stop_at)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->log, NULL);
	sse_init(&r->sse, BOUND, on_event, r);
	r->stop_at = stop_at;
	for (size_t at = 0; r->rc == 0 && at < len; at += step) {
		size_t n = len - at < step ? len - at : step;
		char *piece = malloc(n);

		assert_non_null(piece);
		memcpy(piece, text + at, n);
		r->rc = sse_feed(&r->sse, piece, n, &r->err);
		free(piece);
	}
	if (r->rc == 0)
		r->rc = sse_finish(&r->sse, &r->err);
}

static void
run_end(struct run *r)
{
	sse_fini(&r->sse);
	buf_fini(&r->log);
}

/* Whole, and in pieces of each size: the same events. */
static void
expect_n(const char *text, size_t len, const char *events, const char *stray,
    enum err_code code)
{
	struct run r;

	for (size_t step = len > 0 ? len : 1; step > 0; step--) {
		run_start(&r, text, len, step, 0);
		assert_string_equal(buf_str(&r.log), events);
		assert_string_equal(buf_str(&r.sse.stray), stray);
		assert_int_equal(r.rc, code == ERR_NONE ? 0 : -1);
		assert_int_equal(r.err.code, code);
		run_end(&r);
	}
}

static void
expect(const char *text, const char *events)
{
	expect_n(text, strlen(text), events, "", ERR_NONE);
}

static void
test_whatwg(void **state)
{
	(void)state;
	expect("data: YHOO\ndata: +2\ndata: 10\n\n", "message=YHOO\n+2\n10|");
	expect(": test stream\n\ndata: first event\nid: 1\n\n"
	       "data:second event\nid\n\ndata:  third event\n",
	    "message=first event|message=second event|"
	    "!message= third event|");
	expect("data\n\ndata\ndata\n\ndata:", "message=|message=\n|!message=|");
	expect("data:test\n\ndata: test\n\n", "message=test|message=test|");
}

static void
test_names(void **state)
{
	(void)state;
	expect("event: ping\ndata: {}\n\ndata: x\n\n", "ping={}|message=x|");
	expect("event: lost\n\ndata: x\n\n", "message=x|");
	expect("event: a\nevent:b\ndata: x\nretry: 5\n\n", "b=x|");
	expect("event\ndata: x\n\n", "message=x|");
}

static void
test_line_ends(void **state)
{
	(void)state;
	expect("data: a\r\n\r\ndata: b\r\rdata: c\n\n",
	    "message=a|message=b|message=c|");
	expect("data: a\n\r\ndata: b\r\n\ndata: c\n\r",
	    "message=a|message=b|message=c|");
	expect("\r\n\r\ndata: a\r\ndata: b\rdata: c\n\r\n\r\n",
	    "message=a\nb\nc|");
	expect("data: a\r\r\ndata: b\r\n\n\r\r\n", "message=a|message=b|");
}

static void
test_bom(void **state)
{
	(void)state;
	expect("\xef\xbb\xbf"
	       "data: a\n\n",
	    "message=a|");
	expect("\xef\xbb\xbf\n", "");
	expect("\xef\xbb\xbf", "");
	expect("data: a\n\ndata: \xef\xbb\xbf\n\n",
	    "message=a|message=\xef\xbb\xbf|");
}

static void
test_tail(void **state)
{
	(void)state;
	expect("data: a\n\ndata: b", "message=a|!message=b|");
	expect("data: a\n\ndata: b\n", "message=a|!message=b|");
	expect("data: a\n\nevent: b", "message=a|");
	expect("data: a\r\n\r\n", "message=a|");
	expect("data: a\n\n: bye", "message=a|");
	expect("", "");
}

static void
test_comments(void **state)
{
	struct run r;
	const char *text = ": keep-alive\n\n:\n:x\ndata: a\n: in\n\n";

	(void)state;
	expect(text, "message=a|");
	run_start(&r, text, strlen(text), 3, 0);
	assert_int_equal(r.sse.comments, 4);
	assert_int_equal(r.sse.events, 1);
	run_end(&r);
}

static void
test_nul(void **state)
{
	static const char text[] = "data: a\0b\n\n";
	static const char none[] = "id: 7\ndata: x\n\nid\n\n";
	struct run r;

	(void)state;
	run_start(&r, none, sizeof(none) - 1, 1, 0);
	assert_string_equal(buf_str(&r.sse.id), "");
	assert_int_equal(r.sse.retry_ms, -1);
	run_end(&r);
	for (size_t step = 1; step < sizeof(text); step++) {
		run_start(&r, text, sizeof(text) - 1, step, 0);
		assert_int_equal(r.log.len, 12);
		assert_memory_equal(r.log.data, "message=a\0b|", 12);
		run_end(&r);
	}
}

/* spec/providers.md, section 0, rule 7. */
static void
test_stray(void **state)
{
	const char *text = "data: a\n\n{\n  \"error\": {\n  }\n}";

	(void)state;
	expect_n(text, strlen(text), "message=a|",
	    "{\n  \"error\": {\n  }\n}\n", ERR_NONE);
	expect_n("foo: x\nDATA: y\n data: z\n\n", 24, "",
	    "foo: x\nDATA: y\n data: z\n", ERR_NONE);
}

static void
test_stray_bounded(void **state)
{
	struct run r;
	char line[BOUND];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	run_start(&r, "", 0, 1, 0);
	r.sse.over = 0;
	for (int i = 0; i < 4096; i++)
		assert_int_equal(
		    sse_feed(&r.sse, line, sizeof(line), &r.err), 0);
	assert_in_range(r.sse.stray.len, 60000, 64 * 1024);
	run_end(&r);
}

static char *
repeat(char c, size_t n)
{
	static char text[4 * BOUND];

	assert_true(n < sizeof(text));
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

static void
expect_bound(
    size_t len, const char *fmt, const char *events, enum err_code code)
{
	struct buf b;

	buf_init(&b, NULL);
	buf_puts(&b, "data: a\n\n");
	for (; *fmt != '\0'; fmt++)
		if (*fmt == '*')
			buf_puts(&b, repeat('y', len));
		else
			buf_putc(&b, *fmt);
	expect_n(b.data, b.len, events, "", code);
	buf_fini(&b);
}

static void
test_bound(void **state)
{
	(void)state;
	expect_bound(BOUND - 6, "data: *\n",
	    "message=a|!message="
	    "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy|",
	    ERR_NONE);
	expect_bound(BOUND - 5, "data: *\n\n", "message=a|", ERR_TOO_LARGE);
	expect_bound(BOUND - 5, "data: *", "message=a|", ERR_TOO_LARGE);
	expect_bound(BOUND, ":*\n\ndata: b\n\n", "message=a|", ERR_TOO_LARGE);
	expect_bound(
	    BOUND / 2, "data:*\ndata:*\n\n", "message=a|", ERR_TOO_LARGE);
	expect_bound(1, "data:\ndata:\ndata:*\ndata:\n\n",
	    "message=a|message=\n\ny\n|", ERR_NONE);
}

static void
test_receiver_stops(void **state)
{
	const char *text = "data: a\n\ndata: b\n\ndata: c\n\n";
	struct run r;

	(void)state;
	for (size_t step = 1; step <= strlen(text); step++) {
		run_start(&r, text, strlen(text), step, 2);
		assert_string_equal(r.log.data, "message=a|message=b|");
		assert_int_equal(r.err.code, ERR_CANCELLED);
		assert_int_equal(sse_feed(&r.sse, "x", 1, &r.err), -1);
		assert_int_equal(r.err.code, ERR_INTERNAL);
		assert_int_equal(sse_finish(&r.sse, &r.err), -1);
		run_end(&r);
	}
}

/* One data line in one read is not copied. */
static const char *seen;

static int
on_seen(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)event;
	(void)len;
	(void)err;
	seen = data;
	return 0;
}

static void
test_no_copy(void **state)
{
	const char *text = "event: a\ndata: abc\n\n";
	struct sse s;

	(void)state;
	sse_init(&s, BOUND, on_seen, NULL);
	assert_int_equal(sse_feed(&s, text, strlen(text), NULL), 0);
	assert_ptr_equal(seen, text + 15);
	assert_null(s.data.data);
	assert_null(s.line.data);
	sse_fini(&s);
}

/* Where to go on after a cut: an event counts when it is whole. */
static void
test_id_and_retry(void **state)
{
	static const char text[] =
	    "id: 7\nretry: 1500\ndata: x\n\nretry: 2s\nid: 8\ndata: y\n";
	static const char none[] = "id: 7\ndata: x\n\nid\n\n";
	struct run r;

	(void)state;
	run_start(&r, none, sizeof(none) - 1, 1, 0);
	assert_string_equal(buf_str(&r.sse.id), "");
	assert_int_equal(r.sse.retry_ms, -1);
	run_end(&r);
	for (size_t step = 1; step < sizeof(text); step++) {
		run_start(&r, text, sizeof(text) - 1, step, 0);
		assert_string_equal(buf_str(&r.sse.id), "7");
		assert_int_equal(r.sse.retry_ms, 1500);
		run_end(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whatwg),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_bom),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_stray),
		cmocka_unit_test(test_stray_bounded),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_receiver_stops),
		cmocka_unit_test(test_no_copy),
		cmocka_unit_test(test_id_and_retry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
