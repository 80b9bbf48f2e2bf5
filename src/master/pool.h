/* SPDX-License-Identifier: MIT */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include <stdint.h>
#include <sys/types.h>

struct conf;
struct err;

/* Descriptors of a worker, in the order in which spawn passes them. */
enum worker_fd {
	WORKER_FD_LISTEN = 3,
	WORKER_FD_BOARD,
	WORKER_FD_CONF,
	WORKER_FD_ALIVE, /* reads EOF when the master is gone */
	WORKER_FD_METRICS,
	WORKER_FD_CTL, /* if there is one: agent-fpm ctl connects to it */
	WORKER_FD_END
};

/*
 * The workers of a pool, of one generation or, during a reload, of several.
 * Knows how to start them, when to start again, and who takes whose place.
 */
struct pool;

/*
 * A pool whose first generation is that of conf, with none running yet.
 * listen_fd
 * and ctl_fd (-1: none) stay the caller's. c and conf_fd, which holds its text,
 * are the pool's from here, whatever comes of it.
 */
/* Takes over what the pool of another program has learnt, whose scoreboard is
 * behind fd; closes it. Before the first tick. */
void pool_adopt(struct pool *p, int fd);

/* The descriptor of its scoreboard, which stays the pool's. */
int pool_board_fd(const struct pool *p);

struct pool *pool_new(
    struct conf *c, int conf_fd, int listen_fd, int ctl_fd, struct err *err);
void pool_free(struct pool **p_p);

/*
 * Starts a generation of workers with another configuration, which is the
 * pool's from here. When all of them are ready they take the place of those
 * that run, which get SIGQUIT; if one dies before, or they are not ready in
 * time, they go and the old ones stay. At most one at a time.
 */
void pool_reload(struct pool *p, struct conf *c, int conf_fd, int64_t now_ms);

enum pool_reload { POOL_RELOADING, POOL_RELOADED, POOL_KEPT };

/* How the last pool_reload went. */
enum pool_reload pool_reload_state(const struct pool *p);

/* Does what is due: starts, replaces, signals. Failures are logged. */
void pool_tick(struct pool *p, int64_t now_ms);

/* Milliseconds until something is due, -1 if nothing is. */
int64_t pool_next_due_ms(const struct pool *p, int64_t now_ms);

/* A child died. 1 it was a worker, 0 not. Its heir is due at once, or after
 * a pause if it keeps dying young. */
int pool_reaped(struct pool *p, pid_t pid, int status, int64_t now_ms);

/* No worker is started from now on. */
void pool_stop_starting(struct pool *p);

/* One that serves is to look for turns that nobody runs any more; if there is
 * none, one is started. */
void pool_look(struct pool *p);

/* How many workers died that were not told to. */
int pool_deaths(const struct pool *p);

void pool_signal(const struct pool *p, int sig);
int pool_running(const struct pool *p);

/*
 * With pm = ondemand there may be no worker: 1 then, and whoever sees a
 * connection wait on the socket calls pool_connection.
 */
int pool_awaits_connection(const struct pool *p);
void pool_connection(struct pool *p);

/* How many workers there shall be now. */
int pool_size(const struct pool *p);

/* 1 when all of them are ready. */
int pool_is_ready(const struct pool *p);

struct pool_counts {
	int workers; /* that serve */
	int leaving;
	int64_t turns, streams;
};

void pool_count(const struct pool *p, struct pool_counts *n_r);

/*
 * Kills workers whose loop has not run for so long. How many serve and are
 * well; 1 if there need be none.
 */
int pool_kill_stuck(struct pool *p, int64_t ms, int64_t now_ms);

/* The configuration of those that serve; valid until the next pool_tick. */
const struct conf *pool_conf(const struct pool *p);

#endif
