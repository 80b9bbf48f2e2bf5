/* SPDX-License-Identifier: MIT */
#ifndef AUTH_TOKEN_CACHE_H
#define AUTH_TOKEN_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct identity;

#define TOKEN_CACHE_TTL_S 60

/*
 * Tokens that were verified a moment ago, and whose they are. An answer is
 * at most 60 seconds old and never older than the token's exp. era is a number
 * for the keys that it was verified with, taken before that: an answer of one
 * era is none in another. Any thread.
 */
struct token_cache;

/*
 * Room for at least capacity tokens, about 600 bytes each, allocated now and
 * never more; 0: caches nothing. Never NULL.
 */
struct token_cache *token_cache_new(size_t capacity);
void token_cache_free(struct token_cache **cache_p);

/* 1 and *out if the token was put and still holds at now_s, else 0. */
int token_cache_get(struct token_cache *cache, const char *token, size_t len,
    int64_t now_s, uint64_t era, struct identity *out);

/*
 * Remembers a token that jwt_verify accepted at now_s; one that lives only by
 * leeway is not kept. May push another out.
 */
void token_cache_put(struct token_cache *cache, const char *token, size_t len,
    int64_t now_s, uint64_t era, const struct identity *id);

#endif
