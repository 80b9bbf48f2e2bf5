/* SPDX-License-Identifier: MIT */
/* What a server offers: see catalog.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/catalog.h"
#include "mcp/mcp.h"

#define ITEMS_MAX 256
#define NAME_CHARS 64 /* the providers' */
#define DESCRIPTION_BYTES 4096
#define SCHEMA_BYTES 65536
#define SCHEMA_DEPTH 48

static const struct {
	const char *method, *name, *description, *capability, *schema;
} methods[MCP_METHODS] = {
	[MCP_CALL_TOOL] = { "tools/call", NULL, NULL, "tools", NULL },
	[MCP_LIST_RESOURCES] = { "resources/list", "list_resources",
	    "Lists what can be read of this server, a page at a time.",
	    "resources",
	    "{\"type\":\"object\",\"properties\":{\"cursor\":{\"type\":"
	    "\"string\",\"description\":\"nextCursor of the page before\"}}}" },
	[MCP_READ_RESOURCE] = { "resources/read", "read_resource",
	    "Reads a resource of this server.", "resources",
	    "{\"type\":\"object\",\"properties\":{\"uri\":{\"type\":"
	    "\"string\"}},\"required\":[\"uri\"]}" },
	[MCP_LIST_PROMPTS] = { "prompts/list", "list_prompts",
	    "Lists the prompts that this server has, a page at a time.",
	    "prompts",
	    "{\"type\":\"object\",\"properties\":{\"cursor\":{\"type\":"
	    "\"string\",\"description\":\"nextCursor of the page before\"}}}" },
	[MCP_GET_PROMPT] = { "prompts/get", "get_prompt",
	    "Gets a prompt of this server, with its arguments filled in.",
	    "prompts",
	    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
	    "\"string\"},\"arguments\":{\"type\":\"object\"}},\"required\":"
	    "[\"name\"]}" },
};

const char *
mcp_method_name(enum mcp_method m)
{
	return methods[m].method;
}

int
mcp_matches(const char *const *patterns, const char *name)
{
	for (; *patterns != NULL; patterns++) {
		size_t n = strlen(*patterns);

		if (n > 0 && (*patterns)[n - 1] == '*'
			? strncmp(*patterns, name, n - 1) == 0
			: strcmp(*patterns, name) == 0)
			return 1;
	}
	return 0;
}

struct mcp_catalog *
mcp_catalog_new(const struct mcp_server *s)
{
	struct arena *a = arena_open(8192);
	struct mcp_catalog *c = arena_new(a, struct mcp_catalog);

	memset(c, 0, sizeof(*c));
	c->arena = a;
	c->refs = 1;
	c->server = s;
	c->items = arena_alloc(a, ITEMS_MAX * sizeof(*c->items));
	return c;
}

struct mcp_catalog *
mcp_catalog_hold(struct mcp_catalog *c)
{
	c->refs++;
	return c;
}

void
mcp_catalog_drop(struct mcp_catalog **c_p)
{
	struct mcp_catalog *c = *c_p;

	*c_p = NULL;
	if (c != NULL && --c->refs == 0)
		arena_close(&(struct arena *){ c->arena });
}

/* mcp__SERVER__NAME, or NULL if no provider would take it. */
static const char *
full_name(struct mcp_catalog *c, const char *name)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t n = strlen(name);
	const char *full;

	if (n == 0 || strspn(name, chars) != n)
		return NULL;
	full = arena_printf(c->arena, "mcp__%s__%s", c->server->name, name);
	return strlen(full) <= NAME_CHARS ? full : NULL;
}

static int
is_there(const struct mcp_catalog *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].name, name) == 0)
			return 1;
	return 0;
}

/* Room for an item of that name; NULL: it is left out. */
static struct mcp_item *
item_add(struct mcp_catalog *c, const char *remote)
{
	const struct mcp_server *s = c->server;
	const char *name;

	if ((s->include[0] != NULL && !mcp_matches(s->include, remote)) ||
	    mcp_matches(s->exclude, remote))
		return NULL;
	name = full_name(c, remote);
	if (name == NULL || c->count == ITEMS_MAX || is_there(c, name)) {
		log_warn("MCP server %s: the tool \"%.64s\" is left out: %s",
		    s->name, remote,
		    name == NULL ? "its name is too long, or has other "
				   "characters than letters, digits, _ and -"
		    : c->count == ITEMS_MAX ? "there are too many"
					    : "there is one of that name");
		return NULL;
	}
	c->items[c->count] = (struct mcp_item){ .name = name,
		.reads = mcp_matches(s->read_only, remote) };
	return &c->items[c->count++];
}

static void
add_tool(struct mcp_catalog *c, const struct json *tool)
{
	const char *remote = json_get_str(tool, "name");
	const char *text = json_get_str(tool, "description");
	const struct json *schema = json_get(tool, "inputSchema");
	struct mcp_item *it;
	struct buf b;

	buf_init(&b, c->arena);
	if (json_is(schema, JSON_OBJECT))
		json_print(&b, schema);
	else
		buf_puts(&b, "{\"type\":\"object\"}");
	if (remote == NULL || b.len > SCHEMA_BYTES)
		return;
	it = item_add(c, remote);
	if (it == NULL)
		return;
	it->method = MCP_CALL_TOOL;
	it->remote = arena_strdup(c->arena, remote);
	if (text == NULL)
		text = json_get_str(tool, "title");
	text = text == NULL ? "" : text;
	it->description = arena_printf(c->arena, "%.*s",
	    (int)json_utf8_whole(text, strnlen(text, DESCRIPTION_BYTES)), text);
	it->schema = buf_str(&b);
	it->schema_doc =
	    json_parse(c->arena, b.data, b.len, SCHEMA_DEPTH, NULL);
}

int
mcp_catalog_add(struct mcp_catalog *c, const struct json *page, struct err *err)
{
	const struct json *tools = json_get(page, "tools");

	if (!json_is(tools, JSON_ARRAY))
		return err_set(
		    err, ERR_MODEL, "its list of tools is not a list");
	for (const struct json *t = json_first(tools); t != NULL;
	     t = json_next(t))
		add_tool(c, t);
	return 0;
}

void
mcp_catalog_add_others(struct mcp_catalog *c, const struct json *capabilities)
{
	for (int m = MCP_CALL_TOOL + 1; m < MCP_METHODS; m++) {
		struct mcp_item *it;

		if (json_get(capabilities, methods[m].capability) == NULL)
			continue;
		it = item_add(c, methods[m].name);
		if (it == NULL)
			continue;
		it->method = (enum mcp_method)m;
		it->remote = "";
		it->description = methods[m].description;
		it->schema = methods[m].schema;
		it->schema_doc = json_parse(c->arena, it->schema,
		    strlen(it->schema), SCHEMA_DEPTH, NULL);
		it->reads = 1;
	}
}
