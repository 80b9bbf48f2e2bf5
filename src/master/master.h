/* SPDX-License-Identifier: MIT */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

struct conf;

/*
 * Runs the pool until a signal ends it: SIGQUIT gracefully, SIGTERM and
 * SIGINT fast. c, and conf_fd with its text, are its own from here. ready_fd,
 * if not -1, gets a byte when the socket is open and the workers were started.
 * The exit code of the process.
 */
int master_run(struct conf *c, int conf_fd, int ready_fd);

/*
 * The same for a master that takes over from another one, with descriptors
 * as enum successor_fd (upgrade.h) has them; path is the socket's file, which
 * it owns from then on, or ""; ctl_path that of agent-fpm ctl.
 */
int master_succeed(
    struct conf *c, int conf_fd, const char *path, const char *ctl_path);

#endif
