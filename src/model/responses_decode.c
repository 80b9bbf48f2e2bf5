/* SPDX-License-Identifier: MIT */
/*
 * The events of OpenAI's Responses API (spec/providers.md, section 3).
 *
 * An answer is a list of items. Each is added, grows by deltas of its texts
 * and is done, when it comes whole once more; a last event has the whole
 * answer. The JSON "type" decides; SSE's name stands for it where it is
 * missing. An error is read past, because the end that follows says it better;
 * it fails the answer all the same.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"
#include "model/responses_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int
on_item_added(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	(void)t;
	return responses_item_added(d, doc, err);
}

static int
on_item_done(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	(void)t;
	return responses_item_done(d, doc, err);
}

/* ---- the answer ---- */

static void
usage_read(struct model_decode *d, const struct json *usage)
{
	const struct json *in = json_get(usage, "input_tokens_details");
	struct model_usage *u = &d->r.usage;

	if (!json_is(usage, JSON_OBJECT))
		return;
	u->cached = 0;
	u->cache_write = 0;
	decode_tokens(usage, "input_tokens", &u->input);
	decode_tokens(in, "cached_tokens", &u->cached);
	decode_tokens(in, "cache_write_tokens", &u->cache_write);
	decode_tokens(usage, "output_tokens", &u->output);
	decode_tokens(json_get(usage, "output_tokens_details"),
	    "reasoning_tokens", &u->reasoning);
	decode_keep_usage(d, usage);
}

static void
response_read(struct model_decode *d, const struct json *response)
{
	struct model_result *r = &d->r;

	model_copy_str(
	    r->model, sizeof(r->model), json_get_str(response, "model"));
	model_copy_str(r->response_id, sizeof(r->response_id),
	    json_get_str(response, "id"));
	usage_read(d, json_get(response, "usage"));
}

static int
on_response(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	(void)t;
	(void)err;
	response_read(d, json_get(doc, "response"));
	return 0;
}

/* The type is the error's own word; that of the event is none. */
static void
error_read(struct model_decode *d, const struct json *doc)
{
	const char *type = json_get_str(json_get(doc, "error"), "type");
	struct model_failure *f = &d->r.failure;
	struct err said;

	decode_said_error(d, doc, &said);
	f->type[0] = '\0';
	model_copy_str(f->type, sizeof(f->type), type);
}

static int
on_error(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	(void)t;
	(void)err;
	error_read(d, doc);
	return 0;
}

static int
answer_failed(
    struct model_decode *d, const struct json *response, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	const struct json *error = json_get(response, "error");

	d->r.stop = MODEL_STOP_ERROR;
	if (error != NULL && !json_is(error, JSON_NULL)) {
		error_read(d, response);
	} else if (!f->said) {
		model_failure_set(f, MODEL_CLASS_SERVER, "");
		f->said = 1;
		model_copy_str(f->message, sizeof(f->message),
		    "the answer failed, and no reason was said");
	}
	return err_set(err, ERR_MODEL, "%s: %s",
	    f->type[0] == '\0' ? "error" : f->type, f->message);
}

static enum model_stop
stop_completed(const struct model_result *r)
{
	for (int i = 0; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_CALL)
			return MODEL_STOP_TOOL_CALLS;
	return MODEL_STOP_STOP;
}

static enum model_stop
stop_incomplete(const char *reason)
{
	if (reason != NULL && strcmp(reason, "max_output_tokens") == 0)
		return MODEL_STOP_LENGTH;
	if (reason != NULL && strcmp(reason, "content_filter") == 0)
		return MODEL_STOP_CONTENT_FILTER;
	return MODEL_STOP_OTHER;
}

/* Some servers end every answer with the same event: the status tells. */
static const char *
last_word(const struct json *response, const char *word)
{
	static const char *const words[] = { "completed", "incomplete",
		"failed", "cancelled" };
	const char *status = json_get_str(response, "status");

	for (size_t i = 0; status != NULL && i < COUNT(words); i++)
		if (strcmp(words[i], status) == 0)
			return words[i];
	return word;
}

static void
stop_read(struct model_result *r, const struct json *response, const char *word)
{
	const char *reason =
	    json_get_str(json_get(response, "incomplete_details"), "reason");
	char raw[128];

	snprintf(raw, sizeof(raw), "%s", word);
	r->stop = MODEL_STOP_OTHER;
	if (strcmp(word, "completed") == 0)
		r->stop = stop_completed(r);
	if (strcmp(word, "incomplete") == 0) {
		r->stop = stop_incomplete(reason);
		if (reason != NULL)
			snprintf(raw, sizeof(raw), "%s:%s", word, reason);
	}
	model_copy_str(r->stop_raw, sizeof(r->stop_raw), raw);
}

static int
on_last(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err)
{
	const struct json *response = json_get(doc, "response");
	const char *word = last_word(response, t->member);

	response_read(d, response);
	if (responses_output(d, json_get(response, "output"), err) < 0)
		return -1;
	stop_read(&d->r, response, word);
	d->r.complete = 1;
	if (strcmp(word, "failed") == 0)
		return answer_failed(d, response, err);
	return 0;
}

#define TEXT MODEL_BLOCK_TEXT
#define CALL MODEL_BLOCK_CALL
#define REFUSAL MODEL_BLOCK_REFUSAL
#define THINKING MODEL_BLOCK_THINKING

static const char prefix[] = "response.";

static const struct responses_event events[] = {
	{ "output_text.delta", responses_text_delta, "delta", TEXT },
	{ "function_call_arguments.delta", responses_input_delta, "delta",
	    CALL },
	{ "reasoning_summary_text.delta", responses_text_delta, "delta",
	    THINKING },
	{ "reasoning_text.delta", responses_text_delta, "delta", THINKING },
	{ "refusal.delta", responses_text_delta, "delta", REFUSAL },
	{ "custom_tool_call_input.delta", responses_input_delta, "delta",
	    CALL },
	{ "output_text.done", responses_text_done, "text", TEXT },
	{ "function_call_arguments.done", responses_input_done, "arguments",
	    CALL },
	{ "reasoning_summary_text.done", responses_text_done, "text",
	    THINKING },
	{ "reasoning_text.done", responses_text_done, "text", THINKING },
	{ "refusal.done", responses_text_done, "refusal", REFUSAL },
	{ "custom_tool_call_input.done", responses_input_done, "input", CALL },
	{ "output_item.added", on_item_added, NULL, 0 },
	{ "output_item.done", on_item_done, NULL, 0 },
	{ "created", on_response, NULL, 0 },
	{ "queued", on_response, NULL, 0 },
	{ "in_progress", on_response, NULL, 0 },
	{ "completed", on_last, "completed", 0 },
	{ "incomplete", on_last, "incomplete", 0 },
	{ "failed", on_last, "failed", 0 },
	{ "error", on_error, NULL, 0 },
};

static const char *
event_type(const struct json *doc, const char *event)
{
	const char *type = json_get_str(doc, "type");
	const struct json *error = json_get(doc, "error");

	if (type != NULL)
		return type;
	return error != NULL && !json_is(error, JSON_NULL) ? "error" : event;
}

static int
on_event(struct model_decode *d, const char *event, const struct json *doc,
    struct err *err)
{
	const char *type = event_type(doc, event);

	if (strncmp(type, prefix, sizeof(prefix) - 1) == 0)
		type += sizeof(prefix) - 1;
	for (size_t i = 0; i < COUNT(events); i++)
		if (strcmp(events[i].type, type) == 0)
			return events[i].fn(d, &events[i], doc, err);
	return 0;
}

/* ---- for people ---- */

static void
print_block(
    struct buf *b, const struct model_block *blk, const struct json *native)
{
	const char *phase = json_get_str(native, "phase");
	const char *encrypted = json_get_str(native, "encrypted_content");

	if (blk->item.len == 0)
		json_add_null(b, "item_id");
	else
		json_add_strn(b, "item_id", blk->item.data, blk->item.len);
	if (blk->kind == MODEL_BLOCK_THINKING)
		json_add_bool(
		    b, "encrypted", encrypted != NULL && *encrypted != '\0');
	if (phase != NULL && blk->kind == MODEL_BLOCK_TEXT)
		json_add_str(b, "phase", phase);
}

static const char *const varies[] = { "sequence_number", "obfuscation", NULL };

const struct decode_api decode_responses = {
	.name = "openai-responses",
	.terminal = "response.completed",
	.refusal_apart = 1,
	.varies = varies,
	.event = on_event,
	.write = responses_write,
	.print_block = print_block,
};
