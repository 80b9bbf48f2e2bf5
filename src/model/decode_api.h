/* SPDX-License-Identifier: MIT */
#ifndef MODEL_DECODE_API_H
#define MODEL_DECODE_API_H

#include <stddef.h>

struct buf;
struct err;
struct json;
struct model_block;
struct model_decode;

/* What is an API's own: a row of the table in decode.c. */
struct decode_api {
	const char *name;
	size_t own_bytes;     /* of model_decode.own, zeroed */
	const char *terminal; /* what ends an answer, for people */
	int reads_on;         /* something may follow a whole answer */
	int refusal_apart;    /* the document's blocks leave refusals out */
	const char *const *varies; /* in text events (text_frame_learn) */

	/*
	 * An event: 0, or -1 and err. It sets r.complete when the answer is
	 * whole. doc is gone with the next event. event is SSE's name.
	 */
	int (*event)(struct model_decode *d, const char *event,
	    const struct json *doc, struct err *err);

	/* The stream has ended, before anything is made of it; or NULL. */
	void (*end)(struct model_decode *d);

	/* Frees what own has; or NULL. */
	void (*fini)(struct model_decode *d);

	/* An event told by d->frame, before its text is taken: d->frame.number
	 * has what varies. 1, or 0: parse it instead. NULL: 1. */
	int (*framed)(struct model_decode *d, const char *data, size_t len);

	/* The text of an event like the last that was learned. NULL: it is
	 * shown in that one's block. 0, or -1 and err. */
	int (*text)(struct model_decode *d, const char *text, size_t len,
	    struct err *err);

	/*
	 * Writes block at to r.content, as the history has it: how many
	 * blocks it is there, 0 if it cannot be sent back. NULL: decode_write.
	 */
	int (*write)(struct model_decode *d, int at);

	/* Members of a block and of the document that only it has; or NULL.
	 * native is b->native parsed, or NULL. */
	void (*print_block)(struct buf *b, const struct model_block *blk,
	    const struct json *native);
	void (*print)(struct buf *b, struct model_decode *d);
};

extern const struct decode_api decode_anthropic;
extern const struct decode_api decode_gemini;
extern const struct decode_api decode_responses;
extern const struct decode_api decode_chat;

#endif
