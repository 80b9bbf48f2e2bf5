/* SPDX-License-Identifier: MIT */
/* Tools of MCP servers: see mcp.h. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "mcp/mcp.h"
#include "tool/mcp.h"
#include "tool/schema.h"

void
mcp_tool_make(struct arena *a, const struct mcp_item *item,
    struct mcp_peer *peer, struct tool *out)
{
	*out = (struct tool){ .name = item->name,
		.description = item->description,
		.schema = item->schema,
		.schema_doc = schema_usable(a, item->schema_doc),
		.effect = item->reads ? TOOL_READS : TOOL_WRITES,
		.kind = &mcp_kind,
		.mcp_item = item,
		.mcp_peer = peer };
}

/* ---- what it gives ---- */

/* "text/plain, 120 bytes" of something that is no text. */
static void
add_blob(struct buf *b, const struct json *j, const char *name)
{
	const char *type = json_get_str(j, "mimeType");
	const char *data = json_get_str(j, name);

	buf_printf(b, "[%s, %zu bytes, not shown]",
	    type == NULL ? "something" : type,
	    data == NULL ? 0 : strlen(data) / 4 * 3);
}

/* What a resource has, in a result or in a prompt. */
static void
add_resource(struct buf *b, const struct json *j)
{
	const char *text = json_get_str(j, "text");

	if (text != NULL)
		buf_puts(b, text);
	else
		add_blob(b, j, "blob");
}

static void
add_link(struct buf *b, const struct json *j)
{
	const char *uri = json_get_str(j, "uri");
	const char *name = json_get_str(j, "name");

	buf_printf(b, "[resource %s: %s]", name == NULL ? "" : name,
	    uri == NULL ? "" : uri);
}

/* A block of content as a text. */
static void
add_block(struct buf *b, const struct json *j)
{
	const char *type = json_get_str(j, "type");
	const char *text = json_get_str(j, "text");

	if (b->len > 0)
		buf_putc(b, '\n');
	if (type == NULL || strcmp(type, "text") == 0)
		buf_puts(b, text == NULL ? "" : text);
	else if (strcmp(type, "resource") == 0)
		add_resource(b, json_get(j, "resource"));
	else if (strcmp(type, "resource_link") == 0)
		add_link(b, j);
	else
		add_blob(b, j, "data");
}

static void
add_blocks(struct buf *b, const struct json *list)
{
	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v))
		add_block(b, v);
}

static void
take_tool_result(struct tool_run *r, const struct json *result)
{
	const struct json *data = json_get(result, "structuredContent");
	struct buf text;

	buf_init(&text, r->arena);
	add_blocks(&text, json_get(result, "content"));
	if (json_get_true(result, "isError")) {
		tool_run_fail(r, TOOL_ERROR_LOGICAL,
		    text.len > 0 ? buf_str(&text) : "the tool failed");
		return;
	}
	if (text.len == 0 && data != NULL)
		json_print(&r->data, data);
	else
		json_add_strn(&r->data, NULL, buf_str(&text), text.len);
	tool_run_end(r);
}

static void
take_resource(struct tool_run *r, const struct json *result)
{
	const struct json *list = json_get(result, "contents");
	struct buf text;

	buf_init(&text, r->arena);
	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v)) {
		if (text.len > 0)
			buf_putc(&text, '\n');
		add_resource(&text, v);
	}
	json_add_strn(&r->data, NULL, buf_str(&text), text.len);
	tool_run_end(r);
}

/* Failures of the transport are the tool's; what the server says is for the
 * model. */
static void
take_failure(struct tool_run *r, const struct err *err)
{
	enum tool_error type = TOOL_ERROR_EXCEPTION;

	if (err->code == ERR_TIMEOUT)
		type = TOOL_ERROR_TIMEOUT;
	if (err->code == ERR_CANCELLED)
		type = TOOL_ERROR_ABORTED;
	tool_run_fail(r, type, err->text);
}

static void
on_answer(void *ctx, struct mcp_call *c)
{
	struct tool_run *r = ctx;
	enum mcp_method method = r->tool->mcp_item->method;

	if (c->err.code != ERR_NONE) {
		take_failure(r, &c->err);
	} else if (method == MCP_CALL_TOOL) {
		take_tool_result(r, c->result);
	} else if (method == MCP_READ_RESOURCE) {
		take_resource(r, c->result);
	} else {
		json_print(&r->data, c->result);
		tool_run_end(r);
	}
}

static void
on_progress(void *ctx, const char *text)
{
	struct tool_run *r = ctx;
	struct buf line;

	buf_init(&line, NULL);
	buf_puts(&line, text);
	buf_putc(&line, '\n');
	r->on_output(r->ctx, line.data, line.len);
	buf_fini(&line);
}

/* ---- what it is asked ---- */

static const char *
params(struct tool_run *r)
{
	const struct mcp_item *item = r->tool->mcp_item;
	struct buf b;

	buf_init(&b, r->arena);
	if (item->method != MCP_CALL_TOOL) {
		json_print(&b, r->args);
		return buf_str(&b);
	}
	json_open(&b, NULL, '{');
	json_add_str(&b, "name", item->remote);
	json_add_json(&b, "arguments", r->args);
	json_close(&b, '}');
	return buf_str(&b);
}

static void
mcp_start(struct tool_run *r)
{
	struct mcp_call *c = arena_new(r->arena, struct mcp_call);
	enum mcp_method method = r->tool->mcp_item->method;

	*c = (struct mcp_call){ .arena = r->arena,
		.method = mcp_method_name(method),
		.params = params(r),
		.traceparent = r->traceparent,
		.on_end = on_answer,
		.on_progress = method == MCP_CALL_TOOL ? on_progress : NULL,
		.ctx = r };
	r->own = c;
	mcp_call_start(r->tool->mcp_peer, c);
}

static void
mcp_cancel(struct tool_run *r)
{
	mcp_call_cancel(r->own);
}

const struct tool_kind mcp_kind = { mcp_start, mcp_cancel };
