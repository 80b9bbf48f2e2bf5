/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SYNCER_H
#define WORKER_SYNCER_H

struct app;

/*
 * The syncer: a thread that saves workspaces of sessions in which something
 * may have changed, within bridge.sync_interval; each is the work of one
 * worker of all hosts. NULL from syncer_start: there is nothing to save.
 */
struct syncer;

struct syncer *syncer_start(struct app *app);

/* Waits for the thread, which stops after a workspace. NULL: fine. */
void syncer_stop(struct syncer **s_p);

#endif
