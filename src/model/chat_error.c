/* SPDX-License-Identifier: MIT */
/*
 * What of a Chat stream is an error: after the headers have gone out a server
 * can only say it in an event, and each has its own way (spec/providers.md,
 * sections 0 and 7 to 12). What the error then means is the same for all
 * (model/complaint.h).
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "model/chat_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What the officials' clients take for one: anything that is not nothing. */
static int
says_something(const struct json *error)
{
	const char *text = json_str(error);
	double n;

	if (error == NULL || json_is(error, JSON_NULL))
		return 0;
	if (text != NULL)
		return *text != '\0';
	if (json_is(error, JSON_BOOL))
		return json_bool(error);
	return !json_double(error, &n) || n < 0 || n > 0;
}

/* OpenRouter's place. */
static const struct json *
choice_error(const struct json *choices)
{
	const struct json *c;

	for (c = json_first(choices); c != NULL; c = json_next(c))
		if (says_something(json_get(c, "error")))
			return c;
	return NULL;
}

/* Cerebras, Mistral, old vLLM: the error is the document. */
static int
is_flat(const struct json *doc)
{
	static const char *const beside[] = { "code", "type", "status_code" };
	const char *object = json_get_str(doc, "object");

	if (json_get(doc, "choices") != NULL)
		return 0;
	if ((object != NULL && strcmp(object, "error") == 0) ||
	    says_something(json_get(doc, "detail")))
		return 1;
	if (json_get_str(doc, "message") == NULL &&
	    json_get_str(doc, "msg") == NULL)
		return 0;
	for (size_t i = 0; i < COUNT(beside); i++)
		if (says_something(json_get(doc, beside[i])))
			return 1;
	return 0;
}

const struct json *
chat_error(const char *event, const struct json *doc)
{
	const struct json *groq = json_get(doc, "x_groq");

	if (says_something(json_get(doc, "error")) ||
	    strcmp(event, "error") == 0)
		return doc;
	if (says_something(json_get(groq, "error")))
		return groq;
	if (is_flat(doc))
		return doc;
	return choice_error(json_get(doc, "choices"));
}
