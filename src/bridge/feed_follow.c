/* SPDX-License-Identifier: MIT */
/*
 * The agents of a feed: its own and the sub-agents that the view wants to go
 * along with. Each is a follower in the hub.
 *
 * A sub-agent that made itself known in what was told before has told of its
 * own events before too: all that are in its log when that is noticed. So the
 * newest of them is asked for first.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/err.h"
#include "base/log.h"
#include "bridge/feed_priv.h"
#include "bridge/figures.h"
#include "session/view.h"
#include "store/live.h"
#include "stream/hub.h"

/* Whose newest event was asked for may be gone when the answer comes. */
struct feed_look {
	struct feed_follow *follow;
};

int
follow_is_live(const struct feed_follow *w)
{
	return w->gone || (!w->late && event_id_cmp(w->fed, w->quiet_to) >= 0);
}

static void
on_agent_gone(struct feed_follow *w, struct session_out *out)
{
	struct feed *f = w->feed;

	w->gone = 1;
	w->viewer = NULL;
	if (w == f->main)
		session_view_loaded(f->view, 0, "manual", clk_wall_ms(), out);
	else
		session_view_gone(f->view, w->agent, out);
}

/* A gap has no id. */
static void
on_event(struct feed_follow *w, const struct frame *fr, struct session_out *out)
{
	int has_id = fr->id.epoch > 0;
	int quiet = has_id ? event_id_cmp(fr->id, w->quiet_to) <= 0
			   : !follow_is_live(w);
	struct err err;

	figure_add(FIGURE_FED, 1);
	if (session_view_feed(w->feed->view, w->agent, fr->text + fr->json_at,
		fr->json_len, quiet ? SESSION_QUIET : 0, out, &err) < 0)
		log_warn("an event of %s: %s", w->agent, err.text);
	if (has_id)
		w->fed = fr->id;
}

static void
on_frame(void *ctx, const struct frame *fr)
{
	struct feed_follow *w = ctx;
	struct feed *f = w->feed;
	struct session_out out;

	feed_begin(f, &out);
	f->news_ms = loop_now_ms(f->all->loop);
	if (fr == NULL)
		on_agent_gone(w, &out);
	else
		on_event(w, fr, &out);
	if (f->waits != NULL)
		feed_settle(f);
	feed_end(f, &out); /* w may be dropped */
}

static struct feed_follow *
follow_new(struct feed *f, const char *agent)
{
	struct feed_follow *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->feed = f;
	snprintf(w->agent, sizeof(w->agent), "%s", agent);
	w->next = f->follows;
	f->follows = w;
	return w;
}

static void
follow_start(struct feed_follow *w)
{
	w->viewer =
	    hub_follow(w->feed->all->hub, w->agent, w->fed, on_frame, w);
}

struct feed_follow *
follow_add(struct feed *f, const char *agent, struct event_id after,
    struct event_id quiet_to)
{
	struct feed_follow *w = follow_new(f, agent);

	w->fed = after;
	w->quiet_to = quiet_to;
	follow_start(w);
	return w;
}

/* ---- the newest event of one ---- */

static void
on_newest(void *ctx, const struct live_page *page)
{
	struct feed_look *k = ctx;
	struct feed_follow *w = k->follow;

	free(k);
	if (w == NULL)
		return;
	w->look = NULL;
	if (page->failed)
		return; /* follow_retry */
	w->late = 0;
	w->quiet_to = page->newest;
	follow_start(w);
	feed_settle(w->feed);
}

/* Behind all events there is none: only where the log ends comes back. */
static void
look(struct feed_follow *w)
{
	const struct event_id end = { INT64_MAX, 0 };

	w->look = calloc(1, sizeof(*w->look));
	if (w->look == NULL)
		abort();
	w->look->follow = w;
	live_replay(w->feed->all->live, w->agent, end, on_newest, w->look);
}

void
follow_add_quiet(struct feed *f, const char *agent)
{
	struct feed_follow *w = follow_new(f, agent);

	w->late = 1;
	look(w);
}

void
follow_retry(struct feed *f)
{
	for (struct feed_follow *w = f->follows; w != NULL; w = w->next)
		if (w->late && w->look == NULL)
			look(w);
}

/* ---- the end ---- */

static void
follow_free(struct feed_follow **at)
{
	struct feed_follow *w = *at;

	*at = w->next;
	hub_unfollow(&w->viewer);
	if (w->look != NULL)
		w->look->follow = NULL;
	free(w);
}

void
follow_drop(struct feed *f, const char *agent)
{
	struct feed_follow **at = &f->follows;

	while (
	    *at != NULL && (*at == f->main || strcmp((*at)->agent, agent) != 0))
		at = &(*at)->next;
	if (*at != NULL)
		follow_free(at);
	if (f->waits != NULL)
		feed_settle(f);
}

void
follow_free_all(struct feed *f)
{
	while (f->follows != NULL)
		follow_free(&f->follows);
}
