/* SPDX-License-Identifier: MIT */
#ifndef MODEL_DECODE_PRINT_H
#define MODEL_DECODE_PRINT_H

#include "model/model.h"

struct buf;

/*
 * Appends what a decoder made of a stream as one JSON object, in the form of
 * the recorded streams' expect.json: blocks, tool_calls, text, thinking,
 * usage, stop_reason, error and so on. After finish, a failure or an
 * interrupt.
 */
void model_decode_print(struct buf *b, const struct model_result *r);

/* "stop", "tool_calls" ...; "none" before a terminal event. */
const char *model_stop_name(enum model_stop stop);

#endif
