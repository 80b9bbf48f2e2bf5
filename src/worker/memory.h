/* SPDX-License-Identifier: MIT */
#ifndef WORKER_MEMORY_H
#define WORKER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* How much freed memory malloc keeps: zero at first. */
struct memory {
	int64_t next_ms;
	int looks;
	size_t spare; /* the least that was free at each of them */
	size_t given; /* of what is free: so much the system has */
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
