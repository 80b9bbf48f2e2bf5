/* SPDX-License-Identifier: MIT */
/*
 * What users and tenants have used: a hash for each of their days and months,
 * with fields COUNT:MODEL, and tokens and cost of all models. Commits count
 * (the operation U of commit.lua), so that no crash loses or doubles anything;
 * here is where, and here it is read.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "store/budget.h"
#include "store/store_priv.h"

static const char *const counts[STORE_COUNTS] = {
	[STORE_CALLS] = "calls",
	[STORE_INPUT] = "input",
	[STORE_OUTPUT] = "output",
	[STORE_CACHED] = "cached",
	[STORE_CACHE_WRITE] = "cacheWrite",
	[STORE_REASONING] = "reasoning",
	[STORE_COST] = "cost",
};

const char *
store_count_name(enum store_count i)
{
	return counts[i];
}

/* The time in parts, so many days or months before it. */
static struct tm
moved(int64_t wall_ms, int days, int months)
{
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&at, &tm);
	tm.tm_mday = months > 0 ? 1 : tm.tm_mday - days;
	tm.tm_mon -= months;
	at = timegm(&tm);
	gmtime_r(&at, &tm);
	return tm;
}

void
store_day(int64_t wall_ms, int before, char out[STORE_PERIOD_SIZE])
{
	struct tm tm = moved(wall_ms, before, 0);

	strftime(out, STORE_PERIOD_SIZE, "%Y-%m-%d", &tm);
}

void
store_month(int64_t wall_ms, int before, char out[STORE_PERIOD_SIZE])
{
	struct tm tm = moved(wall_ms, 0, before);

	strftime(out, STORE_PERIOD_SIZE, "%Y-%m", &tm);
}

const char *
store_usage_key(struct store *st, struct arena *a,
    const struct store_account *who, const char *period)
{
	return store_key(st, a, "%s:%s:usage:%s",
	    who->is_tenant ? "tenant" : "user", store_user_part(a, who->name),
	    period);
}

/* ---- reading ---- */

static struct store_usage *
usage_of(struct store_used *d, const char *model)
{
	struct store_usage *u = d->models;

	while (u != NULL && strcmp(u->model, model) != 0)
		u = u->next;
	return u;
}

/* A field COUNT:MODEL and its value. */
static void
take_field(
    struct arena *a, struct store_used *d, const char *field, const char *value)
{
	const char *model = strchr(field, ':');
	struct store_usage *u;
	size_t n;

	if (model == NULL) {
		if (strcmp(field, "tokens") == 0)
			d->spent[BUDGET_TOKENS] = strtoll(value, NULL, 10);
		else if (strcmp(field, "cost") == 0)
			d->spent[BUDGET_COST] = strtoll(value, NULL, 10);
		return;
	}
	n = (size_t)(model++ - field);
	for (int i = 0; i < STORE_COUNTS; i++) {
		if (strlen(counts[i]) != n || memcmp(counts[i], field, n) != 0)
			continue;
		u = usage_of(d, model);
		if (u == NULL) {
			u = arena_new(a, struct store_usage);
			memset(u, 0, sizeof(*u));
			u->model = model;
			u->next = d->models;
			d->models = u;
		}
		u->count[i] = strtoll(value, NULL, 10);
	}
}

int
store_used_read(struct store *st, struct arena *a,
    const struct store_account *who, int64_t wall_ms, int day_count,
    struct store_used *days, int month_count, struct store_used *months,
    struct err *err)
{
	const struct redis_reply *r;
	struct store_used *u;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	for (int i = 0; i < day_count + month_count; i++) {
		u = i < day_count ? &days[i] : &months[i - day_count];
		memset(u, 0, sizeof(*u));
		if (i < day_count)
			store_day(wall_ms, i, u->period);
		else
			store_month(wall_ms, i - day_count, u->period);
		redis_cmd(&p, "HGETALL", store_usage_key(st, a, who, u->period),
		    NULL);
	}
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (int i = 0; i < day_count + month_count; i++) {
		u = i < day_count ? &days[i] : &months[i - day_count];
		for (size_t k = 0; k + 1 < r[i].count; k += 2)
			take_field(a, u, redis_text(&r[i].items[k]),
			    redis_text(&r[i].items[k + 1]));
	}
	return 0;
}

/* ---- counting ---- */

void
store_bill_add(
    struct store_bill *bill, int scope, const char *key, int64_t wall_ms)
{
	if (bill->place_count == STORE_BILL_PLACES)
		abort();
	bill->places[bill->place_count++] = (struct store_bill_place){
		.key = key,
		.scope = scope,
		.kept_s = scope == BUDGET_AGENT ? 0 : STORE_USAGE_KEPT_S,
		.resets_s =
		    budget_resets_s(budget_infos[scope].period, wall_ms),
	};
}

void
store_bill_address(struct store *st, struct arena *a, const char *user,
    const char *tenant, int64_t wall_ms, struct store_bill *bill)
{
	char period[STORE_PERIOD_SIZE];

	for (int i = BUDGET_USER_DAY; i < BUDGET_SCOPES; i++) {
		const struct budget_info *info = &budget_infos[i];
		struct store_account who = { info->is_tenant ? tenant : user,
			info->is_tenant };

		if (*who.name == '\0')
			continue;
		if (info->period == BUDGET_DAY)
			store_day(wall_ms, 0, period);
		else
			store_month(wall_ms, 0, period);
		store_bill_add(
		    bill, i, store_usage_key(st, a, &who, period), wall_ms);
	}
}

int
store_agent_spent(struct store *st, struct arena *a,
    const struct store_agent *ag, int64_t spent[2][2], struct err *err)
{
	const char *base = store_base(st, a, ag->id);
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "HMGET", arena_printf(a, "%s:purse:%s", base, ag->turn),
	    "tokens", "cost", NULL);
	redis_cmd(&p, "HMGET", arena_printf(a, "%s:spent", base), "tokens",
	    "cost", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++)
			spent[i][k] =
			    strtoll(redis_text(&r[i].items[k]), NULL, 10);
	return 0;
}
