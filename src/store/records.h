/* SPDX-License-Identifier: MIT */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "store/store.h"

/*
 * What is kept of an agent beside its messages: what waits, where it can go
 * back to, and what its tools did. As in store.h: everything blocks, and the
 * user is checked in Redis.
 */

/* ---- the inbox ---- */

/* The messages that no turn has taken. */
int store_inbox(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_page *out, struct err *err);

/*
 * A text for the model (content: JSON blocks) that starts no turn: the next
 * one takes it. ERR_LIMIT if too many wait.
 */
int store_remind(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *content, size_t len, struct err *err);

/* What was taken back, and who is to be told. */
struct store_withdrawn {
	const char *const *messages;
	size_t message_count;
	const char *const *turns; /* that will never run */
	size_t turn_count;
	const char *lease; /* whose holder says so to their viewers, or "" */
};

/* Takes a message out of the inbox, or all ("") of them. */
int store_withdraw(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *message, struct store_withdrawn *out,
    struct err *err);

/* ---- checkpoints and forks ---- */

/* A place to go back to. label may be "". doc_r: JSON. ERR_CONFLICT if the
 * label is in use, or reject and the agent is busy; ERR_LIMIT. */
int store_checkpoint(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *label, int reject, const char **doc_r,
    struct err *err);

/* All of them, oldest first. */
int store_checkpoints(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_page *out, struct err *err);

struct store_fork {
	const char *checkpoint; /* id or label, "" now */
	const char *name;       /* of the new agent, "" this one's */
	int rewind;             /* this agent goes back, the new one goes on */
	int reject;             /* if it is busy; else before its turn */
	const char *id;         /* of the new agent: store_fork_id */
	int64_t messages;       /* set: of the one that was asked for */
};

/* A new id for a fork of an agent; NULL and ERR_FORBIDDEN if that is none. */
const char *store_fork_id(struct arena *a, const char *agent, struct err *err);

/* ERR_NOT_FOUND (checkpoint), ERR_CONFLICT (busy), ERR_LIMIT (agents). */
int store_fork(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_fork *fork, struct err *err);

/* ---- todos ---- */

/*
 * The todo list, JSON or "", in *now_r. list "": only to look; else it takes
 * the place of current, which it was made of. ERR_CONFLICT if that is not the
 * list any more, or the agent is busy.
 */
int store_todos(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *current, const char *list,
    const char **now_r, struct err *err);

/* ---- sub-agents ---- */

/* Makes one, of the id, depth and task in ag; again is harmless.
 * ERR_NOT_FOUND: parent was deleted. */
int store_task_create(struct store *st, struct arena *a, const char *user,
    const char *parent, struct store_agent *ag, struct err *err);

/* Those that an agent has made; the caller has checked whose it is. */
int store_children(struct store *st, struct arena *a, const char *agent,
    const char ***ids_r, size_t *count_r, struct err *err);

/* store_agent_delete, when all that it has made is gone: 1; 0: it has some
 * still; -1. */
int store_agent_delete_last(struct store *st, struct arena *a, const char *user,
    const char *agent, struct err *err);

/* One of them was deleted: it is forgotten. 0 or -1. */
int store_child_gone(struct store *st, struct arena *a, const char *agent,
    const char *child, struct err *err);

/*
 * Keeps the result of a task (JSON) for the call that waits for it. 1, with
 * the lease of who runs that agent, or "" if it is to be taken; 0 if nobody
 * waits, or it was reported before; -1.
 */
int store_report(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *call, const char *result,
    const char **lease_r, struct err *err);

/* An event for the log of another agent; *lease_r is whose to write it, "" if
 * it is written. */
int store_surface(struct store *st, struct arena *a, const char *user,
    const char *agent, enum event_kind kind, const char *rest,
    const char **lease_r, struct err *err);

/* ---- tool calls and approvals ---- */

/* Who asks, where it need not be the agent's owner. */
struct store_caller {
	const char *user;
	const char *tenant; /* it may decide for this tenant; "" for none */
	int budget;         /* it has the budget role, */
	const char *own;    /* and this is its tenant, or "" */
};

/* What is asked of a human and not answered: the records of calls, and of the
 * question about a budget. Who has only the budget role sees that alone. */
int store_approvals(struct store *st, struct arena *a,
    const struct store_caller *who, const char *agent, struct store_page *out,
    struct err *err);

/*
 * Keeps the answer to a question; decision is JSON. 0, with the lease of who
 * runs the agent in *lease_r, or "" if nobody does and somebody should take
 * it. ERR_FORBIDDEN, ERR_NOT_FOUND (nothing was asked), ERR_CONFLICT (it was
 * answered, or withdrawn).
 */
int store_decide(struct store *st, struct arena *a,
    const struct store_caller *who, const char *agent, const char *call,
    const char *decision, const char **lease_r, struct err *err);

/* At most limit records of tool calls from index on, or the last if < 0. */
int store_tool_calls(struct store *st, struct arena *a, const char *user,
    const char *agent, int64_t from, int limit, struct store_page *out,
    struct err *err);

#endif
