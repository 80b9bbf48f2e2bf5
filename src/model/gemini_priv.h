/* SPDX-License-Identifier: MIT */
#ifndef MODEL_GEMINI_PRIV_H
#define MODEL_GEMINI_PRIV_H

#include <stdint.h>

#include "base/json.h"
#include "model/model.h"

struct err;
struct model_decode;

/* Of an answer, beside its result. */
struct gemini {
	int64_t prompt, tool_prompt, candidates, thoughts; /* tokens */
	enum model_stop finish; /* by the word alone */
	int calls;

	/* What only people look at. */
	int signatures;
	int reasons;            /* how many finish reasons came */
	char reason_list[2048]; /* as strings of JSON, as many as fit */
	char finish_message[300];
	char prompt_block[64];
};

/* A part of a candidate, in any order: 0, or -1 and err. */
int gemini_part(
    struct model_decode *d, const struct json *part, struct err *err);

/* A block as Gemini wants it back; see struct decode_api. */
int gemini_write(struct model_decode *d, int at);

/* A member that must be of that type: 0, and NULL if it is absent or null; -1
 * if it is another. */
int gemini_member(const struct json *from, const char *name,
    enum json_type type, const struct json **m_r, struct err *err);

#endif
