/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_PAGE_HUB_H
#define BRIDGE_PAGE_HUB_H

#include "bridge/sio.h"
#include "bridge/web.h"

struct asker;
struct conf;
struct loop;
struct store;
struct tallies;

/*
 * AgentBridge: pages that users have open, by WebSocket or by Socket.IO. They
 * say what they can do, and do it when agents, or callers of the API, ask
 * them; docs/bridge.md. All for the loop's thread.
 */
struct page_hub;

/* All of them must outlive it. */
struct page_hub *page_hub_new(struct loop *l, const struct conf *c,
    const struct store *st, struct asker *k, struct tallies *t);

/* Says that all pages are gone; the web closes them after that. Those by
 * Socket.IO have gone before, with their sockets. */
void page_hub_close_all(struct page_hub *p);
void page_hub_free(struct page_hub **p_p);

int page_hub_count(const struct page_hub *p);

/* 1 if that is one of the paths where pages connect. */
int page_hub_path(const char *path);

/* As web_calls' on_upgrade, for a request of such a path. */
int page_hub_upgrade(struct page_hub *p, const struct web_request *rq,
    struct web_answer *refusal_r);

/* An event of Socket.IO: 1 if it is what pages say, and was taken. */
int page_hub_event(
    struct page_hub *p, struct sio_socket *s, const struct sio_packet *packet);

/* As sio_calls' on_gone: of any socket. */
void page_hub_socket_gone(struct sio_socket *s);

#endif
