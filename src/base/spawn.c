/* SPDX-License-Identifier: MIT */
/*
 * The only way a child process comes to be. posix_spawn, never fork: a
 * threaded process may not run anything between fork and exec.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/spawn.h"

#define FIRST_FD 3
/*
 * Copies of the descriptors, all above those that they shall become, so that
 * none overwrites another on the way. 0 or an errno; to be closed either way.
 */
static int
copies_make(const struct spawn *s, int *copies)
{
	int rc = 0;

	for (int i = 0; i < s->fd_count; i++) {
		copies[i] =
		    fcntl(s->fds[i], F_DUPFD_CLOEXEC, FIRST_FD + s->fd_count);
		if (copies[i] < 0)
			rc = errno;
	}
	return rc;
}

static void
copies_close(const struct spawn *s, const int *copies)
{
	for (int i = 0; i < s->fd_count; i++)
		if (copies[i] >= 0)
			close(copies[i]);
}

static int
actions_add_fds(
    posix_spawn_file_actions_t *fa, const struct spawn *s, const int *copies)
{
	int rc = 0;

	for (int i = 0; i < s->fd_count && rc == 0; i++)
		rc = posix_spawn_file_actions_adddup2(
		    fa, copies[i], FIRST_FD + i);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(
		    fa, FIRST_FD + s->fd_count);
	return rc;
}

static int
attr_set(posix_spawnattr_t *attr, const struct spawn *s)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
		SIGILL };
	sigset_t all, mask;

	sigfillset(&all);
	sigemptyset(&mask);
	if (s->blocked)
		sigfillset(&mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&mask, faults[i]);
	if (posix_spawnattr_setsigdefault(attr, &all) != 0 ||
	    posix_spawnattr_setsigmask(attr, &mask) != 0)
		return -1;
	return posix_spawnattr_setflags(
	    attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

pid_t
spawn_start(const struct spawn *s, struct err *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int copies[SPAWN_FDS_MAX];
	pid_t pid = -1;
	int rc;

	if (s->fd_count > SPAWN_FDS_MAX)
		abort();
	if (posix_spawn_file_actions_init(&fa) != 0 ||
	    posix_spawnattr_init(&attr) != 0)
		abort();
	rc = copies_make(s, copies);
	if (rc == 0)
		rc = actions_add_fds(&fa, s, copies);
	if (rc == 0)
		rc = attr_set(&attr, s);
	if (rc == 0)
		rc = posix_spawn(&pid, s->path, &fa, &attr, s->argv, s->env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	copies_close(s, copies);
	if (rc != 0)
		return err_set(err, ERR_INTERNAL, "starting %s: %s", s->path,
		    strerror(rc));
	return pid;
}
