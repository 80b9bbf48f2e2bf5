/* SPDX-License-Identifier: MIT */
#ifndef MODEL_GEMINI_WIRE_PRIV_H
#define MODEL_GEMINI_WIRE_PRIV_H

#include "model/wire.h"

struct buf;
struct json;

/* Whether a model is of a generation before the third, by its name: those
 * know no images within the result of a call and want no signatures. */
int gemini_is_old(const struct wire_model *model);

/* ---- gemini_contents.c ---- */

/* The row's function. */
void gemini_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m);

/* A text as a part: 1, or 0 if there is none. */
int gemini_text(struct buf *out, const char *text);

/* A text that is not empty as a part of the user's, behind all others. */
void gemini_user_text(struct wire_text *t, const char *text);

/* The id that Gemini has given to a call of the last message, if it has, as a
 * member of the result. ours is the history's. */
void gemini_id_again(struct wire_text *t, const char *ours);

/* ---- gemini_user.c ---- */

/* The blocks of a user's message as parts: how many they are. */
int gemini_user_blocks(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m);

/* ---- gemini_schema.c ---- */

/* A JSON schema as Gemini takes it, if it is an object. */
void gemini_schema(struct buf *out, const char *name, const struct json *j);

#endif
