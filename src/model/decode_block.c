/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an answer while it arrives: what is kept of them and what is
 * shown. Most events are text of the block that is open, and differ in it
 * alone: those are not parsed (model/text_frame.h).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"

#define BLOCKS_MAX 4096

int
decode_keep(struct model_decode *d, struct buf *b, const char *text, size_t len,
    struct err *err)
{
	if (len > d->room)
		return err_set(err, ERR_TOO_LARGE, "the answer is too large");
	d->room -= len;
	buf_add(b, text, len);
	return 0;
}

static int
keep_json(struct model_decode *d, struct buf *b, const char *name,
    const struct json *j, struct err *err)
{
	size_t before = b->len;

	json_add_json(b, name, j);
	if (b->len - before > d->room)
		return err_set(err, ERR_TOO_LARGE, "the answer is too large");
	d->room -= b->len - before;
	return 0;
}

void
decode_drop(struct model_decode *d, struct buf *b)
{
	d->room += b->len;
	buf_clear(b);
}

int
decode_keep_json(struct model_decode *d, struct buf *b, const struct json *j,
    struct err *err)
{
	return keep_json(d, b, NULL, j, err);
}

int
decode_keep_member(struct model_decode *d, struct buf *b,
    const struct json *member, struct err *err)
{
	return keep_json(d, b, json_name(member), member, err);
}

int
decode_copy_id(char *dst, size_t size, const char *src, struct err *err)
{
	if (src != NULL && strlen(src) >= size)
		return err_set(err, ERR_MODEL, "an id or a name is too long");
	model_copy_str(dst, size, src);
	return 0;
}

static void
blocks_grow(struct model_decode *d)
{
	struct model_result *r = &d->r;

	d->block_cap = d->block_cap == 0 ? 2 : d->block_cap * 2;
	r->block =
	    reallocarray(r->block, (size_t)d->block_cap, sizeof(*r->block));
	if (r->block == NULL)
		abort();
}

struct model_block *
decode_block_new(struct model_decode *d, enum model_block_kind kind,
    const char *type, struct err *err)
{
	struct model_result *r = &d->r;
	struct model_block *b;

	if (r->block_count == BLOCKS_MAX) {
		err_set(err, ERR_TOO_LARGE, "the answer has over %d blocks",
		    BLOCKS_MAX);
		return NULL;
	}
	if (r->block_count == d->block_cap)
		blocks_grow(d);
	text_frame_forget(&d->frame); /* it was another block's */
	b = &r->block[r->block_count++];
	memset(b, 0, sizeof(*b));
	buf_init(&b->text, NULL);
	buf_init(&b->signature, NULL);
	buf_init(&b->cited, NULL);
	buf_init(&b->native, NULL);
	buf_init(&b->item, NULL);
	b->kind = kind;
	b->index = r->block_count - 1;
	b->has_input = kind == MODEL_BLOCK_CALL;
	model_copy_str(b->type, sizeof(b->type), type);
	return b;
}

struct model_block *
decode_block_at(struct model_decode *d, int64_t index)
{
	struct model_result *r = &d->r;
	int i = r->block_count - 1;

	while (i >= 0 && r->block[i].index != index)
		i--;
	return i < 0 ? NULL : &r->block[i];
}

int
decode_show(struct model_decode *d, struct model_block *b, const char *text,
    size_t len, struct err *err)
{
	void (*show)(void *ctx, const char *text, size_t len) =
	    b->kind == MODEL_BLOCK_THINKING ? d->sink.thinking : d->sink.text;

	if (len == 0)
		return 0;
	if (decode_keep(d, &b->text, text, len, err) < 0)
		return -1;
	if (show != NULL)
		show(d->sink_ctx, text, len);
	return 0;
}

int
decode_frame_learn(struct model_decode *d, const struct model_block *b,
    const char *name, const char *text)
{
	if (!text_frame_learn(
		&d->frame, d->event, d->event_len, name, text, d->api->varies))
		return 0;
	d->frame_block = (int)(b - d->r.block);
	return 1;
}

int
decode_frame(struct model_decode *d, const char *data, size_t len, int *rc_r,
    struct err *err)
{
	const char *text;
	size_t n;

	if (!text_frame_match(&d->frame, data, len, &d->plain, &text, &n) ||
	    (d->api->framed != NULL && !d->api->framed(d, data, len)))
		return 0;
	if (d->api->text != NULL)
		*rc_r = d->api->text(d, text, n, err);
	else
		*rc_r =
		    decode_show(d, &d->r.block[d->frame_block], text, n, err);
	return 1;
}
