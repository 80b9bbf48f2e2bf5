/* SPDX-License-Identifier: MIT */
/* Processes: which they are, and going into the background. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
