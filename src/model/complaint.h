/* SPDX-License-Identifier: MIT */
#ifndef MODEL_COMPLAINT_H
#define MODEL_COMPLAINT_H

#include <stddef.h>
#include <stdint.h>

#include "model/failure.h"

struct json;

#define COMPLAINT_WORDS 12
#define COMPLAINT_DELAY_MAX_MS 86400000.0 /* a day */

/* What an error document says; the strings are the document's. */
struct complaint {
	const char *type;
	const char *message;
	const char *detail; /* OpenRouter: what the provider behind it said */
	const char *request_id;
	const struct json *code;
	const char *words[COMPLAINT_WORDS]; /* all that name a kind of error */
	int word_count;
	int64_t status; /* of HTTP, in the document; 0: not said */
	int daily;      /* a quota of a day is used up */
	int delay_ms;   /* it asks for; 0: nothing */
};

/* Any of the shapes of spec/providers.md, section 0. */
void complaint_read(const struct json *doc, struct complaint *c);

/* Texts and request id of a failure that the provider has said. */
void complaint_fill(const struct complaint *c, struct model_failure *f);

/*
 * The class, and what follows of it, after complaint_fill or f->message was
 * set. status is that of HTTP, or 0 inside a stream: then the complaint's.
 */
void complaint_judge(
    const struct complaint *c, int64_t status, struct model_failure *f);

/* The class that its words stand for, those that say more than a status
 * (sharp) or the others; MODEL_CLASS_NONE if they are unknown. */
enum model_class complaint_class(const struct complaint *c, int sharp);

/* The class of a text for people, or MODEL_CLASS_NONE. */
enum model_class complaint_class_of_text(const char *text, int64_t status);

/* text as a number of scale ms, 0 to a day: 1, or 0 if it is none. */
int complaint_delay(const char *text, double scale, int *ms_r);

/* Copies as many whole characters as fit; NULL changes nothing. */
void model_copy_str(char *dst, size_t size, const char *src);

/* One line of valid UTF-8, cut to fit, no control characters, no keys. */
void model_copy_message(char *dst, size_t size, const char *src, size_t len);

#endif
