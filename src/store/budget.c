/* SPDX-License-Identifier: MIT */
/*
 * Budgets, as numbers: which there are, and how much is left. Who counts is
 * commit.lua; who looks is the turn. Pure functions.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "conf/conf.h"
#include "store/budget.h"

#define BUDGETS (BUDGET_SCOPES * BUDGET_KINDS)
#define MILLIONTH 1000 /* billionths: prices are in millionths */

#define BUDGET(word, tenant, lasts, camel)                                     \
	{                                                                      \
		.scope = #word, .is_tenant = tenant, .period = lasts,          \
		.setting = { "budget." #word "_tokens",                        \
			"budget." #word "_cost" },                             \
		.member = { camel "Tokens", camel "Cost" }, .offset = {        \
			offsetof(struct conf, budget_##word##_tokens),         \
			offsetof(struct conf, budget_##word##_cost)            \
		}                                                              \
	}

const struct budget_info budget_infos[BUDGET_SCOPES] = {
	[BUDGET_TURN] = BUDGET(turn, 0, BUDGET_EVER, "turn"),
	[BUDGET_AGENT] = BUDGET(agent, 0, BUDGET_EVER, "agent"),
	[BUDGET_USER_DAY] = BUDGET(user_day, 0, BUDGET_DAY, "userDay"),
	[BUDGET_USER_MONTH] = BUDGET(user_month, 0, BUDGET_MONTH, "userMonth"),
	[BUDGET_TENANT_DAY] = BUDGET(tenant_day, 1, BUDGET_DAY, "tenantDay"),
	[BUDGET_TENANT_MONTH] =
	    BUDGET(tenant_month, 1, BUDGET_MONTH, "tenantMonth"),
};

void
budget_limits_of(const struct conf *c, struct budget_limits *out)
{
	for (int i = 0; i < BUDGET_SCOPES; i++)
		for (int k = 0; k < BUDGET_KINDS; k++) {
			int64_t v;

			memcpy(&v, (const char *)c + budget_infos[i].offset[k],
			    sizeof(v));
			if (k == BUDGET_COST)
				v *= MILLIONTH;
			out->most[i][k] = v > 0 ? v : 0;
		}
}

void
budget_lower(struct budget_limits *l, const struct budget_limits *by)
{
	for (int i = 0; i < BUDGET_SCOPES; i++)
		for (int k = 0; k < BUDGET_KINDS; k++) {
			int64_t v = by->most[i][k];

			if (v > 0 && (l->most[i][k] == 0 || v < l->most[i][k]))
				l->most[i][k] = v;
		}
}

int
budget_any(const struct budget_limits *l)
{
	for (int i = 0; i < BUDGET_SCOPES; i++)
		for (int k = 0; k < BUDGET_KINDS; k++)
			if (l->most[i][k] > 0)
				return 1;
	return 0;
}

void
budget_new_turn(struct budget_spent *s)
{
	memset(s->used[BUDGET_TURN], 0, sizeof(s->used[BUDGET_TURN]));
	memset(s->until, 0, sizeof(s->until));
}

void
budget_renew(struct budget_spent *s, int64_t wall_ms)
{
	char day[STORE_PERIOD_SIZE];
	int same_month;

	store_day(wall_ms, 0, day);
	if (strcmp(day, s->day) == 0)
		return;
	same_month = memcmp(day, s->day, 7) == 0; /* YYYY-MM */
	for (int i = 0; i < BUDGET_SCOPES; i++)
		if (budget_infos[i].period == BUDGET_DAY ||
		    (budget_infos[i].period == BUDGET_MONTH && !same_month))
			memset(s->used[i], 0, sizeof(s->used[i]));
	strcpy(s->day, day);
}

int64_t
budget_left(const struct budget_limits *l, const struct budget_spent *s,
    enum budget_kind kind, struct budget_name *which_r)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < BUDGET_SCOPES; i++) {
		int64_t left = l->most[i][kind] - s->used[i][kind];
		int64_t allowed =
		    s->until[i][kind] - s->used[BUDGET_TURN][kind];

		if (s->until[i][kind] > 0 && allowed > left)
			left = allowed;
		if (l->most[i][kind] == 0 || left >= least)
			continue;
		least = left;
		*which_r = (struct budget_name){ (enum budget_scope)i, kind };
	}
	return least;
}

void
budget_add(struct buf *b, const char *name, int kind, int64_t v)
{
	if (kind == BUDGET_TOKENS)
		json_add_int(b, name, v);
	else
		json_add_billionths(b, name, v);
}

int64_t
budget_resets_s(enum budget_period period, int64_t wall_ms)
{
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (period == BUDGET_EVER)
		return 0;
	gmtime_r(&at, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (period == BUDGET_DAY) {
		tm.tm_mday++;
	} else {
		tm.tm_mday = 1;
		tm.tm_mon++;
	}
	return (int64_t)timegm(&tm);
}

void
budget_spent_read(
    struct budget_spent *s, const char *const *numbers, size_t count)
{
	memset(s->used, 0, sizeof(s->used));
	for (size_t i = 0; i < count && i < 2 * BUDGETS; i++) {
		int64_t v = strtoll(numbers[i], NULL, 10);
		size_t at = i % BUDGETS;

		(i < BUDGETS ? s->used
			     : s->until)[at / BUDGET_KINDS][at % BUDGET_KINDS] =
		    v;
	}
}
