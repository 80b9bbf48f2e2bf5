/* SPDX-License-Identifier: MIT */
/*
 * The items of an answer of OpenAI's Responses API: messages, reasoning,
 * calls, and what the provider's own tools did.
 *
 * An item is one block, and a refusal in a message another. Which block an
 * event means is told by the place of the item in the output: some servers
 * give an item another id in each event, others the same place to all, so the
 * id decides between blocks of one place, and where no place is said.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"
#include "model/responses_priv.h"

static const struct responses_type item_types[] = {
	{ "message", MODEL_BLOCK_TEXT, responses_whole_message, NULL,
	    { "content" } },
	{ "reasoning", MODEL_BLOCK_THINKING, responses_whole_reasoning, NULL,
	    { NULL } },
	{ "function_call", MODEL_BLOCK_CALL, responses_whole_call, "arguments",
	    { "call_id", "name", "arguments" } },
	{ "custom_tool_call", MODEL_BLOCK_CALL, responses_whole_call, "input",
	    { "call_id", "name" } },
	{ NULL, MODEL_BLOCK_OPAQUE, NULL, NULL, { NULL } },
};

static const char *const block_types[MODEL_BLOCK_KINDS] = {
	[MODEL_BLOCK_TEXT] = "text",
	[MODEL_BLOCK_THINKING] = "thinking",
	[MODEL_BLOCK_CALL] = "tool_use",
	[MODEL_BLOCK_REFUSAL] = "refusal",
};

const struct responses_type *
responses_type_find(const struct json *item)
{
	const char *type = json_get_str(item, "type");
	const struct responses_type *t = item_types;

	if (type == NULL)
		return json_get(item, "content") == NULL ? NULL : t;
	while (t->type != NULL && strcmp(t->type, type) != 0)
		t++;
	return t;
}

/* ---- which block ---- */

static struct responses_key
key_of(const struct json *doc, const char *id)
{
	struct responses_key key = { id, -1 };

	if (!json_get_int(doc, "output_index", &key.index) || key.index < 0)
		key.index = -1;
	return key;
}

static int
is_item(const struct model_block *b, const char *id)
{
	return id != NULL && *id != '\0' && strcmp(buf_str(&b->item), id) == 0;
}

/* Where no place is said and no id fits: the last that is open. */
struct model_block *
responses_find(struct model_decode *d, enum model_block_kind kind,
    struct responses_key key, int by_id)
{
	struct model_block *b, *best = NULL, *open = NULL;
	int rank, best_rank = 0;

	for (int i = d->r.block_count - 1; i >= 0 && best_rank < 3; i--) {
		b = &d->r.block[i];
		if (b->kind != kind)
			continue;
		if (open == NULL && !b->closed)
			open = b;
		rank = is_item(b, key.id) * (by_id ? 2 : 1) +
		       (b->index == key.index) * (by_id ? 1 : 2);
		if (rank > best_rank) {
			best_rank = rank;
			best = b;
		}
	}
	return best == NULL && key.index < 0 ? open : best;
}

static int
set_item(struct model_decode *d, struct model_block *b, const char *id,
    struct err *err)
{
	if (id == NULL || *id == '\0' || is_item(b, id))
		return 0;
	decode_drop(d, &b->item);
	return decode_keep(d, &b->item, id, strlen(id), err);
}

struct model_block *
responses_open(struct model_decode *d, enum model_block_kind kind,
    const char *type, struct responses_key key, struct err *err)
{
	struct model_block *b;

	b = decode_block_new(
	    d, kind, type == NULL ? block_types[kind] : type, err);
	if (b == NULL)
		return NULL;
	if (key.index >= 0)
		b->index = key.index;
	return set_item(d, b, key.id, err) < 0 ? NULL : b;
}

/* A refusal is of the message around it. */
struct model_block *
responses_block(struct model_decode *d, enum model_block_kind kind,
    const struct json *doc, struct err *err)
{
	struct responses_key key = key_of(doc, json_get_str(doc, "item_id"));
	struct model_block *b;

	if (kind == MODEL_BLOCK_REFUSAL) {
		b = responses_block(d, MODEL_BLOCK_TEXT, doc, err);
		if (b == NULL)
			return NULL;
		key.id = buf_str(&b->item);
		key.index = b->index;
	}
	b = responses_find(d, kind, key, 0);
	return b != NULL ? b : responses_open(d, kind, NULL, key, err);
}

/* ---- what an item says ---- */

static int
is_neutral(const struct responses_type *t, const char *name)
{
	for (int i = 0; i < 3 && t->neutral[i] != NULL; i++)
		if (strcmp(t->neutral[i], name) == 0)
			return 1;
	return 0;
}

/* Nulls are left out, of which some are refused when they are sent back; but
 * what is the provider's own stays as it is. */
int
responses_native(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err)
{
	const struct responses_type *t = responses_type_find(item);
	const struct json *m;
	struct buf whole;
	int rc;

	decode_drop(d, &b->native);
	if (t->type == NULL)
		return decode_keep_json(d, &b->native, item, err);
	buf_init(&whole, NULL);
	json_open(&whole, NULL, '{');
	for (m = json_first(item); m != NULL; m = json_next(m))
		if (!json_is(m, JSON_NULL) && !is_neutral(t, json_name(m)))
			json_add_json(&whole, json_name(m), m);
	json_close(&whole, '}');
	rc = decode_keep(d, &b->native, whole.data, whole.len, err);
	buf_fini(&whole);
	return rc;
}

static int
set_name(char *dst, size_t size, const char *src, struct err *err)
{
	if (src == NULL || *src == '\0')
		return 0;
	return decode_copy_id(dst, size, src, err);
}

static int
item_take(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err)
{
	const char *call = json_get_str(item, "call_id");
	const char *name = json_get_str(item, "name");

	if (set_item(d, b, json_get_str(item, "id"), err) < 0)
		return -1;
	if (b->kind == MODEL_BLOCK_CALL &&
	    (set_name(b->id, sizeof(b->id), call, err) < 0 ||
		set_name(b->name, sizeof(b->name), name, err) < 0))
		return -1;
	return responses_native(d, b, item, err);
}

int
responses_item_whole(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err)
{
	const struct responses_type *t = responses_type_find(item);

	if (item_take(d, b, item, err) < 0)
		return -1;
	b->closed = 1;
	if (t->whole == NULL)
		return 0;
	return t->whole(d, (int)(b - d->r.block), item, err);
}

/* ---- the events of items ---- */

static struct model_block *
item_open(struct model_decode *d, const struct responses_type *t,
    struct responses_key key, const struct json *item, struct err *err)
{
	const char *type = t->type == NULL ? json_get_str(item, "type") : NULL;

	return responses_open(d, t->kind, type, key, err);
}

/* A delta may have opened the block. Arguments that come with the start are
 * those of the deltas too. */
int
responses_item_added(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *item = json_get(doc, "item");
	const struct responses_type *t = responses_type_find(item);
	struct responses_key key = key_of(doc, json_get_str(item, "id"));
	struct model_block *b;

	if (t == NULL)
		return 0;
	b = responses_find(d, t->kind, key, 0);
	if (b == NULL || b->closed || !is_item(b, key.id))
		b = item_open(d, t, key, item, err);
	if (b == NULL || item_take(d, b, item, err) < 0)
		return -1;
	if (t->input == NULL || b->text.len > 0)
		return 0;
	if (responses_input(d, b, json_get(item, t->input), err) < 0)
		return -1;
	b->seeded = b->text.len > 0;
	return 0;
}

int
responses_is_other(const struct model_block *b, const struct json *item)
{
	const char *call = json_get_str(item, "call_id");
	const char *id = json_get_str(item, "id");

	if (!b->closed)
		return 0;
	if (b->kind == MODEL_BLOCK_CALL && call != NULL && b->id[0] != '\0')
		return strcmp(b->id, call) != 0;
	return id != NULL && b->item.len > 0 && !is_item(b, id);
}

int
responses_item_done(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *item = json_get(doc, "item");
	const struct responses_type *t = responses_type_find(item);
	struct responses_key key = key_of(doc, json_get_str(item, "id"));
	struct model_block *b;

	if (t == NULL)
		return 0;
	b = responses_find(d, t->kind, key, 0);
	if (b == NULL || responses_is_other(b, item))
		b = item_open(d, t, key, item, err);
	return b == NULL ? -1 : responses_item_whole(d, b, item, err);
}
