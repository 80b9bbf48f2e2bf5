/* SPDX-License-Identifier: MIT */
#ifndef MCP_MESSAGE_H
#define MCP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;
struct json;

/*
 * Messages of the Model Context Protocol: JSON-RPC 2.0 as the revision
 * 2025-06-18 uses it, without batches. Our requests have numbers as ids.
 */
#define MCP_REVISION "2025-06-18"
#define MCP_MESSAGE_BYTES (16u << 20) /* the longest that is read */

/* What came. A request has method and id_json, a notification method alone,
 * a response id, and result or error. */
struct mcp_message {
	const char *method;
	const struct json *params;
	const struct json *id_json;
	int64_t id; /* of ours; 0: none */
	const struct json *result;
	const struct json *error;
};

/* What stays is the arena's. 0, or -1 and ERR_REQUEST. Does not block. */
int mcp_message_read(struct arena *a, const char *text, size_t len,
    struct mcp_message *out, struct err *err);

/* Appends a request; id 0: a notification. params is JSON, or NULL. */
void mcp_request_write(
    struct buf *b, int64_t id, const char *method, const char *params);

/* Appends an answer to a request of the server: result, which is JSON, or if
 * that is NULL that there is no such method. */
void mcp_answer_write(struct buf *b, const struct json *id, const char *result);

#endif
