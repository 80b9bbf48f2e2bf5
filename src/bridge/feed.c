/* SPDX-License-Identifier: MIT */
/*
 * Feeds: see feed.h.
 *
 * A feed begins when somebody is about to join: with the state that the pool
 * has said, and the place in the agent's log where the running turn began.
 * From there the view is fed; up to the newest event of that moment it only
 * notes what it is told (that was seen, or REST has it), and behind it the
 * room is told. Whoever joins enters the room when the feed is at least where
 * the log was when the pool was asked, so that nothing which REST had by then
 * is told again.
 *
 * What is lost is read again: the hub reads the log from its cursor when the
 * subscription was away, and the view passes over what it has had. Of what is
 * in no log the present state is asked for.
 *
 * A feed is freed at the end of a tick, never within what it called.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/log.h"
#include "bridge/feed_priv.h"
#include "bridge/figures.h"
#include "bridge/guests.h"
#include "bridge/rooms.h"
#include "conf/conf.h"
#include "http/ask.h"
#include "session/view.h"
#include "store/live.h"
#include "store/redis_link.h"
#include "stream/hub.h"

#define TIMER_MS 500
#define OUT_BYTES 16384
/* Files: few at a time, and no larger than what is shown. */
#define FILE_TIMEOUT_MS 30000
#define FILE_ANSWER_BYTES (2 * 1024 * 1024)
#define FILES_AT_ONCE 8
#define FILES_WAITING 4096

/* ---- one feed ---- */

static struct feed *
feed_find(struct feeds *fs, const char *session)
{
	struct feed *f;

	HASH_FIND_STR(fs->all, session, f);
	return f;
}

struct feed *
feed_of_agent(struct feeds *fs, const char *agent)
{
	char session[SESSION_ID_SIZE];

	return session_id_of_agent(agent, session) ? feed_find(fs, session)
						   : NULL;
}

static struct feed *
feed_new(struct feeds *fs, const struct feed_moment *m, const char *user)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->all = fs;
	snprintf(f->session, sizeof(f->session), "%s", m->session);
	f->user = strdup(user);
	if (f->user == NULL)
		abort();
	f->files_tail = &f->files;
	f->view = session_view_new(m->session, m->agent, &m->runtime);
	HASH_ADD_STR(fs->all, session, f);
	f->main = follow_add(f, m->agent, m->after, m->last);
	return f;
}

static void
feed_free(struct feed *f)
{
	HASH_DEL(f->all->all, f);
	follow_free_all(f);
	want_free_all(f);
	session_view_free(&f->view);
	free(f->user);
	free(f);
}

void
feed_begin(struct feed *f, struct session_out *out)
{
	arena_reset(f->all->arena);
	session_out_init(out, f->all->arena, rooms_dialects(f->all->rooms));
}

void
feed_end(struct feed *f, const struct session_out *out)
{
	room_emit(f->all->rooms, f->session, out->first);
	for (const struct session_want *w = out->wants; w != NULL; w = w->next)
		switch (w->kind) {
		case SESSION_WANT_RECORD:
			want_record(f, w->agent, w->id);
			break;
		case SESSION_WANT_FILE:
			want_file(f, w->id, w->change);
			break;
		case SESSION_WANT_LEAVE:
			follow_drop(f, w->agent);
			break;
		case SESSION_WANT_FOLLOW:
			if (w->quiet)
				follow_add_quiet(f, w->agent);
			else
				follow_add(f, w->agent,
				    (struct event_id){ 0, 0 },
				    (struct event_id){ 0, 0 });
			break;
		}
}

/* ---- who waits ---- */

static void
wait_over(struct feed_wait *w, int ok)
{
	feed_ready_f *fn = w->fn;
	void *ctx = w->ctx;

	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	free(w);
	fn(ctx, ok);
}

static int
is_live(const struct feed *f)
{
	for (const struct feed_follow *w = f->follows; w != NULL; w = w->next)
		if (!follow_is_live(w))
			return 0;
	return 1;
}

static struct feed_wait *
wait_ready(const struct feed *f)
{
	struct feed_wait *w = f->waits;

	while (w != NULL && !f->main->gone &&
	       event_id_cmp(f->main->fed, w->last) < 0)
		w = w->next;
	return w;
}

static void
on_settle(void *arg)
{
	struct feed *f = arg;
	struct feed_wait *w;

	/* Who is let in may end others. */
	while (is_live(f) && (w = wait_ready(f)) != NULL)
		wait_over(w, !f->main->gone);
	if (f->waits == NULL && !f->settle.waits &&
	    !room_is_open(f->all->rooms, f->session))
		feed_free(f);
}

void
feed_settle(struct feed *f)
{
	loop_defer(f->all->loop, &f->settle, "feed", on_settle, f);
}

struct feed_wait *
feed_wait(struct feeds *fs, const struct feed_moment *m, const char *user,
    feed_ready_f *fn, void *ctx)
{
	struct feed *f = feed_find(fs, m->session);
	struct feed_wait *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	if (f == NULL)
		f = feed_new(fs, m, user);
	w->feed = f;
	w->last = m->last;
	w->until_ms = loop_now_ms(fs->loop) + FEED_WAIT_MS;
	w->fn = fn;
	w->ctx = ctx;
	w->next = f->waits;
	w->prev = &f->waits;
	if (w->next != NULL)
		w->next->prev = &w->next;
	f->waits = w;
	feed_settle(f);
	return w;
}

void
feed_unwait(struct feed_wait **w_p)
{
	struct feed_wait *w = *w_p;

	if (w == NULL)
		return;
	*w_p = NULL;
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	feed_settle(w->feed);
	free(w);
}

void
feed_greet(struct feeds *fs, const char *session, struct member *m, int knows)
{
	struct feed *f = feed_find(fs, session);
	struct session_out out;

	if (f == NULL)
		return;
	feed_begin(f, &out);
	session_view_status(f->view, clk_wall_ms(), &out);
	if (!knows)
		session_view_catch_up(f->view, &out);
	member_emit(m, out.first);
}

/* ---- all of them ---- */

static void
on_closed(void *ctx, const char *session)
{
	struct feed *f = feed_find(ctx, session);

	if (f != NULL)
		feed_settle(f);
}

static void
on_covered(void *ctx, const char *agent)
{
	struct feeds *fs = ctx;

	hub_covered(fs->hub, agent);
}

static void
on_events(void *ctx, const char *agent, struct event_id prev,
    struct frame *const *frames, int count)
{
	struct feeds *fs = ctx;

	hub_events(fs->hub, agent, prev, frames, count);
}

static void
on_gone(void *ctx, const char *agent)
{
	struct feeds *fs = ctx;

	hub_gone(fs->hub, agent);
}

static void
on_lost(void *ctx)
{
	struct feeds *fs = ctx;

	hub_lost(fs->hub);
	feed_watch_users(fs);
}

static void
give_up(struct feed *f, int64_t now)
{
	struct feed_wait *w = f->waits;

	while (w != NULL && w->until_ms > now)
		w = w->next;
	if (w == NULL)
		return;
	log_warn("the events of %s are not to be had", f->session);
	wait_over(w, 0);
	feed_settle(f);
}

static void
on_timer(void *arg)
{
	struct feeds *fs = arg;
	int64_t now = loop_now_ms(fs->loop);
	struct feed *f, *next;

	HASH_ITER(hh, fs->all, f, next)
	{
		follow_retry(f);
		want_retry(f);
		feed_read_state(f);
		give_up(f, now);
	}
	feed_users_retry(fs);
}

static void
on_reader(void *ctx, int up)
{
	struct feeds *fs = ctx;

	figure_set(FIGURE_REDIS_UP, up);
	if (up && fs->live != NULL)
		live_ask_revoked(fs->live);
	/* The timer asks again for the rest. */
}

static void
on_tick_end(void *arg)
{
	struct feeds *fs = arg;

	redis_link_flush(fs->reader);
}

/* Of what all processes are told, revocations are ours. */
static void
on_order(void *guests, const char *text)
{
	guests_order(guests, text);
}

struct feeds *
feeds_new(struct loop *l, const struct conf *c, struct asker *k,
    struct rooms *r, struct guests *gs)
{
	const struct asker_limits limits = { FILE_TIMEOUT_MS, FILE_ANSWER_BYTES,
		FILES_AT_ONCE, FILES_WAITING };
	struct feeds *fs = calloc(1, sizeof(*fs));
	struct live_calls live = { .on_covered = on_covered,
		.on_events = on_events,
		.on_gone = on_gone,
		.on_lost = on_lost,
		.on_sessions = feed_on_sessions,
		.on_order = on_order,
		.order_ctx = gs,
		.ctx = fs };
	struct rooms_calls rooms = { .on_closed = on_closed,
		.on_user = feed_on_user,
		.on_user_gone = feed_on_user_gone,
		.ctx = fs };

	if (fs == NULL)
		abort();
	fs->loop = l;
	fs->asker = k;
	fs->file_asker = asker_new(l, c->listen, &limits);
	fs->rooms = r;
	fs->arena = arena_open(OUT_BYTES);
	fs->reader = redis_link_new(l, c, on_reader, fs);
	fs->hub = hub_new(l, c, NULL);
	fs->live = live_new(l, c, NULL, fs->reader, &live);
	hub_set_live(fs->hub, fs->live);
	loop_at_tick_end(l, "feeds", on_tick_end, fs);
	fs->timer = loop_timer_new(l, "feeds", on_timer, fs);
	loop_timer_start(fs->timer, TIMER_MS, TIMER_MS);
	rooms_tell(r, &rooms);
	return fs;
}

void
feeds_free(struct feeds **fs_p)
{
	static const struct rooms_calls none;
	struct feeds *fs = *fs_p;
	struct feed *f, *next;

	if (fs == NULL)
		return;
	*fs_p = NULL;
	rooms_tell(fs->rooms, &none);
	loop_timer_free(&fs->timer);
	HASH_ITER(hh, fs->all, f, next)
	feed_free(f);
	hub_free(&fs->hub);
	live_free(&fs->live);
	/* It answers what is open: a look, a record. */
	redis_link_free(&fs->reader);
	asker_free(&fs->file_asker);
	arena_close(&fs->arena);
	free(fs);
}
