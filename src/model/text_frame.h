/* SPDX-License-Identifier: MIT */
#ifndef MODEL_TEXT_FRAME_H
#define MODEL_TEXT_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Most events of a stream differ from the one before in one text, and perhaps
 * in a few counts, only. A frame is what is around those; an event that has
 * the same around them needs no parser to be read.
 */
#define TEXT_FRAME_BYTES 1024
#define TEXT_FRAME_VARY 4    /* members that may differ, at most */
#define TEXT_FRAME_NONE (-1) /* no number was there */
#define TEXT_FRAME_NUMBER_DIGITS 15

struct text_hole {
	size_t before; /* bytes of the frame since the last hole */
	int what;      /* which of those that may differ; -1: the text */
	int is_text;   /* a string, not a number */
};

/* All 0: none. */
struct text_frame {
	int holes;
	struct text_hole hole[TEXT_FRAME_VARY + 1];
	size_t tail; /* bytes behind the last hole */
	char bytes[TEXT_FRAME_BYTES];

	/* Of the last event learned or matched, in the order of vary. */
	int64_t number[TEXT_FRAME_VARY];
};

/*
 * From a document of JSON, checked before, in which the member name occurs
 * once as text: the frame around value, which is that member's. The values of
 * the members of vary, a list with a NULL at its end or NULL, may differ,
 * where such a member occurs once and is a whole number of at most 15 digits,
 * not negative, or a string without escapes; f->number has the numbers. If it
 * cannot be one (two members of the name, too long) the frame stays. 1 if it
 * was learned.
 */
int text_frame_learn(struct text_frame *f, const char *json, size_t len,
    const char *name, const char *value, const char *const *vary);

/*
 * 1 if json differs from the document learned from in the text, and in what
 * may differ, alone and is a document as good: *text_r is then valid UTF-8,
 * not empty, and in json, or in plain if it had escapes.
 */
int text_frame_match(struct text_frame *f, const char *json, size_t len,
    struct buf *plain, const char **text_r, size_t *text_len_r);

void text_frame_forget(struct text_frame *f);

#endif
