/* SPDX-License-Identifier: MIT */
/*
 * What a model call has used: an event, the turn's tokens, and the counts of
 * user and tenant, all in the commit that says what came of the call. So a
 * crash neither loses nor doubles any of it; a call that a crash cut is not
 * counted, and made again.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/turn_priv.h"
#include "base/arena.h"
#include "base/json.h"
#include "conf/conf.h"

static void
add_count(struct buf *b, const char *name, int64_t n)
{
	if (n >= 0)
		json_add_int(b, name, n);
}

static int64_t
tokens_of(const struct model_usage *u)
{
	return (u->input > 0 ? u->input : 0) + (u->output > 0 ? u->output : 0);
}

void
turn_count_usage(
    struct turn *t, const struct model *m, const struct model_usage *u)
{
	struct store_bill bill = {
		.model = model_conf(m)->label,
		.count = {
			[STORE_CALLS] = 1,
			[STORE_INPUT] = u->input,
			[STORE_OUTPUT] = u->output,
			[STORE_CACHED] = u->cached,
			[STORE_CACHE_WRITE] = u->cache_write,
			[STORE_REASONING] = u->reasoning,
			[STORE_COST] = model_cost(m, u),
		},
		.tokens = turn_budget_tokens(t, u),
	};

	turn_budget_bill(t, &bill);
	journal_op_usage(&t->commit, &bill);
}

/* Over all steps and sub-agents, for turn.max_tokens; kept with the turn. */
void
turn_count_tokens(struct turn *t, const struct model_usage *u)
{
	char text[24];

	t->lease.tokens += tokens_of(u);
	snprintf(text, sizeof(text), "%" PRId64, t->lease.tokens);
	journal_op_set(&t->commit, "tokens", text);
}

void
turn_commit_usage(struct turn *t, const struct model_result *r)
{
	int64_t cost = model_cost(t->model, &r->usage);
	struct buf b;

	buf_init(&b, t->arena);
	buf_lit(&b, ",\"model\":\"");
	json_escape(&b, r->model, strlen(r->model));
	buf_putc(&b, '"');
	add_count(&b, "input", r->usage.input);
	add_count(&b, "output", r->usage.output);
	add_count(&b, "cached", r->usage.cached);
	add_count(&b, "cacheWrite", r->usage.cache_write);
	add_count(&b, "reasoning", r->usage.reasoning);
	if (cost >= 0)
		json_add_billionths(&b, "cost", cost);
	turn_commit_event(t, EVENT_TOKEN_USAGE, b.data);
	turn_count_tokens(t, &r->usage);
	turn_count_usage(t, t->model, &r->usage);
	if (r->usage.input > 0)
		turn_commit_context(t, tokens_of(&r->usage));
}
