/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_GLOB_H
#define SANDBOXD_GLOB_H

#include <stddef.h>

struct err;

/*
 * Patterns of paths: *, ?, [a-z], {a,b}, and ** across directories
 * (pcre2_pattern_convert, PCRE2_CONVERT_GLOB). With bounds on what a match
 * may cost: what costs more does not match.
 */
struct glob;

/* NULL and ERR_INVALID if it is malformed or has over 64 alternatives. */
struct glob *glob_new(const char *pattern, struct err *err);
void glob_free(struct glob **g_p);
int glob_matches(const struct glob *g, const char *path);

/*
 * The .gitignore files of a tree, as they are met on a walk (gitignore(5)).
 */
struct ignore;

struct ignore *ignore_new(void);
void ignore_free(struct ignore **i_p);

/* Reads the .gitignore in dir, whose path is "" or "a/b/". */
void ignore_read(struct ignore *i, int dir, const char *path);

/* 1 if the last pattern that matches says so; .git always. */
int ignore_matches(const struct ignore *i, const char *path, int is_dir);

#endif
