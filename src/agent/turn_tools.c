/* SPDX-License-Identifier: MIT */
/*
 * The tools of a step: decided, run some at a time, recorded, and answered in
 * the order of their calls.
 *
 * A call that is to run becomes EXECUTING in a commit and starts when that is
 * durable; its end goes into the next commit. While one is under way, what
 * else ends waits for it, so calls that end together are written together.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/templates.h"
#include "agent/turn_priv.h"
#include "agent/turn_trace.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define ROUND_BYTES 16384

void
turn_tools_open(struct turn *t)
{
	turn_tools_free(t);
	t->round = arena_open(ROUND_BYTES);
}

void
turn_tools_free(struct turn *t)
{
	t->calls = NULL;
	t->call_count = 0;
	arena_close(&t->round);
}

static const struct conf *
conf_of(const struct turn *t)
{
	return t->runner->parts.conf;
}

struct toolset *
turn_tools(struct turn *t)
{
	struct toolset_spec spec = {
		.template = templates_find(
		    t->runner->parts.templates, t->history->template),
		.prompt = t->history->prompt,
		.names = t->history->tools,
		.permission = t->history->permission,
		.with_tasks = t->lease.depth < conf_of(t)->task_depth,
	};

	if (t->tools != NULL)
		return t->tools;
	spec.servers = turn_mcp_servers(t, &spec.server_count);
	spec.pages = t->pages.tools;
	t->tools = toolset_make(t->arena, &spec);
	return t->tools;
}

const char *
turn_workspace(const struct turn *t)
{
	return *t->history->workspace == '\0' ? t->lease.agent
					      : t->history->workspace;
}

/* ---- runs ---- */

void
call_take_result(struct turn_call *c)
{
	struct tool_run *r = &c->run;
	int failed = r->failed != TOOL_ERROR_NONE;
	struct buf b;

	buf_init(&b, c->turn->round);
	r->arena = c->turn->round;
	r->max_bytes = (size_t)conf_of(c->turn)->tool_max_output_bytes;
	tool_envelope(r, &b);
	c->result = buf_str(&b);
	c->error = failed ? r->error : NULL;
	call_set(c, failed ? CALL_FAILED : CALL_COMPLETED,
	    failed ? "tool reported failure" : "execution complete");
}

void
call_finish(struct turn_call *c, const struct json *data, const char *note)
{
	struct tool_run *r = &c->run;

	r->failed = TOOL_ERROR_NONE;
	buf_init(&r->data, c->turn->round);
	json_print(&r->data, data);
	call_take_result(c);
	call_note(c, note);
}

static void
on_run_end(void *ctx, struct tool_run *r)
{
	struct turn_call *c = ctx;
	struct turn *t = c->turn;
	struct buf b;

	crash_point("tool-ended");
	if (r->failed == TOOL_ERROR_ABORTED && t->stop != STOP_NO) {
		call_seal(c, "sealed due to interrupt");
	} else if (turn_has_hook(t, HOOK_POST_TOOL)) {
		buf_init(&b, t->round);
		tool_envelope(r, &b);
		c->result = buf_str(&b);
		call_ask_post_hook(c);
		return;
	} else {
		call_take_result(c);
	}
	c->running = 0;
	if (!t->busy)
		turn_wake(t, TURN_TOOLS);
}

/* Shown, and not kept beyond the log of events: the result has it. */
static void
on_run_output(void *ctx, const char *text, size_t len)
{
	struct turn_call *c = ctx;
	struct turn *t = c->turn;
	struct buf b;

	buf_init(&b, NULL);
	buf_printf(&b, ",\"callId\":\"%s\"", c->id);
	json_add_str(&b, "tool", c->name);
	json_add_strn(&b, "output", text, len);
	journal_event(t->log, EVENT_TOOL_OUTPUT, t->step, b.data, b.len);
	buf_fini(&b);
}

static void
run_start(struct turn_call *c)
{
	struct turn *t = c->turn;
	const struct agent_template *template = turn_tools(t)->template;
	char trace[TRACE_SIZE];

	c->run = (struct tool_run){
		.tool = c->tool,
		.host = &t->runner->parts.tools,
		.call = c->id,
		.agent = t->lease.agent,
		.workspace = turn_workspace(t),
		.network = template == NULL ? NULL : template->network,
		.max_bytes = (size_t)conf_of(t)->tool_max_output_bytes,
		.user = t->lease.user,
		.turn = t->turn,
		.arena = t->round,
		.args = c->args,
		.skills = t->tools->template == NULL
			      ? NULL
			      : &t->tools->template->skills,
		.todos = t->todos,
		.note = json_get_str(c->answer, "note"),
		.now_ms = clk_shared_ms(),
		.on_end = on_run_end,
		.on_output = on_run_output,
		.ctx = c,
	};
	turn_trace_tool(c, trace);
	c->run.traceparent = arena_strdup(t->round, trace);
	c->running = 1;
	crash_point("tool-start");
	tool_run_start(&c->run);
}

int
turn_tools_run(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count; i++)
		if (t->calls[i].running || t->calls[i].hooking)
			return 1;
	return 0;
}

void
turn_tools_cancel(struct turn *t)
{
	t->busy = 1; /* nobody wakes the turn for it */
	for (size_t i = 0; i < t->call_count; i++) {
		call_cancel_hook(&t->calls[i]);
		if (t->calls[i].running)
			tool_run_cancel(&t->calls[i].run);
	}
	t->busy = 0;
}

/* What was committed as EXECUTING runs now; hooks hear of what is PENDING. */
static void
start_recorded(struct turn *t)
{
	t->busy = 1;
	for (size_t i = 0; i < t->call_count; i++) {
		struct turn_call *c = &t->calls[i];

		if (c->unwritten || c->running || c->hooking)
			continue;
		if (c->state == CALL_EXECUTING && c->child == NULL)
			run_start(c);
		else if (c->state == CALL_PENDING)
			call_ask_pre_hook(c);
	}
	t->busy = 0;
}

/* As many of those that may run as there is room for. */
static void
choose_next(struct turn *t)
{
	int64_t room = conf_of(t)->tool_concurrency;

	for (size_t i = 0; i < t->call_count; i++)
		room -= t->calls[i].state == CALL_EXECUTING;
	for (size_t i = 0; i < t->call_count && room > 0; i++) {
		if (t->calls[i].state != CALL_APPROVED)
			continue;
		if (call_name_child(&t->calls[i]) < 0)
			continue;
		call_set(&t->calls[i], CALL_EXECUTING, "execution start");
		room--;
	}
}

static int
any_unwritten(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count; i++)
		if (t->calls[i].unwritten)
			return 1;
	return 0;
}

/* ---- steps ---- */

static const char *
call_ids(struct turn *t)
{
	struct buf b;

	buf_init(&b, t->round);
	for (size_t i = 0; i < t->call_count; i++)
		buf_printf(&b, "%s%s", i > 0 ? " " : "", t->calls[i].id);
	return buf_str(&b);
}

/* The results into the history: the model is asked again. */
static enum turn_step
finish_round(struct turn *t)
{
	journal_commit_init(&t->commit, t->round);
	calls_commit(t);
	turn_commit_event(t, EVENT_STEP_COMPLETE, "");
	calls_commit_results(t);
	turn_commit_reminder(t);
	turn_commit_step(t);
	journal_op_steer(&t->commit);
	return turn_commit(t, TURN_PRE_MODEL);
}

/* Whatever of the calls is not written yet. */
static enum turn_step
commit_calls(struct turn *t, const char *state)
{
	journal_commit_init(&t->commit, t->round);
	calls_commit(t);
	journal_op_set(&t->commit, "state", state);
	return turn_commit(t, TURN_TOOLS);
}

enum turn_step
step_tools(struct turn *t)
{
	if (t->busy)
		return TURN_WAITS;
	if (t->stop != STOP_NO) {
		turn_tools_cancel(t);
		return turn_cut_step(t);
	}
	start_recorded(t);
	choose_next(t);
	if (turn_has_spawns(t))
		return turn_spawn(t);
	if (calls_over(t))
		return finish_round(t);
	if (calls_wait(t) && turn_has_unshown(t))
		return any_unwritten(t) ? commit_calls(t, "EXECUTING")
					: turn_surface(t);
	if (calls_wait(t))
		return turn_park(t);
	if (any_unwritten(t))
		return commit_calls(t, "EXECUTING");
	return TURN_WAITS;
}

/* The answer and the records of its calls, in one commit. */
enum turn_step
step_called(struct turn *t)
{
	const struct model_result *r = model_call_result(t->result);

	turn_tools_open(t);
	turn_tools(t);
	calls_from_answer(t, r);
	choose_next(t);
	journal_commit_init(&t->commit, t->round);
	turn_commit_answer(t, "");
	turn_commit_usage(t, r);
	journal_op_set(&t->commit, "calls", call_ids(t));
	calls_commit(t);
	journal_op_set(&t->commit, "state", "TOOL_PENDING");
	model_call_free(&t->result);
	return turn_commit(t, TURN_TOOLS);
}

/* A call that had begun when its worker died. */
static void
recover_call(struct turn_call *c)
{
	if (CALL_IS_OVER(c->state))
		return;
	if (c->tool == NULL)
		call_seal(c, "the tool is gone");
	else if (c->state == CALL_EXECUTING && c->child != NULL)
		return; /* it has a worker of its own, or is made once */
	else if (c->state == CALL_EXECUTING && c->tool->effect != TOOL_READS)
		call_seal(c, "auto seal: outcome unknown");
	else if (c->state == CALL_EXECUTING)
		call_set(c, CALL_APPROVED, "it only reads: run again");
	else if (c->state == CALL_PENDING)
		call_decide(c);
}

enum turn_step
step_recover(struct turn *t)
{
	if (turn_pages_due(t))
		return turn_pages(t, TURN_RECOVER);
	turn_tools_open(t);
	turn_tools(t);
	calls_from_records(t);
	if (t->stop != STOP_NO)
		return turn_cut_step(t);
	for (size_t i = 0; i < t->call_count; i++) {
		recover_call(&t->calls[i]);
		call_answer(&t->calls[i], t->lease.decided[i]);
	}
	calls_expire(t);
	log_info("%zu tool calls are taken up again", t->call_count);
	return TURN_TOOLS;
}
