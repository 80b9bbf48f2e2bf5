/* SPDX-License-Identifier: MIT */
/*
 * Tools as OpenAI's Responses API wants them (spec/providers.md, section 3):
 * flat, and each says whether its arguments must obey the schema to the
 * letter, which is what the API takes for granted otherwise (strict.h).
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/words.h"
#include "model/responses_wire_priv.h"
#include "model/strict.h"

/* ---- tools ---- */

/* What the API refuses at the top of a tool's schema, which must be an
 * object's; the tool itself looks at its arguments anyway. */
static const char *const not_on_top[] = { "type", "$schema", "oneOf", "anyOf",
	"allOf", "enum", "not", NULL };

static void
add_parameters(struct buf *b, const struct json *schema)
{
	const struct json *m;

	json_open(b, "parameters", '{');
	json_add_str(b, "type", "object");
	for (m = json_first(schema); m != NULL; m = json_next(m))
		if (!words_list_has(not_on_top, json_name(m)))
			json_add_json(b, json_name(m), m);
	if (json_get(schema, "properties") == NULL)
		json_add_raw(b, "properties", "{}", 2);
	json_close(b, '}');
}

static void
add_tool(struct buf *b, const struct json *tool)
{
	const char *description = json_get_str(tool, "description");
	const struct json *schema = json_get(tool, "input_schema");

	json_open(b, NULL, '{');
	json_add_str(b, "type", "function");
	json_add_str(b, "name", json_get_str(tool, "name"));
	if (description != NULL)
		json_add_str(b, "description", description);
	add_parameters(b, schema);
	json_add_bool(b, "strict", strict_fits(schema));
	json_close(b, '}');
}

void
responses_tools(struct buf *out, const char *tools, unsigned quirks)
{
	size_t len = strlen(tools);
	struct arena *a = arena_open(2 * len + 256);
	const struct json *tool;

	(void)quirks;
	json_open(out, NULL, '[');
	tool = json_first(json_parse(a, tools, len, JSON_DEPTH_MAX, NULL));
	for (; tool != NULL; tool = json_next(tool))
		add_tool(out, tool);
	json_close(out, ']');
	arena_close(&a);
}
