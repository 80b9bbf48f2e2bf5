/* SPDX-License-Identifier: MIT */
#ifndef STORE_LIVE_H
#define STORE_LIVE_H

#include "store/event.h"

struct conf;
struct loop;
struct redis_link;
struct store;

/*
 * What comes from Redis to the viewers of this process: events that other
 * processes wrote, over one subscription however many agents are watched,
 * and replays of the log. And orders to this process, on its own channel.
 * All for the loop's thread.
 */
struct live;

struct live_calls {
	/* Agent is covered: what is written from now on is told. */
	void (*on_covered)(void *ctx, const char *agent);

	/* Events of another process; prev is the id of the one before. */
	void (*on_events)(void *ctx, const char *agent, struct event_id prev,
	    struct frame *const *frames, int count);

	/* The agent was deleted. */
	void (*on_gone)(void *ctx, const char *agent);

	/* The subscription was lost; every agent must be watched again. */
	void (*on_lost)(void *ctx);

	/* Somebody told this process something: "interrupt AGENT TURN"; or
	 * all, that agents wait for room: "waiting", or "revoked ...".
	 * "revoked" alone: maybe somebody did, of late or unheard. */
	void (*on_order)(void *ctx, const char *text);
	void *order_ctx; /* on_order's */
	void *ctx;       /* the others' */

	/* What was said on the channel of a user's sessions. text NULL: they
	 * are covered from now on; what was said before was missed. */
	void (*on_sessions)(
	    void *ctx, const char *user, const char *text, size_t len);
};

/* reader is the link for replays. st NULL: this process gets no orders. */
struct live *live_new(struct loop *l, const struct conf *c,
    const struct store *st, struct redis_link *reader,
    const struct live_calls *calls);
void live_free(struct live **v_p);

/* Gives the orders "revoked ..." of the last day again: some may have been
 * missed. When the reader's link is up; live itself does so too, when it
 * begins to listen. */
void live_ask_revoked(struct live *v);

void live_watch(struct live *v, const char *agent);
void live_unwatch(struct live *v, const char *agent);

/* Somebody's sessions. */
void live_watch_user(struct live *v, const char *user);
void live_unwatch_user(struct live *v, const char *user);

/* A page of the log. */
struct live_page {
	int failed; /* Redis is away: ask again later */
	struct frame *const *frames;
	int count;
	int more;               /* the page was full */
	struct event_id oldest; /* of what is retained; 0-0: nothing */
	struct event_id newest;
};

typedef void live_page_f(void *ctx, const struct live_page *page);

/* Reads the events after an id; fn is called once, never from within. */
void live_replay(struct live *v, const char *agent, struct event_id after,
    live_page_f *fn, void *ctx);

/* ---- live_read.c: what else is read; each as live_replay, but that fn is
 * called from within while the reader is down ---- */

/* The record of a tool call, JSON. failed: Redis is away. text NULL: there is
 * none. */
typedef void live_record_f(void *ctx, int failed, const char *text, size_t len);
void live_record(struct live *v, const char *agent, const char *call,
    live_record_f *fn, void *ctx);

/* What becomes of a session beside its events. */
struct live_session {
	int failed; /* Redis is away */
	int loaded, environment;
};

typedef void live_session_f(void *ctx, const struct live_session *s);
void live_session(
    struct live *v, const char *agent, live_session_f *fn, void *ctx);

#endif
