/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_RUNS_H
#define SANDBOXD_RUNS_H

#include <stddef.h>

#include "base/buf.h"

struct err;

/*
 * The commands that run now, so that others can end them. Any thread.
 */
struct runs;

enum run_end {
	RUN_GOES_ON,
	RUN_TIMED_OUT,
	RUN_CANCELLED, /* by who asked for it, or because that one is gone */
	RUN_DELETED,   /* its agent was */
	RUN_IDLE,      /* its agent is in use no more */
	RUN_MEMORY,    /* it wanted more than it may have */
	RUN_QUOTA,     /* the workspace became too large */
	RUN_FLOOD      /* it printed far too much */
};

/* What is to be written to a command, until it has read it. */
#define RUN_INPUT_MAX (16u << 20)

struct run_input {
	const char *name; /* by which it is found */
	struct buf bytes; /* with the lock of the runs */
};

struct run {
	unsigned long connection; /* who asked */
	long long id;
	char key[80]; /* of the workspace */
	int wake_fd;  /* readable when it is to end, or there is input */
	struct run_input *input; /* of one that is written to; or NULL */
	enum run_end end;
	struct run *next, **prev;
};

struct runs *runs_new(void);
void runs_free(struct runs **r_p);

/* How it is to end, or goes on; and sets that, unless it is set. */
enum run_end run_end_of(const struct run *run);
void run_end_set(struct run *run, enum run_end why);

/* The caller's, until it is removed. */
void runs_add(struct runs *r, struct run *run);
void runs_remove(struct runs *r, struct run *run);

/* Ends one, or all of a connection that is gone. */
void runs_cancel(struct runs *r, unsigned long connection, long long id);
void runs_cancel_all(struct runs *r, unsigned long connection);

/* For the command with that input: 0, or -1 and ERR_NOT_FOUND, or ERR_LIMIT if
 * it does not read. */
int runs_write(struct runs *r, const char *key, const char *name, const char *p,
    size_t len, struct err *err);

/* What was written, appended to out; and whether there was anything. */
int runs_take_input(struct runs *r, struct run *run, struct buf *out);

/* 1 if one runs in the workspace. */
int runs_any(struct runs *r, const char *key);

/* Ends all in a workspace and waits until they have ended. */
void runs_end_workspace(struct runs *r, const char *key);

#endif
