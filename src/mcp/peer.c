/* SPDX-License-Identifier: MIT */
/*
 * A connection and its requests: each has an id, ends once, and in time. What
 * breaks is closed at the end of the tick, so that nothing is taken apart
 * under those who found out.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/mcp_priv.h"

#define RETRY_MS 5000 /* after a connection that could not be made */

/* ---- calls ---- */

static void
call_link(struct mcp_peer *p, struct mcp_call *c)
{
	c->peer = p;
	c->prev = &p->calls;
	c->next = p->calls;
	if (c->next != NULL)
		c->next->prev = &c->next;
	p->calls = c;
}

static void
call_end(struct mcp_call *c)
{
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = NULL;
	c->on_end(c->ctx, c);
}

static void
call_fail(struct mcp_call *c, enum err_code code, const char *text)
{
	err_set(&c->err, code, "%s", text);
	call_end(c);
}

static struct mcp_call *
call_find(struct mcp_peer *p, int64_t id)
{
	struct mcp_call *c = p->calls;

	while (c != NULL && c->id != id)
		c = c->next;
	return id == 0 ? NULL : c;
}

/* Its parameters, with the token by which progress is told. */
static void
add_params(struct buf *b, const struct mcp_call *c)
{
	buf_puts(b, c->params);
	int traced = c->traceparent != NULL && *c->traceparent != '\0';

	if (c->on_progress == NULL && !traced)
		return;
	buf_truncate(b, b->len - 1);
	json_open(b, "_meta", '{');
	if (c->on_progress != NULL)
		json_add_int(b, "progressToken", c->id);
	if (traced)
		json_add_str(b, "traceparent", c->traceparent);
	json_close(b, '}');
	json_close(b, '}');
}

static void
call_send(struct mcp_peer *p, struct mcp_call *c)
{
	struct buf b, params;

	c->id = ++p->last_id;
	buf_init(&b, NULL);
	buf_init(&params, NULL);
	add_params(&params, c);
	mcp_request_write(&b, c->id, c->method, buf_str(&params));
	p->link->ops->send(p->link, b.data, b.len, c->id);
	buf_fini(&params);
	buf_fini(&b);
}

void
mcp_peer_ask(struct mcp_peer *p, struct mcp_call *c)
{
	c->deadline_ms = loop_now_ms(p->mcp->host.loop) + p->server->connect_ms;
	call_link(p, c);
	call_send(p, c);
}

void
mcp_peer_tell(struct mcp_peer *p, const char *method, const char *params)
{
	struct buf b;

	buf_init(&b, NULL);
	mcp_request_write(&b, 0, method, params);
	p->link->ops->send(p->link, b.data, b.len, 0);
	buf_fini(&b);
}

void
mcp_peer_send_waiting(struct mcp_peer *p)
{
	struct mcp_call *c = p->calls;

	while (c != NULL) {
		if (c->id != 0) {
			c = c->next;
			continue;
		}
		call_send(p, c);
		c = p->calls; /* it may have ended */
	}
}

void
mcp_call_start(struct mcp_peer *p, struct mcp_call *c)
{
	int64_t now = loop_now_ms(p->mcp->host.loop);

	c->id = 0;
	c->sent_again = 0;
	c->result = NULL;
	err_clear(&c->err);
	c->deadline_ms = now + p->server->timeout_ms;
	call_link(p, c);
	if (p->state == MCP_READY)
		call_send(p, c);
	else if (p->state == MCP_CLOSED && p->retry_ms > now)
		call_fail(c, ERR_MODEL, p->trouble.text);
	else if (p->state == MCP_CLOSED)
		mcp_peer_connect(p);
}

/* The server need not go on with it. */
static void
say_cancelled(struct mcp_peer *p, int64_t id, const char *why)
{
	char params[100];

	if (id == 0 || p->state != MCP_READY)
		return;
	snprintf(params, sizeof(params),
	    "{\"requestId\":%lld,\"reason\":\"%s\"}", (long long)id, why);
	mcp_peer_tell(p, "notifications/cancelled", params);
	if (p->link->ops->drop != NULL)
		p->link->ops->drop(p->link, id);
}

void
mcp_call_cancel(struct mcp_call *c)
{
	if (c->prev == NULL)
		return;
	say_cancelled(c->peer, c->id, "the turn was stopped");
	call_fail(c, ERR_CANCELLED, "the call was stopped");
}

/* ---- what comes ---- */

static void
on_progress(struct mcp_peer *p, const struct json *params)
{
	struct mcp_call *c = NULL;
	const char *text = json_get_str(params, "message");
	double done, total;
	char said[400];
	int64_t id;
	int n = 0;

	if (json_get_int(params, "progressToken", &id))
		c = call_find(p, id);
	if (c == NULL || c->on_progress == NULL ||
	    !json_double(json_get(params, "progress"), &done))
		return;
	c->deadline_ms = loop_now_ms(p->mcp->host.loop) + p->server->timeout_ms;
	if (json_double(json_get(params, "total"), &total))
		n = snprintf(said, sizeof(said), "%g of %g", done, total);
	else
		n = snprintf(said, sizeof(said), "%g", done);
	if (text != NULL)
		snprintf(said + n, sizeof(said) - (size_t)n, ": %.*s",
		    (int)json_utf8_whole(text, strnlen(text, 300)), text);
	c->on_progress(c->ctx, said);
}

/* What the server asks. This client offers no more than to be there. */
static void
on_request(struct mcp_peer *p, const struct mcp_message *m)
{
	struct buf b;

	buf_init(&b, NULL);
	mcp_answer_write(
	    &b, m->id_json, strcmp(m->method, "ping") == 0 ? "{}" : NULL);
	p->link->ops->send(p->link, b.data, b.len, 0);
	buf_fini(&b);
}

static void
on_notification(struct mcp_peer *p, const struct mcp_message *m)
{
	if (strcmp(m->method, "notifications/tools/list_changed") == 0)
		mcp_peer_list(p);
	else if (strcmp(m->method, "notifications/progress") == 0)
		on_progress(p, m->params);
}

static void
close_arena(void *p)
{
	struct arena *a = p;

	arena_close(&a);
}

static void
on_response(struct mcp_call *c, const struct mcp_message *m)
{
	const char *text = json_get_str(m->error, "message");

	c->result = m->result;
	if (m->error != NULL)
		err_set(&c->err, ERR_MODEL, "%.200s",
		    text == NULL ? "the server said no" : text);
	call_end(c);
}

void
mcp_peer_on_message(void *ctx, const char *text, size_t len)
{
	struct mcp_peer *p = ctx;
	struct arena *a = arena_open(len + 1024);
	struct mcp_message m;
	struct mcp_call *c;
	struct err err;

	err_clear(&err);
	if (p->state == MCP_BREAKING) {
		arena_close(&a);
		return;
	}
	p->used_ms = loop_now_ms(p->mcp->host.loop);
	if (mcp_message_read(a, text, len, &m, &err) < 0) {
		mcp_peer_break(p, &err);
	} else if (m.method == NULL) {
		c = call_find(p, m.id);
		if (c != NULL) {
			arena_defer(c->arena, close_arena, a);
			on_response(c, &m);
			return; /* the arena is the call's now */
		}
	} else if (m.id_json != NULL) {
		on_request(p, &m);
	} else {
		on_notification(p, &m);
	}
	arena_close(&a);
}

int
mcp_peer_waits(void *ctx, int64_t id)
{
	return call_find(ctx, id) != NULL;
}

/* A request that a forgotten session refused is sent again, once. */
void
mcp_peer_on_failed(void *ctx, int64_t id, const struct err *why)
{
	struct mcp_peer *p = ctx;
	struct mcp_call *c = call_find(p, id);

	if (id == 0) {
		mcp_peer_break(p, why);
	} else if (c != NULL && why->code == ERR_NOT_FOUND && c != &p->own &&
		   !c->sent_again) {
		c->id = 0;
		c->sent_again = 1;
	} else if (c != NULL) {
		c->err = *why;
		call_end(c);
	}
}

/* ---- the end of a connection ---- */

void
mcp_peer_settle(struct mcp_peer *p)
{
	struct mcp_wait *w;

	while ((w = p->waits) != NULL) {
		mcp_wait_cancel(w);
		w->on_settled(w->ctx);
	}
}

static void
close_link(struct mcp_peer *p)
{
	if (p->link != NULL)
		p->link->ops->close(p->link);
	p->link = NULL;
	if (p->asks) /* it never ends */
		*p->own.prev = p->own.next;
	if (p->asks && p->own.next != NULL)
		p->own.next->prev = p->own.prev;
	p->asks = 0;
	mcp_catalog_drop(&p->building);
	p->capabilities = NULL;
	arena_close(&p->list_arena);
	arena_close(&p->arena);
}

/* All that were sent, or all. Whoever is told may start others. */
static void
fail_calls(struct mcp_peer *p, int all, const struct err *why)
{
	struct mcp_call *c, *next, *gone = NULL;

	for (c = p->calls; c != NULL; c = next) {
		next = c->next;
		if (c->id == 0 && !all)
			continue;
		*c->prev = next;
		if (next != NULL)
			next->prev = c->prev;
		c->next = gone;
		c->prev = &gone;
		if (gone != NULL)
			gone->prev = &c->next;
		gone = c;
	}
	while (gone != NULL)
		call_fail(gone, why->code, why->text);
}

static void
on_broken(void *arg)
{
	struct mcp_peer *p = arg;
	int is_session = p->why.code == ERR_NOT_FOUND;

	close_link(p);
	p->state = MCP_CLOSED;
	p->trouble = p->why;
	if (!is_session)
		p->retry_ms = loop_now_ms(p->mcp->host.loop) + RETRY_MS;
	log_warn("%s", p->why.text);
	fail_calls(p, !is_session, &p->trouble);
	mcp_peer_settle(p);
	if (p->calls != NULL && p->state == MCP_CLOSED)
		mcp_peer_connect(p);
}

void
mcp_peer_break(struct mcp_peer *p, const struct err *why)
{
	if (p->state == MCP_BREAKING || p->state == MCP_CLOSED)
		return;
	err_clear(&p->why);
	err_set(&p->why, why->code, "MCP server %s: %.200s", p->server->name,
	    why->text);
	p->state = MCP_BREAKING;
	loop_defer(p->mcp->host.loop, &p->breaking, "mcp", on_broken, p);
}

int
mcp_peer_check(struct mcp_peer *p, int64_t now_ms)
{
	struct mcp_call *c, *next;
	int64_t id;

	for (c = p->calls; c != NULL; c = next) {
		next = c->next;
		if (c->deadline_ms > now_ms)
			continue;
		id = c->id;
		call_fail(
		    c, ERR_TIMEOUT, "the MCP server did not answer in time");
		say_cancelled(p, id, "it took too long");
		next = p->calls;
	}
	return p->users == 0 && p->calls == NULL && p->state != MCP_BREAKING &&
	       now_ms - p->used_ms >= p->mcp->idle_ms;
}

void
mcp_peer_free(struct mcp_peer *p)
{
	struct err why;

	err_clear(&why);
	err_set(&why, ERR_CANCELLED, "the worker stops");
	close_link(p);
	fail_calls(p, 1, &why);
	mcp_peer_settle(p);
	mcp_catalog_drop(&p->catalog);
	free(p->key);
	free(p->user);
	free(p->workspace);
	free(p);
}

/* ---- who waits ---- */

struct mcp_catalog *
mcp_peer_catalog(struct mcp_peer *p)
{
	struct mcp_catalog *c =
	    p->catalog != NULL ? p->catalog : mcp_known_find(p->mcp, p->server);

	return c == NULL ? NULL : mcp_catalog_hold(c);
}

const char *
mcp_peer_trouble(const struct mcp_peer *p)
{
	return p->trouble.code == ERR_NONE ? "" : p->trouble.text;
}

int
mcp_peer_wait(struct mcp_peer *p, struct mcp_wait *w)
{
	int64_t now = loop_now_ms(p->mcp->host.loop);

	if (p->catalog != NULL || mcp_known_find(p->mcp, p->server) != NULL ||
	    (p->state == MCP_CLOSED && p->retry_ms > now))
		return 0;
	w->prev = &p->waits;
	w->next = p->waits;
	if (w->next != NULL)
		w->next->prev = &w->next;
	p->waits = w;
	if (p->state == MCP_CLOSED)
		mcp_peer_connect(p);
	return 1;
}

void
mcp_wait_cancel(struct mcp_wait *w)
{
	if (w->prev == NULL)
		return;
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->prev = NULL;
}
