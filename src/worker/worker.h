/* SPDX-License-Identifier: MIT */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

struct conf;

/*
 * The body of a worker process: descriptors as enum worker_fd (master/pool.h)
 * has them. Returns the exit code when a signal has ended it, or the master
 * is gone.
 */
int worker_run(const struct conf *c, int slot);

#endif
