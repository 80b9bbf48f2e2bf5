/* SPDX-License-Identifier: MIT */
/* The connections of a process to MCP servers, and who may use them. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "mcp/mcp_priv.h"
#include "net/address.h"
#include "net/fetch.h"

#define CHECK_EVERY_MS 250
#define PEERS_MAX 256 /* with those that nobody uses now */

/* ---- what servers offer ---- */

struct mcp_catalog *
mcp_known_find(struct mcp *m, const struct mcp_server *s)
{
	struct mcp_known *k;

	HASH_FIND_PTR(m->known, &s, k);
	return k == NULL ? NULL : k->catalog;
}

void
mcp_known_set(struct mcp *m, struct mcp_catalog *c)
{
	struct mcp_known *k;

	HASH_FIND_PTR(m->known, &c->server, k);
	if (k == NULL) {
		k = calloc(1, sizeof(*k));
		if (k == NULL)
			abort();
		k->server = c->server;
		HASH_ADD_PTR(m->known, server, k);
	}
	mcp_catalog_drop(&k->catalog);
	k->catalog = mcp_catalog_hold(c);
}

/* ---- peers ---- */

static void
on_check(void *arg)
{
	struct mcp *m = arg;
	struct mcp_peer *p, *next;
	int64_t now = loop_now_ms(m->host.loop);

	HASH_ITER(hh, m->peers, p, next)
	if (mcp_peer_check(p, now)) {
		HASH_DEL(m->peers, p);
		mcp_peer_free(p);
	}
	if (m->peers == NULL)
		loop_timer_stop(m->check);
}

static void
forget_one(struct mcp *m)
{
	struct mcp_peer *p, *next;

	HASH_ITER(hh, m->peers, p, next)
	if (p->users == 0 && p->calls == NULL && p->state != MCP_BREAKING) {
		HASH_DEL(m->peers, p);
		mcp_peer_free(p);
		return;
	}
}

static struct mcp_peer *
peer_new(struct mcp *m, const struct mcp_server *s, const char *user,
    const char *workspace, const char *key)
{
	struct mcp_peer *p = calloc(1, sizeof(*p));

	if (HASH_COUNT(m->peers) >= PEERS_MAX)
		forget_one(m);
	if (p == NULL)
		abort();
	p->mcp = m;
	p->server = s;
	p->key = strdup(key);
	p->user = strdup(user);
	p->workspace = strdup(workspace);
	if (p->key == NULL || p->user == NULL || p->workspace == NULL)
		abort();
	if (m->peers == NULL)
		loop_timer_start(m->check, CHECK_EVERY_MS, CHECK_EVERY_MS);
	HASH_ADD_STR(m->peers, key, p);
	return p;
}

struct mcp_peer *
mcp_peer_take(struct mcp *m, const struct mcp_server *s, const char *user,
    const char *workspace)
{
	struct mcp_peer *p;
	struct buf key;

	buf_init(&key, NULL);
	buf_printf(&key, "%p %s %s", (const void *)s, workspace, user);
	HASH_FIND_STR(m->peers, buf_str(&key), p);
	if (p == NULL)
		p = peer_new(m, s, user, workspace, buf_str(&key));
	buf_fini(&key);
	p->users++;
	return p;
}

void
mcp_peer_give(struct mcp_peer **p_p)
{
	struct mcp_peer *p = *p_p;

	*p_p = NULL;
	if (p == NULL)
		return;
	p->users--;
	p->used_ms = loop_now_ms(p->mcp->host.loop);
}

/* ---- all of it ---- */

struct mcp *
mcp_new(struct loop *l, const struct conf *c, struct sandbox *sandbox,
    struct err *err)
{
	struct mcp *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->networks = networks_parse(c->tool_networks, err);
	if (m->networks == NULL) {
		err_prefix(err, "tool.networks");
		free(m);
		return NULL;
	}
	m->idle_ms = c->mcp_idle_timeout_ms;
	m->host.loop = l;
	m->host.sandbox = sandbox;
	m->host.networks = m->networks;
	m->host.fetcher = fetcher_new(l);
	m->check = loop_timer_new(l, "mcp check", on_check, m);
	return m;
}

void
mcp_free(struct mcp **m_p)
{
	struct mcp *m = *m_p;
	struct mcp_peer *p, *next;
	struct mcp_known *k, *next_k;

	if (m == NULL)
		return;
	*m_p = NULL;
	HASH_ITER(hh, m->peers, p, next)
	{
		HASH_DEL(m->peers, p);
		mcp_peer_free(p);
	}
	HASH_ITER(hh, m->known, k, next_k)
	{
		HASH_DEL(m->known, k);
		mcp_catalog_drop(&k->catalog);
		free(k);
	}
	fetcher_free(&m->host.fetcher);
	networks_free(&m->networks);
	loop_timer_free(&m->check);
	free(m);
}
