/* SPDX-License-Identifier: MIT */
#ifndef BASE_FUTURE_H
#define BASE_FUTURE_H

#include <semaphore.h>

/*
 * What one thread waits for and another one, mostly the loop, sets: once.
 * The result itself lies in the struct around it, written before future_set
 * and read after future_wait. Whoever sets guarantees that it will: deadlines
 * are kept there, so a waiter needs none and its memory cannot go away under
 * the loop.
 */
struct future {
	sem_t sem;
};

void future_init(struct future *f);
void future_fini(struct future *f);

/* Any thread; nothing of f may be touched after it by the one that sets. */
void future_set(struct future *f);

/* Blocks until it is set. One thread, once. */
void future_wait(struct future *f);

#endif
