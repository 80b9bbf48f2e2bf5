/* SPDX-License-Identifier: MIT */
#ifndef KEEP_RESTORE_H
#define KEEP_RESTORE_H

#include "base/err.h"
#include "keep/keep.h"

struct arena;
struct loop;

/*
 * Puts what is saved of a session's files into a workspace that is not there:
 * all of it, or nothing and an error. 1; 0 nothing is saved, or there is a
 * workspace, which is left as it is; -1 and err. Blocks for the store and the
 * sandbox: for any thread but the loop's. Memory for bridge.sync_size.
 */
int keep_restore(const struct keep *k, struct arena *a, const char *user,
    const char *agent, struct err *err);

/*
 * Does so for all calls of this process whose workspace is not there
 * (sandbox_on_missing), in a thread of its own, one after the other. NULL if
 * there is no sandbox. The loop's thread must not run yet.
 */
struct restorer;

struct restorer *restorer_start(const struct keep *k, struct loop *l);

/* Waits for the thread; calls that still wait are whoever's that stops them.
 * The loop must still run. NULL: fine. */
void restorer_stop(struct restorer **r_p);

#endif
