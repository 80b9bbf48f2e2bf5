/* SPDX-License-Identifier: MIT */
#ifndef STORE_BUDGET_H
#define STORE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#include "store/usage.h"

struct conf;

/*
 * Budgets: what may be spent of tokens and of money, by whom. A scope is a hash
 * in Redis with the fields tokens and cost; the first is the purse of a turn,
 * from which its sub-agents spend too.
 */
enum budget_scope {
	BUDGET_TURN,
	BUDGET_AGENT,
	BUDGET_USER_DAY,
	BUDGET_USER_MONTH,
	BUDGET_TENANT_DAY,
	BUDGET_TENANT_MONTH,
	BUDGET_SCOPES
};

/* Cost is in billionths of a unit of money. */
enum budget_kind { BUDGET_TOKENS, BUDGET_COST, BUDGET_KINDS };

enum budget_period { BUDGET_EVER, BUDGET_DAY, BUDGET_MONTH };

struct budget_info {
	const char *scope; /* "user_day" */
	int is_tenant;
	enum budget_period period;
	const char *setting[BUDGET_KINDS]; /* "budget.user_day_tokens" */
	const char *member[BUDGET_KINDS];  /* "userDayTokens", of templates */
	size_t offset[BUDGET_KINDS];       /* in struct conf */
};

extern const struct budget_info budget_infos[BUDGET_SCOPES];

/* How much; 0: there is no limit. */
struct budget_limits {
	int64_t most[BUDGET_SCOPES][BUDGET_KINDS];
};

/* What was spent, as far as is known. */
struct budget_spent {
	char day[STORE_PERIOD_SIZE]; /* that of the scopes with a period */
	int64_t used[BUDGET_SCOPES][BUDGET_KINDS];
	/* Allowed by a human: below so much of the turn's it does not count. */
	int64_t until[BUDGET_SCOPES][BUDGET_KINDS];
};

/* One of them. */
struct budget_name {
	enum budget_scope scope;
	enum budget_kind kind;
};

/* What comes with a lease: see common.lua. */
struct budget_lease {
	const char *purse; /* of a sub-agent: "TOKENS COST KEY"; or "" */
	struct budget_spent spent;
	const char *question; /* "ID ASKED SCOPE KIND", or "" */
	const char *answer;   /* JSON, or "" */
};

/* Those of the configuration. */
void budget_limits_of(const struct conf *c, struct budget_limits *out);

/* Where by has a lower one, or the only one, that counts. */
void budget_lower(struct budget_limits *l, const struct budget_limits *by);

/* 1 if there is any. */
int budget_any(const struct budget_limits *l);

/* What is done about one that is used up: budget.on_exceed. */
enum budget_end { BUDGET_STOPS, BUDGET_ASKS };

/* Another turn begins: its purse is empty. */
void budget_new_turn(struct budget_spent *s);

/* Forgets what was spent in a day or month that is over. */
void budget_renew(struct budget_spent *s, int64_t wall_ms);

/*
 * What may still be spent of a kind, 0 or less: nothing; INT64_MAX if no budget
 * is set. *which_r is the budget with the least left.
 */
int64_t budget_left(const struct budget_limits *l, const struct budget_spent *s,
    enum budget_kind kind, struct budget_name *which_r);

/* Adds an amount of a kind as a member; tokens as they are, money with places.
 */
struct buf;
void budget_add(struct buf *b, const char *name, int kind, int64_t v);

/* When its counts begin anew, Unix time; 0: they do not. */
int64_t budget_resets_s(enum budget_period period, int64_t wall_ms);

/* The numbers that scripts give of all scopes, by their order, tokens and cost
 * of each, and behind them until in the same way, which stays if it is
 * missing. */
void budget_spent_read(
    struct budget_spent *s, const char *const *numbers, size_t count);

#endif
