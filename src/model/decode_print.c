/* SPDX-License-Identifier: MIT */
/*
 * The result of a decoder as a JSON document: what the tests compare with
 * the recorded streams, and what a command shows to people who ask how a
 * stream was understood. Runs after the stream, on any thread; speed does not
 * matter here.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "model/decode_priv.h"

static const char *const stop_names[] = {
	[MODEL_STOP_NONE] = "none",
	[MODEL_STOP_STOP] = "stop",
	[MODEL_STOP_LENGTH] = "length",
	[MODEL_STOP_TOOL_CALLS] = "tool_calls",
	[MODEL_STOP_CONTENT_FILTER] = "content_filter",
	[MODEL_STOP_REFUSAL] = "refusal",
	[MODEL_STOP_PAUSE] = "pause",
	[MODEL_STOP_ERROR] = "error",
	[MODEL_STOP_OTHER] = "other",
};

const char *
model_stop_name(enum model_stop stop)
{
	return stop_names[stop];
}

/* "" stands for what the provider did not say. */
static void
add_str_or_null(struct buf *b, const char *name, const char *value)
{
	if (value[0] == '\0')
		json_add_null(b, name);
	else
		json_add_str(b, name, value);
}

static void
add_tokens(struct buf *b, const char *name, int64_t tokens)
{
	if (tokens < 0)
		json_add_null(b, name);
	else
		json_add_int(b, name, tokens);
}

static void
add_arguments(
    struct buf *b, const struct model_block *blk, struct arena *scratch)
{
	const struct json *doc = NULL;

	if (blk->valid && blk->text.len > 0)
		doc = json_parse(scratch, blk->text.data, blk->text.len,
		    JSON_DEPTH_MAX, NULL);
	if (doc != NULL)
		json_add_json(b, "arguments", doc);
	else if (blk->valid)
		json_add_raw(b, "arguments", "{}", 2);
	else
		json_add_null(b, "arguments");
}

static const struct json *
block_native(const struct model_block *blk, struct arena *scratch)
{
	return json_parse(scratch, buf_str(&blk->native), blk->native.len,
	    JSON_DEPTH_MAX, NULL);
}

static void
print_call(struct buf *b, const struct model_decode *d,
    const struct model_block *blk, struct arena *scratch)
{
	(void)d;
	add_str_or_null(b, "id", blk->id);
	json_add_str(b, "name", blk->name);
	add_arguments(b, blk, scratch);
	json_add_bool(b, "arguments_valid", blk->valid);
	if (blk->parsed)
		json_add_null(b, "arguments_raw");
	else
		json_add_strn(
		    b, "arguments_raw", buf_str(&blk->text), blk->text.len);
}

static void
print_block(struct buf *b, const struct model_decode *d,
    const struct model_block *blk, struct arena *scratch)
{
	json_open(b, NULL, '{');
	json_add_str(b, "type", blk->type);
	if (blk->has_input)
		print_call(b, d, blk, scratch);
	else if (blk->kind != MODEL_BLOCK_OPAQUE)
		json_add_strn(b, "text", buf_str(&blk->text), blk->text.len);
	if (d->api->print_block != NULL)
		d->api->print_block(b, blk, block_native(blk, scratch));
	json_close(b, '}');
}

static void
add_blocks(struct buf *b, const struct model_decode *d, struct arena *scratch)
{
	json_open(b, "blocks", '[');
	for (int i = 0; i < d->r.block_count; i++)
		if (d->r.block[i].kind != MODEL_BLOCK_REFUSAL ||
		    !d->api->refusal_apart)
			print_block(b, d, &d->r.block[i], scratch);
	json_close(b, ']');
}

static void
add_calls(struct buf *b, const struct model_decode *d, struct arena *scratch)
{
	const struct model_block *blk = d->r.block;

	json_open(b, "tool_calls", '[');
	for (int i = 0; i < d->r.block_count; i++, blk++) {
		if (blk->kind != MODEL_BLOCK_CALL)
			continue;
		json_open(b, NULL, '{');
		print_call(b, d, blk, scratch);
		if (d->api->print_block != NULL)
			d->api->print_block(b, blk, block_native(blk, scratch));
		json_close(b, '}');
	}
	json_close(b, ']');
}

/* The texts of all blocks of a kind, one behind the other. */
static void
add_text(struct buf *b, const char *name, const struct model_result *r,
    enum model_block_kind kind)
{
	json_add_str(b, name, "");
	b->len--; /* the closing quote comes back below */
	for (int i = 0; i < r->block_count; i++)
		if (r->block[i].kind == kind)
			json_escape(b, buf_str(&r->block[i].text),
			    r->block[i].text.len);
	buf_putc(b, '"');
}

static void
add_usage(struct buf *b, const struct model_usage *u)
{
	json_open(b, "usage", '{');
	add_tokens(b, "input_tokens", u->input);
	add_tokens(b, "output_tokens", u->output);
	add_tokens(b, "cached_tokens", u->cached);
	add_tokens(b, "cache_write_tokens", u->cache_write);
	add_tokens(b, "reasoning_tokens", u->reasoning);
	json_close(b, '}');
}

/* Only what the provider said, here too. */
static void
add_stop(struct buf *b, const struct model_result *r)
{
	int is_ours = r->failure.failed && !r->failure.said && !r->complete;

	if (r->stop == MODEL_STOP_NONE || is_ours)
		json_add_null(b, "stop_reason");
	else
		json_add_str(b, "stop_reason", model_stop_name(r->stop));
	add_str_or_null(b, "stop_reason_raw", r->stop_raw);
	add_str_or_null(b, "stop_sequence", r->stop_sequence);
}

/* Only what the provider said: of a stream that was cut, complete tells. */
static void
add_error(struct buf *b, const struct model_failure *f)
{
	if (!f->said) {
		json_add_null(b, "error");
		return;
	}
	json_open(b, "error", '{');
	add_str_or_null(b, "type", f->type);
	if (f->code[0] != '\0')
		json_add_raw(b, "code", f->code, strlen(f->code));
	json_add_str(b, "message", f->message);
	if (f->outside)
		json_add_bool(b, "outside_sse", 1);
	json_close(b, '}');
}

/* Where the stream said nothing of it, null. */
static void
add_all_usage(struct buf *b, const struct model_result *r)
{
	const struct model_usage *u = &r->usage;

	if (u->input < 0 && u->output < 0)
		json_add_null(b, "usage");
	else
		add_usage(b, u);
	if (r->usage_raw.len == 0)
		json_add_null(b, "usage_raw");
	else
		json_add_raw(
		    b, "usage_raw", r->usage_raw.data, r->usage_raw.len);
}

void
model_decode_print(struct buf *b, struct model_decode *d, const char *provider,
    const char *name)
{
	struct arena *scratch = arena_open(4096);
	const struct model_result *r = &d->r;

	json_open(b, NULL, '{');
	if (provider != NULL)
		json_add_str(b, "provider", provider);
	if (name != NULL)
		json_add_str(b, "case", name);
	json_add_str(b, "api", d->api->name);
	add_str_or_null(b, "model", r->model);
	add_str_or_null(b, "response_id", r->response_id);
	add_text(b, "text", r, MODEL_BLOCK_TEXT);
	add_text(b, "thinking", r, MODEL_BLOCK_THINKING);
	add_text(b, "refusal", r, MODEL_BLOCK_REFUSAL);
	add_blocks(b, d, scratch);
	add_calls(b, d, scratch);
	add_all_usage(b, r);
	add_stop(b, r);
	add_error(b, &r->failure);
	json_add_bool(b, "complete", r->complete);
	json_add_bool(b, "done_marker", r->done_marker);
	json_add_int(b, "events", r->events);
	json_add_bool(b, "unterminated_tail", r->unterminated_tail);
	if (d->api->print != NULL)
		d->api->print(b, d);
	json_close(b, '}');
	arena_close(&scratch);
}
