/* SPDX-License-Identifier: MIT */
/*
 * AgentBridge over HTTP: GET /api/capabilities and POST /api/command.
 *
 * A command's request is given to the hub, where it waits like one for the end
 * of a turn: the loop asks the page and writes the answer. No thread waits,
 * and a client that leaves cancels nothing.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/pages.h"
#include "api/sessions_priv.h"
#include "base/id.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/pages.h"
#include "stream/hub.h"

#define WAIT_MAX_MS 30000
#define CLIENT_CHARS 64
#define JSON_TYPE "application/json; charset=utf-8"

/* A command that is under way, in memory of its own. */
struct command {
	struct arena *arena;
	struct app *app;
	struct page_call call;
	struct hub_viewer viewer;
	char name[sizeof(((struct hub_viewer *)0)->agent)]; /* of the viewer */
	struct http_request rq;                             /* the id alone */
	const char *headers; /* of the response */
	int wants_code;      /* of a failure: ?code=true */
};

int
pages_path(const char *path)
{
	return strcmp(path, "/api/capabilities") == 0 ||
	       strcmp(path, "/api/command") == 0;
}

/* ---- answers ---- */

/* {"error":TEXT} and, if there is one, a message, and its code. */
static void
refuse_code(struct http_response *rs, int status, const char *error,
    const char *message, const char *code)
{
	struct buf *b = &rs->body;

	buf_clear(b);
	rs->status = status;
	rs->type = JSON_TYPE;
	json_open(b, NULL, '{');
	json_add_str(b, "error", error);
	if (message != NULL)
		json_add_str(b, "message", message);
	if (code != NULL)
		json_add_str(b, "code", code);
	json_close(b, '}');
}

static void
refuse(struct http_response *rs, int status, const char *error,
    const char *message)
{
	refuse_code(rs, status, error, message, NULL);
}

/* 1 if the header has a word behind its scheme, whatever that is. */
static int
has_token(const char *header)
{
	const char *space = header == NULL ? NULL : strchr(header, ' ');

	return space != NULL && space[1] != '\0';
}

void
pages_problem(struct api_call *c, const struct err *err)
{
	if (err->code != ERR_UNAUTHORIZED)
		http_problem(c->rs, c->rq, err);
	else if (has_token(http_header(c->rq, "HTTP_AUTHORIZATION")))
		refuse(c->rs, 403, "Invalid or expired token", NULL);
	else
		refuse(c->rs, 401, "Authentication required", NULL);
}

/* How a command ended that was not carried out. */
static const struct {
	int status;
	const char *error;
	int has_message;
	const char *code;
} failures[] = {
	[PAGE_FAILED] = { 500, "Command failed", 1, NULL },
	[PAGE_UNKNOWN] = { 404, "Client not found", 0, "NOT_FOUND" },
	[PAGE_UNSENT] = { 500, "Failed to send command", 1, "SEND_FAILED" },
	[PAGE_LEFT] = { 500, "Command failed", 1, "CLIENT_GONE" },
	[PAGE_LATE] = { 500, "Command failed", 1, "TIMEOUT" },
	[PAGE_CANCELLED] = { 500, "Command failed", 1, "CANCELLED" },
};

static void
add_failure(struct http_response *rs, const struct command *s,
    enum page_end end, const char *message)
{
	const char *code =
	    end == PAGE_FAILED ? s->call.code : failures[end].code;

	if (message == NULL)
		message = "Command failed";
	refuse_code(rs, failures[end].status, failures[end].error,
	    failures[end].has_message ? message : NULL,
	    s->wants_code ? code : NULL);
}

/* The whole response to a command that has ended; to be freed. */
static char *
answer_text(const struct command *s, enum page_end end, const char *message)
{
	struct http_response rs;

	http_response_init(&rs, s->arena);
	buf_puts(&rs.headers, s->headers);
	http_header_add(&rs, "Cache-Control", "no-store");
	rs.type = JSON_TYPE;
	if (end != PAGE_ANSWERED)
		add_failure(&rs, s, end, message);
	else if (s->call.only_send)
		buf_lit(&rs.body, "{\"success\":true,"
				  "\"message\":\"Command sent to client\"}");
	else if (s->call.result != NULL)
		json_print(&rs.body, s->call.result);
	else
		buf_lit(&rs.body, "null");
	return api_answer_text(&rs, &s->rq);
}

/* ---- what pages can do ---- */

int
capabilities_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct page *list;
	size_t n;

	if (store_pages(c->app->store, c->arena, c->user, &list, &n, err) < 0)
		return -1;
	http_json(c->rs, 200);
	c->rs->type = JSON_TYPE;
	json_open(b, NULL, '{');
	while (n-- > 0) { /* the newest last */
		const char *text = list[n].capabilities;

		if (text != NULL && *text == '[' &&
		    json_check(text, strlen(text), PAGE_DEPTH, NULL) == 0)
			json_add_raw(b, list[n].client, text, strlen(text));
	}
	json_close(b, '}');
	return 0;
}

/* ---- commands ---- */

static void
on_end(void *ctx, struct page_call *call)
{
	struct command *s = ctx;
	struct arena *a = s->arena;
	char *text = answer_text(s, call->end, call->message);

	hub_answer(s->app->hub, s->name, text);
	free(text);
	arena_close(&a);
}

static void
on_command(void *arg)
{
	struct command *s = arg;

	hub_attach(s->app->hub, &s->viewer, 0);
	page_call_start(s->app->pages, &s->call);
}

static struct command *
command_new(struct api_call *c, const char *client, const struct json *command)
{
	struct arena *a = arena_open(8192);
	struct command *s = arena_new(a, struct command);
	const char *wait = http_query(c->rq, "wait");
	const char *code = http_query(c->rq, "code");
	int64_t ms = c->app->conf->page_timeout_ms;
	struct buf text;

	buf_init(&text, a);
	json_print(&text, command);
	*s = (struct command){ .arena = a, .app = c->app };
	s->rq.id = arena_strdup(a, c->rq->id);
	s->wants_code = code != NULL && strcmp(code, "true") == 0;
	s->headers = arena_strdup(a, buf_str(&c->rs->headers));
	s->call = (struct page_call){ .arena = a,
		.user = arena_strdup(a, c->user),
		.client = arena_strdup(a, client),
		.command = buf_str(&text),
		.timeout_ms = ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS,
		.only_send = wait != NULL && strcmp(wait, "false") == 0,
		.on_end = on_end,
		.ctx = s };
	id_make(s->name, "cmd_");
	return s;
}

/* Gives the request to the hub, and has the loop ask the page. */
static void
command_detach(struct api_call *c, struct command *s)
{
	struct hub_viewer *v = &s->viewer;

	v->mode = HUB_ANSWER;
	v->deadline_ms = s->call.timeout_ms;
	v->late = answer_text(s, PAGE_LATE, "Request timed out");
	memcpy(v->agent, s->name, sizeof(v->agent));
	api_viewer_detach(c, v);
	loop_post(c->app->loop, "command", on_command, s);
}

int
command_post(void *call, struct err *err)
{
	struct api_call *c = call;
	const struct buf *text = &c->rq->body;
	const struct json *body = NULL, *command;
	const char *client;

	if (text->len > 0) {
		body = json_parse(c->arena, text->data, text->len,
		    (int)c->app->conf->limits_json_depth, NULL);
		if (body == NULL) {
			refuse(
			    c->rs, 400, "Malformed JSON in request body", NULL);
			return 0;
		}
	}
	client = json_get_str(body, "clientId");
	command = json_get(body, "command");
	if (client == NULL || *client == '\0' ||
	    strlen(client) > CLIENT_CHARS) {
		refuse(c->rs, 404, "Client not found", NULL);
		return 0;
	}
	if (!json_is(command, JSON_OBJECT)) {
		refuse(c->rs, 400, "Invalid command", NULL);
		return 0;
	}
	if (api_viewer_take(c, err) < 0)
		return -1;
	command_detach(c, command_new(c, client, command));
	return 0;
}
