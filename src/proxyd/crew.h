/* SPDX-License-Identifier: MIT */
#ifndef PROXYD_CREW_H
#define PROXYD_CREW_H

#include "base/lck.h"

/*
 * Threads that somebody has started and waits for: at most max of them. All
 * but the threads themselves is for the one that has made it.
 */
struct crew {
	struct lck lck;
	struct lck_cond ended;
	int count, max;
	int room_fd; /* readable when one has ended: see crew_has_room */
};

void crew_init(struct crew *c, int max);

/* Waits for all of them; they must have been told to end. */
void crew_fini(struct crew *c);

/* 1 if one more may be started. If not, wait for room_fd and ask again. */
int crew_has_room(struct crew *c);

/*
 * fn(arg) on a thread of its own, which has that name. 0, or -1 if the host
 * has none left: fn is not called then.
 */
int crew_start(
    struct crew *c, const char *name, void (*fn)(void *arg), void *arg);

#endif
