/* SPDX-License-Identifier: MIT */
/*
 * What a gateway says of its pages, and what it is told: see page_server.h.
 *
 * Two links: one listens to the gateway's own channel, by the other it says
 * what it has. A page whose gateway is not heard is taken out of Redis by
 * whoever finds that out, so all are put again each time the channel is heard
 * anew.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/page_server.h"
#include "store/redis_link.h"
#include "store/store_priv.h"

#define CHANNEL_SIZE 256
#define TIMEOUT_MAX_MS (10 * 60 * 1000)

struct page_server {
	const struct store *store;
	struct page_server_calls calls;
	struct redis_link *link, *sub;
	int64_t stay_ms;
	char id[ID_SIZE];
	char channel[CHANNEL_SIZE];
	int heard;   /* the channel is subscribed */
	int was_up;  /* on_up was called for this time */
	int closing; /* answers are nobody's */
};

/* A page that was put or kept, until Redis has answered. */
struct said {
	struct page_server *server;
	int is_put;
	char client[ID_UUID_SIZE];
};

int
page_server_is_up(const struct page_server *s)
{
	return s->heard && redis_link_up(s->link);
}

static void
look_up(struct page_server *s)
{
	int up = page_server_is_up(s);

	if (up && !s->was_up)
		s->calls.on_up(s->calls.ctx);
	s->was_up = up;
}

static void
on_link_state(void *ctx, int up)
{
	(void)up;
	look_up(ctx);
}

static void
on_sub_state(void *ctx, int up)
{
	struct page_server *s = ctx;

	s->heard = 0;
	look_up(s);
	if (up)
		redis_link_subscribe(s->sub, s->channel);
}

/* ---- what it hears ---- */

static void
take_order(struct page_server *s, const struct json *j)
{
	struct page_order o = { .user = json_get_str(j, "user"),
		.client = json_get_str(j, "clientId"),
		.request = json_get_str(j, "requestId"),
		.reply_to = json_get_str(j, "replyTo"),
		.command = json_get(j, "command") };

	if (o.user == NULL || o.client == NULL || o.request == NULL ||
	    o.reply_to == NULL || !json_is(o.command, JSON_OBJECT) ||
	    !json_get_int(j, "timeoutMs", &o.timeout_ms) || o.timeout_ms < 1) {
		log_warn("a command for a page that makes no sense");
		return;
	}
	if (o.timeout_ms > TIMEOUT_MAX_MS)
		o.timeout_ms = TIMEOUT_MAX_MS;
	s->calls.on_order(s->calls.ctx, &o);
}

static void
take_message(struct page_server *s, const struct redis_push *push)
{
	struct arena *a = arena_open(4096);
	/* The command is a level below, and has been through the pool. */
	const struct json *j =
	    json_parse(a, push->text, push->len, JSON_DEPTH_MAX, NULL);
	const char *type = json_get_str(j, "type");
	const char *request = json_get_str(j, "requestId");

	if (type != NULL && strcmp(type, "command") == 0)
		take_order(s, j);
	else if (type != NULL && strcmp(type, "cancel") == 0 && request != NULL)
		s->calls.on_cancel(s->calls.ctx, request);
	else
		log_warn("a message for this gateway that makes no sense");
	arena_close(&a);
}

static void
on_push(void *ctx, const struct redis_push *push)
{
	struct page_server *s = ctx;

	if (strcmp(push->kind, "subscribe") == 0) {
		s->heard = 1;
		look_up(s);
	} else if (strcmp(push->kind, "message") == 0) {
		take_message(s, push);
	}
}

/* ---- what it says ---- */

static void
on_said(void *ctx, const redisReply *r)
{
	struct said *said = ctx;
	struct page_server *s = said->server;

	int64_t since_ms = 0;
	int lost = 0;

	/* What was not answered is said again when Redis is back. */
	if (r != NULL && r->type == REDIS_REPLY_ERROR) {
		log_warn("Redis does not keep a page: %s", r->str);
	} else if (r != NULL && r->type == REDIS_REPLY_STRING) {
		lost = r->len == 0;
		since_ms = strtoll(r->str, NULL, 10);
	}
	if (said->is_put && !s->closing)
		s->calls.on_put(s->calls.ctx, said->client, since_ms);
	else if (lost && !s->closing)
		s->calls.on_lost(s->calls.ctx, said->client);
	free(said);
}

static void
say(struct page_server *s, const struct redis_pipe *p, const char *client,
    int is_put)
{
	struct said *said = calloc(1, sizeof(*said));

	if (said == NULL)
		abort();
	said->server = s;
	said->is_put = is_put;
	memcpy(said->client, client, strnlen(client, ID_UUID_SIZE - 1));
	redis_link_send(s->link, p->out.data, p->out.len, on_said, said);
}

void
page_server_put(struct page_server *s, const struct page_card *card)
{
	struct arena *a = arena_open(4096);
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_PAGE_PUT, 1, 6);
	redis_arg(&p, store_user_base(s->store, a, card->user));
	redis_arg(&p, card->client);
	redis_argi(&p, s->stay_ms);
	redis_arg(&p, s->id);
	redis_arg(&p, card->dialect);
	if (card->since_ms > 0)
		redis_argi(&p, card->since_ms);
	else
		redis_arg(&p, "");
	redis_argn(&p, card->capabilities, card->capabilities_len);
	say(s, &p, card->client, 1);
	arena_close(&a);
}

void
page_server_keep(struct page_server *s, const char *user, const char *client)
{
	struct arena *a = arena_open(1024);
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_PAGE_PUT, 1, 2);
	redis_arg(&p, store_user_base(s->store, a, user));
	redis_arg(&p, client);
	redis_argi(&p, s->stay_ms);
	say(s, &p, client, 0);
	arena_close(&a);
}

static void
on_ignored(void *ctx, const redisReply *r)
{
	(void)ctx;
	(void)r;
}

void
page_server_drop(struct page_server *s, const char *user, const char *client)
{
	struct arena *a = arena_open(1024);
	const char *base = store_user_base(s->store, a, user);
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "DEL", arena_printf(a, "%s:page:%s", base, client), NULL);
	redis_link_send(s->link, p.out.data, p.out.len, on_ignored, NULL);
	redis_pipe_clear(&p);
	redis_cmd(&p, "ZREM", arena_printf(a, "%s:pages", base), client, NULL);
	redis_link_send(s->link, p.out.data, p.out.len, on_ignored, NULL);
	arena_close(&a);
}

void
page_server_answer(struct page_server *s, const char *reply_to,
    const char *request, const char *json, size_t len)
{
	struct redis_pipe p;
	struct buf text;

	buf_init(&text, NULL);
	buf_printf(&text, "page %s ", request);
	buf_add(&text, json, len);
	redis_pipe_init(&p, NULL);
	redis_begin(&p, 3);
	redis_arg(&p, "PUBLISH");
	redis_arg(&p, reply_to);
	redis_argn(&p, text.data, text.len);
	redis_link_send(s->link, p.out.data, p.out.len, on_ignored, NULL);
	buf_fini(&p.out);
	buf_fini(&text);
}

/* ---- all of it ---- */

static void
on_tick_end(void *arg)
{
	struct page_server *s = arg;

	redis_link_flush(s->link);
	redis_link_flush(s->sub);
}

struct page_server *
page_server_new(struct loop *l, const struct conf *c, const struct store *st,
    int64_t stay_ms, const struct page_server_calls *calls)
{
	struct page_server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->store = st;
	s->calls = *calls;
	s->stay_ms = stay_ms;
	id_make(s->id, "gw_");
	snprintf(s->channel, sizeof(s->channel), "%sbridge:%s", c->store_prefix,
	    s->id);
	s->link = redis_link_new(l, c, on_link_state, s);
	s->sub = redis_link_new(l, c, on_sub_state, s);
	redis_link_on_push(s->sub, on_push);
	loop_at_tick_end(l, "pages", on_tick_end, s);
	return s;
}

void
page_server_free(struct page_server **s_p)
{
	struct page_server *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	s->closing = 1;
	redis_link_flush(s->link);
	redis_link_free(&s->link);
	redis_link_free(&s->sub);
	free(s);
}
