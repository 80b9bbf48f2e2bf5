/* SPDX-License-Identifier: MIT */
#ifndef STORE_RETAIN_H
#define STORE_RETAIN_H

#include "store/store.h"

/*
 * What of agents is kept, and for how long. As in store.h: everything blocks
 * for at most the store's timeouts, results are the arena's.
 */

/* 0 of each: all of it, for ever. */
struct store_rules {
	int64_t events_ms, calls_ms;       /* their age */
	int64_t events_bytes, calls_bytes; /* of Redis, about */
	int64_t windows;                   /* how many */
	int64_t agents_ms;             /* of an agent, since its last turn */
	int64_t files_ms, files_bytes; /* of its workspace; not the store's */
};

/* What was dropped of an agent. */
struct store_dropped {
	const char *user; /* whose it is; NULL: there is no such agent */
	int64_t events;   /* entries of the log */
	int64_t calls, windows;
	int more;  /* there is: ask again */
	int idle;  /* for so long that it is to go */
	int files; /* it has files of its own and is not at work on them */
};

/* Drops what is too old of an agent, a bounded part of it. */
int store_retain(struct store *st, struct arena *a, const char *agent,
    const struct store_rules *rules, struct store_dropped *out,
    struct err *err);

/* Deletes one that is still idle for so long, and notes with that that its
 * files are to be deleted. 1 deleted, 0 not, -1. */
int store_agent_retire(struct store *st, struct arena *a, const char *user,
    const char *agent, int64_t idle_ms, struct err *err);

/* The agent of such a note, the oldest but skip: 1, 0 there is none, -1. */
int store_retired_next(struct store *st, struct arena *a, int64_t skip,
    const char **user_r, const char **agent_r, struct err *err);

/* Its files are deleted: the note goes. 0 or -1. */
int store_retired_forget(struct store *st, struct arena *a, const char *user,
    const char *agent, struct err *err);

/*
 * Agents of all users, some of them: a step of a walk, from a cursor ("0" at
 * first; *next_r "0": this was the last). Each that is there all the while is
 * given at least once. templates_r: of each, or "".
 */
int store_agents_step(struct store *st, struct arena *a, const char *cursor,
    const char **next_r, const char ***ids_r, const char ***templates_r,
    size_t *count_r, struct err *err);

/* 1 if the walk that is due is the caller's, of all hosts; 0 not yet, or it
 * is another's. */
int store_walk_take(
    struct store *st, struct arena *a, int64_t every_ms, struct err *err);

/* What an agent takes. */
struct store_size {
	int64_t events, messages, calls;
	int64_t files; /* of its workspace that are saved */
	int64_t bytes; /* in Redis, about */
};

/* Of a user's agent; the messages of forks that it shares count too. */
int store_agent_size(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_size *out, struct err *err);

#endif
