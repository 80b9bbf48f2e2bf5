/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_FEED_PRIV_H
#define BRIDGE_FEED_PRIV_H

#include <uthash.h>

#include "base/arena.h"
#include "base/loop.h"
#include "bridge/feed.h"
#include "session/emit.h"

struct ask;
struct feed_listing;
struct hub;
struct live;
struct redis_link;
struct session_view;
struct viewer;

/* An agent whose events a feed is fed: the session's, or a sub-agent. */
struct feed_follow {
	struct feed_follow *next;
	struct feed *feed;
	char agent[ID_SIZE];
	struct event_id fed;      /* the last event that it was fed */
	struct event_id quiet_to; /* up to here they were told before */
	struct viewer *viewer;    /* NULL: it is not followed yet, or gone */
	struct feed_look *look;   /* its newest event was asked for */
	unsigned late : 1;        /* the newest event is to be asked for */
	unsigned gone : 1;
};

struct feed_wait {
	struct feed_wait *next, **prev;
	struct feed *feed;
	struct event_id last;
	int64_t until_ms;
	feed_ready_f *fn;
	void *ctx;
};

/* The record of a call that the view waits for. */
struct feed_record {
	struct feed_record *next;
	struct feed *feed; /* NULL: it is gone */
	char agent[ID_SIZE];
	int asked;
	char call[];
};

/* A file that has changed. */
struct feed_file {
	struct feed_file *next;
	const char *change; /* static */
	char path[];
};

struct feed {
	UT_hash_handle hh;
	struct feeds *all;
	char session[SESSION_ID_SIZE];
	char *user;
	struct session_view *view;
	struct feed_follow *follows, *main;
	struct feed_wait *waits;
	struct feed_record *records;
	struct feed_file *files, **files_tail; /* the first is asked for */
	int file_count;
	struct ask *file_ask;
	int64_t news_ms; /* when it was last told of by others */
	int state_due;   /* its state is to be read */
	struct loop_deferred settle;
};

struct feeds {
	struct loop *loop;
	struct asker *asker, *file_asker;
	struct rooms *rooms;
	struct redis_link *reader;
	struct live *live;
	struct hub *hub;
	struct loop_timer *timer;
	struct arena *arena; /* of one session_out */
	struct feed *all;
	struct feed_listing *listings;
};

/* ---- feed.c ---- */

/* The feed of a session's agent; NULL: there is none. */
struct feed *feed_of_agent(struct feeds *fs, const char *agent);

/* Around whatever asks the view: what comes of it goes to the room, and what
 * it wants is done. Not one within another. */
void feed_begin(struct feed *f, struct session_out *out);
void feed_end(struct feed *f, const struct session_out *out);

/* Something has changed that waits may wait for, or nobody needs it any
 * more: that is looked at at the end of this tick. */
void feed_settle(struct feed *f);

/* ---- feed_follow.c ---- */

/* From behind an id on; up to quiet_to nothing is told. */
struct feed_follow *follow_add(struct feed *f, const char *agent,
    struct event_id after, struct event_id quiet_to);

/* From the begin on; what is in the log now is not told. */
void follow_add_quiet(struct feed *f, const char *agent);
void follow_drop(struct feed *f, const char *agent);
void follow_free_all(struct feed *f);

/* 1 if what comes now is news. */
int follow_is_live(const struct feed_follow *w);

/* Asks once more what was not answered. */
void follow_retry(struct feed *f);

/* ---- feed_want.c ---- */

void want_record(struct feed *f, const char *agent, const char *call);
void want_file(struct feed *f, const char *path, const char *change);
void want_retry(struct feed *f);
void want_free_all(struct feed *f);

/* ---- feed_user.c: what is said on the channel of a user's sessions ---- */

void feed_on_user(void *ctx, const char *user);
void feed_on_user_gone(void *ctx, const char *user);
void feed_on_sessions(
    void *ctx, const char *user, const char *text, size_t len);

/* The subscriptions are gone, or may be made again. */
void feed_watch_users(struct feeds *fs);
void feed_users_retry(struct feeds *fs);

/* Reads the state if it is due. */
void feed_read_state(struct feed *f);

#endif
