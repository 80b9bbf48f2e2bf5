/* SPDX-License-Identifier: MIT */
/* GET /api/usage: what the caller, or its tenant, has used, and may. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/budgets.h"
#include "api/limits.h"
#include "base/clk.h"

#define DAYS 31
#define DAYS_MAX 366
#define MONTHS 12
#define MONTHS_MAX 13

static void
add_up(int64_t sum[STORE_COUNTS], const struct store_used *d)
{
	for (const struct store_usage *u = d->models; u != NULL; u = u->next)
		for (int i = 0; i < STORE_COUNTS; i++)
			sum[i] += u->count[i];
}

static void
add_counts(struct buf *b, const int64_t count[STORE_COUNTS])
{
	for (int i = 0; i < STORE_COST; i++)
		json_add_int(
		    b, store_count_name((enum store_count)i), count[i]);
	json_add_billionths(b, "cost", count[STORE_COST]);
}

static void
add_sum(struct buf *b, const char *name, const struct store_used *days,
    int from, int to)
{
	int64_t sum[STORE_COUNTS] = { 0 };

	for (int i = from; i < to; i++)
		add_up(sum, &days[i]);
	json_open(b, name, '{');
	add_counts(b, sum);
	json_close(b, '}');
}

/* name: "day" or "month". */
static void
add_period(struct buf *b, const char *name, const struct store_used *d)
{
	int64_t sum[STORE_COUNTS] = { 0 };

	add_up(sum, d);
	json_open(b, NULL, '{');
	json_add_str(b, name, d->period);
	add_counts(b, sum);
	json_open(b, "models", '{');
	for (const struct store_usage *u = d->models; u != NULL; u = u->next) {
		json_open(b, u->model, '{');
		add_counts(b, u->count);
		json_close(b, '}');
	}
	json_close(b, '}');
	json_close(b, '}');
}

/* How many of the days, the newest first, are of the newest one's month. */
static int
days_of_month(const struct store_used *days, int count)
{
	int n = 0;

	while (n < count && memcmp(days[n].period, days[0].period, 7) == 0)
		n++;
	return n;
}

/* Those with a call in them, the newest first. */
static void
add_periods(struct buf *b, const char *list, const char *name,
    const struct store_used *used, int count)
{
	json_open(b, list, '[');
	for (int i = 0; i < count; i++)
		if (used[i].models != NULL)
			add_period(b, name, &used[i]);
	json_close(b, ']');
}

/* The caller, or the tenant if that is asked for by who may. 0 or -1. */
static int
account_of(const struct api_call *c, struct store_account *who, struct err *err)
{
	*who = (struct store_account){ c->user, 0 };
	if (http_query(c->rq, "tenant") == NULL)
		return 0;
	if (*c->tenant == '\0' || !api_has_role(c, IDENTITY_BUDGET))
		return err_set(err, ERR_FORBIDDEN,
		    "what a tenant has used is for its users with the role of "
		    "budget.role");
	*who = (struct store_account){ c->tenant, 1 };
	return 0;
}

int
usage_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_used *days, *months;
	struct store_account who;
	int64_t count = DAYS, month_count = MONTHS;
	int n;

	if (api_query_int(c, "days", 1, DAYS_MAX, &count, err) < 0 ||
	    api_query_int(c, "months", 1, MONTHS_MAX, &month_count, err) < 0 ||
	    account_of(c, &who, err) < 0)
		return -1;
	n = count > DAYS ? (int)count : DAYS; /* the month is there anyway */
	days = arena_alloc(c->arena, (size_t)n * sizeof(*days));
	months = arena_alloc(c->arena, (size_t)month_count * sizeof(*months));
	if (store_used_read(c->app->store, c->arena, &who, clk_shared_ms(), n,
		days, (int)month_count, months, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	add_sum(b, "today", days, 0, 1);
	add_sum(b, "month", days, 0, days_of_month(days, n));
	add_periods(b, "days", "day", days, (int)count);
	add_periods(b, "months", "month", months, (int)month_count);
	budgets_of_account(c, b, &who, &days[0], &months[0]);
	if (limits_add(c, b, err) < 0)
		return -1;
	buf_putc(b, '}');
	return 0;
}
