/* SPDX-License-Identifier: MIT */
/* Runs of tools, and what the model is told of how they ended. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "tool/fs.h"
#include "tool/tool.h"

static const struct {
	const char *name;
	int retryable;
	const char *advice[2];
} errors[] = {
	[TOOL_ERROR_NONE] = { "none", 0, { NULL, NULL } },
	[TOOL_ERROR_VALIDATION] = { "validation", 0,
	    { "Check the arguments against the tool's schema",
		"Call the tool again with valid arguments" } },
	[TOOL_ERROR_LOGICAL] = { "logical", 0,
	    { "Read the error and change the arguments",
		"Try another way to reach the goal" } },
	[TOOL_ERROR_TIMEOUT] = { "timeout", 1,
	    { "Ask for less at a time",
		"Check whether the action took effect before trying again" } },
	[TOOL_ERROR_ABORTED] = { "aborted", 0,
	    { "Check for possible side effects of the tool",
		"Confirm external system state before retrying" } },
	[TOOL_ERROR_EXCEPTION] = { "exception", 1,
	    { "Try again once", "Tell the user if it fails again" } },
};

void
tool_run_start(struct tool_run *r)
{
	buf_init(&r->data, r->arena);
	r->tool->kind->start(r);
}

void
tool_run_cancel(struct tool_run *r)
{
	if (r->keeping != NULL)
		fs_keep_cancel(r);
	else if (!r->ended && r->tool->kind->cancel != NULL)
		r->tool->kind->cancel(r);
}

void
tool_run_end(struct tool_run *r)
{
	if (r->failed == TOOL_ERROR_NONE && r->data.len > r->max_bytes &&
	    !r->asked_to_keep && r->host->sandbox != NULL) {
		r->asked_to_keep = 1;
		fs_keep_start(r);
		return;
	}
	r->ended = 1;
	r->on_end(r->ctx, r);
}

const char *
tool_data_text(const struct tool_run *r, size_t *len_r)
{
	const struct json *j = NULL;
	const char *text = r->data.data;

	if (r->data.len > 0 && *text == '"')
		j = json_parse(r->arena, text, r->data.len, 1, NULL);
	if (json_str(j) != NULL)
		text = json_str(j);
	*len_r = text == r->data.data ? r->data.len : strlen(text);
	return text;
}

void
tool_run_fail(struct tool_run *r, enum tool_error type, const char *error)
{
	r->failed = type;
	r->error = arena_strdup(r->arena, error);
	tool_run_end(r);
}

void
tool_envelope_failed(struct buf *out, enum tool_error type, const char *error)
{
	json_open(out, NULL, '{');
	json_add_bool(out, "ok", 0);
	json_add_str(out, "error", error);
	json_add_str(out, "errorType", errors[type].name);
	json_add_bool(out, "retryable", errors[type].retryable);
	json_open(out, "recommendations", '[');
	for (int i = 0; i < 2 && errors[type].advice[i] != NULL; i++)
		json_add_str(out, NULL, errors[type].advice[i]);
	json_close(out, ']');
	json_close(out, '}');
}

void
tool_note_cut(struct buf *out, size_t bytes)
{
	buf_printf(out, "\n[... %zu bytes are left out here ...]\n", bytes);
}

void
tool_cut(struct buf *out, const char *text, size_t len, size_t max)
{
	size_t head, tail;

	if (len <= max) {
		buf_add(out, text, len);
		return;
	}
	head = json_utf8_whole(text, max / 3 * 2);
	tail = max / 3;
	while (tail > 0 && (text[len - tail] & 0xc0) == 0x80)
		tail--;
	buf_add(out, text, head);
	tool_note_cut(out, len - head - tail);
	buf_add(out, text + len - tail, tail);
}

static void
add_cut(const struct tool_run *r, struct buf *out)
{
	struct buf b;
	size_t len;
	const char *text = tool_data_text(r, &len);

	buf_init(&b, r->arena);
	tool_cut(&b, text, len, r->max_bytes);
	json_add_strn(out, "data", buf_str(&b), b.len);
	json_add_bool(out, "truncated", 1);
	json_add_int(out, "totalBytes", (int64_t)len);
	if (r->kept != NULL)
		json_add_str(out, "whole", r->kept);
}

void
tool_envelope(const struct tool_run *r, struct buf *out)
{
	if (r->failed != TOOL_ERROR_NONE) {
		tool_envelope_failed(out, r->failed, r->error);
		return;
	}
	json_open(out, NULL, '{');
	json_add_bool(out, "ok", 1);
	if (r->data.len > r->max_bytes)
		add_cut(r, out);
	else if (r->data.len > 0)
		json_add_raw(out, "data", r->data.data, r->data.len);
	if (r->note != NULL)
		json_add_str(out, "note", r->note);
	json_close(out, '}');
}
