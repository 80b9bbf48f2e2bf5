/* SPDX-License-Identifier: MIT */
/*
 * Guests. A client that is ended comes back at once, and the pool is asked who
 * it is; so it is ended a moment after the order, when the workers have heard
 * that too and forgotten whom they knew.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clk.h"
#include "base/loop.h"
#include "bridge/guests.h"
#include "bridge/tally.h"
#include "bridge/who.h"
#include "conf/conf.h"

#define LATER_MS 500

struct guests {
	struct loop *loop;
	const struct conf *conf;
	struct tally users;
	struct guest *all;
	struct loop_timer *later;
};

static void
on_later(void *arg)
{
	struct guests *gs = arg;
	struct guest *g, *next;

	for (g = gs->all; g != NULL; g = next) {
		next = g->next;
		if (g->revoked)
			g->calls->on_revoked(g->ctx);
	}
}

struct guests *
guests_new(struct loop *l, const struct conf *c)
{
	struct guests *gs = calloc(1, sizeof(*gs));

	if (gs == NULL)
		abort();
	gs->loop = l;
	gs->conf = c;
	gs->later = loop_timer_new(l, "revoked", on_later, gs);
	return gs;
}

void
guests_free(struct guests **gs_p)
{
	struct guests *gs = *gs_p;

	if (gs == NULL)
		return;
	*gs_p = NULL;
	loop_timer_free(&gs->later);
	tally_fini(&gs->users);
	free(gs);
}

/* ---- one of them ---- */

static void
on_expired(void *arg)
{
	struct guest *g = arg;

	g->calls->on_expired(g->ctx);
}

static void
start_expiry(struct guests *gs, struct guest *g, int64_t expires_s)
{
	int64_t left_ms;

	if (expires_s <= 0)
		return; /* it may stay for ever */
	left_ms = expires_s * 1000 + gs->conf->jwt_leeway_ms - clk_wall_ms();
	g->expiry = loop_timer_new(gs->loop, "expiry", on_expired, g);
	loop_timer_start(g->expiry, left_ms < 1 ? 1 : left_ms, 0);
}

int
guest_enter(struct guests *gs, struct guest *g, const struct who_is *is,
    const struct guest_calls *calls, void *ctx)
{
	if (!tally_take(
		&gs->users, is->user, gs->conf->bridge_connections_per_user))
		return 0;
	g->user = strdup(is->user);
	if (g->user == NULL)
		abort();
	revoked_hash(g->user, g->user_hash);
	snprintf(g->token_hash, sizeof(g->token_hash), "%s", is->token);
	g->revoked = 0;
	g->calls = calls;
	g->ctx = ctx;
	start_expiry(gs, g, is->expires_s);
	DL_APPEND(gs->all, g);
	return 1;
}

void
guest_leave(struct guests *gs, struct guest *g)
{
	if (g->user == NULL)
		return;
	DL_DELETE(gs->all, g);
	loop_timer_free(&g->expiry);
	tally_drop(&gs->users, g->user);
	free(g->user);
	g->user = NULL;
}

void
guests_order(struct guests *gs, const char *text)
{
	char hash[REVOKED_HASH_SIZE], what[8];
	struct guest *g;

	if (sscanf(text, "revoked %7s %16s", what, hash) != 2)
		return;
	DL_FOREACH(gs->all, g)
	{
		if (strcmp(what, "user") == 0
			? strcmp(g->user_hash, hash) == 0
			: strcmp(g->token_hash, hash) == 0)
			g->revoked = 1;
	}
	loop_timer_start(gs->later, LATER_MS, 0);
}
