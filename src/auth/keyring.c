/* SPDX-License-Identifier: MIT */
/*
 * The keys that are good now.
 *
 * Keys are rotated while the pool runs: a new secret beside the old one, then
 * without it. Whoever asks for the era looks, at most once a second, whether
 * the files are what they were; that costs a stat(2) each, and one thread
 * reads them while the others go on with the keys that they have. A set is
 * put in place of another under the lock, and lives on as long as a thread
 * verifies with it (keyset.h).
 *
 * Issuers have keys of their own, and only those are tried on their tokens. If
 * they are published, the loop fetches them (jwks_source.c); a token with a
 * kid that nobody knows may wait for that, a second at most.
 *
 * A change that cannot be read changes nothing: who has broken a file must not
 * lock everybody out. It is read again when it changes again.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/api_key.h"
#include "auth/api_keys.h"
#include "auth/issuer.h"
#include "auth/jwk.h"
#include "auth/jwks_source.h"
#include "auth/jws.h"
#include "auth/jwt.h"
#include "auth/keyring.h"
#include "auth/keyset.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "net/fetch.h"

#define LOOK_EVERY_MS 1000
#define FETCH_MS 11000 /* configuration and keys */
#define NO_KEYS_RETRY_S 5

struct keyring {
	const struct conf *conf;
	struct jwt_options options;
	uint64_t era;         /* atomic */
	int64_t next_look_ms; /* atomic; who raises it looks */
	struct lck lck;
	struct keyset *own;        /* below lck */
	struct keyset_files files; /* of whoever looks */
	struct issuer *issuers;
	size_t issuer_count;
	struct api_keys *api_keys;
};

static void
options_fill(struct jwt_options *o, const struct conf *c)
{
	*o = (struct jwt_options){
		.issuer = c->jwt_issuer,
		.audience = c->jwt_audience,
		.user_claim = c->jwt_user_claim,
		.tenant_claim = c->jwt_tenant_claim,
		.roles_claim = c->jwt_roles_claim,
		.leeway_s = (int)(c->jwt_leeway_ms / 1000),
	};
	issuer_roles(o, c);
}

/* The keys of the files, or NULL. */
static struct keyset *
own_load(struct keyring *r, struct err *err)
{
	struct keyset *set = keyset_load(r->conf, &r->files, err);

	if (set != NULL && set->count == 0 && r->issuer_count == 0 &&
	    api_keys_count(r->api_keys) == 0) {
		keyset_unref(&set);
		err_set(err, ERR_CONFIG,
		    "nobody could come in: set jwt.secret_file, "
		    "jwt.public_key_file or jwt.jwks_file, or "
		    "AGENT_FPM_JWT_SECRET in the environment, or make a "
		    "section [issuer NAME] or [api_key NAME]");
	}
	return set;
}

struct keyring *
keyring_new(const struct conf *c, struct err *err)
{
	struct keyring *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	lck_init(&r->lck, LCK_KEYS);
	r->conf = c;
	options_fill(&r->options, c);
	r->next_look_ms = clk_mono_ms() + LOOK_EVERY_MS;
	r->api_keys = api_keys_new(c, err);
	if (r->api_keys != NULL &&
	    issuers_new(c, r, &r->issuers, &r->issuer_count, err) == 0)
		r->own = own_load(r, err);
	if (r->own == NULL)
		keyring_free(&r);
	return r;
}

void
keyring_free(struct keyring **r_p)
{
	struct keyring *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	keyring_detach(r);
	issuers_free(&r->issuers, r->issuer_count);
	api_keys_free(&r->api_keys);
	keyset_unref(&r->own);
	lck_fini(&r->lck);
	free(r);
}

/* The set that is there now; the caller lets go of it. */
static struct keyset *
set_take(struct keyring *r, struct keyset **place)
{
	struct keyset *set;

	lck_take(&r->lck);
	set = *place;
	keyset_ref(set);
	lck_drop(&r->lck);
	return set;
}

/* Another set from now on. */
static void
set_change(struct keyring *r, struct keyset **place, struct keyset *set)
{
	struct keyset *old;

	lck_take(&r->lck);
	old = *place;
	*place = set;
	lck_drop(&r->lck);
	__atomic_add_fetch(&r->era, 1, __ATOMIC_RELEASE);
	keyset_unref(&old);
}

size_t
keyring_count(struct keyring *r)
{
	size_t n = 0;

	lck_take(&r->lck);
	n += r->own->count;
	for (size_t i = 0; i < r->issuer_count; i++)
		if (r->issuers[i].keys != NULL)
			n += r->issuers[i].keys->count;
	lck_drop(&r->lck);
	return n;
}

size_t
keyring_api_keys(const struct keyring *r)
{
	return api_keys_count(r->api_keys);
}

/* ---- files that change ---- */

/* Others are in the files now; set NULL: they are no good. */
static void
files_changed(struct keyring *r, struct keyset **place, struct keyset *set,
    const struct err *err)
{
	if (set == NULL) {
		log_error(
		    "keys have changed, the old ones stay: %s", err->text);
		return;
	}
	log_info("keys have changed: %zu to check tokens with", set->count);
	set_change(r, place, set);
}

static void
files_look(struct keyring *r)
{
	struct keyset *set;
	struct issuer *is;
	struct err err;

	if (keyset_files_changed(&r->files)) {
		set = own_load(r, &err);
		files_changed(r, &r->own, set, &err);
	}
	for (size_t i = 0; i < r->issuer_count; i++) {
		is = &r->issuers[i];
		if (!keyset_files_changed(&is->files))
			continue;
		set = keyset_load_jwks(is->conf->jwks_file,
		    is->conf->algorithms, &is->files, &err);
		files_changed(r, &is->keys, set, &err);
	}
}

uint64_t
keyring_era(struct keyring *r)
{
	int64_t now = clk_mono_ms();
	int64_t due = __atomic_load_n(&r->next_look_ms, __ATOMIC_ACQUIRE);

	/* INT64_MAX keeps the others away until this one is done. */
	if (now >= due &&
	    __atomic_compare_exchange_n(&r->next_look_ms, &due, INT64_MAX, 0,
		__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		files_look(r);
		__atomic_store_n(
		    &r->next_look_ms, now + LOOK_EVERY_MS, __ATOMIC_RELEASE);
	}
	return __atomic_load_n(&r->era, __ATOMIC_ACQUIRE);
}

/* ---- keys that are published ---- */

static void
on_keys(void *ctx, struct jwks *keys, int gone)
{
	struct issuer *is = ctx;

	if (keys != NULL)
		set_change(is->keyring, &is->keys, keyset_from_jwks(keys));
	else if (gone)
		set_change(is->keyring, &is->keys, NULL);
}

/* Where those who fetch the same keys in the same way tell each other. */
static struct notice *
notice_of(struct scoreboard *board, const struct conf_issuer *c)
{
	struct notice *n;
	struct buf name;

	if (board == NULL)
		return NULL;
	buf_init(&name, NULL);
	buf_printf(
	    &name, "%s %s %s %s", c->issuer, c->jwks_url, c->ca_file, c->proxy);
	n = scoreboard_notice(board, buf_str(&name));
	buf_fini(&name);
	return n;
}

void
keyring_attach(struct keyring *r, struct loop *l, struct fetcher *f,
    struct scoreboard *board)
{
	struct issuer *is;

	for (size_t i = 0; i < r->issuer_count; i++) {
		is = &r->issuers[i];
		if (*is->conf->jwks_file == '\0')
			is->source = jwks_source_new(l, f, is->conf,
			    notice_of(board, is->conf), on_keys, is);
	}
}

void
keyring_detach(struct keyring *r)
{
	for (size_t i = 0; r != NULL && i < r->issuer_count; i++)
		jwks_source_free(&r->issuers[i].source);
}

static void *
loop_thread(void *loop)
{
	loop_run(loop);
	return NULL;
}

/* How many issuers publish their keys. */
static size_t
published(const struct keyring *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->issuer_count; i++)
		n += *r->issuers[i].conf->jwks_file == '\0';
	return n;
}

int
keyring_wait(struct keyring *r, int ms, struct err *err)
{
	int64_t deadline = clk_mono_ms() + ms, left;
	const struct issuer *is;
	struct err why;
	int rc = 0;

	for (size_t i = 0; i < r->issuer_count; i++) {
		is = &r->issuers[i];
		left = deadline - clk_mono_ms();
		if (is->source == NULL ||
		    jwks_source_wait(
			is->source, left < 0 ? 0 : (int)left, &why) == 0)
			continue;
		if (rc == 0)
			err_set(err, ERR_CONFIG, "issuer %s: %s",
			    is->conf->label, why.text);
		rc = -1;
	}
	return rc;
}

int
keyring_fetch(struct keyring *r, struct err *err)
{
	struct fetcher *f;
	pthread_t thread;
	struct loop *l;
	int rc;

	if (published(r) == 0)
		return 0;
	l = loop_new();
	f = fetcher_new(l);
	keyring_attach(r, l, f, NULL);
	if (pthread_create(&thread, NULL, loop_thread, l) != 0)
		abort();
	rc = keyring_wait(r, FETCH_MS, err);
	loop_stop(l);
	pthread_join(thread, NULL);
	keyring_detach(r);
	fetcher_free(&f);
	loop_free(&l);
	return rc;
}

/* ---- tokens ---- */

/* Who has no prefix has none of the names that begin with an issuer's. */
static int
names_check(const struct keyring *r, const struct identity *id, struct err *err)
{
	if (!issuer_owns(r->issuers, r->issuer_count, id->user) &&
	    !issuer_owns(r->issuers, r->issuer_count, id->tenant))
		return 0;
	return err_set(err, ERR_UNAUTHORIZED,
	    "a user or tenant with the name of an issuer's");
}

/* With the keys of [jwt]. */
static int
own_verify(struct keyring *r, struct arena *a, const char *token, size_t len,
    int64_t now_s, struct identity *out, const struct json **claims_r,
    struct err *err)
{
	struct keyset *set = set_take(r, &r->own);
	int rc;

	rc = jwt_verify(a, (const struct jws_key *const *)set->key, set->count,
	    &r->options, token, len, now_s, out, claims_r, err);
	keyset_unref(&set);
	return rc < 0 ? -1 : names_check(r, out, err);
}

/* An API key, which says as much of its user as claims do. */
static int
api_key_verify(struct keyring *r, struct arena *a, const char *key, size_t len,
    int64_t now_s, struct identity *out, const struct json **claims_r,
    struct err *err)
{
	struct buf b;

	if (api_keys_verify(r->api_keys, key, len, now_s, out, err) < 0)
		return -1;
	if (claims_r == NULL)
		return 0;
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "sub", out->user);
	if (out->tenant[0] != '\0')
		json_add_str(&b, "tenant", out->tenant);
	json_add_str(&b, "jti", out->jti);
	if (out->expires_s < JWT_TIME_MAX_S)
		json_add_int(&b, "exp", out->expires_s);
	json_close(&b, '}');
	*claims_r = json_parse(a, b.data, b.len, 1, err);
	return *claims_r == NULL ? -1 : 0;
}

/* The issuer's keys; if none of them has that name, maybe newer ones. */
static struct keyset *
issuer_keys(struct issuer *is, const char *kid)
{
	struct keyset *set = set_take(is->keyring, &is->keys);

	if ((set != NULL && keyset_has_kid(set, kid)) || is->source == NULL ||
	    !jwks_source_ask(is->source))
		return set;
	keyset_unref(&set);
	return set_take(is->keyring, &is->keys);
}

int
keyring_verify(struct keyring *r, struct arena *a, const char *token,
    size_t len, int64_t now_s, struct identity *out,
    const struct json **claims_r, struct err *err)
{
	struct issuer *is = NULL;
	struct keyset *set;
	struct jws jws;
	int rc;

	if (api_key_is(token, len))
		return api_key_verify(
		    r, a, token, len, now_s, out, claims_r, err);
	if (r->issuer_count > 0) {
		if (jws_peek(a, token, len, &jws, err) < 0)
			return -1;
		is = issuer_find(r->issuers, r->issuer_count,
		    json_get_str(jws.object, "iss"));
	}
	if (is == NULL)
		return own_verify(r, a, token, len, now_s, out, claims_r, err);
	set = issuer_keys(is, jws.kid);
	if (set == NULL) {
		err_set(err, ERR_OVERLOAD,
		    "the keys of the token's issuer are not there now");
		err->retry_after_s = NO_KEYS_RETRY_S;
		return -1;
	}
	rc = jwt_verify(a, (const struct jws_key *const *)set->key, set->count,
	    &is->options, token, len, now_s, out, claims_r, err);
	keyset_unref(&set);
	if (rc == 0 && is->prefix[0] == '\0')
		rc = names_check(r, out, err);
	return rc;
}

int
keyring_mint(struct keyring *r, struct arena *a, const char *claims_json,
    char **token_r, struct err *err)
{
	struct keyset *set = set_take(r, &r->own);
	int rc;

	/* The secret is the first of them, if there is one. */
	if (set->count == 0 || jws_key_alg(set->key[0])[0] != 'H' ||
	    jws_key_kid(set->key[0]) != NULL)
		rc = err_set(err, ERR_CONFIG,
		    "tokens can be made only with a shared secret: set "
		    "jwt.secret_file");
	else
		rc = jwt_mint(a, set->key[0], claims_json, token_r, err);
	keyset_unref(&set);
	return rc;
}
