/* SPDX-License-Identifier: MIT */
/*
 * Tool calls that a human has to allow.
 *
 * Each is a question in Redis, written with the call's record. When nothing
 * else is left to do the turn is parked: its lease is dropped and nothing of
 * it stays in this process. Whoever gets the decision takes the agent up
 * again; if nobody decides in time, whoever sweeps does.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define NEVER_MS INT64_C(253402300799000) /* the end of the year 9999 */

int64_t
turn_deadline(const struct turn *t, int64_t asked_ms)
{
	int64_t ms = t->runner->parts.conf->approval_timeout_ms;

	return ms == 0 ? NEVER_MS : asked_ms + ms;
}

static int64_t
deadline_of(const struct turn_call *c)
{
	return turn_deadline(c->turn, c->asked_ms);
}

void
turn_deny_late(struct buf *b, int64_t now_ms)
{
	json_open(b, NULL, '{');
	json_add_str(b, "decision", "deny");
	json_add_str(b, "decidedBy", "timeout");
	json_add_int(b, "decidedAt", now_ms);
	json_add_str(b, "note", "nobody answered in time");
	json_close(b, '}');
}

static void
call_refuse(struct turn_call *c, const char *by, const char *note)
{
	struct buf why;

	buf_init(&why, c->turn->round);
	buf_printf(&why, "Denied by %s", by);
	if (note != NULL && *note != '\0')
		buf_printf(&why, ": %s", note);
	call_fail(
	    c, CALL_DENIED, TOOL_ERROR_LOGICAL, why.data, "approval denied");
}

void
call_answer(struct turn_call *c, const char *decision)
{
	const struct json *j = json_parse(
	    c->turn->round, decision, strlen(decision), JSON_DEPTH_MAX, NULL);
	const char *what = json_get_str(j, "decision");

	if (what != NULL && strcmp(what, "result") == 0)
		call_take_report(c, j);
	if (c->state != CALL_APPROVAL_REQUIRED || what == NULL)
		return;
	c->answer = j;
	c->answer_is_new = 1;
	if (strcmp(what, "allow") == 0)
		call_set(c, CALL_APPROVED, "approval granted");
	else
		call_refuse(
		    c, json_get_str(j, "decidedBy"), json_get_str(j, "note"));
}

void
turn_answer(struct turn *t, const char *call, const char *decision)
{
	if (t->blocked)
		return; /* it is found when the turn would wait for it */
	if (turn_budget_answer(t, call, decision))
		return; /* the commit that parks the turn tells it too */
	for (size_t i = 0; i < t->call_count; i++)
		if (strcmp(t->calls[i].id, call) == 0)
			call_answer(&t->calls[i], decision);
	if (!t->busy && t->call_count > 0)
		turn_wake(t, TURN_TOOLS);
}

void
calls_expire(struct turn *t)
{
	int64_t now = clk_shared_ms();
	struct buf b;

	for (size_t i = 0; i < t->call_count; i++) {
		struct turn_call *c = &t->calls[i];

		if (c->state != CALL_APPROVAL_REQUIRED || deadline_of(c) > now)
			continue;
		buf_init(&b, t->round);
		turn_deny_late(&b, now);
		call_answer(c, b.data);
	}
}

int
calls_wait(const struct turn *t)
{
	int asked = 0;

	for (size_t i = 0; i < t->call_count; i++) {
		enum call_state state = t->calls[i].state;

		if (state == CALL_APPROVAL_REQUIRED ||
		    (state == CALL_EXECUTING && t->calls[i].spawned))
			asked = 1;
		else if (!CALL_IS_OVER(state))
			return 0;
	}
	return asked;
}

enum turn_step
turn_park(struct turn *t)
{
	const char *state = "AWAITING_TASK";
	int64_t deadline = NEVER_MS;

	for (size_t i = 0; i < t->call_count; i++) {
		const struct turn_call *c = &t->calls[i];

		if (c->state != CALL_APPROVAL_REQUIRED)
			continue;
		state = "AWAITING_APPROVAL";
		if (deadline_of(c) < deadline)
			deadline = deadline_of(c);
	}
	log_info("the turn waits: %s", state);
	journal_commit_init(&t->commit, t->round);
	calls_commit(t);
	turn_commit_event(t, EVENT_STATE_CHANGE,
	    arena_printf(t->round, ",\"state\":\"%s\"", state));
	journal_op_set(&t->commit, "state", state);
	journal_op_park(&t->commit, deadline);
	return turn_commit(t, TURN_TOOLS);
}
