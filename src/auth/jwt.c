/* SPDX-License-Identifier: MIT */
/*
 * Claims. jws.c has said that the bytes are genuine and, if they are a strict
 * JSON object, has parsed them; this file says whether they let somebody in.
 * libjwt has no part in it: 1.10 has no claim checks at all.
 *
 * The order is that of usefulness to who reads the log: dates first, because
 * an expired token is the daily case, then for whom and from whom, then who.
 * A claim of the wrong type is refused, never taken for absent. The reason is
 * for the log; every refusal is the same 401 to the client.
 *
 * Times are compared as doubles: RFC 7519 allows fractions, and up to the
 * year 9999 a double is exact to less than a millisecond.
 */
#include "config.h"

#include <math.h>
#include <string.h>

#include "auth/jws.h"
#include "auth/jws_priv.h"
#include "auth/jwt.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"

const char *const identity_scopes[IDENTITY_SCOPES] = { "agents:read",
	"agents:write", "chat", "approvals", "files:read", "files:write" };

struct check {
	const struct json *claims;
	const struct jwt_options *options;
	int64_t now_s;
	struct identity *out;
};

static int
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* 1 and a time, 0 if there is none, -1 if it is not a NumericDate. */
static int
claim_time(const struct json *claims, const char *name, double *time_r,
    struct err *err)
{
	const struct json *j = json_get(claims, name);

	if (j == NULL)
		return 0;
	if (!json_double(j, time_r) || *time_r < 0 ||
	    *time_r > (double)JWT_TIME_MAX_S)
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim %s is not a time before the year 10000", name);
	return 1;
}

/* RFC 7519 section 4.1.4. */
static int
check_exp(const struct check *c, struct err *err)
{
	const struct jwt_options *o = c->options;
	double exp, now = (double)c->now_s;
	int rc = claim_time(c->claims, "exp", &exp, err);

	if (rc == 0)
		return err_set(err, ERR_UNAUTHORIZED, "claim exp is missing");
	if (rc < 0)
		return -1;
	if (now >= exp + o->leeway_s)
		return err_set(err, ERR_UNAUTHORIZED,
		    "token expired %.0f s ago", floor(now - exp));
	if (o->lifetime_max_s > 0 && exp - now > (double)o->lifetime_max_s)
		return err_set(err, ERR_UNAUTHORIZED,
		    "token is valid for %.0f s more; %lld are accepted",
		    floor(exp - now), (long long)o->lifetime_max_s);
	c->out->expires_s = (int64_t)floor(exp);
	return 0;
}

/* 0 if the claim is absent or a time that has come. */
static int
check_past(
    const struct check *c, const char *name, const char *what, struct err *err)
{
	double when, now = (double)c->now_s;
	int rc = claim_time(c->claims, name, &when, err);

	if (rc <= 0)
		return rc;
	if (when > now + c->options->leeway_s)
		return err_set(err, ERR_UNAUTHORIZED,
		    "token is %s %.0f s from now", what, ceil(when - now));
	return 0;
}

/* RFC 7519 section 4.1.5. */
static int
check_nbf(const struct check *c, struct err *err)
{
	return check_past(c, "nbf", "valid only", err);
}

/* RFC 7519 section 4.1.6; that it has to be past is our rule. */
static int
check_iat(const struct check *c, struct err *err)
{
	double when = 0;

	if (claim_time(c->claims, "iat", &when, err) < 0)
		return -1;
	c->out->issued_s = (int64_t)floor(when);
	return check_past(c, "iat", "issued", err);
}

/* RFC 7519 section 4.1.1; no normalization, as section 2 says. */
static int
check_iss(const struct check *c, struct err *err)
{
	const struct json *iss = json_get(c->claims, "iss");

	if (!is_set(c->options->issuer))
		return 0;
	if (iss == NULL)
		return err_set(err, ERR_UNAUTHORIZED, "claim iss is missing");
	if (!json_is(iss, JSON_STRING) ||
	    strcmp(json_str(iss), c->options->issuer) != 0)
		return err_set(err, ERR_UNAUTHORIZED, "wrong issuer");
	return 0;
}

/* 1 ours is among them, 0 it is not, -1 not an array of strings. */
static int
audience_has(const struct json *aud, const char *ours)
{
	int found = 0;

	if (json_is(aud, JSON_STRING))
		return strcmp(json_str(aud), ours) == 0;
	if (!json_is(aud, JSON_ARRAY))
		return -1;
	for (aud = json_first(aud); aud != NULL; aud = json_next(aud)) {
		if (!json_is(aud, JSON_STRING))
			return -1;
		found |= strcmp(json_str(aud), ours) == 0;
	}
	return found;
}

/* RFC 7519 section 4.1.3. */
static int
check_aud(const struct check *c, struct err *err)
{
	const struct json *aud = json_get(c->claims, "aud");
	int rc;

	if (!is_set(c->options->audience))
		return 0;
	if (aud == NULL)
		return err_set(err, ERR_UNAUTHORIZED, "claim aud is missing");
	rc = audience_has(aud, c->options->audience);
	if (rc < 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim aud is neither a string nor an array of strings");
	if (rc == 0)
		return err_set(err, ERR_UNAUTHORIZED, "wrong audience");
	return 0;
}

static int
is_printable(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x21 || *s > 0x7e)
			return 0;
	return 1;
}

/* Appends a name to the issuer's prefix. 0, or -1: it is none, or too long. */
static int
name_fill(const struct check *c, const char *name, char *out, size_t size)
{
	const char *prefix =
	    c->options->user_prefix == NULL ? "" : c->options->user_prefix;

	size_t n = strlen(prefix), len = strlen(name);

	if (len == 0 || !is_printable(name) || n + len >= size)
		return -1;
	memcpy(out, prefix, n);
	memcpy(out + n, name, len + 1);
	return 0;
}

static int
check_user(const struct check *c, struct err *err)
{
	const char *name =
	    is_set(c->options->user_claim) ? c->options->user_claim : "sub";
	const struct json *j = json_get(c->claims, name);
	const char *user = json_str(j);

	if (j == NULL)
		return err_set(
		    err, ERR_UNAUTHORIZED, "claim %s is missing", name);
	if (user == NULL)
		return err_set(
		    err, ERR_UNAUTHORIZED, "claim %s is not a string", name);
	if (!is_printable(user))
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim %s is not printable ASCII without spaces", name);
	if (name_fill(c, user, c->out->user, sizeof(c->out->user)) < 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim %s is empty or longer than %d bytes", name,
		    IDENTITY_USER_MAX_BYTES);
	return 0;
}

static int
check_tenant(const struct check *c, struct err *err)
{
	const char *name = c->options->tenant_claim;
	const struct json *j = is_set(name) ? json_get(c->claims, name) : NULL;
	const char *tenant = json_str(j);

	if (j == NULL || (tenant != NULL && *tenant == '\0'))
		return 0;
	if (tenant == NULL ||
	    name_fill(c, tenant, c->out->tenant, sizeof(c->out->tenant)) < 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim %s is no text of at most %d printable ASCII "
		    "characters without spaces",
		    name, IDENTITY_TENANT_MAX_BYTES);
	return 0;
}

/* RFC 7519 section 4.1.7: by which one token can be revoked. */
static int
check_jti(const struct check *c, struct err *err)
{
	const struct json *j = json_get(c->claims, "jti");
	const char *jti = json_str(j);

	if (j == NULL)
		return 0;
	if (jti == NULL || *jti == '\0' || !is_printable(jti) ||
	    strlen(jti) > IDENTITY_JTI_MAX_BYTES)
		return err_set(err, ERR_UNAUTHORIZED,
		    "claim jti is no text of 1 to %d printable ASCII "
		    "characters without spaces",
		    IDENTITY_JTI_MAX_BYTES);
	memcpy(c->out->jti, jti, strlen(jti) + 1);
	return 0;
}

/* A claim, or a member of one: realm_access.roles. NULL: it is not there. */
static const struct json *
claim_at(const struct json *claims, const char *path)
{
	const struct json *j = json_get(claims, path);
	const char *dot = strchr(path, '.');
	char name[64];

	if (j != NULL || dot == NULL || (size_t)(dot - path) >= sizeof(name))
		return j;
	memcpy(name, path, (size_t)(dot - path));
	name[dot - path] = '\0';
	return json_get(json_get(claims, name), dot + 1);
}

/* Whether a claim, a list or words of a text, names one. */
static int
has_name(const struct json *claim, const char *name)
{
	const struct json *e =
	    json_is(claim, JSON_ARRAY) ? json_first(claim) : NULL;

	if (json_str(claim) != NULL)
		return words_have(json_str(claim), name);
	for (; e != NULL; e = json_next(e))
		if (json_str(e) != NULL && strcmp(json_str(e), name) == 0)
			return 1;
	return 0;
}

/* Never an error: who has no role has none. */
static int
check_roles(const struct check *c, struct err *err)
{
	const char *const *role = c->options->role;
	const struct json *claim;

	(void)err;
	if (!is_set(c->options->roles_claim))
		return 0;
	claim = claim_at(c->claims, c->options->roles_claim);
	for (int i = 0; i < IDENTITY_ROLES; i++)
		if (is_set(role[i]) && has_name(claim, role[i]))
			c->out->roles |= 1u << i;
	return 0;
}

/* RFC 8693 section 4.2; some issuers call it scp. Never an error. */
static int
check_scopes(const struct check *c, struct err *err)
{
	const struct json *claim = json_get(c->claims, "scope");

	(void)err;
	if (claim == NULL)
		claim = json_get(c->claims, "scp");
	for (int i = 0; i < IDENTITY_SCOPES; i++)
		if (has_name(claim, identity_scopes[i]))
			c->out->scopes |= 1u << i;
	return 0;
}

static int (*const checks[])(const struct check *, struct err *) = {
	check_exp,
	check_nbf,
	check_iat,
	check_aud,
	check_iss,
	check_user,
	check_tenant,
	check_jti,
	check_roles,
	check_scopes,
};

/* Why a payload is not a strict JSON object. Returns -1. */
static int
payload_refuse(struct arena *a, const struct jws *jws, struct err *err)
{
	struct err why;

	if (json_parse(a, jws->payload, jws->payload_len, JWS_PAYLOAD_DEPTH,
		&why) == NULL)
		return err_set(
		    err, ERR_UNAUTHORIZED, "malformed claims: %s", why.text);
	return err_set(
	    err, ERR_UNAUTHORIZED, "malformed: the claims are no object");
}

int
jwt_verify(struct arena *a, const struct jws_key *const *keys, size_t nkeys,
    const struct jwt_options *options, const char *token, size_t len,
    int64_t now_s, struct identity *out, const struct json **claims_r,
    struct err *err)
{
	struct identity id = { 0 };
	struct check c = { NULL, options, now_s, &id };
	struct jws jws;

	if (jws_verify(a, keys, nkeys, token, len, &jws, err) < 0)
		return -1;
	if (jws.object == NULL)
		return payload_refuse(a, &jws, err);
	c.claims = jws.object;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i](&c, err) < 0)
			return -1;
	*out = id;
	if (claims_r != NULL)
		*claims_r = jws.object;
	return 0;
}

int
jwt_mint(struct arena *a, const struct jws_key *key, const char *claims_json,
    char **token_r, struct err *err)
{
	struct json *claims;
	char *token;

	if (key->alg->kind != JWS_HMAC)
		return err_set(err, ERR_CONFIG,
		    "a public key cannot sign; %s needs its private half",
		    key->alg->name);
	claims = json_parse(
	    a, claims_json, strlen(claims_json), JWS_PAYLOAD_DEPTH, err);
	if (claims == NULL)
		return err_prefix(err, "claims");
	if (!json_is(claims, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "claims are no JSON object");
	if (jws_libjwt_mint(a, key, claims_json, &token, err) < 0)
		return -1;
	if (strlen(token) > JWS_TOKEN_MAX_BYTES)
		return err_set(err, ERR_TOO_LARGE,
		    "the token would be longer than %d bytes",
		    JWS_TOKEN_MAX_BYTES);
	*token_r = token;
	return 0;
}
