/* SPDX-License-Identifier: MIT */
#ifndef WORKER_KEEPER_H
#define WORKER_KEEPER_H

struct app;

/*
 * The keeper: a thread that takes over turns whose worker is gone. At its
 * start those of this host's dead workers, whose heir this one may be; from
 * then on, every store.sweep, those whose lease ran out anywhere.
 */
struct keeper;

struct keeper *keeper_start(struct app *app);
void keeper_stop(struct keeper **k_p);

#endif
