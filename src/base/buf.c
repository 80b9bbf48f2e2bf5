/* SPDX-License-Identifier: MIT */
/*
 * Growing byte strings, on the heap or in an arena. They double, so adding n
 * bytes one by one costs O(n). One thread at a time.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"

void
buf_init(struct buf *b, struct arena *arena)
{
	memset(b, 0, sizeof(*b));
	b->arena = arena;
}

void
buf_fini(struct buf *b)
{
	if (b->arena == NULL)
		free(b->data);
	memset(b, 0, sizeof(*b));
}

static void
buf_grow(struct buf *b, size_t cap)
{
	char *data;

	if (b->arena != NULL) {
		data = arena_alloc(b->arena, cap);
		if (b->len > 0)
			memcpy(data, b->data, b->len);
	} else {
		data = realloc(b->data, cap);
		if (data == NULL)
			abort();
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
}

void
buf_reserve(struct buf *b, size_t extra)
{
	size_t need = b->len + extra + 1;
	size_t cap = b->cap < 64 ? 64 : b->cap;

	if (need <= extra)
		abort();
	if (need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	buf_grow(b, cap);
}

void
buf_add(struct buf *b, const void *p, size_t len)
{
	buf_reserve(b, len);
	if (len > 0)
		memcpy(b->data + b->len, p, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_putc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	buf_reserve(b, 80);
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	if ((size_t)n >= b->cap - b->len) {
		buf_reserve(b, (size_t)n);
		va_start(ap, fmt);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len > b->len)
		abort();
	b->len -= len;
	if (b->data != NULL) {
		memmove(b->data, b->data + len, b->len);
		b->data[b->len] = '\0';
	}
}

void
buf_truncate(struct buf *b, size_t len)
{
	if (len > b->len)
		abort();
	b->len = len;
	if (b->data != NULL)
		b->data[len] = '\0';
}

void
buf_clear(struct buf *b)
{
	buf_truncate(b, 0);
}

const char *
buf_str(const struct buf *b)
{
	return b->data == NULL ? "" : b->data;
}

void
buf_trim(struct buf *b, size_t max)
{
	struct arena *a = b->arena;

	b->len = 0;
	if (b->cap <= max)
		return;
	buf_fini(b);
	buf_init(b, a);
}
