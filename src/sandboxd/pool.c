/* SPDX-License-Identifier: MIT */
/* The threads that run jobs. */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/lck.h"
#include "base/loop.h"
#include "sandboxd/job.h"
#include "sandboxd/pool.h"

#define THREADS_MAX 256
#define WAIT_MS 60000

struct done {
	struct job_pool *pool;
	struct job *job;
};

struct job_pool {
	struct loop *loop;
	void (*on_done)(void *ctx, struct job *j);
	void *ctx;
	int max;

	struct lck lck;
	struct lck_cond cond;
	struct job *first, **tail;
	pthread_t threads[THREADS_MAX];
	int count, idle, queued, stopping;
};

static void
on_job_done(void *arg)
{
	struct done *d = arg;
	struct job_pool *p = d->pool;
	struct job *j = d->job;

	free(d);
	p->on_done(p->ctx, j);
}

/* The next job; NULL: the thread is to end. */
static struct job *
next_job(struct job_pool *p)
{
	struct job *j;

	lck_take(&p->lck);
	p->idle++;
	while (p->first == NULL && !p->stopping)
		lck_cond_wait(&p->cond, &p->lck, clk_mono_ms() + WAIT_MS);
	p->idle--;
	j = p->stopping ? NULL : p->first;
	if (j != NULL) {
		p->first = j->next;
		p->queued--;
		if (p->first == NULL)
			p->tail = &p->first;
	}
	lck_drop(&p->lck);
	return j;
}

static void *
pool_thread(void *arg)
{
	struct job_pool *p = arg;
	struct job *j;
	struct done *d;

	prctl(PR_SET_NAME, "sandbox-job");
	while ((j = next_job(p)) != NULL) {
		job_run(j);
		d = malloc(sizeof(*d));
		if (d == NULL)
			abort();
		*d = (struct done){ p, j };
		loop_post(p->loop, "job done", on_job_done, d);
	}
	return NULL;
}

struct job_pool *
job_pool_new(struct loop *l, int max, void (*on_done)(void *ctx, struct job *j),
    void *ctx)
{
	struct job_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->loop = l;
	p->on_done = on_done;
	p->ctx = ctx;
	p->max = max > THREADS_MAX ? THREADS_MAX : max;
	p->tail = &p->first;
	lck_init(&p->lck, LCK_JOBS);
	lck_cond_init(&p->cond);
	return p;
}

void
job_pool_free(struct job_pool **p_p)
{
	struct job_pool *p = *p_p;
	struct job *j, *next;

	if (p == NULL)
		return;
	*p_p = NULL;
	lck_take(&p->lck);
	p->stopping = 1;
	lck_cond_broadcast(&p->cond);
	lck_drop(&p->lck);
	for (int i = 0; i < p->count; i++)
		pthread_join(p->threads[i], NULL);
	for (j = p->first; j != NULL; j = next) {
		next = j->next;
		arena_close(&(struct arena *){ j->arena });
	}
	lck_cond_fini(&p->cond);
	lck_fini(&p->lck);
	free(p);
}

void
job_pool_add(struct job_pool *p, struct job *j)
{
	int more;

	j->next = NULL;
	lck_take(&p->lck);
	*p->tail = j;
	p->tail = &j->next;
	/* One that is idle yet may have been woken for another job. */
	more = ++p->queued > p->idle && p->count < p->max;
	lck_cond_signal(&p->cond);
	lck_drop(&p->lck);
	if (more &&
	    pthread_create(&p->threads[p->count], NULL, pool_thread, p) == 0)
		p->count++;
	else if (p->count == 0)
		abort(); /* not one thread: nothing would ever be done */
}
