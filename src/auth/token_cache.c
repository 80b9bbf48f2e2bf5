/* SPDX-License-Identifier: MIT */
/*
 * A page that shows an agent sends the same token with every request, and
 * libjwt takes two milliseconds for an RSA signature. So who was let in is
 * remembered, by the SHA-256 of the token: the token itself is not kept.
 * All 32 bytes are compared. The strict front in jws.c gives each token one
 * spelling, so nobody fills the cache with spellings of one.
 *
 * 4-way set associative, fixed at construction: no list to maintain, no
 * allocation, and a lookup touches four entries. In a full set the entry that
 * ends first gives way. Only genuine tokens are ever put, so a stranger
 * cannot push anything out.
 *
 * One lock, rank LCK_TOKENS, for a few compares and a copy; the hash is made
 * outside. An entry counts only while it ends within the next 60 seconds: if
 * the clock jumps back, old answers do not live longer.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/token_cache.h"
#include "base/lck.h"
#include "base/sha256.h"

#define WAYS 4
#define CAPACITY_MAX ((size_t)1 << 20)

struct entry {
	unsigned char digest[SHA256_SIZE];
	int64_t until_s; /* 0: empty */
	uint64_t era;
	struct identity id;
};

struct token_cache {
	struct lck lck;
	size_t nsets; /* a power of two, or 0 */
	struct entry *entries;
};

struct token_cache *
token_cache_new(size_t capacity)
{
	struct token_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		abort();
	lck_init(&cache->lck, LCK_TOKENS);
	if (capacity == 0)
		return cache;
	if (capacity > CAPACITY_MAX)
		capacity = CAPACITY_MAX;
	cache->nsets = 1;
	while (cache->nsets * WAYS < capacity)
		cache->nsets *= 2;
	cache->entries = calloc(cache->nsets * WAYS, sizeof(struct entry));
	if (cache->entries == NULL)
		abort();
	return cache;
}

void
token_cache_free(struct token_cache **cache_p)
{
	struct token_cache *cache = *cache_p;

	if (cache == NULL)
		return;
	lck_fini(&cache->lck);
	free(cache->entries);
	free(cache);
	*cache_p = NULL;
}

/* The first of the WAYS entries where this digest may be. */
static struct entry *
set_of(const struct token_cache *cache, const unsigned char *digest)
{
	uint64_t n;

	memcpy(&n, digest, sizeof(n));
	return &cache->entries[(n & (cache->nsets - 1)) * WAYS];
}

static int
entry_holds(const struct entry *e, int64_t now_s)
{
	return e->until_s > now_s && e->until_s <= now_s + TOKEN_CACHE_TTL_S;
}

/* That digest's entry, or NULL. */
static struct entry *
set_find(struct entry *set, const unsigned char *digest)
{
	for (size_t i = 0; i < WAYS; i++)
		if (set[i].until_s != 0 &&
		    memcmp(set[i].digest, digest, SHA256_SIZE) == 0)
			return &set[i];
	return NULL;
}

/* The entry to give up: one that no longer holds, or the first to end. */
static struct entry *
set_victim(struct entry *set, int64_t now_s)
{
	struct entry *victim = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (!entry_holds(&set[i], now_s))
			return &set[i];
		if (set[i].until_s < victim->until_s)
			victim = &set[i];
	}
	return victim;
}

int
token_cache_get(struct token_cache *cache, const char *token, size_t len,
    int64_t now_s, uint64_t era, struct identity *out)
{
	unsigned char digest[SHA256_SIZE];
	const struct entry *e;
	int found;

	if (cache->nsets == 0)
		return 0;
	sha256(token, len, digest);
	lck_take(&cache->lck);
	e = set_find(set_of(cache, digest), digest);
	found = e != NULL && e->era == era && entry_holds(e, now_s);
	if (found)
		*out = e->id;
	lck_drop(&cache->lck);
	return found;
}

void
token_cache_put(struct token_cache *cache, const char *token, size_t len,
    int64_t now_s, uint64_t era, const struct identity *id)
{
	unsigned char digest[SHA256_SIZE];
	int64_t until_s = now_s + TOKEN_CACHE_TTL_S;
	struct entry *set, *e;

	if (id->expires_s < until_s)
		until_s = id->expires_s;
	if (cache->nsets == 0 || until_s <= now_s)
		return;
	sha256(token, len, digest);
	lck_take(&cache->lck);
	set = set_of(cache, digest);
	e = set_find(set, digest);
	if (e == NULL)
		e = set_victim(set, now_s);
	memcpy(e->digest, digest, SHA256_SIZE);
	e->until_s = until_s;
	e->era = era;
	e->id = *id;
	lck_drop(&cache->lck);
}
