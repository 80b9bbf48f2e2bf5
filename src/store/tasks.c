/* SPDX-License-Identifier: MIT */
/* Sub-agents: agents that a tool call of another agent made. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/records.h"
#include "store/store_priv.h"

int
store_task_create(struct store *st, struct arena *a, const char *user,
    const char *parent, struct store_agent *ag, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	ag->created_ms = clk_shared_ms();
	redis_pipe_init(&p, a);
	store_cmd_create(
	    &p, store_base(st, a, ag->id), store_base(st, a, parent), user, ag);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].number < 0)
		return err_set(err, ERR_NOT_FOUND, "its maker was deleted");
	return 0;
}

int
store_children(struct store *st, struct arena *a, const char *agent,
    const char ***ids_r, size_t *count_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "SMEMBERS",
	    arena_printf(a, "%s:children", store_base(st, a, agent)), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*ids_r = redis_texts(a, &r[0]);
	*count_r = r[0].count;
	return 0;
}

int
store_child_gone(struct store *st, struct arena *a, const char *agent,
    const char *child, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_cmd(&p, "SREM",
	    arena_printf(a, "%s:children", store_base(st, a, agent)), child,
	    NULL);
	return redis_call(st->pool, a, &p, &r, err);
}

int
store_report(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *call, const char *result,
    const char **lease_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_DECIDE, 2, 8);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, store_key(st, a, "leases"));
	redis_arg(&p, user);
	redis_arg(&p, "");
	redis_arg(&p, call);
	redis_arg(&p, result);
	redis_argi(&p, clk_shared_ms());
	redis_arg(&p, "T");
	redis_arg(&p, "");
	redis_arg(&p, "");
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	crash_point("tool-reported");
	if (!redis_is(&r[0].items[0], "KEPT"))
		return 0; /* nobody waits for it any more, or it is there */
	*lease_r = redis_text(&r[0].items[1]);
	return 1;
}

int
store_surface(struct store *st, struct arena *a, const char *user,
    const char *agent, enum event_kind kind, const char *rest,
    const char **lease_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_SURFACE, 1, 6);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, user);
	redis_arg(&p, event_infos[kind].name);
	redis_arg(&p, event_channels[event_infos[kind].channel]);
	redis_arg(&p, rest);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->events_keep);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*lease_r =
	    redis_is(&r[0].items[0], "HELD") ? redis_text(&r[0].items[1]) : "";
	return 0;
}
