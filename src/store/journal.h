/* SPDX-License-Identifier: MIT */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/event.h"
#include "store/journal_commit.h"

struct conf;
struct loop;
struct redis_link;

/*
 * The journal: the only writer of agent state. It takes what the turns of
 * this process want to write, sends all that waits in one pipeline, and only
 * after Redis's answers tells the committers and shows the events. All for
 * the loop's thread.
 */
struct journal;

/* The log of one agent that this process has the lease of. */
struct journal_log;

#define JOURNAL_BASE_SIZE 160
#define LEASE_SIZE 200

/* Who holds an agent, and where its log stands. */
struct journal_spec {
	const char *agent; /* its id */
	const char *base;  /* its keys' base */
	const char *lease; /* EPOCH:UUID:HOLDER */
	const char *turn;  /* the turn that runs */

	/* Once, when nothing can be written any more: ERR_FENCED when the
	 * lease was lost, ERR_STORE when Redis was away for too long. It must
	 * not close the log. */
	void (*on_dead)(void *ctx, const struct err *why);
	void *ctx;
};

/* Shows what was written: to the hub. prev is the id of the event before the
 * first, or 0-0 if that was shown here too. */
typedef void journal_show_f(void *ctx, const char *agent, struct event_id prev,
    struct frame *const *frames, int count);

/* link must outlive it; the journal flushes it. */
struct journal *journal_new(
    struct loop *l, const struct conf *c, struct redis_link *link);
void journal_free(struct journal **j_p);
void journal_set_show(struct journal *j, journal_show_f *show, void *ctx);

/* The owner of the link calls it when the link came up. */
void journal_link_up(struct journal *j);

/* Opens a log; on_dead may come at any time from now on. */
struct journal_log *journal_log_open(
    struct journal *j, const struct journal_spec *spec);

/*
 * Shows the events by which the lease's script began or resumed the turn;
 * they are in the log already, and ids go on behind them. prev is the id of
 * the event before them, which another process may have written.
 */
void journal_log_show(struct journal_log *log, struct event_id prev,
    struct frame *const *frames, int count);

/* The newest event that was shown or is being written here; 0-0: none yet. */
struct event_id journal_log_last(const struct journal_log *log);

/* It is dead, and no longer found by its agent; it is still to be closed. */
void journal_log_detach(struct journal_log *log);

/* Ends it; nothing may be waiting. The lease is not touched. */
void journal_log_close(struct journal_log **log_p);

/* The log of an agent, if this process holds it; else NULL. */
struct journal_log *journal_log_find(struct journal *j, const char *agent);

/* The events of a turn that follow belong to it. */
void journal_log_set_turn(struct journal_log *log, const char *turn);

/* One event on its own. Ignored on a dead log. */
void journal_event(struct journal_log *log, enum event_kind kind, int step,
    const char *rest, size_t rest_len);

/* The same for another turn of the agent, which does not run. */
void journal_event_of(struct journal_log *log, const char *turn,
    enum event_kind kind, const char *rest);

/*
 * Text of a stream: joined with what waits of the same kind, so that events
 * come at most every events.coalesce.
 */
void journal_text(struct journal_log *log, enum event_kind kind, int step,
    const char *text, size_t len);

/* Writes c after all that came before it; on a dead log it fails at once. */
void journal_commit(struct journal_log *log, struct journal_commit *c);

/* Gives up the lease of every open log, for a drain; fire and forget. */
void journal_yield_all(struct journal *j);

#endif
