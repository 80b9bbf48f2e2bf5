/* SPDX-License-Identifier: MIT */
#ifndef BRIDGE_PACE_H
#define BRIDGE_PACE_H

#include <stdint.h>

struct conf_rate;

/*
 * Whether one more is within a rate (GCRA). paid_us is 0 at first: when all so
 * far will have drained, on the monotonic clock. 1, or 0: it is too much.
 */
int pace_take(int64_t *paid_us, const struct conf_rate *rate);

#endif
