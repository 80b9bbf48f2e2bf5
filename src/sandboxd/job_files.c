/* SPDX-License-Identifier: MIT */
/* The files of a background job. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
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

unsigned long long
job_start_time(pid_t pid)
{
	char path[40], text[1024], *p;
	unsigned long long start = 0;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (p == NULL || p[1] == '\0' || p[2] == 'Z')
		return 0;
	for (int field = 2; field < 22 && p != NULL; field++)
		p = strchr(p + 1, ' ');
	if (p != NULL)
		start = strtoull(p, NULL, 10);
	return start;
}

pid_t
job_supervisor(struct arena *a, int dir)
{
	const char *text = job_file_read(a, dir, "pid", 64);
	unsigned long long start;
	int pid;

	if (text == NULL || sscanf(text, "%d %llu", &pid, &start) != 2 ||
	    pid <= 1 || start == 0 || job_start_time(pid) != start)
		return 0;
	return pid;
}
