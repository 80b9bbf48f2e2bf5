/* SPDX-License-Identifier: MIT */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "tool/permit.h"

struct arena;
struct json;
struct sandbox;
struct sandbox_call;
struct tool_kind;

/*
 * Tools: what a model may call. A tool is a row of a table, and a run of it
 * is one call with its arguments. Runs belong to the loop's thread: they
 * start, wait for whatever they need, and end once.
 */
struct tool {
	const char *name, *description;
	const char *schema; /* of the arguments: JSON text */
	const struct json *schema_doc;
	enum tool_effect effect;
	const struct tool_kind *kind;
	const struct tool_http *http;    /* of http_kind */
	const struct mcp_item *mcp_item; /* of mcp_kind, and whose it is: */
	struct mcp_peer *mcp_peer;
	const struct page_function *page;         /* of page_kind */
	int is_task, needs_sandbox, needs_skills; /* a sub-agent's; what else */
};

/* What runs need of the process. */
struct tool_host {
	struct webhooks *webhooks;
	struct sandbox *sandbox; /* NULL: there is none */
	int64_t command_time_ms; /* of a command that does not say */
	struct pages *pages;
};

/* A file that a run has changed. */
struct tool_change {
	const char *path;
	const char *what; /* created, modified, deleted */
	const char *etag; /* then; "": it is gone, NULL: not known */
	int64_t size;
	struct tool_change *next;
};

/* Why a run failed: the model's envelope has it as errorType. */
enum tool_error {
	TOOL_ERROR_NONE,
	TOOL_ERROR_VALIDATION, /* the arguments */
	TOOL_ERROR_LOGICAL,    /* the tool says no */
	TOOL_ERROR_TIMEOUT,
	TOOL_ERROR_ABORTED,
	TOOL_ERROR_EXCEPTION /* the tool broke */
};

struct tool_run {
	/* Set by whoever starts it; must stay until its end. */
	const struct tool *tool;
	struct arena *arena;
	const struct tool_host *host;
	const struct json *args;                /* valid by the schema */
	const char *call, *agent, *user, *turn; /* whose it is */
	const char *traceparent;                /* for whom it asks; "": none */
	const char *workspace;           /* the agent whose files they are */
	const struct json *network;      /* hosts for commands, or NULL */
	size_t max_bytes;                /* of data for the model */
	const struct skill_list *skills; /* the agent's; NULL: none */
	const char *todos;               /* the agent's todo list, JSON or "" */
	const char *note; /* for the model too, of who allowed it; or NULL */
	int64_t now_ms;
	void (*on_end)(void *ctx, struct tool_run *r);
	/* What it prints while it runs, some of it: UTF-8. */
	void (*on_output)(void *ctx, const char *text, size_t len);
	void *ctx;

	/* How it ended. The texts are the arena's. */
	enum tool_error failed;
	const char *error;     /* for the model */
	struct buf data;       /* JSON, or empty */
	const char *new_todos; /* to be kept with the result, or NULL */
	struct tool_change *changes;

	int ended, asked_to_keep;
	void *own;                    /* the kind's */
	struct sandbox_call *keeping; /* data that is too large */
	void (*after_keeping)(struct tool_run *r);
	const char *kept; /* the file that has all of it */
};

/* How tools of a kind run. */
struct tool_kind {
	/* Ends with tool_run_end, perhaps before it returns. */
	void (*start)(struct tool_run *r);
	/* Stops it; it ends before this returns. NULL: it never waits. */
	void (*cancel)(struct tool_run *r);
};

/*
 * The built-in tools, read once before threads; aborts if one is broken.
 * Without a sandbox tool_missing says so of those that need one.
 */
void tools_init(int has_sandbox);
void tools_fini(void);

/* The built-in tool of that name, or NULL. */
const struct tool *tool_find(const char *name);

/* Why the built-in tool of that name cannot be used here, or NULL. */
const char *tool_missing(const char *name);

/* The i-th of them, NULL behind the last. */
const struct tool *tool_at(size_t i);

void tool_run_start(struct tool_run *r);
/* Stops it, if it runs: it ends as aborted. */
void tool_run_cancel(struct tool_run *r);
/* Of a kind, when a run has ended: calls on_end. */
void tool_run_end(struct tool_run *r);
/* The same with a failure; error is copied. */
void tool_run_fail(struct tool_run *r, enum tool_error type, const char *error);

/*
 * Puts the result envelope of a run that has ended into out:
 * {"ok":true,"data":...} or {"ok":false,"error":...,"errorType":...,
 * "retryable":...,"recommendations":[...]}. Of data of more than max_bytes
 * the head and the tail are shown as a text; all of it is in the workspace, if
 * there is one, as the member "whole" says.
 */
void tool_envelope(const struct tool_run *r, struct buf *out);

/* The head and the tail of a text, of max bytes about; all of it if less. */
void tool_cut(struct buf *out, const char *text, size_t len, size_t max);

/* Says that so many bytes of a text are not shown. */
void tool_note_cut(struct buf *out, size_t bytes);

/* The data of a run as a text: what a string says, or JSON as it is. */
const char *tool_data_text(const struct tool_run *r, size_t *len_r);

/* The envelope of a call that was never run, or was cut short. */
void tool_envelope_failed(
    struct buf *out, enum tool_error type, const char *error);

#endif
