/* SPDX-License-Identifier: MIT */
#ifndef MODEL_ANTHROPIC_DECODE_H
#define MODEL_ANTHROPIC_DECODE_H

#include <stddef.h>

#include "model/model.h"

struct err;

/*
 * The stream of the Anthropic Messages API (spec/providers.md, section 1).
 * One thread at a time. Nothing here blocks.
 */
struct anthropic_decode;

/*
 * For one answer. sink, or NULL, is copied; its functions are called with
 * sink_ctx from feed and finish. Never NULL.
 */
struct anthropic_decode *anthropic_decode_new(const struct model_sink *sink,
    void *sink_ctx, const struct model_bounds *bounds);
void anthropic_decode_free(struct anthropic_decode **d_p);

/*
 * Takes bytes as they arrive. 0, or -1 (ERR_MODEL, ERR_TOO_LARGE): the answer
 * has failed, result->failure says how, and nothing more is taken. After
 * message_stop it always returns 0. ERR_CANCELLED after an interrupt.
 */
int anthropic_decode_feed(
    struct anthropic_decode *d, const char *p, size_t len, struct err *err);

/*
 * The stream has ended. 0 if message_stop was seen; else -1, as feed, with
 * the failure "stream_cut" or the JSON error that stood outside the events.
 */
int anthropic_decode_finish(struct anthropic_decode *d, struct err *err);

/*
 * Somebody stopped the answer: closes the open blocks and makes the content
 * of what has come. Open blocks other than text are dropped, as are thinking
 * without a signature, calls whose arguments do not parse, and calls of the
 * provider's tools that have no result. Does nothing to a complete answer.
 */
void anthropic_decode_interrupt(struct anthropic_decode *d);

/*
 * What is known so far; the decoder's, until it is freed. The content is made
 * at message_stop, at a failure (by the rules of an interrupt) and at an
 * interrupt, and may be sent back to Anthropic as it is. A call that is not
 * valid is in the content of a complete answer with the input {}: like every
 * call there it must be answered, with an error. The caller may set
 * request_id.
 */
struct model_result *anthropic_decode_result(struct anthropic_decode *d);

/*
 * What an HTTP status other than 200 means. Takes JSON in the shapes of all
 * providers, HTML and text; fills *failure wholly. Retryable are 408, 409,
 * 429 and 500 up, unless x-should-retry or the body forbids it; a delay is
 * read only on 429 and 500 up, and is a day at most (spec/providers.md,
 * section 0, "Status handling").
 */
void anthropic_error_decode(
    const struct model_reply *reply, struct model_failure *failure);

#endif
