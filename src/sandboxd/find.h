/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_FIND_H
#define SANDBOXD_FIND_H

#include "sandboxd/tree.h"

struct glob;
struct ignore;
struct job;

/* A walk for files that somebody looks for: what all such walks leave out. */
struct find {
	struct glob *glob;     /* of paths below where it began; NULL: all */
	struct ignore *ignore; /* NULL: .gitignore does not count */
	int dot;               /* hidden ones too */
	/* A regular file that is looked for: as tree_f. */
	tree_f *found;
	void *ctx;
};

/* Walks below the directory root. */
int find_walk(int root, struct find *f, struct err *err);

/* glob_new of a member of the request and ignore_new if it asks for that;
 * both end with the job. */
int find_init(
    struct find *f, struct job *j, const char *pattern, struct err *err);

#endif
