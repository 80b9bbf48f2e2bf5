/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_WATCH_H
#define SANDBOXD_WATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandboxd/cgroup.h"
#include "sandboxd/runs.h"

struct err;
struct launcher;
struct order;

/*
 * A command from its start to its end: what it prints, its time, and whether
 * its workspace has become too large. One thread does all of it; whoever
 * wants it to end before sets run.end and makes run.wake_fd readable.
 */
#define WATCH_FLOOD_BYTES (64u << 20) /* of output; then it is ended */

struct watch {
	struct run *run;
	int64_t time_ms; /* how long it may go on */
	/* Some of what it printed. */
	void (*output)(void *ctx, const char *p, size_t len);
	/* Appends what there is for it to read, when run.wake_fd says so;
	 * NULL: it has nothing to read. */
	void (*input)(void *ctx, struct buf *b);
	/* Its standard error; NULL: that is output too. */
	void (*errors)(void *ctx, const char *p, size_t len);
	/* 1 if the workspace is too large; asked now and then. */
	int (*is_over)(void *ctx);
	void *ctx;
	size_t flood_bytes; /* 0: it may print without end */

	size_t printed;
	int status; /* of waitpid */
	pid_t pid;
	int pid_fd, out_fd, in_fd, err_fd;
	struct buf pending; /* to be written */
	struct cgroups *groups;
	struct cgroup group;
	int64_t started_ms, deadline_ms, look_ms; /* monotonic */
};

/* Starts it. 0, or -1 and err. */
int watch_start(struct watch *w, struct launcher *l, const struct order *o,
    struct err *err);

/* Waits for its end, or ends it, with all that it has started. Once. */
void watch_until_end(struct watch *w);

/* The exit code as a shell has it: 128 and more for a signal. */
int watch_code(const struct watch *w);

/* "ended", "timeout" ... */
const char *run_end_name(enum run_end end);

#endif
