/* SPDX-License-Identifier: MIT */
/*
 * Sessions.
 *
 * A session is an agent with the field session in its info. What else there is
 * of it are fields too, which session.lua changes: loaded, and env, the time at
 * which its environment began, with the first message since it was loaded. The
 * scripts that accept a message load a session as well, so nobody need ask
 * whether it is.
 *
 * af:user:USER:sessions is a zset and a channel: a user's sessions by the time
 * at which they were made, and what is told to those who show them. af:loaded
 * has all that are loaded, by their last activity: a walk finds the idle ones
 * there without looking at others.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/sessions.h"
#include "store/store_priv.h"

#define BATCH 500

enum field {
	F_OWNER,
	F_SESSION,
	F_NAME,
	F_TEMPLATE,
	F_OPTIONS,
	F_METADATA,
	F_CREATED,
	F_UPDATED,
	F_LOADED,
	F_ENV,
	F_TURN,
	F_BEGAN,
	F_COUNT
};

static const char *const fields[F_COUNT] = { "owner", "session", "name",
	"template", "options", "metadata", "created", "updated", "loaded",
	"env", "turn", "began" };

char *
store_sessions_key(const struct store *st, struct arena *a, const char *user)
{
	return store_key(st, a, "user:%s:sessions", store_user_part(a, user));
}

static void
cmd_read(const struct store *st, struct arena *a, struct redis_pipe *p,
    const char *id)
{
	redis_begin(p, 2 + F_COUNT);
	redis_arg(p, "HMGET");
	redis_arg(p, arena_printf(a, "%s:info", store_base(st, a, id)));
	for (int i = 0; i < F_COUNT; i++)
		redis_arg(p, fields[i]);
}

static int64_t
number(const struct redis_reply *r)
{
	return strtoll(redis_text(r), NULL, 10);
}

/* 0, or -1: it is no session of the user's. */
static int
decode(const struct redis_reply *r, const char *user, const char *id,
    struct store_session *out)
{
	const struct redis_reply *f = r->items;

	if (r->type != REDIS_LIST || r->count != F_COUNT ||
	    !redis_is(&f[F_OWNER], user) || *redis_text(&f[F_SESSION]) == '\0')
		return -1;
	*out = (struct store_session){
		.id = id,
		.type = redis_text(&f[F_SESSION]),
		.name = redis_text(&f[F_NAME]),
		.template = redis_text(&f[F_TEMPLATE]),
		.options = redis_text(&f[F_OPTIONS]),
		.metadata = redis_text(&f[F_METADATA]),
		.created_ms = number(&f[F_CREATED]),
		.updated_ms = number(&f[F_UPDATED]),
		.loaded = *redis_text(&f[F_LOADED]) != '\0',
		.env_ms = number(&f[F_ENV]),
	};
	if (*redis_text(&f[F_TURN]) != '\0')
		out->turn_ms = number(&f[F_BEGAN]);
	return 0;
}

int
store_session_get(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_session *out, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	cmd_read(st, a, &p, id);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (decode(&r[0], user, arena_strdup(a, id), out) < 0)
		return store_forbidden(err);
	return 0;
}

int
store_session_list(struct store *st, struct arena *a, const char *user,
    struct store_session **list_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *ids, *r;
	struct redis_pipe p;
	size_t n = 0, left, now;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZRANGE", store_sessions_key(st, a, user),
	    arena_printf(a, "-%d", STORE_SESSIONS_MAX), "-1", NULL);
	if (redis_call(st->pool, a, &p, &ids, err) < 0)
		return -1;
	*list_r = arena_alloc(a, (ids->count + 1) * sizeof(**list_r));
	for (size_t i = 0; i < ids->count; i += now) {
		left = ids->count - i;
		now = left < BATCH ? left : BATCH;
		redis_pipe_init(&p, a);
		for (size_t k = 0; k < now; k++)
			cmd_read(st, a, &p, redis_text(&ids->items[i + k]));
		if (redis_call(st->pool, a, &p, &r, err) < 0)
			return -1;
		for (size_t k = 0; k < now; k++)
			n += decode(&r[k], user, redis_text(&ids->items[i + k]),
				 &(*list_r)[n]) == 0;
	}
	*count_r = n;
	return 0;
}

/* ---- changes ---- */

void
store_cmd_session_made(const struct store *st, struct arena *a,
    struct redis_pipe *p, const char *user, const char *id, int64_t now_ms)
{
	const char *key = store_sessions_key(st, a, user);
	const char *now = arena_printf(a, "%lld", (long long)now_ms);

	redis_cmd(p, "ZADD", key, "NX", now, id, NULL);
	redis_cmd(p, "ZADD", store_key(st, a, STORE_LOADED), "NX", now,
	    store_base(st, a, id), NULL);
}

int
store_session_gone(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	const char *key = store_sessions_key(st, a, user);
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZREM", key, id, NULL);
	redis_cmd(&p, "ZREM", store_key(st, a, STORE_LOADED),
	    store_base(st, a, id), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].number == 0)
		return 0; /* it was none */
	redis_pipe_clear(&p);
	store_cmd_sessions_changed(st, a, &p, user);
	return redis_call(st->pool, a, &p, &r, err);
}

void
store_cmd_sessions_changed(const struct store *st, struct arena *a,
    struct redis_pipe *p, const char *user)
{
	redis_cmd(p, "PUBLISH", store_sessions_key(st, a, user),
	    "{\"type\":\"list\"}", NULL);
}

/* session.lua. more are two arguments, or NULL. 0 and its answer, or -1. */
static int
run(struct store *st, struct arena *a, const char *user, const char *base,
    const char *what, const char *const more[2], const struct redis_reply **r_r,
    struct err *err)
{
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_SESSION, 2, more == NULL ? 2 : 4);
	redis_arg(&p, base);
	redis_arg(&p, store_key(st, a, STORE_LOADED));
	redis_arg(&p, user);
	redis_arg(&p, what);
	for (int i = 0; more != NULL && i < 2; i++)
		redis_arg(&p, more[i]);
	return store_call(st, a, &p, r_r, err);
}

/* 1, 0 or -1; *user_r, unless it is NULL, is the owner. */
static int
change(struct store *st, struct arena *a, const char *user, const char *base,
    const char *what, const char *const more[2], const char **user_r,
    struct err *err)
{
	const struct redis_reply *r;

	if (run(st, a, user, base, what, more, &r, err) < 0)
		return -1;
	if (user_r != NULL)
		*user_r = redis_text(&r[0].items[2]);
	return (int)r[0].items[1].number;
}

static int
change_own(struct store *st, struct arena *a, const char *user, const char *id,
    const char *what, const char *const more[2], struct err *err)
{
	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	return change(
	    st, a, user, store_base(st, a, id), what, more, NULL, err);
}

int
store_session_load(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return change_own(st, a, user, id, "load", NULL, err);
}

int
store_session_look(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_session_moment *out, struct err *err)
{
	const struct redis_reply *r, *f;
	struct event_id first;

	*out = (struct store_session_moment){ 0 };
	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	if (run(st, a, user, store_base(st, a, id), "look", NULL, &r, err) < 0)
		return -1;
	f = r[0].items;
	if (r[0].count < 7 ||
	    event_id_parse(redis_text(&f[6]), f[6].len, &out->last) < 0)
		return err_set(err, ERR_STORE, "a session's state is damaged");
	out->env_ms = number(&f[3]);
	out->turn_ms = number(&f[4]);
	/* A turn that an older version began does not say where. */
	out->after = out->last;
	if (event_id_parse(redis_text(&f[5]), f[5].len, &first) == 0)
		out->after = event_id_before(first);
	return 0;
}

int
store_session_unload(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return change_own(st, a, user, id, "unload", NULL, err);
}

int
store_session_env_end(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return change_own(st, a, user, id, "end", NULL, err);
}

int
store_session_options(struct store *st, struct arena *a, const char *user,
    const char *id, const char *options, struct err *err)
{
	const char *const more[2] = { options, "" };

	return change_own(st, a, user, id, "options", more, err) < 0 ? -1 : 0;
}

/* ---- those that are idle ---- */

int
store_sessions_idle(struct store *st, struct arena *a, int64_t before_ms,
    int limit, const char ***bases_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZRANGEBYSCORE", store_key(st, a, STORE_LOADED), "-inf",
	    arena_printf(a, "(%lld", (long long)before_ms), "LIMIT", "0",
	    arena_printf(a, "%d", limit), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*bases_r = redis_texts(a, &r[0]);
	*count_r = r[0].count;
	return 0;
}

int
store_session_expire(struct store *st, struct arena *a, const char *base,
    int64_t before_ms, const char **user_r, const char **agent_r,
    struct err *err)
{
	const char *const more[2] = { arena_printf(a, "%lld",
					  (long long)clk_shared_ms()),
		arena_printf(a, "%lld", (long long)before_ms) };
	int rc = change(st, a, "", base, "expire", more, user_r, err);

	*agent_r = strrchr(base, ':') == NULL ? "" : strrchr(base, ':') + 1;
	return rc < 0 && err->code == ERR_FORBIDDEN ? 0 : rc;
}

int
store_sessions_take(
    struct store *st, struct arena *a, int64_t every_ms, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "SET", store_key(st, a, "loaded:look"), st->holder, "NX",
	    "PX", arena_printf(a, "%lld", (long long)every_ms), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	return r[0].type != REDIS_NIL;
}
