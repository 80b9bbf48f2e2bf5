/* SPDX-License-Identifier: MIT */
/* Reading a file whole: see file.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

#define CHUNK 8192

int
file_read_fd(int fd, size_t max, struct buf *out, struct err *err)
{
	size_t before = out->len, room;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == 0 && st.st_size > 0 && (size_t)st.st_size <= max)
		buf_reserve(out, (size_t)st.st_size + 1);
	for (;;) {
		buf_reserve(out, out->cap > out->len + 1 ? 1 : CHUNK);
		room = out->cap - out->len - 1;
		n = read(fd, out->data + out->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, ERR_CONFIG, "%s", strerror(errno));
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len - before > max)
			return err_set(
			    err, ERR_CONFIG, "larger than %zu bytes", max);
		if (n == 0)
			return 0;
	}
}

int
file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_set(err, ERR_CONFIG, "%s", strerror(errno));
	rc = file_read_fd(fd, max, out, err);
	close(fd);
	return rc;
}
