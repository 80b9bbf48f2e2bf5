/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_WEB_H
#define BRIDGE_WEB_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;

/*
 * HTTP and WebSocket for the gateway, by libwebsockets on our loop: web.c is
 * the only file that sees it. Connections come from nginx, over a unix socket
 * that somebody else accepts on. All for the loop's thread; nothing blocks.
 */
struct web;
struct web_conn;

/* A request, or the handshake of a WebSocket. Only within the callback. */
struct web_request {
	struct web_conn *conn;
	const char *method,
	    *path;        /* the path as libwebsockets has it: decoded */
	const char *host; /* headers: "" if they are not there */
	const char *origin;
	const char *authorization;
	const char *type;    /* Content-Type */
	const char *address; /* X-Forwarded-For, which is nginx's alone */
	const char *wanted_headers; /* Access-Control-Request-Headers */
	int upgrade;                /* to WebSocket is asked for */
	const char *body;
	size_t len;
};

/* The value of a query member, decoded, in the request's memory, "" of one
 * that is a name alone; NULL: it is not there. */
const char *web_query(const struct web_request *rq, const char *name);

struct web_answer {
	int status;
	const char *type;    /* NULL: none */
	const char *headers; /* "Name: value" and a line end each, or "" */
	const char *body;
	size_t len;
};

struct web_calls {
	/* A request with its whole body: web_answer, now or later. */
	void (*on_request)(void *ctx, const struct web_request *rq);

	/* Whether a request whose body comes is of somebody who was let in. */
	int (*is_known)(void *ctx, const struct web_request *rq);

	/* 1: it becomes a WebSocket, on_open follows. 0: it is answered so. */
	int (*on_upgrade)(void *ctx, const struct web_request *rq,
	    struct web_answer *refusal_r);
	void (*on_open)(void *ctx, struct web_conn *c);

	/* A whole message, valid UTF-8 unless it is binary. */
	void (*on_message)(void *ctx, struct web_conn *c, int binary,
	    const char *data, size_t len);

	/* The answer to a ping; may be NULL. */
	void (*on_pong)(void *ctx, struct web_conn *c);

	/* It has not read what web_limits allow: after this it is gone. */
	void (*on_slow)(void *ctx, struct web_conn *c);

	/* Gone, and no more to be used. Not if there was no request. */
	void (*on_gone)(void *ctx, struct web_conn *c);
	void *ctx;
};

struct web_limits {
	size_t message_bytes; /* and bodies */
	size_t early_bytes;   /* of who was not let in yet */
	size_t backlog_bytes; /* what a WebSocket was sent and has not read */
};

/* NULL, and err: libwebsockets, or its use of libuv, is not there. */
struct web *web_new(struct loop *l, const struct web_limits *limits,
    const struct web_calls *calls, struct err *err);

/*
 * Closes all connections, with no close frame: they come back. on_gone is
 * called for each. What libuv has left to do is done by loop_free; web_free
 * after that.
 */
void web_close_all(struct web *w);
void web_free(struct web **w_p);

/* A connection that was accepted; fd is its own from here on. */
void web_adopt(struct web *w, int fd);

/* What the caller has of a connection; NULL at first. */
void web_conn_set(struct web_conn *c, void *data);
void *web_conn_get(const struct web_conn *c);

/* From within on_upgrade: what becomes of this connection is told to others;
 * calls must stay. */
void web_conn_use(struct web_conn *c, const struct web_calls *calls);

/* Whether who is at the end of a WebSocket was let in; at first nobody is. */
void web_conn_known(struct web_conn *c, int known);

/* Answers the request of a connection, once. */
void web_answer(struct web_conn *c, const struct web_answer *a);

/*
 * Nothing is read from a connection until it goes on, or is ended. A request
 * is held until its answer: libwebsockets would see its end again and again and
 * do nothing about it. Whoever holds it looks whether the other side is there.
 */
void web_hold(struct web_conn *c);
void web_go_on(struct web_conn *c);
int web_is_there(const struct web_conn *c);

/* ---- WebSockets ---- */

/* A message that is ready to be sent, to many. */
struct web_frame {
	int refs;
	size_t len;
	char *data; /* len bytes, and room before them */
};

/* With one reference, the caller's. */
struct web_frame *web_frame_new(const char *data, size_t len);
struct web_frame *web_frame_ref(struct web_frame *f);
void web_frame_unref(struct web_frame **f_p);

/* Sends it when there is room. */
void web_send(struct web_conn *c, struct web_frame *f);

/* After what was sent, if it is read within some seconds: a close frame with
 * this code, or with none if that is 0, and the end. Messages that still come
 * are dropped. */
void web_close(struct web_conn *c, int code);

/* The same with a reason, of at most 123 bytes. */
void web_close_saying(struct web_conn *c, int code, const char *reason);

/* Asks whether the other side is there: on_pong, if it is. */
void web_ping(struct web_conn *c);

/* Ends it at once, without a close frame. on_gone follows, but not from
 * within. */
void web_drop(struct web_conn *c);

#endif
