/* SPDX-License-Identifier: MIT */
/*
 * Who asks. A token is checked by auth/jwt, or remembered by its hash for a
 * minute; a ticket stands for a token where no header can be sent. The user
 * found here is the only one that a handler can act for.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "auth/jws.h"
#include "auth/token_cache.h"
#include "base/clk.h"
#include "base/log.h"
#include "conf/conf.h"

#define PEM_MAX_BYTES (64 * 1024)

static const char *const secret_algorithms[] = { "HS256", "HS384", "HS512" };

static const char *const public_algorithms[] = { NULL, "RS256", "RS384",
	"RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
	"EdDSA" };

static int
add_key(struct app *app, struct jws_key *key)
{
	if (key == NULL)
		return -1;
	app->keys[app->key_count++] = key;
	return 0;
}

static int
add_secret(struct app *app, const struct conf *c, struct err *err)
{
	struct buf secret;
	int rc = conf_secret(c, "jwt.secret", &secret, err);

	if (rc > 0)
		rc =
		    add_key(app, jws_key_new_secret(
				     secret_algorithms[c->jwt_secret_algorithm],
				     secret.data, secret.len, err));
	conf_wipe(&secret);
	return rc < 0 ? err_prefix(err, "jwt.secret") : 0;
}

static int
add_public_key(struct app *app, const struct conf *c, struct err *err)
{
	char pem[PEM_MAX_BYTES];
	size_t n;
	FILE *f;

	if (*c->jwt_public_key_file == '\0')
		return 0;
	f = fopen(c->jwt_public_key_file, "re");
	if (f == NULL)
		return err_set(err, ERR_CONFIG, "jwt.public_key_file: %s: %m",
		    c->jwt_public_key_file);
	n = fread(pem, 1, sizeof(pem), f);
	fclose(f);
	if (add_key(app,
		jws_key_new_pem(public_algorithms[c->jwt_public_key_algorithm],
		    pem, n, err)) < 0)
		return err_prefix(err, "jwt.public_key_file");
	return 0;
}

int
app_auth_init(struct app *app, const struct conf *c, struct err *err)
{
	app->key_count = 0;
	app->jwt = (struct jwt_options){
		.issuer = c->jwt_issuer,
		.audience = c->jwt_audience,
		.user_claim = c->jwt_user_claim,
		.tenant_claim = c->jwt_tenant_claim,
		.roles_claim = c->jwt_roles_claim,
		.role = {
			[IDENTITY_APPROVER] = c->approval_role,
			[IDENTITY_BUDGET] = c->budget_role,
			[IDENTITY_ADMIN] = c->admin_role,
		},
		.leeway_s = (int)(c->jwt_leeway_ms / 1000),
	};
	if (add_secret(app, c, err) < 0 || add_public_key(app, c, err) < 0)
		return -1;
	if (app->key_count == 0)
		return err_set(err, ERR_CONFIG,
		    "nobody could come in: set jwt.secret_file or "
		    "jwt.public_key_file, or AGENT_FPM_JWT_SECRET in the "
		    "environment");
	app->tokens = token_cache_new((size_t)c->jwt_cache);
	return 0;
}

void
app_auth_fini(struct app *app)
{
	struct jws_key *key;

	while (app->key_count > 0) {
		memcpy(&key, &app->keys[--app->key_count], sizeof(key));
		jws_key_free(&key);
	}
	token_cache_free(&app->tokens);
}

int
api_has_role(const struct api_call *c, enum identity_role role)
{
	return (c->roles >> role & 1) != 0;
}

static int
check_token(
    struct api_call *c, const char *token, struct identity *id, struct err *err)
{
	struct app *app = c->app;
	size_t len = strlen(token);
	int64_t now_s = clk_wall_ms() / 1000;

	if (token_cache_get(app->tokens, token, len, now_s, id))
		return 0;
	if (jwt_verify(c->arena, app->keys, app->key_count, &app->jwt, token,
		len, now_s, id, NULL, err) < 0)
		return -1;
	token_cache_put(app->tokens, token, len, now_s, id);
	return 0;
}

static int
check_ticket(struct api_call *c, const char *ticket, struct err *err)
{
	int rc =
	    store_ticket_use(c->app->store, c->arena, ticket, &c->user, err);

	if (rc == 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the ticket was used before, or is older than a minute");
	return rc < 0 ? -1 : 0;
}

int
api_authenticate(struct api_call *c, int ticket_allowed, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_AUTHORIZATION");
	const char *ticket =
	    ticket_allowed ? http_query(c->rq, "ticket") : NULL;
	struct identity id;

	if (h == NULL && ticket != NULL)
		return check_ticket(c, ticket, err);
	if (h == NULL || *h == '\0')
		return err_set(err, ERR_UNAUTHORIZED,
		    "no token: send the header Authorization: Bearer TOKEN");
	/* nginx joins repeated headers with a comma; no token has one. */
	if (strncasecmp(h, "Bearer ", 7) != 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the Authorization header is not Bearer and a token");
	h += 7 + strspn(h + 7, " ");
	if (check_token(c, h, &id, err) < 0)
		return -1;
	c->user = arena_strdup(c->arena, id.user);
	c->tenant = arena_strdup(c->arena, id.tenant);
	c->roles = id.roles;
	return 0;
}
