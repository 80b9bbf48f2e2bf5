/* SPDX-License-Identifier: MIT */
#ifndef SESSION_VIEW_PRIV_H
#define SESSION_VIEW_PRIV_H

#include "session/conversation_priv.h"
#include "session/emit.h"
#include "session/runtime.h"
#include "session/session_id.h"
#include "session/view.h"

struct session_view {
	char session[SESSION_ID_SIZE];
	char env_id[SESSION_ID_SIZE];
	char env_message[100];
	struct session_runtime runtime;
	struct conversation *main, *children;
	int child_count;
};

/* One event on its way. */
struct feed {
	struct session_view *view;
	struct conversation *c;
	struct session_out *out;
	int quiet;
	const struct json *event;
	int64_t time_ms;
	const char *turn;
	int step;
	const struct json *record; /* that was wanted for this event */
	int without;               /* it is not to be had */
};

/* What a handler of an event returns: the record of a call is needed first. */
#define FEED_WAITS 1

/* About the feed's conversation. */
struct emit_head feed_head(const struct feed *f);

/* About the session as a whole. */
struct emit_head feed_session_head(const struct feed *f);

/* ---- view_answer.c ---- */

/* A piece of what an answer says. */
void answer_add(struct feed *f, enum block_type type, const char *text);

/* The answer begins again. */
void answer_reset(struct feed *f);

/* It is over: an open block is complete. model: who said it, or NULL. */
void answer_end(struct feed *f, const char *model);

/* Events were missed: what streams is taken back, and no more is told of this
 * answer. */
void answer_forget(struct feed *f);

/* ---- view_turn.c ---- */

int turn_message(struct feed *f);
void turn_see(struct feed *f);
int turn_usage(struct feed *f);
int turn_error(struct feed *f);
int turn_done(struct feed *f);

/* ---- view_call.c ---- */

int call_start(struct feed *f);
int call_complete(struct feed *f);
int subagent_start(struct feed *f);

/* Tells that a sub-agent is over, if both its turn and its call are, and
 * drops its conversation. 1 if it is gone. */
int subagent_close(struct feed *f, struct conversation *c);

/* A turn of the feed's conversation begins. The same for those that it has made
 * whose call was over before the last one, whatever their own turn is at: their
 * end was never told. One that was interrupted with its maker may end after the
 * next turn has begun. */
void subagents_close(struct feed *f);

/* ---- view.c ---- */

struct conversation *conversation_new(
    struct session_view *v, const char *agent, const char *id);
struct conversation *conversation_find(
    const struct session_view *v, const char *agent);
void conversation_drop(struct session_view *v, struct conversation *c);

#endif
