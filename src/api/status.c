/* SPDX-License-Identifier: MIT */
/*
 * GET /status: the pool at a glance, in the words of php-fpm where they fit.
 * Any worker answers for all, out of shared memory: nothing is asked of Redis,
 * and nothing that is stuck is waited for.
 *
 * ?json and ?html choose the form, else Accept does, else it is text. ?full
 * adds a table of workers, and the turns that run.
 */
#include "config.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/api_priv.h"
#include "api/status.h"
#include "base/clk.h"
#include "base/metrics.h"
#include "base/process.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "master/scale.h"

#define SECOND_US 1000000

#define FIELD(type, name, json, member)                                        \
	{                                                                      \
		name, json, offsetof(struct type, member)                      \
	}

const struct status_field status_fields[] = {
	FIELD(status, "start since", "startSince", since_s),
	FIELD(status, "accepted conn", "acceptedConn", accepted),
	FIELD(status, "active requests", "activeRequests", active_requests),
	FIELD(status, "request threads", "requestThreads", request_threads),
	FIELD(status, "idle processes", "idleProcesses", idle),
	FIELD(status, "active processes", "activeProcesses", active),
	FIELD(status, "total processes", "totalProcesses", total),
	FIELD(status, "process restarts", "processRestarts", restarts),
	FIELD(status, "running turns", "runningTurns", turns),
	FIELD(status, "finished turns", "finishedTurns", turns_done),
	FIELD(status, "open streams", "openStreams", viewers),
	FIELD(status, "waiting agents", "waitingAgents", waiting),
	FIELD(status, "first waits for", "firstWaitsFor", oldest_s),
	FIELD(status, "redis up", "redisUp", redis_up),
	FIELD(status, "drained", "drained", drained),
	{ NULL, NULL, 0 },
};

const struct status_field status_worker_fields[] = {
	FIELD(status_worker, "start since", "startSince", since_s),
	FIELD(status_worker, "restarts", "restarts", restarts),
	FIELD(status_worker, "requests", "requests", requests),
	FIELD(status_worker, "running turns", "runningTurns", turns),
	FIELD(status_worker, "finished turns", "finishedTurns", turns_done),
	FIELD(status_worker, "open streams", "openStreams", viewers),
	FIELD(status_worker, "resident bytes", "residentBytes", resident_bytes),
	{ NULL, NULL, 0 },
};

int64_t
status_number(const struct status_field *f, const void *base)
{
	int64_t n;

	memcpy(&n, (const char *)base + f->offset, sizeof(n));
	return n;
}

int64_t
status_age_ms(const struct status *s, int64_t us)
{
	return us < s->now_us ? (s->now_us - us) / 1000 : 0;
}

const char *
status_time(struct arena *a, int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[64];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%d/%b/%Y:%H:%M:%S +0000", &tm);
	return arena_strdup(a, text);
}

/* ---- looking ---- */

static void
look_at_worker(struct status *s, struct status_worker *w,
    struct board_worker *row, int64_t now_ms)
{
	int64_t started_ms = atomic_load(&row->started_ms);
	int state = atomic_load(&row->state);

	w->pid = atomic_load(&row->pid);
	w->state = api_worker_state(state);
	w->since_s = started_ms == 0 ? 0 : (now_ms - started_ms) / 1000;
	w->started_ms =
	    started_ms == 0 ? 0 : clk_wall_ms() - (now_ms - started_ms);
	w->restarts = (int64_t)atomic_load(&row->restarts);
	w->requests = (int64_t)atomic_load(&row->requests);
	w->turns_done = (int64_t)atomic_load(&row->turns_done);
	w->turns = atomic_load(&row->count[BOARD_TURNS]);
	w->viewers = atomic_load(&row->count[BOARD_VIEWERS]);
	s->restarts += w->restarts;
	s->turns += w->turns;
	s->viewers += w->viewers;
	s->total += w->pid != 0;
	s->active += state == BOARD_READY && w->turns > 0;
	s->idle += state == BOARD_READY && w->turns == 0;
}

static void
look_at_pool(struct status *s, struct app *app)
{
	int64_t now_ms = s->now_us / 1000;

	s->version = PACKAGE_VERSION;
	s->pm = scale_mode_name((enum scale_mode)app->conf->pm);
	s->started_ms = metrics_started_ms();
	s->since_s = (clk_wall_ms() - s->started_ms) / 1000;
	s->accepted = metric_total(METRIC_REQUESTS);
	s->active_requests = metric_total(METRIC_REQUESTS_ACTIVE);
	s->turns_done = metric_total(METRIC_TURNS);
	s->waiting = metric_total(METRIC_QUEUE_WAITING);
	s->oldest_s = metric_total(METRIC_QUEUE_AGE);
	s->redis_up = metric_total(METRIC_REDIS_UP);
	s->drained = scoreboard_is_drained(app->board);
	for (size_t i = 0; i < s->worker_count; i++)
		look_at_worker(s, &s->workers[i],
		    scoreboard_row(app->board, (int)i), now_ms);
	s->request_threads = s->total * app->conf->request_threads;
}

static int
by_age(const void *a, const void *b)
{
	const struct running_turn *x = a, *y = b;

	return x->began_us < y->began_us ? -1 : x->began_us > y->began_us;
}

static void
look_closer(struct status *s, struct arena *a)
{
	size_t max = s->worker_count * RUNNING_PER_WORKER;

	for (size_t i = 0; i < s->worker_count; i++)
		s->workers[i].resident_bytes =
		    process_resident_bytes(s->workers[i].pid);
	s->running = arena_alloc(a, (max + 1) * sizeof(*s->running));
	s->running_count = running_list(s->running, max);
	qsort(s->running, s->running_count, sizeof(*s->running), by_age);
}

void
status_look(struct app *app, struct arena *a, int full, struct status *s_r)
{
	*s_r = (struct status){ .now_us = clk_mono_us() };
	s_r->worker_count = (size_t)scoreboard_workers(app->board);
	s_r->workers =
	    arena_alloc(a, s_r->worker_count * sizeof(*s_r->workers));
	memset(s_r->workers, 0, s_r->worker_count * sizeof(*s_r->workers));
	look_at_pool(s_r, app);
	if (full)
		look_closer(s_r, a);
}

/* ---- the form ---- */

static int
wants(const struct api_call *c, const char *query, const char *type)
{
	const char *accept = http_header(c->rq, "HTTP_ACCEPT");

	if (http_query(c->rq, "json") != NULL ||
	    http_query(c->rq, "html") != NULL)
		return http_query(c->rq, query) != NULL;
	/* That anything will do is no wish. */
	return accept != NULL && strstr(accept, type) != NULL &&
	       api_accepts(c, type);
}

int
status_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct status s;
	struct buf *b = &c->rs->body;
	int full = http_query(c->rq, "full") != NULL;

	if (api_check_admin(c, err) < 0)
		return -1;
	status_look(c->app, c->arena, full, &s);
	http_header_add(c->rs, "Cache-Control", "no-store");
	http_header_add(c->rs, "Vary", "Accept");
	http_json(c->rs, 200);
	if (wants(c, "json", "application/json")) {
		status_add_json(b, &s, full);
	} else if (wants(c, "html", "text/html")) {
		c->rs->type = "text/html; charset=utf-8";
		status_add_html(b, &s, c->arena, full);
	} else {
		c->rs->type = "text/plain; charset=utf-8";
		status_add_text(b, &s, c->arena, full);
	}
	return 0;
}
