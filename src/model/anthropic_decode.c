/* SPDX-License-Identifier: MIT */
/*
 * The events of Anthropic's Messages API (spec/providers.md, section 1).
 *
 * An answer is a list of content blocks. Each is opened with its type, grows
 * by deltas and is closed; message_delta brings the stop reason and the final
 * usage; message_stop ends it. The JSON "type" decides, never the SSE name.
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/anthropic_priv.h"
#include "model/decode_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct anthropic {
	int64_t uncached; /* input_tokens, which leaves out the cache */
};

typedef int event_f(
    struct model_decode *d, const struct json *doc, struct err *err);

/* Events */

/* Its numbers are cumulative: those that are said replace the earlier. */
static void
usage_read(struct model_decode *d, const struct json *usage)
{
	struct anthropic *own = d->own;
	struct model_usage *u = &d->r.usage;

	if (!json_is(usage, JSON_OBJECT))
		return;
	decode_tokens(usage, "input_tokens", &own->uncached);
	decode_tokens(usage, "cache_read_input_tokens", &u->cached);
	decode_tokens(usage, "cache_creation_input_tokens", &u->cache_write);
	decode_tokens(usage, "output_tokens", &u->output);
	decode_tokens(json_get(usage, "output_tokens_details"),
	    "thinking_tokens", &u->reasoning);
	if (u->cached < 0)
		u->cached = 0;
	if (u->cache_write < 0)
		u->cache_write = 0;
	u->input = own->uncached + u->cached + u->cache_write;
	decode_keep_usage(d, usage);
}

static int
on_message_start(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *m = json_get(doc, "message");
	struct model_result *r = &d->r;

	(void)err;
	model_copy_str(r->model, sizeof(r->model), json_get_str(m, "model"));
	model_copy_str(
	    r->response_id, sizeof(r->response_id), json_get_str(m, "id"));
	usage_read(d, json_get(m, "usage"));
	return 0;
}

static const struct {
	const char *word;
	enum model_stop stop;
} stop_words[] = {
	{ "end_turn", MODEL_STOP_STOP },
	{ "tool_use", MODEL_STOP_TOOL_CALLS },
	{ "stop_sequence", MODEL_STOP_STOP },
	{ "max_tokens", MODEL_STOP_LENGTH },
	{ "model_context_window_exceeded", MODEL_STOP_LENGTH },
	{ "pause_turn", MODEL_STOP_PAUSE },
	{ "refusal", MODEL_STOP_REFUSAL },
};

static enum model_stop
stop_find(const char *word)
{
	for (size_t i = 0; i < COUNT(stop_words); i++)
		if (strcmp(stop_words[i].word, word) == 0)
			return stop_words[i].stop;
	return MODEL_STOP_OTHER;
}

static int
on_message_delta(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	const struct json *delta = json_get(doc, "delta");
	const char *reason = json_get_str(delta, "stop_reason");
	struct model_result *r = &d->r;

	(void)err;
	if (reason != NULL) {
		r->stop = stop_find(reason);
		model_copy_str(r->stop_raw, sizeof(r->stop_raw), reason);
	}
	model_copy_str(r->stop_sequence, sizeof(r->stop_sequence),
	    json_get_str(delta, "stop_sequence"));
	usage_read(d, json_get(doc, "usage"));
	return 0;
}

static int
on_message_stop(struct model_decode *d, const struct json *doc, struct err *err)
{
	(void)doc;
	(void)err;
	d->r.complete = 1;
	if (d->r.stop == MODEL_STOP_NONE)
		d->r.stop = MODEL_STOP_OTHER;
	return 0;
}

static int
on_ping(struct model_decode *d, const struct json *doc, struct err *err)
{
	(void)d;
	(void)doc;
	(void)err;
	return 0;
}

static int
on_error(struct model_decode *d, const struct json *doc, struct err *err)
{
	return decode_said_error(d, doc, err);
}

static const struct {
	const char *type;
	event_f *fn;
} event_types[] = {
	{ "content_block_delta", anthropic_block_delta },
	{ "content_block_start", anthropic_block_start },
	{ "content_block_stop", anthropic_block_stop },
	{ "ping", on_ping },
	{ "message_start", on_message_start },
	{ "message_delta", on_message_delta },
	{ "message_stop", on_message_stop },
	{ "error", on_error },
};

/* Some gateways leave out the type of an error. */
static const char *
event_type(const struct json *doc, const char *event)
{
	const char *type = json_get_str(doc, "type");

	if (type != NULL)
		return type;
	if (strcmp(event, "error") == 0 || json_get(doc, "error") != NULL)
		return "error";
	return "";
}

static int
on_event(struct model_decode *d, const char *event, const struct json *doc,
    struct err *err)
{
	const char *type = event_type(doc, event);

	for (size_t i = 0; i < COUNT(event_types); i++)
		if (strcmp(event_types[i].type, type) == 0)
			return event_types[i].fn(d, doc, err);
	return 0;
}

static void
print_block(
    struct buf *b, const struct model_block *blk, const struct json *native)
{
	const char *data = json_get_str(native, "data");

	if (blk->citations > 0)
		json_add_int(b, "citations", blk->citations);
	if (blk->signature.len > 0)
		json_add_str(b, "signature", blk->signature.data);
	if (data != NULL && !blk->has_input)
		json_add_str(b, "data", data);
}

const struct decode_api decode_anthropic = {
	.name = "anthropic",
	.own_bytes = sizeof(struct anthropic),
	.terminal = "message_stop",
	.event = on_event,
	.write = anthropic_write,
	.print_block = print_block,
};
