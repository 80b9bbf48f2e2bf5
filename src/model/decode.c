/* SPDX-License-Identifier: MIT */
/*
 * A model's stream of events, whichever API it speaks.
 *
 * The API (struct decode_api) says what an event means; here is what they
 * share: events out of bytes, the end, failures. What is not known is
 * ignored, but what is known and makes no sense (a delta for no block, data
 * that is no JSON) fails the answer: text must not get lost in silence.
 *
 * Text goes to the sink as it comes. For the history each block is kept until
 * the end and then written (decode_content.c). The arguments of a call are
 * parsed once, when it is written.
 *
 * An event is parsed in a scratch arena that is reset by the next one; the
 * texts are in growing buffers. A text event like the one before costs a
 * comparison and two copies, and no malloc once the buffers have their size.
 * One thread at a time: the loop that reads the connection.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode_priv.h"

static const struct decode_api *const apis[MODEL_APIS] = {
	[MODEL_API_ANTHROPIC] = &decode_anthropic,
	[MODEL_API_GEMINI] = &decode_gemini,
	[MODEL_API_RESPONSES] = &decode_responses,
	[MODEL_API_CHAT] = &decode_chat,
};

enum model_api
model_api_find(const char *name)
{
	int i = 0;

	while (i < MODEL_APIS &&
	       (apis[i] == NULL || strcmp(apis[i]->name, name) != 0))
		i++;
	return (enum model_api)i;
}

const char *
model_api_name(enum model_api api)
{
	return apis[api]->name;
}

/* ---- what APIs share ---- */

int
decode_said_error(
    struct model_decode *d, const struct json *doc, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	struct complaint c;

	complaint_read(doc, &c);
	complaint_fill(&c, f);
	f->said = 1;
	if (f->message[0] == '\0')
		model_copy_str(f->message, sizeof(f->message),
		    "the provider did not say why");
	complaint_judge(&c, 0, f);
	return err_set(err, ERR_MODEL, "%s: %s",
	    f->type[0] == '\0' ? "error" : f->type, f->message);
}

void
decode_tokens(const struct json *from, const char *name, int64_t *to)
{
	int64_t n;

	if (json_get_int(from, name, &n) && n >= 0 && n <= DECODE_TOKENS_MAX)
		*to = n;
}

void
decode_keep_usage(struct model_decode *d, const struct json *usage)
{
	struct buf *b = &d->r.usage_raw;
	const struct json *old, *m;

	if (!d->keep_raw || !json_is(usage, JSON_OBJECT))
		return;
	old = json_parse(d->scratch, buf_str(b), b->len, JSON_DEPTH_MAX, NULL);
	buf_clear(b);
	json_open(b, NULL, '{');
	for (m = json_first(old); m != NULL; m = json_next(m))
		if (json_get(usage, json_name(m)) == NULL)
			json_add_json(b, json_name(m), m);
	for (m = json_first(usage); m != NULL; m = json_next(m))
		json_add_json(b, json_name(m), m);
	json_close(b, '}');
}

/* ---- events ---- */

static int
is_done_marker(const char *data, size_t len)
{
	while (len > 0 && strchr(" \t\n", data[len - 1]) != NULL)
		len--;
	while (len > 0 && strchr(" \t\n", *data) != NULL)
		data++, len--;
	return len == 6 && memcmp(data, "[DONE]", 6) == 0;
}

/* After EOF it is not bad, only cut: finish will say so. */
static int
on_bad_json(struct model_decode *d, const char *event, const char *data,
    size_t len, struct err *err)
{
	static const struct complaint nothing;
	struct model_failure *f = &d->r.failure;

	if (d->sse.tail)
		return 0;
	if (strcmp(event, "error") == 0) {
		f->failed = 1;
		f->said = 1;
		model_copy_message(f->message, sizeof(f->message), data, len);
		complaint_judge(&nothing, 0, f);
		return err_set(err, ERR_MODEL, "error: %s", f->message);
	}
	return err_prefix(err, "event %d", d->r.events);
}

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct model_decode *d = ctx;
	const struct json *doc;
	int rc;

	d->r.events++;
	if (is_done_marker(data, len)) {
		d->r.done_marker = 1;
		text_frame_forget(&d->frame);
		return 0;
	}
	if (d->r.complete && !d->api->reads_on)
		return 0;
	if (decode_frame(d, data, len, &rc, err))
		return rc;
	d->event = data;
	d->event_len = len;
	arena_reset(d->scratch);
	doc = json_parse(d->scratch, data, len, DECODE_EVENT_DEPTH, err);
	if (doc == NULL)
		return on_bad_json(d, event, data, len, err);
	rc = d->api->event(d, event, doc, err);
	if (rc == 0 && d->r.complete && !d->api->reads_on)
		decode_content_make(d);
	return rc;
}

/* ---- the decoder ---- */

struct model_decode *
model_decode_new(enum model_api api, unsigned quirks,
    const struct model_sink *sink, void *sink_ctx,
    const struct model_bounds *bounds)
{
	struct model_decode *d = calloc(1, sizeof(*d));

	if (d == NULL)
		abort();
	d->api = apis[api];
	d->quirks = quirks;
	d->own = calloc(1, d->api->own_bytes + 1);
	if (d->own == NULL)
		abort();
	sse_init(&d->sse, bounds->event_bytes, on_event, d);
	d->scratch = arena_open(DECODE_SCRATCH_BYTES);
	if (sink != NULL)
		d->sink = *sink;
	d->sink_ctx = sink_ctx;
	d->room = bounds->answer_bytes;
	d->r.usage = (struct model_usage){ -1, -1, -1, -1, -1 };
	buf_init(&d->plain, NULL);
	buf_init(&d->r.content, NULL);
	buf_init(&d->r.usage_raw, NULL);
	buf_init(&d->plain, NULL);
	return d;
}

void
model_decode_free(struct model_decode **d_p)
{
	struct model_decode *d = *d_p;

	if (d == NULL)
		return;
	*d_p = NULL;
	if (d->api->fini != NULL)
		d->api->fini(d);
	for (int i = 0; i < d->r.block_count; i++) {
		buf_fini(&d->r.block[i].text);
		buf_fini(&d->r.block[i].signature);
		buf_fini(&d->r.block[i].cited);
		buf_fini(&d->r.block[i].native);
		buf_fini(&d->r.block[i].item);
	}
	free(d->r.block);
	free(d->own);
	buf_fini(&d->plain);
	buf_fini(&d->r.content);
	buf_fini(&d->r.usage_raw);
	buf_fini(&d->plain);
	arena_close(&d->scratch);
	sse_fini(&d->sse);
	free(d);
}

void
model_decode_keep_raw(struct model_decode *d)
{
	d->keep_raw = 1;
}

/* The first failure counts; once the answer is whole, only what the provider
 * says, and nothing where nothing may follow. */
static int
decode_failed(struct model_decode *d, const struct err *why, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	int large = why->code == ERR_TOO_LARGE;

	if (d->r.complete && !f->said) {
		if (d->api->reads_on)
			decode_content_make(d);
		return 0;
	}
	if (!f->failed) {
		model_failure_set(
		    f, MODEL_CLASS_PROTOCOL, large ? "too_large" : "bad_event");
		if (large)
			f->retryable = 0;
		model_copy_str(f->message, sizeof(f->message), why->text);
	}
	if (f->kind == MODEL_CLASS_NONE) /* an API's own words for it */
		f->kind = MODEL_CLASS_PROTOCOL;
	if (!d->r.complete)
		d->r.stop = MODEL_STOP_ERROR;
	decode_content_make(d);
	return err_set(err, large ? ERR_TOO_LARGE : ERR_MODEL, "%s", why->text);
}

/* What a call after the end gets. */
static int
decode_over(const struct model_decode *d, struct err *err)
{
	if (d->interrupted)
		return err_set(err, ERR_CANCELLED, "the answer was stopped");
	if (d->r.failure.failed)
		return err_set(err, ERR_MODEL, "%s", d->r.failure.message);
	return 0;
}

int
model_decode_feed(
    struct model_decode *d, const char *p, size_t len, struct err *err)
{
	struct err why = { 0 };

	if (d->sse.over || d->interrupted)
		return decode_over(d, err);
	if (sse_feed(&d->sse, p, len, &why) < 0)
		return decode_failed(d, &why, err);
	return 0;
}

/* A JSON error among the lines that are no events: 0 if there is none. Some
 * servers begin it as if "error" were a field. */
static int
stray_error(struct model_decode *d, struct err *err)
{
	static const char field[] = "error:";
	const char *p = buf_str(&d->sse.stray);
	size_t len = d->sse.stray.len;
	const struct json *doc;

	if (len > sizeof(field) && memcmp(p, field, sizeof(field) - 1) == 0) {
		p += sizeof(field) - 1;
		len -= sizeof(field) - 1;
	}
	arena_reset(d->scratch);
	doc = json_parse(d->scratch, p, len, DECODE_EVENT_DEPTH, NULL);
	if (json_is(doc, JSON_ARRAY))
		doc = json_first(doc);
	if (json_get(doc, "error") == NULL)
		return 0;
	d->r.failure.outside = 1;
	return decode_said_error(d, doc, err);
}

static int
decode_cut(struct model_decode *d, struct err *err)
{
	struct model_failure *f = &d->r.failure;

	model_failure_set(f, MODEL_CLASS_PROTOCOL, "stream_cut");
	if (d->r.events == 0)
		model_copy_str(f->message, sizeof(f->message),
		    "the stream ended without an event");
	else
		snprintf(f->message, sizeof(f->message),
		    "the stream ended before %s", d->api->terminal);
	return err_set(err, ERR_MODEL, "%s", f->message);
}

int
model_decode_finish(struct model_decode *d, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if (d->sse.over || d->interrupted)
		return decode_over(d, err);
	rc = sse_finish(&d->sse, &why);
	d->r.unterminated_tail = d->sse.tail;
	if (rc == 0 && d->api->end != NULL)
		d->api->end(d);
	if (rc == 0 && (!d->r.complete || d->api->reads_on))
		rc = stray_error(d, &why);
	if (rc == 0 && d->r.failure.failed)
		rc = err_set(&why, ERR_MODEL, "%s", d->r.failure.message);
	if (rc == 0 && !d->r.complete)
		rc = decode_cut(d, &why);
	if (rc < 0)
		return decode_failed(d, &why, err);
	if (d->api->reads_on)
		decode_content_make(d);
	return 0;
}

void
model_decode_interrupt(struct model_decode *d)
{
	if (d->sse.over || (d->r.complete && !d->api->reads_on))
		return;
	d->interrupted = 1;
	decode_content_make(d);
}

struct model_result *
model_decode_result(struct model_decode *d)
{
	return &d->r;
}
