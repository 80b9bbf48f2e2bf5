/* SPDX-License-Identifier: MIT */
/* An agent out of Redis, in lines: portable.h has their form. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "store/portable_priv.h"

#define PAGE 100

const struct portable_part portable_parts[] = {
	{ "held", PORTABLE_SET, 0 },
	{ "segments", PORTABLE_LIST, 0 },
	{ "windows", PORTABLE_LIST, 0 },
	{ "checkpoints", PORTABLE_HASH, 1 },
	{ "labels", PORTABLE_HASH, 0 },
	{ "tools", PORTABLE_HASH, 1 },
	{ "calls", PORTABLE_LIST, 0 },
	{ "approvals", PORTABLE_HASH, 0 },
	{ "children", PORTABLE_SET, 0 },
	{ "inbox", PORTABLE_LIST, 1 },
	{ "reminders", PORTABLE_LIST, 1 },
	{ "spent", PORTABLE_HASH, 0 },
	{ "info", PORTABLE_HASH, 0 },
	{ "purse", PORTABLE_HASH, 0 },
	{ NULL, PORTABLE_HASH, 0 },
};

struct export
{
	struct store *st;
	struct arena *arena; /* of a page */
	struct arena *whole;
	const char *base, *turn;
	store_line_f *fn;
	void *ctx;
};

static char *
key_of(const struct export *x, const char *part)
{
	return arena_printf(x->whole, "%s:%s", x->base, part);
}

/* The one reply of a command; NULL and err. */
static const struct redis_reply *
ask(struct export *x, const struct redis_pipe *p, struct err *err)
{
	const struct redis_reply *r;

	return redis_call(x->st->pool, x->arena, p, &r, err) < 0 ? NULL : r;
}

/* A line: part, an id unless it is NULL, and the value. */
static int
give(struct export *x, const char *part, const char *id,
    const struct redis_reply *value, int is_json, struct err *err)
{
	struct buf b;

	buf_init(&b, x->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "part", part);
	if (id != NULL)
		json_add_str(&b, "id", id);
	if (is_json)
		json_add_raw(&b, "doc", value->text, value->len);
	else
		json_add_strn(&b, "text", value->text, value->len);
	json_close(&b, '}');
	return x->fn(x->ctx, b.data, b.len, err);
}

/* ---- parts ---- */

/* A hash in steps; a field that moves meanwhile may come twice. */
static int
give_hash(struct export *x, const struct portable_part *part, struct err *err)
{
	const struct redis_reply *r, *all;
	const char *key =
	    strcmp(part->name, "purse") != 0
		? key_of(x, part->name)
		: arena_printf(x->whole, "%s:purse:%s", x->base, x->turn);
	char cursor[24] = "0";
	struct redis_pipe p;

	do {
		redis_pipe_init(&p, x->arena);
		redis_cmd(&p, "HSCAN", key, cursor, "COUNT", "100", NULL);
		r = ask(x, &p, err);
		if (r == NULL)
			return -1;
		snprintf(
		    cursor, sizeof(cursor), "%s", redis_text(&r->items[0]));
		all = &r->items[1];
		for (size_t i = 0; i + 1 < all->count; i += 2)
			if (give(x, part->name, redis_text(&all->items[i]),
				&all->items[i + 1], part->is_json, err) < 0)
				return -1;
		arena_reset(x->arena);
	} while (strcmp(cursor, "0") != 0);
	return 0;
}

/* A list in pages; segment NULL: it is a part, else messages of that. */
static int
give_list(struct export *x, const char *key, const char *part,
    const char *segment, int is_json, struct err *err)
{
	const struct redis_reply *r;
	struct redis_pipe p;
	size_t count;

	for (int64_t from = 0;; from += PAGE) {
		redis_pipe_init(&p, x->arena);
		redis_begin(&p, 4);
		redis_arg(&p, "LRANGE");
		redis_arg(&p, key);
		redis_argi(&p, from);
		redis_argi(&p, from + PAGE - 1);
		r = ask(x, &p, err);
		if (r == NULL)
			return -1;
		for (size_t i = 0; i < r->count; i++)
			if (give(x, part, segment, &r->items[i], is_json, err) <
			    0)
				return -1;
		count = r->count;
		arena_reset(x->arena);
		if (count < PAGE)
			return 0;
	}
}

/* Its members; with messages of them too, as they are names of segments. */
static int
give_set(struct export *x, const struct portable_part *part, struct err *err)
{
	int has_messages = strcmp(part->name, "held") == 0;
	const struct redis_reply *r;
	struct redis_pipe p;
	const char *segment;

	redis_pipe_init(&p, x->whole);
	redis_cmd(&p, "SMEMBERS", key_of(x, part->name), NULL);
	if (redis_call(x->st->pool, x->whole, &p, &r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->count; i++) {
		segment = redis_text(&r->items[i]);
		if (has_messages &&
		    give_list(x, store_segment_key(x->whole, x->base, segment),
			"message", segment, 1, err) < 0)
			return -1;
		if (give(x, part->name, NULL, &r->items[i], 0, err) < 0)
			return -1;
	}
	return 0;
}

/* Events that were written together are a line. */
static int
give_entry(struct export *x, const struct redis_reply *entry, struct err *err)
{
	const struct redis_reply *fields = &entry->items[1];
	struct buf b;

	buf_init(&b, x->arena);
	json_open(&b, NULL, '{');
	json_add_str(&b, "part", "event");
	json_add_str(&b, "id", redis_text(&entry->items[0]));
	json_open(&b, "doc", '[');
	for (size_t i = 1; i < fields->count; i += 2)
		json_add_raw(
		    &b, NULL, fields->items[i].text, fields->items[i].len);
	json_close(&b, ']');
	json_close(&b, '}');
	return x->fn(x->ctx, b.data, b.len, err);
}

static int
give_events(struct export *x, struct err *err)
{
	const char *key = key_of(x, "events");
	char from[EVENT_ID_SIZE + 1] = "-";
	const struct redis_reply *r;
	struct redis_pipe p;
	size_t count;

	do {
		redis_pipe_init(&p, x->arena);
		redis_cmd(&p, "XRANGE", key, from, "+", "COUNT", "100", NULL);
		r = ask(x, &p, err);
		if (r == NULL)
			return -1;
		count = r->count;
		for (size_t i = 0; i < count; i++)
			if (give_entry(x, &r->items[i], err) < 0)
				return -1;
		if (count > 0)
			snprintf(from, sizeof(from), "(%s",
			    redis_text(&r->items[count - 1].items[0]));
		arena_reset(x->arena);
	} while (count == PAGE);
	return 0;
}

/* ---- the whole ---- */

/* What is another whenever anything is: all writes of an agent are events. */
static const char *
moment(struct export *x, const char *user, const char *id, struct err *err)
{
	struct store_agent ag;

	if (store_agent_get(x->st, x->whole, user, id, &ag, err) < 0)
		return NULL;
	x->turn = ag.turn;
	return arena_printf(x->whole,
	    "%s %s %s %" PRId64 " %" PRId64 " %" PRId64, ag.last, ag.state,
	    ag.turn, ag.messages, ag.waiting, ag.version);
}

static int
give_parts(struct export *x, int listed, struct err *err)
{
	const struct portable_part *part = portable_parts;
	static const char line[] = "{\"part\":\"listed\"}";
	int rc = 0;

	if (listed)
		rc = x->fn(x->ctx, line, sizeof(line) - 1, err);
	for (; rc == 0 && part->name != NULL; part++) {
		if (part->kind == PORTABLE_HASH)
			rc = give_hash(x, part, err);
		else if (part->kind == PORTABLE_SET)
			rc = give_set(x, part, err);
		else
			rc = give_list(x, key_of(x, part->name), part->name,
			    NULL, part->is_json, err);
	}
	if (rc == 0)
		rc = give_events(x, err);
	if (rc == 0)
		rc = x->fn(x->ctx, PORTABLE_END, sizeof(PORTABLE_END) - 1, err);
	return rc;
}

int
store_export_agent(struct store *st, const char *user, const char *id,
    int listed, store_line_f *fn, void *ctx, struct err *err)
{
	struct export x = { .st = st,
		.arena = arena_open(65536),
		.whole = arena_open(4096),
		.fn = fn,
		.ctx = ctx };
	const char *before = moment(&x, user, id, err), *after;
	int rc = -1;

	x.base = store_base(st, x.whole, id);
	if (before != NULL)
		rc = give_parts(&x, listed, err);
	if (rc == 0) {
		after = moment(&x, user, id, err);
		if (after == NULL)
			rc = -1;
		else if (strcmp(before, after) != 0)
			rc = err_set(
			    err, ERR_CONFLICT, "%s was at work meanwhile", id);
	}
	arena_close(&x.arena);
	arena_close(&x.whole);
	return rc;
}
