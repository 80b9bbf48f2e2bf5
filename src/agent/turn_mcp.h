/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_MCP_H
#define AGENT_TURN_MCP_H

#include <stddef.h>

#include "agent/turn_step.h"

struct toolset_server;
struct turn;

/* The MCP servers of a turn: see turn_mcp.c. */
struct turn_mcp;
enum turn_step step_connect(struct turn *t);

/* Where the turn goes on with next, once it knows what its servers offer. */
enum turn_step turn_connect(struct turn *t, enum turn_step next);

/* Before a call of the model: takes note of what servers offer anew. */
void turn_mcp_refresh(struct turn *t);

/* With what is known of them; *n_r is how many there are. */
const struct toolset_server *turn_mcp_servers(
    const struct turn *t, size_t *n_r);

/* It waits for servers no more. 1 if it did. */
int turn_mcp_stop(struct turn *t);

#endif
