/* SPDX-License-Identifier: MIT */
/* Rates of one connection: see pace.h. */
#include "config.h"

#include "base/clk.h"
#include "bridge/pace.h"
#include "conf/conf.h"

int
pace_take(int64_t *paid_us, const struct conf_rate *rate)
{
	int64_t now_us = clk_mono_us(), each_us;

	if (rate->count == 0)
		return 1;
	each_us = rate->period_ms * 1000 / rate->count;
	if (*paid_us < now_us)
		*paid_us = now_us;
	if (*paid_us - now_us > each_us * (rate->burst - 1))
		return 0;
	*paid_us += each_us;
	return 1;
}
