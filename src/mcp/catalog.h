/* SPDX-License-Identifier: MIT */
#ifndef MCP_CATALOG_H
#define MCP_CATALOG_H

#include <stddef.h>

struct arena;
struct err;
struct json;
struct mcp_server;

/* What an item is called by. */
enum mcp_method {
	MCP_CALL_TOOL,
	MCP_LIST_RESOURCES,
	MCP_READ_RESOURCE,
	MCP_LIST_PROMPTS,
	MCP_GET_PROMPT,
	MCP_METHODS
};

/* The method's name in the protocol. */
const char *mcp_method_name(enum mcp_method m);

/* A tool of a server, or one by which its resources and prompts are had. */
struct mcp_item {
	enum mcp_method method;
	const char *remote; /* what the server calls it; "" of the others */
	const char *name;   /* mcp__SERVER__TOOL */
	const char *description;
	const char *schema; /* JSON */
	const struct json *schema_doc;
	int reads; /* the configuration says so */
};

/*
 * What a server offers, as it was at one time. Shared by counting; the loop's
 * thread.
 */
struct mcp_catalog {
	struct arena *arena;
	int refs;
	const struct mcp_server *server;
	struct mcp_item *items;
	size_t count;
};

/* An empty one, held once. */
struct mcp_catalog *mcp_catalog_new(const struct mcp_server *s);
struct mcp_catalog *mcp_catalog_hold(struct mcp_catalog *c);
void mcp_catalog_drop(struct mcp_catalog **c_p);

/*
 * Adds a page of tools/list (its result): those that the server's include and
 * exclude admit, with names and sizes that providers take; what is left out
 * is logged. 0, or -1 and ERR_MODEL if it is no such result.
 */
int mcp_catalog_add(
    struct mcp_catalog *c, const struct json *page, struct err *err);

/* Adds what resources and prompts are had by, as the server's capabilities
 * say. */
void mcp_catalog_add_others(
    struct mcp_catalog *c, const struct json *capabilities);

/* 1 if a name is among patterns, which may end in *. */
int mcp_matches(const char *const *patterns, const char *name);

#endif
