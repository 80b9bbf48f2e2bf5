/* SPDX-License-Identifier: MIT */
/* Files below a directory, by openat2(2) only. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "sandboxd/path.h"

#define RACES_MAX 8 /* EAGAIN: somebody renamed while the kernel looked */

int
path_error(const char *path, int why, struct err *err)
{
	switch (why) {
	case ENOENT:
		return err_set(
		    err, ERR_NOT_FOUND, "%s: no such file or directory", path);
	case ELOOP:
		return err_set(err, ERR_INVALID,
		    "%s: symbolic links are not followed", path);
	case EXDEV:
		return err_set(err, ERR_INVALID,
		    "%s: the path leads outside of the workspace", path);
	case ENOTDIR:
	case EISDIR:
	case ENAMETOOLONG:
	case EEXIST:
	case ENOTEMPTY:
		return err_set(err, ERR_INVALID, "%s: %s", path, strerror(why));
	case ENOSPC:
	case EDQUOT:
		return err_limit(err, ERR_LIMIT, "sandbox.disk",
		    "%s: no space is left on the host's disk", path);
	default:
		return err_set(
		    err, ERR_INTERNAL, "%s: %s", path, strerror(why));
	}
}

/*
 * Without "." and "..", which mean what they say where no symlink is
 * followed. NULL: it leads above where it began.
 */
static char *
path_resolve(struct arena *a, const char *path)
{
	char *out = arena_alloc(a, strlen(path) + 2);
	size_t len = 0, n;

	for (; *path != '\0'; path += n + (path[n] == '/')) {
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && *path == '.'))
			continue;
		if (n == 2 && memcmp(path, "..", 2) == 0) {
			if (len == 0)
				return NULL;
			while (len > 0 && out[--len] != '/')
				;
			continue;
		}
		if (len > 0)
			out[len++] = '/';
		memcpy(out + len, path, n);
		len += n;
	}
	memcpy(out + len, len == 0 ? "." : "", len == 0 ? 2 : 1);
	return out;
}

const char *
path_relative(struct arena *a, const char *path, struct err *err)
{
	size_t at = sizeof(WORKSPACE_AT) - 1;
	const char *below = path, *out = NULL;

	if (path == NULL || *path == '\0') {
		err_set(err, ERR_INVALID, "the path is empty");
		return NULL;
	}
	if (strlen(path) >= PATH_MAX) {
		err_set(err, ERR_INVALID, "the path is too long");
		return NULL;
	}
	if (strncmp(path, WORKSPACE_AT, at) == 0 &&
	    (path[at] == '/' || path[at] == '\0'))
		below = path + at + (path[at] == '/');
	if (*below != '/' || below != path)
		out = path_resolve(a, below);
	if (out == NULL)
		err_set(err, ERR_INVALID,
		    "%s: the path leads outside of the workspace, which "
		    "is " WORKSPACE_AT,
		    path);
	return out;
}

static int
open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (__u64)flags | O_CLOEXEC |
			 (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	int fd = -1;

	for (int i = 0; i < RACES_MAX; i++) {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int
path_open(int root, const char *path, int flags, struct err *err)
{
	int fd = open_beneath(root, path, flags & ~O_CREAT);

	return fd >= 0 ? fd : path_error(path, errno, err);
}

int
path_open_file(
    int root, const char *path, off_t max, struct stat *st, struct err *err)
{
	int fd = path_open(root, path, O_RDONLY, err);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) < 0)
		path_error(path, errno, err);
	else if (S_ISDIR(st->st_mode))
		err_set(err, ERR_INVALID, "%s: is a directory", path);
	else if (!S_ISREG(st->st_mode))
		err_set(err, ERR_INVALID, "%s: is no regular file", path);
	else if (st->st_size > max)
		err_limit(err, ERR_TOO_LARGE, "sandbox.max_file",
		    "%s: has %lld bytes; files of more than %lld are not read "
		    "or written by tools",
		    path, (long long)st->st_size, (long long)max);
	else
		return fd;
	close(fd);
	return -1;
}

/* The directory of that name in dir, made if need be. */
static int
open_or_make(int dir, const char *name)
{
	int fd = open_beneath(dir, name, O_PATH | O_DIRECTORY);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(dir, name, PATH_DIR_MODE) < 0 && errno != EEXIST)
		return -1;
	return open_beneath(dir, name, O_PATH | O_DIRECTORY);
}

/* The directory of the len bytes of path, component by component. */
static int
make_parents(int root, const char *path, size_t len)
{
	int dir = open_beneath(root, ".", O_PATH | O_DIRECTORY), next;
	char name[NAME_MAX + 1];
	size_t n;

	for (size_t i = 0; dir >= 0 && i < len;
	     i += n + strspn(path + i + n, "/")) {
		n = strcspn(path + i, "/");
		if (n > NAME_MAX ||
		    (n == 2 && memcmp(path + i, "..", 2) == 0)) {
			close(dir);
			errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(name, path + i, n);
		name[n] = '\0';
		next = n == 0 ? dup(dir) : open_or_make(dir, name);
		close(dir);
		dir = next;
	}
	return dir;
}

int
path_open_parent(
    int root, const char *path, int make, const char **name_r, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	size_t len = (size_t)(name - path);
	char dir[PATH_MAX];
	int fd;

	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(
		    err, ERR_INVALID, "%s: does not name a file", path);
	if (strlen(name) > NAME_MAX)
		return path_error(path, ENAMETOOLONG, err);
	*name_r = name;
	memcpy(dir, path, len);
	memcpy(dir + len, ".", 2); /* "" is the root, "a/" is a */
	fd = open_beneath(root, dir, O_PATH | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT && make)
		fd = make_parents(root, path, len);
	return fd >= 0 ? fd : path_error(path, errno, err);
}

char *
path_read_all(
    struct arena *a, int fd, size_t max, size_t *len_r, struct err *err)
{
	struct stat st;
	size_t len = 0, size;
	ssize_t n = 1;
	char *data;

	if (fstat(fd, &st) < 0) {
		path_error("the file", errno, err);
		return NULL;
	}
	size = (size_t)st.st_size < max ? (size_t)st.st_size : max;
	data = arena_alloc(a, size + 1);
	while (len < size && n != 0) {
		n = read(fd, data + len, size - len);
		if (n < 0 && errno != EINTR) {
			path_error("the file", errno, err);
			return NULL;
		}
		if (n > 0)
			len += (size_t)n;
	}
	data[len] = '\0';
	*len_r = len;
	return data;
}
