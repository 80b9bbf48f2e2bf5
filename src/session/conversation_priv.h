/* SPDX-License-Identifier: MIT */
#ifndef SESSION_CONVERSATION_PRIV_H
#define SESSION_CONVERSATION_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/id.h"
#include "session/block.h"
#include "store/event.h"

/* A conversation of a view: the session's own, or a sub-agent's. */
#define VIEW_NAME_SIZE 64 /* of a turn, a call */
#define CHILDREN_MAX 256  /* that are followed at a time */
#define MODEL_SIZE 128

/* A block of the step that is complete; needed if the step begins again. */
struct told {
	char id[BLOCK_ID_SIZE];
	enum block_type type;
	const char *text;
	size_t len;
	int again; /* it was made again since */
	struct told *next;
};

/* A tool call of the turn. */
struct view_call {
	char id[VIEW_NAME_SIZE];
	int over;
	const char *input; /* of one that may have a sub-agent, JSON; or NULL */
	struct view_call *next;
};

/* An event that waits for a record. */
struct kept {
	struct kept *next;
	size_t len;
	int flags;
	char json[];
};

struct conversation {
	char agent[ID_SIZE];
	char id[VIEW_NAME_SIZE]; /* "main", or the call that made it */
	struct conversation *parent, *next;
	struct event_id last; /* the newest event that was taken */

	/* The turn. */
	char turn[VIEW_NAME_SIZE]; /* "": none */
	int64_t began_ms;
	struct arena *turn_arena; /* calls */
	struct view_call *calls;
	const char *failure, *failure_code; /* of the turn_arena; or NULL */

	/* What it has used: what every answer said. */
	int64_t input, output, cached, cache_write, reasoning, cost;
	int uses, priced; /* answers; those whose cost is known */
	char model[MODEL_SIZE];

	/* The step: what its answer says. */
	int known; /* its begin was seen */
	int step;
	int numbers[BLOCK_TYPES];
	struct arena *step_arena;
	struct told *told;
	int open;  /* a block has begun, */
	int again; /* that is complete: nothing is said until it ends */
	enum block_type type;
	char block[BLOCK_ID_SIZE];
	int64_t block_ms;
	struct buf text;
	char
	    hanging[BLOCK_ID_SIZE]; /* begun, taken back and not complete; "" */
	enum block_type hanging_type;

	/* The record that is wanted, and what came since. */
	char wants[VIEW_NAME_SIZE];
	struct kept *kept, *last_kept;
	size_t kept_bytes;

	/* Of a sub-agent. */
	int done;   /* its own turn is over */
	int closed; /* its call is over */
	int passed; /* turns that began since where it was made */
	int failed;
	int64_t duration_ms;
	struct buf report; /* JSON, a text; empty: none */
};

#endif
