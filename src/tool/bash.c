/* SPDX-License-Identifier: MIT */
/* Commands in the sandbox: see bash.h. */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "sandbox/client.h"
#include "tool/bash.h"
#include "tool/fs.h"
#include "tool/tool.h"

#define GRACE_MS 15000 /* for the sandbox, beyond the command's own time */

struct bash {
	struct sandbox_call call;
};

/* What is no UTF-8 is shown as U+FFFD; a 0 byte and ANSI's escape are not. */
static void
clean(struct buf *out, const char *p, size_t len)
{
	size_t n;

	buf_reserve(out, len);
	for (const char *end = p + len; p < end; p += n) {
		n = json_utf8_whole(p, (size_t)(end - p));
		for (size_t i = 0; i < n; i++)
			if (p[i] != '\0' && p[i] != '\033')
				buf_putc(out, p[i]);
		if (p + n < end) {
			buf_lit(out, "\xef\xbf\xbd");
			n++;
		}
	}
}

/* Back to where a character begins, if it is UTF-8. */
static size_t
char_begin(const char *p, size_t at)
{
	for (int i = 0; i < 3 && at > 0 && (p[at] & 0xc0) == 0x80; i++)
		at--;
	return at;
}

/* What it printed, or its first two thirds and its last of max bytes. */
static void
show(struct buf *out, const struct buf *printed, size_t max)
{
	const char *p = printed->data;
	size_t head, tail;

	if (printed->len <= max) {
		clean(out, p, printed->len);
		return;
	}
	head = char_begin(p, max / 3 * 2);
	tail = char_begin(p, printed->len - max / 3);
	clean(out, p, head);
	tool_note_cut(out, tail - head);
	clean(out, p + tail, printed->len - tail);
}

static int
was_ended(const struct json *answer)
{
	return strcmp(json_get_str(answer, "end"), "ended") != 0;
}

/* The exit code, or what ended it. */
static void
add_end(struct tool_run *r, const struct json *it)
{
	if (json_get(it, "end") == NULL)
		return; /* a job that still runs */
	if (was_ended(it)) {
		json_add_null(&r->data, "code");
		json_add_json(&r->data, "endedBy", json_get(it, "end"));
		return;
	}
	json_add_json(&r->data, "code", json_get(it, "code"));
	if (json_get(it, "signal") != NULL)
		json_add_json(&r->data, "signal", json_get(it, "signal"));
}

/* How it ended, and of what it printed as much as the model may see. */
static void
finish(struct tool_run *r)
{
	struct bash *b = r->own;
	const struct json *it = b->call.answer;
	size_t max = r->max_bytes / 4 * 3; /* some of it is escaped */
	struct buf shown;

	buf_init(&shown, r->arena);
	show(&shown, &b->call.answer_data, max);
	json_open(&r->data, NULL, '{');
	if (json_get(it, "status") != NULL)
		json_add_json(&r->data, "status", json_get(it, "status"));
	add_end(r, it);
	json_add_strn(&r->data, "output", buf_str(&shown), shown.len);
	if (b->call.answer_data.len > max) {
		json_add_bool(&r->data, "truncated", 1);
		json_add_int(
		    &r->data, "totalBytes", (int64_t)b->call.answer_data.len);
	}
	if (r->kept != NULL)
		json_add_str(&r->data, "whole", r->kept);
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
take_changes(struct tool_run *r, const struct json *list)
{
	for (const struct json *v = json_first(list); v != NULL;
	     v = json_next(v))
		fs_note_change(r, json_get_str(v, "path"),
		    json_get_str(v, "change"), json_get(v, "size"), v);
}

static void
on_answer(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;

	if (c->err.code != ERR_NONE) {
		fs_fail(r, &c->err);
		return;
	}
	take_changes(r, json_get(c->answer, "changes"));
	if (c->answer_data.len > r->max_bytes / 4 * 3)
		fs_keep(
		    r, c->answer_data.data, c->answer_data.len, "txt", finish);
	else
		finish(r);
}

/* ---- background jobs ---- */

static void
on_started(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;

	if (c->err.code != ERR_NONE) {
		fs_fail(r, &c->err);
		return;
	}
	json_open(&r->data, NULL, '{');
	json_add_bool(&r->data, "background", 1);
	json_add_json(&r->data, "shell_id", json_get(c->answer, "job"));
	json_add_str(&r->data, "message",
	    "It runs; bash_logs shows what it prints, bash_kill ends it.");
	json_close(&r->data, '}');
	tool_run_end(r);
}

static void
on_killed(void *ctx, struct sandbox_call *c)
{
	struct tool_run *r = ctx;

	if (c->err.code != ERR_NONE) {
		fs_fail(r, &c->err);
		return;
	}
	json_open(&r->data, NULL, '{');
	json_add_json(&r->data, "shell_id", json_get(r->args, "shell_id"));
	json_add_json(&r->data, "status", json_get(c->answer, "status"));
	add_end(r, c->answer);
	json_close(&r->data, '}');
	tool_run_end(r);
}

/* ,"name":value */
static void
add_member(struct buf *m, const char *name, const char *value)
{
	buf_printf(m, ",\"%s\":", name);
	json_add_str(m, NULL, value);
}

/* The hosts that the agent's template has, for a command. */
static void
add_network(const struct tool_run *r, struct buf *m)
{
	if (r->network != NULL)
		json_add_json(m, "network", r->network);
}

/* A call with these members more. */
static void
start_call(struct tool_run *r, const char *op, const struct buf *m,
    void (*on_end)(void *ctx, struct sandbox_call *c))
{
	struct bash *b = arena_new(r->arena, struct bash);

	r->own = b;
	fs_call_init(r, &b->call, op, on_end);
	b->call.members = m->data;
	fs_call_start(r, &b->call);
}

/* About the job that the arguments name. */
static void
job_call(struct tool_run *r, const char *op,
    void (*on_end)(void *ctx, struct sandbox_call *c))
{
	struct buf m;

	buf_init(&m, r->arena);
	add_member(&m, "job", json_get_str(r->args, "shell_id"));
	start_call(r, op, &m, on_end);
}

static void
logs_start(struct tool_run *r)
{
	job_call(r, "bash.logs", on_answer);
}

static void
kill_start(struct tool_run *r)
{
	job_call(r, "bash.kill", on_killed);
}

/* ---- bash_run ---- */

/* While it runs. */
static void
on_more(void *ctx, const char *p, size_t len)
{
	struct tool_run *r = ctx;
	struct buf text;

	buf_init(&text, NULL);
	clean(&text, p, len);
	if (text.len > 0)
		r->on_output(r->ctx, text.data, text.len);
	buf_fini(&text);
}

static void
bash_start(struct tool_run *r)
{
	struct bash *b = arena_new(r->arena, struct bash);
	int64_t ms = r->host->command_time_ms;
	struct buf m;

	buf_init(&m, r->arena);
	add_member(&m, "command", json_get_str(r->args, "cmd"));
	add_network(r, &m);
	if (json_get_true(r->args, "background")) {
		start_call(r, "bash.start", &m, on_started);
		return;
	}
	r->own = b;
	json_get_int(r->args, "timeout_ms", &ms);
	json_add_int(&m, "timeout_ms", ms);
	json_add_bool(&m, "stream", 1);
	fs_call_init(r, &b->call, "bash.run", on_answer);
	b->call.members = m.data;
	b->call.timeout_ms = ms + GRACE_MS;
	b->call.on_more = on_more;
	fs_call_start(r, &b->call);
}

static void
bash_cancel(struct tool_run *r)
{
	struct bash *b = r->own;

	sandbox_cancel(r->host->sandbox, &b->call);
}

const struct tool_kind bash_kind = { bash_start, bash_cancel };
const struct tool_kind bash_logs_kind = { logs_start, bash_cancel };
const struct tool_kind bash_kill_kind = { kill_start, bash_cancel };
