/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_EIO_H
#define BRIDGE_EIO_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/web.h"

struct conf;
struct loop;
struct tally;

/*
 * Engine.IO 4: connections that are a WebSocket, or requests that poll, or
 * first the one and then the other. All for the loop's thread.
 */
struct eio;
struct eio_socket;

struct eio_calls {
	/* A connection: eio_set, and messages follow. */
	void (*on_open)(void *ctx, struct eio_socket *s);
	/* What stands behind the 4 of a message; or bytes. */
	void (*on_message)(void *ctx, struct eio_socket *s, int binary,
	    const char *data, size_t len);
	/* It is over; s is not to be used any more. */
	void (*on_close)(void *ctx, struct eio_socket *s);
	void *ctx;
};

/* c must outlive it, and the count of connections by address. */
struct eio *eio_new(struct loop *l, const struct conf *c,
    struct tally *addresses, const struct eio_calls *calls);

/* Ends all, at the end of this tick, without a word: they come back. */
void eio_close_all(struct eio *e);

/* They have ended. */
void eio_free(struct eio **e_p);

int eio_count(const struct eio *e);

/* ---- what comes from the web: see struct web_calls ---- */

void eio_request(struct eio *e, const struct web_request *rq);
int eio_is_known(struct eio *e, const struct web_request *rq);
int eio_upgrade(
    struct eio *e, const struct web_request *rq, struct web_answer *refusal_r);
void eio_web_open(struct eio *e, struct web_conn *c);
void eio_web_message(struct eio *e, struct web_conn *c, int binary,
    const char *data, size_t len);
void eio_web_slow(struct eio *e, struct web_conn *c);
void eio_web_gone(struct eio *e, struct web_conn *c);

/* ---- connections ---- */

/* Whoever opened one. Texts are "" where there was nothing. */
struct eio_peer {
	const char *address;
	const char *authorization; /* the header */
	const char *token;         /* the query's */
};

const struct eio_peer *eio_peer(const struct eio_socket *s);
void eio_set(struct eio_socket *s, void *data);
void *eio_get(const struct eio_socket *s);

/* Whether whoever is there was let in; at first nobody is: web_limits. */
void eio_known(struct eio_socket *s, int known);

/*
 * Sends a packet, with its type, by whichever way there is. One whose backlog
 * passes bridge.backlog is ended, but not from within.
 */
void eio_send(struct eio_socket *s, struct web_frame *f);

/* Ends it, after what was sent. on_close is not called; s is gone. */
void eio_close(struct eio_socket *s);

#endif
