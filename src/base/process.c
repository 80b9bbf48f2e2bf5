/* SPDX-License-Identifier: MIT */
/* Processes: which they are, going into the background, and their end. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/process.h"

unsigned long long
process_start_time(pid_t pid)
{
	char path[64], text[1024], *p, state = 'X';
	FILE *f;
	unsigned long long start = 0;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (p != NULL)
		sscanf(p + 1,
		    " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u "
		    "%*d %*d %*d %*d %*d %*d %llu",
		    &state, &start);
	return state == 'Z' || state == 'X' ? 0 : start;
}

char *
process_path(void)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX], *copy;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t tail = sizeof(gone) - 1, len = n < 0 ? 0 : (size_t)n;

	if (len > tail && memcmp(path + len - tail, gone, tail) == 0)
		len -= tail;
	copy = strndup(path, len);
	if (copy == NULL)
		abort();
	return copy;
}

int
process_detach(void)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		exit(EX_OSERR);
	pid = fork(); /* no thread yet */
	if (pid < 0)
		exit(EX_OSERR);
	if (pid == 0) {
		close(ready[0]);
		setsid();
		return ready[1];
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1)
		exit(EX_OK);
	waitpid(pid, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE);
}

int
process_signals(const int *signals)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
		SIGILL };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	sigemptyset(&set);
	while (*signals != 0)
		sigaddset(&set, *signals++);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
process_end_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		abort();
	return fd;
}

int64_t
process_resident_bytes(pid_t pid)
{
	long size = 0, resident = 0;
	char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

void
process_raise_descriptors(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}
