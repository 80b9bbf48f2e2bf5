/* SPDX-License-Identifier: MIT */
/*
 * A session's room: events in, what sockets are told out.
 *
 * Conversations are the session's own agent and its sub-agents, each with a
 * log of its own; they go side by side. Within one all is in order: while the
 * record of a call is fetched its later events are kept behind the one that
 * needs it, and no other conversation waits.
 *
 * No state is kept that the log does not give again: a process that starts
 * anew feeds the events of the turn that runs quietly, and goes on.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "session/view_priv.h"

#define ARENA_BYTES 1024

struct emit_head
feed_head(const struct feed *f)
{
	return (struct emit_head){ f->view->session, f->c->id, f->time_ms };
}

struct emit_head
feed_session_head(const struct feed *f)
{
	return (struct emit_head){ f->view->session, NULL, f->time_ms };
}

/* ---- conversations ---- */

/* The first that is kept, out of the list; NULL: none is. */
static struct kept *
kept_pop(struct conversation *c)
{
	struct kept *k = c->kept;

	if (k == NULL)
		return NULL;
	c->kept = k->next;
	c->kept_bytes -= k->len;
	c->wants[0] = '\0';
	return k;
}

static void
kept_push_first(struct conversation *c, struct kept *k)
{
	if (c->kept == NULL)
		c->last_kept = k;
	k->next = c->kept;
	c->kept = k;
	c->kept_bytes += k->len;
}

static void
kept_push(struct conversation *c, struct kept *k)
{
	if (c->kept == NULL) {
		kept_push_first(c, k);
		return;
	}
	c->last_kept->next = k;
	c->last_kept = k;
	c->kept_bytes += k->len;
}

static struct kept *
kept_new(const char *json, size_t len, int flags)
{
	struct kept *k = malloc(sizeof(*k) + len);

	if (k == NULL)
		abort();
	k->next = NULL;
	k->len = len;
	k->flags = flags;
	memcpy(k->json, json, len);
	return k;
}

static struct conversation *
conversation_make(const char *agent, const char *id)
{
	struct conversation *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	snprintf(c->agent, sizeof(c->agent), "%s", agent);
	snprintf(c->id, sizeof(c->id), "%s", id);
	c->turn_arena = arena_open(ARENA_BYTES);
	c->step_arena = arena_open(ARENA_BYTES);
	c->duration_ms = -1;
	buf_init(&c->text, NULL);
	buf_init(&c->report, NULL);
	return c;
}

static void
conversation_free(struct conversation *c)
{
	struct kept *k;

	while ((k = kept_pop(c)) != NULL)
		free(k);
	arena_close(&c->turn_arena);
	arena_close(&c->step_arena);
	buf_fini(&c->text);
	buf_fini(&c->report);
	free(c);
}

struct conversation *
conversation_new(struct session_view *v, const char *agent, const char *id)
{
	struct conversation *c = conversation_make(agent, id);

	c->next = v->children;
	v->children = c;
	v->child_count++;
	return c;
}

struct conversation *
conversation_find(const struct session_view *v, const char *agent)
{
	struct conversation *c = v->children;

	if (strcmp(v->main->agent, agent) == 0)
		return v->main;
	while (c != NULL && strcmp(c->agent, agent) != 0)
		c = c->next;
	return c;
}

void
conversation_drop(struct session_view *v, struct conversation *c)
{
	struct conversation **p = &v->children;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	v->child_count--;
	conversation_free(c);
}

struct session_view *
session_view_new(const char *session, const char *agent,
    const struct session_runtime *runtime)
{
	struct session_view *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	snprintf(v->session, sizeof(v->session), "%s", session);
	snprintf(v->env_id, sizeof(v->env_id), "%s",
	    runtime->env_id == NULL ? session : runtime->env_id);
	snprintf(v->env_message, sizeof(v->env_message), "%s",
	    runtime->env_message == NULL ? "" : runtime->env_message);
	v->runtime = *runtime;
	if (runtime->env_id != NULL)
		v->runtime.env_id = v->env_id;
	if (runtime->env_message != NULL)
		v->runtime.env_message = v->env_message;
	v->main = conversation_make(agent, "main");
	return v;
}

void
session_view_free(struct session_view **v_p)
{
	struct session_view *v = *v_p;
	struct conversation *c, *next;

	*v_p = NULL;
	if (v == NULL)
		return;
	for (c = v->children; c != NULL; c = next) {
		next = c->next;
		conversation_free(c);
	}
	conversation_free(v->main);
	free(v);
}

/* ---- what each event does ---- */

static const char *
text_of(const struct feed *f)
{
	const char *text = json_get_str(f->event, "text");

	return text == NULL ? "" : text;
}

static int
on_think(struct feed *f)
{
	answer_add(f, BLOCK_THINKING, text_of(f));
	return 0;
}

static int
on_text(struct feed *f)
{
	answer_add(f, BLOCK_ASSISTANT_TEXT, text_of(f));
	return 0;
}

static int
on_reset(struct feed *f)
{
	answer_reset(f);
	return 0;
}

/* Behind what the answer said there is nothing more of it. */
static int
on_boundary(struct feed *f)
{
	answer_end(f, NULL);
	return 0;
}

static int
on_gap(struct feed *f)
{
	answer_forget(f);
	return 0;
}

static int
on_file(struct feed *f)
{
	const char *path = json_get_str(f->event, "path"),
		   *change = json_get_str(f->event, "change");

	if (path != NULL && change != NULL && !f->quiet)
		session_view_file(f->view, change, path, f->time_ms, f->out);
	return 0;
}

/* What is no part of a conversation, in a line. */
static int
on_log(struct feed *f)
{
	const char *kind = json_get_str(f->event, "kind"),
		   *message = json_get_str(f->event, "message"),
		   *name = json_get_str(json_get(f->event, "call"), "name");
	int asks = strcmp(kind, "permission_required") == 0;
	struct emit_head h = feed_head(f);

	if (message == NULL)
		message = name;
	emit_log(f->out, &h, asks ? "info" : "warn",
	    arena_printf(f->out->arena, "%s%s%s", kind,
		message == NULL ? "" : ": ", message == NULL ? "" : message));
	return 0;
}

static const struct {
	int (*fn)(struct feed *f);
	int of_turn; /* it shows that its turn runs */
} handlers[EVENT_KINDS] = {
	[EVENT_MESSAGE_ACCEPTED] = { turn_message, 0 },
	[EVENT_TURN_START] = { on_boundary, 1 },
	[EVENT_THINK_CHUNK] = { on_think, 1 },
	[EVENT_TEXT_CHUNK] = { on_text, 1 },
	[EVENT_STREAM_RESET] = { on_reset, 1 },
	[EVENT_TOOL_START] = { call_start, 1 },
	[EVENT_TOOL_COMPLETE] = { call_complete, 1 },
	[EVENT_SUBAGENT_START] = { subagent_start, 1 },
	[EVENT_TOKEN_USAGE] = { turn_usage, 1 },
	[EVENT_STEP_COMPLETE] = { on_boundary, 1 },
	[EVENT_ERROR] = { turn_error, 1 },
	[EVENT_DONE] = { turn_done, 0 },
	[EVENT_FILE_CHANGED] = { on_file, 0 },
	[EVENT_PERMISSION_REQUIRED] = { on_log, 0 },
	[EVENT_RETRY] = { on_log, 0 },
	[EVENT_MODEL_FALLBACK] = { on_log, 0 },
	[EVENT_BUDGET_WARNING] = { on_log, 0 },
	[EVENT_TOOLS_UNAVAILABLE] = { on_log, 0 },
	[EVENT_GAP] = { on_gap, 0 },
};

/* 0, FEED_WAITS, or -1: it is no event. The conversation may be gone then. */
static int
dispatch(struct feed *f)
{
	const char *name = json_get_str(f->event, "kind");
	int kind = name == NULL ? -1 : event_kind_find(name, strlen(name));
	int64_t step = 0;

	if (kind < 0 || handlers[kind].fn == NULL)
		return 0;
	f->turn = json_get_str(f->event, "turn");
	json_get_int(f->event, "time", &f->time_ms);
	json_get_int(f->event, "step", &step);
	f->step = step > 0 && step < 1000000 ? (int)step : 0;
	if (f->turn == NULL)
		f->turn = "";
	if (*f->turn == '\0' && kind != EVENT_GAP)
		return 0; /* of no turn: a notice to who watches */
	if (handlers[kind].of_turn)
		turn_see(f);
	return handlers[kind].fn(f);
}

/* ---- events that wait ---- */

static void
want_record(struct feed *f)
{
	const char *id = json_get_str(json_get(f->event, "call"), "id");

	snprintf(f->c->wants, sizeof(f->c->wants), "%s", id);
	session_out_want(
	    f->out, &(struct session_want){ .kind = SESSION_WANT_RECORD,
			.agent = f->c->agent,
			.id = f->c->wants });
}

/* One event of a conversation: 0, FEED_WAITS, -1. */
static int
take(struct feed *f, const char *json, size_t len, int flags, struct err *err)
{
	unsigned dialects = f->out->dialects;
	int rc;

	f->event = json_parse(f->out->arena, json, len, JSON_DEPTH_MAX, NULL);
	if (!json_is(f->event, JSON_OBJECT))
		return err_set(err, ERR_STORE, "an event is damaged");
	f->quiet = (flags & SESSION_QUIET) != 0;
	if (f->quiet)
		f->out->dialects = 0;
	rc = dispatch(f);
	f->out->dialects = dialects;
	return rc;
}

/* What was kept, until another record is wanted. The first is the event that
 * needed this one. */
static void
take_kept(struct session_view *v, const char *agent, const struct json *record,
    struct session_out *out)
{
	struct feed f = { .view = v, .out = out, .record = record };
	struct kept *k;

	f.without = record == NULL;
	while ((f.c = conversation_find(v, agent)) != NULL &&
	       (k = kept_pop(f.c)) != NULL) {
		if (take(&f, k->json, k->len, k->flags, NULL) == FEED_WAITS) {
			kept_push_first(f.c, k);
			want_record(&f);
			return;
		}
		free(k);
		f.record = NULL;
		f.without = 0;
	}
}

int
session_view_feed(struct session_view *v, const char *agent, const char *json,
    size_t len, int flags, struct session_out *out, struct err *err)
{
	struct feed f = { .view = v, .out = out };
	struct event_id id;
	int rc;

	f.c = conversation_find(v, agent);
	if (f.c == NULL)
		return 0;
	if (event_json_id(json, len, &id) == 0) {
		if (event_id_cmp(id, f.c->last) <= 0)
			return 0;
		f.c->last = id;
	}
	if (f.c->kept != NULL) {
		kept_push(f.c, kept_new(json, len, flags));
		if (f.c->kept_bytes > SESSION_KEPT_BYTES)
			take_kept(v, agent, NULL, out);
		return 0;
	}
	rc = take(&f, json, len, flags, err);
	if (rc == FEED_WAITS) {
		kept_push(f.c, kept_new(json, len, flags));
		want_record(&f);
	}
	return rc < 0 ? -1 : 0;
}

void
session_view_record(struct session_view *v, const char *agent, const char *call,
    const char *json, size_t len, struct session_out *out)
{
	struct conversation *c = conversation_find(v, agent);
	const struct json *record =
	    json == NULL
		? NULL
		: json_parse(out->arena, json, len, JSON_DEPTH_MAX, NULL);

	if (c == NULL || c->kept == NULL || strcmp(c->wants, call) != 0)
		return; /* it went on without */
	if (!json_is(record, JSON_OBJECT))
		record = NULL;
	take_kept(v, agent, record, out);
}

/* ---- from outside ---- */

void
session_view_gone(
    struct session_view *v, const char *agent, struct session_out *out)
{
	struct conversation *c = conversation_find(v, agent);
	struct feed f = { .view = v, .c = c, .out = out };

	if (c == NULL || c == v->main)
		return;
	while (c != NULL && c->kept != NULL) {
		take_kept(v, agent, NULL, out);
		c = conversation_find(v, agent);
	}
	if (c == NULL)
		return;
	f.c = c;
	f.time_ms = c->block_ms > c->began_ms ? c->block_ms : c->began_ms;
	f.turn = c->turn;
	answer_end(&f, NULL);
	c->done = 1;
	subagent_close(&f, c);
}

void
session_view_status(
    const struct session_view *v, int64_t now_ms, struct session_out *out)
{
	struct emit_head h = { v->session, NULL, now_ms };

	emit_status(out, &h, &v->runtime, SESSION_ALL);
}

/* 1 if there was one. */
static int
env_end(struct session_view *v, const char *reason, int64_t now_ms,
    struct session_out *out)
{
	struct emit_head h = { v->session, NULL, now_ms };
	struct buf b;

	if (v->runtime.env == SESSION_ENV_NONE)
		return 0;
	v->runtime.env = SESSION_ENV_NONE;
	v->runtime.env_id = v->runtime.env_message = NULL;
	buf_init(&b, out->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "reason", reason);
	json_close(&b, '}');
	emit_w3(out, &h, "ee:terminated", b.data);
	return 1;
}

void
session_view_loaded(struct session_view *v, int loaded, const char *reason,
    int64_t now_ms, struct session_out *out)
{
	int changed = v->runtime.loaded != loaded;

	v->runtime.loaded = loaded;
	if (!loaded)
		changed |= env_end(v, reason, now_ms, out);
	if (changed)
		session_view_status(v, now_ms, out);
}

void
session_view_env_ended(struct session_view *v, const char *reason,
    int64_t now_ms, struct session_out *out)
{
	if (env_end(v, reason, now_ms, out))
		session_view_status(v, now_ms, out);
}

void
session_view_file(const struct session_view *v, const char *change,
    const char *path, int64_t now_ms, struct session_out *out)
{
	struct emit_head h = { v->session, NULL, now_ms };

	if (strcmp(change, "deleted") == 0)
		emit_file(out, &h, change, path, NULL, 0);
	else
		session_out_want(
		    out, &(struct session_want){ .kind = SESSION_WANT_FILE,
			     .agent = v->main->agent,
			     .id = path,
			     .change = change });
}

const struct session_runtime *
session_view_runtime(const struct session_view *v)
{
	return &v->runtime;
}
