/* SPDX-License-Identifier: MIT */
/*
 * The model's part of a turn: the call, its text on the way to the journal,
 * and another attempt while nothing was shown.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "agent/forms.h"
#include "agent/runner_priv.h"
#include "agent/turn_output.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/crash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define RESUMES_MAX 100 /* a turn that kills its worker is not for ever */
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 8000

static void
on_text(void *ctx, const char *text, size_t len)
{
	struct turn *t = ctx;

	crash_point("text");
	t->shown = 1;
	turn_moved(t);
	journal_text(t->log, EVENT_TEXT_CHUNK, t->step, text, len);
	turn_budget_streamed(t, len);
}

static void
on_thinking(void *ctx, const char *text, size_t len)
{
	struct turn *t = ctx;

	t->shown = 1;
	turn_moved(t);
	journal_text(t->log, EVENT_THINK_CHUNK, t->step, text, len);
	turn_budget_streamed(t, len);
}

/* An id that no other call has, of this agent or another. */
static void
on_call_id(void *ctx, char out[64])
{
	(void)ctx;
	id_make(out, "call_");
}

/* It may come before model_call_start returns. */
static void
on_model_end(void *ctx, struct model_call *call)
{
	struct turn *t = ctx;

	t->call = NULL;
	t->result = call;
	turn_meter_model_ended(t, call);
	turn_wake(t, t->after_model);
}

enum turn_step
turn_call_model(struct turn *t, struct model_request *rq, enum turn_step after)
{
	struct model_call *call;

	rq->request_id = t->request_id;
	rq->traceparent = turn_trace_model(t);
	rq->on_end = on_model_end;
	rq->ctx = t;
	t->after_model = after;
	t->shown = 0;
	t->budget.streamed = 0;
	t->budget.asked = 0;
	model_call_free(&t->result);
	turn_meter_model(t);
	call = model_call_start(rq);
	if (t->result == NULL)
		t->call = call;
	return TURN_WAITS;
}

enum turn_step
step_pre_model(struct turn *t)
{
	const struct conf *c = t->runner->parts.conf;
	struct history *h = t->history;
	enum turn_step next;

	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	if (t->lease.resumes > RESUMES_MAX)
		return TURN_FAILED;
	if (t->step > c->tool_rounds)
		return turn_limit(t, "tool.rounds");
	if (c->turn_max_tokens > 0 && t->lease.tokens >= c->turn_max_tokens)
		return turn_limit(t, "turn.max_tokens");
	next = turn_budget_check(t);
	if (next != TURN_PRE_MODEL)
		return next;
	turn_mcp_refresh(t);
	if (turn_pages_due(t))
		return turn_pages(t, TURN_PRE_MODEL);
	turn_compact_free(t);
	if (turn_must_compact(t))
		return TURN_COMPACT;
	if (t->hooked != t->step) {
		t->hooked = t->step;
		t->extra = "";
		if (turn_has_hook(t, HOOK_PRE_MODEL))
			return turn_ask_model_hook(t);
	}
	t->messages_len = h->text.len;
	memcpy(t->tail, h->text.data + h->text.len - MODEL_TAIL, MODEL_TAIL);
	t->rq = (struct model_request){
		.model = t->model,
		.system = turn_tools(t)->system,
		.tools =
		    form_tools(t->arena, t->model, turn_tools(t)->advertised),
		.extra = t->extra,
		.messages = &h->text,
		.message_count = form_entries(h),
		.round = form_round(h),
		.sink = { on_text, on_thinking, on_call_id },
	};
	turn_output_ask(t, &t->rq);
	crash_point("model-start");
	return turn_call_model(t, &t->rq, TURN_POST_MODEL);
}

/* The next that is tried instead of the agent's own; NULL: none is left. */
static const struct model *
next_model(const struct turn *t)
{
	const struct model *own =
	    models_find(t->runner->parts.models, t->history->model);

	return own == NULL ? NULL : model_fallback(own, t->fallbacks);
}

enum turn_step
turn_other_model(struct turn *t)
{
	return next_model(t) != NULL ? TURN_FALLBACK : TURN_FAILED;
}

/* What is done about a failure (model/failure.c). What was shown is not taken
 * back. */
static enum turn_step
step_after_failure(struct turn *t, const struct model_failure *f)
{
	int64_t retries = model_conf(t->model)->retries;

	if (t->shown)
		return TURN_FAILED;
	if (f->kind == MODEL_CLASS_CONTEXT_LENGTH && turn_overflows(t))
		return TURN_COMPACT;
	if (f->retry_once && retries > 1)
		retries = 1;
	if (f->retryable && t->attempt < retries &&
	    strcmp(f->type, "circuit_open") != 0)
		return TURN_RETRY;
	return turn_other_model(t);
}

enum turn_step
step_post_model(struct turn *t)
{
	const struct model_result *r;
	struct buf *text = &t->history->text;

	/* What the provider put behind the messages comes off again. */
	buf_truncate(text, t->messages_len - MODEL_TAIL);
	buf_add(text, t->tail, MODEL_TAIL);
	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	r = model_call_result(t->result);
	if (r->failure.failed)
		return step_after_failure(t, &r->failure);
	return calls_count(r) > 0 && r->stop != MODEL_STOP_REFUSAL
		   ? TURN_CALLED
		   : TURN_ANSWERED;
}

/* ---- trying again ---- */

/* Exponential, with up to a quarter off (providers.md, section 0). */
static int64_t
backoff_ms(int attempt)
{
	int64_t ms = BACKOFF_FIRST_MS << (attempt < 5 ? attempt : 5);
	unsigned char jitter;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	id_random(&jitter, 1);
	return ms - ms * jitter / 1024;
}

/* Absent are the class of what is not the model's, and an id it has not. */
void
turn_add_failure(struct buf *b, const struct model_failure *f)
{
	buf_lit(b, "\"type\":\"");
	json_escape(b, f->type, strlen(f->type));
	buf_putc(b, '"');
	json_add_str(b, "message", f->message);
	if (f->kind != MODEL_CLASS_NONE)
		json_add_str(b, "class", model_class_name(f->kind));
	if (f->request_id[0] != '\0')
		json_add_str(b, "requestId", f->request_id);
}

static void
show_retry(struct turn *t, const struct model_failure *f, int64_t ms)
{
	struct buf rest;

	log_warn("the model failed (%s, %s: %s); attempt %d in %lld ms",
	    model_class_name(f->kind), f->type, f->message, t->attempt + 1,
	    (long long)ms);
	buf_init(&rest, t->arena);
	buf_printf(&rest, ",\"attempt\":%d,\"delayMs\":%lld,", t->attempt + 1,
	    (long long)ms);
	turn_add_failure(&rest, f);
	journal_event(t->log, EVENT_RETRY, t->step, rest.data, rest.len);
}

static void
on_retry_time(void *arg)
{
	struct turn *t = arg;

	loop_timer_free(&t->timer);
	turn_wake(t, TURN_PRE_MODEL);
}

enum turn_step
step_retry(struct turn *t)
{
	const struct model_failure *f = &model_call_result(t->result)->failure;
	int64_t ms =
	    f->retry_after_ms > 0 ? f->retry_after_ms : backoff_ms(t->attempt);

	if (ms > model_conf(t->model)->total_timeout_ms)
		return turn_other_model(t); /* it asks for too much */
	t->attempt++;
	show_retry(t, f, ms);
	t->timer =
	    loop_timer_new(t->runner->parts.loop, "retry", on_retry_time, t);
	loop_timer_start(t->timer, ms, 0);
	return TURN_WAITS;
}

/* ---- another model ---- */

static enum turn_step
use_model(struct turn *t, const struct model *m)
{
	t->model = m;
	t->refill = t->history->count;
	history_use(t->history, forms_of(t->runner->forms, m));
	return TURN_REFILL;
}

enum turn_step
step_fallback(struct turn *t)
{
	const struct model_failure *f = &model_call_result(t->result)->failure;
	const struct model *next = next_model(t);
	struct buf rest;

	log_warn("the model %s failed (%s: %s); %s is tried",
	    model_conf(t->model)->label, f->type, f->message,
	    model_conf(next)->label);
	buf_init(&rest, t->arena);
	buf_putc(&rest, ',');
	turn_add_failure(&rest, f);
	json_add_str(&rest, "from", model_conf(t->model)->label);
	json_add_str(&rest, "to", model_conf(next)->label);
	journal_event(
	    t->log, EVENT_MODEL_FALLBACK, t->step, rest.data, rest.len);
	t->fallbacks++;
	t->attempt = 0;
	return use_model(t, next);
}

enum turn_step
turn_own_model(struct turn *t)
{
	const struct model *own =
	    models_find(t->runner->parts.models, t->history->model);

	t->fallbacks = 0;
	return use_model(t, own == NULL ? t->model : own);
}

/* The history in the other model's form. */
enum turn_step
step_refill(struct turn *t)
{
	if (history_refill(t->history, t->runner->parts.store, &t->lease,
		t->refill, &t->load_err) == 0)
		return TURN_PRE_MODEL;
	t->history_bad = 1;
	if (t->load_err.code == ERR_INVALID)
		return turn_fail(t, "damaged", t->load_err.text);
	return TURN_ABANDONED;
}
