/* SPDX-License-Identifier: MIT */
/*
 * Which schemas OpenAI takes with "strict", where it promises that an answer
 * fits: all members of objects are required, no others are allowed, and only
 * some words are known. Any other schema would be refused with it, and is sent
 * without.
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "model/chat_wire.h"

#define DEPTH_MAX 32

static const char *const refused[] = { "allOf", "oneOf", "not", "if", "then",
	"else", "dependentRequired", "dependentSchemas", "patternProperties" };

static int schema_fits(const struct json *s, int depth);

/* Each member's or element's value is a schema. */
static int
all_fit(const struct json *list, int depth)
{
	for (const struct json *s = json_first(list); s != NULL;
	     s = json_next(s))
		if (!schema_fits(s, depth))
			return 0;
	return 1;
}

static int
is_listed(const struct json *list, const char *name)
{
	for (const struct json *e = json_first(list); e != NULL;
	     e = json_next(e))
		if (json_str(e) != NULL && strcmp(json_str(e), name) == 0)
			return 1;
	return 0;
}

static int
object_fits(const struct json *s)
{
	const struct json *properties = json_get(s, "properties"), *p;
	const struct json *more = json_get(s, "additionalProperties");

	if (!json_is(properties, JSON_OBJECT) || !json_is(more, JSON_BOOL) ||
	    json_bool(more))
		return 0;
	for (p = json_first(properties); p != NULL; p = json_next(p))
		if (!is_listed(json_get(s, "required"), json_name(p)))
			return 0;
	return 1;
}

static int
is_object(const struct json *s)
{
	const struct json *type = json_get(s, "type");
	const char *name = json_str(type);

	return (name != NULL && strcmp(name, "object") == 0) ||
	       is_listed(type, "object") || json_get(s, "properties") != NULL;
}

static int
schema_fits(const struct json *s, int depth)
{
	const struct json *items = json_get(s, "items");

	if (!json_is(s, JSON_OBJECT) || depth > DEPTH_MAX)
		return 0;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (json_get(s, refused[i]) != NULL)
			return 0;
	if (is_object(s) && !object_fits(s))
		return 0;
	return (items == NULL || schema_fits(items, depth + 1)) &&
	       all_fit(json_get(s, "properties"), depth + 1) &&
	       all_fit(json_get(s, "anyOf"), depth + 1) &&
	       all_fit(json_get(s, "$defs"), depth + 1) &&
	       all_fit(json_get(s, "definitions"), depth + 1);
}

int
chat_schema_is_strict(const struct json *schema)
{
	return is_object(schema) && json_get(schema, "anyOf") == NULL &&
	       schema_fits(schema, 0);
}
