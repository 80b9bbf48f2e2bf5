/* SPDX-License-Identifier: MIT */
/*
 * Requests of Gemini's streamGenerateContent (spec/providers.md, section 4):
 * what stands behind the contents. The model and that it streams stand in the
 * URL. How it answers is one member, generationConfig, which model.members may
 * have too: what a caller has written there counts, but for the form of an
 * answer that a request asks for.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/gemini_wire_priv.h"

#define CONFIG "generationConfig"

/* ---- tools ---- */

static void
add_choice(struct buf *b, const char *choice)
{
	static const struct {
		const char *choice, *mode;
	} modes[] = {
		{ "auto", "AUTO" },
		{ "none", "NONE" },
		{ "any", "ANY" },
	};
	const char *mode = *choice == '=' ? "ANY" : NULL;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i].choice, choice) == 0)
			mode = modes[i].mode;
	if (mode == NULL)
		return;
	json_open(b, "toolConfig", '{');
	json_open(b, "functionCallingConfig", '{');
	json_add_str(b, "mode", mode);
	if (*choice == '=') {
		json_open(b, "allowedFunctionNames", '[');
		json_add_str(b, NULL, choice + 1);
		json_close(b, ']');
	}
	json_close(b, '}');
	json_close(b, '}');
}

static void
add_tool(struct buf *b, const struct json *tool)
{
	const char *name = json_get_str(tool, "name");
	const char *description = json_get_str(tool, "description");

	if (name == NULL)
		return;
	json_open(b, NULL, '{');
	json_add_str(b, "name", name);
	if (description != NULL && *description != '\0')
		json_add_str(b, "description", description);
	gemini_schema(
	    b, "parametersJsonSchema", json_get(tool, "input_schema"));
	json_close(b, '}');
}

static void
tools(struct buf *out, const char *tools, unsigned quirks)
{
	struct arena *a = arena_open(strlen(tools) + 1024);
	const struct json *t = json_first(
	    json_parse(a, tools, strlen(tools), JSON_DEPTH_MAX, NULL));

	(void)quirks;
	json_open(out, NULL, '[');
	json_open(out, NULL, '{');
	json_open(out, "functionDeclarations", '[');
	for (; t != NULL; t = json_next(t))
		add_tool(out, t);
	json_close(out, ']');
	json_close(out, '}');
	json_close(out, ']');
	arena_close(&a);
}

/* ---- generationConfig ---- */

/* The third generation takes how hard it thinks, those before it how long; a
 * request that says both is refused. */
static void
add_thinking(struct buf *b, const struct wire_model *m)
{
	int by_level =
	    *m->effort != '\0' && (m->thinking == 0 || !gemini_is_old(m));

	if (*m->effort == '\0' && m->thinking == 0)
		return;
	json_open(b, "thinkingConfig", '{');
	if (m->thinking > 0)
		json_add_bool(b, "includeThoughts", 1);
	if (by_level)
		json_add_str(b, "thinkingLevel", m->effort);
	else
		json_add_int(b, "thinkingBudget", m->thinking);
	json_close(b, '}');
}

static void
add_schema(struct arena *a, struct buf *b, const char *schema)
{
	json_add_str(b, "responseMimeType", "application/json");
	gemini_schema(b, "responseJsonSchema",
	    json_parse(a, schema, strlen(schema), JSON_DEPTH_MAX, NULL));
}

/* Of the caller's members those that are not the request's to say. */
static void
add_theirs(
    struct buf *b, const struct json *theirs, const struct wire_request *rq)
{
	const struct json *m = json_first(theirs);

	for (; m != NULL; m = json_next(m))
		if (*rq->schema == '\0' ||
		    (strcmp(json_name(m), "responseMimeType") != 0 &&
			strcmp(json_name(m), "responseSchema") != 0 &&
			strcmp(json_name(m), "responseJsonSchema") != 0))
			json_add_json(b, json_name(m), m);
}

static void
add_config(struct arena *a, struct buf *b, const struct wire_request *rq,
    const struct json *theirs)
{
	const struct wire_model *m = rq->model;
	size_t before = b->len, empty;

	json_open(b, CONFIG, '{');
	empty = b->len;
	if (m->max_tokens > 0 && json_get(theirs, "maxOutputTokens") == NULL)
		json_add_int(b, "maxOutputTokens", m->max_tokens);
	if (*rq->schema != '\0')
		add_schema(a, b, rq->schema);
	if (json_get(theirs, "thinkingConfig") == NULL)
		add_thinking(b, m);
	add_theirs(b, theirs, rq);
	if (b->len == empty)
		buf_truncate(b, before);
	else
		json_close(b, '}');
}

/* ---- the rest ---- */

static void
add_system(struct buf *b, const char *system)
{
	if (*system == '\0')
		return;
	json_open(b, "systemInstruction", '{');
	json_open(b, "parts", '[');
	gemini_text(b, system);
	json_close(b, ']');
	json_close(b, '}');
}

static void
finish(struct wire_text *t, const struct wire_request *rq)
{
	const char *text = rq->model->members;
	struct arena *a = arena_open(1024);
	const struct json *members =
	    json_parse(a, text, strlen(text), JSON_DEPTH_MAX, NULL);
	const struct json *theirs = json_get(members, CONFIG), *m;
	struct buf *b = t->out;

	if (*rq->extra != '\0')
		gemini_user_text(t, rq->extra);
	if (t->shown > 0)
		buf_lit(b, "]}");
	json_close(b, ']');
	add_system(b, rq->system);
	if (*rq->tools != '\0') {
		json_add_raw(b, "tools", rq->tools, strlen(rq->tools));
		add_choice(b, rq->tool_choice);
	}
	add_config(a, b, rq, theirs);
	for (m = json_first(members); m != NULL; m = json_next(m))
		if (strcmp(json_name(m), CONFIG) != 0)
			json_add_json(b, json_name(m), m);
	json_close(b, '}');
	arena_close(&a);
}

const struct model_wire wire_gemini = {
	.start = "{\"contents\":[",
	.parses = 1,
	.keeps = 1,
	.add = gemini_add,
	.finish = finish,
	.tools = tools,
};
