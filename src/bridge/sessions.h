/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_SESSIONS_H
#define BRIDGE_SESSIONS_H

#include "bridge/sio.h"

struct asker;
struct conf;
struct loop;

/*
 * What clients do with sessions: session:join, leave, create and message. Each
 * is a request to the pool in the client's name, one after the other. All for
 * the loop's thread.
 */
struct sessions;

struct guests;
struct sessions *sessions_new(
    struct loop *l, const struct conf *c, struct asker *k, struct guests *gs);
void sessions_free(struct sessions **a_p); /* nobody is there any more */

/* For struct sio_calls; ctx is a struct sessions. */
void sessions_on_connect(void *ctx, struct sio_socket *s);
void sessions_on_event(
    void *ctx, struct sio_socket *s, const struct sio_packet *p);
void sessions_on_gone(void *ctx, struct sio_socket *s);

#endif
