/* SPDX-License-Identifier: MIT */
#ifndef MCP_LINK_H
#define MCP_LINK_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct fetcher;
struct loop;
struct mcp_server;
struct networks;
struct sandbox;

/*
 * How messages go to a server and come from it: by a program's standard
 * input and output in the sandbox (stdio.c), or by HTTP (http.c). The loop's
 * thread. What is called back may not close the link.
 */
struct mcp_link;

struct mcp_link_host {
	struct loop *loop;
	struct fetcher *fetcher;
	struct sandbox *sandbox; /* NULL: there is none */
	const struct networks *networks;
};

struct mcp_link_ops {
	/* Sends a message, copied. id: of the response that it wants, or 0. */
	void (*send)(struct mcp_link *l, const char *p, size_t len, int64_t id);

	/* No response to id is wanted any more; or NULL. */
	void (*drop)(struct mcp_link *l, int64_t id);

	/* The server has accepted this client, and speaks this revision; or
	 * NULL. */
	void (*agreed)(struct mcp_link *l, const char *revision);

	/* It may speak by itself from now on; or NULL. */
	void (*listen)(struct mcp_link *l);

	/* No callback comes after it. */
	void (*close)(struct mcp_link *l);
};

/* Its begin, of both kinds. */
struct mcp_link {
	const struct mcp_link_ops *ops;
	const struct mcp_link_host *host;
	const struct mcp_server *server;

	void (*on_message)(void *ctx, const char *text, size_t len);

	/* 1 while a response to id is missing. */
	int (*waits)(void *ctx, int64_t id);

	/* No response to id will come; 0: nothing comes any more. */
	void (*on_failed)(void *ctx, int64_t id, const struct err *why);
	void *ctx;
};

/* user and workspace: whose sandbox a program runs in. */
struct mcp_link *mcp_stdio_open(
    const struct mcp_link *base, const char *user, const char *workspace);
struct mcp_link *mcp_http_open(const struct mcp_link *base);

#endif
