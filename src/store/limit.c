/* SPDX-License-Identifier: MIT */
/*
 * Rates, and open streams. The counting is limit.lua's; here is which there
 * are, which of them a request is counted by, and where they are kept. All keys
 * have one hash tag, so that one script can look at a user's and at the
 * tenant's before it counts by any. A script whose answer was lost is sent
 * again and may count twice: that lets too few through, never too many.
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "store/limit.h"
#include "store/store_priv.h"

const struct limit_info limit_infos[LIMIT_RATES] = {
	[LIMIT_REQUESTS] = { "requests", "limits.requests", "requests of yours",
	    0, 0, offsetof(struct conf, limits_requests) },
	[LIMIT_CHATS] = { "chats", "limits.chats", "messages of yours", 0, 1,
	    offsetof(struct conf, limits_chats) },
	[LIMIT_TENANT_REQUESTS] = { "tenant-requests", "limits.tenant_requests",
	    "requests of your tenant", 1, 0,
	    offsetof(struct conf, limits_tenant_requests) },
	[LIMIT_TENANT_CHATS] = { "tenant-chats", "limits.tenant_chats",
	    "messages of your tenant", 1, 1,
	    offsetof(struct conf, limits_tenant_chats) },
};

const struct limit_slot_info limit_slot_infos[LIMIT_SLOTS] = {
	[LIMIT_STREAMS] = { "streams", "limits.viewers_per_user",
	    "streams of yours are open", 0, 0,
	    offsetof(struct conf, limits_viewers_per_user) },
	[LIMIT_TENANT_STREAMS] = { "tenant-streams", "limits.tenant_viewers",
	    "streams of your tenant are open", 1, 0,
	    offsetof(struct conf, limits_tenant_viewers) },
	[LIMIT_TURNS] = { "turns", "limits.turns_per_user",
	    "of your agents are at work", 0, 1,
	    offsetof(struct conf, limits_turns_per_user) },
	[LIMIT_TENANT_TURNS] = { "tenant-turns", "limits.tenant_turns",
	    "agents of your tenant are at work", 1, 1,
	    offsetof(struct conf, limits_tenant_turns) },
};

/* The rates that count. */
static void
choose_rates(
    const struct conf *c, const struct limit_ask *ask, struct limit_answer *out)
{
	const struct conf_rate *rate;

	for (int i = 0; i < LIMIT_RATES; i++) {
		const struct limit_info *info = &limit_infos[i];

		rate =
		    (const struct conf_rate *)(const void *)((const char *)c +
							     info->offset);
		if (rate->count == 0 || (info->is_chat && !ask->is_chat) ||
		    (info->is_tenant && *ask->tenant == '\0'))
			continue;
		out->states[out->count].info = info;
		out->states[out->count++].rate = rate;
	}
}

int64_t
limit_slot_max(const struct conf *c, const struct limit_slot_info *info,
    const char *tenant)
{
	int64_t max;

	memcpy(&max, (const char *)c + info->offset, sizeof(max));
	return info->is_tenant && *tenant == '\0' ? 0 : max;
}

static void
choose_slots(
    const struct conf *c, const struct limit_ask *ask, struct limit_answer *out)
{
	for (int i = 0; i < LIMIT_SLOTS; i++) {
		const struct limit_slot_info *info = &limit_slot_infos[i];
		int64_t max = limit_slot_max(c, info, ask->tenant);

		if (max == 0 ||
		    !(ask->look || (ask->stream != NULL && !info->is_turns)))
			continue;
		out->slots[out->slot_count].info = info;
		out->slots[out->slot_count++].max = max;
	}
}

static char *
rate_key(struct store *st, struct arena *a, const struct limit_ask *ask,
    const struct limit_info *info)
{
	return store_key(st, a, "{limits}:%s:%s:%s",
	    info->is_chat ? "chats" : "requests",
	    info->is_tenant ? "tenant" : "user",
	    info->is_tenant ? ask->tenant : ask->user);
}

static char *
slot_key(struct store *st, struct arena *a, const struct limit_slot_info *info,
    const char *user, const char *tenant)
{
	return store_key(st, a, "%s:%s:%s",
	    info->is_turns ? STORE_TURNS : "{limits}:streams",
	    info->is_tenant ? "tenant" : "user",
	    info->is_tenant ? tenant : user);
}

void
limit_stream_keys(struct store *st, struct arena *a, const char *user,
    const char *tenant, struct redis_args *args)
{
	for (int i = 0; i < LIMIT_SLOTS; i++) {
		const struct limit_slot_info *info = &limit_slot_infos[i];
		char *key = slot_key(st, a, info, user, tenant);

		if (!info->is_turns &&
		    limit_slot_max(st->conf, info, tenant) > 0)
			redis_args_add(args, key, strlen(key));
	}
}

static void
cmd_limit(struct store *st, struct arena *a, struct redis_pipe *p,
    const struct limit_ask *ask, const struct limit_answer *out)
{
	const struct conf_rate *rate;

	redis_script(p, SCRIPT_LIMIT, (int)(out->count + out->slot_count),
	    (int)(4 + 2 * out->count + out->slot_count));
	for (size_t i = 0; i < out->count; i++)
		redis_arg(p, rate_key(st, a, ask, out->states[i].info));
	for (size_t i = 0; i < out->slot_count; i++)
		redis_arg(p, slot_key(st, a, out->slots[i].info, ask->user,
				 ask->tenant));
	redis_arg(p, ask->look ? "0" : "1");
	redis_argi(p, (int64_t)out->count);
	for (size_t i = 0; i < out->count; i++) {
		rate = out->states[i].rate;
		redis_argi(p,
		    (rate->period_ms * 1000 + rate->count - 1) / rate->count);
		redis_argi(p, rate->burst);
	}
	redis_arg(p, ask->stream == NULL ? "" : ask->stream);
	redis_argi(p, st->conf->store_lease_ms);
	for (size_t i = 0; i < out->slot_count; i++)
		redis_argi(p, out->slots[i].max);
}

static void
decode(const struct redis_reply *r, struct limit_answer *out)
{
	for (size_t i = 0; i < out->count; i++) {
		const struct redis_reply *f = r->items[i].items;
		struct limit_state *s = &out->states[i];

		s->allowed = f[0].number != 0;
		s->remaining = f[1].number;
		s->reset_us = f[2].number;
		s->wait_us = f[3].number;
		if (!s->allowed && (out->refused == NULL ||
				       s->wait_us > out->refused->wait_us))
			out->refused = s;
	}
	for (size_t i = 0; i < out->slot_count; i++) {
		const struct redis_reply *f = r->items[out->count + i].items;

		out->slots[i].allowed = f[0].number != 0;
		out->slots[i].used = f[1].number;
		if (!out->slots[i].allowed)
			out->full = &out->slots[i];
	}
}

int
limit_take(struct store *st, struct arena *a, const struct limit_ask *ask,
    struct limit_answer *out, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	memset(out, 0, sizeof(*out));
	choose_rates(st->conf, ask, out);
	choose_slots(st->conf, ask, out);
	if (out->count == 0 && out->slot_count == 0)
		return 0;
	redis_pipe_init(&p, a);
	cmd_limit(st, a, &p, ask, out);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	decode(&r[0], out);
	return 0;
}
