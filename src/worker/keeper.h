/* SPDX-License-Identifier: MIT */
#ifndef WORKER_KEEPER_H
#define WORKER_KEEPER_H

struct app;

/*
 * The keeper: a thread that takes over turns whose worker is gone. At its
 * start, and whenever it is told, those of this host's dead workers, whose heir
 * this one may be, and those that were given up; besides, every store.sweep,
 * those whose lease ran out anywhere.
 */
struct keeper;

struct keeper *keeper_start(struct app *app);

/* Somebody of this host ended without an heir: looks for what it held. */
void keeper_look(struct keeper *k);

void keeper_stop(struct keeper **k_p);

#endif
