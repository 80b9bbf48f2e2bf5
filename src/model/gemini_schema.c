/* SPDX-License-Identifier: MIT */
/*
 * JSON schemas as Gemini takes them (spec/providers.md, section 4).
 *
 * parameters and responseSchema want a subset of OpenAPI's schemas, in which a
 * member that is not known, additionalProperties or const, fails the whole
 * request. parametersJsonSchema and responseJsonSchema want JSON Schema and
 * ignore what they do not support. So those are used, and schemas go in as
 * they are, but for $ref: Gemini wants it alone in its schema and pointing
 * into $defs, which generators of schemas do not keep to. What it points at is
 * put in its place; where that would have no end, or become too large, or
 * there is nothing, stands an object without more.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/words.h"
#include "model/gemini_wire_priv.h"

#define REFS_DEEP 16
#define REFS_MAX 256

/* Members beside a $ref, which count more than those it points at; and those
 * beside the one that pointed here. */
struct beside {
	const struct json *members;
	const struct beside *outer;
};

struct copying {
	struct buf *out;
	const struct json *root;
	const struct json *within[REFS_DEEP]; /* what was pointed at, and is
						 being copied */
	int depth;
	int refs;
};

/* ---- pointers (RFC 6901) ---- */

static int
hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = strchr(digits, c | 0x20);

	return c == '\0' || p == NULL ? -1 : (int)(p - digits);
}

/* One step of a pointer in a fragment, decoded. -1: too long, or damaged. */
static int
step_decode(const char *p, size_t len, char *step, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if (c == '%') {
			if (len - i < 3 || hex(p[i + 1]) < 0 ||
			    hex(p[i + 2]) < 0)
				return -1;
			c = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
			i += 2;
		}
		if (n > 0 && step[n - 1] == '~' && (c == '0' || c == '1'))
			step[n - 1] = c == '0' ? '\1' : '/';
		else if (n + 1 < size)
			step[n++] = c;
		else
			return -1;
	}
	step[n] = '\0';
	for (char *s = step; *s != '\0'; s++)
		if (*s == '\1')
			*s = '~';
	return 0;
}

static const struct json *
element(const struct json *j, const char *step)
{
	const struct json *c = json_first(j);
	char *end;
	unsigned long n;

	if (!json_is(j, JSON_ARRAY))
		return json_get(j, step);
	n = strtoul(step, &end, 10);
	if (*step == '\0' || *end != '\0')
		return NULL;
	while (c != NULL && n-- > 0)
		c = json_next(c);
	return c;
}

/* The schema that #/a/b points at, or NULL. */
static const struct json *
target(const struct json *root, const char *ref)
{
	const struct json *j = root;
	char step[256];
	size_t n;

	if (*ref != '#')
		return NULL;
	for (ref++; j != NULL && *ref == '/'; ref += n) {
		n = strcspn(++ref, "/");
		j = step_decode(ref, n, step, sizeof(step)) < 0
			? NULL
			: element(j, step);
	}
	return *ref == '\0' && json_is(j, JSON_OBJECT) ? j : NULL;
}

/* ---- copying ---- */

static void schema_members(
    struct copying *c, const struct json *j, const struct beside *outer);

static void
schema_copy(struct copying *c, const char *name, const struct json *j)
{
	json_open(c->out, name, '{');
	schema_members(c, j, NULL);
	json_close(c->out, '}');
}

/* A keyword's value: data, schemas by name, a schema, or a list of them. */
static void
keyword_copy(struct copying *c, const struct json *j)
{
	static const char *const data[] = { "const", "default", "enum",
		"example", "examples", "required", "propertyOrdering", NULL };
	static const char *const by_name[] = { "properties",
		"patternProperties", "dependentSchemas", NULL };
	const struct json *m = json_first(j);
	const char *name = json_name(j);

	if (words_list_has(data, name) ||
	    (!json_is(j, JSON_OBJECT) && !json_is(j, JSON_ARRAY))) {
		json_add_json(c->out, name, j);
	} else if (json_is(j, JSON_OBJECT) && !words_list_has(by_name, name)) {
		schema_copy(c, name, j);
	} else {
		int list = json_is(j, JSON_ARRAY);

		json_open(c->out, name, list ? '[' : '{');
		for (; m != NULL; m = json_next(m))
			if (json_is(m, JSON_OBJECT))
				schema_copy(c, list ? NULL : json_name(m), m);
			else
				json_add_json(
				    c->out, list ? NULL : json_name(m), m);
		json_close(c->out, list ? ']' : '}');
	}
}

static int
is_within(const struct copying *c, const struct json *j)
{
	for (int i = 0; i < c->depth; i++)
		if (c->within[i] == j)
			return 1;
	return j == c->root;
}

static int
is_beside(const struct beside *b, const char *name)
{
	while (b != NULL && json_get(b->members, name) == NULL)
		b = b->outer;
	return b != NULL;
}

/* What ref points at, and the members beside it. */
static void
ref_copy(struct copying *c, const char *ref, const struct json *j,
    const struct beside *outer)
{
	const struct beside beside = { j, outer };
	const struct json *to = target(c->root, ref), *m;

	if (to != NULL && !is_within(c, to) && c->depth < REFS_DEEP &&
	    c->refs++ < REFS_MAX) {
		c->within[c->depth++] = to;
		schema_members(c, to, &beside);
		c->depth--;
	} else if (!is_beside(&beside, "type")) {
		json_add_str(c->out, "type", "object");
	}
	for (m = json_first(j); m != NULL; m = json_next(m))
		if (*json_name(m) != '$' && !is_beside(outer, json_name(m)))
			keyword_copy(c, m);
}

static void
schema_members(
    struct copying *c, const struct json *j, const struct beside *outer)
{
	static const char *const dropped[] = { "$schema", "$id", "$anchor",
		"$comment", "$defs", "definitions", NULL };
	const char *ref = json_get_str(j, "$ref");
	const struct json *m = json_first(j);

	if (ref != NULL) {
		ref_copy(c, ref, j, outer);
		return;
	}
	for (; m != NULL; m = json_next(m))
		if (!words_list_has(dropped, json_name(m)) &&
		    !is_beside(outer, json_name(m)))
			keyword_copy(c, m);
}

void
gemini_schema(struct buf *out, const char *name, const struct json *j)
{
	struct copying c = { .out = out, .root = j };

	if (json_is(j, JSON_OBJECT))
		schema_copy(&c, name, j);
}
