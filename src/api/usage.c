/* SPDX-License-Identifier: MIT */
/* GET /api/usage: what the caller has used, and may. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/limits.h"
#include "base/clk.h"
#include "store/usage.h"

#define DAYS 31
#define DAYS_MAX 366

static void
add_up(int64_t sum[STORE_COUNTS], const struct store_day_usage *d)
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
	buf_printf(b, ",\"cost\":%" PRId64 ".%09" PRId64,
	    count[STORE_COST] / 1000000000, count[STORE_COST] % 1000000000);
}

static void
add_sum(struct buf *b, const char *name, const struct store_day_usage *days,
    int from, int to)
{
	int64_t sum[STORE_COUNTS] = { 0 };

	for (int i = from; i < to; i++)
		add_up(sum, &days[i]);
	json_open(b, name, '{');
	add_counts(b, sum);
	json_close(b, '}');
}

static void
add_day(struct buf *b, const struct store_day_usage *d)
{
	int64_t sum[STORE_COUNTS] = { 0 };

	add_up(sum, d);
	json_open(b, NULL, '{');
	json_add_str(b, "day", d->day);
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
days_of_month(const struct store_day_usage *days, int count)
{
	int n = 0;

	while (n < count && memcmp(days[n].day, days[0].day, 7) == 0)
		n++;
	return n;
}

int
usage_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_day_usage *days;
	int64_t count = DAYS;
	int n;

	if (api_query_int(c, "days", 1, DAYS_MAX, &count, err) < 0)
		return -1;
	n = count > DAYS ? (int)count : DAYS; /* the month is there anyway */
	days = arena_alloc(c->arena, (size_t)n * sizeof(*days));
	if (store_usage_days(c->app->store, c->arena, c->user, clk_wall_ms(), n,
		days, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	add_sum(b, "today", days, 0, 1);
	add_sum(b, "month", days, 0, days_of_month(days, n));
	json_open(b, "days", '[');
	for (int i = 0; i < (int)count; i++)
		if (days[i].models != NULL)
			add_day(b, &days[i]);
	json_close(b, ']');
	if (limits_add(c, b, err) < 0)
		return -1;
	buf_putc(b, '}');
	return 0;
}
