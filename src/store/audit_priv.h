/* SPDX-License-Identifier: MIT */
#ifndef STORE_AUDIT_PRIV_H
#define STORE_AUDIT_PRIV_H

#include <stddef.h>

struct arena;
struct err;
struct store;

/* What writes records and what reads them have in common. */
#define AUDIT_HASH_MARK ",\"hash\":\""

/* The stream's key; the arena's. */
char *audit_key(const struct store *st, struct arena *a);

/*
 * Appends lines, which end with 0, to the file ctx (its path), which is made
 * if it is not there. 0, or -1 and ERR_INTERNAL: nothing was. Blocks for the
 * disk, and a second for who has locked the file.
 */
int audit_file_append(
    void *ctx, struct arena *a, const char *lines, size_t len, struct err *err);

#endif
