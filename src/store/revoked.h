/* SPDX-License-Identifier: MIT */
#ifndef STORE_REVOKED_H
#define STORE_REVOKED_H

#include <stdint.h>

struct arena;
struct err;
struct store;

#define REVOKED_HASH_SIZE 17

/*
 * Tokens that are good no longer, though nothing in them says so: one, by its
 * claim jti, or all that a user had until some time. Redis has hashes of the
 * names. All of these block for Redis.
 */

/* 1 a token is revoked, 0 it is not, -1 ERR_STORE. jti "": it has none;
 * issued_s 0: it does not say when it was issued, so a long time ago. */
int revoked_find(struct store *st, struct arena *a, const char *user,
    const char *jti, int64_t issued_s, struct err *err);

/*
 * Revokes one token, or those that a user got until now_s, for keep_s: as long
 * as they could be good otherwise. All workers are told, after it is written:
 * "revoked token HASH" or "revoked user HASH", which revoked_hash makes.
 * 0 or -1.
 */
int revoked_add_token(struct store *st, struct arena *a, const char *jti,
    int64_t keep_s, struct err *err);
int revoked_add_user(struct store *st, struct arena *a, const char *user,
    int64_t now_s, int64_t keep_s, struct err *err);

/* 64 bits of a name's SHA-256, as hexadecimal digits. Blocks for nothing. */
void revoked_hash(const char *name, char out[REVOKED_HASH_SIZE]);

#endif
