/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an answer as OpenAI's Responses API takes them back. It wants
 * what was thought before what it was thought for, each with its id, or
 * neither: so the native form goes only with items that came whole, and with
 * reasoning only if such an item stands behind it. Runs once, at the end of an
 * answer, on the thread that feeds the decoder.
 */
#include "config.h"

#include "base/buf.h"
#include "model/decode_priv.h"
#include "model/responses_priv.h"

/* Whether the item of a block that is no reasoning is sent back as it was. */
static int
is_sent(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];

	if (!b->closed)
		return 0;
	if (b->has_input)
		decode_input(d, at);
	return decode_replayable(&d->r, at);
}

/* Reasoning items in a row are sent back together or not at all. */
static int
is_followed(struct model_decode *d, int at)
{
	const struct model_result *r = &d->r;

	while (at < r->block_count &&
	       r->block[at].kind == MODEL_BLOCK_THINKING && r->block[at].closed)
		at++;
	return at < r->block_count &&
	       r->block[at].kind != MODEL_BLOCK_THINKING && is_sent(d, at);
}

/* The refusal of the message at. NULL: it has none. */
static struct model_block *
refusal_of(struct model_result *r, int at)
{
	for (int i = at + 1; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_REFUSAL &&
		    r->block[i].index == r->block[at].index &&
		    r->block[i].text.len > 0)
			return &r->block[i];
	return NULL;
}

/* The item of a message goes with one block: with its text if it has any. */
int
responses_write(struct model_decode *d, int at)
{
	struct model_block *b = &d->r.block[at], *refusal = NULL;
	int thought = at > 0 && b[-1].kind == MODEL_BLOCK_THINKING;

	if (b->kind == MODEL_BLOCK_THINKING)
		b->unsent = thought ? b[-1].unsent : !is_followed(d, at);
	else if (b->kind != MODEL_BLOCK_REFUSAL)
		b->unsent = !b->closed || (thought && b[-1].unsent);
	if (b->kind == MODEL_BLOCK_TEXT)
		refusal = refusal_of(&d->r, at);
	if (refusal == NULL)
		return decode_write(d, at);
	refusal->unsent = b->unsent || b->text.len > 0;
	return b->text.len == 0 ? 0 : decode_write(d, at);
}
