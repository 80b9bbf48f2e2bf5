/* SPDX-License-Identifier: MIT */
/* Tool calls: what was called, and what is asked of a human about it. */
#include "config.h"
#include "store/records.h"

#include <inttypes.h>
#include <string.h>

#include "agent/runner.h"
#include "api/api_priv.h"
#include "base/clk.h"

#define PAGE 100
#define PAGE_MAX 500
#define NOTE_MAX_BYTES 2000
#define TOKENS_MAX (1000 * INT64_C(1000000000000))
#define COST_MAX 1000000 /* as settings have it */

int
tool_calls_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	struct store_page page;
	int64_t limit = PAGE, from = 0;

	if (api_query_int(c, "limit", 1, PAGE_MAX, &limit, err) < 0 ||
	    api_query_int(c, "from", -1, INT64_MAX / 2, &from, err) < 0 ||
	    store_tool_calls(c->app->store, c->arena, c->user, c->rq->param[0],
		from, (int)limit, &page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(b, '{');
	api_add_docs(b, "toolCalls", &page);
	json_add_int(b, "from", page.from);
	json_add_int(b, "total", page.total);
	buf_putc(b, '}');
	if (page.from + limit < page.total)
		http_header_add(c->rs, "Link",
		    "</api/agents/%s/tool-calls?limit=%" PRId64 "&from=%" PRId64
		    ">; rel=\"next\"",
		    c->rq->param[0], limit, page.from + limit);
	return 0;
}

static struct store_caller
caller_of(const struct api_call *c)
{
	return (struct store_caller){ c->user,
		api_has_role(c, IDENTITY_APPROVER) ? c->tenant : "",
		api_has_role(c, IDENTITY_BUDGET), c->tenant };
}

int
approvals_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_caller who = caller_of(c);
	struct store_page page;

	if (store_approvals(
		c->app->store, c->arena, &who, c->rq->param[0], &page, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_putc(&c->rs->body, '{');
	api_add_docs(&c->rs->body, "approvals", &page);
	buf_putc(&c->rs->body, '}');
	return 0;
}

/* How much more a turn may spend, where a budget is asked about. 0 or -1. */
static int
body_allowance(const struct api_call *c, struct buf *b, struct err *err)
{
	const struct json *tokens = json_get(c->body, "tokens");
	const struct json *cost = json_get(c->body, "cost");
	int64_t n;
	double v;

	if (tokens != NULL &&
	    (!json_int(tokens, &n) || n < 1 || n > TOKENS_MAX))
		return err_set(err, ERR_INVALID,
		    "tokens is a whole number from 1 to %" PRId64, TOKENS_MAX);
	if (cost != NULL &&
	    (!json_double(cost, &v) || v < 0.000001 || v > COST_MAX))
		return err_set(err, ERR_INVALID,
		    "cost is a number from 0.000001 to %d", COST_MAX);
	if (tokens != NULL)
		json_add_json(b, "tokens", tokens);
	if (cost != NULL)
		json_add_json(b, "cost", cost);
	return 0;
}

/* The answer as it is kept. */
static int
body_decision(const struct api_call *c, struct buf *b, struct err *err)
{
	const char *decision = "", *note = "";

	if (api_body_str(c, "decision", 16, &decision, err) < 0 ||
	    api_body_str(c, "note", NOTE_MAX_BYTES, &note, err) < 0)
		return -1;
	if (strcmp(decision, "allow") != 0 && strcmp(decision, "deny") != 0)
		return err_set(err, ERR_INVALID, "decision is allow or deny");
	json_open(b, NULL, '{');
	json_add_str(b, "decision", decision);
	json_add_str(b, "decidedBy", c->user);
	json_add_int(b, "decidedAt", clk_shared_ms());
	if (*note != '\0')
		json_add_str(b, "note", note);
	if (strcmp(decision, "allow") == 0 && body_allowance(c, b, err) < 0)
		return -1;
	json_close(b, '}');
	return 0;
}

int
approvals_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct store_caller who = caller_of(c);
	const char *agent = c->rq->param[0], *id = c->rq->param[1], *lease;
	struct buf decision;

	buf_init(&decision, c->arena);
	if (body_decision(c, &decision, err) < 0 ||
	    store_decide(c->app->store, c->arena, &who, agent, id,
		decision.data, &lease, err) < 0)
		return -1;
	api_tell(c, lease,
	    arena_printf(
		c->arena, "decided %s %s %s", agent, id, decision.data));
	http_json(c->rs, 200);
	buf_add(&c->rs->body, decision.data, decision.len);
	return 0;
}
