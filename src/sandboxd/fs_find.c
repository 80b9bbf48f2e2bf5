/* SPDX-License-Identifier: MIT */
/* Looking for files: lists of them, and patterns of their paths. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "sandboxd/find.h"
#include "sandboxd/glob.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"

#define MATCHES_DEFAULT 200
#define MATCHES_MAX 10000
#define LIST_DEFAULT 1000

static void
free_glob(void *p)
{
	struct glob *g = p;

	glob_free(&g);
}

static void
free_ignore(void *p)
{
	struct ignore *i = p;

	ignore_free(&i);
}

int
find_init(struct find *f, struct job *j, const char *pattern, struct err *err)
{
	memset(f, 0, sizeof(*f));
	f->dot = json_get_true(j->rq, "dot");
	if (pattern != NULL) {
		f->glob = glob_new(pattern, err);
		if (f->glob == NULL)
			return -1;
		arena_defer(j->arena, free_glob, f->glob);
	}
	if (json_get_true(j->rq, "gitignore")) {
		f->ignore = ignore_new();
		arena_defer(j->arena, free_ignore, f->ignore);
	}
	return 0;
}

static int
find_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct find *f = ctx;
	int is_dir = S_ISDIR(e->st->st_mode), next;
	char below[4096];

	if (e->path == NULL || (*e->name == '.' && !f->dot))
		return TREE_SKIP;
	if (f->ignore != NULL && ignore_matches(f->ignore, e->path, is_dir))
		return TREE_SKIP;
	if (is_dir && f->ignore != NULL) {
		next = path_open(e->dir, e->name, O_RDONLY | O_DIRECTORY, NULL);
		snprintf(below, sizeof(below), "%s/", e->path);
		if (next >= 0) {
			ignore_read(f->ignore, next, below);
			close(next);
		}
	}
	if (is_dir || !S_ISREG(e->st->st_mode) ||
	    !is_text(e->path, strlen(e->path)) ||
	    (f->glob != NULL && !glob_matches(f->glob, e->path)))
		return TREE_GO_ON;
	return f->found(f->ctx, e, err);
}

int
find_walk(int root, struct find *f, struct err *err)
{
	if (f->ignore != NULL)
		ignore_read(f->ignore, root, "");
	return tree_walk(root, find_entry, NULL, f, err);
}

/* ---- glob ---- */

struct matches {
	struct arena *arena;
	const char *before; /* put before each path: "" or "cwd/" */
	const char **paths;
	long long count, max;
	int more;
};

static int
match_found(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct matches *m = ctx;

	(void)err;
	if (m->count == m->max) {
		m->more = 1;
		return TREE_STOP;
	}
	m->paths[m->count++] =
	    arena_printf(m->arena, "%s%s", m->before, e->path);
	return TREE_GO_ON;
}

static int
path_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
answer_matches(struct job *j, struct matches *m)
{
	qsort(m->paths, (size_t)m->count, sizeof(*m->paths), path_cmp);
	json_add_bool(&j->answer, "truncated", m->more);
	json_add_int(&j->answer, "count", m->count);
	json_open(&j->answer, "matches", '[');
	for (long long i = 0; i < m->count; i++)
		json_add_str(&j->answer, NULL, m->paths[i]);
	json_close(&j->answer, ']');
}

int
fs_glob(struct job *j, struct err *err)
{
	const char *pattern = json_get_str(j->rq, "pattern");
	const char *cwd = json_get_str(j->rq, "cwd");
	struct matches m = { .arena = j->arena, .before = "" };
	struct find f;
	int dir, rc;

	cwd = path_relative(j->arena, cwd == NULL ? "." : cwd, err);
	if (cwd == NULL ||
	    find_init(&f, j, pattern == NULL ? "" : pattern, err) < 0 ||
	    job_int(j, "limit", 1, MATCHES_MAX, MATCHES_DEFAULT, &m.max, err) <
		0)
		return -1;
	dir = path_open(j->ws.root, cwd, O_RDONLY | O_DIRECTORY, err);
	if (dir < 0)
		return -1;
	if (strcmp(cwd, ".") != 0)
		m.before = arena_printf(j->arena, "%s/", cwd);
	m.paths = arena_alloc(j->arena, (size_t)m.max * sizeof(*m.paths));
	f.found = match_found;
	f.ctx = &m;
	rc = find_walk(dir, &f, err);
	close(dir);
	if (rc < 0)
		return -1;
	json_add_str(&j->answer, "pattern", pattern);
	json_add_str(&j->answer, "cwd", cwd);
	answer_matches(j, &m);
	return 0;
}

/* ---- list ---- */

struct listing {
	struct buf *out;
	const char *before;
	long long count, max, depth;
	int more;
};

static int
list_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct listing *l = ctx;
	mode_t mode = e->st->st_mode;
	int goes_on = S_ISDIR(mode) && e->depth + 1 < l->depth;

	(void)err;
	if (e->path == NULL || !is_text(e->path, strlen(e->path)))
		return TREE_SKIP;
	if (l->count == l->max) {
		l->more = 1;
		return TREE_STOP;
	}
	l->count++;
	json_open(l->out, NULL, '{');
	json_add_str(l->out, "path", "");
	l->out->len--; /* the quote */
	json_escape(l->out, l->before, strlen(l->before));
	json_escape(l->out, e->path, strlen(e->path));
	buf_putc(l->out, '"');
	json_add_str(l->out, "type",
	    S_ISDIR(mode)   ? "directory"
	    : S_ISREG(mode) ? "file"
	    : S_ISLNK(mode) ? "symlink"
			    : "other");
	if (S_ISREG(mode))
		json_add_int(l->out, "size", e->st->st_size);
	json_add_int(l->out, "modified", e->st->st_mtim.tv_sec);
	json_close(l->out, '}');
	return goes_on ? TREE_GO_ON : TREE_SKIP;
}

int
fs_list(struct job *j, struct err *err)
{
	const char *path = json_get_str(j->rq, "path");
	struct listing l = { .out = &j->answer, .before = "" };
	int dir, rc;

	path = path_relative(j->arena, path == NULL ? "." : path, err);
	if (path == NULL ||
	    job_int(j, "depth", 1, TREE_DEPTH, TREE_DEPTH, &l.depth, err) < 0 ||
	    job_int(j, "limit", 1, MATCHES_MAX, LIST_DEFAULT, &l.max, err) < 0)
		return -1;
	dir = path_open(j->ws.root, path, O_RDONLY | O_DIRECTORY, err);
	if (dir < 0)
		return -1;
	if (strcmp(path, ".") != 0)
		l.before = arena_printf(j->arena, "%s/", path);
	json_open(&j->answer, "files", '[');
	rc = tree_walk(dir, list_entry, NULL, &l, err);
	json_close(&j->answer, ']');
	json_add_bool(&j->answer, "truncated", l.more);
	close(dir);
	return rc;
}
