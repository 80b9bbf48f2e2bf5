/* SPDX-License-Identifier: MIT */
#ifndef AUTH_IDENTITY_H
#define AUTH_IDENTITY_H

#include <stdint.h>

#define IDENTITY_USER_MAX_BYTES 255
#define IDENTITY_TENANT_MAX_BYTES 127
#define IDENTITY_JTI_MAX_BYTES 127

/* What a user may do for others: bits of identity.roles. */
enum identity_role {
	IDENTITY_APPROVER, /* answers questions of the tenant's agents */
	IDENTITY_BUDGET,   /* lets the tenant's turns pass their budgets */
	IDENTITY_ADMIN,    /* sees and does what concerns the whole pool */
	IDENTITY_ROLES
};

/* What a token may be used for: bits of identity.scopes (RFC 6749 section
 * 3.3). identity_scopes has their names. */
enum identity_scope {
	IDENTITY_AGENTS_READ,
	IDENTITY_AGENTS_WRITE,
	IDENTITY_CHAT,
	IDENTITY_APPROVALS,
	IDENTITY_FILES_READ,
	IDENTITY_FILES_WRITE,
	IDENTITY_SCOPES
};
extern const char *const identity_scopes[IDENTITY_SCOPES];

/*
 * Who a request is from, as its token proved. The user is printable ASCII
 * without spaces (0x21 to 0x7e), 1 to 255 bytes, so it can stand in a log
 * line as it is.
 * So may the tenant and the token itself, if the token names them.
 */
struct identity {
	char user[IDENTITY_USER_MAX_BYTES + 1];
	char tenant[IDENTITY_TENANT_MAX_BYTES + 1]; /* "": none */
	unsigned roles, scopes;                     /* 1 << IDENTITY_... */
	int scoped; /* the scopes count, even where tokens' do not */
	char jti[IDENTITY_JTI_MAX_BYTES + 1]; /* the token's name; "": none */
	int64_t expires_s;                    /* wall clock, Unix time */
	int64_t issued_s;                     /* 0: not said */
};

#endif
