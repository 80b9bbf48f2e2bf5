/* SPDX-License-Identifier: MIT */
/*
 * What the gateway reads beside events, on the link for replays: one command
 * each. Whoever asked stays until the answer, or the end of the link, which is
 * one too.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "store/live_priv.h"
#include "store/redis.h"
#include "store/redis_link.h"
#include "store/store_priv.h"

struct question {
	live_record_f *on_record;
	live_session_f *on_session;
	void *ctx;
};

static struct question *
question_new(void *ctx)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL)
		abort();
	q->ctx = ctx;
	return q;
}

static void
agent_key(const struct live *v, const char *agent, const char *part, char *out)
{
	snprintf(out, CHANNEL_SIZE, "%s{%.*s}:%s:%s", v->prefix, ID_FAMILY,
	    store_family(agent), agent, part);
}

static void
send_pipe(struct live *v, struct redis_pipe *p, redis_link_reply_f *fn,
    struct question *q)
{
	redis_link_send(v->reader, p->out.data, p->out.len, fn, q);
	buf_fini(&p->out);
}

static void
on_record(void *ctx, const redisReply *r)
{
	struct question *q = ctx;
	int text = r != NULL && r->type == REDIS_REPLY_STRING;
	int failed = r == NULL || r->type == REDIS_REPLY_ERROR;

	q->on_record(
	    q->ctx, failed, text ? r->str : NULL, text ? (size_t)r->len : 0);
	free(q);
}

void
live_record(struct live *v, const char *agent, const char *call,
    live_record_f *fn, void *ctx)
{
	struct question *q = question_new(ctx);
	char key[CHANNEL_SIZE];
	struct redis_pipe p;

	q->on_record = fn;
	agent_key(v, agent, "tools", key);
	redis_pipe_init(&p, NULL);
	redis_cmd(&p, "HGET", key, call, NULL);
	send_pipe(v, &p, on_record, q);
}

static int
is_set(const redisReply *r, size_t i)
{
	return i < r->elements && r->element[i]->type == REDIS_REPLY_STRING &&
	       r->element[i]->len > 0;
}

static void
on_session(void *ctx, const redisReply *r)
{
	struct question *q = ctx;
	struct live_session s = { .failed = 1 };

	if (r != NULL && r->type == REDIS_REPLY_ARRAY) {
		s.failed = 0;
		s.loaded = is_set(r, 0);
		s.environment = is_set(r, 1);
	}
	q->on_session(q->ctx, &s);
	free(q);
}

void
live_session(struct live *v, const char *agent, live_session_f *fn, void *ctx)
{
	struct question *q = question_new(ctx);
	char key[CHANNEL_SIZE];
	struct redis_pipe p;

	q->on_session = fn;
	agent_key(v, agent, "info", key);
	redis_pipe_init(&p, NULL);
	redis_cmd(&p, "HMGET", key, "loaded", "env", NULL);
	send_pipe(v, &p, on_session, q);
}
