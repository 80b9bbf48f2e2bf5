/* SPDX-License-Identifier: MIT */
/*
 * The texts of items of OpenAI's Responses API: deltas, and each once more
 * when it is whole. A delta for an item that nothing opened opens its block:
 * its text must not get lost.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"
#include "model/responses_priv.h"

/* 1 and the text, 0 if there is none; what is no text must not be lost. */
static int
delta_text(const struct json *doc, const char *name, const char **text_r,
    struct err *err)
{
	const struct json *value = json_get(doc, name);

	*text_r = json_str(value);
	if (value == NULL || json_is(value, JSON_NULL))
		return 0;
	if (*text_r == NULL)
		return err_set(err, ERR_MODEL, "a delta is no text");
	return **text_r != '\0';
}

/* Whether an event alike means the same: without a type SSE's name decides,
 * without a place whichever block is open. */
static int
is_like_others(const struct json *doc)
{
	int64_t index;

	return json_get_str(doc, "type") != NULL &&
	       json_get_int(doc, "output_index", &index) && index >= 0;
}

int
responses_text_delta(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	struct model_block *b;
	const char *text;
	int rc;

	rc = delta_text(doc, t->member, &text, err);
	if (rc <= 0)
		return rc;
	b = responses_block(d, t->kind, doc, err);
	if (b == NULL)
		return -1;
	if (is_like_others(doc))
		decode_frame_learn(d, b, t->member, text);
	return decode_show(d, b, text, strlen(text), err);
}

/* Of one of an item's parts: which of its bytes are in the block is known of
 * the first, and if there are none. */
int
responses_text_done(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	const char *text = json_get_str(doc, t->member);
	struct model_block *b;
	int64_t part = 0;

	if (text == NULL || *text == '\0')
		return 0;
	b = responses_block(d, t->kind, doc, err);
	if (b == NULL)
		return -1;
	if (!json_get_int(doc, "summary_index", &part))
		json_get_int(doc, "content_index", &part);
	if (part != 0 && b->text.len > 0)
		return 0;
	return responses_catch_up(d, b, text, err);
}

int
responses_input_delta(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	struct model_block *b;
	const char *text;
	int rc;

	rc = delta_text(doc, t->member, &text, err);
	if (rc <= 0)
		return rc;
	b = responses_block(d, t->kind, doc, err);
	if (b == NULL)
		return -1;
	if (b->closed)
		return 0;
	if (b->seeded)
		decode_drop(d, &b->text);
	b->seeded = 0;
	b->parsed = 0;
	return decode_keep(d, &b->text, text, strlen(text), err);
}

int
responses_input_done(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	const struct json *value = json_get(doc, t->member);
	const char *text = json_str(value);
	struct model_block *b;

	if (value == NULL || json_is(value, JSON_NULL) ||
	    (text != NULL && *text == '\0'))
		return 0;
	b = responses_block(d, t->kind, doc, err);
	return b == NULL ? -1 : responses_input(d, b, value, err);
}
