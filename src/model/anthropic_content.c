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

typedef int write_f(struct anthropic_decode *d, int at);

static int
write_text(struct anthropic_decode *d, int at)
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
write_thinking(struct anthropic_decode *d, int at)
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

/* The arguments, or NULL if they are no whole object. Nothing stands for {},
 * unless the answer was cut there. */
static const struct json *
block_input(struct anthropic_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	const struct json *input;

	if (b->text.len == 0 && at == d->r.block_count - 1 &&
	    (d->r.stop == MODEL_STOP_LENGTH || !(d->r.complete || b->closed)))
		return NULL;
	input = b->text.len == 0
		    ? json_parse(d->scratch, "{}", 2, 1, NULL)
		    : json_parse(d->scratch, b->text.data, b->text.len,
			  ANTHROPIC_EVENT_DEPTH, NULL);
	return json_is(input, JSON_OBJECT) ? input : NULL;
}

/* Whether a later block is the result of the provider's tool call. */
static int
block_answered(const struct model_result *r, int at)
{
	for (int i = at + 1; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_OPAQUE &&
		    !r->block[i].has_input &&
		    strcmp(r->block[i].id, r->block[at].id) == 0)
			return 1;
	return 0;
}

static int
block_replayable(const struct model_result *r, int at)
{
	const struct model_block *b = &r->block[at];
	int own = b->kind == MODEL_BLOCK_OPAQUE;

	if (r->complete)
		return b->valid || !b->has_input || !own;
	if (!b->closed)
		return 0;
	return !b->has_input || (b->valid && (!own || block_answered(r, at)));
}

/* What stands for the name of a call that no provider would take back. */
#define NO_NAME "invalid_tool_name"

static const char *
call_name(const struct model_block *b)
{
	size_t n = strspn(b->name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && n <= 64 && b->name[n] == '\0' ? b->name : NO_NAME;
}

/* A call is named anew, if the caller wants that. */
static void
write_member(struct anthropic_decode *d, struct model_block *b,
    const struct json *m, int renamed)
{
	struct buf *out = &d->r.content;
	const char *name = json_name(m);

	if (b->has_input && strcmp(name, "input") == 0)
		return;
	if (renamed && strcmp(name, "id") == 0)
		json_add_str(out, name, b->id);
	else if (renamed && strcmp(name, "name") == 0)
		json_add_str(out, name, call_name(b));
	else
		json_add_json(out, name, m);
}

/* A call, or a block of the provider's own: as it was opened. */
static int
write_other(struct anthropic_decode *d, int at)
{
	struct model_block *b = &d->r.block[at];
	int renamed = b->kind == MODEL_BLOCK_CALL && d->sink.call_id != NULL;
	const struct json *input = NULL, *m;
	struct buf *out = &d->r.content;

	if (b->has_input) {
		input = block_input(d, at);
		b->valid = input != NULL;
	}
	if (!block_replayable(&d->r, at))
		return 0;
	if (renamed)
		d->sink.call_id(d->sink_ctx, b->id);
	json_open(out, NULL, '{');
	m = json_parse(d->scratch, b->start.data, b->start.len,
	    ANTHROPIC_EVENT_DEPTH, NULL);
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
	[MODEL_BLOCK_OPAQUE] = write_other,
};

void
anthropic_content_make(struct anthropic_decode *d)
{
	struct model_result *r = &d->r;

	r->blocks = 0;
	buf_clear(&r->content);
	json_open(&r->content, NULL, '[');
	for (int i = 0; i < r->block_count; i++) {
		arena_reset(d->scratch);
		r->blocks += writers[r->block[i].kind](d, i);
	}
	json_close(&r->content, ']');
}
