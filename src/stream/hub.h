/* SPDX-License-Identifier: MIT */
#ifndef STREAM_HUB_H
#define STREAM_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "store/event.h"

struct conf;
struct journal;
struct live;
struct loop;

/*
 * The hub: every open event stream of this process. A viewer is a FastCGI
 * connection that was taken from libfcgi; it costs a descriptor and a few
 * hundred bytes, and no thread. All for the loop's thread.
 */
struct hub;

/* Which events a viewer wants. 0 in a mask: all. */
struct hub_filter {
	unsigned channels; /* 1 << EVENT_PROGRESS ... */
	unsigned kinds;    /* 1 << EVENT_TEXT_CHUNK ...; unknown ones too */
	char turn[40];     /* only of this turn; "" of all */
};

/* 1 if an event, as it is stored, is wanted. */
int hub_filter_passes_json(const struct hub_filter *flt, const char *json);

enum hub_mode {
	HUB_STREAM, /* events as SSE until the viewer leaves */
	HUB_TURN,   /* events as SSE, the end after done of filter.turn */
	HUB_AWAIT,  /* nothing until done of filter.turn, then answer */
	HUB_ANSWER, /* nothing until hub_answer, of what agent names */
	HUB_FOLLOW  /* no connection: hub_follow */
};

struct hub_viewer {
	int fd; /* the hub's from now on */
	int request_id;
	enum hub_mode mode;
	char agent[40];
	struct hub_filter filter;
	struct event_id after; /* events behind this one are shown */
	int over; /* HUB_TURN: the turn is over; end when the log is read */

	/* CGI response head, written at once; of HUB_AWAIT the whole answer,
	 * written after done, of HUB_ANSWER nothing. Of both late when
	 * deadline_ms has passed. Freed by the hub. */
	char *head;
	char *late;
	int64_t deadline_ms; /* from now; HUB_AWAIT and HUB_ANSWER */

	/* From now; then the stream ends, after an event that is not in the
	 * log: who sees it needs another token. 0: never. Not of
	 * HUB_AWAIT and HUB_ANSWER. */
	int64_t expires_ms;
	char token[17]; /* revoked_hash of its jti; "": it has none */
	char owner[17]; /* of its user */

	/* Called once when the viewer is gone. */
	void (*on_gone)(void *ctx, const char *user);
	void *ctx;
	char *user; /* freed by the hub */
};

/* j NULL: this process runs no turns. */
struct hub *hub_new(struct loop *l, const struct conf *c, struct journal *j);
void hub_free(struct hub **h_p);

/* Where replays and events of other processes come from. */
void hub_set_live(struct hub *h, struct live *v);

/*
 * Adds a viewer. begins: the agent's log is opened here right after, in the
 * same callback, and its first events are those behind spec->after; there is
 * nothing to be read from the log then.
 */
void hub_attach(struct hub *h, const struct hub_viewer *spec, int begins);

/*
 * An event behind the cursor of who follows, in the order of ids and each
 * once; or a gap, which is in no log and has no id. NULL: the agent is gone,
 * and this was the last call.
 */
typedef void hub_follow_f(void *ctx, const struct frame *f);

/*
 * Has fn called with each event of an agent behind an id, those of the log and
 * those to come, until hub_unfollow or the last call; never from within. fn may
 * end what it is called for.
 */
struct viewer;
struct viewer *hub_follow(struct hub *h, const char *agent,
    struct event_id after, hub_follow_f *fn, void *ctx);
void hub_unfollow(struct viewer **v_p);

/* From the journal: events of an agent whose log is open here, and the id of
 * the event before them unless that was shown here too. */
void hub_show(void *hub, const char *agent, struct event_id prev,
    struct frame *const *frames, int count);

/* The agent's log was closed here; its viewers must be told by others. */
void hub_log_closed(struct hub *h, const char *agent);

/*
 * Sends the viewers of an agent an event that is not in the log and ends
 * their streams: what stopped is not over, they may come back.
 */
void hub_break(struct hub *h, const char *agent, struct frame *notice);

/*
 * Ends the streams of a user, or of a token, by what revoked_hash says of
 * them; the other is "". A last event says so.
 */
void hub_revoke(struct hub *h, const char *user, const char *token);

/*
 * Answers the request of a HUB_ANSWER viewer, by the name that it has in the
 * place of an agent: text is the whole response. Nothing if it has left, or is
 * answered.
 */
void hub_answer(struct hub *h, const char *name, const char *text);

/* Ends all streams: the process stops. */
void hub_close_all(struct hub *h);

/* Requests that wait for an answer. Any thread. */
int hub_awaiting(struct hub *h);

int hub_viewers(const struct hub *h);

/* From live. */
void hub_covered(void *hub, const char *agent);
void hub_events(void *hub, const char *agent, struct event_id prev,
    struct frame *const *frames, int count);
void hub_gone(void *hub, const char *agent);
void hub_lost(void *hub);

#endif
