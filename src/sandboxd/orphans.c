/* SPDX-License-Identifier: MIT */
/* What a bubblewrap that was killed early leaves over: see orphans.h. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
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
#define STATUS_BYTES 4096

/* A file of a process: its length; -1: it cannot be opened or read. */
static ssize_t
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
	out[n < 0 ? 0 : n] = '\0';
	return n;
}

static int
is_mine(const char *pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s", pid);
	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* 1 if launch() has started it, 0 if not or it has ended, -1 if that cannot be
 * told, for want of a descriptor say. */
static int
is_bubblewrap(const char *pid)
{
	char text[sizeof(BUBBLEWRAP_NAME) + 1]; /* and a 0 byte of ours */

	if (read_file(pid, "cmdline", text, sizeof(text)) < 0 &&
	    (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -1;
	return strcmp(text, BUBBLEWRAP_NAME) == 0;
}

/*
 * 1 if it is the first process of a PID namespace below this one, as
 * bubblewrap's inner process is and its outer one is not: the line NSpid has
 * the numbers of a process, from this namespace on down to its own.
 */
static int
is_inner(const char *status)
{
	static const char name[] = "\nNSpid:";
	const char *p = strstr(status, name), *end;

	if (p == NULL)
		return 0;
	p += strlen(name);
	end = strchr(p, '\n');
	return end != NULL && end - p > 2 && strncmp(end - 2, "\t1", 2) == 0;
}

/* As is_bubblewrap, of its parent; whoever takes in orphans is none. */
static int
has_outer(const char *status)
{
	const char *p = strstr(status, "\nPPid:");
	char parent[24];
	int ppid;

	if (p == NULL || sscanf(p, "\nPPid: %d", &ppid) != 1)
		return -1;
	snprintf(parent, sizeof(parent), "%d", ppid);
	return is_bubblewrap(parent);
}

static int
is_orphan(const char *pid)
{
	char status[STATUS_BYTES];

	if (!is_mine(pid) || is_bubblewrap(pid) != 1)
		return 0;
	read_file(pid, "status", status, sizeof(status));
	return is_inner(status) && has_outer(status) == 0;
}

/* Ends it and waits until it has gone: by a descriptor, for in the time since
 * it was looked at its number may have become another's. 1 if it did. */
static int
end_orphan(const char *pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, atoi(pid), 0),
		.events = POLLIN };
	int ended = 0;

	if (p.fd < 0)
		return 0;
	if (is_orphan(pid) &&
	    syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0) == 0) {
		poll(&p, 1, WAIT_MS);
		ended = 1;
	}
	close(p.fd);
	return ended;
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
		n += end_orphan(de->d_name);
	}
	if (d != NULL)
		closedir(d);
	if (n > 0)
		log_debug("%d commands were left over by bubblewraps that were "
			  "killed early: ended",
		    n);
	return n;
}
