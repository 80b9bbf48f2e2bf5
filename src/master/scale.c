/* SPDX-License-Identifier: MIT */
/*
 * How many workers there shall be: arithmetic alone, so that it can be tested
 * without any.
 *
 *   static    always the most
 *   dynamic   at least min_spare are spare, more are started, twice as many
 *             each second; at most max_spare, else one leaves a second
 *   ondemand  none, until a connection comes; one more when none is spare;
 *             one that is idle for long leaves. It begins with one, which
 *             looks for turns that others have left
 */
#include "config.h"

#include "conf/conf.h"
#include "master/scale.h"

#define RATE_MAX 32

static int
at_most(int64_t n, int max)
{
	return n < max ? (int)n : max;
}

const char *
scale_mode_name(enum scale_mode mode)
{
	static const char *const names[] = { "static", "dynamic", "ondemand" };

	return names[mode];
}

void
scale_init(struct scale *sc, const struct conf *c, int cores)
{
	int64_t most = c->pm_max_children > 0 ? c->pm_max_children : c->workers;
	int64_t max_spare = c->pm_max_spare_servers;

	sc->mode = (enum scale_mode)c->pm;
	sc->rate = 1;
	sc->max = most > 0 ? (int)most : cores;
	sc->min_spare = at_most(c->pm_min_spare_servers, sc->max);
	if (max_spare == 0)
		max_spare = sc->min_spare + 1;
	sc->max_spare = at_most(max_spare, sc->max);
	sc->start = sc->max;
	if (sc->mode == SCALE_ONDEMAND)
		sc->start = 1;
	else if (sc->mode == SCALE_DYNAMIC && c->pm_start_servers > 0)
		sc->start = at_most(c->pm_start_servers, sc->max);
	else if (sc->mode == SCALE_DYNAMIC)
		sc->start = (sc->min_spare + sc->max_spare + 1) / 2;
}

int
scale_load(const struct conf *c, int64_t busy, int64_t turns, int64_t streams)
{
	int64_t load = busy * 100 / c->request_threads;

	if (turns * 100 / c->limits_turns > load)
		load = turns * 100 / c->limits_turns;
	if (streams * 100 / c->limits_viewers > load)
		load = streams * 100 / c->limits_viewers;
	if (load == 0 && busy + turns + streams > 0)
		return 1;
	return at_most(load, 100);
}

static int
next_dynamic(struct scale *sc, const struct scale_seen *seen)
{
	int missing = sc->min_spare - seen->spare - seen->starting, more;

	if (missing <= 0) {
		sc->rate = 1;
		return seen->workers - (seen->spare > sc->max_spare);
	}
	more = at_most(missing, sc->rate);
	sc->rate = at_most(sc->rate * 2, RATE_MAX);
	return at_most(seen->workers + more, sc->max);
}

static int
next_ondemand(const struct scale *sc, const struct scale_seen *seen)
{
	if (seen->workers == 0)
		return seen->waiting ? 1 : 0;
	if (seen->spare + seen->starting == 0)
		return at_most(seen->workers + 1, sc->max);
	return seen->workers - (seen->idle > 0);
}

int
scale_next(struct scale *sc, const struct scale_seen *seen)
{
	if (sc->mode == SCALE_DYNAMIC)
		return next_dynamic(sc, seen);
	if (sc->mode == SCALE_ONDEMAND)
		return next_ondemand(sc, seen);
	return sc->max;
}
