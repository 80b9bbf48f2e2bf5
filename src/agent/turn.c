/* SPDX-License-Identifier: MIT */
/*
 * A turn: a table of steps, each a function that returns the next.
 *
 * The thread that runs it waits for two things, a call of the model and a
 * commit, and is woken once for each; text goes from the provider's decoder
 * to the journal on the loop's thread, past this one. What a step has done is
 * durable before the next one starts, so a turn that is cut anywhere is taken
 * up at its last commit:
 *
 *   PRE_MODEL   message in the history (written by the script that gave the
 *               lease, or that ended the turn before)
 *   STREAMING   text was shown; written with the first of it
 *   READY       the answer is in the history, done is in the log
 *
 * Whoever wants a turn to stop says why, on the loop's thread; that closes
 * the model's connection at once and wakes the turn.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "store/journal.h"

#define RESUMES_MAX 100 /* a turn that kills its worker is not for ever */
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 8000

enum turn_step {
	TURN_LOAD,
	TURN_PRE_MODEL,
	TURN_RETRY,
	TURN_ANSWERED,
	TURN_INTERRUPTED,
	TURN_FAILED,
	TURN_COMMIT,
	TURN_ABANDONED,
	TURN_OVER
};

/* ---- stopping ---- */

enum turn_stop
turn_stop_asked(struct turn *t)
{
	enum turn_stop stop;

	lck_take(&t->lck);
	stop = t->stop;
	lck_drop(&t->lck);
	return stop;
}

void
turn_stop(struct turn *t, enum turn_stop why)
{
	lck_take(&t->lck);
	if (t->stop == STOP_NO || why == STOP_DEAD)
		t->stop = why;
	lck_cond_broadcast(&t->stopped);
	lck_drop(&t->lck);
	if (t->call != NULL)
		model_call_cancel(t->call);
}

/* Where a turn goes that was asked to stop. */
static enum turn_step
turn_stopped_step(struct turn *t)
{
	return turn_stop_asked(t) == STOP_INTERRUPT ? TURN_INTERRUPTED
						    : TURN_ABANDONED;
}

/* Waits ms, or until it is asked to stop: then 1. */
static int
turn_sleep(struct turn *t, int64_t ms)
{
	int64_t deadline = clk_mono_ms() + ms;
	int stopped;

	lck_take(&t->lck);
	while (t->stop == STOP_NO && clk_mono_ms() < deadline)
		lck_cond_wait(&t->stopped, &t->lck, deadline);
	stopped = t->stop != STOP_NO;
	lck_drop(&t->lck);
	return stopped;
}

/* ---- the model ---- */

static void
on_text(void *ctx, const char *text, size_t len)
{
	struct turn *t = ctx;

	crash_point("text");
	t->shown = 1;
	journal_text(t->log, EVENT_TEXT_CHUNK, t->step, text, len);
}

static void
on_thinking(void *ctx, const char *text, size_t len)
{
	struct turn *t = ctx;

	t->shown = 1;
	journal_text(t->log, EVENT_THINK_CHUNK, t->step, text, len);
}

static void
on_model_end(void *ctx, struct model_call *call)
{
	struct turn *t = ctx;

	t->call = NULL;
	t->result = call;
	t->ended = 1;
	future_set(&t->done);
}

/* On the loop's thread. */
static void
model_start(void *arg)
{
	struct turn *t = arg;
	struct model_call *call;

	if (turn_stop_asked(t) != STOP_NO) {
		future_set(&t->done);
		return;
	}
	crash_point("model-start");
	t->ended = 0;
	call = model_call_start(t->runner->parts.models, &t->rq);
	if (!t->ended) /* it may have ended within the call */
		t->call = call;
}

static void
turn_call_model(struct turn *t)
{
	struct history *h = t->history;
	char tail[MODEL_TAIL];

	t->messages_len = h->text.len;
	memcpy(tail, h->text.data + h->text.len - MODEL_TAIL, MODEL_TAIL);
	t->rq = (struct model_request){
		.model = h->model,
		.system = h->prompt,
		.request_id = t->request_id,
		.messages = &h->text,
		.sink = { on_text, on_thinking },
		.on_end = on_model_end,
		.ctx = t,
	};
	t->shown = 0;
	model_call_free(&t->result);
	future_init(&t->done);
	loop_post(t->runner->parts.loop, "model start", model_start, t);
	future_wait(&t->done);
	future_fini(&t->done);
	/* What the provider put behind the messages comes off again. */
	buf_truncate(&h->text, t->messages_len - MODEL_TAIL);
	buf_add(&h->text, tail, MODEL_TAIL);
}

static enum turn_step
step_pre_model(struct turn *t)
{
	const struct model_result *r;

	if (turn_stop_asked(t) != STOP_NO)
		return turn_stopped_step(t);
	if (t->lease.resumes > RESUMES_MAX)
		return TURN_FAILED;
	turn_call_model(t);
	if (turn_stop_asked(t) != STOP_NO)
		return turn_stopped_step(t);
	r = model_call_result(t->result);
	if (!r->failure.failed)
		return TURN_ANSWERED;
	if (r->failure.retryable && !t->shown &&
	    t->attempt < t->runner->parts.conf->model_retries)
		return TURN_RETRY;
	return TURN_FAILED;
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

struct retry_notice {
	struct turn *turn;
	struct buf rest;
	struct future done;
};

static void
retry_post(void *arg)
{
	struct retry_notice *n = arg;

	journal_event(n->turn->log, EVENT_RETRY, n->turn->step, n->rest.data,
	    n->rest.len);
	future_set(&n->done);
}

/* Members of the failure, for retry and error events. */
static void
add_failure(struct buf *b, const struct model_failure *f)
{
	buf_lit(b, ",\"type\":\"");
	json_escape(b, f->type, strlen(f->type));
	buf_lit(b, "\",\"message\":\"");
	json_escape(b, f->message, strlen(f->message));
	buf_putc(b, '"');
}

static enum turn_step
step_retry(struct turn *t)
{
	const struct model_failure *f = &model_call_result(t->result)->failure;
	struct retry_notice n = { .turn = t };
	int64_t ms =
	    f->retry_after_ms > 0 ? f->retry_after_ms : backoff_ms(t->attempt);
	int64_t most = t->runner->parts.conf->model_total_timeout_ms;

	if (ms > most)
		return TURN_FAILED; /* the provider asks for too much */
	t->attempt++;
	log_warn("the model failed (%s: %s); attempt %d in %lld ms", f->type,
	    f->message, t->attempt + 1, (long long)ms);
	buf_init(&n.rest, t->arena);
	buf_printf(&n.rest, ",\"attempt\":%d,\"delayMs\":%lld", t->attempt + 1,
	    (long long)ms);
	add_failure(&n.rest, f);
	future_init(&n.done);
	loop_post(t->runner->parts.loop, "retry", retry_post, &n);
	future_wait(&n.done);
	future_fini(&n.done);
	if (turn_sleep(t, ms))
		return turn_stopped_step(t);
	return TURN_PRE_MODEL;
}

/* ---- the end of a turn ---- */

static void
commit_init(struct turn *t)
{
	memset(&t->commit, 0, sizeof(t->commit));
	redis_args_init(&t->commit.ops, t->arena);
}

static void
commit_event(struct turn *t, enum event_kind kind, const char *rest)
{
	struct journal_commit *c = &t->commit;

	if (c->event_count == JOURNAL_EVENTS_MAX)
		abort();
	c->events[c->event_count++] =
	    (struct journal_event){ kind, t->step, rest };
}

static void
add_count(struct buf *b, const char *name, int64_t n)
{
	if (n >= 0)
		buf_printf(b, ",\"%s\":%" PRId64, name, n);
}

static void
commit_usage(struct turn *t, const struct model_result *r)
{
	struct buf b;

	buf_init(&b, t->arena);
	add_count(&b, "input", r->usage.input);
	add_count(&b, "output", r->usage.output);
	add_count(&b, "cached", r->usage.cached);
	add_count(&b, "cacheWrite", r->usage.cache_write);
	buf_lit(&b, ",\"model\":\"");
	json_escape(&b, r->model, strlen(r->model));
	buf_putc(&b, '"');
	commit_event(t, EVENT_TOKEN_USAGE, b.data);
}

/*
 * A document of the assistant's, into the history; marks are members that
 * stand before its role.
 */
static void
commit_message(
    struct turn *t, const char *marks, const char *content, size_t len)
{
	char id[ID_SIZE];
	struct buf doc;

	id_make(id, "msg_");
	buf_init(&doc, t->arena);
	buf_printf(&doc, "{\"id\":\"%s\",\"turn\":\"%s\",\"time\":%" PRId64, id,
	    t->turn, clk_wall_ms());
	buf_puts(&doc, marks);
	buf_lit(&doc, ",\"role\":\"assistant\",\"content\":");
	buf_add(&doc, content, len);
	buf_putc(&doc, '}');
	journal_op_message(&t->commit, doc.data, doc.len);
	history_add(t->history, doc.data, doc.len);
}

static void
commit_done(struct turn *t, const char *reason, const char *stop)
{
	struct buf b;

	buf_init(&b, t->arena);
	buf_printf(&b, ",\"reason\":\"%s\"", reason);
	if (stop != NULL)
		buf_printf(&b, ",\"stop\":\"%s\"", stop);
	commit_event(t, EVENT_DONE, b.data);
	journal_op_final(&t->commit);
}

static enum turn_step
step_answered(struct turn *t)
{
	static const char *const stops[] = { "", "stop", "length", "tool_calls",
		"content_filter", "refusal", "pause", "error", "other" };
	const struct model_result *r = model_call_result(t->result);

	commit_init(t);
	/* A refusal is shown, but must not be sent back (providers.md §1). */
	if (r->blocks > 0 && r->stop != MODEL_STOP_REFUSAL)
		commit_message(t, "", r->content.data, r->content.len);
	commit_usage(t, r);
	commit_event(t, EVENT_STEP_COMPLETE, "");
	commit_done(t, "completed", stops[r->stop]);
	return TURN_COMMIT;
}

static enum turn_step
step_interrupted(struct turn *t)
{
	const struct model_result *r =
	    t->result == NULL ? NULL : model_call_result(t->result);

	commit_init(t);
	if (r != NULL && r->blocks > 0 && t->shown)
		commit_message(t, ",\"interrupted\":true", r->content.data,
		    r->content.len);
	commit_done(t, "interrupted", NULL);
	return TURN_COMMIT;
}

/* How the history says that a turn failed. */
static const char *
failure_marks(struct turn *t, const struct model_failure *f)
{
	struct buf b;

	buf_init(&b, t->arena);
	if (f->rejected)
		buf_lit(&b, ",\"withdrawn\":true");
	buf_lit(&b, ",\"error\":{\"type\":\"");
	json_escape(&b, f->type, strlen(f->type));
	buf_lit(&b, "\",\"message\":\"");
	json_escape(&b, f->message, strlen(f->message));
	buf_lit(&b, "\"}");
	return b.data;
}

static enum turn_step
step_failed(struct turn *t)
{
	struct model_failure f = { .failed = 1 };
	struct buf b;

	if (t->result != NULL)
		f = model_call_result(t->result)->failure;
	if (f.message[0] == '\0') {
		strcpy(f.type, "resumed");
		snprintf(f.message, sizeof(f.message),
		    "the turn was resumed %d times and never finished",
		    RESUMES_MAX);
	}
	log_warn("the turn failed: %s: %s", f.type, f.message);
	buf_init(&b, t->arena);
	add_failure(&b, &f);
	commit_init(t);
	commit_message(t, failure_marks(t, &f), "[]", 2);
	commit_event(t, EVENT_ERROR, b.data);
	commit_done(t, "error", NULL);
	return TURN_COMMIT;
}

/* The turn that a document of the inbox names: its second member. */
static void
turn_of_doc(const char *doc, char *out, size_t size)
{
	const char *p = strstr(doc, "\"turn\":\"");

	if (p == NULL)
		abort(); /* we did not write this */
	p += 8;
	snprintf(out, size, "%.*s", (int)strcspn(p, "\""), p);
}

/* On the loop's thread. */
static void
on_committed(void *ctx, struct journal_commit *c)
{
	struct turn *t = ctx;

	if (c->outcome == JOURNAL_NEXT) {
		turn_of_doc(c->next_doc, t->turn, sizeof(t->turn));
		journal_log_set_turn(t->log, t->turn);
		lck_take(&t->lck);
		if (t->stop == STOP_INTERRUPT)
			t->stop = STOP_NO; /* it was for the turn before */
		lck_drop(&t->lck);
	}
	future_set(&t->done);
}

static void
commit_post(void *arg)
{
	struct turn *t = arg;

	crash_point("commit");
	journal_commit(t->log, &t->commit);
}

static void
turn_count_done(struct turn *t)
{
	struct runner_parts *p = &t->runner->parts;

	scoreboard_row(p->board, p->slot)->turns_done++;
}

/* The next turn under the same lease. */
static enum turn_step
turn_begin_next(struct turn *t)
{
	history_add(t->history, t->commit.next_doc, strlen(t->commit.next_doc));
	free(t->commit.next_doc);
	arena_reset(t->arena);
	model_call_free(&t->result);
	t->step = 1;
	t->attempt = 0;
	t->lease.resumes = 0;
	log_context_set(t->request_id, t->lease.agent, t->turn);
	return TURN_PRE_MODEL;
}

static enum turn_step
step_commit(struct turn *t)
{
	t->commit.on_done = on_committed;
	t->commit.ctx = t;
	future_init(&t->done);
	loop_post(t->runner->parts.loop, "commit", commit_post, t);
	future_wait(&t->done);
	future_fini(&t->done);
	switch (t->commit.outcome) {
	case JOURNAL_NEXT:
		turn_count_done(t);
		return turn_begin_next(t);
	case JOURNAL_IDLE:
		turn_count_done(t);
		return TURN_OVER;
	case JOURNAL_OK:
	case JOURNAL_FAILED:
		break;
	}
	t->dead = t->commit.err;
	t->history_good = 0;
	return TURN_ABANDONED;
}

static enum turn_step
step_abandoned(struct turn *t)
{
	if (t->dead.code != ERR_NONE)
		log_warn("the turn stops here: %s; it is resumed from its last "
			 "commit",
		    t->dead.text);
	return TURN_OVER;
}

static enum turn_step
step_load(struct turn *t)
{
	struct runner_parts *p = &t->runner->parts;
	struct err err;

	t->history = history_take(t->runner->cache, t->lease.agent);
	if (history_load(t->history, p->store, t->arena, &t->lease, &err) < 0) {
		t->dead = err;
		t->history_good = 0;
		return TURN_ABANDONED;
	}
	t->history_good = 1;
	return TURN_PRE_MODEL;
}

static const struct {
	const char *name;
	enum turn_step (*run)(struct turn *t);
} steps[TURN_OVER] = {
	[TURN_LOAD] = { "load", step_load },
	[TURN_PRE_MODEL] = { "pre_model", step_pre_model },
	[TURN_RETRY] = { "retry", step_retry },
	[TURN_ANSWERED] = { "answered", step_answered },
	[TURN_INTERRUPTED] = { "interrupted", step_interrupted },
	[TURN_FAILED] = { "failed", step_failed },
	[TURN_COMMIT] = { "commit", step_commit },
	[TURN_ABANDONED] = { "abandoned", step_abandoned },
};

/* On the loop's thread: the last that is seen of a turn. */
static void
turn_close(void *arg)
{
	struct turn *t = arg;
	struct runner *r = t->runner;
	struct turn *own;
	char user[sizeof(t->lease.user)];

	journal_log_close(&t->log);
	HASH_FIND_STR(r->turns, t->lease.agent, own);
	if (own == t) {
		HASH_DEL(r->turns, t);
		r->parts.on_closed(r->parts.ctx, t->lease.agent,
		    t->dead.code == ERR_NONE ? NULL : &t->dead);
	}
	strcpy(user, t->lease.user);
	turn_free(&t);
	runner_release(r, user);
}

void
turn_run(struct turn *t)
{
	struct runner *r = t->runner;
	enum turn_step at = TURN_LOAD;

	t->arena = arena_open(4096);
	while (at != TURN_OVER) {
		log_debug("step %s", steps[at].name);
		at = steps[at].run(t);
	}
	model_call_free(&t->result);
	history_give(r->cache, t->history, t->history_good);
	arena_close(&t->arena);
	loop_post(r->parts.loop, "turn close", turn_close, t);
}
