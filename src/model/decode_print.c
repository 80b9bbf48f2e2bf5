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
#include "model/decode_print.h"

typedef void block_print_f(
    struct buf *b, const struct model_block *blk, struct arena *scratch);

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

static void
print_text(struct buf *b, const struct model_block *blk, struct arena *scratch)
{
	(void)scratch;
	json_add_strn(b, "text", buf_str(&blk->text), blk->text.len);
	if (blk->citations > 0)
		json_add_int(b, "citations", blk->citations);
}

static void
print_thinking(
    struct buf *b, const struct model_block *blk, struct arena *scratch)
{
	(void)scratch;
	json_add_strn(b, "text", buf_str(&blk->text), blk->text.len);
	if (blk->signature.len > 0)
		json_add_str(b, "signature", blk->signature.data);
}

static void
print_call(struct buf *b, const struct model_block *blk, struct arena *scratch)
{
	json_add_str(b, "id", blk->id);
	json_add_str(b, "name", blk->name);
	add_arguments(b, blk, scratch);
	json_add_bool(b, "arguments_valid", blk->valid);
	json_add_strn(b, "arguments_raw", buf_str(&blk->text), blk->text.len);
}

static void
print_opaque(
    struct buf *b, const struct model_block *blk, struct arena *scratch)
{
	const struct json *start;
	const char *data;

	if (blk->has_input) {
		print_call(b, blk, scratch);
		return;
	}
	start = json_parse(scratch, buf_str(&blk->start), blk->start.len,
	    JSON_DEPTH_MAX, NULL);
	data = json_get_str(start, "data");
	if (data != NULL)
		json_add_str(b, "data", data);
}

static block_print_f *const block_printers[MODEL_BLOCK_KINDS] = {
	[MODEL_BLOCK_TEXT] = print_text,
	[MODEL_BLOCK_THINKING] = print_thinking,
	[MODEL_BLOCK_CALL] = print_call,
	[MODEL_BLOCK_OPAQUE] = print_opaque,
};

static void
add_blocks(struct buf *b, const struct model_result *r, struct arena *scratch)
{
	json_open(b, "blocks", '[');
	for (int i = 0; i < r->block_count; i++) {
		json_open(b, NULL, '{');
		json_add_str(b, "type", r->block[i].type);
		block_printers[r->block[i].kind](b, &r->block[i], scratch);
		json_close(b, '}');
	}
	json_close(b, ']');
}

static void
add_calls(struct buf *b, const struct model_result *r, struct arena *scratch)
{
	json_open(b, "tool_calls", '[');
	for (int i = 0; i < r->block_count; i++) {
		if (r->block[i].kind != MODEL_BLOCK_CALL)
			continue;
		json_open(b, NULL, '{');
		print_call(b, &r->block[i], scratch);
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

static void
add_stop(struct buf *b, const struct model_result *r)
{
	if (r->stop == MODEL_STOP_NONE)
		json_add_null(b, "stop_reason");
	else
		json_add_str(b, "stop_reason", model_stop_name(r->stop));
	add_str_or_null(b, "stop_reason_raw", r->stop_raw);
	add_str_or_null(b, "stop_sequence", r->stop_sequence);
}

static void
add_error(struct buf *b, const struct model_failure *f)
{
	if (!f->failed) {
		json_add_null(b, "error");
		return;
	}
	json_open(b, "error", '{');
	add_str_or_null(b, "type", f->type);
	json_add_str(b, "message", f->message);
	json_add_bool(b, "retryable", f->retryable);
	json_close(b, '}');
}

void
model_decode_print(struct buf *b, const struct model_result *r)
{
	struct arena *scratch = arena_open(4096);

	json_open(b, NULL, '{');
	add_str_or_null(b, "model", r->model);
	add_str_or_null(b, "response_id", r->response_id);
	add_text(b, "text", r, MODEL_BLOCK_TEXT);
	add_text(b, "thinking", r, MODEL_BLOCK_THINKING);
	add_blocks(b, r, scratch);
	add_calls(b, r, scratch);
	add_usage(b, &r->usage);
	add_stop(b, r);
	add_error(b, &r->failure);
	json_add_bool(b, "complete", r->complete);
	json_add_bool(b, "done_marker", r->done_marker);
	json_add_int(b, "events", r->events);
	json_add_bool(b, "unterminated_tail", r->unterminated_tail);
	json_close(b, '}');
	arena_close(&scratch);
}
