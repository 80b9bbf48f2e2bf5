/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLK_H
#define BASE_CLK_H

#include <stdint.h>

/*
 * Time. Deadlines and pauses of a process are on the monotonic clock. What is
 * kept in Redis (leases, deadlines, the times of events and agents) is by
 * Redis's clock, in which all hosts agree; tokens and the log are by the host's
 * wall clock. A test may set a fake clock, which then answers for all.
 */
int64_t clk_mono_ms(void);
int64_t clk_mono_us(void);
int64_t clk_wall_ms(void);
int64_t clk_wall_us(void);

/*
 * The ms of Redis's clock: what it was when somebody said it last, and since
 * then the monotonic clock's. Before that the wall clock's.
 */
int64_t clk_shared_ms(void);
void clk_shared_set_ms(int64_t now_ms);

/* Sets what all of them answer from now on; negative: the real clocks again. */
void clk_fake_set_ms(int64_t ms);

#endif
