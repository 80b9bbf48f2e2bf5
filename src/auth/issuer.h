/* SPDX-License-Identifier: MIT */
#ifndef AUTH_ISSUER_H
#define AUTH_ISSUER_H

#include <stddef.h>

#include "auth/jwt.h"
#include "auth/keyset.h"

struct conf;
struct conf_issuer;
struct jwks_source;
struct keyring;

/* Somebody else who signs: a section [issuer NAME]. */
struct issuer {
	const struct conf_issuer *conf;
	struct keyring *keyring; /* that it belongs to */
	struct jwt_options options;
	char prefix[80];     /* of its users; "" none */
	struct keyset *keys; /* below the keyring's lock; NULL: none now */
	struct keyset_files files;
	struct jwks_source *source; /* NULL: its keys are in a file */
};

/* What the roles of the configuration are called. */
void issuer_roles(struct jwt_options *o, const struct conf *c);

/*
 * The issuers of the configuration, which is looked at closely, with the keys
 * of those that have a file. 0, or -1 and ERR_CONFIG. issuers_free frees them.
 */
int issuers_new(const struct conf *c, struct keyring *r, struct issuer **list_r,
    size_t *count_r, struct err *err);
void issuers_free(struct issuer **list_p, size_t count);

/* The one of that name, or NULL. */
struct issuer *issuer_find(
    struct issuer *list, size_t count, const char *issuer);

/* 1 if a user or tenant has a name that only an issuer's may have. */
int issuer_owns(const struct issuer *list, size_t count, const char *name);

#endif
