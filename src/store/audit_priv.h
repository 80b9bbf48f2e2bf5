/* SPDX-License-Identifier: MIT */
#ifndef STORE_AUDIT_PRIV_H
#define STORE_AUDIT_PRIV_H

#include <stddef.h>

struct arena;
struct store;

/* What writes records and what reads them have in common. */
#define AUDIT_HASH_MARK ",\"hash\":\""

/* The stream's key; the arena's. */
char *audit_key(const struct store *st, struct arena *a);

#endif
