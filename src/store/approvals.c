/* SPDX-License-Identifier: MIT */
/*
 * Tool calls on record, and what is asked of a human about them. A question
 * is a member of the hash approvals: '' until it is answered, gone when the
 * answer was applied.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/id.h"
#include "store/records.h"
#include "store/store_priv.h"

/* Whether the agent is the caller's, or of a tenant; info: owner, tenant. */
static int
is_of(const struct redis_reply *info, const char *user, const char *tenant)
{
	return redis_is(&info->items[0], user) ||
	       (*tenant != '\0' && redis_is(&info->items[1], tenant));
}

/* Whether an id is among the questions of a kind, and not answered. */
static int
is_open(const struct redis_reply *questions, const char *id, const char *kind)
{
	for (size_t i = 0; i + 1 < questions->count; i += 2)
		if (redis_is(&questions->items[i], id))
			return redis_is(&questions->items[i + 1], kind);
	return 0;
}

/* The records of some calls. */
static int
records_get(struct store *st, struct arena *a, const char *base,
    const char *const *ids, size_t count, struct store_page *out,
    struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	out->docs = arena_alloc(a, (count + 1) * sizeof(*out->docs));
	out->count = 0;
	if (count == 0)
		return 0;
	redis_pipe_init(&p, a);
	redis_begin(&p, 2 + (int)count);
	redis_arg(&p, "HMGET");
	redis_arg(&p, arena_printf(a, "%s:tools", base));
	for (size_t i = 0; i < count; i++)
		redis_arg(&p, ids[i]);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (r[0].items[i].type == REDIS_TEXT)
			out->docs[out->count++] = r[0].items[i].text;
	return 0;
}

int
store_approvals(struct store *st, struct arena *a,
    const struct store_caller *who, const char *agent, struct store_page *out,
    struct err *err)
{
	const char *base = store_base(st, a, agent), **ids;
	char *id, *rest;
	const struct redis_reply *r;
	struct redis_pipe p;
	size_t count = 0;
	int approves;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HMGET", arena_printf(a, "%s:info", base), "owner",
	    "tenant", "calls", "question", NULL);
	redis_cmd(&p, "HGETALL", arena_printf(a, "%s:approvals", base), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	approves = is_of(&r[0], who->user, who->tenant);
	if (!approves && !(who->budget && is_of(&r[0], who->user, who->own)))
		return store_forbidden(err);
	ids = arena_alloc(a, (r[1].count / 2 + 1) * sizeof(*ids));
	for (id = arena_strdup(a, redis_text(&r[0].items[2]));
	     approves && (id = strtok_r(id, " ", &rest)) != NULL; id = NULL)
		if (is_open(&r[1], id, ""))
			ids[count++] = id;
	id = strtok_r(arena_strdup(a, redis_text(&r[0].items[3])), " ", &rest);
	if (id != NULL && is_open(&r[1], id, "B"))
		ids[count++] = id;
	return records_get(st, a, base, ids, count, out, err);
}

int
store_decide(struct store *st, struct arena *a, const struct store_caller *who,
    const char *agent, const char *call, const char *decision,
    const char **lease_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_DECIDE, 2, 8);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, store_key(st, a, "leases"));
	redis_arg(&p, who->user);
	redis_arg(&p, who->tenant);
	redis_arg(&p, call);
	redis_arg(&p, decision);
	redis_argi(&p, clk_shared_ms());
	redis_arg(&p, "");
	redis_arg(&p, who->budget ? "1" : "");
	redis_arg(&p, who->own);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	crash_point("tool-decided");
	if (redis_is(&r[0].items[0], "UNKNOWN"))
		return err_set(err, ERR_NOT_FOUND,
		    "the agent has no tool call of this id");
	if (redis_is(&r[0].items[0], "DECIDED"))
		return err_set(err, ERR_CONFLICT,
		    "nothing is asked about this call, or no longer: it was "
		    "answered, or its turn was interrupted");
	*lease_r = redis_text(&r[0].items[1]);
	return 0;
}

int
store_tool_calls(struct store *st, struct arena *a, const char *user,
    const char *agent, int64_t from, int limit, struct store_page *out,
    struct err *err)
{
	const char *base = store_base(st, a, agent), *key, **ids;
	const struct redis_reply *r;
	char first[24], last[24];
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	memset(out, 0, sizeof(*out));
	key = arena_printf(a, "%s:calls", base);
	snprintf(first, sizeof(first), "%lld",
	    (long long)(from < 0 ? -limit : from));
	snprintf(last, sizeof(last), "%lld",
	    (long long)(from < 0 ? -1 : from + limit - 1));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HGET", arena_printf(a, "%s:info", base), "owner", NULL);
	redis_cmd(&p, "LLEN", key, NULL);
	redis_cmd(&p, "LRANGE", key, first, last, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (!redis_is(&r[0], user))
		return store_forbidden(err);
	out->total = r[1].number;
	out->from = from >= 0 ? from : r[1].number - (int64_t)r[2].count;
	ids = arena_alloc(a, (r[2].count + 1) * sizeof(*ids));
	for (size_t i = 0; i < r[2].count; i++)
		ids[i] = redis_text(&r[2].items[i]);
	return records_get(st, a, base, ids, r[2].count, out, err);
}
