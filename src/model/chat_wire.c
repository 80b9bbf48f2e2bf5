/* SPDX-License-Identifier: MIT */
/*
 * Requests of the Chat Completions API and its dialects (spec/providers.md,
 * sections 2 and 5 to 12). Where those differ is said by quirks of the model;
 * messages are in chat_message.c.
 *
 * The system prompt is the first of the messages, but a text of messages does
 * not have it: it stands in the head, which is made for each request.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/chat_wire.h"
#include "model/strict.h"

/* ---- before the messages ---- */

static const char by_schema[] =
    "Answer with a JSON object, and nothing else, that fits this JSON "
    "schema:\n";

/* A schema that the API has no member for is told to the model. */
static int
schema_is_told(const struct wire_request *rq)
{
	return *rq->schema != '\0' &&
	       (rq->model->quirks & MODEL_QUIRK_NO_SCHEMA);
}

static void
head(struct buf *out, const struct wire_text *t, const struct wire_request *rq)
{
	int told = schema_is_told(rq);

	buf_lit(out, "{\"messages\":[");
	if (*rq->system == '\0' && !told)
		return;
	buf_lit(out, "{\"role\":\"system\",\"content\":\"");
	json_escape(out, rq->system, strlen(rq->system));
	if (told) {
		buf_puts(out, *rq->system == '\0' ? "" : "\\n\\n");
		json_escape(out, by_schema, sizeof(by_schema) - 1);
		json_escape(out, rq->schema, strlen(rq->schema));
	}
	buf_lit(out, "\"}");
	if (t->shown > 0 || *rq->extra != '\0')
		buf_putc(out, ',');
}

/* ---- how it thinks ---- */

static int
is_off(const struct wire_model *m)
{
	return strcmp(m->effort, "none") == 0;
}

static int
is_on(const struct wire_model *m)
{
	return m->thinking > 0;
}

static void
add_effort(struct buf *b, const struct wire_model *m)
{
	if (*m->effort != '\0')
		json_add_str(b, "reasoning_effort", m->effort);
}

static void
add_object(struct buf *b, const struct wire_model *m)
{
	if (!is_on(m) && *m->effort == '\0')
		return;
	json_open(b, "reasoning", '{');
	if (is_on(m) && !is_off(m)) /* never both */
		json_add_int(b, "max_tokens", m->thinking);
	else
		json_add_str(b, "effort", m->effort);
	json_close(b, '}');
}

/* There is no member for an effort. */
static void
add_enable(struct buf *b, const struct wire_model *m)
{
	if (!is_on(m) && *m->effort == '\0')
		return;
	json_add_bool(b, "enable_thinking", !is_off(m));
	if (is_on(m) && !is_off(m))
		json_add_int(b, "thinking_budget", m->thinking);
}

static void
add_type(struct buf *b, const struct wire_model *m)
{
	if (is_on(m) || is_off(m)) {
		json_open(b, "thinking", '{');
		json_add_str(b, "type", is_off(m) ? "disabled" : "enabled");
		json_close(b, '}');
	}
	if (!is_off(m))
		add_effort(b, m);
}

static void
add_template(struct buf *b, const struct wire_model *m)
{
	if (is_on(m) || is_off(m)) {
		json_open(b, "chat_template_kwargs", '{');
		json_add_bool(b, "enable_thinking", !is_off(m));
		json_close(b, '}');
	}
	if (!is_off(m))
		add_effort(b, m);
}

/* The first that a model's quirks have; the last is everybody's. An effort of
 * "none" says that it is not to think. */
static const struct {
	unsigned quirk;
	void (*add)(struct buf *b, const struct wire_model *m);
} thinking[] = {
	{ MODEL_QUIRK_REASONING_OBJECT, add_object },
	{ MODEL_QUIRK_ENABLE_THINKING, add_enable },
	{ MODEL_QUIRK_THINKING_TYPE, add_type },
	{ MODEL_QUIRK_TEMPLATE_THINKING, add_template },
	{ ~0u, add_effort },
};

static void
add_reasoning(struct buf *b, const struct wire_model *m)
{
	size_t i = 0;

	while (thinking[i].quirk != ~0u && !(m->quirks & thinking[i].quirk))
		i++;
	thinking[i].add(b, m);
}

/* ---- the rest ---- */

/* Some refuse to be told which tool while they think, which they do unless
 * told otherwise. */
static void
add_choice(struct buf *b, const struct wire_request *rq)
{
	const char *choice = rq->tool_choice;

	if (*choice == '\0')
		return;
	if ((*choice == '=' || strcmp(choice, "any") == 0) &&
	    (rq->model->quirks & MODEL_QUIRK_FREE_CHOICE) && !is_off(rq->model))
		choice = "auto";
	if (*choice != '=') {
		json_add_str(b, "tool_choice",
		    strcmp(choice, "any") == 0 ? "required" : choice);
		return;
	}
	json_open(b, "tool_choice", '{');
	json_add_str(b, "type", "function");
	json_open(b, "function", '{');
	json_add_str(b, "name", choice + 1);
	json_close(b, '}');
	json_close(b, '}');
}

static void
add_tools(struct buf *b, const struct wire_request *rq)
{
	if (*rq->tools == '\0' || strcmp(rq->tools, "[]") == 0)
		return;
	json_add_raw(b, "tools", rq->tools, strlen(rq->tools));
	add_choice(b, rq);
}

static void
add_schema(struct buf *b, const struct wire_request *rq)
{
	struct arena *a;
	size_t len = strlen(rq->schema);

	if (len == 0)
		return;
	json_open(b, "response_format", '{');
	if (schema_is_told(rq)) {
		json_add_str(b, "type", "json_object");
		json_close(b, '}');
		return;
	}
	a = arena_open(len);
	json_add_str(b, "type", "json_schema");
	json_open(b, "json_schema", '{');
	json_add_str(b, "name", "answer");
	json_add_raw(b, "schema", rq->schema, len);
	json_add_bool(b, "strict",
	    strict_fits(json_parse(a, rq->schema, len, JSON_DEPTH_MAX, NULL)));
	json_close(b, '}');
	json_close(b, '}');
	arena_close(&a);
}

static void
add_stream(struct buf *b, unsigned quirks)
{
	json_add_bool(b, "stream", 1);
	if (quirks & MODEL_QUIRK_NO_STREAM_OPTIONS)
		return;
	json_open(b, "stream_options", '{');
	json_add_bool(b, "include_usage", 1);
	if (quirks & MODEL_QUIRK_OBFUSCATION)
		json_add_bool(b, "include_obfuscation", 0);
	json_close(b, '}');
}

static void
finish(struct wire_text *t, const struct wire_request *rq)
{
	const struct wire_model *m = rq->model;
	struct buf *b = t->out;

	chat_seal(t, m);
	if (*rq->extra != '\0')
		chat_add_user(t, m, rq->extra);
	buf_putc(b, ']');
	json_add_str(b, "model", m->id);
	add_stream(b, m->quirks);
	if (m->max_tokens > 0)
		json_add_int(b,
		    m->quirks & MODEL_QUIRK_MAX_TOKENS
			? "max_tokens"
			: "max_completion_tokens",
		    m->max_tokens);
	add_tools(b, rq);
	add_reasoning(b, m);
	add_schema(b, rq);
	wire_members(b, m->members);
	buf_putc(b, '}');
}

/* ---- tools ---- */

/* An object without members must say so. */
static void
add_parameters(struct buf *b, const struct json *schema)
{
	json_open(b, "parameters", '{');
	if (json_get(schema, "type") == NULL)
		json_add_str(b, "type", "object");
	for (const struct json *m = json_first(schema); m != NULL;
	     m = json_next(m))
		json_add_json(b, json_name(m), m);
	if (json_get(schema, "properties") == NULL)
		json_add_raw(b, "properties", "{}", 2);
	json_close(b, '}');
}

static void
add_tool(struct buf *b, const struct json *tool)
{
	const char *description = json_get_str(tool, "description");

	json_open(b, NULL, '{');
	json_add_str(b, "type", "function");
	json_open(b, "function", '{');
	json_add_str(b, "name", json_get_str(tool, "name"));
	if (description != NULL && *description != '\0')
		json_add_str(b, "description", description);
	add_parameters(b, json_get(tool, "input_schema"));
	json_close(b, '}');
	json_close(b, '}');
}

static void
tools(struct buf *out, const char *tools, unsigned quirks)
{
	struct arena *a = arena_open(strlen(tools) + 1024);
	const struct json *list =
	    json_parse(a, tools, strlen(tools), JSON_DEPTH_MAX, NULL);

	(void)quirks;
	json_open(out, NULL, '[');
	for (const struct json *j = json_first(list); j != NULL;
	     j = json_next(j))
		add_tool(out, j);
	json_close(out, ']');
	arena_close(&a);
}

const struct model_wire wire_chat = {
	.start = "    ", /* blanks, the rest is in the head */
	.parses = 1,
	.keeps = 1,
	.add = chat_add,
	.cut = chat_cut,
	.head = head,
	.finish = finish,
	.tools = tools,
};
