/* SPDX-License-Identifier: MIT */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"

struct arena;
struct err;
struct json;
struct jws_key;

/*
 * JSON Web Tokens (RFC 7519): a verified signature, and claims that hold
 * here and now.
 */
#define JWT_LEEWAY_S 30               /* a good value for clocks that differ */
#define JWT_TIME_MAX_S 253402300799LL /* the last second of the year 9999 */

struct jwt_options {
	const char *issuer;     /* iss must equal it; NULL or "": unchecked */
	const char *audience;   /* aud must name it; NULL or "": unchecked */
	const char *user_claim; /* who it is; NULL or "": sub */
	/* What the names of its users and tenants begin with; NULL: nothing. */
	const char *user_prefix;
	/* Optional; NULL or "": unchecked. Who has the role, a member of the
	 * roles claim (a list, or words of a text; a.b is the member b of the
	 * claim a, if there is no claim a.b), may do what it stands for.
	 */
	const char *tenant_claim;
	const char *roles_claim;
	const char *role[IDENTITY_ROLES];
	int leeway_s;           /* how far clocks may differ */
	int64_t lifetime_max_s; /* exp at most so far ahead; 0: unchecked */
};

/*
 * 0 and *out filled if one of the keys signed the token, exp is in the future
 * (it must be there), nbf and iat, if there, are not, and iss, aud and the
 * user claim are as the options want them. Else -1 and ERR_UNAUTHORIZED, with
 * a reason that holds nothing of the token; *out is left alone. The claims
 * are the arena's; claims_r may be NULL. now_s is the wall clock. Computes
 * for up to some milliseconds, waits for nothing. RFC 7519 section 7.2,
 * RFC 8725, RFC 9068 section 4.
 */
int jwt_verify(struct arena *a, const struct jws_key *const *keys, size_t nkeys,
    const struct jwt_options *options, const char *token, size_t len,
    int64_t now_s, struct identity *out, const struct json **claims_r,
    struct err *err);

/*
 * Signs claims_json, a strict JSON object, with a secret key: for tests,
 * demos and tickets. 0 and a token that is the arena's, or -1: ERR_CONFIG for
 * a public key, ERR_REQUEST or ERR_INVALID for the claims, ERR_TOO_LARGE if
 * no verifier here would take the token.
 */
int jwt_mint(struct arena *a, const struct jws_key *key,
    const char *claims_json, char **token_r, struct err *err);

#endif
