/* SPDX-License-Identifier: MIT */
/*
 * The blocking side of Redis.
 *
 * Request and turn threads borrow a connection for one pipeline: what a
 * request needs of the store goes out in one write and comes back in one
 * read. There are never more connections than conf allows; a thread waits
 * for one, bounded by the command timeout.
 *
 * A hiredis context is dead after its first error, and redisReconnect drops
 * its timeouts, so a failed one is freed and a new one made. Commands are
 * written as RESP by ourselves: the same bytes serve a blocking connection,
 * the loop's, and a repetition after a break.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "store/redis.h"
#include "store/redis_priv.h"

#define DEFAULT_PORT 6379
#define RETRY_AFTER_S 1

struct redis_pool {
	struct redis_target target;
	int64_t connect_ms, command_ms;
	struct lck lck;
	struct lck_cond freed;
	redisContext **idle;
	int idle_count;
	int lent;
	int max;
};

#define TEXT_OF(x) #x
#define VERSION_TEXT(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *
redis_library(void)
{
	return "hiredis " VERSION_TEXT(
	    HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

/* ---- commands ---- */

void
redis_pipe_init(struct redis_pipe *p, struct arena *a)
{
	buf_init(&p->out, a);
	p->count = 0;
	p->args_left = 0;
}

void
redis_pipe_clear(struct redis_pipe *p)
{
	buf_clear(&p->out);
	p->count = 0;
	p->args_left = 0;
}

/* "*12\r\n" or "$5\r\n", without printf: every event passes here. */
static void
add_header(struct buf *b, char type, size_t n)
{
	char text[24];
	size_t i = sizeof(text);

	text[--i] = '\n';
	text[--i] = '\r';
	do
		text[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	text[--i] = type;
	buf_add(b, text + i, sizeof(text) - i);
}

void
redis_begin(struct redis_pipe *p, int argc)
{
	if (p->args_left != 0)
		abort(); /* the command before this one is not complete */
	add_header(&p->out, '*', (size_t)argc);
	p->count++;
	p->args_left = argc;
}

static void
add_arg(struct buf *b, const void *s, size_t len)
{
	add_header(b, '$', len);
	buf_add(b, s, len);
	buf_lit(b, "\r\n");
}

void
redis_argn(struct redis_pipe *p, const void *s, size_t len)
{
	if (p->args_left-- == 0)
		abort();
	add_arg(&p->out, s, len);
}

void
redis_args_init(struct redis_args *args, struct arena *a)
{
	buf_init(&args->out, a);
	args->argc = 0;
}

void
redis_args_add(struct redis_args *args, const void *s, size_t len)
{
	add_arg(&args->out, s, len);
	args->argc++;
}

void
redis_args(struct redis_pipe *p, const struct redis_args *args)
{
	if (p->args_left < args->argc)
		abort();
	p->args_left -= args->argc;
	buf_add(&p->out, args->out.data, args->out.len);
}

void
redis_arg(struct redis_pipe *p, const char *s)
{
	redis_argn(p, s, strlen(s));
}

void
redis_argi(struct redis_pipe *p, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	redis_argn(p, text, (size_t)n);
}

void
redis_script(struct redis_pipe *p, enum script_id id, int keys, int argc)
{
	redis_begin(p, 3 + keys + argc);
	redis_argn(p, "EVALSHA", 7);
	redis_argn(p, scripts[id].sha, 40);
	redis_argi(p, keys);
}

void
redis_cmd(struct redis_pipe *p, ...)
{
	va_list ap;
	const char *s;
	int argc = 0;

	va_start(ap, p);
	while (va_arg(ap, const char *) != NULL)
		argc++;
	va_end(ap);
	redis_begin(p, argc);
	va_start(ap, p);
	while ((s = va_arg(ap, const char *)) != NULL)
		redis_arg(p, s);
	va_end(ap);
}

/* ---- replies ---- */

void
redis_reply_copy(struct arena *a, struct redis_reply *out, const redisReply *r)
{
	struct redis_reply *items;

	memset(out, 0, sizeof(*out));
	switch (r->type) {
	case REDIS_REPLY_INTEGER:
		out->type = REDIS_INT;
		out->number = r->integer;
		break;
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
	case REDIS_REPLY_ERROR:
		out->type =
		    r->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT;
		out->len = (size_t)r->len;
		out->text = arena_memdup(a, r->str, out->len);
		break;
	case REDIS_REPLY_ARRAY:
		out->type = REDIS_LIST;
		out->count = r->elements;
		items = arena_alloc(a, out->count * sizeof(*items));
		for (size_t i = 0; i < out->count; i++)
			redis_reply_copy(a, &items[i], r->element[i]);
		out->items = items;
		break;
	default:
		out->type = REDIS_NIL;
		break;
	}
}

int
redis_is(const struct redis_reply *r, const char *text)
{
	return r->type == REDIS_TEXT && r->len == strlen(text) &&
	       memcmp(r->text, text, r->len) == 0;
}

const char *
redis_text(const struct redis_reply *r)
{
	return r->type == REDIS_TEXT ? r->text : "";
}

int64_t
redis_time_ms(const struct redis_reply *r)
{
	if (r->count != 2)
		return -1;
	return strtoll(redis_text(&r->items[0]), NULL, 10) * 1000 +
	       strtoll(redis_text(&r->items[1]), NULL, 10) / 1000;
}

const char **
redis_texts(struct arena *a, const struct redis_reply *r)
{
	const char **list = arena_alloc(a, (r->count + 1) * sizeof(*list));

	for (size_t i = 0; i < r->count; i++)
		list[i] = redis_text(&r->items[i]);
	list[r->count] = NULL;
	return list;
}

int
redis_error(struct err *err, const char *text)
{
	err_set(err, ERR_STORE, "Redis: %.200s", text);
	if (err != NULL)
		err->retry_after_s = RETRY_AFTER_S;
	return -1;
}

/* ---- connections ---- */

/*
 * AUTH goes alone: from a client that it does not know Redis takes no argument
 * beyond 16 KiB, as a script may be, and closes without a word. HELLO in its
 * place is refused with NOAUTH where a password is wanted; no ACL forbids it.
 */
static void
auth_build(struct redis_pipe *p, const struct conf *c)
{
	struct buf password;
	struct err err;

	redis_pipe_init(p, NULL);
	if (conf_secret(c, "store.password", &password, &err) > 0) {
		if (*c->store_user != '\0')
			redis_cmd(
			    p, "AUTH", c->store_user, buf_str(&password), NULL);
		else
			redis_cmd(p, "AUTH", buf_str(&password), NULL);
	} else {
		redis_cmd(p, "HELLO", NULL);
	}
	conf_wipe(&password);
}

static void
hello_build(struct redis_pipe *p, const struct conf *c)
{
	char db[24];

	redis_pipe_init(p, NULL);
	snprintf(db, sizeof(db), "%lld", (long long)c->store_database);
	if (c->store_database != 0)
		redis_cmd(p, "SELECT", db, NULL);
	for (int i = 0; i < SCRIPT_COUNT; i++)
		redis_cmd(p, "SCRIPT", "LOAD", scripts[i].text, NULL);
}

void
redis_target_init(struct redis_target *t, const struct conf *c)
{
	const char *addr = c->store_address;
	char *colon;

	memset(t, 0, sizeof(*t));
	t->is_unix = strncmp(addr, "unix:", 5) == 0;
	t->host = strdup(t->is_unix ? addr + 5 : addr);
	if (t->host == NULL)
		abort();
	t->port = DEFAULT_PORT;
	colon = t->is_unix ? NULL : strrchr(t->host, ':');
	if (colon != NULL) {
		t->port = atoi(colon + 1);
		*colon = '\0';
	}
	auth_build(&t->auth, c);
	hello_build(&t->hello, c);
}

void
redis_target_fini(struct redis_target *t)
{
	free(t->host);
	conf_wipe(&t->auth.out);
	buf_fini(&t->hello.out);
}

static struct timeval
timeval_of(int64_t ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
}

static redisContext *
redis_open(const struct redis_pool *p)
{
	const struct redis_target *t = &p->target;

	if (t->is_unix)
		return redisConnectUnixWithTimeout(
		    t->host, timeval_of(p->connect_ms));
	return redisConnectWithTimeout(
	    t->host, t->port, timeval_of(p->connect_ms));
}

static int
context_broken(const redisContext *rc, int sent, struct err *err)
{
	err_set(err, sent ? ERR_UNCERTAIN : ERR_STORE,
	    "Redis is not reached: %s", rc == NULL ? "no memory" : rc->errstr);
	if (err != NULL)
		err->retry_after_s = RETRY_AFTER_S;
	return -1;
}

/* Writes the pipe and reads n answers. 0, or -1 and the context is dead. */
static int
context_exchange(redisContext *rc, struct arena *a,
    const struct redis_pipe *pipe, struct redis_reply *replies, struct err *err)
{
	redisReply *r;

	if (redisAppendFormattedCommand(rc, pipe->out.data, pipe->out.len) !=
	    REDIS_OK)
		return context_broken(rc, 0, err);
	for (int i = 0; i < pipe->count; i++) {
		if (redisGetReply(rc, (void **)&r) != REDIS_OK)
			return context_broken(rc, 1, err);
		redis_reply_copy(a, &replies[i], r);
		freeReplyObject(r);
	}
	return 0;
}

/* None of the answers may be an error. 0 or -1. */
static int
context_greet(redisContext *rc, struct arena *a, const struct redis_pipe *pipe,
    struct err *err)
{
	struct redis_reply *replies =
	    arena_alloc(a, ((size_t)pipe->count + 1) * sizeof(*replies));

	if (context_exchange(rc, a, pipe, replies, err) < 0) {
		err->code = ERR_STORE;
		return -1;
	}
	for (int i = 0; i < pipe->count; i++)
		if (replies[i].type == REDIS_ERROR)
			return redis_error(err, replies[i].text);
	return 0;
}

/* A greeted connection, or NULL. */
static redisContext *
redis_connect(const struct redis_pool *p, struct arena *a, struct err *err)
{
	redisContext *rc = redis_open(p);

	if (rc == NULL || rc->err != 0) {
		context_broken(rc, 0, err);
		if (rc != NULL)
			redisFree(rc);
		return NULL;
	}
	redisSetTimeout(rc, timeval_of(p->command_ms));
	if (context_greet(rc, a, &p->target.auth, err) < 0 ||
	    context_greet(rc, a, &p->target.hello, err) < 0) {
		redisFree(rc);
		return NULL;
	}
	return rc;
}

struct redis_pool *
redis_pool_new(const struct conf *c)
{
	struct redis_pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->connect_ms = c->store_connect_timeout_ms;
	p->command_ms = c->store_command_timeout_ms;
	p->max = (int)c->store_connections;
	p->idle = calloc((size_t)p->max, sizeof(redisContext *));
	if (p->idle == NULL)
		abort();
	redis_target_init(&p->target, c);
	lck_init(&p->lck, LCK_POOL);
	lck_cond_init(&p->freed);
	return p;
}

void
redis_pool_free(struct redis_pool **p_p)
{
	struct redis_pool *p = *p_p;

	if (p == NULL)
		return;
	*p_p = NULL;
	if (p->lent != 0)
		abort();
	while (p->idle_count > 0)
		redisFree(p->idle[--p->idle_count]);
	free(p->idle);
	redis_target_fini(&p->target);
	lck_cond_fini(&p->freed);
	lck_fini(&p->lck);
	free(p);
}

/* A place in the pool, with a connection if one is idle. 0 or -1. */
static int
pool_take(struct redis_pool *p, redisContext **rc_r, struct err *err)
{
	int64_t deadline = clk_mono_ms() + p->command_ms;
	int rc = 0;

	*rc_r = NULL;
	lck_take(&p->lck);
	while (p->lent == p->max && rc == 0)
		rc = lck_cond_wait(&p->freed, &p->lck, deadline);
	if (p->lent < p->max) {
		p->lent++;
		if (p->idle_count > 0)
			*rc_r = p->idle[--p->idle_count];
		rc = 0;
	}
	lck_drop(&p->lck);
	if (rc < 0)
		return err_limit(err, ERR_STORE, "store.connections",
		    "all %d connections to Redis are busy", p->max);
	return 0;
}

static void
pool_give(struct redis_pool *p, redisContext *rc)
{
	lck_take(&p->lck);
	p->lent--;
	if (rc != NULL)
		p->idle[p->idle_count++] = rc;
	lck_drop(&p->lck);
	lck_cond_signal(&p->freed);
}

/* The first error among the replies. NULL if there is none. */
static const char *
first_error(const struct redis_reply *replies, int n)
{
	for (int i = 0; i < n; i++)
		if (replies[i].type == REDIS_ERROR)
			return replies[i].text;
	return NULL;
}

/*
 * One attempt on a connection that may have died while idle. On failure *rc
 * is freed and NULL. 1 done, 0 Redis forgot our scripts, -1 failed.
 */
static int
pool_attempt(struct redis_pool *p, struct arena *a, redisContext **rc,
    const struct redis_pipe *pipe, struct redis_reply *replies, struct err *err)
{
	const char *text;

	if (*rc == NULL)
		*rc = redis_connect(p, a, err);
	if (*rc == NULL)
		return -1;
	if (context_exchange(*rc, a, pipe, replies, err) < 0) {
		redisFree(*rc);
		*rc = NULL;
		return -1;
	}
	text = first_error(replies, pipe->count);
	if (text != NULL && strncmp(text, "NOSCRIPT", 8) == 0) {
		redisFree(*rc); /* a new one is greeted with the scripts */
		*rc = NULL;
		return 0;
	}
	return 1;
}

int
redis_call(struct redis_pool *p, struct arena *a, const struct redis_pipe *pipe,
    const struct redis_reply **replies_r, struct err *err)
{
	struct redis_reply *replies =
	    arena_alloc(a, (size_t)pipe->count * sizeof(*replies));
	const char *text;
	redisContext *rc;
	struct err first = { .code = ERR_NONE };
	int64_t began_us;
	int done;

	if (pipe->args_left != 0)
		abort();
	if (pool_take(p, &rc, err) < 0)
		return -1;
	began_us = clk_mono_us();
	done = pool_attempt(p, a, &rc, pipe, replies, &first);
	if (done < 1)
		done = pool_attempt(p, a, &rc, pipe, replies, err);
	pool_give(p, rc);
	metric_observe(
	    METRIC_STORE_TIME, METRIC_WAY_REQUEST, clk_mono_us() - began_us);
	if (done < 0) {
		if (first.code == ERR_UNCERTAIN && err != NULL)
			err->code = ERR_UNCERTAIN;
		return -1;
	}
	text = first_error(replies, pipe->count);
	if (text != NULL)
		return redis_error(err, text);
	*replies_r = replies;
	return 0;
}
