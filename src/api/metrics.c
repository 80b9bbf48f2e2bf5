/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics: what the pool has counted, in Prometheus's text format. Any
 * worker answers for all. Nothing is asked of Redis for it: a monitor must get
 * its answer when Redis is away.
 */
#include "config.h"

#include <stdatomic.h>

#include "api/api_priv.h"
#include "api/status.h"
#include "base/metrics.h"
#include "base/scoreboard.h"

#define STATES 4

static void
add_version(struct buf *b)
{
	static const char name[] = "agent_fpm_build_info";

	metrics_print_head(
	    b, name, "gauge", "Which version this is; always 1.");
	metrics_print_sample(b, name, "version", PACKAGE_VERSION, 1);
}

static void
add_one(struct buf *b, const char *name, const char *type, const char *help,
    int64_t n)
{
	metrics_print_head(b, name, type, help);
	metrics_print_sample(b, name, NULL, NULL, n);
}

/* What the scoreboard knows. */
static void
add_pool(struct buf *b, struct app *app)
{
	int64_t turns = 0, viewers = 0, restarts = 0, in[STATES] = { 0 };
	static const char name[] = "agent_fpm_workers";

	for (int i = 0; i < scoreboard_workers(app->board); i++) {
		struct board_worker *w = scoreboard_row(app->board, i);

		in[atomic_load(&w->state) & (STATES - 1)]++;
		turns += atomic_load(&w->count[BOARD_TURNS]);
		viewers += atomic_load(&w->count[BOARD_VIEWERS]);
		restarts += (int64_t)atomic_load(&w->restarts);
	}
	metrics_print_head(b, name, "gauge", "Workers by their state.");
	for (int s = 0; s < STATES; s++)
		metrics_print_sample(
		    b, name, "state", api_worker_state(s), in[s]);
	add_one(b, "agent_fpm_worker_restarts_total", "counter",
	    "Workers that were started in the place of one that had ended.",
	    restarts);
	add_one(b, "agent_fpm_turns_running", "gauge",
	    "Turns that are at work.", turns);
	add_one(
	    b, "agent_fpm_viewers", "gauge", "Open event streams.", viewers);
	add_one(b, "process_start_time_seconds", "gauge",
	    "When the pool was started, in seconds since 1970.",
	    metrics_started_ms() / 1000);
}

int
metrics_get(void *call, struct err *err)
{
	struct api_call *c = call;

	if (api_check_admin(c, err) < 0)
		return -1;
	c->rs->status = 200;
	c->rs->type = "text/plain; version=0.0.4; charset=utf-8";
	http_header_add(c->rs, "Cache-Control", "no-store");
	add_version(&c->rs->body);
	add_pool(&c->rs->body, c->app);
	metrics_print(&c->rs->body);
	return 0;
}
