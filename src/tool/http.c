/* SPDX-License-Identifier: MIT */
/* Tools over HTTP: see http.h. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "net/webhook.h"
#include "tool/http.h"

#define ANSWER_DEPTH 48

static void
body_build(struct buf *b, const struct tool_run *r)
{
	json_open(b, NULL, '{');
	json_add_str(b, "type", "tool_call");
	json_add_str(b, "id", r->call);
	json_add_str(b, "tool", r->tool->name);
	json_add_json(b, "input", r->args);
	json_add_str(b, "agent", r->agent);
	json_add_str(b, "user", r->user);
	json_add_str(b, "turn", r->turn);
	json_close(b, '}');
}

/* What an answer says went wrong, in the words of its document. */
static const char *
complaint(struct tool_run *r, const struct json *j, int status)
{
	static const char *const names[] = { "error", "detail", "message",
		"title" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_get_str(j, names[i]) != NULL)
			return json_get_str(j, names[i]);
	return arena_printf(r->arena, "the tool answered %d", status);
}

static void
take_data(struct tool_run *r, const struct json *j)
{
	const struct json *ok = json_get(j, "ok");

	if (json_is(ok, JSON_BOOL) && !json_bool(ok)) {
		tool_run_fail(r, TOOL_ERROR_LOGICAL, complaint(r, j, 200));
		return;
	}
	if (json_is(ok, JSON_BOOL))
		j = json_get(j, "data");
	if (j != NULL)
		json_print(&r->data, j);
	tool_run_end(r);
}

static void
take_text(struct tool_run *r, const struct buf *text)
{
	if (memchr(text->data, '\0', text->len) != NULL ||
	    json_utf8_whole(text->data, text->len) != text->len) {
		tool_run_fail(r, TOOL_ERROR_EXCEPTION,
		    "the tool's answer is neither JSON nor text");
		return;
	}
	json_add_strn(&r->data, NULL, text->data, text->len);
	tool_run_end(r);
}

static void
take_status(struct tool_run *r, const struct webhook *w, const struct json *j)
{
	int busy = w->status == 408 || w->status == 425 || w->status == 429;
	int logical = w->status >= 400 && w->status < 500 && !busy;
	const char *why = w->status < 400 ? "redirects are not followed"
					  : complaint(r, j, w->status);

	tool_run_fail(
	    r, logical ? TOOL_ERROR_LOGICAL : TOOL_ERROR_EXCEPTION, why);
}

/* No answer. */
static void
take_failure(struct tool_run *r, const struct webhook *w)
{
	enum tool_error type = TOOL_ERROR_EXCEPTION;

	if (w->err.code == ERR_TIMEOUT)
		type = TOOL_ERROR_TIMEOUT;
	if (w->err.code == ERR_CANCELLED)
		type = TOOL_ERROR_ABORTED;
	tool_run_fail(r, type, w->err.text);
}

static void
on_answer(void *ctx, struct webhook *w)
{
	struct tool_run *r = ctx;
	const struct json *j = NULL;

	if (w->err.code != ERR_NONE) {
		take_failure(r, w);
		return;
	}
	if (w->answer.len > 0)
		j = json_parse(r->arena, w->answer.data, w->answer.len,
		    ANSWER_DEPTH, NULL);
	if (w->status < 200 || w->status > 299)
		take_status(r, w, j);
	else if (j != NULL)
		take_data(r, j);
	else if (w->answer.len == 0)
		tool_run_end(r);
	else
		take_text(r, &w->answer);
}

static void
http_start(struct tool_run *r)
{
	struct webhook *w = arena_new(r->arena, struct webhook);
	const struct tool_http *http = r->tool->http;
	struct buf body;

	buf_init(&body, r->arena);
	body_build(&body, r);
	*w = (struct webhook){
		.arena = r->arena,
		.url = http->url,
		.id = r->call,
		.traceparent = r->traceparent,
		.body = body.data,
		.len = body.len,
		.timeout_ms = http->timeout_ms,
		.max_bytes = http->max_bytes,
		.on_end = on_answer,
		.ctx = r,
	};
	r->own = w;
	webhook_start(r->host->webhooks, w);
}

static void
http_cancel(struct tool_run *r)
{
	webhook_cancel(r->own);
}

const struct tool_kind http_kind = { http_start, http_cancel };
