/* SPDX-License-Identifier: MIT */
/*
 * What the model has said, as items of OpenAI's Responses API
 * (spec/providers.md, section 3).
 *
 * Nothing is kept there (store is false), so it goes back item by item as it
 * came: the reasoning, which says something only with its encrypted content,
 * and behind it what it was thought for. Of two that belong together the
 * provider wants both or neither; so where reasoning is left out, the ids of
 * what follows are too, by which it would be missed.
 *
 * What has no such form has the one that all servers of this API take: an item
 * without an id, its text as a plain string.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/responses_wire_priv.h"
#include "model/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct answer {
	struct wire_text *t;
	const struct json *content;
	int own;
	int bare; /* the reasoning before was left out */
};

/* The item as it came, if it is one of that type; "" any. */
static const struct json *
native_of(const struct answer *a, const struct json *block, const char *type)
{
	const struct json *n = json_get(block, "native");
	const char *is = json_get_str(n, "type");

	if (!a->own || is == NULL)
		return NULL;
	return *type == '\0' || strcmp(is, type) == 0 ? n : NULL;
}

/* The members of an item but for those that are written otherwise. */
static void
add_members(const struct answer *a, const struct json *item,
    const char *const not_these[], size_t count)
{
	const struct json *m;
	size_t i;

	for (m = json_first(item); m != NULL; m = json_next(m)) {
		for (i = 0; i < count; i++)
			if (strcmp(json_name(m), not_these[i]) == 0)
				break;
		if (i == count && strcmp(json_name(m), "type") != 0 &&
		    !(a->bare && strcmp(json_name(m), "id") == 0))
			json_add_json(a->t->out, json_name(m), m);
	}
}

static void
add_said(struct buf *b, const struct json *block)
{
	int refusal = json_get_true(block, "refusal");

	json_open(b, NULL, '{');
	json_add_str(b, "type", refusal ? "refusal" : "output_text");
	json_add_str(
	    b, refusal ? "refusal" : "text", json_get_str(block, "text"));
	if (!refusal) {
		json_open(b, "annotations", '[');
		json_close(b, ']');
	}
	json_close(b, '}');
}

static void
add_plain(struct wire_text *t, const char *text, const char *phase)
{
	responses_item(t, "message");
	json_add_str(t->out, "role", "assistant");
	if (phase != NULL)
		json_add_str(t->out, "phase", phase);
	json_add_str(t->out, "content", text);
	json_close(t->out, '}');
}

/* With the refusal behind it, if that is of the same item. The last block. */
static const struct json *
add_message(const struct answer *a, const struct json *block)
{
	static const char *const written[] = { "role", "content" };
	const struct json *n = native_of(a, block, "message");
	const struct json *next = json_next(block);
	struct buf *b = a->t->out;

	if (responses_blank(json_get_str(block, "text")))
		return block;
	if (a->bare || responses_blank(json_get_str(n, "id"))) {
		add_plain(a->t, json_get_str(block, "text"),
		    json_get_str(n, "phase"));
		return block;
	}
	responses_item(a->t, "message");
	json_add_str(b, "role", "assistant");
	add_members(a, n, written, COUNT(written));
	json_open(b, "content", '[');
	add_said(b, block);
	if (json_get_true(next, "refusal") &&
	    json_get(next, "native") == NULL &&
	    !responses_blank(json_get_str(next, "text"))) {
		add_said(b, next);
		block = next;
	}
	json_close(b, ']');
	json_close(b, '}');
	return block;
}

/* Results go by our id of the call, whatever its item is called. */
static const struct json *
add_call(const struct answer *a, const struct json *block)
{
	static const char *const written[] = { "call_id", "name", "arguments" };
	const struct json *input = json_get(block, "input");
	struct buf *b = a->t->out, text;

	buf_init(&text, NULL);
	if (json_is(input, JSON_OBJECT))
		json_print(&text, input);
	else
		buf_lit(&text, "{}");
	responses_item(a->t, "function_call");
	add_members(
	    a, native_of(a, block, "function_call"), written, COUNT(written));
	json_add_str(b, "call_id", json_get_str(block, "id"));
	json_add_str(b, "name", json_get_str(block, "name"));
	json_add_strn(b, "arguments", text.data, text.len);
	json_close(b, '}');
	buf_fini(&text);
	return block;
}

/* Of the provider's tools, which ran there: a call goes with its result, and
 * neither if reasoning parts them, which may be left out. */
static int
is_paired(const struct answer *a, const struct json *item)
{
	const char *id = json_get_str(item, "call_id"), *other;
	const struct json *c, *n;
	int found = 0;

	if (responses_is(item, "mcp_approval_request"))
		return 0;
	for (c = json_first(a->content); id != NULL && c != NULL;
	     c = json_next(c)) {
		if (responses_is(c, "thinking"))
			found = 0;
		n = responses_is(c, "native") ? native_of(a, c, "") : NULL;
		other = json_get_str(n, "call_id");
		if (n == item ||
		    (other != NULL && strcmp(other, id) == 0 &&
			!responses_is(n, json_get_str(item, "type"))))
			found++;
		if (found == 2)
			return 1;
	}
	return id == NULL;
}

/* Without its id it would be no item of theirs. */
static const struct json *
add_native(const struct answer *a, const struct json *block)
{
	const struct json *n = native_of(a, block, "");

	if (n == NULL || a->bare || !is_paired(a, n))
		return block;
	responses_item(a->t, json_get_str(n, "type"));
	add_members(a, n, NULL, 0);
	json_close(a->t->out, '}');
	return block;
}

/* Adds an item, or nothing. The last block that is in it. */
static const struct json *
add_block(const struct answer *a, const struct json *block)
{
	static const struct {
		const char *type;
		const struct json *(*add)(
		    const struct answer *a, const struct json *block);
	} types[] = {
		{ "text", add_message },
		{ "tool_use", add_call },
		{ "native", add_native },
	};

	for (size_t i = 0; i < COUNT(types); i++)
		if (responses_is(block, types[i].type))
			return types[i].add(a, block);
	return block;
}

/* Reasoning without its content would be looked for there, and not found. */
static int
is_kept(const struct json *item)
{
	return !responses_blank(json_get_str(item, "id")) &&
	       (!responses_blank(json_get_str(item, "encrypted_content")) ||
		   json_count(json_get(item, "content")) > 0);
}

/* Reasoning in a row, up to the block it was thought for: all or nothing. 1
 * if it was added. */
static int
add_row(const struct answer *a, const struct json *row, const struct json *end)
{
	const struct json *n;

	for (const struct json *c = row; c != end; c = json_next(c))
		if (!is_kept(native_of(a, c, "reasoning")))
			return 0;
	for (; row != end; row = json_next(row)) {
		n = native_of(a, row, "reasoning");
		responses_item(a->t, "reasoning");
		add_members(a, n, NULL, 0);
		if (json_get(n, "summary") == NULL) {
			json_open(a->t->out, "summary", '[');
			json_close(a->t->out, ']');
		}
		json_close(a->t->out, '}');
	}
	return 1;
}

/* Reasoning is added first, and taken away again if nothing comes of what it
 * was thought for. The last block. */
static const struct json *
add_thought(struct answer *a, const struct json *row, const struct json *block)
{
	size_t before = a->t->out->len, len;
	int64_t shown = a->t->shown;

	a->bare = 0;
	a->bare = !add_row(a, row, block);
	len = a->t->out->len;
	block = add_block(a, block);
	if (!a->bare && a->t->out->len == len) {
		buf_truncate(a->t->out, before);
		a->t->shown = shown;
		a->bare = 1;
	}
	return block;
}

void
responses_answer(struct wire_text *t, const struct json *content, int own)
{
	struct answer a = { t, content, own, 0 };
	const struct json *row = NULL, *c;

	if (!responses_blank(json_str(content)))
		add_plain(t, json_str(content), NULL);
	for (c = json_first(content); c != NULL; c = json_next(c)) {
		if (responses_is(c, "thinking")) {
			row = row == NULL ? c : row;
			continue;
		}
		c = row == NULL ? add_block(&a, c) : add_thought(&a, row, c);
		row = NULL;
	}
}
