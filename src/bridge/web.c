/* SPDX-License-Identifier: MIT */
/*
 * libwebsockets, behind a small front: see web.h.
 *
 * It runs on our loop as a foreign libuv loop (a plugin of it, which the
 * distributions have as a package). We accept the connections and hand them
 * over. Requests are web_request.c's; of WebSocket it does the framing. There
 * is one protocol and no extension: so permessage-deflate is declined. Every
 * connection has a struct web_conn from its adoption to its destruction.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "bridge/web_priv.h"

#define HEADER_BYTES 16384   /* of one request, all of them; nginx has bounds */
#define RX_BYTES 1024        /* each WebSocket has such a buffer */
#define TOGETHER_BYTES 16384 /* of messages that are sent by one call */
#define CLOSE_WAIT_S 5       /* for the other side's half of a close */
#define LATE_MS 1000
#define CLOSE_MS 5000 /* for what waits to be read before it */
#define IDLE_S 20     /* of a request that does not go on */

/* ---- frames ---- */

struct web_frame *
web_frame_new(const char *data, size_t len)
{
	struct web_frame *f = malloc(sizeof(*f) + LWS_PRE + len);

	if (f == NULL)
		abort();
	f->refs = 1;
	f->len = len;
	f->data = (char *)(f + 1) + LWS_PRE;
	memcpy(f->data, data, len);
	return f;
}

struct web_frame *
web_frame_ref(struct web_frame *f)
{
	f->refs++;
	return f;
}

void
web_frame_unref(struct web_frame **f_p)
{
	struct web_frame *f = *f_p;

	*f_p = NULL;
	if (f != NULL && --f->refs == 0)
		free(f);
}

/* ---- connections ---- */

static struct web_conn *
conn_new(struct web *w)
{
	struct web_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->web = w;
	c->calls = &w->calls;
	c->tail = &c->queue;
	return c;
}

static void
queue_pop(struct web_conn *c)
{
	struct queued *q = c->queue;

	c->queue = q->next;
	if (c->queue == NULL)
		c->tail = &c->queue;
	c->queued_bytes -= q->frame->len;
	web_frame_unref(&q->frame);
	free(q);
}

static void
queue_drop(struct web_conn *c)
{
	while (c->queue != NULL)
		queue_pop(c);
}

static void
closing_add(struct web_conn *c)
{
	struct web *w = c->web;

	c->close_until_ms = loop_now_ms(w->loop) + CLOSE_MS;
	DL_APPEND(w->closing, c);
	if (w->late != NULL && w->closing == c)
		loop_timer_start(w->late, LATE_MS, LATE_MS);
}

static void
closing_drop(struct web_conn *c)
{
	if (c->prev != NULL)
		DL_DELETE(c->web->closing, c);
}

/*
 * Who does not read what waits never becomes writable; shut down, it becomes
 * readable, with the end. libwebsockets' own timers are late on a foreign loop
 * that has nothing else to do.
 */
static void
on_late(void *arg)
{
	struct web *w = arg;
	int64_t now_ms = loop_now_ms(w->loop);

	for (struct web_conn *c = w->closing; c != NULL; c = c->next)
		if (now_ms >= c->close_until_ms)
			shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
	if (w->closing == NULL)
		loop_timer_stop(w->late);
}

static void
conn_free(struct web_conn *c)
{
	if (c->met)
		c->calls->on_gone(c->calls->ctx, c);
	closing_drop(c);
	queue_drop(c);
	web_request_drop(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

void
web_conn_set(struct web_conn *c, void *data)
{
	c->data = data;
}

void *
web_conn_get(const struct web_conn *c)
{
	return c->data;
}

void
web_conn_use(struct web_conn *c, const struct web_calls *calls)
{
	c->calls = calls;
}

void
web_conn_known(struct web_conn *c, int known)
{
	c->known = known != 0;
}

size_t
web_message_bytes(const struct web_conn *c)
{
	size_t max = c->web->limits.message_bytes;
	size_t early = c->web->limits.early_bytes;

	return c->known || max < early ? max : early;
}

void
web_hold(struct web_conn *c)
{
	c->held = 1;
	lws_rx_flow_control(c->wsi, LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
}

void
web_go_on(struct web_conn *c)
{
	if (!c->held)
		return;
	c->held = 0;
	lws_rx_flow_control(c->wsi, 1 | LWS_RXFLOW_REASON_FLAG_PROCESS_NOW);
}

void
web_adopt(struct web *w, int fd)
{
	struct web_conn *c = conn_new(w);
	lws_adopt_desc_t desc = { .vh = w->vhost,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
		.fd.sockfd = fd,
		.opaque = c };

	/* If it fails it has closed fd, and told of the destruction or not. */
	c->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	if (c->wsi == NULL)
		log_warn("a connection was dropped: there is no room for it");
}

/* ---- WebSockets ---- */

static int
on_open(struct web_conn *c, struct lws *wsi)
{
	c->wsi = wsi;
	c->websocket = 1;
	c->calls->on_open(c->calls->ctx, c);
	return 0;
}

/* Texts are looked at here: libwebsockets' own look takes the payload of a pong
 * for a part of the next one. */
static int
is_text(const char *data, size_t len)
{
	return json_utf8_whole(data, len) == len;
}

static void
deliver(struct web_conn *c, struct lws *wsi, const char *data, size_t len)
{
	int binary = lws_frame_is_binary(wsi);

	if (c->closing)
		return;
	if (binary || is_text(data, len))
		c->calls->on_message(c->calls->ctx, c, binary, data, len);
	else
		web_close(c, LWS_CLOSE_STATUS_INVALID_PAYLOAD);
}

/* A piece of a message; most are whole, and not copied. */
static int
on_piece(struct web_conn *c, struct lws *wsi, const char *data, size_t len)
{
	int whole = lws_is_final_fragment(wsi) &&
		    lws_remaining_packet_payload(wsi) == 0;

	if (c->closing)
		return 0;
	if (c->in.len + len > web_message_bytes(c)) {
		buf_trim(&c->in, 0);
		web_close(c, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE);
		return 0;
	}
	if (whole && c->in.len == 0) {
		deliver(c, wsi, data, len);
		return 0;
	}
	buf_add(&c->in, data, len);
	if (whole) {
		deliver(c, wsi, buf_str(&c->in), c->in.len);
		buf_trim(&c->in, 0);
	}
	return 0;
}

void
web_send(struct web_conn *c, struct web_frame *f)
{
	struct queued *q;

	if (!c->websocket || c->closing)
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		abort();
	q->frame = web_frame_ref(f);
	*c->tail = q;
	c->tail = &q->next;
	c->queued_bytes += f->len;
	if (c->queued_bytes > c->web->limits.backlog_bytes) {
		/* It does not read: no close frame would reach it either. */
		web_drop(c);
		c->calls->on_slow(c->calls->ctx, c);
		return;
	}
	lws_callback_on_writable(c->wsi);
}

void
web_close(struct web_conn *c, int code)
{
	web_close_saying(c, code, "");
}

void
web_close_saying(struct web_conn *c, int code, const char *reason)
{
	if (c->closing)
		return;
	c->closing = 1;
	c->close_code = code;
	snprintf(c->close_reason, sizeof(c->close_reason), "%s", reason);
	web_go_on(c);
	if (c->websocket)
		closing_add(c);
	lws_callback_on_writable(c->wsi);
}

void
web_ping(struct web_conn *c)
{
	if (!c->websocket || c->closing)
		return;
	c->ping_due = 1;
	lws_callback_on_writable(c->wsi);
}

void
web_drop(struct web_conn *c)
{
	queue_drop(c);
	web_go_on(c);
	c->closing = c->hung_up = 1;
	/* Who does not read is never writable: so it becomes readable, with
	 * the end. */
	shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
}

static int
send_ping(struct web_conn *c, struct lws *wsi)
{
	/* Answers without a payload are not told of. */
	unsigned char room[LWS_PRE + 1] = { 0 };

	c->ping_due = 0;
	return lws_write(wsi, room + LWS_PRE, 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

/* A close frame with a code or none, as its bytes: libwebsockets' own always
 * has a code. */
static int
send_close(struct web_conn *c, struct lws *wsi)
{
	size_t len = strlen(c->close_reason);
	struct buf b;
	int rc;

	buf_init(&b, NULL);
	buf_putc(&b, (char)0x88);
	buf_putc(&b, c->close_code == 0 ? 0 : (char)(2 + len));
	if (c->close_code != 0) {
		buf_putc(&b, (char)(c->close_code >> 8));
		buf_putc(&b, (char)c->close_code);
		buf_add(&b, c->close_reason, len);
	}
	c->close_sent = 1;
	/* What is unread when a socket is closed would take this back. */
	lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_ACK, CLOSE_WAIT_S);
	rc = web_write(wsi, &b, LWS_WRITE_RAW);
	buf_fini(&b);
	return rc;
}

/* A frame of text as its bytes (RFC 6455, section 5.2); of less than 64 KiB. */
static void
put_frame(struct buf *b, const struct web_frame *f)
{
	buf_putc(b, (char)0x81);
	if (f->len < 126) {
		buf_putc(b, (char)f->len);
	} else {
		buf_putc(b, 126);
		buf_putc(b, (char)(f->len >> 8));
		buf_putc(b, (char)f->len);
	}
	buf_add(b, f->data, f->len);
}

/*
 * Sends the first of the queue, and with it those behind it that are small:
 * most are, come together, and a system call costs more than they do.
 */
static int
send_some(struct web_conn *c, struct lws *wsi)
{
	struct queued *q = c->queue;
	struct buf b;
	int rc;

	if (q->next == NULL || q->frame->len > TOGETHER_BYTES) {
		rc = lws_write(wsi, (unsigned char *)q->frame->data,
		    q->frame->len, LWS_WRITE_TEXT);
		queue_pop(c);
		return rc;
	}
	buf_init(&b, NULL);
	do {
		put_frame(&b, c->queue->frame);
		queue_pop(c);
	} while (
	    c->queue != NULL && b.len + c->queue->frame->len <= TOGETHER_BYTES);
	rc = web_write(wsi, &b, LWS_WRITE_RAW);
	buf_fini(&b);
	return rc;
}

static int
on_writable(struct web_conn *c, struct lws *wsi)
{
	if (c->hung_up)
		return -1;
	if (c->close_sent)
		return 0; /* the other half, or the timeout, comes */
	if (c->ping_due && send_ping(c, wsi) < 0)
		return -1;
	while (c->queue != NULL && !lws_send_pipe_choked(wsi))
		if (send_some(c, wsi) < 0) {
			c->hung_up = c->closing = 1;
			return -1;
		}
	if (c->queue != NULL)
		lws_callback_on_writable(wsi);
	return c->queue == NULL && c->closing ? send_close(c, wsi) : 0;
}

/* What is wrong with the payload of a close frame; 0: nothing, or that
 * libwebsockets puts another code in its place. */
static int
close_fault(const char *payload, size_t len)
{
	const unsigned char *p = (const unsigned char *)payload;

	if (len == 1 || (len > 1 && p[0] * 256 + p[1] >= 5000))
		return LWS_CLOSE_STATUS_PROTOCOL_ERR;
	if (len > 2 && !is_text(payload + 2, len - 2))
		return LWS_CLOSE_STATUS_INVALID_PAYLOAD;
	return 0;
}

/* The other side closes. 0: it is answered with what it said. */
static int
on_peer_close(
    struct web_conn *c, struct lws *wsi, const char *payload, size_t len)
{
	if (c->close_sent)
		return -1;
	c->close_code = close_fault(payload, len);
	if (c->close_code == 0)
		return 0;
	send_close(c, wsi);
	return -1;
}

/* ---- libwebsockets ---- */

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user,
    void *in, size_t len)
{
	struct web_conn *c = wsi == NULL ? NULL : lws_get_opaque_user_data(wsi);

	(void)user;
	if (c == NULL)
		return 0;
		/* The others mean nothing here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum"
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return web_on_http(c, wsi);
	case LWS_CALLBACK_HTTP_BODY:
		return web_on_body(c, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return web_on_body_end(c, wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return web_on_http_writable(c, wsi);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return web_on_upgrade(c, wsi);
	case LWS_CALLBACK_ESTABLISHED:
		return on_open(c, wsi);
	case LWS_CALLBACK_RECEIVE:
		return on_piece(c, wsi, in, len);
	case LWS_CALLBACK_RECEIVE_PONG:
		if (c->calls->on_pong != NULL)
			c->calls->on_pong(c->calls->ctx, c);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return on_writable(c, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return on_peer_close(c, wsi, in, len);
	case LWS_CALLBACK_WSI_DESTROY:
		lws_set_opaque_user_data(wsi, NULL);
		conn_free(c);
		return 0;
	default:
		return 0;
	}
#pragma GCC diagnostic pop
}

static const struct lws_protocols protocols[] = {
	{ "agent-fpm", on_event, 0, RX_BYTES, 0, NULL, 0 },
	{ NULL, NULL, 0, 0, 0, NULL, 0 },
};

static void
on_log(int level, const char *line)
{
	int n = (int)strcspn(line, "\n");

	if (level & (LLL_ERR | LLL_WARN))
		log_warn("libwebsockets: %.*s", n, line);
	else
		log_debug("libwebsockets: %.*s", n, line);
}

/*
 * It looks for its plugin in the working directory first: that is made one
 * that only root writes to meanwhile.
 */
static struct lws_context *
context_new(struct lws_context_creation_info *info)
{
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct lws_context *context = NULL;

	if (chdir("/") == 0)
		context = lws_create_context(info);
	if (back >= 0) {
		if (fchdir(back) < 0)
			log_warn("the working directory is / now");
		close(back);
	}
	return context;
}

struct web *
web_new(struct loop *l, const struct web_limits *limits,
    const struct web_calls *calls, struct err *err)
{
	struct web *w = calloc(1, sizeof(*w));
	struct lws_context_creation_info info = { 0 };

	if (w == NULL)
		abort();
	w->loop = l;
	w->limits = *limits;
	w->calls = *calls;
	w->late = loop_timer_new(l, "closes", on_late, w);
	w->loops[0] = loop_native(l);
	lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.options =
	    LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.foreign_loops = w->loops;
	info.max_http_header_data = HEADER_BYTES;
	info.gid = info.uid = -1;
	info.timeout_secs = IDLE_S;
	info.pcontext = &w->context;
	w->context = context_new(&info);
	if (w->context != NULL)
		w->vhost = lws_create_vhost(w->context, &info);
	if (w->vhost != NULL)
		return w;
	err_set(err, ERR_CONFIG,
	    "libwebsockets cannot run on libuv: install its plugin for that "
	    "(libwebsockets-evlib-uv)");
	loop_timer_free(&w->late);
	free(w);
	return NULL;
}

void
web_close_all(struct web *w)
{
	if (w->context != NULL)
		lws_context_destroy(w->context);
	loop_timer_free(&w->late);
}

void
web_free(struct web **w_p)
{
	struct web *w = *w_p;

	if (w == NULL)
		return;
	*w_p = NULL;
	/* On a loop that is not its own it stops halfway the first time. */
	if (w->context != NULL)
		lws_context_destroy(w->context);
	free(w);
}
