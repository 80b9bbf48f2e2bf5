/* SPDX-License-Identifier: MIT */
/* Checkpoints, forks and rewinding: references to segments, never copies. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "base/json.h"
#include "conf/conf.h"
#include "store/records.h"
#include "store/store_priv.h"

/* A checkpoint as it is shown: without its references. */
static const char *
checkpoint_shown(struct arena *a, const char *doc)
{
	const struct json *j =
	    json_parse(a, doc, strlen(doc), JSON_DEPTH_MAX, NULL);
	struct buf b;

	if (j == NULL)
		abort(); /* our own script wrote it */
	buf_init(&b, a);
	json_open(&b, NULL, '{');
	for (const struct json *m = json_first(j); m != NULL;
	     m = json_next(m)) {
		if (strcmp(json_name(m), "references") == 0 ||
		    strcmp(json_name(m), "todos") == 0)
			continue;
		if (json_str(m) == NULL || *json_str(m) != '\0')
			json_add_json(&b, json_name(m), m);
	}
	json_close(&b, '}');
	return b.data;
}

int
store_checkpoint(struct store *st, struct arena *a, const char *user,
    const char *agent, const char *label, int reject, const char **doc_r,
    struct err *err)
{
	const struct redis_reply *r;
	char id[ID_SIZE];
	struct redis_pipe p;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	id_make(id, "chk_");
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_CHECKPOINT, 1, 6);
	redis_arg(&p, store_base(st, a, agent));
	redis_arg(&p, user);
	redis_arg(&p, id);
	redis_arg(&p, label);
	redis_arg(&p, reject ? "reject" : "last");
	redis_argi(&p, clk_shared_ms());
	redis_argi(&p, st->conf->limits_checkpoints);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "BUSY"))
		return err_set(err, ERR_CONFLICT,
		    "the agent is busy, and onBusy is reject");
	if (redis_is(&r[0].items[0], "LABEL"))
		return err_set(
		    err, ERR_CONFLICT, "there is a checkpoint with this label");
	if (redis_is(&r[0].items[0], "FULL"))
		return err_limit(err, ERR_LIMIT, "limits.checkpoints",
		    "the agent has %lld checkpoints, the most allowed",
		    (long long)st->conf->limits_checkpoints);
	*doc_r = checkpoint_shown(a, redis_text(&r[0].items[1]));
	return 0;
}

static int
by_created(const void *a, const void *b)
{
	int64_t x = 0, y = 0;

	json_get_int(*(const struct json *const *)a, "created", &x);
	json_get_int(*(const struct json *const *)b, "created", &y);
	return x < y ? -1 : x > y;
}

int
store_checkpoints(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_page *out, struct err *err)
{
	const char *base = store_base(st, a, agent);
	const struct redis_reply *r;
	const struct json **list;
	struct redis_pipe p;
	struct buf b;

	if (!id_valid(agent, "agt_"))
		return store_forbidden(err);
	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HGET", arena_printf(a, "%s:info", base), "owner", NULL);
	redis_cmd(&p, "HVALS", arena_printf(a, "%s:checkpoints", base), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (!redis_is(&r[0], user))
		return store_forbidden(err);
	list = arena_alloc(a, (r[1].count + 1) * sizeof(*list));
	out->count = r[1].count;
	out->docs = arena_alloc(a, (out->count + 1) * sizeof(*out->docs));
	for (size_t i = 0; i < out->count; i++) {
		const char *doc =
		    checkpoint_shown(a, redis_text(&r[1].items[i]));

		list[i] = json_parse(a, doc, strlen(doc), 4, NULL);
	}
	qsort(list, out->count, sizeof(*list), by_created);
	for (size_t i = 0; i < out->count; i++) {
		buf_init(&b, a);
		json_print(&b, list[i]);
		out->docs[i] = b.data;
	}
	return 0;
}

static void
cmd_fork(struct store *st, struct arena *a, struct redis_pipe *p,
    const char *user, const char *agent, const struct store_fork *f)
{
	char segment[ID_SIZE], own[ID_SIZE];

	id_make(segment, "seg_");
	id_make(own, "seg_");
	redis_script(p, SCRIPT_FORK, 1, 10);
	redis_arg(p, store_base(st, a, agent));
	redis_arg(p, user);
	redis_arg(p, f->rewind ? "rewind" : "fork");
	redis_arg(p, f->id);
	redis_arg(p, segment);
	redis_arg(p, own);
	redis_arg(p, f->checkpoint);
	redis_arg(p, f->reject ? "reject" : "last");
	redis_arg(p, f->name);
	redis_argi(p, clk_shared_ms());
	redis_argi(p, st->conf->events_keep);
}

const char *
store_fork_id(struct arena *a, const char *agent, struct err *err)
{
	char *id = arena_alloc(a, ID_SIZE);

	if (!id_valid(agent, "agt_")) {
		store_forbidden(err);
		return NULL;
	}
	id_make_near(id, "agt_", agent);
	return id;
}

int
store_fork(struct store *st, struct arena *a, const char *user,
    const char *agent, struct store_fork *f, struct err *err)
{
	const char *list = store_user_agents_key(st, a, user), *word;
	const struct redis_reply *r;
	struct redis_pipe p;

	if (store_agents_limit(st, a, user, err) < 0)
		return -1;
	redis_pipe_init(&p, a);
	/* Listed first, as a new agent is. */
	redis_cmd(&p, "ZADD", list,
	    arena_printf(a, "%lld", (long long)clk_shared_ms()), f->id, NULL);
	cmd_fork(st, a, &p, user, agent, f);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	word = redis_text(&r[1].items[0]);
	if (strcmp(word, "OK") == 0) {
		f->messages = r[1].items[1].number;
		return 0;
	}
	redis_pipe_clear(&p);
	redis_cmd(&p, "ZREM", list, f->id, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (strcmp(word, "FORBIDDEN") == 0)
		return store_forbidden(err);
	if (strcmp(word, "UNKNOWN") == 0)
		return err_set(err, ERR_NOT_FOUND,
		    "the agent has no such checkpoint; GET checkpoints lists "
		    "them");
	return err_set(err, ERR_CONFLICT, "the agent is busy");
}
