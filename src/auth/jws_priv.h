/* SPDX-License-Identifier: MIT */
#ifndef AUTH_JWS_PRIV_H
#define AUTH_JWS_PRIV_H

#include <openssl/types.h>

#include "auth/jws.h"
#include "base/buf.h"

/*
 * Between the strict front (jws.c) and what does the arithmetic
 * (jws_libjwt.c, jws_evp.c). For src/auth and its tests.
 */
enum jws_kind { JWS_HMAC, JWS_RSA, JWS_ECDSA, JWS_PSS, JWS_EDDSA };

/* A row of the table of algorithms. */
struct jws_alg {
	const char *name;
	enum jws_kind kind;
	const char *hash;        /* as OpenSSL calls it; NULL: EdDSA */
	const char *curve;       /* the same; ECDSA only */
	size_t sig_bytes;        /* exactly; 0: as the modulus */
	size_t secret_min_bytes; /* HMAC only */
};

struct jws_key {
	const struct jws_alg *alg;
	char *kid;      /* NULL: it has none */
	char *material; /* the secret, or the public key in PEM; a 0 follows */
	size_t material_len;
	size_t sig_bytes;
	EVP_PKEY *pkey; /* NULL: a secret */
	BIGNUM *order;  /* ECDSA: n */
};

/* A token taken apart, and nothing of it believed yet. */
struct jws_parts {
	const struct jws_alg *alg;
	const char *token; /* a copy; a 0 byte follows */
	size_t signed_len; /* its front that is signed: header.payload */
	struct buf sig;
	int typ_is_jwt; /* typ is "JWT", or not there */
	struct jws jws;
};

/*
 * Who checks a signature, and what it can be given. matches: 1 the key signed
 * it, 0 it did not.
 */
struct jws_backend {
	const char *name;
	int object_only; /* the payload must be a JSON object, numbers plain */
	int jwt_only;    /* typ must be JWT or absent */
	unsigned kinds;  /* of algorithms: 1 << JWS_... */
	int (*matches)(const struct jws_key *key, const struct jws_parts *p);
};

enum { JWS_BACKEND_LIBJWT, JWS_BACKEND_EVP, JWS_BACKENDS };
extern const struct jws_backend jws_backends[JWS_BACKENDS];

/* A row, or NULL. Both compare exactly. */
const struct jws_alg *jws_alg_find(const char *name);
const struct jws_alg *jws_alg_of_curve(const char *curve);

/* All that can be said against a token without a key. 0 or -1. */
int jws_front(struct arena *a, const char *token, size_t len,
    struct jws_parts *p, struct err *err);

/* 1 if the backend can be given this token, else 0. */
int jws_backend_takes(const struct jws_backend *b, const struct jws_parts *p);

/*
 * 1 if key has the token's algorithm and, says this backend, signed it; else
 * 0. The shape of the signature is looked at first.
 */
int jws_key_matches(const struct jws_backend *b, const struct jws_key *key,
    const struct jws_parts *p);

/* Only after jws_front, and where the table says so: see jws_libjwt.c. */
int jws_libjwt_matches(const struct jws_key *key, const struct jws_parts *p);

/* claims (a JSON object) signed with a secret key. 0 or -1. */
int jws_libjwt_mint(struct arena *a, const struct jws_key *key,
    const char *claims, char **token_r, struct err *err);

/* Fills alg, material, sig_bytes, pkey and order of an empty key. */
int jws_evp_load(struct jws_key *key, const char *alg, const char *pem,
    size_t len, struct err *err);

/* The same with a public key that becomes key's, whatever is returned. */
int jws_evp_take(
    struct jws_key *key, const char *alg, EVP_PKEY *pkey, struct err *err);

/* An empty key; no memory aborts. */
struct jws_key *jws_key_alloc(void);
void jws_evp_unload(struct jws_key *key);
int jws_evp_matches(const struct jws_key *key, const struct jws_parts *p);

/* 1 if both halves of a raw ECDSA signature are in 1..n-1, else 0. */
int jws_evp_sig_in_range(
    const struct jws_key *key, const char *sig, size_t len);

#endif
