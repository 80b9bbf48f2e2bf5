/* SPDX-License-Identifier: MIT */
#ifndef API_TRACE_H
#define API_TRACE_H

#include <stdint.h>

#include "base/trace.h"

struct api_call;

/* The trace of a request that brings a message. */
struct api_trace {
	char header[TRACE_SIZE]; /* the traceparent for its turn, or "" */
	struct trace_context context;
	char parent[TRACE_SPAN]; /* "": the trace begins here */
	int recorded;
	int64_t began_us; /* wall time */
};

/* From what it brings; or one that begins here, if traces are recorded. */
void api_trace_begin(const struct api_call *c, struct api_trace *x);

/* The message is kept, for a turn. */
void api_trace_end(
    const struct api_call *c, const struct api_trace *x, const char *turn);

#endif
