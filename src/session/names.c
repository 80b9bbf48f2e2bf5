/* SPDX-License-Identifier: MIT */
/* Open addressing; a table that is half full is made anew, twice as large. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "session/names.h"

struct slot {
	const char *name; /* NULL: free */
	void *value;
};

struct names {
	struct arena *arena;
	struct slot *slots;
	size_t size; /* a power of 2 */
	size_t used;
};

struct names *
names_new(struct arena *a)
{
	struct names *n = arena_new(a, struct names);

	n->arena = a;
	n->size = 16;
	n->slots = arena_alloc(a, n->size * sizeof(*n->slots));
	return n;
}

static struct slot *
slot_of(const struct names *n, const char *name)
{
	size_t i = (size_t)hash_text(name) & (n->size - 1);

	while (n->slots[i].name != NULL && strcmp(n->slots[i].name, name) != 0)
		i = (i + 1) & (n->size - 1);
	return &n->slots[i];
}

static void
grow(struct names *n)
{
	struct slot *old = n->slots;
	size_t size = n->size;

	n->size *= 2;
	n->slots = arena_alloc(n->arena, n->size * sizeof(*n->slots));
	for (size_t i = 0; i < size; i++)
		if (old[i].name != NULL)
			*slot_of(n, old[i].name) = old[i];
}

void **
names_at(struct names *n, const char *name)
{
	struct slot *s = slot_of(n, name);

	if (s->name != NULL)
		return &s->value;
	if (++n->used > n->size / 2) {
		grow(n);
		s = slot_of(n, name);
	}
	s->name = arena_strdup(n->arena, name);
	return &s->value;
}

void *
names_get(const struct names *n, const char *name)
{
	return slot_of(n, name)->value;
}
