/* SPDX-License-Identifier: MIT */
/* A mutex, a condition and a flag: how a turn thread waits for the loop. */
#include "config.h"

#include "base/clk.h"
#include "base/future.h"

#define LOOK_EVERY_MS 10000

void
future_init(struct future *f)
{
	lck_init(&f->lck, LCK_FUTURE);
	lck_cond_init(&f->cond);
	f->done = 0;
}

void
future_fini(struct future *f)
{
	/* The one that set it may still be inside lck_drop. */
	lck_take(&f->lck);
	lck_drop(&f->lck);
	lck_cond_fini(&f->cond);
	lck_fini(&f->lck);
}

void
future_set(struct future *f)
{
	lck_take(&f->lck);
	f->done = 1;
	lck_cond_signal(&f->cond);
	lck_drop(&f->lck);
}

void
future_wait(struct future *f)
{
	while (!future_wait_until(f, clk_mono_ms() + LOOK_EVERY_MS))
		continue;
}

int
future_wait_until(struct future *f, int64_t deadline_ms)
{
	int done;

	lck_take(&f->lck);
	while (!f->done && clk_mono_ms() < deadline_ms)
		lck_cond_wait(&f->cond, &f->lck, deadline_ms);
	done = f->done;
	lck_drop(&f->lck);
	return done;
}
