/* SPDX-License-Identifier: MIT */
/* The files of a background job. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/process.h"
#include "sandboxd/job_files.h"
#include "sandboxd/path.h"

int
job_file_write(int dir, const char *name, const char *text, size_t len)
{
	char temp[64];
	int fd, rc;

	snprintf(temp, sizeof(temp), "%s.new", name);
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	rc = write(fd, text, len) == (ssize_t)len ? 0 : -1;
	close(fd);
	return rc == 0 ? renameat(dir, temp, dir, name) : -1;
}

char *
job_file_read(struct arena *a, int dir, const char *name, size_t max)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *text;
	size_t len;

	if (fd < 0)
		return NULL;
	text = path_read_all(a, fd, max, &len, NULL);
	close(fd);
	return text;
}

pid_t
job_supervisor(struct arena *a, int dir)
{
	const char *text = job_file_read(a, dir, "pid", 64);
	unsigned long long start;
	int pid;

	if (text == NULL || sscanf(text, "%d %llu", &pid, &start) != 2 ||
	    pid <= 1 || start == 0 || process_start_time(pid) != start)
		return 0;
	return pid;
}
