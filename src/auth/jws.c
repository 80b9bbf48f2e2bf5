/* SPDX-License-Identifier: MIT */
/*
 * The strict front of token verification.
 *
 * Libraries that check JWS signatures are lenient readers: libjwt 1.10 takes
 * the algorithm from the token, ignores "crit", accepts padding, junk and
 * repeated names, and writes past a block if a segment is empty. So this file
 * reads the token first, by rules that leave each token one spelling, and
 * decides everything but the arithmetic: what the segments are, what the
 * header may say, which algorithm it is and whether a key for it exists. A
 * library then answers one question: did this key sign these bytes?
 *
 * A key has one algorithm, fixed when it is made, and is only ever tried on
 * tokens that name it. That, not a check inside a library, is what keeps an
 * RSA public key from being used as an HMAC secret. Several keys may have the
 * same algorithm, while they are rotated; each is tried. Where keys have names
 * (jwk.c) the token's `kid` says which: a name is looked for among those that
 * are here, and is never anything else, no path and no URL.
 *
 * Any thread; nothing here is shared but const tables and immutable keys.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "base/arena.h"
#include "base/b64.h"
#include "base/err.h"
#include "base/json.h"

#define SECRET_MAX_BYTES 4096
#define EXACT_MAX 9007199254740992.0 /* 2^53: integers a double holds */

/* RFC 7518 section 3.1. */
static const struct jws_alg algs[] = {
	{ "HS256", JWS_HMAC, "SHA256", NULL, 32, 32 },
	{ "HS384", JWS_HMAC, "SHA384", NULL, 48, 48 },
	{ "HS512", JWS_HMAC, "SHA512", NULL, 64, 64 },
	{ "RS256", JWS_RSA, "SHA256", NULL, 0, 0 },
	{ "RS384", JWS_RSA, "SHA384", NULL, 0, 0 },
	{ "RS512", JWS_RSA, "SHA512", NULL, 0, 0 },
	{ "ES256", JWS_ECDSA, "SHA256", "prime256v1", 64, 0 },
	{ "ES384", JWS_ECDSA, "SHA384", "secp384r1", 96, 0 },
	{ "ES512", JWS_ECDSA, "SHA512", "secp521r1", 132, 0 },
	{ "PS256", JWS_PSS, "SHA256", NULL, 0, 0 },
	{ "PS384", JWS_PSS, "SHA384", NULL, 0, 0 },
	{ "PS512", JWS_PSS, "SHA512", NULL, 0, 0 },
	{ "EdDSA", JWS_EDDSA, NULL, NULL, 64, 0 },   /* RFC 8037 */
	{ "Ed25519", JWS_EDDSA, NULL, NULL, 64, 0 }, /* RFC 9864 */
};

/*
 * The first row that takes a token checks it. libjwt is the library for JWT,
 * but it parses as it verifies and refuses what it cannot parse: a payload
 * that is no JSON object (RFC 7515 allows any bytes), numbers beyond 64 bits,
 * and, in 1.10 though not in 1.17, the type at+jwt (RFC 9068). Nor has it
 * EdDSA, and of PS256 only 1.17 thinks that it has it. Those go to OpenSSL,
 * which sees bytes only; the last row takes everything. There is no second
 * opinion: one backend's answer is final, so a token cannot shop for the one
 * that likes it.
 */
const struct jws_backend jws_backends[JWS_BACKENDS] = {
	[JWS_BACKEND_LIBJWT] = { "libjwt", 1, 1,
	    1 << JWS_HMAC | 1 << JWS_RSA | 1 << JWS_ECDSA, jws_libjwt_matches },
	[JWS_BACKEND_EVP] = { "openssl", 0, 0, ~0u, jws_evp_matches },
};

/* RFC 7515 section 4.1.9: media types, "application/" may be left out. */
static const struct typ {
	const char *name;
	int is_jwt;
} types[] = {
	{ "JWT", 1 },
	{ "application/jwt", 0 },
	{ "at+jwt", 0 },
	{ "application/at+jwt", 0 },
};

/* Each changes what the other bytes mean (RFC 7515, 7797, 7516). */
static const char *const refused[] = { "crit", "b64", "zip" };

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const struct jws_alg *
jws_alg_find(const char *name)
{
	for (size_t i = 0; i < COUNT(algs); i++)
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

const struct jws_alg *
jws_alg_of_curve(const char *curve)
{
	for (size_t i = 0; i < COUNT(algs); i++)
		if (algs[i].curve != NULL && strcmp(algs[i].curve, curve) == 0)
			return &algs[i];
	return NULL;
}

/*
 * Keys.
 */

struct jws_key *
jws_key_alloc(void)
{
	struct jws_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		abort();
	return key;
}

struct jws_key *
jws_key_new_secret(
    const char *alg, const void *secret, size_t len, struct err *err)
{
	const struct jws_alg *row = jws_alg_find(alg);
	struct jws_key *key;

	if (row == NULL || row->kind != JWS_HMAC) {
		err_set(err, ERR_CONFIG,
		    "a secret is for HS256, HS384 or HS512, not for %s", alg);
		return NULL;
	}
	if (len < row->secret_min_bytes || len > SECRET_MAX_BYTES) {
		err_set(err, ERR_CONFIG,
		    "the secret has %zu bytes; %s takes %zu to %d", len,
		    row->name, row->secret_min_bytes, SECRET_MAX_BYTES);
		return NULL;
	}
	if (memmem(secret, len, "-----BEGIN ", 11) != NULL) {
		err_set(err, ERR_CONFIG,
		    "the secret is a PEM file, which others may have");
		return NULL;
	}
	key = jws_key_alloc();
	key->alg = row;
	key->sig_bytes = row->sig_bytes;
	key->material = malloc(len + 1);
	if (key->material == NULL)
		abort();
	memcpy(key->material, secret, len);
	key->material[len] = '\0';
	key->material_len = len;
	return key;
}

struct jws_key *
jws_key_new_pem(const char *alg, const char *pem, size_t len, struct err *err)
{
	struct jws_key *key = jws_key_alloc();

	if (jws_evp_load(key, alg, pem, len, err) < 0)
		jws_key_free(&key);
	return key;
}

void
jws_key_free(struct jws_key **key_p)
{
	struct jws_key *key = *key_p;

	if (key == NULL)
		return;
	jws_evp_unload(key);
	if (key->material != NULL)
		explicit_bzero(key->material, key->material_len);
	free(key->material);
	free(key->kid);
	free(key);
	*key_p = NULL;
}

const char *
jws_key_alg(const struct jws_key *key)
{
	return key->alg->name;
}

const char *
jws_key_kid(const struct jws_key *key)
{
	return key->kid;
}

/*
 * The front.
 */

static int
segment_decode(
    const char *text, size_t len, int number, struct buf *out, struct err *err)
{
	if (len == 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: segment %d is empty", number);
	if (b64url_decode(out, text, len) < 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: segment %d is not base64url", number);
	return 0;
}

/* out[0..2] are header, payload and signature, decoded. */
static int
token_split(struct arena *a, struct jws_parts *p, size_t len, struct buf out[3],
    struct err *err)
{
	const char *s = p->token, *end = p->token + len, *dot;

	for (int i = 0; i < 3; i++) {
		dot = memchr(s, '.', (size_t)(end - s));
		if ((dot == NULL) != (i == 2))
			return err_set(err, ERR_UNAUTHORIZED,
			    "malformed: not three segments");
		if (dot == NULL)
			dot = end;
		if (i == 1)
			p->signed_len = (size_t)(dot - p->token);
		buf_init(&out[i], a);
		if (segment_decode(s, (size_t)(dot - s), i + 1, &out[i], err) <
		    0)
			return -1;
		s = dot + 1;
	}
	return 0;
}

/* RFC 7515 section 4.1.1; case matters. */
static int
header_alg(const struct json *header, struct jws_parts *p, struct err *err)
{
	const char *name = json_get_str(header, "alg");

	if (name == NULL)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: alg is missing or no string");
	p->alg = jws_alg_find(name);
	if (p->alg == NULL)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the token's algorithm is none we know");
	p->jws.alg = p->alg->name;
	return 0;
}

static int
header_typ(const struct json *header, struct jws_parts *p, struct err *err)
{
	const struct json *member = json_get(header, "typ");
	const char *typ = json_str(member);

	p->typ_is_jwt = member == NULL;
	if (member == NULL)
		return 0;
	for (size_t i = 0; typ != NULL && i < COUNT(types); i++)
		if (strcasecmp(typ, types[i].name) == 0) {
			p->typ_is_jwt = types[i].is_jwt;
			return 0;
		}
	return err_set(err, ERR_UNAUTHORIZED, "typ is neither JWT nor at+jwt");
}

static int
header_kid(const struct json *header, struct jws_parts *p, struct err *err)
{
	const struct json *kid = json_get(header, "kid");

	p->jws.kid = json_str(kid);
	if (kid == NULL)
		return 0;
	if (p->jws.kid == NULL || strlen(p->jws.kid) > JWS_KID_MAX_BYTES)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: kid is not a string of at most %d bytes",
		    JWS_KID_MAX_BYTES);
	return 0;
}

static int
header_read(struct arena *a, const struct buf *text, struct jws_parts *p,
    struct err *err)
{
	struct json *header;
	struct err why;

	if (text->len > JWS_HEADER_MAX_BYTES)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: header of more than %d bytes",
		    JWS_HEADER_MAX_BYTES);
	header = json_parse(a, text->data, text->len, JWS_HEADER_DEPTH, &why);
	if (header == NULL)
		return err_set(
		    err, ERR_UNAUTHORIZED, "malformed header: %s", why.text);
	if (!json_is(header, JSON_OBJECT))
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: the header is no object");
	for (size_t i = 0; i < COUNT(refused); i++)
		if (json_get(header, refused[i]) != NULL)
			return err_set(err, ERR_UNAUTHORIZED,
			    "header parameter %s is not accepted", refused[i]);
	p->jws.header = header;
	if (header_alg(header, p, err) < 0 || header_typ(header, p, err) < 0)
		return -1;
	return header_kid(header, p, err);
}

/* Any bytes are a payload; a strict JSON object is kept as such too. */
static void
payload_read(struct arena *a, const struct buf *payload, struct jws_parts *p)
{
	struct json *doc;

	p->jws.payload = payload->data;
	p->jws.payload_len = payload->len;
	doc =
	    json_parse(a, payload->data, payload->len, JWS_PAYLOAD_DEPTH, NULL);
	p->jws.object = json_is(doc, JSON_OBJECT) ? doc : NULL;
}

int
jws_front(struct arena *a, const char *token, size_t len, struct jws_parts *p,
    struct err *err)
{
	struct buf segment[3];

	memset(p, 0, sizeof(*p));
	if (len == 0)
		return err_set(
		    err, ERR_UNAUTHORIZED, "malformed: the token is empty");
	if (len > JWS_TOKEN_MAX_BYTES)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the token is longer than %d bytes", JWS_TOKEN_MAX_BYTES);
	p->token = arena_memdup(a, token, len);
	if (token_split(a, p, len, segment, err) < 0 ||
	    header_read(a, &segment[0], p, err) < 0 || p->alg == NULL)
		return -1; /* alg: gcc's analyzer cannot see that it is set */
	p->sig = segment[2];
	if (p->alg->sig_bytes != 0 && p->sig.len != p->alg->sig_bytes)
		return err_set(err, ERR_UNAUTHORIZED,
		    "malformed: a signature of %zu bytes; %s has %zu",
		    p->sig.len, p->alg->name, p->alg->sig_bytes);
	payload_read(a, &segment[1], p);
	return 0;
}

int
jws_peek(struct arena *a, const char *token, size_t len, struct jws *out,
    struct err *err)
{
	struct jws_parts p;

	if (jws_front(a, token, len, &p, err) < 0)
		return -1;
	*out = p.jws;
	return 0;
}

/*
 * The choice.
 */

/*
 * 1 if all numbers in j are such as jansson, inside libjwt, takes: it refuses
 * the whole document for an integer beyond 64 bits or a real beyond a double.
 */
static int
numbers_plain(const struct json *j)
{
	int64_t i;
	double d;

	if (json_is(j, JSON_NUMBER))
		return json_int(j, &i) ||
		       (json_double(j, &d) && fabs(d) < EXACT_MAX);
	if (!json_is(j, JSON_OBJECT) && !json_is(j, JSON_ARRAY))
		return 1;
	for (j = json_first(j); j != NULL; j = json_next(j))
		if (!numbers_plain(j))
			return 0;
	return 1;
}

int
jws_backend_takes(const struct jws_backend *b, const struct jws_parts *p)
{
	if ((b->kinds >> p->alg->kind & 1) == 0 ||
	    (b->jwt_only && !p->typ_is_jwt))
		return 0;
	return !b->object_only ||
	       (p->jws.object != NULL && numbers_plain(p->jws.object) &&
		   numbers_plain(p->jws.header));
}

int
jws_key_matches(const struct jws_backend *b, const struct jws_key *key,
    const struct jws_parts *p)
{
	if (key->alg != p->alg || p->sig.len != key->sig_bytes)
		return 0;
	if (key->alg->kind == JWS_ECDSA &&
	    !jws_evp_sig_in_range(key, p->sig.data, p->sig.len))
		return 0;
	return b->matches(key, p);
}

/* 1 if a key may be tried by its name; named: how many keys have one. */
static int
kid_admits(const struct jws_key *key, const char *kid, size_t named)
{
	if (key->kid == NULL)
		return 1;
	return kid == NULL ? named == 1 : strcmp(key->kid, kid) == 0;
}

/* Why none of the keys was it. Returns -1. */
static int
refuse(const struct jws_parts *p, int admitted, int known, struct err *err)
{
	if (!admitted)
		return err_set(err, ERR_UNAUTHORIZED,
		    p->jws.kid == NULL ? "kid is missing, and there are many "
					 "keys"
				       : "no key has the token's kid");
	if (!known)
		return err_set(err, ERR_UNAUTHORIZED,
		    "algorithm %s is not accepted here", p->alg->name);
	return err_set(err, ERR_UNAUTHORIZED, "signature does not match");
}

int
jws_verify(struct arena *a, const struct jws_key *const *keys, size_t nkeys,
    const char *token, size_t len, struct jws *out, struct err *err)
{
	const struct jws_backend *b = jws_backends;
	struct jws_parts p;
	int known = 0, admitted = nkeys == 0;
	size_t named = 0;

	if (jws_front(a, token, len, &p, err) < 0)
		return -1;
	while (!jws_backend_takes(b, &p))
		b++;
	for (size_t i = 0; i < nkeys; i++)
		named += keys[i]->kid != NULL;
	for (size_t i = 0; i < nkeys; i++) {
		if (!kid_admits(keys[i], p.jws.kid, named))
			continue;
		admitted = 1;
		known |= keys[i]->alg == p.alg;
		if (jws_key_matches(b, keys[i], &p)) {
			*out = p.jws;
			return 0;
		}
	}
	return refuse(&p, admitted, known, err);
}
