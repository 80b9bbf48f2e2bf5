/* SPDX-License-Identifier: MIT */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "store/redis.h"
#include "store/store.h"

/* The queue of agents that wait for room, as dequeue.lua has it; and the
 * channel on which it is told that somebody waits. */
#define STORE_QUEUE "queue"

/* What was revoked of late: "token HASH" and "user HASH" by the time. */
#define STORE_REVOCATIONS "revocations"
#define STORE_REVOCATIONS_S 86400

/* Loaded sessions by their last activity; scripts know its name too. */
#define STORE_LOADED "loaded"

/* Workspaces of sessions that may have changed, by when they are to be looked
 * at; scripts know its name too. */
#define STORE_UNSYNCED "unsynced"

/* Agents "ID USER" that were deleted, whose files are not yet, by the time;
 * delete.lua knows its name too. */
#define STORE_RETIRED "retired"

/* What the zsets that count turns begin with: :user:USER, :tenant:TENANT. */
#define STORE_TURNS "{limits}:turns"

struct store {
	const struct conf *conf;
	struct redis_pool *pool;
	char holder[160];
	int budgets; /* there are some: leases say what was spent */
};

/* A user's name as part of a key: what could be mistaken is %-escaped. */
const char *store_user_part(struct arena *a, const char *user);

/* af:user:USER, before the keys of a user's pages. */
char *store_user_base(
    const struct store *st, struct arena *a, const char *user);

/* The SHA-256 of a name, as 64 hexadecimal digits. */
const char *store_hash(struct arena *a, const char *name);

/* Where in an agent's id its family's ID_FAMILY characters are. */
const char *store_family(const char *agent);

/* The key of a segment of an agent's family. */
char *store_segment_key(struct arena *a, const char *base, const char *segment);

/* A new agent, with its id and times. maker: the base of whose sub-agent it
 * is, else NULL; if there is no such agent the reply is -1, and none is made.
 */
void store_cmd_create(struct redis_pipe *p, const char *base, const char *maker,
    const char *user, const struct store_agent *ag);

/* The zset of a user's agents. */
char *store_user_agents_key(
    const struct store *st, struct arena *a, const char *user);

/* The zset of a user's sessions, and the channel of that name. */
char *store_sessions_key(
    const struct store *st, struct arena *a, const char *user);

/* A new session, loaded, in the lists; and what is said when it is there. */
void store_cmd_session_made(const struct store *st, struct arena *a,
    struct redis_pipe *p, const char *user, const char *id, int64_t now_ms);
void store_cmd_sessions_changed(const struct store *st, struct arena *a,
    struct redis_pipe *p, const char *user);

/* An agent was deleted: if it was a session, it is in no list any more. 0 or
 * -1. */
int store_session_gone(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err);

/* 0, or -1 and ERR_LIMIT if the user has as many as allowed. */
int store_agents_limit(
    struct store *st, struct arena *a, const char *user, struct err *err);

int store_forbidden(struct err *err);

/* 1 if turns are counted: the scripts that give and take leases get a key
 * more then, behind all others. */
int store_counts_turns(const struct conf *c);

/* That key, if turns are counted. */
void store_arg_turns(
    const struct store *st, struct arena *a, struct redis_pipe *p);

/* What scripts that give leases need to know of budgets. */
void store_arg_budgets(
    const struct store *st, struct arena *a, struct redis_pipe *p);

/*
 * redis_call of one script that checks whose the agent is, in r[0]: -1 and
 * ERR_FORBIDDEN if its word is FORBIDDEN.
 */
int store_call(struct store *st, struct arena *a, struct redis_pipe *p,
    const struct redis_reply **r_r, struct err *err);

#endif
