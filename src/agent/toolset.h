/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TOOLSET_H
#define AGENT_TOOLSET_H

#include <stddef.h>

#include "tool/page.h"
#include "tool/tool.h"

struct agent_template;
struct arena;
struct err;
struct json;
struct mcp_catalog;
struct mcp_peer;
struct mcp_server;

/* An MCP server that an agent is connected to, and what it offers; NULL: that
 * is not known. */
struct toolset_server {
	struct mcp_peer *peer;
	struct mcp_catalog *catalog;
};

/* The tools that an agent has, and its permission. */
struct toolset {
	const struct tool **tools;
	size_t count;
	const struct permit *permit;
	const struct agent_template *template; /* or NULL */
	const char *advertised; /* JSON array for the model, or "" */
	const char *system;     /* its prompt, and the list of its skills */
};

/* Of what one is made. */
struct toolset_spec {
	const struct agent_template *template; /* the agent's, or NULL */
	const char *prompt;                    /* its own; must stay */
	const char *names;      /* as kept with it: a JSON array, or "" */
	const char *permission; /* the same: JSON, or "" */
	int with_tasks;         /* it may make sub-agents */
	const struct toolset_server *servers; /* that it wants tools of */
	size_t server_count;
	struct page_tools pages; /* that its user has open */
};

/*
 * Names that are none any more are left out, and those that make sub-agents
 * unless with_tasks. The tool skills is there exactly if the template has
 * skills. The arena's.
 */
struct toolset *toolset_make(struct arena *a, const struct toolset_spec *spec);

/* 1 if one of the names may be a tool of the server: mcp__SERVER__... */
int toolset_wants(
    struct arena *a, const char *names, const struct mcp_server *s);

/* 0, or -1 and ERR_INVALID with the names that there are. */
int toolset_check(
    const struct agent_template *t, const struct json *names, struct err *err);

/* The tool of that name, or NULL. */
const struct tool *toolset_find(const struct toolset *ts, const char *name);

#endif
