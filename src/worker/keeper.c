/* SPDX-License-Identifier: MIT */
/*
 * Taking over.
 *
 * A lease says who holds it: host, boot, pid, start time. On this host that
 * can be checked, so an heir need not wait for the lease of a dead worker to
 * run out; of other hosts only an expired lease is taken. A holder that is
 * alive after all, or comes back, finds its lease replaced and can write
 * nothing.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/runner.h"
#include "api/app.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "master/scale.h"
#include "store/store.h"
#include "worker/keeper.h"

#define FIRST_TRY_MS 50 /* while a look at all has not succeeded */

struct keeper {
	struct app *app;
	pthread_t thread;
	struct lck lck;
	struct lck_cond wake;
	int look; /* at all of them */
	int stop;
	int woken;
};

/* Nobody holds it, nor will: it ran out, or its holder is dead. A turn that
 * waits for a human has no lease either, but a deadline to come. */
static int
is_left(struct keeper *k, const struct store_leased *l)
{
	if (*l->value == '\0')
		return l->deadline_ms <= clk_shared_ms();
	return store_holder_dead(k->app->store, l->value);
}

/* Leases up to this time are looked at. A worker that may be the last one
 * needs to know of those too that may run out when it has left. */
static int64_t
sweep_until(const struct conf *c)
{
	return clk_shared_ms() +
	       (c->pm == SCALE_ONDEMAND ? c->store_lease_ms : 0);
}

/* Whether turns may be left to this worker, for the master; before is what the
 * row said before the sweep: turns that began since are not in its list. */
static void
note_unswept(struct keeper *k, int rc, const struct store_leased *list,
    size_t count, uint32_t before)
{
	struct board_worker *row = scoreboard_row(k->app->board, k->app->slot);
	int64_t until = sweep_until(k->app->conf);
	int found = rc != 0;

	for (size_t i = 0; i < count && !found; i++)
		found = list[i].deadline_ms <= until;
	if (found)
		row->unswept++;
	else
		atomic_compare_exchange_strong(&row->unswept, &before, 0);
}

/* One look at the leases whose deadline is before a time. 0, 1 there is no
 * room for all that were found, -1. */
static int
sweep(struct keeper *k, int64_t before_ms)
{
	uint32_t before = scoreboard_row(k->app->board, k->app->slot)->unswept;
	struct arena *a = arena_open(16384);
	struct store_leased *list;
	struct err err;
	size_t count;
	int rc = 0, crowded;

	if (store_leases(k->app->store, a, before_ms, &list, &count, &err) <
	    0) {
		log_warn("looking for leases: %s", err.text);
		rc = -1;
		count = 0;
	}
	for (size_t i = 0; i < count && rc >= 0; i++)
		if (is_left(k, &list[i]))
			rc = runner_take(k->app->runner, a, list[i].base,
			    list[i].value, &err);
	crowded = rc < 0 && count > 0 && err.code == ERR_OVERLOAD;
	if (rc < 0 && count > 0 && !crowded)
		log_warn("taking over a turn: %s", err.text);
	note_unswept(k, rc, list, count, before);
	arena_close(&a);
	return crowded ? 1 : rc < 0 ? -1 : 0;
}

/* What fails is tried again when a slot is free, or after the next sweep. */
static void
serve_queue(struct keeper *k)
{
	struct err err;

	if (runner_serve_queue(k->app->runner, &err) < 0)
		log_warn("taking up an agent that waits: %s", err.text);
}

/* For whoever watches the pool. */
static void
look_at_queue(struct keeper *k)
{
	struct arena *a = arena_open(4096);
	int64_t count, age_ms;
	struct err err;

	if (store_queue(k->app->store, a, &count, &age_ms, &err) == 0) {
		metric_set(METRIC_QUEUE_WAITING, count);
		metric_set(METRIC_QUEUE_AGE, age_ms / 1000);
	}
	arena_close(&a);
}

/* Sleeps until a time, or until it is woken: 0, with look_r whether somebody
 * told it to look at all leases. -1 the worker stops. */
static int
keeper_sleep(struct keeper *k, int64_t deadline, int *look_r)
{
	int stop;

	lck_take(&k->lck);
	while (!k->stop && !k->look && !k->woken && clk_mono_ms() < deadline)
		lck_cond_wait(&k->wake, &k->lck, deadline);
	stop = k->stop;
	*look_r = k->look;
	k->look = k->woken = 0;
	lck_drop(&k->lck);
	return stop ? -1 : 0;
}

/*
 * What has begun goes on before what waits begins: as long as a sweep found
 * more than there is room for, each slot that is free is for another sweep, and
 * none for the queue.
 */
static void *
keeper_thread(void *arg)
{
	struct keeper *k = arg;
	int64_t every = k->app->conf->store_sweep_ms, next = 0;
	int all = 1, look = 0, crowded = 0, due, rc;

	prctl(PR_SET_NAME, "fpm-keeper");
	do {
		all |= look;
		due = look || clk_mono_ms() >= next;
		if (due || (crowded && runner_has_room(k->app->runner))) {
			rc = sweep(
			    k, all ? INT64_MAX : sweep_until(k->app->conf));
			all = rc != 0 && all;
			crowded = rc > 0 || (rc < 0 && crowded);
		}
		if (due) {
			next = clk_mono_ms() +
			       (all && !crowded ? FIRST_TRY_MS : every);
			runner_expect(k->app->runner);
		}
		if (!all && !crowded)
			serve_queue(k);
		if (due)
			look_at_queue(k);
	} while (keeper_sleep(k, next, &look) == 0);
	return NULL;
}

void
keeper_look(struct keeper *k)
{
	lck_take(&k->lck);
	k->look = 1;
	lck_cond_signal(&k->wake);
	lck_drop(&k->lck);
}

struct keeper *
keeper_new(struct app *app)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL)
		abort();
	k->app = app;
	lck_init(&k->lck, LCK_KEEPER);
	lck_cond_init(&k->wake);
	return k;
}

void
keeper_start(struct keeper *k)
{
	if (pthread_create(&k->thread, NULL, keeper_thread, k) != 0)
		abort();
}

void
keeper_wake(void *keeper)
{
	struct keeper *k = keeper;

	lck_take(&k->lck);
	k->woken = 1;
	lck_cond_signal(&k->wake);
	lck_drop(&k->lck);
}

void
keeper_stop(struct keeper *k)
{
	lck_take(&k->lck);
	k->stop = 1;
	lck_cond_signal(&k->wake);
	lck_drop(&k->lck);
	pthread_join(k->thread, NULL);
}

void
keeper_free(struct keeper **k_p)
{
	struct keeper *k = *k_p;

	if (k == NULL)
		return;
	*k_p = NULL;
	lck_cond_fini(&k->wake);
	lck_fini(&k->lck);
	free(k);
}
