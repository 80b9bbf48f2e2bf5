/* SPDX-License-Identifier: MIT */
/*
 * Issuers: who else may sign, and whom they may sign for.
 *
 * The claim iss says whose keys a token is checked with, so that the keys of
 * one issuer are never good for the tokens of another. A user is a name, so
 * issuers could speak for each other's users; that is why what they call
 * their users gets the issuer's own prefix, and nobody else's tokens may name
 * a user with it. No prefix begins with another one: NAME's a:b would be the
 * user b of a.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/issuer.h"
#include "auth/jwks_source.h"
#include "base/err.h"
#include "conf/conf.h"

void
issuer_roles(struct jwt_options *o, const struct conf *c)
{
	o->role[IDENTITY_APPROVER] = c->approval_role;
	o->role[IDENTITY_BUDGET] = c->budget_role;
	o->role[IDENTITY_ADMIN] = c->admin_role;
}

static void
options_fill(struct issuer *is, const struct conf *c)
{
	const struct conf_issuer *ic = is->conf;

	is->options = (struct jwt_options){
		.issuer = ic->issuer,
		.audience =
		    strcmp(ic->audience, "*") == 0 ? NULL : ic->audience,
		.user_claim = ic->user_claim,
		.user_prefix = is->prefix,
		.tenant_claim = ic->tenant_claim,
		.roles_claim = ic->roles_claim,
		.leeway_s = (int)(c->jwt_leeway_ms / 1000),
	};
	issuer_roles(&is->options, c);
}

static int
prefix_fill(struct issuer *is, struct err *err)
{
	const char *set = is->conf->user_prefix;

	if (strcmp(set, "none") == 0)
		return 0;
	for (const char *p = set; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e || strlen(set) > 64)
			return err_set(err, ERR_CONFIG,
			    "user_prefix is not 1 to 64 printable ASCII "
			    "characters without spaces");
	if (*set != '\0')
		snprintf(is->prefix, sizeof(is->prefix), "%s", set);
	else
		snprintf(
		    is->prefix, sizeof(is->prefix), "%s:", is->conf->label);
	return 0;
}

/* What a section must have. */
static int
conf_check(const struct conf *c, const struct conf_issuer *ic, struct err *err)
{
	if (*ic->issuer == '\0')
		return err_set(err, ERR_CONFIG,
		    "set issuer to what the claim iss of its tokens is");
	if (*ic->audience == '\0')
		return err_set(err, ERR_CONFIG,
		    "set audience to what its tokens for this server have in "
		    "aud: else any token of its users would be good here");
	if (strcmp(ic->issuer, c->jwt_issuer) == 0)
		return err_set(err, ERR_CONFIG,
		    "jwt.issuer is the same; keep one of them");
	if (*ic->jwks_file != '\0' && *ic->jwks_url != '\0')
		return err_set(err, ERR_CONFIG,
		    "it has jwks_file and jwks_url; keep one of them");
	if (*ic->jwks_file != '\0')
		return 0;
	return jwks_url_check(
	    *ic->jwks_url != '\0' ? ic->jwks_url : ic->issuer, err);
}

/* What issuers must not have in common. */
static int
pair_check(const struct issuer *a, const struct issuer *b, struct err *err)
{
	size_t n = strlen(a->prefix), m = strlen(b->prefix);

	if (strcmp(a->conf->issuer, b->conf->issuer) == 0)
		return err_set(err, ERR_CONFIG,
		    "[issuer %s] has the same issuer; keep one of them",
		    b->conf->label);
	if (n > 0 && m > 0 && n != m &&
	    strncmp(a->prefix, b->prefix, n < m ? n : m) == 0)
		return err_set(err, ERR_CONFIG,
		    "its user_prefix and that of [issuer %s] begin alike, so "
		    "their users could be taken for each other",
		    b->conf->label);
	return 0;
}

static int
issuer_init(struct issuer *is, const struct conf *c, struct err *err)
{
	if (conf_check(c, is->conf, err) < 0 || prefix_fill(is, err) < 0)
		return -1;
	options_fill(is, c);
	if (*is->conf->jwks_file == '\0')
		return 0;
	is->keys = keyset_load_jwks(
	    is->conf->jwks_file, is->conf->algorithms, &is->files, err);
	return is->keys == NULL ? -1 : 0;
}

int
issuers_new(const struct conf *c, struct keyring *r, struct issuer **list_r,
    size_t *count_r, struct err *err)
{
	struct issuer *list = calloc(c->issuer_count + 1, sizeof(*list)), *is;
	const struct conf_issuer *ic;
	int rc = 0;

	if (list == NULL)
		abort();
	*list_r = list;
	*count_r = 0;
	for (size_t i = 0; i < c->issuer_count && rc == 0; i++) {
		ic = &c->issuers[i];
		if (*ic->issuer == '\0' && *ic->audience == '\0')
			continue; /* a section with nothing in it */
		is = &list[(*count_r)++];
		is->conf = ic;
		is->keyring = r;
		rc = issuer_init(is, c, err);
		for (struct issuer *b = list; b < is && rc == 0; b++)
			rc = pair_check(is, b, err);
		if (rc < 0)
			err_prefix(err, "issuer %s", ic->label);
	}
	return rc;
}

void
issuers_free(struct issuer **list_p, size_t count)
{
	struct issuer *list = *list_p;

	if (list == NULL)
		return;
	*list_p = NULL;
	for (size_t i = 0; i < count; i++)
		keyset_unref(&list[i].keys);
	free(list);
}

struct issuer *
issuer_find(struct issuer *list, size_t count, const char *issuer)
{
	for (size_t i = 0; i < count && issuer != NULL; i++)
		if (strcmp(list[i].conf->issuer, issuer) == 0)
			return &list[i];
	return NULL;
}

int
issuer_owns(const struct issuer *list, size_t count, const char *name)
{
	size_t n;

	for (size_t i = 0; i < count; i++) {
		n = strlen(list[i].prefix);
		if (n > 0 && strncmp(name, list[i].prefix, n) == 0)
			return 1;
	}
	return 0;
}
