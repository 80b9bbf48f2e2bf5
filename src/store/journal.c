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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "store/journal_priv.h"
#include "store/redis_link.h"
#include "store/store_priv.h"

#define CHECK_EVERY_MS 250
#define BATCH_SWIFT_US 1000
#define COALESCE_BATCHES 32
#define COALESCE_LOADED_MS 200 /* at most */
#define BATCHES_OF_LATE 8

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

/*
 * How long text waits for more of it. The longer batches take, the longer:
 * what does not keep up makes fewer, larger events, and has the more time for
 * those turns that show nothing yet.
 */
static int64_t
journal_coalesce_ms(const struct journal *j)
{
	int64_t ms = (j->batch_us - BATCH_SWIFT_US) * COALESCE_BATCHES / 1000;

	if (ms > COALESCE_LOADED_MS)
		ms = COALESCE_LOADED_MS;
	return j->coalesce_ms > ms ? j->coalesce_ms : ms;
}

void
journal_batch_begins(struct journal *j)
{
	j->batch_began_ms = loop_now_ms(j->loop);
	j->batch_began_us = clk_mono_us();
}

void
journal_batch_ended(struct journal *j)
{
	int64_t us = 1000 * (loop_now_ms(j->loop) - j->batch_began_ms);

	j->batch_us += (us - j->batch_us) / BATCHES_OF_LATE;
	metric_observe(METRIC_STORE_TIME, METRIC_WAY_COMMIT,
	    clk_mono_us() - j->batch_began_us);
}

/* By due_ms: nearly always at the end, as the wait changes little. */
static void
due_insert(struct journal *j, struct journal_log *log)
{
	struct journal_log **p = &j->due.first;

	if (*p == NULL || log->due_ms >= j->due_last_ms) {
		j->due_last_ms = log->due_ms;
		queue_push(&j->due, log, QUEUED_DUE);
		return;
	}
	while (*p != NULL && (*p)->due_ms <= log->due_ms)
		p = &(*p)->queue_next;
	log->queued = QUEUED_DUE;
	log->queue_next = *p;
	*p = log;
	if (log->queue_next == NULL)
		j->due.tail = &log->queue_next;
}

/* Text waits its time; the first of a turn is due at once. */
static void
log_make_due(struct journal_log *log)
{
	struct journal *j = log->journal;
	int64_t now = loop_now_ms(j->loop);

	if (log->queued != QUEUED_NO || log->call != NULL)
		return;
	log->due_ms = log->text_sent_ms + journal_coalesce_ms(j);
	if (log->due_ms <= now) {
		log_make_ready(log);
		return;
	}
	due_insert(j, log);
	if (j->due.first == log)
		loop_timer_start(j->due_timer, log->due_ms - now, 0);
}

/*
 * What waits decides: text alone may wait, anything else goes now.
 */
void
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
	w->time_ms = clk_shared_ms();
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

struct waiting *
log_pop_waiting(struct journal_log *log)
{
	struct waiting *w = log->first;

	log->first = w->next;
	if (log->first == NULL)
		log->tail = &log->first;
	return w;
}

void
waiting_free(struct waiting *w)
{
	buf_fini(&w->rest);
	free(w->turn);
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
journal_event_of(struct journal_log *log, const char *turn,
    enum event_kind kind, const char *rest)
{
	struct waiting *w;

	if (log->dead)
		return;
	w = log_wait(log, kind, 0);
	w->turn = strdup(turn);
	if (w->turn == NULL)
		abort();
	buf_puts(&w->rest, rest);
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

	c->next_count = 0;
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

/* ---- the end of a log ---- */

/* Fails all commits that wait in a log and tells its owner, once. */
void
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

/* The end of a tick: one batch, if none is on its way. */
static void
journal_flush(void *arg)
{
	struct journal *j = arg;
	struct journal_log *log;

	if (redis_link_up(j->link) && j->on_link == 0) {
		journal_batch_begins(j);
		while ((log = queue_pop(&j->ready)) != NULL)
			call_send(call_new(log));
	}
	redis_link_flush(j->link);
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
			call_abandon(c, ERR_STORE,
			    "Redis was away for longer than store.timeout");
			next = j->calls; /* owners may have closed others */
		}
	}
	HASH_ITER(hh, j->logs, log, tmp)
	if (!log->dead && log->call == NULL && log->first != NULL &&
	    !redis_link_up(j->link) &&
	    clk_shared_ms() - log->first->time_ms > j->timeout_ms)
		log_die(log, ERR_STORE,
		    "Redis was away for longer than store.timeout");
	if (oldest != 0 && now - oldest > j->command_ms)
		redis_link_drop(j->link);
	else
		journal_resend(j);
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
journal_log_show(struct journal_log *log, struct event_id prev,
    struct frame *const *frames, int count)
{
	struct journal *j = log->journal;

	if (count == 0)
		return;
	log->last = frames[count - 1]->id;
	metric_add(METRIC_EVENTS, 0, 0, count);
	j->show(j->show_ctx, log->agent, prev, frames, count);
}

struct event_id
journal_log_last(const struct journal_log *log)
{
	return log->last;
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
		call_forget(log->call);
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
	snprintf(
	    j->leases_key, sizeof(j->leases_key), "%sleases", c->store_prefix);
	if (store_counts_turns(c))
		snprintf(j->turns_key, sizeof(j->turns_key), "%s" STORE_TURNS,
		    c->store_prefix);
	j->due_timer = loop_timer_new(l, "journal due", on_due, j);
	j->renew_timer = loop_timer_new(l, "journal renew", journal_renew, j);
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
