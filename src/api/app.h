/* SPDX-License-Identifier: MIT */
#ifndef API_APP_H
#define API_APP_H

#include <stddef.h>
#include <stdint.h>

#include "auth/identity.h"
#include "base/err.h"
#include "http/request.h"
#include "http/response.h"

struct audit;
struct conf;
struct hub;
struct keyring;
struct loop;
struct networks;
struct otlp;
struct pages;
struct runner;
struct sandbox;
struct scoreboard;
struct seats;
struct skills;
struct store;
struct token_cache;
struct templates;
struct FCGX_Request;

/* Refused requests that went to the audit log within a minute; atomic. */
struct app_refusals {
	int64_t minute, count;
};

/* What a worker is made of, for its handlers. The worker fills it in. */
struct app {
	const struct conf *conf;
	struct loop *loop;
	struct store *store;
	struct hub *hub;
	struct seats *seats; /* the loop's thread */
	struct runner *runner;
	struct pages *pages; /* the loop's thread */
	struct scoreboard *board;
	int slot;
	int archives; /* atomic; that are being sent */

	struct keyring *keyring; /* what tokens are checked with */
	struct token_cache *tokens;
	uint64_t revocations; /* atomic; that this process was told of */
	struct audit *audit;
	struct app_refusals strangers, refused; /* api/audit.c */
	int64_t refusals_left; /* atomic; of both, not yet told */
	struct templates *templates;
	struct skills *skills; /* those that templates may name */
	struct models *models;
	struct sandbox *sandbox; /* NULL: there is none */
	struct networks *status_allow;
	struct otlp *otlp; /* NULL: traces are not recorded */
};

/*
 * Makes what tokens are checked with: keyring, tokens. 0 or -1 and
 * ERR_CONFIG. app_auth_fini frees it.
 */
int app_auth_init(struct app *app, const struct conf *c, struct err *err);
void app_auth_fini(struct app *app);

/* Somebody revoked tokens: what was verified before is forgotten. */
void api_revoked(struct app *app);

/*
 * Answers a request that libfcgi has accepted, or hands it to the hub. Blocks
 * for the store, never for a model.
 */
void api_serve(struct app *app, struct FCGX_Request *fcgi);

#endif
