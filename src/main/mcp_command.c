/* SPDX-License-Identifier: MIT */
/* agent-fpm mcp: what an MCP server offers and answers. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "agent/templates.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "main/mcp_command.h"
#include "mcp/mcp.h"
#include "net/fetch.h"
#include "sandbox/client.h"
#include "tool/skills.h"
#include "tool/tool.h"

#define USER "agent-fpm"
#define AGENT "agt_mcp" /* whose workspace programs run in */
#define TIMEOUT_MS 60000
#define DEPTH 32

struct asker {
	struct loop *loop;
	struct arena *arena;
	struct mcp_peer *peer;
	struct mcp_wait wait;
	struct mcp_call call;
	const char *tool, *arguments; /* NULL: none */
	int rc;
};

static void
end(struct asker *k, int rc)
{
	k->rc = rc;
	loop_stop(k->loop);
}

static void
print(struct asker *k, const struct json *j)
{
	struct buf b;

	buf_init(&b, k->arena);
	json_print(&b, j);
	puts(buf_str(&b));
}

static void
on_answer(void *ctx, struct mcp_call *c)
{
	struct asker *k = ctx;

	if (c->err.code != ERR_NONE) {
		fprintf(stderr, "agent-fpm: %s\n", c->err.text);
		end(k, EX_UNAVAILABLE);
		return;
	}
	print(k, c->result);
	end(k, json_get_true(c->result, "isError") ? 1 : EX_OK);
}

static void
on_progress(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

static const struct mcp_item *
find_item(const struct mcp_catalog *c, const char *name)
{
	size_t prefix = strlen("mcp____") + strlen(c->server->name);

	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].name, name) == 0 ||
		    strcmp(c->items[i].name + prefix, name) == 0)
			return &c->items[i];
	return NULL;
}

static void
call_item(struct asker *k, const struct mcp_item *item)
{
	struct buf b;

	buf_init(&b, k->arena);
	if (item->method == MCP_CALL_TOOL) {
		json_open(&b, NULL, '{');
		json_add_str(&b, "name", item->remote);
		json_add_raw(
		    &b, "arguments", k->arguments, strlen(k->arguments));
		json_close(&b, '}');
	} else {
		buf_puts(&b, k->arguments);
	}
	k->call = (struct mcp_call){ .arena = k->arena,
		.method = mcp_method_name(item->method),
		.params = buf_str(&b),
		.on_end = on_answer,
		.on_progress =
		    item->method == MCP_CALL_TOOL ? on_progress : NULL,
		.ctx = k };
	mcp_call_start(k->peer, &k->call);
}

static void
list_items(const struct mcp_catalog *c)
{
	for (size_t i = 0; i < c->count; i++)
		printf("%s\n    %s\n    %s\n", c->items[i].name,
		    c->items[i].description, c->items[i].schema);
}

static void
on_settled(void *ctx)
{
	struct asker *k = ctx;
	struct mcp_catalog *c = mcp_peer_catalog(k->peer);
	const struct mcp_item *item;

	if (c == NULL) {
		fprintf(stderr, "agent-fpm: %s\n", mcp_peer_trouble(k->peer));
		end(k, EX_UNAVAILABLE);
		return;
	}
	item = k->tool == NULL ? NULL : find_item(c, k->tool);
	if (k->tool == NULL) {
		list_items(c);
		end(k, EX_OK);
	} else if (item == NULL) {
		fprintf(stderr, "agent-fpm: it has no tool %s\n", k->tool);
		end(k, EX_DATAERR);
	} else {
		call_item(k, item);
	}
	mcp_catalog_drop(&c);
}

/* Until it has answered, or does not. */
static void
ask_peer(struct mcp *m, const struct mcp_server *s, struct asker *k)
{
	k->wait = (struct mcp_wait){ on_settled, k, NULL, NULL };
	k->peer = mcp_peer_take(m, s, USER, AGENT);
	mcp_peer_wait(k->peer, &k->wait);
	loop_run(k->loop);
	mcp_peer_give(&k->peer);
}

/* Connects and asks; the exit code. */
static int
ask(const struct conf *c, const struct mcp_server *s, struct asker *k)
{
	struct sandbox *box = NULL;
	struct mcp *m = NULL;
	struct fetcher *f;
	struct err err;

	k->loop = loop_new();
	f = fetcher_new(k->loop);
	if (sandbox_new(k->loop, f, c, &box, &err) == 0)
		m = mcp_new(k->loop, c, box, &err);
	if (m != NULL) {
		ask_peer(m, s, k);
	} else {
		fprintf(stderr, "agent-fpm: %s\n", err.text);
		k->rc = EX_CONFIG;
	}
	mcp_free(&m);
	sandbox_free(&box);
	fetcher_free(&f);
	loop_free(&k->loop);
	return k->rc;
}

static const struct mcp_server *
find_server(const struct templates *t, const char *template, const char *server)
{
	const struct agent_template *at = templates_find(t, template);

	for (size_t i = 0; at != NULL && i < at->mcp_server_count; i++)
		if (strcmp(at->mcp_servers[i].name, server) == 0)
			return &at->mcp_servers[i];
	fprintf(stderr, "agent-fpm: there is no %s %s\n",
	    at == NULL ? "template" : "MCP server",
	    at == NULL ? template : server);
	return NULL;
}

static int
ask_url(const struct conf *c, const char *url, struct asker *k)
{
	static const char *const none[] = { NULL };
	const struct mcp_server s = { .name = "url",
		.url = url,
		.include = none,
		.exclude = none,
		.read_only = none,
		.timeout_ms = TIMEOUT_MS,
		.connect_ms = TIMEOUT_MS };

	return ask(c, &s, k);
}

static int
ask_template(const struct conf *c, char **argv, struct asker *k)
{
	const struct mcp_server *s = NULL;
	struct templates *t = NULL;
	struct skills *skills;
	struct err err;

	k->rc = EX_CONFIG;
	tools_init(sandbox_is_configured(c));
	skills = skills_load(c->skills, &err);
	if (skills != NULL)
		t = templates_load(c->templates, skills, &err);
	if (t == NULL)
		fprintf(stderr, "agent-fpm: %s\n", err.text);
	else
		s = find_server(t, argv[1], argv[2]);
	if (s != NULL)
		ask(c, s, k);
	templates_free(&t);
	skills_free(&skills);
	tools_fini();
	return k->rc;
}

int
mcp_command(const struct conf *c, int argc, char **argv)
{
	struct asker k = { .rc = EX_SOFTWARE };
	int rc;

	if (argc < 3 || argc > 5)
		return -1;
	k.tool = argc > 3 ? argv[3] : NULL;
	k.arguments = argc > 4 ? argv[4] : "{}";
	if (json_check(k.arguments, strlen(k.arguments), DEPTH, NULL) < 0 ||
	    k.arguments[0] != '{') {
		fputs("agent-fpm: the arguments are no JSON object\n", stderr);
		return EX_DATAERR;
	}
	log_level_set(LOG_ERROR); /* what matters is said below */
	k.arena = arena_open(4096);
	rc = strcmp(argv[1], "--url") == 0 ? ask_url(c, argv[2], &k)
					   : ask_template(c, argv, &k);
	arena_close(&k.arena);
	return rc;
}
