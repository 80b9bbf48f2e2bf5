/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an answer of the Chat API, which knows none: texts of a kind
 * that follow each other are one block, and a call of a tool is one, found
 * again by the rules of spec/providers.md, section 0, "Tool-call
 * accumulation". A text of a type that nobody knows fails the answer: it must
 * not get lost in silence.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/chat_priv.h"
#include "model/decode_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define FUNCTION_CALL (-1) /* index of the call that has none */

/* A new block: those before it are whole, unless more comes after all. */
static struct model_block *
block_open(struct model_decode *d, enum model_block_kind kind, const char *type,
    struct err *err)
{
	for (int i = 0; i < d->r.block_count; i++)
		d->r.block[i].closed = 1;
	return decode_block_new(d, kind, type, err);
}

int
chat_show(struct model_decode *d, enum model_block_kind kind, const char *text,
    size_t len, struct err *err)
{
	static const char *const types[MODEL_BLOCK_KINDS] = {
		[MODEL_BLOCK_TEXT] = "text",
		[MODEL_BLOCK_THINKING] = "thinking",
		[MODEL_BLOCK_REFUSAL] = "refusal",
	};
	struct model_block *b = NULL;

	if (len == 0)
		return 0;
	if (d->r.block_count > 0)
		b = &d->r.block[d->r.block_count - 1];
	if (b == NULL || b->kind != kind)
		b = block_open(d, kind, types[kind], err);
	return b == NULL ? -1 : decode_show(d, b, text, len, err);
}

int
chat_text(struct model_decode *d, enum model_block_kind kind, const char *text,
    size_t len, struct err *err)
{
	if (len == 0)
		return 0;
	if (kind == MODEL_BLOCK_TEXT && (d->quirks & MODEL_QUIRK_THINK_TAGS))
		return chat_think(d, text, len, err);
	if (chat_think_flush(d, err) < 0)
		return -1;
	return chat_show(d, kind, text, len, err);
}

/* Mistral's, and what is like them. */
static const struct {
	const char *type, *member;
	enum model_block_kind kind;
} part_types[] = {
	{ "thinking", "thinking", MODEL_BLOCK_THINKING },
	{ "refusal", "refusal", MODEL_BLOCK_REFUSAL },
};

static int
part_read(struct model_decode *d, enum model_block_kind kind,
    const struct json *part, struct err *err)
{
	const char *type = json_get_str(part, "type"), *member = "text";

	for (size_t i = 0; type != NULL && i < COUNT(part_types); i++)
		if (strcmp(part_types[i].type, type) == 0) {
			member = part_types[i].member;
			kind = part_types[i].kind;
		}
	return chat_value(d, kind, json_get(part, member), err);
}

int
chat_value(struct model_decode *d, enum model_block_kind kind,
    const struct json *value, struct err *err)
{
	const char *text = json_str(value);
	const struct json *part;

	if (value == NULL || json_is(value, JSON_NULL))
		return 0;
	if (text != NULL)
		return chat_text(d, kind, text, strlen(text), err);
	if (json_is(value, JSON_OBJECT))
		return part_read(d, kind, value, err);
	if (!json_is(value, JSON_ARRAY))
		return err_set(err, ERR_MODEL,
		    "a text of the answer is neither text nor a list");
	for (part = json_first(value); part != NULL; part = json_next(part))
		if (chat_value(d, kind, part, err) < 0)
			return -1;
	return 0;
}

/* ---- calls ---- */

/* A piece of a call; "" is as good as nothing. */
struct piece {
	int64_t index;
	const char *id, *name;
	const struct json *arguments;
	const struct json *extra; /* that must go back with the call */
};

static const char *
get_word(const struct json *j, const char *name)
{
	const char *s = json_get_str(j, name);

	return s == NULL || *s == '\0' ? NULL : s;
}

/* The last call of an index and, where it is given, of an id. */
static struct model_block *
call_at(struct model_decode *d, int64_t index, const char *id)
{
	struct model_block *b;

	for (int i = d->r.block_count - 1; i >= 0; i--) {
		b = &d->r.block[i];
		if (b->kind == MODEL_BLOCK_CALL && b->index == index &&
		    (id == NULL || strcmp(b->id, id) == 0))
			return b;
	}
	return NULL;
}

/* Ollama gives all calls the same index. NULL: it is a new call. */
static struct model_block *
call_find(struct model_decode *d, const struct piece *p)
{
	struct model_block *b = call_at(d, p->index, NULL), *same;

	if (b == NULL || p->id == NULL || b->id[0] == '\0')
		return b;
	same = call_at(d, p->index, p->id);
	if (same != NULL)
		return same;
	return p->name != NULL ? NULL : b;
}

static int
add_arguments(struct model_decode *d, struct model_block *b,
    const struct json *arguments, struct err *err)
{
	const char *text = json_str(arguments);

	if (arguments == NULL || json_is(arguments, JSON_NULL))
		return 0;
	if (text != NULL) {
		b->closed &= *text == '\0';
		return decode_keep(d, &b->text, text, strlen(text), err);
	}
	if (!json_is(arguments, JSON_OBJECT) || b->text.len > 0)
		return err_set(
		    err, ERR_MODEL, "the arguments of a call are no text");
	b->parsed = 1;
	return decode_keep_json(d, &b->text, arguments, err);
}

/* Gemini's signature, where it speaks this API. */
static int
add_extra(struct model_decode *d, struct model_block *b,
    const struct json *extra, struct err *err)
{
	if (!json_is(extra, JSON_OBJECT) || b->native.len > 0)
		return 0;
	json_open(&b->native, NULL, '{');
	if (decode_keep_member(d, &b->native, extra, err) < 0)
		return -1;
	json_close(&b->native, '}');
	return 0;
}

static int
piece_is_empty(const struct piece *p)
{
	const char *text = json_str(p->arguments);

	return p->id == NULL && p->name == NULL &&
	       (p->arguments == NULL || json_is(p->arguments, JSON_NULL) ||
		   (text != NULL && *text == '\0'));
}

static int
add_piece(struct model_decode *d, const struct piece *p, struct err *err)
{
	struct model_block *b = call_find(d, p);

	if (b == NULL && piece_is_empty(p))
		return 0;
	if (chat_think_flush(d, err) < 0)
		return -1;
	if (b == NULL) {
		b = block_open(d, MODEL_BLOCK_CALL, "tool_use", err);
		if (b == NULL)
			return -1;
		b->index = p->index;
	}
	if (b->id[0] == '\0' &&
	    decode_copy_id(b->id, sizeof(b->id), p->id, err) < 0)
		return -1;
	if (b->name[0] == '\0' &&
	    decode_copy_id(b->name, sizeof(b->name), p->name, err) < 0)
		return -1;
	if (add_extra(d, b, p->extra, err) < 0)
		return -1;
	return add_arguments(d, b, p->arguments, err);
}

static int
call_read(struct model_decode *d, const struct json *call, int64_t position,
    struct err *err)
{
	const struct json *function = json_get(call, "function");
	struct piece p = { .index = position };

	if (json_is(call, JSON_NULL))
		return 0;
	if (!json_is(call, JSON_OBJECT) ||
	    (function != NULL && !json_is(function, JSON_NULL) &&
		!json_is(function, JSON_OBJECT)))
		return err_set(err, ERR_MODEL, "a tool call is no object");
	json_get_int(call, "index", &p.index);
	p.id = get_word(call, "id");
	p.name = get_word(function, "name");
	p.arguments = json_get(function, "arguments");
	p.extra = json_get(call, "extra_content");
	return add_piece(d, &p, err);
}

/* Before there were tools. */
static int
function_read(
    struct model_decode *d, const struct json *function, struct err *err)
{
	struct piece p = { .index = FUNCTION_CALL };

	if (!json_is(function, JSON_OBJECT))
		return 0;
	p.name = get_word(function, "name");
	p.arguments = json_get(function, "arguments");
	return add_piece(d, &p, err);
}

int
chat_calls(struct model_decode *d, const struct json *delta, struct err *err)
{
	const struct json *calls = json_get(delta, "tool_calls"), *c;
	int64_t position = 0;

	if (calls != NULL && !json_is(calls, JSON_NULL) &&
	    !json_is(calls, JSON_ARRAY))
		return err_set(err, ERR_MODEL, "the tool calls are no list");
	for (c = json_first(calls); c != NULL; c = json_next(c))
		if (call_read(d, c, position++, err) < 0)
			return -1;
	return function_read(d, json_get(delta, "function_call"), err);
}
