/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_SEEN_H
#define SANDBOXD_SEEN_H

#include <sys/stat.h>

/*
 * Which version of a file an agent's tools have seen last, by its inode, time
 * and size. Kept in the file "seen" beside the workspace, so that a restart
 * changes nothing; should that be lost, files count as never seen. A path of
 * more than SEEN_MAX files is forgotten.
 */
#define SEEN_MAX 4096

struct seen;

/* That of the workspace at key below root. Not NULL. */
struct seen *seen_open(int root, const char *key);
void seen_free(struct seen **s_p);

void seen_put(struct seen *s, const char *path, const struct stat *st);

int seen_has(const struct seen *s, const char *path);

/* 1 if it was seen and is another one now; 0 also if it was never seen. */
int seen_differs(const struct seen *s, const char *path, const struct stat *st);

#endif
