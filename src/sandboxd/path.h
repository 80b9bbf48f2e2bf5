/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_PATH_H
#define SANDBOXD_PATH_H

#include <sys/stat.h>
#include <sys/types.h>

struct arena;
struct err;

/*
 * Files below a directory. Nothing here opens a path in any other way than
 * openat2(2) with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS, or a single
 * name in a directory that was opened so: no symlink is followed and nobody
 * who moves directories meanwhile leads outside.
 *
 * Errors: ERR_NOT_FOUND; ERR_INVALID for what is no path below the workspace,
 * a symlink, or not the kind of file that was meant; ERR_INTERNAL.
 */
#define WORKSPACE_AT "/workspace"

/* Of directories that are made, less the umask: with sandbox.accel nginx may
 * pass through them. */
#define PATH_DIR_MODE 0711

/*
 * The path as the model gave it, relative: without /workspace/ in front, "."
 * for the workspace itself. NULL and ERR_INVALID if it is empty, too long, or
 * absolute and of somewhere else. One name has one form: "." and ".." are
 * resolved, as no symlink is followed.
 */
const char *path_relative(struct arena *a, const char *path, struct err *err);

/* Opens what is there; flags of open(2). A descriptor or -1. Never blocks on
 * a FIFO, never makes a file. */
int path_open(int root, const char *path, int flags, struct err *err);

/*
 * A regular file for reading, with what fstat(2) says of it. ERR_TOO_LARGE
 * with sandbox.max_file if it has more than max bytes.
 */
int path_open_file(
    int root, const char *path, off_t max, struct stat *st, struct err *err);

/* The directory that a path's last name is in, made if make says so; the name
 * in *name_r, which path has. ERR_INVALID if the name is "." or "..". */
int path_open_parent(
    int root, const char *path, int make, const char **name_r, struct err *err);

/* Says of a path what errno is; -1. */
int path_error(const char *path, int why, struct err *err);

/*
 * All of a file's bytes, at most max, into the arena and *len_r; a 0 byte is
 * behind them. NULL and err.
 */
char *path_read_all(
    struct arena *a, int fd, size_t max, size_t *len_r, struct err *err);

#endif
