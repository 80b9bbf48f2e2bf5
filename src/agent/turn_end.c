/* SPDX-License-Identifier: MIT */
/*
 * The end of a turn: one commit with what it said, its usage and done; and
 * the next turn under the same lease, if a message waits.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/turn_output.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define REPAIRS_MAX 2 /* answers that are not by the schema */

/* more: members of done, or "". */
static void
commit_done(struct turn *t, const char *reason, const char *more, int steerable)
{
	turn_budget_close(t);
	turn_commit_event(t, EVENT_DONE,
	    arena_printf(t->arena, ",\"reason\":\"%s\"%s", reason, more));
	t->meter.done_reason = reason;
	if (t->reported)
		journal_op_set(&t->commit, "task", "");
	else if (t->budget.used && t->budget.purse != NULL)
		journal_op_forget(&t->commit, t->budget.purse);
	journal_op_final(&t->commit, steerable);
}

static const char *
stop_member(struct turn *t)
{
	static const char *const stops[] = { "", "stop", "length", "tool_calls",
		"content_filter", "refusal", "pause", "error", "other" };
	const struct model_result *r = model_call_result(t->result);

	return arena_printf(t->arena, ",\"stop\":\"%s\"", stops[r->stop]);
}

/* The answer and what it cost. It is written once: whatever ends the turn
 * later finds no result. */
static void
commit_answered(struct turn *t)
{
	const struct model_result *r = model_call_result(t->result);

	/* A refusal is shown, but must not be sent back (providers.md 1). */
	if (r->blocks > 0 && r->stop != MODEL_STOP_REFUSAL)
		turn_commit_answer(t, "");
	turn_commit_usage(t, r);
	turn_commit_event(t, EVENT_STEP_COMPLETE, "");
	model_call_free(&t->result);
}

/* The answer, when it is to be reported before the turn is done. */
static enum turn_step
commit_answer_alone(struct turn *t)
{
	journal_op_set(&t->commit, "state", "REPORTING");
	return turn_commit(t, turn_report(t, "completed", TURN_DONE));
}

/* The answer is kept, and the model is asked again: at once, if it only paused
 * (Anthropic's pause_turn), or with what is wrong. */
static enum turn_step
go_on(struct turn *t, const char *wrong)
{
	struct buf b;

	journal_commit_init(&t->commit, t->arena);
	commit_answered(t);
	if (wrong != NULL) {
		buf_init(&b, t->arena);
		json_open(&b, NULL, '[');
		json_open(&b, NULL, '{');
		json_add_str(&b, "type", "text");
		json_add_str(&b, "text",
		    arena_printf(t->arena, "%s%s", wrong, t->rq.schema));
		buf_puts(&b, "}]");
		turn_commit_hidden(t, &b);
	}
	turn_commit_step(t);
	return turn_commit(t, TURN_PRE_MODEL);
}

enum turn_step
step_answered(struct turn *t)
{
	const struct model_result *r = model_call_result(t->result);
	const char *wrong = turn_output_wrong(t), *more;

	if (r->stop == MODEL_STOP_PAUSE && r->blocks > 0)
		return go_on(t, NULL);
	if (wrong != NULL && r->blocks > 0 && t->repairs++ < REPAIRS_MAX)
		return go_on(t, wrong);
	if (wrong != NULL)
		return turn_fail(
		    t, "schema", "the model gave no answer by outputSchema");
	t->repairs = 0;
	more = arena_printf(
	    t->arena, "%s%s", stop_member(t), turn_output_member(t));
	journal_commit_init(&t->commit, t->arena);
	commit_answered(t);
	if (turn_must_report(t))
		return commit_answer_alone(t);
	commit_done(t, "completed", more, 1);
	return turn_commit(t, TURN_NEXT);
}

enum turn_step
step_done(struct turn *t)
{
	journal_commit_init(&t->commit, t->arena);
	commit_done(t, "completed", "", 0);
	return turn_commit(t, TURN_NEXT);
}

/* Every call has a result, so that the history stays valid. */
static void
seal_calls(struct turn *t, const char *note)
{
	if (t->call_count == 0)
		return;
	for (size_t i = 0; i < t->call_count; i++)
		if (!CALL_IS_OVER(t->calls[i].state))
			call_seal(&t->calls[i], note);
	calls_commit(t);
	calls_commit_results(t);
}

/* An answer that is not kept whole was paid for all the same. Most providers
 * say at its end what it has used; of what was cut it is reckoned. */
static void
commit_paid(struct turn *t)
{
	struct model_result *r =
	    t->result == NULL ? NULL : model_call_result(t->result);

	if (r == NULL)
		return;
	if (t->budget.streamed > 0 && !r->complete)
		turn_budget_so_far(t, r, &r->usage);
	if (r->usage.input > 0 || r->usage.output > 0)
		turn_commit_usage(t, r);
}

/* What a step has done when it is cut: text that was shown, and its calls. */
static void
commit_cut(struct turn *t, const char *note)
{
	const struct model_result *r =
	    t->result == NULL ? NULL : model_call_result(t->result);

	commit_paid(t);
	if (r != NULL && r->blocks > 0 && t->shown) {
		turn_commit_answer(t, ",\"interrupted\":true");
		turn_tools_open(t);
		calls_from_answer(t, r);
	}
	seal_calls(t, note);
}

enum turn_step
turn_limit(struct turn *t, const char *setting)
{
	t->limit = setting;
	return TURN_LIMIT;
}

/* It would go on for too long. What it has done is in the history. */
enum turn_step
step_limit(struct turn *t)
{
	if (turn_must_report(t))
		return turn_report(t, "limit", TURN_LIMIT);
	log_warn("the turn ends: %s is the most allowed", t->limit);
	journal_commit_init(&t->commit, t->arena);
	commit_cut(t, "The turn has reached a limit");
	commit_done(t, "limit",
	    arena_printf(t->arena, ",\"limit\":\"%s\"", t->limit), 0);
	return turn_commit(t, TURN_NEXT);
}

/* Something that it may spend is used up. */
enum turn_step
step_budget(struct turn *t)
{
	const struct budget_name hit = t->budget.hit;

	if (turn_must_report(t))
		return turn_report(t, "budget", TURN_BUDGET);
	log_info("the turn ends: %s is used up",
	    budget_infos[hit.scope].setting[hit.kind]);
	journal_commit_init(&t->commit, t->arena);
	commit_cut(t, "A budget is used up");
	commit_done(t, "budget", turn_budget_members(t), 0);
	return turn_commit(t, TURN_NEXT);
}

enum turn_step
step_interrupted(struct turn *t)
{
	if (turn_must_report(t))
		return turn_report(t, "interrupted", TURN_INTERRUPTED);
	journal_commit_init(&t->commit, t->arena);
	commit_cut(t, "Interrupted by user");
	commit_done(t, "interrupted", "", 0);
	return turn_commit(t, TURN_NEXT);
}

/* The calls before them would stand without. */
static int
ends_with_results(const struct turn *t)
{
	static const char type[] = "\"type\":\"tool_result\"";
	size_t len = 0;
	const char *last = history_last(t->history, &len);

	return last != NULL &&
	       memmem(last, len, type, sizeof(type) - 1) != NULL;
}

/* How the history says that a turn failed. */
static const char *
failure_marks(struct turn *t, const struct model_failure *f)
{
	struct buf b;

	buf_init(&b, t->arena);
	if (f->rejected && t->fallbacks == 0 && !ends_with_results(t))
		buf_lit(&b, ",\"withdrawn\":true");
	buf_lit(&b, ",\"error\":{");
	turn_add_failure(&b, f);
	buf_putc(&b, '}');
	return b.data;
}

enum turn_step
turn_fail(struct turn *t, const char *type, const char *why)
{
	t->failure = (struct model_failure){ .failed = 1 };
	snprintf(t->failure.type, sizeof(t->failure.type), "%s", type);
	snprintf(t->failure.message, sizeof(t->failure.message), "%s", why);
	return TURN_FAILED;
}

enum turn_step
step_failed(struct turn *t)
{
	struct model_failure f = t->failure;
	struct buf b;

	if (turn_must_report(t))
		return turn_report(t, "error", TURN_FAILED);
	if (!f.failed && t->result != NULL)
		f = model_call_result(t->result)->failure;
	if (f.message[0] == '\0') {
		strcpy(f.type, "resumed");
		snprintf(f.message, sizeof(f.message),
		    "the turn was resumed %d times and never finished",
		    (int)t->lease.resumes);
	}
	log_warn("the turn failed: %s%s%s: %s", model_class_name(f.kind),
	    f.kind == MODEL_CLASS_NONE ? "" : ", ", f.type, f.message);
	buf_init(&b, t->arena);
	buf_putc(&b, ',');
	turn_add_failure(&b, &f);
	journal_commit_init(&t->commit, t->arena);
	commit_paid(t);
	seal_calls(t, "The turn has failed");
	turn_commit_message(t, failure_marks(t, &f), "assistant", "[]", 2);
	turn_commit_event(t, EVENT_ERROR, b.data);
	commit_done(t, "error", "", 0);
	return turn_commit(t, TURN_NEXT);
}

/* The next turn under the same lease; whose request asked for it is not known
 * any more. */
static enum turn_step
begin_next(struct turn *t)
{
	t->request_id[0] = '\0';
	turn_compact_free(t);
	t->mcp = NULL;
	t->budget.purse = NULL;
	budget_new_turn(&t->budget.spent);
	arena_reset(t->arena);
	model_call_free(&t->result);
	turn_tools_free(t);
	t->tools = NULL;
	turn_pages_free(t);
	t->hooked = 0;
	t->uncompactable = 0;
	t->overflowed = 0;
	t->reported = 0;
	t->children = 0;
	t->failure.failed = 0;
	t->repairs = 0;
	t->step = 1;
	t->attempt = 0;
	t->lease.resumes = 0;
	t->lease.tokens = 0;
	turn_trace_begin(t);
	turn_budget_begin(t);
	turn_watch(t);
	return turn_connect(
	    t, t->fallbacks > 0 ? turn_own_model(t) : TURN_PRE_MODEL);
}

enum turn_step
step_next(struct turn *t)
{
	switch (t->commit.outcome) {
	case JOURNAL_NEXT:
		turn_meter_done(t);
		return begin_next(t);
	case JOURNAL_IDLE:
		turn_meter_done(t);
		return TURN_OVER;
	case JOURNAL_PARKED:
		return TURN_OVER;
	case JOURNAL_STEERED:
		return TURN_PRE_MODEL;
	case JOURNAL_OK:
	case JOURNAL_DECIDED:
	case JOURNAL_FAILED:
		break;
	}
	t->dead = t->commit.err;
	t->history_bad = 1;
	return TURN_ABANDONED;
}
