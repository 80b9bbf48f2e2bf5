/* SPDX-License-Identifier: MIT */
#ifndef SESSION_VIEW_H
#define SESSION_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "session/emit.h"

struct err;

/*
 * The state of one session's room: it is fed the events of the session's
 * agent, and says what the sockets in the room are to be told, in the order
 * that the clients' reducers need (docs/session-blocks.md has the rules). It
 * reads nothing itself: what it must know besides is a want in the out of the
 * call that found that out.
 *
 * Not for two threads at once. Nothing blocks.
 */
struct session_view;

/*
 * Of a session and its agent; runtime is what REST says of it now (its texts
 * are copied). What is told from now on is right from the next block on: a
 * block that has begun before is passed over, unless the events of the turn
 * are fed from its begin with SESSION_QUIET.
 */
struct session_view *session_view_new(const char *session, const char *agent,
    const struct session_runtime *runtime);
void session_view_free(struct session_view **v_p);

/* The events are old: they were told before, only what they say is noted. */
#define SESSION_QUIET 1

/*
 * One event of the log of an agent, as stored, of any size: the session's or
 * one to be followed; of others nothing is taken. Those of one agent come in
 * the order of their ids; what is not newer than the last is passed over.
 *
 * While a record is wanted the events of that agent are kept here, up to
 * SESSION_KEPT_BYTES; then the view goes on without it.
 *
 * 0, or -1 and ERR_STORE if it is no event.
 */
int session_view_feed(struct session_view *v, const char *agent,
    const char *json, size_t len, int flags, struct session_out *out,
    struct err *err);

#define SESSION_KEPT_BYTES (4 * 1024 * 1024)

/*
 * The record that was wanted, as GET .../tool-calls has it, and all that was
 * kept behind it. json NULL, or none of that call: it is not to be had; then
 * what is known of the call is told without.
 */
void session_view_record(struct session_view *v, const char *agent,
    const char *call, const char *json, size_t len, struct session_out *out);

/* An agent that is followed is no more, or its log is not to be had: its
 * conversation is over. */
void session_view_gone(
    struct session_view *v, const char *agent, struct session_out *out);

/* What a socket is told when it joins. */
void session_view_status(
    const struct session_view *v, int64_t now_ms, struct session_out *out);

/* And, for it alone, what the answer that is being made has said so far: its
 * blocks that are complete, which no history has yet, and the begin of the one
 * that streams, with what there is of it. */
void session_view_catch_up(
    const struct session_view *v, struct session_out *out);

/*
 * The session was loaded, or unloaded, or its environment ended: reason
 * "manual", "idle" or "unhealthy". Nothing is told if nothing changes.
 */
void session_view_loaded(struct session_view *v, int loaded, const char *reason,
    int64_t now_ms, struct session_out *out);
void session_view_env_ended(struct session_view *v, const char *reason,
    int64_t now_ms, struct session_out *out);

/*
 * A file of the session's workspace is there, another one or gone, as who saves
 * it says on the user's channel (docs/design.md, Sessions): change is
 * "created", "modified" or "deleted". As with file_changed: unless it is gone,
 * it is wanted first.
 */
void session_view_file(const struct session_view *v, const char *change,
    const char *path, int64_t now_ms, struct session_out *out);

/* The state as it is told; its texts are the view's. */
const struct session_runtime *session_view_runtime(
    const struct session_view *v);

#endif
