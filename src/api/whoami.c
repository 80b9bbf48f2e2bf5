/* SPDX-License-Identifier: MIT */
/* /api/whoami: who a token is of, for those that cannot look into it. */
#include "config.h"

#include "api/api_priv.h"
#include "auth/identity.h"
#include "store/revoked.h"

static const char *const role_names[IDENTITY_ROLES] = {
	[IDENTITY_APPROVER] = "approver",
	[IDENTITY_BUDGET] = "budget",
	[IDENTITY_ADMIN] = "admin",
};

int
whoami_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	char hash[REVOKED_HASH_SIZE];

	(void)err;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_add_str(b, "user", c->user);
	if (*c->tenant != '\0')
		json_add_str(b, "tenant", c->tenant);
	json_open(b, "roles", '[');
	for (int i = 0; i < IDENTITY_ROLES; i++)
		if (api_has_role(c, (enum identity_role)i))
			json_add_str(b, NULL, role_names[i]);
	json_close(b, ']');
	if (c->expires_s > 0)
		json_add_int(b, "expires", c->expires_s);
	if (*c->jti != '\0') {
		revoked_hash(c->jti, hash);
		json_add_str(b, "tokenHash", hash);
	}
	buf_putc(b, '}');
	return 0;
}
