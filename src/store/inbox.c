/* SPDX-License-Identifier: MIT */
/* Messages that wait: shown, and taken back. */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clk.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/records.h"
#include "store/store_priv.h"

int
store_inbox(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_page *out, struct err *err)
{
	const char *base = store_base(st, a, agent);
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HGET", arena_printf(a, "%s:info", base), "owner", NULL);
	redis_cmd(
	    &p, "LRANGE", arena_printf(a, "%s:inbox", base), "0", "-1", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (!redis_is(&r[0], user))
		return store_forbidden(err);
	out->count = r[1].count;
	out->docs = redis_texts(a, &r[1]);
	return 0;
}

int
store_withdraw(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *message, struct store_withdrawn *out,
    struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_WITHDRAW, 3 + store_counts_turns(st->conf), 4);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, store_key(st, a, "leases"));
	redis_arg(&p, store_key(st, a, STORE_QUEUE));
	store_arg_turns(st, a, &p);
	redis_arg(&p, user);
	redis_arg(&p, message);
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->events_keep);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	out->lease = redis_text(&r[0].items[1]);
	out->messages = redis_texts(a, &r[0].items[2]);
	out->message_count = r[0].items[2].count;
	out->turns = redis_texts(a, &r[0].items[3]);
	out->turn_count = r[0].items[3].count;
	return 0;
}

int
store_remind(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *content, size_t len, struct err *err)
{
	const struct redis_reply *r;
	char id[ID_SIZE];
	struct redis_pipe p;
	struct buf doc;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	id_make(id, "msg_");
	buf_init(&doc, a);
	buf_printf(&doc,
	    "{\"id\":\"%s\",\"turn\":\"trn_\",\"time\":%" PRId64
	    ",\"kind\":\"reminder\",\"role\":\"user\",\"content\":",
	    id, clk_shared_ms());
	buf_add(&doc, content, len);
	buf_putc(&doc, '}');
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_REMIND, 1, 3);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, user);
	redis_argn(&p, doc.data, doc.len);
	redis_argi(&p, st->conf->limits_inbox);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "FULL"))
		return err_limit(err, ERR_LIMIT, "limits.inbox",
		    "%" PRId64 " reminders wait for this agent already",
		    st->conf->limits_inbox);
	return 0;
}
