/* SPDX-License-Identifier: MIT */
/*
 * From nothing to a server whose tools are known: initialize, initialized,
 * and tools/list, page by page (MCP 2025-06-18, "Lifecycle" and "Tools").
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/mcp_priv.h"

#define PAGES_MAX 64

/* Revisions whose messages are the same, as far as this client goes. */
static const char *const revisions[] = { MCP_REVISION, "2025-11-25",
	"2025-03-26", "2024-11-05" };

static void ask_page(struct mcp_peer *p, const char *cursor);

static void
ask(struct mcp_peer *p, struct arena *a, const char *method,
    void (*on_end)(void *ctx, struct mcp_call *c))
{
	p->own = (struct mcp_call){ .arena = a,
		.method = method,
		.params = p->params,
		.on_end = on_end,
		.ctx = p };
	p->asks = 1;
	mcp_peer_ask(p, &p->own);
}

static void
fail(struct mcp_peer *p, const struct err *why, const char *what)
{
	struct err err = *why;

	if (what != NULL)
		err_set(&err, ERR_MODEL, "%s", what);
	mcp_peer_break(p, &err);
}

/* ---- its tools ---- */

static void
listed(struct mcp_peer *p)
{
	mcp_catalog_add_others(p->building, p->capabilities);
	mcp_catalog_drop(&p->catalog);
	p->catalog = p->building;
	p->building = NULL;
	mcp_known_set(p->mcp, p->catalog);
	log_info(
	    "MCP server %s: %zu tools", p->server->name, p->catalog->count);
	if (p->list_again) {
		mcp_peer_list(p);
		return;
	}
	p->state = MCP_READY;
	mcp_peer_send_waiting(p);
	mcp_peer_settle(p);
}

static void
on_page(void *ctx, struct mcp_call *c)
{
	struct mcp_peer *p = ctx;
	const char *cursor = json_get_str(c->result, "nextCursor");
	struct err err;

	p->asks = 0;
	err_clear(&err);
	if (c->err.code != ERR_NONE)
		fail(p, &c->err, NULL);
	else if (mcp_catalog_add(p->building, c->result, &err) < 0)
		fail(p, &err, NULL);
	else if (cursor != NULL && *cursor != '\0' && ++p->pages < PAGES_MAX)
		ask_page(p, cursor);
	else
		listed(p);
}

static void
ask_page(struct mcp_peer *p, const char *cursor)
{
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	if (cursor != NULL)
		json_add_str(&b, "cursor", cursor);
	json_close(&b, '}');
	if (b.len < sizeof(p->params)) {
		memcpy(p->params, buf_str(&b), b.len + 1);
		ask(p, p->list_arena, "tools/list", on_page);
	} else {
		fail(p, &p->why, "its cursor is too long");
	}
	buf_fini(&b);
}

void
mcp_peer_list(struct mcp_peer *p)
{
	if (p->asks || p->state == MCP_BREAKING) {
		p->list_again = 1;
		return;
	}
	p->list_again = 0;
	p->pages = 0;
	arena_close(&p->list_arena);
	p->list_arena = arena_open(4096);
	mcp_catalog_drop(&p->building);
	p->building = mcp_catalog_new(p->server);
	if (json_get(p->capabilities, "tools") != NULL)
		ask_page(p, NULL);
	else
		listed(p);
}

/* ---- hello ---- */

static int
is_known(const char *revision)
{
	for (size_t i = 0; i < sizeof(revisions) / sizeof(*revisions); i++)
		if (revision != NULL && strcmp(revisions[i], revision) == 0)
			return 1;
	return 0;
}

static void
on_initialized(void *ctx, struct mcp_call *c)
{
	struct mcp_peer *p = ctx;
	const char *revision = json_get_str(c->result, "protocolVersion");
	char text[120];

	p->asks = 0;
	if (c->err.code != ERR_NONE) {
		fail(p, &c->err, NULL);
		return;
	}
	if (!is_known(revision)) {
		snprintf(text, sizeof(text),
		    "it speaks revision %.20s of the protocol, "
		    "not " MCP_REVISION,
		    revision == NULL ? "?" : revision);
		fail(p, &c->err, text);
		return;
	}
	p->capabilities = json_get(c->result, "capabilities");
	if (p->link->ops->agreed != NULL)
		p->link->ops->agreed(p->link, revision);
	mcp_peer_tell(p, "notifications/initialized", NULL);
	if (p->link->ops->listen != NULL)
		p->link->ops->listen(p->link);
	mcp_peer_list(p);
}

void
mcp_peer_connect(struct mcp_peer *p)
{
	struct mcp_link base = { .host = &p->mcp->host,
		.server = p->server,
		.on_message = mcp_peer_on_message,
		.waits = mcp_peer_waits,
		.on_failed = mcp_peer_on_failed,
		.ctx = p };

	p->state = MCP_CONNECTING;
	p->list_again = 0;
	err_clear(&p->trouble);
	p->arena = arena_open(4096);
	p->link = p->server->url != NULL
		      ? mcp_http_open(&base)
		      : mcp_stdio_open(&base, p->user, p->workspace);
	snprintf(p->params, sizeof(p->params),
	    "{\"protocolVersion\":\"" MCP_REVISION "\",\"capabilities\":{},"
	    "\"clientInfo\":{\"name\":\"agent-fpm\",\"version\":\"" VERSION
	    "\"}}");
	ask(p, p->arena, "initialize", on_initialized);
}
