/* SPDX-License-Identifier: MIT */
/*
 * Putting saved workspaces back, when somebody first wants one that is not
 * there. The sandbox makes it whole or not at all, and never over another; so
 * two hosts that do so at the same time do no harm, and neither does an answer
 * that was lost.
 *
 * For most agents nothing is saved, as they are no sessions; then that is all
 * there is to find out, once, before their first file is made.
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <utlist.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/json.h"
#include "base/lck.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "keep/restore.h"
#include "sandbox/client.h"
#include "store/files.h"

#define TIMES_MAX 3       /* that it is read anew */
#define RESTORE_MS 120000 /* for all of it, over a network */
#define WAIT_MS 1000
#define ARENA_BYTES 16384

/* ---- one ---- */

/* What is saved, with its contents. 1; 0 it was changed meanwhile; -1. */
static int
read_all(const struct keep *k, struct arena *a, const char *user,
    const char *agent, struct store_files *f, const char ***content_r,
    struct err *err)
{
	const char **content;

	if (store_files_look(k->store, a, user, agent, f, err) < 0)
		return -1;
	*content_r = content =
	    arena_alloc(a, (f->count + 1) * sizeof(*content));
	if (store_files_read(
		k->store, a, agent, f->files, f->count, content, err) < 0)
		return -1;
	for (size_t i = 0; i < f->count; i++)
		if (content[i] == NULL)
			return 0;
	return 1;
}

static int
put_back(const struct keep *k, struct arena *a, const char *user,
    const char *agent, const struct store_files *f, const char *const *content,
    struct err *err)
{
	struct sandbox_call call = { .op = "ws.restore",
		.arena = a,
		.user = user,
		.agent = agent,
		.timeout_ms = RESTORE_MS };
	struct buf m, data;

	buf_init(&m, a);
	buf_init(&data, a);
	buf_puts(&m, ",\"files\":[");
	for (size_t i = 0; i < f->count; i++) {
		json_open(&m, NULL, '{');
		json_add_str(&m, "path", f->files[i].path);
		json_add_int(&m, "size", f->files[i].size);
		json_add_int(&m, "mode", f->files[i].mode);
		json_close(&m, '}');
		buf_add(&data, content[i], (size_t)f->files[i].size);
	}
	json_close(&m, ']');
	call.members = m.data;
	call.data = data.data;
	call.data_len = data.len;
	if (sandbox_ask(k->sandbox, &call, err) < 0)
		return -1;
	return json_get_true(call.answer, "restored");
}

int
keep_restore(const struct keep *k, struct arena *a, const char *user,
    const char *agent, struct err *err)
{
	struct store_files f;
	const char **content;
	int rc = 0;

	for (int i = 0; i < TIMES_MAX && rc == 0; i++) {
		rc = read_all(k, a, user, agent, &f, &content, err);
		if (rc < 0 && err->code == ERR_FORBIDDEN)
			return 0; /* it is no session */
	}
	if (rc == 0)
		err_set(err, ERR_STORE, "some of what was saved is gone");
	if (rc > 0 && f.count == 0)
		return 0;
	if (rc > 0)
		rc = put_back(k, a, user, agent, &f, content, err);
	else
		rc = -1;
	if (rc < 0)
		return err_prefix(err, "the saved files are not put back");
	if (rc > 0)
		log_info("%zu saved files of %s are put back", f.count, agent);
	return rc;
}

/* ---- all that are wanted ---- */

/* A workspace that calls wait for. */
struct wanted {
	struct restorer *restorer;
	char *user, *agent;
	struct err err;
	int failed;
	struct wanted *prev, *next; /* those that are not settled */
	struct wanted *next_queued;
};

struct restorer {
	struct keep keep;
	struct loop *loop;
	pthread_t thread;
	struct wanted *all; /* the loop's thread */

	struct lck lck; /* what follows */
	struct lck_cond more;
	struct wanted *first, **tail;
	int stop;
};

static void
wanted_free(struct wanted *w)
{
	free(w->user);
	free(w->agent);
	free(w);
}

/* The loop's thread: whatever came of it, the calls go on. */
static void
on_settled(void *arg)
{
	struct wanted *w = arg;
	struct restorer *r = w->restorer;

	DL_DELETE(r->all, w);
	sandbox_settle(
	    r->keep.sandbox, w->user, w->agent, w->failed ? &w->err : NULL);
	wanted_free(w);
}

/* The loop's thread. */
static void
on_missing(void *ctx, const char *user, const char *agent)
{
	struct restorer *r = ctx;
	struct wanted *w;

	DL_FOREACH(r->all, w)
	{
		if (strcmp(w->agent, agent) == 0 && strcmp(w->user, user) == 0)
			return; /* somebody waits for it already */
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->restorer = r;
	w->user = strdup(user);
	w->agent = strdup(agent);
	if (w->user == NULL || w->agent == NULL)
		abort();
	DL_APPEND(r->all, w);
	lck_take(&r->lck);
	*r->tail = w;
	r->tail = &w->next_queued;
	lck_cond_signal(&r->more);
	lck_drop(&r->lck);
}

/* The next one; NULL: the thread is to end. */
static struct wanted *
next_wanted(struct restorer *r)
{
	struct wanted *w;

	lck_take(&r->lck);
	while (!r->stop && r->first == NULL)
		lck_cond_wait(&r->more, &r->lck, clk_mono_ms() + WAIT_MS);
	w = r->stop ? NULL : r->first;
	if (w != NULL) {
		r->first = w->next_queued;
		if (r->first == NULL)
			r->tail = &r->first;
	}
	lck_drop(&r->lck);
	return w;
}

static void *
restorer_thread(void *arg)
{
	struct restorer *r = arg;
	struct wanted *w;
	struct arena *a;

	prctl(PR_SET_NAME, "fpm-restorer");
	while ((w = next_wanted(r)) != NULL) {
		a = arena_open(ARENA_BYTES);
		w->failed =
		    keep_restore(&r->keep, a, w->user, w->agent, &w->err) < 0;
		if (w->failed)
			log_warn("%s: %s", w->agent, w->err.text);
		arena_close(&a);
		loop_post(r->loop, "restored", on_settled, w);
	}
	return NULL;
}

struct restorer *
restorer_start(const struct keep *k, struct loop *l)
{
	struct restorer *r;

	if (k->sandbox == NULL)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->keep = *k;
	r->loop = l;
	r->tail = &r->first;
	lck_init(&r->lck, LCK_KEEPER);
	lck_cond_init(&r->more);
	sandbox_on_missing(k->sandbox, on_missing, r);
	if (pthread_create(&r->thread, NULL, restorer_thread, r) != 0)
		abort();
	return r;
}

/* The loop's thread. */
static void
on_stopped(void *arg)
{
	struct restorer *r = arg;
	struct wanted *w, *tmp;
	static const struct err why = { .code = ERR_CANCELLED,
		.text = "the worker stops" };

	sandbox_on_missing(r->keep.sandbox, NULL, NULL);
	DL_FOREACH_SAFE(r->all, w, tmp)
	{
		DL_DELETE(r->all, w);
		sandbox_settle(r->keep.sandbox, w->user, w->agent, &why);
		wanted_free(w);
	}
	lck_cond_fini(&r->more);
	lck_fini(&r->lck);
	free(r);
}

void
restorer_stop(struct restorer **r_p)
{
	struct restorer *r = *r_p;

	if (r == NULL)
		return;
	*r_p = NULL;
	lck_take(&r->lck);
	r->stop = 1;
	lck_cond_signal(&r->more);
	lck_drop(&r->lck);
	pthread_join(r->thread, NULL);
	loop_post(r->loop, "restorer", on_stopped, r);
}
