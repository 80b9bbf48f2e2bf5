/* SPDX-License-Identifier: MIT */
#ifndef TOOL_MCP_H
#define TOOL_MCP_H

#include "tool/tool.h"

/*
 * Tools of MCP servers, and their resources and prompts. A result with
 * isError is a failure that the model can act on; of its content texts are
 * the data, structuredContent if there is no text; images and sound are named.
 */
extern const struct tool_kind mcp_kind;

/* Makes the tool of a peer's item; the arena's. The item and the peer must
 * outlive it. */
struct mcp_item;
struct mcp_peer;
void mcp_tool_make(struct arena *a, const struct mcp_item *item,
    struct mcp_peer *peer, struct tool *out);

#endif
