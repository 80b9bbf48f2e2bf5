/* SPDX-License-Identifier: MIT */
#ifndef SESSION_TRANSCRIPT_H
#define SESSION_TRANSCRIPT_H

#include <stddef.h>

#include "session/block.h"

struct arena;
struct buf;
struct err;

/*
 * The blocks of a conversation that has been: of the messages of its agent
 * and the records of its tool calls. Nothing of it is kept; ids are those
 * that sockets are told while it happens.
 *
 * A session is one conversation of its own, and one for each sub-agent.
 */
struct transcript;

/* An empty one, the arena's: the session's own conversation. */
struct transcript *transcript_new(struct arena *a);

/*
 * Adds messages, JSON as GET /api/agents/ID/messages has them: those of each
 * window that a compaction left (?window=0 and on), then of the present
 * history. A message that was there before is passed over, so that what
 * compaction took out stands where it was; summaries and reminders are
 * nobody's words and make no blocks. The texts must live as long as the
 * arena. 0, or -1 and ERR_STORE if one is no such message.
 */
int transcript_add_messages(struct transcript *t, const char *const *docs,
    size_t count, struct err *err);

/* Adds records of tool calls, as GET .../tool-calls has them, in any order.
 * Calls without one are told of by the messages alone. 0 or -1. */
int transcript_add_calls(struct transcript *t, const char *const *docs,
    size_t count, struct err *err);

/* A sub-agent that was made by a call of this conversation. */
struct transcript_child {
	const char *call;
	const char *agent;
};

/* Those that there are, in the order of their records; the arena's. */
size_t transcript_children(
    struct transcript *t, struct transcript_child **out_r);

/*
 * The conversation of one of them, empty at first, for its own messages and
 * calls. What it was asked is its prompt, and no message of the user's. One
 * that nobody has asked for is not told of.
 */
struct transcript *transcript_add_child(struct transcript *t, const char *call);

/* Appends the member "blocks", an array. */
void transcript_add_blocks(
    struct buf *b, struct transcript *t, enum block_form form);

/* Appends the member "subagents" as the form has them: of all whose
 * conversation was added, and of their sub-agents. */
void transcript_add_subagents(
    struct buf *b, const struct transcript *t, enum block_form form);

/* Appends the member "conversationState". */
void transcript_add_state(struct buf *b, struct transcript *t);

#endif
