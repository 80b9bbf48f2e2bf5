/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_RUNNER_H
#define SANDBOXD_RUNNER_H

#include <sys/types.h>

#include "base/buf.h"
#include "sandboxd/filter.h"

struct arena;
struct cgroups;
struct conf;
struct err;

/*
 * Runners: what stands between a command and the host, a row each. A row says
 * whether it can be had here, and which program a command is; launch.c starts
 * that.
 */
struct runner;

struct launcher {
	const struct conf *conf;
	const struct runner *runner;
	struct filter filters[FILTERS]; /* of bubblewrap */
	char *self;                     /* the path of this program */
	struct cgroups *groups;         /* NULL: there are none here */
};

struct order {
	const char *workspace; /* the path of a directory */
	const char *command;
	int network; /* the connection to agent-fpm-proxy, or -1 */
};

#define PLAN_FDS_MAX 4
#define PLAN_WORDS_MAX 16

/* A program to start. All of it is the arena's, but the descriptors. */
struct plan {
	struct arena *arena;
	const char *path;
	char *argv[PLAN_WORDS_MAX]; /* NULL behind the last */
	char *env[PLAN_WORDS_MAX];
	const char *directory;  /* NULL: stay */
	int fds[PLAN_FDS_MAX];  /* become 3, 4 ... */
	int fd_count, fds_made; /* the first so many are closed after it */
	off_t file_bytes;       /* the largest file; 0: any, and no limits */
	off_t memory_bytes;     /* of the address space; 0: any */
};

struct runner {
	const char *name;

	/*
	 * 0; or -1 and ERR_CONFIG with what is missing. first: when the
	 * server begins, and not for a job of its.
	 */
	int (*check)(struct launcher *l, int first, struct err *err);

	/* Fills p, which has its arena, for an order. 0; or -1 and err. */
	int (*plan)(const struct launcher *l, const struct order *o,
	    struct plan *p, struct err *err);

	/* Where the error of a first try says so: what may be wrong here. */
	const char *(*advice)(void);
};

/* What bubblewrap is started as, so that it is known among others. */
#define BUBBLEWRAP_NAME "agent-fpm-bwrap"

/* The row that sandbox.runner names. */
const struct runner *runner_find(const struct conf *c);

/* 0; or -1 and ERR_CONFIG: this build has no such runner. */
int runner_allowed(const struct conf *c, struct err *err);

/* Adds a copy of a word. Aborts if there are too many. */
void plan_arg(struct plan *p, const char *word);
void plan_env(struct plan *p, const char *name, const char *value);

#define RUNNER_PATH                                                            \
	"/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define RUNNER_FILES_MAX 256         /* descriptors of a process */
#define RUNNER_MEMORY_MAX (4L << 30) /* of its address space */

/* ---- bubblewrap.c ---- */
extern const struct runner runner_bubblewrap;

/* ---- runner.c ---- */
extern const struct runner runner_none, runner_launcher;

#endif
