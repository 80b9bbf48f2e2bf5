/* SPDX-License-Identifier: MIT */
#ifndef AGENT_RUNNER_PRIV_H
#define AGENT_RUNNER_PRIV_H

#include "agent/runner.h"
#include "base/lck.h"

struct runner {
	struct runner_parts parts;
	struct forms *forms;
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
	int expects; /* somebody may wait for room */
	int stopping;
};

/* A turn of a lease whose room was reserved for nobody; any thread. */
void runner_open(
    struct runner *r, const struct store_lease *lease, const char *request_id);

/* Has the loop open a turn; any thread. */
void runner_post(struct runner *r, struct turn *t);

/* Has a thread run the turn's next step. */
void runner_push(struct runner *r, struct turn *t);
void turn_free(struct turn **t_p);

#endif
