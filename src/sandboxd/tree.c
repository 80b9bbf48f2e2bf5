/* SPDX-License-Identifier: MIT */
/* Walks through a directory, by descriptors only. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/id.h"
#include "sandboxd/path.h"
#include "sandboxd/tree.h"

struct walk {
	tree_f *before, *after;
	void *ctx;
	struct err *err;
	char path[PATH_MAX];
	size_t len;
	int depth;
};

static int walk_dir(struct walk *w, int dir);

/* A directory, opened by its name in the one it is in. */
static int
walk_into(struct walk *w, int dir, const char *name)
{
	int fd =
	    openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (fd < 0) /* gone, or something else meanwhile; or not ours to see */
		return TREE_GO_ON;
	if (w->depth == TREE_DEPTH) {
		close(fd);
		return err_set(w->err, ERR_INVALID,
		    "the workspace nests deeper than %d directories",
		    TREE_DEPTH);
	}
	w->depth++;
	rc = walk_dir(w, fd);
	w->depth--;
	return rc;
}

static int
walk_entry(struct walk *w, int dir, const char *name)
{
	struct tree_entry e = { .name = name, .dir = dir, .depth = w->depth };
	struct stat st;
	size_t n = strlen(name), before = w->len;
	int rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return TREE_GO_ON;
	e.st = &st;
	if (before + 1 + n >= sizeof(w->path)) {
		rc = w->before == NULL ? TREE_SKIP
				       : w->before(w->ctx, &e, w->err);
		return rc == TREE_SKIP ? TREE_GO_ON : rc;
	}
	if (before > 0)
		w->path[w->len++] = '/';
	memcpy(w->path + w->len, name, n + 1);
	w->len += n;
	e.path = w->path;
	rc = w->before == NULL ? TREE_GO_ON : w->before(w->ctx, &e, w->err);
	if (rc == TREE_GO_ON && S_ISDIR(st.st_mode)) {
		rc = walk_into(w, dir, name);
		if (rc == TREE_GO_ON && w->after != NULL)
			rc = w->after(w->ctx, &e, w->err);
	}
	w->len = before;
	w->path[before] = '\0';
	return rc == TREE_SKIP ? TREE_GO_ON : rc;
}

/* Closes dir. */
static int
walk_dir(struct walk *w, int dir)
{
	DIR *d = fdopendir(dir);
	struct dirent *de;
	int rc = TREE_GO_ON;

	if (d == NULL) {
		close(dir);
		return path_error("the directory", errno, w->err);
	}
	while (rc == TREE_GO_ON && (de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 &&
		    strcmp(de->d_name, "..") != 0)
			rc = walk_entry(w, dirfd(d), de->d_name);
	closedir(d);
	return rc;
}

int
tree_walk(int root, tree_f *before, tree_f *after, void *ctx, struct err *err)
{
	struct walk w = {
		.before = before, .after = after, .ctx = ctx, .err = err
	};
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return path_error("the workspace", errno, err);
	return walk_dir(&w, fd) < 0 ? -1 : 0;
}

static int
count_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	struct usage *u = ctx;

	(void)err;
	u->files++;
	u->bytes += (int64_t)e->st->st_blocks * 512;
	return TREE_GO_ON;
}

int
tree_usage(int root, struct usage *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	return tree_walk(root, count_entry, NULL, out, err);
}

int
stat_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

struct removal {
	int root;
	int moved; /* directories that were too deep, up to the root */
};

/* Our own rights on a directory, which what ran in it may have taken. */
static void
open_up(const struct tree_entry *e)
{
	char path[40];
	int fd = openat(
	    e->dir, e->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	chmod(path, 0700);
	close(fd);
}

static int
move_up(struct removal *r, const struct tree_entry *e, struct err *err)
{
	char name[ID_SIZE];

	id_make(name, "deep_");
	if (renameat(e->dir, e->name, r->root, name) < 0 && errno != ENOENT)
		return path_error(e->name, errno, err);
	r->moved = 1;
	return TREE_SKIP;
}

static int
remove_file(void *ctx, const struct tree_entry *e, struct err *err)
{
	if (S_ISDIR(e->st->st_mode)) {
		if ((e->st->st_mode & 0700) != 0700)
			open_up(e);
		if (e->path == NULL || e->depth == TREE_DEPTH - 1)
			return move_up(ctx, e, err);
		return TREE_GO_ON;
	}
	if (unlinkat(e->dir, e->name, 0) < 0 && errno != ENOENT)
		return path_error(e->name, errno, err);
	return TREE_GO_ON;
}

static int
remove_dir(void *ctx, const struct tree_entry *e, struct err *err)
{
	(void)ctx;
	if (unlinkat(e->dir, e->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return path_error(e->name, errno, err);
	return TREE_GO_ON;
}

int
tree_remove(int dir, struct err *err)
{
	struct removal r = { .root = dir };
	int rc;

	do {
		r.moved = 0;
		rc = tree_walk(dir, remove_file, remove_dir, &r, err);
	} while (rc == 0 && r.moved);
	return rc;
}
