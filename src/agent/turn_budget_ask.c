/* SPDX-License-Identifier: MIT */
/*
 * A turn whose budget is used up, and that asks (budget.on_exceed).
 *
 * The question is one of approvals, of a kind that only who has the budget role
 * may answer; it has a record among those of tool calls. Question and parking
 * are one commit, so there is none without the other. Who answers has the turn
 * taken up again, and so has the deadline, as with calls (turn_approve.c).
 *
 * What is allowed is written into the turn's purse: up to which amount of that
 * the budget does not count. Sub-agents read it there too.
 */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define BILLION 1000000000

/* "ID ASKED SCOPE KIND" in info, or "". */
void
turn_budget_resume(struct turn *t)
{
	struct budget_ask *q = &t->budget.ask;
	int scope, kind;

	*q = (struct budget_ask){ .id = "" };
	if (sscanf(t->lease.budget.question, "%39s %" SCNd64 " %d %d", q->id,
		&q->asked_ms, &scope, &kind) != 4 ||
	    scope < 0 || scope >= BUDGET_SCOPES || kind < 0 ||
	    kind >= BUDGET_KINDS) {
		q->id[0] = '\0';
		return;
	}
	t->budget.hit = (struct budget_name){ (enum budget_scope)scope,
		(enum budget_kind)kind };
	if (*t->lease.budget.answer != '\0')
		turn_budget_answer(t, q->id, t->lease.budget.answer);
}

int
turn_budget_answer(struct turn *t, const char *id, const char *decision)
{
	struct budget_ask *q = &t->budget.ask;

	if (q->id[0] == '\0' || strcmp(q->id, id) != 0)
		return 0;
	if (q->answer == NULL)
		q->answer = json_parse(
		    t->arena, decision, strlen(decision), JSON_DEPTH_MAX, NULL);
	return 1;
}

/* ---- its record ---- */

static int
is_allowed(const struct budget_ask *q)
{
	const char *what = json_get_str(q->answer, "decision");

	return what != NULL && strcmp(what, "allow") == 0;
}

static void
add_approval(struct buf *b, const struct budget_ask *q)
{
	json_open(b, "approval", '{');
	json_add_bool(b, "required", 1);
	json_add_int(b, "askedAt", q->asked_ms);
	for (const struct json *m = json_first(q->answer); m != NULL;
	     m = json_next(m))
		json_add_json(b, json_name(m), m);
	json_close(b, '}');
}

/* As a tool call's, in the same words. */
static const char *
record(struct turn *t, const char *state)
{
	const struct budget_ask *q = &t->budget.ask;
	const struct budget_name hit = t->budget.hit;
	struct buf b;

	buf_init(&b, t->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "id", q->id);
	json_add_str(&b, "name", "budget");
	json_add_str(&b, "kind", "budget");
	json_add_str(&b, "state", state);
	json_add_str(&b, "reason",
	    arena_printf(t->arena, "%s is used up",
		budget_infos[hit.scope].setting[hit.kind]));
	buf_puts(&b, turn_budget_members(t));
	add_approval(&b, q);
	json_add_int(&b, "createdAt", q->asked_ms);
	json_add_str(&b, "turn", t->turn);
	json_add_int(&b, "step", t->step);
	json_close(&b, '}');
	return buf_str(&b);
}

/* The record, and an event of it; kind EVENT_KINDS: none. */
static void
commit_record(struct turn *t, const char *state, enum event_kind kind)
{
	const char *doc = record(t, state);

	if (kind != EVENT_KINDS)
		turn_commit_event(
		    t, kind, arena_printf(t->arena, ",\"call\":%s", doc));
	journal_op_call(&t->commit, t->budget.ask.id, doc, strlen(doc), 0);
}

/* ---- asking ---- */

static void
commit_question(struct turn *t)
{
	struct budget_ask *q = &t->budget.ask;

	id_make(q->id, "bud_");
	q->asked_ms = clk_shared_ms();
	q->answer = NULL;
	commit_record(t, "APPROVAL_REQUIRED", EVENT_PERMISSION_REQUIRED);
	journal_op_ask(&t->commit, q->id, "B");
	journal_op_set(&t->commit, "question",
	    arena_printf(t->arena, "%s %" PRId64 " %d %d", q->id, q->asked_ms,
		(int)t->budget.hit.scope, (int)t->budget.hit.kind));
}

enum turn_step
step_budget_ask(struct turn *t)
{
	struct budget_ask *q = &t->budget.ask;

	log_info("the turn waits: AWAITING_BUDGET");
	journal_commit_init(&t->commit, t->arena);
	if (q->id[0] == '\0')
		commit_question(t);
	turn_commit_event(
	    t, EVENT_STATE_CHANGE, ",\"state\":\"AWAITING_BUDGET\"");
	journal_op_set(&t->commit, "state", "AWAITING_BUDGET");
	journal_op_park(&t->commit, turn_deadline(t, q->asked_ms));
	return turn_commit(t, TURN_BUDGET_ANSWER);
}

/* ---- the answer ---- */

/* What the answer allows of a kind more; 0: nothing is said. */
static int64_t
allowance(const struct turn *t, enum budget_kind kind)
{
	const struct json *answer = t->budget.ask.answer;
	const struct budget_name hit = t->budget.hit;
	int64_t tokens = 0;
	double cost = 0;

	if (kind == BUDGET_TOKENS)
		json_get_int(answer, "tokens", &tokens);
	else if (json_double(json_get(answer, "cost"), &cost))
		tokens = llround(cost * BILLION);
	if (tokens > 0)
		return tokens;
	return kind == hit.kind ? t->budget.limits.most[hit.scope][kind] : 0;
}

static void
commit_allowance(struct turn *t)
{
	struct budget_spent *s = &t->budget.spent;
	enum budget_scope scope = t->budget.hit.scope;

	for (int k = 0; k < BUDGET_KINDS; k++) {
		int64_t more = allowance(t, (enum budget_kind)k);

		if (more == 0)
			continue;
		s->until[scope][k] = s->used[BUDGET_TURN][k] + more;
		journal_op_purse(&t->commit, t->budget.purse,
		    (int)scope * BUDGET_KINDS + k, s->until[scope][k]);
	}
}

void
turn_budget_close(struct turn *t)
{
	struct budget_ask *q = &t->budget.ask;
	const char *state = "SEALED"; /* nobody wants to know any more */

	if (q->id[0] == '\0')
		return;
	if (q->answer != NULL)
		state = is_allowed(q) ? "APPROVED" : "DENIED";
	commit_record(t, state,
	    q->answer == NULL ? EVENT_KINDS : EVENT_APPROVAL_RESPONSE);
	journal_op_answered(&t->commit, q->id);
	journal_op_set(&t->commit, "question", "");
	q->id[0] = '\0';
}

/* Nobody answered in time: that is an answer. */
static void
expire(struct turn *t)
{
	struct buf b;

	buf_init(&b, t->arena);
	turn_deny_late(&b, clk_shared_ms());
	turn_budget_answer(t, t->budget.ask.id, b.data);
}

enum turn_step
step_budget_answer(struct turn *t)
{
	struct budget_ask *q = &t->budget.ask;

	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	if (q->answer == NULL &&
	    turn_deadline(t, q->asked_ms) <= clk_shared_ms())
		expire(t);
	if (q->answer == NULL)
		return TURN_BUDGET_ASK;
	if (!is_allowed(q))
		return TURN_BUDGET;
	journal_commit_init(&t->commit, t->arena);
	commit_allowance(t);
	turn_budget_close(t);
	journal_op_set(&t->commit, "state", "PRE_MODEL");
	return turn_commit(t, TURN_PRE_MODEL);
}
