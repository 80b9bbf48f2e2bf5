/* SPDX-License-Identifier: MIT */
/*
 * Ranked mutexes. The check keeps, per thread, the set of ranks it holds: a
 * lock may be taken only if no rank at or above it is held. Two locks of one
 * rank are never held together.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/lck.h"

#ifdef LCK_CHECK
static _Thread_local unsigned held;

static void
rank_take(enum lck_rank rank)
{
	if (held >> rank != 0)
		abort();
	held |= 1u << rank;
}

static void
rank_drop(enum lck_rank rank)
{
	if ((held & (1u << rank)) == 0)
		abort();
	held &= ~(1u << rank);
}
#else
#define rank_take(rank) (void)(rank)
#define rank_drop(rank) (void)(rank)
#endif

void
lck_init(struct lck *l, enum lck_rank rank)
{
	if (pthread_mutex_init(&l->mtx, NULL) != 0)
		abort();
	l->rank = rank;
}

void
lck_fini(struct lck *l)
{
	if (pthread_mutex_destroy(&l->mtx) != 0)
		abort();
}

void
lck_take(struct lck *l)
{
	rank_take(l->rank);
	if (pthread_mutex_lock(&l->mtx) != 0)
		abort();
}

void
lck_drop(struct lck *l)
{
	rank_drop(l->rank);
	if (pthread_mutex_unlock(&l->mtx) != 0)
		abort();
}

void
lck_cond_init(struct lck_cond *c)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&c->cond, &attr) != 0)
		abort();
	pthread_condattr_destroy(&attr);
}

void
lck_cond_fini(struct lck_cond *c)
{
	if (pthread_cond_destroy(&c->cond) != 0)
		abort();
}

void
lck_cond_signal(struct lck_cond *c)
{
	pthread_cond_signal(&c->cond);
}

void
lck_cond_broadcast(struct lck_cond *c)
{
	pthread_cond_broadcast(&c->cond);
}

int
lck_cond_wait(struct lck_cond *c, struct lck *l, int64_t deadline_ms)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};
	int rc;

	rc = pthread_cond_timedwait(&c->cond, &l->mtx, &ts);
	if (rc != 0 && rc != ETIMEDOUT)
		abort();
	return rc == 0 ? 0 : -1;
}
