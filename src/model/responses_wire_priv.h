/* SPDX-License-Identifier: MIT */
#ifndef MODEL_RESPONSES_WIRE_PRIV_H
#define MODEL_RESPONSES_WIRE_PRIV_H

struct buf;
struct json;
struct wire_message;
struct wire_model;
struct wire_text;

/* ---- responses_input.c ---- */

/* As model_wire.add. */
void responses_add(struct wire_text *t, const struct wire_model *model,
    const struct wire_message *m);

/* Whether a block or an item is of that type; NULL is of none. */
int responses_is(const struct json *block, const char *type);

/* Whether there is no text: NULL, or "". */
int responses_blank(const char *text);

/* Opens an item of the input, which the caller closes. */
void responses_item(struct wire_text *t, const char *type);

/* ---- responses_answer.c ---- */

/* The content of a message of an assistant's; own: of the same model. */
void responses_answer(struct wire_text *t, const struct json *content, int own);

/* ---- responses_tools.c ---- */

/* As model_wire.tools. */
void responses_tools(struct buf *out, const char *tools, unsigned quirks);

#endif
