/* SPDX-License-Identifier: MIT */
/*
 * What is kept of a user, to the last key: a walk over the whole keyspace in
 * steps that do not block Redis, and that repeat without harm.
 *
 * Keys that name their user are removed at once; the table has their forms.
 * An agent names its owner inside, and is given to the caller, who deletes its
 * files first. So an agent is found too that no list has, and that of a
 * crash between two writes. What an import has left that stopped names him
 * too, and is given likewise. A key of an agent that is neither is nobody's:
 * it goes, as nobody could tell that it is not his.
 *
 * Agents whose files a janitor has still to delete are told apart, as they are
 * to be forgotten when the files are gone.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/id.h"
#include "conf/conf.h"
#include "store/admin.h"
#include "store/store_priv.h"
#include "store/tickets.h"

#define STEP "1000" /* keys that Redis looks at */

/* Keys of a user, behind the prefix: before his name, and whether more may
 * follow it. raw: he is written as he is, not as part of a key; then nothing
 * may, as nobody could tell where he ends. */
static const struct form {
	const char *before;
	int raw;
} forms[] = {
	{ "user:", 0 },
	{ "idem:", 0 },
	{ "{limits}:requests:user:", 1 },
	{ "{limits}:chats:user:", 1 },
	{ "{limits}:streams:user:", 1 },
	{ STORE_QUEUE ":user:", 1 },
	{ STORE_TURNS ":user:", 1 },
};

struct walk {
	struct store *st;
	struct arena *arena;
	const char *user, *part;
	struct redis_args remove;
	struct redis_pipe look;
	const char **looked; /* keys, of look's commands */
	int look_count;
};

/* 1 if a key, without the prefix, is one of the forms. */
static int
names_user(const struct walk *w, const char *key)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *name = forms[i].raw ? w->user : w->part;
		size_t n = strlen(forms[i].before), m = strlen(name);

		if (strncmp(key, forms[i].before, n) == 0 &&
		    strncmp(key + n, name, m) == 0 &&
		    (key[n + m] == '\0' ||
			(!forms[i].raw && key[n + m] == ':')))
			return 1;
	}
	return 0;
}

/* {FAMILY}:ID:PART: the id, in the arena, and the part; NULL: it is none. */
static const char *
agent_of(struct arena *a, const char *key, const char **part_r)
{
	const char *id = strstr(key, "}:"), *end;

	if (*key != '{' || id == NULL)
		return NULL;
	id += 2;
	end = strchr(id, ':');
	if (end == NULL)
		return NULL;
	*part_r = end + 1;
	id = arena_memdup(a, id, (size_t)(end - id));
	return id_valid(id, "agt_") ? id : NULL;
}

/* 1 if that part of an agent says whose it is. */
static int
names_owner(const char *part)
{
	return strcmp(part, "info") == 0 || strcmp(part, "import") == 0;
}

/* Whether there is such an agent, or one that is being taken in. */
static void
cmd_exists(struct walk *w, const char *id)
{
	const char *base = store_base(w->st, w->arena, id);

	redis_cmd(&w->look, "EXISTS", arena_printf(w->arena, "%s:info", base),
	    arena_printf(w->arena, "%s:import", base), NULL);
}

/* What cannot be told by the key is asked about. */
static void
look_at(struct walk *w, const char *key, const char *behind)
{
	const char *part, *id = agent_of(w->arena, behind, &part);

	if (names_user(w, behind)) {
		redis_args_add(&w->remove, key, strlen(key));
		return;
	}
	if (id != NULL && names_owner(part))
		redis_cmd(&w->look, "HGET", key, "owner", NULL);
	else if (id != NULL)
		cmd_exists(w, id);
	else if (strncmp(behind, "ticket:", 7) == 0)
		redis_cmd(&w->look, "GET", key, NULL);
	else
		return;
	w->looked[w->look_count++] = key;
}

/* The answer about a key: it goes, or is an agent's, or somebody else's. */
static void
judge(struct walk *w, const char *key, const struct redis_reply *r,
    struct store_erased *out)
{
	const char *part, *behind = key + strlen(w->st->conf->store_prefix);
	const char *id = agent_of(w->arena, behind, &part);

	if (id != NULL && r->type == REDIS_INT) {
		if (r->number == 0) /* of an agent that was deleted */
			redis_args_add(&w->remove, key, strlen(key));
	} else if (id != NULL && redis_is(r, w->user)) {
		if (strcmp(part, "info") == 0)
			out->agents[out->agent_count++] = id;
		else
			out->imports[out->import_count++] = id;
	} else if (id == NULL && store_ticket_is_of(redis_text(r), w->user)) {
		redis_args_add(&w->remove, key, strlen(key));
	}
}

static int
walk_remove(struct walk *w, struct store_erased *out, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;

	if (w->remove.argc == 0)
		return 0;
	redis_pipe_init(&p, w->arena);
	redis_begin(&p, 1 + w->remove.argc);
	redis_arg(&p, "UNLINK");
	redis_args(&p, &w->remove);
	redis_cmd(&p, "ZREM", store_key(w->st, w->arena, STORE_QUEUE ":users"),
	    w->user, NULL);
	if (redis_call(w->st->pool, w->arena, &p, &r, err) < 0)
		return -1;
	out->keys = (size_t)r[0].number; /* others went by themselves */
	return 0;
}

/* The prefix as a pattern for itself and whatever follows. */
static const char *
pattern(struct arena *a, const char *prefix)
{
	struct buf b;

	buf_init(&b, a);
	for (; *prefix != '\0'; prefix++) {
		if (strchr("*?[]\\", *prefix) != NULL)
			buf_putc(&b, '\\');
		buf_putc(&b, *prefix);
	}
	buf_putc(&b, '*');
	return buf_str(&b);
}

int
store_erase_step(struct store *st, struct arena *a, const char *user,
    const char *cursor, struct store_erased *out, struct err *err)
{
	const char *prefix = st->conf->store_prefix;
	struct walk w = { .st = st,
		.arena = a,
		.user = user,
		.part = store_user_part(a, user) };
	const struct redis_reply *r, *keys;
	struct redis_pipe p;

	memset(out, 0, sizeof(*out));
	redis_pipe_init(&p, a);
	redis_cmd(&p, "SCAN", cursor, "MATCH", pattern(a, prefix), "COUNT",
	    STEP, NULL);
	if (redis_call(st->pool, a, &p, &r, err) < 0)
		return -1;
	out->cursor = redis_text(&r[0].items[0]);
	keys = &r[0].items[1];
	redis_args_init(&w.remove, a);
	redis_pipe_init(&w.look, a);
	w.looked = arena_alloc(a, (keys->count + 1) * sizeof(*w.looked));
	out->agents = arena_alloc(a, (keys->count + 1) * sizeof(*out->agents));
	out->imports =
	    arena_alloc(a, (keys->count + 1) * sizeof(*out->imports));
	for (size_t i = 0; i < keys->count; i++)
		look_at(&w, redis_text(&keys->items[i]),
		    redis_text(&keys->items[i]) + strlen(prefix));
	if (w.look_count > 0 && redis_call(st->pool, a, &w.look, &r, err) < 0)
		return -1;
	for (int i = 0; i < w.look_count; i++)
		judge(&w, w.looked[i], &r[i], out);
	return walk_remove(&w, out, err);
}
