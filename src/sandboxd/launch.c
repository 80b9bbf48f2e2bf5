/* SPDX-License-Identifier: MIT */
/* Starting commands, by the runner that is configured. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "conf/conf.h"
#include "sandboxd/cgroup.h"
#include "sandboxd/launch.h"
#include "sandboxd/runner.h"

#define FD_FIRST 3
#define NICE 10 /* who chats comes before who computes */
#define FD_END (FD_FIRST + PLAN_FDS_MAX)

/* ---- the child ---- */

static void
limit(__rlimit_resource_t what, rlim_t n)
{
	struct rlimit rl = { n, n };

	setrlimit(what, &rl);
}

static void
limit_all(const struct plan *p)
{
	limit(RLIMIT_CORE, 0);
	if (p->file_bytes == 0)
		return;
	limit(RLIMIT_NOFILE, RUNNER_FILES_MAX);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_FSIZE, (rlim_t)p->file_bytes);
	if (p->memory_bytes > 0)
		limit(RLIMIT_AS, (rlim_t)p->memory_bytes);
}

/* All of them first out of the way of their numbers, then to those. */
static int
place_fds(const struct plan *p)
{
	int high[PLAN_FDS_MAX], rc = 0;

	for (int i = 0; i < p->fd_count; i++)
		high[i] = fcntl(p->fds[i], F_DUPFD, FD_END);
	for (int i = 0; i < p->fd_count; i++)
		if (high[i] < 0 || dup2(high[i], FD_FIRST + i) < 0)
			rc = -1;
	return rc;
}

/* Between fork and exec: async-signal-safe calls alone. */
static void
child_run(const struct plan *p, const struct launch_io *io, pid_t parent)
{
	int in = io->in >= 0 ? io->in : open("/dev/null", O_RDONLY);
	sigset_t none;

	setpgid(0, 0);
	if (io->group >= 0 && write(io->group, "0", 1) != 1)
		_exit(125);
	if (in < 0 || dup2(in, 0) < 0 || dup2(io->out, 1) < 0 ||
	    dup2(io->err, 2) < 0 || place_fds(p) < 0 ||
	    syscall(SYS_close_range, FD_FIRST + p->fd_count, ~0U, 0) < 0 ||
	    (p->directory != NULL && chdir(p->directory) < 0))
		_exit(125);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(125); /* it is gone already */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	limit_all(p);
	setpriority(PRIO_PROCESS, 0, NICE);
	execve(p->path, p->argv, p->env);
	_exit(126);
}

pid_t
launch(struct launcher *l, const struct order *o, const struct launch_io *io,
    struct err *err)
{
	struct plan p = { .arena = arena_open(4096) };
	pid_t pid = -1, parent = getpid();

	if (l->runner->plan(l, o, &p, err) == 0) {
		pid = fork();
		if (pid == 0)
			child_run(&p, io, parent);
		if (pid < 0)
			err_set(err, ERR_INTERNAL,
			    "a command cannot be started: %s", strerror(errno));
	}
	for (int i = 0; i < p.fds_made; i++)
		if (p.fds[i] >= 0)
			close(p.fds[i]);
	arena_close(&p.arena);
	return pid;
}

void
launch_describe(const struct conf *c, const struct launcher *l, struct buf *b)
{
	json_add_str(b, "runner", runner_find(c)->name);
	json_add_bool(b, "processLimit", geteuid() != 0); /* see child_run */
	json_add_bool(
	    b, "cgroup", l != NULL && *cgroups_controllers(l->groups) != '\0');
	json_add_bool(b, "network", *c->sandbox_proxy != '\0');
}

/* ---- is it possible here? ---- */

/* Runs true in it; what it says if that does not work goes to err. */
static int
try_it(struct launcher *l, struct err *err)
{
	struct order o = { .workspace = l->conf->sandbox_workspaces,
		.command = "true",
		.network = -1 };
	char said[120] = ""; /* the advice needs the rest of err */
	struct launch_io io;
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(err, ERR_CONFIG, "no pipe: %s", strerror(errno));
	io = (struct launch_io){ -1, fd[1], fd[1], -1 };
	pid = launch(l, &o, &io, err);
	close(fd[1]);
	if (pid > 0) {
		n = read(fd[0], said, sizeof(said) - 1);
		said[n > 0 ? strcspn(said, "\n") : 0] = '\0';
		waitpid(pid, &status, 0);
	}
	close(fd[0]);
	if (pid < 0)
		return -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "%s does not work here (%s): %s",
	    l->runner->name, said, l->runner->advice());
}

struct cgroups *
launcher_groups(const struct launcher *l)
{
	return l->groups;
}

static void
open_groups(struct launcher *l, int is_server)
{
	char why[200];

	l->groups = cgroups_open(l->conf, is_server, why);
	if (l->groups == NULL && is_server)
		log_info("no control groups: %s", why);
	else if (is_server)
		log_info("control groups hold commands by: %s",
		    *cgroups_controllers(l->groups) == '\0'
			? "nothing, no controller is handed down"
			: cgroups_controllers(l->groups));
}

struct launcher *
launcher_new(const struct conf *c, int probe, struct err *err)
{
	struct launcher *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->conf = c;
	l->runner = runner_find(c);
	l->self = process_path();
	open_groups(l, probe);
	if (l->runner->check(l, probe, err) == 0 &&
	    (!probe || try_it(l, err) == 0))
		return l;
	launcher_free(&l);
	return NULL;
}

void
launcher_free(struct launcher **l_p)
{
	struct launcher *l = *l_p;

	if (l == NULL)
		return;
	*l_p = NULL;
	for (int i = 0; i < FILTERS; i++)
		free(l->filters[i].bytes);
	cgroups_close(&l->groups);
	free(l->self);
	free(l);
}
