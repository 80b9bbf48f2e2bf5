/* SPDX-License-Identifier: MIT */
/*
 * The events of Gemini's streamGenerateContent (spec/providers.md, section 4).
 *
 * Each is a whole GenerateContentResponse: parts of the only candidate that is
 * asked for, which add to those before, and counts, which replace them. A
 * finish reason may come before the end, and again: only the end of the stream
 * ends an answer, and the last reason is its own.
 *
 * What makes no sense in a known member fails the answer, so that no text is
 * lost in silence; anything may be null or not there, and what is not known
 * is ignored.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"
#include "model/gemini_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- usage ---- */

/* Counts that differ from one event of text to the next; total is not ours. */
static const char *const varying[] = { "candidatesTokenCount",
	"thoughtsTokenCount", "totalTokenCount", NULL };

#define CANDIDATES 0 /* in varying */
#define THOUGHTS 1
#define COUNTED 2 /* how many of varying are read */

/* The prompt's count has what came from the cache in it, but not what the
 * model's own tools put there; the answer's has no thoughts. */
static void
usage_set(struct model_decode *d)
{
	const struct gemini *own = d->own;

	d->r.usage.input = own->prompt + own->tool_prompt;
	d->r.usage.output = own->candidates + own->thoughts;
}

/* A count of 0 is not sent. */
static void
usage_read(struct model_decode *d, const struct json *usage)
{
	struct gemini *own = d->own;
	struct model_usage *u = &d->r.usage;

	if (!json_is(usage, JSON_OBJECT) || json_count(usage) == 0)
		return;
	decode_tokens(usage, "promptTokenCount", &own->prompt);
	decode_tokens(usage, "toolUsePromptTokenCount", &own->tool_prompt);
	decode_tokens(usage, varying[CANDIDATES], &own->candidates);
	decode_tokens(usage, varying[THOUGHTS], &own->thoughts);
	decode_tokens(usage, varying[THOUGHTS], &u->reasoning);
	if (u->cached < 0)
		u->cached = 0;
	decode_tokens(usage, "cachedContentTokenCount", &u->cached);
	u->cache_write = 0;
	usage_set(d);
	decode_keep_usage(d, usage);
}

/* ---- events of text alone ---- */

/* The text of an event that says nothing else but counts; or NULL. */
static const char *
text_alone(const struct json *doc)
{
	const struct json *all = json_get(doc, "candidates");
	const struct json *one = json_first(all);
	const struct json *parts = json_get(json_get(one, "content"), "parts");
	const struct json *part = json_first(parts);
	size_t members = json_get(part, "thought") == NULL ? 1 : 2;

	if (!json_is(doc, JSON_OBJECT) || json_count(all) != 1 ||
	    json_count(parts) != 1 || json_count(part) != members ||
	    json_get(one, "finishReason") != NULL ||
	    json_get(one, "finishMessage") != NULL ||
	    json_get(doc, "promptFeedback") != NULL)
		return NULL;
	return json_get_str(part, "text");
}

/* The counts that the frame found must be those that were read. */
static void
learn(struct model_decode *d, const struct json *doc)
{
	const struct json *usage = json_get(doc, "usageMetadata");
	const char *text = text_alone(doc);
	int64_t n;

	if (text == NULL || d->r.block_count == 0 ||
	    !decode_frame_learn(
		d, &d->r.block[d->r.block_count - 1], "text", text))
		return;
	for (int i = 0; i < COUNTED; i++) {
		n = TEXT_FRAME_NONE;
		decode_tokens(usage, varying[i], &n);
		if (d->frame.number[i] != n)
			text_frame_forget(&d->frame);
	}
}

static int
on_framed(struct model_decode *d, const char *data, size_t len)
{
	const int64_t *n = d->frame.number;
	struct gemini *own = d->own;
	const struct json *doc;

	if (n[CANDIDATES] > DECODE_TOKENS_MAX ||
	    n[THOUGHTS] > DECODE_TOKENS_MAX)
		return 0;
	if (d->keep_raw) {
		arena_reset(d->scratch);
		doc =
		    json_parse(d->scratch, data, len, DECODE_EVENT_DEPTH, NULL);
		decode_keep_usage(d, json_get(doc, "usageMetadata"));
	}
	if (n[CANDIDATES] >= 0)
		own->candidates = n[CANDIDATES];
	if (n[THOUGHTS] >= 0)
		own->thoughts = d->r.usage.reasoning = n[THOUGHTS];
	if (n[CANDIDATES] >= 0 || n[THOUGHTS] >= 0)
		usage_set(d);
	return 1;
}

/* ---- the end ---- */

static const struct {
	const char *word;
	enum model_stop stop;
} finish_words[] = {
	{ "STOP", MODEL_STOP_STOP },
	{ "MAX_TOKENS", MODEL_STOP_LENGTH },
	{ "SAFETY", MODEL_STOP_CONTENT_FILTER },
	{ "RECITATION", MODEL_STOP_CONTENT_FILTER },
	{ "BLOCKLIST", MODEL_STOP_CONTENT_FILTER },
	{ "PROHIBITED_CONTENT", MODEL_STOP_CONTENT_FILTER },
	{ "SPII", MODEL_STOP_CONTENT_FILTER },
	{ "IMAGE_SAFETY", MODEL_STOP_CONTENT_FILTER },
	{ "IMAGE_PROHIBITED_CONTENT", MODEL_STOP_CONTENT_FILTER },
	{ "IMAGE_RECITATION", MODEL_STOP_CONTENT_FILTER },
	{ "MALFORMED_FUNCTION_CALL", MODEL_STOP_ERROR },
	{ "UNEXPECTED_TOOL_CALL", MODEL_STOP_ERROR },
	{ "TOO_MANY_TOOL_CALLS", MODEL_STOP_ERROR },
	{ "MISSING_THOUGHT_SIGNATURE", MODEL_STOP_ERROR },
	{ "MALFORMED_RESPONSE", MODEL_STOP_ERROR },
};

static enum model_stop
finish_find(const char *word)
{
	for (size_t i = 0; i < COUNT(finish_words); i++)
		if (strcmp(finish_words[i].word, word) == 0)
			return finish_words[i].stop;
	return MODEL_STOP_OTHER;
}

static void
reason_keep(struct gemini *own, const char *word)
{
	struct buf all;

	own->reasons++;
	buf_init(&all, NULL);
	buf_puts(&all, own->reason_list);
	json_add_str(&all, NULL, word);
	if (all.len < sizeof(own->reason_list))
		memcpy(own->reason_list, all.data, all.len + 1);
	buf_fini(&all);
}

static void
on_finish(struct model_decode *d, const struct json *candidate)
{
	const char *word = json_get_str(candidate, "finishReason");
	struct gemini *own = d->own;
	struct model_result *r = &d->r;

	model_copy_str(own->finish_message, sizeof(own->finish_message),
	    json_get_str(candidate, "finishMessage"));
	if (word == NULL || *word == '\0')
		return;
	own->finish = finish_find(word);
	model_copy_str(r->stop_raw, sizeof(r->stop_raw), word);
	r->complete = 1;
	if (d->keep_raw)
		reason_keep(own, word);
}

/* The prompt was refused: there is no candidate. */
static void
on_feedback(struct model_decode *d, const struct json *feedback)
{
	const char *word = json_get_str(feedback, "blockReason");
	struct gemini *own = d->own;
	struct model_result *r = &d->r;

	if (word == NULL || *word == '\0')
		return;
	own->finish = MODEL_STOP_CONTENT_FILTER;
	model_copy_str(own->prompt_block, sizeof(own->prompt_block), word);
	snprintf(r->stop_raw, sizeof(r->stop_raw), "promptFeedback:%.*s",
	    (int)json_utf8_whole(word, strnlen(word, 48)), word);
	r->complete = 1;
}

/* Gemini stops for its tools with the word of any other end; a call may also
 * come behind that word. */
static void
stop_decide(struct model_decode *d)
{
	const struct gemini *own = d->own;

	if (own->finish == MODEL_STOP_STOP && own->calls > 0)
		d->r.stop = MODEL_STOP_TOOL_CALLS;
	else
		d->r.stop = own->finish;
}

/* ---- events ---- */

/* What is not null must be one. */
static int
must_be_object(const struct json *j, const char *what, struct err *err)
{
	if (j == NULL || json_is(j, JSON_NULL) || json_is(j, JSON_OBJECT))
		return 0;
	return err_set(err, ERR_MODEL, "%s is no object", what);
}

static int
on_candidate(
    struct model_decode *d, const struct json *candidate, struct err *err)
{
	const struct json *content, *parts, *part;

	if (must_be_object(candidate, "a candidate", err) < 0)
		return -1;
	if (gemini_member(candidate, "content", JSON_OBJECT, &content, err) <
		0 ||
	    gemini_member(content, "parts", JSON_ARRAY, &parts, err) < 0)
		return -1;
	for (part = json_first(parts); part != NULL; part = json_next(part))
		if (must_be_object(part, "a part", err) < 0 ||
		    gemini_part(d, part, err) < 0)
			return -1;
	on_finish(d, candidate);
	return 0;
}

static int
on_response(struct model_decode *d, const char *event, const struct json *doc,
    struct err *err)
{
	const struct json *said = json_get(doc, "error"), *candidates;
	struct model_result *r = &d->r;

	if ((said != NULL && !json_is(said, JSON_NULL)) ||
	    strcmp(event, "error") == 0)
		return decode_said_error(d, doc, err);
	model_copy_str(
	    r->model, sizeof(r->model), json_get_str(doc, "modelVersion"));
	model_copy_str(r->response_id, sizeof(r->response_id),
	    json_get_str(doc, "responseId"));
	usage_read(d, json_get(doc, "usageMetadata"));
	if (gemini_member(doc, "candidates", JSON_ARRAY, &candidates, err) < 0)
		return -1;
	/* The first is the only one asked for. */
	if (on_candidate(d, json_first(candidates), err) < 0)
		return -1;
	on_feedback(d, json_get(doc, "promptFeedback"));
	stop_decide(d);
	return 0;
}

/* Some gateways put what they send into an array. */
static int
on_event(struct model_decode *d, const char *event, const struct json *doc,
    struct err *err)
{
	const struct json *one;

	/* An event like an earlier one must say again what this one says. */
	text_frame_forget(&d->frame);
	if (json_is(doc, JSON_ARRAY)) {
		for (one = json_first(doc); one != NULL; one = json_next(one))
			if (on_response(d, event, one, err) < 0)
				return -1;
		return 0;
	}
	if (on_response(d, event, doc, err) < 0)
		return -1;
	learn(d, doc);
	return 0;
}

/* ---- for people ---- */

static void
print_block(
    struct buf *b, const struct model_block *blk, const struct json *native)
{
	const char *text = json_get_str(native, "thoughtSignature");

	(void)blk;
	if (text != NULL)
		json_add_str(b, "thought_signature", text);
}

static void
print(struct buf *b, struct model_decode *d)
{
	const struct gemini *own = d->own;

	if (own->prompt_block[0] != '\0')
		json_add_str(b, "prompt_block", own->prompt_block);
	if (own->finish_message[0] != '\0')
		json_add_str(b, "finish_message", own->finish_message);
	if (own->reasons > 1) {
		json_open(b, "finish_reasons_seen", '[');
		json_add_raw(
		    b, NULL, own->reason_list, strlen(own->reason_list));
		json_close(b, ']');
	}
	json_add_int(b, "thought_signatures", own->signatures);
}

const struct decode_api decode_gemini = {
	.name = "gemini",
	.own_bytes = sizeof(struct gemini),
	.terminal = "a finish reason",
	.reads_on = 1,
	.varies = varying,
	.event = on_event,
	.framed = on_framed,
	.write = gemini_write,
	.print_block = print_block,
	.print = print,
};
