/* SPDX-License-Identifier: MIT */
#ifndef STORE_SEATS_H
#define STORE_SEATS_H

#include <uthash.h>

#include "base/id.h"

struct loop;
struct redis_link;
struct store;

/*
 * The open streams of this process that limit_take has counted: they are
 * counted on as long as they are held, and for store.lease after this process
 * has died. All for the loop's thread; nothing here blocks.
 */
struct seats;

/* One of them. */
struct seat {
	UT_hash_handle hh; /* of those that are held */
	int held;
	char id[ID_SIZE];
	char user[256];
	char tenant[128]; /* "": none */
};

/* link must outlive it. */
struct seats *seats_new(struct loop *l, struct store *st, struct redis_link *k);
void seats_free(struct seats **s_p);

/* It must stay until seats_leave. */
void seats_hold(struct seats *s, struct seat *seat);

/* It is counted no more; it need not be held. */
void seats_leave(struct seats *s, struct seat *seat);

#endif
