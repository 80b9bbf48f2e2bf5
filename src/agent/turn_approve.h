/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_APPROVE_H
#define AGENT_TURN_APPROVE_H

#include <stdint.h>

#include "agent/turn_step.h"

/* Waiting for a human, or for a sub-agent: see turn_approve.c. */
struct turn;

/* Gives the agent up until something is decided. */
enum turn_step turn_park(struct turn *t);

/* A decision on one of its calls, if it waits for one. */
void turn_answer(struct turn *t, const char *call, const char *decision);

/* Until when what was asked at a time waits for its answer; the shared clock's.
 */
int64_t turn_deadline(const struct turn *t, int64_t asked_ms);

/* The answer that nobody gave, as JSON. */
struct buf;
void turn_deny_late(struct buf *b, int64_t now_ms);

#endif
