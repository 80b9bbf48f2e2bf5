/* SPDX-License-Identifier: MIT */
/*
 * One command's network. Whoever runs the command sends the list of hosts,
 * and then a listening socket from within the command's network namespace:
 * there the command connects to it, and here it is accepted. That is all that
 * joins the two sides. The command's end is the end of the connection.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clk.h"
#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proxyd/crew.h"
#include "proxyd/dial.h"
#include "proxyd/relay.h"
#include "proxyd/session.h"
#include "sandbox/frame.h"
#include "sandbox/handover.h"
#include "sandbox/hosts.h"

#define LIST_MS 10000
#define REQUEST_DEPTH 4
#define BUSY_MS 100 /* the host has no descriptor or thread left */

struct running {
	const struct session *session;
	struct arena *arena;
	struct relay_rules rules;
	struct crew crew;
	int listen_fd;
};

struct connection {
	const struct relay_rules *rules;
	int fd;
};

/* ---- the list ---- */

/* The frame with the list. 0, or -1 and err. */
static int
read_frame(const struct session *s, struct buf *in, struct frame_view *f,
    struct err *err)
{
	int64_t deadline = clk_mono_ms() + LIST_MS;
	ssize_t n;
	int rc;

	while ((rc = frame_read(in->data, in->len, f, err)) == 0) {
		if (in->len > HOSTS_JSON_MAX)
			return err_set(err, ERR_REQUEST, "it is too long");
		if (wait_ready(s->fd, POLLIN, s->stop_fd, deadline) <= 0)
			return err_set(err, ERR_TIMEOUT, "no list came");
		buf_reserve(in, 4096);
		/* The descriptor comes after the answer: not yet. */
		n = recv(s->fd, in->data + in->len, 4096, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return err_set(err, ERR_REQUEST, "it hung up");
		in->len += (size_t)n;
	}
	return rc < 0 ? -1 : 0;
}

static int
read_list(struct running *r, struct err *err)
{
	const struct json *rq;
	struct frame_view f;
	struct buf in;

	buf_init(&in, r->arena);
	if (read_frame(r->session, &in, &f, err) < 0)
		return -1;
	rq = json_parse(r->arena, f.json, f.json_len, REQUEST_DEPTH, err);
	if (rq == NULL)
		return -1;
	r->rules.hosts = hosts_parse(r->arena, json_get(rq, "hosts"), err);
	return r->rules.hosts == NULL ? -1 : 0;
}

static int
answer(struct running *r, const struct err *err)
{
	struct buf b, out;

	buf_init(&b, r->arena);
	buf_init(&out, r->arena);
	json_open(&b, NULL, '{');
	json_add_bool(&b, "ok", err == NULL);
	if (err != NULL)
		json_add_str(&b, "error", err->text);
	json_close(&b, '}');
	frame_write(&out, b.data, b.len, NULL, 0);
	/* A new socket takes so little at once. */
	return send(r->session->fd, out.data, out.len, MSG_NOSIGNAL) ==
		       (ssize_t)out.len
		   ? 0
		   : -1;
}

/* ---- the socket ---- */

/* 1 if it is a listening TCP socket: nothing else is accepted on. */
static int
is_listening(int fd)
{
	int type = 0, listens = 0;
	struct sockaddr_storage at;
	socklen_t a = sizeof(type), b = sizeof(listens), c = sizeof(at);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &a) == 0 &&
	       type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &b) == 0 &&
	       listens && getsockname(fd, (struct sockaddr *)&at, &c) == 0 &&
	       (at.ss_family == AF_INET || at.ss_family == AF_INET6);
}

/* The command may begin much later, or never. 0 or -1. */
static int
read_socket(struct running *r)
{
	const struct session *s = r->session;
	int rc;

	do {
		rc = wait_ready(
		    s->fd, POLLIN, s->stop_fd, clk_mono_ms() + LIST_MS);
	} while (rc == 0);
	if (rc < 0 || handover_take(s->fd, &r->listen_fd) < 0)
		return -1;
	if (is_listening(r->listen_fd) &&
	    fcntl(r->listen_fd, F_SETFL, O_NONBLOCK) == 0)
		return 0;
	log_warn("what was handed over is no listening socket");
	return -1;
}

/* ---- connections ---- */

static void
on_connection(void *arg)
{
	struct connection c = *(struct connection *)arg;

	free(arg);
	relay_serve(c.rules, c.fd);
}

/* 0, or -1: the host has nothing left just now. */
static int
take_one(struct running *r)
{
	int fd =
	    accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c;

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			       errno == ENOMEM
			   ? -1
			   : 0;
	c = malloc(sizeof(*c));
	if (c == NULL)
		abort();
	*c = (struct connection){ &r->rules, fd };
	if (crew_start(&r->crew, "connection", on_connection, c) == 0)
		return 0;
	close(fd);
	free(c);
	return -1;
}

/* Until the command ends, or all do. */
static void
accept_all(struct running *r)
{
	const struct session *s = r->session;
	struct pollfd p[4] = { { .fd = s->fd, .events = POLLIN },
		{ .fd = s->stop_fd, .events = POLLIN }, { .events = POLLIN },
		{ .fd = r->crew.room_fd, .events = POLLIN } };
	int rc = 0;

	for (;;) {
		p[2].fd =
		    rc == 0 && crew_has_room(&r->crew) ? r->listen_fd : -1;
		if (poll(p, 4, rc == 0 ? -1 : BUSY_MS) < 0 && errno != EINTR)
			return;
		if (p[0].revents != 0 || p[1].revents != 0)
			return;
		rc = p[2].fd >= 0 && p[2].revents != 0 ? take_one(r) : 0;
	}
}

static void
run(struct running *r)
{
	struct err err;

	if (read_list(r, &err) < 0) {
		answer(r, &err);
		return;
	}
	if (answer(r, NULL) < 0 || read_socket(r) < 0)
		return;
	crew_init(&r->crew, (int)r->session->conf->sandbox_proxy_connections);
	accept_all(r);
	eventfd_write(r->rules.end_fd, 1);
	crew_fini(&r->crew);
}

void
session_serve(const struct session *s)
{
	struct running r = {
		.session = s, .arena = arena_open(4096), .listen_fd = -1
	};

	r.rules = (struct relay_rules){ .conf = s->conf,
		.public_only = s->public_only,
		.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (r.rules.end_fd >= 0)
		run(&r);
	if (r.listen_fd >= 0)
		close(r.listen_fd);
	if (r.rules.end_fd >= 0)
		close(r.rules.end_fd);
	close(s->fd);
	arena_close(&r.arena);
}
