/* SPDX-License-Identifier: MIT */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <sys/types.h>

struct err;

#define SPAWN_FDS_MAX 8

/* A child to start. argv and env end with NULL. */
struct spawn {
	const char *path;
	char *const *argv;
	char *const *env;
	/* fds[i] becomes descriptor 3 + i; all others but 0-2 are closed. */
	int fds[SPAWN_FDS_MAX];
	int fd_count;
	int blocked; /* signals are that others send, until the child takes
		      * them; not those of its own faults */
};

/*
 * Starts it with posix_spawn: default signal handlers, no signal blocked but
 * for what s says, in the caller's process group. Its pid, or -1 and
 * ERR_INTERNAL. Does not wait.
 */
pid_t spawn_start(const struct spawn *s, struct err *err);

#endif
