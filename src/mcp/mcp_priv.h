/* SPDX-License-Identifier: MIT */
#ifndef MCP_MCP_PRIV_H
#define MCP_MCP_PRIV_H

#include <uthash.h>

#include "base/loop.h"
#include "mcp/link.h"
#include "mcp/mcp.h"
#include "mcp/message.h"

struct mcp {
	struct mcp_link_host host;
	struct networks *networks;
	struct mcp_peer *peers;
	struct mcp_known *known;
	struct loop_timer *check;
	int64_t idle_ms;
};

/* What a server offered last, to whomever. */
struct mcp_known {
	const struct mcp_server *server;
	struct mcp_catalog *catalog;
	UT_hash_handle hh;
};

enum mcp_state {
	MCP_CLOSED,
	MCP_CONNECTING, /* until its tools are known */
	MCP_READY,
	MCP_BREAKING /* closed at the end of the tick */
};

struct mcp_peer {
	struct mcp *mcp;
	const struct mcp_server *server;
	char *key, *user, *workspace;
	int users;
	enum mcp_state state;
	struct mcp_link *link;
	struct loop_deferred breaking;
	struct err why;     /* it breaks */
	struct err trouble; /* why it is not connected */
	int64_t retry_ms;   /* not before */
	int64_t used_ms;
	int64_t last_id;
	struct mcp_wait *waits;
	struct mcp_call *calls;

	/* Of a connection. */
	struct arena *arena, *list_arena;
	const struct json *capabilities;
	struct mcp_call own; /* the peer's request: initialize, tools/list */
	char params[600];
	int asks, pages;
	int list_again; /* it changed meanwhile */
	struct mcp_catalog *catalog, *building;
	UT_hash_handle hh;
};

/* ---- peer.c ---- */

/* What is late ends; 1 if nobody needs the peer any more. */
int mcp_peer_check(struct mcp_peer *p, int64_t now_ms);
void mcp_peer_free(struct mcp_peer *p);

/* ---- connect.c ---- */

/* Opens the connection and learns what the server offers. */
void mcp_peer_connect(struct mcp_peer *p);

/* Learns that again. */
void mcp_peer_list(struct mcp_peer *p);

/* ---- both ---- */

/* It is closed at the end of the tick; the first reason counts. */
void mcp_peer_break(struct mcp_peer *p, const struct err *why);

/* Its tools are known, or there is no connection: tells who waits. */
void mcp_peer_settle(struct mcp_peer *p);

/* Sends a request now, whatever the state. */
void mcp_peer_ask(struct mcp_peer *p, struct mcp_call *c);
void mcp_peer_tell(struct mcp_peer *p, const char *method, const char *params);
void mcp_peer_send_waiting(struct mcp_peer *p);

/* What came of the link. */
void mcp_peer_on_message(void *ctx, const char *text, size_t len);
int mcp_peer_waits(void *ctx, int64_t id);
void mcp_peer_on_failed(void *ctx, int64_t id, const struct err *why);

/* ---- mcp.c ---- */
struct mcp_catalog *mcp_known_find(struct mcp *m, const struct mcp_server *s);
void mcp_known_set(struct mcp *m, struct mcp_catalog *c);

#endif
