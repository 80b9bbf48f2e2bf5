/* SPDX-License-Identifier: MIT */
/* What is measured of a turn, and told when it is done. */
#include "config.h"

#include "agent/turn_priv.h"
#include "base/clk.h"
#include "base/metrics.h"
#include "base/scoreboard.h"

void
turn_meter_begin(struct turn *t)
{
	t->meter.began_ms = t->meter.moved_ms;
	t->meter.began_us = clk_mono_us();
}

void
turn_meter_done(struct turn *t)
{
	struct runner_parts *p = &t->runner->parts;
	int64_t us = clk_mono_us() - t->meter.began_us;

	scoreboard_row(p->board, p->slot)->turns_done++;
	metric_add(METRIC_TURNS,
	    metric_value(LABEL_REASON, t->meter.done_reason), 0, 1);
	metric_observe(METRIC_TURN_TIME, 0, us);
}
