/* SPDX-License-Identifier: MIT */
/*
 * Which schemas OpenAI's APIs take with "strict" (spec/providers.md, sections
 * 2 and 3), where they promise that what is written fits: strict.h.
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "base/words.h"
#include "model/strict.h"

/* Less than the API's own bounds, which have grown over time. */
#define STRICT_DEPTH_MAX 5
#define STRICT_PROPERTIES_MAX 100

struct strict {
	int depth, properties;
};

static int strict_schema(struct strict *st, const struct json *s);

static const char *const keywords[] = { "$schema", "type", "properties",
	"required", "additionalProperties", "items", "anyOf", "$ref", "$defs",
	"enum", "const", "title", "description", "pattern", "format",
	"multipleOf", "minimum", "maximum", "exclusiveMinimum",
	"exclusiveMaximum", "minItems", "maxItems", NULL };
static const char *const formats[] = { "date-time", "time", "date", "duration",
	"email", "hostname", "ipv4", "ipv6", "uuid", NULL };

static int
has_string(const struct json *list, const char *word)
{
	const struct json *j;

	for (j = json_first(list); j != NULL; j = json_next(j))
		if (json_str(j) != NULL && strcmp(json_str(j), word) == 0)
			return 1;
	return 0;
}

/* "type" is a word or a list of them. */
static int
has_type(const struct json *s, const char *word)
{
	const char *type = json_get_str(s, "type");

	if (type != NULL)
		return strcmp(type, word) == 0;
	return has_string(json_get(s, "type"), word);
}

static int
strict_all(struct strict *st, const struct json *schemas)
{
	const struct json *s;

	for (s = json_first(schemas); s != NULL; s = json_next(s))
		if (!strict_schema(st, s))
			return 0;
	return 1;
}

/* Every property is required, and there are no others. */
static int
strict_object(struct strict *st, const struct json *s)
{
	const struct json *closed = json_get(s, "additionalProperties");
	const struct json *properties = json_get(s, "properties");
	const struct json *required = json_get(s, "required"), *p;

	if (!json_is(properties, JSON_OBJECT) ||
	    !json_is(required, JSON_ARRAY) || !json_is(closed, JSON_BOOL) ||
	    json_bool(closed) || json_count(required) != json_count(properties))
		return 0;
	for (p = json_first(properties); p != NULL; p = json_next(p))
		if (++st->properties > STRICT_PROPERTIES_MAX ||
		    !has_string(required, json_name(p)))
			return 0;
	return strict_all(st, properties);
}

static int
strict_keywords(const struct json *s)
{
	const char *format = json_get_str(s, "format");
	const char *pattern = json_get_str(s, "pattern");
	const char *ref = json_get_str(s, "$ref");
	const struct json *m;

	for (m = json_first(s); m != NULL; m = json_next(m))
		if (!words_list_has(keywords, json_name(m)))
			return 0;
	return (format == NULL || words_list_has(formats, format)) &&
	       (pattern == NULL || strstr(pattern, "(?") == NULL) &&
	       (ref == NULL || *ref == '#');
}

static int
strict_inside(struct strict *st, const struct json *s)
{
	if (!strict_keywords(s))
		return 0;
	if (json_get(s, "type") == NULL && json_get(s, "enum") == NULL &&
	    json_get(s, "const") == NULL && json_get(s, "anyOf") == NULL &&
	    json_get(s, "$ref") == NULL)
		return 0;
	if (has_type(s, "object") && !strict_object(st, s))
		return 0;
	if (has_type(s, "array") && !strict_schema(st, json_get(s, "items")))
		return 0;
	return strict_all(st, json_get(s, "anyOf")) &&
	       strict_all(st, json_get(s, "$defs"));
}

static int
strict_schema(struct strict *st, const struct json *s)
{
	int rc;

	if (!json_is(s, JSON_OBJECT) || st->depth >= STRICT_DEPTH_MAX)
		return 0;
	st->depth++;
	rc = strict_inside(st, s);
	st->depth--;
	return rc;
}

int
strict_fits(const struct json *schema)
{
	struct strict st = { 0, 0 };

	return json_get_str(schema, "type") != NULL &&
	       has_type(schema, "object") &&
	       json_get(schema, "anyOf") == NULL && strict_schema(&st, schema);
}
