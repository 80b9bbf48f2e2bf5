/* SPDX-License-Identifier: MIT */
/*
 * What a turn writes: events and operations that go together, and where the
 * turn goes on when they are durable.
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

void
turn_commit_event(struct turn *t, enum event_kind kind, const char *rest)
{
	journal_commit_event(&t->commit, kind, t->step, rest);
}

void
turn_commit_message(struct turn *t, const char *marks, const char *role,
    const char *content, size_t len)
{
	char id[ID_SIZE];
	struct buf doc;

	id_make(id, "msg_");
	buf_init(&doc, t->commit.arena);
	buf_printf(&doc,
	    "{\"id\":\"%s\",\"turn\":\"%s\",\"time\":%" PRId64
	    "%s,\"role\":\"%s\",\"content\":",
	    id, t->turn, clk_shared_ms(), marks, role);
	buf_add(&doc, content, len);
	buf_putc(&doc, '}');
	journal_op_message(&t->commit, t->lease.segment, doc.data, doc.len);
	history_add(t->history, doc.data, doc.len);
}

void
turn_commit_answer(struct turn *t, const char *marks)
{
	const struct model_result *r = model_call_result(t->result);
	struct buf b;

	buf_init(&b, t->commit.arena);
	buf_printf(&b, "%s,\"step\":%d,\"by\":\"", marks, t->step);
	json_escape(&b, model_by(t->model), strlen(model_by(t->model)));
	buf_putc(&b, '"');
	turn_commit_message(
	    t, buf_str(&b), "assistant", r->content.data, r->content.len);
}

void
turn_commit_hidden(struct turn *t, const struct buf *content)
{
	turn_commit_message(
	    t, ",\"kind\":\"reminder\"", "user", content->data, content->len);
}

void
turn_commit_step(struct turn *t)
{
	t->step++;
	t->attempt = 0;
	journal_op_set(
	    &t->commit, "step", arena_printf(t->commit.arena, "%d", t->step));
	journal_op_set(&t->commit, "state", "PRE_MODEL");
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

	if (c->outcome == JOURNAL_IDLE || c->outcome == JOURNAL_PARKED)
		turn_give_history(t);
	if (c->outcome == JOURNAL_NEXT) {
		turn_of_doc(c->next_docs[0], t->turn, sizeof(t->turn));
		turn_meter_said(t, c->next_docs[0]);
		journal_log_set_turn(t->log, t->turn);
		if (t->stop != STOP_ABANDON && t->stop != STOP_DEAD)
			t->stop = STOP_NO; /* it was for the turn before */
	}
	for (size_t i = 0; i < c->next_count; i++)
		history_add(
		    t->history, c->next_docs[i], strlen(c->next_docs[i]));
	if (c->outcome == JOURNAL_STEERED && c->ends) {
		model_call_free(&t->result); /* it is written */
		t->step++;
		t->attempt = 0;
	}
	if (c->spent_count > 0)
		budget_spent_read(&t->budget.spent, c->spent, c->spent_count);
	for (size_t i = 0; i + 1 < c->decided_count; i += 2)
		turn_answer(t, c->decided[i], c->decided[i + 1]);
	if (c->interrupted && t->stop == STOP_NO)
		t->stop = STOP_INTERRUPT;
	t->busy = 0;
	turn_wake(
	    t, c->outcome == JOURNAL_FAILED || c->outcome == JOURNAL_PARKED
		   ? TURN_NEXT
		   : t->after);
}

enum turn_step
turn_commit(struct turn *t, enum turn_step after)
{
	t->after = after;
	t->busy = 1;
	t->commit.on_done = on_committed;
	t->commit.ctx = t;
	crash_point("commit");
	journal_commit(t->log, &t->commit);
	return TURN_WAITS;
}
