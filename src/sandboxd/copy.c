/* SPDX-License-Identifier: MIT */
/* A copy of a tree. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "sandboxd/path.h"
#include "sandboxd/tree.h"

#define CHUNK_BYTES (1 << 20)

/* The bytes from at to end, which are no hole. */
static int
copy_data(int in, int out, off_t at, off_t end)
{
	off_t to = at;
	ssize_t n = 1;

	while (at < end && n > 0) {
		n = copy_file_range(in, &at, out, &to,
		    end - at < CHUNK_BYTES ? (size_t)(end - at) : CHUNK_BYTES,
		    0);
		if (n < 0)
			return -1;
	}
	return 0;
}

/* Holes stay holes: a sparse file may be larger than the disk. */
static int
copy_bytes(int in, int out, off_t size)
{
	off_t at, end = 0;

	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	while ((at = lseek(in, end, SEEK_DATA)) >= 0) {
		end = lseek(in, at, SEEK_HOLE);
		if (end < 0 || copy_data(in, out, at, end) < 0)
			return -1;
	}
	if (errno != ENXIO) /* no more data */
		return -1;
	return ftruncate(out, size);
}

static int
copy_file(const struct tree_entry *e, int to, const char *name)
{
	int in = openat(
	    e->dir, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int out, rc;

	if (in < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -1;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = out < 0 ? -1 : copy_bytes(in, out, e->st->st_size);
	if (rc == 0)
		rc = fchmod(out, (e->st->st_mode & 0777) | 0600);
	close(in);
	if (out >= 0)
		close(out);
	return rc;
}

static int
copy_link(const struct tree_entry *e, int to, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(e->dir, e->name, target, sizeof(target) - 1);

	if (n < 0)
		return 0; /* gone */
	target[n] = '\0';
	return symlinkat(target, to, name);
}

static int
copy_entry(void *ctx, const struct tree_entry *e, struct err *err)
{
	mode_t mode = e->st->st_mode;
	const char *name;
	int to, rc = 0;

	if (e->path == NULL)
		return TREE_SKIP;
	to = path_open_parent(*(int *)ctx, e->path, 0, &name, err);
	if (to < 0)
		return -1;
	if (S_ISDIR(mode))
		rc = mkdirat(to, name, (mode & 0777) | 0700);
	else if (S_ISREG(mode))
		rc = copy_file(e, to, name);
	else if (S_ISLNK(mode))
		rc = copy_link(e, to, name);
	if (rc < 0)
		rc = path_error(e->path, errno, err);
	close(to);
	return rc < 0 ? -1 : TREE_GO_ON;
}

int
tree_copy(int from, int to, struct err *err)
{
	return tree_walk(from, copy_entry, NULL, &to, err);
}
