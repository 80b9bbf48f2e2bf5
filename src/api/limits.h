/* SPDX-License-Identifier: MIT */
#ifndef API_LIMITS_H
#define API_LIMITS_H

#include "base/err.h"

struct api_call;
struct buf;
struct limit_answer;

/*
 * Counts this request, and as a chat if it is one, and adds the headers that
 * say where its user stands. Blocks for the store. 0; -1 and ERR_LIMIT with
 * Retry-After, or ERR_STORE.
 */
int limits_check(struct api_call *c, int is_chat, struct err *err);

/* The values of RateLimit-Policy and RateLimit. */
void limits_print_policy(struct buf *b, const struct limit_answer *la);
void limits_print_state(struct buf *b, const struct limit_answer *la);

/*
 * The member limits of GET /api/usage: of each rate what it allows, and where
 * the caller stands. Blocks for the store. 0 or -1.
 */
int limits_add(struct api_call *c, struct buf *b, struct err *err);

#endif
