/* SPDX-License-Identifier: MIT */
#ifndef AUTH_JWS_H
#define AUTH_JWS_H

#include <stddef.h>

struct arena;
struct err;
struct json;

/*
 * Signed tokens: JWS compact serialization (RFC 7515), read strictly and
 * checked with keys that are each good for one algorithm only. HS256/384/512,
 * RS256/384/512, PS256/384/512, ES256/384/512 (RFC 7518 section 3.1), and
 * EdDSA with Ed25519 (RFC 8037), which is called Ed25519 too (RFC 9864).
 */
#define JWS_TOKEN_MAX_BYTES 8192
#define JWS_HEADER_MAX_BYTES 2048
#define JWS_KID_MAX_BYTES 128
#define JWS_HEADER_DEPTH 8
#define JWS_PAYLOAD_DEPTH 16

/* Immutable once made, so any number of threads may verify with it. */
struct jws_key;

/* What a verified token says. All of it is the arena's, or static. */
struct jws {
	const char *alg;
	const char *kid; /* NULL: not there */
	const struct json *header;
	const char *payload; /* a 0 byte follows */
	size_t payload_len;
	const struct json *object; /* the payload, if it is a JSON object */
};

/*
 * A key for HS256, HS384 or HS512 from len bytes, which are copied: 32, 48 or
 * 64 at least (RFC 7518 section 3.2), 4096 at most, and no PEM. NULL and
 * ERR_CONFIG if it is none.
 */
struct jws_key *jws_key_new_secret(
    const char *alg, const void *secret, size_t len, struct err *err);

/*
 * A key from one PEM block "PUBLIC KEY" of len bytes, 16 KB at most: RSA of
 * 2048 to 8192 bits for alg RS256 (also where alg is NULL), another RS or a PS;
 * EC P-256, P-384 or P-521 for ES256, ES384, ES512, where alg is NULL or that
 * very one; Ed25519 for EdDSA (also where alg is NULL) or Ed25519. NULL and
 * ERR_CONFIG if it is none.
 */
struct jws_key *jws_key_new_pem(
    const char *alg, const char *pem, size_t len, struct err *err);

/*
 * A key from a JWK (RFC 7517): oct, RSA, EC or OKP, by the same rules, for its
 * alg or, where it names none, for HS256, RS256, its curve's or EdDSA. Its
 * private members, if it has any, are not looked at. NULL and ERR_CONFIG if it
 * is none, or not for signatures by what its use and key_ops say.
 */
struct jws_key *jws_key_new_jwk(const struct json *jwk, struct err *err);

/* Wipes and frees it. */
void jws_key_free(struct jws_key **key_p);

/* The one algorithm it is good for; how its set calls it, or NULL. */
const char *jws_key_alg(const struct jws_key *key);
const char *jws_key_kid(const struct jws_key *key);

/*
 * 0 if one of the keys has the token's algorithm and signed it; *out is then
 * filled. A key with a kid is tried only on tokens that name it, or, if it is
 * the one with a kid among the keys, that name none. -1 and ERR_UNAUTHORIZED,
 * with a reason that holds nothing of the token, if not: *out is left alone.
 * Computes for up to some milliseconds, waits for nothing. RFC 7515
 * section 5.2; of its header parameters crit, b64 and zip are refused, jwk,
 * jku, x5u and x5c are never looked at.
 */
int jws_verify(struct arena *a, const struct jws_key *const *keys, size_t nkeys,
    const char *token, size_t len, struct jws *out, struct err *err);

/*
 * What a token says, its signature not looked at: for the choice of keys, and
 * nothing else. *out as above. 0, or -1 and ERR_UNAUTHORIZED.
 */
int jws_peek(struct arena *a, const char *token, size_t len, struct jws *out,
    struct err *err);

#endif
