/* SPDX-License-Identifier: MIT */
#ifndef STREAM_HUB_PRIV_H
#define STREAM_HUB_PRIV_H

#include <uthash.h>
#include <utlist.h>

#include "base/buf.h"
#include "stream/hub.h"

enum viewer_state {
	VIEWER_WAITING,   /* for its topic to be covered */
	VIEWER_REPLAYING, /* a page was asked for */
	VIEWER_LIVE,
	VIEWER_ENDING /* only its backlog is still to be written */
};

struct topic;

struct viewer {
	struct viewer *prev, *next;             /* of its topic */
	struct viewer *quiet_prev, *quiet_next; /* by last write */
	struct topic *topic;
	struct loop_io *io;
	struct reading *reading; /* the page that was asked for */
	int fd;
	int request_id;
	enum hub_mode mode;
	enum viewer_state state;
	int missed; /* something happened while it was replaying */
	int polling_write;
	int over; /* its turn was over before it came */
	int held; /* the head waits in the backlog for the first event */
	struct hub_filter filter;
	struct event_id last;
	int64_t written_ms;
	int64_t deadline_ms; /* of an answer */
	int64_t expires_ms;  /* 0: never */
	char token[17], owner[17];
	struct buf backlog;
	char *answer, *late;  /* of HUB_AWAIT; and if it is too late */
	hub_follow_f *follow; /* HUB_FOLLOW; NULL: it was unfollowed */
	void (*on_gone)(void *, const char *);
	void *ctx;
	char *user;
};

/* A page of the log that was asked for; its viewer may leave meanwhile. */
struct reading {
	struct hub *hub;
	struct viewer *viewer;
};

struct topic {
	UT_hash_handle hh;
	struct hub *hub;
	char agent[40];
	struct viewer *viewers;
	int watched; /* the subscription was asked for */
	int covered; /* and confirmed */
};

struct hub {
	struct loop *loop;
	struct journal *journal;
	struct live *live;
	struct topic *topics;
	struct viewer *quiet; /* the longest without a write first */
	struct loop_timer *timer;
	int64_t heartbeat_ms;
	size_t backlog_max;
	int viewers;
	_Atomic int awaiting; /* of them, that get an answer */
	struct buf scratch;
};

/* 1 if it is shown no events: its response is an answer, written whole. */
static inline int
viewer_is_answered(const struct viewer *v)
{
	return v->mode == HUB_AWAIT || v->mode == HUB_ANSWER;
}

/* ---- viewer.c: one viewer's response ---- */

/* What is in no log, to one viewer. -1: gone. */
int viewer_tell(struct viewer *v, const struct frame *f);

/* Closes it and tells its owner. Its topic goes with its last viewer. */
void viewer_free(struct viewer *v);

/*
 * Has the socket watched: for room if something waits, and for its end. A
 * short turn is over before that is worth the system calls, so it begins with
 * the first backlog or, from the timer, when the viewer is a moment old. -1:
 * it cannot be watched, and the viewer is gone.
 */
int viewer_poll(struct viewer *v);

/* The viewer was written to: it is the least quiet one now. */
void viewer_touch(struct viewer *v);

/* Writes text, or keeps it for later. -1: the viewer is gone. */
int viewer_write_text(struct viewer *v, const char *text, size_t len);

/*
 * Writes the last text, perhaps none, and the end of the response; what the
 * socket does not take is still written later. -1: the viewer is gone.
 */
int viewer_end(struct viewer *v, const char *text, size_t len);

/* viewer_end with a whole answer. */
int viewer_answer(struct viewer *v, const char *text);

/* Shows events to one viewer: those that are new to it and wanted. -1: gone. */
int viewer_feed(struct viewer *v, struct frame *const *frames, int count);

/* ---- hub.c ---- */

/* Asks for a page of the log, from where the viewer is. */
void viewer_replay(struct viewer *v);

/* Frees a topic that has no viewer. */
void topic_release(struct topic *t);

#endif
