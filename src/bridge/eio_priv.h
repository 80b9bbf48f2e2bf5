/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_EIO_PRIV_H
#define BRIDGE_EIO_PRIV_H

#include <uthash.h>

#include "base/loop.h"
#include "bridge/eio.h"
#include "bridge/tally.h"

#define EIO_SID_SIZE 21

struct eio_queued {
	struct eio_queued *next;
	struct web_frame *frame;
};

/*
 * A connection. Until it is upgraded, or if it never is, ws is NULL and what
 * it is sent waits in queue for a poll.
 */
struct eio_socket {
	UT_hash_handle hh;
	char sid[EIO_SID_SIZE];
	struct eio *eio;
	void *data;
	struct eio_peer peer;

	struct web_conn *ws;
	struct web_conn *probe;         /* a WebSocket that may take over */
	const struct web_request *poll; /* that is held */

	struct eio_queued *queue, **tail;
	size_t queued_bytes;

	struct loop_timer
	    *heart; /* the next ping is due, or its pong is late */
	struct loop_timer *other; /* an upgrade, or a close, takes too long */
	struct loop_deferred later;
	int64_t probe_until_ms;
	unsigned ping_sent : 1;
	unsigned probed : 1;   /* the other has said 2probe */
	unsigned upgraded : 1; /* it has polled before */
	unsigned known : 1;    /* whoever is there was let in */
	unsigned closing : 1;  /* the next poll ends it */
	unsigned quiet : 1;    /* whoever stands above has let go of it */
	unsigned drowned : 1;  /* it does not read: the end of it */
	unsigned dead : 1;     /* freed at the end of this tick */
};

struct eio {
	struct loop *loop;
	const struct conf *conf;
	struct eio_calls calls;
	struct eio_socket *sockets;
	struct tally *addresses;
	struct loop_timer *rounds; /* over polls that are held */
};

/* ---- eio_socket.c ---- */

/* NULL: there are too many from that address. Its open packet waits. */
struct eio_socket *eio_socket_new(
    struct eio *e, const struct web_request *rq, int upgrades);
struct eio_socket *eio_socket_find(struct eio *e, const char *sid);

/* A packet from the other side, by the way that counts. */
void eio_socket_packet(struct eio_socket *s, const char *text, size_t len);

/* Holds a poll, unless there is something to answer. */
void eio_socket_hold(struct eio_socket *s, const struct web_request *rq);

/* The queue, or a packet of our own, as the answer of the held poll. */
void eio_socket_flush(struct eio_socket *s);
void eio_socket_release(struct eio_socket *s, const char *packet);

/* What waits goes to the WebSocket that is open now. */
void eio_socket_drain(struct eio_socket *s);

/* The WebSocket takes over. */
void eio_socket_upgrade(struct eio_socket *s);

/* It is over, at once: a held poll gets that packet. on_close is called. */
void eio_socket_end(struct eio_socket *s, const char *packet);

/* ---- eio_http.c ---- */

/* Answers with a body and the headers for the page that asked. */
void eio_answer(struct eio *e, const struct web_request *rq, int status,
    const char *type, const char *body, size_t len);

#endif
