/* SPDX-License-Identifier: MIT */
/*
 * Looks for workspaces that are to be saved.
 *
 * Who changes files, or lets a tool do so, puts the session into a list with a
 * time that is before the interval's end. Whoever takes one from there sets its
 * time anew in the same step, so two never have the same, and one that dies
 * meanwhile is followed by another when that time has come. It leaves the list
 * when a look has found nothing that runs, and nothing was touched since.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "api/app.h"
#include "base/arena.h"
#include "base/log.h"
#include "conf/conf.h"
#include "keep/sync.h"
#include "store/files.h"
#include "worker/nap.h"
#include "worker/syncer.h"

#define LOOKS 20          /* in an interval: what is late is little */
#define LOOK_MIN_MS 20    /* but no more often, */
#define LOOK_MAX_MS 1000  /* and as often at least */
#define BATCH 20          /* workspaces */
#define ARENA_BYTES 65536 /* for one */

struct syncer {
	struct app *app;
	pthread_t thread;
	struct nap nap;
	int failing; /* Redis or the sandbox, and it was said */
};

static void
complain(struct syncer *s, const char *agent, const struct err *err)
{
	if (err->code == ERR_FORBIDDEN)
		return; /* it was deleted meanwhile */
	if (!s->failing)
		log_warn("files of %s are not saved yet: %s; it is tried again",
		    agent, err->text);
	s->failing = 1;
}

static void
sync_one(struct syncer *s, const char *base)
{
	struct arena *a = arena_open(ARENA_BYTES);
	const struct conf *c = s->app->conf;
	struct keep keep = { c, s->app->store, s->app->sandbox };
	const char *user, *agent = base;
	struct keep_synced got;
	struct err err;
	int rc = store_files_take(s->app->store, a, base, &user, &agent, &err);

	if (rc > 0)
		rc = keep_sync(
		    &keep, a, user, agent, c->sandbox_timeout_ms, &got, &err);
	if (rc < 0)
		complain(s, agent, &err);
	else
		s->failing = 0;
	arena_close(&a);
}

/* 1 there may be more that are due. */
static int
look(struct syncer *s)
{
	struct arena *a = arena_open(4096);
	const char **bases;
	struct err err;
	size_t count = 0;

	if (store_files_due(s->app->store, a, BATCH, &bases, &count, &err) < 0)
		log_debug("syncer: %s", err.text);
	for (size_t i = 0; i < count && nap_ms(&s->nap, 0) == 0; i++)
		sync_one(s, bases[i]);
	arena_close(&a);
	return count == BATCH;
}

static void *
syncer_thread(void *arg)
{
	struct syncer *s = arg;
	int64_t every = s->app->conf->bridge_sync_interval_ms / LOOKS;

	prctl(PR_SET_NAME, "fpm-syncer");
	if (every < LOOK_MIN_MS)
		every = LOOK_MIN_MS;
	if (every > LOOK_MAX_MS)
		every = LOOK_MAX_MS;
	while (!nap_ms(&s->nap, every))
		while (look(s) && !nap_ms(&s->nap, 0))
			;
	return NULL;
}

struct syncer *
syncer_start(struct app *app)
{
	struct syncer *s;

	if (app->sandbox == NULL || app->conf->bridge_sync_interval_ms == 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->app = app;
	nap_init(&s->nap);
	if (pthread_create(&s->thread, NULL, syncer_thread, s) != 0)
		abort();
	return s;
}

void
syncer_stop(struct syncer **s_p)
{
	struct syncer *s = *s_p;

	if (s == NULL)
		return;
	*s_p = NULL;
	nap_stop(&s->nap);
	pthread_join(s->thread, NULL);
	nap_fini(&s->nap);
	free(s);
}
