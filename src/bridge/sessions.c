/* SPDX-License-Identifier: MIT */
/*
 * The events of clients that concern sessions.
 *
 * Each is an order. Orders of a socket are done one after the other, so that
 * what it says takes effect as it was said; each is one request to the pool or
 * two, on the routes that front ends use themselves. A status goes out before
 * the acknowledgement, and that only if it was asked for. A socket that leaves
 * takes its orders along; what the pool has begun it goes on with.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "bridge/rooms.h"
#include "bridge/sessions.h"
#include "conf/conf.h"
#include "http/ask.h"
#include "session/block.h"

#define ORDERS_MAX 64 /* of a socket, that wait */
#define SESSION_MAX 64
#define NOT_FOUND "Session not found"

struct visitor;
struct order;

/* What an event asks for: a row for each. */
struct verb {
	const char *event;
	/* What is read of its argument. */
	void (*read)(struct order *o, const struct json *arg);
	/* Does it, or asks and goes on later. */
	void (*begin)(struct visitor *v, struct order *o);
};

struct order {
	struct order *next;
	const struct verb *verb;
	int64_t ack;                   /* -1: none is wanted */
	char session[SESSION_MAX + 1]; /* "" if that was none */
	struct buf body;
};

/* Somebody's socket. */
struct visitor {
	struct sessions *all;
	struct sio_socket *socket;
	struct member *member;
	struct order *first, **tail; /* the first is being done */
	int count;
	struct ask *ask;
};

struct sessions {
	struct asker *asker;
	struct rooms *rooms;
};

static void next_order(struct visitor *v);

/* ---- orders ---- */

static void
order_free(struct order *o)
{
	buf_fini(&o->body);
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

struct failure {
	const char *message, *code; /* code NULL: there is none */
};

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
    ask_f *fn)
{
	const struct order *o = v->first;
	int has_body = strcmp(method, "GET") != 0;
	struct ask_spec spec = { .method = method,
		.authorization = sio_authorization(v->socket),
		.remote_addr = sio_address(v->socket),
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

/* To this socket alone, in the forms that have it. */
static void
tell_status(struct visitor *v, const char *session, const struct json *runtime)
{
	struct buf b;

	buf_init(&b, NULL);
	buf_putc(&b, '{');
	json_add_str(&b, "sessionId", session);
	json_add_json(&b, "runtime", runtime);
	buf_putc(&b, '}');
	member_emit(v->member, DIALECT_W1_S4, "session:status", b.data, b.len);
	buf_clear(&b);
	buf_lit(&b, "{\"type\":\"status\",\"payload\":{");
	json_add_json(&b, "runtime", runtime);
	buf_lit(&b, "},\"context\":{");
	json_add_str(&b, "sessionId", session);
	json_add_str(&b, "source", "server");
	block_add_time(&b, "timestamp", clk_wall_ms());
	buf_lit(&b, "}}");
	member_emit(v->member, DIALECT_W3, "session:event", b.data, b.len);
	buf_fini(&b);
}

/* Into the room of a session that the pool has answered with. 0, or -1: it is
 * in too many. */
static int
enter(struct visitor *v, const char *session, const struct json *body)
{
	const struct json *runtime = json_get(body, "runtime");

	if (!room_join(v->member, session))
		return -1;
	if (runtime != NULL)
		tell_status(v, session, runtime);
	return 0;
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
on_joined(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct arena *a = arena_open(4096);
	const struct json *body;

	v->ask = NULL;
	body = answer->status == 200 ? json_parse(a, answer->body, answer->len,
					   JSON_DEPTH_MAX, NULL)
				     : NULL;
	if (answer->status == 404)
		fail_join(v, NOT_FOUND);
	else if (answer->status != 200)
		fail_join(v, failure_of(a, answer).message);
	else if (enter(v, v->first->session, body) < 0)
		fail_join(v, "Too many sessions are joined");
	else
		succeed(v);
	arena_close(&a);
}

/* GET loads the session, as joining does. */
static void
begin_join(struct visitor *v, struct order *o)
{
	if (*o->session == '\0')
		fail_join(v, NOT_FOUND);
	else
		ask(v, "GET", "/api/sessions/", "", on_joined);
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

static void
on_created(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct arena *a = arena_open(4096);
	struct failure f;
	const struct json *body;
	const char *id;
	struct buf b;

	v->ask = NULL;
	body = answer->status == 201 ? json_parse(a, answer->body, answer->len,
					   JSON_DEPTH_MAX, NULL)
				     : NULL;
	id = json_get_str(body, "sessionId");
	if (id == NULL) {
		f = failure_of(a, answer);
		fail(v, &f);
	} else {
		enter(v, id, body); /* in too many: it is made all the same */
		buf_init(&b, a);
		json_add_bool(&b, "success", 1);
		for (const struct json *m = json_first(body); m != NULL;
		     m = json_next(m))
			json_add_json(&b, json_name(m), m);
		acknowledge(v, b.data, b.len);
	}
	arena_close(&a);
}

static void
begin_create(struct visitor *v, struct order *o)
{
	(void)o;
	ask(v, "POST", "/api/sessions", "", on_created);
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
	ask(v, "POST", "/api/sessions/", "/messages", on_posted);
}

/* Whoever says something hears the answer. */
static void
on_found(void *ctx, const struct ask_answer *answer)
{
	struct visitor *v = ctx;
	struct arena *a = arena_open(4096);
	struct failure f;

	v->ask = NULL;
	if (answer->status == 200) {
		enter(v, v->first->session,
		    json_parse(
			a, answer->body, answer->len, JSON_DEPTH_MAX, NULL));
		post_message(v);
	} else {
		f = failure_of(a, answer);
		fail_message(v, &f);
	}
	arena_close(&a);
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
		ask(v, "GET", "/api/sessions/", "", on_found);
}

/* ---- events ---- */

static const struct verb verbs[] = {
	{ "session:join", read_session, begin_join },
	{ "session:leave", read_session, begin_leave },
	{ "session:create", read_create, begin_create },
	{ "session:message", read_message, begin_message },
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
	struct visitor *v = sio_get(s);
	const struct verb *verb = verb_find(p->event);
	struct order *o;

	(void)ctx;
	if (verb == NULL)
		return;
	if (v->count == ORDERS_MAX) {
		log_info(
		    "a client was dropped: %d of its events wait", ORDERS_MAX);
		sio_drop(s);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		abort();
	o->verb = verb;
	o->ack = p->ack;
	buf_init(&o->body, NULL);
	verb->read(o, json_next(json_first(p->data)));
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
	sio_set(s, v);
}

void
sessions_on_gone(void *ctx, struct sio_socket *s)
{
	struct visitor *v = sio_get(s);
	struct order *o;

	(void)ctx;
	ask_cancel(&v->ask);
	while ((o = v->first) != NULL) {
		v->first = o->next;
		order_free(o);
	}
	member_free(&v->member);
	sio_set(s, NULL);
	free(v);
}

struct sessions *
sessions_new(const struct conf *c, struct asker *k)
{
	struct sessions *a = calloc(1, sizeof(*a));
	const struct rooms_calls calls = { .ctx = a };

	if (a == NULL)
		abort();
	a->asker = k;
	a->rooms = rooms_new(c, &calls);
	return a;
}

void
sessions_free(struct sessions **a_p)
{
	struct sessions *a = *a_p;

	if (a == NULL)
		return;
	*a_p = NULL;
	rooms_free(&a->rooms);
	free(a);
}
