/* SPDX-License-Identifier: MIT */
#ifndef STORE_SESSIONS_H
#define STORE_SESSIONS_H

#include "store/store.h"

/*
 * Sessions: agents that were made as such, and what their clients see of them
 * beside the conversation. As in store.h: everything blocks, results are the
 * arena's, and the user is checked in Redis: ERR_FORBIDDEN if the agent is not
 * the user's, not there, or no session. Who listens on the user's channel is
 * told of what changes (docs/design.md has the channel).
 */
#define STORE_SESSIONS_MAX 5000 /* that a list gives: the latest */

struct store_session {
	const char *id;   /* the agent's */
	const char *type; /* the architecture, as it was given */
	const char *name, *template;
	const char *options;  /* JSON object */
	const char *metadata; /* JSON, or "" */
	int64_t created_ms, updated_ms;
	int loaded;
	int64_t env_ms;  /* since when it has its environment; 0: it has none */
	int64_t turn_ms; /* since when a turn runs or waits; 0: none does */
};

int store_session_get(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_session *out, struct err *err);

/* A user's, in the order in which they were made. */
int store_session_list(struct store *st, struct arena *a, const char *user,
    struct store_session **list_r, size_t *count_r, struct err *err);

/* 1 it is loaded now, 0 it was before, -1. */
int store_session_load(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* What is needed to go along with one from a moment on. */
struct store_session_moment {
	int64_t env_ms, turn_ms; /* as above */
	/* Behind after the events of the turn that runs begin; last is the
	 * newest. The same if none runs. */
	struct event_id after, last;
};

/* Loads it, and looks. 0 or -1. */
int store_session_look(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_session_moment *out, struct err *err);

/* 1 it is unloaded now, and has no environment; 0 it was not loaded; -1. */
int store_session_unload(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* Its environment has ended. 1, 0 it is not loaded, -1. */
int store_session_env_end(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* Puts options, a JSON object, in the place of those that were, and loads
 * it. 0 or -1. */
int store_session_options(struct store *st, struct arena *a, const char *user,
    const char *id, const char *options, struct err *err);

/* ---- for the walk over those that are idle ---- */

/* Loaded sessions of all users, at most limit, whose last activity was before
 * a time. */
int store_sessions_idle(struct store *st, struct arena *a, int64_t before_ms,
    int limit, const char ***bases_r, size_t *count_r, struct err *err);

/* Unloads one by its base, if nothing of it runs or waits and its last activity
 * was before that time. 1 unloaded, and whose it was; 0 it is at work, or was
 * of late, or is gone: none of those given is given again before it is idle
 * again; -1. */
int store_session_expire(struct store *st, struct arena *a, const char *base,
    int64_t before_ms, const char **user_r, const char **agent_r,
    struct err *err);

/* 1 if the look that is due is the caller's, of all hosts; else 0; -1. */
int store_sessions_take(
    struct store *st, struct arena *a, int64_t every_ms, struct err *err);

#endif
