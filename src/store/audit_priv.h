/* SPDX-License-Identifier: MIT */
#ifndef STORE_AUDIT_PRIV_H
#define STORE_AUDIT_PRIV_H

#include <stddef.h>

struct arena;
struct store;

/* What writes records and what reads them have in common. */
#define AUDIT_HASH_SIZE 65
#define AUDIT_HASH_MARK ",\"hash\":\""

/* The SHA-256 of a text as 64 hexadecimal digits. */
void audit_hash(const char *text, size_t len, char out[AUDIT_HASH_SIZE]);

/* The stream's key; the arena's. */
char *audit_key(const struct store *st, struct arena *a);

#endif
