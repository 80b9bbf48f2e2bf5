/* SPDX-License-Identifier: MIT */
/* Tools that work on files: see fs.h. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "sandbox/client.h"
#include "tool/fs.h"
#include "tool/tool.h"

/* ---- what is asked ---- */

/* All arguments but one, as members behind others. */
static void
add_args(struct buf *b, const struct json *args, const char *but)
{
	for (const struct json *v = json_first(args); v != NULL;
	     v = json_next(v))
		if (strcmp(json_name(v), but) != 0)
			json_add_json(b, json_name(v), v);
}

static void
ask_plain(struct tool_run *r, struct sandbox_call *c, struct buf *b)
{
	(void)c;
	add_args(b, r->args, "");
}

static void
ask_read(struct tool_run *r, struct sandbox_call *c, struct buf *b)
{
	(void)c;
	add_args(b, r->args, "");
	/* Some of it is escaped, and there are other members. */
	json_add_int(b, "max_bytes", (int64_t)(r->max_bytes / 4 * 3));
}

static void
ask_write(struct tool_run *r, struct sandbox_call *c, struct buf *b)
{
	c->data = json_get_str(r->args, "content");
	c->data_len = strlen(c->data);
	add_args(b, r->args, "content");
}

static void
ask_edit(struct tool_run *r, struct sandbox_call *c, struct buf *b)
{
	(void)c;
	json_open(b, "edits", '[');
	json_open(b, NULL, '{');
	json_add_str(b, "path", json_get_str(r->args, "path"));
	json_add_str(b, "find", json_get_str(r->args, "old_string"));
	json_add_str(b, "replace", json_get_str(r->args, "new_string"));
	json_add_bool(b, "replace_all", json_get_true(r->args, "replace_all"));
	json_close(b, '}');
	json_close(b, ']');
}

/* ---- what came of it ---- */

void
fs_note_change(struct tool_run *r, const char *path, const char *what,
    const struct json *size, const struct json *told)
{
	struct tool_change *c = arena_new(r->arena, struct tool_change);
	const char *etag = json_get_str(told, "etag");
	struct tool_change **at = &r->changes;

	while (*at != NULL)
		at = &(*at)->next;
	c->path = arena_strdup(r->arena, path);
	c->what = what;
	if (strcmp(what, "deleted") == 0)
		c->etag = "";
	else if (etag != NULL)
		c->etag = arena_strdup(r->arena, etag);
	json_int(size, &c->size);
	*at = c;
}

/* An object of the answer without what is the protocol's. */
static void
add_plain(struct buf *b, const struct json *it)
{
	static const char *const own[] = { "id", "ok", "etag" };
	size_t i, n = sizeof(own) / sizeof(own[0]);

	json_open(b, NULL, '{');
	for (const struct json *v = json_first(it); v != NULL;
	     v = json_next(v)) {
		for (i = 0; i < n && strcmp(json_name(v), own[i]) != 0; i++)
			;
		if (i == n)
			json_add_json(b, json_name(v), v);
	}
	json_close(b, '}');
}

static void
take_plain(struct tool_run *r, const struct json *answer)
{
	add_plain(&r->data, answer);
	tool_run_end(r);
}

static void
take_write(struct tool_run *r, const struct json *answer)
{
	fs_note_change(r, json_get_str(answer, "path"),
	    json_get_true(answer, "created") ? "created" : "modified",
	    json_get(answer, "bytes"), answer);
	take_plain(r, answer);
}

static int
is_ok(const struct json *result)
{
	return strcmp(json_get_str(result, "status"), "ok") == 0;
}

static void
note_edits(struct tool_run *r, const struct json *results)
{
	for (const struct json *v = json_first(results); v != NULL;
	     v = json_next(v))
		if (is_ok(v))
			fs_note_change(r, json_get_str(v, "path"), "modified",
			    json_get(v, "bytes"), v);
}

static void
take_edit(struct tool_run *r, const struct json *answer)
{
	const struct json *results = json_get(answer, "results");
	const struct json *v = json_first(results);
	const char *why;

	note_edits(r, results);
	if (v == NULL || !is_ok(v)) {
		why = json_get_str(v, "message");
		tool_run_fail(r, TOOL_ERROR_LOGICAL,
		    why == NULL ? "the file was not edited" : why);
		return;
	}
	json_open(&r->data, NULL, '{');
	json_add_json(&r->data, "path", json_get(v, "path"));
	json_add_json(&r->data, "replacements", json_get(v, "replacements"));
	json_add_json(&r->data, "lines", json_get(v, "lines"));
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
take_multi_edit(struct tool_run *r, const struct json *answer)
{
	const struct json *results = json_get(answer, "results");
	int all = 1;

	note_edits(r, results);
	for (const struct json *v = json_first(results); v != NULL;
	     v = json_next(v))
		all &= is_ok(v);
	json_open(&r->data, NULL, '{');
	json_add_bool(&r->data, "ok", all);
	json_open(&r->data, "results", '[');
	for (const struct json *v = json_first(results); v != NULL;
	     v = json_next(v))
		add_plain(&r->data, v);
	json_close(&r->data, ']');
	json_close(&r->data, '}');
	tool_run_end(r);
}

static const struct fs_tool {
	const char *name, *op;
	void (*ask)(
	    struct tool_run *r, struct sandbox_call *c, struct buf *members);
	void (*take)(struct tool_run *r, const struct json *answer);
} fs_tools[] = {
	{ "fs_read", "fs.read", ask_read, take_plain },
	{ "fs_write", "fs.write", ask_write, take_write },
	{ "fs_edit", "fs.edit", ask_edit, take_edit },
	{ "fs_multi_edit", "fs.edit", ask_plain, take_multi_edit },
	{ "fs_glob", "fs.glob", ask_plain, take_plain },
	{ "fs_grep", "fs.grep", ask_plain, take_plain },
};

static const struct fs_tool *
fs_find(const char *name)
{
	const struct fs_tool *f = fs_tools;

	while (strcmp(f->name, name) != 0)
		f++;
	return f;
}

/* ---- calls ---- */

/* What the model can do something about is logical. */
static enum tool_error
error_of(enum err_code code)
{
	static const enum err_code logical[] = { ERR_INVALID, ERR_NOT_FOUND,
		ERR_CONFLICT, ERR_TOO_LARGE, ERR_LIMIT };

	for (size_t i = 0; i < sizeof(logical) / sizeof(*logical); i++)
		if (logical[i] == code)
			return TOOL_ERROR_LOGICAL;
	return code == ERR_TIMEOUT     ? TOOL_ERROR_TIMEOUT
	       : code == ERR_CANCELLED ? TOOL_ERROR_ABORTED
				       : TOOL_ERROR_EXCEPTION;
}

void
fs_fail(struct tool_run *r, const struct err *err)
{
	tool_run_fail(r, error_of(err->code), err->text);
}

static void
on_answer(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;

	if (c->err.code == ERR_NONE)
		fs_find(r->tool->name)->take(r, c->answer);
	else
		fs_fail(r, &c->err);
}

void
fs_call_init(struct tool_run *r, struct sandbox_call *c, const char *op,
    void (*on_end)(void *ctx, struct sandbox_call *c))
{
	c->arena = r->arena;
	c->op = op;
	c->user = r->user;
	c->agent = r->workspace;
	c->on_end = on_end;
	c->ctx = r;
}

void
fs_call_start(struct tool_run *r, struct sandbox_call *c)
{
	if (r->host->sandbox == NULL)
		tool_run_fail(r, TOOL_ERROR_EXCEPTION,
		    "this server has no sandbox any more");
	else
		sandbox_start(r->host->sandbox, c);
}

static void
fs_start(struct tool_run *r)
{
	const struct fs_tool *f = fs_find(r->tool->name);
	struct sandbox_call *c = arena_new(r->arena, struct sandbox_call);
	struct buf members;

	fs_call_init(r, c, f->op, on_answer);
	buf_init(&members, r->arena);
	buf_putc(&members, ' '); /* so that no comma comes first */
	f->ask(r, c, &members);
	members.data[0] = ',';
	c->members = members.data;
	r->own = c;
	fs_call_start(r, c);
}

static void
fs_cancel(struct tool_run *r)
{
	sandbox_cancel(r->host->sandbox, r->own);
}

const struct tool_kind fs_kind = { fs_start, fs_cancel };

/* ---- what is too large for the model ---- */

static void
on_kept(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;

	r->keeping = NULL;
	if (c->err.code == ERR_CANCELLED) {
		fs_fail(r, &c->err);
		return;
	}
	if (c->err.code != ERR_NONE)
		r->kept = NULL;
	r->after_keeping(r);
}

void
fs_keep(struct tool_run *r, const char *text, size_t len, const char *suffix,
    void (*then)(struct tool_run *r))
{
	struct sandbox_call *c = arena_new(r->arena, struct sandbox_call);

	fs_call_init(r, c, "fs.put", on_kept);
	c->data = text;
	c->data_len = len;
	r->kept = arena_printf(r->arena, "tool-output/%s.%s", r->call, suffix);
	c->members = arena_printf(r->arena, ",\"path\":\"%s\"", r->kept);
	r->keeping = c;
	r->after_keeping = then;
	sandbox_start(r->host->sandbox, c);
}

void
fs_keep_start(struct tool_run *r)
{
	size_t len;
	const char *text = tool_data_text(r, &len);

	fs_keep(
	    r, text, len, text == r->data.data ? "json" : "txt", tool_run_end);
}

void
fs_keep_cancel(struct tool_run *r)
{
	sandbox_cancel(r->host->sandbox, r->keeping);
}
