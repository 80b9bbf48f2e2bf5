/* SPDX-License-Identifier: MIT */
/*
 * The same matter in three dialects. W1 has an event of Socket.IO for each; S4
 * has one, stream:event, with the matter inside; W3 has another, with an
 * envelope that says where it is from.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "session/emit.h"

void
session_out_init(struct session_out *out, struct arena *a, unsigned dialects)
{
	*out = (struct session_out){ .arena = a, .dialects = dialects };
}

void
session_out_want(struct session_out *out, const struct session_want *w)
{
	struct session_want *n = arena_new(out->arena, struct session_want);

	*n = *w;
	n->agent = arena_strdup(out->arena, w->agent);
	n->id = arena_strdup(out->arena, w->id == NULL ? "" : w->id);
	if (w->change != NULL)
		n->change = arena_strdup(out->arena, w->change);
	n->next = NULL;
	if (out->wants == NULL)
		out->wants = n;
	else
		out->last_want->next = n;
	out->last_want = n;
}

/* ---- envelopes ---- */

/* 1 and an open object in b if one of these dialects is wanted. */
static int
open_for(struct session_out *out, struct buf *b, unsigned dialects)
{
	if ((out->dialects & dialects) == 0)
		return 0;
	buf_init(b, out->arena);
	json_open(b, NULL, '{');
	return 1;
}

static void
close_for(struct session_out *out, struct buf *b, unsigned dialects,
    const char *event)
{
	struct session_emit *e = arena_new(out->arena, struct session_emit);

	json_close(b, '}');
	*e = (struct session_emit){
		.dialects = dialects & out->dialects,
		.event = event,
		.payload = b->data,
		.len = b->len,
	};
	if (out->first == NULL)
		out->first = e;
	else
		out->last->next = e;
	out->last = e;
}

static void
add_conversation(struct buf *b, const struct emit_head *h)
{
	if (h->conversation != NULL)
		json_add_str(b, "conversationId", h->conversation);
}

/* W1: the session, and where it is about one the conversation. */
static int
open_w1(struct session_out *out, struct buf *b, const struct emit_head *h)
{
	if (!open_for(out, b, SESSION_W1))
		return 0;
	json_add_str(b, "sessionId", h->session);
	add_conversation(b, h);
	return 1;
}

static int
open_s4(struct session_out *out, struct buf *b, const struct emit_head *h,
    const char *type)
{
	if (!open_for(out, b, SESSION_S4))
		return 0;
	json_add_str(b, "sessionId", h->session);
	json_open(b, "event", '{');
	json_add_str(b, "type", type);
	return 1;
}

static void
close_s4(struct session_out *out, struct buf *b, const struct emit_head *h)
{
	add_conversation(b, h);
	json_close(b, '}');
	close_for(out, b, SESSION_S4, "stream:event");
}

static int
open_w3(struct session_out *out, struct buf *b, const char *type)
{
	if (!open_for(out, b, SESSION_W3))
		return 0;
	json_add_str(b, "type", type);
	json_open(b, "payload", '{');
	return 1;
}

static void
close_w3(struct session_out *out, struct buf *b, const struct emit_head *h,
    const char *source)
{
	json_close(b, '}');
	json_open(b, "context", '{');
	json_add_str(b, "sessionId", h->session);
	add_conversation(b, h);
	json_add_str(b, "source", source);
	block_add_time(b, "timestamp", h->time_ms);
	json_close(b, '}');
	close_for(out, b, SESSION_W3, "session:event");
}

void
emit_w3(struct session_out *out, const struct emit_head *h, const char *type,
    const char *payload)
{
	struct buf b;

	if (!open_for(out, &b, SESSION_W3))
		return;
	json_add_str(&b, "type", type);
	json_add_raw(&b, "payload", payload, strlen(payload));
	json_open(&b, "context", '{');
	json_add_str(&b, "sessionId", h->session);
	add_conversation(&b, h);
	json_add_str(&b, "source", "server");
	block_add_time(&b, "timestamp", h->time_ms);
	json_close(&b, '}');
	close_for(out, &b, SESSION_W3, "session:event");
}

void
emit_log(struct session_out *out, const struct emit_head *h, const char *level,
    const char *message)
{
	struct buf b;

	if (!open_w3(out, &b, "log"))
		return;
	json_add_str(&b, "level", level);
	json_add_str(&b, "message", message);
	close_w3(out, &b, h, "runner");
}

/* ---- blocks ---- */

static void
w3_upsert(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	struct buf b;

	if (!open_w3(out, &b, "block:upsert"))
		return;
	block_write(&b, "block", k, BLOCK_W3);
	close_w3(
	    out, &b, h, k->type == BLOCK_USER_MESSAGE ? "server" : "runner");
}

/* A whole block, at its begin or its end. */
static void
old_whole(struct session_out *out, const struct emit_head *h,
    const struct block *k, int complete)
{
	struct buf b;

	if (open_w1(out, &b, h)) {
		if (complete)
			json_add_str(&b, "blockId", k->id);
		block_write(&b, "block", k, BLOCK_W1);
		close_for(out, &b, SESSION_W1,
		    complete ? "session:block:complete"
			     : "session:block:start");
	}
	if (open_s4(out, &b, h, complete ? "block_complete" : "block_start")) {
		if (complete)
			json_add_str(&b, "blockId", k->id);
		block_write(&b, "block", k, BLOCK_W1);
		close_s4(out, &b, h);
	}
}

void
emit_block_start(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	struct block pending = *k;

	pending.status = BLOCK_PENDING;
	old_whole(out, h, &pending, 0);
	/* Later clients add a user's message each time they see one. */
	if (k->type != BLOCK_USER_MESSAGE)
		w3_upsert(out, h, &pending);
}

void
emit_block_delta(struct session_out *out, const struct emit_head *h,
    const char *id, const char *text, size_t len)
{
	struct buf b;

	if (open_w1(out, &b, h)) {
		json_add_str(&b, "blockId", id);
		json_add_strn(&b, "delta", text, len);
		close_for(out, &b, SESSION_W1, "session:block:delta");
	}
	if (open_s4(out, &b, h, "text_delta")) {
		json_add_str(&b, "blockId", id);
		json_add_strn(&b, "delta", text, len);
		close_s4(out, &b, h);
	}
	if (open_w3(out, &b, "block:delta")) {
		json_add_str(&b, "blockId", id);
		json_add_strn(&b, "delta", text, len);
		close_w3(out, &b, h, "runner");
	}
}

void
emit_block_old(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	old_whole(out, h, k, 1);
}

void
emit_block_complete(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	struct buf b;

	emit_block_old(out, h, k);
	if (k->type == BLOCK_ASSISTANT_TEXT &&
	    open_s4(out, &b, h, "message_complete")) {
		json_add_strn(&b, "content", k->text, k->text_len);
		close_s4(out, &b, h);
	}
	w3_upsert(out, h, k);
}

/* The member of a block that has changed. */
static void
add_change(
    struct buf *b, const struct block *k, int content, enum block_form form)
{
	if (content)
		json_add_strn(b, "content", k->text, k->text_len);
	if (!content || form == BLOCK_W3)
		json_add_str(b, "status", block_status_name(k->status, form));
}

static void
w3_change(struct session_out *out, const struct emit_head *h,
    const struct block *k, int content)
{
	struct buf b;

	if (!open_w3(out, &b, "block:upsert"))
		return;
	json_open(&b, "block", '{');
	json_add_str(&b, "id", k->id);
	json_add_str(&b, "type", block_type_name(k->type));
	add_change(&b, k, content, BLOCK_W3);
	json_close(&b, '}');
	close_w3(out, &b, h, "runner");
}

static void
block_change(struct session_out *out, const struct emit_head *h,
    const struct block *k, int content)
{
	struct buf b;

	if (open_w1(out, &b, h)) {
		json_add_str(&b, "blockId", k->id);
		json_open(&b, "updates", '{');
		add_change(&b, k, content, BLOCK_W1);
		json_close(&b, '}');
		close_for(out, &b, SESSION_W1, "session:block:update");
	}
	if (open_s4(out, &b, h, "block_update")) {
		json_add_str(&b, "blockId", k->id);
		json_open(&b, "updates", '{');
		add_change(&b, k, content, BLOCK_W1);
		json_close(&b, '}');
		close_s4(out, &b, h);
	}
	w3_change(out, h, k, content);
}

void
emit_block_void(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	w3_change(out, h, k, 1);
}

void
emit_block_status(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	block_change(out, h, k, 0);
}

void
emit_block_content(
    struct session_out *out, const struct emit_head *h, const struct block *k)
{
	block_change(out, h, k, 1);
}

/* ---- the session ---- */

void
emit_status(struct session_out *out, const struct emit_head *h,
    const struct session_runtime *r, unsigned dialects)
{
	struct buf b;

	if (open_for(out, &b, dialects & (SESSION_W1 | SESSION_S4))) {
		json_add_str(&b, "sessionId", h->session);
		session_runtime_write(&b, "runtime", r);
		close_for(out, &b, SESSION_W1 | SESSION_S4, "session:status");
	}
	if ((dialects & SESSION_W3) && open_w3(out, &b, "status")) {
		session_runtime_write(&b, "runtime", r);
		close_w3(out, &b, h, "server");
	}
}

void
emit_metadata(struct session_out *out, const struct emit_head *h,
    const char *metadata, size_t len)
{
	struct buf b;

	if (open_w1(out, &b, h)) {
		json_add_raw(&b, "metadata", metadata, len);
		close_for(out, &b, SESSION_W1, "session:metadata:update");
	}
	if (open_s4(out, &b, h, "metadata_update")) {
		json_add_raw(&b, "metadata", metadata, len);
		close_s4(out, &b, h);
	}
	if (open_w3(out, &b, "metadata:update")) {
		json_add_raw(&b, "metadata", metadata, len);
		close_w3(out, &b, h, "runner");
	}
}

void
emit_options(struct session_out *out, const struct emit_head *h,
    const char *options, size_t len)
{
	struct buf b;

	if (open_w1(out, &b, h)) {
		json_add_raw(&b, "options", options, len);
		close_for(out, &b, SESSION_W1, "session:options:update");
	}
	if (open_w3(out, &b, "options:update")) {
		json_add_raw(&b, "options", options, len);
		close_w3(out, &b, h, "server");
	}
}

void
emit_failure(struct session_out *out, const struct emit_head *h,
    const char *message, const char *code)
{
	struct buf b;

	if (open_for(out, &b, SESSION_ALL)) {
		json_add_str(&b, "message", message);
		json_add_str(&b, "code", code);
		json_add_str(&b, "sessionId", h->session);
		close_for(out, &b, SESSION_ALL, "error");
	}
	if (open_s4(out, &b, h, "error")) {
		json_add_str(&b, "message", message);
		close_s4(out, &b, h);
	}
	if (open_w3(out, &b, "query:failed")) {
		json_add_str(&b, "error", message);
		close_w3(out, &b, h, "server");
	}
}

/* ---- files ---- */

static const struct {
	const char *change, *w1, *w3;
} file_events[] = {
	{ "created", "session:file:created", "file:created" },
	{ "deleted", "session:file:deleted", "file:deleted" },
	{ "modified", "session:file:modified", "file:modified" },
};

#define MODIFIED 2 /* and for a word that this version does not know */
#define DELETED 1

static void
add_file(
    struct buf *b, int event, const char *path, const char *content, size_t len)
{
	if (event == DELETED) {
		json_add_str(b, "path", path);
		return;
	}
	json_open(b, "file", '{');
	json_add_str(b, "path", path);
	if (content != NULL && json_utf8_whole(content, len) == len)
		json_add_strn(b, "content", content, len);
	json_close(b, '}');
}

void
emit_file(struct session_out *out, const struct emit_head *h,
    const char *change, const char *path, const char *content, size_t len)
{
	int event = 0;
	struct buf b;

	while (
	    event < MODIFIED && strcmp(file_events[event].change, change) != 0)
		event++;
	if (open_w1(out, &b, h)) {
		add_file(&b, event, path, content, len);
		close_for(out, &b, SESSION_W1, file_events[event].w1);
	}
	if (open_w3(out, &b, file_events[event].w3)) {
		add_file(&b, event, path, content, len);
		close_w3(out, &b, h, "server");
	}
}

/* ---- sub-agents ---- */

static void
add_known(struct buf *b, const char *name, const char *value)
{
	if (value != NULL)
		json_add_str(b, name, value);
}

void
emit_spawned(struct session_out *out, const struct emit_head *h,
    const struct emit_subagent *s)
{
	struct buf b;

	if (open_for(out, &b, SESSION_W1)) {
		json_add_str(&b, "sessionId", h->session);
		json_open(&b, "subagent", '{');
		json_add_str(&b, "id", s->call);
		json_add_raw(&b, "blocks", "[]", 2);
		json_close(&b, '}');
		close_for(out, &b, SESSION_W1, "session:subagent:discovered");
	}
	if (open_w3(out, &b, "subagent:spawned")) {
		json_add_str(&b, "toolUseId", s->call);
		add_known(&b, "agentId", s->agent);
		json_add_str(&b, "prompt", s->prompt == NULL ? "" : s->prompt);
		add_known(&b, "subagentType", s->type);
		add_known(&b, "description", s->description);
		close_w3(out, &b, h, "runner");
	}
}

void
emit_ended(struct session_out *out, const struct emit_head *h,
    const struct emit_subagent *s)
{
	const char *status = s->failed ? "failed" : "completed";
	struct buf b;

	if (open_for(out, &b, SESSION_W1)) {
		json_add_str(&b, "sessionId", h->session);
		json_add_str(&b, "subagentId", s->call);
		json_add_str(&b, "status", status);
		close_for(out, &b, SESSION_W1, "session:subagent:completed");
	}
	if (open_w3(out, &b, "subagent:completed")) {
		json_add_str(&b, "toolUseId", s->call);
		add_known(&b, "agentId", s->agent);
		json_add_str(&b, "status", status);
		if (s->output != NULL)
			json_add_json(&b, "output", s->output);
		if (s->duration_ms >= 0)
			json_add_int(&b, "durationMs", s->duration_ms);
		close_w3(out, &b, h, "runner");
	}
}
