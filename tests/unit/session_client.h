/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SESSION_CLIENT_H
#define TESTS_UNIT_SESSION_CLIENT_H

#include "base/buf.h"
#include "session/emit.h"

/*
 * A client of a session, as its reducers work: it keeps what it is told and
 * fails the test where a rule of docs/session-blocks.md is broken. One is of W1
 * and S4, which are told the same, or of W3.
 */
struct client;

#define CLIENT_LATE 1 /* it has joined in the middle: blocks may have begun */

struct client *client_new(struct arena *a, enum session_dialect d, int flags);

/* All that is in out, of its dialect. */
void client_take(struct client *c, const struct session_out *out);

/* Fails unless all is over: no block is open, no query runs. */
void client_is_idle(const struct client *c);

/* The blocks of a conversation as they are now, a JSON text each, without
 * times and the model, in the order in which they came. */
const char **client_blocks(
    const struct client *c, const char *conversation, size_t *count_r);

/* A block in that form. */
const char *client_block_text(struct arena *a, const struct json *block);

/* What it was told, a line for each event. */
const char *client_trace(const struct client *c);

#endif
