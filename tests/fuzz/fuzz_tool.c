/* SPDX-License-Identifier: MIT */
/*
 * What a user's permission and a model's arguments are read by. The first
 * line is a permission, the second a schema, the third the arguments, and the
 * fourth a pattern against the third.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "tool/permit.h"
#include "tool/schema.h"
#include "tool/todo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES 4
#define DEPTH 48

static void
must(int holds)
{
	if (!holds)
		abort();
}

/* Ends each line with a 0 byte of its own, so that ASan sees past it. */
static void
lines_split(const uint8_t *data, size_t size, char *out[LINES])
{
	for (int i = 0; i < LINES; i++) {
		const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
		size_t n = nl == NULL ? size : (size_t)(nl - data);

		out[i] = calloc(1, n + 1);
		must(out[i] != NULL);
		if (n > 0)
			memcpy(out[i], data, n);
		if (nl == NULL)
			size = 0;
		else {
			size -= n + 1;
			data = nl + 1;
		}
	}
}

static const struct json *
read(struct arena *a, const char *text)
{
	return json_parse(a, text, strlen(text), DEPTH, NULL);
}

static void
evaluate(struct arena *a, const struct json *permission,
    const struct json *args, const char *tool)
{
	struct err err = { 0 };
	struct permit *p = permit_parse(a, permission, &err);
	struct permit_call call = { tool, TOOL_WRITES, args };
	struct permit_answer answer;

	must((p == NULL) == (err.code != ERR_NONE));
	if (p == NULL)
		return;
	if (json_is(args, JSON_OBJECT)) {
		answer = permit_evaluate(p, &call);
		must(answer.decision != PERMIT_ALLOW ||
		     permit_advertised(p, tool, TOOL_WRITES));
	}
	permit_advertised(p, tool, TOOL_READS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_open(16384);
	char *line[LINES];
	const struct json *schema, *args;
	struct err err = { 0 };
	struct buf why, list;

	lines_split(data, size, line);
	args = read(a, line[2]);
	evaluate(a, read(a, line[0]), args, line[3]);
	schema = read(a, line[1]);
	buf_init(&why, a);
	if (schema != NULL && args != NULL &&
	    schema_supported(schema, &err) == 0)
		must((schema_check(schema, args, &why) < 0) == (why.len > 0));
	buf_init(&list, a);
	todo_make("", json_get(args, "todos"), 1, &list, &err);
	must(
	    permit_glob(line[3], line[3]) || strpbrk(line[3], "*?[\\") != NULL);
	permit_glob(line[3], line[2]);
	for (int i = 0; i < LINES; i++)
		free(line[i]);
	arena_close(&a);
	return 0;
}
