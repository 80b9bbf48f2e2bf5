/* SPDX-License-Identifier: MIT */
/*
 * The trace of a request that brings a message: its own, if it brings a
 * traceparent, else one that begins here for as many as otlp.sample says. The
 * request is a span of it, within which stands the turn, now or later.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/trace.h"
#include "base/clk.h"
#include "http/route.h"
#include "net/otlp.h"

void
api_trace_begin(const struct api_call *c, struct api_trace *x)
{
	const char *h = http_header(c->rq, "HTTP_TRACEPARENT");
	const struct otlp *o = c->app->otlp;

	memset(x, 0, sizeof(*x));
	x->began_us = clk_wall_us();
	if (trace_parse(h == NULL ? "" : h, &x->context) == 0) {
		strcpy(x->parent, x->context.span);
		x->recorded =
		    o != NULL && (x->context.flags & TRACE_SAMPLED) != 0;
		if (x->recorded)
			trace_span_make(x->context.span);
	} else if (o != NULL && otlp_samples(o)) {
		trace_begin(&x->context, 1);
		x->recorded = 1;
	}
	trace_print(x->header, &x->context);
}

void
api_trace_end(
    const struct api_call *c, const struct api_trace *x, const char *turn)
{
	char name[160];
	struct otlp_span s = {
		.trace = x->context.trace,
		.span = x->context.span,
		.parent = x->parent,
		.name = name,
		.kind = OTLP_SERVER,
		.began_us = x->began_us,
		.ended_us = clk_wall_us(),
	};
	struct buf b;

	if (!x->recorded)
		return;
	snprintf(
	    name, sizeof(name), "%s %s", c->route->method, c->route->pattern);
	buf_init(&b, NULL);
	otlp_span_begin(&b, &s);
	otlp_add_str(&b, "http.request.method", c->route->method);
	otlp_add_str(&b, "http.route", c->route->pattern);
	otlp_add_str(&b, "gen_ai.conversation.id", c->rq->param[0]);
	otlp_add_str(&b, "agent_fpm.turn.id", turn);
	otlp_add_str(&b, "agent_fpm.request.id", c->rq->id);
	otlp_span_end(c->app->otlp, &b, &s);
}
