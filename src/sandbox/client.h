/* SPDX-License-Identifier: MIT */
#ifndef SANDBOX_CLIENT_H
#define SANDBOX_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct arena;
struct conf;
struct fetcher;
struct json;
struct loop;

/*
 * The way to agent-fpm-sandbox, which has the files: one for the process,
 * with many calls at a time. At sandbox.socket all have one connection, which
 * is made when it is needed and again after it broke; at sandbox.address each
 * is an HTTP request.
 */
struct sandbox;

/* A call: an operation of docs/sandbox.md and how it ended. */
struct sandbox_call {
	/* Set by whoever starts it; must stay until its end. */
	struct arena *arena;
	const char *op;
	const char *user, *agent; /* whose workspace */
	const char *members;      /* more of the request, as ,"name":value */
	const char *data;
	size_t data_len;
	int64_t timeout_ms; /* 0: sandbox.timeout */
	int as_it_is;       /* a workspace that is not there is not restored */
	void (*on_end)(void *ctx, struct sandbox_call *c);
	/* Some of the data before that, if the operation gives it; or NULL. */
	void (*on_more)(void *ctx, const char *p, size_t len);
	void *ctx;

	/* How it ended: ERR_NONE, and the answer in the arena. */
	struct err err;
	const struct json *answer;
	struct buf answer_data;

	/* The client's. */
	uint64_t id;
	int64_t deadline_ms, connect_ms;
	int sent, there, waits;
	void *way; /* the transport's */
	struct sandbox_call *next, **prev;
};

/* 1 if conf has a sandbox. */
int sandbox_is_configured(const struct conf *c);

/*
 * *s_r is NULL if conf has none. 0, or -1 and ERR_CONFIG if the address or
 * the token is no good. l NULL: only to check that. The fetcher must outlive
 * it.
 */
int sandbox_new(struct loop *l, struct fetcher *f, const struct conf *c,
    struct sandbox **s_r, struct err *err);

/* Ends what still runs, as cancelled. */
void sandbox_free(struct sandbox **s_p);

/*
 * Whom calls wait for whose workspace is not there, though it may be saved: fn
 * is called on the loop's thread, for each of them, and sees to it that
 * sandbox_settle is called, later and on that thread too. NULL: nobody; then
 * they go on without.
 */
typedef void sandbox_missing_f(void *ctx, const char *user, const char *agent);
void sandbox_on_missing(struct sandbox *s, sandbox_missing_f *fn, void *ctx);

/* It is there now, or nothing of it is saved: the calls go on. Or why it cannot
 * be told or restored: they fail with that. */
void sandbox_settle(struct sandbox *s, const char *user, const char *agent,
    const struct err *why);

/* on_end comes once, perhaps before this returns. The loop's thread. */
void sandbox_start(struct sandbox *s, struct sandbox_call *c);

/* Ends it as ERR_CANCELLED, unless it has ended; what it did is not known. */
void sandbox_cancel(struct sandbox *s, struct sandbox_call *c);

/*
 * The same for any other thread, which waits for the end: 0, or -1 and err.
 * on_end is not the caller's. Blocks for up to the timeout.
 */
int sandbox_ask(struct sandbox *s, struct sandbox_call *c, struct err *err);

#endif
