/* SPDX-License-Identifier: MIT */
/*
 * What the user has said and what the tools gave, as items of OpenAI's
 * Responses API (spec/providers.md, section 3). A result is an item of its
 * own, which goes by our id of the call.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "model/responses_wire_priv.h"
#include "model/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int
responses_is(const struct json *block, const char *type)
{
	const char *t = json_get_str(block, "type");

	return t != NULL && strcmp(t, type) == 0;
}

int
responses_blank(const char *text)
{
	return text == NULL || *text == '\0';
}

void
responses_item(struct wire_text *t, const char *type)
{
	json_open(t->out, NULL, '{');
	json_add_str(t->out, "type", type);
	t->shown++;
}

/* ---- parts: how many were added ---- */

static int
add_text(struct buf *b, const char *text)
{
	if (responses_blank(text))
		return 0;
	json_open(b, NULL, '{');
	json_add_str(b, "type", "input_text");
	json_add_str(b, "text", text);
	json_close(b, '}');
	return 1;
}

/* The member with a source's content, and what it is called here. Files are
 * of another provider's, and documents that are texts come as texts. */
static const struct source {
	const char *type, *member, *image, *document;
} sources[] = {
	{ "base64", "data", "image_url", "file_data" },
	{ "url", "url", "image_url", "file_url" },
};

static const struct source *
source_find(const struct json *source)
{
	for (size_t i = 0; i < COUNT(sources); i++)
		if (responses_is(source, sources[i].type) &&
		    !responses_blank(json_get_str(source, sources[i].member)))
			return &sources[i];
	return NULL;
}

/* Of base64 a data: URL. */
static void
add_source(struct buf *b, const char *name, const struct source *s,
    const struct json *source)
{
	const char *type = json_get_str(source, "media_type");
	const char *value = json_get_str(source, s->member);

	if (s != &sources[0]) {
		json_add_str(b, name, value);
		return;
	}
	if (type == NULL)
		type = "application/octet-stream";
	buf_printf(b, ",\"%s\":\"data:", name);
	json_escape(b, type, strlen(type));
	buf_lit(b, ";base64,");
	json_escape(b, value, strlen(value));
	buf_putc(b, '"');
}

static int
add_image(struct buf *b, const struct json *block)
{
	const struct json *source = json_get(block, "source");
	const struct source *s = source_find(source);

	if (s == NULL)
		return 0;
	json_open(b, NULL, '{');
	json_add_str(b, "type", "input_image");
	add_source(b, s->image, s, source);
	json_add_str(b, "detail", "auto");
	json_close(b, '}');
	return 1;
}

/* What a file is shows in its name too. */
static void
add_filename(struct buf *b, const char *title)
{
	static const char end[] = ".pdf";
	size_t n;

	if (responses_blank(title))
		title = "document";
	n = strlen(title);
	if (n >= sizeof(end) && strcmp(title + n - sizeof(end) + 1, end) == 0)
		n -= sizeof(end) - 1;
	buf_lit(b, ",\"filename\":\"");
	json_escape(b, title, n);
	buf_puts(b, end);
	buf_putc(b, '"');
}

static int
add_document(struct buf *b, const struct json *block)
{
	const struct json *source = json_get(block, "source");
	const struct source *s = source_find(source);
	int n = add_text(b, json_get_str(block, "context"));

	if (s == NULL)
		return n;
	json_open(b, NULL, '{');
	json_add_str(b, "type", "input_file");
	if (s == &sources[0])
		add_filename(b, json_get_str(block, "title"));
	add_source(b, s->document, s, source);
	json_close(b, '}');
	return n + 1;
}

static int
add_part(struct buf *b, const struct json *block)
{
	if (responses_is(block, "text"))
		return add_text(b, json_get_str(block, "text"));
	if (responses_is(block, "image"))
		return add_image(b, block);
	return responses_is(block, "document") ? add_document(b, block) : 0;
}

/* ---- what the user said, and what the tools gave ---- */

static int
is_plain(const struct json *content)
{
	const struct json *c;

	for (c = json_first(content); c != NULL; c = json_next(c))
		if (!responses_is(c, "text"))
			return 0;
	return 1;
}

/* Texts become one, which all servers take, whichever else take parts. */
static void
add_plain(struct buf *b, const struct json *content)
{
	const char *text = json_str(content), *between = "";
	const struct json *c;

	buf_lit(b, ",\"output\":\"");
	if (text != NULL)
		json_escape(b, text, strlen(text));
	for (c = json_first(content); c != NULL; c = json_next(c)) {
		text = json_get_str(c, "text");
		if (responses_blank(text))
			continue;
		buf_puts(b, between);
		json_escape(b, text, strlen(text));
		between = "\\n";
	}
	buf_putc(b, '"');
}

static void
add_result(struct wire_text *t, const struct json *block)
{
	const struct json *content = json_get(block, "content"), *c;
	const char *id = json_get_str(block, "tool_use_id");
	struct buf *b = t->out;
	size_t before;
	int n = 0;

	if (id == NULL)
		return;
	responses_item(t, "function_call_output");
	json_add_str(b, "call_id", id);
	before = b->len;
	if (!is_plain(content)) {
		json_open(b, "output", '[');
		for (c = json_first(content); c != NULL; c = json_next(c))
			n += add_part(b, c);
		json_close(b, ']');
	}
	if (n == 0) {
		buf_truncate(b, before);
		add_plain(b, content);
	}
	json_close(b, '}');
}

static void
add_user(struct wire_text *t, const struct json *content)
{
	const char *text = json_str(content);
	struct buf *b = t->out;
	const struct json *c;
	size_t before;
	int n = 0;

	for (c = json_first(content); c != NULL; c = json_next(c))
		if (responses_is(c, "tool_result"))
			add_result(t, c);
	before = b->len;
	responses_item(t, "message");
	json_add_str(b, "role", "user");
	if (text != NULL) {
		n += !responses_blank(text);
		json_add_str(b, "content", text);
	} else {
		json_open(b, "content", '[');
		for (c = json_first(content); c != NULL; c = json_next(c))
			n += add_part(b, c);
		json_close(b, ']');
	}
	json_close(b, '}');
	if (n == 0) {
		buf_truncate(b, before);
		t->shown--;
	}
}

/* ---- a message ---- */

void
responses_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m)
{
	const struct json *content = json_get(m->doc, "content");
	const char *role = json_get_str(m->doc, "role");

	(void)model;
	if (role != NULL && strcmp(role, "assistant") == 0)
		responses_answer(t, content, m->own);
	else
		add_user(t, content);
}
