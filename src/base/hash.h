/* SPDX-License-Identifier: MIT */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

/* FNV-1a of a text, the same in every process; never 0. */
uint64_t hash_text(const char *s);

#endif
