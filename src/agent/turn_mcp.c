/* SPDX-License-Identifier: MIT */
/*
 * The MCP servers that a turn's agent has tools of. Before its first step the
 * turn waits until it is known what they offer, if nobody knows yet; a server
 * that is not reached makes its tools missing, or their calls fail, and the
 * turn goes on.
 *
 * All is the turn's arena's: what was held is given back when that is reset.
 */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "agent/turn_mcp.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/mcp.h"

struct turn_mcp {
	struct turn *turn;
	struct toolset_server *servers;
	struct mcp_wait *waits;
	int *asked;
	size_t count;
};

static void
on_settled(void *ctx)
{
	struct turn_mcp *m = ctx;

	turn_wake(m->turn, TURN_CONNECT);
}

/* ---- what is given back ---- */

static void
give_peer(void *p)
{
	struct mcp_peer *peer = p;

	mcp_peer_give(&peer);
}

static void
drop_catalog(void *p)
{
	struct mcp_catalog *c = p;

	mcp_catalog_drop(&c);
}

static void
cancel_wait(void *p)
{
	mcp_wait_cancel(p);
}

/* ---- which servers ---- */

static struct turn_mcp *
mcp_open(struct turn *t, const struct agent_template *at)
{
	struct turn_mcp *m = arena_new(t->arena, struct turn_mcp);
	size_t n = at->mcp_server_count;

	*m = (struct turn_mcp){ .turn = t };
	m->servers = arena_alloc(t->arena, n * sizeof(*m->servers));
	m->waits = arena_alloc(t->arena, n * sizeof(*m->waits));
	m->asked = arena_alloc(t->arena, n * sizeof(*m->asked));
	memset(m->asked, 0, n * sizeof(*m->asked));
	for (size_t i = 0; i < n; i++) {
		const struct mcp_server *s = &at->mcp_servers[i];
		struct mcp_peer *p;

		if (!toolset_wants(t->arena, t->history->tools, s))
			continue;
		p = mcp_peer_take(
		    t->runner->parts.mcp, s, t->lease.user, turn_workspace(t));
		m->servers[m->count] = (struct toolset_server){ .peer = p };
		m->waits[m->count] =
		    (struct mcp_wait){ on_settled, m, NULL, NULL };
		arena_defer(t->arena, give_peer, p);
		arena_defer(t->arena, cancel_wait, &m->waits[m->count]);
		m->count++;
	}
	return m;
}

enum turn_step
turn_connect(struct turn *t, enum turn_step next)
{
	const struct agent_template *at =
	    templates_find(t->runner->parts.templates, t->history->template);

	t->mcp = NULL;
	if (at == NULL || at->mcp_server_count == 0)
		return next;
	t->after_connect = next;
	return TURN_CONNECT;
}

/* ---- what they offer ---- */

static void
show_missing(struct turn *t, const struct toolset_server *s)
{
	struct buf b;

	buf_init(&b, t->arena);
	buf_lit(&b, ",\"message\":");
	json_add_str(&b, NULL, mcp_peer_trouble(s->peer));
	journal_event(t->log, EVENT_TOOLS_UNAVAILABLE, t->step, b.data, b.len);
}

void
turn_mcp_refresh(struct turn *t)
{
	for (size_t i = 0; t->mcp != NULL && i < t->mcp->count; i++) {
		struct toolset_server *s = &t->mcp->servers[i];
		struct mcp_catalog *c = mcp_peer_catalog(s->peer);

		if (c == s->catalog) { /* which is held already */
			mcp_catalog_drop(&c);
			continue;
		}
		if (c != NULL)
			arena_defer(t->arena, drop_catalog, c);
		s->catalog = c;
		t->tools = NULL;
	}
}

const struct toolset_server *
turn_mcp_servers(const struct turn *t, size_t *n_r)
{
	*n_r = t->mcp == NULL ? 0 : t->mcp->count;
	return t->mcp == NULL ? NULL : t->mcp->servers;
}

/* 1 if it waits for one. */
static int
ask_all(struct turn_mcp *m)
{
	int waits = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (!m->asked[i]) {
			m->asked[i] = 1;
			mcp_peer_wait(m->servers[i].peer, &m->waits[i]);
		}
		waits |= m->waits[i].prev != NULL;
	}
	return waits;
}

enum turn_step
step_connect(struct turn *t)
{
	const struct agent_template *at =
	    templates_find(t->runner->parts.templates, t->history->template);

	if (t->stop != STOP_NO)
		return turn_stopped_step(t);
	if (t->mcp == NULL)
		t->mcp = mcp_open(t, at);
	if (ask_all(t->mcp))
		return TURN_WAITS;
	turn_mcp_refresh(t);
	for (size_t i = 0; i < t->mcp->count; i++)
		if (t->mcp->servers[i].catalog == NULL)
			show_missing(t, &t->mcp->servers[i]);
	return t->after_connect;
}

int
turn_mcp_stop(struct turn *t)
{
	int waited = 0;

	for (size_t i = 0; t->mcp != NULL && i < t->mcp->count; i++) {
		waited |= t->mcp->waits[i].prev != NULL;
		mcp_wait_cancel(&t->mcp->waits[i]);
	}
	return waited;
}
