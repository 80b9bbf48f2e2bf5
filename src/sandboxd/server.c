/* SPDX-License-Identifier: MIT */
/*
 * The server of agent-fpm-sandbox: one thread for all connections, and a pool
 * for what they ask. Who may connect is decided by the mode and group of the
 * socket, and by the user at the other end: the server's own, root, or
 * sandbox.client.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uthash.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "sandbox/channel.h"
#include "sandbox/frame.h"
#include "sandboxd/job.h"
#include "sandboxd/launch.h"
#include "sandboxd/pool.h"
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
	int listen_fd, signal_fd;
	struct loop_io *listen_io, *signal_io;
	uid_t client; /* who may connect, beside root and ourselves */
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
	c->channel.deaf = c->jobs >= JOBS_MAX;
	if (channel_flush(&c->channel) == NULL)
		return 0;
	connection_close(c);
	return -1;
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
}

static void
job_answer(struct connection *c, struct job *j)
{
	if (j->err.code != ERR_NONE)
		answer_failure(j);
	else
		json_add_bool(&j->answer, "ok", 1);
	json_close(&j->answer, '}');
	frame_write(&c->channel.out, j->answer.data, j->answer.len,
	    j->answer_data.data, j->answer_data.len);
}

/* Some of an answer, on its way from a thread of the pool. */
struct part {
	struct server *server;
	unsigned long connection;
	struct buf frame;
};

static void
on_part(void *arg)
{
	struct part *p = arg;
	struct connection *c;

	HASH_FIND(hh, p->server->connections, &p->connection,
	    sizeof(p->connection), c);
	if (c != NULL && !c->gone) {
		buf_add(&c->channel.out, p->frame.data, p->frame.len);
		connection_flush(c);
	}
	buf_fini(&p->frame);
	free(p);
}

static void
emit(struct job *j, const char *bytes, size_t len)
{
	struct part *p = calloc(1, sizeof(*p));
	char json[64];
	int n =
	    snprintf(json, sizeof(json), "{\"id\":%lld,\"more\":true}", j->id);

	if (p == NULL)
		abort();
	p->server = j->server;
	p->connection = j->connection;
	buf_init(&p->frame, NULL);
	frame_write(&p->frame, json, (size_t)n, bytes, len);
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
	c->jobs--;
	s->programs_running -= (j->op->flags & OP_STAYS) != 0;
	if (c->gone) {
		connection_close(c);
	} else {
		job_answer(c, j);
		connection_flush(c);
	}
	arena_close(&(struct arena *){ j->arena });
}

/* The job of a frame; NULL: it is no request. */
static struct job *
job_new(struct connection *c, const struct frame_view *f)
{
	struct arena *a = arena_open(8192);
	struct job *j = arena_new(a, struct job);
	int64_t id;

	j->arena = a;
	j->conf = c->server->conf;
	j->server = c->server;
	j->emit = emit;
	j->workspaces = c->server->workspaces;
	j->runs = c->server->runs;
	j->conf_path = c->server->conf_path;
	j->launcher = c->server->launcher;
	j->no_launcher = c->server->no_launcher.text;
	j->connection = c->id;
	j->owner = c;
	j->gone = &c->gone;
	j->rq = json_parse(a, f->json, f->json_len, REQUEST_DEPTH, &j->err);
	j->data = arena_memdup(a, f->data, f->data_len);
	j->data_len = f->data_len;
	j->user = json_get_str(j->rq, "user");
	j->agent = json_get_str(j->rq, "agent");
	buf_init(&j->answer, a);
	buf_init(&j->answer_data, a);
	if (!json_get_int(j->rq, "id", &id)) {
		arena_close(&a);
		return NULL;
	}
	j->id = id;
	json_open(&j->answer, NULL, '{');
	json_add_int(&j->answer, "id", id);
	return j;
}

/* One that ends another: it has no answer of its own. */
static int
is_cancel(struct connection *c, const struct job *j)
{
	const char *op = json_get_str(j->rq, "op");
	int64_t target;

	if (op == NULL || strcmp(op, "cancel") != 0 ||
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

/* 0, or -1: it is no request. */
static int
on_frame(void *ctx, const struct frame_view *f)
{
	struct connection *c = ctx;
	struct job *j = job_new(c, f);

	if (j == NULL)
		return -1;
	c->jobs++;
	j->op = op_find(json_get_str(j->rq, "op"));
	if (j->op != NULL && has_room(c->server, j)) {
		j->mate = c->running;
		j->mate_at = &c->running;
		if (j->mate != NULL)
			j->mate->mate_at = &j->mate;
		c->running = j;
		job_pool_add(pool_for(c->server, j->op), j);
		return 0;
	}
	if (is_cancel(c, j)) {
		c->jobs--;
		arena_close(&(struct arena *){ j->arena });
		return 0;
	}
	if (j->op == NULL)
		err_set(&j->err, ERR_INVALID, "there is no such operation");
	c->jobs--;
	job_answer(c, j);
	arena_close(&(struct arena *){ j->arena });
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
	if (events & (LOOP_READ | LOOP_HUP))
		connection_read(c);
}

/* ---- who comes ---- */

static int
is_welcome(const struct server *s, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return 0;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.uid == s->client)
		return 1;
	log_warn("user %u may not use the sandbox: sandbox.client names who "
		 "may",
	    (unsigned)peer.uid);
	return 0;
}

static void
on_listen(void *arg, int events)
{
	struct server *s = arg;
	struct connection *c;
	int fd =
	    accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (HASH_COUNT(s->connections) >= CONNECTIONS_MAX ||
	    !is_welcome(s, fd)) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->server = s;
	c->id = ++s->last_id;
	channel_open(&c->channel, s->loop, fd, on_connection, c);
	HASH_ADD(hh, s->connections, id, sizeof(c->id), c);
}

/* ---- the socket ---- */

static int
find_client(struct server *s, struct err *err)
{
	const char *name = s->conf->sandbox_client;
	const struct passwd *pw = *name == '\0' ? NULL : getpwnam(name);

	s->client = geteuid();
	if (*name != '\0' && pw == NULL)
		return err_set(err, ERR_CONFIG,
		    "sandbox.client: there is no user %s", name);
	if (pw != NULL)
		s->client = pw->pw_uid;
	return 0;
}

static int
set_group(const char *path, const char *name, struct err *err)
{
	const struct group *gr = *name == '\0' ? NULL : getgrnam(name);

	if (*name == '\0')
		return 0;
	if (gr == NULL)
		return err_set(err, ERR_CONFIG,
		    "sandbox.group: there is no group %s", name);
	if (chown(path, (uid_t)-1, gr->gr_gid) < 0)
		return err_set(err, ERR_CONFIG, "sandbox.group: %s: %s", path,
		    strerror(errno));
	return 0;
}

/* 1 if somebody answers there. */
static int
is_served(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	rc = fd >= 0 &&
	     connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int
server_listen(struct server *s, struct err *err)
{
	const char *path = s->conf->sandbox_socket;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	if (*path == '\0')
		return err_set(err, ERR_CONFIG,
		    "sandbox.socket is empty: set it to the path where "
		    "workers find the sandbox");
	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(
		    err, ERR_CONFIG, "sandbox.socket: the path is too long");
	memcpy(sun.sun_path, path, strlen(path));
	if (is_served(&sun))
		return err_set(err, ERR_CONFIG,
		    "sandbox.socket: another process serves %s", path);
	unlink(path);
	s->listen_fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0117);
	rc = s->listen_fd < 0
		 ? -1
		 : bind(s->listen_fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (rc < 0 || listen(s->listen_fd, 128) < 0)
		return err_set(err, ERR_CONFIG, "sandbox.socket: %s: %s", path,
		    strerror(errno));
	return set_group(path, s->conf->sandbox_group, err);
}

static void
on_signal(void *arg, int events)
{
	struct server *s = arg;

	(void)events;
	log_info("stopping");
	loop_stop(s->loop);
}

static void
signals_open(struct server *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		abort();
}

/* Walks hold a descriptor for each level of a tree. */
static void
raise_descriptors(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void
server_free(struct server *s)
{
	struct connection *c, *tmp;

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
	loop_free(&s->loop);
	workspaces_close(&s->workspaces);
	launcher_free(&s->launcher);
	runs_free(&s->runs);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
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
	s->listen_io =
	    loop_io_new(s->loop, "listen", s->listen_fd, on_listen, s);
	s->signal_io =
	    loop_io_new(s->loop, "signals", s->signal_fd, on_signal, s);
	if (s->listen_io == NULL || s->signal_io == NULL)
		abort();
	loop_io_want(s->listen_io, LOOP_READ);
	loop_io_want(s->signal_io, LOOP_READ);
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
		.listen_fd = -1,
		.signal_fd = -1 };
	int rc;

	umask(0077);
	raise_descriptors();
	signal(SIGPIPE, SIG_IGN);
	signals_open(&s);
	s.workspaces = workspaces_open(c, err);
	s.runs = runs_new();
	rc = s.workspaces == NULL || find_client(&s, err) < 0 ||
	     server_listen(&s, err) < 0;
	if (!rc) {
		s.launcher = launcher_new(c, 1, &s.no_launcher);
		if (s.launcher == NULL)
			log_warn("no commands: %s", s.no_launcher.text);
		else if (geteuid() == 0)
			log_warn("it runs as root: commands are not held to "
				 "sandbox.processes");
		server_serve(&s, ready_fd);
		unlink(c->sandbox_socket);
	}
	server_free(&s);
	return rc ? -1 : 0;
}
