/* SPDX-License-Identifier: MIT */
/* Naps of threads that look for something now and then. */
#include "config.h"

#include "base/clk.h"
#include "worker/nap.h"

void
nap_init(struct nap *n)
{
	lck_init(&n->lck, LCK_KEEPER);
	lck_cond_init(&n->wake);
	n->stop = 0;
}

void
nap_fini(struct nap *n)
{
	lck_cond_fini(&n->wake);
	lck_fini(&n->lck);
}

int
nap_ms(struct nap *n, int64_t ms)
{
	int64_t until = clk_mono_ms() + ms;
	int stop;

	lck_take(&n->lck);
	while (!n->stop && clk_mono_ms() < until)
		lck_cond_wait(&n->wake, &n->lck, until);
	stop = n->stop;
	lck_drop(&n->lck);
	return stop;
}

void
nap_stop(struct nap *n)
{
	lck_take(&n->lck);
	n->stop = 1;
	lck_cond_signal(&n->wake);
	lck_drop(&n->lck);
}
