/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_WEB_PRIV_H
#define BRIDGE_WEB_PRIV_H

#include <libwebsockets.h>

#include "base/buf.h"
#include "bridge/web.h"

#define REASON_MAX 123 /* of a close frame, RFC 6455 section 5.5 */

struct queued {
	struct queued *next;
	struct web_frame *frame;
};

struct web_conn {
	struct web *web;
	const struct web_calls *calls;
	struct lws *wsi;
	void *data;
	struct buf in;  /* a body, or a message in pieces */
	struct buf out; /* the answer of a request */
	struct arena *arena;
	struct web_request *request; /* while its body comes */
	struct queued *queue, **tail;
	size_t queued_bytes;
	unsigned met : 1;      /* on_gone is due */
	unsigned answered : 1; /* out is to be written */
	unsigned held : 1;     /* it is not read from */
	unsigned known : 1;    /* whoever is there was let in */
	unsigned websocket : 1;
	unsigned closing : 1;
	unsigned close_sent : 1;
	unsigned hung_up : 1; /* it is not worth a word any more */
	unsigned too_large : 1;
	unsigned ping_due : 1;
	int close_code;
	char close_reason[REASON_MAX + 1];
	int64_t close_until_ms;
	struct web_conn *prev, *next; /* of web->closing; or NULL */
};

struct web {
	struct loop *loop;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct web_limits limits;
	struct web_calls calls;
	void *loops[1];
	struct web_conn *closing; /* WebSockets that end, in that order */
	struct loop_timer *late;
};

/* How long what somebody says may be. */
size_t web_message_bytes(const struct web_conn *c);

/* What libwebsockets wants of who writes: room before it. 0 or -1. */
int web_write(struct lws *wsi, struct buf *b, enum lws_write_protocol how);

/* ---- web_request.c: HTTP; results are libwebsockets' ---- */

void web_request_drop(struct web_conn *c);

int web_on_http(struct web_conn *c, struct lws *wsi);
int web_on_body(struct web_conn *c, const char *data, size_t len);
int web_on_body_end(struct web_conn *c, struct lws *wsi);

/* 0: the connection goes on, for other requests. */
int web_on_http_writable(struct web_conn *c, struct lws *wsi);

/* 0 it may become a WebSocket, 1 it was answered. */
int web_on_upgrade(struct web_conn *c, struct lws *wsi);

#endif
