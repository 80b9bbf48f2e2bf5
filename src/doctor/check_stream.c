/* SPDX-License-Identifier: MIT */
/*
 * Whether events arrive when they are made. What holds them back, a proxy that
 * buffers or compresses, shows only here: everything else works, in lumps.
 *
 * The todo list of an idle agent is changed some times, which is an event each
 * and costs no call of a model. The next change is made when the event of the
 * last has arrived, so one that waits for more to come never does.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/loop.h"
#include "doctor/doctor.h"
#include "doctor/site.h"
#include "net/sse.h"

#define ROUNDS 5
#define EVENT_MS 5000 /* for an event to arrive */
#define CHAT_MS 120000
#define SLOW_MS 1000
#define EVENT_BYTES (1024 * 1024)

struct stream {
	struct doctor *d;
	const char *agent;
	struct loop *loop;
	struct fetcher *fetcher;
	struct loop_timer *timer;
	struct sse sse;
	int open, over;
	int changes, answered, seen; /* made, answered, and their events */
	int64_t changed_ms, worst_ms;
	int64_t first_ms, ended_ms; /* chat: text, and done */
	int texts;
	char reason[24];
	char trouble[256]; /* "" none */
};

static void
stream_end(struct stream *s)
{
	s->over = 1;
	loop_stop(s->loop);
}

static void
stream_fail(struct stream *s, const char *what, const char *why)
{
	if (s->over)
		return;
	snprintf(s->trouble, sizeof(s->trouble), "%s: %s", what, why);
	stream_end(s);
}

static void
on_late(void *arg)
{
	struct stream *s = arg;

	stream_fail(s, "an event did not arrive in time",
	    "whatever stands between must not buffer: fastcgi_buffering off "
	    "or X-Accel-Buffering passed on, no gzip of text/event-stream, and "
	    "the same for a proxy or CDN in front of nginx");
}

/* ---- changes ---- */

static void change(struct stream *s);

/* Its event has come, and its answer: the next, or the end. */
static void
go_on(struct stream *s)
{
	if (s->over || s->seen < s->changes || s->answered < s->changes)
		return;
	if (s->changes == ROUNDS)
		stream_end(s);
	else
		change(s);
}

static void
on_changed(void *ctx, const struct fetch_end *end)
{
	struct stream *s = ctx;
	char status[32];

	if (s->over)
		return;
	if (end->head.status != 200) {
		snprintf(status, sizeof(status), "%d", end->head.status);
		stream_fail(s, "changing its todo list",
		    end->head.status == 0 ? end->text : status);
		return;
	}
	s->answered++;
	go_on(s);
}

static void
change(struct stream *s)
{
	struct arena *a = s->d->arena;
	struct site_request q = { .method = "PUT",
		.path = arena_printf(a, "/api/agents/%s/todos", s->agent) };
	struct fetch_spec spec;

	s->changes++;
	s->changed_ms = clk_mono_ms();
	q.body = arena_printf(a,
	    "{\"todos\":[{\"id\":\"1\",\"title\":\"look "
	    "%d\",\"status\":\"pending\"}]}",
	    s->changes);
	q.body_len = strlen(q.body);
	site_spec(s->d, &q, &spec);
	spec.on_end = on_changed;
	spec.ctx = s;
	loop_timer_start(s->timer, EVENT_MS, 0);
	fetch_start(s->fetcher, &spec);
}

/* ---- the stream ---- */

static void
take_event(struct stream *s, const char *kind, const struct json *j)
{
	int64_t ms = clk_mono_ms() - s->changed_ms;
	const char *reason = json_get_str(j, "reason");

	if (strcmp(kind, "todo_changed") == 0) {
		s->seen++;
		s->worst_ms = ms > s->worst_ms ? ms : s->worst_ms;
		go_on(s);
	} else if (strcmp(kind, "text_chunk") == 0) {
		s->first_ms = s->texts++ == 0 ? ms : s->first_ms;
	} else if (strcmp(kind, "done") == 0) {
		s->ended_ms = ms;
		snprintf(s->reason, sizeof(s->reason), "%s",
		    reason == NULL ? "" : reason);
		stream_end(s);
	}
}

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct stream *s = ctx;
	const struct json *j =
	    json_parse(s->d->arena, data, len, JSON_DEPTH_MAX, err);
	const char *kind = json_get_str(j, "kind");

	(void)event;
	if (j == NULL)
		return -1;
	if (kind != NULL && !s->over)
		take_event(s, kind, j);
	return 0;
}

static int
on_body(void *ctx, const struct fetch_head *head, const char *data, size_t len,
    struct err *err)
{
	struct stream *s = ctx;

	if (head->status != 200)
		return err_set(err, ERR_MODEL, "status %d", head->status);
	if (strncmp(head->content_type, "text/event-stream", 17) != 0)
		return err_set(err, ERR_MODEL, "it is no event stream");
	if (sse_feed(&s->sse, data, len, err) < 0)
		return -1;
	if (!s->open) {
		s->open = 1;
		if (s->timer != NULL)
			change(s);
	}
	return 0;
}

static void
on_stream_end(void *ctx, const struct fetch_end *end)
{
	struct stream *s = ctx;

	stream_fail(s, "the stream ended",
	    *end->text == '\0' ? "before all events had come" : end->text);
}

/* Opens one and looks at it until it is over. */
static void
stream_run(struct stream *s, const struct site_request *q, int64_t total_ms)
{
	struct fetch_spec spec;

	s->loop = loop_new();
	s->fetcher = fetcher_new(s->loop);
	sse_init(&s->sse, EVENT_BYTES, on_event, s);
	site_spec(s->d, q, &spec);
	spec.total_ms = total_ms;
	spec.on_body = on_body;
	spec.on_end = on_stream_end;
	spec.ctx = s;
	s->changed_ms = clk_mono_ms();
	if (q->body == NULL) {
		s->timer = loop_timer_new(s->loop, "late", on_late, s);
		loop_timer_start(s->timer, EVENT_MS, 0);
	}
	fetch_start(s->fetcher, &spec);
	loop_run(s->loop);
	s->over = 1;
	loop_timer_free(&s->timer);
	fetcher_free(&s->fetcher);
	sse_fini(&s->sse);
	loop_free(&s->loop);
}

void
check_stream(struct doctor *d, const char *agent)
{
	struct stream s = { .d = d, .agent = agent };
	struct site_request q = { .method = "GET",
		.path =
		    arena_printf(d->arena, "/api/agents/%s/events", agent) };

	stream_run(&s, &q, ROUNDS * EVENT_MS * 2);
	if (*s.trouble != '\0')
		doctor_say(d, DOCTOR_FAIL, "site.stream", "%s", s.trouble);
	else
		doctor_say(d, s.worst_ms > SLOW_MS ? DOCTOR_WARN : DOCTOR_OK,
		    "site.stream",
		    "%d events arrived one by one, the slowest after %" PRId64
		    " ms%s",
		    s.seen, s.worst_ms,
		    s.worst_ms > SLOW_MS
			? ": something between holds them back for a while"
			: "");
}

void
check_chat(struct doctor *d, const char *agent)
{
	static const char body[] = "{\"message\":\"Count from one to ten.\"}";
	struct stream s = { .d = d, .agent = agent };
	struct site_request q = { .body = body,
		.body_len = sizeof(body) - 1,
		.path = arena_printf(d->arena, "/api/agents/%s/chat", agent) };

	stream_run(&s, &q, CHAT_MS);
	if (*s.trouble != '\0')
		doctor_say(d, DOCTOR_FAIL, "site.chat", "%s", s.trouble);
	else if (strcmp(s.reason, "completed") != 0)
		doctor_say(d, DOCTOR_FAIL, "site.chat",
		    "the turn ended with %s: look at agent-fpm models --check",
		    s.reason);
	else
		doctor_say(d, DOCTOR_OK, "site.chat",
		    "the model's answer began after %" PRId64
		    " ms, in %d events, and was whole after %" PRId64 " ms",
		    s.first_ms, s.texts, s.ended_ms);
}
