/* SPDX-License-Identifier: MIT */
/*
 * What answers must have. Those who asked rely on it without looking, and a
 * runner may be somebody else's program.
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "sandbox/answer.h"

static const struct need {
	const char *op;
	const char *list; /* each object of this list; NULL: the answer */
	const char *member;
	enum json_type type;
	int optional;
} needs[] = {
	{ "fs.write", NULL, "path", JSON_STRING, 0 },
	{ "fs.edit", NULL, "results", JSON_ARRAY, 0 },
	{ "fs.edit", "results", "path", JSON_STRING, 0 },
	{ "fs.edit", "results", "status", JSON_STRING, 0 },
	{ "fs.edit", "results", "message", JSON_STRING, 1 },
	{ "fs.list", NULL, "files", JSON_ARRAY, 0 },
	{ "fs.get", NULL, "size", JSON_NUMBER, 0 },
	{ "fs.get", NULL, "etag", JSON_STRING, 0 },
	{ "ws.read", NULL, "size", JSON_NUMBER, 0 },
	{ "ws.read", NULL, "etag", JSON_STRING, 0 },
	{ "fs.put", NULL, "etag", JSON_STRING, 0 },
	{ "ws.trim", NULL, "files", JSON_NUMBER, 0 },
	{ "ws.trim", NULL, "bytes", JSON_NUMBER, 0 },
	{ "ws.scan", NULL, "files", JSON_ARRAY, 0 },
	{ "ws.scan", "files", "path", JSON_STRING, 0 },
	{ "ws.scan", "files", "size", JSON_NUMBER, 0 },
	{ "ws.scan", "files", "mode", JSON_NUMBER, 0 },
	{ "ws.scan", "files", "etag", JSON_STRING, 0 },
	{ "ws.restore", NULL, "restored", JSON_BOOL, 0 },
	{ "bash.run", NULL, "code", JSON_NUMBER, 0 },
	{ "bash.run", NULL, "end", JSON_STRING, 0 },
	{ "bash.run", NULL, "changes", JSON_ARRAY, 0 },
	{ "bash.run", "changes", "path", JSON_STRING, 0 },
	{ "bash.run", "changes", "change", JSON_STRING, 0 },
	{ "bash.start", NULL, "job", JSON_STRING, 0 },
	{ "bash.logs", NULL, "status", JSON_STRING, 0 },
	{ "bash.logs", NULL, "end", JSON_STRING, 1 },
	{ "bash.kill", NULL, "status", JSON_STRING, 0 },
	{ "bash.kill", NULL, "end", JSON_STRING, 1 },
};

static int
has(const struct json *object, const struct need *n)
{
	const struct json *v = json_get(object, n->member);
	int64_t number;

	if (v == NULL)
		return n->optional;
	if (n->type == JSON_NUMBER)
		return json_int(v, &number);
	return json_is(v, n->type);
}

static int
is_met(const struct json *answer, const struct need *n)
{
	const struct json *v;

	if (n->list == NULL)
		return has(answer, n);
	for (v = json_first(json_get(answer, n->list)); v != NULL;
	     v = json_next(v))
		if (!has(v, n))
			return 0;
	return 1;
}

const char *
sandbox_answer_lacks(const char *op, const struct json *answer)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
		if (strcmp(needs[i].op, op) == 0 && !is_met(answer, &needs[i]))
			return needs[i].member;
	return NULL;
}
