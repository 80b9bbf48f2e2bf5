/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_METER_H
#define AGENT_TURN_METER_H

#include <stdint.h>

struct turn;

/* What is measured of a turn. The loop's thread's. */
struct turn_meter {
	int64_t began_ms; /* when it began to be at work here; the loop's now */
	int64_t moved_ms; /* when something last happened; the loop's now */
	int64_t began_us; /* as began_ms, exactly */
	const char *done_reason; /* as its event done has it */
};

/* The turn begins here, or is taken up. */
void turn_meter_begin(struct turn *t);

/* It is done, and that is durable. */
void turn_meter_done(struct turn *t);

#endif
