/* SPDX-License-Identifier: MIT */
/*
 * Begin and end of turns. A turn of the session's own agent is a query for
 * its clients; its first one brings the environment with it. Turns of
 * sub-agents are told of by their blocks alone.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "session/record.h"
#include "session/view_priv.h"

static int
is_main(const struct feed *f)
{
	return f->c == f->view->main;
}

static void
tell_status(struct feed *f, unsigned dialects)
{
	struct emit_head h = feed_session_head(f);

	emit_status(f->out, &h, &f->view->runtime, dialects);
}

/* {"NAME":"TEXT"} or, text NULL, {"NAME":NUMBER}, for W3. */
static void
tell_w3(struct feed *f, const char *type, const char *name, const char *text,
    int64_t number)
{
	struct emit_head h = feed_session_head(f);
	struct buf b;

	buf_init(&b, f->out->arena);
	json_open(&b, NULL, '{');
	if (text != NULL)
		json_add_str(&b, name, text);
	else
		json_add_int(&b, name, number);
	json_close(&b, '}');
	emit_w3(f->out, &h, type, b.data);
}

/* ---- begin ---- */

static void
env_step(struct feed *f, const char *message)
{
	struct session_view *v = f->view;

	snprintf(v->env_message, sizeof(v->env_message), "%s", message);
	v->runtime.env_checked_ms = f->time_ms;
	tell_status(f, SESSION_ALL);
}

static void
env_begin(struct feed *f)
{
	f->view->runtime.env = SESSION_ENV_STARTING;
	f->view->runtime.env_message = f->view->env_message;
	tell_w3(f, "ee:creating", "statusMessage", "Preparing...", 0);
	env_step(f, "Preparing...");
}

/* What it is made of is there as soon as a command or a file wants it. */
static void
env_ready(struct feed *f)
{
	struct session_view *v = f->view;

	env_step(f, "Creating sandbox container...");
	v->runtime.env_id = v->env_id;
	env_step(f, "Setting up session files...");
	env_step(f, "Initializing file watchers...");
	v->runtime.env = SESSION_ENV_READY;
	tell_w3(f, "ee:ready", "eeId", v->env_id, 0);
	env_step(f, "Ready");
}

/* What the query is, in a line. */
static const char *
message_text(struct feed *f)
{
	const struct json *first = json_first(json_get(f->event, "content"));
	const char *text = json_get_str(first, "text");

	return text == NULL ? "" : text;
}

static void
query_begin(struct feed *f)
{
	struct session_view *v = f->view;
	int env = v->runtime.env;

	v->runtime.loaded = 1;
	if (env != SESSION_ENV_READY)
		env_begin(f);
	v->runtime.query_ms = f->time_ms > 0 ? f->time_ms : 1;
	tell_w3(f, "query:started", "message", message_text(f), 0);
	tell_status(f, SESSION_W3);
	if (env != SESSION_ENV_READY)
		env_ready(f);
}

static void
turn_set(struct feed *f)
{
	struct conversation *c = f->c;

	snprintf(c->turn, sizeof(c->turn), "%.60s", f->turn);
	c->began_ms = f->time_ms;
	c->calls = NULL;
	c->failure = c->failure_code = NULL;
	c->input = c->output = c->cached = c->cache_write = 0;
	c->reasoning = c->cost = 0;
	c->uses = c->priced = 0;
	c->model[0] = '\0';
	c->step = 0;
	arena_reset(c->turn_arena);
}

void
turn_see(struct feed *f)
{
	struct conversation *c = f->c;

	if (strcmp(c->turn, f->turn) == 0)
		return;
	answer_end(f, NULL);
	c->known = 0; /* nor was the begin of its answer seen */
	turn_set(f);
	if (is_main(f) && f->view->runtime.query_ms == 0)
		f->view->runtime.query_ms = f->time_ms > 0 ? f->time_ms : 1;
}

int
turn_message(struct feed *f)
{
	const char *id = json_get_str(f->event, "messageId");
	struct emit_head h = feed_head(f);
	struct block k;

	answer_end(f, NULL);
	if (strcmp(f->c->turn, f->turn) != 0) {
		subagents_close(f);
		turn_set(f);
		if (is_main(f))
			query_begin(f);
	}
	if (!is_main(f) || id == NULL)
		return 0;
	k = block_make(BLOCK_USER_MESSAGE, id, f->time_ms);
	k.content = json_get(f->event, "content");
	emit_block_start(f->out, &h, &k);
	emit_block_complete(f->out, &h, &k);
	return 0;
}

/* ---- what it uses ---- */

static int64_t
count_of(const struct json *event, const char *name)
{
	int64_t n;

	return json_get_int(event, name, &n) && n > 0 && n < INT64_C(1) << 48
		   ? n
		   : 0;
}

static void
add_usage(struct buf *b, const struct conversation *c)
{
	json_open(b, "usage", '{');
	json_add_int(b, "inputTokens", c->input);
	json_add_int(b, "outputTokens", c->output);
	if (c->cached > 0)
		json_add_int(b, "cacheReadTokens", c->cached);
	if (c->cache_write > 0)
		json_add_int(b, "cacheWriteTokens", c->cache_write);
	if (c->reasoning > 0)
		json_add_int(b, "thinkingTokens", c->reasoning);
	json_add_int(b, "totalTokens", c->input + c->output);
	json_close(b, '}');
}

/* Clients merge shallowly: usage is always whole, of the turn so far. */
static void
tell_usage(struct feed *f, int final)
{
	const struct conversation *c = f->c;
	struct emit_head h = feed_head(f);
	struct buf b;

	buf_init(&b, f->out->arena);
	json_open(&b, NULL, '{');
	add_usage(&b, c);
	if (final)
		json_add_billionths(&b, "costUSD", c->cost);
	if (c->model[0] != '\0')
		json_add_str(&b, "model", c->model);
	json_close(&b, '}');
	emit_metadata(f->out, &h, b.data, b.len);
}

/* Input is told without what was read from or written to the cache. */
int
turn_usage(struct feed *f)
{
	struct conversation *c = f->c;
	const char *model = json_get_str(f->event, "model");
	int64_t input = count_of(f->event, "input"),
		cached = count_of(f->event, "cached"),
		written = count_of(f->event, "cacheWrite");
	double cost;

	answer_end(f, model);
	if (cached + written <= input)
		input -= cached + written;
	c->input += input;
	c->output += count_of(f->event, "output");
	c->cached += cached;
	c->cache_write += written;
	c->reasoning += count_of(f->event, "reasoning");
	c->uses++;
	if (json_double(json_get(f->event, "cost"), &cost) && cost >= 0 &&
	    cost < 1e6) {
		c->cost += (int64_t)(cost * 1e9 + 0.5);
		c->priced++;
	}
	if (model != NULL) {
		snprintf(c->model, sizeof(c->model), "%.120s", model);
		json_utf8_mend(c->model);
	}
	tell_usage(f, 0);
	return 0;
}

/* ---- end ---- */

int
turn_error(struct feed *f)
{
	const char *message = json_get_str(f->event, "message");

	answer_end(f, NULL);
	f->c->failure = arena_strdup(
	    f->c->turn_arena, message == NULL ? "the turn failed" : message);
	f->c->failure_code = arena_strdup(
	    f->c->turn_arena, record_failure_code(f->out->arena, f->event));
	return 0;
}

/* Ends that are a failure for whoever has asked. */
static const struct {
	const char *reason, *code, *text, *name;
} ends[] = {
	{ "error", "TURN_FAILED", "the turn failed", NULL },
	{ "limit", "LIMIT_REACHED", "the turn has reached a limit", "limit" },
	{ "budget", "BUDGET_USED_UP", "a budget is used up", "budget" },
};

static int
end_find(const char *reason)
{
	for (int i = 0; i < (int)(sizeof(ends) / sizeof(ends[0])); i++)
		if (strcmp(ends[i].reason, reason) == 0)
			return i;
	return -1;
}

static void
tell_failure(struct feed *f, int end)
{
	struct emit_head h = feed_session_head(f);
	const char *text = f->c->failure, *code = f->c->failure_code,
		   *name = ends[end].name == NULL
			       ? NULL
			       : json_get_str(f->event, ends[end].name);

	if (text == NULL) {
		code = ends[end].code;
		text = name == NULL ? ends[end].text
				    : arena_printf(f->out->arena, "%s: %.100s",
					  ends[end].text, name);
	}
	emit_failure(f->out, &h, text, code);
}

static void
query_end(struct feed *f, const char *reason)
{
	struct session_view *v = f->view;
	int64_t ms = f->time_ms - f->c->began_ms;
	int end = end_find(reason);

	if (end >= 0)
		tell_failure(f, end);
	else
		tell_w3(f, "query:completed", "durationMs", NULL,
		    f->c->turn[0] != '\0' && ms > 0 ? ms : 0);
	v->runtime.query_ms = 0;
	tell_status(f, SESSION_W3);
	tell_w3(f, "session:idle", "sessionId", v->session, 0);
}

int
turn_done(struct feed *f)
{
	const char *reason = json_get_str(f->event, "reason");
	struct conversation *c = f->c;

	if (reason == NULL)
		reason = "";
	if (strcmp(reason, "withdrawn") == 0)
		return 0; /* of a turn that never began */
	answer_end(f, NULL);
	if (c->uses > 0 && c->priced == c->uses)
		tell_usage(f, 1);
	if (is_main(f))
		query_end(f, reason);
	c->turn[0] = '\0';
	c->uses = 0;
	c->done = !is_main(f);
	if (!is_main(f))
		subagent_close(f, c);
	return 0;
}
