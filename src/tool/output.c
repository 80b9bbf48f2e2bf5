/* SPDX-License-Identifier: MIT */
/* What a message or a template may want of an answer. */
#include "config.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "tool/output.h"
#include "tool/schema.h"

static int
choice_is_good(const struct json *j)
{
	static const char *const words[] = { "auto", "any", "none" };
	const char *word = json_str(j);

	if (word == NULL)
		return json_get_str(j, "name") != NULL;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], word) == 0)
			return 1;
	return 0;
}

int
output_check(const struct json *j, struct err *err)
{
	const struct json *schema = json_get(j, "outputSchema");
	const struct json *choice = json_get(j, "toolChoice");

	if (schema != NULL && !json_is(schema, JSON_OBJECT))
		return err_set(
		    err, ERR_INVALID, "outputSchema is not a JSON schema");
	if (schema != NULL && schema_supported(schema, err) < 0) {
		err->code = ERR_INVALID;
		return err_prefix(err, "outputSchema");
	}
	if (choice != NULL && !choice_is_good(choice))
		return err_set(err, ERR_INVALID,
		    "toolChoice is auto, any, none or {\"name\":TOOL}");
	return 0;
}
