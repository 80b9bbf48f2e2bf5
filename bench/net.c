/* SPDX-License-Identifier: MIT */
/*
 * The floor under bench-model and bench-load: loopback sockets, options by
 * table, a histogram. One thread. Everything that fails here is either told
 * to the caller (a peer went away) or ends the program (the host is not set
 * up for a benchmark).
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "net.h"

#define NET_OPTIONS_MAX 40

static struct sockaddr_in
net_loopback(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return sin;
}

static int
net_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void
net_nodelay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int
net_listen(int port, int *port_r)
{
	struct sockaddr_in sin = net_loopback(port);
	socklen_t len = sizeof(sin);
	int on = 1;
	int fd = net_socket();

	if (fd < 0)
		err(EX_OSERR, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, len) < 0 ||
	    listen(fd, 8192) < 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		err(EX_OSERR, "127.0.0.1:%d", port);
	*port_r = ntohs(sin.sin_port);
	return fd;
}

int
net_accept(int listener)
{
	int fd;

	do {
		fd =
		    accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd >= 0)
		net_nodelay(fd);
	else if (errno != EAGAIN)
		err(EX_OSERR, "accept");
	return fd;
}

int
net_connect(int port)
{
	struct sockaddr_in sin = net_loopback(port);
	int fd = net_socket();
	int saved;

	if (fd < 0)
		return -1;
	net_nodelay(fd);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static ssize_t
net_result(ssize_t n)
{
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return -2;
	return n;
}

ssize_t
net_recv(int fd, void *p, size_t len)
{
	ssize_t n;

	do {
		n = recv(fd, p, len, 0);
	} while (n < 0 && errno == EINTR);
	return net_result(n);
}

ssize_t
net_send(int fd, const void *p, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, p, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return net_result(n);
}

long
net_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		err(EX_OSERR, "getrlimit");
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		err(EX_OSERR, "setrlimit");
	return (long)rl.rlim_cur;
}

int64_t
net_cpu_us(void)
{
	struct rusage ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	return ((int64_t)ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
	       ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
}

void
net_usage(
    const struct net_opt *table, const char *synopsis, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: %s\n", synopsis);
	for (; table->name != NULL; table++)
		fprintf(stderr, "  --%-12s %s\n", table->name, table->help);
	exit(EX_USAGE);
}

/* Stores one option's text where the table says. 0, or -1 if it is wrong. */
static int
net_option_store(const struct net_opt *o, const char *text)
{
	char *end;
	double d;

	if (o->type == NET_FLAG) {
		*(int *)o->value = 1;
		return 0;
	}
	if (o->type == NET_TEXT) {
		*(const char **)o->value = text;
		return 0;
	}
	d = strtod(text, &end);
	if (end == text || *end != '\0' || !(d >= o->min && d <= o->max))
		return -1;
	if (o->type == NET_DOUBLE)
		*(double *)o->value = d;
	else
		*(int *)o->value = (int)d;
	return 0;
}

int
net_options(
    int argc, char **argv, const struct net_opt *table, const char *synopsis)
{
	struct option longs[NET_OPTIONS_MAX + 1];
	int c, i, at = 0;

	memset(longs, 0, sizeof(longs));
	for (i = 0; i < NET_OPTIONS_MAX && table[i].name != NULL; i++) {
		longs[i].name = table[i].name;
		longs[i].has_arg = table[i].type != NET_FLAG;
	}
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c != 0)
			net_usage(table, synopsis, "wrong command line");
		if (net_option_store(&table[at], optarg) < 0)
			net_usage(table, synopsis,
			    "--%s: a number from %g to %g, not \"%s\"",
			    table[at].name, table[at].min, table[at].max,
			    optarg);
	}
	return optind;
}

/* Below 128 one slot per microsecond, above it 64 per power of two. */
static size_t
net_hist_slot(uint64_t us)
{
	unsigned shift;

	if (us < 128)
		return us;
	if (us > UINT32_MAX)
		us = UINT32_MAX;
	shift = 57u - (unsigned)__builtin_clzll(us);
	return 64 * shift + (us >> shift);
}

/* The largest value that falls into a slot. */
static uint64_t
net_hist_top(size_t slot)
{
	size_t shift;

	if (slot < 128)
		return slot;
	shift = slot / 64 - 1;
	return ((64 + slot % 64 + 1) << shift) - 1;
}

void
net_hist_add(struct net_hist *h, int64_t us)
{
	if (us < 0)
		us = 0;
	h->slot[net_hist_slot((uint64_t)us)]++;
	h->count++;
	if (us > h->max_us)
		h->max_us = us;
}

double
net_hist_ms(const struct net_hist *h, double q)
{
	double want = q * (double)h->count;
	double seen = 0;
	uint64_t top;
	size_t i;

	for (i = 0; i < NET_HIST_SLOTS; i++) {
		seen += h->slot[i];
		if (seen > 0 && seen >= want)
			break;
	}
	if (i == NET_HIST_SLOTS)
		return 0;
	top = net_hist_top(i);
	if (top > (uint64_t)h->max_us)
		top = (uint64_t)h->max_us;
	return (double)top / 1000;
}
