/* SPDX-License-Identifier: MIT */
#ifndef AUTH_JWK_H
#define AUTH_JWK_H

#include <stddef.h>

struct err;
struct jws_key;

/* Sets of keys: JWK Set (RFC 7517 section 5). */
#define JWKS_MAX_BYTES 65536
#define JWKS_KEYS_MAX 64

struct jwks {
	struct jws_key *key[JWKS_KEYS_MAX];
	size_t count;
};

/*
 * The keys of a set that are for signatures and for one of the algorithms (a
 * list of words; "": all we have); others are passed over, as a set may have
 * keys to encrypt with. secrets: it may have keys "oct", and then no others.
 * 0 and *out, at least one key, which jwks_clear frees. -1 and ERR_CONFIG if
 * it is no set of at most JWKS_MAX_BYTES and JWKS_KEYS_MAX keys, has private
 * keys, two of one kind and name, or none that could be used: why the last was
 * not.
 */
int jwks_read(const char *text, size_t len, int secrets, const char *algorithms,
    struct jwks *out, struct err *err);

void jwks_clear(struct jwks *set);

#endif
