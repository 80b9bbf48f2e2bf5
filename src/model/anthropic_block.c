/* SPDX-License-Identifier: MIT */
/*
 * The content blocks of Anthropic's stream: opened, grown by deltas, closed.
 *
 * Most events are text of the block that is open, and differ in it alone:
 * those are not parsed (model/text_frame.h).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/anthropic_priv.h"

#define BLOCKS_MAX 4096

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define NO_FRAME (-1) /* of no kind of block is it what is shown */

typedef int open_f(struct anthropic_decode *d, struct model_block *b,
    const struct json *start, struct err *err);
typedef int delta_f(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err);

/* Keeps text in a block's buffer, within the bound of the answer. */
static int
keep(struct anthropic_decode *d, struct buf *b, const char *text, size_t len,
    struct err *err)
{
	if (len > d->room)
		return err_set(err, ERR_TOO_LARGE, "the answer is too large");
	d->room -= len;
	buf_add(b, text, len);
	return 0;
}

static int
keep_json(struct anthropic_decode *d, struct buf *b, const struct json *j,
    struct err *err)
{
	size_t before = b->len;

	json_add_json(b, NULL, j);
	if (b->len - before > d->room)
		return err_set(err, ERR_TOO_LARGE, "the answer is too large");
	d->room -= b->len - before;
	return 0;
}

static struct model_block *
block_new(struct anthropic_decode *d)
{
	struct model_result *r = &d->r;
	struct model_block *b;

	if (r->block_count == d->block_cap) {
		d->block_cap = d->block_cap == 0 ? 4 : d->block_cap * 2;
		r->block = reallocarray(
		    r->block, (size_t)d->block_cap, sizeof(*r->block));
		if (r->block == NULL)
			abort();
	}
	b = &r->block[r->block_count++];
	memset(b, 0, sizeof(*b));
	buf_init(&b->text, NULL);
	buf_init(&b->signature, NULL);
	buf_init(&b->cited, NULL);
	buf_init(&b->start, NULL);
	return b;
}

static struct model_block *
block_at(struct model_result *r, int64_t index)
{
	int i = r->block_count - 1;

	while (i >= 0 && r->block[i].index != index)
		i--;
	return i < 0 ? NULL : &r->block[i];
}

/* The block that an event means; without an index, the last. NULL: none. */
static struct model_block *
block_find(struct anthropic_decode *d, const struct json *doc)
{
	struct model_result *r = &d->r;
	int64_t index;

	if (json_get_int(doc, "index", &index))
		return block_at(r, index);
	return r->block_count == 0 ? NULL : &r->block[r->block_count - 1];
}

/* Text that is shown at once. */
static int
add_shown(struct anthropic_decode *d, struct model_block *b, const char *text,
    size_t len, struct err *err)
{
	void (*show)(void *ctx, const char *text, size_t len) =
	    b->kind == MODEL_BLOCK_TEXT ? d->sink.text : d->sink.thinking;

	if (len == 0)
		return 0;
	if (keep(d, &b->text, text, len, err) < 0)
		return -1;
	if (show != NULL)
		show(d->sink_ctx, text, len);
	return 0;
}

static int
add_delta(struct anthropic_decode *d, struct model_block *b,
    enum model_block_kind kind, const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (b->kind != kind || text == NULL)
		return 0;
	return add_shown(d, b, text, strlen(text), err);
}

static int
add_text(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	return add_delta(d, b, MODEL_BLOCK_TEXT, value, err);
}

static int
add_thinking(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	return add_delta(d, b, MODEL_BLOCK_THINKING, value, err);
}

/* Comes once, whole: a second one takes its place. */
static int
set_signature(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (b->kind != MODEL_BLOCK_THINKING || text == NULL)
		return 0;
	buf_clear(&b->signature);
	return keep(d, &b->signature, text, strlen(text), err);
}

static int
add_input(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);

	if (!b->has_input || text == NULL || *text == '\0')
		return 0;
	if (b->seeded) {
		buf_clear(&b->text);
		b->seeded = 0;
	}
	return keep(d, &b->text, text, strlen(text), err);
}

static int
add_citation(struct anthropic_decode *d, struct model_block *b,
    const struct json *value, struct err *err)
{
	if (b->kind != MODEL_BLOCK_TEXT || !json_is(value, JSON_OBJECT))
		return 0;
	b->citations++;
	return keep_json(d, &b->cited, value, err);
}

static int
open_text(struct anthropic_decode *d, struct model_block *b,
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
open_thinking(struct anthropic_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	if (add_thinking(d, b, json_get(start, "thinking"), err) < 0)
		return -1;
	return set_signature(d, b, json_get(start, "signature"), err);
}

static int
copy_id(char *dst, size_t size, const char *src, struct err *err)
{
	if (src != NULL && strlen(src) >= size)
		return err_set(err, ERR_MODEL, "an id or a name is too long");
	anthropic_copy_str(dst, size, src);
	return 0;
}

/* A block of the provider's own; most come whole, its calls like ours. */
static int
open_other(struct anthropic_decode *d, struct model_block *b,
    const struct json *start, struct err *err)
{
	const struct json *input = json_get(start, "input");
	const char *id = json_get_str(start, "tool_use_id");

	if (id == NULL)
		id = json_get_str(start, "id");
	if (copy_id(b->id, sizeof(b->id), id, err) < 0 ||
	    copy_id(
		b->name, sizeof(b->name), json_get_str(start, "name"), err) < 0)
		return -1;
	b->has_input = b->kind == MODEL_BLOCK_CALL || input != NULL;
	if (json_is(input, JSON_OBJECT) && json_count(input) > 0) {
		b->seeded = 1;
		if (keep_json(d, &b->text, input, err) < 0)
			return -1;
	}
	return keep_json(d, &b->start, start, err);
}

static int
open_call(struct anthropic_decode *d, struct model_block *b,
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
    struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	const struct json *start = json_get(doc, "content_block");
	const char *type = json_get_str(start, "type");
	const struct block_type *t;
	struct model_block *b;

	if (type == NULL)
		return err_set(err, ERR_MODEL, "a content block has no type");
	if (d->r.block_count == BLOCKS_MAX)
		return err_set(err, ERR_TOO_LARGE,
		    "the answer has over %d blocks", BLOCKS_MAX);
	b = block_new(d);
	if (!json_get_int(doc, "index", &b->index))
		b->index = d->r.block_count - 1;
	t = block_type_find(type);
	b->kind = t->kind;
	anthropic_copy_str(b->type, sizeof(b->type), type);
	return t->open(d, b, start, err);
}

int
anthropic_block_frame(struct anthropic_decode *d, const char *data, size_t len,
    int *rc_r, struct err *err)
{
	struct model_block *b;
	const char *text;
	size_t n;

	if (!text_frame_match(&d->frame, data, len, &text, &n))
		return 0;
	b = block_at(&d->r, d->frame_index);
	if (b == NULL || b->kind != d->frame_kind)
		return 0;
	*rc_r = add_shown(d, b, text, n, err);
	return 1;
}

static void
frame_learn(struct anthropic_decode *d, const struct model_block *b,
    const char *member, const struct json *doc, const char *text)
{
	int64_t index;

	if (json_get_int(doc, "index", &index) &&
	    text_frame_learn(&d->frame, d->event, d->event_len, member, text)) {
		d->frame_index = index;
		d->frame_kind = b->kind;
	}
}

int
anthropic_block_delta(
    struct anthropic_decode *d, const struct json *doc, struct err *err)
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
    struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	struct model_block *b = block_find(d, doc);

	(void)err;
	if (b != NULL)
		b->closed = 1;
	return 0;
}
