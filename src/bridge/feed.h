/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_FEED_H
#define BRIDGE_FEED_H

#include "base/id.h"
#include "session/runtime.h"
#include "session/session_id.h"
#include "store/event.h"

struct asker;
struct conf;
struct loop;
struct member;
struct rooms;

/*
 * What rooms are told: each session that somebody is in, or about to join, has
 * a feed, which reads the events of its agents from Redis and makes of them
 * what its clients know (session/view.h). All for the loop's thread.
 */
struct feeds;
struct feed_wait;

/* k asks the pool, gs is told of revocations. All must outlive it; its calls
 * are set on the rooms. */
struct guests;
struct feeds *feeds_new(struct loop *l, const struct conf *c, struct asker *k,
    struct rooms *r, struct guests *gs);

/* Nobody is in a room any more, and nobody waits. */
void feeds_free(struct feeds **fs_p);

/* What the pool says of a session, of one moment: GET with view=live. */
struct feed_moment {
	char session[SESSION_ID_SIZE], agent[ID_SIZE];
	struct session_runtime runtime;
	struct event_id after; /* behind this the turn that runs begins */
	struct event_id last;  /* the newest event */
};

/* ok: the feed is where the moment was, or later. Not ok: it did not come
 * there within FEED_WAIT_MS. */
typedef void feed_ready_f(void *ctx, int ok);
#define FEED_WAIT_MS 10000

/*
 * Has fn called once, never from within: what is told to the room from then on
 * is news to whoever knows the moment. A socket that joins the room in fn, and
 * then is greeted, misses nothing and is told nothing twice. Texts of m are
 * copied; user is whose session it is.
 */
struct feed_wait *feed_wait(struct feeds *fs, const struct feed_moment *m,
    const char *user, feed_ready_f *fn, void *ctx);
void feed_unwait(struct feed_wait **w_p);

/* In fn: the status of the session and, unless it knows, what streams. */
void feed_greet(
    struct feeds *fs, const char *session, struct member *m, int knows);

#endif
