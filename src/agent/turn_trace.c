/* SPDX-License-Identifier: MIT */
/*
 * A turn's place in a trace. The context came with the request and is kept
 * with its message, so it is the same if the message waits, or if another
 * worker takes the turn up. Models, tools and hooks are told of it.
 *
 * If it is recorded, what the turn does become spans by OpenTelemetry's
 * conventions for generative AI (1.41): invoke_agent, and within it chat and
 * execute_tool. A turn that is parked, or taken up elsewhere, is a span for
 * each time that it was at work. No text of anybody's is in them, and no user.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/turn_priv.h"
#include "agent/turn_trace.h"
#include "base/clk.h"
#include "base/json.h"
#include "conf/conf.h"
#include "model/wire.h"
#include "net/otlp.h"

static struct otlp *
otlp_of(const struct turn *t)
{
	return t->runner->parts.otlp;
}

void
turn_trace_begin(struct turn *t)
{
	struct turn_trace *x = &t->meter.trace;

	memset(x, 0, sizeof(*x));
	trace_parse(t->history->trace, &x->context);
	if (otlp_of(t) != NULL && x->context.trace[0] != '\0' &&
	    (x->context.flags & TRACE_SAMPLED)) {
		x->recorded = 1;
		strcpy(x->parent, x->context.span);
		trace_span_make(x->context.span);
		x->began_us = clk_wall_us();
		snprintf(x->agent_name, sizeof(x->agent_name), "%.63s",
		    t->history->name);
		json_utf8_mend(x->agent_name);
	}
	trace_print(x->header, &x->context);
}

/* A traceparent of the turn's trace, with another span. */
static void
print_span(const struct turn *t, const char *span, char out[TRACE_SIZE])
{
	struct trace_context c = t->meter.trace.context;

	strcpy(c.span, span);
	trace_print(out, &c);
}

/* What all spans of a turn have. */
static void
span_begin(struct buf *b, const struct turn *t, const struct otlp_span *s,
    const char *what)
{
	buf_init(b, NULL);
	otlp_span_begin(b, s);
	otlp_add_str(b, "gen_ai.operation.name", what);
	otlp_add_str(b, "gen_ai.agent.id", t->lease.agent);
	otlp_add_str(b, "gen_ai.conversation.id", t->lease.agent);
	otlp_add_str(b, "agent_fpm.turn.id", t->meter.turn);
}

/* By the conventions' names, where they have one. */
static const char *
provider_name(const struct model *m)
{
	static const char *const names[][2] = {
		{ "azure", "azure.ai.openai" },
		{ "azure-deployment", "azure.ai.openai" },
		{ "gemini", "gcp.gemini" },
		{ "mistral", "mistral_ai" },
		{ "openai-responses", "openai" },
	};
	const char *name = model_provider(m);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], name) == 0)
			return names[i][1];
	return name;
}

static void
add_model(struct buf *b, const struct model *m)
{
	otlp_add_str(b, "gen_ai.provider.name", provider_name(m));
	otlp_add_str(b, "gen_ai.request.model", model_on_wire(m)->id);
}

static void
add_count(struct buf *b, const char *key, int64_t n)
{
	if (n >= 0)
		otlp_add_int(b, key, n);
}

/* ---- a call of the model ---- */

const char *
turn_trace_model(struct turn *t)
{
	struct turn_trace *x = &t->meter.trace;

	if (!x->recorded)
		return x->header;
	trace_span_make(x->chat);
	print_span(t, x->chat, x->chat_header);
	return x->chat_header;
}

/* Host and port of a URL that was checked. */
static void
add_server(struct buf *b, const char *url)
{
	const char *host = strstr(url, "://"), *end;
	int64_t port = strncmp(url, "https", 5) == 0 ? 443 : 80;
	char name[256];

	if (host == NULL)
		return;
	host += 3;
	end = host + strcspn(host, "/?#");
	if (*host == '[' && memchr(host, ']', (size_t)(end - host)) != NULL)
		snprintf(name, sizeof(name), "%.*s",
		    (int)strcspn(host + 1, "]"), host + 1);
	else
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":/?#"),
		    host);
	for (const char *p = end; p > host && p[-1] != ']'; p--)
		if (p[-1] == ':')
			port = strtoll(p, NULL, 10);
	otlp_add_str(b, "server.address", name);
	otlp_add_int(b, "server.port", port);
}

/* The conventions' words; the provider's own would be of any number. */
static const char *
finish_reason(const struct model_result *r)
{
	static const char *const words[] = { "", "stop", "length", "tool_call",
		"content_filter", "refusal", "pause", "error", "other" };

	return words[r->stop];
}

static void
add_result(struct buf *b, const struct model_result *r)
{
	if (r->model[0] != '\0')
		otlp_add_str(b, "gen_ai.response.model", r->model);
	if (r->response_id[0] != '\0')
		otlp_add_str(b, "gen_ai.response.id", r->response_id);
	if (r->stop != MODEL_STOP_NONE)
		otlp_add_list(
		    b, "gen_ai.response.finish_reasons", finish_reason(r));
	add_count(b, "gen_ai.usage.input_tokens", r->usage.input);
	add_count(b, "gen_ai.usage.output_tokens", r->usage.output);
	add_count(b, "gen_ai.usage.cache_read.input_tokens", r->usage.cached);
	add_count(b, "gen_ai.usage.cache_creation.input_tokens",
	    r->usage.cache_write);
	add_count(
	    b, "gen_ai.usage.reasoning.output_tokens", r->usage.reasoning);
}

void
turn_trace_model_ended(struct turn *t, struct model_call *call)
{
	const struct model_times *times = model_call_times(call);
	const struct model_result *r = model_call_result(call);
	const struct model *m = model_call_model(call);
	struct turn_trace *x = &t->meter.trace;
	int64_t wall_us = clk_wall_us() - clk_mono_us();
	char name[160];
	struct otlp_span s = {
		.trace = x->context.trace,
		.span = x->chat,
		.parent = x->context.span,
		.name = name,
		.kind = OTLP_CLIENT,
		.began_us = wall_us + times->began_us,
		.ended_us = wall_us + times->ended_us,
		.error = r->failure.failed ? model_call_outcome(call) : NULL,
	};
	struct buf b;

	if (!x->recorded)
		return;
	snprintf(name, sizeof(name), "chat %.150s", model_on_wire(m)->id);
	span_begin(&b, t, &s, "chat");
	add_model(&b, m);
	add_server(&b, model_url(m));
	add_result(&b, r);
	otlp_add_int(&b, "agent_fpm.step", t->step);
	otlp_add_str(&b, "agent_fpm.outcome", model_call_outcome(call));
	if (t->attempt > 0)
		otlp_add_int(&b, "http.request.resend_count", t->attempt);
	if (times->heard_us != 0)
		otlp_add_int(&b, "agent_fpm.first_byte_ms",
		    (times->heard_us - times->began_us) / 1000);
	otlp_span_end(otlp_of(t), &b, &s);
	x->input += r->usage.input > 0 ? r->usage.input : 0;
	x->output += r->usage.output > 0 ? r->usage.output : 0;
	snprintf(x->failure, sizeof(x->failure), "%s",
	    s.error == NULL ? "" : s.error);
}

/* ---- a tool call ---- */

void
turn_trace_tool(const struct turn_call *c, char out[TRACE_SIZE])
{
	const struct turn *t = c->turn;
	char span[TRACE_SPAN];

	if (!t->meter.trace.recorded) {
		strcpy(out, t->meter.trace.header);
		return;
	}
	trace_span_of(c->id, span);
	print_span(t, span, out);
}

void
turn_trace_tool_over(const struct turn_call *c)
{
	const struct turn *t = c->turn;
	const struct turn_trace *x = &t->meter.trace;
	char name[96], span[TRACE_SPAN];
	struct otlp_span s = {
		.trace = x->context.trace,
		.span = span,
		.parent = x->context.span,
		.name = name,
		.kind = OTLP_INTERNAL,
		.began_us = 1000 * c->started_ms,
		.ended_us = 1000 * c->completed_ms,
		.error = c->state == CALL_FAILED   ? "tool_error"
			 : c->state == CALL_SEALED ? "interrupted"
						   : NULL,
	};
	struct buf b;

	if (!x->recorded || c->started_ms == 0)
		return;
	trace_span_of(c->id, span);
	snprintf(name, sizeof(name), "execute_tool %.80s", c->name);
	span_begin(&b, t, &s, "execute_tool");
	otlp_add_str(&b, "gen_ai.tool.name", c->name);
	otlp_add_str(&b, "gen_ai.tool.call.id", c->id);
	otlp_add_str(&b, "gen_ai.tool.type", "function");
	otlp_add_int(&b, "agent_fpm.step", t->step);
	otlp_span_end(otlp_of(t), &b, &s);
}

/* ---- the turn ---- */

void
turn_trace_end(struct turn *t, const char *reason)
{
	struct turn_trace *x = &t->meter.trace;
	int failed = strcmp(reason, "error") == 0;
	char name[96];
	struct otlp_span s = {
		.trace = x->context.trace,
		.span = x->context.span,
		.parent = x->parent,
		.name = name,
		.kind = OTLP_INTERNAL,
		.began_us = x->began_us,
		.ended_us = clk_wall_us(),
		.error = !failed                 ? NULL
			 : x->failure[0] != '\0' ? x->failure
						 : "_OTHER",
	};
	struct buf b;

	if (!x->recorded)
		return;
	x->recorded = 0;
	snprintf(name, sizeof(name), "invoke_agent%s%s",
	    x->agent_name[0] == '\0' ? "" : " ", x->agent_name);
	span_begin(&b, t, &s, "invoke_agent");
	if (x->agent_name[0] != '\0')
		otlp_add_str(&b, "gen_ai.agent.name", x->agent_name);
	if (t->model != NULL)
		add_model(&b, t->model);
	otlp_add_int(&b, "gen_ai.usage.input_tokens", x->input);
	otlp_add_int(&b, "gen_ai.usage.output_tokens", x->output);
	otlp_add_str(&b, "agent_fpm.turn.reason", reason);
	otlp_add_int(&b, "agent_fpm.turn.steps", t->step);
	if (t->meter.waited_ms >= 0)
		otlp_add_int(
		    &b, "agent_fpm.turn.waited_ms", t->meter.waited_ms);
	otlp_span_end(otlp_of(t), &b, &s);
}
