/* SPDX-License-Identifier: MIT */
/*
 * Messages of the history as the Chat API has them (spec/providers.md,
 * section 2); those of the model are in chat_answer.c.
 *
 * Results become tool messages directly behind their calls, one for each call
 * and in the calls' order: the message with the calls is read back from the
 * text for that. A call whose result is not there gets one that says so; a
 * result of no call is left out. Tool messages are text: their images follow
 * in a message of the user's.
 *
 * A tool message ends in " }", with a blank, which no other message does: so
 * its end tells what the last message is, without any state.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/chat_wire.h"

#define IS(s, name) ((s) != NULL && strcmp((s), (name)) == 0)

static const char no_result[] = "(there is no result)";
static const char no_output[] = "(no output)";
static const char only_media[] = "(it is in the next message)";
static const char results_seen[] = "I have the results.";

/* ---- results ---- */

static const struct json *
find_result(const struct wire_model *model, const struct json *content,
    const char *call)
{
	const struct json *c;
	char id[CHAT_ID_SIZE];

	for (c = json_first(content); c != NULL; c = json_next(c)) {
		if (!IS(json_get_str(c, "type"), "tool_result"))
			continue;
		chat_id(id, model, json_get_str(c, "tool_use_id"));
		if (strcmp(id, call) == 0)
			return c;
	}
	return NULL;
}

static void
add_result(struct wire_text *t, const char *id, const char *text)
{
	wire_entry(t);
	buf_lit(t->out, "{\"role\":\"tool\"");
	json_add_str(t->out, "content", text);
	json_add_str(t->out, "tool_call_id", id);
	buf_putc(t->out, ' ');
	json_close(t->out, '}');
}

/* The images of a result, and of which one they are. */
static void
take_media(struct chat_parts *parts, struct arena *a,
    const struct wire_model *model, const struct json *result, const char *name)
{
	const struct json *c = json_first(json_get(result, "content"));

	chat_parts_text(
	    parts, arena_printf(a, "[from the result of %s]", name));
	for (; c != NULL; c = json_next(c))
		if (chat_is_media(model, c))
			chat_parts_block(parts, model, c);
}

static void
answer_call(struct wire_text *t, struct arena *a,
    const struct wire_model *model, const struct json *call,
    const struct json *content, struct chat_parts *parts)
{
	const char *id = json_get_str(call, "id"), *text;
	const char *name = json_get_str(json_get(call, "function"), "name");
	const struct json *result = find_result(model, content, id);
	int media;

	if (result == NULL) {
		add_result(t, id, no_result);
		return;
	}
	text = chat_result_text(a, model, result, &media);
	if (*text == '\0')
		text = media ? only_media : no_output;
	add_result(t, id, text);
	if (media)
		take_media(parts, a, model, result, name);
}

/* Answers the calls of the last message. parts get what tool messages cannot
 * have. content NULL: nothing is known of any. */
static void
answer_calls(struct wire_text *t, struct arena *a,
    const struct wire_model *model, const struct json *content,
    struct chat_parts *parts)
{
	const struct json *message, *c;

	if (t->calls_at == 0)
		return;
	message = json_parse(a, t->out->data + t->calls_at,
	    t->out->len - t->calls_at, JSON_DEPTH_MAX, NULL);
	t->calls_at = 0;
	c = json_first(json_get(message, "tool_calls"));
	for (; c != NULL; c = json_next(c))
		answer_call(t, a, model, c, content, parts);
}

void
chat_seal(struct wire_text *t, const struct wire_model *model)
{
	struct arena *a = arena_open(1024);

	answer_calls(t, a, model, NULL, NULL);
	arena_close(&a);
}

/* ---- the user's ---- */

/* The role, behind what the provider wants between it and the last. */
static void
open_user(struct wire_text *t, const struct wire_model *model)
{
	struct buf *b = t->out;

	if ((model->quirks & MODEL_QUIRK_ANSWER_RESULTS) && b->len >= 2 &&
	    memcmp(b->data + b->len - 2, " }", 2) == 0)
		chat_add_text(t, model, results_seen);
	wire_entry(t);
	buf_lit(b, "{\"role\":\"user\"");
}

void
chat_add_user(
    struct wire_text *t, const struct wire_model *model, const char *text)
{
	open_user(t, model);
	json_add_str(t->out, "content", text);
	json_close(t->out, '}');
}

static void
add_user(struct wire_text *t, struct arena *a, const struct wire_model *model,
    const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;
	struct chat_parts parts;

	chat_parts_init(&parts, a);
	answer_calls(t, a, model, content, &parts);
	chat_parts_text(&parts, json_str(content));
	for (c = json_first(content); c != NULL; c = json_next(c))
		chat_parts_block(&parts, model, c);
	if (parts.count == 0)
		return;
	open_user(t, model);
	chat_parts_write(t->out, &parts);
	json_close(t->out, '}');
}

/* ---- one message ---- */

void
chat_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	struct arena *a = arena_open(m->len + 1024);

	if (chat_is_answer(m)) {
		answer_calls(t, a, model, NULL, NULL);
		chat_add_answer(t, a, model, m);
	} else {
		add_user(t, a, model, m);
	}
	arena_close(&a);
}
