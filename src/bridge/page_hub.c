/* SPDX-License-Identifier: MIT */
/*
 * Pages: who they are, what they say, how they end; and those that come by
 * WebSocket. page_sio.c has those that come by Socket.IO.
 *
 * A connection is accepted before anybody knows who it is; the pool says that,
 * then Redis is told, and when that has happened the page is told its id. So
 * whoever knows the id can ask the page. Pages speak at once, and say much; so
 * nothing is read before that, and nobody who was not let in makes us keep it.
 * A page that does not answer a ping is not there any more. While Redis is away
 * pages stay, and are put there again.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "bridge/figures.h"
#include "bridge/pace.h"
#include "bridge/page_priv.h"
#include "bridge/tally.h"
#include "bridge/who.h"
#include "conf/conf.h"
#include "session/block.h"

#define BEATS_MISSED 3 /* until a page is forgotten whose gateway is dead */
#define CLOSE_POLICY 1008
#define CLOSE_LATER 1013
#define CLOSE_NO_TOKEN 4001
#define CLOSE_BAD_TOKEN 4003

static const char *const dialect_names[] = {
	[PAGE_B1] = "B1",
	[PAGE_B2] = "B2",
};

/* n more that are open, in the page's dialect; n may be -1. */
static void
count(const struct page *p, int n)
{
	if (p->state == PAGE_OPEN)
		figure_add(
		    p->dialect == PAGE_B1 ? FIGURE_PAGES_B1 : FIGURE_PAGES_B2,
		    n);
}

/* ---- sending ---- */

void
page_send(struct page *p, const char *type, const struct buf *text)
{
	p->way->send(p, type, text);
}

void
page_open_message(struct buf *b, const char *type)
{
	char id[ID_UUID_SIZE];

	id_make_uuid(id);
	json_open(b, NULL, '{');
	json_add_str(b, "type", type);
	json_add_str(b, "id", id);
	block_add_time(b, "timestamp", clk_wall_ms());
}

void
page_send_error(struct page *p, const char *correlation, const char *code,
    const char *message)
{
	struct buf b;

	buf_init(&b, NULL);
	page_open_message(&b, "error");
	if (correlation != NULL)
		json_add_str(&b, "correlationId", correlation);
	json_add_str(&b, "code", code);
	json_add_str(&b, "message", message);
	json_close(&b, '}');
	page_send(p, "error", &b);
	buf_fini(&b);
}

/* ---- the end ---- */

/* Nobody finds it any more, and what it was asked fails. */
static void
leave(struct page *p)
{
	if (p->state == PAGE_OVER)
		return;
	count(p, -1);
	p->state = PAGE_OVER;
	who_cancel(&p->who);
	page_agent_cancel(p);
	loop_timer_free(&p->heart);
	if (p->user == NULL)
		return;
	page_server_drop(p->all->server, p->user, p->client);
	page_jobs_fail(p);
	p->user = NULL;
	guest_leave(p->all->tallies->guests, &p->guest);
}

static void
page_close(struct page *p, int code, const char *reason)
{
	leave(p);
	web_close_saying(p->web, code, reason);
}

void
page_free(struct page *p)
{
	struct page_hub *all = p->all;

	leave(p);
	HASH_DEL(all->pages, p);
	if (p->address != NULL)
		tally_drop(&all->tallies->addresses, p->address);
	free(p->address);
	free(p->authorization);
	free(p->ticket);
	free(p->capabilities);
	free(p);
}

static void
on_gone(void *ctx, struct web_conn *c)
{
	struct page *p = web_conn_get(c);

	(void)ctx;
	if (p != NULL)
		page_free(p);
}

static void
on_slow(void *ctx, struct web_conn *c)
{
	(void)ctx;
	(void)c; /* on_gone follows */
	log_info("a page was dropped: it does not read what it is sent");
}

/* ---- what Redis has of it ---- */

/* One at a time: while Redis is slow a page may say a lot, of which the last
 * counts. */
static void
put(struct page *p)
{
	const struct page_card card = { .user = p->user,
		.client = p->client,
		.dialect = dialect_names[p->dialect],
		.since_ms = p->since_ms,
		.capabilities = p->capabilities == NULL ? "" : p->capabilities,
		.capabilities_len = p->capabilities_len };

	p->stale = 1;
	if (p->putting || !page_server_is_up(p->all->server))
		return;
	p->putting = 1;
	p->stale = 0;
	page_server_put(p->all->server, &card);
}

/* ---- heartbeats ---- */

static void
on_heart(void *arg)
{
	struct page *p = arg;

	if (!p->way->beat(p))
		return;
	if (p->stale)
		put(p);
	else
		page_server_keep(p->all->server, p->user, p->client);
}

/* One that is not let in by the next time either is not waited for. */
static int
beat(struct page *p)
{
	if (p->awaited || p->state != PAGE_OPEN) {
		leave(p);
		web_drop(p->web);
		return 0;
	}
	p->awaited = 1;
	web_ping(p->web);
	return 1;
}

static void
on_pong(void *ctx, struct web_conn *c)
{
	struct page *p = web_conn_get(c);

	(void)ctx;
	if (p != NULL)
		p->awaited = 0;
}

/* ---- who it is ---- */

void
page_enter(struct page *p, const char *user)
{
	p->user = user;
	p->state = PAGE_COMING;
	put(p);
}

static void
on_expired(void *arg)
{
	log_info("a page was closed: its token has expired");
	page_close(arg, CLOSE_BAD_TOKEN, "Invalid token");
}

static void
on_revoked(void *arg)
{
	page_close(arg, CLOSE_BAD_TOKEN, "Invalid token");
}

static const struct guest_calls guest_calls = { on_expired, on_revoked };

static void
let_in(struct page *p, const struct who_is *is)
{
	if (!guest_enter(
		p->all->tallies->guests, &p->guest, is, &guest_calls, p)) {
		page_close(p, CLOSE_LATER, "Too many connections");
		return;
	}
	page_enter(p, p->guest.user);
}

static void
on_who(void *ctx, enum who_verdict verdict, const struct who_is *is)
{
	struct page *p = ctx;

	p->who = NULL;
	switch (verdict) {
	case WHO_KNOWN:
		let_in(p, is);
		break;
	case WHO_REFUSED:
		page_close(p, CLOSE_BAD_TOKEN, "Invalid token");
		break;
	case WHO_UNSAID:
		page_close(p, 0, "");
		break;
	}
}

static void
identify(struct page *p)
{
	const struct who_spec spec = { .authorization = p->authorization,
		.ticket = p->ticket,
		.address = p->address };
	int64_t auth = p->all->conf->bridge_auth;

	if (!p->shown && auth == CONF_BRIDGE_REQUIRED) {
		page_close(p, CLOSE_NO_TOKEN, "Authentication required");
		return;
	}
	if (p->shown && p->authorization == NULL && p->ticket == NULL &&
	    auth != CONF_BRIDGE_OFF) {
		page_close(p, CLOSE_BAD_TOKEN, "Invalid token");
		return;
	}
	web_hold(p->web);
	p->who = who_ask(p->all->asker, &spec, on_who, p);
}

static void
on_open(void *ctx, struct web_conn *c)
{
	struct page *p = web_conn_get(c);

	(void)ctx;
	if (p != NULL)
		identify(p);
}

/* ---- Redis ---- */

/* What it has said meanwhile is read now. */
static void
greet(struct page *p)
{
	struct buf b;

	buf_init(&b, NULL);
	json_open(&b, NULL, '{');
	json_add_str(&b, "type", "connection");
	json_add_str(&b, "clientId", p->client);
	json_close(&b, '}');
	page_send(p, "connection", &b);
	buf_fini(&b);
	web_conn_known(p->web, 1);
	web_go_on(p->web);
}

static struct page *
page_find(struct page_hub *all, const char *client)
{
	struct page *p;

	HASH_FIND_STR(all->pages, client, p);
	return p;
}

static void
put_again(struct page *p)
{
	if (p->state == PAGE_COMING || p->state == PAGE_OPEN)
		put(p);
}

static void
on_put(void *ctx, const char *client, int64_t since_ms)
{
	struct page *p = page_find(ctx, client);

	if (p == NULL)
		return;
	p->putting = 0;
	if (since_ms == 0) { /* the next heartbeat tries again */
		p->stale = 1;
		return;
	}
	if (p->stale)
		put_again(p);
	else
		p->since_ms = since_ms;
	if (p->state != PAGE_COMING)
		return;
	p->state = PAGE_OPEN;
	count(p, 1);
	p->way->greet(p);
}

static void
on_lost(void *ctx, const char *client)
{
	struct page *p = page_find(ctx, client);

	if (p != NULL)
		put_again(p);
}

static void
on_up(void *ctx)
{
	struct page_hub *all = ctx;
	struct page *p, *next;

	HASH_ITER(hh, all->pages, p, next)
	{
		put_again(p);
	}
}

static void
on_order(void *ctx, const struct page_order *order)
{
	page_job_start(ctx, order);
}

static void
on_cancel(void *ctx, const char *request)
{
	page_job_cancel(ctx, request);
}

/* ---- what pages say ---- */

/* What it can do. What is too much is refused, and what it said before
 * counts. */
static void
take_capabilities(struct page *p, const struct page_message *m)
{
	struct arena *a = arena_open(4096);
	const struct conf *c = p->all->conf;
	const struct page_limits limits = {
		.count = (size_t)c->bridge_page_capabilities,
		.bytes = (size_t)c->bridge_page_bytes
	};
	const struct json *said =
	    p->capabilities == NULL
		? NULL
		: json_parse(a, p->capabilities, p->capabilities_len,
		      JSON_DEPTH_MAX, NULL);
	struct buf b;
	struct err err;

	count(p, -1);
	p->dialect = m->says == PAGE_CAPABILITY ? PAGE_B1 : PAGE_B2;
	count(p, 1);
	buf_init(&b, NULL);
	if (page_capabilities(&b, m, said, &limits, &err) < 0) {
		page_send_error(p, NULL, "TOO_MANY_CAPABILITIES", err.text);
		buf_fini(&b);
	} else {
		free(p->capabilities);
		p->capabilities = b.data;
		p->capabilities_len = b.len;
		p->since_ms = 0;
		put(p);
	}
	arena_close(&a);
}

static void
take_session(struct page *p, const struct page_message *m)
{
	const char *action = json_get_str(m->doc, "action");

	if (action != NULL && strcmp(action, "disconnect") == 0)
		page_close(p, 1000, "");
}

void
page_take(struct page *p, const struct page_message *m)
{
	switch (m->says) {
	case PAGE_CAPABILITY:
	case PAGE_REGISTER:
	case PAGE_UPDATE:
		take_capabilities(p, m);
		break;
	case PAGE_RESPONSE:
	case PAGE_FUNCTION_RESULT:
	case PAGE_COMPONENT_RESULT:
	case PAGE_ERROR:
		page_job_answer(p, m);
		break;
	case PAGE_SESSION:
		take_session(p, m);
		break;
	case PAGE_QUERY:
	case PAGE_CALL:
		page_agent_ask(p, m);
		break;
	case PAGE_EVENT: /* nobody has asked for them */
	case PAGE_OTHER:
		log_debug("a page says what means nothing here");
		break;
	}
}

static void
hear(struct page *p, const char *data, size_t len)
{
	struct arena *a = arena_open(4096);
	struct page_message m;
	struct err err;

	if (page_message_read(a, data, len, &m, &err) == 0)
		page_take(p, &m);
	else
		log_debug("a page says what is no message: %s", err.text);
	arena_close(&a);
}

/* Whether it is text or not: bytes may be JSON as well. */
static void
on_message(
    void *ctx, struct web_conn *c, int binary, const char *data, size_t len)
{
	struct page *p = web_conn_get(c);

	(void)ctx;
	(void)binary;
	if (p == NULL || p->state != PAGE_OPEN)
		return;
	if (!pace_take(&p->paid_us, &p->all->conf->bridge_messages))
		page_close(p, CLOSE_POLICY, "Too many messages");
	else
		hear(p, data, len);
}

/* ---- the begin ---- */

struct page *
page_new(struct page_hub *all, const struct page_way *way)
{
	int64_t beat_ms = all->conf->bridge_page_heartbeat_ms;
	struct page *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->all = all;
	p->way = way;
	id_make_uuid(p->client);
	HASH_ADD_STR(all->pages, client, p);
	p->heart = loop_timer_new(all->loop, "heartbeat", on_heart, p);
	loop_timer_start(p->heart, beat_ms, beat_ms);
	return p;
}

int
page_hub_path(const char *path)
{
	return strcmp(path, "/ws") == 0 || strcmp(path, "/agent-bridge") == 0;
}

/* A copy; NULL of nothing. */
static char *
copy(const char *text)
{
	char *s;

	if (text == NULL || *text == '\0')
		return NULL;
	s = strdup(text);
	if (s == NULL)
		abort();
	return s;
}

/* What it shows: the query's token counts before the header, a ticket after
 * both. */
static void
read_credentials(struct page *p, const struct web_request *rq)
{
	const char *token = web_query(rq, "token");
	const char *ticket = web_query(rq, "ticket");

	if (token == NULL || *token == '\0')
		token = rq->authorization;
	if (*token != '\0')
		p->authorization = who_header(token);
	else
		p->ticket = copy(ticket);
	p->shown = *token != '\0' || p->ticket != NULL;
}

/* Each page knows of which gateway it is: this outlives all of them. */
static const struct web_calls page_calls = {
	.on_open = on_open,
	.on_message = on_message,
	.on_pong = on_pong,
	.on_slow = on_slow,
	.on_gone = on_gone,
};

static void
send_text(struct page *p, const char *type, const struct buf *text)
{
	struct web_frame *f = web_frame_new(text->data, text->len);

	(void)type; /* the text says it */
	web_send(p->web, f);
	web_frame_unref(&f);
}

static const struct page_way by_websocket = { greet, send_text, beat };

int
page_hub_upgrade(struct page_hub *all, const struct web_request *rq,
    struct web_answer *refusal_r)
{
	struct page *p;

	if (*rq->address != '\0' &&
	    !tally_take(&all->tallies->addresses, rq->address,
		all->conf->bridge_connections_per_address)) {
		refusal_r->status = 429;
		return 0;
	}
	p = page_new(all, &by_websocket);
	p->web = rq->conn;
	p->address = copy(rq->address);
	read_credentials(p, rq);
	web_conn_set(rq->conn, p);
	web_conn_use(rq->conn, &page_calls);
	return 1;
}

struct page_hub *
page_hub_new(struct loop *l, const struct conf *c, const struct store *st,
    struct asker *k, struct tallies *t)
{
	struct page_hub *all = calloc(1, sizeof(*all));
	const struct page_server_calls calls = { .on_up = on_up,
		.on_put = on_put,
		.on_lost = on_lost,
		.on_order = on_order,
		.on_cancel = on_cancel,
		.ctx = all };

	if (all == NULL)
		abort();
	all->loop = l;
	all->conf = c;
	all->asker = k;
	all->tallies = t;
	all->server = page_server_new(
	    l, c, st, BEATS_MISSED * c->bridge_page_heartbeat_ms, &calls);
	return all;
}

int
page_hub_count(const struct page_hub *all)
{
	return (int)HASH_COUNT(all->pages);
}

void
page_hub_close_all(struct page_hub *all)
{
	struct page *p, *next;

	HASH_ITER(hh, all->pages, p, next)
	{
		web_conn_set(p->web, NULL);
		page_free(p);
	}
}

void
page_hub_free(struct page_hub **p_p)
{
	struct page_hub *all = *p_p;

	if (all == NULL)
		return;
	*p_p = NULL;
	page_server_free(&all->server);
	free(all);
}
