/* SPDX-License-Identifier: MIT */
/*
 * hiredis's asynchronous context on our loop.
 *
 * hiredis asks to be told when it can write; instead of one epoll_ctl per
 * batch to ask and one to stop asking, the link is written at the end of the
 * tick, and only what the socket does not take is left to polling. hiredis
 * would also wait for the name of Redis's host; it gets an address, of several
 * another one when one has failed. A link that breaks has its open commands
 * answered with NULL by hiredis; whoever sent them knows whether they can be
 * repeated.
 */
#include "config.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/resolve.h"
#include "conf/conf.h"
#include "store/redis_link.h"
#include "store/redis_priv.h"

#define BACKOFF_FIRST_MS 10
#define BACKOFF_MAX_MS 2000

struct redis_link {
	struct loop *loop;
	struct redis_target target;
	redis_link_state_f *on_state;
	redis_link_push_f *on_push;
	void *ctx;
	redisAsyncContext *ac;
	struct loop_io *io;
	struct resolve *resolve; /* of its name, or NULL */
	unsigned failures;
	struct loop_timer *retry;
	struct loop_timer *greet; /* how long connecting may take */
	int64_t connect_ms;
	int64_t backoff_ms;
	int64_t oldest_ms;
	int open;      /* commands without answer */
	int greetings; /* that are not answered */
	int known;     /* it is no stranger to Redis any more */
	int up;
	int want_write;
	int polling_write;
	int closing;
	int quiet; /* the failure was logged */
};

/* A command's owner, while it is open. */
struct sent {
	struct redis_link *link;
	redis_link_reply_f *fn;
	void *ctx;
};

static void link_connect(void *arg);

/* ---- hiredis's hooks ---- */

static void
hook_add_read(void *arg)
{
	(void)arg; /* always polled */
}

static void
hook_add_write(void *arg)
{
	struct redis_link *k = arg;

	k->want_write = 1;
}

static void
hook_del_write(void *arg)
{
	struct redis_link *k = arg;

	k->want_write = 0;
}

static void
hook_cleanup(void *arg)
{
	struct redis_link *k = arg;

	loop_io_free(&k->io);
	k->polling_write = 0;
}

static void
link_poll(struct redis_link *k)
{
	if (k->io == NULL || k->want_write == k->polling_write)
		return;
	k->polling_write = k->want_write;
	loop_io_want(k->io, LOOP_READ | (k->want_write ? LOOP_WRITE : 0));
}

static void
on_io(void *arg, int events)
{
	struct redis_link *k = arg;

	if (events & LOOP_READ)
		redisAsyncHandleRead(k->ac);
	if (k->ac != NULL && k->io != NULL && (events & LOOP_WRITE))
		redisAsyncHandleWrite(k->ac);
	link_poll(k);
}

void
redis_link_flush(struct redis_link *k)
{
	if (k->ac == NULL || !k->up)
		return;
	if (k->want_write && !k->polling_write)
		redisAsyncHandleWrite(k->ac);
	link_poll(k);
}

/* ---- up and down ---- */

static void
link_retry(struct redis_link *k, const char *why)
{
	if (!k->quiet)
		log_warn("Redis is not reached: %s", why);
	k->quiet = 1;
	loop_timer_start(k->retry, k->backoff_ms, 0);
}

static void
link_down(struct redis_link *k, const char *why)
{
	int was_up = k->up;

	if (k->ac == NULL)
		return; /* said already */
	k->ac = NULL;
	k->up = 0;
	k->want_write = 0;
	loop_timer_stop(k->greet);
	if (k->closing)
		return;
	k->failures += !was_up;
	link_retry(k, why);
	if (was_up)
		k->on_state(k->ctx, 0);
}

static void
next_backoff(struct redis_link *k)
{
	unsigned char jitter;

	id_random(&jitter, 1);
	k->backoff_ms = k->backoff_ms * 2 + jitter % (k->backoff_ms / 4 + 1);
	if (k->backoff_ms > BACKOFF_MAX_MS)
		k->backoff_ms = BACKOFF_MAX_MS;
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	link_down(ac->data, status == REDIS_OK ? "closed" : ac->errstr);
}

static void link_greet(struct redis_link *k, const struct redis_pipe *pipe);

/* An answer to AUTH or HELLO, SELECT or SCRIPT LOAD; the last one makes it up.
 */
static void
on_greeting(redisAsyncContext *ac, void *reply, void *arg)
{
	struct redis_link *k = ac->data;
	const redisReply *r = reply;

	(void)arg;
	if (r == NULL)
		return;
	if (r->type == REDIS_REPLY_ERROR) {
		if (!k->quiet)
			log_error("Redis refuses us: %s", r->str);
		k->quiet = 1;
		redisAsyncDisconnect(ac);
		return;
	}
	if (--k->greetings > 0)
		return;
	if (!k->known) {
		k->known = 1;
		link_greet(k, &k->target.hello);
		return;
	}
	loop_timer_stop(k->greet);
	if (k->quiet)
		log_info("Redis is reached again");
	k->quiet = 0;
	k->backoff_ms = BACKOFF_FIRST_MS;
	k->up = 1;
	k->on_state(k->ctx, 1);
}

static void
on_connect(const redisAsyncContext *ac, int status)
{
	if (status != REDIS_OK)
		link_down(ac->data, ac->errstr);
}

/* hiredis wants one call a command, so the greeting is cut at each '*'. */
static void
link_greet(struct redis_link *k, const struct redis_pipe *pipe)
{
	const char *p = pipe->out.data;
	const char *end = p + pipe->out.len, *next;
	int argc;
	long len;

	k->greetings = pipe->count;
	while (p < end) {
		argc = atoi(p + 1);
		next = strchr(p, '\n') + 1;
		while (argc-- > 0) {
			len = atol(next + 1);
			next = strchr(next, '\n') + 1 + len + 2;
		}
		redisAsyncFormattedCommand(
		    k->ac, on_greeting, NULL, p, (size_t)(next - p));
		p = next;
	}
	link_poll(k);
}

/* host: an address, or the path of its socket. */
static void
link_open(struct redis_link *k, const char *host)
{
	redisAsyncContext *ac;

	ac = k->target.is_unix ? redisAsyncConnectUnix(host)
			       : redisAsyncConnect(host, k->target.port);
	if (ac == NULL)
		abort();
	k->ac = ac;
	if (ac->err != 0) {
		link_down(k, ac->errstr);
		redisAsyncFree(ac);
		return;
	}
	ac->data = k;
	ac->ev.data = k;
	ac->ev.addRead = hook_add_read;
	ac->ev.addWrite = hook_add_write;
	ac->ev.delWrite = hook_del_write;
	ac->ev.cleanup = hook_cleanup;
	k->io = loop_io_new(k->loop, "redis", ac->c.fd, on_io, k);
	if (k->io == NULL)
		abort();
	loop_io_want(k->io, LOOP_READ);
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	loop_timer_start(k->greet, k->connect_ms, 0);
	k->known = 0;
	link_greet(k, &k->target.auth);
}

static void
on_resolved(
    void *ctx, const char *const *addresses, size_t count, const char *why)
{
	struct redis_link *k = ctx;

	k->resolve = NULL;
	if (count == 0)
		link_retry(k, why);
	else
		link_open(k, addresses[k->failures % count]);
}

static void
link_connect(void *arg)
{
	struct redis_link *k = arg;
	const char *host = k->target.host;
	struct err err;

	next_backoff(k);
	if (k->target.is_unix || resolve_is_address(host)) {
		link_open(k, host);
		return;
	}
	k->resolve = resolve_start(k->loop, host, on_resolved, k, &err);
	if (k->resolve == NULL)
		link_retry(k, err.text);
}

void
redis_link_drop(struct redis_link *k)
{
	redisAsyncContext *ac = k->ac;

	if (ac == NULL)
		return;
	redisAsyncFree(ac); /* answers what is open with NULL */
	link_down(k, "it did not answer in time");
}

static void
on_greet_timeout(void *arg)
{
	struct redis_link *k = arg;

	redis_link_drop(k);
}

/* ---- commands ---- */

static void
on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct sent *s = arg;
	struct redis_link *k = s->link;
	struct sent copy = *s;

	(void)ac;
	free(s);
	if (--k->open == 0)
		k->oldest_ms = 0;
	else
		k->oldest_ms = loop_now_ms(k->loop);
	copy.fn(copy.ctx, reply);
}

void
redis_link_send(struct redis_link *k, const char *resp, size_t len,
    redis_link_reply_f *fn, void *ctx)
{
	struct sent *s;

	if (!k->up) {
		fn(ctx, NULL);
		return;
	}
	s = malloc(sizeof(*s));
	if (s == NULL)
		abort();
	s->link = k;
	s->fn = fn;
	s->ctx = ctx;
	if (redisAsyncFormattedCommand(k->ac, on_reply, s, resp, len) !=
	    REDIS_OK) {
		free(s);
		fn(ctx, NULL);
		return;
	}
	if (k->open++ == 0)
		k->oldest_ms = loop_now_ms(k->loop);
}

static void
on_pushed(redisAsyncContext *ac, void *reply, void *arg)
{
	struct redis_link *k = arg;
	const redisReply *r = reply;
	struct redis_push push;

	(void)ac;
	if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements < 3)
		return;
	push.kind = r->element[0]->str;
	push.channel = r->element[1]->str;
	push.text = r->element[2]->str;
	push.len = push.text == NULL ? 0 : (size_t)r->element[2]->len;
	if (push.channel != NULL)
		k->on_push(k->ctx, &push);
}

void
redis_link_on_push(struct redis_link *k, redis_link_push_f *fn)
{
	k->on_push = fn;
}

void
redis_link_subscribe(struct redis_link *k, const char *channel)
{
	if (k->up)
		redisAsyncCommand(k->ac, on_pushed, k, "SUBSCRIBE %s", channel);
}

void
redis_link_unsubscribe(struct redis_link *k, const char *channel)
{
	if (k->up)
		redisAsyncCommand(k->ac, NULL, NULL, "UNSUBSCRIBE %s", channel);
}

int
redis_link_up(const struct redis_link *k)
{
	return k->up;
}

int64_t
redis_link_oldest_ms(const struct redis_link *k)
{
	return k->oldest_ms;
}

struct redis_link *
redis_link_new(struct loop *l, const struct conf *c,
    redis_link_state_f *on_state, void *ctx)
{
	struct redis_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		abort();
	k->loop = l;
	k->on_state = on_state;
	k->ctx = ctx;
	k->connect_ms = c->store_connect_timeout_ms;
	k->backoff_ms = BACKOFF_FIRST_MS;
	redis_target_init(&k->target, c);
	k->retry = loop_timer_new(l, "redis connect", link_connect, k);
	k->greet = loop_timer_new(l, "redis greet", on_greet_timeout, k);
	link_connect(k);
	return k;
}

void
redis_link_free(struct redis_link **k_p)
{
	struct redis_link *k = *k_p;

	if (k == NULL)
		return;
	*k_p = NULL;
	k->closing = 1;
	redis_link_drop(k);
	resolve_cancel(&k->resolve);
	loop_timer_free(&k->retry);
	loop_timer_free(&k->greet);
	redis_target_fini(&k->target);
	free(k);
}
