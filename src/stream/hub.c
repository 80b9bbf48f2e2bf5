/* SPDX-License-Identifier: MIT */
/*
 * The hub.
 *
 * Viewers of one agent share a topic. A topic is covered while somebody tells
 * the hub of every new event: the journal of this process, if it has the
 * agent's log open, or the subscription. A viewer of a covered topic reads
 * the log from its cursor; what happens meanwhile only marks it, and it reads
 * again until nothing was missed. From then on it is live: each event is
 * written to it as it comes, in the order of ids, and whatever is not newer
 * than the last it got is dropped. So there is no gap and no duplicate,
 * whoever tells, and however often.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "http/fcgi.h"
#include "store/journal.h"
#include "store/live.h"
#include "stream/hub_priv.h"

#define TIMER_MS 200 /* heartbeats, deadlines, replays tried again */

static const char heartbeat[] = ": ping\n\n";

static void topic_wake(struct topic *t);

/* ---- topics ---- */

static struct topic *
topic_find(struct hub *h, const char *agent)
{
	struct topic *t;

	HASH_FIND_STR(h->topics, agent, t);
	return t;
}

static struct topic *
topic_get(struct hub *h, const char *agent)
{
	struct topic *t = topic_find(h, agent);

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	t->hub = h;
	snprintf(t->agent, sizeof(t->agent), "%s", agent);
	HASH_ADD_STR(h->topics, agent, t);
	return t;
}

void
topic_release(struct topic *t)
{
	if (t->viewers != NULL)
		return;
	if (t->watched)
		live_unwatch(t->hub->live, t->agent);
	HASH_DEL(t->hub->topics, t);
	free(t);
}

static struct journal_log *
log_find(const struct hub *h, const char *agent)
{
	return h->journal == NULL ? NULL : journal_log_find(h->journal, agent);
}

static int
topic_is_covered(const struct topic *t)
{
	return t->covered || log_find(t->hub, t->agent) != NULL;
}

/*
 * Sees to it that the topic is or will be covered; who waited for that reads
 * the log. That of a request that gets an answer has none.
 */
static void
topic_cover(struct topic *t)
{
	if (t->viewers->mode == HUB_ANSWER)
		return;
	if (topic_is_covered(t)) {
		topic_wake(t);
	} else if (!t->watched) {
		t->watched = 1;
		live_watch(t->hub->live, t->agent);
	}
}

/* What does not follow on the last that a viewer got is read from the log. */
static void
topic_show(struct topic *t, struct event_id prev, struct frame *const *frames,
    int count)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_REPLAYING)
			v->missed = 1;
		else if (v->state != VIEWER_LIVE)
			continue;
		else if (event_id_cmp(prev, v->last) > 0)
			viewer_replay(v);
		else
			viewer_feed(v, frames, count);
	}
}

/*
 * The first events of a turn here may come before what another process said
 * of the one before: that is on its way, by the subscription.
 */
void
hub_show(void *hub, const char *agent, struct event_id prev,
    struct frame *const *frames, int count)
{
	struct topic *t = topic_find(hub, agent);

	if (t == NULL)
		return;
	topic_wake(t); /* the journal covers it now */
	topic_show(t, prev, frames, count);
}

/* ---- replays ---- */

/* Tells v that its cursor is too old, or from another life of the store. */
static int
viewer_gap(struct viewer *v, const struct live_page *page)
{
	char oldest[EVENT_ID_SIZE], newest[EVENT_ID_SIZE];
	struct event e = {
		.kind = EVENT_GAP, .turn = "", .time_ms = clk_shared_ms()
	};
	struct frame *f;
	struct buf rest;
	int rc;

	event_id_print(oldest, page->oldest);
	event_id_print(newest, page->newest);
	buf_init(&rest, NULL);
	buf_putc(&rest, ',');
	buf_printf(&rest,
	    "\"oldest\":\"%s\",\"newest\":\"%s\","
	    "\"restart\":\"/api/agents/%s/messages\"",
	    oldest, newest, v->topic->agent);
	e.rest = rest.data;
	e.rest_len = rest.len;
	f = frame_make_unlogged(&e);
	rc = viewer_tell(v, f);
	frame_unref(&f);
	buf_fini(&rest);
	return rc;
}

/* -1: the viewer is gone. */
static int
viewer_check_gap(struct viewer *v, const struct live_page *page)
{
	int ahead = event_id_cmp(v->last, page->newest) > 0;

	if (!ahead && !event_id_gap(v->last, page->oldest))
		return 0;
	if (!viewer_is_answered(v) && viewer_gap(v, page) < 0)
		return -1;
	if (ahead)
		v->last = page->newest;
	return 0;
}

/* It has all that there is. A turn that is over has nothing more to show. */
static void
viewer_caught_up(struct viewer *v)
{
	if (v->over)
		viewer_end(v, NULL, 0);
	else
		v->state = VIEWER_LIVE;
}

static void
on_page(void *ctx, const struct live_page *page)
{
	struct reading *r = ctx;
	struct viewer *v = r->viewer;

	free(r);
	if (v == NULL)
		return;
	v->reading = NULL;
	if (page->failed)
		return; /* the timer asks again */
	if (viewer_check_gap(v, page) < 0 ||
	    viewer_feed(v, page->frames, page->count) < 0)
		return;
	if (v->state == VIEWER_ENDING)
		return;
	if (!page->more && !v->missed)
		viewer_caught_up(v);
	else if (v->backlog.len == 0)
		viewer_replay(v);
	/* else when the socket has taken this page */
}

void
viewer_replay(struct viewer *v)
{
	struct reading *r;

	if (v->reading != NULL)
		abort(); /* its page would find a viewer that may be gone */
	r = malloc(sizeof(*r));
	if (r == NULL)
		abort();
	r->hub = v->topic->hub;
	r->viewer = v;
	v->reading = r;
	v->state = VIEWER_REPLAYING;
	v->missed = 0;
	live_replay(r->hub->live, v->topic->agent, v->last, on_page, r);
}

/* Viewers that waited for the topic to be covered read the log. */
static void
topic_wake(struct topic *t)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_WAITING)
			viewer_replay(v);
	}
}

static void
topic_replay_all(struct topic *t)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_LIVE || v->state == VIEWER_WAITING)
			viewer_replay(v);
		else
			v->missed = 1;
	}
}

void
hub_covered(void *hub, const char *agent)
{
	struct topic *t = topic_find(hub, agent);

	if (t == NULL || !t->watched)
		return;
	t->covered = 1;
	topic_replay_all(t);
}

/*
 * Events of another process, or our own once more, which the journal tells.
 * A log that is open here may have lost its lease to whoever wrote these.
 */
void
hub_events(void *hub, const char *agent, struct event_id prev,
    struct frame *const *frames, int count)
{
	struct hub *h = hub;
	struct topic *t = topic_find(h, agent);
	struct journal_log *log = log_find(h, agent);

	if (t == NULL || count == 0 ||
	    (log != NULL && journal_log_last(log).epoch == frames[0]->id.epoch))
		return;
	topic_show(t, prev, frames, count);
}

void
hub_lost(void *hub)
{
	struct hub *h = hub;
	struct topic *t, *tmp;

	HASH_ITER(hh, h->topics, t, tmp)
	{
		t->covered = 0;
		t->watched = 0;
		topic_cover(t);
	}
}

void
hub_log_closed(struct hub *h, const char *agent)
{
	struct topic *t = topic_find(h, agent);

	if (t == NULL)
		return;
	topic_cover(t); /* then all of them read what they missed */
}

/* The last call of who follows. It is freed by the timer: whoever feeds it
 * may be on the stack. */
static void
follower_end(struct viewer *v)
{
	hub_follow_f *fn = v->follow;

	v->state = VIEWER_ENDING;
	v->follow = NULL;
	if (fn != NULL)
		fn(v->ctx, NULL);
}

/* Every viewer of an agent is ended, after a notice if there is one. */
static void
topic_end(struct topic *t, const struct frame *notice)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_ENDING)
			continue;
		if (v->mode == HUB_FOLLOW) {
			follower_end(v);
			continue;
		}
		if (notice != NULL && !viewer_is_answered(v) &&
		    viewer_write_text(v, notice->text, notice->len) < 0)
			continue;
		if (viewer_is_answered(v))
			viewer_answer(v, v->late);
		else
			viewer_end(v, NULL, 0);
	}
}

void
hub_gone(void *hub, const char *agent)
{
	struct topic *t = topic_find(hub, agent);

	if (t != NULL)
		topic_end(t, NULL);
}

void
hub_break(struct hub *h, const char *agent, struct frame *notice)
{
	struct topic *t = topic_find(h, agent);

	if (t != NULL)
		topic_end(t, notice);
}

void
hub_answer(struct hub *h, const char *name, const char *text)
{
	struct topic *t = topic_find(h, name);

	if (t != NULL && t->viewers->mode == HUB_ANSWER &&
	    t->viewers->state != VIEWER_ENDING)
		viewer_answer(t->viewers, text);
}

void
hub_close_all(struct hub *h)
{
	struct topic *t, *tmp;

	HASH_ITER(hh, h->topics, t, tmp)
	topic_end(t, NULL);
}

/* ---- viewers ---- */

static struct viewer *
viewer_new(struct hub *h, const struct hub_viewer *spec)
{
	struct viewer *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	v->topic = topic_get(h, spec->agent);
	v->fd = spec->fd;
	v->request_id = spec->request_id;
	v->mode = spec->mode;
	v->filter = spec->filter;
	v->last = spec->after;
	v->over = spec->over;
	v->on_gone = spec->on_gone;
	v->ctx = spec->ctx;
	v->user = spec->user;
	v->late = spec->late;
	v->written_ms = loop_now_ms(h->loop);
	v->deadline_ms = v->written_ms + spec->deadline_ms;
	if (spec->expires_ms > 0)
		v->expires_ms = v->written_ms + spec->expires_ms;
	memcpy(v->token, spec->token, sizeof(v->token));
	memcpy(v->owner, spec->owner, sizeof(v->owner));
	DL_APPEND(v->topic->viewers, v);
	DL_APPEND2(h->quiet, v, quiet_prev, quiet_next);
	h->viewers++;
	h->awaiting += viewer_is_answered(v);
	return v;
}

void
hub_attach(struct hub *h, const struct hub_viewer *spec, int begins)
{
	struct viewer *v = viewer_new(h, spec);
	int rc;

	if (begins) { /* the first event follows at once: one write for both */
		fcgi_put_stdout(
		    &v->backlog, v->request_id, spec->head, strlen(spec->head));
		free(spec->head);
		v->held = 1;
		v->state = VIEWER_LIVE;
		return;
	}
	if (viewer_is_answered(v)) {
		v->answer = spec->head;
	} else {
		rc = viewer_write_text(v, spec->head, strlen(spec->head));
		free(spec->head);
		if (rc < 0)
			return;
	}
	topic_cover(v->topic);
}

struct viewer *
hub_follow(struct hub *h, const char *agent, struct event_id after,
    hub_follow_f *fn, void *ctx)
{
	struct hub_viewer spec = {
		.fd = -1, .mode = HUB_FOLLOW, .after = after, .ctx = ctx
	};
	struct viewer *v;

	snprintf(spec.agent, sizeof(spec.agent), "%s", agent);
	v = viewer_new(h, &spec);
	v->follow = fn;
	topic_cover(v->topic);
	return v;
}

void
hub_unfollow(struct viewer **v_p)
{
	struct viewer *v = *v_p;

	*v_p = NULL;
	if (v == NULL)
		return;
	v->follow = NULL;
	v->state = VIEWER_ENDING;
}

int
hub_awaiting(struct hub *h)
{
	return h->awaiting;
}

int
hub_viewers(const struct hub *h)
{
	return h->viewers;
}

/* ---- the clock ---- */

static void
viewer_beat(struct viewer *v)
{
	if (viewer_is_answered(v) || v->mode == HUB_FOLLOW ||
	    v->state == VIEWER_ENDING || v->backlog.len > 0)
		viewer_touch(v); /* it is written to already, or not yet */
	else
		viewer_write_text(v, heartbeat, sizeof(heartbeat) - 1);
}

/* Says why a stream ends that need not, and with which cursor to come back. */
static void
viewer_dismiss(struct viewer *v, const char *code, const char *why)
{
	char last[EVENT_ID_SIZE];
	struct event e = {
		.kind = EVENT_ERROR, .turn = "", .time_ms = clk_shared_ms()
	};
	struct frame *f;
	struct buf rest;
	int rc;

	event_id_print(last, v->last);
	buf_init(&rest, NULL);
	json_open(&rest, NULL, '{');
	json_add_str(&rest, "code", code);
	json_add_str(&rest, "message", why);
	json_add_bool(&rest, "retryable", 1);
	json_add_str(&rest, "last", last);
	rest.data[0] = ','; /* the event is an object already */
	e.rest = rest.data;
	e.rest_len = rest.len;
	f = frame_make_unlogged(&e);
	rc = viewer_write_text(v, f->text, f->len);
	frame_unref(&f);
	buf_fini(&rest);
	if (rc == 0)
		viewer_end(v, NULL, 0);
}

/* Who stays shown only as long as a token is good. 1: it has ended. */
static int
viewer_expire(struct viewer *v, int64_t now)
{
	if (v->expires_ms == 0 || now < v->expires_ms ||
	    viewer_is_answered(v) || v->state == VIEWER_ENDING)
		return 0;
	viewer_dismiss(v, "token_expired",
	    "the token has expired; come back with another one and your "
	    "cursor");
	return 1;
}

static int
is_revoked(const struct viewer *v, const char *user, const char *token)
{
	if (viewer_is_answered(v) || v->state == VIEWER_ENDING)
		return 0;
	if (*token != '\0')
		return strcmp(v->token, token) == 0;
	return strcmp(v->owner, user) == 0;
}

void
hub_revoke(struct hub *h, const char *user, const char *token)
{
	struct viewer *v, *next;
	struct topic *t, *tmp;

	HASH_ITER(hh, h->topics, t, tmp)
	{
		for (v = t->viewers; v != NULL; v = next) {
			next = v->next;
			if (is_revoked(v, user, token))
				viewer_dismiss(v, "token_revoked",
				    "the token was revoked");
		}
	}
}

/* A replay that found Redis away, and an answer that is awaited too long. */
static void
viewer_check(struct viewer *v, int64_t now)
{
	if (v->mode == HUB_FOLLOW && v->state == VIEWER_ENDING) {
		viewer_free(v);
		return;
	}
	if (v->fd >= 0 && v->io == NULL && viewer_poll(v) < 0)
		return;
	if (viewer_expire(v, now))
		return;
	if (v->reading == NULL && v->state == VIEWER_REPLAYING &&
	    v->backlog.len == 0)
		viewer_replay(v);
	else if (viewer_is_answered(v) && v->state != VIEWER_ENDING &&
		 now >= v->deadline_ms)
		viewer_answer(v, v->late);
}

static void
on_timer(void *arg)
{
	struct hub *h = arg;
	int64_t now = loop_now_ms(h->loop);
	struct viewer *v, *next;
	struct topic *t, *tmp;

	while ((v = h->quiet) != NULL && now - v->written_ms >= h->heartbeat_ms)
		viewer_beat(v);
	HASH_ITER(hh, h->topics, t, tmp)
	{
		for (v = t->viewers; v != NULL; v = next) {
			next = v->next;
			viewer_check(v, now);
		}
	}
}

struct hub *
hub_new(struct loop *l, const struct conf *c, struct journal *j)
{
	struct hub *h = calloc(1, sizeof(*h));

	if (h == NULL)
		abort();
	h->loop = l;
	h->journal = j;
	h->heartbeat_ms = c->events_heartbeat_ms;
	h->backlog_max = (size_t)c->events_backlog_bytes;
	h->timer = loop_timer_new(l, "hub", on_timer, h);
	loop_timer_start(h->timer, TIMER_MS, TIMER_MS);
	if (j != NULL)
		journal_set_show(j, hub_show, h);
	return h;
}

void
hub_set_live(struct hub *h, struct live *v)
{
	h->live = v;
}

void
hub_free(struct hub **h_p)
{
	struct hub *h = *h_p;

	if (h == NULL)
		return;
	*h_p = NULL;
	hub_close_all(h);
	while (h->quiet != NULL)
		viewer_free(h->quiet); /* some had a backlog */
	loop_timer_free(&h->timer);
	buf_fini(&h->scratch);
	free(h);
}
