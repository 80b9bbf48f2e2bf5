/* SPDX-License-Identifier: MIT */
/*
 * The member message: a text, or content blocks.
 *
 * What is accepted here is sent to the provider with every later turn too, so
 * what no provider takes is refused before it is kept, and of a block only
 * the members are copied that belong to it.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "api/api_priv.h"
#include "conf/conf.h"
#include "model/call.h"
#include "model/content.h"

/* A member of a block, and whether it must be there. All are strings. */
struct member {
	const char *name;
	int required;
};

/* A form of source, or of a block. */
struct form {
	const char *type;
	struct member members[4];
};

static const struct form sources[] = {
	{ "base64", { { "media_type", 1 }, { "data", 1 } } },
	{ "url", { { "url", 1 } } },
	{ "file", { { "file_id", 1 } } },
	{ "text", { { "media_type", 1 }, { "data", 1 } } },
};

static const struct form blocks[] = {
	{ "text", { { "text", 1 } } },
	{ "image", { { NULL, 0 } } },
	{ "document", { { "title", 0 }, { "context", 0 } } },
};

static const struct form *
form_find(const struct form *forms, size_t n, const char *type)
{
	for (size_t i = 0; type != NULL && i < n; i++)
		if (strcmp(forms[i].type, type) == 0)
			return &forms[i];
	return NULL;
}

static int
is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n\v\f")] == '\0';
}

/* Copies the members of a form. 0 or -1. */
static int
copy_members(struct buf *out, const struct json *j, const struct form *f,
    struct err *err)
{
	json_add_str(out, "type", f->type);
	for (const struct member *m = f->members; m->name != NULL; m++) {
		const char *value = json_get_str(j, m->name);

		if (value != NULL && !is_blank(value))
			json_add_str(out, m->name, value);
		else if (m->required)
			return err_set(err, ERR_INVALID,
			    "message: %s needs a %s that is a text and not "
			    "blank",
			    f->type, m->name);
	}
	return 0;
}

static int
copy_source(struct buf *out, const struct json *block, struct err *err)
{
	const struct json *source = json_get(block, "source");
	const struct form *f = form_find(sources,
	    sizeof(sources) / sizeof(sources[0]), json_get_str(source, "type"));

	if (f == NULL)
		return err_set(err, ERR_INVALID,
		    "message: a source is of type base64, url, file or text");
	json_open(out, "source", '{');
	if (copy_members(out, source, f, err) < 0)
		return -1;
	json_close(out, '}');
	return 0;
}

static int
copy_block(struct buf *out, const struct json *block, struct err *err)
{
	const struct form *f = form_find(blocks,
	    sizeof(blocks) / sizeof(blocks[0]), json_get_str(block, "type"));

	if (f == NULL)
		return err_set(err, ERR_INVALID,
		    "message: a content block is of type text, image or "
		    "document");
	json_open(out, NULL, '{');
	if (copy_members(out, block, f, err) < 0)
		return -1;
	if (f != &blocks[0] && copy_source(out, block, err) < 0)
		return -1;
	json_close(out, '}');
	return 0;
}

static void
add_text_block(struct buf *out, const char *text)
{
	json_open(out, NULL, '{');
	json_add_str(out, "type", "text");
	json_add_str(out, "text", text);
	json_close(out, '}');
}

void
api_add_text(struct buf *out, const char *text)
{
	json_open(out, NULL, '[');
	add_text_block(out, text);
	json_close(out, ']');
}

/* The array of blocks of a message. */
static int
copy_message(struct buf *out, const struct json *j, struct err *err)
{
	const char *text = json_str(j);

	json_open(out, NULL, '[');
	if (text != NULL && !is_blank(text)) {
		add_text_block(out, text);
	} else if (json_is(j, JSON_ARRAY) && json_count(j) > 0) {
		for (const struct json *b = json_first(j); b != NULL;
		     b = json_next(b))
			if (copy_block(out, b, err) < 0)
				return -1;
	} else {
		return err_set(err, ERR_INVALID,
		    "message is a text that is not blank, or an array of "
		    "content blocks");
	}
	json_close(out, ']');
	return 0;
}

/* Whether the agent's model takes it: asked only where there may be doubt. */
static int
check_model(
    const struct api_call *c, const struct buf *content, struct err *err)
{
	const struct model *m;
	struct store_agent ag;

	if (memmem(content->data, content->len, "\"source\":", 9) == NULL)
		return 0;
	if (store_agent_get(c->app->store, c->arena, c->user, c->rq->param[0],
		&ag, err) < 0)
		return -1;
	m = models_find(c->app->models, ag.model);
	if (m == NULL)
		return 0; /* the turn says so */
	return content_check(m,
	    json_parse(
		c->arena, content->data, content->len, JSON_DEPTH_MAX, NULL),
	    err);
}

int
api_check_message(const struct api_call *c, size_t len, struct err *err)
{
	int64_t max = c->app->conf->limits_message_bytes;

	if ((int64_t)len > max)
		return err_limit(err, ERR_TOO_LARGE, "limits.message",
		    "the message is longer than %" PRId64 " bytes", max);
	return 0;
}

int
api_body_message(const struct api_call *c, struct buf *out, struct err *err)
{
	const struct json *j = json_get(c->body, "message");

	if (j == NULL)
		return err_set(err, ERR_INVALID, "message is missing");
	if (copy_message(out, j, err) < 0)
		return -1;
	if (api_check_message(c, out->len, err) < 0)
		return -1;
	return check_model(c, out, err);
}
