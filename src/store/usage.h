/* SPDX-License-Identifier: MIT */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include <stdint.h>

struct arena;
struct err;
struct store;

/* What is counted of model calls. Cost is in billionths of a unit of money,
 * at the prices in force when the call was made. */
enum store_count {
	STORE_CALLS,
	STORE_INPUT,
	STORE_OUTPUT,
	STORE_CACHED,
	STORE_CACHE_WRITE,
	STORE_REASONING,
	STORE_COST,
	STORE_COUNTS
};

#define STORE_DAY_SIZE 12

/* Of a model, on a day. */
struct store_usage {
	const char *model;
	int64_t count[STORE_COUNTS];
	struct store_usage *next;
};

struct store_day_usage {
	char day[STORE_DAY_SIZE];
	struct store_usage *models;
};

/* "calls", "input" ...: members of GET /api/usage, and of the hashes. */
const char *store_count_name(enum store_count i);

/* The day of a wall time, UTC: "2026-11-21". */
void store_day(int64_t wall_ms, char out[STORE_DAY_SIZE]);

/* The key of a user's day; the arena's. */
const char *store_usage_key(
    struct store *st, struct arena *a, const char *user, const char *day);

/* The days up to that of wall_ms, the newest first, into out. 0 or -1. */
int store_usage_days(struct store *st, struct arena *a, const char *user,
    int64_t wall_ms, int days, struct store_day_usage *out, struct err *err);

#endif
