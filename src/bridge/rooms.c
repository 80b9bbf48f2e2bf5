/* SPDX-License-Identifier: MIT */
/*
 * Rooms: see rooms.h. A seat is a member in a room, in a list of each. A room
 * belongs to one user, and its name is that of the session: a session that is
 * another's cannot be joined, since the pool was asked first.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/words.h"
#include "bridge/rooms.h"
#include "bridge/sio.h"
#include "conf/conf.h"

static const char *const dialect_names[DIALECTS] = {
	[DIALECT_W1] = "w1",
	[DIALECT_S4] = "s4",
	[DIALECT_W3] = "w3",
};

struct seat {
	struct seat *room_next, **room_prev; /* of the room */
	struct seat *next;                   /* of the member */
	struct room *room;
	struct member *member;
};

struct room {
	UT_hash_handle hh;
	struct seat *seats;
	char session[];
};

struct member {
	struct rooms *rooms;
	struct sio_socket *socket;
	struct seat *seats;
	int64_t count;
	struct member *next, **prev;
};

struct rooms {
	const struct conf *conf;
	struct rooms_calls calls;
	struct room *all;
	struct member *members;
	int speaks[DIALECTS + 1];
};

static struct room *
room_find(struct rooms *r, const char *session)
{
	struct room *room;

	HASH_FIND_STR(r->all, session, room);
	return room;
}

static struct room *
room_open(struct rooms *r, const char *session, const char *user)
{
	size_t len = strlen(session);
	struct room *room = calloc(1, sizeof(*room) + len + 1);

	if (room == NULL)
		abort();
	memcpy(room->session, session, len);
	HASH_ADD_STR(r->all, session, room);
	if (r->calls.on_opened != NULL)
		r->calls.on_opened(r->calls.ctx, session, user);
	return room;
}

static void
room_close(struct rooms *r, struct room *room)
{
	HASH_DEL(r->all, room);
	if (r->calls.on_closed != NULL)
		r->calls.on_closed(r->calls.ctx, room->session);
	free(room);
}

/* The place in the member's list that points to its seat in a room. */
static struct seat **
seat_place(struct member *m, const char *session)
{
	struct seat **at = &m->seats;

	while (*at != NULL && strcmp((*at)->room->session, session) != 0)
		at = &(*at)->next;
	return at;
}

static void
seat_free(struct seat **at)
{
	struct seat *t = *at;

	*at = t->next;
	*t->room_prev = t->room_next;
	if (t->room_next != NULL)
		t->room_next->room_prev = t->room_prev;
	t->member->count--;
	if (t->room->seats == NULL)
		room_close(t->member->rooms, t->room);
	free(t);
}

int
room_has(const struct member *m, const char *session)
{
	for (const struct seat *t = m->seats; t != NULL; t = t->next)
		if (strcmp(t->room->session, session) == 0)
			return 1;
	return 0;
}

int
room_join(struct member *m, const char *session)
{
	struct room *room;
	struct seat *t;

	if (room_has(m, session))
		return 1;
	if (m->count >= m->rooms->conf->bridge_rooms)
		return 0;
	room = room_find(m->rooms, session);
	if (room == NULL)
		room = room_open(m->rooms, session, sio_user(m->socket));
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	t->room = room;
	t->member = m;
	t->next = m->seats;
	m->seats = t;
	m->count++;
	t->room_next = room->seats;
	t->room_prev = &room->seats;
	if (t->room_next != NULL)
		t->room_next->room_prev = &t->room_next;
	room->seats = t;
	return 1;
}

void
room_leave(struct member *m, const char *session)
{
	struct seat **at = seat_place(m, session);

	if (*at != NULL)
		seat_free(at);
}

struct member *
member_new(struct rooms *r, struct sio_socket *s)
{
	struct member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->rooms = r;
	m->socket = s;
	m->next = r->members;
	m->prev = &r->members;
	if (m->next != NULL)
		m->next->prev = &m->next;
	r->members = m;
	return m;
}

void
member_free(struct member **m_p)
{
	struct member *m = *m_p;

	if (m == NULL)
		return;
	*m_p = NULL;
	while (m->seats != NULL)
		seat_free(&m->seats);
	*m->prev = m->next;
	if (m->next != NULL)
		m->next->prev = m->prev;
	free(m);
}

/* ---- telling ---- */

/* NULL: nobody speaks it. */
static struct web_frame *
make_frame(const struct rooms *r, enum dialect d, const char *event,
    const char *args, size_t len)
{
	struct web_frame *f;
	struct buf b;

	if (!r->speaks[d])
		return NULL;
	buf_init(&b, NULL);
	sio_put_event(&b, event, args, len);
	f = web_frame_new(b.data, b.len);
	buf_fini(&b);
	return f;
}

void
room_emit(struct rooms *r, const char *session, enum dialect d,
    const char *event, const char *args, size_t len)
{
	struct room *room = room_find(r, session);
	struct web_frame *f =
	    room == NULL ? NULL : make_frame(r, d, event, args, len);
	struct seat *next;

	if (f == NULL)
		return;
	/* Who is dropped leaves, and the last one takes the room along. */
	for (struct seat *t = room->seats; t != NULL; t = next) {
		next = t->room_next;
		sio_send(t->member->socket, f);
	}
	web_frame_unref(&f);
}

void
member_emit(struct member *m, enum dialect d, const char *event,
    const char *args, size_t len)
{
	struct web_frame *f = make_frame(m->rooms, d, event, args, len);

	if (f == NULL)
		return;
	sio_send(m->socket, f);
	web_frame_unref(&f);
}

void
user_emit(struct rooms *r, const char *user, enum dialect d, const char *event,
    const char *args, size_t len)
{
	struct web_frame *f = make_frame(r, d, event, args, len);
	struct member *next;

	if (f == NULL)
		return;
	for (struct member *m = r->members; m != NULL; m = next) {
		next = m->next;
		if (strcmp(sio_user(m->socket), user) == 0)
			sio_send(m->socket, f);
	}
	web_frame_unref(&f);
}

struct rooms *
rooms_new(const struct conf *c, const struct rooms_calls *calls)
{
	struct rooms *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->conf = c;
	r->calls = *calls;
	for (int i = 0; i < DIALECTS; i++)
		r->speaks[i] = words_have(c->bridge_dialects, dialect_names[i]);
	r->speaks[DIALECT_W1_S4] =
	    r->speaks[DIALECT_W1] || r->speaks[DIALECT_S4];
	return r;
}

void
rooms_free(struct rooms **r_p)
{
	free(*r_p);
	*r_p = NULL;
}
