/* SPDX-License-Identifier: MIT */
/* Health, readiness, tickets: short answers about the server itself. */
#include "config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/sessions_priv.h"
#include "api/status.h"
#include "base/clk.h"
#include "base/process.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "store/tickets.h"

#define DRAINED_RETRY_S 5

const char *
api_worker_state(int state)
{
	static const char *const names[] = { "empty", "starting", "ready",
		"draining" };

	return names[state & 3];
}

/* The pool as the scoreboard has it. Returns how many workers are ready. */
static int
add_pool(struct buf *b, struct app *app)
{
	uint64_t turns = 0, viewers = 0, restarts = 0;
	int n = scoreboard_workers(app->board), ready = 0;

	json_open(b, "workers", '[');
	for (int i = 0; i < n; i++) {
		struct board_worker *w = scoreboard_row(app->board, i);

		restarts += atomic_load(&w->restarts);
		if (atomic_load(&w->state) == BOARD_EMPTY)
			continue; /* a slot without a worker */
		json_open(b, NULL, '{');
		json_add_int(b, "pid", atomic_load(&w->pid));
		json_add_str(
		    b, "state", api_worker_state(atomic_load(&w->state)));
		json_close(b, '}');
		ready += atomic_load(&w->state) == BOARD_READY;
		turns += atomic_load(&w->count[BOARD_TURNS]);
		viewers += atomic_load(&w->count[BOARD_VIEWERS]);
	}
	json_close(b, ']');
	json_add_int(b, "turns", (int64_t)turns);
	json_add_int(b, "viewers", (int64_t)viewers);
	json_add_int(b, "restarts", (int64_t)restarts);
	return ready;
}

/* 1 if Redis answers. */
static int
add_store(struct buf *b, struct api_call *c)
{
	struct err err;
	int64_t us;
	int ok = store_ping(c->app->store, c->arena, &us, &err) == 0;

	json_open(b, "redis", '{');
	json_add_bool(b, "ok", ok);
	if (ok)
		json_add_int(b, "latencyUs", us);
	else
		json_add_str(b, "error", err.text);
	json_close(b, '}');
	return ok;
}

int
health_get(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body, parts;
	int ok;

	(void)err;
	buf_init(&parts, c->arena);
	ok = add_store(&parts, c);
	ok &= add_pool(&parts, c->app) > 0;
	http_json(c->rs, ok ? 200 : 503);
	if (!ok)
		http_header_add(c->rs, "Retry-After", "1");
	buf_putc(b, '{');
	json_add_str(b, "status", ok ? "ok" : "error");
	if (sessions_health(c)) {
		if (*c->app->conf->cors_origins == '\0')
			sessions_cors(c);
		buf_putc(b, '}');
		return 0;
	}
	json_add_str(b, "version", PACKAGE_VERSION);
	buf_putc(b, ',');
	buf_add(b, parts.data, parts.len);
	json_add_int(b, "residentBytes", process_resident_bytes(getpid()));
	buf_putc(b, '}');
	return 0;
}

int
api_check_drained(const struct app *app, struct err *err)
{
	if (!scoreboard_is_drained(app->board))
		return 0;
	err_set(err, ERR_OVERLOAD,
	    "an administrator has drained this server: it takes no new "
	    "messages for now");
	err->retry_after_s = DRAINED_RETRY_S;
	return -1;
}

int
ready_get(void *call, struct err *err)
{
	struct api_call *c = call;
	int64_t us;

	if (api_check_drained(c->app, err) < 0 ||
	    store_ping(c->app->store, c->arena, &us, err) < 0)
		return -1;
	http_json(c->rs, 200);
	buf_lit(&c->rs->body, "{\"status\":\"ready\"}");
	return 0;
}

int
live_get(void *call, struct err *err)
{
	struct api_call *c = call;

	(void)err;
	http_json(c->rs, 200);
	buf_lit(&c->rs->body, "{\"status\":\"live\"}");
	return 0;
}

int
tickets_post(void *call, struct err *err)
{
	struct api_call *c = call;
	struct buf *b = &c->rs->body;
	const struct store_ticket whose = { c->user, c->tenant, c->jti,
		c->expires_s, c->issued_s };
	const char *ticket;

	if (store_ticket_make(c->app->store, c->arena, &whose, &ticket, err) <
	    0)
		return -1;
	http_json(c->rs, 201);
	buf_putc(b, '{');
	json_add_str(b, "ticket", ticket);
	json_add_int(b, "expiresIn", 60);
	buf_putc(b, '}');
	return 0;
}
