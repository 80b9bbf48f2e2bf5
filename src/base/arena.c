/* SPDX-License-Identifier: MIT */
/*
 * Arenas: a chain of blocks, each filled from its start.
 *
 * The request or turn that opened an arena is the only one to use it, so
 * nothing here locks. Blocks double up to a bound; what is larger than the
 * next block gets one of its own size. With ARENA_MALLOC (configure
 * --enable-arena-malloc) each allocation is a malloc of its own instead, so
 * that the address sanitizer sees every overrun and every use after close.
 */
#include "config.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define ALIGN 16
#define BLOCK_MAX (256 * 1024)

struct block {
	struct block *next;
	size_t size; /* of data */
	size_t used;
	_Alignas(ALIGN) char data[];
};

struct defer {
	struct defer *next;
	arena_defer_f *fn;
	void *ptr;
};

struct arena {
	struct block *block; /* the one being filled; older ones behind it */
	struct defer *defer;
	size_t used;
	size_t next_size;
};

static size_t
align_up(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct block *
block_new(size_t size, struct block *next)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (b == NULL)
		abort();
	b->next = next;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *
arena_open(size_t first_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->next_size = first_bytes < 256 ? 256 : first_bytes;
#ifndef ARENA_MALLOC
	a->block = block_new(a->next_size, NULL);
#endif
	return a;
}

static void
arena_run_defers(struct arena *a)
{
	struct defer *d;

	while ((d = a->defer) != NULL) {
		a->defer = d->next;
		d->fn(d->ptr);
	}
}

/* Frees all blocks but, where it may, the oldest: the first one made. */
static void
arena_free_blocks(struct arena *a, int keep_first)
{
	struct block *b, *next;

#ifdef ARENA_MALLOC
	keep_first = 0;
#endif
	for (b = a->block; b != NULL; b = next) {
		next = b->next;
		if (next == NULL && keep_first)
			break;
		free(b);
	}
	a->block = b;
	if (b != NULL)
		b->used = 0;
}

void
arena_close(struct arena **a_p)
{
	struct arena *a = *a_p;

	if (a == NULL)
		return;
	*a_p = NULL;
	arena_run_defers(a);
	arena_free_blocks(a, 0);
	free(a);
}

void
arena_reset(struct arena *a)
{
	arena_run_defers(a);
	arena_free_blocks(a, 1);
	a->used = 0;
}

static struct block *
arena_grow(struct arena *a, size_t size)
{
#ifndef ARENA_MALLOC
	if (a->next_size < BLOCK_MAX)
		a->next_size *= 2;
	if (size < a->next_size)
		size = a->next_size;
#endif
	a->block = block_new(size, a->block);
	return a->block;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->block;
	size_t need = align_up(size);
	void *p;

	if (need < size)
		abort();
	if (b == NULL || b->size - b->used < need)
		b = arena_grow(a, need);
#ifdef ARENA_MALLOC
	else
		b = arena_grow(a, need);
#endif
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	return memset(p, 0, size);
}

void *
arena_memdup(struct arena *a, const void *p, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_memdup(a, s, strlen(s));
}

/* Where the next allocation would be, and how much there is. */
static char *
arena_tail(struct arena *a, size_t *room_r)
{
	static char none;
	struct block *b = a->block;

#ifdef ARENA_MALLOC
	b = NULL;
#endif
	*room_r = b == NULL ? 0 : b->size - b->used;
	return *room_r == 0 ? &none : b->data + b->used;
}

/* It is written where it may stay; only if it does not fit, once more. */
char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	size_t room, need;
	char *s = arena_tail(a, &room);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	need = align_up((size_t)n + 1);
	if (need <= room) {
		a->block->used += need;
		a->used += need;
		return s;
	}
	s = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void
arena_defer(struct arena *a, arena_defer_f *fn, void *ptr)
{
	struct defer *d = arena_new(a, struct defer);

	d->fn = fn;
	d->ptr = ptr;
	d->next = a->defer;
	a->defer = d;
}

size_t
arena_used_bytes(const struct arena *a)
{
	return a->used;
}
