/* SPDX-License-Identifier: MIT */
#ifndef WORKER_JANITOR_H
#define WORKER_JANITOR_H

struct app;

/*
 * The janitor: a thread that drops what is older than it is to be kept
 * (retention.*, and what templates say). Every retention.sweep one worker of
 * all hosts walks over all agents, in small steps. And one that unloads
 * sessions that are idle (bridge.idle_timeout). NULL from janitor_start: there
 * is nothing to do.
 */
struct janitor;

struct janitor *janitor_start(struct app *app);

/* Waits for the thread, which stops after a step. NULL: fine. */
void janitor_stop(struct janitor **j_p);

#endif
