/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_SIO_H
#define BRIDGE_SIO_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/sio_packet.h"
#include "bridge/web.h"

struct asker;
struct conf;
struct eio;
struct loop;
struct tallies;

/*
 * Socket.IO 5 on Engine.IO: the one namespace /, and who is at the other end,
 * which the pool says (GET /api/whoami). All for the loop's thread.
 */
struct sio;
struct sio_socket;

struct sio_calls {
	/* Somebody was let in. */
	void (*on_connect)(void *ctx, struct sio_socket *s);
	/* An event; the packet is the callback's. */
	void (*on_event)(
	    void *ctx, struct sio_socket *s, const struct sio_packet *p);
	/* One that was let in has gone; s is not to be used any more. */
	void (*on_gone)(void *ctx, struct sio_socket *s);
	void *ctx;
};

/* Members of calls may be NULL. c, k and t must outlive it. */
struct sio *sio_new(struct loop *l, const struct conf *c, struct asker *k,
    struct tallies *t, const struct sio_calls *calls);
void sio_free(struct sio **o_p);
struct eio *sio_eio(struct sio *o);

/* Who was let in. The header Authorization for requests in their name, or
 * NULL; their address. */
const char *sio_user(const struct sio_socket *s);
const char *sio_authorization(const struct sio_socket *s);
const char *sio_address(const struct sio_socket *s);

/* What those who stand above have of a socket; NULL at first. */
enum sio_slot { SIO_VISITOR, SIO_PAGE, SIO_SLOTS };
void sio_set(struct sio_socket *s, enum sio_slot slot, void *data);
void *sio_get(const struct sio_socket *s, enum sio_slot slot);

/* A frame of sio_put_event; of one that many get. */
void sio_send(struct sio_socket *s, struct web_frame *f);
void sio_emit(
    struct sio_socket *s, const char *event, const char *args, size_t len);
void sio_ack(struct sio_socket *s, int64_t id, const char *args, size_t len);

/* Says that it is to stay away (41), and ends it: s is gone, and on_gone was
 * called. */
void sio_expel(struct sio_socket *s);

/* Ends it; it comes back by itself. The same. */
void sio_drop(struct sio_socket *s);

#endif
