/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of an endpoint, in memory that the pool shares. Two
 * numbers: how often it failed in a row, and until when it is left alone. A
 * worker that dies between them leaves nothing that lasts longer than the
 * time it is left alone.
 */
#include "config.h"

#include "base/scoreboard.h"
#include "conf/conf.h"
#include "model/breaker.h"

#define LONGEST_MS (120 * INT64_C(1000))

/* Kinds that say that the endpoint does not work. Others are answers, too. */
static int
is_down(enum model_class kind)
{
	return kind == MODEL_CLASS_OVERLOAD || kind == MODEL_CLASS_SERVER ||
	       kind == MODEL_CLASS_NETWORK || kind == MODEL_CLASS_TIMEOUT;
}

int
breaker_admits(struct board_endpoint *e, const struct conf_model *c,
    int64_t now_ms, int64_t *wait_ms_r)
{
	int64_t until;

	*wait_ms_r = 0;
	if (e == NULL || c->breaker_failures == 0 ||
	    atomic_load(&e->failures) < c->breaker_failures)
		return 1;
	until = atomic_load(&e->closed_until_ms);
	/* The first to come then tries it; the others wait for what it says. */
	if (until <= now_ms &&
	    atomic_compare_exchange_strong(
		&e->closed_until_ms, &until, now_ms + c->breaker_time_ms))
		return 2;
	*wait_ms_r = until - now_ms > 0 ? until - now_ms : 1;
	return 0;
}

/* Twice as long with each failure more. */
static int64_t
time_of(const struct conf_model *c, int64_t failures)
{
	int64_t ms = c->breaker_time_ms;
	int64_t longest = ms > LONGEST_MS ? ms : LONGEST_MS;

	for (int64_t i = c->breaker_failures; i < failures && ms < longest; i++)
		ms *= 2;
	return ms < longest ? ms : longest;
}

void
breaker_note(struct board_endpoint *e, const struct conf_model *c, int admitted,
    enum model_class kind, int64_t now_ms)
{
	int64_t failures;

	if (e == NULL || c->breaker_failures == 0)
		return;
	if (!is_down(kind)) {
		atomic_store(&e->failures, 0);
		return;
	}
	/* Of those that were under way when it was closed none counts more. */
	if (admitted == 1 && atomic_load(&e->failures) >= c->breaker_failures)
		return;
	failures = atomic_fetch_add(&e->failures, 1) + 1;
	if (failures >= c->breaker_failures)
		atomic_store(
		    &e->closed_until_ms, now_ms + time_of(c, failures));
}
