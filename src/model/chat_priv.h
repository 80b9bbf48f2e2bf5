/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CHAT_PRIV_H
#define MODEL_CHAT_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/model.h"

struct err;
struct json;
struct model_decode;

/* Where in the text an answer is, of a server that leaves the tags in it. */
enum chat_tags {
	CHAT_TAGS_START, /* nothing came but white space */
	CHAT_TAGS_NONE,  /* text, or thinking whose tag was in the prompt */
	CHAT_TAGS_OPEN,  /* behind <think> and white space */
	CHAT_TAGS_THINK,
	CHAT_TAGS_CLOSED, /* behind </think> and white space */
	CHAT_TAGS_TEXT
};

struct chat_think {
	enum chat_tags at;
	size_t matched; /* of the tag that is looked for; not shown yet */
	size_t leads;   /* white space before it, at the start; as much */
	char lead[32];
};

/* A piece of reasoning that must go back as it came. */
struct chat_detail {
	char type[64];
	int64_t index;
	unsigned seen;    /* members that rest has */
	struct buf text;  /* of the member that grows */
	struct buf rest;  /* an object, still open: the other members */
	const char *grew; /* its name, or NULL */
};

/* Another choice than the first: only people look at it. */
struct chat_other {
	int64_t index;
	struct buf text;
	char finish[64];
};

/* What is the Chat API's own of a decoder. */
struct chat {
	struct chat_think think;
	enum model_block_kind framed; /* what the text of the frame is */
	char finish[64];              /* of the event; "": not said */
	struct chat_detail *detail;
	int details, detail_cap;
	struct chat_other *other;
	int others;
};

/* ---- chat_block.c: all 0, or -1 and err ---- */

/* Text of a kind, behind what is there or in a new block. */
int chat_show(struct model_decode *d, enum model_block_kind kind,
    const char *text, size_t len, struct err *err);

/* The same, where the text may have tags. */
int chat_text(struct model_decode *d, enum model_block_kind kind,
    const char *text, size_t len, struct err *err);

/* A member of a delta: text, typed parts, or nothing. */
int chat_value(struct model_decode *d, enum model_block_kind kind,
    const struct json *value, struct err *err);

/* The members tool_calls and function_call of a delta. */
int chat_calls(
    struct model_decode *d, const struct json *delta, struct err *err);

/* ---- chat_choice.c ---- */

/* The member choices: 0, or -1 and err. Sets own->finish. */
int chat_choices(
    struct model_decode *d, const struct json *choices, struct err *err);

/* An event that was read without errors: those like it need not be. */
void chat_frame_learn(struct model_decode *d, const struct json *doc);

void chat_others_print(struct buf *b, struct model_decode *d);
void chat_others_fini(struct chat *own);

/* ---- chat_think.c ---- */

/* Text that may have tags: 0, or -1 and err. */
int chat_think(
    struct model_decode *d, const char *text, size_t len, struct err *err);

/* What looked like the start of a tag is none: something else follows. */
int chat_think_flush(struct model_decode *d, struct err *err);

/* ---- chat_detail.c ---- */

/* The member reasoning_details; show: their text is shown as thinking, because
 * the delta has no other. 0, or -1 and err. */
int chat_details(
    struct model_decode *d, const struct json *list, int show, struct err *err);

/* See struct decode_api. */
int chat_write(struct model_decode *d, int at);
void chat_details_fini(struct chat *own);

/* ---- chat_error.c ---- */

/* What in an event says that the answer failed, or NULL. */
const struct json *chat_error(const char *event, const struct json *doc);

#endif
