/* SPDX-License-Identifier: MIT */
#ifndef MASTER_POOL_PRIV_H
#define MASTER_POOL_PRIV_H

#include "master/pool.h"
#include "master/scale.h"

#define POOL_WORKERS_MAX 256 /* as the table of settings has it */

#define SLOT_READY_MS 20000 /* what a worker may take to be ready */

/*
 * Rows of the scoreboard, and slots. A generation that is replaced lives on
 * while its turns end, so there is room for some.
 */
#define POOL_SLOTS (4 * POOL_WORKERS_MAX)

enum slot_role {
	SLOT_FREE,
	SLOT_SERVING,  /* its worker is started again when it dies */
	SLOT_RETIRING, /* serves until the one in its place is ready */
	SLOT_LEAVING   /* was told to end */
};

/* Workers that were started with the same configuration. */
struct generation {
	struct conf *conf;
	int conf_fd;
	int number;
	int want;
	struct scale scale;
	int slots;           /* that are its own */
	int64_t deadline_ms; /* for all to be ready, of a reload */
};

struct slot {
	enum slot_role role;
	struct generation *gen;
	pid_t pid; /* 0: none */
	int64_t started_ms;
	int64_t due_ms;
	int64_t deadline_ms; /* SLOT_LEAVING: for the next signal */
	int signal;          /* the last that it got */
	int young_deaths;
	uint64_t requests;     /* when last looked at */
	int64_t idle_since_ms; /* it had nothing to do since */
	int left_idle;         /* it was told to leave for that */
};

struct pool {
	struct scoreboard *board;
	int listen_fd, ctl_fd, metrics_fd;
	int alive[2]; /* the write end is the master's, and never written */
	int starting;
	int used; /* slots, from the first, that were ever taken */
	int generations;
	int64_t watch_ms; /* the next look at loads */
	int deaths;       /* of workers that were not told to leave */
	enum pool_reload reload;
	struct generation *now, *next;
	struct slot slots[POOL_SLOTS];
};

/* ---- slot.c: one worker ---- */

/* A free slot, taken for a worker of gen that is due; NULL: there is none. */
struct slot *slot_take(struct pool *p, struct generation *gen);

/* Nothing of it runs. Its generation goes with its last slot. */
void slot_free(struct pool *p, struct slot *s);

/* Starts its worker. 0, or -1: logged, and due again later. */
int slot_start(struct pool *p, struct slot *s, int64_t now_ms);

/* Its worker is ready to serve. */
int slot_is_ready(const struct pool *p, const struct slot *s);

/* Tells its worker to end by sig, and by worse signals if it does not. */
void slot_leave(struct slot *s, int sig, int64_t now_ms);

/* One that leaves, and whose time is over: the next signal. */
void slot_press(struct slot *s, int64_t now_ms);

/* Its worker is ready, but its loop has not run for so long. */
int slot_is_stuck(
    const struct pool *p, const struct slot *s, int64_t ms, int64_t now_ms);

/* Its worker has not become ready in SLOT_READY_MS. */
int slot_is_late(const struct pool *p, const struct slot *s, int64_t now_ms);

/* Ends such a one at once; if it goes on, again after that time. */
void slot_give_up(struct slot *s, int64_t now_ms);

/* Its worker is dead; when the heir is due. */
void slot_died(struct slot *s, int64_t now_ms);

int slot_number(const struct pool *p, const struct slot *s);

/* ---- pool_watch.c: loads ---- */

/* Changes the number of workers, and replaces who has served enough. */
void pool_watch(struct pool *p, int64_t now_ms);

/* A worker that has died was idle when it was told to leave, and nothing came
 * since: so there are no turns of its own to look for. */
int pool_left_nothing(const struct pool *p, const struct slot *s);

/* ---- generations; pool.c ---- */

void generation_free(struct generation **gen_p);

#endif
