/* SPDX-License-Identifier: MIT */
/*
 * Sub-agents, from the side of the agent that makes them.
 *
 * A call of task_run gets the id of its sub-agent before it is recorded as
 * EXECUTING, so making it twice makes one. From then on the call waits for
 * its report as others wait for a human: if that is all there is to do, the
 * turn is parked. The report is kept once, by the script that keeps answers.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/templates.h"
#include "agent/turn_priv.h"
#include "agent/turn_trace.h"
#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "store/records.h"

int
call_name_child(struct turn_call *c)
{
	struct turn *t = c->turn;
	char id[ID_SIZE];

	if (c->tool == NULL || !c->tool->is_task || c->child != NULL)
		return 0;
	if (++t->children > t->runner->parts.conf->task_max) {
		call_fail(c, CALL_FAILED, TOOL_ERROR_LOGICAL,
		    "this turn has made as many sub-agents as it may",
		    "task.max");
		return -1;
	}
	id_make(id, "agt_");
	c->child = arena_strdup(t->round, id);
	return 0;
}

static int
waits_for_child(const struct turn_call *c)
{
	return c->state == CALL_EXECUTING && c->child != NULL;
}

int
turn_has_spawns(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count; i++)
		if (waits_for_child(&t->calls[i]) && !t->calls[i].spawned &&
		    !t->calls[i].unwritten)
			return 1;
	return 0;
}

static int
has_children(const struct turn *t)
{
	for (size_t i = 0; i < t->call_count; i++)
		if (waits_for_child(&t->calls[i]))
			return 1;
	return 0;
}

/* ---- making one ---- */

static int
may_use(const struct agent_template *own, const char *name)
{
	for (const struct json *n = json_first(own->subagents); n != NULL;
	     n = json_next(n))
		if (json_str(n) != NULL && strcmp(json_str(n), name) == 0)
			return 1;
	return 0;
}

/* What the sub-agent is: as its template says, or as this agent is. */
static int
child_describe(struct turn_call *c, struct store_agent *ag, struct err *err)
{
	struct turn *t = c->turn;
	const char *name = json_get_str(c->args, "template");
	const struct agent_template *own = t->tools->template, *its;

	ag->template = t->history->template;
	ag->prompt = t->history->prompt;
	ag->model = t->history->model;
	ag->tools = t->history->tools;
	ag->permission = t->history->permission;
	if (name == NULL)
		return 0;
	its = templates_find(t->runner->parts.templates, name);
	if (own == NULL || its == NULL || !may_use(own, name))
		return err_set(err, ERR_INVALID,
		    "there is no template \"%.60s\" for sub-agents here", name);
	ag->template = its->name;
	ag->prompt = its->prompt;
	ag->model = its->model;
	ag->tools = its->tools;
	ag->permission = its->permission;
	return 0;
}

static int
child_create(struct turn_call *c, struct arena *a, struct err *err)
{
	struct turn *t = c->turn;
	char depth[24];
	struct store_agent ag = {
		.id = c->child,
		.name = json_get_str(c->args, "description"),
		.metadata = "",
		.tenant = t->lease.tenant,
		.depth = depth,
		.task = arena_printf(a, "%s %s", t->lease.agent, c->id),
		.purse = turn_budget_purse(t, a),
		.workspace = turn_workspace(t),
		.lineage = arena_printf(a, "%s%s%s", t->lease.lineage,
		    *t->lease.lineage == '\0' ? "" : " ", t->lease.agent),
	};

	snprintf(depth, sizeof(depth), "%" PRId64, t->lease.depth + 1);
	if (child_describe(c, &ag, err) < 0)
		return -1;
	return store_task_create(
	    t->runner->parts.store, a, t->lease.user, t->lease.agent, &ag, err);
}

/* Its message, once; its turn runs here. */
static int
child_tell(struct turn_call *c, struct arena *a, struct err *err)
{
	struct runner *r = c->turn->runner;
	struct store_message m = { .idem_key = c->id,
		.room = STORE_ROOM_FORCED };
	struct store_accepted acc;
	char trace[TRACE_SIZE];
	struct buf b;

	buf_init(&b, a);
	buf_puts(&b, "[{\"type\":\"text\"");
	json_add_str(&b, "text", json_get_str(c->args, "prompt"));
	buf_puts(&b, "}]");
	m.content = b.data;
	m.content_len = b.len;
	turn_trace_tool(c, trace);
	m.trace = trace;
	if (runner_reserve(r, "", 1, err) < 0)
		return -1;
	if (store_accept(r->parts.store, a, c->turn->lease.user, c->child, &m,
		&acc, err) < 0) {
		runner_release(r, "");
		return -1;
	}
	if (acc.start != STORE_BEGIN && acc.start != STORE_RESUME) {
		runner_release(r, "");
		return 0; /* it was told before */
	}
	runner_open(r, &acc.lease, c->turn->request_id);
	return 0;
}

enum turn_step
turn_spawn(struct turn *t)
{
	t->spawns = arena_alloc(
	    t->round, (t->call_count + 1) * sizeof(struct turn_call *));
	t->spawn_count = 0;
	for (size_t i = 0; i < t->call_count; i++)
		if (waits_for_child(&t->calls[i]) && !t->calls[i].spawned &&
		    !t->calls[i].unwritten)
			t->spawns[t->spawn_count++] = &t->calls[i];
	t->busy = 1; /* what ends meanwhile is looked at behind it */
	return TURN_SPAWN;
}

/* Blocks, while other calls of the turn go on: touches these alone. */
enum turn_step
step_spawn(struct turn *t)
{
	struct arena *a = arena_open(16384);
	struct err err;

	for (size_t i = 0; i < t->spawn_count; i++) {
		struct turn_call *c = t->spawns[i];

		if (child_create(c, a, &err) < 0 || child_tell(c, a, &err) < 0)
			snprintf(c->spawn_error, sizeof(c->spawn_error),
			    "%.199s", err.text);
		arena_reset(a);
	}
	arena_close(&a);
	return TURN_SPAWNED;
}

enum turn_step
step_spawned(struct turn *t)
{
	t->busy = 0;
	for (size_t i = 0; i < t->spawn_count; i++) {
		struct turn_call *c = t->spawns[i];

		c->spawned = 1;
		c->unwritten = 1;
		if (waits_for_child(c) && c->spawn_error[0] != '\0')
			call_fail(c, CALL_FAILED, TOOL_ERROR_EXCEPTION,
			    c->spawn_error, "no sub-agent");
	}
	return TURN_TOOLS;
}

/* ---- the end of one ---- */

void
call_take_report(struct turn_call *c, const struct json *report)
{
	struct turn *t = c->turn;
	const char *text = json_get_str(report, "text");
	struct buf b;

	if (!waits_for_child(c))
		return;
	json_get_int(report, "tokens", &c->child_tokens);
	c->reported = 1;
	if (!json_get_true(report, "ok")) {
		call_fail(c, CALL_FAILED, TOOL_ERROR_LOGICAL,
		    text != NULL ? text : "the sub-agent failed",
		    "sub-agent failed");
		return;
	}
	buf_init(&b, t->round);
	json_open(&b, NULL, '{');
	json_add_str(&b, "status", "completed");
	json_add_str(&b, "agent", c->child);
	json_add_str(&b, "text", text != NULL ? text : "");
	json_close(&b, '}');
	call_finish(c, json_parse(t->round, b.data, b.len, 8, NULL),
	    "sub-agent reported");
}

enum turn_step
turn_cut_step(struct turn *t)
{
	if (t->stop == STOP_ABANDON || t->stop == STOP_DEAD || !has_children(t))
		return turn_stopped_step(t);
	return TURN_STOP_CHILDREN;
}

/* Interrupts those that are at work: the agent that made them stops. */
enum turn_step
step_stop_children(struct turn *t)
{
	struct arena *a = arena_open(4096);
	struct store *st = t->runner->parts.store;
	const char *turn, *lease, *last;
	struct err err;
	int rc;

	for (size_t i = 0; i < t->call_count; i++) {
		struct turn_call *c = &t->calls[i];

		if (!waits_for_child(c))
			continue;
		rc = store_interrupt(
		    st, a, t->lease.user, c->child, &turn, &lease, &last, &err);
		if (rc > 0)
			rc = runner_tell(t->runner, a, c->child, lease,
			    arena_printf(a, "interrupt %s %s", c->child, turn),
			    &err);
		if (rc < 0)
			log_warn("a sub-agent is not told: %s", err.text);
	}
	arena_close(&a);
	return turn_stopped_step(t);
}
