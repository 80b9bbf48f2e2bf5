/* SPDX-License-Identifier: MIT */
#ifndef STORE_REDIS_LINK_H
#define STORE_REDIS_LINK_H

#include <stddef.h>
#include <stdint.h>

struct conf;
struct loop;
struct redisReply;

/*
 * A connection to Redis on the loop, that comes back by itself (10 ms to 2 s
 * between tries). All for the loop's thread; nothing here blocks.
 */
struct redis_link;

/* reply is NULL if the connection broke before it came. */
typedef void redis_link_reply_f(void *ctx, const struct redisReply *reply);
typedef void redis_link_state_f(void *ctx, int up);

/* Connects at once. on_state is told when it is greeted, and when lost. */
struct redis_link *redis_link_new(struct loop *l, const struct conf *c,
    redis_link_state_f *on_state, void *ctx);
void redis_link_free(struct redis_link **k_p);

int redis_link_up(const struct redis_link *k);

/*
 * One command in RESP (redis_pipe); copied. Only while the link is up, else
 * fn is called with NULL before it returns. It is written by
 * redis_link_flush, at the latest in the next tick.
 */
void redis_link_send(struct redis_link *k, const char *resp, size_t len,
    redis_link_reply_f *fn, void *ctx);
void redis_link_flush(struct redis_link *k);

/*
 * Pub/sub. A link that subscribes takes no other commands. Confirmations and
 * messages come to the one function; what was subscribed is forgotten when
 * the link goes down.
 */
struct redis_push {
	const char *kind; /* "subscribe", "unsubscribe", "message" */
	const char *channel;
	const char *text; /* of a message */
	size_t len;
};

typedef void redis_link_push_f(void *ctx, const struct redis_push *push);

void redis_link_on_push(struct redis_link *k, redis_link_push_f *fn);
void redis_link_subscribe(struct redis_link *k, const char *channel);
void redis_link_unsubscribe(struct redis_link *k, const char *channel);

/* Breaks the connection: every open command gets NULL; then it reconnects. */
void redis_link_drop(struct redis_link *k);

/* When the oldest open command was sent, on the loop's clock; 0: none is. */
int64_t redis_link_oldest_ms(const struct redis_link *k);

#endif
