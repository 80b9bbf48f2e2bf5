/* SPDX-License-Identifier: MIT */
#ifndef STORE_LIMIT_H
#define STORE_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

struct arena;
struct store;

/*
 * How often users and tenants may do something. Counted in Redis, by its own
 * clock, so that the counts are those of all workers, pools and hosts that
 * share it.
 */
enum limit_rate {
	LIMIT_REQUESTS,
	LIMIT_CHATS,
	LIMIT_TENANT_REQUESTS,
	LIMIT_TENANT_CHATS,
	LIMIT_RATES
};

struct limit_info {
	const char *name;    /* "requests": of headers and members */
	const char *setting; /* "limits.requests" */
	const char *what;    /* "requests of yours" */
	int is_tenant;
	int is_chat;
	size_t offset; /* of its struct conf_rate in struct conf */
};

extern const struct limit_info limit_infos[LIMIT_RATES];

/* Where a user or tenant stands with one rate. */
struct limit_state {
	const struct limit_info *info;
	const struct conf_rate *rate;
	int allowed;
	int64_t remaining; /* that may come at once */
	int64_t reset_us;  /* until all of burst may come at once again */
	int64_t wait_us;   /* until one more may come; 0: now */
};

struct limit_answer {
	struct limit_state states[LIMIT_RATES]; /* those that are configured */
	size_t count;
	const struct limit_state *refused; /* NULL: allowed */
};

/* What is to be counted, or looked at. */
struct limit_ask {
	const char *user;
	const char *tenant; /* "": none, whose limits do not count then */
	int is_chat;        /* the rates of chats as well */
	int look;           /* nothing is counted */
};

/*
 * Counts one more by every rate that is configured, if all allow it; else by
 * none, and out->refused is the one that is to be waited for longest. One
 * round trip, none if nothing is configured. Blocks for the store. 0, or -1
 * and ERR_STORE or ERR_UNCERTAIN.
 */
int limit_take(struct store *st, struct arena *a, const struct limit_ask *ask,
    struct limit_answer *out, struct err *err);

#endif
