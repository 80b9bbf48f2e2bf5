/* SPDX-License-Identifier: MIT */
/*
 * The client of agent-fpm-sandbox. A call that was sent when the connection
 * broke fails: nobody knows whether it was carried out. One that was not sent
 * yet waits for the next connection, until its time is over.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "sandbox/channel.h"
#include "sandbox/client.h"
#include "sandbox/frame.h"

#define CHECK_EVERY_MS 100
#define CONNECT_MS 2000 /* for a sandbox that is being started again */
#define ANSWER_DEPTH 16

struct sandbox {
	struct loop *loop;
	const char *path;
	int64_t timeout_ms;
	struct channel channel;
	struct loop_timer *check;
	uint64_t last_id;
	struct sandbox_call *calls;
	const char *refused; /* why the last try to connect failed */
};

static void connection_drop(struct sandbox *s, const char *why);

/* ---- calls ---- */

static void
list_add(struct sandbox_call **list, struct sandbox_call *c)
{
	c->prev = list;
	c->next = *list;
	if (c->next != NULL)
		c->next->prev = &c->next;
	*list = c;
}

static void
list_remove(struct sandbox_call *c)
{
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = NULL;
}

static void
call_unlink(struct sandbox *s, struct sandbox_call *c)
{
	list_remove(c);
	if (s->calls == NULL)
		loop_timer_stop(s->check);
}

static void
call_link(struct sandbox *s, struct sandbox_call *c)
{
	if (s->calls == NULL)
		loop_timer_start(s->check, CHECK_EVERY_MS, CHECK_EVERY_MS);
	list_add(&s->calls, c);
}

static void
call_end(struct sandbox *s, struct sandbox_call *c)
{
	call_unlink(s, c);
	c->on_end(c->ctx, c);
}

static void
call_fail(struct sandbox *s, struct sandbox_call *c, enum err_code code,
    const char *text)
{
	err_set(&c->err, code, "%s", text);
	call_end(s, c);
}

static struct sandbox_call *
call_find(struct sandbox *s, uint64_t id)
{
	struct sandbox_call *c = s->calls;

	while (c != NULL && c->id != id)
		c = c->next;
	return c;
}

static void
answer_error(struct sandbox_call *c, const struct json *j)
{
	const char *word = json_get_str(j, "code");
	const char *text = json_get_str(j, "error");
	const char *limit = json_get_str(j, "limit");
	enum err_code code =
	    word == NULL ? ERR_INTERNAL : frame_error_code(word);

	if (text == NULL)
		text = "the sandbox failed";
	if (limit != NULL)
		err_limit(&c->err, code, limit, "%s", text);
	else
		err_set(&c->err, code, "%s", text);
}

static void
close_arena(void *p)
{
	struct arena *a = p;

	arena_close(&a);
}

static void
take_answer(struct sandbox *s, struct sandbox_call *c, const struct json *j,
    const struct frame_view *f)
{
	c->answer = j;
	buf_init(&c->answer_data, c->arena);
	buf_add(&c->answer_data, f->data, f->data_len);
	err_clear(&c->err);
	if (!json_get_true(j, "ok"))
		answer_error(c, j);
	call_end(s, c);
}

/* An answer, or a part of one. 0, or -1: it is none. */
static int
on_frame(void *ctx, const struct frame_view *f)
{
	struct sandbox *s = ctx;
	struct arena *a = arena_open(f->json_len + 1024);
	const struct json *j =
	    json_parse(a, f->json, f->json_len, ANSWER_DEPTH, NULL);
	struct sandbox_call *c = NULL;
	int64_t id;
	int rc = json_get_int(j, "id", &id) ? 0 : -1;

	if (rc == 0)
		c = call_find(s, (uint64_t)id);
	if (c != NULL && !json_get_true(j, "more")) {
		arena_defer(c->arena, close_arena, a); /* the call's then */
		take_answer(s, c, j, f);
		return 0;
	}
	if (c != NULL && c->on_more != NULL)
		c->on_more(c->ctx, f->data, f->data_len);
	arena_close(&a);
	return rc; /* without a call: it was cancelled, or took too long */
}

/* ---- the connection ---- */

static void
connection_flush(struct sandbox *s)
{
	const char *why = channel_flush(&s->channel);

	if (why != NULL)
		connection_drop(s, why);
}

static void
connection_read(struct sandbox *s)
{
	const char *why = channel_read(&s->channel, on_frame, s);

	if (why != NULL)
		connection_drop(s, *why == '\0' ? "it hung up" : why);
}

static void
on_ready(void *arg, int events)
{
	struct sandbox *s = arg;

	if (events & LOOP_WRITE)
		connection_flush(s);
	if (s->channel.fd >= 0 && (events & (LOOP_READ | LOOP_HUP)))
		connection_read(s);
}

/* 0, or -1: refused now; the calls wait. Does not block on a unix socket. */
static int
connection_open(struct sandbox *s)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	int fd;

	memcpy(sun.sun_path, s->path, strlen(s->path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		s->refused = strerror(errno);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	channel_open(&s->channel, s->loop, fd, on_ready, s);
	return 0;
}

/* What was sent fails. An owner that starts a call meanwhile connects anew. */
static void
connection_drop(struct sandbox *s, const char *why)
{
	struct sandbox_call *c, *next, *gone = NULL;

	log_warn("the sandbox's connection broke: %s", why);
	channel_close(&s->channel);
	s->refused = why;
	for (c = s->calls; c != NULL; c = next) {
		next = c->next;
		if (c->sent) {
			list_remove(c);
			list_add(&gone, c);
		}
	}
	while (gone != NULL)
		call_fail(s, gone, ERR_UNCERTAIN,
		    "the sandbox went away in the middle of the call");
}

static void
call_send(struct sandbox *s, struct sandbox_call *c)
{
	struct buf json;

	buf_init(&json, NULL);
	json_open(&json, NULL, '{');
	json_add_int(&json, "id", (int64_t)c->id);
	json_add_str(&json, "op", c->op);
	json_add_str(&json, "user", c->user);
	json_add_str(&json, "agent", c->agent);
	if (c->members != NULL)
		buf_puts(&json, c->members);
	json_close(&json, '}');
	frame_write(&s->channel.out, json.data, json.len, c->data, c->data_len);
	buf_fini(&json);
	c->sent = 1;
}

/* Sends what was not sent, if there is somebody to send it to. */
static void
calls_send(struct sandbox *s)
{
	if (s->channel.fd < 0 && connection_open(s) < 0)
		return;
	for (struct sandbox_call *c = s->calls; c != NULL; c = c->next)
		if (!c->sent)
			call_send(s, c);
	connection_flush(s);
}

/* A command is ended; other operations are soon over by themselves. */
static void
send_cancel(struct sandbox *s, uint64_t target)
{
	char json[96];
	int n = snprintf(json, sizeof(json),
	    "{\"id\":%llu,\"op\":\"cancel\",\"target\":%llu}",
	    (unsigned long long)++s->last_id, (unsigned long long)target);

	frame_write(&s->channel.out, json, (size_t)n, NULL, 0);
	connection_flush(s);
}

static void
call_late(struct sandbox *s, struct sandbox_call *c)
{
	uint64_t id = c->id;

	if (c->sent) {
		call_fail(s, c, ERR_TIMEOUT,
		    "the sandbox did not answer within sandbox.timeout");
		if (s->channel.fd >= 0)
			send_cancel(s, id);
		return;
	}
	err_set(&c->err, ERR_OVERLOAD,
	    "the sandbox is not reached at %s (%s): is agent-fpm-sandbox "
	    "running?",
	    s->path, s->refused == NULL ? "no answer" : s->refused);
	call_end(s, c);
}

static void
on_check(void *arg)
{
	struct sandbox *s = arg;
	int64_t now = loop_now_ms(s->loop);
	struct sandbox_call *c, *next;
	int waits = 0;

	for (c = s->calls; c != NULL; c = next) {
		next = c->next;
		if (c->deadline_ms <= now ||
		    (!c->sent && c->connect_ms <= now)) {
			call_late(s, c);
			next = s->calls;
		}
	}
	for (c = s->calls; c != NULL; c = c->next)
		waits |= !c->sent;
	if (waits)
		calls_send(s);
}

/* ---- for the others ---- */

struct sandbox *
sandbox_new(struct loop *l, const struct conf *c)
{
	struct sandbox *s;

	if (*c->sandbox_socket == '\0')
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->loop = l;
	s->path = c->sandbox_socket;
	s->timeout_ms = c->sandbox_timeout_ms;
	s->channel.fd = -1;
	s->check = loop_timer_new(l, "sandbox check", on_check, s);
	return s;
}

void
sandbox_free(struct sandbox **s_p)
{
	struct sandbox *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	while (s->calls != NULL)
		call_fail(s, s->calls, ERR_CANCELLED, "the worker stops");
	channel_close(&s->channel);
	loop_timer_free(&s->check);
	free(s);
}

void
sandbox_start(struct sandbox *s, struct sandbox_call *c)
{
	c->id = ++s->last_id;
	c->sent = 0;
	c->answer = NULL;
	c->connect_ms = loop_now_ms(s->loop) + CONNECT_MS;
	c->deadline_ms = loop_now_ms(s->loop) +
			 (c->timeout_ms > 0 ? c->timeout_ms : s->timeout_ms);
	call_link(s, c);
	calls_send(s);
}

void
sandbox_cancel(struct sandbox *s, struct sandbox_call *c)
{
	uint64_t id = c->id;
	int sent = c->sent;

	if (c->prev == NULL)
		return;
	call_fail(s, c, ERR_CANCELLED, "the call was stopped");
	if (sent && s->channel.fd >= 0)
		send_cancel(s, id);
}

/* ---- waiting for it ---- */

struct waiter {
	struct sandbox *s;
	struct sandbox_call *c;
	struct lck lck;
	struct lck_cond cond;
	int done;
};

static void
on_asked_end(void *ctx, struct sandbox_call *c)
{
	struct waiter *w = ctx;

	(void)c;
	lck_take(&w->lck);
	w->done = 1;
	lck_cond_signal(&w->cond);
	lck_drop(&w->lck);
}

static void
on_asked(void *arg)
{
	struct waiter *w = arg;

	sandbox_start(w->s, w->c);
}

int
sandbox_ask(struct sandbox *s, struct sandbox_call *c, struct err *err)
{
	struct waiter w = { .s = s, .c = c };

	lck_init(&w.lck, LCK_SANDBOX);
	lck_cond_init(&w.cond);
	c->on_end = on_asked_end;
	c->ctx = &w;
	loop_post(s->loop, "sandbox call", on_asked, &w);
	lck_take(&w.lck);
	while (!w.done)
		lck_cond_wait(&w.cond, &w.lck, INT64_MAX);
	lck_drop(&w.lck);
	lck_cond_fini(&w.cond);
	lck_fini(&w.lck);
	if (c->err.code == ERR_NONE)
		return 0;
	if (err != NULL)
		*err = c->err;
	return -1;
}
