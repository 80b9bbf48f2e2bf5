/* SPDX-License-Identifier: MIT */
/* The todo list of an agent, for its user. */
#include "config.h"

#include <string.h>

#include "base/clk.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/records.h"
#include "store/store_priv.h"

int
store_todos(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *current, const char *list,
    const char **now_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_TODOS, 1, 5);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, user);
	redis_arg(&p, list);
	redis_arg(&p, current);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->events_keep);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "BUSY"))
		return err_set(err, ERR_CONFLICT,
		    "the agent is busy, and may change its list itself");
	if (redis_is(&r[0].items[0], "STALE"))
		return err_set(err, ERR_CONFLICT,
		    "the list was changed meanwhile; read it again");
	*now_r = redis_text(&r[0].items[1]);
	return 0;
}
