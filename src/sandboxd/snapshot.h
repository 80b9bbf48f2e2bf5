/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_SNAPSHOT_H
#define SANDBOXD_SNAPSHOT_H

#include <sys/stat.h>

struct err;

/*
 * Which regular files are below a directory, and which versions of them: what
 * a command has changed is the difference between two.
 */
struct snapshot;

/* NULL and err if the directory cannot be walked through. */
struct snapshot *snapshot_take(int root, struct err *err);
void snapshot_free(struct snapshot **s_p);

/* "created", "modified" or "deleted"; st is NULL if it was deleted. */
typedef void snapshot_f(
    void *ctx, const char *path, const char *what, const struct stat *st);

/* Calls fn for all that is different. after is used up. */
void snapshot_compare(
    struct snapshot *before, struct snapshot *after, snapshot_f *fn, void *ctx);

#endif
