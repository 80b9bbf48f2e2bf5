/* SPDX-License-Identifier: MIT */
/* What is written together: gathered by a turn, sent by the journal. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "store/journal_commit.h"

void
journal_commit_init(struct journal_commit *c, struct arena *a)
{
	memset(c, 0, sizeof(*c));
	c->arena = a;
	redis_args_init(&c->usage, a);
	redis_args_init(&c->ops, a);
}

void
journal_commit_event(
    struct journal_commit *c, enum event_kind kind, int step, const char *rest)
{
	struct journal_event *more;

	if (c->event_count == c->event_cap) {
		c->event_cap = c->event_cap == 0 ? 8 : 2 * c->event_cap;
		more =
		    arena_alloc(c->arena, (size_t)c->event_cap * sizeof(*more));
		if (c->event_count > 0)
			memcpy(more, c->events,
			    (size_t)c->event_count * sizeof(*more));
		c->events = more;
	}
	c->events[c->event_count++] =
	    (struct journal_event){ kind, step, rest };
}

void
journal_op_call(struct journal_commit *c, const char *id, const char *doc,
    size_t len, int is_new)
{
	redis_args_add(&c->ops, is_new ? "C" : "T", 1);
	redis_args_add(&c->ops, id, strlen(id));
	redis_args_add(&c->ops, doc, len);
}

void
journal_op_set(struct journal_commit *c, const char *field, const char *value)
{
	redis_args_add(&c->ops, "S", 1);
	redis_args_add(&c->ops, field, strlen(field));
	redis_args_add(&c->ops, value, strlen(value));
}

void
journal_op_message(
    struct journal_commit *c, const char *segment, const char *doc, size_t len)
{
	redis_args_add(&c->ops, "M", 1);
	redis_args_add(&c->ops, segment, strlen(segment));
	redis_args_add(&c->ops, doc, len);
}

void
journal_op_final(struct journal_commit *c, int steerable)
{
	redis_args_add(&c->ops, "F", 1);
	redis_args_add(&c->ops, steerable ? "1" : "0", 1);
	c->ends = 1;
}

void
journal_op_steer(struct journal_commit *c)
{
	redis_args_add(&c->ops, "I", 1);
}

void
journal_op_ask(struct journal_commit *c, const char *id, const char *whom)
{
	redis_args_add(&c->ops, "A", 1);
	redis_args_add(&c->ops, id, strlen(id));
	redis_args_add(&c->ops, whom, strlen(whom));
}

void
journal_op_answered(struct journal_commit *c, const char *id)
{
	redis_args_add(&c->ops, "D", 1);
	redis_args_add(&c->ops, id, strlen(id));
}

void
journal_op_park(struct journal_commit *c, int64_t deadline_ms)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, deadline_ms);
	redis_args_add(&c->ops, "P", 1);
	redis_args_add(&c->ops, text, strlen(text));
}

static void
add_number(struct redis_args *args, int64_t n)
{
	char text[24];

	redis_args_add(
	    args, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, n));
}

void
journal_op_window(struct journal_commit *c, const char *segment, size_t safe,
    const char *const *docs, size_t count)
{
	redis_args_add(&c->ops, "W", 1);
	redis_args_add(&c->ops, segment, strlen(segment));
	add_number(&c->ops, (int64_t)safe);
	add_number(&c->ops, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		redis_args_add(&c->ops, docs[i], strlen(docs[i]));
}

static void
add_place(
    struct redis_args *args, const struct store_bill_place *p, int budgets)
{
	const struct budget_info *info = &budget_infos[p->scope];

	redis_args_add(args, p->key, strlen(p->key));
	add_number(args, p->kept_s);
	add_number(args, info->period != BUDGET_EVER); /* by model too */
	if (!budgets)
		return;
	redis_args_add(args, info->scope, strlen(info->scope));
	add_number(args, p->resets_s);
	add_number(args, p->most[BUDGET_TOKENS]);
	add_number(args, p->most[BUDGET_COST]);
}

void
journal_op_purse(
    struct journal_commit *c, const char *key, int index, int64_t until)
{
	redis_args_add(&c->ops, "H", 1);
	redis_args_add(&c->ops, key, strlen(key));
	add_number(&c->ops, index);
	add_number(&c->ops, until);
}

void
journal_op_files(struct journal_commit *c, const char *base, const char *call,
    int64_t until_ms, int64_t due_ms, int64_t count)
{
	redis_args_add(&c->ops, "K", 1);
	redis_args_add(&c->ops, base, strlen(base));
	redis_args_add(&c->ops, call, strlen(call));
	add_number(&c->ops, until_ms);
	add_number(&c->ops, due_ms);
	add_number(&c->ops, count);
}

void
journal_op_changed(struct journal_commit *c, const char *path, const char *etag)
{
	char *named = arena_printf(c->arena, "=%s", path);

	redis_args_add(&c->ops, etag, strlen(etag));
	redis_args_add(&c->ops, named, strlen(named));
}

void
journal_op_forget(struct journal_commit *c, const char *key)
{
	redis_args_add(&c->ops, "X", 1);
	redis_args_add(&c->ops, key, strlen(key));
}

/* How many fields, and their names, then what is added to each: in all, and of
 * the model. */
static void
add_counts(struct journal_commit *c, const struct store_bill *bill)
{
	struct redis_args *args = &c->usage;
	int64_t number[2 + STORE_COUNTS] = { bill->tokens, 0 };
	const char *field[2 + STORE_COUNTS] = { "tokens", "cost" };
	int count = 2;

	if (bill->count[STORE_COST] > 0)
		number[1] = bill->count[STORE_COST];
	for (int i = 0; i < STORE_COUNTS; i++) {
		if (bill->count[i] <= 0)
			continue;
		number[count] = bill->count[i];
		field[count++] = arena_printf(c->arena, "%s:%s",
		    store_count_name((enum store_count)i), bill->model);
	}
	add_number(args, count);
	for (int i = 0; i < count; i++)
		redis_args_add(args, field[i], strlen(field[i]));
	for (int i = 0; i < count; i++)
		add_number(args, number[i]);
}

void
journal_op_usage(struct journal_commit *c, const struct store_bill *bill)
{
	struct redis_args *args = &c->usage;

	if (args->argc > 0)
		abort(); /* the script takes one */
	c->tells = bill->warn_percent > 0;
	redis_args_add(args, "U", 1);
	add_number(args, bill->warn_percent);
	redis_args_add(args, bill->turn, strlen(bill->turn));
	add_number(args, bill->step);
	add_number(args, (int64_t)bill->place_count);
	add_counts(c, bill);
	for (size_t i = 0; i < bill->place_count; i++)
		add_place(args, &bill->places[i], c->tells);
}
