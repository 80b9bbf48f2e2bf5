/* SPDX-License-Identifier: MIT */
/*
 * One connection of Engine.IO 4: heartbeats, what it is sent and how it ends.
 *
 * We ask (2) and the other side answers (3); the next question is due so long
 * after the answer. What is sent goes to the WebSocket, or waits for a poll,
 * which is answered at the end of the tick with all there is. Whoever is ended
 * within a callback is freed at the end of the tick: until then it is dead.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/b64.h"
#include "base/buf.h"
#include "base/id.h"
#include "base/log.h"
#include "bridge/eio_packet.h"
#include "bridge/eio_priv.h"
#include "bridge/figures.h"
#include "conf/conf.h"

#define SID_RANDOM_BYTES 15 /* 20 characters */
#define ROUND_MS 1000
#define CLOSE_MS 30000 /* for a poll that gets the close */

static void
queue_pop(struct eio_socket *s)
{
	struct eio_queued *q = s->queue;

	s->queue = q->next;
	if (s->queue == NULL)
		s->tail = &s->queue;
	s->queued_bytes -= q->frame->len;
	web_frame_unref(&q->frame);
	free(q);
}

static void
queue_drop(struct eio_socket *s)
{
	while (s->queue != NULL)
		queue_pop(s);
}

static void
socket_free(struct eio_socket *s)
{
	queue_drop(s);
	loop_timer_free(&s->heart);
	loop_timer_free(&s->other);
	free(s);
}

/* ---- sending ---- */

static void
send_text(struct eio_socket *s, const char *packet)
{
	struct web_frame *f = web_frame_new(packet, strlen(packet));

	eio_send(s, f);
	web_frame_unref(&f);
}

void
eio_socket_release(struct eio_socket *s, const char *packet)
{
	const struct web_request *rq = s->poll;

	if (rq == NULL)
		return;
	s->poll = NULL;
	web_conn_set(rq->conn, NULL);
	eio_answer(s->eio, rq, 200, "text/plain; charset=UTF-8", packet,
	    strlen(packet));
}

void
eio_socket_flush(struct eio_socket *s)
{
	const struct web_request *rq = s->poll;
	struct buf b;

	if (rq == NULL || s->queue == NULL)
		return;
	if (!web_is_there(rq->conn)) {
		/* What the poll before it has got nobody can know. */
		eio_socket_end(s, "1");
		return;
	}
	buf_init(&b, NULL);
	for (int i = 0; i < EIO_PACKETS_MAX && s->queue != NULL; i++) {
		if (b.len > 0)
			buf_putc(&b, EIO_SEPARATOR);
		buf_add(&b, s->queue->frame->data, s->queue->frame->len);
		queue_pop(s);
	}
	s->poll = NULL;
	web_conn_set(rq->conn, NULL);
	eio_answer(s->eio, rq, 200, "text/plain; charset=UTF-8", b.data, b.len);
	buf_fini(&b);
	if (s->closing && s->queue == NULL)
		eio_socket_end(s, NULL);
}

void
eio_socket_hold(struct eio_socket *s, const struct web_request *rq)
{
	s->poll = rq;
	web_conn_set(rq->conn, s);
	web_hold(rq->conn);
}

static void
on_later(void *arg)
{
	struct eio_socket *s = arg;

	/* Who dies in the flush comes here once more. */
	if (s->dead)
		socket_free(s);
	else if (s->drowned)
		eio_socket_end(s, "1");
	else
		eio_socket_flush(s);
}

static void
put_later(struct eio_socket *s)
{
	loop_defer(s->eio->loop, &s->later, "eio", on_later, s);
}

void
eio_send(struct eio_socket *s, struct web_frame *f)
{
	struct eio_queued *q;

	if (s->dead || s->closing || s->drowned)
		return;
	figure_add(FIGURE_SENT, 1);
	figure_add(FIGURE_SENT_BYTES, (int64_t)f->len);
	if (s->ws != NULL) {
		web_send(s->ws, f);
		return;
	}
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		abort();
	q->frame = web_frame_ref(f);
	*s->tail = q;
	s->tail = &q->next;
	s->queued_bytes += f->len;
	if (s->queued_bytes > (size_t)s->eio->conf->bridge_backlog_bytes) {
		log_info("a client that polls was dropped: it does not read");
		figure_add(FIGURE_DROPPED, 1);
		queue_drop(s);
		s->drowned = 1;
	}
	put_later(s);
}

/* ---- the end ---- */

static void
let_go(struct web_conn **c_p)
{
	if (*c_p == NULL)
		return;
	web_conn_set(*c_p, NULL);
	web_close(*c_p, 0);
	*c_p = NULL;
}

/* Whoever stands above is told, once, unless it is them who want it. */
static void
end(struct eio_socket *s, const char *packet, int tell)
{
	struct eio *e = s->eio;

	if (s->dead)
		return;
	s->dead = 1;
	HASH_DEL(e->sockets, s);
	if (*s->peer.address != '\0')
		tally_drop(e->addresses, s->peer.address);
	loop_timer_stop(s->heart);
	if (s->other != NULL)
		loop_timer_stop(s->other);
	if (packet != NULL)
		eio_socket_release(s, packet);
	let_go(&s->ws);
	let_go(&s->probe);
	if (tell && !s->quiet)
		e->calls.on_close(e->calls.ctx, s);
	put_later(s);
}

void
eio_socket_end(struct eio_socket *s, const char *packet)
{
	end(s, packet, 1);
}

static void
on_close_late(void *arg)
{
	end(arg, "1", 0);
}

static struct loop_timer *
other_timer(struct eio_socket *s, loop_f *fn)
{
	loop_timer_free(&s->other);
	s->other = loop_timer_new(s->eio->loop, "eio", fn, s);
	return s->other;
}

/* By polling the close is a packet that somebody must fetch. */
void
eio_close(struct eio_socket *s)
{
	if (s->dead || s->closing)
		return;
	if (s->ws != NULL) {
		end(s, NULL, 0);
		return;
	}
	s->quiet = 1;
	send_text(s, "1");
	if (s->dead)
		return;
	s->closing = 1;
	loop_timer_stop(s->heart);
	loop_timer_start(other_timer(s, on_close_late), CLOSE_MS, 0);
}

/* ---- heartbeats ---- */

static void
wait_for_ping(struct eio_socket *s)
{
	s->ping_sent = 0;
	loop_timer_start(s->heart, s->eio->conf->bridge_ping_interval_ms, 0);
}

static void
on_heart(void *arg)
{
	struct eio_socket *s = arg;

	if (s->ping_sent) {
		eio_socket_end(s, "1");
		return;
	}
	s->ping_sent = 1;
	loop_timer_start(s->heart, s->eio->conf->bridge_ping_timeout_ms, 0);
	send_text(s, "2");
}

/* ---- what comes ---- */

void
eio_socket_packet(struct eio_socket *s, const char *text, size_t len)
{
	struct eio *e = s->eio;
	struct eio_packet p;

	if (s->dead || s->closing)
		return;
	if (eio_read(text, len, &p) < 0) {
		eio_socket_end(s, "1");
		return;
	}
	switch (p.type) {
	case EIO_PONG:
		if (s->ping_sent)
			wait_for_ping(s);
		break;
	case EIO_MESSAGE:
	case EIO_BINARY:
		e->calls.on_message(
		    e->calls.ctx, s, p.type == EIO_BINARY, p.data, p.len);
		break;
	case EIO_CLOSE:
		eio_socket_end(s, "6");
		break;
	case EIO_PING: /* it is us who ask */
		eio_socket_end(s, "1");
		break;
	case EIO_OPEN:
	case EIO_UPGRADE:
	case EIO_NOOP:
		break;
	}
}

void
eio_socket_drain(struct eio_socket *s)
{
	for (struct eio_queued *q = s->queue; q != NULL; q = q->next)
		web_send(s->ws, q->frame);
	queue_drop(s);
}

void
eio_socket_upgrade(struct eio_socket *s)
{
	s->ws = s->probe;
	s->probe = NULL;
	web_conn_known(s->ws, s->known);
	s->upgraded = 1;
	loop_timer_stop(s->other);
	eio_socket_release(s, "6");
	eio_socket_drain(s);
	if (s->closing)
		end(s, NULL, 0);
}

/* ---- the begin ---- */

static void
make_sid(char sid[EIO_SID_SIZE])
{
	unsigned char random[SID_RANDOM_BYTES];
	struct buf b;

	id_random(random, sizeof(random));
	buf_init(&b, NULL);
	b64url_encode(&b, random, sizeof(random));
	memcpy(sid, b.data, EIO_SID_SIZE);
	buf_fini(&b);
}

/* The socket and, behind it, the texts of its peer. */
static struct eio_socket *
socket_alloc(const struct web_request *rq)
{
	const char *token = web_query(rq, "token");
	size_t a = strlen(rq->address) + 1, h = strlen(rq->authorization) + 1;
	size_t t = token == NULL ? 1 : strlen(token) + 1;
	struct eio_socket *s = calloc(1, sizeof(*s) + a + h + t);
	char *texts = (char *)(s + 1);

	if (s == NULL)
		abort();
	memcpy(texts, rq->address, a);
	memcpy(texts + a, rq->authorization, h);
	memcpy(texts + a + h, token == NULL ? "" : token, t);
	s->peer = (struct eio_peer){ texts, texts + a, texts + a + h };
	return s;
}

static void
send_open(struct eio_socket *s, int upgrades)
{
	const struct conf *c = s->eio->conf;
	struct eio_open o = { .sid = s->sid,
		.upgrades = upgrades,
		.ping_interval_ms = c->bridge_ping_interval_ms,
		.ping_timeout_ms = c->bridge_ping_timeout_ms,
		.max_payload_bytes = c->bridge_max_payload };
	struct buf b;

	buf_init(&b, NULL);
	eio_put_open(&b, &o);
	buf_putc(&b, '\0');
	send_text(s, b.data);
	buf_fini(&b);
}

struct eio_socket *
eio_socket_new(struct eio *e, const struct web_request *rq, int upgrades)
{
	struct eio_socket *s;

	if (*rq->address != '\0' &&
	    !tally_take(e->addresses, rq->address,
		e->conf->bridge_connections_per_address))
		return NULL;
	s = socket_alloc(rq);
	s->eio = e;
	s->tail = &s->queue;
	make_sid(s->sid);
	HASH_ADD_STR(e->sockets, sid, s);
	s->heart = loop_timer_new(e->loop, "heartbeat", on_heart, s);
	wait_for_ping(s);
	send_open(s, upgrades);
	figure_add(FIGURE_CONNECTIONS, 1);
	return s;
}

struct eio_socket *
eio_socket_find(struct eio *e, const char *sid)
{
	struct eio_socket *s;

	HASH_FIND_STR(e->sockets, sid, s);
	return s;
}

const struct eio_peer *
eio_peer(const struct eio_socket *s)
{
	return &s->peer;
}

void
eio_set(struct eio_socket *s, void *data)
{
	s->data = data;
}

void *
eio_get(const struct eio_socket *s)
{
	return s->data;
}

void
eio_known(struct eio_socket *s, int known)
{
	s->known = known != 0;
	if (s->ws != NULL)
		web_conn_known(s->ws, known);
}

/* ---- all of them ---- */

/* What the poll of one that left would have got nobody can know: it is over. */
static void
on_round(void *arg)
{
	struct eio *e = arg;
	struct eio_socket *s, *next;

	HASH_ITER(hh, e->sockets, s, next)
	{
		if (s->poll != NULL && !web_is_there(s->poll->conn))
			eio_socket_end(s, "1");
	}
}

struct eio *
eio_new(struct loop *l, const struct conf *c, struct tally *addresses,
    const struct eio_calls *calls)
{
	struct eio *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->loop = l;
	e->conf = c;
	e->addresses = addresses;
	e->calls = *calls;
	e->rounds = loop_timer_new(l, "polls", on_round, e);
	loop_timer_start(e->rounds, ROUND_MS, ROUND_MS);
	return e;
}

int
eio_count(const struct eio *e)
{
	return (int)HASH_COUNT(e->sockets);
}

void
eio_close_all(struct eio *e)
{
	struct eio_socket *s, *next;

	HASH_ITER(hh, e->sockets, s, next)
	{
		eio_socket_end(s, NULL);
	}
}

void
eio_free(struct eio **e_p)
{
	struct eio *e = *e_p;

	if (e == NULL)
		return;
	*e_p = NULL;
	loop_timer_free(&e->rounds);
	free(e);
}
