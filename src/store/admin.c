/* SPDX-License-Identifier: MIT */
/* What an administrator asks of the store: without a user, so whole. */
#include "config.h"

#include "base/arena.h"
#include "base/id.h"
#include "store/admin.h"
#include "store/store_priv.h"

int
store_agent_owner(struct store *st, struct arena *a, const char *id,
    const char **user_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (id_valid(id, "agt_")) {
		redis_pipe_init(&p, a);
		redis_cmd(&p, "HGET",
		    arena_printf(a, "%s:info", store_base(st, a, id)), "owner",
		    NULL);
		if (redis_call(st->pool, a, &p, &r, err) < 0)
			return -1;
		*user_r = redis_text(&r[0]);
		if (**user_r != '\0')
			return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no agent of this id");
}
