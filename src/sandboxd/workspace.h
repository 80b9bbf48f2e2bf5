/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_WORKSPACE_H
#define SANDBOXD_WORKSPACE_H

#include <stdint.h>
#include <sys/stat.h>

#include "sandboxd/tree.h"

struct arena;
struct conf;
struct err;

/*
 * Workspaces: a directory for each user and agent, below sandbox.workspaces.
 *
 *   HASH/AGENT/files     what the agent sees, as /workspace
 *   HASH/AGENT/seen      what its tools have read and written
 *
 * HASH stands for the user: half of the SHA-256 of the name, in hex, so that
 * no name can be a path and none is shown to what runs inside.
 */
struct workspaces;

/* Makes the directory, if it can, 0700. NULL and ERR_CONFIG if not. */
struct workspaces *workspaces_open(const struct conf *c, struct err *err);
void workspaces_close(struct workspaces **w_p);

/*
 * One of them, in use. Readers share it; a writer has it alone. root is its
 * files.
 */
struct workspace {
	int root;
	int base; /* sandbox.workspaces */
	const struct conf *conf;
	struct workspace_entry *entry;
	int exclusive;
};

#define WORKSPACE_MAKE 1  /* make it if there is none */
#define WORKSPACE_ALONE 2 /* nobody else meanwhile */
#define WORKSPACE_LOOK 4  /* that is no use of it: its jobs may be idle */

/*
 * Waits until it can be had. ERR_NOT_FOUND if there is none; ERR_INVALID if
 * agent is no name of one.
 */
int workspace_enter(struct workspaces *w, const char *user, const char *agent,
    int flags, struct workspace *ws, struct err *err);
void workspace_leave(struct workspaces *w, struct workspace *ws);

/*
 * Deletes one with all that is in it; fine if there is none. It is not made
 * again for a while: a turn may still be at work when its agent is deleted.
 */
int workspace_delete(
    struct workspaces *w, const char *user, const char *agent, struct err *err);

/*
 * One of the user's agents that has a workspace: 1, with its name in agent,
 * which has room for WORKSPACE_AGENT_SIZE bytes. 0: none is left, nor their
 * directory. -1 and err, also if something else is in that.
 */
#define WORKSPACE_AGENT_SIZE 41
int workspace_any(
    struct workspaces *w, const char *user, char *agent, struct err *err);

/*
 * Copies one to another agent of the user, which must have none; data is
 * shared with the original where the filesystem can (FICLONE). What is no
 * file, directory or symlink is left out. Fine if there is none.
 */
int workspace_copy(struct workspaces *w, const char *user, const char *from,
    const char *to, struct err *err);

/* 1 if there is none, and one may be made. */
int workspace_is_missing(
    struct workspaces *w, const char *user, const char *agent);

/*
 * Makes one with what fill puts into the directory that it is given, and which
 * is the workspace when fill has returned 0. 1; 0 there is one already; -1, and
 * there is none. ERR_NOT_FOUND if the agent was deleted.
 */
int workspace_install(struct workspaces *w, const char *user, const char *agent,
    int (*fill)(void *ctx, int dir, struct err *err), void *ctx,
    struct err *err);

/* Where its files are, below sandbox.workspaces; and its name among all. */
struct buf;
void workspace_path(const struct workspace *ws, struct buf *out);
const char *workspace_key(const struct workspace *ws);

/* The directory sandbox.workspaces, open. */
int workspace_base(const struct workspace *ws);

/* The name of an agent's, which need not be there. size: WORKSPACE_KEY_SIZE. */
#define WORKSPACE_KEY_SIZE 80
int workspace_name(
    const char *user, const char *agent, char *out, struct err *err);

/* ---- what is in it ---- */

/* What it has, counted unless that was done a moment ago. */
int workspace_usage(struct workspace *ws, struct usage *out, struct err *err);

/*
 * 0 if more bytes and files may be added; else -1 and ERR_LIMIT with
 * sandbox.quota or sandbox.max_files.
 */
int workspace_room(
    struct workspace *ws, int64_t bytes, int64_t files, struct err *err);

int usage_is_over(const struct conf *c, const struct usage *u);

/* 1 if it has more than it may; 0 also if that cannot be told. */
int workspace_is_over(struct workspace *ws);

/* What a tool has added or taken away. */
void workspace_count(struct workspace *ws, int64_t bytes, int64_t files);

/* Something was done that nobody counted. */
void workspace_forget(struct workspace *ws);

/* ---- what the agent has seen ---- */

/* The agent has read or written the file as it is now. */
void workspace_saw(
    struct workspace *ws, const char *path, const struct stat *st);

/* 1 if it has seen any version of the file. */
int workspace_has_seen(struct workspace *ws, const char *path);

/* 1 if the agent has seen the file, and it is another one now. */
int workspace_changed(
    struct workspace *ws, const char *path, const struct stat *st);

#endif
