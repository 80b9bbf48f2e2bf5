/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO 5: connections to the namespace /, their authentication and their
 * packets.
 *
 * A client shows a token or an API key in its CONNECT, in the query or in the
 * header Authorization. We look into none of them: the pool is asked who that
 * is, as it would be by a request of theirs. Whoever is refused is told
 * (CONNECT_ERROR) and does not come back by itself; while the pool is away the
 * connection is closed instead, and then it does.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "bridge/eio.h"
#include "bridge/eio_packet.h"
#include "bridge/figures.h"
#include "bridge/guests.h"
#include "bridge/pace.h"
#include "bridge/sio.h"
#include "bridge/tally.h"
#include "bridge/who.h"
#include "conf/conf.h"

#define CONNECT_MS 45000 /* to join the namespace */
#define SID_RANDOM_BYTES 15
#define REFUSED "Invalid API key"

enum state { SIO_NEW, SIO_ASKING, SIO_IN };

struct sio_socket {
	struct sio *sio;
	struct eio_socket *eio;
	void *slots[SIO_SLOTS];
	enum state state;
	char *authorization; /* or NULL */
	struct who *who;
	struct loop_timer *timer; /* to connect */
	int attachments;          /* binary packets that are still to come */
	int64_t paid_us; /* messages: when all so far will have drained */
	struct guest guest;
};

struct sio {
	struct loop *loop;
	const struct conf *conf;
	struct asker *asker;
	struct eio *eio;
	struct sio_calls calls;
	struct tallies *tallies;
};

/* ---- the end ---- */

static void
leave(struct sio_socket *s)
{
	struct sio *o = s->sio;

	if (s->state != SIO_IN)
		return;
	s->state = SIO_NEW;
	figure_add(FIGURE_SOCKETS, -1);
	if (o->calls.on_gone != NULL)
		o->calls.on_gone(o->calls.ctx, s);
	guest_leave(o->tallies->guests, &s->guest);
}

static void
socket_free(struct sio_socket *s)
{
	leave(s);
	who_cancel(&s->who);
	loop_timer_free(&s->timer);
	free(s->authorization);
	free(s);
}

void
sio_drop(struct sio_socket *s)
{
	struct eio_socket *e = s->eio;

	eio_set(e, NULL);
	socket_free(s);
	eio_close(e);
}

static void
on_close(void *ctx, struct eio_socket *e)
{
	struct sio_socket *s = eio_get(e);

	(void)ctx;
	if (s != NULL)
		socket_free(s);
}

/* ---- sending ---- */

void
sio_send(struct sio_socket *s, struct web_frame *f)
{
	eio_send(s->eio, f);
}

/* Sends what was put into b, which is done with. */
static void
send_buf(struct sio_socket *s, struct buf *b)
{
	struct web_frame *f = web_frame_new(b->data, b->len);

	buf_fini(b);
	eio_send(s->eio, f);
	web_frame_unref(&f);
}

void
sio_emit(struct sio_socket *s, const char *event, const char *args, size_t len)
{
	struct buf b;

	buf_init(&b, NULL);
	sio_put_event(&b, event, args, len);
	send_buf(s, &b);
}

void
sio_ack(struct sio_socket *s, int64_t id, const char *args, size_t len)
{
	struct buf b;

	buf_init(&b, NULL);
	sio_put_ack(&b, id, args, len);
	send_buf(s, &b);
}

void
sio_expel(struct sio_socket *s)
{
	struct eio_socket *e = s->eio;
	struct web_frame *f = web_frame_new("41", 2);

	eio_set(e, NULL);
	socket_free(s);
	eio_send(e, f);
	web_frame_unref(&f);
	eio_close(e);
}

static void
refuse(struct sio_socket *s, const char *nsp, const char *why)
{
	struct buf b;

	figure_add(FIGURE_REFUSED, 1);
	buf_init(&b, NULL);
	sio_put_connect_error(&b, nsp, why);
	send_buf(s, &b);
}

/* ---- authentication ---- */

static const char *
of_object(const struct json *j)
{
	const char *text = json_get_str(j, "token");

	return text != NULL ? text : json_get_str(j, "apiKey");
}

/* What was shown first of: the packet, the query, the header. "": nothing. */
static const char *
shown(const struct sio_socket *s, const struct json *auth)
{
	const struct eio_peer *peer = eio_peer(s->eio);
	const struct json *inner = json_get(auth, "auth");
	const char *text = of_object(auth);

	if (text == NULL)
		text = json_is(inner, JSON_STRING) ? json_str(inner)
						   : of_object(inner);
	if (text != NULL)
		return text;
	return *peer->token != '\0' ? peer->token : peer->authorization;
}

/* The token is over: it is not to come back with it. */
static void
on_expired(void *arg)
{
	log_info("a connection was ended: its token has expired");
	sio_expel(arg);
}

/* It comes back by itself, and is refused if it has no other token. */
static void
on_revoked(void *arg)
{
	log_info("a connection was ended: its token is revoked");
	sio_drop(arg);
}

static const struct guest_calls guest_calls = { on_expired, on_revoked };

static void
let_in(struct sio_socket *s, const struct who_is *is)
{
	struct sio *o = s->sio;
	char sid[32];
	struct buf b;

	if (!guest_enter(o->tallies->guests, &s->guest, is, &guest_calls, s)) {
		s->state = SIO_NEW;
		refuse(s, "/", "Too many connections");
		return;
	}
	s->state = SIO_IN;
	eio_known(s->eio, 1);
	loop_timer_free(&s->timer);
	figure_add(FIGURE_SOCKETS, 1);
	id_random(sid, SID_RANDOM_BYTES);
	buf_init(&b, NULL);
	b64url_encode(&b, sid, SID_RANDOM_BYTES);
	memcpy(sid, b.data, b.len + 1);
	buf_clear(&b);
	sio_put_connect(&b, sid);
	send_buf(s, &b);
	if (o->calls.on_connect != NULL)
		o->calls.on_connect(o->calls.ctx, s);
}

static void
on_who(void *ctx, enum who_verdict verdict, const struct who_is *is)
{
	struct sio_socket *s = ctx;

	s->who = NULL;
	switch (verdict) {
	case WHO_KNOWN:
		let_in(s, is);
		break;
	case WHO_REFUSED:
		s->state = SIO_NEW;
		refuse(s, "/", REFUSED);
		break;
	case WHO_UNSAID:
		sio_drop(s);
		break;
	}
}

static void
connect_socket(struct sio_socket *s, const struct json *auth)
{
	struct sio *o = s->sio;
	const char *credential = shown(s, auth);
	struct who_spec spec = { .address = sio_address(s) };

	free(s->authorization);
	s->authorization = who_header(credential);
	if (s->authorization == NULL &&
	    o->conf->bridge_auth != CONF_BRIDGE_OFF &&
	    (*credential != '\0' ||
		o->conf->bridge_auth == CONF_BRIDGE_REQUIRED)) {
		refuse(s, "/", REFUSED);
		return;
	}
	spec.authorization = s->authorization;
	s->state = SIO_ASKING;
	s->who = who_ask(o->asker, &spec, on_who, s);
}

/* ---- packets ---- */

static void
on_not_connected(void *arg)
{
	struct sio_socket *s = arg;

	if (s->state != SIO_IN)
		sio_drop(s);
}

static void
wait_for_connect(struct sio_socket *s)
{
	loop_timer_free(&s->timer);
	s->timer = loop_timer_new(s->sio->loop, "connect", on_not_connected, s);
	loop_timer_start(s->timer, CONNECT_MS, 0);
}

static void
on_namespace(struct sio_socket *s, const struct sio_packet *p)
{
	if (strcmp(p->nsp, "/") != 0)
		refuse(s, p->nsp, "Invalid namespace");
	else if (s->state == SIO_NEW)
		connect_socket(s, p->data);
	else
		sio_drop(s); /* it is in already */
}

static void
on_packet(struct sio_socket *s, const struct sio_packet *p)
{
	struct sio *o = s->sio;

	if (p->type == SIO_CONNECT) {
		on_namespace(s, p);
		return;
	}
	if (s->state != SIO_IN || strcmp(p->nsp, "/") != 0) {
		sio_drop(s);
		return;
	}
	switch (p->type) {
	case SIO_EVENT:
		figure_add(FIGURE_RECEIVED, 1);
		if (o->calls.on_event != NULL)
			o->calls.on_event(o->calls.ctx, s, p);
		break;
	case SIO_BINARY_EVENT: /* taken, and of no use to anybody */
	case SIO_BINARY_ACK:
		s->attachments = p->attachments;
		break;
	case SIO_DISCONNECT: /* of the namespace; it may come again */
		leave(s);
		eio_known(s->eio, 0);
		wait_for_connect(s);
		break;
	case SIO_CONNECT_ERROR:
		sio_drop(s);
		break;
	case SIO_CONNECT:
	case SIO_ACK: /* we ask for none */
		break;
	}
}

static void
on_message(
    void *ctx, struct eio_socket *e, int binary, const char *data, size_t len)
{
	struct sio_socket *s = eio_get(e);
	struct sio_packet p;
	struct arena *a;

	(void)ctx;
	if (s == NULL)
		return;
	/* Attachments come right behind their packet, and nowhere else. */
	if (binary != (s->attachments > 0) ||
	    !pace_take(&s->paid_us, &s->sio->conf->bridge_messages)) {
		sio_drop(s);
		return;
	}
	if (binary) {
		s->attachments--;
		return;
	}
	a = arena_open(1024);
	if (sio_read(a, data, len, &p, NULL) < 0)
		sio_drop(s);
	else
		on_packet(s, &p);
	arena_close(&a);
}

/* ---- the begin ---- */

static void
on_open(void *ctx, struct eio_socket *e)
{
	struct sio *o = ctx;
	struct sio_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->sio = o;
	s->eio = e;
	wait_for_connect(s);
	eio_set(e, s);
}

const char *
sio_user(const struct sio_socket *s)
{
	return s->guest.user;
}

const char *
sio_authorization(const struct sio_socket *s)
{
	return s->authorization;
}

const char *
sio_address(const struct sio_socket *s)
{
	const char *address = eio_peer(s->eio)->address;

	return *address == '\0' ? NULL : address;
}

void
sio_set(struct sio_socket *s, enum sio_slot slot, void *data)
{
	s->slots[slot] = data;
}

void *
sio_get(const struct sio_socket *s, enum sio_slot slot)
{
	return s->slots[slot];
}

struct sio *
sio_new(struct loop *l, const struct conf *c, struct asker *k,
    struct tallies *t, const struct sio_calls *calls)
{
	struct sio *o = calloc(1, sizeof(*o));
	const struct eio_calls mine = { on_open, on_message, on_close, o };

	if (o == NULL)
		abort();
	o->loop = l;
	o->conf = c;
	o->asker = k;
	o->tallies = t;
	o->calls = *calls;
	o->eio = eio_new(l, c, &t->addresses, &mine);
	return o;
}

struct eio *
sio_eio(struct sio *o)
{
	return o->eio;
}

void
sio_free(struct sio **o_p)
{
	struct sio *o = *o_p;

	if (o == NULL)
		return;
	*o_p = NULL;
	eio_free(&o->eio);
	free(o);
}
