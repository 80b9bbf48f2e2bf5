/* SPDX-License-Identifier: MIT */
/*
 * Requests that were recorded of OpenAI's Responses API: taken apart into a
 * neutral history, tools and settings, of which the wire must make them again.
 *
 * They are compared as JSON in a normal form, which both are brought to:
 * - an item with a role is of type message;
 * - a content that is a text is one part, input_text;
 * - a message of the system before the first of the user's is instructions;
 * - store and include are left out. The wire always says store:false and
 *   include reasoning.encrypted_content, which is looked at apart; a recorded
 *   request says the same or nothing.
 * What only a caller's settings bring goes through wire_model.members.
 *
 * And answers that were recorded: decoded, what they said goes back as the
 * items that they came as, less annotations and members that are null.
 */
#include "config.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "decode_run.h"
#include "wire_run.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define DOCS_MAX 16

/* Requests that the wire does not make, and why. */
static const struct {
	const char *name, *why;
} not_made[] = {
	{ "tool_gpt41_object",
	    "its tool is in Chat's form, within a member that is none of "
	    "this API" },
	{ "tool_o1_object",
	    "its tool is in Chat's form, within a member that is none of "
	    "this API" },
	{ "web_search_builtin", "a tool of the provider's own" },
};

static int
is(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* ---- the normal form ---- */

static void
normal_item(struct buf *b, const struct json *item)
{
	const char *text = json_get_str(item, "content");
	const struct json *m;

	json_open(b, NULL, '{');
	if (json_get(item, "type") == NULL)
		json_add_str(b, "type", "message");
	for (m = json_first(item); m != NULL; m = json_next(m))
		if (text == NULL || strcmp(json_name(m), "content") != 0)
			json_add_json(b, json_name(m), m);
	if (text != NULL) {
		json_open(b, "content", '[');
		json_open(b, NULL, '{');
		json_add_str(b, "type", "input_text");
		json_add_str(b, "text", text);
		buf_puts(b, "}]");
	}
	json_close(b, '}');
}

static const char *
text_of(const struct json *item)
{
	const struct json *content = json_get(item, "content");

	return json_str(content) != NULL
		   ? json_str(content)
		   : json_get_str(json_first(content), "text");
}

static const char *
system_of(const struct json *body)
{
	const struct json *item = json_first(json_get(body, "input"));

	if (is(json_get_str(item, "role"), "system"))
		return text_of(item);
	return json_get_str(body, "instructions");
}

static const struct json *
normal(struct arena *a, const struct json *body)
{
	const char *system = system_of(body);
	const struct json *m, *item;
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	if (system != NULL)
		json_add_str(&b, "instructions", system);
	for (m = json_first(body); m != NULL; m = json_next(m))
		if (!is(json_name(m), "instructions") &&
		    !is(json_name(m), "store") &&
		    !is(json_name(m), "include") && !is(json_name(m), "input"))
			json_add_json(&b, json_name(m), m);
	json_open(&b, "input", '[');
	item = json_first(json_get(body, "input"));
	for (; item != NULL; item = json_next(item))
		if (!is(json_get_str(item, "role"), "system"))
			normal_item(&b, item);
	json_close(&b, ']');
	json_close(&b, '}');
	return json_parse(a, b.data, b.len, JSON_DEPTH_MAX, NULL);
}

/* ---- from a recorded request: its history ---- */

/* Of the history that is taken apart. */
struct history_of {
	struct arena *arena;
	struct wire_doc docs[DOCS_MAX];
	size_t count;
	struct buf doc; /* the one that is being written */
	const char *kind;
};

static void
doc_end(struct history_of *h)
{
	if (h->kind == NULL)
		return;
	buf_puts(&h->doc, "]}");
	assert_true(h->count < DOCS_MAX);
	h->docs[h->count++] = (struct wire_doc){ .text = h->doc.data };
	h->kind = NULL;
}

/* Items of one kind in a row are one message. */
static void
doc_begin(struct history_of *h, const char *kind, const char *role)
{
	if (is(h->kind, kind) && strcmp(kind, "message") != 0)
		return;
	doc_end(h);
	h->kind = kind;
	buf_init(&h->doc, h->arena);
	json_open(&h->doc, NULL, '{');
	json_add_str(&h->doc, "role", role);
	json_open(&h->doc, "content", '[');
}

static void
add_text(struct buf *b, const char *text)
{
	json_open(b, NULL, '{');
	json_add_str(b, "type", "text");
	json_add_str(b, "text", text);
	json_close(b, '}');
}

/* data:TYPE;base64,DATA */
static void
add_image(struct buf *b, const char *url)
{
	const char *semicolon = strchr(url, ';');

	assert_non_null(semicolon);
	json_open(b, NULL, '{');
	json_add_str(b, "type", "image");
	json_open(b, "source", '{');
	json_add_str(b, "type", "base64");
	json_add_strn(b, "media_type", url + 5, (size_t)(semicolon - url) - 5);
	json_add_str(b, "data", strchr(semicolon, ',') + 1);
	json_close(b, '}');
	json_close(b, '}');
}

static void
take_message(struct history_of *h, const struct json *item)
{
	const struct json *content = json_get(item, "content"), *p;

	if (is(json_get_str(item, "role"), "system"))
		return;
	doc_begin(h, "message", json_get_str(item, "role"));
	if (json_str(content) != NULL)
		add_text(&h->doc, json_str(content));
	for (p = json_first(content); p != NULL; p = json_next(p))
		if (is(json_get_str(p, "type"), "input_image"))
			add_image(&h->doc, json_get_str(p, "image_url"));
		else
			add_text(&h->doc, json_get_str(p, "text"));
}

static void
take_call(struct history_of *h, const struct json *item)
{
	const char *arguments = json_get_str(item, "arguments");

	doc_begin(h, "call", "assistant");
	json_open(&h->doc, NULL, '{');
	json_add_str(&h->doc, "type", "tool_use");
	json_add_str(&h->doc, "id", json_get_str(item, "call_id"));
	json_add_str(&h->doc, "name", json_get_str(item, "name"));
	json_add_raw(&h->doc, "input", arguments, strlen(arguments));
	json_close(&h->doc, '}');
}

static void
take_result(struct history_of *h, const struct json *item)
{
	doc_begin(h, "result", "user");
	json_open(&h->doc, NULL, '{');
	json_add_str(&h->doc, "type", "tool_result");
	json_add_str(&h->doc, "tool_use_id", json_get_str(item, "call_id"));
	json_add_str(&h->doc, "content", json_get_str(item, "output"));
	json_close(&h->doc, '}');
}

static void
take_items(struct history_of *h, const struct json *input)
{
	const struct json *item;
	const char *type;

	for (item = json_first(input); item != NULL; item = json_next(item)) {
		type = json_get_str(item, "type");
		if (is(type, "function_call"))
			take_call(h, item);
		else if (is(type, "function_call_output"))
			take_result(h, item);
		else
			take_message(h, item);
	}
	doc_end(h);
}

/* ---- its tools and settings ---- */

static const char *
tools_of(struct arena *a, const struct json *tools)
{
	struct buf b, out;
	const struct json *t;

	if (tools == NULL)
		return "";
	buf_init(&b, a);
	buf_init(&out, a);
	json_open(&b, NULL, '[');
	for (t = json_first(tools); t != NULL; t = json_next(t)) {
		json_open(&b, NULL, '{');
		json_add_str(&b, "name",
		    json_get_str(t, "name") == NULL ? "none"
						    : json_get_str(t, "name"));
		if (json_get(t, "description") != NULL)
			json_add_json(
			    &b, "description", json_get(t, "description"));
		if (json_get(t, "parameters") != NULL)
			json_add_json(
			    &b, "input_schema", json_get(t, "parameters"));
		json_close(&b, '}');
	}
	json_close(&b, ']');
	wire_responses.tools(&out, b.data, 0);
	return out.data;
}

static const char *
choice_of(struct arena *a, const struct json *choice)
{
	const char *name = json_get_str(choice, "name");

	if (name != NULL)
		return arena_printf(a, "=%s", name);
	return is(json_str(choice), "required") ? "any" : json_str(choice);
}

static const char *
schema_of(struct arena *a, const struct json *body)
{
	const struct json *schema =
	    json_get(json_get(json_get(body, "text"), "format"), "schema");
	struct buf b;

	buf_init(&b, a);
	if (schema != NULL)
		json_print(&b, schema);
	return buf_str(&b);
}

/* All that is neither the wire's nor a setting. */
static const char *
members_of(struct arena *a, const struct json *body)
{
	static const char *const known[] = { "input", "instructions", "model",
		"stream", "store", "include", "tools", "tool_choice",
		"max_output_tokens", "reasoning", "text" };
	const struct json *m;
	struct buf b;
	size_t i;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	for (m = json_first(body); m != NULL; m = json_next(m)) {
		for (i = 0; i < COUNT(known); i++)
			if (is(json_name(m), known[i]))
				break;
		if (i == COUNT(known))
			json_add_json(&b, json_name(m), m);
	}
	json_close(&b, '}');
	return b.data;
}

static const char *
or_empty(const char *s)
{
	return s == NULL ? "" : s;
}

/* The body that the wire makes of the neutral form of a recorded one. */
static const struct json *
made_again(struct arena *a, const struct json *body)
{
	struct history_of h = { .arena = a };
	struct wire_model m = {
		.id = json_get_str(body, "model"),
		.effort = or_empty(
		    json_get_str(json_get(body, "reasoning"), "effort")),
		.members = members_of(a, body),
	};
	const struct wire_request rq = {
		.model = &m,
		.system = system_of(body),
		.tools = tools_of(a, json_get(body, "tools")),
		.tool_choice = choice_of(a, json_get(body, "tool_choice")),
		.schema = schema_of(a, body),
	};

	json_get_int(body, "max_output_tokens", &m.max_tokens);
	take_items(&h, json_get(body, "input"));
	return wire_body(a, &wire_responses, &rq, h.docs, h.count);
}

/* ---- the tests ---- */

static const char *
why_not_made(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	size_t n = strcspn(name, ".");

	for (size_t i = 0; i < COUNT(not_made); i++)
		if (strlen(not_made[i].name) == n &&
		    strncmp(not_made[i].name, name, n) == 0)
			return not_made[i].why;
	return NULL;
}

static void
expect_stateless(
    struct arena *a, const char *path, const struct json *body, int must)
{
	static const char *const names[] = { "store", "include" };
	static const char *const wanted[] = { "false",
		"[\"reasoning.encrypted_content\"]" };
	const struct json *value;

	for (size_t i = 0; i < COUNT(names); i++) {
		value = json_get(body, names[i]);
		if (must || value != NULL)
			expect_json(arena_printf(a, "%s: %s", path, names[i]),
			    value, wanted[i]);
	}
}

/* 1 if the recorded request is made again, 0 if it is listed as one that is
 * not; else it fails. */
static int
case_run(const char *path)
{
	struct arena *a = arena_open(65536);
	const struct json *body, *made, *wanted;
	const char *why = why_not_made(path);
	struct buf text, said;
	int same;

	file_read(&text, path);
	body = json_parse(a, text.data, text.len, JSON_DEPTH_MAX, NULL);
	assert_non_null(body);
	made = made_again(a, body);
	expect_stateless(a, path, made, 1);
	expect_stateless(a, path, body, 0);
	wanted = normal(a, body);
	made = normal(a, made);
	same = json_equal(made, wanted);
	if (why != NULL) {
		print_message("not made: %s: %s\n", path, why);
		assert_false(same);
	} else if (!same) {
		buf_init(&said, a);
		json_print(&said, wanted);
		expect_json(path, made, said.data);
	}
	buf_fini(&text);
	arena_close(&a);
	return why == NULL;
}

static void
test_recorded(void **state)
{
	size_t made = 0;
	glob_t g;

	(void)state;
	glob_or_skip("openai-responses/*.request.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		made += (size_t)case_run(g.gl_pathv[i]);
	print_message("%zu recorded requests made again\n", made);
	assert_true(made >= 9);
	assert_int_equal(g.gl_pathc - made, COUNT(not_made));
	globfree(&g);
}

/* ---- answers ---- */

/* The items as each was done; NULL: not all of them were. */
static const struct json *
output_of(struct arena *a, const struct buf *sse)
{
	static const char begin[] = "\ndata: ";
	const char *p = buf_str(sse), *type;
	const struct json *doc;
	int complete = 0;
	struct buf items;

	buf_init(&items, a);
	json_open(&items, NULL, '[');
	while ((p = strstr(p, begin)) != NULL) {
		p += sizeof(begin) - 1;
		doc =
		    json_parse(a, p, strcspn(p, "\r\n"), JSON_DEPTH_MAX, NULL);
		type = json_get_str(doc, "type");
		complete |= is(type, "response.completed");
		if (is(type, "response.output_item.done"))
			json_add_json(&items, NULL, json_get(doc, "item"));
	}
	json_close(&items, ']');
	return complete
		   ? json_parse(a, items.data, items.len, JSON_DEPTH_MAX, NULL)
		   : NULL;
}

/* Reasoning without its content cannot go back, nor the ids behind it. */
static int
is_whole(const struct json *output)
{
	const struct json *item;

	for (item = json_first(output); item != NULL; item = json_next(item))
		if (is(json_get_str(item, "type"), "reasoning") &&
		    json_get_str(item, "encrypted_content") == NULL)
			return 0;
	return output != NULL;
}

static void
add_sent(struct buf *b, const struct json *item)
{
	const struct json *m, *p;
	const char *refusal;

	json_open(b, NULL, '{');
	for (m = json_first(item); m != NULL; m = json_next(m))
		if (!json_is(m, JSON_NULL) && !is(json_name(m), "content"))
			json_add_json(b, json_name(m), m);
	p = json_first(json_get(item, "content"));
	if (p != NULL) {
		json_open(b, "content", '[');
		json_open(b, NULL, '{');
		json_add_json(b, "type", json_get(p, "type"));
		refusal = json_get_str(p, "refusal");
		if (refusal != NULL)
			json_add_str(b, "refusal", refusal);
		else
			json_add_json(b, "text", json_get(p, "text"));
		if (refusal == NULL)
			json_add_raw(b, "annotations", "[]", 2);
		buf_puts(b, "}]");
	}
	json_close(b, '}');
}

static void
expect_sent(struct arena *a, const char *path, const struct buf *sse,
    const struct json *output)
{
	struct wire_model m = wire_model_of("m");
	const struct wire_request rq = { .model = &m };
	const struct run_of of = { .api = MODEL_API_RESPONSES };
	const struct json *item;
	struct buf doc, wanted;
	struct run run;

	run_stream(&run, of, sse->data, sse->len, sse->len, NULL);
	buf_init(&doc, a);
	buf_puts(&doc, "{\"role\":\"assistant\",\"content\":");
	buf_puts(&doc, buf_str(&run.r->content));
	buf_puts(&doc, "}");
	run_close(&run);
	buf_init(&wanted, a);
	json_open(&wanted, NULL, '[');
	for (item = json_first(output); item != NULL; item = json_next(item))
		add_sent(&wanted, item);
	json_close(&wanted, ']');
	expect_json(path,
	    json_get(wire_body(a, &wire_responses, &rq,
			 &(const struct wire_doc){ .text = doc.data }, 1),
		"input"),
	    wanted.data);
}

static void
test_answers(void **state)
{
	const struct json *output;
	struct arena *a;
	struct buf sse;
	int sent = 0;
	glob_t g;

	(void)state;
	glob_or_skip("openai-responses/*.sse", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		a = arena_open(65536);
		file_read(&sse, g.gl_pathv[i]);
		output = output_of(a, &sse);
		if (is_whole(output)) {
			expect_sent(a, g.gl_pathv[i], &sse, output);
			sent++;
		} else {
			print_message("failed, incomplete, or reasoning that "
				      "was not asked for: %s\n",
			    g.gl_pathv[i]);
		}
		buf_fini(&sse);
		arena_close(&a);
	}
	globfree(&g);
	assert_true(sent >= 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
