/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_TRACE_H
#define AGENT_TURN_TRACE_H

#include <stdint.h>

#include "base/trace.h"

struct model_call;
struct turn;
struct turn_call;

/* Where a turn stands in the trace of the request that it answers. The loop's
 * thread's, as the turn is. */
struct turn_trace {
	struct trace_context context; /* what is said to others */
	char header[TRACE_SIZE];      /* the same, "" if there is none */

	int recorded; /* the turn is a span, whose id the context has */
	char parent[TRACE_SPAN];
	char agent_name[64];
	int64_t began_us;      /* wall time */
	char chat[TRACE_SPAN]; /* the call of the model that runs */
	char chat_header[TRACE_SIZE];
	int64_t input, output; /* tokens */
	char failure[64];      /* of the last call; "" it went well */
};

/* The turn begins, or is taken up; its history is there. */
void turn_trace_begin(struct turn *t);

/* A call of the model begins: its traceparent, which stays until the next. */
const char *turn_trace_model(struct turn *t);
void turn_trace_model_ended(struct turn *t, struct model_call *call);

/* The traceparent for what a tool call asks of others; "" if there is none.
 * Any thread that has the call. */
void turn_trace_tool(const struct turn_call *c, char out[TRACE_SIZE]);
void turn_trace_tool_over(const struct turn_call *c);

/* The turn is over here. */
void turn_trace_end(struct turn *t, const char *reason);

#endif
