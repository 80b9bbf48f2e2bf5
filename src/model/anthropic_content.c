/* SPDX-License-Identifier: MIT */
/*
 * The content blocks of an answer as Anthropic wants them back: verbatim, in
 * order, thinking only with its signature, the provider's own blocks whole.
 * Of an answer that did not end, what cannot be sent back is left out. Runs
 * once, at the end of an answer, on the thread that feeds the decoder.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/anthropic_priv.h"
#include "model/decode_priv.h"

typedef int write_f(struct model_decode *d, int at);

static int
write_text(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	struct buf *out = &d->r.content;

	if (b->text.len == 0)
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "type", "text");
	json_add_strn(out, "text", b->text.data, b->text.len);
	if (b->citations > 0) {
		json_open(out, "citations", '[');
		json_add_raw(out, NULL, b->cited.data, b->cited.len);
		json_close(out, ']');
	}
	json_close(out, '}');
	return 1;
}

/* Without its signature Anthropic would not take it back. */
static int
write_thinking(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	struct buf *out = &d->r.content;

	if (b->signature.len == 0)
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "type", "thinking");
	json_add_strn(out, "thinking", buf_str(&b->text), b->text.len);
	json_add_strn(out, "signature", b->signature.data, b->signature.len);
	json_close(out, '}');
	return 1;
}

/* A call is named anew, if the caller wants that. */
static void
write_member(struct model_decode *d, struct model_block *b,
    const struct json *m, int renamed)
{
	struct buf *out = &d->r.content;
	const char *name = json_name(m);

	if (b->has_input && strcmp(name, "input") == 0)
		return;
	if (renamed && strcmp(name, "id") == 0)
		json_add_str(out, name, b->id);
	else if (renamed && strcmp(name, "name") == 0)
		json_add_str(out, name, decode_call_name(b));
	else
		json_add_json(out, name, m);
}

/* A call, or a block of the provider's own: as it was opened. */
static int
write_other(struct model_decode *d, int at)
{
	struct model_block *b = &d->r.block[at];
	const struct json *input = NULL, *m;
	struct buf *out = &d->r.content;
	int renamed;

	if (b->has_input)
		input = decode_input(d, at);
	if (!decode_replayable(&d->r, at))
		return 0;
	renamed = decode_name_call(d, b);
	json_open(out, NULL, '{');
	m = json_parse(d->scratch, b->native.data, b->native.len,
	    DECODE_EVENT_DEPTH, NULL);
	for (m = json_first(m); m != NULL; m = json_next(m))
		write_member(d, b, m, renamed);
	if (input != NULL)
		json_add_json(out, "input", input);
	else if (b->has_input)
		json_add_raw(out, "input", "{}", 2);
	json_close(out, '}');
	return 1;
}

static write_f *const writers[MODEL_BLOCK_KINDS] = {
	[MODEL_BLOCK_TEXT] = write_text,
	[MODEL_BLOCK_THINKING] = write_thinking,
	[MODEL_BLOCK_CALL] = write_other,
	[MODEL_BLOCK_REFUSAL] = write_text,
	[MODEL_BLOCK_OPAQUE] = write_other,
};

int
anthropic_write(struct model_decode *d, int at)
{
	return writers[d->r.block[at].kind](d, at);
}
