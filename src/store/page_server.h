/* SPDX-License-Identifier: MIT */
#ifndef STORE_PAGE_SERVER_H
#define STORE_PAGE_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct conf;
struct json;
struct loop;
struct store;

/*
 * The gateway's side of pages that users have open (docs/bridge.md): it says
 * in Redis which it has, and hears what is asked of them. The pool's side is
 * pages.h. All for the loop's thread; nothing blocks. While Redis is away what
 * is said is lost, and said again when it is back.
 */
struct page_server;

/* What is asked of a page. Only within the callback. */
struct page_order {
	const char *user, *client;
	const char *request;  /* its id, the pool's */
	const char *reply_to; /* for page_server_answer */
	int64_t timeout_ms;
	const struct json *command; /* an object */
};

struct page_server_calls {
	/* It is heard: every page that is open is to be put, again. */
	void (*on_up)(void *ctx);

	/* What was put is in Redis, and since_ms for when it is put again; 0:
	 * Redis did not take it. Once for each page_server_put. */
	void (*on_put)(void *ctx, const char *client, int64_t since_ms);

	/* One that was to be kept is not there: it is to be put again. */
	void (*on_lost)(void *ctx, const char *client);

	void (*on_order)(void *ctx, const struct page_order *order);

	/* Nobody waits for the answer to a request any more. */
	void (*on_cancel)(void *ctx, const char *request);
	void *ctx;
};

/* What is said of a page. */
struct page_card {
	const char *user, *client;
	const char *dialect;      /* B1 or B2 */
	int64_t since_ms;         /* 0: from now on it can do what it can */
	const char *capabilities; /* JSON of a list; "": it has said none */
	size_t capabilities_len;
};

/* How long a page stays is stay_ms after it was put or kept. c and st must
 * outlive it. */
struct page_server *page_server_new(struct loop *l, const struct conf *c,
    const struct store *st, int64_t stay_ms,
    const struct page_server_calls *calls);

/* Sends what can be sent at once. */
void page_server_free(struct page_server **s_p);

/* 1 while it is heard. */
int page_server_is_up(const struct page_server *s);

void page_server_put(struct page_server *s, const struct page_card *card);
void page_server_keep(
    struct page_server *s, const char *user, const char *client);
void page_server_drop(
    struct page_server *s, const char *user, const char *client);

/* The answer to a request, JSON of an object. */
void page_server_answer(struct page_server *s, const char *reply_to,
    const char *request, const char *json, size_t len);

#endif
