/* SPDX-License-Identifier: MIT */
/*
 * ws.trim: drops files that are too old, and the oldest of a workspace that is
 * too large. The age of a file is the time since its inode changed, as tar and
 * git give files times of the past. While a command runs there, nothing goes.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"
#include "sandboxd/runs.h"

#define BLOCK_BYTES 512 /* of st_blocks */

struct old_file {
	const char *path;
	int64_t changed_ms, bytes;
};

struct old_files {
	struct arena *arena;
	struct buf list; /* of struct old_file */
	int64_t bytes;   /* of all that is there */
};

static int
gather(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct old_files *o = ctx;
	struct old_file f;

	(void)err;
	f.bytes = (int64_t)e->st->st_blocks * BLOCK_BYTES;
	o->bytes += f.bytes;
	if (e->path == NULL || S_ISDIR(e->st->st_mode))
		return TREE_GO_ON;
	f.path = arena_strdup(o->arena, e->path);
	f.changed_ms = (int64_t)e->st->st_ctim.tv_sec * 1000 +
		       e->st->st_ctim.tv_nsec / 1000000;
	buf_add(&o->list, (const char *)&f, sizeof(f));
	return TREE_GO_ON;
}

static int
older_first(const void *a, const void *b)
{
	const struct old_file *x = a, *y = b;

	return (x->changed_ms > y->changed_ms) -
	       (x->changed_ms < y->changed_ms);
}

/* A file, and the directories that are empty without it. 0, or -1. */
static int
drop(int root, char *path)
{
	const char *name;
	char *slash;
	int flags = 0, dir, rc, dropped = -1;

	do {
		dir = path_open_parent(root, path, 0, &name, NULL);
		if (dir < 0)
			return dropped;
		rc = unlinkat(dir, name, flags);
		close(dir);
		if (flags == 0)
			dropped = rc;
		flags = AT_REMOVEDIR;
		slash = strrchr(path, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (rc == 0 && slash != NULL);
	return dropped;
}

static void
trim(struct job *j, struct old_files *o, int64_t before_ms, int64_t max_bytes)
{
	struct old_file *f = (void *)o->list.data;
	size_t n = o->list.len / sizeof(*f);
	int64_t files = 0, bytes = 0;

	if (n > 0)
		qsort(f, n, sizeof(*f), older_first);
	for (size_t i = 0; i < n; i++) {
		if (f[i].changed_ms >= before_ms &&
		    (max_bytes == 0 || o->bytes - bytes <= max_bytes))
			break;
		if (drop(j->ws.root, arena_strdup(o->arena, f[i].path)) < 0)
			continue;
		files++;
		bytes += f[i].bytes;
	}
	if (files > 0)
		workspace_forget(&j->ws);
	json_add_int(&j->answer, "files", files);
	json_add_int(&j->answer, "bytes", bytes);
}

int
ws_trim(struct job *j, struct err *err)
{
	struct old_files o = { .arena = j->arena };
	long long age, size;
	int64_t before = 0;
	int rc;

	if (job_int(j, "age_ms", 0, INT64_MAX, 0, &age, err) < 0 ||
	    job_int(j, "max_bytes", 0, INT64_MAX, 0, &size, err) < 0)
		return -1;
	if (age > 0)
		before = clk_wall_ms() - age;
	if (runs_any(j->runs, workspace_key(&j->ws)) || jobs_any(j)) {
		json_add_int(&j->answer, "files", 0);
		json_add_int(&j->answer, "bytes", 0);
		return 0;
	}
	rc = tree_walk(j->ws.root, gather, NULL, &o, err);
	if (rc == 0)
		trim(j, &o, before, size);
	buf_fini(&o.list);
	return rc;
}
