/* SPDX-License-Identifier: MIT */
/*
 * A turn's place in a trace. The context came with the request and is kept
 * with its message, so it is the same if the message waits, or if another
 * worker takes the turn up. Models, tools and hooks are told of it.
 */
#include "config.h"

#include <string.h>

#include "agent/turn_priv.h"
#include "agent/turn_trace.h"

void
turn_trace_begin(struct turn *t)
{
	struct turn_trace *x = &t->meter.trace;

	trace_parse(t->history->trace, &x->context);
	trace_print(x->header, &x->context);
}

void
turn_trace_tool(struct turn_call *c, char out[TRACE_SIZE])
{
	strcpy(out, c->turn->meter.trace.header);
}
