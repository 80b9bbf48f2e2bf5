/* SPDX-License-Identifier: MIT */
/*
 * Talking to an agent: chat, messages, interrupt.
 *
 * The message is kept before anything is answered. If its turn runs here, the
 * loop gets turn and viewer in one step: the viewer sees the turn's very
 * first event without reading the log. Otherwise the viewer reads the log
 * from the event before the message on, wherever the turn runs.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/runner.h"
#include "api/limits.h"
#include "api/sessions_priv.h"
#include "api/trace.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "stream/hub.h"
#include "tool/output.h"

#define PAGE 100
#define PAGE_MAX 500
#define INTERRUPT_WAIT_MS 10000

/* What one request asks of the loop. */
struct chat_start {
	struct app *app;
	struct turn *turn; /* to be opened, or NULL */
	int has_viewer;
	int begins; /* the viewer's first event is the turn's first */
	struct hub_viewer viewer;
	char stop_agent[40]; /* a turn to interrupt, or "" */
	char stop_turn[40];
};

static void
on_chat_start(void *arg)
{
	struct chat_start *s = arg;

	if (s->has_viewer)
		hub_attach(s->app->hub, &s->viewer, s->begins);
	if (s->turn != NULL)
		turn_open(s->turn);
	if (s->stop_turn[0] != '\0')
		runner_interrupt(s->app->runner, s->stop_agent, s->stop_turn);
	free(s);
}

static struct chat_start *
chat_start_new(struct app *app)
{
	struct chat_start *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->app = app;
	return s;
}

void
api_tell(struct api_call *c, const char *lease, const char *what)
{
	struct err err;

	if (runner_tell(c->app->runner, c->arena, c->rq->param[0], lease, what,
		&err) < 0)
		log_warn("%s", err.text);
}

/* ---- the message ---- */

static int
body_on_busy(const struct api_call *c, enum store_on_busy *out, struct err *err)
{
	static const char *const words[] = { "enqueue", "reject", "interrupt",
		"merge", "steer" };
	const char *s = "enqueue";

	if (api_body_str(c, "onBusy", 32, &s, err) < 0)
		return -1;
	for (int i = 0; i < 5; i++) {
		if (strcmp(s, words[i]) == 0) {
			*out = (enum store_on_busy)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
	    "onBusy is enqueue, reject, interrupt, merge or steer");
}

/* What it wants of the answer, for its turn: kept beside the message. */
static int
body_options(const struct api_call *c, const char **options_r, struct err *err)
{
	static const char *const names[] = { "outputSchema", "toolChoice" };
	const struct json *j;
	struct buf b;

	*options_r = NULL;
	if (output_check(c->body, err) < 0)
		return -1;
	buf_init(&b, c->arena);
	json_open(&b, NULL, '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		j = json_get(c->body, names[i]);
		if (j != NULL)
			json_add_json(&b, names[i], j);
	}
	json_close(&b, '}');
	if (b.len > 2)
		*options_r = buf_str(&b);
	return 0;
}

/* What the body of this request says: the message, all of it the arena's. */
static int
read_message(struct api_call *c, struct store_message *m, struct err *err)
{
	struct buf content;

	memset(m, 0, sizeof(*m));
	buf_init(&content, c->arena);
	if (api_body_message(c, &content, err) < 0 ||
	    body_on_busy(c, &m->on_busy, err) < 0 ||
	    body_options(c, &m->options, err) < 0)
		return -1;
	m->pinned = json_get_true(c->body, "pinned");
	m->content = content.data;
	m->content_len = content.len;
	return 0;
}

/* Whoever runs the turn that is in the way is told to stop it. */
static void
stop_running(struct api_call *c, struct chat_start *start, const char *turn,
    const char *lease)
{
	snprintf(start->stop_agent, sizeof(start->stop_agent), "%s",
	    c->rq->param[0]);
	snprintf(start->stop_turn, sizeof(start->stop_turn), "%s", turn);
	api_tell(c, lease,
	    arena_printf(c->arena, "interrupt %s %s", c->rq->param[0], turn));
}

/*
 * Keeps a message, and prepares the turn if it is to run here. The caller
 * posts start to the loop.
 */
static int
accept_message(struct api_call *c, struct store_message *m,
    struct store_accepted *acc, struct chat_start *start, struct err *err)
{
	struct app *app = c->app;
	struct api_trace trace;
	struct err no_room;

	if (api_check_drained(app, err) < 0 ||
	    api_idem_key(c, &m->idem_key, err) < 0)
		return -1;
	api_trace_begin(c, &trace);
	m->trace = trace.header;
	runner_reserve_for(app->runner, c->user, c->rq->param[0], m, &no_room);
	if (store_accept(app->store, c->arena, c->user, c->rq->param[0], m, acc,
		err) < 0) {
		if (m->room == STORE_ROOM_NOW)
			runner_release(app->runner, c->user);
		else if (m->room == STORE_ROOM_NONE &&
			 err->code == ERR_OVERLOAD)
			*err = no_room; /* it says which limit */
		limits_say_full(c, err);
		return -1;
	}
	if (acc->start == STORE_BEGIN || acc->start == STORE_RESUME)
		start->turn = turn_new(app->runner, &acc->lease, c->rq->id);
	else if (m->room == STORE_ROOM_NOW)
		runner_release(app->runner, c->user);
	if (acc->start == STORE_WAITS)
		runner_expect(app->runner);
	if (acc->start != STORE_REPEAT)
		api_trace_end(c, &trace, acc->turn);
	/* What was left in the inbox comes first: then the viewer waits. */
	start->begins = acc->start == STORE_BEGIN &&
			strcmp(acc->lease.turn, acc->turn) == 0;
	if (acc->start == STORE_QUEUED && m->on_busy == ON_BUSY_INTERRUPT)
		stop_running(c, start, acc->running, acc->holder);
	return 0;
}

/*
 * The head of a stream that begins behind an event. The id without data makes
 * that the client's cursor: a stream that is cut before its first event is
 * gone on with like any other.
 */
static void
stream_head(struct api_call *c, struct event_id after)
{
	char id[EVENT_ID_SIZE];

	c->rs->status = 200;
	c->rs->type = "text/event-stream";
	http_header_add(c->rs, "Cache-Control", "no-store, no-transform");
	http_header_add(c->rs, "X-Accel-Buffering", "no");
	/* nginx sends the head on with the first byte of the body. */
	event_id_print(id, after);
	buf_printf(&c->rs->body, ": stream\nid: %s\n\n", id);
}

int
chat_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct chat_start *s;
	struct store_accepted acc;
	struct store_message m;
	struct hub_viewer *v;

	if (api_viewer_take(c, err) < 0)
		return -1;
	s = chat_start_new(c->app);
	if (read_message(c, &m, err) < 0 ||
	    accept_message(c, &m, &acc, s, err) < 0) {
		api_viewer_drop(c);
		free(s);
		return -1;
	}
	v = &s->viewer;
	v->mode = HUB_TURN;
	snprintf(v->agent, sizeof(v->agent), "%s", c->rq->param[0]);
	snprintf(v->filter.turn, sizeof(v->filter.turn), "%s", acc.turn);
	event_id_parse(acc.after, strlen(acc.after), &v->after);
	v->over = acc.over;
	stream_head(c, v->after);
	http_header_add(c->rs, "X-Message-Id", "%s", acc.message);
	http_header_add(c->rs, "X-Turn-Id", "%s", acc.turn);
	api_viewer_detach(c, v);
	s->has_viewer = 1;
	loop_post(c->app->loop, "chat", on_chat_start, s);
	return 0;
}

/* The same without a viewer. */
static int
keep_message(struct api_call *c, struct store_message *m,
    struct store_accepted *acc, struct err *err)
{
	struct chat_start *s = chat_start_new(c->app);

	if (accept_message(c, m, acc, s, err) < 0) {
		free(s);
		return -1;
	}
	loop_post(c->app->loop, "message", on_chat_start, s);
	return 0;
}

int
messages_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_accepted acc;
	struct store_message m;

	if (read_message(c, &m, err) < 0 || keep_message(c, &m, &acc, err) < 0)
		return -1;
	http_json(c->rs, 202);
	buf_putc(b, '{');
	json_add_str(b, "messageId", acc.message);
	json_add_str(b, "turn", acc.turn);
	json_add_str(b, "after", acc.after);
	buf_putc(b, '}');
	return 0;
}

int
api_say(struct api_call *c, const char *text, struct err *err)
{
	struct store_message m = { .on_busy = ON_BUSY_ENQUEUE };
	struct store_accepted acc;
	struct buf content;

	buf_init(&content, c->arena);
	api_add_text(&content, text);
	if (api_check_message(c, content.len, err) < 0)
		return -1;
	m.content = content.data;
	m.content_len = content.len;
	return keep_message(c, &m, &acc, err);
}

int
messages_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_page page;
	int64_t limit = PAGE, from = 0, window = -1;

	if (api_query_int(c, "limit", 1, PAGE_MAX, &limit, err) < 0 ||
	    api_query_int(c, "from", -1, INT64_MAX, &from, err) < 0 ||
	    api_query_int(c, "window", 0, INT32_MAX, &window, err) < 0 ||
	    store_messages(c->app->store, c->arena, c->user, c->rq->param[0],
		from, (int)limit, window, &page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	api_add_docs(b, "messages", &page);
	json_add_int(b, "from", page.from);
	json_add_int(b, "total", page.total);
	json_add_str(b, "last", page.last);
	buf_putc(b, '}');
	if (page.from + (int64_t)page.count < page.total)
		http_header_add(c->rs, "Link",
		    "</api/agents/%s/messages?limit=%" PRId64 "&from=%" PRId64
		    ">; rel=\"next\"",
		    c->rq->param[0], limit, page.from + (int64_t)page.count);
	return 0;
}

/* ---- interrupt ---- */

static void
interrupt_body(struct buf *b, int interrupted, const char *turn)
{
	buf_putc(b, '{');
	json_add_bool(b, "interrupted", interrupted);
	if (interrupted)
		json_add_str(b, "turn", turn);
	buf_putc(b, '}');
}

/* The answer if the turn has not stopped in time, complete with its head. */
static char *
late_answer(struct api_call *c)
{
	struct http_response rs;
	struct err err;

	err_set(&err, ERR_TIMEOUT,
	    "the turn is marked and will stop, but has not within %d s",
	    INTERRUPT_WAIT_MS / 1000);
	http_response_init(&rs, c->arena);
	http_problem(&rs, c->rq, &err);
	return api_answer_text(&rs, c->rq);
}

/* Whoever waits for an interrupt is not counted as a viewer. */
static void
await_gone(void *ctx, const char *user)
{
	(void)user;
	free(ctx);
}

int
api_stop(struct api_call *c, struct err *err)
{
	const char *turn, *lease, *last;
	struct chat_start *s;
	int rc = store_interrupt(c->app->store, c->arena, c->user,
	    c->rq->param[0], &turn, &lease, &last, err);

	if (rc <= 0)
		return rc;
	s = chat_start_new(c->app);
	stop_running(c, s, turn, lease);
	loop_post(c->app->loop, "interrupt", on_chat_start, s);
	return 0;
}

int
interrupt_post(void *call, struct err *err)
{
	struct api_call *c = call;
	const char *turn, *lease, *last, *agent = c->rq->param[0];
	struct chat_start *s;
	struct hub_viewer *v;
	int rc;

	rc = store_interrupt(
	    c->app->store, c->arena, c->user, agent, &turn, &lease, &last, err);
	if (rc < 0)
		return -1;
	http_json(c->rs, 200);
	interrupt_body(&c->rs->body, rc, rc > 0 ? turn : "");
	if (rc == 0)
		return 0;
	s = chat_start_new(c->app);
	stop_running(c, s, turn, lease);
	v = &s->viewer;
	v->mode = HUB_AWAIT;
	v->late = late_answer(c);
	v->deadline_ms = INTERRUPT_WAIT_MS;
	snprintf(v->agent, sizeof(v->agent), "%s", agent);
	snprintf(v->filter.turn, sizeof(v->filter.turn), "%s", turn);
	event_id_parse(last, strlen(last), &v->after);
	api_viewer_detach(c, v);
	v->on_gone = await_gone;
	s->has_viewer = 1;
	loop_post(c->app->loop, "interrupt", on_chat_start, s);
	return 0;
}

/* ---- events ---- */

/* Names of a comma-separated query member as a mask. -1: unknown name. */
static int
query_mask(const struct api_call *c, const char *name,
    int (*lookup)(const char *, size_t), unsigned *mask_r, struct err *err)
{
	const char *s = http_query(c->rq, name);
	size_t n;
	int bit;

	*mask_r = 0;
	for (; s != NULL && *s != '\0'; s += n + (s[n] == ',')) {
		n = strcspn(s, ",");
		bit = lookup(s, n);
		if (bit < 0)
			return err_set(err, ERR_REQUEST,
			    "%s names something that does not exist", name);
		*mask_r |= 1u << bit;
	}
	return 0;
}

/* Where the viewer wants to go on: its cursor, or from now. */
static int
events_cursor(struct api_call *c, struct event_id *after, struct err *err)
{
	const char *s = http_header(c->rq, "HTTP_LAST_EVENT_ID");
	struct store_agent ag;

	if (s == NULL || *s == '\0')
		s = http_query(c->rq, "since");
	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	if (s == NULL)
		s = ag.last;
	if (event_id_parse(s, strlen(s), after) < 0)
		return err_set(err, ERR_REQUEST,
		    "Last-Event-ID and since are ids of events: EPOCH-SEQ");
	return 0;
}

static int
events_page(struct api_call *c, const struct hub_viewer *v, struct err *err)
{
	struct buf *b = &c->rs->body;
	struct store_page page;
	int64_t limit = PAGE;

	if (api_query_int(c, "limit", 1, PAGE_MAX, &limit, err) < 0 ||
	    store_events(c->app->store, c->arena, c->user, c->rq->param[0],
		v->after, (int)limit, &page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	json_open(b, "events", '[');
	for (size_t i = 0; i < page.count; i++)
		if (hub_filter_passes_json(&v->filter, page.docs[i]))
			json_add_raw(
			    b, NULL, page.docs[i], strlen(page.docs[i]));
	json_close(b, ']');
	json_add_str(b, "last", page.last);
	json_add_bool(b, "gap", page.gap);
	buf_putc(b, '}');
	return 0;
}

int
events_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct hub_viewer v;
	struct chat_start *s;

	memset(&v, 0, sizeof(v));
	if (query_mask(c, "channels", event_channel_find, &v.filter.channels,
		err) < 0 ||
	    query_mask(c, "kinds", event_kind_find, &v.filter.kinds, err) < 0 ||
	    events_cursor(c, &v.after, err) < 0)
		return -1;
	if (c->wants_json)
		return events_page(c, &v, err);
	if (api_viewer_take(c, err) < 0)
		return -1;
	v.mode = HUB_STREAM;
	snprintf(v.agent, sizeof(v.agent), "%s", c->rq->param[0]);
	stream_head(c, v.after);
	api_viewer_detach(c, &v);
	s = chat_start_new(c->app);
	s->viewer = v;
	s->has_viewer = 1;
	loop_post(c->app->loop, "viewer", on_chat_start, s);
	return 0;
}
