/* SPDX-License-Identifier: MIT */
/*
 * Blocks as JSON. What undefined is to the clients' JSON.stringify is left
 * out here; their reducers look at members by name, so the order is ours.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "session/block.h"

/* ---- a user's message ---- */

/* What no form has a place for is named, so that nobody misses it. */
static void
add_stand_in(struct buf *b, const struct json *part)
{
	const char *title = json_get_str(part, "title"),
		   *type = json_get_str(part, "type");
	char text[300];

	snprintf(text, sizeof(text), "[%.40s%s%.200s]",
	    type == NULL ? "content" : type, title == NULL ? "" : ": ",
	    title == NULL ? "" : title);
	json_utf8_mend(text);
	json_add_str(b, "type", "text");
	json_add_str(b, "text", text);
}

/* 1 if it was an image that has a form. */
static int
add_image(struct buf *b, const struct json *part)
{
	const struct json *source = json_get(part, "source");
	const char *type = json_get_str(source, "type"),
		   *media = json_get_str(source, "media_type"),
		   *data = json_get_str(source, "data");

	if (type != NULL && strcmp(type, "url") == 0)
		data = json_get_str(source, "url");
	else if (type == NULL || strcmp(type, "base64") != 0)
		return 0;
	if (data == NULL)
		return 0;
	json_add_str(b, "type", "image");
	json_open(b, "source", '{');
	json_add_str(b, "type", type);
	json_add_str(b, "data", data);
	if (media != NULL)
		json_add_str(b, "mediaType", media);
	json_close(b, '}');
	return 1;
}

static void
add_part(struct buf *b, const struct json *part)
{
	const char *text = json_get_str(part, "text"),
		   *type = json_get_str(part, "type");

	json_open(b, NULL, '{');
	if (text != NULL) {
		json_add_str(b, "type", "text");
		json_add_str(b, "text", text);
	} else if (type == NULL || strcmp(type, "image") != 0 ||
		   !add_image(b, part)) {
		add_stand_in(b, part);
	}
	json_close(b, '}');
}

/* One text is a string: clients find their own message by it. */
static void
add_message(struct buf *b, const struct json *content)
{
	const struct json *first = json_first(content);
	const char *text = json_get_str(first, "text");

	if (json_str(content) != NULL) {
		json_add_str(b, "content", json_str(content));
	} else if (text != NULL && json_count(content) == 1) {
		json_add_str(b, "content", text);
	} else {
		json_open(b, "content", '[');
		for (const struct json *p = first; p != NULL; p = json_next(p))
			add_part(b, p);
		json_close(b, ']');
	}
}

/* ---- the members of each type ---- */

static void
add_known(struct buf *b, const char *name, const char *value)
{
	if (value != NULL)
		json_add_str(b, name, value);
}

static void
add_input(struct buf *b, const struct block *k)
{
	if (json_is(k->input, JSON_OBJECT))
		json_add_json(b, "input", k->input);
	else
		json_add_raw(b, "input", "{}", 2);
}

static void
add_duration(struct buf *b, const struct block *k)
{
	if (k->duration_ms >= 0)
		json_add_int(b, "durationMs", k->duration_ms);
}

static void
add_text(struct buf *b, const char *name, const struct block *k)
{
	json_add_strn(b, name, k->text == NULL ? "" : k->text, k->text_len);
}

static void
write_user(struct buf *b, const struct block *k)
{
	add_message(b, k->content);
}

static void
write_text(struct buf *b, const struct block *k)
{
	add_text(b, "content", k);
	add_known(b, "model", k->model);
}

static void
write_tool_use(struct buf *b, const struct block *k)
{
	add_known(b, "toolName", k->name);
	json_add_str(b, "toolUseId", k->id);
	add_input(b, k);
}

static void
write_tool_result(struct buf *b, const struct block *k)
{
	add_known(b, "toolUseId", k->call);
	if (k->output != NULL)
		json_add_json(b, "output", k->output);
	else
		json_add_null(b, "output");
	json_add_bool(b, "isError", k->is_error);
	add_duration(b, k);
}

static void
write_system(struct buf *b, const struct block *k)
{
	add_known(b, "subtype", k->name);
	add_text(b, "message", k);
}

static void
write_subagent(struct buf *b, const struct block *k)
{
	add_known(b, "subagentId", k->agent);
	add_known(b, "name", k->name);
	add_input(b, k);
	if (k->output != NULL)
		json_add_json(b, "output", k->output);
	add_duration(b, k);
	add_known(b, "toolUseId", k->call);
}

static void
write_error(struct buf *b, const struct block *k)
{
	add_text(b, "message", k);
	add_known(b, "code", k->code);
}

static const struct {
	const char *name;
	int has_status; /* in W1 too */
	void (*write)(struct buf *b, const struct block *k);
} types[BLOCK_TYPES] = {
	[BLOCK_USER_MESSAGE] = { "user_message", 0, write_user },
	[BLOCK_ASSISTANT_TEXT] = { "assistant_text", 0, write_text },
	[BLOCK_THINKING] = { "thinking", 0, write_text },
	[BLOCK_TOOL_USE] = { "tool_use", 1, write_tool_use },
	[BLOCK_TOOL_RESULT] = { "tool_result", 0, write_tool_result },
	[BLOCK_SYSTEM] = { "system", 0, write_system },
	[BLOCK_SUBAGENT] = { "subagent", 1, write_subagent },
	[BLOCK_ERROR] = { "error", 0, write_error },
};

const char *
block_type_name(enum block_type type)
{
	return types[type].name;
}

const char *
block_status_name(enum block_status status, enum block_form form)
{
	static const char *const names[][2] = {
		[BLOCK_PENDING] = { "pending", "pending" },
		[BLOCK_RUNNING] = { "running", "complete" },
		[BLOCK_SUCCESS] = { "success", "complete" },
		[BLOCK_FAILED] = { "error", "error" },
	};

	return names[status][form == BLOCK_W3];
}

void
block_add_time(struct buf *b, const char *name, int64_t time_ms)
{
	char text[40] = "", all[48];
	time_t s = (time_t)(time_ms / 1000);
	struct tm tm;

	if (time_ms < 0 || gmtime_r(&s, &tm) == NULL)
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(all, sizeof(all), "%.30s.%03dZ", text, (int)(time_ms % 1000));
	json_add_str(b, name, all);
}

struct block
block_make(enum block_type type, const char *id, int64_t time_ms)
{
	return (struct block){
		.type = type,
		.id = id,
		.time_ms = time_ms,
		.status = BLOCK_SUCCESS,
		.duration_ms = -1,
	};
}

void
block_write(struct buf *b, const char *name, const struct block *k,
    enum block_form form)
{
	json_open(b, name, '{');
	json_add_str(b, "id", k->id);
	json_add_str(b, "type", types[k->type].name);
	types[k->type].write(b, k);
	if (types[k->type].has_status || form == BLOCK_W3)
		json_add_str(b, "status", block_status_name(k->status, form));
	block_add_time(b, "timestamp", k->time_ms);
	json_close(b, '}');
}

/* ---- ids ---- */

void
block_id_answer(char out[BLOCK_ID_SIZE], const char *turn, int step,
    enum block_type type, int number)
{
	snprintf(out, BLOCK_ID_SIZE, "%.60s-%d-%s-%d", turn, step,
	    type == BLOCK_THINKING ? "thinking" : "text", number);
}

void
block_id_result(char out[BLOCK_ID_SIZE], const char *call)
{
	snprintf(out, BLOCK_ID_SIZE, "%.100s-result", call);
}

void
block_id_subagent(char out[BLOCK_ID_SIZE], const char *call)
{
	snprintf(out, BLOCK_ID_SIZE, "subagent-block-%.100s", call);
}
