/* SPDX-License-Identifier: MIT */
/*
 * What is said on the channel of a user's sessions, which is in no log: that
 * the list has changed, that a session was loaded or unloaded, or its
 * environment has ended, that its options are others, that a file has changed.
 *
 * The channel forgets. When it is covered again after a loss the list is told
 * anew, and of each session that has a feed the present state is read, when
 * nothing has been said of it for a moment: an answer and what is said come by
 * two connections.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "bridge/feed_priv.h"
#include "bridge/rooms.h"
#include "bridge/sio.h"
#include "http/ask.h"
#include "session/view.h"
#include "store/live.h"

#define DEPTH 24 /* of what is said: options are the user's */
#define QUIET_MS 1000

/* The list of a user who has sockets. */
struct feed_listing {
	UT_hash_handle hh;
	struct feeds *all;
	struct ask *ask;
	int due;     /* it has changed since it was asked for */
	int covered; /* the channel was, once */
	char user[];
};

/* ---- sessions:list ---- */

static void
tell_list(struct feeds *fs, const char *user, const struct json *list)
{
	struct session_emit e = { .dialects = SESSION_W1,
		.event = "sessions:list" };
	struct buf b;

	buf_init(&b, NULL);
	json_print(&b, list);
	e.payload = b.data;
	e.len = b.len;
	user_emit(fs->rooms, user, &e);
	buf_fini(&b);
}

static void list_ask(struct feed_listing *l);

static void
on_list(void *ctx, const struct ask_answer *answer)
{
	struct feed_listing *l = ctx;
	struct arena *a = arena_open(4096);
	const struct json *list = NULL;

	l->ask = NULL;
	if (answer->status == 200)
		list = json_get(json_parse(a, answer->body, answer->len,
				    JSON_DEPTH_MAX, NULL),
		    "sessions");
	if (list != NULL)
		tell_list(l->all, l->user, list);
	else if (answer->status == 0 || answer->status >= 500)
		l->due = 1; /* the timer asks again */
	arena_close(&a);
	if (list != NULL && l->due)
		list_ask(l);
}

/* Whoever is let in may read the user's sessions. */
static void
list_ask(struct feed_listing *l)
{
	const struct sio_socket *s = user_any(l->all->rooms, l->user);
	struct ask_spec spec = { .method = "GET", .path = "/api/sessions" };

	l->due = 1;
	if (l->ask != NULL || s == NULL)
		return;
	l->due = 0;
	spec.authorization = sio_authorization(s);
	spec.remote_addr = sio_address(s);
	l->ask = ask_start(l->all->asker, &spec, on_list, l);
}

static void
list_changed(struct feed_listing *l)
{
	if (rooms_dialects(l->all->rooms) & SESSION_W1)
		list_ask(l);
}

/* ---- a session ---- */

static void
on_status(struct feed *f, const struct json *j)
{
	const char *reason = json_get_str(j, "reason");
	struct session_out out;

	if (reason == NULL)
		reason = "manual";
	f->news_ms = loop_now_ms(f->all->loop);
	feed_begin(f, &out);
	session_view_loaded(
	    f->view, json_get_true(j, "loaded"), reason, clk_wall_ms(), &out);
	if (!json_get_true(j, "environment"))
		session_view_env_ended(f->view, reason, clk_wall_ms(), &out);
	feed_end(f, &out);
}

static void
on_options(struct feed *f, const struct json *j)
{
	struct emit_head h = { f->session, NULL, clk_wall_ms() };
	const struct json *options = json_get(j, "options");
	struct session_out out;
	struct buf b;

	if (!json_is(options, JSON_OBJECT))
		return;
	feed_begin(f, &out);
	buf_init(&b, out.arena);
	json_print(&b, options);
	emit_options(&out, &h, b.data, b.len);
	feed_end(f, &out);
}

/* By a command, say, of which no event of the log tells. */
static void
on_file(struct feed *f, const struct json *j)
{
	const char *change = json_get_str(j, "change"),
		   *path = json_get_str(j, "path");
	struct emit_head h = { f->session, NULL, clk_wall_ms() };
	struct session_out out;

	if (change == NULL || path == NULL)
		return;
	if (strcmp(change, "deleted") != 0) {
		want_file(f, path, change);
		return;
	}
	feed_begin(f, &out);
	emit_file(&out, &h, change, path, NULL, 0);
	feed_end(f, &out);
}

static const struct {
	const char *type;
	void (*fn)(struct feed *f, const struct json *j);
} kinds[] = {
	{ "status", on_status },
	{ "options", on_options },
	{ "file", on_file },
};

static void
on_text(struct feed_listing *l, const struct json *j)
{
	const char *type = json_get_str(j, "type"),
		   *agent = json_get_str(j, "agent");
	struct feed *f = agent == NULL ? NULL : feed_of_agent(l->all, agent);

	if (type != NULL && strcmp(type, "list") == 0)
		list_changed(l);
	if (type == NULL || f == NULL || strcmp(f->user, l->user) != 0)
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].type, type) == 0)
			kinds[i].fn(f, j);
}

/* ---- what was missed ---- */

/* A session whose state was asked for; it may have no feed any more. */
struct asked {
	struct feeds *all;
	int64_t asked_ms;
	char agent[ID_SIZE];
};

static void
on_state(void *ctx, const struct live_session *s)
{
	struct asked *q = ctx;
	struct feed *f = feed_of_agent(q->all, q->agent);
	struct session_out out;

	if (f == NULL || s->failed || f->news_ms > q->asked_ms - QUIET_MS) {
		/* What was read may be older than what was said. */
		if (f != NULL)
			f->state_due = 1;
		free(q);
		return;
	}
	free(q);
	feed_begin(f, &out);
	session_view_loaded(f->view, s->loaded, "idle", clk_wall_ms(), &out);
	if (!s->environment)
		session_view_env_ended(f->view, "idle", clk_wall_ms(), &out);
	feed_end(f, &out);
}

void
feed_read_state(struct feed *f)
{
	int64_t now = loop_now_ms(f->all->loop);
	struct asked *q;

	if (!f->state_due || f->main->gone || now < f->news_ms + QUIET_MS)
		return;
	f->state_due = 0;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		abort();
	q->all = f->all;
	q->asked_ms = now;
	memcpy(q->agent, f->main->agent, sizeof(q->agent));
	live_session(f->all->live, q->agent, on_state, q);
}

static void
on_covered(struct feed_listing *l)
{
	struct feed *f, *next;

	if (l->covered)
		list_changed(l);
	l->covered = 1;
	HASH_ITER(hh, l->all->all, f, next)
	{
		if (strcmp(f->user, l->user) == 0)
			f->state_due = 1; /* by the timer */
	}
}

void
feed_on_sessions(void *ctx, const char *user, const char *text, size_t len)
{
	struct feeds *fs = ctx;
	struct feed_listing *l;
	struct arena *a;

	HASH_FIND_STR(fs->listings, user, l);
	if (l == NULL)
		return;
	if (text == NULL) {
		on_covered(l);
		return;
	}
	a = arena_open(1024);
	on_text(l, json_parse(a, text, len, DEPTH, NULL));
	arena_close(&a);
}

/* ---- users ---- */

void
feed_on_user(void *ctx, const char *user)
{
	struct feeds *fs = ctx;
	size_t len = strlen(user);
	struct feed_listing *l = calloc(1, sizeof(*l) + len + 1);

	if (l == NULL)
		abort();
	l->all = fs;
	memcpy(l->user, user, len);
	HASH_ADD_STR(fs->listings, user, l);
	live_watch_user(fs->live, user);
}

void
feed_on_user_gone(void *ctx, const char *user)
{
	struct feeds *fs = ctx;
	struct feed_listing *l;

	HASH_FIND_STR(fs->listings, user, l);
	if (l == NULL)
		return;
	live_unwatch_user(fs->live, user);
	ask_cancel(&l->ask);
	HASH_DEL(fs->listings, l);
	free(l);
}

void
feed_watch_users(struct feeds *fs)
{
	struct feed_listing *l, *next;

	HASH_ITER(hh, fs->listings, l, next)
	live_watch_user(fs->live, l->user);
}

void
feed_users_retry(struct feeds *fs)
{
	struct feed_listing *l, *next;

	HASH_ITER(hh, fs->listings, l, next)
	{
		if (l->due && l->ask == NULL)
			list_ask(l);
	}
}
