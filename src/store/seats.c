/* SPDX-License-Identifier: MIT */
/*
 * Streams that are counted in Redis: each is renewed by a timer, all in one
 * write, like leases. What is lost on the way, since Redis is away or this
 * process dies, corrects itself: a renewal is a new count, and what is not
 * renewed is counted no more when store.lease is over.
 */
#include "config.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "store/limit.h"
#include "store/redis_link.h"
#include "store/seats.h"
#include "store/store_priv.h"

struct seats {
	struct store *store;
	struct redis_link *link;
	struct loop_timer *timer;
	struct seat *held; /* by id */
};

static void
on_answer(void *ctx, const redisReply *r)
{
	(void)ctx;
	(void)r;
}

/* It counts for ms from now on; 0: no longer. */
static void
seat_send(struct seats *s, const struct seat *seat, int64_t ms)
{
	struct arena *a = arena_open(1024);
	struct redis_args keys;
	struct redis_pipe p;

	redis_args_init(&keys, a);
	limit_stream_keys(s->store, a, seat->user, seat->tenant, &keys);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_SEAT, keys.argc, 2);
	redis_args(&p, &keys);
	redis_arg(&p, seat->id);
	redis_argi(&p, ms);
	redis_link_send(s->link, p.out.data, p.out.len, on_answer, NULL);
	arena_close(&a);
}

static void
on_renew(void *arg)
{
	struct seats *s = arg;
	struct seat *h, *tmp;

	HASH_ITER(hh, s->held, h, tmp)
	seat_send(s, h, s->store->conf->store_lease_ms);
}

struct seats *
seats_new(struct loop *l, struct store *st, struct redis_link *k)
{
	struct seats *s = calloc(1, sizeof(*s));
	int64_t third = st->conf->store_lease_ms / 3;

	if (s == NULL)
		abort();
	s->store = st;
	s->link = k;
	s->timer = loop_timer_new(l, "seats", on_renew, s);
	loop_timer_start(s->timer, third, third);
	return s;
}

void
seats_free(struct seats **s_p)
{
	struct seats *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	HASH_CLEAR(hh, s->held);
	loop_timer_free(&s->timer);
	free(s);
}

void
seats_hold(struct seats *s, struct seat *seat)
{
	seat->held = 1;
	HASH_ADD_STR(s->held, id, seat);
}

void
seats_leave(struct seats *s, struct seat *seat)
{
	if (seat->held)
		HASH_DEL(s->held, seat);
	seat->held = 0;
	seat_send(s, seat, 0);
}
