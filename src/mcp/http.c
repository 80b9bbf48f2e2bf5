/* SPDX-License-Identifier: MIT */
/*
 * A server behind a URL (MCP 2025-06-18, "Streamable HTTP"). Each message is a
 * POST; the answer is JSON, or a stream of events that has the response among
 * other messages. A stream that is cut is asked for again from its last event
 * on. What the server says by itself comes by a GET that stays, if it offers
 * one.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "mcp/link.h"
#include "mcp/mcp.h"
#include "mcp/message.h"
#include "net/fetch.h"
#include "net/sse.h"

#define RETRY_MS 1000 /* if the stream does not say */
#define RETRY_MAX_MS 30000
#define TRIES_MAX 5 /* to go on with a stream, without an event between */
#define ERROR_BYTES 2048
#define STAYS_MS (24LL * 3600 * 1000)

struct http {
	struct mcp_link link;
	struct arena *arena;
	char session[256];
	const char *revision; /* NULL: not agreed on yet */
	struct post *posts;
};

/* A request, and the streams that go on with it. */
struct post {
	struct http *http;
	struct post *next, **prev;
	struct arena *arena;
	struct fetch *fetch;
	struct loop_timer *timer;
	struct buf body;
	struct buf answer; /* JSON, or the text of an error */
	struct sse sse;
	struct buf last_event;
	int64_t retry_ms;
	int64_t id; /* of the response it is to bring, or 0 */
	int is_stream, streams, tries, gone;
	int listens; /* to what the server says by itself */
};

/* ---- its end ---- */

static void
post_unlink(struct post *p)
{
	if (p->prev == NULL)
		return;
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->prev = NULL;
}

static void
post_free(struct post *p)
{
	post_unlink(p);
	loop_timer_free(&p->timer);
	sse_fini(&p->sse);
	buf_fini(&p->body);
	buf_fini(&p->answer);
	buf_fini(&p->last_event);
	arena_close(&p->arena);
	free(p);
}

static void
post_end(struct post *p)
{
	p->gone = 1;
	post_unlink(p);
	if (p->fetch != NULL)
		fetch_cancel(p->fetch); /* on_end frees it */
	else
		post_free(p);
}

/* The response will not come; of what is no request nobody waits for one. */
static void
post_fail(struct post *p, const struct err *why)
{
	struct mcp_link *l = &p->http->link;

	if (p->id != 0 && l->waits(l->ctx, p->id))
		l->on_failed(l->ctx, p->id, why);
	post_free(p);
}

/* ---- what comes ---- */

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct post *p = ctx;
	struct mcp_link *l = &p->http->link;

	(void)err;
	p->tries = 0;
	if (strcmp(event, "message") == 0 && len > 0)
		l->on_message(l->ctx, data, len);
	return 0;
}

/* It comes with the answer to initialize. */
static void
take_session(struct http *h, const struct fetch_head *head)
{
	if (h->revision == NULL && head->mcp_session[0] != '\0')
		memcpy(h->session, head->mcp_session, sizeof(h->session));
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct post *p = ctx;
	size_t max = head->status / 100 == 2 ? MCP_MESSAGE_BYTES : ERROR_BYTES;

	take_session(p->http, head);
	p->is_stream = head->status == 200 && strncasecmp(head->content_type,
						  "text/event-stream", 17) == 0;
	if (p->is_stream)
		return sse_feed(&p->sse, data, len, err);
	if (p->answer.len + len > max && max == MCP_MESSAGE_BYTES)
		return err_set(err, ERR_TOO_LARGE, "a message is too long");
	if (p->answer.len < max)
		buf_add(&p->answer, data,
		    len < max - p->answer.len ? len : max - p->answer.len);
	return 0;
}

/* Asks for the rest of its stream later. */
static void
post_resume(struct post *p)
{
	int64_t ms = p->sse.retry_ms >= 0 ? p->sse.retry_ms : p->retry_ms;

	p->retry_ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
	buf_clear(&p->last_event);
	buf_add(&p->last_event, p->sse.id.data, p->sse.id.len);
	p->tries++;
	loop_timer_start(p->timer, p->retry_ms, 0);
}

static int
may_resume(const struct post *p)
{
	struct mcp_link *l = &p->http->link;

	if (p->tries >= TRIES_MAX)
		return 0;
	if (p->id == 0)
		return p->listens && p->is_stream;
	return l->waits(l->ctx, p->id) && p->sse.id.len > 0;
}

/* What a refusal says, if it is a short text or JSON of one. */
static void
refusal(struct post *p, int status, struct err *err)
{
	int is_session =
	    status == 404 && p->http->session[0] != '\0' && !p->listens;
	size_t len = p->answer.len < 160 ? p->answer.len : 160;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p->answer.data[i] < ' ')
			p->answer.data[i] = ' ';
	err_set(err, is_session ? ERR_NOT_FOUND : ERR_MODEL,
	    "it answered %d%s%.*s", status, len > 0 ? ": " : "", (int)len,
	    len > 0 ? p->answer.data : "");
}

/* A whole response of HTTP. */
static void
take_response(struct post *p, int status)
{
	struct mcp_link *l = &p->http->link;
	struct err err;

	err_clear(&err);
	if (status / 100 != 2) {
		refusal(p, status, &err);
		if (err.code == ERR_NOT_FOUND) /* the session is over */
			l->on_failed(l->ctx, 0, &err);
		post_fail(p, &err);
		return;
	}
	if (!p->is_stream && p->answer.len > 0)
		l->on_message(l->ctx, p->answer.data, p->answer.len);
	if (may_resume(p)) {
		post_resume(p);
		return;
	}
	err_set(&err, ERR_MODEL, "it answered without a response");
	post_fail(p, &err);
}

static void
on_end(void *ctx, const struct fetch_end *end)
{
	struct post *p = ctx;
	struct err err;

	p->fetch = NULL;
	if (p->gone) {
		post_free(p);
		return;
	}
	take_session(p->http, &end->head);
	if (end->code == ERR_NONE) {
		take_response(p, end->head.status);
	} else if (may_resume(p) && end->code != ERR_TOO_LARGE) {
		post_resume(p);
	} else {
		err_clear(&err);
		err_set(&err, end->code, "%s", end->text);
		post_fail(p, &err);
	}
}

/* ---- what goes ---- */

static void
headers_add(struct post *p, struct fetch_spec *spec)
{
	const struct mcp_server *s = p->http->link.server;
	int n = 0;

	spec->headers[n++] = "accept: application/json, text/event-stream";
	spec->headers[n++] = "user-agent: agent-fpm/" VERSION;
	if (spec->method == NULL)
		spec->headers[n++] = "content-type: application/json";
	if (p->http->revision != NULL)
		spec->headers[n++] = arena_printf(
		    p->arena, "mcp-protocol-version: %s", p->http->revision);
	if (p->http->session[0] != '\0')
		spec->headers[n++] = arena_printf(
		    p->arena, "mcp-session-id: %s", p->http->session);
	if (p->last_event.len > 0)
		spec->headers[n++] = arena_printf(
		    p->arena, "last-event-id: %s", buf_str(&p->last_event));
	for (size_t i = 0; i < s->header_count && n < FETCH_HEADERS_MAX; i++)
		spec->headers[n++] = s->headers[i];
}

/* The message, or once it was sent the rest of its stream. */
static void
post_start(struct post *p)
{
	const struct mcp_server *s = p->http->link.server;
	struct fetch_spec spec = {
		.url = s->url,
		.method = p->streams ? "GET" : NULL,
		.body = p->body.data,
		.body_len = p->body.len,
		.networks = p->http->link.host->networks,
		.connect_ms = s->connect_ms,
		.first_byte_ms =
		    p->id == 0 && !p->streams ? s->connect_ms : STAYS_MS,
		.idle_ms = STAYS_MS,
		.total_ms = STAYS_MS,
		.on_body = on_body,
		.on_end = on_end,
		.ctx = p,
	};
	struct fetch *fetch;

	sse_fini(&p->sse);
	sse_init(&p->sse, MCP_MESSAGE_BYTES, on_event, p);
	buf_add(&p->sse.id, p->last_event.data, p->last_event.len);
	buf_clear(&p->answer);
	p->is_stream = 0;
	arena_reset(p->arena);
	headers_add(p, &spec);
	p->streams = 1; /* if it is started again */
	fetch = fetch_start(p->http->link.host->fetcher, &spec);
	if (fetch != NULL)
		p->fetch = fetch;
}

static void
on_timer(void *arg)
{
	post_start(arg);
}

static struct post *
post_new(struct http *h, int64_t id)
{
	struct post *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->http = h;
	p->id = id;
	p->retry_ms = RETRY_MS;
	p->arena = arena_open(512);
	buf_init(&p->body, NULL);
	buf_init(&p->answer, NULL);
	buf_init(&p->last_event, NULL);
	sse_init(&p->sse, MCP_MESSAGE_BYTES, on_event, p);
	p->timer = loop_timer_new(h->link.host->loop, "mcp retry", on_timer, p);
	p->prev = &h->posts;
	p->next = h->posts;
	if (p->next != NULL)
		p->next->prev = &p->next;
	h->posts = p;
	return p;
}

static void
http_send(struct mcp_link *l, const char *p, size_t len, int64_t id)
{
	struct post *post = post_new((struct http *)l, id);

	buf_add(&post->body, p, len);
	post_start(post);
}

static void
http_drop(struct mcp_link *l, int64_t id)
{
	struct http *h = (struct http *)l;

	for (struct post *p = h->posts; p != NULL; p = p->next)
		if (p->id == id) {
			post_end(p);
			return;
		}
}

static void
http_agreed(struct mcp_link *l, const char *revision)
{
	struct http *h = (struct http *)l;

	h->revision = arena_strdup(h->arena, revision);
}

static void
http_listen(struct mcp_link *l)
{
	struct post *p = post_new((struct http *)l, 0);

	p->streams = p->listens = 1;
	post_start(p);
}

/* ---- goodbye ---- */

static void
ignore_end(void *ctx, const struct fetch_end *end)
{
	(void)ctx;
	(void)end;
}

/* The server may forget the session. */
static void
say_goodbye(struct http *h)
{
	struct post *p = post_new(h, 0);
	struct fetch_spec spec = {
		.url = h->link.server->url,
		.method = "DELETE",
		.networks = h->link.host->networks,
		.connect_ms = h->link.server->connect_ms,
		.first_byte_ms = h->link.server->connect_ms,
		.idle_ms = h->link.server->connect_ms,
		.total_ms = h->link.server->connect_ms,
		.on_body = fetch_ignore_body,
		.on_end = ignore_end,
	};

	headers_add(p, &spec);
	fetch_start(h->link.host->fetcher, &spec);
	post_free(p);
}

static void
http_close(struct mcp_link *l)
{
	struct http *h = (struct http *)l;

	while (h->posts != NULL)
		post_end(h->posts);
	if (h->session[0] != '\0')
		say_goodbye(h);
	arena_close(&h->arena);
	free(h);
}

static const struct mcp_link_ops http_ops = { http_send, http_drop, http_agreed,
	http_listen, http_close };

struct mcp_link *
mcp_http_open(const struct mcp_link *base)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->link = *base;
	h->link.ops = &http_ops;
	h->arena = arena_open(256);
	return &h->link;
}
