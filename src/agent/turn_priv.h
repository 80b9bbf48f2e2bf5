/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_PRIV_H
#define AGENT_TURN_PRIV_H

#include <uthash.h>

#include "agent/runner.h"
#include "base/future.h"
#include "base/lck.h"
#include "model/call.h"
#include "store/history.h"

struct runner {
	struct runner_parts parts;
	struct history_cache *cache;
	struct turn *turns; /* by agent; the loop's thread alone */

	struct lck lck; /* what follows */
	struct lck_cond work;
	struct lck_cond left;
	struct turn *queue_first, **queue_tail;
	int queued;
	int threads;
	int idle;
	int running;
	int draining;
	int stopping;
};

/* Why a turn is to stop before its end. */
enum turn_stop {
	STOP_NO,
	STOP_INTERRUPT, /* somebody asked */
	STOP_ABANDON,   /* the process stops: it is resumed elsewhere */
	STOP_DEAD       /* nothing can be written any more */
};

struct turn {
	UT_hash_handle hh; /* runner->turns; the loop's thread */
	struct turn *next; /* runner's queue */
	struct runner *runner;
	struct arena *lease_arena; /* what lease points to */
	struct store_lease lease;
	char turn[40]; /* the one that runs now */
	char request_id[64];
	struct journal_log *log; /* the loop's thread */

	struct lck lck; /* stop, stopped */
	struct lck_cond stopped;
	enum turn_stop stop;
	struct err dead;

	/* The turn thread's. */
	struct arena *arena; /* reset when the next turn begins */
	struct history *history;
	int history_good;
	int step;
	int attempt;

	/* A model call: the loop sets, the turn thread reads after done. */
	struct model_request rq;
	struct model_call *call;   /* the loop's thread, while it runs */
	int ended;                 /* the loop's thread */
	struct model_call *result; /* the turn thread's, after done */
	size_t messages_len;       /* of the history without the request */
	int shown;
	struct future done;

	struct journal_commit commit;
};

/* Runs turns under one lease until the inbox is empty. The thread's body. */
void turn_run(struct turn *t);

/* Asks it to stop; the first reason counts. The loop's thread. */
void turn_stop(struct turn *t, enum turn_stop why);

/* What it was asked. Any thread. */
enum turn_stop turn_stop_asked(struct turn *t);

void turn_free(struct turn **t_p);

#endif
