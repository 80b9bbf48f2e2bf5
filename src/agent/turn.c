/* SPDX-License-Identifier: MIT */
/*
 * A turn: a table of steps, each a function that returns the next.
 *
 * Steps run on the loop's thread, where the model's bytes and Redis's answers
 * arrive, and return at once: one that has to wait says so, and what it waits
 * for wakes the turn. So a turn that waits, for a model, for Redis or for
 * time to pass, holds no thread. A step that would block is run by a turn
 * thread. No step runs within somebody's callback, but at the end of the
 * tick, so it may free what called.
 *
 * What a step has done is durable before the next one starts, so a turn that
 * is cut anywhere is taken up at its last commit:
 *
 *   PRE_MODEL   message in the history (written by the script that gave the
 *               lease, or that ended the turn before)
 *   STREAMING   text was shown; written with the first of it
 *   TOOL_PENDING, EXECUTING
 *               the answer is in the history, and each of its calls has a
 *               record that says how far it got
 *   READY       the answer is in the history, done is in the log
 *
 * Whoever wants a turn to stop says why; that closes the model's connection
 * at once.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "agent/forms.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"

#define WATCH_MIN_MS 20

static enum turn_step step_load(struct turn *t);
static enum turn_step step_fetch(struct turn *t);
static enum turn_step step_abandoned(struct turn *t);

static const struct {
	const char *name;
	enum turn_step (*run)(struct turn *t);
	int blocks;
} steps[TURN_OVER] = {
	[TURN_LOAD] = { "load", step_load, 0 },
	[TURN_FETCH] = { "fetch", step_fetch, 1 },
	[TURN_CONNECT] = { "connect", step_connect, 0 },
	[TURN_PAGES] = { "pages", step_pages, 1 },
	[TURN_PRE_MODEL] = { "pre_model", step_pre_model, 0 },
	[TURN_POST_MODEL] = { "post_model", step_post_model, 0 },
	[TURN_COMPACT] = { "compact", step_compact, 1 },
	[TURN_SUMMARISE] = { "summarise", step_summarise, 0 },
	[TURN_COMPACTED] = { "compacted", step_compacted, 0 },
	[TURN_CALLED] = { "called", step_called, 0 },
	[TURN_RECOVER] = { "recover", step_recover, 0 },
	[TURN_TOOLS] = { "tools", step_tools, 0 },
	[TURN_SPAWN] = { "spawn", step_spawn, 1 },
	[TURN_SPAWNED] = { "spawned", step_spawned, 0 },
	[TURN_STOP_CHILDREN] = { "stop_children", step_stop_children, 1 },
	[TURN_REPORT] = { "report", step_report, 1 },
	[TURN_REPORTED] = { "reported", step_reported, 0 },
	[TURN_SURFACE] = { "surface", step_surface, 1 },
	[TURN_SURFACED] = { "surfaced", step_surfaced, 0 },
	[TURN_DONE] = { "done", step_done, 0 },
	[TURN_LIMIT] = { "limit", step_limit, 0 },
	[TURN_BUDGET] = { "budget", step_budget, 0 },
	[TURN_BUDGET_ASK] = { "budget_ask", step_budget_ask, 0 },
	[TURN_BUDGET_ANSWER] = { "budget_answer", step_budget_answer, 0 },
	[TURN_RETRY] = { "retry", step_retry, 0 },
	[TURN_FALLBACK] = { "fallback", step_fallback, 0 },
	[TURN_REFILL] = { "refill", step_refill, 1 },
	[TURN_ANSWERED] = { "answered", step_answered, 0 },
	[TURN_INTERRUPTED] = { "interrupted", step_interrupted, 0 },
	[TURN_FAILED] = { "failed", step_failed, 0 },
	[TURN_NEXT] = { "next", step_next, 0 },
	[TURN_ABANDONED] = { "abandoned", step_abandoned, 0 },
};

/* ---- stopping ---- */

void
turn_stop(struct turn *t, enum turn_stop why)
{
	if (t->stop == STOP_NO || why == STOP_DEAD)
		t->stop = why;
	if (t->call != NULL) {
		model_call_cancel(t->call);
	} else if (t->hook != NULL) {
		webhook_cancel(t->hook);
	} else if (turn_mcp_stop(t)) {
		turn_wake(t, turn_stopped_step(t));
	} else if (t->timer != NULL) {
		loop_timer_free(&t->timer);
		turn_wake(t, turn_stopped_step(t));
	} else if (t->call_count > 0 && !t->busy && !t->blocked) {
		turn_wake(t, TURN_TOOLS);
	}
}

enum turn_step
turn_stopped_step(struct turn *t)
{
	switch (t->stop) {
	case STOP_INTERRUPT:
		return TURN_INTERRUPTED;
	case STOP_TIMEOUT:
		return turn_limit(t, "turn.timeout");
	case STOP_BUDGET:
		return TURN_BUDGET;
	case STOP_STALLED:
		return turn_fail(
		    t, "stalled", "nothing happened for turn.stall_timeout");
	case STOP_NO:
	case STOP_ABANDON:
	case STOP_DEAD:
		break;
	}
	return TURN_ABANDONED;
}

/* ---- the watch ---- */

void
turn_moved(struct turn *t)
{
	t->meter.moved_ms = loop_now_ms(t->runner->parts.loop);
}

/* What waits for Redis has the store's timeouts. */
static void
on_watch(void *arg)
{
	struct turn *t = arg;
	const struct conf *c = t->runner->parts.conf;
	int64_t now = loop_now_ms(t->runner->parts.loop);

	if (t->busy || t->stop != STOP_NO || t->blocked)
		return;
	if (turn_tools_run(t))
		turn_moved(t); /* they have timeouts of their own */
	log_context_set(t->request_id, t->lease.agent, t->turn);
	if (now - t->meter.moved_ms >= c->turn_stall_timeout_ms)
		turn_stop(t, STOP_STALLED);
	else if (c->turn_timeout_ms > 0 &&
		 now - t->meter.began_ms >= c->turn_timeout_ms)
		turn_stop(t, STOP_TIMEOUT);
	log_context_set("", "", "");
}

void
turn_watch(struct turn *t)
{
	const struct conf *c = t->runner->parts.conf;
	int64_t every = c->turn_stall_timeout_ms;

	if (c->turn_timeout_ms > 0 && c->turn_timeout_ms < every)
		every = c->turn_timeout_ms;
	every = every / 8 > WATCH_MIN_MS ? every / 8 : WATCH_MIN_MS;
	if (t->watch == NULL)
		t->watch = loop_timer_new(
		    t->runner->parts.loop, "turn watch", on_watch, t);
	loop_timer_start(t->watch, every, every);
	turn_moved(t);
	turn_meter_begin(t);
}

static enum turn_step
step_abandoned(struct turn *t)
{
	if (t->dead.code == ERR_NONE)
		t->dead = t->load_err;
	if (t->dead.code != ERR_NONE)
		log_warn("the turn stops here: %s; it is resumed from its last "
			 "commit",
		    t->dead.text);
	return TURN_OVER;
}

/* ---- the history ---- */

/* Where the turn was, when its last holder left it. */
static enum turn_step
where_to_begin(struct turn *t)
{
	const char *model = t->history->model;

	t->model = form_model(t->history->form);
	turn_trace_begin(t);
	turn_budget_begin(t);
	if (models_find(t->runner->parts.models, model) == NULL)
		return turn_fail(t, "model_unknown",
		    arena_printf(t->arena,
			"there is no model \"%.64s\" any more; change the "
			"agent's, or write a section [model %.64s]",
			model, model));
	if (strcmp(t->lease.state, "REPORTING") == 0)
		return turn_report(t, "completed", TURN_DONE);
	turn_budget_resume(t);
	if (t->budget.ask.id[0] != '\0')
		return turn_connect(t, TURN_BUDGET_ANSWER);
	return turn_connect(
	    t, t->lease.call_count > 0 ? TURN_RECOVER : TURN_PRE_MODEL);
}

static enum turn_step
step_fetch(struct turn *t)
{
	if (history_load(t->history, t->runner->parts.store, t->arena,
		&t->lease, &t->load_err) == 0)
		return where_to_begin(t);
	t->history_bad = 1;
	if (t->load_err.code == ERR_INVALID)
		return turn_fail(t, "damaged", t->load_err.text);
	return TURN_ABANDONED;
}

static enum turn_step
step_load(struct turn *t)
{
	t->arena = arena_open(4096);
	t->history = history_take(t->runner->cache, t->lease.agent);
	if (history_is_near(t->history, &t->lease))
		return step_fetch(t);
	return TURN_FETCH;
}

void
turn_give_history(struct turn *t)
{
	if (t->history != NULL)
		history_give(t->runner->cache, t->history, !t->history_bad);
	t->history = NULL;
}

/* ---- going on ---- */

/* The last that is seen of a turn. */
static void
turn_close(struct turn *t)
{
	struct runner *r = t->runner;
	struct turn *own;
	char room[sizeof(t->room)];

	loop_timer_free(&t->watch);
	turn_meter_end(t);
	turn_tools_cancel(t);
	turn_tools_free(t);
	model_call_free(&t->result);
	turn_compact_free(t);
	turn_give_history(t);
	turn_mcp_stop(t);
	t->mcp = NULL;
	turn_pages_free(t);
	arena_close(&t->arena);
	journal_log_close(&t->log);
	HASH_FIND_STR(r->turns, t->lease.agent, own);
	if (own == t) {
		HASH_DEL(r->turns, t);
		r->parts.on_closed(r->parts.ctx, t->lease.agent,
		    t->dead.code == ERR_NONE ? NULL : &t->dead);
	}
	strcpy(room, t->room);
	turn_free(&t);
	runner_release(r, room);
}

static enum turn_step
run_step(struct turn *t)
{
	log_debug("step %s", steps[t->at].name);
	return steps[t->at].run(t);
}

/* Walks along the table until the turn waits or is over. */
static void
turn_run(void *arg)
{
	struct turn *t = arg;
	enum turn_step next = t->at, at = next;

	t->blocked = 0;
	log_context_set(t->request_id, t->lease.agent, t->turn);
	turn_moved(t);
	turn_meter_woken(t);
	while (next < TURN_OVER && !steps[next].blocks) {
		t->at = at = next;
		next = run_step(t);
	}
	log_context_set("", "", "");
	if (next == TURN_OVER) {
		if (t->wake.waits)
			abort(); /* it would be run when it is gone */
		turn_close(t);
	} else if (next == TURN_WAITS) {
		turn_meter_waits(t, at);
	} else {
		turn_meter_waits(t, next);
		t->at = next;
		t->blocked = 1;
		runner_push(t->runner, t);
	}
}

void
turn_wake(struct turn *t, enum turn_step at)
{
	t->at = at;
	loop_defer(t->runner->parts.loop, &t->wake, "turn", turn_run, t);
}

void
turn_run_blocking(struct turn *t)
{
	log_context_set(t->request_id, t->lease.agent, t->turn);
	t->at = run_step(t);
	log_context_set("", "", "");
	loop_post(t->runner->parts.loop, "turn", turn_run, t);
}
