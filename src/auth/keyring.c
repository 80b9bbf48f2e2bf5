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
 * A change that cannot be read changes nothing: who has broken a file must not
 * lock everybody out. It is read again when it changes again.
 */
#include "config.h"

#include <stdlib.h>

#include "auth/jws.h"
#include "auth/jwt.h"
#include "auth/keyring.h"
#include "auth/keyset.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/lck.h"
#include "base/log.h"
#include "conf/conf.h"

#define LOOK_EVERY_MS 1000

struct keyring {
	const struct conf *conf;
	struct jwt_options options;
	uint64_t era;         /* atomic */
	int64_t next_look_ms; /* atomic; who raises it looks */
	struct lck lck;
	struct keyset *own;        /* below lck */
	struct keyset_files files; /* of whoever looks */
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
		.role = {
			[IDENTITY_APPROVER] = c->approval_role,
			[IDENTITY_BUDGET] = c->budget_role,
			[IDENTITY_ADMIN] = c->admin_role,
		},
		.leeway_s = (int)(c->jwt_leeway_ms / 1000),
	};
}

/* The keys of the files, or NULL. */
static struct keyset *
own_load(struct keyring *r, struct err *err)
{
	struct keyset *set = keyset_load(r->conf, &r->files, err);

	if (set != NULL && set->count == 0) {
		keyset_unref(&set);
		err_set(err, ERR_CONFIG,
		    "nobody could come in: set jwt.secret_file, "
		    "jwt.public_key_file or jwt.jwks_file, or "
		    "AGENT_FPM_JWT_SECRET in the environment");
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
	struct keyset *set = set_take(r, &r->own);
	size_t n = set->count;

	keyset_unref(&set);
	return n;
}

/* ---- files that change ---- */

static void
files_look(struct keyring *r)
{
	struct keyset *set;
	struct err err;

	if (!keyset_files_changed(&r->files))
		return;
	set = own_load(r, &err);
	if (set == NULL) {
		log_error("keys have changed, the old ones stay: %s", err.text);
		return;
	}
	log_info("keys have changed: %zu to check tokens with", set->count);
	set_change(r, &r->own, set);
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

/* ---- tokens ---- */

int
keyring_verify(struct keyring *r, struct arena *a, const char *token,
    size_t len, int64_t now_s, struct identity *out,
    const struct json **claims_r, struct err *err)
{
	struct keyset *set = set_take(r, &r->own);
	int rc;

	rc = jwt_verify(a, (const struct jws_key *const *)set->key, set->count,
	    &r->options, token, len, now_s, out, claims_r, err);
	keyset_unref(&set);
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
