/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CHAT_WIRE_H
#define MODEL_CHAT_WIRE_H

#include "base/buf.h"
#include "model/wire.h"

struct arena;
struct json;

/* What the files of the Chat API's wire have in common. */

/* ---- chat_answer.c ---- */

#define CHAT_ID_SIZE 128

/* A call's id as the provider takes it. NULL is "". */
void chat_id(
    char out[CHAT_ID_SIZE], const struct wire_model *model, const char *id);

/* Whether the model said it. */
int chat_is_answer(const struct wire_message *m);

/* What the model said; a is for what is needed meanwhile. */
void chat_add_answer(struct wire_text *t, struct arena *a,
    const struct wire_model *model, const struct wire_message *m);

/* A text that the model never said. */
void chat_add_text(
    struct wire_text *t, const struct wire_model *model, const char *text);

/* Of struct model_wire. */
void chat_cut(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m);

/* ---- chat_message.c ---- */

/* Of struct model_wire. */
void chat_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m);

/* Says of calls that have no results that there are none. */
void chat_seal(struct wire_text *t, const struct wire_model *model);

/* A message of the user's that is a text. */
void chat_add_user(
    struct wire_text *t, const struct wire_model *model, const char *text);

/* ---- chat_part.c ---- */

/* The parts of a message that is being made. */
struct chat_parts {
	struct buf list; /* commas between, no brackets */
	struct buf text; /* of the part, if it is a text and the only one */
	int count;
};

void chat_parts_init(struct chat_parts *p, struct arena *a);

/* A text; "" adds nothing. */
void chat_parts_text(struct chat_parts *p, const char *text);

/* A block of a user's or a result's content: text, image or document. What
 * the model does not take is told to it instead. Others add nothing. */
void chat_parts_block(struct chat_parts *p, const struct wire_model *model,
    const struct json *block);

/* Whether it goes as a part that is no text. */
int chat_is_media(const struct wire_model *model, const struct json *block);

/* The member content: a text where that is all. */
void chat_parts_write(struct buf *out, const struct chat_parts *p);

/* The text of a tool's result, with what is told of media that cannot go; "":
 * there is none. In a. media_r: it has some that can. */
const char *chat_result_text(struct arena *a, const struct wire_model *model,
    const struct json *result, int *media_r);

#endif
