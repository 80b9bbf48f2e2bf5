/* SPDX-License-Identifier: MIT */
/* Which files there are, before and after. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/json.h"
#include "sandboxd/snapshot.h"
#include "sandboxd/tree.h"

struct file {
	const char *path;
	struct stat st;
	UT_hash_handle hh;
};

struct snapshot {
	struct arena *arena;
	struct file *files;
};

static int
take_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct snapshot *s = ctx;
	struct file *f;

	(void)err;
	if (e->path == NULL || !S_ISREG(e->st->st_mode) ||
	    json_utf8_whole(e->path, strlen(e->path)) != strlen(e->path))
		return TREE_GO_ON;
	f = arena_new(s->arena, struct file);
	f->path = arena_strdup(s->arena, e->path);
	f->st = *e->st;
	HASH_ADD_KEYPTR(hh, s->files, f->path, strlen(f->path), f);
	return TREE_GO_ON;
}

struct snapshot *
snapshot_take(int root, struct err *err)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->arena = arena_open(16384);
	if (tree_walk(root, take_entry, NULL, s, err) < 0)
		snapshot_free(&s);
	return s;
}

void
snapshot_free(struct snapshot **s_p)
{
	struct snapshot *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	HASH_CLEAR(hh, s->files);
	arena_close(&s->arena);
	free(s);
}

void
snapshot_compare(
    struct snapshot *before, struct snapshot *after, snapshot_f *fn, void *ctx)
{
	struct file *old, *now;

	for (old = before->files; old != NULL; old = old->hh.next) {
		HASH_FIND_STR(after->files, old->path, now);
		if (now == NULL) {
			fn(ctx, old->path, "deleted", NULL);
			continue;
		}
		if (!stat_is_same(&old->st, &now->st))
			fn(ctx, now->path, "modified", &now->st);
		HASH_DEL(after->files, now);
	}
	for (now = after->files; now != NULL; now = now->hh.next)
		fn(ctx, now->path, "created", &now->st);
}
