/* SPDX-License-Identifier: MIT */
#ifndef MODEL_TEXT_FRAME_H
#define MODEL_TEXT_FRAME_H

#include <stddef.h>

/*
 * Most events of a stream differ from the one before in one text only. A
 * frame is what is around that text; an event that has the same around a text
 * without escapes needs no parser to be read.
 */
#define TEXT_FRAME_BYTES 256

struct text_frame {
	size_t head, tail; /* bytes of each; no head: no frame */
	char bytes[TEXT_FRAME_BYTES];
};

/*
 * From a document of JSON, checked before, in which the member name occurs
 * once as text: the frame around value, which is that member's. If it cannot
 * be one (escapes, two members of the name, too long) the frame stays.
 * 1 if it was learned.
 */
int text_frame_learn(struct text_frame *f, const char *json, size_t len,
    const char *name, const char *value);

/*
 * 1 if json differs from the document learned from in the text alone and is
 * a document as good: *text_r is then in json, valid UTF-8, not empty.
 */
int text_frame_match(const struct text_frame *f, const char *json, size_t len,
    const char **text_r, size_t *text_len_r);

#endif
