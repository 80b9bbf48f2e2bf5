/* SPDX-License-Identifier: MIT */
/*
 * bubblewrap, which isolates commands. It gets an empty environment and its
 * arguments by a descriptor, for what runs inside can read both in /proc/1.
 *
 * The number of processes is limited inside, after the user namespace was
 * made: the kernel counts them for each namespace then, so that a command
 * that forks without end stops itself and no other.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "sandboxd/filter.h"
#include "sandboxd/network.h"
#include "sandboxd/runner.h"

/* Descriptors of bubblewrap: the filters, its arguments, and the connection
 * to the proxy. */
#define FD_FILTER 3
#define FD_ARGS (FD_FILTER + FILTERS)
#define FD_NETWORK (FD_ARGS + 1)

/* Where this program is within, if there is a network. */
#define SELF_INSIDE "/run/agent-fpm-sandbox"

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
	RUNNER_PATH, "--setenv", "HOME", "/workspace", "--setenv", "USER",
	"agent", "--setenv", "LOGNAME", "agent", "--setenv", "SHELL",
	"/bin/bash", "--setenv", "LANG", "C.UTF-8", "--setenv", "TMPDIR",
	"/tmp", "--setenv", "TERM", "dumb", NULL };

/* Programs find the proxy by these. */
static const char *const network[] = { "--setenv", "http_proxy", NETWORK_URL,
	"--setenv", "https_proxy", NETWORK_URL, "--setenv", "HTTP_PROXY",
	NETWORK_URL, "--setenv", "HTTPS_PROXY", NETWORK_URL, "--setenv",
	"no_proxy", "localhost,127.0.0.1", "--setenv", "NO_PROXY",
	"localhost,127.0.0.1", "--ro-bind", NULL };

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
args_build(const struct launcher *l, struct buf *b, const struct order *o)
{
	char path[PATH_MAX];

	add_words(b, isolation);
	add_words(b, environment);
	add_words(b, root);
	if (o->network >= 0) {
		add_words(b, network);
		add(b, l->self);
		add(b, SELF_INSIDE);
	}
	for (size_t i = 0; i < sizeof(etc) / sizeof(*etc); i++) {
		snprintf(path, sizeof(path), "%s/.etc/%s",
		    l->conf->sandbox_workspaces, etc[i].name);
		add(b, "--ro-bind");
		add(b, path);
		snprintf(path, sizeof(path), "/etc/%s", etc[i].name);
		add(b, path);
	}
	add(b, "--bind");
	add(b, o->workspace);
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

/* ---- the row ---- */

static int
check(struct launcher *l, int first, struct err *err)
{
	if (access(l->conf->sandbox_bwrap, X_OK) < 0)
		return err_set(err, ERR_CONFIG,
		    "there is no bubblewrap at %s (sandbox.bwrap): apt install "
		    "bubblewrap",
		    l->conf->sandbox_bwrap);
	if (filter_make(l->filters, err) < 0)
		return -1;
	return first ? etc_write(l->conf, err) : 0;
}

static int
add_fds(const struct launcher *l, const struct order *o, struct plan *p,
    struct err *err)
{
	struct buf args;

	buf_init(&args, p->arena);
	args_build(l, &args, o);
	for (int i = 0; i < FILTERS; i++)
		p->fds[p->fd_count++] =
		    memory_fd("filter", l->filters[i].bytes, l->filters[i].len);
	p->fds[p->fd_count++] = memory_fd("args", args.data, args.len);
	p->fds_made = p->fd_count;
	if (o->network >= 0)
		p->fds[p->fd_count++] = o->network;
	for (int i = 0; i < p->fds_made; i++)
		if (p->fds[i] < 0)
			return err_set(err, ERR_INTERNAL,
			    "a command cannot be started: %s", strerror(errno));
	return 0;
}

static int
plan(const struct launcher *l, const struct order *o, struct plan *p,
    struct err *err)
{
	char inside[128], number[16];

	/* Not by setrlimit before: what makes the network may be built with
	 * sanitizers, which take much of the address space. */
	snprintf(inside, sizeof(inside),
	    "ulimit -HSv %ld; ulimit -HSu %lld; eval \"$1\"",
	    RUNNER_MEMORY_MAX / 1024, (long long)l->conf->sandbox_processes);
	p->path = l->conf->sandbox_bwrap;
	p->file_bytes = l->conf->sandbox_quota_bytes;
	plan_arg(p, BUBBLEWRAP_NAME);
	plan_arg(p, "--args");
	snprintf(number, sizeof(number), "%d", FD_ARGS);
	plan_arg(p, number);
	plan_arg(p, "--");
	if (o->network >= 0) {
		plan_arg(p, SELF_INSIDE);
		plan_arg(p, "--listen");
		snprintf(number, sizeof(number), "%d", FD_NETWORK);
		plan_arg(p, number);
		plan_arg(p, "--");
	}
	plan_arg(p, "/bin/bash");
	plan_arg(p, "-c");
	plan_arg(p, inside);
	plan_arg(p, "bash");
	plan_arg(p, o->command);
	return add_fds(l, o, p, err);
}

/* 1 if AppArmor keeps programs without a profile from user namespaces, as on
 * Ubuntu since 23.10. */
static int
is_restricted(void)
{
	int fd = open("/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
	    O_RDONLY | O_CLOEXEC);
	char c = '0';

	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c == '1';
}

static const char *
advice(void)
{
	if (is_restricted())
		return "kernel.apparmor_restrict_unprivileged_userns is 1: "
		       "copy the AppArmor profile " PKGDATADIR
		       "/apparmor/agent-fpm-sandbox to /etc/apparmor.d, load "
		       "it with apparmor_parser -r, and start this again";
	return "user namespaces are needed: see "
	       "kernel.unprivileged_userns_clone, user.max_user_namespaces, "
	       "and what AppArmor or SELinux forbids";
}

const struct runner runner_bubblewrap = { "bubblewrap", check, plan, advice };
