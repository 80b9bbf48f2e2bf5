/* SPDX-License-Identifier: MIT */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <stdint.h>
#include <sys/types.h>

struct conf;
struct err;
struct scoreboard;

/* Descriptors of a worker, in the order in which spawn passes them. */
enum worker_fd {
	WORKER_FD_LISTEN = 3,
	WORKER_FD_BOARD,
	WORKER_FD_CONF,
	WORKER_FD_ALIVE, /* reads EOF when the master is gone */
	WORKER_FD_END
};

/* The workers of a pool. Knows how to start them and when to start again. */
struct pool;

/*
 * A pool of conf's number of workers, none running yet. conf_fd holds the
 * text of the configuration, listen_fd the socket; both stay the caller's.
 */
struct pool *pool_new(
    const struct conf *c, int listen_fd, int conf_fd, struct err *err);
void pool_free(struct pool **p_p);

/* Starts every worker that is due; failures are logged and tried again. */
void pool_start_due(struct pool *p, int64_t now_ms);

/* Milliseconds until the next one is due, -1 if none is. */
int64_t pool_next_due_ms(const struct pool *p, int64_t now_ms);

/* A child died. 1 it was a worker, 0 not. Its heir is due at once, or after
 * a pause if it keeps dying young. */
int pool_reaped(struct pool *p, pid_t pid, int status, int64_t now_ms);

/* No worker is started from now on. */
void pool_stop_starting(struct pool *p);

void pool_signal(const struct pool *p, int sig);
int pool_running(const struct pool *p);
int pool_size(const struct pool *p);

#endif
