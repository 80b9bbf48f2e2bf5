/* SPDX-License-Identifier: MIT */
/*
 * Images and documents (spec/providers.md, sections 1 to 4). A message with
 * one that its agent's model does not take is refused before it is kept. Those
 * that are in the history already, when the model is changed, give way to a
 * text.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/words.h"
#include "conf/conf.h"
#include "model/content.h"
#include "model/provider.h"

static const char *const image_types[] = { "image/jpeg", "image/png",
	"image/gif", "image/webp", NULL };

/* Where the bytes are. */
static int
source_check(const struct model *m, const char *what, const struct json *source,
    struct err *err)
{
	const char *type = json_get_str(source, "type");
	enum model_api api = m->profile->api;

	if (type == NULL)
		return err_set(
		    err, ERR_INVALID, "message: the %s has no source", what);
	if (strcmp(type, "file") == 0 && api != MODEL_API_ANTHROPIC)
		return err_set(err, ERR_INVALID,
		    "message: %s of type file are Anthropic's; the model %s "
		    "takes base64",
		    what, m->conf->label);
	if (strcmp(type, "url") == 0 &&
	    (api == MODEL_API_GEMINI ||
		(api == MODEL_API_CHAT && strcmp(what, "document") == 0)))
		return err_set(err, ERR_INVALID,
		    "message: the model %s takes no %s by URL; send it as "
		    "base64",
		    m->conf->label, what);
	return 0;
}

static int
image_check(const struct model *m, const struct json *block, struct err *err)
{
	const struct json *source = json_get(block, "source");
	const char *type = json_get_str(source, "media_type");

	if (m->on_wire.quirks & MODEL_QUIRK_NO_IMAGES)
		return err_set(err, ERR_INVALID,
		    "message: the model %s takes no images", m->conf->label);
	if (type != NULL && !words_list_has(image_types, type))
		return err_set(err, ERR_INVALID,
		    "message: an image is image/jpeg, image/png, image/gif or "
		    "image/webp, not %.64s",
		    type);
	if (type != NULL && strcmp(type, "image/gif") == 0 &&
	    m->profile->api == MODEL_API_GEMINI)
		return err_set(err, ERR_INVALID,
		    "message: the model %s takes no GIF", m->conf->label);
	return source_check(m, "image", source, err);
}

/* One that is text goes to every model. */
static int
is_text(const struct json *block)
{
	const char *type = json_get_str(json_get(block, "source"), "type");

	return type != NULL && strcmp(type, "text") == 0;
}

static int
document_check(const struct model *m, const struct json *block, struct err *err)
{
	const struct json *source = json_get(block, "source");
	const char *type = json_get_str(source, "media_type");

	if (is_text(block))
		return 0;
	if (m->on_wire.quirks & MODEL_QUIRK_NO_FILES)
		return err_set(err, ERR_INVALID,
		    "message: the model %s takes no documents", m->conf->label);
	if (type != NULL && strcmp(type, "application/pdf") != 0)
		return err_set(err, ERR_INVALID,
		    "message: a document is application/pdf, not %.64s", type);
	return source_check(m, "document", source, err);
}

static int
block_check(const struct model *m, const struct json *block, struct err *err)
{
	const char *type = json_get_str(block, "type");

	if (type != NULL && strcmp(type, "image") == 0)
		return image_check(m, block, err);
	if (type != NULL && strcmp(type, "document") == 0)
		return document_check(m, block, err);
	return 0;
}

int
content_check(
    const struct model *m, const struct json *content, struct err *err)
{
	if (!json_is(content, JSON_ARRAY))
		return 0;
	for (const struct json *b = json_first(content); b != NULL;
	     b = json_next(b))
		if (block_check(m, b, err) < 0)
			return -1;
	return 0;
}

/* ---- what is in the history already ---- */

static void
add_text(struct buf *out, const char *text)
{
	json_open(out, NULL, '{');
	json_add_str(out, "type", "text");
	json_add_str(out, "text", text);
	json_close(out, '}');
}

static int fit_blocks(struct buf *out, const char *name, const struct model *m,
    const struct json *content);

/* Writes a block as the model can have it: 1 if it had to be changed. */
static int
fit_block(struct buf *out, const struct model *m, const struct json *block)
{
	const char *type = json_get_str(block, "type");
	const struct json *inner = json_get(block, "content"), *j;
	int changed = 0;

	if (block_check(m, block, NULL) < 0) {
		add_text(out, strcmp(type, "image") == 0
				  ? "[an image that you cannot see]"
				  : "[a document that you cannot read]");
		return 1;
	}
	if (type != NULL && strcmp(type, "document") == 0 && is_text(block) &&
	    m->profile->api != MODEL_API_ANTHROPIC) {
		add_text(out, json_get_str(json_get(block, "source"), "data"));
		return 1;
	}
	if (!json_is(inner, JSON_ARRAY)) {
		json_add_json(out, NULL, block);
		return 0;
	}
	json_open(out, NULL, '{');
	for (j = json_first(block); j != NULL; j = json_next(j))
		if (j == inner)
			changed = fit_blocks(out, "content", m, inner);
		else
			json_add_json(out, json_name(j), j);
	json_close(out, '}');
	return changed;
}

static int
fit_blocks(struct buf *out, const char *name, const struct model *m,
    const struct json *content)
{
	int changed = 0;

	json_open(out, name, '[');
	for (const struct json *b = json_first(content); b != NULL;
	     b = json_next(b))
		changed |= fit_block(out, m, b);
	json_close(out, ']');
	return changed;
}

const char *
content_fit(struct arena *a, const struct model *m, const struct json *doc)
{
	const struct json *content = json_get(doc, "content");
	const char *role = json_get_str(doc, "role");
	struct buf out;

	if (!json_is(content, JSON_ARRAY) || role == NULL)
		return NULL;
	buf_init(&out, a);
	json_open(&out, NULL, '{');
	json_add_str(&out, "role", role);
	if (!fit_blocks(&out, "content", m, content))
		return NULL;
	json_close(&out, '}');
	return buf_str(&out);
}
