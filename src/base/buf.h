/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <string.h>

struct arena;

/*
 * A growing byte string. data is always followed by a 0 byte once something
 * was added. With an arena its memory is the arena's and buf_fini does
 * nothing; without, buf_fini frees it. No memory aborts.
 */
struct buf {
	char *data;
	size_t len;
	size_t cap;
	struct arena *arena;
};

/* An empty one; arena may be NULL. Allocates nothing yet. */
void buf_init(struct buf *b, struct arena *arena);
void buf_fini(struct buf *b);

/* Room for extra bytes and a 0 byte behind what is there. */
void buf_reserve(struct buf *b, size_t extra);

void buf_add(struct buf *b, const void *p, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets the first len bytes. */
void buf_consume(struct buf *b, size_t len);

/* Forgets all but the first len bytes. */
void buf_truncate(struct buf *b, size_t len);

/* Empties it, and frees the memory if it is more than max bytes. */
void buf_trim(struct buf *b, size_t max);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

/* Adds a literal. */
#define buf_lit(b, s) buf_add((b), (s), sizeof(s) - 1)

/* The text; "" where nothing was added. */
const char *buf_str(const struct buf *b);

#endif
