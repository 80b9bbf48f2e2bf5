/* SPDX-License-Identifier: MIT */
#ifndef KEEP_SYNC_H
#define KEEP_SYNC_H

#include <stdint.h>

#include "base/err.h"
#include "keep/keep.h"

struct arena;

/* What came of a look at one. */
struct keep_synced {
	int64_t saved;   /* files that had changed */
	int64_t unsaved; /* that are there and not saved: bridge.sync_... */
	int whole;       /* 0: it is to be looked at again */
};

/*
 * Saves what has changed in the workspace of a session, tells those who show
 * the session, and forgets what is gone. A workspace that is not there is none
 * of its business: what was saved of it stays. Two at the same do no harm.
 * After max_ms it stops between two files.
 *
 * 0, also if there is no sandbox or bridge.sync_interval is 0; -1 and err,
 * ERR_FORBIDDEN if it is no session of the user's. Blocks for the store and the
 * sandbox: for any thread but the loop's.
 */
int keep_sync(const struct keep *k, struct arena *a, const char *user,
    const char *agent, int64_t max_ms, struct keep_synced *out,
    struct err *err);

#endif
