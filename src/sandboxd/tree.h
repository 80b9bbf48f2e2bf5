/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_TREE_H
#define SANDBOXD_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;

/*
 * Walks through a directory and all below it, in no order, and follows no
 * symlink. Directories that are nested deeper than TREE_DEPTH are an error.
 */
#define TREE_DEPTH 128

struct tree_entry {
	const char *path; /* below the root, "a/b"; NULL: too long for one */
	const char *name; /* its last part */
	int dir;          /* the directory it is in */
	const struct stat *st;
	int depth; /* 0: in the root */
};

#define TREE_GO_ON 0
#define TREE_SKIP 1 /* do not enter this directory */
#define TREE_STOP 2

/* One of the above, or -1 and err. */
typedef int tree_f(void *ctx, const struct tree_entry *e, struct err *err);

/* 0 at the end, also if stopped; -1 and err. before: of a directory and of
 * all else; after: of a directory whose entries were walked, NULL: none. */
int tree_walk(
    int root, tree_f *before, tree_f *after, void *ctx, struct err *err);

/* What a tree takes. */
struct usage {
	int64_t bytes; /* of the disk */
	int64_t files; /* and directories */
};

int tree_usage(int root, struct usage *out, struct err *err);

/* 1 if both are the same version of a file. */
int stat_is_same(const struct stat *a, const struct stat *b);

/*
 * Copies all that is below from into to, which is empty: directories,
 * symlinks, and regular files, by FICLONE where the filesystem can.
 */
int tree_copy(int from, int to, struct err *err);

/* Removes all that is below, but not dir itself. */
int tree_remove(int dir, struct err *err);

#endif
