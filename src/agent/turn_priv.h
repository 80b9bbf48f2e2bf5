/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_PRIV_H
#define AGENT_TURN_PRIV_H

#include <uthash.h>

#include "agent/runner_priv.h"
#include "agent/toolset.h"
#include "agent/turn_approve.h"
#include "agent/turn_budget.h"
#include "agent/turn_call.h"
#include "agent/turn_commit.h"
#include "agent/turn_compact.h"
#include "agent/turn_hook.h"
#include "agent/turn_mcp.h"
#include "agent/turn_meter.h"
#include "agent/turn_pages.h"
#include "agent/turn_step.h"
#include "agent/turn_task.h"
#include "agent/turn_tools.h"
#include "base/loop.h"
#include "model/call.h"
#include "store/history.h"
#include "store/journal.h"

/* Why a turn is to stop before its end. */
enum turn_stop {
	STOP_NO,
	STOP_INTERRUPT, /* somebody asked */
	STOP_TIMEOUT,   /* it is at work for too long */
	STOP_STALLED,   /* nothing happens any more */
	STOP_BUDGET,    /* its answer passes what may be spent */
	STOP_ABANDON,   /* the process stops: it is resumed elsewhere */
	STOP_DEAD       /* nothing can be written any more */
};

/*
 * All of it is the loop's thread's; while a step that blocks is run, arena
 * and history are that thread's.
 */
struct turn {
	UT_hash_handle hh; /* runner->turns */
	struct turn *next; /* runner's queue */
	struct runner *runner;
	struct arena *lease_arena; /* what lease points to */
	struct store_lease lease;
	char turn[40];  /* the one that runs now */
	char room[256]; /* the user whose room it takes; "" nobody's */
	char request_id[64];
	struct journal_log *log;

	enum turn_step at; /* the step that comes next */
	int blocked;       /* a turn thread runs it */
	struct loop_deferred wake;
	enum turn_stop stop;
	struct err dead, load_err;
	struct arena *arena; /* reset when the next turn begins */
	struct history *history;
	const struct model *model; /* that is asked; NULL before it is known */
	size_t fallbacks; /* of the agent's that were tried in this turn */
	int64_t refill;   /* documents, for another model */
	const struct json *schema; /* of the answer that is asked for; NULL */
	int repairs;       /* answers in a row that were not by the schema */
	int history_bad;   /* it has what was not written */
	const char *limit; /* the setting that ends it */
	char context[48];  /* TOKENS:BYTES of the last request, or "" */
	int uncompactable; /* nothing older than this turn is left */
	int overflowed;    /* the step whose request was refused as too long */
	struct turn_compact *compact; /* while it is at it */
	int step, attempt;

	struct model_request rq;
	struct model_call *call;    /* while it runs */
	struct model_call *result;  /* when it has ended */
	enum turn_step after_model; /* the step behind it */
	size_t messages_len;        /* of the history without the request */
	char tail[MODEL_TAIL]; /* its last bytes, which the request changes */
	int shown;
	struct loop_timer *timer, *watch; /* the next attempt; looks at this: */
	struct turn_meter meter;
	struct webhook *hook; /* the one before the model, while it runs */
	const char *extra;    /* what it said */
	int hooked;           /* the step it was asked for */
	struct model_failure failure; /* why the turn fails, if not the model */

	/* The tools of a step, in memory of its own. */
	struct arena *round;
	struct toolset *tools; /* the turn's; NULL: not made yet */
	struct turn_mcp *mcp;  /* its servers; NULL: it has none */
	enum turn_step after_connect, after_report;
	struct turn_pages pages; /* that its user has open */
	struct turn_call *calls;
	size_t call_count, spawn_count;
	char *todos;               /* the list as it stands, JSON or "" */
	struct turn_call **spawns; /* that are being made */
	int children;              /* made by this turn, in this process */
	struct turn_budget budget;
	const char *report_reason;
	int reported;
	int todo_steps;   /* since the model last changed it, or was reminded */
	int todo_emptied; /* and the model was not told yet */

	struct journal_commit commit;
	enum turn_step after; /* the step behind the commit */
	int busy; /* a commit is under way: what else happens waits for it */
};

/* ---- turn.c: the table, and who walks along it ---- */

/* It goes on with this step, at the end of the tick. The loop's thread. */
void turn_wake(struct turn *t, enum turn_step at);

/* Runs a step that blocks, and has the loop go on. A turn thread's. */
void turn_run_blocking(struct turn *t);

/* Something has happened: it is not stuck. */
void turn_moved(struct turn *t);

/* Asks it to stop; the first reason counts. The loop's thread. */
void turn_stop(struct turn *t, enum turn_stop why);

/* Puts the history back into the cache, or drops it. */
void turn_give_history(struct turn *t);

/* It fails for a reason of ours. Returns TURN_FAILED. */
enum turn_step turn_fail(struct turn *t, const char *type, const char *why);

/* It ends at a limit. Returns TURN_LIMIT. */
enum turn_step turn_limit(struct turn *t, const char *setting);

/* Where a turn goes that was asked to stop. */
enum turn_step turn_stopped_step(struct turn *t);

/* Begins to watch how long it is at work, and whether it is stuck. */
void turn_watch(struct turn *t);

/* ---- turn_model.c: calling the model, and trying again ---- */

/*
 * Calls the model, and goes on with after when t->result is there. Of rq, which
 * must stay, the turn's own members are filled in.
 */
enum turn_step turn_call_model(
    struct turn *t, struct model_request *rq, enum turn_step after);

/* Members of a failure, for retry and error events and the history; behind {
 * or a comma. */
void turn_add_failure(struct buf *b, const struct model_failure *f);

#endif
