/* SPDX-License-Identifier: MIT */
/* Control groups of commands: see cgroup.h. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/id.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandboxd/cgroup.h"

#define SERVER "agent-fpm-server"
#define PREFIX "agent-fpm-cmd-"
#define END_MS 2000
#define PERIOD_US 100000  /* of cpu.max: the kernel's own */
#define MORE_PROCESSES 16 /* bubblewrap's own, and the server's threads */

struct cgroups {
	const struct conf *conf;
	int dir;
	char controllers[64];
};

/* ---- files ---- */

static int
write_at(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = write(fd, text, strlen(text));
		close(fd);
	}
	return n < 0 ? -1 : 0;
}

static size_t
read_at(int dir, const char *path, char *out, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

/* The number behind a name, in a file of lines "name number"; 0. */
static long
count_of(int dir, const char *path, const char *name)
{
	char text[512];
	const char *p;

	read_at(dir, path, text, sizeof(text));
	for (p = text; p != NULL; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (strncmp(p, name, strlen(name)) == 0 &&
		    p[strlen(name)] == ' ')
			return strtol(p + strlen(name), NULL, 10);
	return 0;
}

/* ---- where ---- */

/* The mount point of version 2. 0 or -1. */
static int
find_mount(char *out, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], path[4096], *type;
	int rc = -1;

	while (f != NULL && rc < 0 && fgets(line, sizeof(line), f) != NULL) {
		type = strstr(line, " - cgroup2 ");
		if (type != NULL &&
		    sscanf(line, "%*d %*d %*s %*s %4095s", path) == 1)
			rc = snprintf(out, size, "%s", path) < (int)size ? 0
									 : -1;
	}
	if (f != NULL)
		fclose(f);
	return rc;
}

/* The group that this process is in, or that the server beside it is of. */
static int
find_own(char *out, size_t size)
{
	char mount[PATH_MAX / 2], text[PATH_MAX / 2], *path, *end;

	if (find_mount(mount, sizeof(mount)) < 0)
		return -1;
	read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text));
	path = strstr(text, "0::/");
	if (path == NULL)
		return -1;
	path += 3;
	path[strcspn(path, "\n")] = '\0';
	end = strstr(path, "/" SERVER);
	if (end != NULL)
		*end = '\0';
	snprintf(out, size, "%s%s", mount, path);
	return 0;
}

/* 1 if systemd has left the group to us (Delegate=yes). */
static int
is_delegated(const char *path)
{
	char value[4] = "";

	return (getxattr(path, "user.delegate", value, 3) > 0 ||
		   getxattr(path, "trusted.delegate", value, 3) > 0) &&
	       value[0] == '1';
}

static int
find_place(const struct conf *c, char *out, size_t size, char why[200])
{
	if (strcmp(c->sandbox_cgroup, "off") == 0) {
		snprintf(why, 200, "sandbox.cgroup is off");
		return -1;
	}
	if (strcmp(c->sandbox_cgroup, "auto") != 0) {
		snprintf(out, size, "%s", c->sandbox_cgroup);
		return 0;
	}
	if (find_own(out, size) < 0) {
		snprintf(why, 200,
		    "this host has no control groups of "
		    "version 2");
		return -1;
	}
	if (is_delegated(out))
		return 0;
	snprintf(why, 200,
	    "no control group is delegated to it: Delegate=yes in its unit");
	return -1;
}

/* ---- the server ---- */

/* Groups of commands that have ended; others are busy. */
static void
remove_stale(const struct cgroups *g)
{
	int fd = dup(g->dir);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	while (d != NULL && (de = readdir(d)) != NULL)
		if (strncmp(de->d_name, PREFIX, strlen(PREFIX)) == 0)
			unlinkat(g->dir, de->d_name, AT_REMOVEDIR);
	if (d != NULL)
		closedir(d);
}

/* The kernel wants no processes where controllers are handed down. */
static int
move_away(const struct cgroups *g)
{
	char self[24];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	if (mkdirat(g->dir, SERVER, 0755) < 0 && errno != EEXIST)
		return -1;
	return write_at(g->dir, SERVER "/cgroup.procs", self);
}

static void
hand_down(struct cgroups *g)
{
	static const char *const wanted[] = { "memory", "pids", "cpu" };
	char word[16];

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		snprintf(word, sizeof(word), "+%s", wanted[i]);
		write_at(g->dir, "cgroup.subtree_control", word);
	}
}

struct cgroups *
cgroups_open(const struct conf *c, int is_server, char why[200])
{
	struct cgroups *g;
	char path[PATH_MAX];

	why[0] = '\0';
	if (find_place(c, path, sizeof(path), why) < 0)
		return NULL;
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		abort();
	g->conf = c;
	g->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir < 0 || (is_server && move_away(g) < 0)) {
		snprintf(why, 200, "%.120s: %s", path, strerror(errno));
		cgroups_close(&g);
		return NULL;
	}
	if (is_server) {
		hand_down(g);
		remove_stale(g);
	}
	read_at(g->dir, "cgroup.subtree_control", g->controllers,
	    sizeof(g->controllers));
	g->controllers[strcspn(g->controllers, "\n")] = '\0';
	return g;
}

void
cgroups_close(struct cgroups **g_p)
{
	struct cgroups *g = *g_p;

	if (g == NULL)
		return;
	*g_p = NULL;
	if (g->dir >= 0)
		close(g->dir);
	free(g);
}

const char *
cgroups_controllers(const struct cgroups *g)
{
	return g == NULL ? "" : g->controllers;
}

/* ---- commands ---- */

/* A limit; where its controller is not there, neither is its file. */
static void
set(int dir, const char *file, long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", n);
	write_at(dir, file, text);
}

static void
set_limits(const struct conf *c, int dir)
{
	char cpu[48];

	set(dir, "memory.max", c->sandbox_memory_bytes);
	set(dir, "memory.swap.max", 0);
	set(dir, "memory.oom.group", 1);
	set(dir, "pids.max", c->sandbox_processes + MORE_PROCESSES);
	if (c->sandbox_cpu == 0)
		return;
	snprintf(cpu, sizeof(cpu), "%lld %d",
	    (long long)c->sandbox_cpu * PERIOD_US / 100, PERIOD_US);
	write_at(dir, "cpu.max", cpu);
}

int
cgroup_make(struct cgroups *g, struct cgroup *out)
{
	char id[ID_SIZE];
	int dir;

	out->name[0] = '\0';
	out->procs_fd = -1;
	if (g == NULL)
		return 0;
	id_make(id, "");
	snprintf(out->name, sizeof(out->name), PREFIX "%s", id);
	if (mkdirat(g->dir, out->name, 0755) < 0) {
		log_error(
		    "no control group for a command: %s", strerror(errno));
		out->name[0] = '\0';
		return -1;
	}
	dir = openat(g->dir, out->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		set_limits(g->conf, dir);
		out->procs_fd =
		    openat(dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
		close(dir);
	}
	if (out->procs_fd >= 0)
		return 0;
	cgroup_end(g, out);
	return -1;
}

/* Until nobody is in it; cgroup.events says when that changes. */
static void
wait_until_empty(int dir)
{
	int64_t end = clk_mono_ms() + END_MS;
	struct pollfd p = { .events = POLLPRI };
	char text[256];

	p.fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	while (p.fd >= 0 && clk_mono_ms() < end) {
		ssize_t n = pread(p.fd, text, sizeof(text) - 1, 0);

		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, "populated 0") != NULL || n <= 0)
			break;
		poll(&p, 1, (int)(end - clk_mono_ms()));
	}
	if (p.fd >= 0)
		close(p.fd);
}

int
cgroup_end(struct cgroups *g, struct cgroup *cg)
{
	long killed = 0;
	int dir;

	if (cg->name[0] == '\0')
		return 0;
	if (cg->procs_fd >= 0)
		close(cg->procs_fd);
	dir = openat(g->dir, cg->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		write_at(dir, "cgroup.kill", "1");
		wait_until_empty(dir);
		killed = count_of(dir, "memory.events", "oom_kill");
		close(dir);
	}
	if (unlinkat(g->dir, cg->name, AT_REMOVEDIR) < 0)
		log_warn("the control group %s is left over: %s", cg->name,
		    strerror(errno));
	cg->name[0] = '\0';
	cg->procs_fd = -1;
	return killed > 0;
}
