/* SPDX-License-Identifier: MIT */
/*
 * Hooks: the site's own code, asked over HTTP before a tool runs, after it,
 * and before the model is called. A hook that does not answer counts as its
 * template says; by default it denies.
 *
 * Requests are {"type":"pre_tool"|"post_tool"|"pre_model","agent","user",
 * "turn","step", ...}. docs/hooks.md has the answers.
 */
#include "config.h"

#include <string.h>

#include "agent/templates.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "net/webhook.h"

#define ANSWER_MAX_BYTES (1024 * 1024)
#define ANSWER_DEPTH 48

static const struct hook *
hook_of(struct turn *t, enum hook_kind kind)
{
	static const struct hook none = { NULL, 0, HOOK_DENIES };
	const struct agent_template *template = turn_tools(t)->template;

	return template == NULL ? &none : &template->hooks[kind];
}

int
turn_has_hook(struct turn *t, enum hook_kind kind)
{
	return hook_of(t, kind)->url != NULL;
}

/* ---- asking ---- */

static void
body_begin(struct buf *b, struct turn *t, const char *type)
{
	json_open(b, NULL, '{');
	json_add_str(b, "type", type);
	json_add_str(b, "agent", t->lease.agent);
	json_add_str(b, "user", t->lease.user);
	json_add_str(b, "turn", t->turn);
	json_add_int(b, "step", t->step);
}

static void
add_call(struct buf *b, const struct turn_call *c)
{
	json_open(b, "call", '{');
	json_add_str(b, "id", c->id);
	json_add_str(b, "name", c->name);
	json_add_json(b, "input", c->args);
	json_close(b, '}');
}

static void
ask(struct turn *t, struct webhook *w, enum hook_kind kind, struct arena *a,
    const char *id, struct buf *body)
{
	const struct hook *hook = hook_of(t, kind);

	json_close(body, '}');
	w->arena = a;
	w->url = hook->url;
	w->id = id;
	w->traceparent = t->meter.trace.header;
	w->body = body->data;
	w->len = body->len;
	w->timeout_ms = hook->timeout_ms;
	w->max_bytes = ANSWER_MAX_BYTES;
	webhook_start(t->runner->parts.tools.webhooks, w);
}

/* What a hook said: a JSON object, or NULL if it failed. 204 is {}. */
static const struct json *
answer_of(const struct webhook *w)
{
	static const char empty[] = "{}";
	const struct json *j = NULL;

	if (w->err.code == ERR_NONE && w->status == 204)
		return json_parse(w->arena, empty, 2, 1, NULL);
	if (w->err.code == ERR_NONE && w->status / 100 == 2 &&
	    w->answer.len > 0)
		j = json_parse(w->arena, w->answer.data, w->answer.len,
		    ANSWER_DEPTH, NULL);
	if (json_is(j, JSON_OBJECT))
		return j;
	if (w->err.code == ERR_NONE)
		log_warn("hook %s answered %d, and no JSON object", w->url,
		    w->status);
	else if (w->err.code != ERR_CANCELLED)
		log_warn("hook %s: %s", w->url, w->err.text);
	return NULL;
}

/* ---- before a tool ---- */

static void
pre_decide(struct turn_call *c, const struct json *j)
{
	const char *decision = json_get_str(j, "decision");
	const char *reason = json_get_str(j, "reason");

	if (json_get(j, "result") != NULL) {
		call_finish(c, json_get(j, "result"), "hook provided result");
	} else if (decision == NULL || strcmp(decision, "allow") == 0) {
		call_go_on(c);
	} else if (strcmp(decision, "ask") == 0) {
		call_ask(c, reason != NULL ? reason : "a hook asks");
	} else { /* what is no word of ours denies */
		c->reason = reason != NULL ? reason : "Denied by hook";
		call_fail(
		    c, CALL_DENIED, TOOL_ERROR_LOGICAL, c->reason, "hook deny");
	}
}

static void
pre_failed(struct turn_call *c)
{
	switch (hook_of(c->turn, HOOK_PRE_TOOL)->on_failure) {
	case HOOK_ALLOWS:
		call_go_on(c);
		return;
	case HOOK_ASKS:
		call_ask(c, "the hook that decides did not answer");
		return;
	case HOOK_DENIES:
		break;
	}
	c->reason = "the hook that decides did not answer";
	call_fail(c, CALL_DENIED, TOOL_ERROR_EXCEPTION,
	    "Denied: the hook that decides did not answer", "hook failed");
}

static void
on_pre_tool(void *ctx, struct webhook *w)
{
	struct turn_call *c = ctx;
	const struct json *j = answer_of(w);

	c->hooking = 0;
	if (c->turn->stop != STOP_NO)
		return; /* it is sealed */
	if (j != NULL)
		pre_decide(c, j);
	else
		pre_failed(c);
	if (!c->turn->busy)
		turn_wake(c->turn, TURN_TOOLS);
}

void
call_ask_pre_hook(struct turn_call *c)
{
	struct arena *a = c->turn->round;
	struct buf body;

	buf_init(&body, a);
	body_begin(&body, c->turn, "pre_tool");
	add_call(&body, c);
	c->hooking = 1;
	c->hook = (struct webhook){ .on_end = on_pre_tool, .ctx = c };
	ask(c->turn, &c->hook, HOOK_PRE_TOOL, a,
	    arena_printf(a, "%s.pre", c->id), &body);
}

/* ---- after a tool ---- */

static void
post_replace(struct turn_call *c, const struct json *j)
{
	if (json_get_str(j, "error") != NULL)
		call_fail(c, CALL_FAILED, TOOL_ERROR_LOGICAL,
		    json_get_str(j, "error"), "hook replaced result");
	else if (json_get(j, "result") != NULL)
		call_finish(c, json_get(j, "result"), "hook replaced result");
	else
		call_take_result(c);
}

static void
on_post_tool(void *ctx, struct webhook *w)
{
	struct turn_call *c = ctx;
	struct turn *t = c->turn;
	const struct json *j = answer_of(w);

	c->hooking = 0;
	c->running = 0;
	if (j != NULL)
		post_replace(c, j);
	else if (hook_of(t, HOOK_POST_TOOL)->on_failure == HOOK_DENIES)
		call_fail(c, CALL_FAILED, TOOL_ERROR_EXCEPTION,
		    "The tool has run, and its result is withheld: the hook "
		    "that must see it did not answer",
		    "hook failed");
	else
		call_take_result(c);
	if (!t->busy)
		turn_wake(t, TURN_TOOLS);
}

void
call_ask_post_hook(struct turn_call *c)
{
	struct arena *a = c->turn->round;
	struct buf body;

	buf_init(&body, a);
	body_begin(&body, c->turn, "post_tool");
	add_call(&body, c);
	json_add_raw(&body, "result", c->result, strlen(c->result));
	c->hooking = 1;
	c->hook = (struct webhook){ .on_end = on_post_tool, .ctx = c };
	ask(c->turn, &c->hook, HOOK_POST_TOOL, a,
	    arena_printf(a, "%s.post", c->id), &body);
}

void
call_cancel_hook(struct turn_call *c)
{
	if (c->hooking)
		webhook_cancel(&c->hook);
}

/* ---- before the model ---- */

static void
on_pre_model(void *ctx, struct webhook *w)
{
	struct turn *t = ctx;
	const struct json *j = answer_of(w);

	t->hook = NULL;
	t->extra = json_get_str(j, "text");
	if (t->extra == NULL)
		t->extra = "";
	if (t->stop != STOP_NO)
		turn_wake(t, turn_stopped_step(t));
	else if (j == NULL &&
		 hook_of(t, HOOK_PRE_MODEL)->on_failure == HOOK_DENIES)
		turn_wake(t, turn_fail(t, "hook",
				 "the hook before the model did not answer"));
	else
		turn_wake(t, TURN_PRE_MODEL);
}

/* The last message of the history, as the model gets it. */
static void
add_last_message(struct buf *b, const struct history *h)
{
	size_t len;
	const char *last = history_last(h, &len);

	if (last != NULL) /* else it was taken back */
		json_add_raw(b, "last", last, len);
}

enum turn_step
turn_ask_model_hook(struct turn *t)
{
	struct webhook *w = arena_new(t->arena, struct webhook);
	struct buf body;

	buf_init(&body, t->arena);
	body_begin(&body, t, "pre_model");
	add_last_message(&body, t->history);
	*w = (struct webhook){ .on_end = on_pre_model, .ctx = t };
	t->hook = w;
	ask(t, w, HOOK_PRE_MODEL, t->arena,
	    arena_printf(t->arena, "%s.%d.model", t->turn, t->step), &body);
	return TURN_WAITS;
}
