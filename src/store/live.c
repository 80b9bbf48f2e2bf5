/* SPDX-License-Identifier: MIT */
/*
 * Events from Redis: the subscription and the replays.
 *
 * Pub/sub is fast and forgets; the log is the truth. A message carries the id
 * of the event before its first, so a viewer notices what it missed and reads
 * the log. A lost subscription is told to all, who then do the same.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/live_priv.h"
#include "store/redis.h"
#include "store/redis_link.h"
#include "store/store_priv.h"

#define PAGE 256
#define SESSIONS ":sessions"

static void
channel_name(const struct live *v, const char *agent, char *out)
{
	snprintf(out, CHANNEL_SIZE, "%s{%.*s}:%s:live", v->prefix, ID_FAMILY,
	    store_family(agent), agent);
}

/* The agent of a channel: between "}:" and ":live". 0 or -1. */
static int
channel_agent(const char *channel, char *agent, size_t size)
{
	const char *start = strstr(channel, "}:"), *end;

	end = start == NULL ? NULL : strrchr(start, ':');
	if (end == NULL || strcmp(end, ":live") != 0 || end <= start + 1)
		return -1;
	snprintf(agent, size, "%.*s", (int)(end - start - 2), start + 2);
	return 0;
}

static size_t
count_lines(const char *text, const char *end)
{
	size_t n = 0;

	for (; text != NULL && text < end; n++) {
		text = memchr(text, '\n', (size_t)(end - text));
		text = text == NULL ? NULL : text + 1;
	}
	return n;
}

/* PREV, then an event a line: all that were written together. */
static void
live_message(struct live *v, const char *agent, const char *text, size_t len)
{
	const char *end = text + len, *line = text, *nl;
	struct event_id prev = { 0, 0 };
	struct frame **frames;
	int n = 0;

	nl = memchr(line, '\n', len);
	if (nl == NULL) {
		v->calls.on_gone(v->calls.ctx, agent);
		return;
	}
	event_id_parse(line, (size_t)(nl - line), &prev);
	frames = calloc(count_lines(nl, end), sizeof(*frames));
	if (frames == NULL)
		abort();
	while (nl != NULL && nl + 1 < end) {
		line = nl + 1;
		nl = memchr(line, '\n', (size_t)(end - line));
		frames[n] =
		    frame_new(line, (size_t)((nl == NULL ? end : nl) - line));
		n += frames[n] != NULL;
	}
	v->calls.on_events(v->calls.ctx, agent, prev, frames, n);
	while (n > 0)
		frame_unref(&frames[--n]);
	free(frames);
}

static void
on_revocations(void *ctx, const redisReply *r)
{
	struct live *v = ctx;
	char text[64];

	if (r == NULL || r->type != REDIS_REPLY_ARRAY)
		return; /* v may be gone; else the reader comes back */
	for (size_t i = 0; i < r->elements; i++) {
		snprintf(text, sizeof(text), "revoked %s", r->element[i]->str);
		v->calls.on_order(v->calls.order_ctx, text);
	}
}

void
live_ask_revoked(struct live *v)
{
	char key[CHANNEL_SIZE], since[32];
	struct redis_pipe pipe;

	snprintf(key, sizeof(key), "%s" STORE_REVOCATIONS, v->prefix);
	snprintf(since, sizeof(since), "%lld",
	    (long long)clk_wall_ms() / 1000 - STORE_REVOCATIONS_S);
	redis_pipe_init(&pipe, NULL);
	redis_cmd(&pipe, "ZRANGEBYSCORE", key, since, "+inf", NULL);
	redis_link_send(
	    v->reader, pipe.out.data, pipe.out.len, on_revocations, v);
	buf_fini(&pipe.out);
}

/* PREFIXuser:USER:sessions; 0 or -1. */
static int
channel_user(const struct live *v, const char *channel, char *user, size_t size)
{
	size_t prefix = strlen(v->prefix), n = strlen(channel);
	unsigned byte;
	char *at = user;

	if (n < prefix + 5 + sizeof(SESSIONS) - 1 ||
	    strncmp(channel + prefix, "user:", 5) != 0 ||
	    strcmp(channel + n - (sizeof(SESSIONS) - 1), SESSIONS) != 0)
		return -1;
	n -= sizeof(SESSIONS) - 1;
	for (size_t i = prefix + 5; i < n && at < user + size - 1; i++, at++) {
		*at = channel[i];
		if (channel[i] == '%' &&
		    sscanf(channel + i + 1, "%2x", &byte) == 1) {
			*at = (char)byte;
			i += 2;
		}
	}
	*at = '\0';
	return 0;
}

/* 1 if it was one of a user's sessions. */
static int
sessions_push(struct live *v, const struct redis_push *push)
{
	char user[CHANNEL_SIZE];

	if (channel_user(v, push->channel, user, sizeof(user)) < 0)
		return 0;
	if (v->calls.on_sessions == NULL)
		return 1;
	if (strcmp(push->kind, "message") == 0)
		v->calls.on_sessions(v->calls.ctx, user, push->text, push->len);
	else if (strcmp(push->kind, "subscribe") == 0)
		v->calls.on_sessions(v->calls.ctx, user, NULL, 0);
	return 1;
}

static void
on_push(void *ctx, const struct redis_push *push)
{
	struct live *v = ctx;
	char agent[64];

	if (sessions_push(v, push))
		return;
	if (strcmp(push->channel, v->all) == 0 &&
	    strcmp(push->kind, "message") != 0) {
		/* What was said while nobody listened may have been that. */
		v->calls.on_order(v->calls.order_ctx, "revoked");
		live_ask_revoked(v);
		return;
	}
	if (strcmp(push->channel, v->orders) == 0 ||
	    strcmp(push->channel, v->queue) == 0 ||
	    strcmp(push->channel, v->all) == 0) {
		if (strcmp(push->kind, "message") == 0)
			v->calls.on_order(v->calls.order_ctx, push->text);
		return;
	}
	if (channel_agent(push->channel, agent, sizeof(agent)) < 0)
		return;
	if (strcmp(push->kind, "message") == 0)
		live_message(v, agent, push->text, push->len);
	else if (strcmp(push->kind, "subscribe") == 0)
		v->calls.on_covered(v->calls.ctx, agent);
}

static void
on_sub_state(void *ctx, int up)
{
	struct live *v = ctx;

	if (!up) {
		v->calls.on_lost(v->calls.ctx);
		return;
	}
	if (*v->orders != '\0') {
		redis_link_subscribe(v->sub, v->orders);
		redis_link_subscribe(v->sub, v->queue);
	}
	redis_link_subscribe(v->sub, v->all);
	v->calls.on_lost(v->calls.ctx); /* whoever watches says so again */
}

static void
on_tick_end(void *arg)
{
	struct live *v = arg;

	redis_link_flush(v->sub);
}

struct live *
live_new(struct loop *l, const struct conf *c, const struct store *st,
    struct redis_link *reader, const struct live_calls *calls)
{
	struct live *v = calloc(1, sizeof(*v));

	if (v == NULL)
		abort();
	v->reader = reader;
	v->calls = *calls;
	v->prefix = c->store_prefix;
	if (st != NULL) {
		snprintf(v->orders, sizeof(v->orders), "%sctl:%s",
		    c->store_prefix, store_holder(st));
		snprintf(v->queue, sizeof(v->queue), "%s" STORE_QUEUE,
		    c->store_prefix);
	}
	snprintf(v->all, sizeof(v->all), "%sctl", c->store_prefix);
	v->sub = redis_link_new(l, c, on_sub_state, v);
	redis_link_on_push(v->sub, on_push);
	loop_at_tick_end(l, "subscription", on_tick_end, v);
	return v;
}

void
live_free(struct live **v_p)
{
	struct live *v = *v_p;

	if (v == NULL)
		return;
	*v_p = NULL;
	redis_link_free(&v->sub);
	free(v);
}

void
live_watch(struct live *v, const char *agent)
{
	char channel[CHANNEL_SIZE];

	channel_name(v, agent, channel);
	redis_link_subscribe(v->sub, channel);
}

void
live_unwatch(struct live *v, const char *agent)
{
	char channel[CHANNEL_SIZE];

	channel_name(v, agent, channel);
	redis_link_unsubscribe(v->sub, channel);
}

static void
user_channel(const struct live *v, const char *user, char out[CHANNEL_SIZE])
{
	struct arena *a = arena_open(CHANNEL_SIZE);

	snprintf(out, CHANNEL_SIZE, "%suser:%s" SESSIONS, v->prefix,
	    store_user_part(a, user));
	arena_close(&a);
}

void
live_watch_user(struct live *v, const char *user)
{
	char channel[CHANNEL_SIZE];

	user_channel(v, user, channel);
	redis_link_subscribe(v->sub, channel);
}

void
live_unwatch_user(struct live *v, const char *user)
{
	char channel[CHANNEL_SIZE];

	user_channel(v, user, channel);
	redis_link_unsubscribe(v->sub, channel);
}

/* ---- replays ---- */

/* Three commands, of which the last answer completes the page. */
struct replay {
	live_page_f *fn;
	void *ctx;
	struct event_id oldest, newest;
	int failed;
};

/* An entry holds one event or more, a field and a value each. */
static const redisReply *
entry_fields(const redisReply *r, size_t i)
{
	return r->element[i]->element[1];
}

/* The newest event of the only entry of an answer, whose id that is; 0-0 if
 * there is none. */
static struct event_id
newest_id(const redisReply *r)
{
	struct event_id id = { 0, 0 };

	if (r->elements > 0)
		event_id_parse(r->element[0]->element[0]->str,
		    (size_t)r->element[0]->element[0]->len, &id);
	return id;
}

/* And its oldest one. */
static struct event_id
oldest_id(const redisReply *r)
{
	struct event_id id = { 0, 0 };
	const redisReply *json;

	if (r->elements == 0)
		return id;
	json = entry_fields(r, 0)->element[1];
	event_json_id(json->str, (size_t)json->len, &id);
	return id;
}

static int
answer_failed(const redisReply *r)
{
	return r == NULL || r->type != REDIS_REPLY_ARRAY;
}

static void
on_oldest(void *ctx, const redisReply *r)
{
	struct replay *p = ctx;

	p->failed |= answer_failed(r);
	if (!p->failed)
		p->oldest = oldest_id(r);
}

static void
on_newest(void *ctx, const redisReply *r)
{
	struct replay *p = ctx;

	p->failed |= answer_failed(r);
	if (!p->failed)
		p->newest = newest_id(r);
}

/* Frames of all events of an answer; the caller's, as is the list. */
static struct frame **
frames_of(const redisReply *r, int *count_r)
{
	struct frame **frames;
	size_t n = 1;

	for (size_t i = 0; i < r->elements; i++)
		n += entry_fields(r, i)->elements / 2;
	frames = calloc(n, sizeof(struct frame *));
	if (frames == NULL)
		abort();
	for (size_t i = 0; i < r->elements; i++) {
		const redisReply *fields = entry_fields(r, i);

		for (size_t k = 1; k < fields->elements; k += 2) {
			frames[*count_r] = frame_new(fields->element[k]->str,
			    (size_t)fields->element[k]->len);
			*count_r += frames[*count_r] != NULL;
		}
	}
	return frames;
}

static void
on_page(void *ctx, const redisReply *r)
{
	struct replay *p = ctx;
	struct frame **frames = NULL;
	struct live_page page = { .oldest = p->oldest, .newest = p->newest };

	page.failed = p->failed | answer_failed(r);
	if (!page.failed) {
		frames = frames_of(r, &page.count);
		page.frames = frames;
		page.more = r->elements == PAGE;
	}
	p->fn(p->ctx, &page);
	while (page.count > 0)
		frame_unref(&frames[--page.count]);
	free(frames);
	free(p);
}

static void
send_range(struct live *v, const char *command, const char *key,
    const char *from, const char *to, const char *count, redis_link_reply_f *fn,
    struct replay *p)
{
	struct redis_pipe pipe;

	redis_pipe_init(&pipe, NULL);
	redis_cmd(&pipe, command, key, from, to, "COUNT", count, NULL);
	redis_link_send(v->reader, pipe.out.data, pipe.out.len, fn, p);
	buf_fini(&pipe.out);
}

void
live_replay(struct live *v, const char *agent, struct event_id after,
    live_page_f *fn, void *ctx)
{
	struct replay *p = calloc(1, sizeof(*p));
	char key[CHANNEL_SIZE], from[EVENT_ID_SIZE + 1] = "(", count[8];

	if (p == NULL)
		abort();
	p->fn = fn;
	p->ctx = ctx;
	snprintf(key, sizeof(key), "%s{%.*s}:%s:events", v->prefix, ID_FAMILY,
	    store_family(agent), agent);
	event_id_print(from + 1, after);
	snprintf(count, sizeof(count), "%d", PAGE);
	send_range(v, "XRANGE", key, "-", "+", "1", on_oldest, p);
	send_range(v, "XREVRANGE", key, "+", "-", "1", on_newest, p);
	send_range(v, "XRANGE", key, from, "+", count, on_page, p);
}
