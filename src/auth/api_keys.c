/* SPDX-License-Identifier: MIT */
/*
 * API keys and whom they stand for.
 *
 * The name in a key says which hash to compare it with, so that a key costs
 * one slow hash and a stranger's none. That must not become a way to keep the
 * processors busy: of a name one key is hashed at a time, the others of that
 * moment wait and mostly find the result, and after a few wrong ones in a
 * second the rest of that second is refused without looking. The key that was
 * good last is not: who has it is let in whatever others try. Of it the
 * SHA-256 is kept, and for a minute stands in for the slow hash; callers
 * remember beyond that (token_cache.h).
 *
 * No hash is made under the lock.
 */
#include "config.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/api_key.h"
#include "auth/api_keys.h"
#include "auth/identity.h"
#include "auth/issuer.h"
#include "auth/jwt.h"
#include "auth/token_cache.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/lck.h"
#include "base/sha256.h"
#include "base/words.h"
#include "conf/conf.h"

#define WRONG_A_SECOND 3
#define WAIT_MS 5000

struct entry {
	const struct conf_api_key *conf;
	struct api_key_hash hash;
	struct identity id;
	/* Below the lock: */
	int busy;                   /* a thread hashes */
	int64_t second;             /* monotonic, that wrong is of */
	int wrong;                  /* keys that were hashed in it */
	char good[SHA256_HEX_SIZE]; /* of the last good key, or "" */
	int64_t good_until_s;
};

struct api_keys {
	struct lck lck;
	struct lck_cond idle; /* one is not busy any more */
	struct entry *entries;
	size_t count;
};

/* ---- the configuration ---- */

int
api_key_time(const char *text, int64_t *out_r)
{
	struct tm tm = { .tm_isdst = 0 }, again;
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	time_t t;

	if (rest != NULL && *rest == 'T')
		rest = strptime(rest, "T%H:%M:%SZ", &tm);
	if (rest == NULL || *rest != '\0')
		return -1;
	again = tm;
	t = timegm(&again);
	if (again.tm_mday != tm.tm_mday || t < 0) /* a day that is none */
		return -1;
	*out_r = t;
	return 0;
}

void
api_key_jti(const struct conf_api_key *c, char out[API_KEY_JTI_SIZE])
{
	char hex[SHA256_HEX_SIZE];

	sha256_hex(c->hash, strlen(c->hash), hex);
	snprintf(out, API_KEY_JTI_SIZE, "afk_%s.%.16s", c->label, hex);
}

static int
name_fill(const char *setting, const char *name, size_t min, char *out,
    size_t size, struct err *err)
{
	size_t n = strlen(name);
	int good = n >= min && n < size;

	for (size_t i = 0; i < n; i++)
		good = good && name[i] >= 0x21 && name[i] <= 0x7e;
	if (!good)
		return err_set(err, ERR_CONFIG,
		    "%s is not %zu to %zu printable ASCII characters without "
		    "spaces",
		    setting, min, size - 1);
	memcpy(out, name, n + 1);
	return 0;
}

/* The bits of words, each of which is one of names. 0, or -1. */
static int
words_bits(
    const char *words, const char *const *names, int count, unsigned *bits_r)
{
	char word[128];
	size_t n;
	int i;

	*bits_r = 0;
	for (words += strspn(words, " "); *words != '\0';
	     words += n, words += strspn(words, " ")) {
		n = strcspn(words, " ");
		snprintf(word, sizeof(word), "%.*s", (int)n, words);
		for (i = 0; i < count; i++)
			if (*names[i] != '\0' && strcmp(names[i], word) == 0)
				*bits_r |= 1u << i;
		for (i = 0; i < count && strcmp(names[i], word) != 0; i++)
			;
		if (i == count)
			return -1;
	}
	return 0;
}

static int
rights_fill(struct identity *id, const struct conf *c,
    const struct conf_api_key *k, struct err *err)
{
	struct jwt_options o = { 0 };

	issuer_roles(&o, c);
	if (words_bits(k->roles, o.role, IDENTITY_ROLES, &id->roles) < 0)
		return err_set(err, ERR_CONFIG,
		    "roles has another word than approval.role, budget.role "
		    "and admin.role are set to");
	if (words_bits(
		k->scopes, identity_scopes, IDENTITY_SCOPES, &id->scopes) < 0)
		return err_set(err, ERR_CONFIG,
		    "scopes has another word than agents:read, agents:write, "
		    "chat, approvals, files:read and files:write");
	id->scoped = *k->scopes != '\0';
	return 0;
}

static int
times_fill(struct identity *id, const struct conf_api_key *k, struct err *err)
{
	id->expires_s = JWT_TIME_MAX_S;
	if (*k->expires != '\0' && api_key_time(k->expires, &id->expires_s) < 0)
		return err_set(err, ERR_CONFIG,
		    "expires is no date such as 2027-11-21 or "
		    "2027-11-21T09:30:00Z");
	if (*k->created != '\0' && api_key_time(k->created, &id->issued_s) < 0)
		return err_set(err, ERR_CONFIG,
		    "created is no date such as 2026-11-21 or "
		    "2026-11-21T09:30:00Z");
	return 0;
}

static int
entry_init(struct entry *e, const struct conf *c, struct err *err)
{
	const struct conf_api_key *k = e->conf;
	struct identity *id = &e->id;

	if (api_key_hash_parse(k->hash, &e->hash, err) < 0 ||
	    name_fill("user", k->user, 1, id->user, sizeof(id->user), err) <
		0 ||
	    name_fill("tenant", k->tenant, 0, id->tenant, sizeof(id->tenant),
		err) < 0 ||
	    rights_fill(id, c, k, err) < 0 || times_fill(id, k, err) < 0)
		return err_prefix(err, "[api_key %s]", k->label);
	api_key_jti(k, id->jti);
	return 0;
}

struct api_keys *
api_keys_new(const struct conf *c, struct err *err)
{
	struct api_keys *k = calloc(1, sizeof(*k));
	struct entry *e;

	if (k == NULL)
		abort();
	lck_init(&k->lck, LCK_API_KEYS);
	lck_cond_init(&k->idle);
	k->entries = calloc(c->api_key_count + 1, sizeof(*k->entries));
	if (k->entries == NULL)
		abort();
	for (size_t i = 0; i < c->api_key_count; i++) {
		if (*c->api_keys[i].hash == '\0' &&
		    *c->api_keys[i].user == '\0')
			continue; /* a section with nothing in it */
		e = &k->entries[k->count++];
		e->conf = &c->api_keys[i];
		if (entry_init(e, c, err) < 0) {
			api_keys_free(&k);
			return NULL;
		}
	}
	return k;
}

void
api_keys_free(struct api_keys **k_p)
{
	struct api_keys *k = *k_p;

	if (k == NULL)
		return;
	*k_p = NULL;
	lck_cond_fini(&k->idle);
	lck_fini(&k->lck);
	free(k->entries);
	free(k);
}

size_t
api_keys_count(const struct api_keys *k)
{
	return k->count;
}

/* ---- keys that somebody shows ---- */

enum look { LOOK_GOOD, LOOK_HASH, LOOK_REFUSE };

/* Whether a key must be hashed; then the entry is this thread's. */
static enum look
look_at(struct api_keys *k, struct entry *e, const char *digest)
{
	int64_t deadline = clk_mono_ms() + WAIT_MS, second;
	enum look rc = LOOK_HASH;
	int known;

	lck_take(&k->lck);
	while (e->busy && clk_mono_ms() < deadline)
		lck_cond_wait(&k->idle, &k->lck, deadline);
	second = clk_mono_ms() / 1000;
	if (second != e->second) {
		e->second = second;
		e->wrong = 0;
	}
	known = CRYPTO_memcmp(e->good, digest, SHA256_HEX_SIZE) == 0;
	if (known && second < e->good_until_s)
		rc = LOOK_GOOD;
	else if (e->busy || (!known && e->wrong >= WRONG_A_SECOND))
		rc = LOOK_REFUSE;
	else
		e->busy = 1;
	lck_drop(&k->lck);
	return rc;
}

static void
looked_at(struct api_keys *k, struct entry *e, const char *digest, int good)
{
	lck_take(&k->lck);
	e->busy = 0;
	if (good) {
		memcpy(e->good, digest, SHA256_HEX_SIZE);
		e->good_until_s = clk_mono_ms() / 1000 + TOKEN_CACHE_TTL_S;
	} else {
		e->wrong++;
	}
	lck_cond_broadcast(&k->idle);
	lck_drop(&k->lck);
}

static struct entry *
entry_find(struct api_keys *k, const char *name)
{
	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->entries[i].conf->label, name) == 0)
			return &k->entries[i];
	return NULL;
}

int
api_keys_verify(struct api_keys *k, const char *key, size_t len, int64_t now_s,
    struct identity *out, struct err *err)
{
	char name[API_KEY_NAME_SIZE], digest[SHA256_HEX_SIZE];
	struct entry *e;
	enum look look;
	int good;

	if (!api_key_name(key, len, name) || (e = entry_find(k, name)) == NULL)
		return err_set(
		    err, ERR_UNAUTHORIZED, "the API key is not known");
	sha256_hex(key, len, digest);
	look = look_at(k, e, digest);
	if (look == LOOK_REFUSE) {
		err_set(err, ERR_LIMIT,
		    "too many wrong keys of this name were tried just now");
		err->retry_after_s = 1;
		return -1;
	}
	if (look == LOOK_HASH) {
		good = api_key_hash_is_of(&e->hash, key, len);
		looked_at(k, e, digest, good);
		if (!good)
			return err_set(
			    err, ERR_UNAUTHORIZED, "the API key is not known");
	}
	if (now_s >= e->id.expires_s)
		return err_set(
		    err, ERR_UNAUTHORIZED, "the API key has expired");
	*out = e->id;
	return 0;
}
