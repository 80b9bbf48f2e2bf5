/* SPDX-License-Identifier: MIT */
/* What a command needs of the parts of a worker: the store, which its own
 * thread waits for, and the sandbox, whose client lives on a loop. */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/loop.h"
#include "conf/conf.h"
#include "ctl/ctl_priv.h"
#include "net/fetch.h"
#include "sandbox/client.h"
#include "store/script.h"
#include "store/store.h"

struct means {
	struct store *store;
	struct loop *loop;
	struct fetcher *fetcher;
	struct sandbox *sandbox;
	pthread_t thread;
	int running;
};

static void *
loop_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

int
means_new(const struct conf *c, struct means **m_r, struct err *err)
{
	struct means *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	script_init();
	m->loop = loop_new();
	m->fetcher = fetcher_new(m->loop);
	if (sandbox_new(m->loop, m->fetcher, c, &m->sandbox, err) < 0) {
		means_free(&m);
		return -1;
	}
	m->store = store_new(c);
	if (pthread_create(&m->thread, NULL, loop_thread, m->loop) != 0)
		abort();
	m->running = 1;
	*m_r = m;
	return 0;
}

void
means_free(struct means **m_p)
{
	struct means *m = *m_p;

	if (m == NULL)
		return;
	*m_p = NULL;
	if (m->running) {
		loop_stop(m->loop);
		pthread_join(m->thread, NULL);
	}
	sandbox_free(&m->sandbox);
	fetcher_free(&m->fetcher);
	loop_free(&m->loop);
	store_free(&m->store);
	free(m);
}

struct store *
means_store(struct means *m)
{
	return m->store;
}

struct sandbox *
means_sandbox(struct means *m)
{
	return m->sandbox;
}
