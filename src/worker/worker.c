/* SPDX-License-Identifier: MIT */
/*
 * A worker: puts the parts together, runs them, takes them apart.
 *
 *   request threads   src/http/accept.c, serving src/api
 *   turn threads      src/agent/runner.c, for steps of turns that block
 *   loop thread       turns, fetch, journal, hub, the two links to Redis
 *   keeper thread     keeper.c
 *   janitor thread    janitor.c, if anything is ever to be dropped, or unloaded
 *   restorer thread   src/keep/restore.c, if there is a sandbox
 *   syncer thread     syncer.c, if workspaces of sessions are saved
 *   control thread    control.c, for agent-fpm ctl
 *   this thread       waits for a signal, or for the master to be gone
 *
 * SIGQUIT: accepts no more, lets turns finish for drain_timeout. SIGTERM, or
 * the end of the master: turns stop at their last commit, and give up their
 * leases so that whoever comes next need not wait. SIGUSR2: somebody ended
 * and has no heir, so this one looks for what it held. SIGUSR1: the log file
 * was moved away.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/runner.h"
#include "agent/templates.h"
#include "api/app.h"
#include "auth/keyring.h"
#include "base/clk.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/process.h"
#include "base/scoreboard.h"
#include "conf/conf.h"
#include "http/accept.h"
#include "keep/restore.h"
#include "master/pool.h"
#include "mcp/mcp.h"
#include "model/call.h"
#include "net/address.h"
#include "net/fetch.h"
#include "net/otlp.h"
#include "net/webhook.h"
#include "sandbox/client.h"
#include "store/audit.h"
#include "store/journal.h"
#include "store/live.h"
#include "store/pages.h"
#include "store/redis_link.h"
#include "store/script.h"
#include "store/seats.h"
#include "stream/hub.h"
#include "tool/skills.h"
#include "tool/tool.h"
#include "worker/control.h"
#include "worker/janitor.h"
#include "worker/keeper.h"
#include "worker/memory.h"
#include "worker/sample.h"
#include "worker/syncer.h"
#include "worker/worker.h"

#define LOOK_EVERY_MS 20 /* whether the drain is over */
#define BEAT_MS 1000
#define FLUSH_MS 500    /* for traces */
#define ABANDON_MS 2000 /* for turns to notice that they are to stop */
#define KEYS_MS 2000    /* for issuers, before this one serves */

struct worker {
	struct app app;
	struct loop *loop;
	pthread_t loop_thread;
	struct fetcher *fetcher;
	struct webhooks *webhooks;
	struct mcp *mcp;
	struct redis_link *link;
	struct journal *journal;
	struct live *live;
	struct models *models;
	struct acceptor *acceptor;
	struct keeper *keeper;
	struct janitor *janitor;   /* NULL: nothing is ever dropped */
	struct restorer *restorer; /* NULL: there is no sandbox */
	struct syncer *syncer;     /* NULL: nothing is to be saved */
	struct control *control;   /* NULL: there is none */
	struct loop_timer *beat;
	struct sample sample;
	struct memory memory;
	int signal_fd;
	_Atomic int settled; /* what requests asked of the loop is done */
};

/* ---- what the parts tell each other; the loop's thread ---- */

static void
on_link_state(void *ctx, int up)
{
	struct worker *w = ctx;

	metric_set(METRIC_REDIS_UP, up);
	if (!up)
		return;
	journal_link_up(w->journal);
	live_ask_revoked(w->live);
}

/* A turn's log was closed. If it could not go on, its viewers are told. */
static void
on_log_closed(void *ctx, const char *agent, const struct err *why)
{
	static const char rest[] =
	    ",\"message\":\"the store is away; come back with your cursor\","
	    "\"retryable\":true";
	struct worker *w = ctx;
	struct event e = { .kind = EVENT_ERROR,
		.turn = "",
		.time_ms = clk_shared_ms(),
		.rest = rest,
		.rest_len = sizeof(rest) - 1 };
	struct frame *f;

	hub_log_closed(w->app.hub, agent);
	if (why == NULL || why->code != ERR_STORE)
		return;
	f = frame_make_unlogged(&e);
	hub_break(w->app.hub, agent, f);
	frame_unref(&f);
}

/* "interrupt AGENT TURN", "decided AGENT CALL JSON", "page REQUEST JSON",
 * "withdrawn AGENT TURN" or "surface AGENT MEMBERS"; and to all "waiting",
 * "deleted AGENT", "revoked", "revoked user HASH" or "revoked token HASH". */
static void
on_order(void *ctx, const char *text)
{
	struct worker *w = ctx;
	char agent[40], turn[40], call[64], hash[17];
	int at;

	if (strcmp(text, "waiting") == 0) {
		runner_expect(w->app.runner);
	} else if (strncmp(text, "page ", 5) == 0) {
		pages_answer(w->app.pages, text + 5);
	} else if (sscanf(text, "interrupt %39s %39s", agent, turn) == 2) {
		runner_interrupt(w->app.runner, agent, turn);
	} else if (sscanf(text, "surface %39s %n", agent, &at) == 1) {
		runner_surface(w->app.runner, agent, text + at);
	} else if (sscanf(text, "withdrawn %39s %39s", agent, turn) == 2) {
		runner_withdrawn(w->app.runner, agent, turn);
	} else if (sscanf(text, "decided %39s %63s %n", agent, call, &at) ==
		   2) {
		runner_answer(w->app.runner, agent, call, text + at);
	} else if (strncmp(text, "revoked", 7) == 0) {
		api_revoked(&w->app);
		if (sscanf(text, "revoked user %16s", hash) == 1)
			hub_revoke(w->app.hub, hash, "");
		else if (sscanf(text, "revoked token %16s", hash) == 1)
			hub_revoke(w->app.hub, "", hash);
	} else if (sscanf(text, "deleted %39s", agent) == 1) {
		runner_deleted(w->app.runner, agent);
		hub_gone(w->app.hub, agent);
	}
}

static void
on_request(void *ctx, struct FCGX_Request *rq)
{
	struct app *app = ctx;
	struct board_worker *row = scoreboard_row(app->board, app->slot);

	atomic_fetch_add(&row->busy, 1);
	api_serve(app, rq);
	atomic_fetch_sub(&row->busy, 1);
}

/* The loop runs: what the master wants to know of it. */
static void
on_beat(void *arg)
{
	struct worker *w = arg;
	struct board_worker *row = scoreboard_row(w->app.board, w->app.slot);

	row->beat_ms = clk_mono_ms();
	row->memory_bytes = process_resident_bytes(getpid());
}

static int
has_budgets(const struct app *app)
{
	struct budget_limits limits;

	budget_limits_of(app->conf, &limits);
	return budget_any(&limits) || templates_have_budgets(app->templates);
}

/* ---- putting together ---- */

static void
worker_parts_new(struct worker *w, const struct conf *c)
{
	struct live_calls calls = { .on_covered = hub_covered,
		.on_events = hub_events,
		.on_gone = hub_gone,
		.on_lost = hub_lost,
		.on_order = on_order,
		.order_ctx = w };
	struct runner_parts parts = {
		.conf = c, .on_closed = on_log_closed, .ctx = w
	};
	struct app *app = &w->app;

	w->link = redis_link_new(w->loop, c, on_link_state, w);
	w->journal = journal_new(w->loop, c, w->link);
	app->seats = seats_new(w->loop, app->store, w->link);
	app->pages = pages_new(w->loop, app->store, w->link);
	app->hub = hub_new(w->loop, c, w->journal);
	calls.ctx = app->hub;
	w->live = live_new(w->loop, c, app->store, w->link, &calls);
	hub_set_live(app->hub, w->live);
	parts.loop = w->loop;
	parts.store = app->store;
	parts.journal = w->journal;
	parts.models = w->models;
	parts.mcp = w->mcp;
	parts.templates = app->templates;
	parts.otlp = app->otlp;
	parts.tools.webhooks = w->webhooks;
	parts.tools.sandbox = app->sandbox;
	parts.tools.command_time_ms = c->sandbox_command_time_ms;
	parts.tools.pages = app->pages;
	parts.board = app->board;
	parts.slot = app->slot;
	parts.budgets = has_budgets(app);
	w->keeper = keeper_new(app);
	parts.on_room = keeper_wake;
	parts.room_ctx = w->keeper;
	app->runner = runner_new(&parts);
}

static int
worker_init(struct worker *w, const struct conf *c, int slot, struct err *err)
{
	struct app *app = &w->app;

	script_init();
	tools_init(sandbox_is_configured(c));
	app->conf = c;
	app->slot = slot;
	app->board = scoreboard_open(WORKER_FD_BOARD, err);
	if (app->board == NULL ||
	    metrics_open(WORKER_FD_METRICS, slot, err) < 0 ||
	    app_auth_init(app, c, err) < 0)
		return -1;
	app->status_allow = networks_parse(c->status_allow, err);
	if (app->status_allow == NULL)
		return err_prefix(err, "status.allow");
	app->skills = skills_load(c->skills, err);
	if (app->skills == NULL)
		return -1;
	app->templates = templates_load(c->templates, app->skills, err);
	if (app->templates == NULL ||
	    templates_check_models(app->templates, c, err) < 0)
		return -1;
	w->loop = app->loop = loop_new();
	w->fetcher = fetcher_new(w->loop);
	keyring_attach(app->keyring, w->loop, w->fetcher, app->board);
	if (sandbox_new(w->loop, w->fetcher, c, &app->sandbox, err) < 0)
		return -1;
	w->models = app->models = models_new(w->loop, w->fetcher, c, err);
	if (otlp_new(w->loop, w->fetcher, c, &app->otlp, err) < 0)
		return -1;
	w->webhooks =
	    webhooks_new(w->loop, c, templates_call_out(app->templates), err);
	w->mcp = mcp_new(w->loop, c, app->sandbox, err);
	if (w->models == NULL || w->webhooks == NULL || w->mcp == NULL)
		return -1;
	models_share(w->models, app->board);
	app->store = store_new(c);
	app->audit = audit_new(c, app->store);
	if (has_budgets(app))
		store_use_budgets(app->store);
	worker_parts_new(w, c);
	w->beat = loop_timer_new(w->loop, "beat", on_beat, w);
	loop_timer_start(w->beat, 0, BEAT_MS);
	return 0;
}

static void *
loop_thread(void *arg)
{
	prctl(PR_SET_NAME, "fpm-loop");
	loop_run(arg);
	return NULL;
}

/* ---- signals ---- */

/*
 * Waits for at most ms (-1: for ever). SIGQUIT, SIGTERM (which the end of the
 * master counts as), or 0 when the time is over.
 */
static int
wait_signal(struct worker *w, int ms)
{
	struct pollfd pfd[2] = {
		{ .fd = w->signal_fd, .events = POLLIN },
		{ .fd = WORKER_FD_ALIVE, .events = POLLIN },
	};
	struct signalfd_siginfo si;

	while (poll(pfd, 2, ms) < 0)
		if (errno != EINTR)
			abort();
	if (pfd[1].revents != 0)
		return SIGTERM;
	if (read(w->signal_fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	if (si.ssi_signo == SIGUSR1)
		log_file_reopen();
	else if (si.ssi_signo != SIGUSR2)
		return (int)si.ssi_signo;
	else if (w->keeper != NULL)
		keeper_look(w->keeper);
	return 0;
}

/* ---- the end ---- */

static void
on_abandon(void *arg)
{
	struct worker *w = arg;

	runner_abandon(w->app.runner);
}

static void
on_close_parts(void *arg)
{
	struct worker *w = arg;

	hub_close_all(w->app.hub);
	redis_link_flush(w->link); /* what they have taken is free */
	loop_stop(w->loop);
}

static void
on_settled(void *arg)
{
	atomic_store((_Atomic int *)arg, 1);
}

/* Lets turns end by themselves, and requests that wait for the end of one be
 * answered, until the deadline or a SIGTERM. */
static void
drain(struct worker *w, int64_t deadline_ms)
{
	loop_post(w->loop, "drain", on_settled, &w->settled);
	while ((!w->settled || runner_running(w->app.runner) > 0 ||
		   hub_awaiting(w->app.hub) > 0) &&
	       clk_mono_ms() < deadline_ms)
		if (wait_signal(w, LOOK_EVERY_MS) == SIGTERM)
			return;
}

/* Stops what still runs at its last commit. 1 all have stopped. */
static int
abandon(struct worker *w)
{
	int64_t deadline = clk_mono_ms() + ABANDON_MS;
	struct timespec pause = { 0, LOOK_EVERY_MS * 1000000L };

	loop_post(w->loop, "abandon", on_abandon, w);
	while (runner_running(w->app.runner) > 0 && clk_mono_ms() < deadline)
		nanosleep(&pause, NULL);
	return runner_running(w->app.runner) == 0;
}

static void
on_flush(void *arg)
{
	otlp_flush(arg);
}

/* The last spans, if the collector takes them at once. */
static void
flush_traces(struct worker *w)
{
	int64_t deadline = clk_mono_ms() + FLUSH_MS;
	struct timespec pause = { 0, LOOK_EVERY_MS * 1000000L };

	if (!otlp_is_busy(w->app.otlp))
		return;
	loop_post(w->loop, "flush", on_flush, w->app.otlp);
	while (otlp_is_busy(w->app.otlp) && clk_mono_ms() < deadline)
		nanosleep(&pause, NULL);
}

/* Everything is freed, so that a leak would be seen. */
static void
worker_free(struct worker *w)
{
	struct app *app = &w->app;

	loop_timer_free(&w->beat);
	runner_free(&app->runner);
	keeper_free(&w->keeper);
	pages_free(&app->pages);
	hub_free(&app->hub);
	seats_free(&app->seats);
	live_free(&w->live);
	journal_free(&w->journal);
	redis_link_free(&w->link);
	sandbox_free(&app->sandbox); /* its calls are fetches */
	keyring_detach(app->keyring);
	otlp_free(&app->otlp);
	fetcher_free(&w->fetcher);
	webhooks_free(&w->webhooks);
	mcp_free(&w->mcp);
	models_free(&w->models);
	loop_free(&w->loop);
	audit_free(&app->audit);
	store_free(&app->store);
	templates_free(&app->templates);
	skills_free(&app->skills);
	app_auth_fini(app);
	networks_free(&app->status_allow);
	scoreboard_free(&app->board);
	metrics_close();
	tools_fini();
}

static int
worker_stop(struct worker *w, int sig)
{
	struct app *app = &w->app;

	log_info("stopping, %d turns run", runner_running(app->runner));
	scoreboard_row(app->board, app->slot)->state = BOARD_DRAINING;
	keeper_stop(w->keeper);
	control_stop(&w->control);
	janitor_stop(&w->janitor);
	syncer_stop(&w->syncer);
	acceptor_stop(&w->acceptor);
	runner_drain(app->runner);
	if (sig == SIGQUIT)
		drain(w, clk_mono_ms() + app->conf->drain_timeout_ms);
	if (!abandon(w))
		_exit(0); /* a turn is stuck in a call of the store */
	flush_traces(w);
	restorer_stop(&w->restorer);
	loop_post(w->loop, "stop", on_close_parts, w);
	pthread_join(w->loop_thread, NULL);
	worker_free(w);
	return 0;
}

int
worker_run(const struct conf *c, int slot)
{
	static const int signals[] = { SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, 0 };
	struct worker w;
	char name[32];
	struct err err;
	int sig, ctl_fd;

	memset(&w, 0, sizeof(w));
	memory_init();
	snprintf(name, sizeof(name), "worker-%d", slot);
	log_name_set(name);
	prctl(PR_SET_NAME, "agent-fpm"); /* else it is the exec's: exe */
	prctl(PR_SET_DUMPABLE, 0);
	for (int fd = WORKER_FD_LISTEN; fd < WORKER_FD_CTL; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	ctl_fd =
	    fcntl(WORKER_FD_CTL, F_SETFD, FD_CLOEXEC) < 0 ? -1 : WORKER_FD_CTL;
	/* libfcgi would wait up to 2 s for nginx to close first. */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "20", 1);
	w.signal_fd = process_signals(signals);
	if (w.signal_fd < 0)
		abort();
	if (log_file_set(c->log_file, &err) < 0)
		log_error("%s", err.text); /* where the master's go */
	if (worker_init(&w, c, slot, &err) < 0) {
		log_error("%s", err.text);
		worker_free(&w);
		return err_info(err.code)->exit_code;
	}
	w.restorer = restorer_start(
	    &(struct keep){ c, w.app.store, w.app.sandbox }, w.loop);
	if (pthread_create(&w.loop_thread, NULL, loop_thread, w.loop) != 0)
		abort();
	keeper_start(w.keeper);
	/* Else it would refuse, for a moment, what those before it let in. */
	if (keyring_wait(w.app.keyring, KEYS_MS, &err) < 0)
		log_warn("%s; it serves without its keys", err.text);
	w.janitor = janitor_start(&w.app);
	w.syncer = syncer_start(&w.app);
	w.control = control_start(&w.app, ctl_fd);
	/* Before the first answer: who has got one may ask for an upgrade. */
	scoreboard_row(w.app.board, slot)->state = BOARD_READY;
	w.acceptor = acceptor_start(
	    WORKER_FD_LISTEN, (int)c->request_threads, on_request, &w.app);
	log_info("ready");
	do {
		sample_take(&w.sample, w.loop);
		memory_look(&w.memory);
		if (c->retention_cache_ms > 0)
			runner_forget(w.app.runner, c->retention_cache_ms);
		sig = wait_signal(&w, SAMPLE_EVERY_MS);
	} while (sig == 0);
	sample_take(&w.sample, w.loop);
	return worker_stop(&w, sig);
}
