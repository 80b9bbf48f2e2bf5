/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_ROOMS_H
#define BRIDGE_ROOMS_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/web.h"

struct conf;
struct sio_socket;

/* Forms in which sessions are told of: bridge.dialects. */
enum dialect {
	DIALECT_W1,
	DIALECT_S4,
	DIALECT_W3,
	DIALECTS,
	DIALECT_W1_S4 = DIALECTS /* what the two have in common */
};

/*
 * Who hears of which session: a room for each that somebody has joined. What
 * is told to a room is put together once. Whoever has too much to read is
 * dropped on the way, and leaves its rooms. All for the loop's thread.
 */
struct rooms;
struct member; /* a socket, in any number of rooms */

struct rooms_calls {
	/* The first has joined a room, the last has left it. user is whose
	 * session it is, by the first. */
	void (*on_opened)(void *ctx, const char *session, const char *user);
	void (*on_closed)(void *ctx, const char *session);
	void *ctx;
};

/* Members of calls may be NULL. */
struct rooms *rooms_new(const struct conf *c, const struct rooms_calls *calls);
void rooms_free(struct rooms **r_p); /* nobody is in them any more */

/* A socket, in no room. It leaves all with its end. */
struct member *member_new(struct rooms *r, struct sio_socket *s);
void member_free(struct member **m_p);

/* 1: it is in the room, or was already. 0: it is in bridge.rooms of them. */
int room_join(struct member *m, const char *session);
int room_has(const struct member *m, const char *session);
void room_leave(struct member *m, const char *session);

/* An event with these arguments, JSON: to a room, to one, to all of a user.
 * Nothing if the dialect is not configured. */
void room_emit(struct rooms *r, const char *session, enum dialect d,
    const char *event, const char *args, size_t len);
void member_emit(struct member *m, enum dialect d, const char *event,
    const char *args, size_t len);
void user_emit(struct rooms *r, const char *user, enum dialect d,
    const char *event, const char *args, size_t len);

#endif
