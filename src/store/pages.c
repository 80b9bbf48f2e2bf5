/* SPDX-License-Identifier: MIT */
/*
 * Pages that users have open: what they can do, and calls of them.
 *
 * A call is a script on the loop's link, which sends nothing twice: it looks
 * up the gateway that has the page and publishes the command on that
 * gateway's channel. The answer comes as an order to this process, over the
 * subscription, and so perhaps before the script's own. What a call needs
 * beyond its caller's life is a struct page_ask, which goes when the call has
 * ended and the script has answered.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "store/pages.h"
#include "store/redis_link.h"
#include "store/store_priv.h"

#define TEXTS 4 /* that pages.lua gives of a page */
#define SERVER_SIZE 128
#define ANSWER_MAX_BYTES (4 * 1024 * 1024)

struct page_ask {
	UT_hash_handle hh; /* pages->asks, until the call has ended */
	char id[ID_SIZE];
	struct pages *pages;
	struct page_call *call; /* NULL: it has ended */
	struct loop_timer *timer;
	int awaited;              /* the script has not answered */
	int cancelled;            /* and the gateway is to be told */
	char server[SERVER_SIZE]; /* the gateway that has it; "" not known */
};

struct pages {
	struct loop *loop;
	const struct store *store;
	struct redis_link *link;
	struct page_ask *asks; /* by id */
	int count;             /* that are there, in asks or not */
	int closing;
};

/* Whole however long the name is: it is all that keeps users apart. */
char *
store_user_base(const struct store *st, struct arena *a, const char *user)
{
	return arena_printf(
	    a, "%s%s", store_key(st, a, "user:"), store_user_part(a, user));
}

/* ---- which there are ---- */

static int
by_since(const void *a, const void *b)
{
	const struct page *p = a, *q = b;

	if (p->since_ms != q->since_ms)
		return p->since_ms < q->since_ms ? 1 : -1;
	return strcmp(p->client, q->client);
}

int
store_pages(struct store *st, struct arena *a, const char *user,
    struct page **list_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *r, *v;
	struct redis_pipe p;
	struct page *list;
	size_t n;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_PAGES, 1, 2);
	redis_arg(&p, store_user_base(st, a, user));
	redis_argi(&p, PAGES_MAX);
	redis_argi(&p, PAGES_BYTES);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	n = r[0].count / TEXTS;
	list = arena_alloc(a, (n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++) {
		v = &r[0].items[i * TEXTS];
		list[i] = (struct page){ .client = redis_text(&v[0]),
			.since_ms = strtoll(redis_text(&v[1]), NULL, 10),
			.dialect = redis_text(&v[2]),
			.capabilities = v[3].len == 0 ? NULL : v[3].text };
	}
	qsort(list, n, sizeof(*list), by_since);
	*list_r = list;
	*count_r = n;
	return 0;
}

/* ---- the end of a call ---- */

static void
pages_release(struct pages *p)
{
	if (p->closing && p->count == 0)
		free(p);
}

static void
ask_free(struct page_ask *k)
{
	struct pages *p = k->pages;

	free(k);
	p->count--;
	pages_release(p);
}

static void
ask_end(struct page_ask *k, enum page_end end, const char *message)
{
	struct page_call *c = k->call;

	HASH_DEL(k->pages->asks, k);
	loop_timer_free(&k->timer);
	k->call = NULL;
	c->ask = NULL;
	c->end = end;
	c->message = message;
	if (!k->awaited)
		ask_free(k);
	c->on_end(c->ctx, c);
}

static void
on_late(void *arg)
{
	ask_end(arg, PAGE_LATE, "Request timed out");
}

/* ---- what is sent ---- */

static void
on_published(void *ctx, const redisReply *r)
{
	(void)ctx;
	(void)r;
}

/* Whether the gateway hears it or not: nobody waits for it any more. */
static void
publish_cancel(struct page_ask *k)
{
	struct pages *p = k->pages;
	struct arena *a = arena_open(1024);
	struct redis_pipe pipe;
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	json_add_str(&b, "type", "cancel");
	json_add_str(&b, "requestId", k->id);
	json_close(&b, '}');
	redis_pipe_init(&pipe, a);
	redis_cmd(&pipe, "PUBLISH",
	    store_key(p->store, a, "bridge:%s", k->server), buf_str(&b), NULL);
	redis_link_send(
	    p->link, pipe.out.data, pipe.out.len, on_published, NULL);
	arena_close(&a);
}

/* The script's word; "" if it did not answer. */
static const char *
word_of(const redisReply *r)
{
	if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements == 0 ||
	    r->element[0]->type != REDIS_REPLY_STRING)
		return "";
	return r->element[0]->str;
}

static void
take_sent(struct page_ask *k, const redisReply *r)
{
	snprintf(k->server, sizeof(k->server), "%s", r->element[1]->str);
	if (k->cancelled)
		publish_cancel(k);
	if (k->call == NULL)
		ask_free(k);
	else if (k->call->only_send)
		ask_end(k, PAGE_ANSWERED, NULL);
}

static void
on_sent(void *ctx, const redisReply *r)
{
	struct page_ask *k = ctx;
	const char *word = word_of(r);

	k->awaited = 0;
	if (strcmp(word, "SENT") == 0 && r->elements == 2)
		take_sent(k, r);
	else if (k->call == NULL)
		ask_free(k);
	else if (strcmp(word, "NONE") == 0)
		ask_end(k, PAGE_UNKNOWN, "Client not found");
	else if (strcmp(word, "GONE") == 0)
		ask_end(k, PAGE_UNSENT, "the gateway of this client is gone");
	else
		ask_end(k, PAGE_UNSENT,
		    "the store is away; nobody knows whether it was sent");
}

static void
message_build(struct buf *b, const struct page_ask *k, struct arena *a)
{
	const struct store *st = k->pages->store;
	const struct page_call *c = k->call;

	json_open(b, NULL, '{');
	json_add_str(b, "type", "command");
	json_add_str(b, "user", c->user);
	json_add_str(b, "clientId", c->client);
	json_add_str(b, "requestId", k->id);
	json_add_str(
	    b, "replyTo", store_key(st, a, "ctl:%s", store_holder(st)));
	json_add_int(b, "timeoutMs", c->timeout_ms);
	json_add_raw(b, "command", c->command, strlen(c->command));
	json_close(b, '}');
}

static void
ask_send(struct page_ask *k)
{
	struct pages *p = k->pages;
	struct arena *a = arena_open(4096);
	struct redis_pipe pipe;
	struct buf b;

	buf_init(&b, a);
	message_build(&b, k, a);
	redis_pipe_init(&pipe, a);
	redis_script(&pipe, SCRIPT_PAGE_ASK, 1, 3);
	redis_arg(&pipe, store_user_base(p->store, a, k->call->user));
	redis_arg(&pipe, k->call->client);
	redis_arg(&pipe, store_key(p->store, a, "bridge:"));
	redis_argn(&pipe, b.data, b.len);
	k->awaited = 1;
	redis_link_send(p->link, pipe.out.data, pipe.out.len, on_sent, k);
	arena_close(&a);
}

void
page_call_start(struct pages *p, struct page_call *c)
{
	struct page_ask *k = calloc(1, sizeof(*k));

	if (k == NULL)
		abort();
	k->pages = p;
	k->call = c;
	c->ask = k;
	p->count++;
	id_make(k->id, "req_");
	HASH_ADD_STR(p->asks, id, k);
	k->timer = loop_timer_new(p->loop, "page", on_late, k);
	loop_timer_start(k->timer, c->timeout_ms, 0);
	ask_send(k);
}

void
page_call_cancel(struct page_call *c)
{
	struct page_ask *k = c->ask;

	if (k == NULL)
		return;
	k->cancelled = 1;
	if (!k->awaited)
		publish_cancel(k);
	ask_end(k, PAGE_CANCELLED, "it was cancelled");
}

/* ---- what is answered ---- */

/* Errors that only gateways give; what a page says itself has none of these
 * codes. NULL: the message is the gateway's. */
static const struct {
	const char *code;
	enum page_end end;
	const char *message;
} gateway_errors[] = {
	{ "CLIENT_GONE", PAGE_LEFT, "Client disconnected" },
	{ "NOT_FOUND", PAGE_UNKNOWN, "Client not found" },
	{ "SEND_FAILED", PAGE_UNSENT, NULL },
	{ "TIMEOUT", PAGE_LATE, "Request timed out" },
};

static void
take_error(struct page_ask *k, const struct json *error)
{
	const char *code = json_get_str(error, "code");
	const char *message = json_get_str(error, "message");
	size_t n = sizeof(gateway_errors) / sizeof(gateway_errors[0]);

	for (size_t i = 0; code != NULL && i < n; i++) {
		if (strcmp(gateway_errors[i].code, code) != 0)
			continue;
		if (gateway_errors[i].message != NULL)
			message = gateway_errors[i].message;
		ask_end(k, gateway_errors[i].end,
		    message == NULL ? "it was not sent" : message);
		return;
	}
	k->call->code = code;
	ask_end(k, PAGE_FAILED, message);
}

static void
take_answer(struct page_ask *k, const char *text)
{
	struct page_call *c = k->call;
	size_t len = strlen(text);
	const struct json *j = NULL;
	const char *client, *status;

	if (len <= ANSWER_MAX_BYTES)
		j = json_parse(c->arena, text, len, PAGE_DEPTH, NULL);
	client = json_get_str(j, "clientId");
	status = json_get_str(j, "status");
	if (j == NULL) {
		ask_end(k, PAGE_FAILED,
		    "the answer is too large, too deep, or no JSON that is "
		    "taken");
	} else if (client == NULL || strcmp(client, c->client) != 0) {
		log_warn("a page answers in the place of another");
	} else if (status != NULL && strcmp(status, "success") == 0) {
		c->result = json_get(j, "result");
		ask_end(k, PAGE_ANSWERED, NULL);
	} else {
		take_error(k, json_get(j, "error"));
	}
}

void
pages_answer(struct pages *p, const char *text)
{
	size_t n = strcspn(text, " ");
	struct page_ask *k;

	HASH_FIND(hh, p->asks, text, n, k);
	if (k != NULL && text[n] == ' ' && !k->call->only_send)
		take_answer(k, text + n + 1);
}

/* ---- all of it ---- */

struct pages *
pages_new(struct loop *l, const struct store *st, struct redis_link *link)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->loop = l;
	p->store = st;
	p->link = link;
	return p;
}

void
pages_free(struct pages **p_p)
{
	struct pages *p = *p_p;
	struct page_ask *k, *tmp;

	if (p == NULL)
		return;
	*p_p = NULL;
	HASH_ITER(hh, p->asks, k, tmp)
	ask_end(k, PAGE_CANCELLED, "the server stops");
	p->closing = 1;
	pages_release(p);
}
