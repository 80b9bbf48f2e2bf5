/* SPDX-License-Identifier: MIT */
#ifndef AGENT_TURN_TASK_H
#define AGENT_TURN_TASK_H

#include "agent/turn_step.h"

/*
 * Sub-agents. turn_task.c is the side of the agent that made one, by a call
 * of task_run; turn_report.c that of the one that was made.
 */
struct turn;
struct turn_call;
struct json;

/* ---- turn_task.c ---- */

/*
 * Gives a call of task_run the id of its sub-agent, before it is recorded. -1
 * if the turn has made too many: the call has failed.
 */
int call_name_child(struct turn_call *c);

/* 1 if calls wait for sub-agents that are still to be made. */
int turn_has_spawns(const struct turn *t);

/* Makes them. */
enum turn_step turn_spawn(struct turn *t);

/* Where a turn goes that is to stop: its sub-agents stop first. */
enum turn_step turn_cut_step(struct turn *t);

/* What a sub-agent reported: the call is over. */
void call_take_report(struct turn_call *c, const struct json *report);

/* ---- turn_report.c ---- */

/* 1 if this turn is a task of another agent's, and has not reported. */
int turn_must_report(const struct turn *t);

/* Reports, and goes on with after. reason is that of done. */
enum turn_step turn_report(
    struct turn *t, const char *reason, enum turn_step after);

/* Tells the agent that made this one of what is asked here. */
int turn_has_unshown(const struct turn *t);
enum turn_step turn_surface(struct turn *t);

#endif
