/* SPDX-License-Identifier: MIT */
#ifndef BASE_LCK_H
#define BASE_LCK_H

#include <pthread.h>
#include <stdint.h>

/*
 * Mutexes with a rank. A thread takes locks in rising rank only, and does no
 * I/O, calls no callback and logs nothing while it holds one. A build with
 * LCK_CHECK (configure --enable-dev) aborts when the order is broken.
 */
enum lck_rank {
	LCK_KEEPER = 1, /* whether the keeper is to stop */
	LCK_RUNNER,     /* the queue of turns */
	LCK_CACHE,      /* the history cache */
	LCK_POOL,       /* store connections */
	LCK_SANDBOX,    /* a call that a thread waits for */
	LCK_WORKSPACES, /* who is in which */
	LCK_JOBS,       /* the queue of jobs */
	LCK_RUNS,       /* commands that run */
	LCK_CREW,       /* threads of agent-fpm-proxy */
	LCK_ISSUER,     /* who waits for an issuer's keys */
	LCK_KEYS,       /* which keys are good */
	LCK_API_KEYS,   /* which API key is looked at */
	LCK_TOKENS,     /* verified tokens */
	LCK_AUDIT,      /* the audit log's last record */
	LCK_BOARD,      /* this worker's rows of the scoreboard */
	LCK_LOOP,       /* the queue into the loop */
	LCK_TEST
};

struct lck {
	pthread_mutex_t mtx;
	enum lck_rank rank;
};

struct lck_cond {
	pthread_cond_t cond;
};

void lck_init(struct lck *l, enum lck_rank rank);
void lck_fini(struct lck *l);
void lck_take(struct lck *l);
void lck_drop(struct lck *l);

void lck_cond_init(struct lck_cond *c);
void lck_cond_fini(struct lck_cond *c);
void lck_cond_signal(struct lck_cond *c);
void lck_cond_broadcast(struct lck_cond *c);

/*
 * Waits until signalled or until deadline_ms on the monotonic clock. 0 woken
 * (perhaps spuriously), -1 the deadline passed. The lock is held before and
 * after.
 */
int lck_cond_wait(struct lck_cond *c, struct lck *l, int64_t deadline_ms);

#endif
