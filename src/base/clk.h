/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLK_H
#define BASE_CLK_H

#include <stdint.h>

/*
 * Time. Deadlines and pauses are on the monotonic clock; only what people
 * and tokens see (exp, nbf, event times) is wall time. A test may set a fake
 * clock, which then answers for both.
 */
int64_t clk_mono_ms(void);
int64_t clk_mono_us(void);
int64_t clk_wall_ms(void);
int64_t clk_wall_us(void);

/* Sets what all of them answer from now on; negative: the real clocks again. */
void clk_fake_set_ms(int64_t ms);

#endif
