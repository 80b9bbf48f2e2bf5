/* SPDX-License-Identifier: MIT */
#ifndef MASTER_SCALE_H
#define MASTER_SCALE_H

#include <stdint.h>

struct conf;

/*
 * How many workers there shall be, in php-fpm's words. There a process serves
 * one request, and is idle or not. A worker here serves many at once, so it
 * has a load, in percent: the largest of
 *
 *   threads that answer a request, of request_threads
 *   turns that run, of limits.turns
 *   open streams, of limits.viewers
 *
 * It is spare while that is below SCALE_SPARE, and idle while it is 0: no
 * request, no turn and no stream.
 */
#define SCALE_SPARE 50

enum scale_mode { SCALE_STATIC, SCALE_DYNAMIC, SCALE_ONDEMAND };

/* Its word in the configuration. */
const char *scale_mode_name(enum scale_mode mode);

struct scale {
	enum scale_mode mode;
	int max;   /* pm.max_children */
	int start; /* workers of a start */
	int min_spare, max_spare;
	int rate; /* how many may start at once; 1, 2, 4 while they are few */
};

struct scale_seen {
	int workers;  /* that serve or begin to */
	int starting; /* of them, those that begin */
	int spare;
	int idle;    /* for pm.process_idle_timeout */
	int waiting; /* a connection waits, and there is no worker */
};

/* What conf says, for a host with so many cores. */
void scale_init(struct scale *sc, const struct conf *c, int cores);

/* The load of a worker. */
int scale_load(
    const struct conf *c, int64_t busy, int64_t turns, int64_t streams);

/* How many workers there shall be, once a second. */
int scale_next(struct scale *sc, const struct scale_seen *seen);

#endif
