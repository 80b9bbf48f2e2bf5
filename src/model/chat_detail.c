/* SPDX-License-Identifier: MIT */
/*
 * Reasoning that its provider wants back as it came: OpenRouter's
 * reasoning_details, a list that comes in pieces beside the text of the
 * reasoning (spec/providers.md, section 12). Pieces of a text that follow each
 * other are put together; what is encrypted comes whole. The list is the
 * message's, not of one block: it is kept as the native form of the first
 * block of thinking, or of the first block where there is none.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/chat_priv.h"
#include "model/complaint.h"
#include "model/decode_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define DETAILS_MAX 4096

/* Members that a later piece may bring; others only the first. */
static const char *const known[] = { "type", "index", "id", "format", "data",
	"signature" };

#define SEEN_ALL (1u << COUNT(known))

static const struct {
	const char *type, *member;
} growing[] = {
	{ "reasoning.text", "text" },
	{ "reasoning.summary", "summary" },
};

/* The member of a detail that grows, or NULL. */
static const char *
growing_member(const struct json *detail)
{
	const char *type = json_get_str(detail, "type");

	for (size_t i = 0; type != NULL && i < COUNT(growing); i++)
		if (strcmp(growing[i].type, type) == 0)
			return growing[i].member;
	return NULL;
}

static int64_t
detail_index(const struct json *detail)
{
	int64_t index = -1;

	json_get_int(detail, "index", &index);
	return index;
}

static struct chat_detail *
detail_new(struct chat *own, const struct json *detail, struct err *err)
{
	struct chat_detail *t;

	if (own->details == DETAILS_MAX) {
		err_set(err, ERR_TOO_LARGE, "the reasoning has over %d parts",
		    DETAILS_MAX);
		return NULL;
	}
	if (own->details == own->detail_cap) {
		own->detail_cap = own->details == 0 ? 4 : own->details * 2;
		own->detail = reallocarray(
		    own->detail, (size_t)own->detail_cap, sizeof(*own->detail));
		if (own->detail == NULL)
			abort();
	}
	t = &own->detail[own->details++];
	memset(t, 0, sizeof(*t));
	buf_init(&t->text, NULL);
	buf_init(&t->rest, NULL);
	json_open(&t->rest, NULL, '{');
	model_copy_str(t->type, sizeof(t->type), json_get_str(detail, "type"));
	t->index = detail_index(detail);
	t->grew = growing_member(detail);
	return t;
}

/* The one that a piece goes on with, or a new one. */
static struct chat_detail *
detail_find(struct chat *own, const struct json *detail, struct err *err)
{
	const char *type = json_get_str(detail, "type");
	struct chat_detail *last = NULL;

	if (own->details > 0)
		last = &own->detail[own->details - 1];
	if (last == NULL || last->grew == NULL || type == NULL ||
	    strcmp(last->type, type) != 0 ||
	    last->index != detail_index(detail))
		return detail_new(own, detail, err);
	return last;
}

/* Whether the rest has no such member yet; it will have it. */
static int
is_first(struct chat_detail *t, const char *name)
{
	unsigned bit;
	size_t i = 0;

	while (i < COUNT(known) && strcmp(known[i], name) != 0)
		i++;
	bit = 1u << i;
	if (t->seen & bit)
		return 0;
	if (bit != SEEN_ALL)
		t->seen |= bit;
	return 1;
}

static int
detail_add(struct model_decode *d, struct chat_detail *t,
    const struct json *detail, struct err *err)
{
	const struct json *m;
	const char *text;

	for (m = json_first(detail); m != NULL; m = json_next(m)) {
		text = json_str(m);
		if (json_is(m, JSON_NULL))
			continue;
		if (t->grew != NULL && text != NULL &&
		    strcmp(json_name(m), t->grew) == 0) {
			if (decode_keep(d, &t->text, text, strlen(text), err) <
			    0)
				return -1;
		} else if (is_first(t, json_name(m)) &&
			   decode_keep_member(d, &t->rest, m, err) < 0) {
			return -1;
		}
	}
	t->seen |= SEEN_ALL;
	return 0;
}

int
chat_details(
    struct model_decode *d, const struct json *list, int show, struct err *err)
{
	struct chat_detail *t;
	const struct json *e;
	const char *member;

	if (!json_is(list, JSON_ARRAY))
		return 0;
	for (e = json_first(list); e != NULL; e = json_next(e)) {
		if (!json_is(e, JSON_OBJECT))
			continue;
		t = detail_find(d->own, e, err);
		if (t == NULL || detail_add(d, t, e, err) < 0)
			return -1;
		member = growing_member(e);
		if (show && member != NULL &&
		    chat_value(
			d, MODEL_BLOCK_THINKING, json_get(e, member), err) < 0)
			return -1;
	}
	return 0;
}

static void
write_detail(struct buf *b, const struct chat_detail *t)
{
	json_add_raw(b, NULL, buf_str(&t->rest), t->rest.len);
	if (t->text.len > 0)
		json_add_strn(b, t->grew, t->text.data, t->text.len);
	json_close(b, '}');
}

/* Behind what a call may have there. */
static void
write_native(struct buf *b, const struct chat *own)
{
	if (b->len > 0)
		buf_truncate(b, b->len - 1);
	else
		json_open(b, NULL, '{');
	json_open(b, "reasoning_details", '[');
	for (int i = 0; i < own->details; i++)
		write_detail(b, &own->detail[i]);
	json_close(b, ']');
	json_close(b, '}');
}

/* The block that has the list. */
static int
details_at(const struct model_result *r)
{
	for (int i = 0; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_THINKING)
			return i;
	return 0;
}

/* Of an answer that stopped in its reasoning the signature has not come:
 * nobody would take the list back. Runs once for each block. */
int
chat_write(struct model_decode *d, int at)
{
	struct model_block *b = &d->r.block[at];
	const struct chat *own = d->own;

	if (own->details > 0 && at == details_at(&d->r) &&
	    (d->r.complete || b->closed))
		write_native(&b->native, own);
	return decode_write(d, at);
}

void
chat_details_fini(struct chat *own)
{
	for (int i = 0; i < own->details; i++) {
		buf_fini(&own->detail[i].text);
		buf_fini(&own->detail[i].rest);
	}
	free(own->detail);
}
