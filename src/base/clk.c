/* SPDX-License-Identifier: MIT */
/* The only file that asks the kernel what time it is. Any thread. */
#include "config.h"

#include <stdatomic.h>
#include <time.h>

#include "base/clk.h"

static _Atomic int64_t fake_ms = -1;
static _Atomic int64_t
    shared_ahead_ms; /* of the monotonic clock; 0: not known */

static int64_t
clk_read_us(clockid_t id)
{
	int64_t fake = atomic_load_explicit(&fake_ms, memory_order_relaxed);
	struct timespec ts;

	if (fake >= 0)
		return fake * 1000;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clk_mono_ms(void)
{
	return clk_read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clk_mono_us(void)
{
	return clk_read_us(CLOCK_MONOTONIC);
}

int64_t
clk_wall_ms(void)
{
	return clk_read_us(CLOCK_REALTIME) / 1000;
}

int64_t
clk_wall_us(void)
{
	return clk_read_us(CLOCK_REALTIME);
}

int64_t
clk_shared_ms(void)
{
	int64_t ahead = atomic_load(&shared_ahead_ms);

	if (ahead == 0 || atomic_load(&fake_ms) >= 0)
		return clk_wall_ms();
	return clk_mono_ms() + ahead;
}

void
clk_shared_set_ms(int64_t now_ms)
{
	atomic_store(&shared_ahead_ms, now_ms - clk_mono_ms());
}

void
clk_fake_set_ms(int64_t ms)
{
	atomic_store(&fake_ms, ms);
}
