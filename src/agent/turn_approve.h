/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_APPROVE_H
#define AGENT_TURN_APPROVE_H

#include "agent/turn_step.h"

/* Waiting for a human, or for a sub-agent: see turn_approve.c. */
struct turn;

/* Gives the agent up until something is decided. */
enum turn_step turn_park(struct turn *t);

/* A decision on one of its calls, if it waits for one. */
void turn_answer(struct turn *t, const char *call, const char *decision);

#endif
