/* SPDX-License-Identifier: MIT */
/*
 * What a turn may spend. What was spent comes with its lease and with the
 * answer to each commit that says what a call has used, so there is no round
 * trip to ask; others may spend meanwhile, so that each turn at work may pass a
 * budget by one call, and no more.
 *
 * While an answer streams, its length and what the provider has said are held
 * against what is left. That errs to the side of going on: input that was not
 * said yet is taken as if it came from the cache.
 *
 * A turn that asks is not cut: it is asked about before the next call.
 *
 * A turn and its sub-agents have one purse, a hash named by the turn.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/templates.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#define BYTES_PER_TOKEN 4

static const struct conf *
conf_of(const struct turn *t)
{
	return t->runner->parts.conf;
}

/* ---- what there is ---- */

/* A sub-agent spends what its maker may. */
static void
purse_of_maker(struct turn *t, const char *text)
{
	struct budget_limits its = { .most = { { 0 } } };
	int n = 0;

	if (sscanf(text, "%" SCNd64 " %" SCNd64 " %n",
		&its.most[BUDGET_TURN][BUDGET_TOKENS],
		&its.most[BUDGET_TURN][BUDGET_COST], &n) != 2 ||
	    n == 0)
		return; /* it was made before there were budgets */
	budget_lower(&t->budget.limits, &its);
	t->budget.purse = arena_strdup(t->arena, text + n);
}

void
turn_budget_begin(struct turn *t)
{
	const struct agent_template *template =
	    templates_find(t->runner->parts.templates, t->history->template);
	struct turn_budget *b = &t->budget;

	b->used = t->runner->parts.budgets;
	if (!b->used)
		return;
	budget_limits_of(conf_of(t), &b->limits);
	if (template != NULL)
		budget_lower(&b->limits, &template->budgets);
	b->purse =
	    arena_printf(t->arena, "%s:purse:%s", t->lease.base, t->turn);
	if (t->lease.task[0] != '\0' && !t->reported)
		purse_of_maker(t, t->lease.budget.purse);
	b->limited = budget_any(&b->limits);
	b->asks = conf_of(t)->budget_on_exceed == BUDGET_ASKS;
	if (template != NULL && template->on_budget >= 0)
		b->asks = template->on_budget == BUDGET_ASKS;
	if (t->lease.task[0] != '\0' && !t->reported)
		b->asks = 0; /* its maker does, if anybody */
	b->hit = (struct budget_name){ BUDGET_TURN, BUDGET_TOKENS };
}

const char *
turn_budget_purse(const struct turn *t, struct arena *a)
{
	const int64_t *most = t->budget.limits.most[BUDGET_TURN];

	if (!t->budget.used)
		return "";
	return arena_printf(a, "%" PRId64 " %" PRId64 " %s",
	    most[BUDGET_TOKENS], most[BUDGET_COST], t->budget.purse);
}

/* ---- what is left ---- */

/* Whether more than so much of a kind is left; else it is what ends the turn.
 */
static int
is_left(struct turn *t, enum budget_kind kind, int64_t more)
{
	struct turn_budget *b = &t->budget;
	struct budget_name which;

	if (budget_left(&b->limits, &b->spent, kind, &which) > more)
		return 1;
	b->hit = which;
	return 0;
}

enum turn_step
turn_budget_check(struct turn *t)
{
	if (!t->budget.limited)
		return TURN_PRE_MODEL;
	budget_renew(&t->budget.spent, clk_shared_ms());
	if (is_left(t, BUDGET_TOKENS, 0) && is_left(t, BUDGET_COST, 0))
		return TURN_PRE_MODEL;
	return t->budget.asks ? TURN_BUDGET_ASK : TURN_BUDGET;
}

int64_t
turn_budget_tokens(const struct turn *t, const struct model_usage *u)
{
	int64_t input = u->input > 0 ? u->input : 0;

	if (!conf_of(t)->budget_count_cached && u->cached > 0)
		input -= u->cached < input ? u->cached : input;
	return input + (u->output > 0 ? u->output : 0);
}

void
turn_budget_so_far(
    struct turn *t, const struct model_result *r, struct model_usage *out)
{
	struct turn_budget *b = &t->budget;
	int64_t output = (int64_t)b->streamed / BYTES_PER_TOKEN;

	*out = r->usage;
	if (out->output < output)
		out->output = output;
	if (out->input > 0)
		return;
	if (b->asked == 0)
		b->asked = turn_request_tokens(t);
	out->input = b->asked;
}

static void
on_cut(void *arg)
{
	struct turn *t = arg;

	if (t->call == NULL || t->stop != STOP_NO)
		return; /* it has ended by itself */
	log_context_set(t->request_id, t->lease.agent, t->turn);
	turn_stop(t, STOP_BUDGET);
	log_context_set("", "", "");
}

void
turn_budget_streamed(struct turn *t, size_t len)
{
	const struct model_result *r;
	struct model_usage u;
	int64_t cost;

	t->budget.streamed += len;
	if (!t->budget.limited || t->budget.asks || t->call == NULL ||
	    t->stop != STOP_NO)
		return;
	r = model_call_result(t->call);
	turn_budget_so_far(t, r, &u);
	if (r->usage.input <= 0)
		u.cached = u.input;
	cost = model_cost(t->model, &u);
	if (!is_left(t, BUDGET_TOKENS, turn_budget_tokens(t, &u) - 1) ||
	    !is_left(t, BUDGET_COST, cost > 0 ? cost - 1 : 0))
		loop_defer(
		    t->runner->parts.loop, &t->budget.cut, "budget", on_cut, t);
}

/* ---- what is spent ---- */

void
turn_budget_bill(struct turn *t, struct store_bill *bill)
{
	struct turn_budget *b = &t->budget;
	int64_t now = clk_shared_ms(), add[BUDGET_KINDS];

	bill->turn = t->turn;
	bill->step = t->step;
	if (b->used) {
		bill->warn_percent = conf_of(t)->budget_warn_percent;
		store_bill_add(bill, BUDGET_TURN, b->purse, now);
		store_bill_add(bill, BUDGET_AGENT,
		    arena_printf(t->commit.arena, "%s:spent", t->lease.base),
		    now);
	}
	store_bill_address(t->runner->parts.store, t->commit.arena,
	    t->lease.user, t->lease.tenant, now, bill);
	for (size_t i = 0; i < bill->place_count && b->used; i++)
		memcpy(bill->places[i].most,
		    b->limits.most[bill->places[i].scope],
		    sizeof(bill->places[i].most));
	budget_renew(&b->spent, now);
	add[BUDGET_TOKENS] = bill->tokens;
	add[BUDGET_COST] =
	    bill->count[STORE_COST] > 0 ? bill->count[STORE_COST] : 0;
	for (int i = 0; i < BUDGET_SCOPES; i++)
		for (int k = 0; k < BUDGET_KINDS; k++)
			b->spent.used[i][k] += add[k]; /* until it is told */
}

const char *
turn_budget_members(struct turn *t)
{
	const struct turn_budget *own = &t->budget;
	const struct budget_name hit = own->hit;
	const struct budget_info *info = &budget_infos[hit.scope];
	int64_t resets_s = budget_resets_s(info->period, clk_shared_ms());
	struct buf b;

	buf_init(&b, t->arena);
	buf_printf(&b, ",\"budget\":\"%s\"", info->setting[hit.kind]);
	budget_add(
	    &b, "limit", hit.kind, own->limits.most[hit.scope][hit.kind]);
	budget_add(&b, "used", hit.kind, own->spent.used[hit.scope][hit.kind]);
	if (resets_s > 0)
		json_add_int(&b, "resets", resets_s);
	else
		json_add_null(&b, "resets");
	return b.data;
}
