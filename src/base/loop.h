/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdint.h>

struct err;

/*
 * The event loop of a process, on libuv. One thread runs it; everything but
 * loop_post, loop_stop and loop_here is for that thread alone. A callback
 * does not block: one that takes over 50 ms is logged with its label.
 */
struct loop;
struct loop_io;
struct loop_timer;

typedef void loop_f(void *arg);
typedef void loop_io_f(void *arg, int events);

#define LOOP_READ 1
#define LOOP_WRITE 2
#define LOOP_HUP 4 /* the peer closed or shut down its side (EPOLLRDHUP) */

/* The library behind it and its version, as loaded; static. */
const char *loop_library(void);

struct loop *loop_new(void);

/* The uv_loop_t itself, for resolve.c and a library with a use of its own. */
void *loop_native(struct loop *l);
void loop_free(struct loop **l_p);

/* Runs callbacks until loop_stop; what was posted before it is done. Once. */
void loop_run(struct loop *l);

/* Any thread. */
void loop_stop(struct loop *l);

/* 1 on the thread that runs l. */
int loop_here(const struct loop *l);

/*
 * fn(arg) on the loop's thread, in the order of the calls of each thread.
 * Any other thread; waits while the queue (16,384 entries) is full. On the
 * loop's own thread it runs fn at once.
 */
void loop_post(struct loop *l, const char *label, loop_f *fn, void *arg);

/* The loop's own, in memory of whoever defers; zero at first. */
struct loop_deferred {
	struct loop_deferred *next;
	const char *label;
	loop_f *fn;
	void *arg;
	int waits;
};

/*
 * fn(arg) at the end of this tick, not within the caller: for what may free
 * what the caller still uses. d stays until then; deferring it again before
 * that changes nothing.
 */
void loop_defer(struct loop *l, struct loop_deferred *d, const char *label,
    loop_f *fn, void *arg);

/* The loop's idea of now, read once a tick. Monotonic. */
int64_t loop_now_ms(const struct loop *l);

/*
 * fn(arg) at the end of each tick, after what was deferred and before the
 * loop sleeps: where what the tick gathered is sent at once. At most 4.
 */
void loop_at_tick_end(struct loop *l, const char *label, loop_f *fn, void *arg);

/*
 * Watches fd; nothing is wanted yet. The descriptor stays the caller's and
 * must outlive the watch. NULL if it cannot be watched.
 */
struct loop_io *loop_io_new(
    struct loop *l, const char *label, int fd, loop_io_f *fn, void *arg);

/* Which of LOOP_READ, LOOP_WRITE and LOOP_HUP to report; 0 none. */
void loop_io_want(struct loop_io *io, int events);
void loop_io_free(struct loop_io **io_p);

struct loop_timer *loop_timer_new(
    struct loop *l, const char *label, loop_f *fn, void *arg);

/* Fires after delay_ms, then every repeat_ms unless that is 0. */
void loop_timer_start(
    struct loop_timer *t, int64_t delay_ms, int64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer **t_p);

#endif
