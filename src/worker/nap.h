/* SPDX-License-Identifier: MIT */
#ifndef WORKER_NAP_H
#define WORKER_NAP_H

#include <stdint.h>

#include "base/lck.h"

/* How threads that look for something now and then wait, and are stopped. */
struct nap {
	struct lck lck;
	struct lck_cond wake;
	int stop;
};

void nap_init(struct nap *n);
void nap_fini(struct nap *n);

/* Waits for so long, or until nap_stop. 1: the thread is to end. */
int nap_ms(struct nap *n, int64_t ms);

/* From now on no nap lasts. Any thread. */
void nap_stop(struct nap *n);

#endif
