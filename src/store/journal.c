/* SPDX-License-Identifier: MIT */
/*
 * The journal.
 *
 * Each log has a queue of what waits: events, text that is still growing, and
 * commits. At the end of a tick, if no batch is on its way, every log that is
 * due becomes one call of commit.lua; all calls go out in one write. While
 * they are on their way everything else keeps waiting and grows together, so
 * batches get larger as the load does and a round trip is shared by all.
 *
 * An event gets its id when its call is built: from then on it is final, and
 * the same bytes are sent again if the connection breaks before the answer.
 * commit.lua takes a repetition as done. Nothing is shown before its answer.
 *
 * Redis away: calls wait until store.timeout has passed since the first try;
 * then their logs die. What was committed stays; whoever sweeps resumes it.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/journal.h"
#include "store/redis_link.h"

#define EVENTS_PER_CALL 64
#define CHECK_EVERY_MS 250

/* Something that waits: an event, or a commit with its events before it. */
struct waiting {
	struct waiting *next;
	enum event_kind kind;
	int step;
	int64_t time_ms;
	struct buf rest;
	int growing; /* text: rest has an open string */
	struct journal_commit *commit; /* the operations go with this one */
};

/* A call of commit.lua on its way. */
struct call {
	struct call *next, **prev; /* of all open calls */
	struct journal_log *log;
	struct redis_pipe resp;
	struct frame *frames[EVENTS_PER_CALL];
	int frame_count;
	struct journal_commit *commit; /* or NULL */
	int64_t first_sent_ms;
	int on_link; /* an answer will come */
};

struct journal_log {
	UT_hash_handle hh; /* by agent */
	struct journal *journal;
	char agent[40];
	char base[JOURNAL_BASE_SIZE];
	char lease[LEASE_SIZE];
	char turn[40];
	struct event_id last; /* the last id given out */
	struct waiting *first, **tail;
	struct call *call;   /* the one on its way */
	int64_t text_sent_ms; /* when text last went out */
	int64_t due_ms;
	int queued; /* in ready or due */
	struct journal_log *queue_next;
	int streaming; /* state STREAMING was written */
	int dead;
	int detached;
	struct err why;
	void (*on_dead)(void *, const struct err *);
	void *ctx;
};

struct log_queue {
	struct journal_log *first, **tail;
};

enum { QUEUED_NO, QUEUED_READY, QUEUED_DUE };

struct journal {
	struct loop *loop;
	struct redis_link *link;
	struct journal_log *logs;
	struct log_queue ready; /* to be sent as soon as may be */
	struct log_queue due;	/* text that waits for its time, in order */
	struct loop_timer *due_timer;
	struct loop_timer *renew_timer;
	struct loop_timer *check_timer;
	struct call *calls;
	int on_link; /* calls without answer */
	journal_show_f *show;
	void *show_ctx;
	char keep[24];
	char leases_key[80];
	int64_t coalesce_ms, lease_ms, timeout_ms, command_ms;
};

static void journal_flush(void *arg);

/* ---- queues of logs ---- */

static void
queue_init(struct log_queue *q)
{
	q->first = NULL;
	q->tail = &q->first;
}

static void
queue_push(struct log_queue *q, struct journal_log *log, int which)
{
	log->queued = which;
	log->queue_next = NULL;
	*q->tail = log;
	q->tail = &log->queue_next;
}

static struct journal_log *
queue_pop(struct log_queue *q)
{
	struct journal_log *log = q->first;

	if (log == NULL)
		return NULL;
	q->first = log->queue_next;
	if (q->first == NULL)
		q->tail = &q->first;
	log->queued = QUEUED_NO;
	return log;
}

static void
queue_remove(struct log_queue *q, struct journal_log *log)
{
	struct journal_log **p = &q->first;

	while (*p != NULL && *p != log)
		p = &(*p)->queue_next;
	if (*p == NULL)
		return;
	*p = log->queue_next;
	if (*p == NULL)
		q->tail = p;
	log->queued = QUEUED_NO;
}

static void
log_make_ready(struct journal_log *log)
{
	struct journal *j = log->journal;

	if (log->queued == QUEUED_READY || log->call != NULL)
		return; /* it is looked at again when its call is answered */
	if (log->queued == QUEUED_DUE)
		queue_remove(&j->due, log);
	queue_push(&j->ready, log, QUEUED_READY);
}

/* Text waits its time; the first of a turn is due at once. */
static void
log_make_due(struct journal_log *log)
{
	struct journal *j = log->journal;
	int64_t now = loop_now_ms(j->loop);

	if (log->queued != QUEUED_NO || log->call != NULL)
		return;
	log->due_ms = log->text_sent_ms + j->coalesce_ms;
	if (log->due_ms <= now) {
		log_make_ready(log);
		return;
	}
	if (j->due.first == NULL)
		loop_timer_start(j->due_timer, log->due_ms - now, 0);
	queue_push(&j->due, log, QUEUED_DUE);
}

/*
 * What waits decides: text alone may wait, anything else goes now.
 */
static void
log_schedule(struct journal_log *log)
{
	if (log->first == NULL || log->dead)
		return;
	if (log->first->growing && log->first->next == NULL)
		log_make_due(log);
	else
		log_make_ready(log);
}

static void
on_due(void *arg)
{
	struct journal *j = arg;
	int64_t now = loop_now_ms(j->loop);

	while (j->due.first != NULL && j->due.first->due_ms <= now)
		log_make_ready(j->due.first);
	if (j->due.first != NULL)
		loop_timer_start(j->due_timer, j->due.first->due_ms - now, 0);
}

/* ---- what waits ---- */

static struct waiting *
log_wait(struct journal_log *log, enum event_kind kind, int step)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->kind = kind;
	w->step = step;
	w->time_ms = clk_wall_ms();
	*log->tail = w;
	log->tail = &w->next;
	return w;
}

static struct waiting *
log_last_waiting(struct journal_log *log)
{
	struct waiting *w = log->first;

	while (w != NULL && w->next != NULL)
		w = w->next;
	return w;
}

static struct waiting *
log_pop_waiting(struct journal_log *log)
{
	struct waiting *w = log->first;

	log->first = w->next;
	if (log->first == NULL)
		log->tail = &log->first;
	return w;
}

static void
waiting_free(struct waiting *w)
{
	buf_fini(&w->rest);
	free(w);
}

void
journal_event(struct journal_log *log, enum event_kind kind, int step,
    const char *rest, size_t rest_len)
{
	struct waiting *w;

	if (log->dead)
		return;
	w = log_wait(log, kind, step);
	buf_add(&w->rest, rest, rest_len);
	log_schedule(log);
}

void
journal_text(struct journal_log *log, enum event_kind kind, int step,
    const char *text, size_t len)
{
	struct waiting *w;

	if (log->dead || len == 0)
		return;
	w = log_last_waiting(log);
	if (w == NULL || !w->growing || w->kind != kind || w->step != step) {
		w = log_wait(log, kind, step);
		w->growing = 1;
		buf_lit(&w->rest, ",\"text\":\"");
	}
	json_escape(&w->rest, text, len);
	log_schedule(log);
}

void
journal_op_set(struct journal_commit *c, const char *field, const char *value)
{
	redis_args_add(&c->ops, "S", 1);
	redis_args_add(&c->ops, field, strlen(field));
	redis_args_add(&c->ops, value, strlen(value));
}

void
journal_op_message(struct journal_commit *c, const char *doc, size_t len)
{
	redis_args_add(&c->ops, "M", 1);
	redis_args_add(&c->ops, doc, len);
}

void
journal_op_final(struct journal_commit *c)
{
	redis_args_add(&c->ops, "F", 1);
}

static void
commit_fail(struct journal_commit *c, const struct err *why)
{
	c->outcome = JOURNAL_FAILED;
	c->err = *why;
	c->on_done(c->ctx, c);
}

void
journal_commit(struct journal_log *log, struct journal_commit *c)
{
	struct waiting *w = NULL;

	c->next_doc = NULL;
	if (log->dead) {
		commit_fail(c, &log->why);
		return;
	}
	for (int i = 0; i < c->event_count; i++) {
		w = log_wait(log, c->events[i].kind, c->events[i].step);
		buf_puts(&w->rest, c->events[i].rest);
	}
	if (w == NULL)
		abort(); /* a commit without events cannot be repeated */
	w->commit = c;
	log_schedule(log);
}

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
	e = (struct event){ w->kind, log->turn, w->step, w->time_ms,
		buf_str(&w->rest), w->rest.len };
	log->last.seq++;
	f = frame_make(&e, log->last);
	if (is_stream_text(w))
		log->text_sent_ms = loop_now_ms(log->journal->loop);
	*commit_r = w->commit;
	waiting_free(w);
	return f;
}

/* Text was taken into this call, and the state does not say so yet. */
static int
call_begins_stream(const struct call *c)
{
	if (c->log->streaming)
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

	redis_script(p, SCRIPT_COMMIT, 2,
	    5 + 2 * c->frame_count + (begins ? 3 : 0) +
		(c->commit != NULL ? c->commit->ops.argc : 0));
	redis_arg(p, log->base);
	redis_arg(p, log->journal->leases_key);
	redis_arg(p, log->lease);
	redis_arg(p, prev);
	redis_arg(p, log->journal->keep);
	redis_argi(p, clk_wall_ms());
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

/* All that waits in a log, up to the first commit. */
static struct call *
call_new(struct journal_log *log)
{
	struct call *c = calloc(1, sizeof(*c));
	char prev[EVENT_ID_SIZE];

	if (c == NULL)
		abort();
	c->log = log;
	event_id_print(prev, log->last);
	while (log->first != NULL && c->commit == NULL &&
	    c->frame_count < EVENTS_PER_CALL)
		c->frames[c->frame_count++] = log_take_frame(log, &c->commit);
	redis_pipe_init(&c->resp, NULL);
	call_write(c, prev);
	c->first_sent_ms = loop_now_ms(log->journal->loop);
	log->call = c;
	call_link(log->journal, c);
	return c;
}

static void
call_free(struct call *c)
{
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->log != NULL)
		c->log->call = NULL;
	for (int i = 0; i < c->frame_count; i++)
		frame_unref(&c->frames[i]);
	buf_fini(&c->resp.out);
	free(c);
}

/* ---- the end of a log ---- */

/* Fails all commits that wait in a log and tells its owner, once. */
static void
log_die(struct journal_log *log, enum err_code code, const char *text)
{
	struct journal *j = log->journal;
	struct journal_commit *c;
	struct waiting *w;

	if (log->dead)
		return;
	log->dead = 1;
	err_set(&log->why, code, "%s", text);
	if (log->queued == QUEUED_READY)
		queue_remove(&j->ready, log);
	else if (log->queued == QUEUED_DUE)
		queue_remove(&j->due, log);
	log->on_dead(log->ctx, &log->why);
	while (log->first != NULL) {
		w = log_pop_waiting(log);
		c = w->commit;
		waiting_free(w);
		if (c != NULL)
			commit_fail(c, &log->why);
	}
}

/* A call that will get no answer: its log is dead, its commit fails. */
static void
call_abandon(struct call *c, enum err_code code, const char *text)
{
	struct journal_log *log = c->log;
	struct journal_commit *commit = c->commit;
	struct err why;

	err_set(&why, code, "%s", text);
	log_die(log, code, text);
	if (c->on_link) {
		/* Its answer is still to come, and must find nobody. */
		log->call = NULL;
		c->log = NULL;
		c->commit = NULL;
	} else {
		call_free(c);
	}
	if (commit != NULL)
		commit_fail(commit, &why);
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

/* The events by which commit.lua began the next turn. */
static int
next_frames(struct journal_log *log, const redisReply *list,
    struct frame **frames)
{
	int n = 0;

	for (size_t i = 0; i < list->elements && n < JOURNAL_EVENTS_MAX; i++) {
		frames[n] = frame_new(list->element[i]->str,
		    (size_t)list->element[i]->len);
		if (frames[n] == NULL)
			abort(); /* our own script wrote it */
		log->last = frames[n++]->id;
	}
	return n;
}

static void
call_show(struct call *c, const redisReply *r)
{
	struct frame *more[JOURNAL_EVENTS_MAX];
	struct journal *j = c->log->journal;
	int n;

	j->show(j->show_ctx, c->log->agent, c->frames, c->frame_count);
	if (strcmp(reply_text(r, 0), "NEXT") != 0)
		return;
	n = next_frames(c->log, r->element[2], more);
	j->show(j->show_ctx, c->log->agent, more, n);
	for (int i = 0; i < n; i++)
		frame_unref(&more[i]);
}

static void
commit_done(struct journal_commit *c, const redisReply *r)
{
	const char *what = reply_text(r, 0);

	c->outcome = JOURNAL_OK;
	if (strcmp(what, "IDLE") == 0)
		c->outcome = JOURNAL_IDLE;
	if (strcmp(what, "NEXT") == 0) {
		c->outcome = JOURNAL_NEXT;
		c->next_doc = strdup(reply_text(r, 1));
	}
	c->on_done(c->ctx, c);
}

static void
call_applied(struct call *c, const redisReply *r)
{
	struct journal_log *log = c->log;
	struct journal_commit *commit = c->commit;

	crash_point(commit == NULL ? "append-answered" : "commit-answered");
	call_show(c, r);
	call_free(c);
	log_schedule(log);
	if (commit != NULL)
		commit_done(commit, r); /* may close the log */
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
	j->on_link--;
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

static void
call_send(struct call *c)
{
	struct journal *j = c->log->journal;

	c->on_link = 1;
	j->on_link++;
	crash_point(c->commit == NULL ? "append-send" : "commit-send");
	redis_link_send(j->link, c->resp.out.data, c->resp.out.len, on_answer,
	    c);
}

/* The end of a tick: one batch, if none is on its way. */
static void
journal_flush(void *arg)
{
	struct journal *j = arg;
	struct journal_log *log;

	if (redis_link_up(j->link) && j->on_link == 0) {
		while ((log = queue_pop(&j->ready)) != NULL)
			call_send(call_new(log));
	}
	redis_link_flush(j->link);
}

/* Sends again whatever has no answer and is not on its way. */
static void
journal_resend(struct journal *j)
{
	struct call *c, *next;

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

/* Gives up on what Redis did not take in time, and on a link that is mute. */
static void
on_check(void *arg)
{
	struct journal *j = arg;
	int64_t now = loop_now_ms(j->loop);
	int64_t oldest = redis_link_oldest_ms(j->link);
	struct call *c, *next;
	struct journal_log *log, *tmp;

	for (c = j->calls; c != NULL; c = next) {
		next = c->next;
		if (c->log != NULL && now - c->first_sent_ms > j->timeout_ms) {
			if (c->on_link)
				j->on_link--;
			call_abandon(c, ERR_STORE,
			    "Redis was away for longer than store.timeout");
			next = j->calls; /* owners may have closed others */
		}
	}
	HASH_ITER(hh, j->logs, log, tmp)
		if (!log->dead && log->call == NULL && log->first != NULL &&
		    !redis_link_up(j->link) &&
		    clk_wall_ms() - log->first->time_ms > j->timeout_ms)
			log_die(log, ERR_STORE,
			    "Redis was away for longer than store.timeout");
	if (oldest != 0 && now - oldest > j->command_ms)
		redis_link_drop(j->link);
	else
		journal_resend(j);
}

/* ---- leases ---- */

/* A renewal on its way; the log may be closed before its answer comes. */
struct renewal {
	struct journal *journal;
	char agent[40];
	char lease[LEASE_SIZE];
};

static void
on_renewed(void *ctx, const redisReply *r)
{
	struct renewal *n = ctx;
	struct journal_log *log = journal_log_find(n->journal, n->agent);

	if (log != NULL && strcmp(log->lease, n->lease) == 0 &&
	    log->call == NULL && r != NULL &&
	    r->type == REDIS_REPLY_INTEGER && r->integer == 0)
		log_die(log, ERR_FENCED, "the lease was lost");
	free(n);
}

static void
log_renew(struct journal_log *log)
{
	struct journal *j = log->journal;
	struct renewal *n = malloc(sizeof(*n));
	struct redis_pipe p;

	if (n == NULL)
		abort();
	n->journal = j;
	strcpy(n->agent, log->agent);
	strcpy(n->lease, log->lease);
	redis_pipe_init(&p, NULL);
	redis_script(&p, SCRIPT_RENEW, 2, 3);
	redis_arg(&p, log->base);
	redis_arg(&p, j->leases_key);
	redis_arg(&p, log->lease);
	redis_argi(&p, j->lease_ms);
	redis_argi(&p, clk_wall_ms());
	redis_link_send(j->link, p.out.data, p.out.len, on_renewed, n);
	buf_fini(&p.out);
}

static void
on_renew(void *arg)
{
	struct journal *j = arg;
	struct journal_log *log, *tmp;

	HASH_ITER(hh, j->logs, log, tmp)
		if (!log->dead)
			log_renew(log);
}

static void
on_yielded(void *ctx, const redisReply *r)
{
	(void)ctx;
	(void)r;
}

void
journal_yield_all(struct journal *j)
{
	struct journal_log *log, *tmp;
	struct redis_pipe p;

	redis_pipe_init(&p, NULL);
	HASH_ITER(hh, j->logs, log, tmp) {
		redis_pipe_clear(&p);
		redis_script(&p, SCRIPT_YIELD, 2, 1);
		redis_arg(&p, log->base);
		redis_arg(&p, j->leases_key);
		redis_arg(&p, log->lease);
		redis_link_send(j->link, p.out.data, p.out.len, on_yielded,
		    NULL);
	}
	buf_fini(&p.out);
	redis_link_flush(j->link);
}

/* ---- logs ---- */

struct journal_log *
journal_log_open(struct journal *j, const struct journal_spec *spec)
{
	struct journal_log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		abort();
	log->journal = j;
	snprintf(log->agent, sizeof(log->agent), "%s", spec->agent);
	snprintf(log->base, sizeof(log->base), "%s", spec->base);
	snprintf(log->lease, sizeof(log->lease), "%s", spec->lease);
	log->tail = &log->first;
	log->text_sent_ms = INT64_MIN / 2;
	log->on_dead = spec->on_dead;
	log->ctx = spec->ctx;
	journal_log_set_turn(log, spec->turn);
	HASH_ADD_STR(j->logs, agent, log);
	return log;
}

void
journal_log_show(struct journal_log *log, struct frame *const *frames,
    int count)
{
	struct journal *j = log->journal;

	if (count == 0)
		return;
	log->last = frames[count - 1]->id;
	j->show(j->show_ctx, log->agent, frames, count);
}

void
journal_log_detach(struct journal_log *log)
{
	log_die(log, ERR_FENCED, "the lease was lost");
	if (!log->detached)
		HASH_DEL(log->journal->logs, log);
	log->detached = 1;
}

void
journal_log_set_turn(struct journal_log *log, const char *turn)
{
	snprintf(log->turn, sizeof(log->turn), "%s", turn);
	log->text_sent_ms = INT64_MIN / 2;
}

void
journal_log_close(struct journal_log **log_p)
{
	struct journal_log *log = *log_p;

	if (log == NULL)
		return;
	*log_p = NULL;
	log_die(log, ERR_CANCELLED, "closed");
	if (log->call != NULL)
		log->call->log = NULL;
	if (!log->detached)
		HASH_DEL(log->journal->logs, log);
	free(log);
}

struct journal_log *
journal_log_find(struct journal *j, const char *agent)
{
	struct journal_log *log;

	HASH_FIND_STR(j->logs, agent, log);
	return log;
}

/* ---- the journal itself ---- */

struct journal *
journal_new(struct loop *l, const struct conf *c, struct redis_link *link)
{
	struct journal *j = calloc(1, sizeof(*j));
	int64_t third = c->store_lease_ms / 3;

	if (j == NULL)
		abort();
	j->loop = l;
	j->link = link;
	queue_init(&j->ready);
	queue_init(&j->due);
	j->coalesce_ms = c->events_coalesce_ms;
	j->lease_ms = c->store_lease_ms;
	j->timeout_ms = c->store_timeout_ms;
	j->command_ms = c->store_command_timeout_ms;
	snprintf(j->keep, sizeof(j->keep), "%lld", (long long)c->events_keep);
	snprintf(j->leases_key, sizeof(j->leases_key), "%sleases",
	    c->store_prefix);
	j->due_timer = loop_timer_new(l, "journal due", on_due, j);
	j->renew_timer = loop_timer_new(l, "journal renew", on_renew, j);
	j->check_timer = loop_timer_new(l, "journal check", on_check, j);
	loop_timer_start(j->renew_timer, third, third);
	loop_timer_start(j->check_timer, CHECK_EVERY_MS, CHECK_EVERY_MS);
	loop_at_tick_end(l, "journal", journal_flush, j);
	return j;
}

void
journal_set_show(struct journal *j, journal_show_f *show, void *ctx)
{
	j->show = show;
	j->show_ctx = ctx;
}

void
journal_free(struct journal **j_p)
{
	struct journal *j = *j_p;

	if (j == NULL)
		return;
	*j_p = NULL;
	if (j->logs != NULL)
		abort(); /* a turn still writes */
	while (j->calls != NULL)
		call_free(j->calls);
	loop_timer_free(&j->due_timer);
	loop_timer_free(&j->renew_timer);
	loop_timer_free(&j->check_timer);
	free(j);
}
