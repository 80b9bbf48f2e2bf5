/* SPDX-License-Identifier: MIT */
/*
 * Starting commands. bubblewrap gets an empty environment and its arguments
 * by a descriptor, for what runs inside can read both in /proc/1.
 *
 * The number of processes is limited inside, after the user namespace was
 * made: the kernel counts them for each namespace then, so that a command
 * that forks without end stops itself and no other.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "sandboxd/filter.h"
#include "sandboxd/launch.h"

/* Descriptors of bubblewrap: the filters, and its arguments. */
#define FD_FILTER 3
#define FD_ARGS (FD_FILTER + FILTERS)
#define FD_END (FD_ARGS + 1)

#define FILES_MAX 256         /* descriptors of a process */
#define MEMORY_MAX (4L << 30) /* of its address space: node wants much */

struct launcher {
	const struct conf *conf;
	struct filter filters[FILTERS];
};

/* ---- what bubblewrap is told ---- */

static void
add(struct buf *b, const char *word)
{
	buf_add(b, word, strlen(word) + 1);
}

static void
add_words(struct buf *b, const char *const *words)
{
	for (; *words != NULL; words++)
		add(b, *words);
}

static const char *const isolation[] = { "--unshare-user", "--unshare-ipc",
	"--unshare-pid", "--unshare-net", "--unshare-uts",
	"--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--hostname",
	"agent", "--disable-userns", "--die-with-parent", "--new-session",
	"--cap-drop", "ALL", "--add-seccomp-fd", "3", "--add-seccomp-fd", "4",
	NULL };

static const char *const environment[] = { "--clearenv", "--setenv", "PATH",
	"/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
	"--setenv", "HOME", "/workspace", "--setenv", "USER", "agent",
	"--setenv", "LOGNAME", "agent", "--setenv", "SHELL", "/bin/bash",
	"--setenv", "LANG", "C.UTF-8", "--setenv", "TMPDIR", "/tmp", "--setenv",
	"TERM", "dumb", NULL };

static const char *const root[] = { "--ro-bind", "/usr", "/usr", "--symlink",
	"usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin", "--symlink",
	"usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--dir", "/etc",
	"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
	"--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
	"--ro-bind-try", "/etc/ssl/certs", "/etc/ssl/certs", "--ro-bind-try",
	"/etc/localtime", "/etc/localtime", "--dir", "/var", "--dir", "/run",
	"--proc", "/proc", "--dev", "/dev", "--size", "1048576", "--tmpfs",
	"/dev/shm", "--size", "67108864", "--perms", "1777", "--tmpfs", "/tmp",
	NULL };

/* What programs look up of users and hosts. */
static const struct {
	const char *name, *text;
} etc[] = {
	{ "passwd", "agent:x:1000:1000::/workspace:/bin/bash\n" },
	{ "group", "agent:x:1000:\n" },
	{ "hosts", "127.0.0.1 localhost agent\n::1 localhost\n" },
	{ "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n" },
};

static int
etc_write(const struct conf *c, struct err *err)
{
	int dir =
	    open(c->sandbox_workspaces, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[64];
	int fd, rc = 0;

	mkdirat(dir, ".etc", 0700);
	for (size_t i = 0; rc == 0 && i < sizeof(etc) / sizeof(*etc); i++) {
		size_t n = strlen(etc[i].text);

		snprintf(path, sizeof(path), ".etc/%s", etc[i].name);
		fd = openat(
		    dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		rc = fd < 0 || write(fd, etc[i].text, n) != (ssize_t)n ? -1 : 0;
		if (fd >= 0)
			close(fd);
	}
	if (dir >= 0)
		close(dir);
	if (rc < 0)
		return err_set(err, ERR_CONFIG, "%s/.etc: %s",
		    c->sandbox_workspaces, strerror(errno));
	return 0;
}

static void
args_build(struct launcher *l, struct buf *b, const char *workspace)
{
	char path[PATH_MAX];

	buf_init(b, NULL);
	add_words(b, isolation);
	add_words(b, environment);
	add_words(b, root);
	for (size_t i = 0; i < sizeof(etc) / sizeof(*etc); i++) {
		snprintf(path, sizeof(path), "%s/.etc/%s",
		    l->conf->sandbox_workspaces, etc[i].name);
		add(b, "--ro-bind");
		add(b, path);
		snprintf(path, sizeof(path), "/etc/%s", etc[i].name);
		add(b, path);
	}
	add(b, "--bind");
	add(b, workspace);
	add(b, "/workspace");
	add(b, "--chdir");
	add(b, "/workspace");
	add(b, "--remount-ro");
	add(b, "/");
}

/* A descriptor to read the bytes from; -1. */
static int
memory_fd(const char *name, const void *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, bytes, len) != (ssize_t)len ||
			   lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- the child ---- */

struct child {
	const char *bwrap;
	char *const *argv;
	int fds[FD_END - FD_FILTER]; /* in the order of their numbers */
	const struct launch_io *io;
	rlim_t file_bytes;
};

static void
limit(__rlimit_resource_t what, rlim_t n)
{
	struct rlimit rl = { n, n };

	setrlimit(what, &rl);
}

/* All of them first out of the way of their numbers, then to those. */
static int
place_fds(const struct child *c)
{
	int high[FD_END - FD_FILTER], rc = 0;

	for (int i = 0; i < FD_END - FD_FILTER; i++)
		high[i] = fcntl(c->fds[i], F_DUPFD, FD_END);
	for (int i = 0; i < FD_END - FD_FILTER; i++)
		if (high[i] < 0 || dup2(high[i], FD_FILTER + i) < 0)
			rc = -1;
	return rc;
}

/* Between fork and exec: async-signal-safe calls alone. */
static void
child_run(const struct child *c)
{
	static char *const no_env[] = { NULL };
	int in = c->io->in >= 0 ? c->io->in : open("/dev/null", O_RDONLY);
	sigset_t none;

	setpgid(0, 0);
	if (in < 0 || dup2(in, 0) < 0 || dup2(c->io->out, 1) < 0 ||
	    dup2(c->io->err, 2) < 0 || place_fds(c) < 0 ||
	    syscall(SYS_close_range, FD_END, ~0U, 0) < 0)
		_exit(125);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_AS, MEMORY_MAX);
	limit(RLIMIT_FSIZE, c->file_bytes);
	execve(c->bwrap, c->argv, no_env);
	_exit(126);
}

static int
have_all(const struct child *c)
{
	for (int i = 0; i < FD_END - FD_FILTER; i++)
		if (c->fds[i] < 0)
			return 0;
	return 1;
}

pid_t
launch(struct launcher *l, const char *workspace, const char *command,
    const struct launch_io *io, struct err *err)
{
	char inside[64];
	char name[] = "bwrap", by_fd[] = "--args", number[] = "5", end[] = "--";
	char shell[] = "/bin/bash", dash_c[] = "-c", zero[] = "bash";
	char *text = strdup(command); /* execve wants what it could change */
	char *const argv[] = { name, by_fd, number, end, shell, dash_c, inside,
		zero, text, NULL };
	struct child c = { .bwrap = l->conf->sandbox_bwrap,
		.argv = argv,
		.io = io,
		.file_bytes = (rlim_t)l->conf->sandbox_quota_bytes };
	struct buf args;
	pid_t pid = -1;

	if (text == NULL)
		abort();
	snprintf(inside, sizeof(inside), "ulimit -HSu %lld; eval \"$1\"",
	    (long long)l->conf->sandbox_processes);
	args_build(l, &args, workspace);
	for (int i = 0; i < FILTERS; i++)
		c.fds[i] =
		    memory_fd("filter", l->filters[i].bytes, l->filters[i].len);
	c.fds[FILTERS] = memory_fd("args", args.data, args.len);
	pid = have_all(&c) ? fork() : -1;
	if (pid == 0)
		child_run(&c);
	if (pid < 0)
		err_set(err, ERR_INTERNAL, "a command cannot be started: %s",
		    strerror(errno));
	for (int i = 0; i < FD_END - FD_FILTER; i++)
		if (c.fds[i] >= 0)
			close(c.fds[i]);
	buf_fini(&args);
	free(text);
	return pid;
}

/* ---- is it possible here? ---- */

/* Runs true in it; what it says if that does not work goes to err. */
static int
try_it(struct launcher *l, struct err *err)
{
	char said[300] = "";
	struct launch_io io;
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(err, ERR_CONFIG, "no pipe: %s", strerror(errno));
	io = (struct launch_io){ -1, fd[1], fd[1] };
	pid = launch(l, l->conf->sandbox_workspaces, "true", &io, err);
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
	return err_set(err, ERR_CONFIG,
	    "bubblewrap does not work here (%s): user namespaces are needed. "
	    "On Ubuntu load the AppArmor profile that is shipped; elsewhere "
	    "see kernel.unprivileged_userns_clone and "
	    "user.max_user_namespaces",
	    said);
}

struct launcher *
launcher_new(const struct conf *c, int probe, struct err *err)
{
	struct launcher *l = calloc(1, sizeof(*l));

	if (l == NULL)
		abort();
	l->conf = c;
	if (access(c->sandbox_bwrap, X_OK) < 0)
		err_set(err, ERR_CONFIG,
		    "there is no bubblewrap at %s (sandbox.bwrap): apt install "
		    "bubblewrap",
		    c->sandbox_bwrap);
	else if (filter_make(l->filters, err) == 0 &&
		 (!probe || (etc_write(c, err) == 0 && try_it(l, err) == 0)))
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
	free(l);
}
