/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_BUDGET_H
#define AGENT_TURN_BUDGET_H

#include <stddef.h>

#include "agent/turn_step.h"
#include "base/loop.h"
#include "store/budget.h"

/* What a turn may spend, and has: see turn_budget.c. */
struct json;
struct turn;
struct model;
struct model_result;
struct model_usage;

/* What is asked of who has the budget role. */
struct budget_ask {
	char id[40]; /* "": nothing */
	int64_t asked_ms;
	const struct json *answer; /* NULL: not yet */
};

struct turn_budget {
	int used;                    /* any budget is set, for whomever */
	struct budget_limits limits; /* of this turn */
	int limited;                 /* there are some */
	int asks;                    /* when one is used up */
	struct budget_ask ask;
	struct budget_spent spent;
	const char *purse; /* the key; the turn's own if it is no sub-agent */
	struct budget_name hit; /* why it ends */
	size_t streamed;        /* bytes of the call that runs, or ran */
	int64_t asked;          /* tokens of its request, about; 0 not known */
	struct loop_deferred cut;
};

/* The turn begins here, or is taken up; its history is there. */
void turn_budget_begin(struct turn *t);

/* TURN_PRE_MODEL; TURN_BUDGET or TURN_BUDGET_ASK if something is used up. */
enum turn_step turn_budget_check(struct turn *t);

/* More of an answer has come; at the end of the tick it is cut, if that is
 * more than is left. */
void turn_budget_streamed(struct turn *t, size_t len);

/*
 * What a call has used, as far as the provider has said, and else by the length
 * of what was sent and came.
 */
void turn_budget_so_far(
    struct turn *t, const struct model_result *r, struct model_usage *out);

/* Adds the turn's part to what a call adds, and what it may be. */
void turn_budget_bill(struct turn *t, struct store_bill *bill);

/* Members of done: which budget, how much of it was used, when it begins anew.
 * The turn's arena. */
const char *turn_budget_members(struct turn *t);

/* What a sub-agent needs to spend from the same purse; the arena's, "" if there
 * are no budgets. */
struct arena;
const char *turn_budget_purse(const struct turn *t, struct arena *a);

/* The tokens that a budget counts. */
int64_t turn_budget_tokens(const struct turn *t, const struct model_usage *u);

/* ---- turn_budget_ask.c ---- */

/* The question that came with the lease, if there is one. */
void turn_budget_resume(struct turn *t);

/* The answer (JSON) to a question; 1 if it is the one that is open. */
int turn_budget_answer(struct turn *t, const char *id, const char *decision);

/* Puts into t->commit that nothing is asked any more, if something was. */
void turn_budget_close(struct turn *t);

#endif
