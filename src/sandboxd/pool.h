/* SPDX-License-Identifier: MIT */
#ifndef SANDBOXD_POOL_H
#define SANDBOXD_POOL_H

struct job;
struct loop;

/*
 * The threads that run jobs: made on demand, up to max, and kept. A job that
 * was run comes back to the loop.
 */
struct job_pool;

struct job_pool *job_pool_new(struct loop *l, int max,
    void (*on_done)(void *ctx, struct job *j), void *ctx);

/* Waits for those that run; on_done is not called any more. */
void job_pool_free(struct job_pool **p_p);

/* The loop's thread. */
void job_pool_add(struct job_pool *p, struct job *j);

#endif
