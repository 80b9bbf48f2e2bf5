/* SPDX-License-Identifier: MIT */
/* Records of tool calls: read, written, and told of in events. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/files.h"

#define PREVIEW_BYTES 200
#define LATE_MS 60000 /* that a command may end after its time */

/* ---- the record ---- */

static void
add_input(struct buf *b, const struct turn_call *c)
{
	if (c->args != NULL)
		json_add_raw(b, "input", c->input, c->input_len);
	else
		json_add_strn(b, "inputText", c->input,
		    json_utf8_whole(c->input, c->input_len));
}

static void
add_approval(struct buf *b, const struct turn_call *c)
{
	json_open(b, "approval", '{');
	json_add_bool(b, "required", 1);
	json_add_int(b, "askedAt", c->asked_ms);
	for (const struct json *m = json_first(c->answer); m != NULL;
	     m = json_next(m))
		json_add_json(b, json_name(m), m);
	json_close(b, '}');
}

/* The members that records and events share. */
static void
add_common(struct buf *b, const struct turn_call *c)
{
	json_add_str(b, "id", c->id);
	json_add_str(b, "name", c->name);
	json_add_str(b, "state", call_state_name(c->state));
	if (c->reason != NULL)
		json_add_str(b, "reason", c->reason);
	if (c->error != NULL)
		json_add_str(b, "error", c->error);
	if (c->asked_ms > 0)
		add_approval(b, c);
	json_add_int(b, "createdAt", c->created_ms);
	if (c->started_ms > 0)
		json_add_int(b, "startedAt", c->started_ms);
	if (c->completed_ms > 0)
		json_add_int(b, "completedAt", c->completed_ms);
	if (c->started_ms > 0 && c->completed_ms > 0)
		json_add_int(b, "durationMs", c->completed_ms - c->started_ms);
}

static void
record_write(struct buf *b, const struct turn_call *c)
{
	json_open(b, NULL, '{');
	add_common(b, c);
	json_add_str(b, "turn", c->turn->turn);
	json_add_int(b, "step", c->turn->step);
	add_input(b, c);
	if (c->result != NULL)
		json_add_raw(b, "result", c->result, strlen(c->result));
	if (c->child != NULL) {
		json_add_str(b, "child", c->child);
		json_add_bool(b, "spawned", c->spawned);
	}
	json_open(b, "audit", '[');
	json_add_raw(b, NULL, buf_str(&c->audit), c->audit.len);
	json_close(b, ']');
	json_close(b, '}');
}

/* ---- from records ---- */

static const char *
print(struct arena *a, const struct json *j)
{
	struct buf b;

	buf_init(&b, a);
	json_print(&b, j);
	return b.data;
}

static void
read_audit(struct turn_call *c, const struct json *list)
{
	for (const struct json *e = json_first(list); e != NULL;
	     e = json_next(e))
		json_add_json(&c->audit, NULL, e);
}

static void
read_approval(struct turn_call *c, const struct json *approval)
{
	struct buf b;

	json_get_int(approval, "askedAt", &c->asked_ms);
	if (json_get(approval, "decision") == NULL)
		return;
	buf_init(&b, c->turn->round);
	json_open(&b, NULL, '{');
	for (const struct json *m = json_first(approval); m != NULL;
	     m = json_next(m))
		if (strcmp(json_name(m), "required") != 0 &&
		    strcmp(json_name(m), "askedAt") != 0)
			json_add_json(&b, json_name(m), m);
	json_close(&b, '}');
	c->answer =
	    json_parse(c->turn->round, b.data, b.len, JSON_DEPTH_MAX, NULL);
}

/* Somebody else wrote into Redis. The history stays valid all the same. */
static void
call_damaged(struct turn_call *c)
{
	log_error("the record of call %s is damaged; it is sealed", c->id);
	c->name = "unknown";
	c->input = "{}";
	c->input_len = 2;
	c->state = CALL_EXECUTING;
	call_seal(c, "its record is damaged: outcome unknown");
}

static void
call_from_record(struct turn_call *c, const char *text)
{
	struct arena *a = c->turn->round;
	const struct json *j =
	    json_parse(a, text, strlen(text), JSON_DEPTH_MAX, NULL);
	const struct json *input = json_get(j, "input");

	if (json_get_str(j, "name") == NULL) {
		call_damaged(c);
		return;
	}
	c->name = json_get_str(j, "name");
	c->input =
	    input != NULL ? print(a, input) : json_get_str(j, "inputText");
	if (c->input == NULL)
		c->input = "";
	c->input_len = strlen(c->input);
	c->args = input;
	c->tool = toolset_find(c->turn->tools, c->name);
	c->state = call_state_find(json_get_str(j, "state"));
	c->reason = json_get_str(j, "reason");
	c->error = json_get_str(j, "error");
	if (json_get(j, "result") != NULL)
		c->result = print(a, json_get(j, "result"));
	json_get_int(j, "createdAt", &c->created_ms);
	json_get_int(j, "startedAt", &c->started_ms);
	json_get_int(j, "completedAt", &c->completed_ms);
	c->child = json_get_str(j, "child");
	c->spawned = json_get_true(j, "spawned");
	c->announced = c->child != NULL;
	if (c->state == CALL_APPROVAL_REQUIRED)
		c->asked = ASKED_HUMAN;
	else if (c->state == CALL_EXECUTING && c->child != NULL)
		c->asked = ASKED_CHILD;
	read_audit(c, json_get(j, "audit"));
	read_approval(c, json_get(j, "approval"));
}

void
calls_from_records(struct turn *t)
{
	struct turn_call *c = calls_alloc(t, t->lease.call_count);
	const char *id = t->lease.call_ids;

	for (size_t i = 0; i < t->lease.call_count; i++) {
		int n = (int)strcspn(id, " ");

		snprintf(c[i].id, sizeof(c[i].id), "%.*s", n, id);
		id += n + (id[n] == ' ');
		call_from_record(&c[i], t->lease.calls[i]);
	}
}

/* ---- writing ---- */

static void
snapshot_write(struct buf *b, const struct turn_call *c, int with_result)
{
	size_t cut = c->input_len;

	buf_lit(b, ",\"call\":");
	buf_putc(b, '{');
	add_common(b, c);
	if (cut > PREVIEW_BYTES)
		cut = PREVIEW_BYTES;
	json_add_strn(
	    b, "inputPreview", c->input, json_utf8_whole(c->input, cut));
	if (with_result && c->result != NULL)
		json_add_raw(b, "result", c->result, strlen(c->result));
	json_close(b, '}');
}

void
call_snapshot(struct buf *b, const struct turn_call *c)
{
	snapshot_write(b, c, 0);
}

static const char *
snapshot(const struct turn_call *c, int with_result)
{
	struct buf b;

	buf_init(&b, c->turn->round);
	snapshot_write(&b, c, with_result);
	return b.data;
}

/* A sub-agent begins, or is done; what it has used is the turn's. */
static void
commit_child(struct turn *t, struct turn_call *c)
{
	struct model_usage u = { .input = c->child_tokens };
	struct buf b;

	if (c->child == NULL)
		return;
	buf_init(&b, t->round);
	buf_printf(&b, ",\"agent\":\"%s\"", c->child);
	if (!c->announced && c->state == CALL_EXECUTING) {
		snapshot_write(&b, c, 0);
		turn_commit_event(t, EVENT_SUBAGENT_START, b.data);
		c->announced = 1;
	} else if (c->reported) {
		json_add_int(&b, "tokens", c->child_tokens);
		turn_count_tokens(t, &u);
		snapshot_write(&b, c, 0);
		turn_commit_event(t, EVENT_SUBAGENT_COMPLETE, b.data);
		c->reported = 0;
	}
}

/* 1 if the call may change files, or has. Skills are copied there too. */
static int
works_on_files(const struct turn_call *c)
{
	const struct tool *tool = c->tool;

	return c->run.changes != NULL || c->run.kept != NULL ||
	       (tool != NULL &&
		   (tool->needs_skills ||
		       (tool->effect != TOOL_READS &&
			   (tool->needs_sandbox || tool->mcp_item != NULL))));
}

/* Who saves the workspace is told: before a call changes files, and when it
 * has, with what is told of it here. */
static void
commit_work(struct turn *t, struct turn_call *c)
{
	const struct conf *conf = t->runner->parts.conf;
	const char *base;
	int64_t until = 0, count = 0;

	if (t->runner->parts.tools.sandbox == NULL ||
	    conf->bridge_sync_interval_ms == 0 || c->started_ms == 0 ||
	    (c->state != CALL_EXECUTING && !CALL_IS_OVER(c->state)) ||
	    !works_on_files(c))
		return;
	if (c->state == CALL_EXECUTING)
		until = clk_shared_ms() + conf->sandbox_max_time_ms + LATE_MS;
	for (struct tool_change *f = c->run.changes; f != NULL; f = f->next)
		count += f->etag != NULL;
	base = store_base(t->runner->parts.store, t->round, turn_workspace(t));
	journal_op_files(
	    &t->commit, base, c->id, until, store_files_due_ms(conf), count);
	for (struct tool_change *f = c->run.changes; f != NULL; f = f->next)
		if (f->etag != NULL)
			journal_op_changed(&t->commit, f->path, f->etag);
}

/* Files that the call has changed, once. */
static void
commit_changes(struct turn *t, struct turn_call *c)
{
	struct tool_change *f = c->run.changes;
	struct buf b;

	c->run.changes = NULL;
	for (; f != NULL; f = f->next) {
		buf_init(&b, t->round);
		buf_lit(&b, ",\"path\":");
		json_add_strn(&b, NULL, f->path, strlen(f->path));
		json_add_str(&b, "change", f->what);
		json_add_int(&b, "size", f->size);
		json_add_str(&b, "tool", c->name);
		json_add_str(&b, "callId", c->id);
		turn_commit_event(t, EVENT_FILE_CHANGED, b.data);
	}
}

static void
commit_events(struct turn *t, struct turn_call *c)
{
	if (c->is_new)
		turn_commit_event(t, EVENT_TOOL_START, snapshot(c, 0));
	if (c->state == CALL_APPROVAL_REQUIRED)
		turn_commit_event(t, EVENT_PERMISSION_REQUIRED, snapshot(c, 0));
	else if (c->answer_is_new)
		turn_commit_event(t, EVENT_APPROVAL_RESPONSE, snapshot(c, 0));
	else if (!c->is_new && !CALL_IS_OVER(c->state))
		turn_commit_event(t, EVENT_TOOL_AUDIT, snapshot(c, 0));
	if (c->state == CALL_FAILED)
		turn_commit_event(t, EVENT_TOOL_ERROR, snapshot(c, 0));
	if (CALL_IS_OVER(c->state))
		turn_commit_event(t, EVENT_TOOL_COMPLETE, snapshot(c, 1));
	c->answer_is_new = 0;
}

/* Questions are asked and withdrawn with the states that go with them. */
static void
commit_question(struct turn *t, struct turn_call *c)
{
	int asked = c->state == CALL_APPROVAL_REQUIRED ? ASKED_HUMAN
		    : c->state == CALL_EXECUTING && c->child != NULL
			? ASKED_CHILD
			: ASKED_NOBODY;

	if (asked == (int)c->asked)
		return;
	if (c->asked != ASKED_NOBODY)
		journal_op_answered(&t->commit, c->id);
	if (asked != ASKED_NOBODY)
		journal_op_ask(
		    &t->commit, c->id, asked == ASKED_CHILD ? "T" : "");
	c->asked = asked;
}

void
calls_commit(struct turn *t)
{
	struct buf doc;

	for (size_t i = 0; i < t->call_count; i++) {
		struct turn_call *c = &t->calls[i];

		if (!c->unwritten)
			continue;
		buf_init(&doc, t->round);
		record_write(&doc, c);
		commit_events(t, c);
		commit_child(t, c);
		commit_question(t, c);
		turn_commit_todos(t, c);
		commit_work(t, c);
		commit_changes(t, c);
		journal_op_call(
		    &t->commit, c->id, doc.data, doc.len, c->is_new);
		c->is_new = 0;
		c->unwritten = 0;
	}
}

int
calls_over(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count; i++)
		if (!CALL_IS_OVER(t->calls[i].state))
			return 0;
	return 1;
}

void
calls_commit_results(struct turn *t)
{
	struct buf b, marks;

	buf_init(&b, t->round);
	buf_init(&marks, t->round);
	buf_lit(&marks, ",\"kind\":\"tool_results\"");
	json_open(&marks, "calls", '{');
	buf_putc(&b, '[');
	for (size_t i = 0; i < t->call_count; i++) {
		const struct turn_call *c = &t->calls[i];

		json_add_str(&marks, c->id, c->name);

		json_open(&b, NULL, '{');
		json_add_str(&b, "type", "tool_result");
		json_add_str(&b, "tool_use_id", c->id);
		if (c->error != NULL)
			json_add_bool(&b, "is_error", 1);
		json_add_str(&b, "content", c->result);
		json_close(&b, '}');
	}
	buf_putc(&b, ']');
	json_close(&marks, '}');
	turn_commit_message(t, buf_str(&marks), "user", b.data, b.len);
	journal_op_set(&t->commit, "calls", "");
	t->call_count = 0;
}
