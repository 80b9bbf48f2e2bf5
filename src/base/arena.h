/* SPDX-License-Identifier: MIT */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

/*
 * An arena: many small allocations that die together. One per request or
 * turn; the caller passes the arena that shall own a result. Not for two
 * threads at once. No memory is a bug of the host: it aborts.
 */
struct arena;

typedef void arena_defer_f(void *);

/* A new arena; first_bytes is the size of its first block. Never NULL. */
struct arena *arena_open(size_t first_bytes);

/* Runs what was deferred, newest first, and frees all. Sets *a_p NULL. */
void arena_close(struct arena **a_p);

/* As close and open: runs what was deferred, keeps the first block. */
void arena_reset(struct arena *a);

/* Zeroed memory, aligned for any type, until the arena is closed or reset. */
void *arena_alloc(struct arena *a, size_t size);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* Copies, owned by the arena; a 0 byte follows in each. */
void *arena_memdup(struct arena *a, const void *p, size_t len);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* fn(ptr) will run when the arena is closed or reset: foreign objects. */
void arena_defer(struct arena *a, arena_defer_f *fn, void *ptr);

/* Bytes handed out since it was opened or reset. */
size_t arena_used_bytes(const struct arena *a);

#endif
