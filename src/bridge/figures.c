/* SPDX-License-Identifier: MIT */
/*
 * Figures of the gateway: see figures.h. A gateway is one process with one
 * thread, so they need no shared memory: they begin at 0 with it.
 *
 * Who may look is as of the pool's: addresses of status.allow, as nginx says
 * them. A request without one comes from whoever may open the socket.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "base/process.h"
#include "bridge/figures.h"
#include "bridge/web.h"
#include "conf/conf.h"
#include "net/address.h"

#define EVERY_MS 1000
#define PREFIX "agent_fpm_bridge_"
#define STATUS_COLUMN 20 /* of values, on the page for people */

#define ENDS "page_commands_total"
#define ENDS_HELP "Commands for pages, by how they ended."

/* Of one metric with labels the rows are together. */
static const struct {
	const char *name;   /* behind PREFIX; */
	const char *status; /* on the page */
	const char *type, *help;
	const char *label, *value; /* or NULL */
} rows[FIGURES] = {
	[FIGURE_CONNECTIONS] = { "connections_total", "accepted conn",
	    "counter", "Connections of Engine.IO that were opened.", NULL,
	    NULL },
	[FIGURE_REFUSED] = { "refused_total", "refused", "counter",
	    "Clients that were not let in.", NULL, NULL },
	[FIGURE_DROPPED] = { "dropped_total", "dropped", "counter",
	    "Clients that did not read what they were sent.", NULL, NULL },
	[FIGURE_RECEIVED] = { "received_total", "received", "counter",
	    "Events that clients have sent.", NULL, NULL },
	[FIGURE_FED] = { "fed_total", "fed", "counter",
	    "Events of agents that were read.", NULL, NULL },
	[FIGURE_SENT] = { "sent_total", "sent", "counter",
	    "Messages that were sent to clients.", NULL, NULL },
	[FIGURE_SENT_BYTES] = { "sent_bytes_total", "sent bytes", "counter",
	    "Bytes of these.", NULL, NULL },
	[FIGURE_COMMANDS_SENT] = { "page_commands_sent_total", "commands sent",
	    "counter", "Commands that pages were sent.", NULL, NULL },
	[FIGURE_COMMANDS_ANSWERED] = { ENDS, "commands answered", "counter",
	    ENDS_HELP, "outcome", "answered" },
	[FIGURE_COMMANDS_FAILED] = { ENDS, "commands failed", "counter",
	    ENDS_HELP, "outcome", "failed" },
	[FIGURE_COMMANDS_TIMEOUT] = { ENDS, "commands timeout", "counter",
	    ENDS_HELP, "outcome", "timeout" },
	[FIGURE_COMMANDS_LOST] = { ENDS, "commands lost", "counter", ENDS_HELP,
	    "outcome", "lost" },
	[FIGURE_COMMANDS_REFUSED] = { ENDS, "commands refused", "counter",
	    ENDS_HELP, "outcome", "refused" },
	[FIGURE_COMMANDS_CANCELLED] = { ENDS, "commands cancelled", "counter",
	    ENDS_HELP, "outcome", "cancelled" },
	[FIGURE_COMMANDS_PENDING] = { "page_commands_pending",
	    "commands pending", "gauge",
	    "Commands that wait for the answer of a page.", NULL, NULL },
	[FIGURE_PAGES_B1] = { "pages", "pages B1", "gauge",
	    "Pages that can be asked.", "dialect", "B1" },
	[FIGURE_PAGES_B2] = { "pages", "pages B2", "gauge",
	    "Pages that can be asked.", "dialect", "B2" },
	[FIGURE_SOCKETS] = { "sockets", "sockets", "gauge",
	    "Clients that are let in.", NULL, NULL },
	[FIGURE_USERS] = { "users", "users", "gauge", "Whose these are.", NULL,
	    NULL },
	[FIGURE_ROOMS] = { "rooms", "rooms", "gauge",
	    "Sessions that somebody has joined.", NULL, NULL },
	[FIGURE_SEATS] = { "seats", "seats", "gauge",
	    "How often these were joined.", NULL, NULL },
	[FIGURE_REDIS_UP] = { "redis_up", "redis up", "gauge",
	    "1 if it has its connection to Redis.", NULL, NULL },
};

struct figures {
	struct networks *allow;
	struct loop_timer *timer;
	int64_t started_ms, alive_ms;
	char told[100];
};

static int64_t figures[FIGURES];

void
figure_add(enum figure f, int64_t n)
{
	figures[f] += n;
}

void
figure_set(enum figure f, int64_t n)
{
	figures[f] = n;
}

/* ---- what is shown ---- */

static int64_t
cpu_seconds(void)
{
	struct rusage u = { 0 };

	getrusage(RUSAGE_SELF, &u);
	return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
}

static void
add_metric(struct buf *b, const char *name, const char *type, const char *help,
    int64_t n)
{
	metrics_print_head(b, name, type, help);
	metrics_print_sample(b, name, NULL, NULL, n);
}

static void
put_metrics(const struct figures *g, struct buf *b)
{
	char name[64];

	for (int i = 0; i < FIGURES; i++) {
		snprintf(name, sizeof(name), PREFIX "%s", rows[i].name);
		if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
			metrics_print_head(b, name, rows[i].type, rows[i].help);
		metrics_print_sample(
		    b, name, rows[i].label, rows[i].value, figures[i]);
	}
	add_metric(b, "process_cpu_seconds_total", "counter",
	    "Processor time of the gateway.", cpu_seconds());
	add_metric(b, "process_resident_memory_bytes", "gauge",
	    "Its memory that is resident.", process_resident_bytes(getpid()));
	add_metric(b, "process_start_time_seconds", "gauge",
	    "When it was started, in seconds since 1970.",
	    g->started_ms / 1000);
}

static int64_t
uptime_s(const struct figures *g)
{
	return (clk_wall_ms() - g->started_ms) / 1000;
}

static void
put_json(const struct figures *g, struct buf *b)
{
	json_open(b, NULL, '{');
	json_add_str(b, "version", PACKAGE_VERSION);
	json_add_int(b, "start since", uptime_s(g));
	for (int i = 0; i < FIGURES; i++)
		json_add_int(b, rows[i].status, figures[i]);
	json_close(b, '}');
}

static void
put_text(const struct figures *g, struct buf *b)
{
	buf_printf(b, "%-*s %s\n", STATUS_COLUMN, "version:", PACKAGE_VERSION);
	buf_printf(b, "%-*s %lld\n", STATUS_COLUMN,
	    "start since:", (long long)uptime_s(g));
	for (int i = 0; i < FIGURES; i++)
		buf_printf(b, "%s:%*s%lld\n", rows[i].status,
		    (int)(STATUS_COLUMN - strlen(rows[i].status)), "",
		    (long long)figures[i]);
}

static const struct page {
	const char *path, *query, *type;
	void (*put)(const struct figures *g, struct buf *b);
} pages[] = {
	{ "/bridge/metrics", NULL, "text/plain; version=0.0.4; charset=utf-8",
	    put_metrics },
	{ "/bridge/status", "json", "application/json", put_json },
	{ "/bridge/status", NULL, "text/plain; charset=utf-8", put_text },
};

static const struct page *
page_find(const struct web_request *rq)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i].path, rq->path) == 0 &&
		    (pages[i].query == NULL ||
			web_query(rq, pages[i].query) != NULL))
			return &pages[i];
	return NULL;
}

static void
answer(const struct web_request *rq, int status, const char *type,
    const struct buf *b)
{
	web_answer(rq->conn, &(const struct web_answer){ .status = status,
				 .type = type,
				 .headers = "Cache-Control: no-store\r\n",
				 .body = b->data,
				 .len = b->len });
}

int
figures_request(struct figures *g, const struct web_request *rq)
{
	const struct page *p = page_find(rq);
	struct buf b;

	if (p == NULL)
		return 0;
	buf_init(&b, NULL);
	if (*rq->address != '\0' && !networks_contain(g->allow, rq->address)) {
		buf_puts(&b, "403 Forbidden");
		answer(rq, 403, "text/plain", &b);
	} else {
		p->put(g, &b);
		answer(rq, 200, p->type, &b);
	}
	buf_fini(&b);
	return 1;
}

/* ---- the service manager ---- */

static void
on_second(void *arg)
{
	struct figures *g = arg;
	int64_t now = clk_mono_ms(), half = notify_watchdog_ms() / 2;
	char text[sizeof(g->told)];

	snprintf(text, sizeof(text), "%lld clients of %lld users, %lld rooms",
	    (long long)figures[FIGURE_SOCKETS],
	    (long long)figures[FIGURE_USERS], (long long)figures[FIGURE_ROOMS]);
	if (strcmp(text, g->told) != 0)
		notify_send("STATUS=%s", text);
	memcpy(g->told, text, sizeof(text));
	if (half <= 0 || now < g->alive_ms)
		return;
	notify_send("WATCHDOG=1");
	g->alive_ms = now + half - EVERY_MS;
}

struct figures *
figures_new(struct loop *l, const struct conf *c, struct err *err)
{
	struct networks *allow = networks_parse(c->status_allow, err);
	struct figures *g;

	if (allow == NULL) {
		err_prefix(err, "status.allow");
		return NULL;
	}
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		abort();
	g->allow = allow;
	g->started_ms = clk_wall_ms();
	g->timer = loop_timer_new(l, "figures", on_second, g);
	loop_timer_start(g->timer, EVERY_MS, EVERY_MS);
	return g;
}

void
figures_free(struct figures **g_p)
{
	struct figures *g = *g_p;

	if (g == NULL)
		return;
	*g_p = NULL;
	loop_timer_free(&g->timer);
	networks_free(&g->allow);
	free(g);
}
