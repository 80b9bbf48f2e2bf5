/* SPDX-License-Identifier: MIT */
/*
 * The content blocks of Anthropic's stream: opened, grown by deltas, closed.
 *
 * Most events are text of the block that is open, and differ in it alone:
 * those are not parsed (model/text_frame.h).
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/anthropic_priv.h"
#include "model/decode_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define NO_FRAME (-1) /* of no kind of block is it what is shown */

typedef int open_f(struct model_decode *d, struct model_block *b,
    const struct json *start, struct err *err);
typedef int delta_f(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err);

/* The block that an event means; without an index, the last. NULL: none. */
static struct model_block *
block_find(struct model_decode *d, const struct json *doc)
{
	struct model_result *r = &d->r;
	int64_t index;

	if (json_get_int(doc, "index", &index))
		return decode_block_at(d, index);
	return r->block_count == 0 ? NULL : &r->block[r->block_count - 1];
}

static int
add_delta(struct model_decode *d, struct model_block *b,
    enum model_block_kind kind, const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (b->kind != kind || text == NULL)
		return 0;
	return decode_show(d, b, text, strlen(text), err);
}

static int
add_text(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	return add_delta(d, b, MODEL_BLOCK_TEXT, value, err);
}

static int
add_thinking(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	return add_delta(d, b, MODEL_BLOCK_THINKING, value, err);
}

/* Comes once, whole: a second one takes its place. */
static int
set_signature(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (b->kind != MODEL_BLOCK_THINKING || text == NULL)
		return 0;
	buf_clear(&b->signature);
	return decode_keep(d, &b->signature, text, strlen(text), err);
}

static int
add_input(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (!b->has_input || text == NULL || *text == '\0')
		return 0;
	if (b->seeded) {
		buf_clear(&b->text);
		b->seeded = 0;
	}
	return decode_keep(d, &b->text, text, strlen(text), err);
}

static int
add_citation(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	if (b->kind != MODEL_BLOCK_TEXT || !json_is(value, JSON_OBJECT))
		return 0;
	b->citations++;
	return decode_keep_json(d, &b->cited, value, err);
}

static int
open_text(struct model_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	const struct json *c = json_get(start, "citations");

	if (!json_is(c, JSON_ARRAY))
		c = NULL;
	for (c = json_first(c); c != NULL; c = json_next(c))
		if (add_citation(d, b, c, err) < 0)
			return -1;
	return add_text(d, b, json_get(start, "text"), err);
}

static int
open_thinking(struct model_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	if (add_thinking(d, b, json_get(start, "thinking"), err) < 0)
		return -1;
	return set_signature(d, b, json_get(start, "signature"), err);
}

/* A block of the provider's own; most come whole, its calls like ours. */
static int
open_other(struct model_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	const struct json *input = json_get(start, "input");
	const char *id = json_get_str(start, "tool_use_id");

	if (id == NULL)
		id = json_get_str(start, "id");
	if (decode_copy_id(b->id, sizeof(b->id), id, err) < 0 ||
	    decode_copy_id(
		b->name, sizeof(b->name), json_get_str(start, "name"), err) < 0)
		return -1;
	b->has_input = b->kind == MODEL_BLOCK_CALL || input != NULL;
	if (json_is(input, JSON_OBJECT) && json_count(input) > 0) {
		b->seeded = 1;
		if (decode_keep_json(d, &b->text, input, err) < 0)
			return -1;
	}
	return decode_keep_json(d, &b->native, start, err);
}

static int
open_call(struct model_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	if (open_other(d, b, start, err) < 0)
		return -1;
	if (b->id[0] == '\0' || b->name[0] == '\0')
		return err_set(
		    err, ERR_MODEL, "a tool call has no id or no name");
	return 0;
}

struct block_type {
	const char *type;
	enum model_block_kind kind;
	open_f *open;
};

static const struct block_type block_types[] = {
	{ "text", MODEL_BLOCK_TEXT, open_text },
	{ "thinking", MODEL_BLOCK_THINKING, open_thinking },
	{ "tool_use", MODEL_BLOCK_CALL, open_call },
	{ NULL, MODEL_BLOCK_OPAQUE, open_other },
};

static const struct block_type *
block_type_find(const char *type)
{
	const struct block_type *t = block_types;

	while (t->type != NULL && strcmp(t->type, type) != 0)
		t++;
	return t;
}

static const struct {
	const char *type;
	const char *member;
	int shown_in; /* an enum model_block_kind, or NO_FRAME */
	delta_f *fn;
} delta_types[] = {
	{ "text_delta", "text", MODEL_BLOCK_TEXT, add_text },
	{ "thinking_delta", "thinking", MODEL_BLOCK_THINKING, add_thinking },
	{ "input_json_delta", "partial_json", NO_FRAME, add_input },
	{ "signature_delta", "signature", NO_FRAME, set_signature },
	{ "citations_delta", "citation", NO_FRAME, add_citation },
};

int
anthropic_block_start(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *start = json_get(doc, "content_block");
	const char *type = json_get_str(start, "type");
	const struct block_type *t;
	struct model_block *b;

	if (type == NULL)
		return err_set(err, ERR_MODEL, "a content block has no type");
	t = block_type_find(type);
	b = decode_block_new(d, t->kind, type, err);
	if (b == NULL)
		return -1;
	json_get_int(doc, "index", &b->index);
	return t->open(d, b, start, err);
}

/* With an index: an event without one is of whichever block is the last. */
static void
frame_learn(struct model_decode *d, const struct model_block *b,
    const char *member, const struct json *doc, const char *text)
{
	if (json_get(doc, "index") != NULL)
		decode_frame_learn(d, b, member, text);
}

int
anthropic_block_delta(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *delta = json_get(doc, "delta");
	const char *type = json_get_str(delta, "type");
	struct model_block *b = block_find(d, doc);
	const struct json *value;

	if (b == NULL)
		return err_set(
		    err, ERR_MODEL, "a delta for a block that was not opened");
	for (size_t i = 0; type != NULL && i < COUNT(delta_types); i++)
		if (strcmp(delta_types[i].type, type) == 0) {
			value = json_get(delta, delta_types[i].member);
			if (delta_types[i].shown_in == (int)b->kind)
				frame_learn(d, b, delta_types[i].member, doc,
				    json_str(value));
			return delta_types[i].fn(d, b, value, err);
		}
	return 0;
}

int
anthropic_block_stop(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	struct model_block *b = block_find(d, doc);

	(void)err;
	if (b != NULL)
		b->closed = 1;
	return 0;
}
