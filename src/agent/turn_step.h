/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_STEP_H
#define AGENT_TURN_STEP_H

/*
 * The steps of a turn. Each does what is to be done now and returns the next,
 * or TURN_WAITS; turn.c has their table.
 */
struct turn;

enum turn_step {
	TURN_LOAD,
	TURN_FETCH,
	TURN_CONNECT,
	TURN_PAGES,
	TURN_PRE_MODEL,
	TURN_POST_MODEL,
	TURN_COMPACT,
	TURN_SUMMARISE,
	TURN_COMPACTED,
	TURN_CALLED,
	TURN_RECOVER,
	TURN_TOOLS,
	TURN_SPAWN,
	TURN_SPAWNED,
	TURN_STOP_CHILDREN,
	TURN_REPORT,
	TURN_REPORTED,
	TURN_SURFACE,
	TURN_SURFACED,
	TURN_DONE,
	TURN_LIMIT,
	TURN_BUDGET,
	TURN_BUDGET_ASK,
	TURN_BUDGET_ANSWER,
	TURN_RETRY,
	TURN_FALLBACK,
	TURN_REFILL,
	TURN_ANSWERED,
	TURN_INTERRUPTED,
	TURN_FAILED,
	TURN_NEXT,
	TURN_ABANDONED,
	TURN_OVER,
	TURN_WAITS /* for turn_wake */
};

/* turn_model.c: calling the model, and trying again */
enum turn_step step_pre_model(struct turn *t);
enum turn_step step_post_model(struct turn *t);
enum turn_step step_retry(struct turn *t);
enum turn_step step_fallback(struct turn *t);
enum turn_step step_refill(struct turn *t);

/* The next model of the list is tried, or it fails; and back to
 * the agent's own for another turn. */
enum turn_step turn_other_model(struct turn *t);
enum turn_step turn_own_model(struct turn *t);

/* turn_compact.c: reads the history, sums up, and writes */
enum turn_step step_compact(struct turn *t);
enum turn_step step_summarise(struct turn *t);
enum turn_step step_compacted(struct turn *t);

/* turn_tools.c: its calls, from an answer or from their records */
enum turn_step step_called(struct turn *t);
enum turn_step step_recover(struct turn *t);
enum turn_step step_tools(struct turn *t);

/* turn_task.c and turn_report.c: sub-agents, and those whose they are */
enum turn_step step_spawn(struct turn *t);
enum turn_step step_spawned(struct turn *t);
enum turn_step step_stop_children(struct turn *t);
enum turn_step step_report(struct turn *t);
enum turn_step step_reported(struct turn *t);
enum turn_step step_surface(struct turn *t);
enum turn_step step_surfaced(struct turn *t);

/* turn_budget_ask.c: asks whether it may spend more, and hears */
enum turn_step step_budget_ask(struct turn *t);
enum turn_step step_budget_answer(struct turn *t);

/* turn_end.c: what is written at the end */
enum turn_step step_answered(struct turn *t);
enum turn_step step_done(struct turn *t);
enum turn_step step_interrupted(struct turn *t);
enum turn_step step_failed(struct turn *t);
enum turn_step step_limit(struct turn *t);
enum turn_step step_budget(struct turn *t);
enum turn_step step_next(struct turn *t);

#endif
