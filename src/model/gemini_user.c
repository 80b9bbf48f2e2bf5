/* SPDX-License-Identifier: MIT */
/*
 * What the user said, and the results of calls, as parts of Gemini's
 * (spec/providers.md, section 4). An image that it does not take leaves a text
 * in its place that says so: a message refused for it would be refused with
 * every later request too. Results come first; what cannot stand within them
 * stands behind.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/gemini_wire_priv.h"

/* The type as Gemini calls it, or NULL if it does not take it. Only GIF is
 * taken by the other APIs and not by this one. */
static const char *
media_type(const struct json *source)
{
	const char *type = json_get_str(source, "media_type");

	if (type == NULL || *type == '\0' || strcmp(type, "image/gif") == 0)
		return NULL;
	return strcmp(type, "image/jpg") == 0 ? "image/jpeg" : type;
}

static int
is_of(const struct json *j, const char *type)
{
	const char *is = json_get_str(j, "type");

	return is != NULL && strcmp(is, type) == 0;
}

static int
add_inline(struct buf *out, const struct json *source)
{
	const char *type = media_type(source);
	const char *data = json_get_str(source, "data");

	if (type == NULL || data == NULL || *data == '\0')
		return 0;
	json_open(out, NULL, '{');
	json_open(out, "inlineData", '{');
	json_add_str(out, "mimeType", type);
	json_add_str(out, "data", data);
	json_close(out, '}');
	json_close(out, '}');
	return 1;
}

/* A block as parts: how many they are. */
static int
add_media(struct buf *out, const struct json *block)
{
	const struct json *source = json_get(block, "source");
	int is_document = is_of(block, "document"), parts = 0;

	if (is_of(block, "text"))
		return gemini_text(out, json_get_str(block, "text"));
	if (!is_document && !is_of(block, "image"))
		return 0;
	if (is_document) {
		parts += gemini_text(out, json_get_str(block, "title"));
		parts += gemini_text(out, json_get_str(block, "context"));
	}
	if (is_of(source, "base64") && add_inline(out, source))
		return parts + 1;
	return parts + gemini_text(out,
			   is_document ? "[a document that you cannot read]"
				       : "[an image that you cannot see]");
}

/* ---- results ---- */

static int
is_result(const struct json *block)
{
	return is_of(block, "tool_result");
}

/* Whether it can stand within a result. */
static int
nests(const struct wire_model *model, const struct json *block)
{
	const struct json *source = json_get(block, "source");
	const char *data = json_get_str(source, "data");

	return !gemini_is_old(model) && is_of(source, "base64") &&
	       media_type(source) != NULL && data != NULL && *data != '\0' &&
	       json_get(block, "title") == NULL &&
	       json_get(block, "context") == NULL;
}

/* As one string: in an object Gemini gives $ref a meaning of its own. */
static void
add_response(struct buf *out, const struct json *block)
{
	const struct json *content = json_get(block, "content");
	const struct json *c = json_first(content);
	const char *text = json_str(content);
	size_t before;

	json_open(out, "response", '{');
	json_add_str(
	    out, json_get_true(block, "is_error") ? "error" : "result", "");
	buf_truncate(out, out->len - 1);
	before = out->len;
	if (text != NULL)
		json_escape(out, text, strlen(text));
	for (; c != NULL; c = json_next(c)) {
		const char *piece = json_get_str(c, "text");

		if (piece == NULL)
			continue;
		if (out->len > before)
			buf_lit(out, "\\n");
		json_escape(out, piece, strlen(piece));
	}
	buf_lit(out, "\"}");
}

static void
add_nested(
    struct buf *out, const struct wire_model *model, const struct json *block)
{
	const struct json *c = json_first(json_get(block, "content"));
	int parts = 0;

	for (; c != NULL; c = json_next(c)) {
		if (!nests(model, c))
			continue;
		if (parts++ == 0)
			json_open(out, "parts", '[');
		add_media(out, c);
	}
	if (parts > 0)
		json_close(out, ']');
}

static void
add_result(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m, const struct json *block)
{
	const char *id = json_get_str(block, "tool_use_id");
	const char *name = id == NULL ? NULL : json_get_str(m->calls, id);
	struct buf *out = t->out;

	json_open(out, NULL, '{');
	json_open(out, "functionResponse", '{');
	if (id != NULL)
		gemini_id_again(t, id);
	json_add_str(out, "name", name == NULL ? "unknown_tool" : name);
	add_response(out, block);
	add_nested(out, model, block);
	json_close(out, '}');
	json_close(out, '}');
}

static int
add_behind(
    struct buf *out, const struct wire_model *model, const struct json *block)
{
	const struct json *c = json_first(json_get(block, "content"));
	int parts = 0;

	for (; c != NULL; c = json_next(c))
		if (json_get(c, "source") != NULL && !nests(model, c))
			parts += add_media(out, c);
	return parts;
}

int
gemini_user_blocks(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content"), *c;
	int parts = 0;

	for (c = json_first(content); c != NULL; c = json_next(c))
		if (is_result(c)) {
			add_result(t, model, m, c);
			parts++;
		}
	for (c = json_first(content); c != NULL; c = json_next(c))
		parts += is_result(c) ? add_behind(t->out, model, c)
				      : add_media(t->out, c);
	return parts;
}
