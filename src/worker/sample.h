/* SPDX-License-Identifier: MIT */
#ifndef WORKER_SAMPLE_H
#define WORKER_SAMPLE_H

#include <stdatomic.h>
#include <stdint.h>

struct loop;

#define SAMPLE_EVERY_MS 1000

/* What a worker measures of itself, for GET /metrics: zero at first. */
struct sample {
	int64_t cpu_us; /* that was counted */
	int64_t asked_us;
	_Atomic int asking; /* the loop has not answered yet */
};

/*
 * Measures memory, descriptors and processor time, and asks the loop how late
 * it is. Not on the loop's thread, always the same one; s must outlive the
 * loop's run.
 */
void sample_take(struct sample *s, struct loop *l);

#endif
