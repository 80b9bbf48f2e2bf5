/* SPDX-License-Identifier: MIT */
/* Connecting to what a command asked for: see dial.h. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/err.h"
#include "net/address.h"
#include "proxyd/dial.h"
#include "sandbox/hosts.h"

int
wait_ready(int fd, short events, int end_fd, int64_t deadline_ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
		{ .fd = end_fd, .events = POLLIN } };
	int64_t left;

	do {
		left = deadline_ms - clk_mono_ms();
		if (left <= 0)
			return 0;
	} while (poll(p, 2, left > 60000 ? 60000 : (int)left) < 0
		     ? errno == EINTR
		     : p[0].revents == 0 && p[1].revents == 0);
	return p[1].revents != 0 ? -1 : p[0].revents != 0;
}

/* A descriptor; -1 and errno. */
static int
connect_to(const struct addrinfo *ai, int end_fd, int64_t deadline_ms)
{
	int fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc, one = 1, why = 0;
	socklen_t len = sizeof(why);

	if (fd < 0)
		return -1;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		why = errno;
		if (why == EINPROGRESS) {
			rc = wait_ready(fd, POLLOUT, end_fd, deadline_ms);
			why = rc < 0 ? ECANCELED : rc == 0 ? ETIMEDOUT : 0;
		}
		if (why == 0)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len);
	}
	if (why == 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return fd;
	}
	close(fd);
	errno = why;
	return -1;
}

static int
resolve(const struct host *to, struct addrinfo **out, struct err *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags =
		    AI_NUMERICSERV | (to->is_address ? AI_NUMERICHOST : 0) };
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%d", to->port);
	rc = getaddrinfo(to->name, port, &hints, out);
	if (rc == 0)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "%s cannot be resolved: %s",
	    to->name, gai_strerror(rc));
}

/* Of this address and those behind it. */
static int
count(const struct addrinfo *ai)
{
	int n = 0;

	for (; ai != NULL; ai = ai->ai_next)
		n++;
	return n;
}

static int
fail(const struct host *to, int admitted, int why, struct err *err)
{
	if (admitted == 0)
		return err_set(err, ERR_FORBIDDEN,
		    "%s has no public address, and the list of hosts does not "
		    "have the one it has",
		    to->name);
	return err_set(err,
	    why == ETIMEDOUT   ? ERR_TIMEOUT
	    : why == ECANCELED ? ERR_CANCELLED
			       : ERR_NOT_FOUND,
	    "%s:%d cannot be reached: %s", to->name, to->port, strerror(why));
}

int
dial(const struct host *to, const struct hosts *hosts,
    const struct networks *public_only, int end_fd, int64_t connect_ms,
    struct err *err)
{
	struct addrinfo *list, *ai;
	int fd = -1, admitted = 0, why = 0;
	int64_t now, deadline;

	if (!hosts_admit(hosts, to))
		return err_set(err, ERR_FORBIDDEN,
		    "%s:%d is not in the list of hosts that this agent may "
		    "reach",
		    to->name, to->port);
	if (resolve(to, &list, err) < 0)
		return -1;
	deadline = clk_mono_ms() + connect_ms;
	for (ai = list; ai != NULL && fd < 0 && why != ECANCELED;
	     ai = ai->ai_next) {
		if (!networks_admit(public_only, ai->ai_addr) &&
		    !hosts_admit_address(hosts, ai->ai_addr, to->port))
			continue;
		admitted++;
		now = clk_mono_ms();
		fd = connect_to(ai, end_fd, now + (deadline - now) / count(ai));
		why = errno;
	}
	freeaddrinfo(list);
	return fd >= 0 ? fd : fail(to, admitted, why, err);
}
