/* SPDX-License-Identifier: MIT */
/*
 * agent-fpm-bridge, put together: one thread and one loop. nginx connects to a
 * unix socket; a path leads to what speaks there. At the end connections are
 * closed without a word, and clients come back to whoever serves then: a close
 * of Socket.IO's own would tell them to stay away.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/gate.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "base/process.h"
#include "base/words.h"
#include "bridge/eio.h"
#include "bridge/figures.h"
#include "bridge/gateway.h"
#include "bridge/guests.h"
#include "bridge/page_hub.h"
#include "bridge/sessions.h"
#include "bridge/sio.h"
#include "bridge/tally.h"
#include "bridge/web.h"
#include "conf/conf.h"
#include "http/ask.h"
#include "store/script.h"
#include "store/store.h"

#define ACCEPT_AT_ONCE 64
#define EARLY_BYTES 16384 /* of a message that may have a token: 8 KiB */
#define ASK_TIMEOUT_MS 30000
#define ASK_ANSWER_BYTES (64 * 1024 * 1024)
#define ASK_AT_ONCE 32
#define ASK_WAITING 8192

struct gateway {
	const struct conf *conf;
	struct loop *loop;
	struct gate gate;
	struct loop_io *listen_io, *signal_io;
	struct loop_timer *pause;
	struct loop_deferred stop;
	struct asker *asker;
	struct store *store;
	struct tallies tallies;
	struct page_hub *pages;
	struct sessions *sessions;
	struct figures *figures;
	struct sio *sio;
	struct web *web;
	int signal_fd;
};

/* ---- what the web calls ---- */

static int
is_engine_io(const struct web_request *rq)
{
	return strncmp(rq->path, "/socket.io/", 11) == 0;
}

static void
on_request(void *ctx, const struct web_request *rq)
{
	struct gateway *g = ctx;

	if (is_engine_io(rq))
		eio_request(sio_eio(g->sio), rq);
	else if (!figures_request(g->figures, rq))
		web_answer(rq->conn, &(const struct web_answer){ .status = 404,
					 .type = "text/plain",
					 .headers = "",
					 .body = "404 Not Found",
					 .len = 13 });
}

static int
is_known(void *ctx, const struct web_request *rq)
{
	struct gateway *g = ctx;

	return is_engine_io(rq) && eio_is_known(sio_eio(g->sio), rq);
}

/* The site's own pages, and those of bridge.cors_origins. */
static int
is_origin_allowed(const struct conf *c, const struct web_request *rq)
{
	const char *list = c->bridge_cors_origins;
	const char *host = strstr(rq->origin, "://");

	return *rq->origin == '\0' || words_have(list, "*") ||
	       words_have(list, rq->origin) ||
	       (host != NULL && strcasecmp(host + 3, rq->host) == 0);
}

/* A browser opens WebSockets for the pages of any site. Where a token is
 * needed the page has to know it; else its origin is all that there is. */
static int
is_welcome(const struct conf *c, const struct web_request *rq)
{
	return c->bridge_auth == CONF_BRIDGE_REQUIRED ||
	       is_origin_allowed(c, rq);
}

static int
on_upgrade(void *ctx, const struct web_request *rq, struct web_answer *no)
{
	struct gateway *g = ctx;

	no->status = 403;
	if (!is_welcome(g->conf, rq))
		return 0;
	if (is_engine_io(rq))
		return eio_upgrade(sio_eio(g->sio), rq, no);
	if (page_hub_path(rq->path))
		return page_hub_upgrade(g->pages, rq, no);
	no->status = 404;
	return 0;
}

static void
on_open(void *ctx, struct web_conn *c)
{
	struct gateway *g = ctx;

	eio_web_open(sio_eio(g->sio), c);
}

static void
on_message(
    void *ctx, struct web_conn *c, int binary, const char *data, size_t len)
{
	struct gateway *g = ctx;

	eio_web_message(sio_eio(g->sio), c, binary, data, len);
}

static void
on_slow(void *ctx, struct web_conn *c)
{
	struct gateway *g = ctx;

	eio_web_slow(sio_eio(g->sio), c);
}

static void
on_gone(void *ctx, struct web_conn *c)
{
	struct gateway *g = ctx;

	eio_web_gone(sio_eio(g->sio), c);
}

/* ---- what clients of Socket.IO call ---- */

static void
on_client(void *ctx, struct sio_socket *s)
{
	struct gateway *g = ctx;

	sessions_on_connect(g->sessions, s);
}

static void
on_client_event(
    void *ctx, struct sio_socket *s, const struct sio_packet *packet)
{
	struct gateway *g = ctx;

	if (!page_hub_event(g->pages, s, packet))
		sessions_on_event(g->sessions, s, packet);
}

static void
on_client_gone(void *ctx, struct sio_socket *s)
{
	struct gateway *g = ctx;

	page_hub_socket_gone(s);
	sessions_on_gone(g->sessions, s);
}

/* ---- connections ---- */

/* No descriptor is left: it would be asked again at once. */
static void
rest(struct gateway *g)
{
	loop_io_want(g->listen_io, 0);
	loop_timer_start(g->pause, 100, 0);
}

static void
on_rested(void *arg)
{
	struct gateway *g = arg;

	loop_io_want(g->listen_io, LOOP_READ);
}

static void
on_connection(void *arg, int events)
{
	struct gateway *g = arg;
	int fd;

	(void)events;
	for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
		fd = accept4(
		    g->gate.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			web_adopt(g->web, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			rest(g);
		return;
	}
}

/* ---- the end ---- */

static void
on_stop(void *arg)
{
	struct gateway *g = arg;

	loop_stop(g->loop);
}

/* What ended is freed at the end of this tick, and then the loop stops. */
static void
on_signal(void *arg, int events)
{
	struct gateway *g = arg;

	(void)events;
	log_info("stopping; %d connections, %d pages",
	    eio_count(sio_eio(g->sio)), page_hub_count(g->pages));
	notify_send("STOPPING=1");
	loop_io_want(g->signal_io, 0);
	loop_io_want(g->listen_io, 0);
	loop_timer_stop(g->pause);
	eio_close_all(sio_eio(g->sio));
	page_hub_close_all(g->pages);
	web_close_all(g->web);
	loop_defer(g->loop, &g->stop, "stop", on_stop, g);
}

/* ---- the begin ---- */

static int
open_gate(struct gateway *g, struct err *err)
{
	const struct conf *c = g->conf;

	if (*c->bridge_listen == '\0')
		return err_set(err, ERR_CONFIG,
		    "bridge.listen is empty: set it to the path of the socket "
		    "that nginx finds the gateway at");
	g->gate = (struct gate){ .path = c->bridge_listen,
		.path_setting = "bridge.listen",
		.group = c->bridge_group,
		.group_setting = "bridge.group",
		.client = "" };
	return gate_open(&g->gate, err);
}

static int
open_web(struct gateway *g, struct err *err)
{
	const struct web_limits limits = {
		.message_bytes = (size_t)g->conf->bridge_max_payload,
		.early_bytes = EARLY_BYTES,
		.backlog_bytes = (size_t)g->conf->bridge_backlog_bytes
	};
	const struct web_calls calls = { .on_request = on_request,
		.is_known = is_known,
		.on_upgrade = on_upgrade,
		.on_open = on_open,
		.on_message = on_message,
		.on_slow = on_slow,
		.on_gone = on_gone,
		.ctx = g };

	g->web = web_new(g->loop, &limits, &calls, err);
	return g->web == NULL ? -1 : 0;
}

static void
warn_open(const struct conf *c)
{
	if (c->bridge_auth == CONF_BRIDGE_REQUIRED)
		return;
	log_warn("bridge.auth = %s: whoever reaches the gateway may use it "
		 "without a token; only for a network that is trusted",
	    c->bridge_auth == CONF_BRIDGE_OFF ? "off" : "optional");
}

static void
serve(struct gateway *g)
{
	struct loop *l = g->loop;

	g->signal_io = loop_io_new(l, "signals", g->signal_fd, on_signal, g);
	g->listen_io = loop_io_new(l, "accept", g->gate.fd, on_connection, g);
	if (g->signal_io == NULL || g->listen_io == NULL)
		abort();
	g->pause = loop_timer_new(l, "accept", on_rested, g);
	loop_io_want(g->signal_io, LOOP_READ);
	loop_io_want(g->listen_io, LOOP_READ);
	warn_open(g->conf);
	log_info("ready");
	notify_send("READY=1");
	loop_run(l);
	loop_io_free(&g->listen_io);
	loop_io_free(&g->signal_io);
	loop_timer_free(&g->pause);
}

int
gateway_run(const struct conf *c, struct err *err)
{
	struct gateway g = { .conf = c };
	const struct asker_limits limits = { ASK_TIMEOUT_MS, ASK_ANSWER_BYTES,
		ASK_AT_ONCE, ASK_WAITING };
	const struct sio_calls calls = { on_client, on_client_event,
		on_client_gone, &g };
	int rc;

	umask(0077);
	process_raise_descriptors();
	g.signal_fd = process_end_signals(); /* before anybody can connect */
	notify_init();
	script_init();
	if (open_gate(&g, err) < 0)
		return -1;
	g.loop = loop_new();
	g.asker = asker_new(g.loop, c->listen, &limits);
	g.store = store_new(c);
	g.tallies.guests = guests_new(g.loop, c);
	g.pages = page_hub_new(g.loop, c, g.store, g.asker, &g.tallies);
	g.sessions = sessions_new(g.loop, c, g.asker, g.tallies.guests);
	g.sio = sio_new(g.loop, c, g.asker, &g.tallies, &calls);
	g.figures = figures_new(g.loop, c, err);
	rc = g.figures == NULL ? -1 : open_web(&g, err);
	if (rc == 0)
		serve(&g);
	gate_close(&g.gate);
	sio_free(&g.sio);
	sessions_free(&g.sessions);
	page_hub_free(&g.pages);
	asker_free(&g.asker);
	figures_free(&g.figures);
	guests_free(&g.tallies.guests);
	tally_fini(&g.tallies.addresses);
	store_free(&g.store);
	loop_free(&g.loop);
	web_free(&g.web);
	close(g.signal_fd);
	return rc;
}
