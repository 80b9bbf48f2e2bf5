/* SPDX-License-Identifier: MIT */
/*
 * The audit log's file, of whole lines. Several processes append to it, and it
 * is opened for each time, so that it may be moved away.
 *
 * On a full disk a write may end in the middle of a line, to which the next
 * one would be glued: what was written is cut off again. A lock keeps others
 * from writing behind it meanwhile. Who holds it for long, as a reader might,
 * must not stop the log: then it is written without, and nothing is cut.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/err.h"
#include "store/audit.h"
#include "store/audit_priv.h"

#define LOCK_MS 1000

/* 1 or 0. The end of the descriptor is the end of it. */
static int
file_lock(int fd)
{
	const struct timespec nap = { .tv_nsec = 1000 * 1000 };
	int64_t deadline = clk_mono_ms() + LOCK_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clk_mono_ms() >= deadline)
			return 0;
		nanosleep(&nap, NULL);
	}
	return 1;
}

/* 1 if its last line has no end, as after a loss of power. */
static int
ends_within_line(int fd, off_t size)
{
	char last = '\n';

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

/* Takes away what was written of it, if nobody has written behind it. */
static void
cut_back(int fd, off_t size, ssize_t written)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size == size + written)
		(void)!ftruncate(fd, size); /* else a new line begins */
}

static int
file_write(int fd, struct arena *a, const char *lines, size_t len)
{
	int locked = file_lock(fd);
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -1;
	if (ends_within_line(fd, st.st_size)) {
		lines = arena_printf(a, "\n%s", lines);
		len++;
	}
	n = write(fd, lines, len);
	if (n == (ssize_t)len)
		return 0;
	if (n > 0 && locked)
		cut_back(fd, st.st_size, n);
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

int
audit_file_append(
    void *ctx, struct arena *a, const char *lines, size_t len, struct err *err)
{
	const char *path = ctx;
	int fd = open(path,
	    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
	    0640);
	int rc;

	if (fd < 0)
		return err_set(err, ERR_INTERNAL, "%s: %m", path);
	rc = file_write(fd, a, lines, len);
	if (rc < 0)
		err_set(err, ERR_INTERNAL, "%s: %m", path);
	close(fd);
	return rc;
}

/* Of the folder of a file that is not there yet. */
static int
folder_check(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char dir[4096] = ".";
	size_t len = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	if (len >= sizeof(dir))
		return err_set(err, ERR_CONFIG, "audit.file: it is too long");
	if (len > 0) {
		memcpy(dir, path, len);
		dir[len] = '\0';
	}
	if (access(dir, F_OK) < 0)
		return err_set(err, ERR_CONFIG,
		    "audit.file: %s: %m: make that folder, for the pool's user "
		    "to write to; the unit that is shipped makes "
		    "/var/log/agent-fpm",
		    dir);
	if (access(dir, W_OK | X_OK) < 0)
		return err_set(err, ERR_CONFIG,
		    "audit.file: no file can be made in %s: %m: let the pool's "
		    "user write there",
		    dir);
	return 0;
}

int
audit_file_check(const char *path, struct err *err)
{
	struct stat st;

	if (*path == '\0')
		return 0;
	if (stat(path, &st) < 0)
		return folder_check(path, err);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_CONFIG,
		    "audit.file: %s is a folder: name a file in it", path);
	if (access(path, R_OK | W_OK) < 0)
		return err_set(err, ERR_CONFIG,
		    "audit.file: %s: %m: let the pool's user read and write it",
		    path);
	return 0;
}
