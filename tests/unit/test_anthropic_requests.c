/* SPDX-License-Identifier: MIT */
/*
 * Recorded requests of the Anthropic Messages API, made again: a recorded body
 * is turned into neutral documents, tools and settings, the wire makes a body
 * of those, and both must be the same JSON, in any order of members, after
 * this:
 *
 *  - cache_control is left out: where the prompt is marked is our choice;
 *  - a system prompt of one text block is that text, an empty one is none;
 *  - "tools":[] is none, and so is the tool_choice beside it.
 *
 * Tools of the provider's own stand for tools: none of ours is one. Members
 * that the wire has nothing to do with come from the settings, as
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
#define DOCS_MAX 16

struct recorded {
	struct arena *arena;
	const struct json *body;
	struct wire_doc docs[DOCS_MAX];
	size_t count;
	struct wire_model model;
	struct wire_request rq;
	struct buf members;
};

/* ---- what is compared ---- */

static void add_plain(struct buf *b, const char *name, const struct json *j);

static void
add_object(struct buf *b, const char *name, const struct json *j)
{
	json_open(b, name, '{');
	for (const struct json *m = json_first(j); m != NULL; m = json_next(m))
		if (strcmp(json_name(m), "cache_control") != 0)
			add_plain(b, json_name(m), m);
	json_close(b, '}');
}

static void
add_plain(struct buf *b, const char *name, const struct json *j)
{
	if (json_is(j, JSON_OBJECT)) {
		add_object(b, name, j);
		return;
	}
	if (!json_is(j, JSON_ARRAY)) {
		json_add_json(b, name, j);
		return;
	}
	json_open(b, name, '[');
	for (const struct json *m = json_first(j); m != NULL; m = json_next(m))
		add_plain(b, NULL, m);
	json_close(b, ']');
}

static const char *
system_of(const struct json *j)
{
	if (json_is(j, JSON_ARRAY) && json_count(j) == 1)
		j = json_get(json_first(j), "text") == NULL
			? NULL
			: json_get(json_first(j), "text");
	return json_str(j) == NULL ? "" : json_str(j);
}

static const char *
normalised(struct arena *a, const struct json *body)
{
	int has_tools = json_count(json_get(body, "tools")) > 0;
	struct buf b;

	buf_init(&b, a);
	json_open(&b, NULL, '{');
	for (const struct json *m = json_first(body); m != NULL;
	     m = json_next(m)) {
		if (strcmp(json_name(m), "system") == 0) {
			if (*system_of(m) != '\0')
				json_add_str(&b, "system", system_of(m));
		} else if (has_tools || strncmp(json_name(m), "tool", 4) != 0) {
			add_plain(&b, json_name(m), m);
		}
	}
	json_close(&b, '}');
	return buf_str(&b);
}

/* ---- from a body to our words ---- */

static const char *
print(struct arena *a, const struct json *j)
{
	struct buf b;

	buf_init(&b, a);
	add_plain(&b, NULL, j);
	return buf_str(&b);
}

static void
read_messages(struct recorded *r, const struct json *j)
{
	for (j = json_first(j); j != NULL; j = json_next(j)) {
		assert_true(r->count < DOCS_MAX);
		r->docs[r->count++].text = print(r->arena, j);
	}
}

static const char *
choice_of(struct arena *a, const struct json *j)
{
	const char *type = json_get_str(j, "type");

	assert_non_null(type);
	return strcmp(type, "tool") != 0
		   ? type
		   : arena_printf(a, "=%s", json_get_str(j, "name"));
}

/* 1 if it is one of the settings that the wire knows. */
static int
read_setting(struct recorded *r, const struct json *j)
{
	const char *name = json_name(j);

	if (strcmp(name, "messages") == 0)
		read_messages(r, j);
	else if (strcmp(name, "model") == 0)
		r->model.id = json_str(j);
	else if (strcmp(name, "max_tokens") == 0)
		json_int(j, &r->model.max_tokens);
	else if (strcmp(name, "system") == 0)
		r->rq.system = system_of(j);
	else if (strcmp(name, "tools") == 0)
		r->rq.tools = json_count(j) > 0 ? print(r->arena, j) : "";
	else if (strcmp(name, "tool_choice") == 0)
		r->rq.tool_choice = choice_of(r->arena, j);
	else if (strcmp(name, "thinking") == 0 &&
		 json_get_int(j, "budget_tokens", &r->model.thinking))
		return 1;
	else
		return strcmp(name, "stream") == 0;
	return 1;
}

static void
request_run(struct arena *a, const char *path)
{
	struct recorded r = { .arena = a };
	const struct json *made;
	struct buf file;

	file_read(&file, path);
	r.body = json_parse(a, file.data, file.len, JSON_DEPTH_MAX, NULL);
	buf_fini(&file);
	assert_non_null(r.body);
	r.model = wire_model_of("");
	r.rq.model = &r.model;
	buf_init(&r.members, a);
	json_open(&r.members, NULL, '{');
	for (const struct json *j = json_first(r.body); j != NULL;
	     j = json_next(j))
		if (!read_setting(&r, j))
			json_add_json(&r.members, json_name(j), j);
	json_close(&r.members, '}');
	r.model.members = buf_str(&r.members);
	made = wire_body(a, &wire_anthropic, &r.rq, r.docs, r.count);
	made = json_parse(a, normalised(a, made), strlen(normalised(a, made)),
	    JSON_DEPTH_MAX, NULL);
	expect_json(path, made, normalised(a, r.body));
}

static void
test_requests(void **state)
{
	struct arena *a = arena_open(65536);
	glob_t g;

	(void)state;
	glob_or_skip("anthropic*/*.request.json", 0, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		arena_reset(a);
		request_run(a, g.gl_pathv[i]);
	}
	print_message("%zu recorded requests\n", g.gl_pathc);
	assert_true(g.gl_pathc >= 20);
	globfree(&g);
	arena_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
