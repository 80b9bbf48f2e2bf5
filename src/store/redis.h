/* SPDX-License-Identifier: MIT */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/script.h"

struct arena;
struct conf;

/*
 * Redis for threads that may wait: a bounded pool of connections, borrowed
 * for one pipeline at a time. (The loop has its own, see redis_async.h.)
 */
struct redis_pool;

/* A reply; the arena's. nil has type REDIS_NIL. */
enum redis_type { REDIS_NIL, REDIS_INT, REDIS_TEXT, REDIS_LIST, REDIS_ERROR };

struct redis_reply {
	enum redis_type type;
	int64_t number;
	const char *text; /* of REDIS_TEXT and REDIS_ERROR; ends with 0 */
	size_t len;
	const struct redis_reply *items; /* of REDIS_LIST */
	size_t count;
};

/* Commands that are sent together, in RESP. */
struct redis_pipe {
	struct buf out;
	int count;
	int args_left; /* of the command being built */
};

void redis_pipe_init(struct redis_pipe *p, struct arena *a);
void redis_pipe_clear(struct redis_pipe *p);

/* Begins a command of argc arguments, the name included; then they follow. */
void redis_begin(struct redis_pipe *p, int argc);
void redis_arg(struct redis_pipe *p, const char *s);
void redis_argn(struct redis_pipe *p, const void *s, size_t len);
void redis_argi(struct redis_pipe *p, int64_t v);

/* Arguments collected before it is known where they go. */
struct redis_args {
	struct buf out;
	int argc;
};

void redis_args_init(struct redis_args *args, struct arena *a);
void redis_args_add(struct redis_args *args, const void *s, size_t len);

/* All of args as the next arguments of the command being built. */
void redis_args(struct redis_pipe *p, const struct redis_args *args);

/* EVALSHA of a script; keys and argc arguments follow. */
void redis_script(struct redis_pipe *p, enum script_id id, int keys, int argc);

/* A whole command of strings: redis_cmd(p, "GET", key, NULL). */
void redis_cmd(struct redis_pipe *p, ...) __attribute__((sentinel));

/* The library behind it and the version it was built with; static. */
const char *redis_library(void);

struct redis_pool *redis_pool_new(const struct conf *c);
void redis_pool_free(struct redis_pool **p_p);

/*
 * Sends all of p and waits for its answers; *replies_r is an array of
 * p->count, the arena's. A connection that fails is replaced and the pipe
 * sent once more, so a command that is not harmless when repeated must make
 * itself so. -1: ERR_STORE if nothing was done, ERR_UNCERTAIN if that is not
 * known. A reply that is an error makes the call fail, with its text.
 * Blocks for at most about twice the timeouts of conf.
 */
int redis_call(struct redis_pool *p, struct arena *a,
    const struct redis_pipe *pipe, const struct redis_reply **replies_r,
    struct err *err);

/* An error of Redis ("OOM ...") as ours. Returns -1. */
int redis_error(struct err *err, const char *text);

/* 1 if r is a text of just this content. */
int redis_is(const struct redis_reply *r, const char *text);

/* The text of r, or "" if it has none. */
const char *redis_text(const struct redis_reply *r);

/* The ms of an answer to TIME, or -1 if it is none. */
int64_t redis_time_ms(const struct redis_reply *r);

/* The texts of a list; the arena's, NULL behind the last. */
const char **redis_texts(struct arena *a, const struct redis_reply *r);

#endif
