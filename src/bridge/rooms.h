/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_ROOMS_H
#define BRIDGE_ROOMS_H

#include <stddef.h>
#include <stdint.h>

#include "session/emit.h"

struct conf;
struct sio_socket;

/*
 * Who hears of which session: a room for each that somebody has joined. What
 * is told to a room is put together once. Whoever has too much to read is
 * dropped, later, and leaves its rooms then. All for the loop's thread.
 */
struct rooms;
struct member; /* a socket, in any number of rooms */

struct rooms_calls {
	/* The last has left a room. */
	void (*on_closed)(void *ctx, const char *session);

	/* A user's first socket has come, the last has gone. */
	void (*on_user)(void *ctx, const char *user);
	void (*on_user_gone)(void *ctx, const char *user);
	void *ctx;
};

/* calls may be NULL, and be said later. */
struct rooms *rooms_new(const struct conf *c);
void rooms_tell(struct rooms *r, const struct rooms_calls *calls);
void rooms_free(struct rooms **r_p); /* nobody is in them any more */

/* bridge.dialects: SESSION_W1 and so on. */
unsigned rooms_dialects(const struct rooms *r);

/* A socket, in no room. It leaves all with its end. */
struct member *member_new(struct rooms *r, struct sio_socket *s);
void member_free(struct member **m_p);

/* 1: it is in the room, or was already. 0: it is in bridge.rooms of them. */
int room_join(struct member *m, const char *session);
int room_has(const struct member *m, const char *session);
void room_leave(struct member *m, const char *session);

/* 1 if anybody is in it. */
int room_is_open(const struct rooms *r, const char *session);

/* Somebody in the room, or of the user; NULL: nobody is. */
struct sio_socket *room_any(const struct rooms *r, const char *session);
struct sio_socket *user_any(const struct rooms *r, const char *user);

/* Events one after the other, to a room, to one, to all of a user. Those of
 * no dialect that is configured are left out. */
void room_emit(
    struct rooms *r, const char *session, const struct session_emit *list);
void member_emit(struct member *m, const struct session_emit *list);
void user_emit(
    struct rooms *r, const char *user, const struct session_emit *list);

#endif
