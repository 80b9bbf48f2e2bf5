/* SPDX-License-Identifier: MIT */
/*
 * Who asks. A token is checked by auth/jwt, an API key by auth/api_keys, or
 * remembered by its hash for a minute; a ticket stands for a token where no
 * header can be sent. The user found here is the only one that a handler can
 * act for.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "api/pages.h"
#include "api/sessions_priv.h"
#include "api/status.h"
#include "auth/jwt.h"
#include "auth/keyring.h"
#include "auth/token_cache.h"
#include "base/clk.h"
#include "conf/conf.h"
#include "http/route.h"
#include "net/address.h"
#include "store/revoked.h"
#include "store/tickets.h"

int
app_auth_init(struct app *app, const struct conf *c, struct err *err)
{
	app->keyring = keyring_new(c, err);
	if (app->keyring == NULL)
		return -1;
	app->tokens = token_cache_new((size_t)c->jwt_cache);
	return 0;
}

void
app_auth_fini(struct app *app)
{
	keyring_free(&app->keyring);
	token_cache_free(&app->tokens);
}

int
api_has_role(const struct api_call *c, enum identity_role role)
{
	return (c->roles >> role & 1) != 0;
}

int
api_check_scope(struct api_call *c, unsigned flags, struct err *err)
{
	int need = API_SCOPE(flags);

	if (need < 0)
		need = c->rq->method[0] == 'G' || c->rq->method[0] == 'H'
			   ? IDENTITY_AGENTS_READ
			   : IDENTITY_AGENTS_WRITE;
	if ((!c->app->conf->jwt_scopes && !c->scoped) ||
	    (c->scopes >> need & 1) != 0)
		return 0;
	/* RFC 6750, section 3.1 */
	http_header_add(c->rs, "WWW-Authenticate",
	    "Bearer realm=\"agent-fpm\", error=\"insufficient_scope\", "
	    "scope=\"%s\"",
	    identity_scopes[need]);
	return err_set(err, ERR_FORBIDDEN, "the token's scope does not have %s",
	    identity_scopes[need]);
}

void
api_revoked(struct app *app)
{
	__atomic_add_fetch(&app->revocations, 1, __ATOMIC_RELEASE);
}

static int
check_revoked(struct api_call *c, const char *user, const char *jti,
    int64_t issued_s, struct err *err)
{
	int rc =
	    revoked_find(c->app->store, c->arena, user, jti, issued_s, err);

	if (rc > 0)
		return err_set(err, ERR_UNAUTHORIZED, "the token was revoked");
	return rc;
}

static int
check_token(
    struct api_call *c, const char *token, struct identity *id, struct err *err)
{
	struct app *app = c->app;
	size_t len = strlen(token);
	int64_t now_s = clk_wall_ms() / 1000;
	uint64_t era = keyring_era(app->keyring) +
		       __atomic_load_n(&app->revocations, __ATOMIC_ACQUIRE);

	if (token_cache_get(app->tokens, token, len, now_s, era, id))
		return 0;
	if (keyring_verify(
		app->keyring, c->arena, token, len, now_s, id, NULL, err) < 0)
		return -1;
	if (check_revoked(c, id->user, id->jti, id->issued_s, err) < 0)
		return -1;
	token_cache_put(app->tokens, token, len, now_s, era, id);
	return 0;
}

/* The request is from whom a token or key stands for. */
static int
accept_token(struct api_call *c, const char *token, struct err *err)
{
	struct identity id;

	if (check_token(c, token, &id, err) < 0)
		return -1;
	c->user = arena_strdup(c->arena, id.user);
	c->tenant = arena_strdup(c->arena, id.tenant);
	c->roles = id.roles;
	c->scopes = id.scopes;
	c->scoped = id.scoped;
	c->jti = arena_strdup(c->arena, id.jti);
	c->expires_s = id.expires_s;
	c->issued_s = id.issued_s;
	return 0;
}

static int
check_ticket(struct api_call *c, const char *text, struct err *err)
{
	struct store_ticket ticket;
	int rc = store_ticket_use(c->app->store, c->arena, text, &ticket, err);

	if (rc == 0)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the ticket was used before, or is older than a minute");
	if (rc < 0)
		return -1;
	if (clk_wall_ms() >=
	    ticket.expires_s * 1000 + c->app->conf->jwt_leeway_ms)
		return err_set(err, ERR_UNAUTHORIZED,
		    "the token that got the ticket has expired");
	if (check_revoked(c, ticket.user, ticket.jti, ticket.issued_s, err) < 0)
		return -1;
	c->user = ticket.user;
	c->tenant = ticket.tenant;
	c->jti = ticket.jti;
	c->issued_s = ticket.issued_s;
	c->expires_s = ticket.expires_s;
	c->scopes = 1u << IDENTITY_AGENTS_READ; /* as who made it had */
	return 0;
}

int
api_authenticate(struct api_call *c, int ticket_allowed, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_AUTHORIZATION");
	const char *ticket =
	    ticket_allowed ? http_query(c->rq, "ticket") : NULL;

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
	return accept_token(c, h, err);
}

/* Where bridge.auth lets in who has no token. */
static int
be_anonymous(struct api_call *c)
{
	c->user = c->app->conf->bridge_anonymous_user;
	c->scopes = ~0u;
	c->expires_s = JWT_TIME_MAX_S;
	return 0;
}

static int
may_be_anonymous(const struct api_call *c)
{
	const char *h = http_header(c->rq, "HTTP_AUTHORIZATION");
	int64_t auth = c->app->conf->bridge_auth;

	return auth == CONF_BRIDGE_OFF ||
	       (auth == CONF_BRIDGE_OPTIONAL && (h == NULL || *h == '\0'));
}

int
api_authenticate_page(struct api_call *c, struct err *err)
{
	return may_be_anonymous(c) ? be_anonymous(c)
				   : api_authenticate(c, 0, err);
}

int
api_authenticate_session(
    struct api_call *c, int ticket_allowed, struct err *err)
{
	const char *h = http_header(c->rq, "HTTP_AUTHORIZATION");
	const char *ticket =
	    ticket_allowed ? http_query(c->rq, "ticket") : NULL;

	if (h == NULL && ticket != NULL &&
	    c->app->conf->bridge_auth != CONF_BRIDGE_OFF)
		return check_ticket(c, ticket, err);
	if (may_be_anonymous(c))
		return be_anonymous(c);
	if (h == NULL || *h == '\0')
		return err_set(
		    err, ERR_UNAUTHORIZED, "no Authorization header");
	return accept_token(c, strncmp(h, "Bearer ", 7) == 0 ? h + 7 : h, err);
}

int
api_check_admin(struct api_call *c, struct err *err)
{
	const char *from = http_header(c->rq, "REMOTE_ADDR");

	if (from != NULL && networks_contain(c->app->status_allow, from))
		return 0;
	if (http_header(c->rq, "HTTP_AUTHORIZATION") == NULL)
		return err_set(err, ERR_FORBIDDEN,
		    "neither an address of status.allow nor a token");
	if (api_authenticate(c, 0, err) < 0)
		return -1;
	if (!api_has_role(c, IDENTITY_ADMIN))
		return err_set(
		    err, ERR_FORBIDDEN, "the token has not the admin.role");
	return api_check_scope(c, c->route->flags, err);
}
