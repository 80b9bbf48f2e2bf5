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
 *
 * Writes never block. What a viewer's socket does not take waits in its
 * backlog, up to events.backlog; then the stream is closed, and the viewer
 * comes back with its cursor. nginx never says that a client left
 * (FCGI_ABORT_REQUEST); its closing of the connection does.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/journal.h"
#include "store/live.h"
#include "stream/fcgi.h"
#include "stream/hub.h"

#define TIMER_MS 200 /* heartbeats, deadlines, replays tried again */
#define SCRATCH_KEEP (256 * 1024)

static const char heartbeat[] = ": ping\n\n";

enum viewer_state {
	VIEWER_WAITING,   /* for its topic to be covered */
	VIEWER_REPLAYING, /* a page was asked for */
	VIEWER_LIVE,
	VIEWER_ENDING /* only its backlog is still to be written */
};

struct topic;

struct viewer {
	struct viewer *prev, *next;             /* of its topic */
	struct viewer *quiet_prev, *quiet_next; /* by last write */
	struct topic *topic;
	struct loop_io *io;
	struct reading *reading; /* the page that was asked for */
	int fd;
	int request_id;
	enum hub_mode mode;
	enum viewer_state state;
	int missed; /* something happened while it was replaying */
	int polling_write;
	int over; /* its turn was over before it came */
	int held; /* the head waits in the backlog for the first event */
	struct hub_filter filter;
	struct event_id last;
	int64_t written_ms;
	int64_t deadline_ms; /* HUB_AWAIT */
	struct buf backlog;
	char *answer, *late; /* HUB_AWAIT */
	void (*on_gone)(void *, const char *);
	void *ctx;
	char *user;
};

/* A page of the log that was asked for; its viewer may leave meanwhile. */
struct reading {
	struct hub *hub;
	struct viewer *viewer;
};

struct topic {
	UT_hash_handle hh;
	struct hub *hub;
	char agent[40];
	struct viewer *viewers;
	int watched; /* the subscription was asked for */
	int covered; /* and confirmed */
};

struct hub {
	struct loop *loop;
	struct journal *journal;
	struct live *live;
	struct topic *topics;
	struct viewer *quiet; /* the longest without a write first */
	struct loop_timer *timer;
	int64_t heartbeat_ms;
	size_t backlog_max;
	int viewers;
	struct buf scratch;
};

static void viewer_replay(struct viewer *v);
static void topic_wake(struct topic *t);
static void on_viewer_io(void *viewer, int events);

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

static void
topic_release(struct topic *t)
{
	if (t->viewers != NULL)
		return;
	if (t->watched)
		live_unwatch(t->hub->live, t->agent);
	HASH_DEL(t->hub->topics, t);
	free(t);
}

static int
topic_is_covered(const struct topic *t)
{
	return t->covered ||
	       journal_log_find(t->hub->journal, t->agent) != NULL;
}

/*
 * Sees to it that the topic is or will be covered; who waited for that reads
 * the log.
 */
static void
topic_cover(struct topic *t)
{
	if (topic_is_covered(t)) {
		topic_wake(t);
	} else if (!t->watched) {
		t->watched = 1;
		live_watch(t->hub->live, t->agent);
	}
}

/* ---- writing ---- */

static void
viewer_free(struct viewer *v)
{
	struct topic *t = v->topic;
	struct hub *h = t->hub;

	DL_DELETE(t->viewers, v);
	DL_DELETE2(h->quiet, v, quiet_prev, quiet_next);
	h->viewers--;
	if (v->reading != NULL)
		v->reading->viewer = NULL;
	loop_io_free(&v->io);
	close(v->fd);
	buf_fini(&v->backlog);
	v->on_gone(v->ctx, v->user);
	free(v->user);
	free(v->answer);
	free(v->late);
	free(v);
	topic_release(t);
}

/*
 * Has the socket watched: for room if something waits, and for its end. A
 * short turn is over before that is worth the system calls, so it begins with
 * the first backlog or, from the timer, when the viewer is a moment old. -1:
 * it cannot be watched, and the viewer is gone.
 */
static int
viewer_poll(struct viewer *v)
{
	int write = v->backlog.len > 0 && !v->held;

	if (v->io == NULL) {
		v->io = loop_io_new(
		    v->topic->hub->loop, "viewer", v->fd, on_viewer_io, v);
		if (v->io == NULL) {
			viewer_free(v);
			return -1;
		}
	} else if (write == v->polling_write) {
		return 0;
	}
	v->polling_write = write;
	loop_io_want(v->io, LOOP_HUP | (write ? LOOP_WRITE : 0));
	return 0;
}

/* The viewer was written to: it is the least quiet one now. */
static void
viewer_touch(struct viewer *v)
{
	struct hub *h = v->topic->hub;

	v->written_ms = loop_now_ms(h->loop);
	DL_DELETE2(h->quiet, v, quiet_prev, quiet_next);
	DL_APPEND2(h->quiet, v, quiet_prev, quiet_next);
}

/* How much the socket took; -1 if it is broken. */
static ssize_t
socket_write(int fd, const char *p, size_t len)
{
	ssize_t n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n;
}

/* Has what the socket did not take written later. -1: the viewer is gone. */
static int
viewer_keep(struct viewer *v)
{
	if (v->backlog.len == 0 && v->io == NULL)
		return 0;
	return viewer_poll(v);
}

/*
 * More for a viewer that has a backlog. One write may exceed the bound, or a
 * large event could never be shown; two may not.
 */
static int
viewer_append(struct viewer *v, const struct buf *records)
{
	if (v->backlog.len > v->topic->hub->backlog_max) {
		log_info("a viewer reads too slowly: %zu bytes wait; its "
			 "stream is closed",
		    v->backlog.len);
		viewer_free(v);
		return -1;
	}
	buf_add(&v->backlog, records->data, records->len);
	return 0;
}

/* Writes the backlog as far as it goes. -1: the viewer is gone. */
static int
viewer_flush(struct viewer *v)
{
	ssize_t n = socket_write(v->fd, v->backlog.data, v->backlog.len);

	if (n < 0) {
		viewer_free(v);
		return -1;
	}
	buf_consume(&v->backlog, (size_t)n);
	if (v->backlog.len == 0)
		buf_fini(&v->backlog); /* an idle viewer keeps no memory */
	return viewer_keep(v);
}

/*
 * Writes records, or keeps them for later. 0, or -1 and the viewer is gone.
 */
static int
viewer_write(struct viewer *v, const struct buf *records)
{
	ssize_t n;

	viewer_touch(v);
	if (v->backlog.len > 0) {
		if (viewer_append(v, records) < 0)
			return -1;
		if (!v->held)
			return viewer_keep(v);
		v->held = 0;
		return viewer_flush(v);
	}
	n = socket_write(v->fd, records->data, records->len);
	if (n < 0) {
		viewer_free(v);
		return -1;
	}
	if ((size_t)n == records->len)
		return 0;
	buf_add(&v->backlog, records->data + n, records->len - (size_t)n);
	return viewer_keep(v);
}

static struct buf *
scratch_clear(struct hub *h)
{
	if (h->scratch.cap > SCRATCH_KEEP)
		buf_fini(&h->scratch);
	buf_clear(&h->scratch);
	return &h->scratch;
}

static int
viewer_write_text(struct viewer *v, const char *text, size_t len)
{
	struct buf *b = scratch_clear(v->topic->hub);

	fcgi_put_stdout(b, v->request_id, text, len);
	return viewer_write(v, b);
}

/*
 * Writes the last text, perhaps none, and the end of the response; what the
 * socket does not take is still written later. -1: the viewer is gone.
 */
static int
viewer_end(struct viewer *v, const char *text, size_t len)
{
	struct buf *b = scratch_clear(v->topic->hub);

	fcgi_put_stdout(b, v->request_id, text, len);
	fcgi_put_end(b, v->request_id);
	if (viewer_write(v, b) < 0)
		return -1;
	v->state = VIEWER_ENDING;
	if (v->backlog.len > 0)
		return 0;
	viewer_free(v);
	return -1;
}

static void
viewer_drain(struct viewer *v)
{
	if (viewer_flush(v) < 0 || v->backlog.len > 0)
		return;
	if (v->state == VIEWER_ENDING)
		viewer_free(v);
	else if (v->state == VIEWER_REPLAYING && v->reading == NULL)
		viewer_replay(v); /* the next page */
}

static void
on_viewer_io(void *arg, int events)
{
	struct viewer *v = arg;

	if (events & LOOP_HUP)
		viewer_free(v); /* it left, which cancels nothing */
	else if (events & LOOP_WRITE)
		viewer_drain(v);
}

/* ---- events to viewers ---- */

static int
is_turn(const struct frame *f, const char *turn)
{
	size_t len = strlen(turn);

	return len == f->turn_len &&
	       memcmp(f->text + f->turn_at, turn, len) == 0;
}

static int
filter_passes(const struct hub_filter *flt, const struct frame *f)
{
	if (flt->channels != 0 && (flt->channels & 1u << f->channel) == 0)
		return 0;
	if (flt->kinds != 0 && (flt->kinds & 1u << f->kind) == 0)
		return 0;
	return flt->turn[0] == '\0' || is_turn(f, flt->turn);
}

int
hub_filter_passes_json(const struct hub_filter *flt, const char *json)
{
	struct frame *f = frame_new(json, strlen(json));
	int passes = f != NULL && filter_passes(flt, f);

	frame_unref(&f);
	return passes;
}

static int
ends_viewer(const struct viewer *v, const struct frame *f)
{
	return v->mode != HUB_STREAM && f->kind == EVENT_DONE &&
	       is_turn(f, v->filter.turn);
}

static int
viewer_answer(struct viewer *v, const char *text)
{
	return viewer_end(v, text, strlen(text));
}

/* Collects the frames that are new to v and pass. Returns 1 at its end. */
static int
viewer_collect(
    struct viewer *v, struct frame *const *frames, int count, struct buf *text)
{
	for (int i = 0; i < count; i++) {
		const struct frame *f = frames[i];

		if (event_id_cmp(f->id, v->last) <= 0)
			continue;
		v->last = f->id;
		if (v->mode != HUB_AWAIT && filter_passes(&v->filter, f))
			buf_add(text, f->text, f->len);
		if (ends_viewer(v, f))
			return 1;
	}
	return 0;
}

/* Shows events to one viewer. -1: it is gone. */
static int
viewer_feed(struct viewer *v, struct frame *const *frames, int count)
{
	struct buf text;
	int ends, rc = 0;

	buf_init(&text, NULL);
	ends = viewer_collect(v, frames, count, &text);
	if (ends && v->mode == HUB_AWAIT)
		rc = viewer_answer(v, v->answer);
	else if (ends)
		rc = viewer_end(v, text.data, text.len);
	else if (text.len > 0)
		rc = viewer_write_text(v, text.data, text.len);
	buf_fini(&text);
	return rc;
}

static void
topic_show(struct topic *t, struct frame *const *frames, int count)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_LIVE)
			viewer_feed(v, frames, count);
		else if (v->state == VIEWER_REPLAYING)
			v->missed = 1;
		else if (v->state == VIEWER_WAITING)
			viewer_replay(v); /* the journal covers it now */
	}
}

void
hub_show(void *hub, const char *agent, struct frame *const *frames, int count)
{
	struct topic *t = topic_find(hub, agent);

	if (t != NULL)
		topic_show(t, frames, count);
}

/* ---- replays ---- */

/* Tells v that its cursor is too old, or from another life of the store. */
static int
viewer_gap(struct viewer *v, const struct live_page *page)
{
	char oldest[EVENT_ID_SIZE], newest[EVENT_ID_SIZE];
	struct event e = {
		.kind = EVENT_GAP, .turn = "", .time_ms = clk_wall_ms()
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
	rc = viewer_write_text(v, f->text, f->len);
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
	if (v->mode != HUB_AWAIT && viewer_gap(v, page) < 0)
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

static void
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

/* Events of another process. What does not follow on the last is read. */
void
hub_events(void *hub, const char *agent, struct event_id prev,
    struct frame *const *frames, int count)
{
	struct hub *h = hub;
	struct topic *t = topic_find(h, agent);
	struct viewer *v, *next;

	if (t == NULL || journal_log_find(h->journal, agent) != NULL)
		return; /* our own, told by the journal */
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

/* Every viewer of an agent is ended, after a notice if there is one. */
static void
topic_end(struct topic *t, const struct frame *notice)
{
	struct viewer *v, *next;

	for (v = t->viewers; v != NULL; v = next) {
		next = v->next;
		if (v->state == VIEWER_ENDING)
			continue;
		if (notice != NULL && v->mode != HUB_AWAIT &&
		    viewer_write_text(v, notice->text, notice->len) < 0)
			continue;
		if (v->mode == HUB_AWAIT)
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
	DL_APPEND(v->topic->viewers, v);
	DL_APPEND2(h->quiet, v, quiet_prev, quiet_next);
	h->viewers++;
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
	if (v->mode == HUB_AWAIT) {
		v->answer = spec->head;
	} else {
		rc = viewer_write_text(v, spec->head, strlen(spec->head));
		free(spec->head);
		if (rc < 0)
			return;
	}
	topic_cover(v->topic);
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
	if (v->mode == HUB_AWAIT || v->state == VIEWER_ENDING ||
	    v->backlog.len > 0)
		viewer_touch(v); /* it is written to already, or not yet */
	else
		viewer_write_text(v, heartbeat, sizeof(heartbeat) - 1);
}

/* A replay that found Redis away, and an answer that is awaited too long. */
static void
viewer_check(struct viewer *v, int64_t now)
{
	if (v->io == NULL && viewer_poll(v) < 0)
		return;
	if (v->reading == NULL && v->state == VIEWER_REPLAYING &&
	    v->backlog.len == 0)
		viewer_replay(v);
	else if (v->mode == HUB_AWAIT && v->state != VIEWER_ENDING &&
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
