/* SPDX-License-Identifier: MIT */
/*
 * The loop: what other threads post comes in order and once, nothing posted
 * before loop_stop is lost, and what a callback frees is not touched again.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clk.h"
#include "base/loop.h"

#define QUEUE_SIZE 16384

static struct loop *l;

static int
setup(void **state)
{
	(void)state;
	l = loop_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_free(&l);
	assert_null(l);
	return 0;
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(l);
}

/* Runs it, at most for 10 s. */
static void
run(void)
{
	struct loop_timer *limit = loop_timer_new(l, "limit", stop, NULL);

	loop_timer_start(limit, 10000, 0);
	loop_run(l);
	loop_timer_free(&limit);
}

static void
count(void *arg)
{
	++*(int *)arg;
}

/* ---- posts ---- */

#define POSTERS 4
#define POSTS 30000

struct poster {
	pthread_t thread;
	unsigned next; /* what is expected of it */
	int wrong;
	int *left; /* posters that are not done */
};

struct post {
	struct poster *from;
	unsigned number;
};

static struct post posts[POSTERS][POSTS];

static void
on_post(void *arg)
{
	struct post *p = arg;

	if (p->number != p->from->next++ || !loop_here(l))
		p->from->wrong++;
	if (p->number == POSTS - 1 && --*p->from->left == 0)
		loop_stop(l);
}

static void *
poster(void *arg)
{
	struct post *p = arg;

	for (int i = 0; i < POSTS; i++)
		loop_post(l, "post", on_post, &p[i]);
	return NULL;
}

/* More than the queue holds, from several threads: in order, each once. */
static void
test_posts_in_order(void **state)
{
	struct poster from[POSTERS];
	int left = POSTERS;

	(void)state;
	memset(from, 0, sizeof(from));
	for (int i = 0; i < POSTERS; i++) {
		from[i].left = &left;
		for (unsigned k = 0; k < POSTS; k++)
			posts[i][k] = (struct post){ &from[i], k };
		assert_int_equal(
		    pthread_create(&from[i].thread, NULL, poster, posts[i]), 0);
	}
	run();
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(from[i].thread, NULL);
		assert_int_equal(from[i].next, POSTS);
		assert_int_equal(from[i].wrong, 0);
	}
}

static int filled; /* atomic: how many posts returned */

static void *
overfill(void *arg)
{
	for (int i = 0; i < QUEUE_SIZE + 1; i++) {
		loop_post(l, "fill", count, arg);
		__atomic_add_fetch(&filled, 1, __ATOMIC_SEQ_CST);
	}
	loop_stop(l);
	return NULL;
}

/* The queue is bounded: who finds it full waits until there is room. */
static void
test_queue_bound(void **state)
{
	int ran = 0;
	pthread_t t;

	(void)state;
	filled = 0;
	assert_int_equal(pthread_create(&t, NULL, overfill, &ran), 0);
	for (int i = 0; i < 5000; i++) {
		if (__atomic_load_n(&filled, __ATOMIC_SEQ_CST) == QUEUE_SIZE)
			break;
		usleep(1000);
	}
	usleep(50000);
	assert_int_equal(
	    __atomic_load_n(&filled, __ATOMIC_SEQ_CST), QUEUE_SIZE);
	run();
	pthread_join(t, NULL);
	assert_int_equal(ran, QUEUE_SIZE + 1);
}

struct last_post {
	struct loop *loop;
	int first, last; /* how often each ran */
};

static void *
post_and_stop(void *arg)
{
	struct last_post *p = arg;

	loop_post(p->loop, "first", count, &p->first);
	loop_post(p->loop, "last", count, &p->last);
	loop_stop(p->loop);
	return NULL;
}

/* What was posted before loop_stop is done, however close they come. */
static void
test_stop_loses_nothing(void **state)
{
	int lost = 0;
	pthread_t t;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct last_post p = { loop_new(), 0, 0 };

		assert_int_equal(
		    pthread_create(&t, NULL, post_and_stop, &p), 0);
		loop_run(p.loop);
		pthread_join(t, NULL);
		lost += !p.first + !p.last;
		loop_free(&p.loop);
	}
	assert_int_equal(lost, 0);
}

static int inner_ran;

static void
post_from_inside(void *arg)
{
	inner_ran = 0;
	loop_post(l, "inner", count, &inner_ran);
	*(int *)arg = inner_ran;
	loop_stop(l);
}

static void
test_post_from_the_loop_runs_at_once(void **state)
{
	int at_once = 0;

	(void)state;
	assert_int_equal(loop_here(l), 0);
	loop_post(l, "outer", post_from_inside, &at_once);
	run();
	assert_int_equal(at_once, 1);
	assert_int_equal(loop_here(l), 0);
}

/* ---- timers ---- */

struct ticker {
	struct loop_timer *timer;
	int fired;
	int stop_at;
	int free_at;
	int64_t at_ms[8];
};

static void
on_tick(void *arg)
{
	struct ticker *t = arg;

	t->at_ms[t->fired++ % 8] = clk_mono_ms();
	if (t->fired == t->stop_at)
		loop_timer_stop(t->timer);
	if (t->fired == t->free_at)
		loop_timer_free(&t->timer);
}

static void
ticker_start(struct ticker *t, int64_t delay_ms, int64_t repeat_ms)
{
	t->timer = loop_timer_new(l, "ticker", on_tick, t);
	loop_timer_start(t->timer, delay_ms, repeat_ms);
}

static void
test_timers(void **state)
{
	struct ticker once = { 0 }, often = { .stop_at = 3 },
		      gone = { .free_at = 1 }, soon = { 0 };
	struct loop_timer *end = loop_timer_new(l, "end", stop, NULL);
	int64_t start = clk_mono_ms();

	(void)state;
	ticker_start(&once, 30, 0);
	ticker_start(&often, 10, 10);
	ticker_start(&gone, 0, 5);
	ticker_start(&soon, -7, 0);
	loop_timer_start(end, 150, 0);
	run();
	assert_int_equal(once.fired, 1);
	assert_true(once.at_ms[0] - start >= 29);
	assert_int_equal(often.fired, 3);
	assert_true(often.at_ms[2] - often.at_ms[0] >= 10);
	assert_int_equal(gone.fired, 1);
	assert_null(gone.timer);
	assert_int_equal(soon.fired, 1);
	loop_timer_free(&once.timer);
	loop_timer_free(&often.timer);
	loop_timer_free(&soon.timer);
	loop_timer_free(&end);
	loop_timer_free(&end);
}

/* Started again it begins anew; stopped before it is due it never fires. */
static void
test_timer_restarts(void **state)
{
	struct ticker moved = { 0 }, stopped = { 0 };
	struct loop_timer *end = loop_timer_new(l, "end", stop, NULL);
	int64_t start = clk_mono_ms();

	(void)state;
	ticker_start(&moved, 5, 0);
	loop_timer_start(moved.timer, 60, 0);
	ticker_start(&stopped, 5, 0);
	loop_timer_stop(stopped.timer);
	loop_timer_start(end, 120, 0);
	run();
	assert_int_equal(moved.fired, 1);
	assert_true(moved.at_ms[0] - start >= 55);
	assert_int_equal(stopped.fired, 0);
	loop_timer_free(&moved.timer);
	loop_timer_free(&stopped.timer);
	loop_timer_free(&end);
}

static int64_t now_in_tick;

static void
look_at_clock(void *arg)
{
	(void)arg;
	now_in_tick = loop_now_ms(l) - clk_mono_ms();
	loop_stop(l);
}

static void
test_now(void **state)
{
	(void)state;
	loop_post(l, "now", look_at_clock, NULL);
	run();
	assert_true(now_in_tick <= 1 && now_in_tick > -1000);
}

/* ---- descriptors ---- */

struct end {
	int fd;
	struct loop_io *io;
	int events; /* seen so far */
	int stop_on;
	int free_on;
};

static void
on_io(void *arg, int events)
{
	struct end *e = arg;
	char chunk[64];

	e->events |= events;
	if ((events & LOOP_READ) && read(e->fd, chunk, sizeof(chunk)) < 0)
		e->events |= 1 << 8;
	if (events & e->free_on)
		loop_io_free(&e->io);
	if (events & e->stop_on)
		loop_stop(l);
}

static void
end_open(struct end *e, int fds[2])
{
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	e->fd = fds[0];
	e->io = loop_io_new(l, "end", fds[0], on_io, e);
	assert_non_null(e->io);
}

static void
end_close(struct end *e, int fds[2])
{
	loop_io_free(&e->io);
	close(fds[0]);
	close(fds[1]);
}

static void
test_readable(void **state)
{
	struct end e = { .stop_on = LOOP_READ };
	int fds[2];

	(void)state;
	end_open(&e, fds);
	loop_io_want(e.io, LOOP_READ);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run();
	assert_int_equal(e.events, LOOP_READ);
	end_close(&e, fds);
}

static void
test_writable(void **state)
{
	struct end e = { .stop_on = LOOP_WRITE };
	int fds[2];

	(void)state;
	end_open(&e, fds);
	loop_io_want(e.io, LOOP_WRITE);
	run();
	assert_int_equal(e.events, LOOP_WRITE);
	end_close(&e, fds);
}

/* Nothing is reported that is not wanted, or not wanted any more. */
static void
test_unwanted(void **state)
{
	struct end none = { 0 }, was = { 0 };
	struct loop_timer *end = loop_timer_new(l, "end", stop, NULL);
	int a[2], b[2];

	(void)state;
	end_open(&none, a);
	end_open(&was, b);
	loop_io_want(was.io, LOOP_READ | LOOP_WRITE | LOOP_HUP);
	loop_io_want(was.io, 0);
	assert_int_equal(write(a[1], "x", 1), 1);
	assert_int_equal(write(b[1], "x", 1), 1);
	loop_timer_start(end, 50, 0);
	run();
	assert_int_equal(none.events, 0);
	assert_int_equal(was.events, 0);
	end_close(&none, a);
	end_close(&was, b);
	loop_timer_free(&end);
}

/* The peer leaves: seen while only HUP is wanted, unread bytes or not. */
static void
test_hup(void **state)
{
	(void)state;
	for (int unread = 0; unread < 2; unread++) {
		for (int half = 0; half < 2; half++) {
			struct end e = { .stop_on = LOOP_HUP };
			int fds[2];

			end_open(&e, fds);
			loop_io_want(e.io, LOOP_HUP);
			if (unread)
				assert_int_equal(write(fds[1], "x", 1), 1);
			if (half)
				shutdown(fds[1], SHUT_WR);
			else
				close(fds[1]);
			run();
			assert_int_equal(e.events & LOOP_HUP, LOOP_HUP);
			fds[1] = half ? fds[1] : -1;
			end_close(&e, fds);
			teardown(state);
			setup(state);
		}
	}
}

static void
test_free_inside_callback(void **state)
{
	struct end e = { .stop_on = LOOP_READ, .free_on = LOOP_READ };
	int fds[2];

	(void)state;
	end_open(&e, fds);
	loop_io_want(e.io, LOOP_READ | LOOP_WRITE);
	e.events = 0;
	assert_int_equal(write(fds[1], "x", 1), 1);
	run();
	assert_null(e.io);
	assert_int_equal(e.events & LOOP_READ, LOOP_READ);
	end_close(&e, fds);
}

/* Two ends are ready in one tick; whichever runs first frees the other. */
struct pair {
	struct loop_io *io[2];
	int calls;
};

static void
on_pair(void *arg, int events)
{
	struct pair *p = arg;

	(void)events;
	p->calls++;
	loop_io_free(&p->io[0]);
	loop_io_free(&p->io[1]);
	loop_stop(l);
}

static void
test_free_of_another_that_is_ready(void **state)
{
	struct pair p = { .calls = 0 };
	int fds[2][2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
		p.io[i] = loop_io_new(l, "pair", fds[i][0], on_pair, &p);
		assert_int_equal(write(fds[i][1], "x", 1), 1);
		loop_io_want(p.io[i], LOOP_READ);
	}
	run();
	assert_int_equal(p.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(fds[i][0]);
		close(fds[i][1]);
	}
}

static void
test_unwatchable(void **state)
{
	(void)state;
	assert_null(loop_io_new(l, "closed", 1 << 20, on_io, NULL));
}

/* ---- the end of a tick ---- */

/* What is deferred runs after its caller, once, and before the loop sleeps. */
struct deferring {
	struct loop_deferred first, second;
	char order[16];
	int again;
};

static void
note(struct deferring *d, char c)
{
	size_t n = strlen(d->order);

	assert_true(n < sizeof(d->order) - 1);
	d->order[n] = c;
}

static void
on_second(void *arg)
{
	struct deferring *d = arg;

	note(d, '2');
	if (d->again)
		loop_stop(l);
}

static void
on_first(void *arg)
{
	struct deferring *d = arg;

	note(d, '1');
	loop_defer(l, &d->second, "second", on_second, d);
}

static void
on_deferring(void *arg)
{
	struct deferring *d = arg;

	loop_defer(l, &d->first, "first", on_first, d);
	loop_defer(l, &d->first, "first", on_first, d);
	note(d, 'c');
}

/* A hook that defers: nothing else would wake the loop. */
static void
on_deferring_hook(void *arg)
{
	struct deferring *d = arg;

	if (strcmp(d->order, "c12") != 0 || d->again)
		return;
	d->again = 1;
	note(d, 'h');
	loop_defer(l, &d->second, "second", on_second, d);
}

static void
test_defer(void **state)
{
	struct deferring d = { .again = 0 };

	(void)state;
	loop_at_tick_end(l, "hook", on_deferring_hook, &d);
	loop_post(l, "deferring", on_deferring, &d);
	run();
	assert_string_equal(d.order, "c12h2");
}

struct hook {
	int pending; /* what the tick gathered */
	int sent;
	int batches;
};

static void
on_hook(void *arg)
{
	struct hook *h = arg;

	if (h->pending == 0)
		return;
	h->sent += h->pending;
	h->pending = 0;
	h->batches++;
	loop_stop(l);
}

static void
gather(void *arg)
{
	((struct hook *)arg)->pending++;
}

/* What many posts of one tick gather is sent once, before the loop sleeps. */
static void
test_tick_end(void **state)
{
	struct hook h = { 0 };

	(void)state;
	loop_at_tick_end(l, "hook", on_hook, &h);
	for (int i = 0; i < 100; i++)
		loop_post(l, "gather", gather, &h);
	run();
	assert_int_equal(h.sent, 100);
	assert_int_equal(h.batches, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_posts_in_order),
		TEST(test_queue_bound),
		TEST(test_stop_loses_nothing),
		TEST(test_post_from_the_loop_runs_at_once),
		TEST(test_timers),
		TEST(test_timer_restarts),
		TEST(test_now),
		TEST(test_readable),
		TEST(test_writable),
		TEST(test_unwanted),
		TEST(test_hup),
		TEST(test_free_inside_callback),
		TEST(test_free_of_another_that_is_ready),
		TEST(test_unwatchable),
		TEST(test_defer),
		TEST(test_tick_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
