/* SPDX-License-Identifier: MIT */
/*
 * The events of clients that concern sessions.
 *
 * Each is an order. Orders of a socket are done one after the other, so that
 * what it says takes effect as it was said; each is one request to the pool or
 * two, on the routes that front ends use themselves. A socket enters a room
 * when the room's feed is where the pool says that the session is. A status
 * goes out before the acknowledgement, and that only if it was asked for. A
 * socket that leaves takes its orders along; what the pool has begun it goes on
 * with.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "bridge/feed.h"
#include "bridge/rooms.h"
#include "bridge/sessions.h"
#include "conf/conf.h"
#include "http/ask.h"

#define ORDERS_MAX 64                  /* of a socket, that wait */
#define ORDERS_BYTES (2 * 1024 * 1024) /* and what they have to say */
#define SESSION_MAX 64
#define NOT_FOUND "Session not found"

struct visitor;
struct order;

struct failure {
	const char *message, *code; /* code NULL: there is none */
};

/* What an event asks for: a row for each. */
struct verb {
	const char *event;
	/* What is read of its argument. */
	void (*read)(struct order *o, const struct json *arg);
	/* Does it, or asks and goes on later. */
	void (*begin)(struct visitor *v, struct order *o);
	/* Goes on when it has entered the session's room; or why not. */
	void (*entered)(struct visitor *v, const struct failure *why);
};

struct order {
	struct order *next;
	const struct verb *verb;
	int64_t ack;                   /* -1: none is wanted */
	char session[SESSION_MAX + 1]; /* "" if that was none */
	struct buf body;
	struct buf result; /* what it is acknowledged with */
};

/* Somebody's socket. */
struct visitor {
	struct sessions *all;
	struct sio_socket *socket;
	struct member *member;
	struct order *first, **tail; /* the first is being done */
	int count;
	size_t bytes;
	struct ask *ask;
	struct feed_wait *wait;
};

struct sessions {
	struct asker *asker;
	struct rooms *rooms;
	struct feeds *feeds;
};

static void next_order(struct visitor *v);

/* ---- orders ---- */

static void
order_free(struct order *o)
{
	buf_fini(&o->body);
	buf_fini(&o->result);
	free(o);
}

static void
order_over(struct visitor *v)
{
	struct order *o = v->first;

	v->first = o->next;
	if (v->first == NULL)
		v->tail = &v->first;
	v->count--;
	v->bytes -= o->body.len;
	order_free(o);
	next_order(v);
}

static void
next_order(struct visitor *v)
{
	if (v->first != NULL)
		v->first->verb->begin(v, v->first);
}

/* Ends an order; result is an object without its braces. */
static void
acknowledge(struct visitor *v, const char *result, size_t len)
{
	struct buf b;

	if (v->first->ack >= 0) {
		buf_init(&b, NULL);
		buf_putc(&b, '{');
		buf_add(&b, result, len);
		buf_putc(&b, '}');
		sio_ack(v->socket, v->first->ack, b.data, b.len);
		buf_fini(&b);
	}
	order_over(v);
}

static void
succeed(struct visitor *v)
{
	static const char yes[] = "\"success\":true";

	acknowledge(v, yes, sizeof(yes) - 1);
}

/* ---- failures ---- */

/* What an answer of the pool says; its texts are the arena's. */
static struct failure
failure_of(struct arena *a, const struct ask_answer *answer)
{
	struct failure f = { "Service unavailable", "UNAVAILABLE" };
	const struct json *j = answer->len == 0
				   ? NULL
				   : json_parse(a, answer->body, answer->len,
					 JSON_DEPTH_MAX, NULL);

	if (answer->status == 0) {
		log_warn("the pool does not answer: %s", answer->err.text);
		return f;
	}
	f.code = json_get_str(j, "code");
	f.message = json_get_str(j, "error");
	if (f.message == NULL)
		f.message = answer->status == 400 ? "Invalid request"
						  : "Request failed";
	return f;
}

static void
fail(struct visitor *v, const struct failure *f)
{
	struct buf b;

	buf_init(&b, NULL);
	json_add_bool(&b, "success", 0);
	json_add_str(&b, "error", f->message);
	if (f->code != NULL)
		json_add_str(&b, "code", f->code);
	acknowledge(v, b.data, b.len);
	buf_fini(&b);
}

/* A join says why, and has no code. */
static void
fail_join(struct visitor *v, const char *message)
{
	const struct failure f = { message, NULL };

	fail(v, &f);
}

static void
emit_error(struct visitor *v, const struct failure *f)
{
	struct buf b;

	buf_init(&b, NULL);
	buf_putc(&b, '{');
	json_add_str(&b, "message", f->message);
	if (f->code != NULL)
		json_add_str(&b, "code", f->code);
	if (*v->first->session != '\0')
		json_add_str(&b, "sessionId", v->first->session);
	buf_putc(&b, '}');
	sio_emit(v->socket, "error", b.data, b.len);
	buf_fini(&b);
}

/* ---- asking the pool ---- */

static void
ask(struct visitor *v, const char *method, const char *path, const char *tail,
    const char *query, ask_f *fn)
{
	const struct order *o = v->first;
	int has_body = strcmp(method, "GET") != 0;
	struct ask_spec spec = { .method = method,
		.authorization = sio_authorization(v->socket),
		.remote_addr = sio_address(v->socket),
		.query = query,
		.type = "application/json",
		.body = has_body ? o->body.data : NULL,
		.body_len = has_body ? o->body.len : 0 };
	struct buf b;

	buf_init(&b, NULL);
	buf_printf(&b, "%s%s%s", path, o->session, tail);
	spec.path = b.data;
	v->ask = ask_start(v->all->asker, &spec, fn, v);
	buf_fini(&b);
}

/* ---- rooms ---- */

static const struct failure unavailable = { "Service unavailable",
	"UNAVAILABLE" };

static void
entered(struct visitor *v, const struct failure *why)
{
	v->first->verb->entered(v, why);
}

static void
on_ready(void *ctx, int ok)
{
	static const struct failure full = { "Too many sessions are joined",
		"TOO_MANY" };
	struct visitor *v = ctx;
	const char *session = v->first->session;
	int knows = room_has(v->member, session);

	v->wait = NULL;
	if (!ok) {
		entered(v, &unavailable);
	} else if (!room_join(v->member, session)) {
		entered(v, &full);
	} else {
		feed_greet(v->all->feeds, session, v->member, knows);
		entered(v, NULL);
	}
}

/* An event's id of an answer; 0, or -1. */
static int
read_id(const struct json *j, const char *name, struct event_id *out)
{
	const char *text = json_get_str(j, name);

	return text == NULL ? -1 : event_id_parse(text, strlen(text), out);
}

/* What the pool has said of the session. 0, or -1: that is not what is to be
 * said. */
static int
read_moment(const struct json *body, struct feed_moment *out)
{
	const char *session = json_get_str(body, "sessionId"),
		   *agent = json_get_str(body, "agentId");
	const struct json *events = json_get(body, "events");

	if (session == NULL || strlen(session) >= sizeof(out->session) ||
	    agent == NULL || !id_valid(agent, "agt_") ||
	    read_id(events, "after", &out->after) < 0 ||
	    read_id(events, "last", &out->last) < 0)
		return -1;
	memcpy(out->session, session, strlen(session) + 1);
	memcpy(out->agent, agent, strlen(agent) + 1);
	session_runtime_read(json_get(body, "runtime"), &out->runtime);
	return 0;
}

static void
on_moment(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct arena *a = arena_open(4096);
	const struct json *body;
	struct feed_moment m;
	struct failure f;

	v->ask = NULL;
	body = answer->status == 200 ? json_parse(a, answer->body, answer->len,
					   JSON_DEPTH_MAX, NULL)
				     : NULL;
	if (answer->status != 200) {
		f = failure_of(a, answer);
		entered(v, &f);
	} else if (read_moment(body, &m) < 0 ||
		   strcmp(m.session, v->first->session) != 0) {
		log_warn("the pool does not say where a session is at");
		entered(v, &unavailable);
	} else {
		v->wait = feed_wait(
		    v->all->feeds, &m, sio_user(v->socket), on_ready, v);
	}
	arena_close(&a);
}

/* Into the room of the order's session, which is loaded by that. */
static void
enter(struct visitor *v)
{
	ask(v, "GET", "/api/sessions/", "", "view=live", on_moment);
}

/* ---- session:join ---- */

/* Ids have letters, digits, _ and -: they are part of a path. */
static void
read_session(struct order *o, const struct json *arg)
{
	const char *text = json_str(arg);
	size_t n = text == NULL ? 0 : strlen(text);

	if (n == 0 || n > SESSION_MAX)
		return;
	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789_-") == n)
		memcpy(o->session, text, n + 1);
}

static void
on_joined(struct visitor *v, const struct failure *why)
{
	if (why != NULL)
		fail_join(v, why->message);
	else
		succeed(v);
}

static void
begin_join(struct visitor *v, struct order *o)
{
	if (*o->session == '\0')
		fail_join(v, NOT_FOUND);
	else
		enter(v);
}

/* ---- session:leave ---- */

static void
begin_leave(struct visitor *v, struct order *o)
{
	room_leave(v->member, o->session);
	succeed(v);
}

/* ---- session:create ---- */

static void
read_create(struct order *o, const struct json *arg)
{
	if (arg != NULL)
		json_print(&o->body, arg);
}

/* It is made all the same if it cannot be joined. */
static void
on_created_entered(struct visitor *v, const struct failure *why)
{
	if (why != NULL)
		log_info(
		    "a session was made and is not joined: %s", why->message);
	acknowledge(v, buf_str(&v->first->result), v->first->result.len);
}

static void
on_created(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct order *o = v->first;
	struct arena *a = arena_open(4096);
	struct failure f;
	const struct json *body;
	const char *id;

	v->ask = NULL;
	body = answer->status == 201 ? json_parse(a, answer->body, answer->len,
					   JSON_DEPTH_MAX, NULL)
				     : NULL;
	id = json_get_str(body, "sessionId");
	if (id == NULL || strlen(id) > SESSION_MAX) {
		f = failure_of(a, answer);
		fail(v, &f);
	} else {
		memcpy(o->session, id, strlen(id) + 1);
		json_add_bool(&o->result, "success", 1);
		for (const struct json *m = json_first(body); m != NULL;
		     m = json_next(m))
			json_add_json(&o->result, json_name(m), m);
		enter(v);
	}
	arena_close(&a);
}

static void
begin_create(struct visitor *v, struct order *o)
{
	(void)o;
	ask(v, "POST", "/api/sessions", "", NULL, on_created);
}

/* ---- session:message ---- */

static void
read_message(struct order *o, const struct json *arg)
{
	const struct json *content = json_get(arg, "content");

	read_session(o, json_get(arg, "sessionId"));
	buf_putc(&o->body, '{');
	if (content != NULL)
		json_add_json(&o->body, "content", content);
	buf_putc(&o->body, '}');
}

static void
fail_message(struct visitor *v, const struct failure *f)
{
	emit_error(v, f);
	fail(v, f);
}

static void
on_posted(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct arena *a = arena_open(1024);
	struct failure f;
	struct buf b;

	v->ask = NULL;
	if (answer->status != 200) {
		f = failure_of(a, answer);
		fail_message(v, &f);
	} else {
		buf_init(&b, a);
		json_add_bool(&b, "success", 1);
		json_add_str(&b, "sessionId", v->first->session);
		acknowledge(v, b.data, b.len);
	}
	arena_close(&a);
}

static void
post_message(struct visitor *v)
{
	ask(v, "POST", "/api/sessions/", "/messages", NULL, on_posted);
}

/* Whoever says something hears the answer. */
static void
on_message_entered(struct visitor *v, const struct failure *why)
{
	if (why != NULL)
		fail_message(v, why);
	else
		post_message(v);
}

static void
begin_message(struct visitor *v, struct order *o)
{
	const struct failure unknown = { NOT_FOUND, "SESSION_NOT_FOUND" };

	if (*o->session == '\0')
		fail_message(v, &unknown);
	else if (room_has(v->member, o->session))
		post_message(v);
	else
		enter(v);
}

/* ---- events ---- */

static const struct verb verbs[] = {
	{ "session:join", read_session, begin_join, on_joined },
	{ "session:leave", read_session, begin_leave, NULL },
	{ "session:create", read_create, begin_create, on_created_entered },
	{ "session:message", read_message, begin_message, on_message_entered },
};

static const struct verb *
verb_find(const char *event)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].event, event) == 0)
			return &verbs[i];
	return NULL;
}

void
sessions_on_event(void *ctx, struct sio_socket *s, const struct sio_packet *p)
{
	struct visitor *v = sio_get(s, SIO_VISITOR);
	const struct verb *verb = verb_find(p->event);
	struct order *o;

	(void)ctx;
	if (verb == NULL)
		return;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		abort();
	o->verb = verb;
	o->ack = p->ack;
	buf_init(&o->body, NULL);
	buf_init(&o->result, NULL);
	verb->read(o, json_next(json_first(p->data)));
	if (v->count == ORDERS_MAX ||
	    (v->count > 0 && v->bytes + o->body.len > ORDERS_BYTES)) {
		log_info("a client was dropped: %d of its events wait, with "
			 "%zu bytes",
		    v->count, v->bytes);
		order_free(o);
		sio_drop(s);
		return;
	}
	v->bytes += o->body.len;
	*v->tail = o;
	v->tail = &o->next;
	if (v->count++ == 0)
		next_order(v);
}

void
sessions_on_connect(void *ctx, struct sio_socket *s)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	v->all = ctx;
	v->socket = s;
	v->member = member_new(v->all->rooms, s);
	v->tail = &v->first;
	sio_set(s, SIO_VISITOR, v);
}

void
sessions_on_gone(void *ctx, struct sio_socket *s)
{
	struct visitor *v = sio_get(s, SIO_VISITOR);
	struct order *o;

	(void)ctx;
	ask_cancel(&v->ask);
	feed_unwait(&v->wait);
	while ((o = v->first) != NULL) {
		v->first = o->next;
		order_free(o);
	}
	member_free(&v->member);
	sio_set(s, SIO_VISITOR, NULL);
	free(v);
}

struct sessions *
sessions_new(
    struct loop *l, const struct conf *c, struct asker *k, struct guests *gs)
{
	struct sessions *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->asker = k;
	a->rooms = rooms_new(c);
	a->feeds = feeds_new(l, c, k, a->rooms, gs);
	return a;
}

void
sessions_free(struct sessions **a_p)
{
	struct sessions *a = *a_p;

	if (a == NULL)
		return;
	*a_p = NULL;
	feeds_free(&a->feeds);
	rooms_free(&a->rooms);
	free(a);
}
