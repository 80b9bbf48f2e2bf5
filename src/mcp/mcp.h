/* SPDX-License-Identifier: MIT */
#ifndef MCP_MCP_H
#define MCP_MCP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mcp/catalog.h"

struct arena;
struct conf;
struct json;
struct loop;
struct sandbox;

/*
 * The client of the Model Context Protocol, revision 2025-06-18: servers that
 * are programs in an agent's sandbox, or behind a URL. All of it belongs to
 * the loop's thread, and nothing blocks.
 */
struct mcp;

/* A server as a template names it; lives as long as the templates. */
struct mcp_server {
	const char *name;
	const char *command;        /* for bash in the sandbox; or NULL */
	const struct json *network; /* hosts that it may reach; or NULL */
	const char *url;            /* or NULL */
	const char *const *headers; /* "name: value" */
	size_t header_count;
	const char *const *include; /* ends with NULL; none: all */
	const char *const *exclude;
	const char *const *read_only; /* what changes nothing */
	int64_t timeout_ms;           /* of a call */
	int64_t connect_ms;           /* until its tools are known */
};

/* NULL and err if conf's tool.networks is wrong. sandbox may be NULL. */
struct mcp *mcp_new(struct loop *l, const struct conf *c,
    struct sandbox *sandbox, struct err *err);

/* Ends what still runs. */
void mcp_free(struct mcp **m_p);

/*
 * An agent's connection to a server. It is made when it is needed, again
 * after it broke, and closed when nobody has used it for a while.
 */
struct mcp_peer;

/* The same for all that ask for it meanwhile; mcp_peer_give gives it back. */
struct mcp_peer *mcp_peer_take(struct mcp *m, const struct mcp_server *s,
    const char *user, const char *workspace);
void mcp_peer_give(struct mcp_peer **p_p);

/* What the server offers as far as is known, held for the caller; or NULL. */
struct mcp_catalog *mcp_peer_catalog(struct mcp_peer *p);

/* Why it is not connected; "" if it is, or nobody tried. */
const char *mcp_peer_trouble(const struct mcp_peer *p);

/* Somebody who waits until a peer is connected, or cannot be. */
struct mcp_wait {
	void (*on_settled)(void *ctx);
	void *ctx;
	struct mcp_wait *next, **prev;
};

/* Connects if need be. 1: on_settled will be called, 0: it is settled. */
int mcp_peer_wait(struct mcp_peer *p, struct mcp_wait *w);
void mcp_wait_cancel(struct mcp_wait *w);

/* A request to a server. */
struct mcp_call {
	/* Set by whoever starts it; must stay until its end. */
	struct arena *arena;
	const char *method;
	const char *params;      /* JSON of an object */
	const char *traceparent; /* goes along; NULL or "": none */
	void (*on_end)(void *ctx, struct mcp_call *c);
	/* How far it is, in words; or NULL. */
	void (*on_progress)(void *ctx, const char *text);
	void *ctx;

	/* How it ended: ERR_NONE and the result, in the arena; ERR_MODEL if
	 * the server said no. */
	struct err err;
	const struct json *result;

	/* The peer's. */
	struct mcp_peer *peer;
	int64_t id; /* 0: not sent yet */
	int64_t deadline_ms;
	int sent_again;
	struct mcp_call *next, **prev;
};

/* on_end comes once, perhaps before this returns. */
void mcp_call_start(struct mcp_peer *p, struct mcp_call *c);

/* Tells the server, and ends it as ERR_CANCELLED, unless it has ended. */
void mcp_call_cancel(struct mcp_call *c);

#endif
