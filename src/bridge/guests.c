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

#include "base/loop.h"
#include "bridge/guests.h"

#define LATER_MS 500

struct guests {
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
			g->on_revoked(g->ctx);
	}
}

struct guests *
guests_new(struct loop *l)
{
	struct guests *gs = calloc(1, sizeof(*gs));

	if (gs == NULL)
		abort();
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
	free(gs);
}

void
guest_enter(struct guests *gs, struct guest *g, const char *user,
    const char *token, void (*on_revoked)(void *ctx), void *ctx)
{
	revoked_hash(user, g->user);
	snprintf(g->token, sizeof(g->token), "%s", token);
	g->revoked = 0;
	g->on_revoked = on_revoked;
	g->ctx = ctx;
	DL_APPEND(gs->all, g);
}

void
guest_leave(struct guests *gs, struct guest *g)
{
	if (g->on_revoked == NULL)
		return;
	g->on_revoked = NULL;
	DL_DELETE(gs->all, g);
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
		if (strcmp(what, "user") == 0 ? strcmp(g->user, hash) == 0
					      : strcmp(g->token, hash) == 0)
			g->revoked = 1;
	}
	loop_timer_start(gs->later, LATER_MS, 0);
}
