/* SPDX-License-Identifier: MIT */
#ifndef SESSION_NAMES_H
#define SESSION_NAMES_H

struct arena;

/* Things by name: a table that only grows, of an arena. */
struct names;

struct names *names_new(struct arena *a);

/* The place of a name, made if it is new: then it holds NULL. Valid until the
 * next call. The name is copied. */
void **names_at(struct names *n, const char *name);

/* What a name stands for, or NULL. */
void *names_get(const struct names *n, const char *name);

#endif
