/* SPDX-License-Identifier: MIT */
#ifndef MODEL_DECODE_H
#define MODEL_DECODE_H

#include <stddef.h>

#include "model/model.h"

struct buf;
struct err;

/*
 * The decoder of a model's stream (spec/providers.md): one for all APIs, each
 * of which is a row of a table. One thread at a time. Nothing here blocks.
 */
struct model_decode;

/*
 * For one answer. quirks are of enum model_quirk. sink, or NULL, is copied;
 * its functions are called with sink_ctx from feed and finish. Never NULL.
 */
struct model_decode *model_decode_new(enum model_api api, unsigned quirks,
    const struct model_sink *sink, void *sink_ctx,
    const struct model_bounds *bounds);
void model_decode_free(struct model_decode **d_p);

/* Also keeps what only people look at: usage_raw. Before the first byte. */
void model_decode_keep_raw(struct model_decode *d);

/*
 * Takes bytes as they arrive. 0, or -1 (ERR_MODEL, ERR_TOO_LARGE): the answer
 * has failed, result->failure says how, and nothing more is taken.
 * ERR_CANCELLED after an interrupt. After the end of an answer, where the API
 * marks it so that nothing can follow, it always returns 0.
 */
int model_decode_feed(
    struct model_decode *d, const char *p, size_t len, struct err *err);

/*
 * The stream has ended. 0 if the answer is whole; else -1, as feed, with the
 * failure "stream_cut" or the JSON error that stood outside the events.
 */
int model_decode_finish(struct model_decode *d, struct err *err);

/*
 * Somebody stopped the answer: closes the open blocks and makes the content
 * of what has come. Dropped are open blocks other than text, thinking that
 * the provider would not take back, calls whose arguments do not parse, and
 * calls of the provider's tools that have no result. Does nothing to an
 * answer that is whole.
 */
void model_decode_interrupt(struct model_decode *d);

/*
 * What is known so far; the decoder's, until it is freed. The content is made
 * when the answer is whole, at a failure (by the rules of an interrupt) and
 * at an interrupt. A call that must not run (not valid, or cut) is in the
 * content of a whole answer with the input {}: like every call there it must
 * be answered, with an error. The caller may set request_id.
 */
struct model_result *model_decode_result(struct model_decode *d);

/* The arguments of a call, as they came; "{}" if it runs without any. The
 * block's, until it is freed. */
const char *model_block_input(const struct model_block *b, size_t *len_r);

/*
 * Appends what a decoder made of a stream as one JSON object, in the form of
 * the recorded streams' expect.json: blocks, tool_calls, text, thinking,
 * usage, stop_reason, error and so on. After finish, a failure or an
 * interrupt. provider and name, of the recording, may be NULL.
 */
void model_decode_print(struct buf *b, struct model_decode *d,
    const char *provider, const char *name);

/* "stop", "tool_calls" ...; "none" before a terminal event. */
const char *model_stop_name(enum model_stop stop);

/* The API of that name ("anthropic", "openai" ...), or MODEL_APIS. */
enum model_api model_api_find(const char *name);
const char *model_api_name(enum model_api api);

#endif
