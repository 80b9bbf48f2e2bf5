/* SPDX-License-Identifier: MIT */
/*
 * libjwt, and the only file that sees its header. Built and meant for 1.10
 * (Debian 12) to 1.17 (Debian 13, Ubuntu 24.04), which share this much:
 * jwt_decode, jwt_get_alg, jwt_str_alg, jwt_free, and for minting jwt_new,
 * jwt_add_grants_json, jwt_set_alg, jwt_encode_str. 3.0 has none of it.
 *
 * What must hold before jwt_decode is called, and does after jws_front and
 * the choice in jws.c:
 *
 *   - no segment is empty: 1.10 writes a 0 byte behind malloc(0) otherwise;
 *   - the length is bounded: it copies segments to the stack;
 *   - the token's algorithm is the key's, or the token would choose it;
 *   - the payload is a JSON object, typ is JWT or absent, and no number is
 *     too big for jansson: it says EINVAL to all of these, as to a wrong
 *     signature.
 *
 * jwt_decode_2 with its key callback is never used: 1.13 to 1.17 skip the
 * callback, and so the check, for alg "none". Nothing that libjwt has parsed
 * is read but the algorithm, to see that it read what we did. Claims are ours.
 *
 * Any thread: libjwt keeps nothing between calls. It leaves its errors in
 * OpenSSL's queue of the thread, where the next TLS read would find them.
 */
#include "config.h"

#include <jwt.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jws_priv.h"
#include "base/arena.h"
#include "base/err.h"

static const unsigned char *
key_bytes(const struct jws_key *key)
{
	return (const unsigned char *)key->material;
}

int
jws_libjwt_matches(const struct jws_key *key, const struct jws_parts *p)
{
	jwt_t *jwt = NULL;
	int rc;

	rc = jwt_decode(&jwt, p->token, key_bytes(key), (int)key->material_len);
	ERR_clear_error();
	rc = rc == 0 && jwt != NULL &&
	     jwt_get_alg(jwt) == jwt_str_alg(key->alg->name);
	jwt_free(jwt);
	return rc;
}

int
jws_libjwt_mint(struct arena *a, const struct jws_key *key, const char *claims,
    char **token_r, struct err *err)
{
	char *token = NULL;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0)
		abort();
	if (jwt_add_grants_json(jwt, claims) == 0 &&
	    jwt_set_alg(jwt, jwt_str_alg(key->alg->name), key_bytes(key),
		(int)key->material_len) == 0)
		token = jwt_encode_str(jwt);
	jwt_free(jwt);
	ERR_clear_error();
	if (token == NULL)
		return err_set(
		    err, ERR_INVALID, "libjwt does not sign these claims");
	*token_r = arena_strdup(a, token);
	free(token);
	return 0;
}
