/* SPDX-License-Identifier: MIT */
/*
 * Connections that ask what pages can do, and have them do it: agents, as the
 * SDK's own server knows them.
 *
 * Each is a request to the pool in the name of whoever opened the connection,
 * on the routes that there are for this: so rights, limits and users hold here
 * too, and it does not matter which gateway has the page.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "bridge/page_priv.h"
#include "conf/conf.h"
#include "http/ask.h"

#define REQUESTS_MAX 32 /* of a connection, at once */

struct page_request {
	struct page_request *prev, *next;
	struct page *page;
	struct ask *ask;
	char *correlation; /* what the agent calls it, or NULL */
	char *session;     /* or NULL */
	char *client;      /* of a CALL */
	const char *result_type;
};

static const struct {
	const char *type, *result;
} result_types[] = {
	{ "call_function", "function_result" },
	{ "call_component_action", "component_action_result" },
	{ "update_component", "component_update_result" },
};

/* A member that is a text, copied; NULL. */
static char *
copy_member(const struct json *doc, const char *name)
{
	const char *text = json_get_str(doc, name);
	char *s = text == NULL ? NULL : strdup(text);

	if (text != NULL && s == NULL)
		abort();
	return s;
}

static struct page_request *
request_new(struct page *p, const struct page_message *m)
{
	struct page_request *q = calloc(1, sizeof(*q));

	if (q == NULL)
		abort();
	q->page = p;
	q->correlation = copy_member(m->doc, "id");
	q->session = copy_member(m->doc, "sessionId");
	q->client = copy_member(m->doc, "clientId");
	for (size_t i = 0; i < sizeof(result_types) / sizeof(result_types[0]);
	     i++)
		if (strcmp(result_types[i].type, m->type) == 0)
			q->result_type = result_types[i].result;
	DL_APPEND(p->requests, q);
	p->request_count++;
	return q;
}

static void
request_free(struct page_request *q)
{
	DL_DELETE(q->page->requests, q);
	q->page->request_count--;
	ask_cancel(&q->ask);
	free(q->correlation);
	free(q->session);
	free(q->client);
	free(q);
}

void
page_agent_cancel(struct page *p)
{
	while (p->requests != NULL)
		request_free(p->requests);
}

/* ---- answers ---- */

/* Its members that every answer has. */
static void
open_answer(struct buf *b, const struct page_request *q, const char *type)
{
	page_open_message(b, type);
	if (q->correlation != NULL)
		json_add_str(b, "correlationId", q->correlation);
	if (q->session != NULL)
		json_add_str(b, "sessionId", q->session);
}

static void
close_answer(struct buf *b, struct page_request *q, const char *type)
{
	json_close(b, '}');
	page_send(q->page, type, b);
}

/* What the pool has refused. */
static void
refuse(struct page_request *q, const struct ask_answer *answer,
    const struct json *body)
{
	const char *error = json_get_str(body, "error");
	const char *detail = json_get_str(body, "message");
	char text[128];

	if (answer->status == 404 && q->client != NULL) {
		snprintf(
		    text, sizeof(text), "Client %.64s not found", q->client);
		page_send_error(
		    q->page, q->correlation, "client_not_found", text);
		return;
	}
	if (detail == NULL)
		detail = json_get_str(body, "detail");
	if (detail == NULL)
		detail = error;
	page_send_error(q->page, q->correlation,
	    answer->status == 401 || answer->status == 403 ? "forbidden"
	    : answer->status == 429                        ? "rate_limited"
							   : "unavailable",
	    detail == NULL ? "Service unavailable" : detail);
}

static void
on_capabilities(void *ctx, const struct ask_answer *answer)
{
	struct page_request *q = ctx;
	struct arena *a = arena_open(4096);
	const struct json *body, *j;
	struct buf b;

	q->ask = NULL;
	body = answer->len == 0 ? NULL
				: json_parse(a, answer->body, answer->len,
				      JSON_DEPTH_MAX, NULL);
	if (answer->status != 200) {
		refuse(q, answer, body);
	} else {
		buf_init(&b, a);
		open_answer(&b, q, "capabilities_result");
		json_open(&b, "functions", '[');
		for (j = json_first(body); j != NULL; j = json_next(j))
			page_functions(&b, j, json_name(j));
		json_close(&b, ']');
		json_open(&b, "components", '[');
		for (j = json_first(body); j != NULL; j = json_next(j))
			page_components(&b, j, json_name(j));
		json_close(&b, ']');
		close_answer(&b, q, "capabilities_result");
	}
	request_free(q);
	arena_close(&a);
}

static void
add_result(
    struct buf *b, const struct ask_answer *answer, const struct json *body)
{
	const char *code = json_get_str(body, "code");
	const char *message = json_get_str(body, "message");

	json_add_bool(b, "success", answer->status == 200);
	if (answer->status == 200) {
		json_add_raw(b, "data", answer->body, answer->len);
		return;
	}
	json_open(b, "error", '{');
	json_add_str(b, "code", code == NULL ? "COMMAND_FAILED" : code);
	json_add_str(
	    b, "message", message == NULL ? "Command failed" : message);
	json_close(b, '}');
}

static void
on_command(void *ctx, const struct ask_answer *answer)
{
	struct page_request *q = ctx;
	struct arena *a = arena_open(4096);
	const struct json *body;
	struct buf b;

	q->ask = NULL;
	body = answer->len == 0 ? NULL
				: json_parse(a, answer->body, answer->len,
				      JSON_DEPTH_MAX, NULL);
	if (body == NULL || (answer->status != 200 && answer->status != 500)) {
		refuse(q, answer, body);
	} else {
		buf_init(&b, a);
		open_answer(&b, q, q->result_type);
		json_add_str(&b, "clientId", q->client);
		add_result(&b, answer, body);
		close_answer(&b, q, q->result_type);
	}
	request_free(q);
	arena_close(&a);
}

/* ---- questions ---- */

static void
ask_pool(struct page_request *q, struct ask_spec *spec, ask_f *fn)
{
	struct page *p = q->page;

	spec->authorization = p->authorization;
	spec->remote_addr = p->address;
	spec->type = "application/json";
	q->ask = ask_start(p->all->asker, spec, fn, q);
}

static void
ask_capabilities(struct page *p, const struct page_message *m)
{
	struct ask_spec spec = { .method = "GET", .path = "/api/capabilities" };

	ask_pool(request_new(p, m), &spec, on_capabilities);
}

static void
ask_command(struct page *p, const struct page_message *m)
{
	struct ask_spec spec = {
		.method = "POST", .path = "/api/command", .query = "code=true"
	};
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	json_add_str(&b, "clientId", json_get_str(m->doc, "clientId"));
	buf_puts(&b, ",\"command\":");
	page_command_of_call(&b, m, p->client);
	json_close(&b, '}');
	spec.body = b.data;
	spec.body_len = b.len;
	ask_pool(request_new(p, m), &spec, on_command);
	buf_fini(&b);
}

void
page_agent_ask(struct page *p, const struct page_message *m)
{
	const char *id = json_get_str(m->doc, "id");

	if (m->says == PAGE_CALL && json_get_str(m->doc, "clientId") == NULL)
		page_send_error(p, id, "missing_client_id",
		    "Command message is missing a target client ID");
	else if (p->ticket != NULL &&
		 p->all->conf->bridge_auth != CONF_BRIDGE_OFF)
		/* It was good once; without it the request would be from
		 * somebody else, or nobody. */
		page_send_error(p, id, "forbidden",
		    "a connection that a ticket opened is a page's");
	else if (p->request_count >= REQUESTS_MAX)
		page_send_error(
		    p, id, "rate_limited", "too many commands at once");
	else if (m->says == PAGE_QUERY)
		ask_capabilities(p, m);
	else
		ask_command(p, m);
}
