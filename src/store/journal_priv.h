/* SPDX-License-Identifier: MIT */
#ifndef STORE_JOURNAL_PRIV_H
#define STORE_JOURNAL_PRIV_H

#include <uthash.h>

#include "base/buf.h"
#include "store/journal.h"

#define EVENTS_PER_CALL 64 /* unless they go with one commit */

/* Something that waits: an event, or a commit with its events before it. */
struct waiting {
	struct waiting *next;
	char *turn; /* NULL: the log's */
	enum event_kind kind;
	int step;
	int64_t time_ms;
	struct buf rest;
	int growing;                   /* text: rest has an open string */
	struct journal_commit *commit; /* the operations go with this one */
};

/* A call of commit.lua on its way. */
struct call {
	struct call *next, **prev; /* of all open calls */
	struct journal_log *log;
	struct redis_pipe resp;
	struct frame **frames;
	int frame_count;
	struct journal_commit *commit; /* or NULL */
	int64_t first_sent_ms;
	int on_link; /* an answer will come */
};

struct journal_log {
	UT_hash_handle hh; /* by agent */
	struct journal *journal;
	char agent[40];
	char base[JOURNAL_BASE_SIZE];
	char lease[LEASE_SIZE];
	char turn[40];
	struct event_id last; /* the last id given out */
	struct waiting *first, **tail;
	struct call *call;    /* the one on its way */
	int64_t text_sent_ms; /* when text last went out */
	int64_t due_ms;
	int queued; /* in ready or due */
	struct journal_log *queue_next;
	int streaming; /* state STREAMING was written */
	int dead;
	int detached;
	struct err why;
	void (*on_dead)(void *, const struct err *);
	void *ctx;
};

struct log_queue {
	struct journal_log *first, **tail;
};

enum { QUEUED_NO, QUEUED_READY, QUEUED_DUE };

struct journal {
	struct loop *loop;
	struct redis_link *link;
	struct journal_log *logs;
	struct log_queue ready; /* to be sent as soon as may be */
	struct log_queue due;   /* text that waits for its time, by that */
	int64_t due_last_ms;    /* of the last in due, or later */
	struct loop_timer *due_timer;
	struct loop_timer *renew_timer;
	struct loop_timer *check_timer;
	struct call *calls;
	int on_link; /* calls without answer */
	journal_show_f *show;
	void *show_ctx;
	char keep[24];
	char leases_key[80];
	char turns_key[80]; /* "": turns are not counted */
	int64_t coalesce_ms, lease_ms, timeout_ms, command_ms;
	int64_t batch_began_ms; /* the last one */
	int64_t batch_began_us; /* the same, exactly */
	int64_t batch_us;       /* what one takes, of late */
};

/* ---- journal.c ---- */

/* What waits decides: text alone may wait, anything else goes now. */
void log_schedule(struct journal_log *log);

/* Fails all commits that wait in a log and tells its owner, once. */
void log_die(struct journal_log *log, enum err_code code, const char *text);

/* The first of what waits, which is the caller's then. */
struct waiting *log_pop_waiting(struct journal_log *log);
void waiting_free(struct waiting *w);
void commit_fail(struct journal_commit *c, const struct err *why);

/* All calls of the batch are answered. */
void journal_batch_begins(struct journal *j);
void journal_batch_ended(struct journal *j);

/* ---- journal_call.c ---- */

/* A call of all that waits in a log, up to the first commit. */
struct call *call_new(struct journal_log *log);
void call_free(struct call *c);
void call_send(struct call *c);

/* Its log is closed. An answer that is still to come finds nobody, and is not
 * waited for. */
void call_forget(struct call *c);

/* A call that will get no answer: its log is dead, its commit fails. */
void call_abandon(struct call *c, enum err_code code, const char *text);

/* Sends again whatever has no answer and is not on its way. */
void journal_resend(struct journal *j);

/* ---- journal_lease.c ---- */

/* A script about a log, with the keys that they all have; argc arguments
 * follow. */
void log_script(struct redis_pipe *p, const struct journal_log *log,
    enum script_id id, int argc);

/* Renews the leases of all logs; a timer's. */
void journal_renew(void *journal);

#endif
