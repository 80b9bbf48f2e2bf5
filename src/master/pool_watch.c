/* SPDX-License-Identifier: MIT */
/*
 * What the master looks at every second: how loaded workers are, by which
 * their number changes (scale.c), and which have answered enough requests or
 * grown too large. Such a worker serves on until another is ready in its
 * place; one at a time.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>

#include "base/log.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "master/pool_priv.h"

#define WATCH_MS 1000

static const struct board_worker *
row_of(const struct pool *p, const struct slot *s)
{
	return scoreboard_row(p->board, slot_number(p, s));
}

static int
load_of(const struct pool *p, const struct slot *s)
{
	const struct board_worker *row = row_of(p, s);

	return scale_load(s->gen->conf, row->busy, row->count[BOARD_TURNS],
	    row->count[BOARD_VIEWERS]);
}

static int
is_serving(const struct pool *p, const struct slot *s)
{
	return s->role == SLOT_SERVING && s->gen == p->now;
}

/* Since when it has nothing to do: requests between two looks count too. */
static void
watch_idle(struct pool *p, struct slot *s, int64_t now_ms)
{
	uint64_t requests = row_of(p, s)->requests;

	if (!slot_is_ready(p, s) || load_of(p, s) > 0 ||
	    requests != s->requests || s->idle_since_ms < s->started_ms)
		s->idle_since_ms = now_ms;
	s->requests = requests;
}

/* The last one to leave must not leave turns behind that nobody looks for. */
static int
is_idle(const struct pool *p, const struct slot *s, int64_t now_ms)
{
	return slot_is_ready(p, s) && load_of(p, s) == 0 &&
	       row_of(p, s)->unswept == 0 &&
	       now_ms - s->idle_since_ms >=
		   s->gen->conf->pm_process_idle_timeout_ms;
}

static void
look_at(struct pool *p, struct scale_seen *seen, int64_t now_ms)
{
	struct slot *s;

	*seen = (struct scale_seen){ .workers = 0 };
	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (!is_serving(p, s))
			continue;
		watch_idle(p, s, now_ms);
		seen->workers++;
		if (!slot_is_ready(p, s))
			seen->starting++;
		else if (load_of(p, s) < SCALE_SPARE)
			seen->spare++;
		seen->idle += is_idle(p, s, now_ms);
	}
}

/* The one that is missed least. */
static struct slot *
least_loaded(struct pool *p)
{
	struct slot *s, *least = NULL;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (!is_serving(p, s) || !slot_is_ready(p, s))
			continue;
		if (least == NULL || load_of(p, s) < load_of(p, least) ||
		    (load_of(p, s) == load_of(p, least) &&
			s->idle_since_ms < least->idle_since_ms))
			least = s;
	}
	return least;
}

static void
rescale(struct pool *p, int64_t now_ms)
{
	struct generation *gen = p->now;
	struct scale_seen seen;
	struct slot *s;
	int want;

	look_at(p, &seen, now_ms);
	want = scale_next(&gen->scale, &seen);
	if (want == gen->want)
		return;
	s = want < gen->want ? least_loaded(p) : NULL;
	if (want < gen->want && s == NULL)
		return;
	log_info("%d workers, of which %d are spare: %d from now on",
	    seen.workers, seen.spare, want);
	gen->want = want;
	if (s == NULL)
		return;
	s->left_idle = is_idle(p, s, now_ms);
	slot_leave(s, SIGQUIT, now_ms);
}

/* ---- workers that have served enough ---- */

/* 1 if it is to be replaced; said in the log. */
static int
has_served_enough(const struct pool *p, const struct slot *s)
{
	const struct conf *c = s->gen->conf;
	const struct board_worker *row = row_of(p, s);
	long long requests = (long long)row->requests;
	long long memory = (long long)row->memory_bytes;

	if (c->pm_max_requests > 0 && requests >= c->pm_max_requests) {
		log_info("worker %d has answered %lld requests: another takes "
			 "its place",
		    slot_number(p, s), requests);
		return 1;
	}
	if (c->pm_max_memory_bytes > 0 && memory > c->pm_max_memory_bytes) {
		log_warn("worker %d has %lld MiB of memory: another takes its "
			 "place",
		    slot_number(p, s), memory >> 20);
		return 1;
	}
	return 0;
}

static struct slot *
find_retiring(struct pool *p)
{
	for (int i = 0; i < p->used; i++)
		if (p->slots[i].role == SLOT_RETIRING)
			return &p->slots[i];
	return NULL;
}

static void
retire_one(struct pool *p)
{
	struct slot *s;

	for (int i = 0; i < p->used; i++) {
		s = &p->slots[i];
		if (is_serving(p, s) && slot_is_ready(p, s) &&
		    has_served_enough(p, s)) {
			s->role = SLOT_RETIRING;
			return;
		}
	}
}

void
pool_watch(struct pool *p, int64_t now_ms)
{
	struct slot *s = find_retiring(p);

	if (s != NULL && pool_is_ready(p))
		slot_leave(s, SIGQUIT, now_ms);
	if (now_ms < p->watch_ms || p->next != NULL)
		return;
	p->watch_ms = now_ms + WATCH_MS;
	rescale(p, now_ms);
	if (s == NULL)
		retire_one(p);
}

int
pool_left_nothing(const struct pool *p, const struct slot *s)
{
	const struct board_worker *row = row_of(p, s);

	return s->left_idle && row->requests == s->requests &&
	       row->count[BOARD_TURNS] == 0;
}

/* ---- the first connection ---- */

int
pool_awaits_connection(const struct pool *p)
{
	return p->starting && p->now->want == 0 &&
	       p->now->scale.mode == SCALE_ONDEMAND;
}

void
pool_connection(struct pool *p)
{
	struct scale_seen seen = { .waiting = 1 };

	if (pool_awaits_connection(p))
		p->now->want = scale_next(&p->now->scale, &seen);
}
