/* SPDX-License-Identifier: MIT */
/* Which version of a file an agent has seen. */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/buf.h"
#include "sandboxd/path.h"
#include "sandboxd/seen.h"

#define LINES_MAX (4 * SEEN_MAX) /* of the file, before it is written anew */

/*
 * A line: inode, seconds, nanoseconds, size and the path, whose newlines are
 * written as 0 bytes, which no path has.
 */
struct stamp {
	uint64_t inode;
	int64_t s, size;
	long ns;
};

struct seen_file {
	char *path;
	struct stamp stamp;
	UT_hash_handle hh;
};

struct seen {
	int fd; /* the file, appended to; -1: it cannot be had */
	int lines;
	struct seen_file *files; /* in the order of use */
};

static struct stamp
stamp_of(const struct stat *st)
{
	return (struct stamp){ st->st_ino, st->st_mtim.tv_sec, st->st_size,
		st->st_mtim.tv_nsec };
}

static void
file_free(struct seen *s, struct seen_file *f)
{
	HASH_DEL(s->files, f);
	free(f->path);
	free(f);
}

static void
seen_set(struct seen *s, const char *path, struct stamp stamp)
{
	struct seen_file *f;

	HASH_FIND_STR(s->files, path, f);
	if (f == NULL) {
		f = calloc(1, sizeof(*f));
		if (f == NULL || (f->path = strdup(path)) == NULL)
			abort();
	} else {
		HASH_DEL(s->files, f);
	}
	f->stamp = stamp;
	HASH_ADD_KEYPTR(hh, s->files, f->path, strlen(f->path), f);
	if (HASH_COUNT(s->files) > SEEN_MAX)
		file_free(s, s->files);
}

static void
line_add(struct buf *b, const char *path, struct stamp t)
{
	size_t at;

	buf_printf(b, "%" PRIu64 " %" PRId64 " %ld %" PRId64 " ", t.inode, t.s,
	    t.ns, t.size);
	at = b->len;
	buf_puts(b, path);
	for (char *p = b->data + at; (p = strchr(p, '\n')) != NULL;)
		*p = '\0';
	buf_putc(b, '\n');
}

static void
line_read(struct seen *s, char *line, size_t len)
{
	struct stamp t;
	int at = 0;

	if (sscanf(line, "%" SCNu64 " %" SCNd64 " %ld %" SCNd64 " %n", &t.inode,
		&t.s, &t.ns, &t.size, &at) != 4 ||
	    at == 0)
		return;
	for (size_t i = (size_t)at; i < len; i++)
		if (line[i] == '\0')
			line[i] = '\n';
	seen_set(s, line + at, t);
}

static void
seen_load(struct seen *s)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f = fdopen(dup(s->fd), "r");

	if (f == NULL)
		return;
	while ((n = getline(&line, &cap, f)) > 0) {
		if (line[n - 1] == '\n')
			line[--n] = '\0';
		line_read(s, line, (size_t)n);
		s->lines++;
	}
	free(line);
	fclose(f);
}

struct seen *
seen_open(int root, const char *key)
{
	struct seen *s = calloc(1, sizeof(*s));
	char path[128];
	const char *name;
	int dir;

	if (s == NULL)
		abort();
	s->fd = -1;
	snprintf(path, sizeof(path), "%s/seen", key);
	dir = path_open_parent(root, path, 0, &name, NULL);
	if (dir < 0)
		return s;
	s->fd = openat(dir, name,
	    O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	close(dir);
	if (s->fd >= 0)
		seen_load(s);
	return s;
}

void
seen_free(struct seen **s_p)
{
	struct seen *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	while (s->files != NULL)
		file_free(s, s->files);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

/* The whole file anew: old lines add up. */
static void
rewrite_lines(struct seen *s, struct buf *b)
{
	buf_clear(b);
	s->lines = 0;
	for (struct seen_file *f = s->files; f != NULL; f = f->hh.next) {
		line_add(b, f->path, f->stamp);
		s->lines++;
	}
	if (ftruncate(s->fd, 0) < 0)
		b->len = 0;
}

void
seen_put(struct seen *s, const char *path, const struct stat *st)
{
	struct buf b;

	seen_set(s, path, stamp_of(st));
	if (s->fd < 0)
		return;
	buf_init(&b, NULL);
	line_add(&b, path, stamp_of(st));
	if (++s->lines > LINES_MAX)
		rewrite_lines(s, &b);
	if (write(s->fd, b.data, b.len) < 0) { /* full: only memory knows */
		close(s->fd);
		s->fd = -1;
	}
	buf_fini(&b);
}

int
seen_differs(const struct seen *s, const char *path, const struct stat *st)
{
	struct stamp now = stamp_of(st);
	struct seen_file *f;

	HASH_FIND_STR(s->files, path, f);
	return f != NULL &&
	       (f->stamp.inode != now.inode || f->stamp.s != now.s ||
		   f->stamp.ns != now.ns || f->stamp.size != now.size);
}

int
seen_has(const struct seen *s, const char *path)
{
	struct seen_file *f;

	HASH_FIND_STR(s->files, path, f);
	return f != NULL;
}
