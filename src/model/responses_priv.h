/* SPDX-License-Identifier: MIT */
#ifndef MODEL_RESPONSES_PRIV_H
#define MODEL_RESPONSES_PRIV_H

#include <stdint.h>

#include "model/model.h"

struct err;
struct json;
struct model_decode;

/* What tells an item of the output. */
struct responses_key {
	const char *id; /* or NULL */
	int64_t index;  /* its place; -1: not said */
};

/* A type of items. */
struct responses_type {
	const char *type; /* NULL: of the provider's own */
	enum model_block_kind kind;

	/* The item of block at is whole, its texts are in the block: what the
	 * deltas did not say is kept and shown. 0 or -1. */
	int (*whole)(struct model_decode *d, int at, const struct json *item,
	    struct err *err);
	const char *input;      /* the member with a call's arguments */
	const char *neutral[3]; /* members that the neutral block has */
};

/* An event: what it does with the document. 0, or -1 and err. */
struct responses_event {
	const char *type; /* without "response." */
	int (*fn)(struct model_decode *d, const struct responses_event *t,
	    const struct json *doc, struct err *err);
	const char *member; /* the text; of a last event its word */
	enum model_block_kind kind;
};

/* ---- responses_item.c ---- */

/* Items of the output, opened and whole: 0, or -1 and err. */
int responses_item_added(
    struct model_decode *d, const struct json *doc, struct err *err);
int responses_item_done(
    struct model_decode *d, const struct json *doc, struct err *err);

/* The type of an item; NULL: nothing that could be told. */
const struct responses_type *responses_type_find(const struct json *item);

/* The block of an item; by_id: its id counts more than its place. NULL: none,
 * or more than one could be meant. */
struct model_block *responses_find(struct model_decode *d,
    enum model_block_kind kind, struct responses_key key, int by_id);

/* A new block, the last; valid until the next one. NULL and err. type, or
 * NULL: the block's own. */
struct model_block *responses_open(struct model_decode *d,
    enum model_block_kind kind, const char *type, struct responses_key key,
    struct err *err);

/*
 * The block of that kind that an event inside an item means, opened if there
 * is none; valid until the next is opened. NULL and err.
 */
struct model_block *responses_block(struct model_decode *d,
    enum model_block_kind kind, const struct json *doc, struct err *err);

/* What of an item the neutral block does not say. 0, or -1 and err. */
int responses_native(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err);

/* Whether a whole item cannot be the one of a block that is whole too. */
int responses_is_other(const struct model_block *b, const struct json *item);

/* The whole item of a block. 0, or -1 and err. */
int responses_item_whole(struct model_decode *d, struct model_block *b,
    const struct json *item, struct err *err);

/* ---- responses_text.c ---- */

/* Texts that are shown, and arguments: as responses_event.fn. */
int responses_text_delta(struct model_decode *d,
    const struct responses_event *t, const struct json *doc, struct err *err);
int responses_text_done(struct model_decode *d, const struct responses_event *t,
    const struct json *doc, struct err *err);
int responses_input_delta(struct model_decode *d,
    const struct responses_event *t, const struct json *doc, struct err *err);
int responses_input_done(struct model_decode *d,
    const struct responses_event *t, const struct json *doc, struct err *err);

/* ---- responses_whole.c ---- */

int responses_whole_message(
    struct model_decode *d, int at, const struct json *item, struct err *err);
int responses_whole_reasoning(
    struct model_decode *d, int at, const struct json *item, struct err *err);
int responses_whole_call(
    struct model_decode *d, int at, const struct json *item, struct err *err);

/* A text that is said whole: what of it is not in the block yet is kept and
 * shown; nothing if the block says something else. 0, or -1 and err. */
int responses_catch_up(struct model_decode *d, struct model_block *b,
    const char *text, struct err *err);

/* The arguments of a call, whole: they take the place of what was there.
 * NULL, null and "" change nothing. 0, or -1 and err. */
int responses_input(struct model_decode *d, struct model_block *b,
    const struct json *value, struct err *err);

/* The whole output, at the end: what the events before did not say. 0 or -1. */
int responses_output(
    struct model_decode *d, const struct json *output, struct err *err);

/* ---- responses_content.c ---- */

/* A block for the history; see struct decode_api. */
int responses_write(struct model_decode *d, int at);

#endif
