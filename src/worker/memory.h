/* SPDX-License-Identifier: MIT */
#ifndef WORKER_MEMORY_H
#define WORKER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* How much freed memory malloc keeps: zero at first. */
struct memory {
	int64_t next_ms;
	int looks;
	int64_t other; /* resident, and not malloc's */
	int64_t spare; /* resident and free: the least at each look */
	int64_t left;  /* of that a trim could not give back */
};

/* How malloc is to work in this process. Before there are threads. */
void memory_init(void);

/*
 * Gives back to the system what was free for a minute and was not wanted; it
 * may be called as often as one likes. Always by the same thread, and not the
 * loop's: it takes some ms then, in which others wait that want memory.
 */
void memory_look(struct memory *m);

#endif
