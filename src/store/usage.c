/* SPDX-License-Identifier: MIT */
/*
 * What users have used: a hash for each of their days, with fields COUNT:MODEL.
 * Commits count (the operation U of commit.lua), so that no crash loses or
 * doubles anything; here it is read.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "store/store_priv.h"

#define DAY_S 86400

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

void
store_day(int64_t wall_ms, char out[STORE_DAY_SIZE])
{
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(out, STORE_DAY_SIZE, "%Y-%m-%d", &tm);
}

const char *
store_usage_key(
    struct store *st, struct arena *a, const char *user, const char *day)
{
	return store_key(
	    st, a, "user:%s:usage:%s", store_user_part(a, user), day);
}

static struct store_usage *
usage_of(struct store_day_usage *d, const char *model)
{
	struct store_usage *u = d->models;

	while (u != NULL && strcmp(u->model, model) != 0)
		u = u->next;
	return u;
}

/* A field COUNT:MODEL and its value. */
static void
take_field(struct arena *a, struct store_day_usage *d, const char *field,
    const char *value)
{
	const char *model = strchr(field, ':');
	struct store_usage *u;
	size_t n;

	if (model == NULL)
		return; /* a newer version's */
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
store_usage_days(struct store *st, struct arena *a, const char *user,
    int64_t wall_ms, int days, struct store_day_usage *out, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	for (int i = 0; i < days; i++) {
		memset(&out[i], 0, sizeof(out[i]));
		store_day(wall_ms - (int64_t)i * DAY_S * 1000, out[i].day);
		redis_cmd(&p, "HGETALL",
		    store_usage_key(st, a, user, out[i].day), NULL);
	}
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (int i = 0; i < days; i++)
		for (size_t k = 0; k + 1 < r[i].count; k += 2)
			take_field(a, &out[i], redis_text(&r[i].items[k]),
			    redis_text(&r[i].items[k + 1]));
	return 0;
}
