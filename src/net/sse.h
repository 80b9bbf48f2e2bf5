/* SPDX-License-Identifier: MIT */
#ifndef NET_SSE_H
#define NET_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct err;

/*
 * A decoder of text/event-stream, fed bytes in any pieces (WHATWG HTML,
 * "Interpreting an event stream"; spec/providers.md, section 0, rules 1-8).
 * One thread at a time. Nothing here blocks.
 */

/*
 * An event. event is "message" where the stream gave no name. data is not
 * followed by a 0 byte and is gone when this returns. 0 to go on, or -1 and
 * err: the decoder is then over. Must not call the decoder.
 */
typedef int sse_event_f(void *ctx, const char *event, const char *data,
    size_t len, struct err *err);

/* For reading: events, comments, id, retry_ms, tail and stray. The rest is
 * sse.c's. */
struct sse {
	sse_event_f *event;
	void *ctx;
	size_t event_bytes;

	struct buf line; /* the start of a line whose end has not come */
	struct buf name;
	struct buf id;      /* of the last event that had one, or empty */
	struct buf next_id; /* of the one that is not whole yet */
	int64_t retry_ms;   /* that the stream asks for; -1: it does not */
	struct buf data;
	const char *one; /* the only data line so far, in the caller's bytes */
	size_t one_len;
	int has_data, has_id;
	int started;
	int skip_lf; /* a line ended with CR: an LF belongs to it */
	int over;

	struct buf stray;  /* lines that are no SSE field, bounded */
	uint64_t events;   /* delivered */
	uint64_t comments; /* a server that keeps the stream alive */
	int tail;          /* no blank line ended the event: EOF did */
};

/* event_bytes: the bound of a line, and of the data of an event. */
void sse_init(struct sse *s, size_t event_bytes, sse_event_f *event, void *ctx);
void sse_fini(struct sse *s);

/*
 * Takes len bytes, calls event for each event they complete. 0, or -1:
 * ERR_TOO_LARGE, what event said, or ERR_INTERNAL if it was over before.
 */
int sse_feed(struct sse *s, const char *p, size_t len, struct err *err);

/*
 * The stream has ended. What it left without a blank line, or in a line
 * without an end, is delivered with tail set: the receiver decides whether
 * that is whole (WHATWG would drop it). Results as sse_feed.
 */
int sse_finish(struct sse *s, struct err *err);

#endif
