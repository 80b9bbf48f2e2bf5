/* SPDX-License-Identifier: MIT */
/*
 * The servers that bench-load can talk to, one row of a table each: how a
 * request of each kind looks, and how the events of a stream are recognised.
 * An event's kind is found by text search for the key, not by a JSON parser,
 * which would cost more than the server under test spends: quotes inside a
 * string are escaped, so "key":" can only be a member, and the first one of
 * a line is the event's own.
 */
#include "config.h"

#include <string.h>

#include "load.h"

enum what {
	WHAT_TEXT,  /* brings text of the model */
	WHAT_RESET, /* what came before does not count */
	WHAT_DONE,
	WHAT_ERROR,
};

/* What follows the key, and what such an event means. */
struct load_mark {
	const char *name;
	enum what what;
};

static void
make_head(
    struct client *c, const char *method, const char *path, const char *tail)
{
	size_t n =
	    load_run.request == LOAD_DELETE ? (size_t)c->request : c->index;
	const char *id = "";

	if (load_run.id_count > 0)
		id = load_run.ids[n % load_run.id_count];
	buf_printf(&c->out,
	    "%s %s%s%s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n", method,
	    path, id, tail, load_opt.host,
	    load_opt.close ? "close" : "keep-alive");
	if (load_opt.token != NULL)
		buf_printf(
		    &c->out, "Authorization: Bearer %s\r\n", load_opt.token);
}

static void
make_body(struct client *c, const struct buf *body)
{
	buf_printf(&c->out,
	    "Content-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    body->len, body->data);
}

static void
make_fpm_chat(struct client *c)
{
	struct buf body;

	buf_init(&body, NULL);
	buf_printf(&body, "{\"message\":\"%s\"}", load_opt.message);
	make_head(c, "POST", "/api/agents/", "/chat");
	buf_puts(&c->out, "Accept: text/event-stream\r\n");
	make_body(c, &body);
	buf_fini(&body);
}

static void
make_fpm_view(struct client *c)
{
	make_head(c, "GET", "/api/agents/", "/events");
	buf_puts(&c->out, "Accept: text/event-stream\r\n\r\n");
}

static void
make_fpm_create(struct client *c)
{
	struct buf body;

	buf_init(&body, NULL);
	buf_printf(&body, "{\"name\":\"bench %ld\"", c->request);
	if (load_opt.model != NULL)
		buf_printf(&body, ",\"model\":\"%s\"", load_opt.model);
	buf_putc(&body, '}');
	make_head(c, "POST", "/api/agents", "");
	make_body(c, &body);
	buf_fini(&body);
}

static void
make_fpm_delete(struct client *c)
{
	make_head(c, "DELETE", "/api/agents/", "");
	buf_puts(&c->out, "\r\n");
}

static void
make_model_chat(struct client *c)
{
	struct buf body;

	buf_init(&body, NULL);
	buf_printf(&body,
	    "{\"model\":\"%s\",\"max_tokens\":4096,\"stream\":true,"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
	    load_opt.model == NULL ? "bench" : load_opt.model,
	    load_opt.message);
	make_head(c, "POST", "/v1/messages", "");
	buf_puts(
	    &c->out, "x-api-key: bench\r\nanthropic-version: 2023-06-01\r\n");
	make_body(c, &body);
	buf_fini(&body);
}

static const struct load_mark marks_fpm[] = {
	{ "text_chunk\"", WHAT_TEXT },
	{ "stream_reset\"", WHAT_RESET },
	{ "done\"", WHAT_DONE },
	{ NULL, WHAT_ERROR },
};

static const struct load_mark marks_model[] = {
	{ "content_block_delta\"", WHAT_TEXT },
	{ "message_stop\"", WHAT_DONE },
	{ "error\"", WHAT_ERROR },
	{ NULL, WHAT_ERROR },
};

static const struct load_api apis[] = {
	{ "fpm", "\"kind\":\"", "\"reason\":\"completed\"", marks_fpm,
	    { make_fpm_chat, make_fpm_view, make_fpm_create,
		make_fpm_delete } },
	{ "model", "\"type\":\"", NULL, marks_model,
	    { make_model_chat, make_model_chat, NULL, NULL } },
	{ NULL, NULL, NULL, NULL, { NULL, NULL, NULL, NULL } },
};

const struct load_api *
load_api_find(const char *name)
{
	const struct load_api *api;

	for (api = apis; api->name != NULL; api++)
		if (strcmp(api->name, name) == 0)
			return api;
	return NULL;
}

static void
text_tokens(struct client *c, const char *p, size_t len)
{
	const char *end = p + len;

	while ((p = memmem(p, (size_t)(end - p), "tok", 3)) != NULL) {
		c->tokens++;
		p += 3;
	}
}

/* A data line with the model's text. */
static void
api_text(struct client *c, const char *p, size_t len)
{
	text_tokens(c, p, len);
	load_count.events++;
	if (c->text_us == 0)
		net_hist_add(&load_count.event, c->read_us - c->start_us);
	else if (c->text_us != c->read_us)
		net_hist_add(&load_count.gap, c->read_us - c->text_us);
	c->text_us = c->read_us;
}

static void
api_mark(struct client *c, enum what what, const char *p, size_t len)
{
	switch (what) {
	case WHAT_TEXT:
		api_text(c, p, len);
		break;
	case WHAT_RESET:
		load_count.resets++;
		c->tokens = 0;
		break;
	case WHAT_DONE:
		c->done = 1;
		if (load_run.api->good != NULL &&
		    memmem(p, len, load_run.api->good,
			strlen(load_run.api->good)) == NULL)
			c->failed = 1;
		break;
	case WHAT_ERROR:
		c->failed = 1;
		break;
	}
}

void
load_api_line(struct client *c, const char *p, size_t len)
{
	const struct load_mark *m = load_run.api->marks;
	const char *end = p + len;
	const char *kind;

	if (len < 5 || memcmp(p, "data:", 5) != 0)
		return;
	kind = memmem(p, len, load_run.api->key, strlen(load_run.api->key));
	if (kind == NULL)
		return;
	kind += strlen(load_run.api->key);
	for (; m->name != NULL; m++) {
		len = strlen(m->name);
		if ((size_t)(end - kind) >= len &&
		    memcmp(kind, m->name, len) == 0)
			api_mark(c, m->what, p, (size_t)(end - p));
	}
}

int
load_api_created(struct client *c)
{
	static const char key[] = "\"agentId\":\"";
	const char *p = strstr(buf_str(&c->line), key);

	if (p == NULL)
		return -1;
	p += sizeof(key) - 1;
	load_run.ids[c->request] = strndup(p, strcspn(p, "\""));
	return 0;
}
