/* SPDX-License-Identifier: MIT */
/*
 * ws.scan: which files a workspace has, and of which versions, for somebody
 * who keeps copies of them. All are looked at each time and given in the order
 * of their paths, a part a call: nothing is held between two of them. That is
 * no use of the workspace, so who looks often keeps no job of it alive.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "sandboxd/job.h"
#include "sandboxd/runs.h"

#define SCAN_DEFAULT 1000
#define SCAN_MAX 10000
#define PART_BYTES (4u << 20) /* of an answer, which is JSON */

struct scanned {
	const char *path;
	struct stat st;
};

struct scan {
	struct arena *arena;
	struct buf list; /* of struct scanned */
	const char *after;
	int64_t others; /* what is no regular file, or has no name as text */
};

static int
scan_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct scan *s = ctx;
	struct scanned f;

	(void)err;
	if (S_ISDIR(e->st->st_mode) && e->path != NULL)
		return TREE_GO_ON;
	if (e->path == NULL || !S_ISREG(e->st->st_mode) ||
	    !is_text(e->path, strlen(e->path))) {
		s->others++;
		return TREE_SKIP;
	}
	if (strcmp(e->path, s->after) <= 0)
		return TREE_GO_ON;
	memset(&f, 0, sizeof(f));
	f.path = arena_strdup(s->arena, e->path);
	f.st = *e->st;
	buf_add(&s->list, (const char *)&f, sizeof(f));
	return TREE_GO_ON;
}

static int
by_path(const void *a, const void *b)
{
	const struct scanned *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void
answer_files(struct job *j, struct scan *s, size_t limit)
{
	struct scanned *f = (void *)s->list.data;
	size_t n = s->list.len / sizeof(*f), i;
	struct buf *b = &j->answer;

	if (n > 0)
		qsort(f, n, sizeof(*f), by_path);
	json_open(b, "files", '[');
	for (i = 0; i < n && i < limit && b->len < PART_BYTES; i++) {
		json_open(b, NULL, '{');
		json_add_str(b, "path", f[i].path);
		json_add_int(b, "size", f[i].st.st_size);
		json_add_int(b, "mode", f[i].st.st_mode & 0777);
		job_etag(b, &f[i].st);
		json_close(b, '}');
	}
	json_close(b, ']');
	if (i < n)
		json_add_str(b, "next", f[i - 1].path);
}

int
ws_scan(struct job *j, struct err *err)
{
	const char *after = json_get_str(j->rq, "after");
	struct scan s = { .arena = j->arena,
		.after = after == NULL ? "" : after };
	long long limit;
	int rc;

	if (job_int(j, "limit", 1, SCAN_MAX, SCAN_DEFAULT, &limit, err) < 0)
		return -1;
	/* Asked first: what begins meanwhile is not taken for what ended. */
	json_add_bool(&j->answer, "running",
	    runs_any(j->runs, workspace_key(&j->ws)) || jobs_any(j));
	rc = tree_walk(j->ws.root, scan_entry, NULL, &s, err);
	if (rc == 0) {
		answer_files(j, &s, (size_t)limit);
		json_add_int(&j->answer, "others", s.others);
	}
	buf_fini(&s.list);
	return rc;
}
