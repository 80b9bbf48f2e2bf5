/* SPDX-License-Identifier: MIT */
/*
 * Calls of commit.lua: made of what waits in a log, sent, and answered.
 *
 * An event gets its id when its call is built: from then on it is final, and
 * the same bytes are sent again if the connection breaks before the answer.
 * commit.lua takes a repetition as done.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "store/journal_priv.h"
#include "store/redis_link.h"

/* ---- building a call ---- */

static int
is_stream_text(const struct waiting *w)
{
	return w->kind == EVENT_TEXT_CHUNK || w->kind == EVENT_THINK_CHUNK;
}

/* Makes a frame of the first that waits; its id is final. */
static struct frame *
log_take_frame(struct journal_log *log, struct journal_commit **commit_r)
{
	struct waiting *w = log_pop_waiting(log);
	struct event e;
	struct frame *f;

	if (w->growing)
		buf_putc(&w->rest, '"');
	e = (struct event){ w->kind, w->turn != NULL ? w->turn : log->turn,
		w->step, w->time_ms, buf_str(&w->rest), w->rest.len };
	log->last.seq++;
	f = frame_make(&e, log->last);
	if (is_stream_text(w))
		log->text_sent_ms = loop_now_ms(log->journal->loop);
	*commit_r = w->commit;
	waiting_free(w);
	return f;
}

/*
 * Text was taken into this call, and the state does not say so yet. A commit
 * sets the state itself.
 */
static int
call_begins_stream(const struct call *c)
{
	if (c->log->streaming || c->commit != NULL)
		return 0;
	for (int i = 0; i < c->frame_count; i++)
		if (c->frames[i]->kind == EVENT_TEXT_CHUNK ||
		    c->frames[i]->kind == EVENT_THINK_CHUNK)
			return 1;
	return 0;
}

static void
call_write(struct call *c, const char *prev)
{
	struct journal_log *log = c->log;
	struct redis_pipe *p = &c->resp;
	int begins = call_begins_stream(c);
	char id[EVENT_ID_SIZE];
	int n;

	log_script(p, log, SCRIPT_COMMIT,
	    5 + 2 * c->frame_count + (begins ? 3 : 0) +
		(c->commit != NULL ? c->commit->usage.argc + c->commit->ops.argc
				   : 0));
	redis_arg(p, log->lease);
	redis_arg(p, prev);
	redis_arg(p, log->journal->keep);
	redis_argi(p, clk_shared_ms());
	redis_argi(p, c->frame_count);
	for (int i = 0; i < c->frame_count; i++) {
		n = event_id_print(id, c->frames[i]->id);
		redis_argn(p, id, (size_t)n);
		redis_argn(p, c->frames[i]->text + c->frames[i]->json_at,
		    c->frames[i]->json_len);
	}
	if (begins) {
		redis_argn(p, "S", 1);
		redis_argn(p, "state", 5);
		redis_argn(p, "STREAMING", 9);
		log->streaming = 1;
	}
	if (c->commit != NULL) {
		redis_args(p, &c->commit->usage);
		redis_args(p, &c->commit->ops);
		log->streaming = 0;
	}
}

static void
call_link(struct journal *j, struct call *c)
{
	c->prev = &j->calls;
	c->next = j->calls;
	if (c->next != NULL)
		c->next->prev = &c->next;
	j->calls = c;
}

/*
 * How many of the events that wait go into one call: all up to the first
 * commit; of those that wait for none, not too many.
 */
static size_t
events_for_call(const struct journal_log *log)
{
	size_t n = 0;

	for (const struct waiting *w = log->first; w != NULL; w = w->next) {
		n++;
		if (w->commit != NULL)
			return n;
	}
	return n < EVENTS_PER_CALL ? n : EVENTS_PER_CALL;
}

/* Whether the script may write warnings before the events of the next call. */
static int
may_warn(const struct journal_log *log)
{
	for (const struct waiting *w = log->first; w != NULL; w = w->next)
		if (w->commit != NULL)
			return w->commit->tells;
	return 0;
}

struct call *
call_new(struct journal_log *log)
{
	struct call *c = calloc(1, sizeof(*c));
	char prev[EVENT_ID_SIZE];
	size_t n;

	if (c == NULL)
		abort();
	c->log = log;
	event_id_print(prev, log->last);
	if (may_warn(log))
		log->last.seq += BUDGET_SCOPES * BUDGET_KINDS;
	n = events_for_call(log);
	c->frames = calloc(n, sizeof(struct frame *));
	if (c->frames == NULL)
		abort();
	while ((size_t)c->frame_count < n)
		c->frames[c->frame_count++] = log_take_frame(log, &c->commit);
	redis_pipe_init(&c->resp, NULL);
	call_write(c, prev);
	c->first_sent_ms = loop_now_ms(log->journal->loop);
	log->call = c;
	call_link(log->journal, c);
	return c;
}

void
call_free(struct call *c)
{
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->log != NULL)
		c->log->call = NULL;
	for (int i = 0; i < c->frame_count; i++)
		frame_unref(&c->frames[i]);
	free(c->frames);
	buf_fini(&c->resp.out);
	free(c);
}

/* ---- answers ---- */

static const char *
reply_text(const redisReply *r, size_t i)
{
	if (r->type != REDIS_REPLY_ARRAY || i >= r->elements ||
	    r->element[i]->type != REDIS_REPLY_STRING)
		return "";
	return r->element[i]->str;
}

/* Shows events that commit.lua wrote itself. The id of the last. */
static struct event_id
show_list(struct journal_log *log, const redisReply *list)
{
	const struct event_id here = { 0, 0 };
	struct journal *j = log->journal;
	struct frame **frames = calloc(list->elements + 1, sizeof(*frames));
	struct event_id last = log->last;
	int n = 0;

	if (frames == NULL)
		abort();
	for (size_t i = 0; i < list->elements; i++, n++) {
		frames[n] = frame_new(
		    list->element[i]->str, (size_t)list->element[i]->len);
		if (frames[n] == NULL)
			abort(); /* our own script wrote it */
		last = frames[n]->id;
	}
	metric_add(METRIC_EVENTS, 0, 0, n);
	j->show(j->show_ctx, log->agent, here, frames, n);
	while (n > 0)
		frame_unref(&frames[--n]);
	free(frames);
	return last;
}

/* What a commit's answer says beside OK. */
static int
answered(const redisReply *r, const char *word)
{
	return strcmp(reply_text(r, 0), word) == 0;
}

static void
call_show(struct call *c, const redisReply *r, int ends)
{
	const struct event_id here = { 0, 0 };
	struct journal *j = c->log->journal;
	int steered = answered(r, "STEERED");
	int shown = c->frame_count - (steered && ends);

	/* done was not written after all */
	metric_add(METRIC_EVENTS, 0, 0, shown);
	j->show(j->show_ctx, c->log->agent, here, c->frames, shown);
	if (steered || answered(r, "NEXT"))
		c->log->last = show_list(c->log, r->element[2]);
}

static void
commit_take_docs(struct journal_commit *c, const redisReply *docs)
{
	c->next_count = docs->elements;
	c->next_docs =
	    arena_alloc(c->arena, (docs->elements + 1) * sizeof(*c->next_docs));
	for (size_t i = 0; i < docs->elements; i++)
		c->next_docs[i] = arena_strdup(c->arena, docs->element[i]->str);
}

/* What was decided while the turn wanted to wait for it. */
static void
commit_take_decided(struct journal_commit *c, const redisReply *r)
{
	c->interrupted = r->element[1]->integer != 0;
	c->decided_count = 0;
	c->decided = arena_alloc(c->arena, r->elements * sizeof(*c->decided));
	for (size_t i = 2; i < r->elements; i++)
		c->decided[c->decided_count++] =
		    arena_strdup(c->arena, reply_text(r, i));
}

static void
commit_done(struct journal_commit *c, const redisReply *r)
{
	static const struct {
		const char *word;
		enum journal_outcome outcome;
	} words[] = {
		{ "OK", JOURNAL_OK },
		{ "IDLE", JOURNAL_IDLE },
		{ "NEXT", JOURNAL_NEXT },
		{ "STEERED", JOURNAL_STEERED },
		{ "PARKED", JOURNAL_PARKED },
		{ "DECIDED", JOURNAL_DECIDED },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (answered(r, words[i].word))
			c->outcome = words[i].outcome;
	if (c->outcome == JOURNAL_NEXT || c->outcome == JOURNAL_STEERED)
		commit_take_docs(c, r->element[1]);
	if (c->outcome == JOURNAL_DECIDED)
		commit_take_decided(c, r);
	c->on_done(c->ctx, c);
}

static void
commit_take_spent(struct journal_commit *c, const redisReply *numbers)
{
	c->spent_count = numbers->elements;
	c->spent =
	    arena_alloc(c->arena, (numbers->elements + 1) * sizeof(*c->spent));
	for (size_t i = 0; i < numbers->elements; i++)
		c->spent[i] = arena_strdup(c->arena, reply_text(numbers, i));
}

static void
call_applied(struct call *c, const redisReply *r)
{
	struct journal_log *log = c->log;
	struct journal_commit *commit = c->commit;
	int ends = commit != NULL && commit->ends;
	const redisReply *warnings = NULL;

	crash_point(commit == NULL ? "append-answered" : "commit-answered");
	if (commit != NULL && commit->tells) {
		commit_take_spent(commit, r->element[1]);
		warnings = r->element[2];
		r = r->element[0];
	}
	if (commit != NULL)
		commit_done(commit, r);
	if (warnings != NULL && warnings->elements > 0)
		show_list(log, warnings);
	call_show(c, r, ends);
	call_free(c);
	log_schedule(log);
}

static void
call_refused(struct call *c, const redisReply *r)
{
	if (r->type == REDIS_REPLY_ERROR) {
		log_error("a commit was refused by Redis: %s", r->str);
		call_abandon(c, ERR_STORE, r->str);
	} else {
		call_abandon(c, ERR_FENCED, "the lease was lost");
	}
}

static int
is_script_lost(const redisReply *r)
{
	return r->type == REDIS_REPLY_ERROR &&
	       strncmp(r->str, "NOSCRIPT", 8) == 0;
}

/* Errors after which Redis may take the same call a little later. */
static int
is_passing(const redisReply *r)
{
	static const char *const words[] = { "LOADING", "BUSY", "MASTERDOWN",
		"READONLY", "TRYAGAIN", "OOM", "MISCONF", "NOREPLICAS" };

	if (r->type != REDIS_REPLY_ERROR)
		return 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strncmp(r->str, words[i], strlen(words[i])) == 0)
			return 1;
	return 0;
}

static void
on_answer(void *ctx, const redisReply *r)
{
	struct call *c = ctx;
	struct journal *j;

	if (c->log == NULL) { /* abandoned */
		c->on_link = 0;
		call_free(c);
		return;
	}
	j = c->log->journal;
	c->on_link = 0;
	if (--j->on_link == 0)
		journal_batch_ended(j);
	if (r == NULL || is_passing(r))
		return; /* sent again when the link is up, or on a check */
	if (is_script_lost(r))
		redis_link_drop(j->link); /* and greeted with the scripts */
	else if (r->type == REDIS_REPLY_ARRAY &&
		 strcmp(reply_text(r, 0), "FENCED") != 0)
		call_applied(c, r);
	else
		call_refused(c, r);
}

/* ---- sending ---- */

void
call_send(struct call *c)
{
	struct journal *j = c->log->journal;

	c->on_link = 1;
	j->on_link++;
	crash_point(c->commit == NULL ? "append-send" : "commit-send");
	redis_link_send(
	    j->link, c->resp.out.data, c->resp.out.len, on_answer, c);
}

void
call_forget(struct call *c)
{
	if (!c->on_link) {
		call_free(c);
		return;
	}
	c->log->journal->on_link--;
	c->log->call = NULL;
	c->log = NULL;
	c->commit = NULL;
}

/* A call that will get no answer: its log is dead, its commit fails. */
void
call_abandon(struct call *c, enum err_code code, const char *text)
{
	struct journal_commit *commit = c->commit;
	struct err why;

	err_set(&why, code, "%s", text);
	log_die(c->log, code, text);
	call_forget(c);
	if (commit != NULL)
		commit_fail(commit, &why);
}

/* Sends again whatever has no answer and is not on its way. */
void
journal_resend(struct journal *j)
{
	struct call *c, *next;

	if (j->on_link == 0)
		journal_batch_begins(j);
	for (c = j->calls; c != NULL && redis_link_up(j->link); c = next) {
		next = c->next;
		if (c->log != NULL && !c->on_link)
			call_send(c);
	}
}

void
journal_link_up(struct journal *j)
{
	journal_resend(j);
}
