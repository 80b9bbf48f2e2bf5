/* SPDX-License-Identifier: MIT */
/*
 * Agents: create, read, list, change, delete, and what was said to them.
 *
 * Every read fetches the owner with what is read, in one pipeline, and
 * compares before anything is given out; every write does so in its script.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/portable.h"
#include "store/records.h"
#include "store/retain.h"
#include "store/store_priv.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define IDEM_SECONDS "86400"
#define NAMELESS_MS 60000 /* that an agent takes to be made, at most */

/* The fields of info that are read, in this order. */
enum field {
	F_OWNER,
	F_NAME,
	F_TEMPLATE,
	F_PROMPT,
	F_MODEL,
	F_METADATA,
	F_TOOLS,
	F_PERMISSION,
	F_TODOS,
	F_CREATED,
	F_UPDATED,
	F_VERSION,
	F_STATE,
	F_TURN,
	F_TAIL,
	F_BEFORE,
	F_PARENT,
	F_POINT,
	F_LINEAGE,
	F_WORKSPACE,
	F_COUNT
};

static const char *const fields[F_COUNT] = { "owner", "name", "template",
	"prompt", "model", "metadata", "tools", "permission", "todos",
	"created", "updated", "version", "state", "turn", "tail", "before",
	"parent", "point", "lineage", "workspace" };

static char *
sub_key(struct arena *a, const char *base, const char *part)
{
	return arena_printf(a, "%s:%s", base, part);
}

char *
store_user_agents_key(const struct store *st, struct arena *a, const char *user)
{
	return store_key(st, a, "user:%s:agents", store_user_part(a, user));
}

/* A command that reads all fields of an agent. */
static void
cmd_info(struct redis_pipe *p, const char *info_key)
{
	redis_begin(p, 2 + F_COUNT);
	redis_arg(p, "HMGET");
	redis_arg(p, info_key);
	for (int i = 0; i < F_COUNT; i++)
		redis_arg(p, fields[i]);
}

static int64_t
field_int(const struct redis_reply *r)
{
	return r->type == REDIS_TEXT ? strtoll(r->text, NULL, 10) : 0;
}

/* 0, or -1 if there is no such agent or it is not the user's. */
static int
info_decode(const struct redis_reply *r, const char *user, const char *id,
    struct store_agent *out)
{
	const struct redis_reply *f = r->items;

	if (r->type != REDIS_LIST || r->count != F_COUNT ||
	    !redis_is(&f[F_OWNER], user))
		return -1;
	memset(out, 0, sizeof(*out));
	out->id = id;
	out->name = redis_text(&f[F_NAME]);
	out->template = redis_text(&f[F_TEMPLATE]);
	out->prompt = redis_text(&f[F_PROMPT]);
	out->model = redis_text(&f[F_MODEL]);
	out->metadata = redis_text(&f[F_METADATA]);
	out->tools = redis_text(&f[F_TOOLS]);
	out->permission = redis_text(&f[F_PERMISSION]);
	out->todos = redis_text(&f[F_TODOS]);
	out->created_ms = field_int(&f[F_CREATED]);
	out->updated_ms = field_int(&f[F_UPDATED]);
	out->version = field_int(&f[F_VERSION]);
	out->state = redis_text(&f[F_STATE]);
	out->turn = redis_text(&f[F_TURN]);
	out->parent = redis_text(&f[F_PARENT]);
	out->point = redis_text(&f[F_POINT]);
	out->lineage = redis_text(&f[F_LINEAGE]);
	out->workspace = redis_text(&f[F_WORKSPACE]);
	out->last = "0-0";
	return 0;
}

/* ---- create ---- */

/*
 * Redis looks for a field of a small hash one after the other: what every turn
 * reads (agent_read() of common.lua) comes first, in that order, and is there
 * from the beginning.
 */
void
store_cmd_create(struct redis_pipe *p, const char *base, const char *maker,
    const char *user, const struct store_agent *ag)
{
	char segment[ID_SIZE], now[24];
	const struct {
		const char *name, *value;
	} info[] = {
		{ "owner", user },
		{ "version", "1" },
		{ "tail", segment },
		{ "turn", "" },
		{ "step", "1" },
		{ "resumes", "0" },
		{ "interrupt", "" },
		{ "state", "READY" },
		{ "epoch", "0" },
		{ "calls", "" },
		{ "todos", "" },
		{ "tokens", "0" },
		{ "before", "0" },
		{ "safe", "0" },
		{ "context", "" },
		{ "depth", ag->depth == NULL ? "0" : ag->depth },
		{ "task", ag->task == NULL ? "" : ag->task },
		{ "lineage", ag->lineage == NULL ? "" : ag->lineage },
		{ "reminders", "" },
		{ "last", "" },
		{ "tenant", ag->tenant },
		{ "purse", ag->purse == NULL ? "" : ag->purse },
		{ "question", "" },
		{ "session", ag->session == NULL ? "" : ag->session },
		{ "updated", now },
		{ "message", "" },
		{ "began", "" },
		{ "first", "" },
		{ "loaded", ag->session == NULL ? "" : "1" },
		{ "env", "" },
		{ "name", ag->name },
		{ "template", ag->template },
		{ "prompt", ag->prompt },
		{ "model", ag->model },
		{ "metadata", ag->metadata },
		{ "tools", ag->tools },
		{ "permission", ag->permission },
		{ "workspace", ag->workspace == NULL ? "" : ag->workspace },
		{ "options", ag->options == NULL ? "" : ag->options },
		{ "created", now },
	};
	int n = (int)(sizeof(info) / sizeof(info[0]));

	id_make(segment, "seg_");
	snprintf(now, sizeof(now), "%" PRId64, ag->created_ms);
	redis_script(p, SCRIPT_CREATE, maker == NULL ? 1 : 2, 1 + 2 * n);
	redis_arg(p, base);
	if (maker != NULL)
		redis_arg(p, maker);
	redis_arg(p, segment);
	for (int i = 0; i < n; i++) {
		redis_arg(p, info[i].name);
		redis_arg(p, info[i].value);
	}
}

/* The id that a repeated call got before, or the new one. 0 or -1. */
static int
idem_id(struct store *st, struct arena *a, const char *user, const char *key,
    char *id, int *repeat_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;
	char *k = store_key(st, a, "idem:%s:%s", store_user_part(a, user),
	    store_user_part(a, key));

	redis_pipe_init(&p, a);
	redis_cmd(&p, "SET", k, id, "NX", "EX", IDEM_SECONDS, NULL);
	redis_cmd(&p, "GET", k, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	*repeat_r = !redis_is(&r[1], id);
	if (r[1].type == REDIS_TEXT && r[1].len < ID_SIZE)
		strcpy(id, r[1].text);
	return 0;
}

int
store_agents_limit(
    struct store *st, struct arena *a, const char *user, struct err *err)
{
	int64_t max = st->conf->limits_agents_per_user;
	const struct redis_reply *r;
	struct redis_pipe p;

	if (max == 0)
		return 0;
	redis_pipe_init(&p, a);
	redis_cmd(&p, "ZCARD", store_user_agents_key(st, a, user), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (r[0].number >= max)
		return err_limit(err, ERR_LIMIT, "limits.agents_per_user",
		    "you have %" PRId64 " agents, the most allowed",
		    r[0].number);
	return 0;
}

int
store_agent_create(struct store *st, struct arena *a, const char *user,
    struct store_agent *ag, const char *idem_key, struct err *err)
{
	char *id = arena_alloc(a, ID_SIZE);
	const struct redis_reply *r;
	struct redis_pipe p;
	char now[24];
	int repeat = 0;

	if (ag->id != NULL)
		snprintf(id, ID_SIZE, "%s", ag->id);
	else
		id_make(id, "agt_");
	if (*idem_key != '\0' &&
	    idem_id(st, a, user, idem_key, id, &repeat, err) < 0)
		return -1;
	if (!repeat && store_agents_limit(st, a, user, err) < 0)
		return -1;
	ag->created_ms = clk_shared_ms();
	snprintf(now, sizeof(now), "%" PRId64, ag->created_ms);
	redis_pipe_init(&p, a);
	/* Listed first: a crash between the two leaves a name in the list,
	 * which listing drops, and not an agent that nobody finds. */
	redis_cmd(
	    &p, "ZADD", store_user_agents_key(st, a, user), now, id, NULL);
	if (ag->session != NULL)
		store_cmd_session_made(st, a, &p, user, id, ag->created_ms);
	store_cmd_create(&p, store_base(st, a, id), NULL, user, ag);
	if (ag->session != NULL)
		store_cmd_sessions_changed(st, a, &p, user);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	return store_agent_get(st, a, user, id, ag, err);
}

/* ---- read ---- */

int
store_agent_get(struct store *st, struct arena *a, const char *user,
    const char *id, struct store_agent *out, struct err *err)
{
	const char *base = store_base(st, a, id);
	const struct redis_reply *r;
	struct redis_pipe p;
	const char *tail;
	int64_t before;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	cmd_info(&p, sub_key(a, base, "info"));
	redis_cmd(&p, "LLEN", sub_key(a, base, "inbox"), NULL);
	redis_cmd(&p, "LLEN", sub_key(a, base, "windows"), NULL);
	redis_cmd(&p, "XREVRANGE", sub_key(a, base, "events"), "+", "-",
	    "COUNT", "1", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (info_decode(&r[0], user, arena_strdup(a, id), out) < 0)
		return store_forbidden(err);
	out->waiting = r[1].number;
	out->windows = r[2].number;
	if (r[3].type == REDIS_LIST && r[3].count > 0)
		out->last = redis_text(&r[3].items[0].items[0]);
	tail = redis_text(&r[0].items[F_TAIL]);
	before = field_int(&r[0].items[F_BEFORE]);
	redis_pipe_clear(&p);
	redis_cmd(&p, "LLEN", store_segment_key(a, base, tail), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	out->messages = before + r[0].number;
	return 0;
}

/*
 * A cursor is SCORE-ID of the last one seen; the list goes on behind it. Ties
 * of the score are in falling order of the id, as ZREVRANGEBYSCORE has them.
 */
static int
cursor_parse(const char *cursor, int64_t *score_r, const char **id_r)
{
	char *end;

	*score_r = strtoll(cursor, &end, 10);
	*id_r = end + 1;
	return *end == '-' && id_valid(*id_r, "agt_") ? 0 : -1;
}

static void
cmd_list(struct redis_pipe *p, const char *key, const char *max, int limit)
{
	char n[16];

	snprintf(n, sizeof(n), "%d", limit);
	redis_cmd(p, "ZREVRANGEBYSCORE", key, max, "-inf", "WITHSCORES",
	    "LIMIT", "0", n, NULL);
}

/* 1 if an entry comes behind the cursor. */
static int
behind(const char *id, int64_t score, int64_t cur_score, const char *cur_id)
{
	return score < cur_score ||
	       (score == cur_score && strcmp(id, cur_id) < 0);
}

/*
 * A name in the list without an agent: a crash came between the two, when it
 * was made or deleted. It goes, unless it is so young that the agent may come.
 */
static void
cmd_drop_name(struct store *st, struct arena *a, struct redis_pipe *p,
    const char *user, const struct redis_reply *name)
{
	if (strtoll(name[1].text, NULL, 10) > clk_shared_ms() - NAMELESS_MS)
		return;
	redis_cmd(
	    p, "ZREM", store_user_agents_key(st, a, user), name[0].text, NULL);
}

static int
list_infos(struct store *st, struct arena *a, const char *user,
    const struct redis_reply *ids, struct store_agent *list, size_t *count_r,
    struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p, drop;
	size_t n = ids->count / 2;
	struct err ignored;

	*count_r = 0;
	if (n == 0)
		return 0;
	redis_pipe_init(&p, a);
	redis_pipe_init(&drop, a);
	for (size_t i = 0; i < n; i++)
		cmd_info(
		    &p, sub_key(a, store_base(st, a, ids->items[2 * i].text),
			    "info"));
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (info_decode(&r[i], user, ids->items[2 * i].text,
			&list[*count_r]) == 0)
			(*count_r)++;
		else
			cmd_drop_name(st, a, &drop, user, &ids->items[2 * i]);
	if (drop.count > 0)
		redis_call(st->pool, a, &drop, &r, &ignored);
	return 0;
}

int
store_agent_list(struct store *st, struct arena *a, const char *user,
    const char *cursor, int limit, struct store_agent **list_r, size_t *count_r,
    const char **next_r, struct err *err)
{
	const char *key = store_user_agents_key(st, a, user), *cur_id = "~";
	int64_t cur_score = INT64_MAX;
	struct redis_reply page = { .type = REDIS_LIST };
	struct redis_reply *items;
	const struct redis_reply *r;
	struct redis_pipe p;
	char max[24] = "+inf";

	if (*cursor != '\0') {
		if (cursor_parse(cursor, &cur_score, &cur_id) < 0)
			return err_set(err, ERR_REQUEST,
			    "cursor is not one that this server gave");
		snprintf(max, sizeof(max), "%" PRId64, cur_score);
	}
	/* Some more than asked for: ties with the cursor are skipped. */
	redis_pipe_init(&p, a);
	cmd_list(&p, key, max, 2 * limit + 64);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	items = arena_alloc(a, 2 * (size_t)limit * sizeof(*items));
	*next_r = "";
	for (size_t i = 0; i + 1 < r[0].count; i += 2) {
		const struct redis_reply *e = &r[0].items[i];
		int64_t score = strtoll(e[1].text, NULL, 10);

		if (!behind(e[0].text, score, cur_score, cur_id))
			continue;
		if (page.count == 2 * (size_t)limit) {
			*next_r =
			    arena_printf(a, "%s-%s", items[page.count - 1].text,
				items[page.count - 2].text);
			break;
		}
		items[page.count++] = e[0];
		items[page.count++] = e[1];
	}
	page.items = items;
	*list_r = arena_alloc(a, (size_t)limit * sizeof(**list_r));
	return list_infos(st, a, user, &page, *list_r, count_r, err);
}

/* ---- change and delete ---- */

int
store_agent_update(struct store *st, struct arena *a, const char *user,
    const char *id, int64_t if_version, const struct store_change *change,
    struct err *err)
{
	const char *const changes[][2] = { { "name", change->name },
		{ "metadata", change->metadata }, { "model", change->model } };
	const struct redis_reply *r;
	struct redis_pipe p;
	char version[24] = "", now[24];
	int args = 4;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	if (if_version >= 0)
		snprintf(version, sizeof(version), "%" PRId64, if_version);
	snprintf(now, sizeof(now), "%" PRId64, clk_shared_ms());
	for (size_t i = 0; i < COUNT(changes); i++)
		args += changes[i][1] != NULL ? 2 : 0;
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_UPDATE, 1, args);
	redis_arg(&p, store_base(st, a, id));
	redis_arg(&p, user);
	redis_arg(&p, version);
	redis_arg(&p, "updated");
	redis_arg(&p, now);
	for (size_t i = 0; i < COUNT(changes); i++)
		if (changes[i][1] != NULL) {
			redis_arg(&p, changes[i][0]);
			redis_arg(&p, changes[i][1]);
		}
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "STALE"))
		return err_set(err, ERR_PRECONDITION,
		    "the agent was changed meanwhile; read it again");
	return 0;
}

int
store_agent_workspace(struct store *st, struct arena *a, const char *user,
    const char *id, const char **workspace_r, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_cmd(&p, "HMGET", sub_key(a, store_base(st, a, id), "info"),
	    "owner", "workspace", NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	if (!redis_is(&r[0].items[0], user))
		return store_forbidden(err);
	*workspace_r = redis_text(&r[0].items[1]);
	if (**workspace_r == '\0')
		*workspace_r = id;
	return 0;
}

/* 1; 0 if it is not such a one: delete.lua has the words of which. */
static int
delete_agent(struct store *st, struct arena *a, const char *user,
    const char *id, const char *which, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_DELETE, 3 + store_counts_turns(st->conf), 2);
	redis_arg(&p, store_base(st, a, id));
	redis_arg(&p, store_key(st, a, "leases"));
	redis_arg(&p, store_key(st, a, STORE_QUEUE));
	store_arg_turns(st, a, &p);
	redis_arg(&p, user);
	redis_arg(&p, which);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "BUSY"))
		return 0;
	redis_pipe_clear(&p);
	redis_cmd(&p, "ZREM", store_user_agents_key(st, a, user), id, NULL);
	redis_cmd(&p, "PUBLISH", store_key(st, a, "ctl"),
	    arena_printf(a, "deleted %s", id), NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0 ||
	    store_session_gone(st, a, user, id, err) < 0)
		return -1;
	return 1;
}

int
store_agent_delete(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return delete_agent(st, a, user, id, "", err) < 0 ? -1 : 0;
}

int
store_agent_delete_last(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return delete_agent(st, a, user, id, "childless", err);
}

int
store_import_drop(struct store *st, struct arena *a, const char *user,
    const char *id, struct err *err)
{
	return delete_agent(st, a, user, id, "import", err);
}

int
store_agent_retire(struct store *st, struct arena *a, const char *user,
    const char *id, int64_t idle_ms, struct err *err)
{
	return delete_agent(st, a, user, id,
	    arena_printf(a, "%" PRId64, clk_shared_ms() - idle_ms), err);
}

/* ---- messages and events ---- */

int
store_messages(struct store *st, struct arena *a, const char *user,
    const char *id, int64_t from, int limit, int64_t window,
    struct store_page *out, struct err *err)
{
	const struct redis_reply *r, *docs;
	struct redis_pipe p;

	if (!id_valid(id, "agt_"))
		return store_forbidden(err);
	redis_pipe_init(&p, a);
	redis_script(&p, SCRIPT_MESSAGES, 1, 4);
	redis_arg(&p, store_base(st, a, id));
	redis_arg(&p, user);
	redis_argi(&p, from);
	redis_argi(&p, limit);
	if (window < 0)
		redis_arg(&p, "");
	else
		redis_argi(&p, window);
	if (store_call(st, a, &p, &r, err) < 0)
		return -1;
	if (redis_is(&r[0].items[0], "NONE"))
		return err_set(err, ERR_NOT_FOUND,
		    "the history has no window of this number");
	out->total = r[0].items[1].number;
	out->from = r[0].items[2].number;
	out->last = redis_text(&r[0].items[3]);
	docs = &r[0].items[4];
	out->count = docs->count;
	out->docs = arena_alloc(a, (docs->count + 1) * sizeof(*out->docs));
	for (size_t i = 0; i < docs->count; i++)
		out->docs[i] = redis_text(&docs->items[i]);
	return 0;
}

/*
 * The events of entries that are newer than after, limit of them. An entry
 * may hold several, and a cursor may stand between them.
 */
static void
page_of_entries(struct arena *a, const struct redis_reply *r,
    struct event_id after, int limit, struct store_page *out)
{
	struct event_id last = after, id;
	char text[EVENT_ID_SIZE];

	out->docs = arena_alloc(a, (size_t)limit * sizeof(*out->docs));
	for (size_t i = 0; i < r->count; i++) {
		const struct redis_reply *entry = &r->items[i].items[1];

		for (size_t k = 1; k < entry->count; k += 2) {
			const struct redis_reply *e = &entry->items[k];

			if (out->count == (size_t)limit ||
			    event_json_id(e->text, e->len, &id) < 0 ||
			    event_id_cmp(id, after) <= 0)
				continue;
			out->docs[out->count++] = redis_text(e);
			last = id;
		}
	}
	event_id_print(text, last);
	out->last = arena_strdup(a, text);
}

int
store_events(struct store *st, struct arena *a, const char *user,
    const char *id, struct event_id after, int limit, struct store_page *out,
    struct err *err)
{
	const char *key = sub_key(a, store_base(st, a, id), "events");
	struct event_id oldest, newest = { 0, 0 };
	struct store_agent ag;
	const struct redis_reply *r, *e;
	char from[EVENT_ID_SIZE + 1] = "(", n[16];
	struct redis_pipe p;

	if (store_agent_get(st, a, user, id, &ag, err) < 0)
		return -1;
	event_id_print(from + 1, after);
	snprintf(n, sizeof(n), "%d", limit);
	redis_pipe_init(&p, a);
	redis_cmd(&p, "XRANGE", key, "-", "+", "COUNT", "1", NULL);
	redis_cmd(&p, "XREVRANGE", key, "+", "-", "COUNT", "1", NULL);
	redis_cmd(&p, "XRANGE", key, from, "+", "COUNT", n, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	memset(out, 0, sizeof(*out));
	if (r[0].count > 0) {
		e = &r[0].items[0].items[1].items[1];
		out->gap = event_json_id(e->text, e->len, &oldest) == 0 &&
			   event_id_gap(after, oldest);
	}
	if (r[1].count > 0) { /* an entry's id is its newest event's */
		e = &r[1].items[0].items[0];
		event_id_parse(e->text, e->len, &newest);
	}
	if (event_id_cmp(after, newest) > 0) { /* of another life of the log */
		out->gap = 1;
		after = newest;
	}
	page_of_entries(a, &r[2], after, limit, out);
	return 0;
}
