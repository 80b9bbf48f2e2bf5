/* SPDX-License-Identifier: MIT */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/api.h"
#include "model/failure.h"

struct arena;

/*
 * What a provider's stream says, in the product's words. A decoder is fed
 * the bytes as they arrive, calls the sink for what is to be shown at once,
 * and keeps the blocks for the history.
 */

enum model_stop {
	MODEL_STOP_NONE, /* no terminal event yet */
	MODEL_STOP_STOP,
	MODEL_STOP_LENGTH,
	MODEL_STOP_TOOL_CALLS,
	MODEL_STOP_CONTENT_FILTER,
	MODEL_STOP_REFUSAL,
	MODEL_STOP_PAUSE,
	MODEL_STOP_ERROR,
	MODEL_STOP_OTHER
};

/* Tokens; -1 where the provider did not say. */
struct model_usage {
	int64_t input;  /* the whole prompt, cache reads and writes included */
	int64_t output; /* reasoning included */
	int64_t cached; /* of input, read from the provider's cache */
	int64_t cache_write;
	int64_t reasoning;
};

/* Called on the thread that feeds. The text is whole UTF-8 characters. */
struct model_sink { /* a member may be NULL */
	void (*text)(void *ctx, const char *text, size_t len);
	void (*thinking)(void *ctx, const char *text, size_t len);

	/* Names a call in the history, instead of the provider's id, which
	 * some use twice: [a-zA-Z0-9_-], at most 64 with the final 0. */
	void (*call_id)(void *ctx, char out[64]);
};

/* What is taken from a stream at most. */
struct model_bounds {
	size_t event_bytes;  /* one event */
	size_t answer_bytes; /* all that is kept of an answer */
};

enum model_block_kind {
	MODEL_BLOCK_TEXT,
	MODEL_BLOCK_THINKING,
	MODEL_BLOCK_CALL,    /* a tool call, ours to run */
	MODEL_BLOCK_REFUSAL, /* shown like text */
	MODEL_BLOCK_OPAQUE,  /* the provider's own: never run, replayed whole */
	MODEL_BLOCK_KINDS
};

/* A content block as it stands, whether or not it is in the history. */
struct model_block {
	enum model_block_kind kind;
	int64_t index; /* the provider's */
	int closed;    /* the provider said that it is whole */
	int has_input; /* it has arguments: a call, or the provider's own */
	int valid;  /* they are a JSON object, or none; set with the content */
	int cut;    /* by length before any of them came: must not run */
	int parsed; /* they came as an object, not as text */
	int seeded; /* text came with the start, not in deltas */
	int unsent; /* its native form must not be sent back */
	int citations; /* how many */
	char type[64];
	char id[160]; /* of the call; of the call that a result answers;
			 "" if the provider gave none */
	char name[160];
	struct buf text; /* text, thinking, or the arguments as they came */
	struct buf signature;
	struct buf cited; /* the citations: JSON values, commas between */
	struct buf item;  /* the provider's id of the block, if it has one
			     beside that of the call */

	/* A JSON object: the provider's own form of it, or what of that the
	 * rest does not say; or nothing. */
	struct buf native;
	size_t native_at; /* where in text begins what native is of */
};

struct model_result {
	struct buf content; /* JSON array of content blocks for the history */
	int blocks;         /* how many are in it */
	struct model_block *block; /* all of them, in order */
	int block_count;
	struct model_usage usage;
	struct buf usage_raw; /* JSON, if it was asked for */
	enum model_stop stop;
	char stop_raw[64];
	char stop_sequence[128]; /* the one that was met, "" if none */
	char model[128];
	char request_id[128];
	char response_id[128];
	int complete; /* a terminal event was seen */
	int events;   /* of the stream, unknown ones and [DONE] included */
	int done_marker;
	int unterminated_tail; /* EOF stood for the last blank line */
	struct model_failure failure;
};

#endif
