/* SPDX-License-Identifier: MIT */
#ifndef SESSION_BLOCK_H
#define SESSION_BLOCK_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct json;

/*
 * Blocks: what a conversation is made of for clients of agent-runtime. There
 * are two forms, of its first clients (W1) and of its later ones (W3), which
 * differ in the names of states and in few members.
 */
enum block_type {
	BLOCK_USER_MESSAGE,
	BLOCK_ASSISTANT_TEXT,
	BLOCK_THINKING,
	BLOCK_TOOL_USE,
	BLOCK_TOOL_RESULT,
	BLOCK_SYSTEM,
	BLOCK_SUBAGENT,
	BLOCK_ERROR,
	BLOCK_TYPES
};

enum block_form { BLOCK_W1, BLOCK_W3 };

/* All but calls and sub-agents are pending or over, which is BLOCK_SUCCESS. */
enum block_status { BLOCK_PENDING, BLOCK_RUNNING, BLOCK_SUCCESS, BLOCK_FAILED };

/* What is NULL, or no part of a type, is left out. */
struct block {
	enum block_type type;
	const char *id;
	int64_t time_ms; /* since 1970 */
	enum block_status status;

	/* Of a text and thinking the content, of system and error the
	 * message. */
	const char *text;
	size_t text_len;

	const struct json *content; /* of a user's message: as it is stored */
	const char *model;          /* of a text */
	const char *name; /* of the tool, the sub-agent; subtype of system */
	const char *code; /* of an error */

	const char *call;         /* toolUseId */
	const char *agent;        /* of a sub-agent */
	const struct json *input; /* NULL: {} */
	const struct json *output;
	int is_error;
	int64_t duration_ms; /* negative: not known */
};

/* A block with nothing in it but these. */
struct block block_make(enum block_type type, const char *id, int64_t time_ms);

/* Appends it as an object, under a name unless that is NULL. */
void block_write(struct buf *b, const char *name, const struct block *k,
    enum block_form form);

/* The words for a state in a form. */
const char *block_status_name(enum block_status status, enum block_form form);

/* "user_message" ...; static. */
const char *block_type_name(enum block_type type);

/* Appends a member that is a time, as JavaScript's toISOString has it. */
void block_add_time(struct buf *b, const char *name, int64_t time_ms);

/* Room for the id of a block: two ids, a step, a kind, a number. */
#define BLOCK_ID_SIZE 128

/*
 * The ids of blocks that have none of their own. Of a text or thinking: the
 * turn, the step, what it is, and how many of that kind were before it in the
 * step's answer. What is between two of the same kind that is neither text
 * nor thinking does not part them: they are one block.
 */
void block_id_answer(char out[BLOCK_ID_SIZE], const char *turn, int step,
    enum block_type type, int number);
void block_id_result(char out[BLOCK_ID_SIZE], const char *call);
void block_id_subagent(char out[BLOCK_ID_SIZE], const char *call);

#endif
