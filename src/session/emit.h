/* SPDX-License-Identifier: MIT */
#ifndef SESSION_EMIT_H
#define SESSION_EMIT_H

#include <stddef.h>
#include <stdint.h>

#include "session/block.h"
#include "session/runtime.h"

struct arena;
struct json;

/*
 * What the sockets of a session are told. There are three dialects, of
 * clients of three ages; a client reads what is of its own and passes over
 * the rest, so all can be sent to all.
 */
enum session_dialect {
	SESSION_W1 = 1, /* an event of Socket.IO for each matter */
	SESSION_S4 = 2, /* stream:event and session:status */
	SESSION_W3 = 4, /* session:event */
	SESSION_ALL = 7
};

/* One event of Socket.IO, whose only argument is the payload. */
struct session_emit {
	unsigned dialects;   /* of these */
	const char *event;   /* its name; static */
	const char *payload; /* JSON */
	size_t len;
	struct session_emit *next;
};

/* What the caller is to do (session/view.h). */
enum session_want_kind {
	SESSION_WANT_RECORD, /* of the call id of agent: session_view_record */
	SESSION_WANT_FOLLOW, /* feed the events of agent too, from the first on
			      */
	SESSION_WANT_LEAVE,  /* feed those of agent no more */
	SESSION_WANT_FILE    /* of agent, at the path id: emit_file, any time */
};

struct session_want {
	enum session_want_kind kind;
	const char *agent;
	const char *id;     /* call or path; "" */
	const char *change; /* of a file: "created" or "modified" */
	int quiet;          /* FOLLOW: what is in the log now was told before */
	struct session_want *next;
};

/* What came of something: filled in order, owned by the arena. */
struct session_out {
	struct arena *arena;
	unsigned dialects; /* that are wanted; others are not made */
	struct session_emit *first, *last;
	struct session_want *wants, *last_want;
};

/* Empty. */
void session_out_init(
    struct session_out *out, struct arena *a, unsigned dialects);

/* Adds a want; texts are copied. */
void session_out_want(struct session_out *out, const struct session_want *w);

/* About what something is said. */
struct emit_head {
	const char *session;
	const char *conversation; /* "main", a call; NULL: none */
	int64_t time_ms;
};

/* ---- blocks ---- */

/* A block begins; with one that has begun: it begins again. */
void emit_block_start(
    struct session_out *out, const struct emit_head *h, const struct block *k);
void emit_block_delta(struct session_out *out, const struct emit_head *h,
    const char *id, const char *text, size_t len);

/* Its only complete. */
void emit_block_complete(
    struct session_out *out, const struct emit_head *h, const struct block *k);

/* Of a block that is complete: its state has changed, or its content. */
void emit_block_status(
    struct session_out *out, const struct emit_head *h, const struct block *k);
void emit_block_content(
    struct session_out *out, const struct emit_head *h, const struct block *k);

/* A block that never came about is empty: W3 alone has a place for it. */
void emit_block_void(
    struct session_out *out, const struct emit_head *h, const struct block *k);

/* A whole block for the first two dialects, whose W3 form clients make
 * themselves. */
void emit_block_old(
    struct session_out *out, const struct emit_head *h, const struct block *k);

/* ---- the session ---- */

/* dialects: SESSION_W3 alone if only activeQuery has changed. */
void emit_status(struct session_out *out, const struct emit_head *h,
    const struct session_runtime *r, unsigned dialects);

/* metadata, options: JSON, an object. */
void emit_metadata(struct session_out *out, const struct emit_head *h,
    const char *metadata, size_t len);
void emit_options(struct session_out *out, const struct emit_head *h,
    const char *options, size_t len);

/* The one error of a turn that failed, and query:failed. */
void emit_failure(struct session_out *out, const struct emit_head *h,
    const char *message, const char *code);

/* A file was created, modified or deleted; content NULL: it is not known,
 * and is left out. What is no UTF-8 is left out too. */
void emit_file(struct session_out *out, const struct emit_head *h,
    const char *change, const char *path, const char *content, size_t len);

/* An event of W3 alone; payload JSON. type is static. */
void emit_w3(struct session_out *out, const struct emit_head *h,
    const char *type, const char *payload);
void emit_log(struct session_out *out, const struct emit_head *h,
    const char *level, const char *message);

/* ---- sub-agents: h is of the conversation that made it ---- */

struct emit_subagent {
	const char *call, *agent;
	const char *prompt, *description, *type; /* NULL: left out */
	const struct json *output;               /* NULL: left out */
	int failed;
	int64_t duration_ms; /* negative: left out */
};

void emit_spawned(struct session_out *out, const struct emit_head *h,
    const struct emit_subagent *s);
void emit_ended(struct session_out *out, const struct emit_head *h,
    const struct emit_subagent *s);

#endif
