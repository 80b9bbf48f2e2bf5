/* SPDX-License-Identifier: MIT */
/*
 * The choices of a chunk: the delta of the first is the answer. The others,
 * for which nobody asks, are kept only where people look at a stream.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/chat_priv.h"
#include "model/decode_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define OTHERS_MAX 128

static const struct {
	const char *name;
	enum model_block_kind kind;
} text_members[] = {
	{ "reasoning_content", MODEL_BLOCK_THINKING },
	{ "reasoning", MODEL_BLOCK_THINKING },
	{ "content", MODEL_BLOCK_TEXT },
	{ "refusal", MODEL_BLOCK_REFUSAL },
};

static int
is_empty(const struct json *j)
{
	const char *text = json_str(j);

	return j == NULL || json_is(j, JSON_NULL) ||
	       (text != NULL && *text == '\0') ||
	       ((json_is(j, JSON_ARRAY) || json_is(j, JSON_OBJECT)) &&
		   json_first(j) == NULL);
}

/* Some gateways give the reasoning twice or three times: the first counts. */
static int
reasoning_read(
    struct model_decode *d, const struct json *delta, struct err *err)
{
	const struct json *text = json_get(delta, "reasoning_content");
	int rc;

	if (is_empty(text))
		text = json_get(delta, "reasoning");
	rc = chat_value(d, MODEL_BLOCK_THINKING, text, err);
	if (rc == 0)
		rc = chat_details(d, json_get(delta, "reasoning_details"),
		    is_empty(text), err);
	return rc;
}

static int
delta_read(struct model_decode *d, const struct json *delta, struct err *err)
{
	if (delta == NULL || json_is(delta, JSON_NULL))
		return 0;
	if (!json_is(delta, JSON_OBJECT))
		return err_set(err, ERR_MODEL, "a delta is no object");
	if (reasoning_read(d, delta, err) < 0 ||
	    chat_value(d, MODEL_BLOCK_TEXT, json_get(delta, "content"), err) <
		0 ||
	    chat_value(
		d, MODEL_BLOCK_REFUSAL, json_get(delta, "refusal"), err) < 0)
		return -1;
	return chat_calls(d, delta, err);
}

static struct chat_other *
other_find(struct chat *own, int64_t index)
{
	struct chat_other *o;

	for (int i = 0; i < own->others; i++)
		if (own->other[i].index == index)
			return &own->other[i];
	if (own->others == OTHERS_MAX)
		return NULL;
	own->other = reallocarray(
	    own->other, (size_t)own->others + 1, sizeof(*own->other));
	if (own->other == NULL)
		abort();
	o = &own->other[own->others++];
	memset(o, 0, sizeof(*o));
	o->index = index;
	buf_init(&o->text, NULL);
	return o;
}

/* Nobody asks for them. */
static int
other_read(struct model_decode *d, const struct json *choice, int64_t index,
    struct err *err)
{
	const char *text = json_get_str(json_get(choice, "delta"), "content");
	struct chat_other *o;

	o = d->keep_raw ? other_find(d->own, index) : NULL;
	if (o == NULL)
		return 0;
	model_copy_str(o->finish, sizeof(o->finish),
	    json_get_str(choice, "finish_reason"));
	if (text == NULL)
		return 0;
	return decode_keep(d, &o->text, text, strlen(text), err);
}

static int
choice_read(struct model_decode *d, const struct json *choice, int64_t position,
    struct err *err)
{
	struct chat *own = d->own;
	int64_t index = position;

	if (json_is(choice, JSON_NULL))
		return 0;
	if (!json_is(choice, JSON_OBJECT))
		return err_set(err, ERR_MODEL, "a choice is no object");
	json_get_int(choice, "index", &index);
	if (index != 0)
		return other_read(d, choice, index, err);
	model_copy_str(own->finish, sizeof(own->finish),
	    json_get_str(choice, "finish_reason"));
	return delta_read(d, json_get(choice, "delta"), err);
}

int
chat_choices(
    struct model_decode *d, const struct json *choices, struct err *err)
{
	struct chat *own = d->own;
	const struct json *c;
	int64_t position = 0;

	own->finish[0] = '\0';
	if (choices != NULL && !json_is(choices, JSON_NULL) &&
	    !json_is(choices, JSON_ARRAY))
		return err_set(err, ERR_MODEL, "the choices are no list");
	for (c = json_first(choices); c != NULL; c = json_next(c))
		if (choice_read(d, c, position++, err) < 0)
			return -1;
	return 0;
}

/*
 * Whether an event is one text of the answer and nothing else; its member.
 */
static const char *
lone_text(const struct json *doc, const struct json *delta,
    enum model_block_kind *kind_r)
{
	static const char *const beside[] = { "tool_calls", "function_call",
		"reasoning_details" };
	const struct json *choices = json_get(doc, "choices"), *j;
	const char *name = NULL;

	if (json_count(choices) != 1 || !is_empty(json_get(doc, "usage")) ||
	    !is_empty(json_get(doc, "x_groq")) ||
	    !is_empty(json_get(json_first(choices), "usage")) ||
	    !is_empty(json_get(json_first(choices), "finish_reason")))
		return NULL;
	for (size_t i = 0; i < COUNT(beside); i++)
		if (!is_empty(json_get(delta, beside[i])))
			return NULL;
	for (size_t i = 0; i < COUNT(text_members); i++) {
		j = json_get(delta, text_members[i].name);
		if (is_empty(j))
			continue;
		if (name != NULL || json_str(j) == NULL)
			return NULL;
		name = text_members[i].name;
		*kind_r = text_members[i].kind;
	}
	return name;
}

void
chat_frame_learn(struct model_decode *d, const struct json *doc)
{
	const struct json *choice = json_first(json_get(doc, "choices"));
	const struct json *delta = json_get(choice, "delta");
	enum model_block_kind kind = MODEL_BLOCK_TEXT;
	struct chat *own = d->own;
	int64_t index = 0;
	const char *name;

	json_get_int(choice, "index", &index);
	name = lone_text(doc, delta, &kind);
	if (name != NULL && index == 0 && d->r.block_count > 0 &&
	    decode_frame_learn(d, &d->r.block[d->r.block_count - 1], name,
		json_get_str(delta, name)))
		own->framed = kind;
}

void
chat_others_print(struct buf *b, struct model_decode *d)
{
	const struct chat *own = d->own;
	char name[24];

	if (own->others == 0)
		return;
	json_open(b, "other_choices", '{');
	for (int i = 0; i < own->others; i++) {
		const struct chat_other *o = &own->other[i];

		snprintf(name, sizeof(name), "%lld", (long long)o->index);
		json_open(b, name, '{');
		json_add_strn(b, "text", buf_str(&o->text), o->text.len);
		if (o->finish[0] == '\0')
			json_add_null(b, "finish_reason");
		else
			json_add_str(b, "finish_reason", o->finish);
		json_close(b, '}');
	}
	json_close(b, '}');
}

void
chat_others_fini(struct chat *own)
{
	for (int i = 0; i < own->others; i++)
		buf_fini(&own->other[i].text);
	free(own->other);
}
