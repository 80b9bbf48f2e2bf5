/* SPDX-License-Identifier: MIT */
/*
 * What OpenAI's Responses API says a second time, when it is whole: a text, an
 * item, and at the end the whole output. It counts more than what was said
 * before, except for text, which was shown: of that only the rest is added, or
 * nothing where the two do not agree.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"
#include "model/responses_priv.h"

/* One text of those that make up a block; before it come at bytes. 1 if the
 * block says the same so far, 0 if not, -1 and err. */
static int
catch_up(struct model_decode *d, struct model_block *b, size_t at,
    const char *text, struct err *err)
{
	size_t n = strlen(text), have = b->text.len - at;

	if (have > n)
		have = n;
	if (have > 0 && memcmp(b->text.data + at, text, have) != 0)
		return 0;
	return decode_show(d, b, text + have, n - have, err) < 0 ? -1 : 1;
}

int
responses_catch_up(struct model_decode *d, struct model_block *b,
    const char *text, struct err *err)
{
	return catch_up(d, b, 0, text, err) < 0 ? -1 : 0;
}

static const struct json *
part_first(const struct json *parts)
{
	return json_is(parts, JSON_ARRAY) ? json_first(parts) : NULL;
}

/* The texts of that name of an array's objects, which make up the block. */
static int
catch_up_parts(struct model_decode *d, struct model_block *b,
    const struct json *parts, const char *name, struct err *err)
{
	const struct json *p = part_first(parts);
	const char *text;
	size_t at = 0;
	int rc = 1;

	for (; p != NULL && rc == 1; p = json_next(p)) {
		text = json_get_str(p, name);
		if (text == NULL)
			continue;
		rc = catch_up(d, b, at, text, err);
		at += strlen(text);
	}
	return rc < 0 ? -1 : 0;
}

static int
has_text(const struct json *parts, const char *name)
{
	const struct json *p = part_first(parts);

	while (p != NULL && json_get_str(p, name) == NULL)
		p = json_next(p);
	return p != NULL;
}

/* The refusal in the message at, which opens it if nothing else did. */
static int
whole_refusal(
    struct model_decode *d, int at, const struct json *item, struct err *err)
{
	const struct json *content = json_get(item, "content");
	struct responses_key key = { buf_str(&d->r.block[at].item),
		d->r.block[at].index };
	struct model_block *b = responses_find(d, MODEL_BLOCK_REFUSAL, key, 0);

	if (b == NULL && !has_text(content, "refusal"))
		return 0;
	if (b == NULL)
		b = responses_open(d, MODEL_BLOCK_REFUSAL, NULL, key, err);
	if (b == NULL || catch_up_parts(d, b, content, "refusal", err) < 0)
		return -1;
	b->closed = 1;
	return responses_native(d, b, item, err);
}

int
responses_whole_message(
    struct model_decode *d, int at, const struct json *item, struct err *err)
{
	const struct json *content = json_get(item, "content");
	struct model_block *b = &d->r.block[at];
	const char *text = json_str(content);
	int rc;

	rc = text != NULL ? responses_catch_up(d, b, text, err)
			  : catch_up_parts(d, b, content, "text", err);
	return rc < 0 ? -1 : whole_refusal(d, at, item, err);
}

/* The summary, or else the reasoning: what was shown is one of them. */
int
responses_whole_reasoning(
    struct model_decode *d, int at, const struct json *item, struct err *err)
{
	struct model_block *b = &d->r.block[at];

	if (catch_up_parts(d, b, json_get(item, "summary"), "text", err) < 0)
		return -1;
	return catch_up_parts(d, b, json_get(item, "content"), "text", err);
}

int
responses_input(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (value == NULL || json_is(value, JSON_NULL) ||
	    (text != NULL && *text == '\0'))
		return 0;
	decode_drop(d, &b->text);
	b->seeded = 0;
	b->parsed = json_is(value, JSON_OBJECT);
	if (text == NULL)
		return decode_keep_json(d, &b->text, value, err);
	return decode_keep(d, &b->text, text, strlen(text), err);
}

int
responses_whole_call(
    struct model_decode *d, int at, const struct json *item, struct err *err)
{
	const char *name = responses_type_find(item)->input;

	return responses_input(d, &d->r.block[at], json_get(item, name), err);
}

/* ---- the output ---- */

/* An item that was whole before: only what was left out of it then. With
 * another id it may be another item, whose text is not to be mixed in. */
static int
item_again(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err)
{
	static const char encrypted[] = "\"encrypted_content\":\"";
	const struct responses_type *t = responses_type_find(item);
	const char *id = json_get_str(item, "id");
	int same = id != NULL && strcmp(buf_str(&b->item), id) == 0;
	int at = (int)(b - d->r.block);

	if (b->kind == MODEL_BLOCK_THINKING &&
	    json_get_str(item, "encrypted_content") != NULL &&
	    memmem(b->native.data, b->native.len, encrypted,
		sizeof(encrypted) - 1) == NULL &&
	    responses_native(d, b, item, err) < 0)
		return -1;
	if (b->kind == MODEL_BLOCK_CALL || t->whole == NULL ||
	    (!same && b->text.len > 0))
		return 0;
	return t->whole(d, at, item, err);
}

/*
 * Some servers give items other ids here, some leave items out, so that a
 * place means another: an item that fits no block is a new one only where
 * some of its kind are missing.
 */
static int
output_item(struct model_decode *d, struct responses_key key, int *missing,
    const struct json *item, struct err *err)
{
	const struct responses_type *t = responses_type_find(item);
	struct model_block *b = responses_find(d, t->kind, key, 1);
	const char *type = t->type == NULL ? json_get_str(item, "type") : NULL;

	if (b != NULL && b->closed && b->kind == MODEL_BLOCK_CALL &&
	    responses_is_other(b, item))
		b = NULL;
	if (b != NULL && b->closed)
		return item_again(d, b, item, err);
	if (b == NULL && *missing <= 0)
		return 0;
	if (b == NULL) {
		b = responses_open(d, t->kind, type, key, err);
		(*missing)--;
	}
	return b == NULL ? -1 : responses_item_whole(d, b, item, err);
}

/* Of each kind, how many more there are in the output than blocks. */
static void
count_missing(const struct model_decode *d, const struct json *output,
    int missing[MODEL_BLOCK_KINDS])
{
	const struct responses_type *t;
	const struct json *item;

	for (item = json_first(output); item != NULL; item = json_next(item)) {
		t = responses_type_find(item);
		if (t != NULL)
			missing[t->kind]++;
	}
	for (int i = 0; i < d->r.block_count; i++)
		missing[d->r.block[i].kind]--;
}

int
responses_output(
    struct model_decode *d, const struct json *output, struct err *err)
{
	int missing[MODEL_BLOCK_KINDS] = { 0 };
	const struct responses_type *t;
	const struct json *item = part_first(output);
	struct responses_key key = { NULL, 0 };

	if (item != NULL)
		count_missing(d, output, missing);
	for (; item != NULL; item = json_next(item), key.index++) {
		t = responses_type_find(item);
		key.id = json_get_str(item, "id");
		if (t != NULL &&
		    output_item(d, key, &missing[t->kind], item, err) < 0)
			return -1;
	}
	return 0;
}
