/* SPDX-License-Identifier: MIT */
#ifndef MODEL_CONTENT_H
#define MODEL_CONTENT_H

struct arena;
struct err;
struct json;
struct model;

/*
 * Images and documents: what a model takes of the blocks that a message may
 * have. Sources are of type base64, url, file (Anthropic's Files API) or text.
 */

/* Whether all blocks of a content can be sent to it: 0, or -1 and ERR_INVALID
 * that says what it does not take. A text is always taken. */
int content_check(
    const struct model *m, const struct json *content, struct err *err);

/*
 * A document {"role","content"} for a model that does not take all of it: what
 * is not taken gives way to a text that says so, and a document that is text
 * becomes text. In a; NULL if the model takes it as it is.
 */
const char *content_fit(
    struct arena *a, const struct model *m, const struct json *doc);

#endif
