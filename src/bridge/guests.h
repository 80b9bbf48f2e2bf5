/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_GUESTS_H
#define BRIDGE_GUESTS_H

#include "store/revoked.h"

struct conf;
struct loop;
struct who_is;

/*
 * Who was let in: how many connections a user has, until when each may stay,
 * and which are to end since their token is revoked. All for the loop's
 * thread.
 */
struct guests;

/* One of them is called, once and never from within; whoever it is leaves
 * then. */
struct guest_calls {
	void (*on_expired)(void *ctx);
	void (*on_revoked)(void *ctx);
};

/* A connection; zeroes at first. */
struct guest {
	char *user;                         /* NULL: it is not in */
	char user_hash[REVOKED_HASH_SIZE];  /* revoked_hash of it */
	char token_hash[REVOKED_HASH_SIZE]; /* of its name; "": it has none */
	struct loop_timer *expiry;
	int revoked;
	const struct guest_calls *calls;
	void *ctx;
	struct guest *prev, *next;
};

/* c must outlive it. */
struct guests *guests_new(struct loop *l, const struct conf *c);
void guests_free(struct guests **gs_p); /* nobody is in any more */

/* 1, or 0: the user has bridge.connections_per_user already, and it is not in.
 * calls must stay. */
int guest_enter(struct guests *gs, struct guest *g, const struct who_is *is,
    const struct guest_calls *calls, void *ctx);

/* Nothing if it is not in. */
void guest_leave(struct guests *gs, struct guest *g);

/* What all workers are told: "revoked user HASH", "revoked token HASH"; other
 * texts are nothing. */
void guests_order(struct guests *gs, const char *text);

#endif
