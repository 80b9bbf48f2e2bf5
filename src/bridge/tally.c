/* SPDX-License-Identifier: MIT */
/* Counts by name: see tally.h. A name is kept while there is one of it. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "bridge/tally.h"

struct tally_row {
	UT_hash_handle hh;
	int64_t count;
	char name[];
};

static struct tally_row *
row_new(struct tally *t, const char *name)
{
	size_t len = strlen(name);
	struct tally_row *r = calloc(1, sizeof(*r) + len + 1);

	if (r == NULL)
		abort();
	memcpy(r->name, name, len);
	HASH_ADD_STR(t->rows, name, r);
	return r;
}

int
tally_take(struct tally *t, const char *name, int64_t max)
{
	struct tally_row *r;

	HASH_FIND_STR(t->rows, name, r);
	if (r == NULL)
		r = row_new(t, name);
	if (max > 0 && r->count >= max)
		return 0;
	r->count++;
	return 1;
}

void
tally_drop(struct tally *t, const char *name)
{
	struct tally_row *r;

	HASH_FIND_STR(t->rows, name, r);
	if (r == NULL || --r->count > 0)
		return;
	HASH_DEL(t->rows, r);
	free(r);
}

void
tally_fini(struct tally *t)
{
	struct tally_row *r, *next;

	HASH_ITER(hh, t->rows, r, next)
	{
		HASH_DEL(t->rows, r);
		free(r);
	}
}
