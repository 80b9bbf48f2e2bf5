/* SPDX-License-Identifier: MIT */
/* What a user has used, to take along. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "store/portable_priv.h"
#include "store/usage.h"

#define DAYS 400 /* as far as any is kept */
#define MONTHS 14
#define DEPTH 8

static void
period_name(int64_t now_ms, int i, char out[STORE_PERIOD_SIZE])
{
	if (i < DAYS)
		store_day(now_ms, i, out);
	else
		store_month(now_ms, i - DAYS, out);
}

/* A hash as it is: fields are COUNT:MODEL, tokens, cost, and what was warned
 * of. */
static int
give_period(struct arena *a, const char *period, const struct redis_reply *r,
    store_line_f *fn, void *ctx, struct err *err)
{
	struct buf b;

	if (r->count == 0)
		return 0;
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "period", period);
	json_open(&b, "counts", '{');
	for (size_t i = 0; i + 1 < r->count; i += 2)
		json_add_str(
		    &b, redis_text(&r->items[i]), redis_text(&r->items[i + 1]));
	json_close(&b, '}');
	json_close(&b, '}');
	return fn(ctx, b.data, b.len, err);
}

int
store_export_usage(struct store *st, const char *user, store_line_f *fn,
    void *ctx, struct err *err)
{
	const struct store_account who = { user, 0 };
	struct arena *a = arena_open(65536);
	int64_t now_ms = clk_shared_ms();
	char period[STORE_PERIOD_SIZE];
	const struct redis_reply *r;
	struct redis_pipe p;
	int rc;

	redis_pipe_init(&p, a);
	for (int i = 0; i < DAYS + MONTHS; i++) {
		period_name(now_ms, i, period);
		redis_cmd(
		    &p, "HGETALL", store_usage_key(st, a, &who, period), NULL);
	}
	rc = redis_call(st->pool, a, &p, &r, err);
	for (int i = 0; rc == 0 && i < DAYS + MONTHS; i++) {
		period_name(now_ms, i, period);
		rc = give_period(a, period, &r[i], fn, ctx, err);
	}
	arena_close(&a);
	return rc;
}

static int
put_usage(struct store *st, struct arena *a, const char *user,
    const struct json *j, struct err *err)
{
	const struct store_account who = { user, 0 };
	const struct json *counts = json_get(j, "counts");
	const char *period = json_get_str(j, "period"), *key;
	const struct redis_reply *r;
	struct redis_pipe p;

	if (period == NULL || strlen(period) + 1 > STORE_PERIOD_SIZE ||
	    !json_is(counts, JSON_OBJECT))
		return err_set(
		    err, ERR_REQUEST, "usage without a period or counts");
	key = store_usage_key(st, a, &who, period);
	redis_pipe_init(&p, a);
	for (const struct json *n = json_first(counts); n != NULL;
	     n = json_next(n)) {
		if (json_str(n) == NULL)
			return err_set(
			    err, ERR_REQUEST, "a count of usage is no text");
		redis_cmd(&p, "HSETNX", key, json_name(n), json_str(n), NULL);
	}
	redis_begin(&p, 3);
	redis_arg(&p, "EXPIRE");
	redis_arg(&p, key);
	redis_argi(&p, STORE_USAGE_KEPT_S);
	return redis_call(st->pool, a, &p, &r, err);
}

int
store_import_usage(struct store *st, const char *user, const char *line,
    size_t len, struct err *err)
{
	struct arena *a = arena_open(4096);
	const struct json *j = json_parse(a, line, len, DEPTH, err);
	int rc = j == NULL ? -1 : put_usage(st, a, user, j, err);

	arena_close(&a);
	return rc;
}
