/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_TRACE_H
#define AGENT_TURN_TRACE_H

#include "base/trace.h"

struct turn;
struct turn_call;

/* Where a turn stands in the trace of the request that it answers. The loop's
 * thread's, as the turn is. */
struct turn_trace {
	struct trace_context context; /* what is said to others */
	char header[TRACE_SIZE];      /* the same, "" if there is none */
};

/* The turn begins, or is taken up; its history is there. */
void turn_trace_begin(struct turn *t);

/* The traceparent for what a tool call asks of others; "" if there is none. */
void turn_trace_tool(struct turn_call *c, char out[TRACE_SIZE]);

#endif
