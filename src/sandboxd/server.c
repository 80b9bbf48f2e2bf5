/* SPDX-License-Identifier: MIT */
/*
 * The server of agent-fpm-sandbox: one thread for all connections, and a pool
 * for what they ask.
 *
 * A request by FastCGI is read by a thread of remote.c; then its connection
 * is one like others, but for one call, and what is said is in FastCGI's
 * records. When nginx closes it the call is not waited for any more.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/gate.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/process.h"
#include "conf/conf.h"
#include "http/fcgi.h"
#include "sandbox/channel.h"
#include "sandbox/frame.h"
#include "sandboxd/job.h"
#include "sandboxd/launch.h"
#include "sandboxd/orphans.h"
#include "sandboxd/pool.h"
#include "sandboxd/remote.h"
#include "sandboxd/runner.h"
#include "sandboxd/runs.h"
#include "sandboxd/server.h"

#define REQUEST_DEPTH 16
#define CONNECTIONS_MAX 1024
#define JOBS_MAX 1024 /* of a connection; then it is not read */

struct connection {
	struct server *server;
	unsigned long id;
	struct channel channel;
	struct job *running;
	int jobs;
	int gone; /* it has hung up, and waits for its jobs */

	/* Of a request by FastCGI: its number, else 0; the call's id; and
	 * whether all was said. */
	int request_id;
	long long call;
	int ending;
	UT_hash_handle hh;
};

struct server {
	const struct conf *conf;
	const char *conf_path;
	struct loop *loop;
	struct workspaces *workspaces;
	struct job_pool *pool;
	struct job_pool *commands; /* what takes long has threads of its own */
	struct job_pool *programs; /* and what stays for hours */
	int programs_running;
	struct runs *runs;
	struct launcher *launcher;
	struct err no_launcher;
	struct gate gate;
	struct remote *remote; /* NULL: workers of other hosts do not come */
	struct loop_timer *heartbeat;
	int signal_fd;
	struct loop_io *listen_io, *signal_io;
	unsigned long last_id;
	struct connection *connections;
};

/* ---- connections ---- */

static void
connection_close(struct connection *c)
{
	if (!c->gone) {
		__atomic_store_n(&c->gone, 1, __ATOMIC_SEQ_CST);
		runs_cancel_all(c->server->runs, c->id);
		channel_close(&c->channel);
	}
	if (c->jobs > 0)
		return;
	HASH_DEL(c->server->connections, c);
	free(c);
}

/* 0, or -1: it is closed. */
static int
connection_flush(struct connection *c)
{
	c->channel.deaf = c->request_id == 0 && c->jobs >= JOBS_MAX;
	if (channel_flush(&c->channel) == NULL &&
	    (!c->ending || c->channel.out.len > 0))
		return 0;
	connection_close(c);
	return -1;
}

/* A frame, as it is or in FastCGI's records. */
static void
connection_put(struct connection *c, const char *json, size_t json_len,
    const char *data, size_t data_len)
{
	struct buf *out = &c->channel.out, frame;

	if (c->request_id == 0) {
		frame_write(out, json, json_len, data, data_len);
		return;
	}
	buf_init(&frame, NULL);
	frame_write(&frame, json, json_len, data, data_len);
	fcgi_put_stdout(out, c->request_id, frame.data, frame.len);
	buf_fini(&frame);
}

/* Some of an answer, or nothing so far. */
static void
connection_put_part(
    struct connection *c, long long id, const char *data, size_t len)
{
	char json[64];
	int n = snprintf(json, sizeof(json), "{\"id\":%lld,\"more\":true}", id);

	connection_put(c, json, (size_t)n, data, len);
}

/* A request has one answer, and with it its connection ends. */
static void
connection_answered(struct connection *c)
{
	c->jobs--;
	if (c->request_id == 0)
		return;
	fcgi_put_end(&c->channel.out, c->request_id);
	c->ending = 1;
}

static void
answer_failure(struct job *j)
{
	buf_clear(&j->answer);
	buf_clear(&j->answer_data);
	json_open(&j->answer, NULL, '{');
	json_add_int(&j->answer, "id", j->id);
	json_add_bool(&j->answer, "ok", 0);
	json_add_str(&j->answer, "code", frame_error_word(j->err.code));
	json_add_str(&j->answer, "error", j->err.text);
	if (j->err.limit[0] != '\0')
		json_add_str(&j->answer, "limit", j->err.limit);
	if (j->missing)
		json_add_bool(&j->answer, "missing", 1);
}

static void
job_answer(struct connection *c, struct job *j)
{
	if (j->err.code != ERR_NONE)
		answer_failure(j);
	else
		json_add_bool(&j->answer, "ok", 1);
	json_close(&j->answer, '}');
	connection_put(c, j->answer.data, j->answer.len, j->answer_data.data,
	    j->answer_data.len);
	connection_answered(c);
}

/* Some of an answer, on its way from a thread of the pool. */
struct part {
	struct server *server;
	unsigned long connection;
	long long id;
	struct buf data;
};

static void
on_part(void *arg)
{
	struct part *p = arg;
	struct connection *c;

	HASH_FIND(hh, p->server->connections, &p->connection,
	    sizeof(p->connection), c);
	if (c != NULL && !c->gone) {
		connection_put_part(c, p->id, p->data.data, p->data.len);
		connection_flush(c);
	}
	buf_fini(&p->data);
	free(p);
}

static void
emit(struct job *j, const char *bytes, size_t len)
{
	struct part *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->server = j->server;
	p->connection = j->connection;
	p->id = j->id;
	buf_init(&p->data, NULL);
	buf_add(&p->data, bytes, len);
	loop_post(j->server->loop, "part of an answer", on_part, p);
}

static void
on_job_done(void *ctx, struct job *j)
{
	struct server *s = ctx;
	struct connection *c = j->owner;

	*j->mate_at = j->mate;
	if (j->mate != NULL)
		j->mate->mate_at = j->mate_at;
	s->programs_running -= (j->op->flags & OP_STAYS) != 0;
	if (c->gone) {
		c->jobs--;
		connection_close(c);
	} else {
		job_answer(c, j);
		connection_flush(c);
	}
	arena_close(&(struct arena *){ j->arena });
}

struct job *
server_job(struct server *s, const struct frame_view *f)
{
	struct arena *a = arena_open(8192);
	struct job *j = arena_new(a, struct job);
	int64_t id;

	j->arena = a;
	j->conf = s->conf;
	j->server = s;
	j->emit = emit;
	j->workspaces = s->workspaces;
	j->runs = s->runs;
	j->conf_path = s->conf_path;
	j->launcher = s->launcher;
	j->no_launcher = s->no_launcher.text;
	j->rq = json_parse(a, f->json, f->json_len, REQUEST_DEPTH, &j->err);
	if (!json_get_int(j->rq, "id", &id)) {
		arena_close(&a);
		return NULL;
	}
	j->data = arena_memdup(a, f->data, f->data_len);
	j->data_len = f->data_len;
	j->user = json_get_str(j->rq, "user");
	j->agent = json_get_str(j->rq, "agent");
	buf_init(&j->answer, a);
	buf_init(&j->answer_data, a);
	j->id = id;
	json_open(&j->answer, NULL, '{');
	json_add_int(&j->answer, "id", id);
	return j;
}

/* One that ends another: it has no answer of its own. */
static int
is_cancel(const struct connection *c, const struct job *j)
{
	const char *op = json_get_str(j->rq, "op");
	int64_t target;

	if (c->request_id != 0 || op == NULL || strcmp(op, "cancel") != 0 ||
	    !json_get_int(j->rq, "target", &target))
		return 0;
	for (struct job *k = c->running; k != NULL; k = k->mate)
		if (k->id == target)
			__atomic_store_n(&k->cancelled, 1, __ATOMIC_SEQ_CST);
	runs_cancel(c->server->runs, c->id, target);
	return 1;
}

static struct job_pool *
pool_for(struct server *s, const struct op *op)
{
	if (op->flags & OP_STAYS)
		return s->programs;
	return op->flags & OP_LONG ? s->commands : s->pool;
}

/* 1, or 0 and why: programs do not wait for room, others are soon over. */
static int
has_room(struct server *s, struct job *j)
{
	if (!(j->op->flags & OP_STAYS))
		return 1;
	if (s->programs_running < s->conf->sandbox_programs) {
		s->programs_running++;
		return 1;
	}
	err_limit(&j->err, ERR_LIMIT, "sandbox.programs",
	    "too many programs run already");
	return 0;
}

static void
connection_job(struct connection *c, struct job *j)
{
	j->connection = c->id;
	j->owner = c;
	j->gone = &c->gone;
	c->jobs++;
	j->op = op_find(json_get_str(j->rq, "op"));
	if (j->op != NULL && has_room(c->server, j)) {
		j->mate = c->running;
		j->mate_at = &c->running;
		if (j->mate != NULL)
			j->mate->mate_at = &j->mate;
		c->running = j;
		job_pool_add(pool_for(c->server, j->op), j);
		return;
	}
	if (is_cancel(c, j)) {
		c->jobs--;
	} else {
		if (j->op == NULL)
			err_set(
			    &j->err, ERR_INVALID, "there is no such operation");
		job_answer(c, j);
	}
	arena_close(&(struct arena *){ j->arena });
}

/* 0, or -1: it is no request. */
static int
on_frame(void *ctx, const struct frame_view *f)
{
	struct connection *c = ctx;
	struct job *j = server_job(c->server, f);

	if (j == NULL)
		return -1;
	connection_job(c, j);
	return 0;
}

static void
connection_read(struct connection *c)
{
	const char *why = channel_read(&c->channel, on_frame, c);

	if (why == NULL) {
		connection_flush(c);
		return;
	}
	if (*why != '\0')
		log_warn("a connection was closed: %s", why);
	connection_close(c);
}

static void
on_connection(void *arg, int events)
{
	struct connection *c = arg;

	if ((events & LOOP_WRITE) && connection_flush(c) < 0)
		return;
	if ((events & (LOOP_READ | LOOP_HUP)) == 0)
		return;
	if (c->request_id != 0)
		connection_close(c); /* nginx says no more, so it is gone */
	else
		connection_read(c);
}

static struct connection *
connection_new(struct server *s, int fd)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->server = s;
	c->id = ++s->last_id;
	channel_open(&c->channel, s->loop, fd, on_connection, c);
	HASH_ADD(hh, s->connections, id, sizeof(c->id), c);
	return c;
}

/* ---- requests by FastCGI ---- */

/* Of another host's worker, on its way from the thread that has read it. */
struct request {
	struct server *server;
	int fd, id;
	struct job *job;
};

static void
on_request(void *arg)
{
	static const char head[] = "Status: 200 OK\r\n"
				   "Content-Type: " FRAME_MEDIA_TYPE "\r\n"
				   "Cache-Control: no-store\r\n\r\n";
	static const char busy[] = "Status: 503 Service Unavailable\r\n"
				   "Retry-After: 1\r\n\r\n";
	struct request *rq = arg;
	struct server *s = rq->server;
	int full = HASH_COUNT(s->connections) >= CONNECTIONS_MAX;
	struct connection *c = connection_new(s, rq->fd);
	const char *said = full ? busy : head;

	c->request_id = rq->id;
	c->call = rq->job->id;
	fcgi_put_stdout(&c->channel.out, c->request_id, said, strlen(said));
	if (full) {
		fcgi_put_end(&c->channel.out, c->request_id);
		c->ending = 1;
		arena_close(&(struct arena *){ rq->job->arena });
	} else {
		connection_job(c, rq->job);
	}
	connection_flush(c);
	free(rq);
}

void
server_request(struct server *s, int fd, int request_id, struct job *j)
{
	struct request *rq = calloc(1, sizeof(*rq));

	if (rq == NULL)
		abort();
	*rq = (struct request){ s, fd, request_id, j };
	loop_post(s->loop, "request", on_request, rq);
}

/* A proxy between would take a silent answer for a dead one. */
static void
on_heartbeat(void *arg)
{
	struct server *s = arg;
	struct connection *c, *tmp;

	HASH_ITER(hh, s->connections, c, tmp)
	{
		if (c->request_id == 0 || c->gone || c->ending ||
		    c->channel.out.len > 0)
			continue;
		connection_put_part(c, c->call, NULL, 0);
		connection_flush(c);
	}
}

/* ---- who comes ---- */

static void
on_listen(void *arg, int events)
{
	struct server *s = arg;
	int fd = gate_accept(&s->gate);

	(void)events;
	if (fd < 0)
		return;
	if (HASH_COUNT(s->connections) >= CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	connection_new(s, fd);
}

/* ---- the sockets ---- */

static int
server_listen(struct server *s, struct err *err)
{
	const struct conf *c = s->conf;

	if (*c->sandbox_socket == '\0' && *c->sandbox_fastcgi == '\0')
		return err_set(err, ERR_CONFIG,
		    "sandbox.socket is empty, and sandbox.fastcgi too: set one "
		    "to the path where workers, or nginx for those of other "
		    "hosts, find the sandbox");
	s->gate = (struct gate){ .fd = -1,
		.path = c->sandbox_socket,
		.path_setting = "sandbox.socket",
		.group = c->sandbox_group,
		.group_setting = "sandbox.group",
		.client = c->sandbox_client,
		.client_setting = "sandbox.client" };
	if (*c->sandbox_socket != '\0' && gate_open(&s->gate, err) < 0)
		return -1;
	if (*c->sandbox_fastcgi == '\0')
		return 0;
	s->remote = remote_open(c, s, err);
	return s->remote == NULL ? -1 : 0;
}

static void
on_signal(void *arg, int events)
{
	struct server *s = arg;

	(void)events;
	log_info("stopping");
	remote_close(&s->remote); /* what it has read is begun, then ended */
	loop_stop(s->loop);
}

static void
server_free(struct server *s)
{
	struct connection *c, *tmp;

	remote_close(&s->remote); /* if it did not come to a loop */
	HASH_ITER(hh, s->connections, c, tmp)
	runs_cancel_all(s->runs, c->id);
	job_pool_free(&s->programs);
	job_pool_free(&s->commands);
	job_pool_free(&s->pool);
	HASH_ITER(hh, s->connections, c, tmp)
	{
		c->jobs = 0; /* they were answered, or never will be */
		connection_close(c);
	}
	loop_io_free(&s->listen_io);
	loop_io_free(&s->signal_io);
	loop_timer_free(&s->heartbeat);
	loop_free(&s->loop);
	workspaces_close(&s->workspaces);
	launcher_free(&s->launcher);
	runs_free(&s->runs);
	gate_close(&s->gate);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
}

static struct loop_io *
watch_readable(struct server *s, const char *label, int fd, loop_io_f *fn)
{
	struct loop_io *io = loop_io_new(s->loop, label, fd, fn, s);

	if (io == NULL)
		abort();
	loop_io_want(io, LOOP_READ);
	return io;
}

static void
server_serve(struct server *s, int ready_fd)
{
	s->loop = loop_new();
	s->pool = job_pool_new(
	    s->loop, (int)s->conf->sandbox_threads, on_job_done, s);
	s->commands = job_pool_new(
	    s->loop, (int)s->conf->sandbox_commands, on_job_done, s);
	s->programs = job_pool_new(
	    s->loop, (int)s->conf->sandbox_programs, on_job_done, s);
	s->signal_io = watch_readable(s, "signals", s->signal_fd, on_signal);
	if (s->gate.fd >= 0)
		s->listen_io =
		    watch_readable(s, "listen", s->gate.fd, on_listen);
	if (s->remote != NULL) {
		s->heartbeat =
		    loop_timer_new(s->loop, "heartbeat", on_heartbeat, s);
		loop_timer_start(s->heartbeat, s->conf->sandbox_heartbeat_ms,
		    s->conf->sandbox_heartbeat_ms);
		remote_start(s->remote);
	}
	log_info("ready");
	if (ready_fd >= 0 && write(ready_fd, "", 1) != 1)
		log_warn("nobody waits for the sandbox to be ready");
	loop_run(s->loop);
}

int
server_run(
    const struct conf *c, const char *conf_path, int ready_fd, struct err *err)
{
	struct server s = { .conf = c,
		.conf_path = conf_path,
		.gate = { .fd = -1 },
		.signal_fd = -1 };
	int rc;

	if (runner_allowed(c, err) < 0)
		return -1;
	umask(
	    *c->sandbox_accel == '\0' ? 0077 : 0022); /* nginx reads, or not */
	process_raise_descriptors(); /* walks hold one for each level */
	signal(SIGPIPE, SIG_IGN);
	s.signal_fd = process_end_signals();
	orphans_end(); /* of one that was killed */
	s.workspaces = workspaces_open(c, err);
	s.runs = runs_new();
	rc = s.workspaces == NULL || server_listen(&s, err) < 0;
	if (!rc) {
		s.launcher = launcher_new(c, 1, &s.no_launcher);
		if (s.launcher == NULL)
			log_warn("no commands: %s", s.no_launcher.text);
		else if (geteuid() == 0)
			log_warn("it runs as root: commands are not held to "
				 "sandbox.processes");
		server_serve(&s, ready_fd);
	}
	server_free(&s);
	return rc ? -1 : 0;
}
