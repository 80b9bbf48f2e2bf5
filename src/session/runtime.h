/* SPDX-License-Identifier: MIT */
#ifndef SESSION_RUNTIME_H
#define SESSION_RUNTIME_H

#include <stdint.h>

struct buf;

/*
 * The state of a session as its clients see it. Its environment is what its
 * commands and files are in; it is said to begin with the first message of a
 * session that is loaded, and to end when the session is unloaded.
 */
enum session_env {
	SESSION_ENV_NONE,
	SESSION_ENV_STARTING,
	SESSION_ENV_READY,
	SESSION_ENV_FAILED,
	SESSION_ENV_TERMINATED
};

struct session_runtime {
	int loaded;
	enum session_env env;
	const char *env_id;      /* NULL: it has none yet */
	const char *env_message; /* for people, or NULL */
	int64_t env_checked_ms;  /* since 1970 */
	int64_t query_ms;        /* since when a turn runs; 0: none does */
};

struct json;

/* What session_runtime_write wrote, whose texts stay; nothing of what is none.
 */
void session_runtime_read(
    const struct json *runtime, struct session_runtime *out);

/*
 * Appends it as an object, under a name unless that is NULL: the members of
 * both dialects, "sandbox" for the first and "executionEnvironment" and
 * "activeQuery" for the later one.
 */
void session_runtime_write(
    struct buf *b, const char *name, const struct session_runtime *r);

#endif
