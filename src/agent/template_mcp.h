/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TEMPLATE_MCP_H
#define AGENT_TEMPLATE_MCP_H

struct agent_template;
struct arena;
struct err;
struct json;

/*
 * The MCP servers of a template: its member mcp, a list of objects
 *
 *   {"name": "docs", "url": "https://..." or "command": "npx ...",
 *    "headers": {NAME: VALUE}, "headerFiles": {NAME: PATH},
 *    "include": [...], "exclude": [...], "readOnly": [...],
 *    "timeout": seconds, "connectTimeout": seconds}
 *
 * The files of headerFiles are read now. 0, or -1 and ERR_CONFIG.
 */
int template_read_mcp(struct arena *a, const struct json *list,
    struct agent_template *out, struct err *err);

#endif
