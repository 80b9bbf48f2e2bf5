/* SPDX-License-Identifier: MIT */
#ifndef API_STATUS_H
#define API_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/running.h"

struct api_call;
struct arena;
struct app;
struct buf;
struct err;

/* What the pool tells of itself, and to whom. */

/*
 * Whether the caller may see what concerns the whole server: by its address
 * (status.allow), or by its token (admin.role). 0, or -1 and ERR_FORBIDDEN or
 * ERR_UNAUTHORIZED.
 */
int api_check_admin(struct api_call *c, struct err *err);

/* The name of an enum board_state. */
const char *api_worker_state(int state);

int metrics_get(void *call, struct err *err);
int status_get(void *call, struct err *err);

/* ---- a look at the pool: status.c ---- */

struct status_worker {
	pid_t pid;
	const char *state;
	int64_t started_ms; /* wall time */
	int64_t since_s, restarts, requests, turns_done;
	int64_t turns, viewers, resident_bytes;
};

/* Strings and lists are an arena's. */
struct status {
	const char *version;
	const char *pm;     /* as the configuration has it */
	int64_t now_us;     /* monotonic */
	int64_t started_ms; /* wall time */
	int64_t since_s, accepted, active_requests, request_threads;
	int64_t idle, active, total; /* workers */
	int64_t restarts, turns, turns_done, viewers, redis_up, drained;
	int64_t waiting, oldest_s; /* agents, in the queue of all pools */
	struct status_worker *workers;
	size_t worker_count;
	struct running_turn *running; /* oldest first; some of a worker */
	size_t running_count;
};

/* As things are now, in the arena; full: memory and turns too. */
void status_look(
    struct app *app, struct arena *a, int full, struct status *s_r);

/* A number, as the text and JSON call it. */
struct status_field {
	const char *name, *member;
	size_t offset; /* of an int64_t */
};

/* Both end with a name that is NULL. */
extern const struct status_field status_fields[];
extern const struct status_field status_worker_fields[];

/* The number of a field of what is at base. */
int64_t status_number(const struct status_field *f, const void *base);

/* Whole milliseconds that have passed since a monotonic time. */
int64_t status_age_ms(const struct status *s, int64_t us);

/* As php-fpm writes a time: 21/Nov/2026:18:00:00 +0000. */
const char *status_time(struct arena *a, int64_t ms);

/* The forms; full: workers and turns too. */
void status_add_text(
    struct buf *b, const struct status *s, struct arena *a, int full);
void status_add_json(struct buf *b, const struct status *s, int full);

/* Only the turns, as elements of an array. */
void status_add_json_turns(struct buf *b, const struct status *s);
void status_add_html(
    struct buf *b, const struct status *s, struct arena *a, int full);

#endif
