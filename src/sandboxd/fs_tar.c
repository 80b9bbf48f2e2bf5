/* SPDX-License-Identifier: MIT */
/*
 * fs.tar: a directory as a tar archive, a part at a time.
 *
 * Each part is a call of its own: nobody holds the workspace, a thread or
 * memory while a slow reader takes the last one. A part ends with a cursor,
 * which says what the archive has so far: the last entry, and how much of it.
 * The walk is in order of names, so that the next call finds the place again
 * by passing over what comes before. What changes behind it is in the archive,
 * what changes before it is not; a file that changes in its middle ends it.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/b64.h"
#include "base/json.h"
#include "sandboxd/job.h"
#include "sandboxd/path.h"
#include "sandboxd/tar.h"

#define PART_BYTES (1u << 20) /* a little more at most */
#define READ_BYTES 65536

/* How much of the last entry the archive has; all of what is no file. */
struct place {
	int64_t at, size, inode;
};

struct pack {
	struct job *job;
	struct buf *out;
	char path[PATH_MAX]; /* below the workspace, of the entry at hand */
	size_t len;
	int depth;
	struct place place;
	int goes_on; /* the cursor is in the middle of a file */
	int full;    /* the part is; path and place are the cursor's */
};

static int pack_dir(struct pack *p, int dir, const char *after, struct err *);

/* ---- one file ---- */

static int
pack_bytes(struct pack *p, int fd, struct err *err)
{
	struct place *pl = &p->place;
	ssize_t n;

	while (pl->at < pl->size && p->out->len < PART_BYTES) {
		int64_t left = pl->size - pl->at;

		buf_reserve(p->out, READ_BYTES);
		n = pread(fd, p->out->data + p->out->len,
		    (size_t)(left < READ_BYTES ? left : READ_BYTES), pl->at);
		if (n <= 0)
			return err_set(err, ERR_CONFLICT,
			    "%s: it became shorter while it was packed",
			    p->path);
		p->out->len += (size_t)n;
		pl->at += n;
	}
	if (pl->at == pl->size)
		tar_put_padding(p->out, pl->size);
	return 0;
}

static int
open_entry(
    struct pack *p, int dir, const char *name, int flags, struct err *err)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		path_error(p->path, errno, err);
	return fd;
}

/* A file from its begin, or from where the last part ended. */
static int
pack_file(
    struct pack *p, int dir, const char *name, int goes_on, struct err *err)
{
	int fd = open_entry(p, dir, name, O_RDONLY, err), rc = -1;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (goes_on && ((int64_t)st.st_ino != p->place.inode ||
			    st.st_size < p->place.size))) {
		err_set(err, ERR_CONFLICT, "%s: it changed while it was packed",
		    p->path);
	} else {
		if (!goes_on) {
			tar_put_header(p->out, p->path, &st, NULL);
			p->place =
			    (struct place){ 0, st.st_size, (int64_t)st.st_ino };
		}
		rc = pack_bytes(p, fd, err);
	}
	close(fd);
	return rc;
}

/* ---- entries ---- */

static int
enter_dir(struct pack *p, int dir, const char *name, const char *after,
    struct err *err)
{
	int fd, rc;

	if (p->depth == TREE_DEPTH)
		return err_set(err, ERR_INVALID,
		    "the workspace nests deeper than %d directories",
		    TREE_DEPTH);
	fd = open_entry(p, dir, name, O_RDONLY | O_DIRECTORY, err);
	if (fd < 0)
		return -1;
	p->depth++;
	rc = pack_dir(p, fd, after, err);
	p->depth--;
	return rc;
}

static int
pack_link(struct pack *p, int dir, const char *name, const struct stat *st,
    struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return path_error(p->path, errno, err);
	target[n] = '\0';
	tar_put_header(p->out, p->path, st, target);
	return 0;
}

/* An entry that the archive has nothing of. */
static int
pack_entry(struct pack *p, int dir, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !tar_takes(&st))
		return 0; /* gone meanwhile, or nothing to keep */
	if (S_ISREG(st.st_mode))
		return pack_file(p, dir, name, 0, err);
	p->place = (struct place){ 0, 0, 0 };
	if (S_ISLNK(st.st_mode))
		return pack_link(p, dir, name, &st, err);
	tar_put_header(p->out, p->path, &st, NULL);
	p->full = p->out->len >= PART_BYTES;
	return p->full ? 0 : enter_dir(p, dir, name, "", err);
}

/*
 * The entry that the cursor names, or that leads to it: rest is what follows
 * its name, "" if it is the last one of the archive so far.
 */
static int
pack_rest(struct pack *p, int dir, const char *name, const char *rest,
    struct err *err)
{
	struct stat st;

	if (*rest == '\0' && p->goes_on) {
		p->goes_on = 0;
		return pack_file(p, dir, name, 1, err);
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	return enter_dir(p, dir, name, rest + (*rest == '/'), err);
}

/* ---- directories ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, in order, and NULL. Closes dir's copy. */
static char **
names_of(struct arena *a, int dir, size_t *count_r)
{
	DIR *d = fdopendir(dup(dir));
	size_t n = 0, room = 0;
	char **names = NULL;
	struct dirent *de;

	while (d != NULL && (de = readdir(d)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0)
			continue;
		if (n == room) {
			room = room == 0 ? 64 : room * 2;
			names = realloc(names, room * sizeof(*names));
			if (names == NULL)
				abort();
		}
		names[n++] = arena_strdup(a, de->d_name);
	}
	if (d != NULL)
		closedir(d);
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	*count_r = n;
	return names;
}

/* How a name stands to the first part of a path: before it, it, behind it. */
static int
compare_first(const char *name, const char *path, size_t len)
{
	int order = strncmp(name, path, len);

	return order != 0 ? order : name[len] != '\0';
}

/* One of a directory's, unless the archive has it already. */
static int
pack_name(struct pack *p, int dir, const char *name, const char *after,
    struct err *err)
{
	size_t first = strcspn(after, "/"), before = p->len;
	int order = *after == '\0' ? 1 : compare_first(name, after, first), rc;

	if (order < 0)
		return 0;
	if (before + 1 + strlen(name) >= sizeof(p->path))
		return err_set(err, ERR_INVALID, "a path is too long to pack");
	p->len += (size_t)snprintf(p->path + before, sizeof(p->path) - before,
	    "%s%s", before > 0 ? "/" : "", name);
	rc = order == 0 ? pack_rest(p, dir, name, after + first, err)
			: pack_entry(p, dir, name, err);
	if (rc == 0 && p->out->len >= PART_BYTES)
		p->full = 1;
	if (p->full)
		return rc; /* with the path as it is */
	p->len = before;
	p->path[before] = '\0';
	return rc;
}

/* All that is in a directory and after a path below it. Closes dir. */
static int
pack_dir(struct pack *p, int dir, const char *after, struct err *err)
{
	size_t n;
	char **names = names_of(p->job->arena, dir, &n);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0 && !p->full; i++)
		rc = pack_name(p, dir, names[i], after, err);
	free(names);
	close(dir);
	return rc;
}

/* ---- the cursor ---- */

static void
add_cursor(struct pack *p)
{
	struct buf plain, text;

	buf_init(&plain, p->job->arena);
	buf_init(&text, p->job->arena);
	buf_printf(&plain, "%" PRId64 " %" PRId64 " %" PRId64 " ", p->place.at,
	    p->place.size, p->place.inode);
	buf_puts(&plain, p->path);
	b64url_encode(&text, plain.data, plain.len);
	json_add_strn(&p->job->answer, "next", text.data, text.len);
}

/* The path of a cursor, and its place into p; NULL and err. */
static const char *
read_cursor(struct pack *p, const char *text, struct err *err)
{
	struct place *pl = &p->place;
	struct buf plain;
	int at = 0;

	buf_init(&plain, p->job->arena);
	if (b64url_decode(&plain, text, strlen(text)) < 0 ||
	    sscanf(buf_str(&plain), "%" SCNd64 " %" SCNd64 " %" SCNd64 "%n",
		&pl->at, &pl->size, &pl->inode, &at) != 3 ||
	    plain.data[at] != ' ' || plain.data[at + 1] == '\0' ||
	    strlen(plain.data) != plain.len || pl->at < 0 ||
	    pl->at > pl->size) {
		err_set(err, ERR_INVALID, "\"after\" is not what \"next\" was");
		return NULL;
	}
	return plain.data + at + 1;
}

/* What of a cursor is below the directory that is packed. */
static const char *
below(const char *path, const char *top)
{
	size_t n = strcmp(top, ".") == 0 ? 0 : strlen(top);

	if (n == 0 || strncmp(path, top, n) != 0)
		return n == 0 ? path : "";
	return path + n + (path[n] == '/');
}

/* ---- the operation ---- */

int
fs_tar(struct job *j, struct err *err)
{
	const char *path = json_get_str(j->rq, "path");
	const char *after = json_get_str(j->rq, "after");
	struct pack p = { .job = j, .out = &j->answer_data };
	struct stat st;
	int dir;

	path = path_relative(j->arena, path == NULL ? "." : path, err);
	if (after != NULL)
		after = read_cursor(&p, after, err);
	else
		after = "";
	if (path == NULL || after == NULL)
		return -1;
	p.goes_on = p.place.at < p.place.size;
	dir = path_open(j->ws.root, path, O_RDONLY | O_DIRECTORY, err);
	if (dir < 0)
		return -1;
	if (strcmp(path, ".") != 0) {
		p.len = (size_t)snprintf(p.path, sizeof(p.path), "%s", path);
		if (*after == '\0' && fstat(dir, &st) == 0)
			tar_put_header(p.out, path, &st, NULL);
	}
	if (pack_dir(&p, dir, below(after, path), err) < 0)
		return -1;
	if (p.goes_on)
		return err_set(err, ERR_CONFLICT,
		    "a file was taken away while it was packed");
	if (p.full)
		add_cursor(&p);
	else
		tar_put_end(p.out);
	return 0;
}
