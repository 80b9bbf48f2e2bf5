/* SPDX-License-Identifier: MIT */
/*
 * Keys as JSON (RFC 7517, 7518 section 6, RFC 8037 section 2), and sets of
 * them, as an issuer publishes its own.
 *
 * A JWK becomes an EVP_PKEY of its numbers, and is then judged like one from a
 * PEM file (jws_evp.c): size, curve, the one algorithm that it is good for.
 * What only this form can have wrong is refused here: numbers with another
 * length than their curve's, with zeros in front, or not base64url.
 *
 * A set is read as a whole. What is not for us in it is passed over, since
 * issuers publish keys to encrypt with beside those to sign with; but what
 * says that the set is not what it should be refuses all of it: a private key
 * (it was published by mistake, and anybody could sign), a secret among public
 * keys, two keys of one kind and name.
 */
#include "config.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwk.h"
#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"

#define NUMBER_MAX_BYTES 1024 /* RSA of 8192 bits */
#define SECRET_MAX_BYTES 4096
#define SET_DEPTH 8
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* RFC 7518 section 6.2.1.1. */
static const struct curve {
	const char *name;  /* in a JWK */
	const char *group; /* as OpenSSL calls it */
	size_t bytes;      /* of a coordinate */
} curves[] = {
	{ "P-256", "prime256v1", 32 },
	{ "P-384", "secp384r1", 48 },
	{ "P-521", "secp521r1", 66 },
};

/* ---- members ---- */

/* A member in base64url, of at most max bytes; out is initialised. */
static int
member_bytes(const struct json *jwk, const char *name, size_t max,
    struct buf *out, struct err *err)
{
	const char *text = json_get_str(jwk, name);

	if (text == NULL || *text == '\0' || strlen(text) > (max + 2) / 3 * 4 ||
	    b64url_decode(out, text, strlen(text)) < 0 || out->len > max)
		return err_set(err, ERR_CONFIG,
		    "the JWK's member %s is not base64url of 1 to %zu bytes",
		    name, max);
	return 0;
}

/* A positive number without zeros in front (RFC 7518 section 2). */
static BIGNUM *
member_number(const struct json *jwk, const char *name, struct err *err)
{
	BIGNUM *n = NULL;
	struct buf b;

	buf_init(&b, NULL);
	if (member_bytes(jwk, name, NUMBER_MAX_BYTES, &b, err) < 0)
		;
	else if (b.data[0] == '\0')
		err_set(err, ERR_CONFIG,
		    "the JWK's member %s begins with a zero", name);
	else if ((n = BN_bin2bn(
		      (const unsigned char *)b.data, (int)b.len, NULL)) == NULL)
		abort();
	buf_fini(&b);
	return n;
}

/* ---- kinds of keys ---- */

static EVP_PKEY *
pkey_make(const char *type, OSSL_PARAM_BLD *bld, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || params == NULL)
		abort();
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		err_set(err, ERR_CONFIG, "OpenSSL makes no %s key of the JWK",
		    type);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *
rsa_pkey(const struct json *jwk, struct err *err)
{
	BIGNUM *n = member_number(jwk, "n", err);
	BIGNUM *e = n == NULL ? NULL : member_number(jwk, "e", err);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld == NULL)
		abort();
	if (e != NULL &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		pkey = pkey_make("RSA", bld, err);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	return pkey;
}

static const struct curve *
curve_find(const char *name)
{
	for (size_t i = 0; i < COUNT(curves); i++)
		if (name != NULL && strcmp(curves[i].name, name) == 0)
			return &curves[i];
	return NULL;
}

/* Appends a coordinate, which is exactly as long as the curve's field. */
static int
coordinate_add(const struct json *jwk, const char *name, size_t bytes,
    struct buf *point, struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b, NULL);
	rc = member_bytes(jwk, name, bytes, &b, err);
	if (rc == 0 && b.len != bytes)
		rc = err_set(err, ERR_CONFIG,
		    "the JWK's member %s has %zu bytes, not %zu", name, b.len,
		    bytes);
	if (rc == 0)
		buf_add(point, b.data, b.len);
	buf_fini(&b);
	return rc;
}

static EVP_PKEY *
ec_pkey(const struct json *jwk, struct err *err)
{
	const struct curve *curve = curve_find(json_get_str(jwk, "crv"));
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *pkey = NULL;
	struct buf point;

	if (curve == NULL) {
		err_set(err, ERR_CONFIG,
		    "the EC key is on none of P-256, P-384 and P-521");
		return NULL;
	}
	bld = OSSL_PARAM_BLD_new();
	if (bld == NULL)
		abort();
	buf_init(&point, NULL);
	buf_putc(&point, 4); /* uncompressed */
	if (coordinate_add(jwk, "x", curve->bytes, &point, err) == 0 &&
	    coordinate_add(jwk, "y", curve->bytes, &point, err) == 0 &&
	    OSSL_PARAM_BLD_push_utf8_string(
		bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) == 1)
		pkey = pkey_make("EC", bld, err);
	OSSL_PARAM_BLD_free(bld);
	buf_fini(&point);
	return pkey;
}

static EVP_PKEY *
okp_pkey(const struct json *jwk, struct err *err)
{
	const char *crv = json_get_str(jwk, "crv");
	EVP_PKEY *pkey = NULL;
	struct buf x;

	if (crv == NULL || strcmp(crv, "Ed25519") != 0) {
		err_set(err, ERR_CONFIG, "the OKP key's curve is not Ed25519");
		return NULL;
	}
	buf_init(&x, NULL);
	if (coordinate_add(jwk, "x", 32, &x, err) == 0) {
		pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL,
		    (const unsigned char *)x.data, x.len);
		if (pkey == NULL)
			err_set(err, ERR_CONFIG,
			    "OpenSSL makes no Ed25519 key of the JWK");
	}
	buf_fini(&x);
	return pkey;
}

static struct jws_key *
oct_key(const struct json *jwk, const char *alg, struct err *err)
{
	struct jws_key *key = NULL;
	struct buf k;

	buf_init(&k, NULL);
	buf_reserve(&k, SECRET_MAX_BYTES + 16); /* so it never moves */
	if (member_bytes(jwk, "k", SECRET_MAX_BYTES, &k, err) == 0)
		key = jws_key_new_secret(
		    alg == NULL ? "HS256" : alg, k.data, k.len, err);
	explicit_bzero(k.data, k.cap);
	buf_fini(&k);
	return key;
}

/* ---- a key ---- */

/* RFC 7517 sections 4.2 and 4.3. */
static int
for_signatures(const struct json *jwk)
{
	const struct json *use = json_get(jwk, "use");
	const struct json *ops = json_get(jwk, "key_ops"), *op;

	if (use != NULL &&
	    (json_str(use) == NULL || strcmp(json_str(use), "sig") != 0))
		return 0;
	if (ops == NULL)
		return 1;
	op = json_is(ops, JSON_ARRAY) ? json_first(ops) : NULL;
	for (; op != NULL; op = json_next(op))
		if (json_str(op) != NULL && strcmp(json_str(op), "verify") == 0)
			return 1;
	return 0;
}

static struct jws_key *
public_key(EVP_PKEY *pkey, const char *alg, struct err *err)
{
	struct jws_key *key;

	if (pkey == NULL)
		return NULL;
	key = jws_key_alloc();
	if (jws_evp_take(key, alg, pkey, err) < 0)
		jws_key_free(&key);
	return key;
}

static struct jws_key *
key_make(const struct json *jwk, const char *kty, struct err *err)
{
	static const struct {
		const char *kty;
		EVP_PKEY *(*make)(const struct json *, struct err *);
	} rows[] = {
		{ "RSA", rsa_pkey },
		{ "EC", ec_pkey },
		{ "OKP", okp_pkey },
	};
	const char *alg = json_get_str(jwk, "alg");

	if (json_get(jwk, "alg") != NULL &&
	    (alg == NULL || jws_alg_find(alg) == NULL)) {
		err_set(err, ERR_CONFIG, "the JWK's alg is none we know");
		return NULL;
	}
	if (strcmp(kty, "oct") == 0)
		return oct_key(jwk, alg, err);
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].kty, kty) == 0)
			return public_key(rows[i].make(jwk, err), alg, err);
	err_set(err, ERR_CONFIG, "the JWK's kty is none we know");
	return NULL;
}

struct jws_key *
jws_key_new_jwk(const struct json *jwk, struct err *err)
{
	const char *kty = json_get_str(jwk, "kty");
	const char *kid = json_get_str(jwk, "kid");
	struct jws_key *key = NULL;

	if (kty == NULL)
		err_set(err, ERR_CONFIG, "a JWK without kty");
	else if (json_get(jwk, "kid") != NULL &&
		 (kid == NULL || strlen(kid) > JWS_KID_MAX_BYTES))
		err_set(err, ERR_CONFIG,
		    "the JWK's kid is not a string of at most %d bytes",
		    JWS_KID_MAX_BYTES);
	else if (!for_signatures(jwk))
		err_set(err, ERR_CONFIG, "the JWK is not for signatures");
	else
		key = key_make(jwk, kty, err);
	ERR_clear_error();
	if (key == NULL || kid == NULL)
		return key;
	key->kid = strdup(kid);
	if (key->kid == NULL)
		abort();
	return key;
}

/* ---- a set ---- */

/*
 * Whether a key after this one has its name, and is of the same kind: RFC 7517
 * section 4.5 lets keys of two kinds share a name, and the algorithm tells
 * those apart.
 */
static int
is_ambiguous(const struct json *jwk)
{
	const char *kid = json_get_str(jwk, "kid"), *other;
	const char *kty = json_get_str(jwk, "kty"), *kind;

	if (kid == NULL || kty == NULL || !for_signatures(jwk))
		return 0;
	for (jwk = json_next(jwk); jwk != NULL; jwk = json_next(jwk)) {
		other = json_get_str(jwk, "kid");
		kind = json_get_str(jwk, "kty");
		if (other != NULL && strcmp(other, kid) == 0 && kind != NULL &&
		    strcmp(kind, kty) == 0 && for_signatures(jwk))
			return 1;
	}
	return 0;
}

/* What no key of a set may be. */
static int
key_check(const struct json *jwk, int secrets, struct err *err)
{
	const char *kty = json_get_str(jwk, "kty");
	int secret = kty != NULL && strcmp(kty, "oct") == 0;

	if (!json_is(jwk, JSON_OBJECT))
		return err_set(err, ERR_CONFIG, "a key is no JSON object");
	if (json_get(jwk, "d") != NULL)
		return err_set(err, ERR_CONFIG,
		    "the set has a private key: take it away, and have the "
		    "issuer make another");
	if (secret && !secrets)
		return err_set(
		    err, ERR_CONFIG, "the set has a secret among its keys");
	if (is_ambiguous(jwk))
		return err_set(err, ERR_CONFIG, "two keys have the same kid");
	return 0;
}

/* Adds a key if it can be used; else why_r says why not. */
static void
set_add(struct jwks *set, const struct json *jwk, const char *algorithms,
    struct err *why_r)
{
	struct jws_key *key = jws_key_new_jwk(jwk, why_r);

	if (key == NULL)
		return;
	if (*algorithms != '\0' && !words_have(algorithms, key->alg->name)) {
		err_set(why_r, ERR_CONFIG,
		    "a key is for %s, and only %s are "
		    "wanted",
		    key->alg->name, algorithms);
		jws_key_free(&key);
		return;
	}
	set->key[set->count++] = key;
}

static int
set_read(const struct json *keys, int secrets, const char *algorithms,
    struct jwks *out, struct err *err)
{
	struct err why = { .text = "it is empty" };
	int kinds = 0;

	for (const struct json *j = json_first(keys); j != NULL;
	     j = json_next(j)) {
		if (key_check(j, secrets, err) < 0)
			return -1;
		set_add(out, j, algorithms, &why);
	}
	if (out->count == 0)
		return err_set(err, ERR_CONFIG,
		    "the set has no key that could be used: %s", why.text);
	for (size_t i = 0; i < out->count; i++)
		kinds |= out->key[i]->alg->kind == JWS_HMAC ? 1 : 2;
	if (kinds == 3)
		return err_set(err, ERR_CONFIG,
		    "the set has secrets and public keys together");
	return 0;
}

int
jwks_read(const char *text, size_t len, int secrets, const char *algorithms,
    struct jwks *out, struct err *err)
{
	struct arena *a;
	const struct json *doc, *keys;
	struct err why;
	int rc;

	out->count = 0;
	if (len > JWKS_MAX_BYTES)
		return err_set(err, ERR_CONFIG,
		    "a set of keys of more than %d bytes", JWKS_MAX_BYTES);
	a = arena_open(16384);
	doc = json_parse(a, text, len, SET_DEPTH, &why);
	keys = json_get(doc, "keys");
	if (doc == NULL)
		rc =
		    err_set(err, ERR_CONFIG, "not a set of keys: %s", why.text);
	else if (!json_is(keys, JSON_ARRAY))
		rc = err_set(err, ERR_CONFIG,
		    "not a set of keys: it has no list \"keys\"");
	else if (json_count(keys) > JWKS_KEYS_MAX)
		rc = err_set(err, ERR_CONFIG, "the set has more than %d keys",
		    JWKS_KEYS_MAX);
	else
		rc = set_read(keys, secrets, algorithms, out, err);
	if (rc < 0)
		jwks_clear(out);
	arena_close(&a);
	return rc;
}

void
jwks_clear(struct jwks *set)
{
	while (set->count > 0)
		jws_key_free(&set->key[--set->count]);
}
