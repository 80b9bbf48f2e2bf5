/* SPDX-License-Identifier: MIT */
/*
 * The SSE decoder on any bytes: whole, and in pieces whose sizes come from
 * the bytes themselves, gives the same events, the same stray lines and the
 * same error. The corpus is plain streams.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/sse.h"

#define BOUND 256

struct run {
	struct sse sse;
	struct buf log;
	struct err err;
	int rc;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct run *r = ctx;

	buf_printf(&r->log, "%d %s %zu:", r->sse.tail, event, len);
	buf_add(&r->log, data, len);
	if (len == 4 && memcmp(data, "stop", 4) == 0)
		return err_set(err, ERR_CANCELLED, "stop");
	return 0;
}

/* In memory of its own, so that nothing reads past a piece or keeps it. */
static void
feed_piece(struct run *r, const uint8_t *data, size_t len)
{
	char *piece = malloc(len);

	if (piece == NULL)
		abort();
	memcpy(piece, data, len);
	r->rc = sse_feed(&r->sse, piece, len, &r->err);
	free(piece);
}

static void
run(struct run *r, const uint8_t *data, size_t len, int split)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->log, NULL);
	sse_init(&r->sse, BOUND, on_event, r);
	for (size_t at = 0, n; r->rc == 0 && at < len; at += n) {
		n = split ? 1 + data[at] * 31u % 17 : len;
		if (n > len - at)
			n = len - at;
		feed_piece(r, data + at, n);
	}
	if (r->rc == 0)
		r->rc = sse_finish(&r->sse, &r->err);
}

static void
run_fini(struct run *r)
{
	sse_fini(&r->sse);
	buf_fini(&r->log);
}

static int
same(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && memcmp(buf_str(a), buf_str(b), a->len) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run a, b;

	run(&a, data, len, 0);
	run(&b, data, len, 1);
	if (a.rc != b.rc || a.err.code != b.err.code ||
	    a.sse.events != b.sse.events || a.sse.tail != b.sse.tail ||
	    a.sse.comments != b.sse.comments || !same(&a.log, &b.log) ||
	    !same(&a.sse.stray, &b.sse.stray))
		abort();
	run_fini(&a);
	run_fini(&b);
	return 0;
}
