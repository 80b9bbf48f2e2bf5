/* SPDX-License-Identifier: MIT */
/*
 * Structured output: an answer that is a JSON document by a schema. The
 * provider is asked for it where its API can be; what comes is checked here
 * all the same, since some promise JSON and no schema, and some nothing. A
 * wrong answer is not the end: the model is told what is wrong with it.
 */
#include "config.h"

#include <string.h>

#include "agent/turn_output.h"
#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "tool/schema.h"

#define DEPTH 48
#define WHY_BYTES 1500

/* ---- what is wanted ---- */

static const struct json *
options_of(struct turn *t)
{
	const char *text = t->history->options;

	return text == NULL ? NULL
			    : json_parse(t->arena, text, strlen(text),
				  JSON_DEPTH_MAX, NULL);
}

/* The message's, or the template's. */
static const struct json *
option(struct turn *t, const struct json *options, const char *name)
{
	const struct agent_template *own = turn_tools(t)->template;
	const struct json *j = json_get(options, name);

	return j == NULL && own != NULL ? json_get(own->output, name) : j;
}

static const char *
choice_of(struct turn *t, const struct json *options)
{
	const struct json *j = option(t, options, "toolChoice");
	const char *word = json_str(j), *name = json_get_str(j, "name");

	if (name != NULL)
		word = arena_printf(t->arena, "=%s", name);
	if (word == NULL)
		return "";
	/* A tool is forced once: then the model goes on by itself. */
	if (t->step > 1 && strcmp(word, "none") != 0)
		return "";
	return word;
}

void
turn_output_ask(struct turn *t, struct model_request *rq)
{
	const struct json *options = options_of(t);
	struct buf b;

	rq->tool_choice = *rq->tools == '\0' ? "" : choice_of(t, options);
	rq->schema = "";
	t->schema = option(t, options, "outputSchema");
	if (t->schema == NULL)
		return;
	buf_init(&b, t->arena);
	json_print(&b, t->schema);
	rq->schema = buf_str(&b);
}

/* ---- what came ---- */

static const struct json *
answer_value(struct turn *t, struct err *err)
{
	const struct model_result *r = model_call_result(t->result);
	struct buf text;

	buf_init(&text, t->arena);
	for (int i = 0; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_TEXT)
			buf_add(&text, buf_str(&r->block[i].text),
			    r->block[i].text.len);
	return json_parse(t->arena, buf_str(&text), text.len, DEPTH, err);
}

const char *
turn_output_wrong(struct turn *t)
{
	const struct json *value;
	struct err err;
	struct buf why;

	if (t->schema == NULL ||
	    model_call_result(t->result)->stop == MODEL_STOP_REFUSAL)
		return NULL;
	buf_init(&why, t->arena);
	err_clear(&err);
	value = answer_value(t, &err);
	if (value == NULL)
		buf_printf(&why, "it is no JSON: %s", err.text);
	else if (schema_check(t->schema, value, &why) == 0)
		return NULL;
	if (why.len > WHY_BYTES)
		buf_truncate(&why, json_utf8_whole(why.data, WHY_BYTES));
	json_utf8_mend(why.data);
	return arena_printf(t->arena,
	    "Your answer is not valid: %s. Answer again with nothing but one "
	    "JSON document by this schema, without a code fence: ",
	    buf_str(&why));
}

const char *
turn_output_member(struct turn *t)
{
	const struct json *value;
	struct buf b;

	if (t->schema == NULL || (value = answer_value(t, NULL)) == NULL)
		return "";
	buf_init(&b, t->arena);
	buf_lit(&b, ",\"output\":");
	json_print(&b, value);
	return buf_str(&b);
}
