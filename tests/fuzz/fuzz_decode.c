/* SPDX-License-Identifier: MIT */
/*
 * The decoder of an API (FUZZ_API) on any bytes: whole, and in pieces whose
 * sizes come from the bytes themselves, gives the same result. The content is
 * always JSON, what the sink got is the text of the result, and an error body
 * never breaks anything. Blocks may arrive mixed, so that only where there is
 * one it is the text byte for byte. The corpus is plain streams. FUZZ_QUIRKS,
 * if the API has any, are tried too: what they make of a text may be other
 * than what was shown of it.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/decode.h"

#ifndef FUZZ_QUIRKS
#define FUZZ_QUIRKS 0
#endif

static const struct model_bounds bounds = { 2048, 4096 };

struct run {
	struct model_decode *d;
	struct buf text; /* what the sink got */
	struct buf doc;
	struct err err;
	int rc;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
sink_text(void *ctx, const char *text, size_t len)
{
	struct run *r = ctx;

	must(len > 0 && json_utf8_whole(text, len) == len);
	buf_add(&r->text, text, len);
}

static const struct model_sink sink = { .text = sink_text };

/* In memory of its own, so that nothing reads past a piece or keeps it. */
static void
feed_piece(struct run *r, const uint8_t *data, size_t len)
{
	char *piece = malloc(len);

	must(piece != NULL);
	memcpy(piece, data, len);
	r->rc = model_decode_feed(r->d, piece, len, &r->err);
	free(piece);
}

static void
feed(struct run *r, const uint8_t *data, size_t len, int split, unsigned quirks)
{
	memset(r, 0, sizeof(*r));
	buf_init(&r->text, NULL);
	buf_init(&r->doc, NULL);
	r->d = model_decode_new(FUZZ_API, quirks, &sink, r, &bounds);
	for (size_t at = 0, n; r->rc == 0 && at < len; at += n) {
		n = split ? 1 + data[at] * 31u % 17 : len;
		if (n > len - at)
			n = len - at;
		feed_piece(r, data + at, n);
	}
}

static void
run_fini(struct run *r)
{
	model_decode_free(&r->d);
	buf_fini(&r->text);
	buf_fini(&r->doc);
}

static void
check_content(const struct model_result *r)
{
	struct arena *a = arena_open(4096);
	const struct json *doc = json_parse(
	    a, buf_str(&r->content), r->content.len, JSON_DEPTH_MAX, NULL);

	must(json_is(doc, JSON_ARRAY));
	must(json_count(doc) == (size_t)r->blocks);
	arena_close(&a);
}

static void
check_shown(const struct run *r, const struct model_result *res)
{
	const struct model_block *b = res->block;
	size_t len = 0;

	for (int i = 0; i < res->block_count; i++, b++) {
		if (b->kind != MODEL_BLOCK_TEXT &&
		    b->kind != MODEL_BLOCK_REFUSAL)
			continue;
		len += b->text.len;
		must(b->text.len != r->text.len ||
		     memcmp(buf_str(&b->text), buf_str(&r->text),
			 b->text.len) == 0);
	}
	must(len == r->text.len);
}

static void
check_result(struct run *r, unsigned quirks)
{
	const struct model_result *res = model_decode_result(r->d);

	must(r->rc != 0 || res->complete);
	must(r->rc != 0 || !res->failure.failed);
	must(!res->failure.failed || res->failure.kind != MODEL_CLASS_NONE);
	check_content(res);
	if (quirks == 0)
		check_shown(r, res);
	model_decode_print(&r->doc, r->d, NULL, NULL);
	must(json_check(r->doc.data, r->doc.len, JSON_DEPTH_MAX, NULL) == 0);
}

static void
check_split(const uint8_t *data, size_t len, unsigned quirks)
{
	struct run r[2];

	for (int i = 0; i < 2; i++) {
		feed(&r[i], data, len, i, quirks);
		if (r[i].rc == 0)
			r[i].rc = model_decode_finish(r[i].d, &r[i].err);
		check_result(&r[i], quirks);
	}
	must(r[0].rc == r[1].rc && r[0].err.code == r[1].err.code);
	must(strcmp(r[0].doc.data, r[1].doc.data) == 0);
	must(strcmp(model_decode_result(r[0].d)->content.data,
		 model_decode_result(r[1].d)->content.data) == 0);
	run_fini(&r[0]);
	run_fini(&r[1]);
}

static void
check_interrupt(const uint8_t *data, size_t len)
{
	struct run r;

	feed(&r, data, len, 0, 0);
	model_decode_interrupt(r.d);
	check_content(model_decode_result(r.d));
	run_fini(&r);
}

static void
check_error(const uint8_t *data, size_t len)
{
	struct model_reply reply = { .status = 429, .len = len };
	struct model_failure f;
	char *body = malloc(len + 1), *header = malloc(len + 1);

	must(body != NULL && header != NULL);
	memcpy(body, data, len);
	memcpy(header, data, len);
	header[len] = '\0';
	reply.body = body;
	reply.retry_after = header;
	model_error_decode(&reply, &f);
	must(f.failed && f.message[0] != '\0');
	must(
	    json_utf8_whole(f.message, strlen(f.message)) == strlen(f.message));
	must(json_utf8_whole(f.type, strlen(f.type)) == strlen(f.type));
	must(json_utf8_whole(f.request_id, strlen(f.request_id)) ==
	     strlen(f.request_id));
	must(f.retry_after_ms >= 0 && f.retry_after_ms <= 86400000);
	must(f.kind > MODEL_CLASS_NONE && f.kind < MODEL_CLASSES);
	must(!f.retry_once || f.kind == MODEL_CLASS_PROTOCOL);
	free(body);
	free(header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_split(data, len, 0);
	if (FUZZ_QUIRKS != 0)
		check_split(data, len, FUZZ_QUIRKS);
	check_interrupt(data, len);
	check_error(data, len);
	return 0;
}
