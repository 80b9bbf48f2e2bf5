/* SPDX-License-Identifier: MIT */
/*
 * Recorded requests to Gemini: each is taken apart into a neutral history,
 * settings and tools, and the wire must make it again.
 *
 * Both are compared in one form, normal(), as others write some things
 * otherwise: null stands for nothing, and so do "thought":false, an empty
 * generationConfig, tools without a declaration, and the role of
 * systemInstruction; parameters are parametersJsonSchema, with types in small
 * letters; the object that is a call's result is its text. What a caller's
 * settings bring comes by the model's members.
 */
#include "config.h"

#include <ctype.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "decode_run.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DOCS_MAX 16
#define CALLS_MAX 16

/* Those that cannot be made. */
static const struct {
	const char *name, *why;
} left_out[] = {
	{ "google_search_grounding", "googleSearch is a tool of Google's" },
	{ "grounding_long", "google_search is a tool of Google's" },
	{ "two_finish_reasons", "codeExecution is a tool of Google's" },
	{ "two_finish_reasons_thoughts",
	    "codeExecution is a tool of Google's" },
};

static int
is(const struct json *j, const char *name)
{
	return strcmp(json_name(j), name) == 0;
}

/* ---- one form ---- */

static void normal(struct buf *b, const char *name, const struct json *j);

static int
says_nothing(const struct json *m)
{
	const struct json *c;

	if (json_is(m, JSON_NULL))
		return 1;
	if (is(m, "thought"))
		return !json_bool(m);
	if (!is(m, "generationConfig"))
		return 0;
	for (c = json_first(m); c != NULL; c = json_next(c))
		if (!json_is(c, JSON_NULL))
			return 0;
	return 1;
}

static void
normal_schema(struct buf *b, const char *name, const struct json *j)
{
	const char *text = json_str(j);
	char small[32];
	size_t n = 0;

	if (text == NULL || name == NULL || strcmp(name, "type") != 0) {
		const struct json *m = json_first(j);
		int list = json_is(j, JSON_ARRAY);

		if (!list && !json_is(j, JSON_OBJECT)) {
			json_add_json(b, name, j);
			return;
		}
		json_open(b, name, list ? '[' : '{');
		for (; m != NULL; m = json_next(m))
			normal_schema(b, list ? NULL : json_name(m), m);
		json_close(b, list ? ']' : '}');
		return;
	}
	for (; text[n] != '\0' && n < sizeof(small) - 1; n++)
		small[n] = (char)tolower((unsigned char)text[n]);
	small[n] = '\0';
	json_add_str(b, name, small);
}

static void
normal_result(struct buf *b, const struct json *result)
{
	struct buf text;

	buf_init(&text, NULL);
	if (json_is(result, JSON_STRING))
		buf_puts(&text, json_str(result));
	else
		json_print(&text, result);
	json_add_str(b, "result", buf_str(&text));
	buf_fini(&text);
}

static void
normal_member(struct buf *b, const struct json *m)
{
	if (says_nothing(m))
		return;
	if (is(m, "parameters") || is(m, "parametersJsonSchema"))
		normal_schema(b, "parametersJsonSchema", m);
	else if (is(m, "result"))
		normal_result(b, m);
	else
		normal(b, json_name(m), m);
}

static void
normal(struct buf *b, const char *name, const struct json *j)
{
	int list = json_is(j, JSON_ARRAY);
	const struct json *m;

	if (!list && !json_is(j, JSON_OBJECT)) {
		json_add_json(b, name, j);
		return;
	}
	json_open(b, name, list ? '[' : '{');
	for (m = json_first(j); m != NULL; m = json_next(m))
		if (list)
			normal(b, NULL, m);
		else if (name == NULL || !is(m, "role") ||
			 strcmp(name, "systemInstruction") != 0)
			normal_member(b, m);
	json_close(b, list ? ']' : '}');
}

/* ---- what was recorded, taken apart ---- */

struct recorded {
	struct arena *a;
	struct wire_model model;
	struct wire_request rq;
	struct wire_doc docs[DOCS_MAX];
	size_t count;

	/* The calls of the last content, in order. */
	const char *names[CALLS_MAX];
	int calls, results, all;
};

static struct buf *
buf_in(struct arena *a)
{
	struct buf *b = arena_new(a, struct buf);

	buf_init(b, a);
	return b;
}

/* The members of a part that the neutral block does not say. */
static void
take_native(struct buf *b, const struct json *part, const char *id)
{
	struct buf native;
	const struct json *m;

	buf_init(&native, NULL);
	json_open(&native, NULL, '{');
	if (id != NULL)
		json_add_str(&native, "id", id);
	for (m = json_first(part); m != NULL; m = json_next(m))
		if (!json_is(m, JSON_NULL) && !is(m, "thought") &&
		    !is(m, "text") && !is(m, "functionCall"))
			json_add_json(&native, json_name(m), m);
	json_close(&native, '}');
	if (native.len > 2)
		json_add_raw(b, "native", native.data, native.len);
	buf_fini(&native);
}

static void
take_call(struct recorded *r, struct buf *b, const struct json *part)
{
	const struct json *call = json_get(part, "functionCall");
	char ours[32];

	assert_true(r->calls < CALLS_MAX);
	snprintf(ours, sizeof(ours), "call_%d", r->all + r->calls);
	json_add_str(b, "type", "tool_use");
	json_add_str(b, "id", ours);
	json_add_json(b, "name", json_get(call, "name"));
	json_add_json(b, "input", json_get(call, "args"));
	take_native(b, part, json_get_str(call, "id"));
	r->names[r->calls++] = json_get_str(call, "name");
}

static void
take_image(struct buf *b, const struct json *part)
{
	const struct json *data = json_get(part, "inlineData");

	json_open(b, NULL, '{');
	json_add_str(b, "type", "image");
	json_open(b, "source", '{');
	json_add_str(b, "type", "base64");
	json_add_json(b, "media_type", json_get(data, "mimeType"));
	json_add_json(b, "data", json_get(data, "data"));
	json_close(b, '}');
	json_close(b, '}');
}

static void
take_result(struct recorded *r, struct buf *b, struct buf *calls,
    const struct json *part)
{
	const struct json *response = json_get(part, "functionResponse");
	const struct json *said =
	    json_get(json_get(response, "response"), "result");
	const struct json *p = json_first(json_get(response, "parts"));
	char ours[32];

	assert_true(r->results < r->calls);
	assert_non_null(said);
	assert_string_equal(
	    r->names[r->results], json_get_str(response, "name"));
	snprintf(ours, sizeof(ours), "call_%d", r->all + r->results);
	json_add_json(calls, ours, json_get(response, "name"));
	r->results++;
	json_add_str(b, "type", "tool_result");
	json_add_str(b, "tool_use_id", ours);
	json_open(b, "content", '[');
	json_open(b, NULL, '{');
	json_add_str(b, "type", "text");
	if (json_is(said, JSON_STRING)) {
		json_add_json(b, "text", said);
	} else {
		struct buf text;

		buf_init(&text, r->a);
		json_print(&text, said);
		json_add_str(b, "text", buf_str(&text));
	}
	json_close(b, '}');
	for (; p != NULL; p = json_next(p))
		take_image(b, p);
	json_close(b, ']');
}

static void
take_text(struct buf *b, const struct json *part)
{
	int thought = json_get_true(part, "thought");

	json_add_str(b, "type", thought ? "thinking" : "text");
	json_add_json(b, thought ? "thinking" : "text", json_get(part, "text"));
	take_native(b, part, NULL);
}

static void
take_content(struct recorded *r, const struct json *content)
{
	int model = strcmp(json_get_str(content, "role"), "model") == 0;
	const struct json *p = json_first(json_get(content, "parts"));
	struct buf *b = buf_in(r->a), *calls = buf_in(r->a);

	if (model) {
		r->all += r->calls;
		r->calls = r->results = 0;
	}
	json_open(b, NULL, '{');
	json_add_str(b, "role", model ? "assistant" : "user");
	json_open(b, "content", '[');
	json_open(calls, NULL, '{');
	for (; p != NULL; p = json_next(p)) {
		json_open(b, NULL, '{');
		if (json_get(p, "functionCall") != NULL)
			take_call(r, b, p);
		else if (json_get(p, "functionResponse") != NULL)
			take_result(r, b, calls, p);
		else
			take_text(b, p);
		json_close(b, '}');
	}
	json_close(calls, '}');
	buf_puts(b, "]}");
	assert_true(r->count < DOCS_MAX);
	r->docs[r->count].text = buf_str(b);
	r->docs[r->count++].calls = buf_str(calls);
}

/* 0 if one of the tools is not ours to offer. */
static int
take_tools(struct recorded *r, const struct json *body)
{
	const struct json *t = json_first(json_get(body, "tools")), *m, *f;
	struct buf *ours = buf_in(r->a), *b = buf_in(r->a);

	json_open(ours, NULL, '[');
	for (; t != NULL; t = json_next(t)) {
		for (m = json_first(t); m != NULL; m = json_next(m))
			if (!is(m, "functionDeclarations") &&
			    !json_is(m, JSON_NULL))
				return 0;
		f = json_first(json_get(t, "functionDeclarations"));
		for (; f != NULL; f = json_next(f)) {
			json_open(ours, NULL, '{');
			json_add_json(ours, "name", json_get(f, "name"));
			json_add_json(
			    ours, "description", json_get(f, "description"));
			json_add_json(
			    ours, "input_schema", json_get(f, "parameters"));
			json_close(ours, '}');
		}
	}
	json_close(ours, ']');
	if (ours->len > 2) {
		wire_gemini.tools(b, buf_str(ours), 0);
		r->rq.tools = buf_str(b);
	}
	return 1;
}

static void
take_choice(struct recorded *r, const struct json *body)
{
	const struct json *config =
	    json_get(json_get(body, "toolConfig"), "functionCallingConfig");
	const char *mode = json_get_str(config, "mode");
	char *choice;

	if (mode == NULL)
		return;
	r->rq.tool_choice = choice = arena_strdup(r->a, mode);
	for (; *choice != '\0'; choice++)
		*choice = (char)tolower((unsigned char)*choice);
}

/* What our settings say of it; the rest is the caller's. */
static void
take_config(struct recorded *r, struct buf *b, const struct json *config)
{
	const struct json *m = json_first(config);
	const char *level;

	json_open(b, "generationConfig", '{');
	for (; m != NULL; m = json_next(m)) {
		level = json_get_str(m, "thinkingLevel");
		if (is(m, "maxOutputTokens")) {
			assert_true(json_int(m, &r->model.max_tokens));
		} else if (is(m, "thinkingConfig") && level != NULL) {
			r->model.effort = level;
			r->model.thinking = json_get_true(m, "includeThoughts");
		} else {
			json_add_json(b, json_name(m), m);
		}
	}
	json_close(b, '}');
}

static void
take_members(struct recorded *r, const struct json *body)
{
	struct buf *b = buf_in(r->a);
	const struct json *m = json_first(body);

	json_open(b, NULL, '{');
	for (; m != NULL; m = json_next(m))
		if (is(m, "generationConfig"))
			take_config(r, b, m);
		else if (!json_is(m, JSON_NULL) && !is(m, "contents") &&
			 !is(m, "tools") && !is(m, "toolConfig") &&
			 !is(m, "systemInstruction"))
			json_add_json(b, json_name(m), m);
	json_close(b, '}');
	r->model.members = buf_str(b);
}

static int
take(struct recorded *r, const struct json *body)
{
	const struct json *c = json_first(json_get(body, "contents"));

	r->model.max_tokens = 0;
	for (; c != NULL; c = json_next(c))
		take_content(r, c);
	r->rq.model = &r->model;
	r->rq.system = json_get_str(
	    json_first(json_get(json_get(body, "systemInstruction"), "parts")),
	    "text");
	take_choice(r, body);
	take_members(r, body);
	return take_tools(r, body);
}

/* ---- the test ---- */

/* The model stands in the URL, which is in the file beside. */
static const char *
model_of(struct arena *a, const char *path)
{
	size_t len = strlen(path) - strlen(".request.json");
	const char *from, *model = "gemini";
	struct buf source;

	file_read(&source, arena_printf(a, "%.*s.source", (int)len, path));
	from = strstr(buf_str(&source), "/models/");
	if (from != NULL) {
		from += strlen("/models/");
		model = arena_printf(a, "%.*s", (int)strcspn(from, ":"), from);
	}
	buf_fini(&source);
	return model;
}

static const char *
why_left_out(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t len = strlen(name) - strlen(".request.json");

	for (size_t i = 0; i < COUNT(left_out); i++)
		if (strlen(left_out[i].name) == len &&
		    memcmp(left_out[i].name, name, len) == 0)
			return left_out[i].why;
	return NULL;
}

/* 1 if it was made again, 0 if it is left out. */
static int
request_run(const char *path)
{
	struct arena *a = arena_open(65536);
	struct recorded r = { .a = a,
		.model = wire_model_of(model_of(a, path)) };
	struct buf *wanted = buf_in(a), *got = buf_in(a), text;
	const char *why = why_left_out(path);
	const struct json *body;
	int ours;

	file_read(&text, path);
	body = json_parse(a, text.data, text.len, JSON_DEPTH_MAX, NULL);
	assert_non_null(body);
	ours = take(&r, body);
	if (ours != (why == NULL))
		fail_msg("%s: %s", path, why == NULL ? "no tool of ours" : why);
	if (ours) {
		normal(wanted, NULL, body);
		normal(got, NULL,
		    wire_body(a, &wire_gemini, &r.rq, r.docs, r.count));
		expect_json(path,
		    json_parse(a, buf_str(got), got->len, JSON_DEPTH_MAX, NULL),
		    buf_str(wanted));
	} else {
		print_message("%s: %s\n", strrchr(path, '/') + 1, why);
	}
	buf_fini(&text);
	arena_close(&a);
	return ours;
}

static void
test_recorded(void **state)
{
	size_t made = 0;
	glob_t g;

	(void)state;
	glob_or_skip("gemini/*.request.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		made += (size_t)request_run(g.gl_pathv[i]);
	print_message("%zu of %zu recorded requests\n", made, g.gl_pathc);
	assert_int_equal(made, g.gl_pathc - COUNT(left_out));
	globfree(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
