/* SPDX-License-Identifier: MIT */
/*
 * The client of agent-fpm-sandbox: its calls, whichever way they go. A call
 * that was sent when the connection broke fails: nobody knows whether it was
 * carried out. One that was not sent yet waits for the sandbox to be there,
 * until its time is over.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "sandbox/answer.h"
#include "sandbox/client.h"
#include "sandbox/client_priv.h"
#include "sandbox/frame.h"

#define CHECK_EVERY_MS 100
#define ANSWER_DEPTH 16

/* ---- calls ---- */

static void
call_unlink(struct sandbox *s, struct sandbox_call *c)
{
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->prev = NULL;
	if (s->calls == NULL)
		loop_timer_stop(s->check);
}

static void
call_link(struct sandbox *s, struct sandbox_call *c)
{
	if (s->calls == NULL)
		loop_timer_start(s->check, CHECK_EVERY_MS, CHECK_EVERY_MS);
	c->prev = &s->calls;
	c->next = s->calls;
	if (c->next != NULL)
		c->next->prev = &c->next;
	s->calls = c;
}

static void
call_end(struct sandbox *s, struct sandbox_call *c)
{
	call_unlink(s, c);
	c->on_end(c->ctx, c);
}

void
sandbox_call_fail(struct sandbox *s, struct sandbox_call *c, enum err_code code,
    const char *text)
{
	err_set(&c->err, code, "%s", text);
	call_end(s, c);
}

/* Ends one that nobody waits for any more; what was sent is ended there. */
static void
call_stop(struct sandbox *s, struct sandbox_call *c, enum err_code code,
    const char *text)
{
	call_unlink(s, c);
	err_set(&c->err, code, "%s", text);
	if (c->sent && !c->waits)
		s->transport->cancel(s, c);
	c->on_end(c->ctx, c);
}

struct sandbox_call *
sandbox_call_find(struct sandbox *s, uint64_t id)
{
	struct sandbox_call *c = s->calls;

	while (c != NULL && c->id != id)
		c = c->next;
	return c;
}

void
sandbox_call_write(const struct sandbox_call *c, struct buf *out)
{
	struct buf json;

	buf_init(&json, NULL);
	json_open(&json, NULL, '{');
	json_add_int(&json, "id", (int64_t)c->id);
	json_add_str(&json, "op", c->op);
	json_add_str(&json, "user", c->user);
	json_add_str(&json, "agent", c->agent);
	if (c->there)
		json_add_bool(&json, "there", 1);
	if (c->members != NULL)
		buf_puts(&json, c->members);
	json_close(&json, '}');
	frame_write(out, json.data, json.len, c->data, c->data_len);
	buf_fini(&json);
}

/* ---- answers ---- */

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

int
sandbox_answer_read(struct sandbox_answer *an, const struct frame_view *f)
{
	int64_t id;

	an->arena = arena_open(f->json_len + 1024);
	an->json =
	    json_parse(an->arena, f->json, f->json_len, ANSWER_DEPTH, NULL);
	if (!json_get_int(an->json, "id", &id)) {
		arena_close(&an->arena);
		return -1;
	}
	an->id = (uint64_t)id;
	an->more = json_get_true(an->json, "more");
	return 0;
}

void
sandbox_answer_take(struct sandbox *s, struct sandbox_call *c,
    struct sandbox_answer *an, const char *data, size_t len)
{
	const char *lacks;

	arena_defer(c->arena, close_arena, an->arena); /* the call's then */
	c->answer = an->json;
	buf_init(&c->answer_data, c->arena);
	buf_add(&c->answer_data, data, len);
	err_clear(&c->err);
	if (!json_get_true(c->answer, "ok"))
		answer_error(c, c->answer);
	else if ((lacks = sandbox_answer_lacks(c->op, c->answer)) != NULL)
		err_set(&c->err, ERR_UNCERTAIN,
		    "the sandbox's answer lacks \"%s\"", lacks);
	if (c->err.code != ERR_NOT_FOUND || !sandbox_call_park(s, c))
		call_end(s, c);
}

/* ---- when ---- */

void
sandbox_calls_send(struct sandbox *s)
{
	if (s->transport->open(s) < 0)
		return;
	for (struct sandbox_call *c = s->calls; c != NULL; c = c->next)
		if (!c->sent)
			s->transport->send(s, c);
	s->transport->flush(s);
}

static void
call_late(struct sandbox *s, struct sandbox_call *c)
{
	if (c->sent) {
		call_stop(s, c, ERR_TIMEOUT,
		    "the sandbox did not answer within sandbox.timeout");
		return;
	}
	err_set(&c->err, ERR_OVERLOAD,
	    "the sandbox is not reached at %s (%s): is agent-fpm-sandbox "
	    "running?",
	    s->where, *s->refused == '\0' ? "no answer" : s->refused);
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
		sandbox_calls_send(s);
}

/* ---- for the others ---- */

int
sandbox_is_configured(const struct conf *c)
{
	return *c->sandbox_socket != '\0' || *c->sandbox_address != '\0';
}

int
sandbox_new(struct loop *l, struct fetcher *f, const struct conf *c,
    struct sandbox **s_r, struct err *err)
{
	struct sandbox *s;

	*s_r = NULL;
	if (!sandbox_is_configured(c))
		return 0;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->loop = l;
	s->fetcher = f;
	s->conf = c;
	s->channel.fd = -1;
	s->transport =
	    *c->sandbox_address != '\0' ? &sandbox_by_http : &sandbox_by_unix;
	if (l != NULL)
		s->check = loop_timer_new(l, "sandbox check", on_check, s);
	*s_r = s;
	if (s->transport->init(s, err) == 0)
		return 0;
	sandbox_free(s_r);
	return -1;
}

void
sandbox_free(struct sandbox **s_p)
{
	struct sandbox *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	while (s->calls != NULL)
		call_stop(s, s->calls, ERR_CANCELLED, "the worker stops");
	s->transport->fini(s);
	loop_timer_free(&s->check);
	free(s);
}

void
sandbox_call_again(struct sandbox *s, struct sandbox_call *c)
{
	c->id = ++s->last_id;
	c->sent = 0;
	c->way = NULL;
	c->answer = NULL;
	c->connect_ms = loop_now_ms(s->loop) + SANDBOX_CONNECT_MS;
	c->deadline_ms =
	    loop_now_ms(s->loop) +
	    (c->timeout_ms > 0 ? c->timeout_ms : s->conf->sandbox_timeout_ms);
}

void
sandbox_start(struct sandbox *s, struct sandbox_call *c)
{
	sandbox_call_again(s, c);
	c->waits = 0;
	c->there = sandbox_call_wants_there(s, c);
	call_link(s, c);
	sandbox_calls_send(s);
}

void
sandbox_cancel(struct sandbox *s, struct sandbox_call *c)
{
	if (c->prev != NULL)
		call_stop(s, c, ERR_CANCELLED, "the call was stopped");
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
