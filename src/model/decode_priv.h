/* SPDX-License-Identifier: MIT */
#ifndef MODEL_DECODE_PRIV_H
#define MODEL_DECODE_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "model/complaint.h"
#include "model/decode.h"
#include "model/decode_api.h"
#include "model/text_frame.h"
#include "net/sse.h"

struct arena;
struct json;

#define DECODE_SCRATCH_BYTES 4096

/* How deep an event may nest: leaves room for the history around a block. */
#define DECODE_EVENT_DEPTH 48

#define DECODE_TOKENS_MAX INT64_C(1000000000000)

struct model_decode {
	const struct decode_api *api;
	unsigned quirks;
	struct sse sse;
	struct arena *scratch; /* of one event */
	struct model_sink sink;
	void *sink_ctx;
	size_t room; /* bytes that may still be kept */
	int interrupted, keep_raw;
	int block_cap;
	void *own; /* the API's */

	/* Of a delta that was parsed: those like it need not be. */
	struct text_frame frame;
	struct buf plain;  /* a text that came with escapes */
	int frame_block;   /* whose text it is, in r.block */
	const char *event; /* the one being read */
	size_t event_len;

	struct model_result r;
};

/* ---- decode.c ---- */

/* The provider said that it failed: fills r.failure from its document, in any
 * of the shapes of spec/providers.md, section 0. -1. */
int decode_said_error(
    struct model_decode *d, const struct json *doc, struct err *err);

/* A count of tokens, if it is there and makes sense. */
void decode_tokens(const struct json *from, const char *name, int64_t *to);

/* Keeps what the provider said of usage, if that is wanted. */
void decode_keep_usage(struct model_decode *d, const struct json *usage);

/* ---- decode_block.c ---- */

/* A new block, the last; valid until the next one. NULL and err: too many. */
struct model_block *decode_block_new(struct model_decode *d,
    enum model_block_kind kind, const char *type, struct err *err);

/* The last block of the provider's index, or NULL. */
struct model_block *decode_block_at(struct model_decode *d, int64_t index);

/* Keeps text in a block's buffer, within the bound of the answer. 0 or -1. */
int decode_keep(struct model_decode *d, struct buf *b, const char *text,
    size_t len, struct err *err);
int decode_keep_json(struct model_decode *d, struct buf *b,
    const struct json *j, struct err *err);

/* What was kept in b is wanted no longer: there is room for other. */
void decode_drop(struct model_decode *d, struct buf *b);
/* The same with its name, in an object that is open in b. */
int decode_keep_member(struct model_decode *d, struct buf *b,
    const struct json *member, struct err *err);

/* Text of a block, kept and shown at once. 0 or -1. */
int decode_show(struct model_decode *d, struct model_block *b, const char *text,
    size_t len, struct err *err);

/* An id or a name: 0, or -1 if it is too long. NULL changes nothing. */
int decode_copy_id(char *dst, size_t size, const char *src, struct err *err);

/* This event is text of b, its member name, and nothing else that matters:
 * those like it need not be parsed (text_frame_learn). 1 if it was learned. */
int decode_frame_learn(struct model_decode *d, const struct model_block *b,
    const char *name, const char *text);

/* An event that was learned: 1, and *rc_r as event of the API. */
int decode_frame(struct model_decode *d, const char *data, size_t len,
    int *rc_r, struct err *err);

/* ---- decode_content.c ---- */

/* Writes r.content. Ends the use of the scratch arena's document. */
void decode_content_make(struct model_decode *d);

/* A block in the neutral form: see struct decode_api. */
int decode_write(struct model_decode *d, int at);

/* The arguments as they run, in the scratch arena: NULL if there are none or
 * they are no whole object. Sets b->valid and b->cut. */
const struct json *decode_input(struct model_decode *d, int at);

/* Names a call for the history, if the caller wants that. 1 if it did. */
int decode_name_call(struct model_decode *d, struct model_block *b);

/* The name of a call, or what stands for one that no provider would take. */
const char *decode_call_name(const struct model_block *b);

/* Whether the turn's rules let a block with arguments into the history. */
int decode_replayable(const struct model_result *r, int at);

#endif
