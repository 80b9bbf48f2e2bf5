/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_JOB_H
#define SANDBOXD_JOB_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "sandboxd/workspace.h"

struct arena;
struct json;
struct launcher;
struct order;
struct runs;
struct server;
struct watch;
struct workspaces;

/*
 * A request at work. The threads of the pool run operations from begin to
 * end; they may block on the disk.
 */
struct job {
	struct arena *arena; /* owns all below; the job is in it */
	const struct conf *conf;
	struct workspaces *workspaces;
	struct runs *runs;
	struct launcher *launcher; /* NULL: commands cannot be isolated */
	const char *no_launcher;   /* why */
	const char *conf_path;     /* for supervisors */
	const struct json *rq;
	const char *user, *agent;
	const char *data;
	size_t data_len;

	struct workspace ws; /* entered, of operations that want one */

	struct buf answer; /* the object, open: operations add members */
	struct buf answer_data;
	struct err err;
	int missing; /* it failed as there is no workspace, which it wants */

	/*
	 * Sends some of the data before the answer, if the request has
	 * "stream". Any thread; copied.
	 */
	void (*emit)(struct job *j, const char *p, size_t len);

	/* The server's. */
	struct server *server;
	const struct op *op;
	struct connection *owner;
	unsigned long connection; /* its number */
	const int *gone;          /* 1 when it has hung up */
	int cancelled;            /* it was asked to end; any thread reads it */
	struct job *mate, **mate_at; /* of the same connection */
	long long id;
	struct job *next;
};

typedef int op_f(struct job *j, struct err *err);

struct op {
	const char *name;
	op_f *run;
	int flags; /* WORKSPACE_*; OP_NO_WORKSPACE: it enters none */
};

#define OP_NO_WORKSPACE 0x100
#define OP_LONG 0x200  /* it may take minutes, and waits for most of them */
#define OP_STAYS 0x400 /* it may stay for hours */

/* The operation of that name, or NULL. */
const struct op *op_find(const char *name);

/* Runs it: afterwards err says how it ended. */
void job_run(struct job *j);

/* ---- fs_read.c ---- */
op_f fs_read;
op_f fs_get;

/* ---- fs_tar.c ---- */
op_f fs_tar;

/* ---- fs_write.c ---- */
op_f fs_write;
op_f fs_edit;
op_f fs_put;
op_f fs_delete;

/* ---- fs_find.c, fs_grep.c ---- */
op_f fs_list;
op_f fs_glob;
op_f fs_grep;

/* ---- trim.c, scan.c, restore.c ---- */
op_f ws_trim, ws_scan, ws_restore;

/* ---- ping.c ---- */
op_f ping;

/* ---- run.c ---- */
op_f bash_run;

/* ---- pipes.c ---- */
op_f pipe_open;
op_f pipe_write;

/* ---- jobs.c ---- */
op_f bash_start;
op_f bash_logs;
op_f bash_list;
op_f bash_kill;
/* 1 if a background job of the workspace runs. */
int jobs_any(struct job *j);

/* The command of the request; NULL and err: there is none, or none can be run
 * here. */
const char *job_command(struct job *j, struct err *err);

/*
 * Runs a command, with the network that the request asks for, to its end; who
 * has asked for it can end it meanwhile. In w and o is all that their makers
 * set, but for the network, which is opened and closed here. Blocks. 0, or -1
 * and err: it was not started.
 */
int job_watch(struct job *j, struct watch *w, struct order *o, struct err *err);

/* 1 if the workspace of a command is too large by now. */
int job_is_over_quota(struct job *j);

/* A member of the request that is a path, resolved; NULL and err. */
const char *job_path(struct job *j, const char *name, struct err *err);

/* A member that is an integer from min to max, or fallback. */
int job_int(struct job *j, const char *name, long long min, long long max,
    long long fallback, long long *out_r, struct err *err);

/* ,"etag":"...", made of what a file's inode says. */
struct stat;
void job_etag(struct buf *b, const struct stat *st);

/* How a character stands in UTF-8: 1 if all len bytes are text. */
int is_text(const char *p, size_t len);

#endif
