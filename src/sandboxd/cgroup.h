/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_CGROUP_H
#define SANDBOXD_CGROUP_H

#include <stddef.h>

struct buf;
struct conf;

/*
 * Control groups, version 2 (the kernel's Documentation/admin-guide/
 * cgroup-v2.rst): one for each command, with limits for all of its processes
 * together, and ended as a whole. Below the group that systemd has delegated
 * to the unit, or the one that sandbox.cgroup names. Several processes may use
 * the same: the server and the supervisors of jobs.
 */
struct cgroups;

/*
 * NULL: there are none, why says why not. is_server: moves this process into
 * a group beside those of commands, and takes away what commands of an
 * earlier server have left. Reads and writes files of the kernel.
 */
struct cgroups *cgroups_open(
    const struct conf *c, int is_server, char why[200]);
void cgroups_close(struct cgroups **g_p);

/* The controllers that hold commands, separated by spaces; "" none. */
const char *cgroups_controllers(const struct cgroups *g);

/* A command's; all zero: it has none. */
struct cgroup {
	char name[48];
	int procs_fd; /* cgroup.procs, for the child to join; -1 */
};

/* Makes one with its limits. -1: it cannot be made, and the error is logged. */
int cgroup_make(struct cgroups *g, struct cgroup *out);

/*
 * Ends all in it and takes it away; fine if there is none. 1 if the kernel had
 * ended something there for want of memory. Blocks for up to two seconds.
 */
int cgroup_end(struct cgroups *g, struct cgroup *cg);

#endif
