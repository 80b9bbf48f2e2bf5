/* SPDX-License-Identifier: MIT */
#ifndef MAIN_MCP_COMMAND_H
#define MAIN_MCP_COMMAND_H

struct conf;

/*
 * agent-fpm mcp TEMPLATE SERVER [TOOL [ARGUMENTS]]
 * agent-fpm mcp --url URL [TOOL [ARGUMENTS]]
 *
 * Connects to an MCP server as an agent would. Prints what it offers, or what
 * a tool gives; ARGUMENTS is a JSON object. A program runs in the sandbox, in
 * a workspace of its own. The exit code, or -1: wrong usage. Blocks.
 */
int mcp_command(const struct conf *c, int argc, char **argv);

#endif
