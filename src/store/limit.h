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

/* What users and tenants may have at once. */
enum limit_slot {
	LIMIT_STREAMS,
	LIMIT_TENANT_STREAMS,
	LIMIT_TURNS, /* only to be looked at: the scripts of leases count */
	LIMIT_TENANT_TURNS,
	LIMIT_SLOTS
};

struct limit_slot_info {
	const char *name;
	const char *setting;
	const char *what; /* "streams of yours are open" */
	int is_tenant;
	int is_turns;
	size_t offset; /* of the most, an int64_t, in struct conf */
};

extern const struct limit_slot_info limit_slot_infos[LIMIT_SLOTS];

/* The most of a kind for a user with this tenant; 0: no limit. */
int64_t limit_slot_max(const struct conf *c, const struct limit_slot_info *info,
    const char *tenant);

struct limit_slot_state {
	const struct limit_slot_info *info;
	int64_t max;
	int64_t used;
	int allowed;
};

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
	const struct limit_state *refused; /* NULL: no rate refuses */

	struct limit_slot_state slots[LIMIT_SLOTS]; /* that are configured */
	size_t slot_count;
	const struct limit_slot_state *full; /* NULL: there is room */
};

/* What is to be counted, or looked at. */
struct limit_ask {
	const char *user;
	const char *tenant; /* "": none, whose limits do not count then */
	int is_chat;        /* the rates of chats as well */
	int look;           /* nothing is counted; turns are looked at too */
	const char *stream; /* the id of a stream that opens; NULL: none */
};

/*
 * Counts one more by every rate that is configured, if all allow it; else by
 * none, and out->refused is the one that is to be waited for longest, out->full
 * what there is no room for. A stream that was counted is to be held, and left,
 * by seats.h. One round trip, none if nothing is configured. Blocks for the
 * store. 0, or -1 and ERR_STORE or ERR_UNCERTAIN.
 */
int limit_take(struct store *st, struct arena *a, const struct limit_ask *ask,
    struct limit_answer *out, struct err *err);

/* Adds to args the keys of the zsets that count a user's streams. */
struct redis_args;
void limit_stream_keys(struct store *st, struct arena *a, const char *user,
    const char *tenant, struct redis_args *args);

#endif
