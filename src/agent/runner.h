/* SPDX-License-Identifier: MIT */
#ifndef AGENT_RUNNER_H
#define AGENT_RUNNER_H

#include <stdint.h>

#include "base/err.h"
#include "store/store.h"
#include "tool/tool.h"

struct arena;
struct conf;
struct journal;
struct loop;
struct mcp;
struct models;
struct otlp;
struct scoreboard;
struct templates;
struct turn;

/*
 * The runner: the turns of this process, and threads for those of their steps
 * that block. Its table of turns is the loop's thread's.
 */
struct runner;

struct runner_parts {
	const struct conf *conf;
	struct loop *loop;
	struct store *store;
	struct journal *journal;
	struct models *models;
	struct mcp *mcp;
	const struct templates *templates;
	struct tool_host tools;
	struct otlp *otlp; /* NULL: nothing is recorded */
	struct scoreboard *board;
	int slot;    /* this worker's row */
	int budgets; /* there are some */

	/* On the loop's thread: the agent's log is closed here; its viewers
	 * are told by others now. why is NULL, or why it could not go on. */
	void (*on_closed)(void *ctx, const char *agent, const struct err *why);
	void *ctx;

	/* On any thread: there is room, and somebody may wait for it:
	 * runner_serve_queue is to be called. */
	void (*on_room)(void *ctx);
	void *room_ctx;
};

struct runner *runner_new(const struct runner_parts *parts);

/* All turns must have ended. Waits for the threads to leave. */
void runner_free(struct runner **r_p);

/*
 * Room for a turn of user: 0, or -1 and ERR_LIMIT (limits.turns_per_user) or
 * ERR_OVERLOAD (limits.turns, or the worker is stopping). force: the user's
 * own limit does not count, for what must be resumed. Any thread.
 */
int runner_reserve(
    struct runner *r, const char *user, int force, struct err *err);
void runner_release(struct runner *r, const char *user);

/* 1 a slot is free here, as of now. Any thread. */
int runner_has_room(struct runner *r);

/*
 * Room for a turn of user that begins with a message, in m: now, with what is
 * known of the agent; later; or none, and why. What was reserved is the
 * caller's. Any thread.
 */
void runner_reserve_for(struct runner *r, const char *user, const char *agent,
    struct store_message *m, struct err *why);

/* Agents may wait: room is looked for as soon as there is some. Any thread. */
void runner_expect(struct runner *r);

/*
 * Takes up agents that wait, as long as there is room and one may wait. Blocks
 * for the store; any thread but the loop's. 0, or -1: it is to be tried again.
 */
int runner_serve_queue(struct runner *r, struct err *err);

/* Forgets the histories of agents that were idle for so long. Any thread. */
void runner_forget(struct runner *r, int64_t idle_ms);

/* An agent is no more: its turn stops. The loop's thread. */
void runner_deleted(struct runner *r, const char *agent);

/* What this process has of an agent. Any thread. */
struct store_known runner_known(struct runner *r, const char *agent);

/*
 * A turn for a lease that was just taken, with the room reserved for it. Any
 * thread. request_id goes along to the model, or is "".
 */
struct turn *turn_new(
    struct runner *r, const struct store_lease *lease, const char *request_id);

/*
 * On the loop's thread: opens the agent's log, shows the first events of the
 * lease, and lets the turn run. From here on it is the runner's.
 */
void turn_open(struct turn *t);

/* On the loop's thread. 1 the turn ("": the one that runs) is told, 0 it runs
 * not here. */
int runner_interrupt(struct runner *r, const char *agent, const char *turn);

/*
 * Takes the lease of an agent that nobody runs any more, or whose turn was
 * parked and may go on, and runs it here. value is the lease that may be
 * replaced, "" for none. 1 it runs here, 0 it need not, -1; ERR_OVERLOAD: there
 * is no room. Blocks for the store. Any thread but the loop's.
 */
int runner_take(struct runner *r, struct arena *a, const char *base,
    const char *value, struct err *err);

/*
 * Tells the holder of an agent's lease what to do; if nobody holds it (""),
 * its turn is parked, and is taken as by runner_take. What cannot be told or
 * taken is found by the next sweep. 0 or 1, or -1. Blocks for the store.
 */
int runner_tell(struct runner *r, struct arena *a, const char *agent,
    const char *lease, const char *what, struct err *err);

/* On the loop's thread: a decision (JSON) on a tool call of a turn here. */
void runner_answer(struct runner *r, const char *agent, const char *call,
    const char *decision);

/* On the loop's thread: an event of a sub-agent, for the one that made it. */
void runner_surface(struct runner *r, const char *agent, const char *rest);

/* On the loop's thread: a turn that waited for one here will never run. */
void runner_withdrawn(struct runner *r, const char *agent, const char *turn);

/* No turn is begun any more; those that run go on. Any thread. */
void runner_drain(struct runner *r);

/* On the loop's thread: stops every turn at its last commit. */
void runner_abandon(struct runner *r);

/* Turns that have not ended. Any thread. */
int runner_running(struct runner *r);

#endif
