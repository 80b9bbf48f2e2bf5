/* SPDX-License-Identifier: MIT */
/*
 * The blocks of an answer as the history keeps them: one neutral form for
 * all providers, which is Anthropic's, with the provider's own form beside it
 * (the member native) where that says more. Of an answer that did not end,
 * what cannot be sent back is left out. Runs once, at the end of an answer, on
 * the thread that feeds the decoder.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/decode_priv.h"

/* Nothing, or null, stands for {}, unless the answer was cut there. */
const struct json *
decode_input(struct model_decode *d, int at)
{
	struct model_block *b = &d->r.block[at];
	const struct json *input;

	b->cut =
	    b->text.len == 0 && at == d->r.block_count - 1 &&
	    (d->r.stop == MODEL_STOP_LENGTH || !(d->r.complete || b->closed));
	input = b->text.len == 0 ? json_parse(d->scratch, "{}", 2, 1, NULL)
				 : json_parse(d->scratch, b->text.data,
				       b->text.len, DECODE_EVENT_DEPTH, NULL);
	b->valid = json_is(input, JSON_OBJECT) || json_is(input, JSON_NULL);
	return json_is(input, JSON_OBJECT) && !b->cut ? input : NULL;
}

const char *
model_block_input(const struct model_block *b, size_t *len_r)
{
	const char *text = buf_str(&b->text);

	*len_r = b->text.len;
	if (b->valid && !b->cut && text[strspn(text, " \t\r\n")] != '{') {
		*len_r = 2;
		return "{}";
	}
	return text;
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

int
decode_replayable(const struct model_result *r, int at)
{
	const struct model_block *b = &r->block[at];
	int own = b->kind == MODEL_BLOCK_OPAQUE;
	int runs = b->valid && !b->cut;

	if (r->complete && !r->failure.failed)
		return runs || !b->has_input || !own;
	if (!b->closed)
		return 0;
	return !b->has_input || (runs && (!own || block_answered(r, at)));
}

/* What stands for the name of a call that no provider would take back. */
#define NO_NAME "invalid_tool_name"

const char *
decode_call_name(const struct model_block *b)
{
	size_t n = strspn(b->name,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return n > 0 && n <= 64 && b->name[n] == '\0' ? b->name : NO_NAME;
}

int
decode_name_call(struct model_decode *d, struct model_block *b)
{
	if (b->kind != MODEL_BLOCK_CALL || d->sink.call_id == NULL)
		return 0;
	d->sink.call_id(d->sink_ctx, b->id);
	return 1;
}

static int
has_native(const struct model_block *b)
{
	return b->native.len > 0 && !b->unsent;
}

static void
add_native(struct buf *out, const struct model_block *b)
{
	if (has_native(b))
		json_add_raw(out, "native", b->native.data, b->native.len);
}

/* A text without anything else to be sent back is left out. */
static int
write_text(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	struct buf *out = &d->r.content;

	if (b->text.len == 0 && !has_native(b))
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "type", "text");
	json_add_strn(out, "text", buf_str(&b->text), b->text.len);
	if (b->kind == MODEL_BLOCK_REFUSAL)
		json_add_bool(out, "refusal", 1);
	add_native(out, b);
	json_close(out, '}');
	return 1;
}

static int
write_thinking(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	struct buf *out = &d->r.content;

	if (b->text.len == 0 && !has_native(b))
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "type", "thinking");
	json_add_strn(out, "thinking", buf_str(&b->text), b->text.len);
	add_native(out, b);
	json_close(out, '}');
	return 1;
}

static int
write_call(struct model_decode *d, int at)
{
	struct model_block *b = &d->r.block[at];
	const struct json *input = decode_input(d, at);
	struct buf *out = &d->r.content;

	if (!decode_replayable(&d->r, at))
		return 0;
	decode_name_call(d, b);
	json_open(out, NULL, '{');
	json_add_str(out, "type", "tool_use");
	json_add_str(out, "id", b->id);
	json_add_str(out, "name", decode_call_name(b));
	if (input != NULL)
		json_add_json(out, "input", input);
	else
		json_add_raw(out, "input", "{}", 2);
	add_native(out, b);
	json_close(out, '}');
	return 1;
}

static int
write_opaque(struct model_decode *d, int at)
{
	const struct model_block *b = &d->r.block[at];
	struct buf *out = &d->r.content;

	if (!has_native(b) || !decode_replayable(&d->r, at))
		return 0;
	json_open(out, NULL, '{');
	json_add_str(out, "type", "native");
	add_native(out, b);
	json_close(out, '}');
	return 1;
}

int
decode_write(struct model_decode *d, int at)
{
	static int (*const writers[MODEL_BLOCK_KINDS])(
	    struct model_decode *, int) = {
		[MODEL_BLOCK_TEXT] = write_text,
		[MODEL_BLOCK_THINKING] = write_thinking,
		[MODEL_BLOCK_CALL] = write_call,
		[MODEL_BLOCK_REFUSAL] = write_text,
		[MODEL_BLOCK_OPAQUE] = write_opaque,
	};

	return writers[d->r.block[at].kind](d, at);
}

void
decode_content_make(struct model_decode *d)
{
	struct model_result *r = &d->r;

	r->blocks = 0;
	buf_clear(&r->content);
	json_open(&r->content, NULL, '[');
	for (int i = 0; i < r->block_count; i++) {
		arena_reset(d->scratch);
		r->blocks += d->api->write == NULL ? decode_write(d, i)
						   : d->api->write(d, i);
	}
	json_close(&r->content, ']');
}
