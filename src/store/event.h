/* SPDX-License-Identifier: MIT */
#ifndef STORE_EVENT_H
#define STORE_EVENT_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Events as they are stored and shown: one line of JSON that starts with
 * channel, kind, id and turn, in this order. The Lua scripts write the same
 * form (lua/common.lua).
 */
enum event_channel { EVENT_PROGRESS, EVENT_CONTROL, EVENT_MONITOR };

enum event_kind {
	EVENT_MESSAGE_ACCEPTED,
	EVENT_TURN_START,
	EVENT_THINK_CHUNK,
	EVENT_TEXT_CHUNK,
	EVENT_STREAM_RESET,
	EVENT_TOOL_START,
	EVENT_TOOL_ERROR,
	EVENT_TOOL_COMPLETE,
	EVENT_DONE,
	EVENT_PERMISSION_REQUIRED,
	EVENT_APPROVAL_RESPONSE,
	EVENT_STATE_CHANGE,
	EVENT_TOOL_AUDIT,
	EVENT_TOKEN_USAGE,
	EVENT_ERROR,
	EVENT_RETRY,
	EVENT_STEP_COMPLETE,
	EVENT_AGENT_RESUMED,
	EVENT_TODO_CHANGED,
	EVENT_TODO_REMINDER,
	EVENT_CONTEXT_COMPRESSION,
	EVENT_SUBAGENT_START,
	EVENT_SUBAGENT_COMPLETE,
	EVENT_REMINDER_SENT,
	EVENT_REWIND,
	EVENT_FILE_CHANGED,
	EVENT_TOOL_OUTPUT,
	EVENT_TOOLS_UNAVAILABLE,
	EVENT_MODEL_FALLBACK,
	EVENT_BUDGET_WARNING,
	EVENT_GAP,
	EVENT_KINDS /* and for a kind that this version does not know */
};

struct event_info {
	const char *name;
	enum event_channel channel;
};

extern const struct event_info event_infos[EVENT_KINDS];
extern const char *const event_channels[]; /* names, by event_channel */

/* The number of a name of n bytes; -1 if there is none such. */
int event_kind_find(const char *name, size_t n);
int event_channel_find(const char *name, size_t n);

/* An event id: EPOCH-SEQ, ordered by epoch, then seq. 0-0 is before all. */
struct event_id {
	uint64_t epoch, seq;
};

#define EVENT_ID_SIZE 44

/*
 * 1 if events between the cursor after and the oldest one that is retained
 * were dropped, or may have been. The first event of any agent is 1-0. A
 * cursor whose seq is 9007199254740991 stands for the end of its epoch.
 */
int event_id_gap(struct event_id after, struct event_id oldest);

/* -1, 0 or 1. */
int event_id_cmp(struct event_id a, struct event_id b);

/* A cursor behind which an event is the first. */
struct event_id event_id_before(struct event_id id);

/* "7-42"; 0, or -1 if it is not exactly such an id ("7" is 7-0). */
int event_id_parse(const char *s, size_t len, struct event_id *out);
int event_id_print(char out[EVENT_ID_SIZE], struct event_id id);

/*
 * An event ready to be shown: an SSE frame, shared by all that show it.
 * Immutable. References are counted by the loop's thread alone.
 */
struct frame {
	int refs;
	enum event_kind kind;
	enum event_channel channel;
	struct event_id id;
	uint32_t turn_at; /* in text */
	uint32_t turn_len;
	uint32_t json_at;
	uint32_t json_len;
	uint32_t len;
	char text[]; /* "id: 7-42\ndata: {...}\n\n" */
};

/* The id of an event as stored. 0, or -1 if json does not start like one. */
int event_json_id(const char *json, size_t len, struct event_id *out);

/* A frame of an event as stored. NULL if json does not start like one. */
struct frame *frame_new(const char *json, size_t len);

/* What an event is made of. rest is empty, or more members: ,"a":1 */
struct event {
	enum event_kind kind;
	const char *turn;
	int step;
	int64_t time_ms;
	const char *rest;
	size_t rest_len;
};

/* A frame of an event that gets its id now. Never NULL. */
struct frame *frame_make(const struct event *e, struct event_id id);

/* A frame without id: of something that is not in the log. */
struct frame *frame_make_unlogged(const struct event *e);

struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame **f_p);

#endif
