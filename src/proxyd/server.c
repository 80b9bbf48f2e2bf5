/* SPDX-License-Identifier: MIT */
/*
 * The server of agent-fpm-proxy: a thread for each command that has a network
 * and one for each of its connections, all bounded. They share nothing that
 * changes.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/gate.h"
#include "base/log.h"
#include "base/process.h"
#include "conf/conf.h"
#include "net/address.h"
#include "proxyd/crew.h"
#include "proxyd/server.h"
#include "proxyd/session.h"

#define SESSIONS_MAX 1024

struct proxy {
	const struct conf *conf;
	struct networks *public_only;
	struct gate gate;
	struct crew crew;
	int signal_fd, stop_fd;
};

static void
on_session(void *arg)
{
	struct session s = *(struct session *)arg;

	free(arg);
	session_serve(&s);
}

static void
take_one(struct proxy *p)
{
	struct session *s;
	int fd = gate_accept(&p->gate);

	if (fd < 0)
		return;
	s = malloc(sizeof(*s));
	if (s == NULL)
		abort();
	*s = (struct session){ .conf = p->conf,
		.public_only = p->public_only,
		.fd = fd,
		.stop_fd = p->stop_fd };
	if (crew_start(&p->crew, "session", on_session, s) == 0)
		return;
	log_warn("a command got no network: there is no thread left");
	close(fd);
	free(s);
}

static void
serve(struct proxy *p)
{
	struct pollfd fds[3] = { { .fd = p->signal_fd, .events = POLLIN },
		{ .events = POLLIN },
		{ .fd = p->crew.room_fd, .events = POLLIN } };

	log_info("ready");
	for (;;) {
		fds[1].fd = crew_has_room(&p->crew) ? p->gate.fd : -1;
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents != 0)
			break;
		if (fds[1].fd >= 0 && fds[1].revents != 0)
			take_one(p);
	}
	log_info("stopping");
}

static int
proxy_listen(struct proxy *p, struct err *err)
{
	const struct conf *c = p->conf;

	if (*c->sandbox_proxy == '\0')
		return err_set(err, ERR_CONFIG,
		    "sandbox.proxy is empty: set it to the path where "
		    "agent-fpm-sandbox finds the proxy");
	p->gate = (struct gate){ .path = c->sandbox_proxy,
		.path_setting = "sandbox.proxy",
		.group = c->sandbox_proxy_group,
		.group_setting = "sandbox.proxy_group",
		.client = c->sandbox_proxy_client,
		.client_setting = "sandbox.proxy_client" };
	return gate_open(&p->gate, err);
}

int
proxy_run(const struct conf *c, struct err *err)
{
	struct proxy p = { .conf = c };

	umask(0077);
	process_raise_descriptors();
	p.signal_fd = process_end_signals(); /* before anybody can connect */
	if (proxy_listen(&p, err) < 0)
		return -1;
	p.public_only = networks_parse("", NULL);
	p.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p.stop_fd < 0)
		abort();
	crew_init(&p.crew, SESSIONS_MAX);
	serve(&p);
	gate_close(&p.gate);
	eventfd_write(p.stop_fd, 1);
	crew_fini(&p.crew);
	networks_free(&p.public_only);
	close(p.stop_fd);
	close(p.signal_fd);
	return 0;
}
