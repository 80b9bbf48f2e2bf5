/* SPDX-License-Identifier: MIT */
/*
 * bench-load: many clients of agent-fpm, or of a bare model for comparison,
 * from one thread that waits in epoll.
 *
 * A client is a connection that carries one request after another. A mode (a
 * row of a table) only says how many clients there are, how many requests
 * they share, for how long, and which request is made; an API (a row of
 * another table) says how a request looks and how its events are recognised.
 * All modes run the same loop and print the same JSON line.
 *
 * What counts as an answer is strict, since a benchmark that takes a cut for
 * an end measures nothing: the API's last event must have been seen, saying
 * that the turn was completed, and the HTTP message must have ended; with
 * --expect also every token. All else is an error with a class. A connection
 * is kept unless the server or --close says otherwise.
 *
 * Times are per request. They start before connect, or before the request is
 * sent on a kept connection; the first byte is the header's, the first event
 * the first data line that carries the model's text. The gap between events
 * is that between reads which brought text: events that come together have
 * none. CPU is this program's own.
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clk.h"
#include "load.h"

#define LOAD_IDS_MAX 200000
#define LOAD_START_BATCH 32 /* clients started between two looks at epoll */
#define LOAD_TICK_MS 50     /* how often deadlines are checked */
#define LOAD_PACE_MS 2      /* how often --rate is looked at */
#define LOAD_FOREVER (INT64_MAX / 4)

static const char *const fail_names[FAIL_COUNT] = { "connect", "status", "cut",
	"reset", "timeout", "event", "short", "format" };

struct mode {
	const char *name;
	enum load_request request;
	int clients;  /* default; 0: one for each of --count */
	int opening;  /* default: how many may wait for their first byte */
	int own;      /* each client needs an agent of its own */
	int requests; /* 1 --count, 0 without bound */
	int hold;     /* an answer's header is all that is waited for */
};

struct load_opt load_opt = {
	.api = "fpm",
	.message = "fast 100",
	.expect = -1,
	.count = 100,
	.errors = 1000,
	.seconds = 10,
	.timeout = 60,
	.total = 900,
};
struct load_run load_run;
struct load_count load_count;

static const struct net_opt opt_table[] = {
	{ "api", NET_TEXT, &load_opt.api, 0, 0, "fpm or model (fpm)" },
	{ "port", NET_INT, &load_opt.port, 1, 65535, "port on 127.0.0.1" },
	{ "host", NET_TEXT, &load_opt.host, 0, 0, "Host header" },
	{ "ids", NET_TEXT, &load_opt.ids, 0, 0,
	    "file of agent ids, one per line (setup writes it)" },
	{ "agents", NET_INT, &load_opt.agents, 1, LOAD_IDS_MAX,
	    "use only the first of them" },
	{ "token", NET_TEXT, &load_opt.token, 0, 0, "bearer token" },
	{ "token-file", NET_TEXT, &load_opt.token_file, 0, 0, "file with it" },
	{ "message", NET_TEXT, &load_opt.message, 0, 0,
	    "what to say (fast 100)" },
	{ "model", NET_TEXT, &load_opt.model, 0, 0,
	    "model of a request or of a created agent: paced-100-20" },
	{ "clients", NET_INT, &load_opt.clients, 1, LOAD_IDS_MAX,
	    "concurrent clients (turns 64, setup, delete 16)" },
	{ "count", NET_INT, &load_opt.count, 1, 1e9,
	    "chats, viewers or agents in all (100)" },
	{ "seconds", NET_DOUBLE, &load_opt.seconds, 0, 86400,
	    "how long turns starts new ones, idle holds (10)" },
	{ "rate", NET_DOUBLE, &load_opt.rate, 0, 1e6,
	    "requests that start a second (as fast as it goes)" },
	{ "timeout", NET_DOUBLE, &load_opt.timeout, 0.01, 86400,
	    "seconds that one request may take (60)" },
	{ "total", NET_DOUBLE, &load_opt.total, 0.1, 86400,
	    "seconds that all may take (900)" },
	{ "expect", NET_INT, &load_opt.expect, 0, 1e9,
	    "\"tok\" that every answer must contain" },
	{ "opening", NET_INT, &load_opt.opening, 1, 1e9,
	    "how many requests may wait for a first byte (idle 200)" },
	{ "errors", NET_INT, &load_opt.errors, 1, 1e9, "give up after (1000)" },
	{ "close", NET_FLAG, &load_opt.close, 0, 0,
	    "a new connection each time" },
	{ NULL, NET_FLAG, NULL, 0, 0, NULL },
};

static const char synopsis[] =
    "bench-load turns|burst|idle|single|setup|delete --port N [options]\n"
    "  turns   clients that chat one turn after another\n"
    "  burst   --count chats at once, each with its own agent\n"
    "  idle    --count viewers that are held; prints \"ready\"\n"
    "  single  --count chats, one after another\n"
    "  setup   makes --count agents, writes their ids to --ids\n"
    "  delete  deletes the agents of --ids";

static const struct mode *mode;

static struct client *clients;
static size_t client_count;
static size_t client_next; /* the next one that was never started */

static int64_t started_us; /* when the last first request was sent */

static const struct mode modes[] = {
	{ "turns", LOAD_CHAT, 64, 0, 1, 0, 0 },
	{ "burst", LOAD_CHAT, 0, 0, 1, 1, 0 },
	{ "idle", LOAD_VIEW, 0, 200, 0, 1, 1 },
	{ "single", LOAD_CHAT, 1, 0, 0, 1, 0 },
	{ "setup", LOAD_CREATE, 16, 0, 0, 1, 0 },
	{ "delete", LOAD_DELETE, 16, 0, 0, 1, 0 },
	{ NULL, LOAD_CHAT, 0, 0, 0, 0, 0 },
};

/* Starts clients that were never started. 1 if more could follow at once. */
static int
launch(void)
{
	int n;

	for (n = 0; n < LOAD_START_BATCH; n++) {
		if (client_next == client_count ||
		    (load_opt.opening > 0 &&
			load_count.opening >= (size_t)load_opt.opening))
			return 0;
		client_next_request(&clients[client_next++]);
		started_us = clk_mono_us();
	}
	return 1;
}

/* With --rate: starts what is due, at clients that have nothing out. What is
 * due while all have is left out, so that no crowd gathers behind a fault. */
static void
launch_due(int64_t now_us)
{
	static size_t turn;
	static int64_t started;
	int64_t due = (int64_t)((double)(now_us - load_run.begin_us) / 1e6 *
				load_opt.rate);
	size_t looked = 0;

	for (; started < due && looked < client_count; looked++) {
		struct client *c = &clients[turn++ % client_count];

		if (c->active)
			continue;
		client_next_request(c);
		started_us = clk_mono_us();
		started++;
		looked = 0;
	}
	started = due;
	client_next = client_count;
}

/* Fails what took too long. */
static void
sweep(int64_t now_us)
{
	int64_t patience = (int64_t)(load_opt.timeout * 1e6);
	size_t i;

	for (i = 0; i < client_next; i++)
		if (clients[i].active && !clients[i].held &&
		    now_us - clients[i].start_us > patience)
			client_fail(&clients[i], FAIL_TIMEOUT);
}

/* idle: all viewers have their headers or failed, so the hold begins. */
static void
hold_begin(void)
{
	static int begun;

	if (begun || client_next < client_count || load_count.opening > 0 ||
	    load_count.held < load_count.active)
		return;
	begun = 1;
	printf("ready\n");
	fflush(stdout);
	load_run.end_us = clk_mono_us() + (int64_t)(load_opt.seconds * 1e6);
}

/* 1 if nothing is left to do. */
static int
over(int64_t now_us)
{
	if (load_run.hold)
		return now_us >= load_run.end_us ||
		       (client_next == client_count && load_count.active == 0);
	return load_count.active == 0 &&
	       ((client_next == client_count && load_opt.rate == 0) ||
		   load_run.budget <= 0 || now_us >= load_run.end_us ||
		   load_count.errors >= load_opt.errors);
}

static void
run(void)
{
	struct epoll_event ev[256];
	int64_t last_us = load_run.begin_us + (int64_t)(load_opt.total * 1e6);
	int64_t now_us = load_run.begin_us, tick_us = load_run.begin_us;
	int i, n, wait_ms;

	while (!over(now_us) && now_us < last_us) {
		if (load_opt.rate > 0) {
			launch_due(now_us);
			wait_ms = LOAD_PACE_MS;
		} else {
			wait_ms = launch() ? 0 : LOAD_TICK_MS;
		}
		n = epoll_wait(load_run.epoll_fd, ev, 256, wait_ms);
		if (n < 0 && errno != EINTR)
			err(EX_OSERR, "epoll_wait");
		for (i = 0; i < n; i++)
			client_event(ev[i].data.ptr, ev[i].events);
		now_us = clk_mono_us();
		if (now_us - tick_us >= LOAD_TICK_MS * 1000) {
			sweep(now_us);
			tick_us = now_us;
		}
		if (load_run.hold)
			hold_begin();
	}
}

/* What is still out when --total ran out is an error too. */
static void
close_all(void)
{
	size_t i;

	load_run.budget = 0;
	for (i = 0; i < client_next; i++) {
		if (clients[i].active && !clients[i].held)
			client_fail(&clients[i], FAIL_TIMEOUT);
		else
			client_hang_up(&clients[i]);
	}
}

static void
report_hist(const char *name, const struct net_hist *h)
{
	printf(",\"%s\":{\"count\":%lu,\"p50\":%.3f,\"p90\":%.3f,"
	       "\"p99\":%.3f,\"max\":%.3f}",
	    name, h->count, net_hist_ms(h, 0.5), net_hist_ms(h, 0.9),
	    net_hist_ms(h, 0.99), (double)h->max_us / 1000);
}

static void
report_errors(void)
{
	int i;

	printf(",\"errors\":{\"total\":%ld", load_count.errors);
	for (i = 0; i < FAIL_COUNT; i++)
		if (load_count.fails[i] > 0)
			printf(
			    ",\"%s\":%ld", fail_names[i], load_count.fails[i]);
	for (i = 0; i < 600; i++)
		if (load_count.status[i] > 0)
			printf(",\"status_%d\":%ld", i, load_count.status[i]);
	putchar('}');
}

static void
report(void)
{
	double wall = (double)(clk_mono_us() - load_run.begin_us) / 1e6;
	double window = mode->requests ? wall : load_opt.seconds;
	int64_t turns = mode->requests ? load_count.ok : load_count.in_time;

	printf("{\"mode\":\"%s\",\"api\":\"%s\",\"clients\":%zu,"
	       "\"requests\":%ld,\"ok\":%ld,\"seconds\":%.3f,"
	       "\"start_ms\":%.1f,\"turns_per_s\":%.2f,\"events\":%ld,"
	       "\"events_per_s\":%.1f,\"tokens\":%ld,\"resets\":%ld,"
	       "\"held\":%zu,\"bytes\":%lu,\"cpu_s\":%.3f",
	    mode->name, load_run.api->name, client_count, load_count.requests,
	    load_count.ok, wall, (double)(started_us - load_run.begin_us) / 1e3,
	    (double)turns / window, load_count.events,
	    (double)load_count.events / wall, load_count.tokens,
	    load_count.resets, load_count.held, load_count.bytes,
	    (double)net_cpu_us() / 1e6);
	report_errors();
	report_hist("first_byte_ms", &load_count.byte);
	report_hist("first_event_ms", &load_count.event);
	report_hist("turn_ms", &load_count.turn);
	report_hist("gap_ms", &load_count.gap);
	printf("}\n");
}

/* The lines of a file; the program ends if it cannot be read. */
static size_t
lines_read(const char *path, char **lines, size_t max)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0, n = 0;
	ssize_t len;

	if (f == NULL)
		err(EX_NOINPUT, "%s", path);
	while (n < max && (len = getline(&line, &cap, f)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '\0')
			lines[n++] = strdup(line);
	}
	free(line);
	fclose(f);
	return n;
}

static void
ids_write(void)
{
	FILE *f = fopen(load_opt.ids, "w");
	int i;

	if (f == NULL)
		err(EX_CANTCREAT, "%s", load_opt.ids);
	for (i = 0; i < load_opt.count; i++)
		if (load_run.ids[i] != NULL)
			fprintf(f, "%s\n", load_run.ids[i]);
	if (fclose(f) != 0)
		err(EX_IOERR, "%s", load_opt.ids);
}

static void
choose(const char *name)
{
	for (mode = modes; mode->name != NULL; mode++)
		if (strcmp(mode->name, name) == 0)
			break;
	if (mode->name == NULL)
		net_usage(opt_table, synopsis, "no such mode: %s", name);
	load_run.request = mode->request;
	load_run.hold = mode->hold;
	load_run.api = load_api_find(load_opt.api);
	if (load_run.api == NULL ||
	    load_run.api->make[load_run.request] == NULL)
		net_usage(
		    opt_table, synopsis, "%s cannot do %s", load_opt.api, name);
}

/* Texts go into JSON and headers as they are. */
static void
check_text(const char *name, const char *text)
{
	const char *p;

	for (p = text; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == '"' || *p == '\\')
			net_usage(opt_table, synopsis,
			    "--%s: no quotes, backslashes or control "
			    "characters",
			    name);
}

/* Reads the token and the ids that the API needs. */
static void
load_files(void)
{
	char *line = NULL;
	int create = load_run.request == LOAD_CREATE;

	if (load_opt.token_file != NULL) {
		if (lines_read(load_opt.token_file, &line, 1) != 1)
			errx(EX_DATAERR, "%s: empty", load_opt.token_file);
		load_opt.token = line;
	}
	load_run.ids = calloc(create ? (size_t)load_opt.count : LOAD_IDS_MAX,
	    sizeof(*load_run.ids));
	if (load_run.ids == NULL)
		abort();
	if (load_run.api->make[LOAD_CREATE] == NULL)
		return;
	if (load_opt.ids == NULL)
		net_usage(opt_table, synopsis, "--ids is needed");
	if (create)
		return;
	load_run.id_count =
	    lines_read(load_opt.ids, load_run.ids, LOAD_IDS_MAX);
	if (load_opt.agents > 0 && (size_t)load_opt.agents < load_run.id_count)
		load_run.id_count = (size_t)load_opt.agents;
	if (load_run.id_count == 0 ||
	    (mode->own && load_run.id_count < client_count))
		errx(EX_DATAERR, "%s: %zu agents are too few for %zu clients",
		    load_opt.ids, load_run.id_count, client_count);
	if (load_run.request == LOAD_DELETE)
		load_run.budget = (int64_t)load_run.id_count;
}

static void
plan(void)
{
	static char host[32];

	if (load_opt.port == 0)
		net_usage(opt_table, synopsis, "--port is needed");
	snprintf(host, sizeof(host), "127.0.0.1:%d", load_opt.port);
	if (load_opt.host == NULL)
		load_opt.host = host;
	if (load_opt.opening == 0)
		load_opt.opening = mode->opening;
	client_count =
	    mode->clients > 0 ? (size_t)mode->clients : (size_t)load_opt.count;
	if (mode->clients > 1 && load_opt.clients > 0)
		client_count = (size_t)load_opt.clients;
	load_run.budget = mode->requests ? load_opt.count : LOAD_FOREVER;
	if ((size_t)net_raise_nofile() < client_count + 16)
		errx(EX_OSERR, "%zu clients need more descriptors",
		    client_count);
}

static void
setup(void)
{
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	clients = calloc(client_count, sizeof(*clients));
	if (clients == NULL)
		abort();
	for (i = 0; i < client_count; i++) {
		clients[i].fd = -1;
		clients[i].index = i;
	}
	load_run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load_run.epoll_fd < 0)
		err(EX_OSERR, "epoll_create1");
	load_run.begin_us = clk_mono_us();
	load_run.end_us =
	    mode->requests
		? LOAD_FOREVER
		: load_run.begin_us + (int64_t)(load_opt.seconds * 1e6);
}

int
main(int argc, char **argv)
{
	int first = net_options(argc, argv, opt_table, synopsis);

	if (first != argc - 1)
		net_usage(opt_table, synopsis, "one mode is needed");
	choose(argv[first]);
	check_text("message", load_opt.message);
	check_text("model", load_opt.model);
	plan();
	load_files();
	check_text("token", load_opt.token);
	setup();
	run();
	close_all();
	if (load_run.request == LOAD_CREATE)
		ids_write();
	report();
	return load_count.errors > 0;
}
