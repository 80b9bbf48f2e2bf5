/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_METER_H
#define AGENT_TURN_METER_H

#include <stdint.h>

#include "agent/turn_step.h"
#include "agent/turn_trace.h"
#include "base/running.h"

struct model_call;
struct turn;

/*
 * What is measured of a turn. Each moment of it belongs to one state, what it
 * is at or waits for, so the times of all states are the time of the turn.
 * The loop's thread's.
 */
struct turn_meter {
	int64_t began_ms; /* when it began to be at work here; the loop's now */
	int64_t moved_ms; /* when something last happened; the loop's now */
	int64_t began_us; /* as began_ms, exactly */
	const char *done_reason; /* as its event done has it */

	enum running_state state; /* since since_us */
	int64_t since_us;
	int64_t us[RUNNING_STATES];
	char turn[40];     /* t->turn may be the next one already */
	int64_t said_ms;   /* when its message was kept, shared clock; or 0 */
	int64_t waited_ms; /* from then until it began; -1: not known */
	int64_t first_byte_us; /* of all calls of the model */
	struct turn_trace trace;
	int open;  /* it has begun, and is not done */
	int place; /* where others see it: 1 + that of running.h; 0 none */
};

/* The turn begins here, or is taken up. */
void turn_meter_begin(struct turn *t);

/* The document of the message that it begins with. */
void turn_meter_said(struct turn *t, const char *doc);

/* A call of the model begins. */
void turn_meter_model(struct turn *t);

/* That call has ended. */
void turn_meter_model_ended(struct turn *t, struct model_call *call);

/* It waits for something, or for the thread that runs the step at. */
void turn_meter_waits(struct turn *t, enum turn_step at);

/* It was waited for. */
void turn_meter_woken(struct turn *t);

/* It is done, and that is durable. */
void turn_meter_done(struct turn *t);

/* Nothing more is seen of it here. */
void turn_meter_end(struct turn *t);

#endif
