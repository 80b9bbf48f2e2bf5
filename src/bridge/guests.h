/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_GUESTS_H
#define BRIDGE_GUESTS_H

#include "store/revoked.h"

struct loop;

/*
 * Who was let in, so that those can be ended whose token is revoked. All for
 * the loop's thread.
 */
struct guests;

struct guest {
	char user[REVOKED_HASH_SIZE]; /* revoked_hash of the user */
	char
	    token[REVOKED_HASH_SIZE]; /* of the token's name; "": it has none */
	int revoked;
	void (*on_revoked)(void *ctx); /* NULL: it is not in */
	void *ctx;
	struct guest *prev, *next;
};

struct guests *guests_new(struct loop *l);
void guests_free(struct guests **gs_p); /* nobody is in any more */

/* on_revoked is called once, never from within; whoever it is leaves then. */
void guest_enter(struct guests *gs, struct guest *g, const char *user,
    const char *token, void (*on_revoked)(void *ctx), void *ctx);

/* Nothing if it is not in. */
void guest_leave(struct guests *gs, struct guest *g);

/* What all workers are told: "revoked user HASH", "revoked token HASH"; other
 * texts are nothing. */
void guests_order(struct guests *gs, const char *text);

#endif
