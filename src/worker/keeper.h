/* SPDX-License-Identifier: MIT */
#ifndef WORKER_KEEPER_H
#define WORKER_KEEPER_H

struct app;

/*
 * The keeper: a thread that takes over turns whose worker is gone. At its
 * start, and whenever it is told, those of this host's dead workers, whose heir
 * this one may be, and those that were given up; besides, every store.sweep,
 * those whose lease ran out anywhere. And agents that wait for room, when it
 * is told that there is some.
 */
struct keeper;

struct keeper *keeper_new(struct app *app);
void keeper_start(struct keeper *k);

/* Somebody of this host ended without an heir: looks for what it held. */
void keeper_look(struct keeper *k);

/* There is room for who waits. Any thread, until keeper_free. */
void keeper_wake(void *keeper);

/* Waits for the thread. */
void keeper_stop(struct keeper *k);
void keeper_free(struct keeper **k_p);

#endif
