/* SPDX-License-Identifier: MIT */
/*
 * Rates of requests, as clients see them: a request that is too many is
 * refused when its token is known and before its body is read.
 *
 * The headers are those of draft-ietf-httpapi-ratelimit-headers-10: lists of
 * items of RFC 9651, an item for each rate. q and w are the rate, r what may
 * come at once now, and t the seconds until all of it may again. What is
 * bounded at once has no window: q are that many, of which r are free.
 */
#include "config.h"

#include <inttypes.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/limits.h"
#include "base/id.h"
#include "base/loop.h"
#include "store/limit.h"

static int64_t
seconds_up(int64_t us)
{
	return (us + 999999) / 1000000;
}

/* The window in whole seconds, of which there is at least one. */
static int64_t
window_s(const struct conf_rate *rate)
{
	return (rate->period_ms + 999) / 1000;
}

static int64_t
slot_remaining(const struct limit_slot_state *s)
{
	return s->used < s->max ? s->max - s->used : 0;
}

static void
add_slot_policy(struct buf *b, const struct limit_slot_info *info, int64_t max)
{
	buf_printf(b, "%s\"%s\";q=%" PRId64 ";qu=\"concurrent-requests\"",
	    b->len == 0 ? "" : ", ", info->name, max);
}

static void
add_slot_state(
    struct buf *b, const struct limit_slot_info *info, int64_t remaining)
{
	buf_printf(b, "%s\"%s\";r=%" PRId64, b->len == 0 ? "" : ", ",
	    info->name, remaining);
}

void
limits_print_policy(struct buf *b, const struct limit_answer *la)
{
	for (size_t i = 0; i < la->count; i++)
		buf_printf(b, "%s\"%s\";q=%" PRId64 ";w=%" PRId64,
		    i == 0 ? "" : ", ", la->states[i].info->name,
		    la->states[i].rate->count, window_s(la->states[i].rate));
	for (size_t i = 0; i < la->slot_count; i++)
		add_slot_policy(b, la->slots[i].info, la->slots[i].max);
}

void
limits_print_state(struct buf *b, const struct limit_answer *la)
{
	for (size_t i = 0; i < la->count; i++)
		buf_printf(b, "%s\"%s\";r=%" PRId64 ";t=%" PRId64,
		    i == 0 ? "" : ", ", la->states[i].info->name,
		    la->states[i].remaining,
		    seconds_up(la->states[i].reset_us));
	for (size_t i = 0; i < la->slot_count; i++)
		add_slot_state(
		    b, la->slots[i].info, slot_remaining(&la->slots[i]));
}

static void
send_headers(struct api_call *c, struct buf *policy, struct buf *state)
{
	http_header_join(c->rs, "RateLimit-Policy", buf_str(policy));
	http_header_join(c->rs, "RateLimit", buf_str(state));
}

static void
add_headers(struct api_call *c, const struct limit_answer *la)
{
	struct buf policy, state;

	buf_init(&policy, c->arena);
	buf_init(&state, c->arena);
	limits_print_policy(&policy, la);
	limits_print_state(&state, la);
	send_headers(c, &policy, &state);
}

static int
refuse(const struct limit_state *s, struct err *err)
{
	int64_t wait_s = seconds_up(s->wait_us);

	err_limit(err, ERR_LIMIT, s->info->setting,
	    "%" PRId64 " %s in %" PRId64 " s are allowed; ask again in %" PRId64
	    " s",
	    s->rate->count, s->info->what, window_s(s->rate), wait_s);
	err->retry_after_s = (int)wait_s;
	return -1;
}

static struct api_seat *
seat_new(const struct api_call *c)
{
	struct api_seat *seat = calloc(1, sizeof(*seat));

	if (seat == NULL)
		abort();
	seat->app = c->app;
	id_make(seat->seat.id, "");
	snprintf(seat->seat.user, sizeof(seat->seat.user), "%s", c->user);
	snprintf(seat->seat.tenant, sizeof(seat->seat.tenant), "%s", c->tenant);
	return seat;
}

/* Nothing was counted, or nothing of streams. */
static void
seat_forget(struct api_call *c)
{
	free(c->seat);
	c->seat = NULL;
}

int
limits_check(struct api_call *c, unsigned flags, struct err *err)
{
	struct limit_ask ask = { .user = c->user,
		.tenant = c->tenant,
		.is_chat = (flags & API_CHAT) != 0 };
	struct limit_answer la;
	int rc;

	if ((flags & API_SSE) && !c->wants_json) {
		c->seat = seat_new(c);
		ask.stream = c->seat->seat.id;
	}
	rc = limit_take(c->app->store, c->arena, &ask, &la, err);
	if (rc == 0 && la.count + la.slot_count > 0)
		add_headers(c, &la);
	if (rc == 0 && la.refused != NULL)
		rc = refuse(la.refused, err);
	else if (rc == 0 && la.full != NULL)
		rc = err_limit(err, ERR_LIMIT, la.full->info->setting,
		    "%" PRId64 " %s, the most allowed", la.full->used,
		    la.full->info->what);
	if (rc < 0 || la.slot_count == 0)
		seat_forget(c);
	return rc;
}

void
limits_say_full(struct api_call *c, const struct err *err)
{
	struct buf policy, state;

	for (int i = 0; i < LIMIT_SLOTS; i++) {
		const struct limit_slot_info *info = &limit_slot_infos[i];

		if (strcmp(err->limit, info->setting) != 0)
			continue;
		buf_init(&policy, c->arena);
		buf_init(&state, c->arena);
		add_slot_policy(&policy, info,
		    limit_slot_max(c->app->conf, info, c->tenant));
		add_slot_state(&state, info, 0);
		send_headers(c, &policy, &state);
	}
}

static void
on_hold(void *arg)
{
	struct api_seat *seat = arg;

	seats_hold(seat->app->seats, &seat->seat);
}

void
limits_hold(struct api_seat *seat)
{
	loop_post(seat->app->loop, "seat", on_hold, seat);
}

static void
on_leave(void *arg)
{
	struct api_seat *seat = arg;

	seats_leave(seat->app->seats, &seat->seat);
	free(seat);
}

void
limits_leave(struct api_seat *seat)
{
	loop_post(seat->app->loop, "seat", on_leave, seat);
}

static void
add_slots(struct buf *b, const struct limit_answer *la)
{
	for (size_t i = 0; i < la->slot_count; i++) {
		const struct limit_slot_state *s = &la->slots[i];

		json_open(b, s->info->name, '{');
		json_add_int(b, "limit", s->max);
		json_add_int(b, "used", s->used);
		json_add_int(b, "remaining", slot_remaining(s));
		json_close(b, '}');
	}
}

int
limits_add(struct api_call *c, struct buf *b, struct err *err)
{
	struct limit_ask ask = {
		.user = c->user, .tenant = c->tenant, .is_chat = 1, .look = 1
	};
	struct limit_answer la;

	if (limit_take(c->app->store, c->arena, &ask, &la, err) < 0)
		return -1;
	json_open(b, "limits", '{');
	for (size_t i = 0; i < la.count; i++) {
		const struct limit_state *s = &la.states[i];

		json_open(b, s->info->name, '{');
		json_add_int(b, "limit", s->rate->count);
		json_add_int(b, "window", window_s(s->rate));
		json_add_int(b, "burst", s->rate->burst);
		json_add_int(b, "used", s->rate->burst - s->remaining);
		json_add_int(b, "remaining", s->remaining);
		json_add_int(b, "reset", seconds_up(s->reset_us));
		json_close(b, '}');
	}
	add_slots(b, &la);
	json_close(b, '}');
	return 0;
}
