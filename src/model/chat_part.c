/* SPDX-License-Identifier: MIT */
/*
 * What messages of the Chat API consist of (spec/providers.md, section 2).
 *
 * A content is a text or a list of parts. One text is sent as a text: all
 * servers take that. Media go as data URLs. What a model does not take is not
 * left out in silence: a note stands in its place, so that the model can say
 * so; and a history that another model saw pictures in is still taken.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/chat_wire.h"

#define IS(s, name) ((s) != NULL && strcmp((s), (name)) == 0)

/* ---- media ---- */

/* "name":"data:TYPE;base64,DATA", the first member of its object. */
static void
add_data_url(struct buf *b, const char *name, const struct json *source)
{
	const char *type = json_get_str(source, "media_type");
	const char *data = json_get_str(source, "data");

	buf_printf(b, "\"%s\":\"data:", name);
	json_escape(b, type, strlen(type));
	buf_lit(b, ";base64,");
	json_escape(b, data, strlen(data));
	buf_putc(b, '"');
}

static int
is_base64(const struct json *source)
{
	return IS(json_get_str(source, "type"), "base64") &&
	       json_get_str(source, "media_type") != NULL &&
	       json_get_str(source, "data") != NULL;
}

static void
write_image(struct buf *b, const struct json *block)
{
	const struct json *source = json_get(block, "source");

	json_open(b, NULL, '{');
	json_add_str(b, "type", "image_url");
	json_open(b, "image_url", '{');
	if (is_base64(source))
		add_data_url(b, "url", source);
	else
		json_add_str(b, "url", json_get_str(source, "url"));
	json_close(b, '}');
	json_close(b, '}');
}

static void
write_file(struct buf *b, const struct json *block)
{
	const char *title = json_get_str(block, "title");

	json_open(b, NULL, '{');
	json_add_str(b, "type", "file");
	json_open(b, "file", '{');
	add_data_url(b, "file_data", json_get(block, "source"));
	json_add_str(b, "filename", title == NULL ? "document.pdf" : title);
	json_close(b, '}');
	json_close(b, '}');
}

static int
takes_image(const struct json *source)
{
	return is_base64(source) || (IS(json_get_str(source, "type"), "url") &&
					json_get_str(source, "url") != NULL);
}

/* What is no text: how it goes, if the model and the API take it. */
static const struct media {
	const char *type;
	unsigned refused; /* by this quirk */
	int (*takes)(const struct json *source);
	void (*write)(struct buf *b, const struct json *block);
	const char *note; /* instead */
} media[] = {
	{ "image", MODEL_QUIRK_NO_IMAGES, takes_image, write_image,
	    "[an image that this model cannot be shown]" },
	{ "document", MODEL_QUIRK_NO_FILES, is_base64, write_file,
	    "[a document that this model cannot be shown]" },
};

static const struct media *
media_of(const struct json *block)
{
	const char *type = json_get_str(block, "type");

	for (size_t i = 0; i < sizeof(media) / sizeof(media[0]); i++)
		if (IS(type, media[i].type))
			return &media[i];
	return NULL;
}

/* How a block goes as a part that is no text, or NULL. */
static const struct media *
media_find(const struct wire_model *model, const struct json *block)
{
	const struct media *m = media_of(block);

	return m != NULL && !(model->quirks & m->refused) &&
		       m->takes(json_get(block, "source"))
		   ? m
		   : NULL;
}

int
chat_is_media(const struct wire_model *model, const struct json *block)
{
	return media_find(model, block) != NULL;
}

/* What a block says: of text, of a document that is text, the note of media
 * that cannot go. NULL: nothing. */
static const char *
block_text(const struct wire_model *model, const struct json *block)
{
	const struct media *m = media_of(block);
	const struct json *source = json_get(block, "source");

	if (IS(json_get_str(block, "type"), "text"))
		return json_get_str(block, "text");
	if (m == NULL)
		return NULL;
	if (IS(json_get_str(source, "type"), "text"))
		return json_get_str(source, "data");
	return chat_is_media(model, block) ? NULL : m->note;
}

/* ---- parts ---- */

void
chat_parts_init(struct chat_parts *p, struct arena *a)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->list, a);
	buf_init(&p->text, a);
}

static void
next_part(struct chat_parts *p)
{
	p->count++;
	buf_clear(&p->text);
}

void
chat_parts_text(struct chat_parts *p, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	next_part(p);
	json_open(&p->list, NULL, '{');
	json_add_str(&p->list, "type", "text");
	json_add_str(&p->list, "text", text);
	json_close(&p->list, '}');
	if (p->count == 1)
		buf_puts(&p->text, text);
}

void
chat_parts_block(struct chat_parts *p, const struct wire_model *model,
    const struct json *block)
{
	const struct media *m = media_find(model, block);

	if (m == NULL) {
		chat_parts_text(p, block_text(model, block));
		return;
	}
	next_part(p);
	m->write(&p->list, block);
}

void
chat_parts_write(struct buf *out, const struct chat_parts *p)
{
	if (p->count == 1 && p->text.len > 0) {
		json_add_strn(out, "content", p->text.data, p->text.len);
		return;
	}
	json_open(out, "content", '[');
	buf_add(out, p->list.data, p->list.len);
	json_close(out, ']');
}

/* ---- results ---- */

const char *
chat_result_text(struct arena *a, const struct wire_model *model,
    const struct json *result, int *media_r)
{
	const struct json *content = json_get(result, "content"), *c;
	const char *text;
	struct buf b;

	*media_r = 0;
	if (json_str(content) != NULL)
		return json_str(content);
	buf_init(&b, a);
	for (c = json_first(content); c != NULL; c = json_next(c)) {
		*media_r |= chat_is_media(model, c);
		text = block_text(model, c);
		if (text == NULL || *text == '\0')
			continue;
		if (b.len > 0)
			buf_putc(&b, '\n');
		buf_puts(&b, text);
	}
	return buf_str(&b);
}
