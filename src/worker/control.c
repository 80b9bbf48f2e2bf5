/* SPDX-License-Identifier: MIT */
/*
 * The pool's end of agent-fpm ctl.
 *
 * The master has made the socket and knows no more of it: whichever worker is
 * the first to accept answers for all. What it tells comes from shared memory;
 * what it does goes the way that the API goes. Who asks is told by the kernel
 * (SO_PEERCRED); the socket's mode is only the outer door.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/runner.h"
#include "api/app.h"
#include "api/status.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/scoreboard.h"
#include "store/admin.h"
#include "store/audit.h"
#include "worker/control.h"

#define LINE_MAX_BYTES 512
#define LINGER_BYTES 65536
#define IO_S 5 /* for a peer to send its line, and to take the answer */

struct control {
	struct app *app;
	pthread_t thread;
	int fd, stop_fd;
};

struct request {
	struct app *app;
	struct arena *arena;
	struct buf *out;
	int json;
	uid_t uid;                   /* who asks */
	const char *verb, *argument; /* "" if there is none */
};

/* ---- what can be asked ---- */

static int
do_status(struct request *q, struct err *err)
{
	struct status s;

	(void)err;
	status_look(q->app, q->arena, 1, &s);
	if (q->json)
		status_add_json(q->out, &s, 1);
	else
		status_add_text(q->out, &s, q->arena, 0);
	return 0;
}

/* A word of a turn: from users, so of one line. */
static void
add_column(struct buf *b, int width, const char *text)
{
	size_t from = b->len;

	buf_printf(b, "%-*s  ", width, *text == '\0' ? "-" : text);
	for (size_t i = from; i < b->len; i++)
		if ((unsigned char)b->data[i] < ' ')
			b->data[i] = '?';
}

static int
do_turns(struct request *q, struct err *err)
{
	struct status s;

	(void)err;
	status_look(q->app, q->arena, 1, &s);
	if (q->json) {
		json_open(q->out, NULL, '[');
		status_add_json_turns(q->out, &s);
		json_close(q->out, ']');
		return 0;
	}
	for (size_t i = 0; i < s.running_count; i++) {
		const struct running_turn *t = &s.running[i];

		add_column(q->out, 30, t->turn);
		add_column(q->out, 30, t->agent);
		add_column(q->out, 16, t->user);
		add_column(q->out, 8, running_state_name(t->state));
		buf_printf(q->out, "step %-3" PRId64 "  %8" PRId64 " ms  %s\n",
		    t->step, status_age_ms(&s, t->began_us),
		    *t->model == '\0' ? "-" : t->model);
	}
	return 0;
}

/* The agent whose turn is meant: of a turn that runs here, or by its own id,
 * for one that waits. */
static const char *
find_agent(struct request *q, struct err *err)
{
	struct status s;

	if (strncmp(q->argument, "agt_", 4) == 0)
		return q->argument;
	status_look(q->app, q->arena, 1, &s);
	for (size_t i = 0; i < s.running_count; i++)
		if (strcmp(s.running[i].turn, q->argument) == 0)
			return s.running[i].agent;
	err_set(err, ERR_NOT_FOUND,
	    "no turn %s runs in this pool; of one that waits, name the agent",
	    *q->argument == '\0' ? "without an id" : q->argument);
	return NULL;
}

static int
do_kick(struct request *q, struct err *err)
{
	const char *agent = find_agent(q, err), *turn, *lease, *last, *user;
	struct store *st = q->app->store;
	struct store_agent ag;
	int rc;

	if (agent == NULL ||
	    store_agent_owner(st, q->arena, agent, &user, err) < 0 ||
	    store_agent_get(st, q->arena, user, agent, &ag, err) < 0)
		return -1;
	if (strcmp(q->argument, agent) != 0 &&
	    strcmp(q->argument, ag.turn) != 0)
		return err_set(err, ERR_NOT_FOUND, "the turn has ended");
	rc = store_interrupt(
	    st, q->arena, user, agent, &turn, &lease, &last, err);
	if (rc == 0)
		return err_set(
		    err, ERR_NOT_FOUND, "no turn of %s runs or waits", agent);
	if (rc < 0 ||
	    runner_tell(q->app->runner, q->arena, agent, lease,
		arena_printf(q->arena, "interrupt %s %s", agent, turn),
		err) < 0)
		return -1;
	if (q->json) {
		json_open(q->out, NULL, '{');
		json_add_str(q->out, "agent", agent);
		json_add_str(q->out, "turn", turn);
		json_close(q->out, '}');
	} else {
		buf_printf(q->out, "%s of %s is told to stop\n", turn, agent);
	}
	return 0;
}

static int
say_drained(struct request *q)
{
	int on = scoreboard_is_drained(q->app->board);
	struct status s;

	status_look(q->app, q->arena, 0, &s);
	if (q->json) {
		json_open(q->out, NULL, '{');
		json_add_bool(q->out, "drained", on);
		json_add_int(q->out, "runningTurns", s.turns);
		json_close(q->out, '}');
	} else {
		buf_printf(q->out,
		    "new messages are %s; %" PRId64 " turns run\n",
		    on ? "refused with 503" : "taken", s.turns);
	}
	return 0;
}

static int
do_drain(struct request *q, struct err *err)
{
	(void)err;
	scoreboard_drain(q->app->board, 1);
	return say_drained(q);
}

static int
do_undrain(struct request *q, struct err *err)
{
	(void)err;
	scoreboard_drain(q->app->board, 0);
	return say_drained(q);
}

static const struct {
	const char *verb;
	int (*run)(struct request *q, struct err *err);
	int changes; /* so it is logged, and an act for the audit log */
} verbs[] = {
	{ "status", do_status, 0 },
	{ "turns", do_turns, 0 },
	{ "kick", do_kick, 1 },
	{ "drain", do_drain, 1 },
	{ "undrain", do_undrain, 1 },
};

/* ---- a connection ---- */

/* By who does it: a client may be gone before it has seen the answer. */
static void
audit(struct request *q, const char *why_not)
{
	audit_write(q->app->audit, q->arena,
	    &(struct audit_record){
		.act = arena_printf(q->arena, "agent-fpm ctl %s", q->verb),
		.from = arena_printf(q->arena, "uid %d", (int)q->uid),
		.what = q->argument,
		.detail = why_not });
}

static int
answer(struct request *q, struct err *err)
{
	int rc;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].verb, q->verb) != 0)
			continue;
		if (verbs[i].changes)
			log_info("ctl: %s %s", q->verb, q->argument);
		rc = verbs[i].run(q, err);
		if (verbs[i].changes)
			audit(q, rc == 0 ? "" : err->text);
		return rc;
	}
	return err_set(err, ERR_USAGE,
	    "this pool, version %s, does not know what was asked",
	    PACKAGE_VERSION);
}

/* Takes the line apart. */
static void
request_parse(struct request *q, char *line)
{
	char *word = strsep(&line, " ");

	q->json = strcmp(word, "json") == 0 && line != NULL;
	if (q->json)
		word = strsep(&line, " ");
	q->verb = word;
	q->argument = line == NULL ? "" : line;
}

/* 1 if the kernel says that it is root, or the user of the pool. */
static int
is_allowed(int fd, uid_t *uid_r)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return 0;
	*uid_r = who.uid;
	return who.uid == 0 || who.uid == geteuid();
}

/* A line without its end. 0, or -1: none came, or it is too long. */
static int
line_read(int fd, char line[LINE_MAX_BYTES])
{
	size_t len = 0;
	ssize_t n;

	while (len < LINE_MAX_BYTES - 1) {
		n = read(fd, line + len, LINE_MAX_BYTES - 1 - len);
		if (n <= 0)
			return -1;
		len += (size_t)n;
		line[len] = '\0';
		if (strlen(line) < len)
			return -1; /* a 0 byte */
		if (line[len - 1] == '\n') {
			line[len - 1] = '\0';
			return 0;
		}
	}
	return -1;
}

static void
send_all(int fd, const struct buf *b)
{
	ssize_t n;

	for (size_t at = 0; at < b->len; at += (size_t)n) {
		n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* it does not want to know */
	}
}

/* Takes what it still sends: closed before that, it would get no answer. */
static void
linger(int fd)
{
	char part[4096];
	ssize_t n = 1;

	shutdown(fd, SHUT_WR);
	for (size_t all = 0; n > 0 && all < LINGER_BYTES; all += (size_t)n) {
		n = read(fd, part, sizeof(part));
		if (n < 0)
			return;
	}
}

static void
serve(struct control *c, int fd)
{
	const struct timeval limit = { .tv_sec = IO_S };
	struct arena *a = arena_open(16384);
	struct buf out, body;
	struct request q = { .app = c->app, .arena = a, .out = &body };
	char line[LINE_MAX_BYTES];
	struct err err;
	int rc;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	buf_init(&out, a);
	buf_init(&body, a);
	if (!is_allowed(fd, &q.uid)) {
		rc = err_set(&err, ERR_FORBIDDEN,
		    "only root and the user of the pool may ask");
	} else if (line_read(fd, line) < 0) {
		rc = err_set(&err, ERR_REQUEST, "a line of words is wanted");
	} else {
		request_parse(&q, line);
		rc = answer(&q, &err);
	}
	if (rc < 0)
		buf_printf(&out, "error %d %s\n", err_info(err.code)->exit_code,
		    err.text);
	else
		buf_printf(&out, "ok\n%s", buf_str(&body));
	send_all(fd, &out);
	linger(fd);
	arena_close(&a);
}

/* ---- the thread ---- */

static void *
control_thread(void *arg)
{
	struct control *c = arg;
	struct pollfd pfd[2] = { { .fd = c->fd, .events = POLLIN },
		{ .fd = c->stop_fd, .events = POLLIN } };
	int fd;

	prctl(PR_SET_NAME, "fpm-control");
	while (pfd[1].revents == 0) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			abort();
		if (pfd[1].revents != 0)
			break;
		fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue; /* another worker was first */
		serve(c, fd);
		close(fd);
	}
	return NULL;
}

struct control *
control_start(struct app *app, int fd)
{
	struct control *c;

	if (fd < 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->app = app;
	c->fd = fd;
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (c->stop_fd < 0 ||
	    pthread_create(&c->thread, NULL, control_thread, c) != 0)
		abort();
	return c;
}

void
control_stop(struct control **c_p)
{
	struct control *c = *c_p;
	uint64_t one = 1;

	if (c == NULL)
		return;
	*c_p = NULL;
	if (write(c->stop_fd, &one, sizeof(one)) != sizeof(one))
		abort();
	pthread_join(c->thread, NULL);
	close(c->stop_fd);
	free(c);
}
