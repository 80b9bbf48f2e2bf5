/* SPDX-License-Identifier: MIT */
/*
 * Those that wait for room.
 *
 * When all slots are taken, or others wait already, a message is accepted all
 * the same and its agent waits in a queue in Redis (dequeue.lua). Whoever has
 * room takes up the next: the keeper's thread, since it blocks. It is woken
 * when a slot is free and somebody may wait. That is known of messages that
 * came here and of what others published when the queue began to fill, until
 * Redis says that the queue is empty; and each sweep looks once. So a pool
 * that is not full asks nothing for each turn that ends.
 *
 * While one waits no message begins its turn directly, or a busy server would
 * never come to those that wait: a request that has room gives it back.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/scoreboard.h"
#include "conf/conf.h"

static void
set_expects(struct runner *r, int expects)
{
	lck_take(&r->lck);
	r->expects = expects;
	lck_drop(&r->lck);
}

void
runner_reserve_for(struct runner *r, const char *user, const char *agent,
    struct store_message *m, struct err *why)
{
	int64_t max = r->parts.conf->limits_turns_per_user;

	err_clear(why);
	m->known = runner_known(r, agent);
	m->running = scoreboard_count(r->parts.board, BOARD_TURNS, user);
	if (runner_reserve(r, user, 0, why) == 0)
		m->room = STORE_ROOM_NOW;
	else if (strcmp(why->limit, "limits.turns") != 0)
		m->room = STORE_ROOM_NONE;
	else if (max > 0 && m->running >= max)
		m->room = STORE_ROOM_NONE;
	else
		m->room = STORE_ROOM_LATER;
}

void
runner_expect(struct runner *r)
{
	set_expects(r, 1);
	r->parts.on_room(r->parts.room_ctx);
}

/* The room that was reserved for nobody is this user's now. */
static void
room_give(struct runner *r, const char *user)
{
	struct scoreboard *sb = r->parts.board;

	scoreboard_count_drop(sb, r->parts.slot, BOARD_TURNS, "");
	scoreboard_count_take(
	    sb, r->parts.slot, BOARD_TURNS, user, 0, INT64_MAX);
}

/* 1 one was taken up, 0 none waits, -1. Room was reserved. */
static int
serve_one(struct runner *r, struct arena *a, struct err *err)
{
	struct store_lease lease;
	int rc;

	set_expects(r, 0); /* what comes from now on is told */
	rc = store_dequeue(r->parts.store, a, &lease, err);
	if (rc <= 0) {
		runner_release(r, "");
		if (rc < 0)
			set_expects(r, 1);
		return rc;
	}
	log_info("takes up agent %s, which waited", lease.agent);
	set_expects(r, 1); /* there may be more */
	room_give(r, lease.user);
	runner_post(r, turn_new(r, &lease, ""));
	return 1;
}

int
runner_serve_queue(struct runner *r, struct err *err)
{
	struct arena *a;
	struct err full;
	int expects, rc;

	do {
		lck_take(&r->lck);
		expects = r->expects;
		lck_drop(&r->lck);
		if (!expects || runner_reserve(r, "", 1, &full) < 0)
			return 0;
		a = arena_open(8192);
		rc = serve_one(r, a, err);
		arena_close(&a);
	} while (rc > 0);
	return rc;
}
