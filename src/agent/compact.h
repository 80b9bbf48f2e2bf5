/* SPDX-License-Identifier: MIT */
#ifndef AGENT_COMPACT_H
#define AGENT_COMPACT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct arena;

/*
 * Compaction of a history: which documents give way to a summary, and the
 * texts for it. Pure; the arena's.
 */
struct compact_plan {
	size_t keep_from; /* the first document that stays; 0: all do */
	size_t turn_from; /* the first of the turn that runs */
	size_t cut_bytes;
};

/*
 * Cuts between turns: the running one stays, and of those before it at most
 * keep_turns, as far as they have room in keep_bytes.
 */
struct compact_plan compact_plan(const char *const *docs, size_t count,
    const char *running, int64_t keep_turns, size_t keep_bytes);

/*
 * The first count documents as a text for a model to summarise, at most max
 * bytes; what does not fit is left out of its middle.
 */
void compact_transcript(struct arena *a, const char *const *docs, size_t count,
    size_t max, struct buf *out);

/* A summary without a model: the beginning of each, the newest first to stay.
 */
void compact_mechanical(struct arena *a, const char *const *docs, size_t count,
    size_t max, struct buf *out);

/* 1 if a document of the history is marked to stay: "pinned":true. */
int compact_is_pinned(const char *doc);

#endif
