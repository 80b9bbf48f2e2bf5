/* SPDX-License-Identifier: MIT */
/*
 * Retention, and sessions that are idle.
 *
 * A walk is a SCAN over the agents of everybody; each is judged by the rules
 * of its template. All that is dropped of an agent is dropped by a script with
 * bounded work (retain.lua), and between steps there is a pause, so neither
 * Redis nor turns notice. Who walks is who gets the key `janitor` first, which
 * lasts until the next walk is due: one that dies on its way is followed by
 * the next then.
 *
 * Sessions that nobody has spoken to for a while are unloaded by whoever gets
 * another key first; those that are loaded are in a list by their last
 * activity, so nothing is walked over.
 *
 * An agent that is idle for too long is deleted when the sandbox answers: its
 * record first, if it is still idle, and then its files. That these are to be
 * deleted is noted with the first, so that a walk after a crash finds them.
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/template_retention.h"
#include "agent/templates.h"
#include "api/app.h"
#include "base/arena.h"
#include "base/clk.h"
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "keep/sync.h"
#include "sandbox/client.h"
#include "sandbox/stop_jobs.h"
#include "store/files.h"
#include "store/records.h"
#include "store/retain.h"
#include "store/sessions.h"
#include "worker/janitor.h"
#include "worker/nap.h"

#define PAUSE_MS 10         /* between two steps */
#define LOOK_EVERY_MS 60000 /* whether a walk is due; or more often */
#define TIMES_MAX 1000      /* that one agent is asked about in a walk */
#define DEPTH_MAX 16        /* of sub-agents: task.depth's */
#define IDLE_BATCH 100      /* sessions */
#define IDLE_LOOKS 10       /* in the time after which one is idle */

struct janitor {
	struct app *app;
	pthread_t thread;
	struct nap nap;
	int retains; /* anything is ever to be dropped */
	int64_t agents, events, calls, windows, retired, files; /* a walk's */
};

static int
ask_files(struct janitor *j, struct sandbox_call *call, const char *user,
    const char *agent, struct err *err)
{
	call->user = user;
	call->agent = agent;
	if (j->app->sandbox == NULL)
		return 0;
	return sandbox_ask(j->app->sandbox, call, err);
}

/* The files of one that is deleted. */
static int
delete_files(struct janitor *j, struct arena *a, const char *user,
    const char *agent, struct err *err)
{
	struct sandbox_call call = { .op = "ws.delete", .arena = a };

	if (ask_files(j, &call, user, agent, err) < 0)
		return err_prefix(
		    err, "%s is deleted, its files are left", agent);
	return store_retired_forget(j->app->store, a, user, agent, err);
}

/* Others would fail as this did. */
static int
is_away(const struct err *err)
{
	return err->code == ERR_STORE || err->code == ERR_OVERLOAD ||
	       err->code == ERR_TIMEOUT;
}

/* What was left by one who died between the two, or found no sandbox. */
static void
delete_left_files(struct janitor *j)
{
	struct arena *a = arena_open(4096);
	const char *user, *agent;
	int64_t failed = 0;
	struct err err;
	int rc;

	while ((rc = store_retired_next(
		    j->app->store, a, failed, &user, &agent, &err)) > 0 &&
	       !nap_ms(&j->nap, PAUSE_MS)) {
		if (delete_files(j, a, user, agent, &err) < 0) {
			log_warn("retention: %s", err.text);
			failed++;
			if (is_away(&err))
				break;
		}
		arena_reset(a);
	}
	if (rc < 0)
		log_warn("retention: %s", err.text);
	arena_close(&a);
}

/* One that was idle too long, unless it is at work by now: 1, 0 or -1. Before
 * it go its sub-agents, which nobody would find without it; it stays while one
 * of them does. */
static int
retire_all(struct janitor *j, struct arena *a, const char *user,
    const char *agent, int64_t idle_ms, int depth, struct err *err)
{
	const char **children;
	size_t n;
	int rc;

	if (store_children(j->app->store, a, agent, &children, &n, err) < 0)
		return -1;
	for (size_t i = 0; depth < DEPTH_MAX && i < n; i++) {
		rc = retire_all(
		    j, a, user, children[i], idle_ms, depth + 1, err);
		if (rc == 0 || (rc < 0 && err->code != ERR_FORBIDDEN))
			return rc;
	}
	rc = store_agent_retire(j->app->store, a, user, agent, idle_ms, err);
	if (rc <= 0)
		return rc;
	j->retired++;
	crash_point("delete-retired");
	return delete_files(j, a, user, agent, err) < 0 ? -1 : 1;
}

static int
retire(struct janitor *j, struct arena *a, const char *user, const char *agent,
    int64_t idle_ms, struct err *err)
{
	struct sandbox_call ping = { .op = "ping", .arena = a };

	if (ask_files(j, &ping, "", "", err) < 0)
		return -1;
	return retire_all(j, a, user, agent, idle_ms, 0, err);
}

/* Files that are too old or too many. A turn that begins meanwhile may see
 * them go: they are no others than it would have missed a moment later. */
static int
trim(struct janitor *j, struct arena *a, const char *user, const char *agent,
    const struct store_rules *rules, struct err *err)
{
	struct sandbox_call call = { .op = "ws.trim", .arena = a };
	int64_t n = 0;

	if (rules->files_ms + rules->files_bytes == 0 ||
	    j->app->sandbox == NULL)
		return 0;
	call.members =
	    arena_printf(a, ",\"age_ms\":%" PRId64 ",\"max_bytes\":%" PRId64,
		rules->files_ms, rules->files_bytes);
	if (ask_files(j, &call, user, agent, err) < 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	json_get_int(call.answer, "files", &n);
	j->files += n;
	if (n == 0)
		return 0;
	return store_files_mark(j->app->store, a, user, agent, err);
}

static int
look_at(struct janitor *j, struct arena *a, const char *agent,
    const struct store_rules *rules, struct err *err)
{
	struct store_dropped d;
	int times = 0;

	j->agents++;
	do {
		if (store_retain(j->app->store, a, agent, rules, &d, err) < 0)
			return -1;
		j->events += d.events;
		j->calls += d.calls;
		j->windows += d.windows;
		if (d.user != NULL && d.idle)
			return retire(
			    j, a, d.user, agent, rules->agents_ms, err);
	} while (d.more && ++times < TIMES_MAX && !nap_ms(&j->nap, PAUSE_MS));
	return d.user != NULL && d.files ? trim(j, a, d.user, agent, rules, err)
					 : 0;
}

static int
step(struct janitor *j, struct arena *a, char cursor[24], struct err *err)
{
	const struct agent_template *t;
	const char **ids, **templates, *next;
	struct store_rules rules;
	size_t count;
	int rc;

	if (store_agents_step(j->app->store, a, cursor, &next, &ids, &templates,
		&count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		t = templates_find(j->app->templates, templates[i]);
		template_retention(t, j->app->conf, &rules);
		rc = look_at(j, a, ids[i], &rules, err);
		if (rc < 0 && err->code == ERR_STORE)
			return -1;
		if (rc < 0)
			log_warn("retention: %s", err->text);
	}
	snprintf(cursor, 24, "%s", next);
	return 0;
}

static void
walk(struct janitor *j)
{
	struct arena *a = arena_open(65536);
	int64_t began = clk_mono_ms();
	char cursor[24] = "0";
	struct err err;
	int rc;

	delete_left_files(j);
	j->agents = j->events = j->calls = j->windows = j->retired = j->files =
	    0;
	do {
		rc = step(j, a, cursor, &err);
		arena_reset(a);
	} while (
	    rc == 0 && strcmp(cursor, "0") != 0 && !nap_ms(&j->nap, PAUSE_MS));
	if (rc < 0)
		log_warn("retention: %s; the next walk goes on", err.text);
	if (j->events + j->calls + j->windows + j->retired + j->files > 0)
		log_info("retention: of %" PRId64 " agents dropped %" PRId64
			 " entries of events, %" PRId64
			 " records of tool calls, %" PRId64 " windows, %" PRId64
			 " files; deleted %" PRId64 "; in %" PRId64 " ms",
		    j->agents, j->events, j->calls, j->windows, j->files,
		    j->retired, clk_mono_ms() - began);
	arena_close(&a);
}

/* 1 if there is anything to drop at all. */
static int
is_wanted(const struct janitor *j)
{
	struct store_rules rules;
	const struct agent_template *t;

	template_retention(NULL, j->app->conf, &rules);
	for (size_t i = 0;; i++) {
		if (!retains_all(&rules))
			return 1;
		t = templates_at(j->app->templates, i);
		if (t == NULL)
			return 0;
		template_retention(t, j->app->conf, &rules);
	}
}

/* ---- sessions ---- */

/* What was made since it was looked at last. */
static void
save_files(
    struct janitor *j, struct arena *a, const char *user, const char *agent)
{
	const struct conf *c = j->app->conf;
	struct keep keep = { c, j->app->store, j->app->sandbox };
	struct keep_synced got;
	struct err err;

	if (keep_sync(
		&keep, a, user, agent, c->sandbox_timeout_ms, &got, &err) < 0)
		log_warn("files of %s are not saved yet: %s", agent, err.text);
}

static int
expire(struct janitor *j, struct arena *a, const char *base, int64_t before_ms,
    struct err *err)
{
	const char *user, *agent;
	int rc = store_session_expire(
	    j->app->store, a, base, before_ms, &user, &agent, err);

	if (rc > 0 &&
	    sandbox_stop_jobs(j->app->sandbox, a, user, agent, err) < 0)
		log_warn("%s: jobs are left to run: %s", agent, err->text);
	if (rc > 0)
		save_files(j, a, user, agent);
	return rc;
}

/* Unloads all that are idle. */
static void
expire_all(struct janitor *j)
{
	int64_t before = clk_shared_ms() - j->app->conf->bridge_idle_timeout_ms;
	struct arena *a = arena_open(16384);
	int64_t unloaded = 0;
	const char **bases;
	struct err err;
	size_t count;
	int rc;

	do {
		rc = store_sessions_idle(
		    j->app->store, a, before, IDLE_BATCH, &bases, &count, &err);
		for (size_t i = 0; rc >= 0 && i < count; i++) {
			rc = expire(j, a, bases[i], before, &err);
			unloaded += rc > 0;
		}
		arena_reset(a);
	} while (rc >= 0 && count == IDLE_BATCH && !nap_ms(&j->nap, PAUSE_MS));
	if (rc < 0)
		log_warn("idle sessions: %s; the next look goes on", err.text);
	if (unloaded > 0)
		log_info("unloaded %" PRId64 " idle sessions", unloaded);
	arena_close(&a);
}

/* ---- the thread ---- */

/* How often to look whether something is due: as often as the more frequent of
 * both may be, and once a minute at least. */
static int64_t
look_every_ms(const struct janitor *j, int64_t idle_every_ms)
{
	int64_t every = LOOK_EVERY_MS;

	if (j->retains && j->app->conf->retention_sweep_ms < every)
		every = j->app->conf->retention_sweep_ms;
	if (idle_every_ms > 0 && idle_every_ms < every)
		every = idle_every_ms;
	return every;
}

/* Who is the first of all hosts does what is due. */
static void
look(struct janitor *j, struct arena *a, int64_t idle_every_ms)
{
	struct err err;
	int rc = 0;

	if (j->retains) {
		rc = store_walk_take(
		    j->app->store, a, j->app->conf->retention_sweep_ms, &err);
		if (rc > 0)
			walk(j);
	}
	if (rc >= 0 && idle_every_ms > 0) {
		rc = store_sessions_take(j->app->store, a, idle_every_ms, &err);
		if (rc > 0)
			expire_all(j);
	}
	if (rc < 0)
		log_debug("janitor: %s", err.text);
}

static void *
janitor_thread(void *arg)
{
	struct janitor *j = arg;
	int64_t idle_every = j->app->conf->bridge_idle_timeout_ms / IDLE_LOOKS;
	struct arena *a = arena_open(4096);
	int64_t every;

	prctl(PR_SET_NAME, "fpm-janitor");
	if (idle_every > LOOK_EVERY_MS)
		idle_every = LOOK_EVERY_MS;
	every = look_every_ms(j, idle_every);
	while (!nap_ms(&j->nap, every)) {
		look(j, a, idle_every);
		arena_reset(a);
	}
	arena_close(&a);
	return NULL;
}

struct janitor *
janitor_start(struct app *app)
{
	struct janitor *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->app = app;
	j->retains = is_wanted(j);
	if (!j->retains && app->conf->bridge_idle_timeout_ms == 0) {
		free(j);
		return NULL;
	}
	nap_init(&j->nap);
	if (pthread_create(&j->thread, NULL, janitor_thread, j) != 0)
		abort();
	return j;
}

void
janitor_stop(struct janitor **j_p)
{
	struct janitor *j = *j_p;

	if (j == NULL)
		return;
	*j_p = NULL;
	nap_stop(&j->nap);
	pthread_join(j->thread, NULL);
	nap_fini(&j->nap);
	free(j);
}
