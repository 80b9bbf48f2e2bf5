/* SPDX-License-Identifier: MIT */
#ifndef MODEL_ANTHROPIC_PRIV_H
#define MODEL_ANTHROPIC_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"
#include "model/text_frame.h"
#include "net/sse.h"

struct arena;
struct json;

#define ANTHROPIC_SCRATCH_BYTES 4096

/* How deep an event may nest: leaves room for the history around a block. */
#define ANTHROPIC_EVENT_DEPTH 48

struct anthropic_decode {
	struct sse sse;
	struct arena *scratch; /* of one event */
	struct model_sink sink;
	void *sink_ctx;
	size_t room; /* bytes that may still be kept */
	int interrupted;
	int block_cap;
	int64_t uncached; /* input_tokens, which leaves out the cache */

	/* Of a delta that was parsed: those like it need not be. */
	struct text_frame frame;
	int64_t frame_index; /* the block's */
	enum model_block_kind frame_kind;
	const char *event; /* the one being read */
	size_t event_len;

	struct model_result r;
};

/* What an error document says; the strings are the document's. */
struct complaint {
	const char *type;
	const char *message;
	const char *detail; /* OpenRouter: what the provider behind it said */
	int64_t status;     /* 0: not said */
	int final;          /* never retry, whatever the status */
};

/* Events of content blocks: 0, or -1 and err. */
int anthropic_block_start(
    struct anthropic_decode *d, const struct json *doc, struct err *err);
int anthropic_block_delta(
    struct anthropic_decode *d, const struct json *doc, struct err *err);
int anthropic_block_stop(
    struct anthropic_decode *d, const struct json *doc, struct err *err);

/*
 * An event that differs from an earlier delta in its text only, without a
 * parser. 1 if it was one, and *rc_r as above.
 */
int anthropic_block_frame(struct anthropic_decode *d, const char *data,
    size_t len, int *rc_r, struct err *err);

/* Writes result.content. Ends the use of the scratch arena's document. */
void anthropic_content_make(struct anthropic_decode *d);

/* Any of the shapes of spec/providers.md, section 0. */
void anthropic_complaint_read(const struct json *doc, struct complaint *c);

/* Of an error inside a stream, where there is no status. */
int anthropic_complaint_retryable(const struct complaint *c);

void anthropic_complaint_fill(
    const struct complaint *c, struct model_failure *f);

/* Copies as many whole characters as fit; NULL changes nothing. */
void anthropic_copy_str(char *dst, size_t size, const char *src);

/* One line of valid UTF-8, cut to fit, no control characters, no keys. */
void anthropic_message_copy(
    char *dst, size_t size, const char *src, size_t len);

#endif
