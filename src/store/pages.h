/* SPDX-License-Identifier: MIT */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct json;
struct loop;
struct redis_link;
struct store;

/*
 * Pages that a user has open, as clients of AgentBridge. Gateways have their
 * connections and say in Redis what they can do; here that is read, and they
 * are asked. docs/bridge.md is the protocol.
 */

struct page {
	const char *client;       /* its id */
	const char *dialect;      /* B1 or B2 */
	int64_t since_ms;         /* when it last said what it can do */
	const char *capabilities; /* JSON of a list; NULL: none were said */
};

#define PAGES_MAX 64
#define PAGES_BYTES (2 * 1024 * 1024)
#define PAGE_DEPTH 48 /* of capabilities and answers */

/*
 * The user's pages, who last said what it can do first; the arena's. At most
 * PAGES_MAX, and those of PAGES_BYTES of capabilities. Blocks for one round
 * trip. 0, or -1 and ERR_STORE.
 */
int store_pages(struct store *st, struct arena *a, const char *user,
    struct page **list_r, size_t *count_r, struct err *err);

/* ---- asking them; all for the loop's thread ---- */

/* How a call of a page ended. */
enum page_end {
	PAGE_ANSWERED,
	PAGE_FAILED,   /* it said no, or nothing that can be read */
	PAGE_UNKNOWN,  /* the user has no such page */
	PAGE_UNSENT,   /* it did not reach the page, as far as is known */
	PAGE_LEFT,     /* the page went before it answered */
	PAGE_LATE,     /* no answer in time */
	PAGE_CANCELLED /* by the caller, or the process stops */
};

struct page_call {
	/* Set by whoever starts it; must stay until its end. */
	struct arena *arena; /* of the answer; the loop's thread's */
	const char *user;
	const char *client;
	const char *command; /* JSON of an object */
	int64_t timeout_ms;
	int only_send; /* it ends, as ANSWERED, when it is on its way */
	void (*on_end)(void *ctx, struct page_call *c);
	void *ctx;

	/* How it ended; the arena's. */
	enum page_end end;
	const struct json *result; /* ANSWERED: or NULL, none was given */
	const char *code;          /* FAILED: the page's own, or NULL */
	const char *message;       /* not ANSWERED: why; FAILED: or NULL */

	struct page_ask *ask; /* the module's; NULL: it has ended */
};

/* What calls of pages need of the process. */
struct pages;

/* link is the one for commands. */
struct pages *pages_new(
    struct loop *l, const struct store *st, struct redis_link *link);

/* Ends what still runs as CANCELLED. Before the link goes. */
void pages_free(struct pages **p_p);

/* Sends a command; never twice. on_end comes once, perhaps before this
 * returns. */
void page_call_start(struct pages *p, struct page_call *c);

/* Tells the gateway, and ends it as CANCELLED; nothing if it has ended. */
void page_call_cancel(struct page_call *c);

/* An order of live: "REQUESTID JSON". One that nobody waits for is dropped,
 * and what another page than the one that was asked says. */
void pages_answer(struct pages *p, const char *text);

#endif
