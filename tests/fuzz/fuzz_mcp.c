/* SPDX-License-Identifier: MIT */
/*
 * What an MCP server says: any bytes as a message, and its result as a page of
 * tools. Whatever is taken has a name that providers take, and a schema.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/catalog.h"
#include "mcp/mcp.h"
#include "mcp/message.h"
#include "tool/mcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
check_item(struct arena *a, const struct mcp_item *it)
{
	struct tool tool;

	must(strlen(it->name) <= 64 && strncmp(it->name, "mcp__f__", 8) == 0);
	must(json_is(it->schema_doc, JSON_OBJECT));
	must(json_check(it->schema, strlen(it->schema), 64, NULL) == 0);
	mcp_tool_make(a, it, NULL, &tool);
	must(tool.schema_doc != NULL);
}

static void
check_page(struct arena *a, const struct json *page)
{
	static const char *const none[] = { NULL };
	static const char *const some[] = { "x*", "y", NULL };
	const struct mcp_server s = {
		.name = "f", .include = none, .exclude = some, .read_only = none
	};
	struct mcp_catalog *c = mcp_catalog_new(&s);

	mcp_catalog_add(c, page, NULL);
	mcp_catalog_add_others(c, page);
	for (size_t i = 0; i < c->count; i++)
		check_item(a, &c->items[i]);
	mcp_catalog_drop(&c);
}

static void
check_answer(const struct json *id)
{
	struct buf b;

	buf_init(&b, NULL);
	mcp_answer_write(&b, id, NULL);
	must(json_check(b.data, b.len, 64, NULL) == 0);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(4096);
	struct mcp_message m;
	struct err err;

	log_level_set(LOG_ERROR);
	err_clear(&err);
	if (mcp_message_read(a, (const char *)data, size, &m, &err) == 0) {
		must(m.method != NULL || m.result != NULL || m.error != NULL);
		if (m.method != NULL && m.id_json != NULL)
			check_answer(m.id_json);
		check_page(a, m.result);
		check_page(a, m.params);
	} else {
		must(err.code != ERR_NONE);
	}
	arena_close(&a);
	return 0;
}
