/* SPDX-License-Identifier: MIT */
/*
 * What is measured of a turn: how long it was at what, shown in GET /status
 * while it runs and counted when it is done.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/slowlog.h"
#include "agent/turn_priv.h"
#include "base/clk.h"
#include "base/metrics.h"
#include "base/scoreboard.h"
#include "conf/conf.h"

/* What a turn waits for whose last step this was; others end in commits. */
static const enum running_state states[TURN_OVER] = {
	[TURN_LOAD] = RUNNING_HISTORY,
	[TURN_FETCH] = RUNNING_HISTORY,
	[TURN_REFILL] = RUNNING_HISTORY,
	[TURN_COMPACT] = RUNNING_HISTORY,
	[TURN_COMPACTED] = RUNNING_COMMIT,
	[TURN_CONNECT] = RUNNING_CONNECT,
	[TURN_PAGES] = RUNNING_CONNECT,
	[TURN_PRE_MODEL] = RUNNING_MODEL,
	[TURN_POST_MODEL] = RUNNING_MODEL,
	[TURN_SUMMARISE] = RUNNING_MODEL,
	[TURN_RETRY] = RUNNING_RETRY,
	[TURN_FALLBACK] = RUNNING_MODEL,
	[TURN_CALLED] = RUNNING_COMMIT,
	[TURN_RECOVER] = RUNNING_COMMIT,
	[TURN_TOOLS] = RUNNING_TOOLS,
	[TURN_SPAWN] = RUNNING_AGENTS,
	[TURN_SPAWNED] = RUNNING_AGENTS,
	[TURN_STOP_CHILDREN] = RUNNING_AGENTS,
	[TURN_REPORT] = RUNNING_AGENTS,
	[TURN_REPORTED] = RUNNING_AGENTS,
	[TURN_SURFACE] = RUNNING_AGENTS,
	[TURN_SURFACED] = RUNNING_AGENTS,
	[TURN_DONE] = RUNNING_COMMIT,
	[TURN_LIMIT] = RUNNING_COMMIT,
	[TURN_BUDGET] = RUNNING_COMMIT,
	[TURN_BUDGET_ASK] = RUNNING_COMMIT,
	[TURN_BUDGET_ANSWER] = RUNNING_COMMIT,
	[TURN_ANSWERED] = RUNNING_COMMIT,
	[TURN_INTERRUPTED] = RUNNING_COMMIT,
	[TURN_FAILED] = RUNNING_COMMIT,
	[TURN_NEXT] = RUNNING_COMMIT,
	[TURN_ABANDONED] = RUNNING_COMMIT,
};

/* ---- shown to others ---- */

static void
show(struct turn *t)
{
	const struct turn_meter *m = &t->meter;
	struct running_turn r = {
		.began_us = m->began_us,
		.step = t->step,
		.state = m->state,
		.since_us = m->since_us,
	};

	snprintf(r.agent, sizeof(r.agent), "%.31s", t->lease.agent);
	snprintf(r.turn, sizeof(r.turn), "%.31s", t->turn);
	snprintf(r.user, sizeof(r.user), "%.63s", t->lease.user);
	if (t->model != NULL)
		snprintf(r.model, sizeof(r.model), "%.63s",
		    model_conf(t->model)->label);
	running_put(m->place - 1, &r);
}

void
turn_meter_model(struct turn *t)
{
	show(t);
}

void
turn_meter_model_ended(struct turn *t, struct model_call *call)
{
	const struct model_times *times = model_call_times(call);

	if (times->heard_us != 0)
		t->meter.first_byte_us += times->heard_us - times->began_us;
	slowlog_model(t, call);
	turn_trace_model_ended(t, call);
}

/* ---- times ---- */

void
turn_meter_said(struct turn *t, const char *doc)
{
	const char *time = strstr(doc, "\"time\":"); /* our own: the third */

	t->meter.said_ms = time == NULL ? 0 : strtoll(time + 7, NULL, 10);
}

void
turn_meter_begin(struct turn *t)
{
	struct turn_meter *m = &t->meter;

	m->began_ms = m->moved_ms;
	m->began_us = m->since_us = clk_mono_us();
	m->state = RUNNING_HISTORY;
	memset(m->us, 0, sizeof(m->us));
	m->first_byte_us = 0;
	snprintf(m->turn, sizeof(m->turn), "%s", t->turn);
	m->open = 1;
	m->waited_ms = m->said_ms == 0 ? -1 : clk_shared_ms() - m->said_ms;
	m->said_ms = 0;
	if (m->place == 0)
		m->place = 1 + running_take();
	show(t);
}

void
turn_meter_waits(struct turn *t, enum turn_step at)
{
	struct turn_meter *m = &t->meter;

	if (t->hook != NULL)
		m->state = RUNNING_HOOK;
	else if (t->busy && states[at] != RUNNING_AGENTS)
		m->state = RUNNING_COMMIT;
	else
		m->state = states[at];
	running_move(m->place - 1, m->state, t->step, m->since_us);
}

void
turn_meter_woken(struct turn *t)
{
	struct turn_meter *m = &t->meter;
	int64_t now = clk_mono_us();

	m->us[m->state] += now - m->since_us;
	m->since_us = now;
}

void
turn_meter_done(struct turn *t)
{
	struct runner_parts *p = &t->runner->parts;
	struct turn_meter *m = &t->meter;

	m->open = 0;
	scoreboard_row(p->board, p->slot)->turns_done++;
	metric_add(
	    METRIC_TURNS, metric_value(LABEL_REASON, m->done_reason), 0, 1);
	metric_observe(METRIC_TURN_TIME, 0, m->since_us - m->began_us);
	slowlog_turn(t, m->done_reason);
	turn_trace_end(t, m->done_reason);
}

void
turn_meter_end(struct turn *t)
{
	const char *why =
	    t->commit.outcome == JOURNAL_PARKED ? "parked" : "abandoned";

	if (t->meter.open) {
		slowlog_turn(t, why);
		turn_trace_end(t, why);
	}
	running_drop(t->meter.place - 1);
	t->meter.place = 0;
}
