/* SPDX-License-Identifier: MIT */
/*
 * The events of the Chat Completions API as OpenAI and all who took it over
 * speak it (spec/providers.md, sections 2 and 5 to 12).
 *
 * An event is a chunk: choices with a delta each, of which the first choice is
 * the answer. A finish_reason ends it, but usage and errors may follow: all is
 * read up to [DONE] or the end. Any member may be missing, null, or in one of
 * several places; what nobody knows is ignored.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/chat_priv.h"
#include "model/decode_priv.h"

/* ---- what is beside the choices ---- */

/* The first that is said: Azure's first chunk has neither. */
static void
set_once(char *dst, size_t size, const char *src)
{
	if (dst[0] == '\0')
		model_copy_str(dst, size, src);
}

static void
head_read(struct model_decode *d, const struct json *doc)
{
	struct model_result *r = &d->r;

	set_once(r->model, sizeof(r->model), json_get_str(doc, "model"));
	set_once(
	    r->response_id, sizeof(r->response_id), json_get_str(doc, "id"));
	set_once(r->request_id, sizeof(r->request_id),
	    json_get_str(json_get(doc, "x_groq"), "id"));
}

/* In any of its places; it is the whole use so far, never more of it. */
static void
usage_read(struct model_decode *d, const struct json *doc)
{
	struct model_usage *u = &d->r.usage;
	const struct json *usage = json_get(doc, "usage"), *more;

	if (!json_is(usage, JSON_OBJECT))
		usage = json_get(json_get(doc, "x_groq"), "usage");
	if (!json_is(usage, JSON_OBJECT))
		usage = json_get(json_first(json_get(doc, "choices")), "usage");
	if (!json_is(usage, JSON_OBJECT))
		return;
	decode_tokens(usage, "prompt_tokens", &u->input);
	decode_tokens(usage, "completion_tokens", &u->output);
	decode_tokens(usage, "prompt_cache_hit_tokens", &u->cached);
	more = json_get(usage, "prompt_tokens_details");
	decode_tokens(more, "cached_tokens", &u->cached);
	decode_tokens(more, "cache_creation_input_tokens", &u->cache_write);
	decode_tokens(more, "cache_write_tokens", &u->cache_write);
	more = json_get(usage, "completion_tokens_details");
	decode_tokens(more, "reasoning_tokens", &u->reasoning);
	if (u->cached < 0)
		u->cached = 0;
	if (u->cache_write < 0)
		u->cache_write = 0;
	decode_keep_usage(d, usage);
}

/* ---- the end ---- */

static const struct {
	const char *word;
	enum model_stop stop;
	enum model_class failure; /* the answer failed, or NONE */
} stop_words[] = {
	{ "stop", MODEL_STOP_STOP, MODEL_CLASS_NONE },
	{ "tool_calls", MODEL_STOP_TOOL_CALLS, MODEL_CLASS_NONE },
	{ "function_call", MODEL_STOP_TOOL_CALLS, MODEL_CLASS_NONE },
	{ "length", MODEL_STOP_LENGTH, MODEL_CLASS_NONE },
	{ "model_length", MODEL_STOP_LENGTH, MODEL_CLASS_NONE },
	{ "content_filter", MODEL_STOP_CONTENT_FILTER, MODEL_CLASS_NONE },
	{ "insufficient_system_resource", MODEL_STOP_ERROR,
	    MODEL_CLASS_OVERLOAD },
	{ "error", MODEL_STOP_ERROR, MODEL_CLASS_SERVER },
	{ NULL, MODEL_STOP_OTHER, MODEL_CLASS_NONE },
};

/* Its place in the table; the last, if nobody knows it. */
static size_t
stop_find(const char *word)
{
	size_t i = 0;

	while (
	    stop_words[i].word != NULL && strcmp(stop_words[i].word, word) != 0)
		i++;
	return i;
}

/* Calls are to be run whatever the word: OpenAI says stop to a forced one. */
static void
stop_settle(struct model_decode *d)
{
	struct model_result *r = &d->r;

	if (r->stop != MODEL_STOP_STOP)
		return;
	for (int i = 0; i < r->block_count; i++)
		if (r->block[i].kind == MODEL_BLOCK_CALL)
			r->stop = MODEL_STOP_TOOL_CALLS;
}

static int
fail_by_word(struct model_decode *d, enum model_class kind, struct err *err)
{
	const struct chat *own = d->own;
	struct model_failure *f = &d->r.failure;

	f->failed = 1;
	f->said = 1;
	model_failure_set(f, kind, own->finish);
	snprintf(f->message, sizeof(f->message),
	    "the provider ended the answer with finish_reason \"%s\"",
	    own->finish);
	return err_set(err, ERR_MODEL, "%s", f->message);
}

static int
finish_read(struct model_decode *d, struct err *err)
{
	const struct chat *own = d->own;
	struct model_result *r = &d->r;
	size_t at = stop_find(own->finish);

	if (chat_think_flush(d, err) < 0)
		return -1;
	if (stop_words[at].failure != MODEL_CLASS_NONE)
		return fail_by_word(d, stop_words[at].failure, err);
	for (int i = 0; i < r->block_count; i++)
		r->block[i].closed = 1;
	r->stop = stop_words[at].stop;
	r->complete = 1;
	stop_settle(d);
	return 0;
}

/* What waited for the rest of a tag. If it is too much, the answer was whole
 * before, or is cut here. */
static void
on_end(struct model_decode *d)
{
	struct err err;

	chat_think_flush(d, &err);
	stop_settle(d);
}

/* ---- events ---- */

/* The text of an event like the last that was learned. */
static int
on_text(struct model_decode *d, const char *text, size_t len, struct err *err)
{
	const struct chat *own = d->own;

	return chat_text(d, own->framed, text, len, err);
}

static int
on_event(struct model_decode *d, const char *event, const struct json *doc,
    struct err *err)
{
	const struct chat *own = d->own;
	const struct json *error;

	if (d->r.done_marker)
		return 0;
	if (json_is(doc, JSON_ARRAY))
		doc = json_first(doc);
	head_read(d, doc);
	usage_read(d, doc);
	if (chat_choices(d, json_get(doc, "choices"), err) < 0)
		return -1;
	model_copy_str(d->r.stop_raw, sizeof(d->r.stop_raw),
	    own->finish[0] == '\0' ? NULL : own->finish);
	error = chat_error(event, doc);
	if (error != NULL)
		return decode_said_error(d, error, err);
	if (own->finish[0] != '\0')
		return finish_read(d, err);
	chat_frame_learn(d, doc);
	return 0;
}

static void
on_fini(struct model_decode *d)
{
	chat_others_fini(d->own);
	chat_details_fini(d->own);
}

/* Padding against those who measure the length of what is sent. */
static const char *const varies[] = { "obfuscation", "p", NULL };

const struct decode_api decode_chat = {
	.name = "openai-chat",
	.own_bytes = sizeof(struct chat),
	.terminal = "a finish_reason",
	.reads_on = 1,
	.event = on_event,
	.end = on_end,
	.fini = on_fini,
	.varies = varies,
	.text = on_text,
	.write = chat_write,
	.print = chat_others_print,
};
