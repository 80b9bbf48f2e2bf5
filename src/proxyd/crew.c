/* SPDX-License-Identifier: MIT */
/* Threads that are waited for: see crew.h. */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clk.h"
#include "proxyd/crew.h"

#define STACK_BYTES (512u << 10) /* the resolver wants some */
#define WAIT_MS 1000

struct member {
	struct crew *crew;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

void
crew_init(struct crew *c, int max)
{
	lck_init(&c->lck, LCK_CREW);
	lck_cond_init(&c->ended);
	c->count = 0;
	c->max = max;
	c->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->room_fd < 0)
		abort();
}

void
crew_fini(struct crew *c)
{
	lck_take(&c->lck);
	while (c->count > 0)
		lck_cond_wait(&c->ended, &c->lck, clk_mono_ms() + WAIT_MS);
	lck_drop(&c->lck);
	lck_cond_fini(&c->ended);
	lck_fini(&c->lck);
	close(c->room_fd);
}

int
crew_has_room(struct crew *c)
{
	eventfd_t n;
	int has;

	eventfd_read(c->room_fd, &n);
	lck_take(&c->lck);
	has = c->count < c->max;
	lck_drop(&c->lck);
	return has;
}

/* The last that a thread does with the crew: it may be gone then. */
static void
leave(struct crew *c)
{
	lck_take(&c->lck);
	eventfd_write(c->room_fd, 1); /* does not block */
	c->count--;
	lck_cond_broadcast(&c->ended);
	lck_drop(&c->lck);
}

static void *
member_run(void *arg)
{
	struct member m = *(struct member *)arg;

	free(arg);
	prctl(PR_SET_NAME, m.name);
	m.fn(m.arg);
	leave(m.crew);
	return NULL;
}

int
crew_start(struct crew *c, const char *name, void (*fn)(void *arg), void *arg)
{
	struct member *m = calloc(1, sizeof(*m));
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (m == NULL)
		abort();
	*m = (struct member){ c, name, fn, arg };
	lck_take(&c->lck);
	c->count++;
	lck_drop(&c->lck);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, member_run, m);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return 0;
	free(m);
	leave(c);
	return -1;
}
