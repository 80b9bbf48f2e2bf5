/* SPDX-License-Identifier: MIT */
/*
 * A viewer: one response that is still being written, on the loop's thread.
 *
 * Writes never block. What a viewer's socket does not take waits in its
 * backlog, up to events.backlog; then the stream is closed, and the viewer
 * comes back with its cursor. nginx never says that a client left
 * (FCGI_ABORT_REQUEST); its closing of the connection does.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "http/fcgi.h"
#include "stream/hub_priv.h"

#define SCRATCH_KEEP (256 * 1024)

static void on_viewer_io(void *viewer, int events);

void
viewer_free(struct viewer *v)
{
	struct topic *t = v->topic;
	struct hub *h = t->hub;

	DL_DELETE(t->viewers, v);
	DL_DELETE2(h->quiet, v, quiet_prev, quiet_next);
	h->viewers--;
	h->awaiting -= viewer_is_answered(v);
	if (v->reading != NULL)
		v->reading->viewer = NULL;
	loop_io_free(&v->io);
	if (v->fd >= 0)
		close(v->fd);
	buf_fini(&v->backlog);
	if (v->on_gone != NULL)
		v->on_gone(v->ctx, v->user);
	free(v->user);
	free(v->answer);
	free(v->late);
	free(v);
	topic_release(t);
}

int
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

void
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

int
viewer_write_text(struct viewer *v, const char *text, size_t len)
{
	struct buf *b = scratch_clear(v->topic->hub);

	fcgi_put_stdout(b, v->request_id, text, len);
	return viewer_write(v, b);
}

int
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

int
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

int
viewer_tell(struct viewer *v, const struct frame *f)
{
	if (v->mode != HUB_FOLLOW)
		return viewer_write_text(v, f->text, f->len);
	if (v->follow != NULL)
		v->follow(v->ctx, f);
	return 0;
}

static void
follower_feed(struct viewer *v, struct frame *const *frames, int count)
{
	for (int i = 0; i < count && v->follow != NULL; i++) {
		if (event_id_cmp(frames[i]->id, v->last) <= 0)
			continue;
		v->last = frames[i]->id;
		v->follow(v->ctx, frames[i]);
	}
}

int
viewer_feed(struct viewer *v, struct frame *const *frames, int count)
{
	struct buf text;
	int ends, rc = 0;

	if (v->mode == HUB_FOLLOW) {
		follower_feed(v, frames, count);
		return 0;
	}
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
