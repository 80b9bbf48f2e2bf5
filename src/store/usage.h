/* SPDX-License-Identifier: MIT */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include <stddef.h>
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

/* "calls", "input" ...: members of GET /api/usage, and of the hashes. */
const char *store_count_name(enum store_count i);

/* ---- what was used ---- */

#define STORE_PERIOD_SIZE 12

/* The day or month of a wall time, so many before it, UTC: "2026-11-21",
 * "2026-11". */
void store_day(int64_t wall_ms, int before, char out[STORE_PERIOD_SIZE]);
void store_month(int64_t wall_ms, int before, char out[STORE_PERIOD_SIZE]);

#define STORE_USAGE_KEPT_S (400 * INT64_C(86400)) /* a year and a month */

/* Who uses it. */
struct store_account {
	const char *name;
	int is_tenant;
};

/* The hash of a day or month; the arena's. */
const char *store_usage_key(struct store *st, struct arena *a,
    const struct store_account *who, const char *period);

/* What an agent, and the turn that it is at, have spent so far: [0] the turn,
 * which is 0 if none runs, [1] the agent; of tokens and of money. Counted only
 * while there are budgets; a sub-agent's turn spends from its maker's purse,
 * and has 0 of its own. 0 or -1. */
struct store_agent;
int store_agent_spent(struct store *st, struct arena *a,
    const struct store_agent *ag, int64_t spent[2][2], struct err *err);

/* Of a model, in a day or month. */
struct store_usage {
	const char *model;
	int64_t count[STORE_COUNTS];
	struct store_usage *next;
};

struct store_used {
	char period[STORE_PERIOD_SIZE];
	int64_t spent[2]; /* of all models, by enum budget_kind */
	struct store_usage *models;
};

/*
 * The days and months up to those of wall_ms, the newest first, into days and
 * months, as many as are asked for. What there is is the arena's. Blocks for
 * the store. 0 or -1.
 */
int store_used_read(struct store *st, struct arena *a,
    const struct store_account *who, int64_t wall_ms, int day_count,
    struct store_used *days, int month_count, struct store_used *months,
    struct err *err);

/* ---- what a call adds ---- */

/* A hash that it is added to, and what of it is a budget. */
struct store_bill_place {
	const char *key;
	int scope;        /* enum budget_scope */
	int64_t kept_s;   /* 0: for ever */
	int64_t most[2];  /* by enum budget_kind; 0: there is no limit */
	int64_t resets_s; /* see budget_resets_s */
};

#define STORE_BILL_PLACES 6

struct store_bill {
	const char *model; /* its name in the configuration */
	int64_t count[STORE_COUNTS];
	int64_t tokens; /* of all models, in one number */
	struct store_bill_place places[STORE_BILL_PLACES];
	size_t place_count;

	/* With budgets: at which part of one there is a warning, 0 if there
	 * are none; and whose event that is. */
	int64_t warn_percent;
	const char *turn;
	int step;
};

/* Adds a place; the key must stay. */
void store_bill_add(
    struct store_bill *bill, int scope, const char *key, int64_t wall_ms);

/*
 * Adds the places of the day and the month of wall_ms, of the user and of the
 * tenant, "" for none, in the order of their scopes. Their keys are the
 * arena's.
 */
void store_bill_address(struct store *st, struct arena *a, const char *user,
    const char *tenant, int64_t wall_ms, struct store_bill *bill);

#endif
