/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_LAUNCH_H
#define SANDBOXD_LAUNCH_H

#include <sys/types.h>

struct buf;
struct cgroups;
struct conf;
struct err;

struct order; /* runner.h */

/*
 * Commands, isolated from the host and each other by the runner that is
 * configured (runner.h).
 */
struct launcher;

/*
 * Looks for the runner and, if probe says so, tries it. NULL and ERR_CONFIG
 * with what to do if commands cannot be isolated here.
 */
struct launcher *launcher_new(const struct conf *c, int probe, struct err *err);
void launcher_free(struct launcher **l_p);

/* The standard descriptors of a command; in -1: it has nothing to read. */
struct launch_io {
	int in, out, err;
	int group; /* cgroup.procs of the one to join, or -1 */
};

/*
 * Starts a command in a process group of its own, with copies of the
 * descriptors of io. Its pid, or -1 and err. The thread that calls this must
 * live until the command ends: the kernel ties the command's life to it. Does
 * not wait for it.
 */
pid_t launch(struct launcher *l, const struct order *o,
    const struct launch_io *io, struct err *err);

/*
 * Appends what commands run in and what they are held to: "runner",
 * "processLimit", "cgroup" (limits of all processes of a command together),
 * "network" (a way out of it).
 */
void launch_describe(
    const struct conf *c, const struct launcher *l, struct buf *b);

/* Where the control groups of its commands are; NULL: nowhere. */
struct cgroups *launcher_groups(const struct launcher *l);

#endif
