/* SPDX-License-Identifier: MIT */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What the benchmark programs share: sockets on 127.0.0.1, options by table,
 * CPU time, and a histogram. They are tools: an error of the set-up ends the
 * program with a line on stderr.
 */

/* A listening, non-blocking socket; port 0 lets the kernel choose. */
int net_listen(int port, int *port_r);

/* A new connection, non-blocking and without Nagle; -1 when none waits. */
int net_accept(int listener);

/* A socket that connects, or has connected, to the port; -1 and errno. */
int net_connect(int port);

/* What recv and send say, EINTR hidden: bytes, 0 end, -1; -2 "not now". */
ssize_t net_recv(int fd, void *p, size_t len);
ssize_t net_send(int fd, const void *p, size_t len);

/* Raises the soft limit of descriptors to the hard one; returns it. */
long net_raise_nofile(void);

/* User and system time of this process so far. */
int64_t net_cpu_us(void);

enum net_opt_type { NET_FLAG, NET_INT, NET_DOUBLE, NET_TEXT };

/* One option --name; value points to an int, int, double or const char *. */
struct net_opt {
	const char *name;
	enum net_opt_type type;
	void *value;
	double min, max;
	const char *help;
};

/*
 * Reads the command line by a table that ends with a row without a name.
 * Returns the index of the first argument that is no option; a wrong command
 * line prints the usage and exits with 64.
 */
int net_options(
    int argc, char **argv, const struct net_opt *table, const char *synopsis);

/* Prints a complaint and the usage, exits with 64. */
void net_usage(const struct net_opt *table, const char *synopsis,
    const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));

/*
 * Times in microseconds, log-linear: 64 steps per power of two, so a quantile
 * is at most 1.6 % too high. Memory does not depend on the count.
 */
#define NET_HIST_SLOTS 2048

struct net_hist {
	uint64_t count;
	int64_t max_us;
	uint32_t slot[NET_HIST_SLOTS];
};

void net_hist_add(struct net_hist *h, int64_t us);

/* The q-quantile in milliseconds; 0 if nothing was added. */
double net_hist_ms(const struct net_hist *h, double q);

#endif
