/* SPDX-License-Identifier: MIT */
/*
 * Requests of OpenAI's Responses API (spec/providers.md, section 3), without
 * its memory: nothing is kept there, so the reasoning comes encrypted, and
 * goes back with the rest.
 *
 * model.members may say more of "reasoning" and "text", which are objects, and
 * may say otherwise about "store" and "include": models that do not reason
 * refuse to be asked for encrypted reasoning, which "include":[] spares them.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/responses_wire_priv.h"
#include "model/strict.h"
#include "model/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- members that are objects ---- */

static void
add_reasoning(
    struct buf *b, const struct wire_request *rq, const struct json *theirs)
{
	const struct wire_model *m = rq->model;

	if (*m->effort != '\0' && json_get(theirs, "effort") == NULL)
		json_add_str(b, "effort", m->effort);
	if (m->thinking > 0 && json_get(theirs, "summary") == NULL)
		json_add_str(b, "summary", "auto");
}

static void
add_format(
    struct buf *b, const struct wire_request *rq, const struct json *theirs)
{
	size_t len = strlen(rq->schema);
	struct arena *a;

	if (len == 0 || json_get(theirs, "format") != NULL)
		return;
	json_open(b, "format", '{');
	if (rq->model->quirks & MODEL_QUIRK_NO_SCHEMA) {
		json_add_str(b, "type", "json_object");
	} else {
		a = arena_open(2 * len + 256);
		json_add_str(b, "type", "json_schema");
		json_add_str(b, "name", "answer");
		json_add_raw(b, "schema", rq->schema, len);
		json_add_bool(b, "strict",
		    strict_fits(
			json_parse(a, rq->schema, len, JSON_DEPTH_MAX, NULL)));
		arena_close(&a);
	}
	json_close(b, '}');
}

static void
add_stream_options(
    struct buf *b, const struct wire_request *rq, const struct json *theirs)
{
	if ((rq->model->quirks & MODEL_QUIRK_OBFUSCATION) &&
	    json_get(theirs, "include_obfuscation") == NULL)
		json_add_bool(b, "include_obfuscation", 0);
}

static const struct object {
	const char *name;

	/* Adds ours, where theirs, of model.members, do not say it. */
	void (*add)(struct buf *b, const struct wire_request *rq,
	    const struct json *theirs);
} objects[] = {
	{ "reasoning", add_reasoning },
	{ "text", add_format },
	{ "stream_options", add_stream_options },
};

static void
add_object(struct buf *b, const struct object *o, const struct wire_request *rq,
    const struct json *theirs)
{
	size_t before = b->len, empty;
	const struct json *m;

	json_open(b, o->name, '{');
	empty = b->len;
	o->add(b, rq, theirs);
	if (json_is(theirs, JSON_OBJECT))
		for (m = json_first(theirs); m != NULL; m = json_next(m))
			json_add_json(b, json_name(m), m);
	if (b->len == empty)
		buf_truncate(b, before);
	else
		json_close(b, '}');
}

static int
is_object(const char *name)
{
	for (size_t i = 0; i < COUNT(objects); i++)
		if (strcmp(objects[i].name, name) == 0)
			return 1;
	return 0;
}

static void
add_members(struct buf *b, const struct wire_request *rq)
{
	const char *text = rq->model->members;
	struct arena *a = arena_open(1024);
	const struct json *more, *m;

	more = json_parse(a, text, strlen(text), JSON_DEPTH_MAX, NULL);
	if (json_get(more, "store") == NULL)
		json_add_bool(b, "store", 0);
	if (json_get(more, "include") == NULL)
		buf_lit(b, ",\"include\":[\"reasoning.encrypted_content\"]");
	for (size_t i = 0; i < COUNT(objects); i++)
		add_object(b, &objects[i], rq, json_get(more, objects[i].name));
	for (m = json_first(more); m != NULL; m = json_next(m))
		if (!is_object(json_name(m)))
			json_add_json(b, json_name(m), m);
	arena_close(&a);
}

/* ---- the rest ---- */

static void
add_extra(struct wire_text *t, const char *extra)
{
	struct buf *b = t->out;

	if (*extra == '\0')
		return;
	responses_item(t, "message");
	json_add_str(b, "role", "user");
	json_open(b, "content", '[');
	json_open(b, NULL, '{');
	json_add_str(b, "type", "input_text");
	json_add_str(b, "text", extra);
	buf_lit(b, "}]}");
}

static void
add_choice(struct buf *b, const struct wire_request *rq)
{
	const char *choice = rq->tool_choice;
	int forced = *choice == '=' || strcmp(choice, "any") == 0;

	if (forced && rq->model->thinking > 0 &&
	    (rq->model->quirks & MODEL_QUIRK_FREE_CHOICE))
		choice = "auto";
	if (*choice == '=') {
		json_open(b, "tool_choice", '{');
		json_add_str(b, "type", "function");
		json_add_str(b, "name", choice + 1);
		json_close(b, '}');
	} else if (*choice != '\0') {
		json_add_str(b, "tool_choice",
		    strcmp(choice, "any") == 0 ? "required" : choice);
	}
}

static void
finish(struct wire_text *t, const struct wire_request *rq)
{
	const struct wire_model *m = rq->model;
	struct buf *b = t->out;

	add_extra(t, rq->extra);
	json_close(b, ']');
	json_add_str(b, "model", m->id);
	json_add_bool(b, "stream", 1);
	if (*rq->system != '\0')
		json_add_str(b, "instructions", rq->system);
	if (m->max_tokens > 0)
		json_add_int(b, "max_output_tokens", m->max_tokens);
	if (*rq->tools != '\0') {
		json_add_raw(b, "tools", rq->tools, strlen(rq->tools));
		add_choice(b, rq);
	}
	add_members(b, rq);
	json_close(b, '}');
}

const struct model_wire wire_responses = {
	.start = "{\"input\":[",
	.parses = 1,
	.add = responses_add,
	.finish = finish,
	.tools = responses_tools,
};
