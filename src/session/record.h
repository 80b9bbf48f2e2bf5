/* SPDX-License-Identifier: MIT */
#ifndef SESSION_RECORD_H
#define SESSION_RECORD_H

#include <stdint.h>

#include "session/block.h"

struct arena;
struct json;

/*
 * What a tool call looks like in its record (GET .../tool-calls) and in the
 * member call of events, which have the same members but for the input.
 */

/* 1 if it is over: completed, failed, denied or sealed. */
int record_is_over(const struct json *call);

/* RUNNING until it is over, then SUCCESS or FAILED. */
enum block_status record_status(const struct json *call);

/* A time or duration in ms; -1 if it is not there. */
int64_t record_time(const struct json *call, const char *name);

/*
 * Its input, an object, or NULL if it is not known whole: there is none, or an
 * event has no more than its beginning (inputPreview). What the model wrote
 * that is no JSON is the member inputText of an object. The arena's.
 */
const struct json *record_input(struct arena *a, const struct json *call);

/* What a sub-agent said at its end: a text, or NULL. */
const struct json *record_report(const struct json *call);

/* The block of a call, of its result, of its sub-agent in the conversation
 * that made it. Ids are the arena's; the rest is what was given. */
struct block record_use(const struct json *call, const struct json *input);
struct block record_result(struct arena *a, const struct json *call);
struct block record_subagent(
    struct arena *a, const struct json *call, const struct json *input);

/*
 * The code of a failure, {"type":...,"message":...}, as clients have codes:
 * RATE_LIMIT_ERROR. The arena's.
 */
const char *record_failure_code(struct arena *a, const struct json *failure);

#endif
