/* SPDX-License-Identifier: MIT */
/* Retention: retain.lua drops, here is who asks it, and for which agents. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/retain.h"
#include "store/store_priv.h"

#define STEP "200" /* keys that Redis looks at */

/* The time before which is too long ago; "" if nothing is. */
static void
arg_before(struct redis_pipe *p, int64_t age_ms)
{
	if (age_ms > 0)
		redis_argi(p, clk_shared_ms() - age_ms);
	else
		redis_arg(p, "");
}

/* "" if there is no bound. */
static void
arg_number(struct redis_pipe *p, int64_t n)
{
	if (n > 0)
		redis_argi(p, n);
	else
		redis_arg(p, "");
}

int
store_retain(struct store *st, struct arena *a, const char *agent,
    const struct store_rules *rules, struct store_dropped *out, struct err *err)
{
	const struct redis_reply *r, *f;
	struct redis_pipe p;

	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_RETAIN, 1, 6);
	redis_arg(&p, store_base(st, a, agent));
	arg_before(&p, rules->events_ms);
	arg_before(&p, rules->calls_ms);
	arg_number(&p, rules->windows);
	arg_before(&p, rules->agents_ms);
	arg_number(&p, rules->events_bytes);
	arg_number(&p, rules->calls_bytes);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	f = r[0].items;
	if (!redis_is(&f[0], "OK"))
		return 0;
	out->user = redis_text(&f[1]);
	out->events = f[2].number;
	out->calls = f[3].number;
	out->windows = f[4].number;
	out->more = (int)f[5].number;
	out->idle = (int)f[6].number;
	out->files = (int)f[7].number;
	return 0;
}

int
store_agents_step(struct store *st, struct arena *a, const char *cursor,
    const char **next_r, const char ***ids_r, const char ***templates_r,
    size_t *count_r, struct err *err)
{
	const struct redis_reply *r, *keys;
	const char **ids, **templates, *id, *end;
	struct redis_pipe p;
	size_t n = 0;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "SCAN", cursor, "MATCH", store_key(st, a, "{*}:*:info"),
	    "COUNT", STEP, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*next_r = redis_text(&r[0].items[0]);
	keys = &r[0].items[1];
	ids = arena_alloc(a, (keys->count + 1) * sizeof(*ids));
	templates = arena_alloc(a, (keys->count + 1) * sizeof(*templates));
	redis_pipe_clear(&p);
	for (size_t i = 0; i < keys->count; i++) {
		const char *key = redis_text(&keys->items[i]);

		id = strstr(key, "}:");
		end = key + strlen(key) - strlen(":info");
		if (id == NULL || id + 2 > end)
			continue;
		ids[n] = arena_memdup(a, id + 2, (size_t)(end - (id + 2)));
		if (!id_valid(ids[n], "agt_"))
			continue;
		redis_cmd(&p, "HGET", key, "template", NULL);
		n++;
	}
	if (n > 0 && redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		templates[i] = redis_text(&r[i]);
	*ids_r = ids;
	*templates_r = templates;
	*count_r = n;
	return 0;
}

int
store_walk_take(
    struct store *st, struct arena *a, int64_t every_ms, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;
	char ms[24];

	snprintf(ms, sizeof(ms), "%" PRId64, every_ms);
	redis_pipe_init(&p, a);
	redis_cmd(&p, "SET", store_key(st, a, "janitor"), st->holder, "NX",
	    "PX", ms, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	return r[0].type != REDIS_NIL;
}

/* ---- files that are to be deleted ---- */

int
store_retired_next(struct store *st, struct arena *a, int64_t skip,
    const char **user_r, const char **agent_r, struct err *err)
{
	const char *at = arena_printf(a, "%" PRId64, skip), *text, *space;
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZRANGE", store_key(st, a, STORE_RETIRED), at, at, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].count == 0)
		return 0;
	text = redis_text(&r[0].items[0]);
	space = strchr(text, ' ');
	if (space == NULL)
		return err_set(
		    err, ERR_STORE, "no agent was retired: %s", text);
	*agent_r = arena_memdup(a, text, (size_t)(space - text));
	*user_r = space + 1;
	return 1;
}

int
store_retired_forget(struct store *st, struct arena *a, const char *user,
    const char *agent, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZREM", store_key(st, a, STORE_RETIRED),
	    arena_printf(a, "%s %s", agent, user), NULL);
	return redis_call(st->pool, a, &p, &r, err);
}

/* ---- sizes ---- */

static int64_t
size_of(const struct redis_reply *r)
{
	return r->type == REDIS_INT ? r->number : 0;
}

int
store_agent_size(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_size *out, struct err *err)
{
	static const char *const parts[] = { "info", "events", "inbox", "tools",
		"calls", "checkpoints", "windows", "files", "told" };
	const char *base = store_base(st, a, agent), *owner;
	const struct redis_reply *r, *held;
	struct redis_pipe p;
	size_t n = sizeof(parts) / sizeof(parts[0]);

	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HGET", arena_printf(a, "%s:info", base), "owner", NULL);
	redis_cmd(&p, "XLEN", arena_printf(a, "%s:events", base), NULL);
	redis_cmd(&p, "LLEN", arena_printf(a, "%s:calls", base), NULL);
	redis_cmd(&p, "SMEMBERS", arena_printf(a, "%s:held", base), NULL);
	redis_cmd(&p, "HVALS", arena_printf(a, "%s:files", base), NULL);
	for (size_t i = 0; i < n; i++)
		redis_cmd(&p, "MEMORY", "USAGE",
		    arena_printf(a, "%s:%s", base, parts[i]), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	owner = redis_text(&r[0]);
	if (strcmp(owner, user) != 0)
		return store_forbidden(err);
	out->events = size_of(&r[1]);
	out->calls = size_of(&r[2]);
	for (size_t i = 0; i < n; i++)
		out->bytes += size_of(&r[5 + i]);
	out->files = (int64_t)r[4].count;
	for (size_t i = 0; i < r[4].count; i++) /* each begins with its size */
		out->bytes += strtoll(redis_text(&r[4].items[i]), NULL, 10);
	held = &r[3];
	redis_pipe_clear(&p);
	for (size_t i = 0; i < held->count; i++) {
		const char *key =
		    store_segment_key(a, base, redis_text(&held->items[i]));

		redis_cmd(&p, "LLEN", key, NULL);
		redis_cmd(&p, "MEMORY", "USAGE", key, NULL);
	}
	if (held->count > 0 && redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < 2 * held->count; i += 2) {
		out->messages += size_of(&r[i]);
		out->bytes += size_of(&r[i + 1]);
	}
	return 0;
}
