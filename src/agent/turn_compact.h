/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_COMPACT_H
#define AGENT_TURN_COMPACT_H

#include <stdint.h>

/* Older turns give way to a summary: see turn_compact.c. */
struct turn;

/* 1 if the next request would pass the model's window. */
int turn_must_compact(struct turn *t);

/*
 * The provider has refused the request as too long: 1 if the step may compact
 * and ask once more, 0 if it has done so or nothing is left to compact.
 */
int turn_overflows(struct turn *t);

/* Puts into t->commit how many tokens the history had, by the provider. */
void turn_commit_context(struct turn *t, int64_t tokens);
void turn_compact_free(struct turn *t);

/* Tokens of the next request, about: by what the provider has said of the last
 * one, and the bytes that came since. */
int64_t turn_request_tokens(struct turn *t);

#endif
