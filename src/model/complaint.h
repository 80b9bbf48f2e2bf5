/* SPDX-License-Identifier: MIT */
#ifndef MODEL_COMPLAINT_H
#define MODEL_COMPLAINT_H

#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct json;

/* What an error document says; the strings are the document's. */
struct complaint {
	const char *type;
	const char *message;
	const char *detail; /* OpenRouter: what the provider behind it said */
	const struct json *code;
	int64_t status; /* 0: not said */
	int final;      /* never retry, whatever the status */
};

/* Any of the shapes of spec/providers.md, section 0. */
void complaint_read(const struct json *doc, struct complaint *c);

/* Of an error inside a stream, where there is no status. */
int complaint_retryable(const struct complaint *c);

void complaint_fill(const struct complaint *c, struct model_failure *f);

/* Copies as many whole characters as fit; NULL changes nothing. */
void model_copy_str(char *dst, size_t size, const char *src);

/* One line of valid UTF-8, cut to fit, no control characters, no keys. */
void model_copy_message(char *dst, size_t size, const char *src, size_t len);

#endif
