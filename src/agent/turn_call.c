/* SPDX-License-Identifier: MIT */
/*
 * The record of a tool call: what was asked, what was decided, what came of
 * it, and when. It is in Redis before the tool runs and after, so that who
 * resumes the turn knows what may have happened.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/slowlog.h"
#include "agent/turn_priv.h"
#include "agent/turn_trace.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "model/decode.h"
#include "tool/schema.h"

#define INPUT_DEPTH 48
#define CALLS_MAX 64 /* of one answer that are run */

static const char *const state_names[] = {
	[CALL_PENDING] = "PENDING",
	[CALL_APPROVAL_REQUIRED] = "APPROVAL_REQUIRED",
	[CALL_APPROVED] = "APPROVED",
	[CALL_EXECUTING] = "EXECUTING",
	[CALL_COMPLETED] = "COMPLETED",
	[CALL_FAILED] = "FAILED",
	[CALL_DENIED] = "DENIED",
	[CALL_SEALED] = "SEALED",
};

#define STATES ((int)(sizeof(state_names) / sizeof(state_names[0])))

const char *
call_state_name(enum call_state state)
{
	return state_names[state];
}

enum call_state
call_state_find(const char *name)
{
	for (int i = 0; name != NULL && i < STATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return (enum call_state)i;
	return CALL_EXECUTING; /* the most careful reading */
}

/* ---- states ---- */

void
call_note(struct turn_call *c, const char *note)
{
	json_open(&c->audit, NULL, '{');
	json_add_str(&c->audit, "state", state_names[c->state]);
	json_add_int(&c->audit, "at", clk_shared_ms());
	if (note != NULL)
		json_add_str(&c->audit, "note", note);
	json_close(&c->audit, '}');
}

/* Its name counts only if there is such a tool: a model may say anything. */
static void
count_over(const struct turn_call *c)
{
	int tool =
	    metric_value(LABEL_TOOL, c->tool == NULL ? "" : c->tool->name);
	int end = (int)c->state - CALL_COMPLETED; /* as LABEL_END has them */

	metric_add(METRIC_TOOL_CALLS, tool, end, 1);
	if (c->started_ms > 0)
		metric_observe(METRIC_TOOL_TIME, tool,
		    1000 * (c->completed_ms - c->started_ms));
	slowlog_tool(c);
	turn_trace_tool_over(c);
}

void
call_set(struct turn_call *c, enum call_state state, const char *note)
{
	c->state = state;
	c->unwritten = 1;
	if (state == CALL_EXECUTING)
		c->started_ms = clk_shared_ms();
	if (CALL_IS_OVER(state)) {
		c->completed_ms = clk_shared_ms();
		count_over(c);
	}
	call_note(c, note);
}

void
call_fail(struct turn_call *c, enum call_state state, enum tool_error type,
    const char *error, const char *note)
{
	struct buf b;

	buf_init(&b, c->turn->round);
	tool_envelope_failed(&b, type, error);
	c->result = buf_str(&b);
	c->error = arena_strdup(c->turn->round, error);
	call_set(c, state, note);
}

/* What is said of a call that was cut short, by its state. */
static const struct {
	const char *message;
	const char *advice[2];
} seals[] = {
	[CALL_PENDING] = { "Tool interrupted just before execution; session "
			   "sealed automatically.",
	    { "Confirm tool parameters are correct",
		"Re-trigger the tool to continue" } },
	[CALL_APPROVAL_REQUIRED] = { "Tool interrupted while awaiting "
				     "approval; session sealed automatically.",
	    { "Confirm if approval is still required",
		"Re-trigger the tool and complete approval to continue" } },
	[CALL_APPROVED] = { "Tool approved but not yet executed; session "
			    "sealed automatically.",
	    { "Confirm the tool input is still valid",
		"Re-trigger the tool to execute" } },
	[CALL_EXECUTING] = { "Tool interrupted during execution; session "
			     "sealed automatically.",
	    { "Check for possible side effects of the tool",
		"Confirm external system state before retrying" } },
};

void
call_seal(struct turn_call *c, const char *note)
{
	enum call_state was = c->state;
	struct buf b;

	buf_init(&b, c->turn->round);
	json_open(&b, NULL, '{');
	json_add_bool(&b, "ok", 0);
	json_add_str(&b, "error", seals[was].message);
	json_open(&b, "data", '{');
	json_add_str(&b, "status", state_names[was]);
	if (c->started_ms > 0)
		json_add_int(&b, "startedAt", c->started_ms);
	json_add_str(&b, "toolId", c->id);
	json_add_str(&b, "note", note);
	json_close(&b, '}');
	json_open(&b, "recommendations", '[');
	json_add_str(&b, NULL, seals[was].advice[0]);
	json_add_str(&b, NULL, seals[was].advice[1]);
	json_close(&b, ']');
	json_close(&b, '}');
	c->result = buf_str(&b);
	c->error = seals[was].message;
	call_set(c, CALL_SEALED, note);
}

/* ---- from an answer ---- */

static void
call_init(struct turn *t, struct turn_call *c)
{
	memset(c, 0, sizeof(*c));
	c->turn = t;
	buf_init(&c->audit, t->round);
}

/* Whether its arguments may be used at all. 0 or -1. */
static int
call_check(struct turn_call *c)
{
	struct buf why;

	buf_init(&why, c->turn->round);
	if (c->tool == NULL) {
		buf_printf(&why, "Tool not found: %s", c->name);
		call_fail(c, CALL_FAILED, TOOL_ERROR_LOGICAL, why.data,
		    "tool missing");
		return -1;
	}
	if (c->args == NULL) {
		call_fail(c, CALL_FAILED, TOOL_ERROR_VALIDATION,
		    "the arguments are no JSON object; they were not run",
		    "input schema invalid");
		return -1;
	}
	if (schema_check(c->tool->schema_doc, c->args, &why) < 0) {
		call_fail(c, CALL_FAILED, TOOL_ERROR_VALIDATION, buf_str(&why),
		    "input schema invalid");
		return -1;
	}
	return 0;
}

void
call_ask(struct turn_call *c, const char *reason)
{
	c->reason = reason;
	c->asked_ms = clk_shared_ms();
	call_set(c, CALL_APPROVAL_REQUIRED, "awaiting approval");
}

void
call_go_on(struct turn_call *c)
{
	if (c->must_ask)
		call_ask(c, c->reason);
	else
		c->state = CALL_APPROVED;
}

void
call_decide(struct turn_call *c)
{
	struct permit_call asked = { c->name, c->tool->effect, c->args };
	struct permit_answer a =
	    permit_evaluate(c->turn->tools->permit, &asked);

	c->reason = a.decision == PERMIT_ALLOW ? NULL : a.reason;
	c->must_ask = a.decision == PERMIT_ASK;
	if (a.decision == PERMIT_DENY)
		call_fail(c, CALL_DENIED, TOOL_ERROR_LOGICAL,
		    arena_printf(
			c->turn->round, "Tool denied by policy: %s", a.reason),
		    "policy deny");
	else if (!turn_has_hook(c->turn, HOOK_PRE_TOOL))
		call_go_on(c);
}

static void
call_from_block(struct turn_call *c, const struct model_block *b, size_t number)
{
	struct arena *a = c->turn->round;
	int runs = b->valid && !b->cut;
	const char *input;

	snprintf(c->id, sizeof(c->id), "%.60s", b->id); /* our own: 31 */
	c->name = arena_strdup(a, b->name);
	input = model_block_input(b, &c->input_len);
	c->input = arena_memdup(a, input, c->input_len);
	if (runs)
		c->args =
		    json_parse(a, c->input, c->input_len, INPUT_DEPTH, NULL);
	c->tool = toolset_find(c->turn->tools, c->name);
	c->is_new = 1;
	c->created_ms = clk_shared_ms();
	call_set(c, CALL_PENDING, NULL);
	if (number >= CALLS_MAX)
		call_fail(c, CALL_FAILED, TOOL_ERROR_LOGICAL,
		    "too many calls at a time; call it again", "too many");
	else if (call_check(c) == 0)
		call_decide(c);
}

struct turn_call *
calls_alloc(struct turn *t, size_t count)
{
	t->calls = arena_alloc(t->round, (count + 1) * sizeof(*t->calls));
	t->call_count = count;
	for (size_t i = 0; i < count; i++)
		call_init(t, &t->calls[i]);
	return t->calls;
}

/* A call that is in the content: of a cut answer only those that are whole. */
static int
is_call(const struct model_result *r, int i)
{
	const struct model_block *b = &r->block[i];

	return b->kind == MODEL_BLOCK_CALL &&
	       (r->complete || (b->closed && b->valid && !b->cut));
}

size_t
calls_count(const struct model_result *r)
{
	size_t n = 0;

	for (int i = 0; i < r->block_count; i++)
		n += (size_t)is_call(r, i);
	return n;
}

void
calls_from_answer(struct turn *t, const struct model_result *r)
{
	struct turn_call *c = calls_alloc(t, calls_count(r));
	size_t n = 0;

	for (int i = 0; i < r->block_count; i++)
		if (is_call(r, i))
			call_from_block(c++, &r->block[i], n++);
}
