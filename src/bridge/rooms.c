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
#include "bridge/figures.h"
#include "bridge/rooms.h"
#include "bridge/sio.h"
#include "conf/conf.h"

static const struct {
	const char *name;
	unsigned bit;
} dialects[] = {
	{ "w1", SESSION_W1 },
	{ "s4", SESSION_S4 },
	{ "w3", SESSION_W3 },
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

/* All sockets of a user. */
struct crowd {
	UT_hash_handle hh;
	struct member *members;
	char user[];
};

struct member {
	struct rooms *rooms;
	struct sio_socket *socket;
	struct seat *seats;
	int64_t count;
	struct crowd *crowd;
	struct member *next, **prev; /* of the crowd */
};

struct rooms {
	const struct conf *conf;
	struct rooms_calls calls;
	struct room *all;
	struct crowd *crowds;
	unsigned speaks;
};

static struct room *
room_find(const struct rooms *r, const char *session)
{
	struct room *room;

	HASH_FIND_STR(r->all, session, room);
	return room;
}

static struct room *
room_open(struct rooms *r, const char *session)
{
	size_t len = strlen(session);
	struct room *room = calloc(1, sizeof(*room) + len + 1);

	if (room == NULL)
		abort();
	memcpy(room->session, session, len);
	HASH_ADD_STR(r->all, session, room);
	figure_add(FIGURE_ROOMS, 1);
	return room;
}

static void
room_close(struct rooms *r, struct room *room)
{
	HASH_DEL(r->all, room);
	figure_add(FIGURE_ROOMS, -1);
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
	figure_add(FIGURE_SEATS, -1);
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
		room = room_open(m->rooms, session);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	t->room = room;
	t->member = m;
	t->next = m->seats;
	m->seats = t;
	m->count++;
	figure_add(FIGURE_SEATS, 1);
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

int
room_is_open(const struct rooms *r, const char *session)
{
	return room_find(r, session) != NULL;
}

struct sio_socket *
room_any(const struct rooms *r, const char *session)
{
	const struct room *room = room_find(r, session);

	return room == NULL ? NULL : room->seats->member->socket;
}

/* ---- members ---- */

static struct crowd *
crowd_find(const struct rooms *r, const char *user)
{
	struct crowd *w;

	HASH_FIND_STR(r->crowds, user, w);
	return w;
}

static struct crowd *
crowd_open(struct rooms *r, const char *user)
{
	size_t len = strlen(user);
	struct crowd *w = calloc(1, sizeof(*w) + len + 1);

	if (w == NULL)
		abort();
	memcpy(w->user, user, len);
	HASH_ADD_STR(r->crowds, user, w);
	figure_add(FIGURE_USERS, 1);
	if (r->calls.on_user != NULL)
		r->calls.on_user(r->calls.ctx, user);
	return w;
}

static void
crowd_close(struct rooms *r, struct crowd *w)
{
	HASH_DEL(r->crowds, w);
	figure_add(FIGURE_USERS, -1);
	if (r->calls.on_user_gone != NULL)
		r->calls.on_user_gone(r->calls.ctx, w->user);
	free(w);
}

struct sio_socket *
user_any(const struct rooms *r, const char *user)
{
	const struct crowd *w = crowd_find(r, user);

	return w == NULL ? NULL : w->members->socket;
}

struct member *
member_new(struct rooms *r, struct sio_socket *s)
{
	struct member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->rooms = r;
	m->socket = s;
	m->crowd = crowd_find(r, sio_user(s));
	if (m->crowd == NULL)
		m->crowd = crowd_open(r, sio_user(s));
	m->next = m->crowd->members;
	m->prev = &m->crowd->members;
	if (m->next != NULL)
		m->next->prev = &m->next;
	m->crowd->members = m;
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
	if (m->crowd->members == NULL)
		crowd_close(m->rooms, m->crowd);
	free(m);
}

/* ---- telling ---- */

/* NULL: nobody speaks it. */
static struct web_frame *
make_frame(const struct rooms *r, const struct session_emit *e)
{
	struct web_frame *f;
	struct buf b;

	if ((r->speaks & e->dialects) == 0)
		return NULL;
	buf_init(&b, NULL);
	sio_put_event(&b, e->event, e->payload, e->len);
	f = web_frame_new(b.data, b.len);
	buf_fini(&b);
	return f;
}

void
room_emit(struct rooms *r, const char *session, const struct session_emit *list)
{
	const struct room *room = room_find(r, session);
	struct web_frame *f;

	for (; room != NULL && list != NULL; list = list->next) {
		f = make_frame(r, list);
		if (f == NULL)
			continue;
		for (struct seat *t = room->seats; t != NULL; t = t->room_next)
			sio_send(t->member->socket, f);
		web_frame_unref(&f);
	}
}

void
member_emit(struct member *m, const struct session_emit *list)
{
	struct web_frame *f;

	for (; list != NULL; list = list->next) {
		f = make_frame(m->rooms, list);
		if (f == NULL)
			continue;
		sio_send(m->socket, f);
		web_frame_unref(&f);
	}
}

void
user_emit(struct rooms *r, const char *user, const struct session_emit *list)
{
	const struct crowd *w = crowd_find(r, user);
	struct web_frame *f;

	for (; w != NULL && list != NULL; list = list->next) {
		f = make_frame(r, list);
		if (f == NULL)
			continue;
		for (struct member *m = w->members; m != NULL; m = m->next)
			sio_send(m->socket, f);
		web_frame_unref(&f);
	}
}

struct rooms *
rooms_new(const struct conf *c)
{
	struct rooms *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->conf = c;
	for (size_t i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++)
		if (words_have(c->bridge_dialects, dialects[i].name))
			r->speaks |= dialects[i].bit;
	return r;
}

void
rooms_tell(struct rooms *r, const struct rooms_calls *calls)
{
	r->calls = *calls;
}

unsigned
rooms_dialects(const struct rooms *r)
{
	return r->speaks;
}

void
rooms_free(struct rooms **r_p)
{
	free(*r_p);
	*r_p = NULL;
}
