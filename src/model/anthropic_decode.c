/* SPDX-License-Identifier: MIT */
/*
 * Anthropic's stream of events, and its errors.
 *
 * An answer is a list of content blocks. Each is opened with its type, grows
 * by deltas and is closed; message_delta brings the stop reason and the final
 * usage; message_stop ends it. The JSON "type" decides, never the SSE name.
 * What is not known is ignored, but what is known and makes no sense (a delta
 * for no block, data that is no JSON) fails the answer: text must not get
 * lost in silence.
 *
 * Text goes to the sink as it comes. For the history each block is kept until
 * the end and then written as Anthropic wants it back: verbatim, in order,
 * with thinking and its signature, and with the provider's own blocks whole.
 * The arguments of a call are parsed once, when it is written.
 *
 * An event is parsed in a scratch arena that is reset by the next one; the
 * texts are in growing buffers. A text event like the one before costs a
 * comparison and two copies, and no malloc once the buffers have their size.
 * One thread at a time: the loop that reads the connection.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/anthropic_decode.h"
#include "model/anthropic_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define TOKENS_MAX INT64_C(1000000000000)

typedef int event_f(
    struct anthropic_decode *d, const struct json *doc, struct err *err);

/* Events */

/* Its numbers are cumulative: those that are said replace the earlier. */
static void
usage_read(struct anthropic_decode *d, const struct json *usage)
{
	struct model_usage *u = &d->r.usage;
	const struct {
		const struct json *from;
		const char *name;
		int64_t *to;
	} members[] = {
		{ usage, "input_tokens", &d->uncached },
		{ usage, "cache_read_input_tokens", &u->cached },
		{ usage, "cache_creation_input_tokens", &u->cache_write },
		{ usage, "output_tokens", &u->output },
		{ json_get(usage, "output_tokens_details"), "thinking_tokens",
		    &u->reasoning },
	};
	int64_t n;

	if (!json_is(usage, JSON_OBJECT))
		return;
	for (size_t i = 0; i < COUNT(members); i++)
		if (json_get_int(members[i].from, members[i].name, &n) &&
		    n >= 0 && n <= TOKENS_MAX)
			*members[i].to = n;
	if (u->cached < 0)
		u->cached = 0;
	if (u->cache_write < 0)
		u->cache_write = 0;
	u->input = d->uncached + u->cached + u->cache_write;
}

static int
on_message_start(
    struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	const struct json *m = json_get(doc, "message");
	struct model_result *r = &d->r;

	(void)err;
	anthropic_copy_str(
	    r->model, sizeof(r->model), json_get_str(m, "model"));
	anthropic_copy_str(
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
    struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	const struct json *delta = json_get(doc, "delta");
	const char *reason = json_get_str(delta, "stop_reason");
	struct model_result *r = &d->r;

	(void)err;
	if (reason != NULL) {
		r->stop = stop_find(reason);
		anthropic_copy_str(r->stop_raw, sizeof(r->stop_raw), reason);
	}
	anthropic_copy_str(r->stop_sequence, sizeof(r->stop_sequence),
	    json_get_str(delta, "stop_sequence"));
	usage_read(d, json_get(doc, "usage"));
	return 0;
}

static int
on_message_stop(
    struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	(void)doc;
	(void)err;
	d->r.complete = 1;
	if (d->r.stop == MODEL_STOP_NONE)
		d->r.stop = MODEL_STOP_OTHER;
	anthropic_content_make(d);
	return 0;
}

static int
on_ping(struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	(void)d;
	(void)doc;
	(void)err;
	return 0;
}

static int
on_error(struct anthropic_decode *d, const struct json *doc, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	struct complaint c;

	anthropic_complaint_read(doc, &c);
	anthropic_complaint_fill(&c, f);
	f->retryable = anthropic_complaint_retryable(&c);
	anthropic_copy_str(d->r.request_id, sizeof(d->r.request_id),
	    json_get_str(doc, "request_id"));
	return err_set(err, ERR_MODEL, "%s: %s",
	    f->type[0] == '\0' ? "error" : f->type, f->message);
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
on_bad_json(struct anthropic_decode *d, const char *event, const char *data,
    size_t len, struct err *err)
{
	struct model_failure *f = &d->r.failure;

	if (d->sse.tail)
		return 0;
	if (strcmp(event, "error") == 0) {
		f->failed = 1;
		f->retryable = 1;
		anthropic_message_copy(
		    f->message, sizeof(f->message), data, len);
		return err_set(err, ERR_MODEL, "error: %s", f->message);
	}
	return err_prefix(err, "event %d", d->r.events);
}

static int
on_event(
    void *ctx, const char *event, const char *data, size_t len, struct err *err)
{
	struct anthropic_decode *d = ctx;
	const struct json *doc;
	const char *type;
	int rc;

	d->r.events++;
	if (is_done_marker(data, len)) {
		d->r.done_marker = 1;
		return 0;
	}
	if (d->r.complete)
		return 0;
	if (anthropic_block_frame(d, data, len, &rc, err))
		return rc;
	d->event = data;
	d->event_len = len;
	arena_reset(d->scratch);
	doc = json_parse(d->scratch, data, len, ANTHROPIC_EVENT_DEPTH, err);
	if (doc == NULL)
		return on_bad_json(d, event, data, len, err);
	type = event_type(doc, event);
	for (size_t i = 0; i < COUNT(event_types); i++)
		if (strcmp(event_types[i].type, type) == 0)
			return event_types[i].fn(d, doc, err);
	return 0;
}

/* The decoder */

struct anthropic_decode *
anthropic_decode_new(const struct model_sink *sink, void *sink_ctx,
    const struct model_bounds *bounds)
{
	struct anthropic_decode *d = calloc(1, sizeof(*d));

	if (d == NULL)
		abort();
	sse_init(&d->sse, bounds->event_bytes, on_event, d);
	d->scratch = arena_open(ANTHROPIC_SCRATCH_BYTES);
	if (sink != NULL)
		d->sink = *sink;
	d->sink_ctx = sink_ctx;
	d->room = bounds->answer_bytes;
	d->r.usage = (struct model_usage){ -1, -1, -1, -1, -1 };
	buf_init(&d->r.content, NULL);
	return d;
}

void
anthropic_decode_free(struct anthropic_decode **d_p)
{
	struct anthropic_decode *d = *d_p;

	if (d == NULL)
		return;
	*d_p = NULL;
	for (int i = 0; i < d->r.block_count; i++) {
		buf_fini(&d->r.block[i].text);
		buf_fini(&d->r.block[i].signature);
		buf_fini(&d->r.block[i].cited);
		buf_fini(&d->r.block[i].start);
	}
	free(d->r.block);
	buf_fini(&d->r.content);
	arena_close(&d->scratch);
	sse_fini(&d->sse);
	free(d);
}

/* The first failure counts, and none counts after message_stop. */
static int
decode_failed(
    struct anthropic_decode *d, const struct err *why, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	int large = why->code == ERR_TOO_LARGE;

	if (d->r.complete)
		return 0;
	if (!f->failed) {
		f->failed = 1;
		f->retryable = !large;
		anthropic_copy_str(f->type, sizeof(f->type),
		    large ? "too_large" : "bad_event");
		anthropic_copy_str(f->message, sizeof(f->message), why->text);
	}
	d->r.stop = MODEL_STOP_ERROR;
	anthropic_content_make(d);
	return err_set(err, large ? ERR_TOO_LARGE : ERR_MODEL, "%s", why->text);
}

/* What a call after the end gets. */
static int
decode_over(const struct anthropic_decode *d, struct err *err)
{
	if (d->r.complete)
		return 0;
	if (d->interrupted)
		return err_set(err, ERR_CANCELLED, "the answer was stopped");
	return err_set(err, ERR_MODEL, "%s", d->r.failure.message);
}

int
anthropic_decode_feed(
    struct anthropic_decode *d, const char *p, size_t len, struct err *err)
{
	struct err why = { 0 };

	if (d->sse.over || d->interrupted)
		return decode_over(d, err);
	if (sse_feed(&d->sse, p, len, &why) < 0)
		return decode_failed(d, &why, err);
	return 0;
}

/* The stream ended too early: because of an error outside its events? */
static int
decode_cut(struct anthropic_decode *d, struct err *err)
{
	struct model_failure *f = &d->r.failure;
	const struct buf *stray = &d->sse.stray;
	const struct json *doc;

	arena_reset(d->scratch);
	doc = json_parse(d->scratch, buf_str(stray), stray->len,
	    ANTHROPIC_EVENT_DEPTH, NULL);
	if (json_is(doc, JSON_ARRAY))
		doc = json_first(doc);
	if (doc != NULL && strcmp(event_type(doc, ""), "error") == 0)
		return on_error(d, doc, err);
	f->failed = 1;
	f->retryable = 1;
	anthropic_copy_str(f->type, sizeof(f->type), "stream_cut");
	anthropic_copy_str(f->message, sizeof(f->message),
	    d->r.events == 0 ? "the stream ended without an event"
			     : "the stream ended before message_stop");
	return err_set(err, ERR_MODEL, "%s", f->message);
}

int
anthropic_decode_finish(struct anthropic_decode *d, struct err *err)
{
	struct err why = { 0 };
	int rc;

	if (d->sse.over || d->interrupted)
		return decode_over(d, err);
	rc = sse_finish(&d->sse, &why);
	d->r.unterminated_tail = d->sse.tail;
	if (rc == 0 && !d->r.complete)
		rc = decode_cut(d, &why);
	return rc < 0 ? decode_failed(d, &why, err) : 0;
}

void
anthropic_decode_interrupt(struct anthropic_decode *d)
{
	if (d->sse.over || d->r.complete)
		return;
	d->interrupted = 1;
	anthropic_content_make(d);
}

struct model_result *
anthropic_decode_result(struct anthropic_decode *d)
{
	return &d->r;
}
