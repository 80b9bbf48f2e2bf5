/* SPDX-License-Identifier: MIT */
/*
 * The event loop: libuv with three habits.
 *
 * Other threads speak to it through one bounded ring of (fn, arg), guarded by
 * a mutex and announced by one uv_async_t; a full ring makes them wait, so a
 * stuck loop is felt and not hidden in memory. Handles are allocated here and
 * freed in libuv's close callback, so an owner frees and forgets. Every
 * callback is timed: a tick over 50 ms is logged with what took longest.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/lck.h"
#include "base/log.h"
#include "base/loop.h"

#define QUEUE_SIZE 16384
#define HOOKS_MAX 4
#define SLOW_TICK_MS 50
#define FULL_WAIT_MS 1000

struct task {
	const char *label;
	loop_f *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_prepare_t prepare;
	uv_check_t check;
	pthread_t thread;
	int running;

	struct lck lck;
	struct lck_cond room;
	struct task *queue;
	unsigned head, count;
	int stop;

	struct task hooks[HOOKS_MAX];
	int hook_count;
	struct loop_deferred *deferred, **deferred_tail;

	uint64_t tick_start_ns;
	uint64_t worst_ns;
	const char *worst;
};

struct loop_io {
	uv_poll_t poll;
	struct loop *loop;
	const char *label;
	loop_io_f *fn;
	void *arg;
};

struct loop_timer {
	uv_timer_t timer;
	struct loop *loop;
	const char *label;
	loop_f *fn;
	void *arg;
};

/* Remembers the callback that took longest in this tick. */
static void
loop_account(struct loop *l, const char *label, uint64_t start_ns)
{
	uint64_t ns = uv_hrtime() - start_ns;

	if (ns > l->worst_ns) {
		l->worst_ns = ns;
		l->worst = label;
	}
}

static void
task_run(struct loop *l, const struct task *t)
{
	uint64_t start = uv_hrtime();

	t->fn(t->arg);
	loop_account(l, t->label, start);
}

/*
 * Takes one task off the ring. 1, or 0 if it is empty; only then is *stop_r
 * of use: what was posted before a stop is done before it.
 */
static int
queue_take(struct loop *l, struct task *out, int *stop_r)
{
	int any;

	lck_take(&l->lck);
	any = l->count > 0;
	if (any) {
		*out = l->queue[l->head];
		l->head = (l->head + 1) % QUEUE_SIZE;
		if (l->count-- == QUEUE_SIZE)
			lck_cond_broadcast(&l->room);
	}
	*stop_r = l->stop;
	lck_drop(&l->lck);
	return any;
}

static void
on_wake(uv_async_t *wake)
{
	struct loop *l = wake->data;
	struct task t;
	int stop;

	while (queue_take(l, &t, &stop))
		task_run(l, &t);
	if (stop)
		uv_stop(&l->uv);
}

void
loop_defer(struct loop *l, struct loop_deferred *d, const char *label,
    loop_f *fn, void *arg)
{
	if (d->waits)
		return;
	*d = (struct loop_deferred){ NULL, label, fn, arg, 1 };
	*l->deferred_tail = d;
	l->deferred_tail = &d->next;
}

static void
run_deferred(struct loop *l)
{
	struct loop_deferred *d;
	struct task t;

	while ((d = l->deferred) != NULL) {
		l->deferred = d->next;
		if (l->deferred == NULL)
			l->deferred_tail = &l->deferred;
		d->waits = 0;
		t = (struct task){ d->label, d->fn, d->arg };
		task_run(l, &t); /* may free d */
	}
}

static void
on_prepare(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;
	uint64_t ms;

	do {
		run_deferred(l);
		for (int i = 0; i < l->hook_count; i++)
			task_run(l, &l->hooks[i]);
	} while (l->deferred != NULL);
	ms = (uv_hrtime() - l->tick_start_ns) / 1000000;
	if (l->tick_start_ns != 0 && ms > SLOW_TICK_MS)
		log_warn("the event loop was busy for %llu ms, %llu of them "
			 "in %s",
		    (unsigned long long)ms,
		    (unsigned long long)(l->worst_ns / 1000000),
		    l->worst == NULL ? "libuv" : l->worst);
	l->worst_ns = 0;
	l->worst = NULL;
}

static void
on_check(uv_check_t *check)
{
	struct loop *l = check->data;

	l->tick_start_ns = uv_hrtime();
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL || uv_loop_init(&l->uv) != 0 ||
	    uv_async_init(&l->uv, &l->wake, on_wake) != 0)
		abort();
	l->queue = calloc(QUEUE_SIZE, sizeof(*l->queue));
	if (l->queue == NULL)
		abort();
	l->deferred_tail = &l->deferred;
	lck_init(&l->lck, LCK_LOOP);
	lck_cond_init(&l->room);
	l->wake.data = l;
	uv_prepare_init(&l->uv, &l->prepare);
	l->prepare.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_init(&l->uv, &l->check);
	l->check.data = l;
	uv_check_start(&l->check, on_check);
	return l;
}

void *
loop_native(struct loop *l)
{
	return &l->uv;
}

void
loop_free(struct loop **l_p)
{
	struct loop *l = *l_p;

	if (l == NULL)
		return;
	*l_p = NULL;
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->check, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT); /* a lookup may go on, resolve.c */
	if (uv_loop_close(&l->uv) != 0)
		abort(); /* somebody kept a handle */
	lck_cond_fini(&l->room);
	lck_fini(&l->lck);
	free(l->queue);
	free(l);
}

void
loop_run(struct loop *l)
{
	l->thread = pthread_self();
	__atomic_store_n(&l->running, 1, __ATOMIC_RELEASE);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	__atomic_store_n(&l->running, 0, __ATOMIC_RELEASE);
}

void
loop_stop(struct loop *l)
{
	lck_take(&l->lck);
	l->stop = 1;
	lck_drop(&l->lck);
	uv_async_send(&l->wake);
}

const char *
loop_library(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "libuv %s", uv_version_string());
	return text;
}

int
loop_here(const struct loop *l)
{
	return __atomic_load_n(&l->running, __ATOMIC_ACQUIRE) &&
	       pthread_equal(l->thread, pthread_self());
}

void
loop_post(struct loop *l, const char *label, loop_f *fn, void *arg)
{
	struct task t = { label, fn, arg };
	int64_t now_ms;

	if (loop_here(l)) {
		fn(arg);
		return;
	}
	lck_take(&l->lck);
	while (l->count == QUEUE_SIZE) {
		now_ms = (int64_t)(uv_hrtime() / 1000000);
		lck_cond_wait(&l->room, &l->lck, now_ms + FULL_WAIT_MS);
	}
	l->queue[(l->head + l->count++) % QUEUE_SIZE] = t;
	lck_drop(&l->lck);
	uv_async_send(&l->wake);
}

int64_t
loop_now_ms(const struct loop *l)
{
	return (int64_t)uv_now(&l->uv);
}

void
loop_at_tick_end(struct loop *l, const char *label, loop_f *fn, void *arg)
{
	if (l->hook_count == HOOKS_MAX)
		abort();
	l->hooks[l->hook_count++] = (struct task){ label, fn, arg };
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct loop_io *io = poll->data;
	struct loop *l = io->loop; /* fn may free io */
	const char *label = io->label;
	uint64_t start = uv_hrtime();
	int what = 0;

	if (status < 0 || (events & UV_READABLE))
		what |= LOOP_READ;
	if (status < 0 || (events & UV_WRITABLE))
		what |= LOOP_WRITE;
	if (status < 0 || (events & UV_DISCONNECT))
		what |= LOOP_HUP;
	io->fn(io->arg, what);
	loop_account(l, label, start);
}

struct loop_io *
loop_io_new(struct loop *l, const char *label, int fd, loop_io_f *fn, void *arg)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (io == NULL)
		abort();
	if (uv_poll_init(&l->uv, &io->poll, fd) != 0) {
		free(io);
		return NULL;
	}
	io->poll.data = io;
	io->loop = l;
	io->label = label;
	io->fn = fn;
	io->arg = arg;
	return io;
}

void
loop_io_want(struct loop_io *io, int events)
{
	int uv = 0;

	if (events & LOOP_READ)
		uv |= UV_READABLE;
	if (events & LOOP_WRITE)
		uv |= UV_WRITABLE;
	if (events & LOOP_HUP)
		uv |= UV_DISCONNECT;
	if (uv == 0)
		uv_poll_stop(&io->poll);
	else if (uv_poll_start(&io->poll, uv, on_poll) != 0)
		abort();
}

static void
on_close_free(uv_handle_t *h)
{
	free(h->data);
}

void
loop_io_free(struct loop_io **io_p)
{
	struct loop_io *io = *io_p;

	if (io == NULL)
		return;
	*io_p = NULL;
	uv_close((uv_handle_t *)&io->poll, on_close_free);
}

static void
on_timer(uv_timer_t *timer)
{
	struct loop_timer *t = timer->data;
	struct loop *l = t->loop; /* fn may free t */
	struct task task = { t->label, t->fn, t->arg };

	task_run(l, &task);
}

struct loop_timer *
loop_timer_new(struct loop *l, const char *label, loop_f *fn, void *arg)
{
	struct loop_timer *t = calloc(1, sizeof(*t));

	if (t == NULL || uv_timer_init(&l->uv, &t->timer) != 0)
		abort();
	t->timer.data = t;
	t->loop = l;
	t->label = label;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void
loop_timer_start(struct loop_timer *t, int64_t delay_ms, int64_t repeat_ms)
{
	uv_timer_start(&t->timer, on_timer,
	    delay_ms < 0 ? 0 : (uint64_t)delay_ms, (uint64_t)repeat_ms);
}

void
loop_timer_stop(struct loop_timer *t)
{
	uv_timer_stop(&t->timer);
}

void
loop_timer_free(struct loop_timer **t_p)
{
	struct loop_timer *t = *t_p;

	if (t == NULL)
		return;
	*t_p = NULL;
	uv_close((uv_handle_t *)&t->timer, on_close_free);
}
