/* SPDX-License-Identifier: MIT */
#ifndef API_LIMITS_H
#define API_LIMITS_H

#include "base/err.h"
#include "store/seats.h"

struct api_call;
struct app;
struct buf;
struct limit_answer;

/* What a stream has taken of the limits. */
struct api_seat {
	struct app *app;
	struct seat seat; /* of which the id is "" if Redis does not count it */
};

/*
 * Counts this request to a route with these flags, as a chat and as an open
 * stream if it is one, and adds the headers that say where its user stands. A
 * stream's c->seat is to be given to its viewer, or to limits_leave. Blocks for
 * the store. 0; -1 and ERR_LIMIT with Retry-After, or ERR_STORE.
 */
int limits_check(struct api_call *c, unsigned flags, struct err *err);

/* The same headers for what a request met later: how many turns there may be
 * at once. Nothing if err is of something else. */
void limits_say_full(struct api_call *c, const struct err *err);

/* The stream has come to be, and is counted as long as seat is there. */
void limits_hold(struct api_seat *seat);

/* It has not. */
void limits_leave(struct api_seat *seat);

/* The values of RateLimit-Policy and RateLimit. */
void limits_print_policy(struct buf *b, const struct limit_answer *la);
void limits_print_state(struct buf *b, const struct limit_answer *la);

/*
 * The member limits of GET /api/usage: of each rate what it allows, and where
 * the caller stands. Blocks for the store. 0 or -1.
 */
int limits_add(struct api_call *c, struct buf *b, struct err *err);

#endif
