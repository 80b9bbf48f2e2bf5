/* SPDX-License-Identifier: MIT */
#ifndef STORE_JOURNAL_COMMIT_H
#define STORE_JOURNAL_COMMIT_H

#include <stddef.h>

#include "base/err.h"
#include "store/budget.h"
#include "store/event.h"
#include "store/redis.h"

struct arena;

/* What came of a commit. */
enum journal_outcome {
	JOURNAL_OK,
	JOURNAL_IDLE,    /* the turn is over, the lease dropped */
	JOURNAL_NEXT,    /* the turn is over, the next one has begun */
	JOURNAL_PARKED,  /* it waits for a human, the lease dropped */
	JOURNAL_STEERED, /* messages came for this turn: it goes on with them */
	JOURNAL_DECIDED, /* it need not wait: it was decided meanwhile */
	JOURNAL_FAILED   /* err says why; the log is dead */
};

/* An event that a commit carries. */
struct journal_event {
	enum event_kind kind;
	int step;
	const char *rest; /* more members, ",a:1", or "" */
};

/*
 * Events and operations that are written together or not at all. The
 * caller's until on_done; then outcome is set, and after JOURNAL_NEXT
 * next_docs are the messages that are in the history now; the arena's.
 */
struct journal_commit {
	struct arena *arena;
	struct journal_event *events;
	int event_count, event_cap;
	struct redis_args usage; /* of commit.lua, by journal_op_usage */
	struct redis_args ops;   /* by the others */
	int ends;                /* by journal_op_final */
	/* It must not close the log. The events are shown after it. */
	void (*on_done)(void *ctx, struct journal_commit *c);
	void *ctx;

	enum journal_outcome outcome;
	struct err err;
	const char **next_docs; /* NEXT and STEERED */
	size_t next_count;

	/* JOURNAL_DECIDED: call ids and decisions by turns, the arena's; and
	 * whether somebody wants the turn stopped. */
	const char **decided;
	size_t decided_count;
	int interrupted;

	/* With budgets: what was spent when this was, and is counted. */
	int tells;
	const char **spent; /* numbers, as budget_spent_read takes them */
	size_t spent_count;

	struct journal_commit *next; /* the journal's own */
};

/* An empty commit, whose memory is the arena's. */
void journal_commit_init(struct journal_commit *c, struct arena *a);

/* An event; at least one. rest must stay. */
void journal_commit_event(
    struct journal_commit *c, enum event_kind kind, int step, const char *rest);

/*
 * Files of the workspace that is kept at base may change from now on, by a call
 * that has surely ended at until_ms (shared clock); until_ms 0: it has ended.
 * They are looked at by due_ms. Then journal_op_changed for each file that is
 * told of, with its version ("": it is gone): count of them.
 */
void journal_op_files(struct journal_commit *c, const char *base,
    const char *call, int64_t until_ms, int64_t due_ms, int64_t count);
void journal_op_changed(
    struct journal_commit *c, const char *path, const char *etag);

/* Operations of commit.lua. The end, if it is one, comes last. */
void journal_op_set(
    struct journal_commit *c, const char *field, const char *value);
void journal_op_message(
    struct journal_commit *c, const char *segment, const char *doc, size_t len);
/*
 * The turn is over: the last event is done. steerable: unless messages came
 * for it, then that event is not written, and the outcome is STEERED.
 */
void journal_op_final(struct journal_commit *c, int steerable);

/* Messages that came for this turn go into its history; last of all. */
void journal_op_steer(struct journal_commit *c);

/*
 * The history is these documents from here on, in a new segment; the turn
 * that runs begins at index safe.
 */
void journal_op_window(struct journal_commit *c, const char *segment,
    size_t safe, const char *const *docs, size_t count);

/* What a call has used; at most one of a commit. */
void journal_op_usage(struct journal_commit *c, const struct store_bill *bill);

/* The turn's purse: up to which amount of it the budget of an index (of all
 * scopes and kinds) does not count. */
void journal_op_purse(
    struct journal_commit *c, const char *key, int index, int64_t until);

/* A hash is not needed any more, if the turn is over with this commit. */
void journal_op_forget(struct journal_commit *c, const char *key);

/* Somebody is asked: "" a human about a call, "T" its sub-agent, "B" who has
 * the budget role. And the answer is applied, or not wanted. */
void journal_op_ask(struct journal_commit *c, const char *id, const char *whom);
void journal_op_answered(struct journal_commit *c, const char *id);

/* The end of this holder's part: somebody takes the agent up when there is a
 * decision, or at a time of the shared clock. */
void journal_op_park(struct journal_commit *c, int64_t deadline_ms);

/* The record of a tool call; is_new: its first. */
void journal_op_call(struct journal_commit *c, const char *id, const char *doc,
    size_t len, int is_new);

#endif
