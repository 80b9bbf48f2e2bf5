/* SPDX-License-Identifier: MIT */
/* What a bubblewrap that was killed early leaves over: see orphans.h. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "sandboxd/orphans.h"
#include "sandboxd/runner.h"

#define WAIT_MS 1000 /* for one to go */

/* A file of a process, or "". */
static size_t
read_file(const char *pid, const char *name, char *out, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	n = n < 0 ? 0 : n;
	out[n] = '\0';
	return (size_t)n;
}

static int
is_mine(const char *pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s", pid);
	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* 1 if launch() has started it. */
static int
is_bubblewrap(const char *pid)
{
	char text[sizeof(BUBBLEWRAP_NAME) + 1]; /* and a 0 byte of ours */

	return read_file(pid, "cmdline", text, sizeof(text)) > 0 &&
	       strcmp(text, BUBBLEWRAP_NAME) == 0;
}

/* The parent of a process, by its number; "" if it has ended. */
static void
find_parent(const char *pid, char out[24])
{
	char text[512];
	const char *p;
	int ppid;

	out[0] = '\0';
	read_file(pid, "stat", text, sizeof(text));
	p = strrchr(text, ')');
	if (p != NULL && sscanf(p, ") %*c %d", &ppid) == 1)
		snprintf(out, 24, "%d", ppid);
}

static int
is_orphan(const char *pid)
{
	char parent[24], text[512];

	if (!is_mine(pid) || !is_bubblewrap(pid))
		return 0;
	find_parent(pid, parent);
	if (parent[0] == '\0' || is_bubblewrap(parent))
		return 0;
	read_file(parent, "cmdline", text, sizeof(text));
	return strstr(text, "agent-fpm-sandbox") == NULL;
}

/* And waits until it has gone. */
static void
end_process(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0),
		.events = POLLIN };

	kill(pid, SIGKILL);
	if (p.fd < 0)
		return;
	poll(&p, 1, WAIT_MS);
	close(p.fd);
}

int
orphans_end(void)
{
	DIR *d = opendir("/proc");
	struct dirent *de;
	int n = 0;

	while (d != NULL && (de = readdir(d)) != NULL) {
		if (!isdigit((unsigned char)de->d_name[0]) ||
		    !is_orphan(de->d_name))
			continue;
		end_process((pid_t)atoi(de->d_name));
		n++;
	}
	if (d != NULL)
		closedir(d);
	if (n > 0)
		log_debug("%d commands were left over by bubblewraps that were "
			  "killed early: ended",
		    n);
	return n;
}
