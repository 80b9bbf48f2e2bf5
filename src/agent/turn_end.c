/* SPDX-License-Identifier: MIT */
/*
 * The end of a turn: one commit with what it said, its usage and done; and
 * the next turn under the same lease, if a message waits.
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
#include "base/scoreboard.h"

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
	journal_op_message(&t->commit, t->lease.segment, doc.data, doc.len);
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

/*
 * Before the events are shown: whoever sees done may send the next message,
 * and its turn should find the history in the cache.
 */
static void
on_committed(void *ctx, struct journal_commit *c)
{
	struct turn *t = ctx;

	if (c->outcome == JOURNAL_IDLE)
		turn_give_history(t);
	if (c->outcome == JOURNAL_NEXT) {
		turn_of_doc(c->next_doc, t->turn, sizeof(t->turn));
		journal_log_set_turn(t->log, t->turn);
		if (t->stop == STOP_INTERRUPT)
			t->stop = STOP_NO; /* it was for the turn before */
	}
	turn_wake(t, TURN_NEXT);
}

/* Writes what was gathered. */
static enum turn_step
commit(struct turn *t)
{
	t->commit.on_done = on_committed;
	t->commit.ctx = t;
	crash_point("commit");
	journal_commit(t->log, &t->commit);
	return TURN_WAITS;
}

enum turn_step
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
	return commit(t);
}

enum turn_step
step_interrupted(struct turn *t)
{
	const struct model_result *r =
	    t->result == NULL ? NULL : model_call_result(t->result);

	commit_init(t);
	if (r != NULL && r->blocks > 0 && t->shown)
		commit_message(t, ",\"interrupted\":true", r->content.data,
		    r->content.len);
	commit_done(t, "interrupted", NULL);
	return commit(t);
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

enum turn_step
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
		    (int)t->lease.resumes);
	}
	log_warn("the turn failed: %s: %s", f.type, f.message);
	buf_init(&b, t->arena);
	turn_add_failure(&b, &f);
	commit_init(t);
	commit_message(t, failure_marks(t, &f), "[]", 2);
	commit_event(t, EVENT_ERROR, b.data);
	commit_done(t, "error", NULL);
	return commit(t);
}

static void
count_done(struct turn *t)
{
	struct runner_parts *p = &t->runner->parts;

	scoreboard_row(p->board, p->slot)->turns_done++;
}

/* The next turn under the same lease. */
static enum turn_step
begin_next(struct turn *t)
{
	history_add(t->history, t->commit.next_doc, strlen(t->commit.next_doc));
	free(t->commit.next_doc);
	arena_reset(t->arena);
	model_call_free(&t->result);
	t->step = 1;
	t->attempt = 0;
	t->lease.resumes = 0;
	return TURN_PRE_MODEL;
}

enum turn_step
step_next(struct turn *t)
{
	switch (t->commit.outcome) {
	case JOURNAL_NEXT:
		count_done(t);
		return begin_next(t);
	case JOURNAL_IDLE:
		count_done(t);
		return TURN_OVER;
	case JOURNAL_OK:
	case JOURNAL_FAILED:
		break;
	}
	t->dead = t->commit.err;
	t->history_bad = 1;
	return TURN_ABANDONED;
}
