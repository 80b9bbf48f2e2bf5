/* SPDX-License-Identifier: MIT */
/*
 * The runner: who runs which turn.
 *
 * Turns belong to the loop's thread, and so does their table. Steps that block
 * are handed to turn threads by a queue with a lock; threads are made when a
 * step finds none idle, up to a bound, and leave when nothing came for a
 * while.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/forms.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "store/journal.h"

#define IDLE_MS 10000
#define THREADS_MAX 16 /* they wait for Redis, which is one thread itself */
#ifdef SANITIZER
#define STACK_BYTES (2 * 1024 * 1024)
#else
#define STACK_BYTES (256 * 1024)
#endif

struct runner *
runner_new(const struct runner_parts *parts)
{
	struct runner *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->parts = *parts;
	r->forms = forms_new(parts->models);
	r->cache = history_cache_new(
	    (size_t)parts->conf->store_cache_bytes, forms_choose, r->forms);
	r->queue_tail = &r->queue_first;
	lck_init(&r->lck, LCK_RUNNER);
	lck_cond_init(&r->work);
	lck_cond_init(&r->left);
	return r;
}

void
runner_forget(struct runner *r, int64_t idle_ms)
{
	history_cache_forget(r->cache, idle_ms);
}

void
runner_deleted(struct runner *r, const char *agent)
{
	runner_interrupt(r, agent, "");
	history_cache_drop(r->cache, agent);
}

void
runner_free(struct runner **r_p)
{
	struct runner *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	lck_take(&r->lck);
	r->stopping = 1;
	lck_cond_broadcast(&r->work);
	while (r->threads > 0)
		lck_cond_wait(&r->left, &r->lck, clk_mono_ms() + IDLE_MS);
	lck_drop(&r->lck);
	history_cache_free(&r->cache);
	forms_free(&r->forms);
	lck_cond_fini(&r->work);
	lck_cond_fini(&r->left);
	lck_fini(&r->lck);
	free(r);
}

/* ---- room ---- */

int
runner_reserve(struct runner *r, const char *user, int force, struct err *err)
{
	const struct conf *c = r->parts.conf;
	int draining, rc;

	lck_take(&r->lck);
	draining = r->draining;
	lck_drop(&r->lck);
	if (draining)
		return err_limit(err, ERR_OVERLOAD, "",
		    "this server is stopping; ask again");
	rc = scoreboard_count_take(r->parts.board, r->parts.slot, BOARD_TURNS,
	    user, force ? 0 : c->limits_turns_per_user, c->limits_turns);
	if (rc == 0)
		return err_limit(err, ERR_LIMIT, "limits.turns_per_user",
		    "%lld of your agents are at work, the most allowed",
		    (long long)c->limits_turns_per_user);
	if (rc < 0)
		return err_limit(err, ERR_OVERLOAD, "limits.turns",
		    "the server runs %lld turns, the most it may",
		    (long long)c->limits_turns);
	lck_take(&r->lck);
	r->running++;
	lck_drop(&r->lck);
	return 0;
}

int
runner_has_room(struct runner *r)
{
	const struct board_worker *row =
	    scoreboard_row(r->parts.board, r->parts.slot);

	return row->count[BOARD_TURNS] < r->parts.conf->limits_turns;
}

void
runner_release(struct runner *r, const char *user)
{
	int expects;

	scoreboard_count_drop(r->parts.board, r->parts.slot, BOARD_TURNS, user);
	lck_take(&r->lck);
	r->running--;
	expects = r->expects;
	lck_drop(&r->lck);
	if (expects)
		r->parts.on_room(r->parts.room_ctx);
}

struct store_known
runner_known(struct runner *r, const char *agent)
{
	return history_cache_known(r->cache, agent);
}

int
runner_running(struct runner *r)
{
	int n;

	lck_take(&r->lck);
	n = r->running;
	lck_drop(&r->lck);
	return n;
}

void
runner_drain(struct runner *r)
{
	lck_take(&r->lck);
	r->draining = 1;
	lck_drop(&r->lck);
}

/* ---- threads ---- */

/* The first that waits for a thread, or NULL. */
static struct turn *
queue_pop(struct runner *r)
{
	struct turn *t = r->queue_first;

	if (t == NULL)
		return NULL;
	r->queued--;
	r->queue_first = t->next;
	if (r->queue_first == NULL)
		r->queue_tail = &r->queue_first;
	return t;
}

/* The next turn to run, or NULL when the thread is to leave. */
static struct turn *
runner_next(struct runner *r)
{
	int64_t deadline = clk_mono_ms() + IDLE_MS;
	struct turn *t;
	int late = 0;

	lck_take(&r->lck);
	r->idle++;
	while (r->queue_first == NULL && !r->stopping && !late)
		late = lck_cond_wait(&r->work, &r->lck, deadline) < 0;
	r->idle--;
	t = queue_pop(r);
	if (t == NULL) {
		r->threads--;
		lck_cond_signal(&r->left);
	}
	lck_drop(&r->lck);
	return t;
}

static void *
runner_thread(void *arg)
{
	struct runner *r = arg;
	struct turn *t;

	prctl(PR_SET_NAME, "fpm-turn");
	while ((t = runner_next(r)) != NULL)
		turn_run_blocking(t);
	return NULL;
}

static void
runner_thread_start(struct runner *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	struct turn *t;
	int rc;

	if (pthread_attr_init(&attr) != 0 ||
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
	    pthread_attr_setstacksize(&attr, STACK_BYTES) != 0)
		abort();
	rc = pthread_create(&thread, &attr, runner_thread, r);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return;
	log_error("no thread for a turn: %s; the loop waits for it instead",
	    strerror(rc));
	lck_take(&r->lck);
	r->threads--;
	t = queue_pop(r);
	lck_drop(&r->lck);
	if (t != NULL)
		turn_run_blocking(t);
}

void
runner_push(struct runner *r, struct turn *t)
{
	int start;

	lck_take(&r->lck);
	t->next = NULL;
	*r->queue_tail = t;
	r->queue_tail = &t->next;
	start = ++r->queued > r->idle && r->threads < THREADS_MAX;
	r->threads += start;
	lck_drop(&r->lck);
	lck_cond_signal(&r->work); /* who wakes finds the lock free */
	if (start)
		runner_thread_start(r);
}

/* ---- turns ---- */

static const char *const *
texts_copy(struct arena *a, const char *const *list, size_t count)
{
	const char **copy = arena_alloc(a, (count + 1) * sizeof(*copy));

	for (size_t i = 0; i < count; i++)
		copy[i] = arena_strdup(a, list[i]);
	return copy;
}

/* A copy of a lease whose strings live as long as the turn. */
static void
lease_copy(
    struct arena *a, struct store_lease *out, const struct store_lease *lease)
{
	*out = *lease;
	out->docs = texts_copy(a, lease->docs, lease->doc_count);
	if (lease->has_info) {
		out->prompt = arena_strdup(a, lease->prompt);
		out->model = arena_strdup(a, lease->model);
		out->template = arena_strdup(a, lease->template);
		out->tools = arena_strdup(a, lease->tools);
		out->permission = arena_strdup(a, lease->permission);
		out->workspace = arena_strdup(a, lease->workspace);
		out->name = arena_strdup(a, lease->name);
	}
	out->budget.purse = arena_strdup(a, lease->budget.purse);
	out->budget.question = arena_strdup(a, lease->budget.question);
	out->budget.answer = arena_strdup(a, lease->budget.answer);
	out->todos = arena_strdup(a, lease->todos);
	out->call_ids = arena_strdup(a, lease->call_ids);
	out->lineage = arena_strdup(a, lease->lineage);
	out->calls = texts_copy(a, lease->calls, lease->call_count);
	out->decided = texts_copy(a, lease->decided, lease->call_count);
	out->events = texts_copy(a, lease->events, lease->event_count);
}

struct turn *
turn_new(
    struct runner *r, const struct store_lease *lease, const char *request_id)
{
	struct turn *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort();
	t->runner = r;
	scoreboard_row(r->parts.board, r->parts.slot)->unswept++;
	t->lease_arena = arena_open(2048);
	lease_copy(t->lease_arena, &t->lease, lease);
	snprintf(t->turn, sizeof(t->turn), "%s", lease->turn);
	snprintf(t->room, sizeof(t->room), "%s", lease->user);
	snprintf(t->context, sizeof(t->context), "%s", lease->context);
	snprintf(t->request_id, sizeof(t->request_id), "%s", request_id);
	t->step = lease->step > 0 ? (int)lease->step : 1;
	t->todos = strdup(t->lease.todos);
	if (t->todos == NULL)
		abort();
	t->budget.spent = lease->budget.spent;
	if (lease->interrupted)
		t->stop = STOP_INTERRUPT;
	return t;
}

void
turn_free(struct turn **t_p)
{
	struct turn *t = *t_p;

	if (t == NULL)
		return;
	*t_p = NULL;
	arena_close(&t->lease_arena);
	free(t->todos);
	free(t);
}

/* The journal: nothing can be written any more. */
static void
on_dead(void *ctx, const struct err *why)
{
	struct turn *t = ctx;

	t->dead = *why;
	turn_stop(t, STOP_DEAD);
}

/* The first events of the lease, which its script wrote, to the viewers. */
static void
turn_show_first(struct turn *t)
{
	struct frame **frames = arena_alloc(
	    t->lease_arena, (t->lease.event_count + 1) * sizeof(*frames));
	int n = 0;

	for (size_t i = 0; i < t->lease.event_count; i++) {
		frames[n] =
		    frame_new(t->lease.events[i], strlen(t->lease.events[i]));
		if (frames[n] == NULL)
			abort(); /* our own script wrote it */
		n++;
	}
	journal_log_show(t->log, t->lease.prev, frames, n);
	while (n > 0)
		frame_unref(&frames[--n]);
}

/* A new turn, not one that is taken up. */
static int
lease_begins(const struct store_lease *l)
{
	return l->resumes == 0 &&
	       (l->state[0] == '\0' || strcmp(l->state, "READY") == 0);
}

void
turn_open(struct turn *t)
{
	struct runner *r = t->runner;
	struct turn *old;
	struct journal_spec spec = {
		.agent = t->lease.agent,
		.base = t->lease.base,
		.lease = t->lease.value,
		.turn = t->turn,
		.on_dead = on_dead,
		.ctx = t,
	};

	HASH_FIND_STR(r->turns, t->lease.agent, old);
	if (old != NULL) {
		/* A turn of ours that lost its lease and does not know yet. */
		turn_stop(old, STOP_DEAD);
		journal_log_detach(old->log);
		HASH_DEL(r->turns, old);
	}
	t->log = journal_log_open(r->parts.journal, &spec);
	HASH_ADD_STR(r->turns, lease.agent, t);
	turn_show_first(t);
	if (lease_begins(&t->lease) && t->lease.doc_count > 0)
		turn_meter_said(t, t->lease.docs[t->lease.doc_count - 1]);
	turn_watch(t);
	turn_wake(t, TURN_LOAD);
}

static void
on_open(void *arg)
{
	turn_open(arg);
}

void
runner_post(struct runner *r, struct turn *t)
{
	loop_post(r->parts.loop, "open", on_open, t);
}

void
runner_open(
    struct runner *r, const struct store_lease *lease, const char *request_id)
{
	struct turn *t = turn_new(r, lease, request_id);

	t->room[0] = '\0';
	runner_post(r, t);
}

int
runner_tell(struct runner *r, struct arena *a, const char *agent,
    const char *lease, const char *what, struct err *err)
{
	struct store *st = r->parts.store;
	int rc;

	if (*lease != '\0')
		return store_tell(st, a, lease, what, err);
	rc = runner_take(r, a, store_base(st, a, agent), "", err);
	return rc < 0 && err->code == ERR_OVERLOAD ? 0 : rc;
}

int
runner_take(struct runner *r, struct arena *a, const char *base,
    const char *value, struct err *err)
{
	struct store_lease lease;
	enum store_start start;

	if (runner_reserve(r, "", 1, err) < 0)
		return -1;
	if (store_take(r->parts.store, a, base, value, &start, &lease, err) <
	    0) {
		runner_release(r, "");
		return -1;
	}
	if (start != STORE_BEGIN && start != STORE_RESUME) {
		runner_release(r, "");
		return 0;
	}
	log_info("takes up agent %s, turn %s", lease.agent, lease.turn);
	runner_open(r, &lease, "");
	return 1;
}

void
runner_answer(
    struct runner *r, const char *agent, const char *call, const char *decision)
{
	struct turn *t;

	HASH_FIND_STR(r->turns, agent, t);
	if (t != NULL)
		turn_answer(t, call, decision);
}

void
runner_surface(struct runner *r, const char *agent, const char *rest)
{
	struct turn *t;

	HASH_FIND_STR(r->turns, agent, t);
	if (t != NULL)
		journal_event(t->log, EVENT_PERMISSION_REQUIRED, t->step, rest,
		    strlen(rest));
}

void
runner_withdrawn(struct runner *r, const char *agent, const char *turn)
{
	struct turn *t;

	HASH_FIND_STR(r->turns, agent, t);
	if (t != NULL)
		journal_event_of(
		    t->log, turn, EVENT_DONE, ",\"reason\":\"withdrawn\"");
}

int
runner_interrupt(struct runner *r, const char *agent, const char *turn)
{
	struct turn *t;

	HASH_FIND_STR(r->turns, agent, t);
	if (t == NULL || (*turn != '\0' && strcmp(t->turn, turn) != 0))
		return 0;
	turn_stop(t, STOP_INTERRUPT);
	return 1;
}

void
runner_abandon(struct runner *r)
{
	struct turn *t, *tmp;

	journal_yield_all(r->parts.journal);
	HASH_ITER(hh, r->turns, t, tmp)
	turn_stop(t, STOP_ABANDON);
}
