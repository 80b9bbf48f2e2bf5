/* SPDX-License-Identifier: MIT */
#ifndef BASE_RUNNING_H
#define BASE_RUNNING_H

#include <stddef.h>
#include <stdint.h>

/*
 * Which turns run in the pool, for GET /status: a few hundred bytes of each in
 * the shared memory of metrics, where anybody may read them. Only so many of
 * a worker; the scoreboard counts them all. What is written costs some stores,
 * and no lock.
 */
#define RUNNING_PER_WORKER 128

/* What a turn is at, or waits for. */
enum running_state {
	RUNNING_HISTORY, /* reading it */
	RUNNING_CONNECT, /* to MCP servers */
	RUNNING_HOOK,
	RUNNING_MODEL,
	RUNNING_RETRY, /* a pause before the next attempt */
	RUNNING_TOOLS,
	RUNNING_AGENTS, /* telling sub-agents, or whom it works for */
	RUNNING_COMMIT,
	RUNNING_STATES
};

/* A turn, cut to what has room. */
struct running_turn {
	char agent[32], turn[32];
	char user[64], model[64];
	int64_t began_us; /* monotonic */

	/* What changes from step to step: running_move. */
	int64_t step;
	int64_t state; /* enum running_state */
	int64_t since_us;

	int64_t pid; /* filled in by running_list */
};

const char *running_state_name(int64_t state);

/* A place for a turn of this process, or -1: all are taken. The rest is for
 * the thread that took it. */
int running_take(void);
void running_drop(int place);

/* Shows a turn. place -1: nothing. */
void running_put(int place, const struct running_turn *t);

/* It is at something else now. */
void running_move(
    int place, enum running_state state, int step, int64_t since_us);

/* Those of the pool, at most max. How many there are. */
size_t running_list(struct running_turn *list, size_t max);

#endif
