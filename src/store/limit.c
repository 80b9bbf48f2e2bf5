/* SPDX-License-Identifier: MIT */
/*
 * Rates. The counting is limit.lua's; here is which rates there are, which of
 * them a request is counted by, and where they are kept. All keys have one
 * hash tag, so that one script can look at a user's and at the tenant's before
 * it counts by any. A script whose answer was lost is sent again and may count
 * twice: that lets too few through, never too many.
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

/* The rates that count. */
static void
choose(
    const struct conf *c, const struct limit_ask *ask, struct limit_answer *out)
{
	const struct conf_rate *rate;

	memset(out, 0, sizeof(*out));
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

static char *
key_of(struct store *st, struct arena *a, const struct limit_ask *ask,
    const struct limit_info *info)
{
	return store_key(st, a, "{limits}:%s:%s:%s",
	    info->is_tenant ? "tenant" : "user",
	    store_user_part(a, info->is_tenant ? ask->tenant : ask->user),
	    info->is_chat ? "chats" : "requests");
}

static void
cmd_limit(struct store *st, struct arena *a, struct redis_pipe *p,
    const struct limit_ask *ask, const struct limit_answer *out)
{
	const struct conf_rate *rate;

	redis_script(p, SCRIPT_LIMIT, (int)out->count, 1 + 2 * (int)out->count);
	for (size_t i = 0; i < out->count; i++)
		redis_arg(p, key_of(st, a, ask, out->states[i].info));
	redis_arg(p, ask->look ? "0" : "1");
	for (size_t i = 0; i < out->count; i++) {
		rate = out->states[i].rate;
		redis_argi(p,
		    (rate->period_ms * 1000 + rate->count - 1) / rate->count);
		redis_argi(p, rate->burst);
	}
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
}

int
limit_take(struct store *st, struct arena *a, const struct limit_ask *ask,
    struct limit_answer *out, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	choose(st->conf, ask, out);
	if (out->count == 0)
		return 0;
	redis_pipe_init(&p, a);
	cmd_limit(st, a, &p, ask, out);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	decode(&r[0], out);
	return 0;
}
