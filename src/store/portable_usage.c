/* SPDX-License-Identifier: MIT */
/* What a user has used, to take along. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "store/portable_priv.h"
#include "store/usage.h"

#define DAYS 400 /* as far as any is kept */
#define DAY_S 86400
#define DEPTH 8

static int
give_usage(struct arena *a, const char *day, const struct store_usage *u,
    store_line_f *fn, void *ctx, struct err *err)
{
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "day", day);
	json_add_str(&b, "model", u->model);
	for (int i = 0; i < STORE_COUNTS; i++)
		json_add_int(
		    &b, store_count_name((enum store_count)i), u->count[i]);
	json_close(&b, '}');
	return fn(ctx, b.data, b.len, err);
}

int
store_export_usage(struct store *st, const char *user, store_line_f *fn,
    void *ctx, struct err *err)
{
	struct arena *a = arena_open(65536);
	struct store_day_usage *days = arena_alloc(a, DAYS * sizeof(*days));
	int rc = store_usage_days(st, a, user, clk_wall_ms(), DAYS, days, err);

	for (int i = 0; rc == 0 && i < DAYS; i++)
		for (const struct store_usage *u = days[i].models;
		     rc == 0 && u != NULL; u = u->next)
			rc = give_usage(a, days[i].day, u, fn, ctx, err);
	arena_close(&a);
	return rc;
}

static int
put_usage(struct store *st, struct arena *a, const char *user,
    const struct json *j, struct err *err)
{
	const char *day = json_get_str(j, "day");
	const char *model = json_get_str(j, "model"), *name, *key;
	const struct redis_reply *r;
	struct redis_pipe p;
	int64_t n;

	if (day == NULL || strlen(day) + 1 > STORE_DAY_SIZE || model == NULL)
		return err_set(
		    err, ERR_REQUEST, "usage without a day or a model");
	key = store_usage_key(st, a, user, day);
	redis_pipe_init(&p, a);
	for (int i = 0; i < STORE_COUNTS; i++) {
		name = store_count_name((enum store_count)i);
		if (!json_get_int(j, name, &n) || n == 0)
			continue;
		redis_cmd(&p, "HSETNX", key,
		    arena_printf(a, "%s:%s", name, model),
		    arena_printf(a, "%" PRId64, n), NULL);
	}
	redis_begin(&p, 3);
	redis_arg(&p, "EXPIRE");
	redis_arg(&p, key);
	redis_argi(&p, (int64_t)DAYS * DAY_S);
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
