/* SPDX-License-Identifier: MIT */
/*
 * Recorded requests of the Chat API and its dialects, made again: a recorded
 * body is turned into neutral documents, tools and settings, the wire makes a
 * body of those, and both must be the same JSON, in any order of members,
 * after this:
 *
 *  - a content of one text part is that text; a content of null is none;
 *  - a call's arguments are compared as JSON;
 *  - a tool's member strict that is null or false is none, and parameters {}
 *    are an object without members;
 *  - tool_choice "any" is "required" (Mistral knows both);
 *  - "thinking":{"type":"enabled"} needs a number of tokens, which is not
 *    sent: any will do.
 *
 * Members that the wire has nothing to do with come from the settings, as
 * model.members. Ids are the same, because those of the recording are taken
 * for ours.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "decode_run.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define IS(s, name) ((s) != NULL && strcmp((s), (name)) == 0)

/* Those that cannot be made, and why. */
static const struct {
	const char *name, *why;
} exceptions[] = {
	{ "openai-chat/forced_tool_finish_stop",
	    "a tool has strict, which is not asked for" },
	{ "openai-chat/tools_parallel_no_usage",
	    "a tool has strict, which is not asked for" },
	{ "ollama/tool_call_zero_arg",
	    "a function has a member type, which means nothing" },
};

#define DOCS_MAX 16

/* A recorded request in our words. */
struct recorded {
	struct arena *arena;
	const struct json *body;
	struct wire_doc docs[DOCS_MAX];
	size_t count;
	struct wire_model model;
	struct wire_request rq;
	struct buf members;
};

static struct buf *
buf_new(struct arena *a)
{
	struct buf *b = arena_new(a, struct buf);

	buf_init(b, a);
	return b;
}

static struct json *
parse(struct arena *a, const char *text, size_t len)
{
	struct json *j = json_parse(a, text, len, JSON_DEPTH_MAX, NULL);

	assert_non_null(j);
	return j;
}

/* ---- normalisation ---- */

static int
is_nothing(const char *name, const struct json *j)
{
	return (strcmp(name, "content") == 0 && json_is(j, JSON_NULL)) ||
	       (strcmp(name, "strict") == 0 &&
		   (json_is(j, JSON_NULL) ||
		       (json_is(j, JSON_BOOL) && !json_bool(j))));
}

/* The text of a list with one text part, or NULL. */
static const char *
only_text(const struct json *content)
{
	const struct json *part = json_first(content);

	if (!json_is(content, JSON_ARRAY) || json_count(content) != 1 ||
	    !IS(json_get_str(part, "type"), "text"))
		return NULL;
	return json_get_str(part, "text");
}

static void normal(struct buf *b, const char *name, const struct json *j);

static int
normal_special(struct buf *b, const char *name, const struct json *j)
{
	const char *text = json_str(j);

	if (IS(name, "content") && only_text(j) != NULL)
		json_add_str(b, name, only_text(j));
	else if (IS(name, "arguments") && text != NULL)
		normal(b, name, parse(b->arena, text, strlen(text)));
	else if (IS(name, "tool_choice") && IS(text, "any"))
		json_add_str(b, name, "required");
	else if (IS(name, "parameters") && json_is(j, JSON_OBJECT) &&
		 json_count(j) == 0)
		json_add_raw(
		    b, name, "{\"type\":\"object\",\"properties\":{}}", 33);
	else
		return 0;
	return 1;
}

static void
normal(struct buf *b, const char *name, const struct json *j)
{
	int object = json_is(j, JSON_OBJECT);

	if (normal_special(b, name, j))
		return;
	if (!object && !json_is(j, JSON_ARRAY)) {
		json_add_json(b, name, j);
		return;
	}
	json_open(b, name, object ? '{' : '[');
	for (const struct json *m = json_first(j); m != NULL; m = json_next(m))
		if (!object)
			normal(b, NULL, m);
		else if (!is_nothing(json_name(m), m))
			normal(b, json_name(m), m);
	json_close(b, object ? '}' : ']');
}

static struct json *
normalised(struct arena *a, const struct json *j)
{
	struct buf *b = buf_new(a);

	normal(b, NULL, j);
	return parse(a, b->data, b->len);
}

/* ---- messages ---- */

static void
doc_add(struct recorded *r, const struct buf *text)
{
	assert_true(r->count < DOCS_MAX);
	r->docs[r->count++].text = text->data;
}

static struct buf *
doc_open(struct recorded *r, const char *role)
{
	struct buf *b = buf_new(r->arena);

	json_open(b, NULL, '{');
	json_add_str(b, "role", role);
	json_open(b, "content", '[');
	return b;
}

static void
doc_close(struct recorded *r, struct buf *b)
{
	json_close(b, ']');
	json_close(b, '}');
	doc_add(r, b);
}

static void
text_block(
    struct buf *b, const char *type, const char *member, const char *text)
{
	if (text == NULL)
		return;
	json_open(b, NULL, '{');
	json_add_str(b, "type", type);
	json_add_str(b, member, text);
	json_close(b, '}');
}

/* data:TYPE;base64,DATA */
static void
image_block(struct recorded *r, struct buf *b, const char *url)
{
	const char *end = strstr(url, ";base64,");

	assert_non_null(end);
	assert_memory_equal(url, "data:", 5);
	json_open(b, NULL, '{');
	json_add_str(b, "type", "image");
	json_open(b, "source", '{');
	json_add_str(b, "type", "base64");
	json_add_str(b, "media_type",
	    arena_memdup(r->arena, url + 5, (size_t)(end - url) - 5));
	json_add_str(b, "data", end + 8);
	json_close(b, '}');
	json_close(b, '}');
}

static void
read_content(struct recorded *r, struct buf *b, const struct json *content)
{
	const struct json *c;

	text_block(b, "text", "text", json_str(content));
	for (c = json_first(content); c != NULL; c = json_next(c)) {
		text_block(b, "text", "text", json_get_str(c, "text"));
		if (IS(json_get_str(c, "type"), "image_url"))
			image_block(r, b,
			    json_get_str(json_get(c, "image_url"), "url"));
	}
}

static void
read_assistant(struct recorded *r, const struct json *m)
{
	struct buf *b = doc_open(r, "assistant");
	const struct json *c = json_first(json_get(m, "tool_calls"));
	const struct json *function;

	text_block(
	    b, "thinking", "thinking", json_get_str(m, "reasoning_content"));
	read_content(r, b, json_get(m, "content"));
	for (; c != NULL; c = json_next(c)) {
		function = json_get(c, "function");
		json_open(b, NULL, '{');
		json_add_str(b, "type", "tool_use");
		json_add_str(b, "id", json_get_str(c, "id"));
		json_add_str(b, "name", json_get_str(function, "name"));
		json_add_raw(b, "input", json_get_str(function, "arguments"),
		    strlen(json_get_str(function, "arguments")));
		json_close(b, '}');
	}
	doc_close(r, b);
	if (json_get(m, "reasoning_content") != NULL)
		r->model.quirks |= MODEL_QUIRK_ECHO_CALLS;
}

/* All results that follow each other are one document. */
static const struct json *
read_results(struct recorded *r, const struct json *m)
{
	struct buf *b = doc_open(r, "user");
	const struct json *last = m;

	for (; m != NULL && IS(json_get_str(m, "role"), "tool");
	     m = json_next(m)) {
		json_open(b, NULL, '{');
		json_add_str(b, "type", "tool_result");
		json_add_str(b, "tool_use_id", json_get_str(m, "tool_call_id"));
		json_add_json(b, "content", json_get(m, "content"));
		json_close(b, '}');
		last = m;
	}
	doc_close(r, b);
	return last;
}

static void
read_messages(struct recorded *r, const struct json *list)
{
	const struct json *m;
	const char *role;
	struct buf *b;

	for (m = json_first(list); m != NULL; m = json_next(m)) {
		role = json_get_str(m, "role");
		if (IS(role, "system")) {
			assert_ptr_equal(m, json_first(list));
			r->rq.system = json_str(json_get(m, "content"));
			if (r->rq.system == NULL)
				r->rq.system =
				    only_text(json_get(m, "content"));
			assert_non_null(r->rq.system);
		} else if (IS(role, "assistant")) {
			read_assistant(r, m);
		} else if (IS(role, "tool")) {
			m = read_results(r, m);
		} else {
			b = doc_open(r, role);
			read_content(r, b, json_get(m, "content"));
			doc_close(r, b);
		}
	}
}

/* ---- the other members: each takes what the wire has a word for ---- */

static void
read_model(struct recorded *r, const struct json *j)
{
	r->model.id = json_str(j);
}

static void
read_stream(struct recorded *r, const struct json *j)
{
	(void)r;
	assert_true(json_bool(j));
}

static void
read_stream_options(struct recorded *r, const struct json *j)
{
	assert_true(json_get_true(j, "include_usage"));
	r->model.quirks &= ~(unsigned)MODEL_QUIRK_NO_STREAM_OPTIONS;
}

static void
read_max_tokens(struct recorded *r, const struct json *j)
{
	assert_true(json_int(j, &r->model.max_tokens));
	r->model.quirks |= MODEL_QUIRK_MAX_TOKENS;
}

static void
read_max_completion_tokens(struct recorded *r, const struct json *j)
{
	assert_true(json_int(j, &r->model.max_tokens));
}

static void
read_tools(struct recorded *r, const struct json *j)
{
	struct buf *b = buf_new(r->arena), *made = buf_new(r->arena);
	const struct json *f;

	json_open(b, NULL, '[');
	for (j = json_first(j); j != NULL; j = json_next(j)) {
		f = json_get(j, "function");
		json_open(b, NULL, '{');
		json_add_json(b, "name", json_get(f, "name"));
		if (json_get(f, "description") != NULL)
			json_add_json(
			    b, "description", json_get(f, "description"));
		json_add_json(b, "input_schema", json_get(f, "parameters"));
		json_close(b, '}');
	}
	json_close(b, ']');
	wire_chat.tools(made, b->data, r->model.quirks);
	r->rq.tools = made->data;
}

static void
read_choice(struct recorded *r, const struct json *j)
{
	const char *word = json_str(j);

	if (word == NULL)
		r->rq.tool_choice = arena_printf(r->arena, "=%s",
		    json_get_str(json_get(j, "function"), "name"));
	else
		r->rq.tool_choice = IS(word, "required") ? "any" : word;
}

static void
read_thinking(struct recorded *r, const struct json *j)
{
	r->model.quirks |= MODEL_QUIRK_THINKING_TYPE;
	if (IS(json_get_str(j, "type"), "disabled"))
		r->model.effort = "none";
	else
		r->model.thinking = 1024;
}

static void
read_effort(struct recorded *r, const struct json *j)
{
	r->model.effort = json_str(j);
}

static void
read_reasoning(struct recorded *r, const struct json *j)
{
	r->model.quirks |= MODEL_QUIRK_REASONING_OBJECT;
	assert_true(json_get_int(j, "max_tokens", &r->model.thinking));
}

static void
read_format(struct recorded *r, const struct json *j)
{
	const struct json *schema =
	    json_get(json_get(j, "json_schema"), "schema");
	struct buf *b = buf_new(r->arena);

	json_print(b, schema);
	r->rq.schema = b->data;
}

static const struct {
	const char *name;
	void (*read)(struct recorded *r, const struct json *j);
} members[] = {
	{ "messages", read_messages },
	{ "model", read_model },
	{ "stream", read_stream },
	{ "stream_options", read_stream_options },
	{ "max_tokens", read_max_tokens },
	{ "max_completion_tokens", read_max_completion_tokens },
	{ "tools", read_tools },
	{ "tool_choice", read_choice },
	{ "thinking", read_thinking },
	{ "reasoning_effort", read_effort },
	{ "reasoning", read_reasoning },
	{ "response_format", read_format },
};

static void
read_member(struct recorded *r, const struct json *j)
{
	for (size_t i = 0; i < COUNT(members); i++)
		if (strcmp(members[i].name, json_name(j)) == 0) {
			members[i].read(r, j);
			return;
		}
	json_add_json(&r->members, json_name(j), j);
}

static void
read_body(struct recorded *r)
{
	r->model = wire_model_of("");
	r->model.max_tokens = 0;
	r->model.quirks = MODEL_QUIRK_NO_STREAM_OPTIONS;
	r->rq.model = &r->model;
	buf_init(&r->members, r->arena);
	json_open(&r->members, NULL, '{');
	for (const struct json *j = json_first(r->body); j != NULL;
	     j = json_next(j))
		read_member(r, j);
	json_close(&r->members, '}');
	r->model.members = r->members.data;
}

/* ---- all of them ---- */

static const char *
exception(const char *path)
{
	for (size_t i = 0; i < COUNT(exceptions); i++)
		if (strstr(path, exceptions[i].name) != NULL)
			return exceptions[i].why;
	return NULL;
}

static void
request_run(struct arena *a, const char *path)
{
	const char *why = exception(path);
	struct recorded r = { .arena = a };
	const struct json *made, *wanted;
	struct buf file, text;

	file_read(&file, path);
	r.body = parse(a, file.data, file.len);
	buf_fini(&file);
	read_body(&r);
	made = normalised(a, wire_body(a, &wire_chat, &r.rq, r.docs, r.count));
	wanted = normalised(a, r.body);
	if (why != NULL) {
		print_message("not made: %s: %s\n", path, why);
		assert_false(json_equal(made, wanted));
		return;
	}
	buf_init(&text, a);
	json_print(&text, wanted);
	expect_json(path, made, text.data);
}

/* Whether the request is one of this API. */
static int
is_chat(struct arena *a, const char *path)
{
	const size_t len = strlen(path) - strlen(".request.json");
	char other[1024];
	struct buf file;
	int rc;

	snprintf(other, sizeof(other), "%.*s.expect.json", (int)len, path);
	file_read(&file, other);
	rc = IS(
	    json_get_str(parse(a, file.data, file.len), "api"), "openai-chat");
	buf_fini(&file);
	return rc;
}

static void
test_requests(void **state)
{
	struct arena *a = arena_open(65536);
	size_t ran = 0;
	glob_t g;

	(void)state;
	glob_or_skip("*/*.request.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		arena_reset(a);
		if (!is_chat(a, g.gl_pathv[i]))
			continue;
		request_run(a, g.gl_pathv[i]);
		ran++;
	}
	globfree(&g);
	arena_close(&a);
	print_message("%zu recorded requests\n", ran);
	assert_true(ran >= 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
