/* SPDX-License-Identifier: MIT */
/*
 * How a turn thread waits for the loop. A semaphore, not a mutex and a
 * condition: those wake the waiter only to make it wait for the mutex, two
 * switches for one, and a turn is woken twice. glibc's may be destroyed as
 * soon as the wait has returned (sem_post does not touch it afterwards).
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/future.h"

void
future_init(struct future *f)
{
	if (sem_init(&f->sem, 0, 0) != 0)
		abort();
}

void
future_fini(struct future *f)
{
	sem_destroy(&f->sem);
}

void
future_set(struct future *f)
{
	if (sem_post(&f->sem) != 0)
		abort();
}

void
future_wait(struct future *f)
{
	while (sem_wait(&f->sem) != 0)
		if (errno != EINTR)
			abort();
}
