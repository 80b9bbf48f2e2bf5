/* SPDX-License-Identifier: MIT */
/* Tool calls, from their records or from events, as blocks. */
#include "config.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/words.h"
#include "session/record.h"

static const char *const over[] = { "COMPLETED", "FAILED", "DENIED", "SEALED",
	NULL };

int
record_is_over(const struct json *call)
{
	const char *state = json_get_str(call, "state");

	return state != NULL && words_list_has(over, state);
}

enum block_status
record_status(const struct json *call)
{
	if (!record_is_over(call))
		return BLOCK_RUNNING;
	return strcmp(json_get_str(call, "state"), "COMPLETED") == 0
		   ? BLOCK_SUCCESS
		   : BLOCK_FAILED;
}

int64_t
record_time(const struct json *call, const char *name)
{
	int64_t ms;

	return json_get_int(call, name, &ms) ? ms : -1;
}

const struct json *
record_input(struct arena *a, const struct json *call)
{
	const struct json *input = json_get(call, "input");
	const char *text = json_get_str(call, "inputText");
	struct buf b;

	if (input != NULL)
		return json_is(input, JSON_OBJECT) ? input : NULL;
	if (text != NULL) {
		buf_init(&b, a);
		json_open(&b, NULL, '{');
		json_add_str(&b, "inputText", text);
		json_close(&b, '}');
		return json_parse(a, b.data, b.len, 2, NULL);
	}
	/* A beginning of an object is none, so what parses is whole. */
	text = json_get_str(call, "inputPreview");
	if (text == NULL || *text != '{')
		return NULL;
	return json_parse(a, text, strlen(text), JSON_DEPTH_MAX, NULL);
}

const struct json *
record_report(const struct json *call)
{
	const struct json *result = json_get(call, "result"),
			  *text = json_get(json_get(result, "data"), "text");

	if (text == NULL)
		text = json_get(result, "error");
	return json_is(text, JSON_STRING) ? text : NULL;
}

static const char *
id_of(const struct json *call)
{
	const char *id = json_get_str(call, "id");

	return id == NULL ? "" : id;
}

struct block
record_use(const struct json *call, const struct json *input)
{
	struct block k = block_make(
	    BLOCK_TOOL_USE, id_of(call), record_time(call, "createdAt"));

	k.name = json_get_str(call, "name");
	k.input = input;
	k.status = record_status(call);
	return k;
}

struct block
record_result(struct arena *a, const struct json *call)
{
	char id[BLOCK_ID_SIZE];
	struct block k;

	block_id_result(id, id_of(call));
	k = block_make(BLOCK_TOOL_RESULT, arena_strdup(a, id),
	    record_time(call, "completedAt"));
	k.call = id_of(call);
	k.output = json_get(call, "result");
	k.is_error = record_status(call) == BLOCK_FAILED;
	k.duration_ms = record_time(call, "durationMs");
	return k;
}

struct block
record_subagent(
    struct arena *a, const struct json *call, const struct json *input)
{
	char id[BLOCK_ID_SIZE];
	struct block k;

	block_id_subagent(id, id_of(call));
	k = block_make(BLOCK_SUBAGENT, arena_strdup(a, id),
	    record_time(call, "completedAt"));
	k.agent = k.call = id_of(call);
	k.name = json_get_str(input, "template");
	k.input = input;
	k.output = record_report(call);
	k.status = record_status(call);
	k.duration_ms = record_time(call, "durationMs");
	return k;
}

const char *
record_failure_code(struct arena *a, const struct json *failure)
{
	const char *type = json_get_str(failure, "type");
	char *code;

	if (type == NULL || *type == '\0')
		return "TURN_FAILED";
	code = arena_printf(a, "%.60s", type);
	for (char *p = code; *p != '\0'; p++)
		*p = isalnum((unsigned char)*p)
			 ? (char)toupper((unsigned char)*p)
			 : '_';
	return code;
}
