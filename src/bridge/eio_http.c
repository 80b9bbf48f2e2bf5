/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO 4 over HTTP: handshakes, polls, and the change from polling to
 * WebSocket. What is refused, and how, is as engine.io 6.6 does it, byte for
 * byte: its clients look at it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/words.h"
#include "bridge/eio_packet.h"
#include "bridge/eio_priv.h"
#include "bridge/figures.h"
#include "conf/conf.h"

#define UPGRADE_MS 10000
#define NOOP_MS 100 /* how long a poll may hold up an upgrade */

enum refusal {
	UNKNOWN_TRANSPORT,
	UNKNOWN_SID,
	BAD_HANDSHAKE_METHOD,
	BAD_REQUEST,
	FORBIDDEN,
	UNSUPPORTED_VERSION,
	NO_REFUSAL
};

static const char *const messages[] = {
	[UNKNOWN_TRANSPORT] = "Transport unknown",
	[UNKNOWN_SID] = "Session ID unknown",
	[BAD_HANDSHAKE_METHOD] = "Bad handshake method",
	[BAD_REQUEST] = "Bad request",
	[FORBIDDEN] = "Forbidden",
	[UNSUPPORTED_VERSION] = "Unsupported protocol version",
};

/* ---- answers ---- */

static void
put_cors(struct buf *b, const struct conf *c, const struct web_request *rq)
{
	const char *list = c->bridge_cors_origins;

	if (*rq->origin == '\0' ||
	    (!words_have(list, "*") && !words_have(list, rq->origin)))
		return;
	buf_printf(b,
	    "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n"
	    "Access-Control-Allow-Credentials: true\r\n",
	    rq->origin);
}

void
eio_answer(struct eio *e, const struct web_request *rq, int status,
    const char *type, const char *body, size_t len)
{
	struct web_answer a = {
		.status = status, .type = type, .body = body, .len = len
	};
	struct buf headers;

	buf_init(&headers, NULL);
	if (status == 200)
		buf_lit(&headers, "Cache-Control: no-store\r\n");
	put_cors(&headers, e->conf, rq);
	a.headers = buf_str(&headers);
	web_answer(rq->conn, &a);
	buf_fini(&headers);
}

static void
answer_options(struct eio *e, const struct web_request *rq)
{
	struct web_answer a = { .status = 204, .body = "" };
	struct buf headers;

	buf_init(&headers, NULL);
	put_cors(&headers, e->conf, rq);
	if (headers.len > 0) {
		buf_lit(&headers, "Access-Control-Allow-Methods: "
				  "GET,HEAD,PUT,PATCH,POST,DELETE\r\n");
		if (*rq->wanted_headers != '\0')
			buf_printf(&headers,
			    "Access-Control-Allow-Headers: %s\r\n",
			    rq->wanted_headers);
	}
	a.headers = buf_str(&headers);
	web_answer(rq->conn, &a);
	buf_fini(&headers);
}

static void
refuse(struct eio *e, const struct web_request *rq, enum refusal why)
{
	struct buf b;

	buf_init(&b, NULL);
	buf_putc(&b, '{');
	json_add_int(&b, "code", (int)why);
	json_add_str(&b, "message", messages[why]);
	buf_putc(&b, '}');
	eio_answer(e, rq, why == FORBIDDEN ? 403 : 400, "application/json",
	    b.data, b.len);
	buf_fini(&b);
}

/* ---- which connection ---- */

static int
is(const char *text, const char *what)
{
	return text != NULL && strcmp(text, what) == 0;
}

/* What is wrong with a request, in the order in which engine.io looks; and
 * the connection that it is of, if it is of one. */
static enum refusal
verify(struct eio *e, const struct web_request *rq, struct eio_socket **s_r)
{
	const char *transport = web_query(rq, "transport");
	const char *sid = web_query(rq, "sid");
	int websocket = is(transport, "websocket");
	struct eio_socket *s;

	*s_r = NULL;
	if (!websocket && !is(transport, "polling"))
		return UNKNOWN_TRANSPORT;
	if (sid != NULL && *sid != '\0') {
		s = eio_socket_find(e, sid);
		if (s == NULL)
			return UNKNOWN_SID;
		if (!rq->upgrade && websocket != (s->ws != NULL))
			return BAD_REQUEST;
		*s_r = s;
		/* A WebSocket that is there is not spoken to by requests. */
		return !rq->upgrade && websocket ? BAD_REQUEST : NO_REFUSAL;
	}
	if (strcmp(rq->method, "GET") != 0)
		return BAD_HANDSHAKE_METHOD;
	return websocket && !rq->upgrade ? BAD_REQUEST : NO_REFUSAL;
}

/* ---- polling ---- */

static void
start_polling(struct eio *e, const struct web_request *rq)
{
	struct eio_socket *s;

	if (!is(web_query(rq, "EIO"), EIO_PROTOCOL)) {
		refuse(e, rq, UNSUPPORTED_VERSION);
		return;
	}
	s = eio_socket_new(e, rq, 1);
	if (s == NULL) {
		refuse(e, rq, FORBIDDEN);
		return;
	}
	eio_socket_hold(s, rq);
	e->calls.on_open(e->calls.ctx, s);
}

static void
poll_again(struct eio *e, struct eio_socket *s, const struct web_request *rq)
{
	if (s->poll != NULL) {
		eio_answer(e, rq, 400, NULL, "", 0);
		eio_socket_end(s, "1");
		return;
	}
	eio_socket_hold(s, rq);
	eio_socket_flush(s);
}

/* Packets, until one ends it. */
static void
take_payload(struct eio_socket *s, const struct web_request *rq)
{
	struct eio_payload p = { .text = rq->body, .len = rq->len };
	struct eio_packet k;
	int rc;

	while (!s->dead && (rc = eio_payload_next(&p, &k)) != 0) {
		if (rc < 0)
			eio_socket_end(s, "1");
		else
			eio_socket_packet(s, k.data - 1, k.len + 1);
	}
}

static void
take_post(struct eio *e, struct eio_socket *s, const struct web_request *rq)
{
	if (strncmp(rq->type, "application/octet-stream", 24) == 0) {
		eio_answer(e, rq, 400, NULL, "", 0);
		eio_socket_end(s, "1");
		return;
	}
	take_payload(s, rq);
	eio_answer(e, rq, 200, "text/html", "ok", 2);
}

void
eio_request(struct eio *e, const struct web_request *rq)
{
	struct eio_socket *s;
	enum refusal why;

	if (strcmp(rq->method, "OPTIONS") == 0) {
		answer_options(e, rq);
		return;
	}
	why = verify(e, rq, &s);
	if (why != NO_REFUSAL)
		refuse(e, rq, why);
	else if (s == NULL)
		start_polling(e, rq);
	else if (strcmp(rq->method, "GET") == 0)
		poll_again(e, s, rq);
	else if (strcmp(rq->method, "POST") == 0)
		take_post(e, s, rq);
	else
		eio_answer(e, rq, 400, NULL, "", 0);
}

int
eio_is_known(struct eio *e, const struct web_request *rq)
{
	struct eio_socket *s;

	return verify(e, rq, &s) == NO_REFUSAL && s != NULL && s->known;
}

/* ---- WebSockets ---- */

static int
refuse_upgrade(struct web_answer *out, enum refusal why)
{
	out->status = 400;
	out->type = "text/html";
	out->body = messages[why];
	out->len = strlen(messages[why]);
	return 0;
}

/* What is wrong only now gets its 101, and is closed then. */
int
eio_upgrade(
    struct eio *e, const struct web_request *rq, struct web_answer *refusal_r)
{
	struct eio_socket *s;
	enum refusal why = verify(e, rq, &s);

	if (why != NO_REFUSAL)
		return refuse_upgrade(refusal_r, why);
	web_conn_set(rq->conn, NULL);
	if (!is(web_query(rq, "transport"), "websocket"))
		return 1;
	if (s == NULL && is(web_query(rq, "EIO"), EIO_PROTOCOL)) {
		s = eio_socket_new(e, rq, 0);
		if (s == NULL)
			return refuse_upgrade(refusal_r, FORBIDDEN);
		s->ws = rq->conn;
		web_conn_set(rq->conn, s);
	} else if (s != NULL && s->ws == NULL && s->probe == NULL &&
		   !s->closing) {
		s->probe = rq->conn;
		s->probed = 0;
		web_conn_set(rq->conn, s);
	}
	return 1;
}

static void
drop_probe(struct eio_socket *s)
{
	struct web_conn *c = s->probe;

	s->probe = NULL;
	loop_timer_stop(s->other);
	web_conn_set(c, NULL);
	web_close(c, 0);
}

/* The client waits for its poll to end before it says 5. */
static void
on_probing(void *arg)
{
	struct eio_socket *s = arg;

	if (loop_now_ms(s->eio->loop) >= s->probe_until_ms)
		drop_probe(s);
	else if (s->probed)
		eio_socket_release(s, "6");
}

static void
start_probing(struct eio *e, struct eio_socket *s)
{
	loop_timer_free(&s->other);
	s->other = loop_timer_new(e->loop, "upgrade", on_probing, s);
	loop_timer_start(s->other, NOOP_MS, NOOP_MS);
	s->probe_until_ms = loop_now_ms(e->loop) + UPGRADE_MS;
}

void
eio_web_open(struct eio *e, struct web_conn *c)
{
	struct eio_socket *s = web_conn_get(c);

	if (s == NULL) {
		web_close(c, 0);
		return;
	}
	if (s->probe == c) {
		start_probing(e, s);
		return;
	}
	eio_socket_drain(s);
	e->calls.on_open(e->calls.ctx, s);
}

/* 2probe, and when the client has stopped to poll, 5. */
static void
probe_message(struct eio_socket *s, const char *text, size_t len)
{
	struct web_frame *f;
	struct eio_packet p;

	if (eio_read(text, len, &p) == 0 && p.type == EIO_PING && p.len == 5 &&
	    memcmp(p.data, "probe", 5) == 0) {
		s->probed = 1;
		f = web_frame_new("3probe", 6);
		web_send(s->probe, f);
		web_frame_unref(&f);
		eio_socket_flush(s);
		if (!s->dead)
			eio_socket_release(s, "6");
		return;
	}
	if (eio_read(text, len, &p) == 0 && p.type == EIO_UPGRADE && s->probed)
		eio_socket_upgrade(s);
	else
		drop_probe(s);
}

void
eio_web_message(
    struct eio *e, struct web_conn *c, int binary, const char *data, size_t len)
{
	struct eio_socket *s = web_conn_get(c);

	if (s == NULL || s->dead)
		return;
	if (s->probe == c)
		probe_message(s, data, binary ? 0 : len);
	else if (binary)
		e->calls.on_message(e->calls.ctx, s, 1, data, len);
	else
		eio_socket_packet(s, data, len);
}

void
eio_web_slow(struct eio *e, struct web_conn *c)
{
	(void)e;
	(void)c; /* on_gone follows */
	figure_add(FIGURE_DROPPED, 1);
	log_info("a client was dropped: it does not read what it is sent");
}

void
eio_web_gone(struct eio *e, struct web_conn *c)
{
	struct eio_socket *s = web_conn_get(c);

	(void)e;
	if (s == NULL || s->dead)
		return;
	if (s->probe == c) {
		s->probe = NULL;
		if (s->other != NULL)
			loop_timer_stop(s->other);
		return;
	}
	if (s->ws == c)
		s->ws = NULL;
	else
		s->poll = NULL; /* nobody can know what the poll had got */
	eio_socket_end(s, NULL);
}
